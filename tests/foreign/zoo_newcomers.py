"""Encoders of the facts page by newcomers: JAX's einsums, Sonnet, T5's and fairseq's habits, everything by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import LENGTH, World, drawn, pieces, v1, v2
from zoo_encoders import HEADS, HIDDEN, INTERMEDIATE, LAYERS, SIZE, Encoder

PARTS = ("query", "key", "value")


# -- products


def dense_matmul_turned(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Kernels as PyTorch keeps them, [outputs, inputs], and no rows made flat."""
    stored = w.weight(name + "/weight", drawn(name + "/kernel", inputs, outputs).T)
    return v2.linalg.matmul(x, stored, transpose_b=True) + z.bias(w, name, outputs)


def dense_einsum_turned(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """What comes out has its axes elsewhere, and is turned back."""
    k, b = z.kernel(w, name, inputs, outputs), z.bias(w, name, outputs)
    if len(x.shape) == 2:
        return v2.einsum("oi,bi->bo", v2.transpose(k), x) + b
    return v2.einsum("lob->blo", v2.einsum("bli,io->lob", x, k)) + b


def dense_dot_general(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """tensordot with the kernel first: outputs come first and are moved to the end."""
    y = v2.tensordot(z.kernel(w, name, inputs, outputs), x, [[0], [-1]])
    return v2.transpose(y, [*range(1, len(x.shape)), 0]) + z.bias(w, name, outputs)


def dense_summed(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Products by hand: rows of the kernel times what comes in, added up."""
    y = v2.reduce_sum(x[..., None] * z.kernel(w, name, inputs, outputs), -2)
    return y + z.bias(w, name, outputs)


def dense_summed_turned(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The same of a kernel [outputs, inputs]."""
    stored = w.weight(name + "/weight", drawn(name + "/kernel", inputs, outputs).T)
    return v2.reduce_sum(v2.expand_dims(x, -2) * stored, axis=-1) + z.bias(w, name, outputs)


def dense_ones(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The bias is the last row of the kernel, and x ends in 1."""
    both = np.concatenate([drawn(name + "/kernel", inputs, outputs), drawn(name + "/bias", outputs)[None]])
    ones = v2.ones(v2.concat([v2.shape(x)[:-1], [1]], 0))
    return v2.tensordot(v2.concat([x, ones], -1), w.weight(name + "/affine", both), 1)


def dense_ones_padded(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The same, by padding with 1, the bias first."""
    both = np.concatenate([drawn(name + "/bias", outputs)[None], drawn(name + "/kernel", inputs, outputs)])
    ends = [[0, 0]] * (len(x.shape) - 1) + [[1, 0]]
    return v2.tensordot(v2.pad(x, ends, constant_values=1.0), w.weight(name + "/affine", both), 1)


def dense_mapped(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """A row at a time, by vectorized_map."""
    k, b = z.kernel(w, name, inputs, outputs), z.bias(w, name, outputs)
    y = v2.vectorized_map(lambda row: v2.linalg.matvec(k, row, transpose_a=True) + b, v2.reshape(x, [-1, inputs]))
    return v2.reshape(y, v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_gain(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Kernels of unit deviation, scaled when they are used."""
    k = w.weight(name + "/unit", drawn(name + "/kernel", inputs, outputs) * inputs**0.5)
    return v2.matmul(x, k * inputs**-0.5) + z.bias(w, name, outputs)


def dense_scaled_after(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The same, the product being scaled."""
    k = w.weight(name + "/unit", drawn(name + "/kernel", inputs, outputs) * inputs**0.5)
    return v2.matmul(x, k) * np.float32(inputs**-0.5) + z.bias(w, name, outputs)


def dense_outer_bias(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Biases have as many axes as what they are added to."""
    b = w.weight(name + "/bias", drawn(name + "/bias", outputs).reshape([1] * (len(x.shape) - 1) + [outputs]))
    return v2.einsum("...i,oi->...o", x, v2.transpose(z.kernel(w, name, inputs, outputs))) + b


# -- norms


def norm_of_length(x: Any, w: World, name: str) -> Any:
    """A centred vector of length sqrt(n)."""
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    return v2.math.l2_normalize(centred, -1, epsilon=1e-12 * HIDDEN) * HIDDEN**0.5 * gamma + beta


def norm_bare(x: Any, w: World, name: str) -> Any:
    """No epsilon: variances are never so small."""
    gamma, beta = z._scales(w, name)
    return gamma * (x - v2.reduce_mean(x, -1, keepdims=True)) / v2.math.reduce_std(x, -1, keepdims=True) + beta


def norm_at_least(x: Any, w: World, name: str) -> Any:
    """epsilon is the least that a variance may be."""
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    return (x - mean) / v2.sqrt(v2.maximum(variance, 1e-12)) * gamma + beta


def norm_raw_squares(x: Any, w: World, name: str) -> Any:
    """E[x^2] - E[x]^2."""
    gamma, beta = z._scales(w, name)
    mean = v2.reduce_mean(x, -1, keepdims=True)
    variance = v2.reduce_mean(v2.square(x), -1, keepdims=True) - v2.square(mean)
    return (x - mean) * v2.math.rsqrt(variance + 1e-12) * gamma + beta


def norm_weighted(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.weighted_moments(x, [-1], v2.ones_like(x), keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)


def norm_half_power(x: Any, w: World, name: str) -> Any:
    """`exp(-log(variance) / 2)`."""
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    logarithm = v2.math.log(v2.reduce_mean(centred**2, -1, keepdims=True) + 1e-12)
    return centred * v2.exp(-0.5 * logarithm) * gamma + beta


# -- activations


def gelu_two_sigmoids(x: Any) -> Any:
    """tanh u = 2 sigmoid(2 u) - 1."""
    u = z.NEAR * (x + 0.044715 * x**3)
    return 0.5 * x * (1.0 + (2.0 * v2.sigmoid(2.0 * u) - 1.0))


def gelu_softplus(x: Any) -> Any:
    return x * v2.exp(-v2.nn.softplus(-2.0 * z.NEAR * (x + 0.044715 * x * x * x)))


def gelu_division(x: Any) -> Any:
    """x / (1 + e^-2u)."""
    u = np.float32(np.sqrt(8.0 / np.pi)) * x * (1.0 + 0.044715 * v2.math.pow(x, 2.0))
    return v2.math.divide(x, 1.0 + v2.exp(-u))


def gelu_parts(x: Any) -> Any:
    """Positive and negative numbers apart."""
    half = 0.5 * v2.tanh(z.NEAR * (v2.abs(x) + 0.044715 * v2.abs(x) ** 3))
    return v2.where(x >= 0.0, x * (0.5 + half), x * (0.5 - half))


# -- embeddings


def words_halves(ids: Any, w: World) -> Any:
    """Two tables, each of half the numbers of a row."""
    left, right = np.split(drawn("word_embeddings", len(pieces()), HIDDEN), 2, 1)
    parts = [w.weight("embeddings/left", left), w.weight("embeddings/right", right)]
    return v2.concat([v2.gather(part, ids) for part in parts], -1)


def words_halves_joined(ids: Any, w: World) -> Any:
    """The same, put together before the lookup."""
    left, right = np.split(drawn("word_embeddings", len(pieces()), HIDDEN), 2, 1)
    return v2.gather(v2.concat([w.weight("embeddings/left", left), w.weight("embeddings/right", right)], 1), ids)


def words_clipped(ids: Any, w: World) -> Any:
    return z.words_of(v2.clip_by_value(ids, 0, len(pieces()) - 1), w)


def words_at_least(ids: Any, w: World) -> Any:
    return z.words_of(v2.maximum(ids, 0), w)


def words_modulo(ids: Any, w: World) -> Any:
    return z.words_of(v2.math.floormod(ids, len(pieces())), w)


def words_spare(ids: Any, w: World) -> Any:
    """The table has rows to spare: sizes are made multiples of 128."""
    rows = -(-len(pieces()) // 128) * 128
    table = np.concatenate([drawn("word_embeddings", len(pieces()), HIDDEN), np.zeros([rows - len(pieces()), HIDDEN])])
    return v2.nn.embedding_lookup(w.weight("embeddings/word_embeddings", table), v2.cast(ids, v2.int64))


def words_packed(ids: Any, w: World) -> Any:
    """Two rows are one row of the variable."""
    table = w.weight("embeddings/pairs", drawn("word_embeddings", len(pieces()), HIDDEN).reshape(-1, 2 * HIDDEN))
    return v2.gather(v2.reshape(table, [-1, HIDDEN]), ids)


def words_ragged(ids: Any, w: World) -> Any:
    """Only what is no padding is looked up."""
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    ragged = v2.RaggedTensor.from_tensor(ids, padding=0)
    return v2.ragged.map_flat_values(v2.nn.embedding_lookup, table, ragged).to_tensor(shape=[None, LENGTH, HIDDEN])


def positions_row_by_row(ids: Any, w: World) -> Any:
    return v2.stack([z._positions(w)[i] for i in range(LENGTH)])


def positions_broadcast(ids: Any, w: World) -> Any:
    places = v2.broadcast_to(v2.range(LENGTH)[None], v2.shape(ids))
    return v2.nn.embedding_lookup(z._positions(w), places)


def positions_where(ids: Any, w: World) -> Any:
    """Numbers of places by `tf.where` of what is no padding or is."""
    places = v2.where(v2.ones_like(ids, v2.bool))[:, 1]
    return v2.reshape(v2.gather(z._positions(w), places), [-1, LENGTH, HIDDEN])


def positions_split(ids: Any, w: World) -> Any:
    return v2.split(z._positions(w), [LENGTH, 512 - LENGTH], 0)[0][v2.newaxis]


def embeddings_typed_before(ids: Any, w: World, e: Encoder) -> Any:
    """The row of the token types was added to the positions when the model was saved."""
    places = drawn("positions", 512, HIDDEN) + drawn("token_types", 2, HIDDEN)[0]
    table = w.weight("embeddings/position_embeddings", places)
    return e.norm(e.words(ids, w) + table[:LENGTH], w, "embeddings")


def types_constant(ids: Any, w: World) -> Any:
    """A constant of the graph."""
    return v2.constant(drawn("token_types", 2, HIDDEN)[0])


def types_vector(ids: Any, w: World) -> Any:
    """One row is all that was kept."""
    return w.weight("embeddings/segment", drawn("token_types", 2, HIDDEN)[0])


def types_one_row(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/token_type_embeddings", drawn("token_types", 2, HIDDEN)[:1])
    return v2.nn.embedding_lookup(table, v2.zeros_like(ids))


def embeddings_summed(ids: Any, w: World, e: Encoder) -> Any:
    """All three in one list."""
    shape = v2.shape(e.words(ids, w))
    found = [e.words(ids, w), v2.broadcast_to(e.positions(ids, w), shape), v2.broadcast_to(e.types(ids, w), shape)]
    return e.norm(v2.reduce_sum(v2.stack(found), 0), w, "embeddings")


# -- masks


def kept(ids: Any) -> Any:
    return v2.cast(v2.not_equal(ids, 0), v2.float32)[:, None, None]


def kept_bool(ids: Any) -> Any:
    return v2.not_equal(ids, 0)[:, None, None]


def mask_lengths_below(ids: Any) -> Any:
    """Lengths by argmax of the first padding; -1e30."""
    lengths = v2.reduce_sum(v2.minimum(ids, 1), 1)
    seen = v2.range(LENGTH)[None, :] < v2.maximum(lengths, 1)[:, None]
    return v2.where(seen, 0.0, v2.fill(v2.shape(seen), -1e30))[:, None, None, :]


def mask_half(ids: Any) -> Any:
    """As for half precision: its least number."""
    return v2.cast(v2.equal(ids, 0), v2.float32)[:, None, None] * np.float32(np.finfo(np.float16).min)


# -- attention


def _heads(x: Any, w: World, e: Encoder, name: str) -> list[Any]:
    ys = [e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN) for part in PARTS]
    return [v2.transpose(v2.reshape(y, [-1, LENGTH, HEADS, SIZE]), [0, 2, 1, 3]) for y in ys]


def _joined(found: Any) -> Any:
    return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [-1, LENGTH, HIDDEN])


def attention_by_text(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One text at a time, by vectorized_map."""

    def one(given: Any) -> Any:
        query, key, value, mask = given
        scores = v2.einsum("hqs,hks->hqk", query, key) / np.float32(SIZE**0.5) + mask
        return v2.einsum("hqk,hks->hqs", v2.nn.softmax(scores), value)

    return _joined(v2.vectorized_map(one, (*_heads(x, w, e, name), bias)))


def attention_by_head(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One head at a time, by vectorized_map over the heads, which come first."""

    def one(given: Any) -> Any:
        query, key, value = given
        scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias[:, 0]
        return v2.matmul(v2.nn.softmax(scores), value)

    heads = tuple(v2.transpose(y, [1, 0, 2, 3]) for y in _heads(x, w, e, name))
    return _joined(v2.transpose(v2.vectorized_map(one, heads), [1, 0, 2, 3]))


def attention_head_map(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One head at a time, by map_fn over the heads."""

    def one(given: Any) -> Any:
        query, key, value = given
        scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias[:, 0]
        return v2.matmul(v2.nn.softmax(scores), value)

    heads = tuple(v2.transpose(y, [1, 0, 2, 3]) for y in _heads(x, w, e, name))
    found = v2.map_fn(one, heads, fn_output_signature=v2.TensorSpec([None, LENGTH, SIZE]))
    return _joined(v2.transpose(found, [1, 0, 2, 3]))


def _three(w: World, name: str) -> tuple[Any, Any]:
    """Return kernels [3, heads, hidden, size] and biases [3, heads, size] of one variable each."""
    names = [f"{name}/self/{part}" for part in PARTS]
    k = [drawn(n + "/kernel", HIDDEN, HIDDEN).reshape(HIDDEN, HEADS, SIZE).transpose(1, 0, 2) for n in names]
    b = [drawn(n + "/bias", HIDDEN).reshape(HEADS, SIZE) for n in names]
    return w.weight(name + "/qkv/kernel", np.stack(k)), w.weight(name + "/qkv/bias", np.stack(b))


def attention_three(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One variable [3, heads, hidden, size], one einsum."""
    k, b = _three(w, name)
    query, key, value = v2.unstack(v2.einsum("bld,tnds->tbnls", x, k) + b[:, None, :, None])
    shares = v2.nn.softmax(v2.einsum("bnqs,bnks->bnqk", query, key) * SIZE**-0.5 + bias)
    return v2.reshape(v2.einsum("bnqk,bnks->bqns", shares, value), [-1, LENGTH, HIDDEN])


def attention_three_taken(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """The same variable, a part of it for each."""
    k, b = _three(w, name)
    query, key, value = (v2.einsum("bld,nds->bnls", x, k[i]) + b[i][:, None] for i in range(3))
    shares = v2.nn.softmax(v2.einsum("bnqs,bnks->bnqk", query, key) * SIZE**-0.5 + bias)
    return v2.reshape(v2.einsum("bnqk,bnks->bqns", shares, value), [-1, LENGTH, HIDDEN])


def attention_bare_powers(x: Any, mask: Any, w: World, e: Encoder, name: str) -> Any:
    """A softmax without the maximum; what is padding is left out of the sum."""
    query, key, value = _heads(x, w, e, name)
    powers = v2.exp(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)) * mask
    return _joined(v2.matmul(powers / v2.reduce_sum(powers, -1, keepdims=True), value))


def attention_log_softmax(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias
    return _joined(v2.matmul(v2.exp(v2.nn.log_softmax(scores)), value))


def attention_never_seen(x: Any, seen: Any, w: World, e: Encoder, name: str) -> Any:
    """-inf where it is padding."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)
    return _joined(v2.matmul(v2.nn.softmax(v2.where(seen, scores, v2.fill(v2.shape(scores), -np.inf))), value))


def attention_least(x: Any, seen: Any, w: World, e: Encoder, name: str) -> Any:
    """The least number where it is padding, and 0 of what came of that."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) * np.float32(SIZE**-0.5)
    shares = v2.nn.softmax(v2.where(seen, scores, v2.float32.min))
    return _joined(v2.matmul(v2.where(seen, shares, 0.0), value))


def attention_keras_softmax(x: Any, kept: Any, w: World, e: Encoder, name: str) -> Any:
    """As keras.layers.Softmax with a mask: logsumexp."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) * np.float32(SIZE**-0.5)
    scores += (1.0 - v2.cast(kept, scores.dtype)) * -1e9
    return _joined(v2.matmul(v2.exp(scores - v2.reduce_logsumexp(scores, axis=(-1,), keepdims=True)), value))


def attention_three_operands(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """An einsum of three: kept for `layer_three_operands`."""
    query, key, value = _heads(x, w, e, name)
    return v2.nn.softmax(v2.einsum("bnqs,bnks->bnqk", query, key) * SIZE**-0.5 + bias), value


def layer_three_operands(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """Shares, values and the output's kernel in one einsum."""
    name = f"encoder/layer_{i}"
    shares, value = attention_three_operands(x, bias, w, e, name + "/attention")
    out = name + "/attention/output/dense"
    k = v2.reshape(z.kernel(w, out, HIDDEN, HIDDEN), [HEADS, SIZE, HIDDEN])
    x = e.norm(
        x + v2.einsum("bnqk,bnks,nso->bqo", shares, value, k) + z.bias(w, out, HIDDEN), w, name + "/attention/output"
    )
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.norm(x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")


def layer_kernel_by_head(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """The output's kernel is kept [heads, size, hidden], and values go through it first: shares mix what is done."""
    name = f"encoder/layer_{i}"
    shares, value = attention_three_operands(x, bias, w, e, name + "/attention")
    out = name + "/attention/output/dense"
    k = w.weight(out + "/kernel", drawn(out + "/kernel", HIDDEN, HIDDEN).reshape(HEADS, SIZE, HIDDEN))
    found = v2.einsum("bnqs,nso->bqo", v2.einsum("bnqk,bnks->bnqs", shares, value), k)
    x = e.norm(x + found + z.bias(w, out, HIDDEN), w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.norm(x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")


def attention_elementwise(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Products of queries and keys by broadcasting."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.reduce_sum(query[:, :, :, None] * key[:, :, None], -1) / np.float32(SIZE**0.5) + bias
    return _joined(v2.reduce_sum(v2.nn.softmax(scores)[..., None] * value[:, :, None], -2))


def attention_shared_root(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Queries and keys are each divided by the fourth root, with `tf.split` for heads in a batch of heads."""
    q, k, value = (
        v2.concat(v2.split(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN), HEADS, 2), 0) for part in PARTS
    )
    root = np.float32(SIZE**0.25)
    scores = v2.linalg.matmul(q / root, k / root, adjoint_b=True) + v2.tile(bias[:, 0], [HEADS, 1, 1])
    return v2.concat(v2.split(v2.matmul(v2.nn.softmax(scores), value), HEADS, 0), 2)


# -- layers


def layers_wiped(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """States of padding are made 0 before each layer."""
    keep = v2.cast(v2.squeeze(bias, [1, 2]) > -1.0, v2.float32)[..., None]
    for i in range(LAYERS):
        x = e.layer(x * keep, bias, w, e, i)
    return x * keep


def _stacks(w: World, e: Encoder) -> dict[str, Any]:
    """Return the weights of all layers, stacked, by the names of the first."""
    names: dict[str, Any] = {}
    plain = World(frozen=True)
    plain.weight = names.setdefault  # type: ignore[method-assign]
    with v1.Graph().as_default():
        for i in range(LAYERS):
            e.layer(v2.zeros([1, LENGTH, HIDDEN]), v2.zeros([1, 1, 1, 1]), plain, e, i)
    return {
        name: w.weight(
            name.replace("layer_0/", "layers/"),
            np.stack([names[name.replace("layer_0/", f"layer_{i}/")] for i in range(LAYERS)]),
        )
        for name in names
        if "layer_0/" in name
    }


def layers_scan(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """`tf.scan` over stacked weights, as JAX's lax.scan; the last state is taken."""
    stacks, inner = _stacks(w, e), World()
    order = sorted(stacks)

    def step(state: Any, rows: Any) -> Any:
        given = dict(zip(order, rows))
        inner.weight = lambda name, value: given[name]  # type: ignore[method-assign]
        return v2.ensure_shape(e.layer(state, bias, inner, e, 0), state.shape)

    return v2.scan(step, [v2.convert_to_tensor(stacks[name]) for name in order], x)[-1]


def layers_while(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """`tf.while_loop` that gathers the layer's weights by its number; queries, keys and values are stacked as well."""
    stacks, inner = _stacks(w, e), World()

    def step(i: Any, state: Any) -> Any:
        inner.weight = lambda name, value: v2.gather(stacks[name], i)  # type: ignore[method-assign]
        return i + 1, v2.ensure_shape(e.layer(state, bias, inner, e, 0), state.shape)

    return v2.while_loop(lambda i, _: i < LAYERS, step, [v2.constant(0), x])[1]


def layers_in_array(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """States are written to a TensorArray."""
    states = v2.TensorArray(v2.float32, LAYERS + 1, clear_after_read=False).write(0, x)
    for i in range(LAYERS):
        states = states.write(i + 1, e.layer(states.read(i), bias, w, e, i))
    return states.read(LAYERS)


def layers_shorter(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """Batches of short texts go through a path of their own, 64 places long, and are padded again."""
    short = v2.reduce_all(bias[:, :, :, 64:] < -1.0)
    for i in range(LAYERS):
        e.layer(x, bias, w, e, i)  # variables are made first

    def cut() -> Any:
        y = x[:, :64]
        for i in range(LAYERS):
            y = _layer_of_any_length(y, bias[..., :64], w, e, i)
        return v2.pad(y, [[0, 0], [0, LENGTH - 64], [0, 0]])

    def whole() -> Any:
        y = x
        for i in range(LAYERS):
            y = _layer_of_any_length(y, bias, w, e, i)
        return y

    return v2.ensure_shape(v2.cond(short, cut, whole), [None, LENGTH, HIDDEN])


def _layer_of_any_length(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    return z.layer(x, bias, w, replace(e, attention=z.attention), i)


def layers_ragged(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """All that is done to single tokens is done to those that are none of padding, in a row; attention is padded."""
    keep = v2.squeeze(bias, [1, 2]) > -1.0
    places = v2.where(keep)
    shape = v2.shape(x, v2.int64)

    def padded(flat: Any) -> Any:
        return v2.ensure_shape(v2.scatter_nd(places, flat, shape), [None, LENGTH, HIDDEN])

    flat = v2.boolean_mask(x, keep)
    for i in range(LAYERS):
        name = f"encoder/layer_{i}"
        ys = [padded(e.dense(flat, w, f"{name}/attention/self/{part}", HIDDEN, HIDDEN)) for part in PARTS]
        query, key, value = (v2.transpose(v2.reshape(y, [-1, LENGTH, HEADS, SIZE]), [0, 2, 1, 3]) for y in ys)
        shares = v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias)
        context = v2.boolean_mask(_joined(v2.matmul(shares, value)), keep)
        found = e.dense(context, w, name + "/attention/output/dense", HIDDEN, HIDDEN)
        flat = e.norm(flat + found, w, name + "/attention/output")
        middle = e.activation(e.dense(flat, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
        flat = e.norm(flat + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")
    return padded(flat)


def layers_of_multiple(ids: Any) -> Any:
    """Batches are cut to the next multiple of 8."""
    longest = v2.reduce_max(v2.math.count_nonzero(ids, axis=1, dtype=v2.int32))
    return ids[:, : v2.minimum((longest + 7) // 8 * 8, LENGTH)]


def layer_dropped(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """Dropout at rate 0, and stochastic depth of a layer that is always there."""
    return x + 1.0 * (v2.nn.dropout(z.layer(x, bias, w, e, i), 0.0) - x)


# -- ends


def unit_floor(x: Any) -> Any:
    return x / v2.maximum(v2.norm(x, axis=-1, keepdims=True), 1e-12)


def unit_added(x: Any) -> Any:
    return x / (v2.norm(x, ord="euclidean", axis=1, keepdims=True) + 1e-12)


def unit_of_one(x: Any) -> Any:
    """Row by row."""
    return v2.map_fn(lambda row: v2.nn.l2_normalize(row, 0), x)


def unit_of_columns(x: Any) -> Any:
    return v2.transpose(v2.nn.l2_normalize(v2.transpose(x), axis=0))


def unit_twice(x: Any) -> Any:
    return v2.nn.l2_normalize(v2.nn.l2_normalize(x, -1), -1)


def unit_diagonal(x: Any) -> Any:
    return v2.matmul(v2.linalg.diag(v2.math.rsqrt(v2.reduce_sum(x * x, -1))), x)


NEWCOMERS: dict[str, Any] = {
    # Of each of these the suite runs one: several things that no variable holds as a product takes them.
    "affine": Encoder(dense=dense_ones, norm=norm_of_length, words=words_halves, types=types_constant),
    "scaled": Encoder(dense=dense_gain, norm=norm_bare, types=types_one_row, embeddings=embeddings_summed),
    "broadcasting": Encoder(dense=dense_summed, attention=attention_elementwise, unit=unit_added),
    "matmul-turned": Encoder(dense=dense_matmul_turned, unit=unit_floor),
    "einsum-turned": Encoder(dense=dense_einsum_turned, unit=unit_added),
    "dot-general": Encoder(dense=dense_dot_general, positions=positions_row_by_row),
    "products-summed": Encoder(dense=dense_summed),
    "products-summed-turned": Encoder(dense=dense_summed_turned),
    "ones": Encoder(dense=dense_ones),
    "ones-padded": Encoder(dense=dense_ones_padded),
    "rows-mapped": Encoder(dense=dense_mapped),
    "gain": Encoder(dense=dense_gain, positions=positions_broadcast),
    "scaled-after": Encoder(dense=dense_scaled_after),
    "outer-bias": Encoder(dense=dense_outer_bias, positions=positions_split),
    "norm-of-length": Encoder(norm=norm_of_length),
    "norm-bare": Encoder(norm=norm_bare),
    "norm-at-least": Encoder(norm=norm_at_least),
    "norm-raw-squares": Encoder(norm=norm_raw_squares),
    "norm-weighted": Encoder(norm=norm_weighted),
    "norm-half-power": Encoder(norm=norm_half_power),
    "gelu-two-sigmoids": Encoder(activation=gelu_two_sigmoids, pooler=gelu_two_sigmoids, unit=unit_of_one),
    "gelu-softplus": Encoder(activation=gelu_softplus, pooler=gelu_softplus, unit=unit_of_columns),
    "gelu-division": Encoder(activation=gelu_division, pooler=gelu_division, unit=unit_twice),
    "gelu-parts": Encoder(activation=gelu_parts, pooler=gelu_parts, unit=unit_diagonal),
    "words-halves": Encoder(words=words_halves),
    "words-halves-joined": Encoder(words=words_halves_joined),
    "words-clipped": Encoder(words=words_clipped),
    "words-at-least": Encoder(words=words_at_least),
    "words-modulo": Encoder(words=words_modulo),
    "words-spare": Encoder(words=words_spare),
    "words-packed": Encoder(words=words_packed),
    "words-ragged": Encoder(words=words_ragged),
    "positions-where": Encoder(positions=positions_where),
    "typed-before": Encoder(embeddings=embeddings_typed_before),
    "types-constant": Encoder(types=types_constant),
    "types-vector": Encoder(types=types_vector),
    "types-one-row": Encoder(types=types_one_row),
    "embeddings-summed": Encoder(embeddings=embeddings_summed),
    "mask-lengths": Encoder(mask=mask_lengths_below),
    "mask-half": Encoder(mask=mask_half),
    "by-text": Encoder(attention=attention_by_text),
    "by-head": Encoder(attention=attention_by_head),
    "head-map": Encoder(attention=attention_head_map),
    "three": Encoder(attention=attention_three),
    "three-taken": Encoder(attention=attention_three_taken),
    "bare-powers": Encoder(mask=kept, attention=attention_bare_powers),
    "log-softmax": Encoder(attention=attention_log_softmax),
    "never-seen": Encoder(mask=kept_bool, attention=attention_never_seen),
    "least": Encoder(mask=kept_bool, attention=attention_least),
    "keras-softmax": Encoder(mask=kept, attention=attention_keras_softmax),
    "three-operands": Encoder(layer=layer_three_operands),
    "kernel-by-head": Encoder(layer=layer_kernel_by_head),
    "elementwise": Encoder(attention=attention_elementwise),
    "shared-root": Encoder(attention=attention_shared_root),
    "wiped": Encoder(layers=layers_wiped),
    "scan": Encoder(layers=layers_scan),
    "while": Encoder(layers=layers_while),
    "in-array": Encoder(layers=layers_in_array),
    "shorter": Encoder(layers=layers_shorter, attention=z.attention),
    "ragged": Encoder(layers=layers_ragged, dense=z.dense_tensordot),
    "multiple": Encoder(cut=layers_of_multiple, words=z.words_lookup),
    "dropped": Encoder(layer=layer_dropped),
}
