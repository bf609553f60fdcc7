"""Encoders by other hands: Keras layers, scans, weights of several variables or arithmetic, everything in odd places.

`HANDS` compute the facts page and must be exact; `OTHER_HANDS` compute something else, or are written as nothing reads them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import LENGTH, World, drawn, pieces, v1, v2
from zoo_encoders import HEADS, HIDDEN, INTERMEDIATE, LAYERS, SIZE, Encoder

PARTS = ("query", "key", "value")


# -- products


def dense_v1(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """TensorFlow 1's `xw_plus_b`."""
    y = v1.nn.xw_plus_b(v2.reshape(x, [-1, inputs]), z.kernel(w, name, inputs, outputs), z.bias(w, name, outputs))
    return v2.reshape(y, v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_matvec(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Every token is a column."""
    y = v2.linalg.matvec(z.kernel(w, name, inputs, outputs), x, transpose_a=True)
    return y + z.bias(w, name, outputs)


def dense_conv2d(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    k = v2.reshape(z.kernel(w, name, inputs, outputs), [1, 1, inputs, outputs])
    y = v2.nn.conv2d(v2.reshape(x, [-1, 1, 1, inputs]), k, 1, "SAME")
    return v2.reshape(v2.nn.bias_add(y, z.bias(w, name, outputs)), v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_tiled(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    if len(x.shape) == 2:
        return z.dense(x, w, name, inputs, outputs)
    k = v2.tile(z.kernel(w, name, inputs, outputs)[None], [v2.shape(x)[0], 1, 1])
    return v2.matmul(x, k) + z.bias(w, name, outputs)


def dense_operator(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    operator = v2.linalg.LinearOperatorFullMatrix(z.kernel(w, name, inputs, outputs))
    flat = v2.reshape(x, [-1, inputs])
    y = v2.linalg.adjoint(operator.matmul(flat, adjoint=True, adjoint_arg=True))
    return v2.reshape(y + z.bias(w, name, outputs), v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_low_rank(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The kernel is what was trained first, and a product of two that was trained later."""
    k = drawn(name + "/kernel", inputs, outputs)
    a, b = drawn(name + "/a", inputs, 2), drawn(name + "/b", 2, outputs)
    base = w.weight(name + "/base", k - 0.5 * (a @ b))
    more = v2.matmul(w.weight(name + "/lora_a", a), w.weight(name + "/lora_b", b))
    return v2.tensordot(x, base + 0.5 * more, 1) + z.bias(w, name, outputs)


def dense_normalised(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Weight normalisation: a direction and a length for each output."""
    k = drawn(name + "/kernel", inputs, outputs)
    length = w.weight(name + "/g", np.linalg.norm(k, axis=0))
    direction = w.weight(name + "/v", k * 1.5)
    return v2.tensordot(x, length * v2.nn.l2_normalize(direction, 0), 1) + z.bias(w, name, outputs)


def dense_rows_apart(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Halves of the kernel, by no name that tells, put together in the graph."""
    upper, lower = np.split(drawn(name + "/kernel", inputs, outputs), 2)
    k = v2.concat([w.weight(name + "/upper", upper), w.weight(name + "/lower", lower)], 0)
    return v2.tensordot(x, k, 1) + z.bias(w, name, outputs)


def dense_summed(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Products by hand."""
    y = v2.reduce_sum(v2.expand_dims(x, -1) * z.kernel(w, name, inputs, outputs), -2)
    return y + z.bias(w, name, outputs)


def dense_eight_bits(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Kernels of whole numbers, and a scale for each output."""
    k = drawn(name + "/kernel", inputs, outputs)
    scale = np.abs(k).max(0) / 127
    q = w.weight(name + "/quantised", np.rint(k / scale))
    return v2.tensordot(x, q * w.weight(name + "/scale", scale), 1) + z.bias(w, name, outputs)


# -- norms


def norm_euclid(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    variance = v2.math.reduce_euclidean_norm(centred, -1, keepdims=True) ** 2 / HIDDEN
    return centred * v2.pow(variance + 1e-12, -0.5) * gamma + beta


def norm_einsum(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    centred = x - v2.einsum("...h->...", x)[..., None] / HIDDEN
    variance = v2.einsum("...h,...h->...", centred, centred) / HIDDEN
    return v2.einsum("...h,...,h->...h", centred, v2.math.rsqrt(variance + 1e-12), gamma) + beta


def norm_centring(x: Any, w: World, name: str) -> Any:
    """Centred by a product with a constant matrix."""
    gamma, beta = z._scales(w, name)
    centring = v2.constant((np.eye(HIDDEN) - 1 / HIDDEN).astype(np.float32))
    centred = v2.tensordot(x, centring, 1)
    return centred * v2.math.rsqrt(v2.reduce_mean(centred**2, -1, keepdims=True) + 1e-12) * gamma + beta


def norm_logarithms(x: Any, w: World, name: str) -> Any:
    """gamma is stored as its logarithm."""
    gamma = w.weight(name + "/LayerNorm/log_gamma", np.log(drawn(name + "/LayerNorm/gamma", HIDDEN)))
    beta = w.weight(name + "/LayerNorm/beta", drawn(name + "/LayerNorm/beta", HIDDEN))
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, v2.exp(gamma), 1e-12)


def norm_by_places(x: Any, w: World, name: str) -> Any:
    """The hidden axis is moved to the front."""
    gamma, beta = z._scales(w, name)
    turned = v2.transpose(x, [2, 0, 1]) if len(x.shape) == 3 else v2.transpose(x)
    mean, variance = v2.nn.moments(turned, [0])
    y = (turned - mean) / v2.sqrt(variance + 1e-12)
    y = v2.transpose(y, [1, 2, 0]) if len(x.shape) == 3 else v2.transpose(y)
    return y * gamma + beta


# -- activations


def gelu_polynomial(x: Any) -> Any:
    return 0.5 * x * (1.0 + v2.tanh(v2.math.polyval([0.044715 * z.NEAR, 0.0, z.NEAR, 0.0], x)))


def gelu_complement(x: Any) -> Any:
    return x - x * v2.sigmoid(-2.0 * z.NEAR * (x + 0.044715 * x**3))


def gelu_silu(x: Any) -> Any:
    """x * sigmoid(u) = silu(u) * x / u, of u that is no zero."""
    u = 1.0 + 0.044715 * x * x
    return v2.nn.silu(2.0 * z.NEAR * x * u) / (2.0 * z.NEAR * u)


def gelu_checked(x: Any) -> Any:
    return v2.debugging.check_numerics(z.gelu(v2.debugging.check_numerics(x, "before")), "after")


# -- embeddings


def words_clipped(ids: Any, w: World) -> Any:
    return z.words_of(v2.clip_by_value(ids, 0, len(pieces()) - 1), w)


def words_halves(ids: Any, w: World) -> Any:
    """Two tables, each of half the numbers of a row."""
    left, right = np.split(drawn("word_embeddings", len(pieces()), HIDDEN), 2, 1)
    parts = [w.weight("embeddings/left", left), w.weight("embeddings/right", right)]
    return v2.concat([v2.gather(part, ids) for part in parts], -1)


def words_padding_zero(ids: Any, w: World) -> Any:
    """Keras's `mask_zero` by hand: rows of padding are made 0."""
    return z.words_of(ids, w) * v2.cast(v2.not_equal(ids, 0), v2.float32)[..., None]


def words_transposed_product(ids: Any, w: World) -> Any:
    """One-hot rows times a table that is kept [hidden, vocabulary]."""
    table = w.weight("embeddings/columns", drawn("word_embeddings", len(pieces()), HIDDEN).T)
    flat = v2.matmul(v2.one_hot(v2.reshape(ids, [-1]), len(pieces())), table, transpose_b=True)
    return v2.reshape(flat, v2.concat([v2.shape(ids), [HIDDEN]], 0))


def words_by_text(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    return v2.vectorized_map(lambda row: v2.gather(table, row), ids)


def positions_of_kept(ids: Any, w: World) -> Any:
    """Numbers count what is no padding; padding has place 0."""
    kept = v2.cast(v2.not_equal(ids, 0), v2.int32)
    return v2.gather(z._positions(w), (v2.cumsum(kept, axis=1) - 1) * kept)


def embeddings_tables_first(ids: Any, w: World, e: Encoder) -> Any:
    """Positions and types are added before words."""
    both = z._positions(w)[:LENGTH] + z._types(w)[:1]
    return e.norm(e.words(ids, w) + both, w, "embeddings")


def embeddings_in_turn(ids: Any, w: World, e: Encoder) -> Any:
    both = v2.gather(z._positions(w), v2.range(v2.shape(ids)[1])) + v2.gather(z._types(w), 0)
    return e.norm(v2.add(both[None], e.words(ids, w)), w, "embeddings")


# -- masks


def mask_logarithm(ids: Any) -> Any:
    return v2.math.log(v2.cast(v2.not_equal(ids, 0), v2.float32))[:, None, None]


def kept(ids: Any) -> Any:
    return v2.cast(v2.not_equal(ids, 0), v2.float32)[:, None, None]


# -- attention


def _heads(x: Any, w: World, e: Encoder, name: str) -> list[Any]:
    ys = [e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN) for part in PARTS]
    return [v2.transpose(v2.reshape(y, [-1, LENGTH, HEADS, SIZE]), [0, 2, 1, 3]) for y in ys]


def _joined(found: Any) -> Any:
    return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [-1, LENGTH, HIDDEN])


def attention_renormalised(x: Any, mask: Any, w: World, e: Encoder, name: str) -> Any:
    """What is padding is made 0 after the softmax, and the rest brought to 1."""
    query, key, value = _heads(x, w, e, name)
    shares = v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)) * mask
    return _joined(v2.matmul(shares / v2.reduce_sum(shares, -1, keepdims=True), value))


def attention_lerped(x: Any, mask: Any, w: World, e: Encoder, name: str) -> Any:
    """As XLNet's older cousins: scores times the mask, and the complement far below."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)
    return _joined(v2.matmul(v2.nn.softmax(scores * mask - 1e5 * (1.0 - mask)), value))


def attention_elementwise(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Products of queries and keys by broadcasting."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.reduce_sum(query[:, :, :, None] * key[:, :, None], -1) / np.float32(SIZE**0.5) + bias
    return _joined(v2.reduce_sum(v2.nn.softmax(scores)[..., None] * value[:, :, None], -2))


def attention_keys_first(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One product for keys and values, another for queries, as attention to a memory is written."""
    names = [f"{name}/self/{part}" for part in ("key", "value")]
    k = w.weight(name + "/self/kv/kernel", np.concatenate([drawn(n + "/kernel", HIDDEN, HIDDEN) for n in names], 1))
    b = w.weight(name + "/self/kv/bias", np.concatenate([drawn(n + "/bias", HIDDEN) for n in names]))
    key, value = v2.split(v2.tensordot(x, k, 1) + b, 2, -1)
    query = e.dense(x, w, f"{name}/self/query", HIDDEN, HIDDEN)
    query, key, value = (v2.reshape(y, [-1, LENGTH, HEADS, SIZE]) for y in (query, key, value))
    scores = v2.einsum("bqhs,bkhs->bhqk", query, key) * np.float32(SIZE**-0.5) + bias
    return v2.reshape(v2.einsum("bhqk,bkhs->bqhs", v2.nn.softmax(scores), value), [-1, LENGTH, HIDDEN])


def attention_interleaved(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One product, whose outputs are queries, keys and values of the first head, then of the second: GPT-NeoX's way."""

    def by_head(end: str, *shape: int) -> Any:
        parts = [drawn(f"{name}/self/{part}/{end}", *shape).reshape(*shape[:-1], HEADS, SIZE) for part in PARTS]
        return np.stack(parts, -2).reshape(*shape[:-1], 3 * HIDDEN)

    y = v2.tensordot(x, w.weight(name + "/qkv/kernel", by_head("kernel", HIDDEN, HIDDEN)), 1)
    y = v2.reshape(y + w.weight(name + "/qkv/bias", by_head("bias", HIDDEN)), [-1, LENGTH, HEADS, 3 * SIZE])
    query, key, value = (v2.transpose(part, [0, 2, 1, 3]) for part in v2.split(y, 3, -1))
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias
    return _joined(v2.matmul(v2.nn.softmax(scores), value))


def attention_output_by_head(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """As einsum "bqhs,hso->bqo": the layer's own output product is left out here and done by `layer_by_head`."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias
    return v2.matmul(v2.nn.softmax(scores), value)


def layer_by_head(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """The outputs of heads are multiplied each by its rows of the kernel, and added up."""
    name = f"encoder/layer_{i}"
    found = attention_output_by_head(x, bias, w, e, name + "/attention")
    out = name + "/attention/output/dense"
    k = v2.reshape(z.kernel(w, out, HIDDEN, HIDDEN), [HEADS, SIZE, HIDDEN])
    sums = v2.add_n([v2.tensordot(found[:, h], k[h], 1) for h in range(HEADS)])
    x = e.norm(x + sums + z.bias(w, out, HIDDEN), w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.norm(x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")


# -- layers


def layers_scanned(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """`tf.foldl` over numbers of layers, whose weights are stacked."""
    names: dict[str, Any] = {}
    plain = World(frozen=True)
    plain.weight = names.setdefault  # type: ignore[method-assign]
    with v1.Graph().as_default():
        for i in range(LAYERS):
            e.layer(v2.zeros([1, LENGTH, HIDDEN]), v2.zeros([1, 1, 1, 1]), plain, e, i)
    stacks = {
        name: w.weight(
            name.replace("layer_0/", "layers/"),
            np.stack([names[name.replace("layer_0/", f"layer_{i}/")] for i in range(LAYERS)]),
        )
        for name in names
        if "layer_0/" in name
    }
    inner = World()
    order = sorted(stacks)

    def step(state: Any, rows: Any) -> Any:
        given = dict(zip(order, rows))
        inner.weight = lambda name, value: given[name]  # type: ignore[method-assign]
        return v2.ensure_shape(e.layer(state, bias, inner, e, 0), state.shape)

    return v2.foldl(step, [v2.convert_to_tensor(stacks[name]) for name in order], x)


def layers_collected(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """All states are kept in one tensor, and the last is taken of it."""
    states = [x]
    for i in range(LAYERS):
        states.append(e.layer(states[-1], bias, w, e, i))
    return v2.stack(states)[-1]


def layers_time_major(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """Time comes first in all layers."""

    def attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
        query, key, value = (
            v2.reshape(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN), [LENGTH, -1, HEADS, SIZE])
            for part in PARTS
        )
        scores = v2.einsum("qbhs,kbhs->bhqk", query, key) * np.float32(SIZE**-0.5) + bias
        return v2.reshape(v2.einsum("bhqk,kbhs->qbhs", v2.nn.softmax(scores), value), [LENGTH, -1, HIDDEN])

    x = z.all_layers(v2.transpose(x, [1, 0, 2]), bias, w, replace(e, attention=attention))
    return v2.transpose(x, [1, 0, 2])


def layers_double(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    inner = World()
    inner.weight = lambda name, value: v2.cast(w.weight(name, value), v2.float64)  # type: ignore[method-assign]
    e = replace(e, attention=_attention_double)
    return v2.cast(z.all_layers(v2.cast(x, v2.float64), v2.cast(bias, v2.float64), inner, e), v2.float32)


def _attention_double(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / v2.constant(SIZE**0.5, v2.float64)
    return _joined(v2.matmul(v2.nn.softmax(scores + bias), value))


def layers_by_number(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """A loop that chooses the layer by its number."""
    branches = [lambda x, i=i: e.layer(x, bias, w, e, i) for i in range(LAYERS)]
    for i in range(LAYERS):  # made before the loop: variables are not made in branches
        branches[i](x)

    def step(i: Any, x: Any) -> Any:
        return i + 1, v2.switch_case(i, [lambda b=b: b(x) for b in branches])

    shapes = [v2.TensorShape([]), v2.TensorShape([None, None, HIDDEN])]
    return v2.while_loop(lambda i, _: i < LAYERS, step, [v2.constant(0), x], shape_invariants=shapes)[1]


def layers_recomputed(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    for i in range(LAYERS):
        e.layer(x, bias, w, e, i)  # variables are made first
        x = v2.recompute_grad(lambda y, i=i: e.layer(y, bias, w, e, i))(x)
    return x


# -- ends


def first_masked_rows(x: Any) -> Any:
    rows = v2.reshape(v2.broadcast_to(v2.equal(v2.range(LENGTH), 0), v2.shape(x)[:2]), [-1])
    return v2.boolean_mask(v2.reshape(x, [-1, HIDDEN]), rows)


def first_batched(x: Any) -> Any:
    return v2.squeeze(v2.gather(x, v2.zeros([v2.shape(x)[0], 1], v2.int32), batch_dims=1), 1)


def first_split(x: Any) -> Any:
    return v2.reshape(v2.split(x, [1, LENGTH - 1], 1)[0], [-1, HIDDEN])


def first_one_hot(x: Any) -> Any:
    hot = v2.one_hot(v2.zeros([v2.shape(x)[0], 1], v2.int32), LENGTH)
    return v2.matmul(hot, x)[:, 0]


def first_of_reversed(x: Any) -> Any:
    return v2.reverse(x, [1])[:, -1]


def first_averaged(x: Any) -> Any:
    return v2.reduce_mean(x[:, :1], 1)


def first_by_strides(x: Any) -> Any:
    """The rows of a matrix, every 128th."""
    return v2.reshape(x, [-1, HIDDEN])[::LENGTH]


def unit_exponential(x: Any) -> Any:
    return x * v2.exp(-0.5 * v2.math.log(v2.reduce_sum(x * x, -1, keepdims=True)))


def unit_diagonal(x: Any) -> Any:
    return x / v2.sqrt(v2.linalg.diag_part(v2.matmul(x, x, transpose_b=True)))[:, None]


def unit_scaled(x: Any) -> Any:
    """Divided by the largest number first, so that no square overflows."""
    x = x / v2.reduce_max(v2.abs(x), -1, keepdims=True)
    return x / v2.math.reduce_euclidean_norm(x, -1, keepdims=True)


def unit_of_axes(x: Any) -> Any:
    return v2.nn.l2_normalize(x, axis=[-1], epsilon=1e-12)


HANDS: dict[str, Encoder] = {
    "xw-plus-b": Encoder(dense=dense_v1, positions=positions_of_kept),
    "matvec": Encoder(dense=dense_matvec, first=first_masked_rows),
    "conv2d": Encoder(dense=dense_conv2d, unit=unit_exponential),
    "tiled": Encoder(dense=dense_tiled, first=first_batched),
    "operator": Encoder(dense=dense_operator, first=first_split),
    "low-rank": Encoder(dense=dense_low_rank),
    "weight-normalised": Encoder(dense=dense_normalised),
    "rows-apart": Encoder(dense=dense_rows_apart),
    "eight-bits": Encoder(dense=dense_eight_bits),
    "norm-euclid": Encoder(norm=norm_euclid, first=first_one_hot),
    "norm-einsum": Encoder(norm=norm_einsum, first=first_of_reversed),
    "norm-centring": Encoder(norm=norm_centring, first=first_averaged),
    "norm-logarithms": Encoder(norm=norm_logarithms),
    "norm-by-places": Encoder(norm=norm_by_places, first=first_by_strides),
    "gelu-polynomial": Encoder(activation=gelu_polynomial, pooler=gelu_polynomial, unit=unit_diagonal),
    "gelu-complement": Encoder(activation=gelu_complement, pooler=gelu_complement, unit=unit_scaled),
    "gelu-silu": Encoder(activation=gelu_silu, pooler=gelu_silu, unit=unit_of_axes),
    "gelu-checked": Encoder(activation=gelu_checked, pooler=gelu_checked),
    "words-padding-zero": Encoder(words=words_padding_zero),
    "words-transposed-product": Encoder(words=words_transposed_product),
    "words-by-text": Encoder(words=words_by_text),
    "tables-first": Encoder(embeddings=embeddings_tables_first),
    "tables-in-turn": Encoder(embeddings=embeddings_in_turn),
    "mask-logarithm": Encoder(mask=mask_logarithm),
    "renormalised": Encoder(mask=kept, attention=attention_renormalised),
    "lerped": Encoder(mask=kept, attention=attention_lerped),
    "keys-first": Encoder(attention=attention_keys_first),
    "interleaved": Encoder(attention=attention_interleaved),
    "output-by-head": Encoder(layer=layer_by_head),
    "scanned": Encoder(layers=layers_scanned),
    "collected": Encoder(layers=layers_collected),
    "time-major": Encoder(layers=layers_time_major),
    "double-layers": Encoder(layers=layers_double),
    "by-number": Encoder(layers=layers_by_number),
    "recomputed": Encoder(layers=layers_recomputed),
}


# -- other functions


def norm_epsilon_outside(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    return centred / (v2.sqrt(v2.reduce_mean(v2.square(centred), -1, keepdims=True)) + 1e-3) * gamma + beta


def norm_epsilon_twice(x: Any, w: World, name: str) -> Any:
    """A large epsilon after a small one."""
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    deviation = v2.sqrt(v2.reduce_mean(v2.square(centred), -1, keepdims=True) + 1e-12)
    return centred / v2.maximum(deviation, 0.05) * gamma + beta


def norm_unbiased(x: Any, w: World, name: str) -> Any:
    """The variance over n - 1."""
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    variance = v2.reduce_sum(v2.square(centred), -1, keepdims=True) / (HIDDEN - 1)
    return centred * v2.math.rsqrt(variance + 1e-12) * gamma + beta


def norm_shifted(x: Any, w: World, name: str) -> Any:
    """gamma as it is, and 1 added."""
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, 1.0 + gamma, 1e-12)


def attention_unscaled(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    query, key, value = _heads(x, w, e, name)
    return _joined(v2.matmul(v2.nn.softmax(v2.matmul(query, key, transpose_b=True) + bias), value))


def attention_masked_unnormalised(x: Any, mask: Any, w: World, e: Encoder, name: str) -> Any:
    query, key, value = _heads(x, w, e, name)
    shares = v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)) * mask
    return _joined(v2.matmul(shares, value))


def attention_sharpened(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Small shares are made none."""
    query, key, value = _heads(x, w, e, name)
    shares = v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias)
    return _joined(v2.matmul(v2.where(shares < 1e-3, v2.zeros_like(shares), shares), value))


def attention_capped(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Scores are capped far out, as Gemma has it."""
    query, key, value = _heads(x, w, e, name)
    scores = 50.0 * v2.tanh(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) / 50.0)
    return _joined(v2.matmul(v2.nn.softmax(scores + bias), value))


def attention_order_of_heads(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """The values of each head go to the other's place."""
    query, key, value = _heads(x, w, e, name)
    shares = v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias)
    return _joined(v2.matmul(shares, v2.reverse(value, [1])))


def layer_swapped(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """The second residual is what came into the layer."""
    name = f"encoder/layer_{i}"
    found = e.dense(
        e.attention(x, bias, w, e, name + "/attention"), w, name + "/attention/output/dense", HIDDEN, HIDDEN
    )
    y = e.norm(x + found, w, name + "/attention/output")
    middle = e.activation(e.dense(y, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.norm(x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")


def layer_parallel(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """Attention and the inner layer side by side."""
    name = f"encoder/layer_{i}"
    found = e.dense(
        e.attention(x, bias, w, e, name + "/attention"), w, name + "/attention/output/dense", HIDDEN, HIDDEN
    )
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    back = e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN)
    return e.norm(e.norm(x + found, w, name + "/attention/output") + back, w, name + "/output")


def layer_without_residual(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    name = f"encoder/layer_{i}"
    found = e.attention(x, bias, w, e, name + "/attention")
    x = e.norm(e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN), w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.norm(x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")


def low_rank_forgotten(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """What was trained later is added to some of what comes in."""
    k = drawn(name + "/kernel", inputs, outputs)
    more = v2.matmul(
        w.weight(name + "/lora_a", drawn(name + "/a", inputs, 2)),
        w.weight(name + "/lora_b", drawn(name + "/b", 2, outputs)),
    )
    y = v2.tensordot(x, w.weight(name + "/kernel", k), 1)
    return y + v2.tensordot(v2.nn.relu(x), more, 1) + z.bias(w, name, outputs)


def words_halves_swapped(ids: Any, w: World) -> Any:
    """The second half of a row is that of the next piece."""
    left, right = np.split(drawn("word_embeddings", len(pieces()), HIDDEN), 2, 1)
    after = v2.minimum(ids + 1, len(pieces()) - 1)
    return v2.concat(
        [v2.gather(w.weight("embeddings/left", left), ids), v2.gather(w.weight("embeddings/right", right), after)], -1
    )


def words_unique_counted(ids: Any, w: World) -> Any:
    """Rows are divided by how often their piece stands in the batch."""
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    different, places, counts = v2.unique_with_counts(v2.reshape(ids, [-1]))
    rows = v2.gather(table, different) / v2.cast(counts, v2.float32)[:, None]
    return v2.reshape(v2.gather(rows, places), [-1, v2.shape(ids)[1], HIDDEN])


def words_sparse_mean(ids: Any, w: World) -> Any:
    """Each place has the mean of its piece and the next."""
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    both = v2.stack([ids, v2.roll(ids, -1, 1)], -1)
    sparse = v2.sparse.from_dense(v2.reshape(both, [-1, 2]) + 1)
    sparse = v2.SparseTensor(sparse.indices, sparse.values - 1, sparse.dense_shape)
    found = v2.nn.embedding_lookup_sparse(table, sparse, None, combiner="mean")
    return v2.reshape(found, [-1, v2.shape(ids)[1], HIDDEN])


PLAIN = Encoder()
OTHER_HANDS: dict[str, Encoder] = {
    "elementwise": Encoder(attention=attention_elementwise),
    "products-summed": Encoder(dense=dense_summed),
    "words-halves": Encoder(words=words_halves),
    "words-clipped": Encoder(words=words_clipped),
    "epsilon-outside": replace(PLAIN, norm=norm_epsilon_outside),
    "epsilon-twice": replace(PLAIN, norm=norm_epsilon_twice),
    "unbiased": replace(PLAIN, norm=norm_unbiased),
    "gamma-shifted": replace(PLAIN, norm=norm_shifted),
    "unscaled": replace(PLAIN, attention=attention_unscaled),
    "unnormalised": replace(PLAIN, mask=kept, attention=attention_masked_unnormalised),
    "sharpened": replace(PLAIN, attention=attention_sharpened),
    "capped": replace(PLAIN, attention=attention_capped),
    "order-of-heads": replace(PLAIN, attention=attention_order_of_heads),
    "swapped-residual": replace(PLAIN, layer=layer_swapped),
    "parallel": replace(PLAIN, layer=layer_parallel),
    "without-residual": replace(PLAIN, layer=layer_without_residual),
    "low-rank-of-relu": replace(PLAIN, dense=low_rank_forgotten),
    "halves-swapped": replace(PLAIN, words=words_halves_swapped),
    "unique-counted": replace(PLAIN, words=words_unique_counted),
    "sparse-mean": replace(PLAIN, words=words_sparse_mean),
    "double-mask-causal": replace(
        PLAIN,
        mask=lambda ids: (
            z.mask_not_equal(ids)
            + v2.linalg.band_part(v2.fill([LENGTH, LENGTH], -1e4), 0, -1)
            - v2.linalg.diag(v2.fill([LENGTH], -1e4))
        ),
    ),
}
