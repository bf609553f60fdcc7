"""Encoders by guests: weights as other frameworks store them, stacks that are gathered or read, casts, sums of every kind.

All compute the facts page. They were written once what `zoo_arrivals` had shown was mended, to see how far that goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_arrivals import _heads, _inner, _joined, _table, one_id_each
from zoo_base import LENGTH, World, drawn, v1, v2
from zoo_encoders import HEADS, HIDDEN, LAYERS, SIZE, Encoder

PARTS = ("query", "key", "value")
ROOT = np.float32(SIZE**0.5)


def attention_kernels_of_heads(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Kernels [heads, size, hidden], as Flax turned round."""
    found = []
    for part in PARTS:
        full = f"{name}/self/{part}"
        k = drawn(full + "/kernel", HIDDEN, HIDDEN).reshape(HIDDEN, HEADS, SIZE).transpose(1, 2, 0)
        b = drawn(full + "/bias", HIDDEN).reshape(1, HEADS, 1, SIZE)
        found.append(v2.einsum("hdm,blm->bhld", w.weight(full + "/k", k), x) + w.weight(full + "/b", b))
    query, key, value = found
    shares = v2.nn.softmax(v2.einsum("...qd,...kd->...qk", query, key) / ROOT + bias, axis=-1)
    return _joined(v2.einsum("...qk,...kd->...qd", shares, value))


def attention_in_projection(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """PyTorch's `in_proj_weight`, [3 hidden, hidden], sliced after the product."""
    names = [f"{name}/self/{part}" for part in PARTS]
    k = np.concatenate([drawn(n + "/kernel", HIDDEN, HIDDEN).T for n in names], 0)
    b = np.concatenate([drawn(n + "/bias", HIDDEN) for n in names])
    y = v2.matmul(x, w.weight(name + "/in_proj_weight", k), transpose_b=True) + w.weight(name + "/in_proj_bias", b)
    query, key, value = (
        v2.transpose(v2.reshape(y[..., i * HIDDEN : (i + 1) * HIDDEN], [-1, LENGTH, HEADS, SIZE]), [0, 2, 1, 3])
        for i in range(3)
    )
    scores = v2.matmul(query / v2.sqrt(float(SIZE)), v2.linalg.matrix_transpose(key))
    return _joined(v2.matmul(v2.nn.softmax(v2.add(bias, scores)), value))


def attention_in_projection_first(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """The same variable, sliced before the products."""
    names = [f"{name}/self/{part}" for part in PARTS]
    k = w.weight(name + "/in_proj_weight", np.concatenate([drawn(n + "/kernel", HIDDEN, HIDDEN).T for n in names], 0))
    b = w.weight(name + "/in_proj_bias", np.concatenate([drawn(n + "/bias", HIDDEN) for n in names]))
    query, key, value = (
        v2.transpose(v2.reshape(v2.einsum("bli,oi->blo", x, m) + c, [-1, LENGTH, HEADS, SIZE]), [0, 2, 1, 3])
        for m, c in zip(v2.split(k, 3), v2.split(b, 3))
    )
    shares = v2.nn.softmax(v2.matmul(query, key, adjoint_b=True) * v2.pow(float(SIZE), -0.5) + bias)
    return _joined(v2.matmul(shares, value))


def attention_pair_mask(x: Any, kept: Any, w: World, e: Encoder, name: str) -> Any:
    """A mask of pairs, as bool; the least number where one is padding."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.einsum("bhqd,bhkd->bhqk", query, key) * v2.math.rsqrt(v2.cast(SIZE, v2.float32))
    pairs = v2.logical_and(kept, v2.ones_like(v2.transpose(kept, [0, 1, 3, 2])))
    scores = v2.where(pairs, scores, v2.ones_like(scores) * scores.dtype.min)
    return v2.reshape(v2.einsum("bhqk,bhkd->bqhd", v2.nn.softmax(scores), value), [-1, LENGTH, HIDDEN])


def attention_looped(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """A head after the other, written to a TensorArray by a loop."""
    query, key, value = (v2.transpose(y, [1, 0, 2, 3]) for y in _heads(x, w, e, name))
    heads = v2.TensorArray(v2.float32, HEADS)

    def step(i: Any, heads: Any) -> Any:
        scores = v2.matmul(query[i], key[i], transpose_b=True) / ROOT + bias[:, 0]
        return i + 1, heads.write(i, v2.matmul(v2.nn.softmax(scores), value[i]))

    found = v2.while_loop(lambda i, _: i < HEADS, step, [v2.constant(0), heads])[1].stack()
    return v2.reshape(v2.transpose(found, [1, 2, 0, 3]), [-1, LENGTH, HIDDEN])


def kept(ids: Any) -> Any:
    return v2.cast(ids, v2.bool)[:, v2.newaxis, v2.newaxis, :]


def mask_cast(ids: Any) -> Any:
    """Through int8 and float16, and back."""
    seen = v2.cast(v2.cast(v2.cast(ids > 0, v2.int8), v2.float16), v2.float32)
    return v2.expand_dims(v2.expand_dims((seen - 1.0) * 1e4, 1), 1)


def layer_sums(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """The residual is what is left when less than nothing is taken away; accumulate_n; a kernel [size, heads, hidden]."""
    name, out = f"encoder/layer_{i}", f"encoder/layer_{i}/attention/output/dense"
    context = v2.reshape(e.attention(x, bias, w, e, name + "/attention"), [-1, LENGTH, HEADS, SIZE])
    k = drawn(out + "/kernel", HIDDEN, HIDDEN).reshape(HEADS, SIZE, HIDDEN).transpose(1, 0, 2)
    found = v2.einsum("blhd,dho->blo", context, w.weight(out + "/kernel", k)) + z.bias(w, out, HIDDEN)
    x = e.norm(x - v2.negative(found), w, name + "/attention/output")
    return e.norm(v1.accumulate_n([_inner(x, w, e, name), x]), w, name + "/output")


def _stacked(e: Encoder) -> dict[str, np.ndarray]:
    names: dict[str, np.ndarray] = {}
    spy = World(frozen=True)
    spy.weight = names.setdefault  # type: ignore[method-assign]
    with v1.Graph().as_default():
        e.layer(v2.zeros([1, LENGTH, HIDDEN]), v2.zeros([1, 1, 1, 1]), spy, e, 0)
    return {
        n: np.stack([drawn(n.replace("layer_0/", f"layer_{i}/"), *value.shape) for i in range(LAYERS)])
        for n, value in names.items()
    }


def layers_gathered(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """A stack for each kind of weight, of which each layer gathers its own."""
    stacks = {n: w.weight(n.replace("layer_0/", "layers/"), value) for n, value in _stacked(e).items()}
    for i in range(LAYERS):
        inner = World(frozen=True)
        inner.weight = lambda n, value, i=i: v2.squeeze(v2.gather(stacks[n], [i]), [0])  # type: ignore[method-assign]
        x = e.layer(x, bias, inner, e, 0)
    return x


def layers_read(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """A loop that reads the layer's weights from TensorArrays, as a scan does."""
    stacks = {n: w.weight(n.replace("layer_0/", "layers/"), value) for n, value in _stacked(e).items()}
    arrays = {n: v2.TensorArray(v2.float32, LAYERS).unstack(stack) for n, stack in stacks.items()}

    def step(i: Any, state: Any) -> Any:
        inner = World(frozen=True)
        inner.weight = lambda n, value: v2.ensure_shape(arrays[n].read(i), value.shape)  # type: ignore[method-assign]
        return i + 1, v2.ensure_shape(e.layer(state, bias, inner, e, 0), state.shape)

    return v2.while_loop(lambda i, _: v2.less(i, LAYERS), step, [v2.constant(0), x])[1]


def layers_nested(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """Functions in functions: a layer calls its parts."""
    part = lambda x, bias, name: e.attention(x, bias, w, e, name + "/attention")  # noqa: E731

    def layer(x: Any, bias: Any, i: int) -> Any:
        name = f"encoder/layer_{i}"
        found = v2.function(lambda a, b: part(a, b, name))(x, bias)
        out = e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN)
        x = e.norm(out + x, w, name + "/attention/output")
        return e.norm(v2.function(lambda a: _inner(a, w, e, name))(x) + x, w, name + "/output")

    for i in range(LAYERS):
        x = v2.function(lambda a, b, i=i: layer(a, b, i))(x, bias)
    return x


def dense_cast(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """In float64, a product at a time."""
    y = v2.tensordot(v2.cast(x, v2.float64), v2.cast(z.kernel(w, name, inputs, outputs), v2.float64), [[-1], [0]])
    return v2.cast(y + v2.cast(z.bias(w, name, outputs), v2.float64), v2.float32)


def dense_scoped(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Variables of nested scopes, as tf.layers made them, and `nn.xw_plus_b` on rows."""
    rows = v2.reshape(x, [-1, inputs])
    y = v2.nn.bias_add(v2.linalg.matmul(rows, z.kernel(w, name, inputs, outputs)), z.bias(w, name, outputs))
    return v2.reshape(y, [-1, LENGTH, outputs]) if len(x.shape) == 3 else y


def norm_normalize(x: Any, w: World, name: str) -> Any:
    """Deviations of length sqrt(n)."""
    gamma, beta = z._scales(w, name)
    unit, _ = v2.linalg.normalize(x - v2.reduce_mean(x, -1, keepdims=True), axis=-1)
    return v2.math.multiply(unit * np.float32(HIDDEN**0.5), gamma) + beta


def norm_one_pair(x: Any, w: World, name: str) -> Any:
    """gamma and beta are one variable [2, hidden], unstacked; the root by `pow`."""
    both = np.stack([drawn(f"{name}/LayerNorm/{part}", HIDDEN) for part in ("gamma", "beta")])
    gamma, beta = v2.unstack(w.weight(name + "/LayerNorm/both", both))
    mean, variance = v2.nn.moments(x, -1, keepdims=True)
    return beta + gamma * ((x - mean) * v2.pow(variance + 1e-12, -0.5))


def gelu_exponentials(x: Any) -> Any:
    """tanh by exponentials of what is never positive."""
    u = np.float32(z.NEAR) * (x + 0.044715 * x * x * x)
    power = v2.exp(-2.0 * v2.abs(u))
    return 0.5 * x * (1.0 + v2.sign(u) * (1.0 - power) / (1.0 + power))


def gelu_half(x: Any) -> Any:
    """The other half: x minus what is held back."""
    return x - 0.5 * x * (1.0 - v2.tanh(z.NEAR * x * (1.0 + 0.044715 * v2.square(x))))


def words_safe(ids: Any, w: World) -> Any:
    """`safe_embedding_lookup_sparse` of one id a token, a mean of one."""
    table = w.weight("embeddings/word_embeddings", _table())
    return v2.reshape(
        v2.nn.safe_embedding_lookup_sparse(table, one_id_each(ids)), v2.concat([v2.shape(ids), [HIDDEN]], 0)
    )


def words_nd(ids: Any, w: World) -> Any:
    return v2.gather_nd(w.weight("embeddings/word_embeddings", _table()), v2.cast(ids, v2.int64)[..., v2.newaxis])


def first_split(x: Any) -> Any:
    return v2.squeeze(v2.split(v2.ensure_shape(x, [None, LENGTH, HIDDEN]), [1, LENGTH - 1], 1)[0], [1])


def first_masked(x: Any) -> Any:
    return v2.boolean_mask(v2.ensure_shape(x, [None, LENGTH, HIDDEN]), np.arange(LENGTH) == 0, axis=1)[:, 0]


def unit_einsum(x: Any) -> Any:
    return v2.math.divide_no_nan(x, v2.sqrt(v2.einsum("bh,bh->b", x, x))[:, v2.newaxis])


GUESTS: dict[str, Encoder] = {
    "kernels-of-heads": Encoder(attention=attention_kernels_of_heads, norm=norm_one_pair, words=words_nd),
    "in-projection": Encoder(attention=attention_in_projection, dense=dense_scoped, unit=unit_einsum),
    "in-projection-first": Encoder(attention=attention_in_projection_first, first=first_split),
    "pair-mask": Encoder(attention=attention_pair_mask, mask=kept, activation=gelu_half, pooler=gelu_half),
    "looped-heads": Encoder(attention=attention_looped, first=first_masked),
    "sums": Encoder(layer=layer_sums, mask=mask_cast, dense=dense_scoped),
    "gathered": Encoder(layers=layers_gathered, dense=dense_scoped),
    "read": Encoder(layers=layers_read, dense=dense_scoped),
    "nested": Encoder(layers=layers_nested, dense=z.dense_tensordot, activation=gelu_exponentials),
    "cast": Encoder(dense=dense_cast, mask=mask_cast),
    "normalize": Encoder(norm=norm_normalize, words=words_safe),
    "exponentials": Encoder(activation=gelu_exponentials, pooler=gelu_exponentials, norm=norm_one_pair),
}
