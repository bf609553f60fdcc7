"""The encoder: every rule of the facts page by different operations, put together from functions that can be exchanged.

Each encoder takes ids, int32 [texts, 128], and a World, and returns float32 [texts, HIDDEN] of unit length. Weights of one
name are the same everywhere, so all encoders agree, and a `twist` of zoo_others is one function that differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from zoo_base import World, drawn, pieces, v1, v2

HIDDEN, LAYERS, HEADS, INTERMEDIATE = 16, 2, 2, 24
SIZE = HIDDEN // HEADS
NEAR = 0.7978845608028654  # sqrt(2 / pi)
SHAPES = {"query": HIDDEN, "key": HIDDEN, "value": HIDDEN}


# -- activations


def gelu(x: Any) -> Any:
    return 0.5 * x * (1.0 + v2.tanh(NEAR * (x + 0.044715 * v2.pow(x, 3))))


def gelu_cube(x: Any) -> Any:
    return x * (0.5 * (1.0 + v2.tanh(NEAR * (x + 0.044715 * x * x * x))))


def gelu_sigmoid(x: Any) -> Any:
    """The same function: (1 + tanh u) / 2 = sigmoid(2 u)."""
    return x * v2.sigmoid(2.0 * NEAR * (x + 0.044715 * x * v2.square(x)))


def gelu_library(x: Any) -> Any:
    return v2.nn.gelu(x, approximate=True)


# -- products


def kernel(w: World, name: str, inputs: int, outputs: int) -> Any:
    return w.weight(name + "/kernel", drawn(name + "/kernel", inputs, outputs))


def bias(w: World, name: str, outputs: int) -> Any:
    return w.weight(name + "/bias", drawn(name + "/bias", outputs))


def dense(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """`Dense` on rows made flat."""
    y = v2.matmul(v2.reshape(x, [-1, inputs]), kernel(w, name, inputs, outputs))
    return v2.reshape(v2.nn.bias_add(y, bias(w, name, outputs)), v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_tensordot(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    return v2.tensordot(x, kernel(w, name, inputs, outputs), [[-1], [0]]) + bias(w, name, outputs)


def dense_transposed(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The kernel is stored [outputs, inputs]."""
    stored = w.weight(name + "/kernel_t", drawn(name + "/kernel", inputs, outputs).T)
    y = v2.matmul(v2.reshape(x, [-1, inputs]), stored, transpose_b=True) + bias(w, name, outputs)
    return v2.reshape(y, v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_einsum(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    return v2.einsum("...i,io->...o", x, kernel(w, name, inputs, outputs)) + bias(w, name, outputs)


def dense_broadcast(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Batched: the kernel is repeated for each text."""
    return v2.matmul(
        x, v2.broadcast_to(kernel(w, name, inputs, outputs), v2.concat([v2.shape(x)[:-2], [inputs, outputs]], 0))
    ) + bias(w, name, outputs)


def dense_convolved(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """A convolution over one place."""
    flat = v2.reshape(x, [1, -1, inputs])
    y = v2.nn.conv1d(flat, v2.expand_dims(kernel(w, name, inputs, outputs), 0), 1, "VALID") + bias(w, name, outputs)
    return v2.reshape(y, v2.concat([v2.shape(x)[:-1], [outputs]], 0))


# -- norms


def _scales(w: World, name: str) -> tuple[Any, Any]:
    return tuple(
        w.weight(name + "/LayerNorm/" + part, drawn(name + "/LayerNorm/" + part, HIDDEN)) for part in ("gamma", "beta")
    )


def norm(x: Any, w: World, name: str) -> Any:
    """As contrib's layer_norm: moments, then batch_normalization."""
    gamma, beta = _scales(w, name)
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)


def norm_by_hand(x: Any, w: World, name: str) -> Any:
    gamma, beta = _scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    return gamma * centred / v2.sqrt(v2.reduce_mean(v2.square(centred), -1, keepdims=True) + 1e-12) + beta


def norm_difference(x: Any, w: World, name: str) -> Any:
    gamma, beta = _scales(w, name)
    mean = v2.reduce_mean(x, axis=[-1], keepdims=True)
    variance = v2.reduce_mean(v2.math.squared_difference(x, v2.stop_gradient(mean)), axis=[-1], keepdims=True)
    return (x - mean) * v2.math.rsqrt(variance + 1e-12) * gamma + beta


def norm_sums(x: Any, w: World, name: str) -> Any:
    """Sums over the count."""
    gamma, beta = _scales(w, name)
    mean = v2.reduce_sum(x, -1, keepdims=True) / HIDDEN
    variance = v2.reduce_sum((x - mean) ** 2, -1, keepdims=True) / HIDDEN
    return v2.divide(x - mean, (variance + 1e-12) ** 0.5) * gamma + beta


def norm_fused(x: Any, w: World, name: str) -> Any:
    """Keras's: rows are channels of FusedBatchNorm, as [1, rows, HIDDEN, 1]."""
    gamma, beta = _scales(w, name)
    shape = v2.shape(x)
    rows = v2.reshape(x, [1, -1, HIDDEN, 1])
    ones, zeros = v2.ones([v2.shape(rows)[1]]), v2.zeros([v2.shape(rows)[1]])
    y = v1.nn.fused_batch_norm(rows, ones, zeros, epsilon=1e-12, data_format="NCHW", is_training=True)[0]
    return v2.reshape(y, shape) * gamma + beta


def norm_fused_moved(x: Any, w: World, name: str) -> Any:
    """The same where only NHWC exists: rows are moved to the end and back. FusedBatchNorm has no smaller epsilon."""
    gamma, beta = _scales(w, name)
    shape = v2.shape(x)
    rows = v2.transpose(v2.reshape(x, [1, -1, HIDDEN, 1]), [0, 2, 3, 1])
    ones, zeros = v2.ones([v2.shape(rows)[3]]), v2.zeros([v2.shape(rows)[3]])
    y = v1.nn.fused_batch_norm(rows, ones, zeros, epsilon=1e-12, is_training=True)[0]
    return v2.reshape(v2.transpose(y, [0, 3, 1, 2]), shape) * gamma + beta


# -- embeddings


def words_of(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    return v2.gather(table, ids)


def words_one_hot(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    flat = v2.matmul(v2.one_hot(v2.reshape(ids, [-1]), len(pieces())), table)
    return v2.reshape(flat, v2.concat([v2.shape(ids), [HIDDEN]], 0))


def words_lookup(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    return v2.nn.embedding_lookup(table, ids)


def _types(w: World) -> Any:
    w.weight("embeddings/token_type_embeddings_real", drawn("token_types_real", 2, HIDDEN))
    return w.weight("embeddings/token_type_embeddings", drawn("token_types", 2, HIDDEN))


def _positions(w: World) -> Any:
    return w.weight("embeddings/position_embeddings", drawn("positions", 512, HIDDEN))


def types_one_hot(ids: Any, w: World) -> Any:
    """As modeling.py: a one-hot product of zeros."""
    flat = v2.matmul(v2.one_hot(v2.reshape(v2.zeros_like(ids), [-1]), 2), _types(w))
    return v2.reshape(flat, v2.concat([v2.shape(ids), [HIDDEN]], 0))


def types_gathered(ids: Any, w: World) -> Any:
    return v2.gather(_types(w), v2.zeros_like(ids))


def types_row(ids: Any, w: World) -> Any:
    return _types(w)[0]


def positions_sliced(ids: Any, w: World) -> Any:
    found = v2.slice(_positions(w), [0, 0], [v2.shape(ids)[1], -1])
    return v2.reshape(found, [1, -1, HIDDEN])


def positions_gathered(ids: Any, w: World) -> Any:
    return v2.expand_dims(v2.gather(_positions(w), v2.range(v2.shape(ids)[1])), 0)


def positions_counted(ids: Any, w: World) -> Any:
    return v2.gather(_positions(w), v2.cumsum(v2.ones_like(ids), axis=1, exclusive=True))


def positions_one_hot(ids: Any, w: World) -> Any:
    return v2.matmul(v2.one_hot(v2.range(v2.shape(ids)[1]), 512), _positions(w))


def embeddings(ids: Any, w: World, e: Encoder) -> Any:
    return e.norm(e.words(ids, w) + e.types(ids, w) + e.positions(ids, w), w, "embeddings")


# -- masks: float32 [texts, 1, 1, length], 0 or -10000


def mask_not_equal(ids: Any) -> Any:
    return (1.0 - v2.cast(v2.not_equal(ids, 0), v2.float32))[:, v2.newaxis, v2.newaxis, :] * -10000.0


def mask_sign(ids: Any) -> Any:
    """As modeling.py: [texts, 1, from, to]."""
    to = v2.cast(v2.reshape(v2.sign(ids), [v2.shape(ids)[0], 1, v2.shape(ids)[1]]), v2.float32)
    square = v2.ones([v2.shape(ids)[0], v2.shape(ids)[1], 1]) * to
    return (1.0 - v2.expand_dims(square, 1)) * -10000.0


def mask_minimum(ids: Any) -> Any:
    return (v2.cast(v2.minimum(ids, 1), v2.float32) - 1.0)[:, None, None] * 10000.0


def mask_sequence(ids: Any) -> Any:
    lengths = v2.math.count_nonzero(ids, axis=1)
    keep = v2.sequence_mask(lengths, v2.shape(ids)[1], dtype=v2.float32)
    return v2.reshape(1.0 - keep, [-1, 1, 1, v2.shape(ids)[1]]) * -10000.0


def mask_where(ids: Any) -> Any:
    return v2.where(v2.equal(ids, 0), -10000.0, 0.0)[:, None, None, :]


# -- attention


def attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """As modeling.py: reshape, transpose, matmul."""

    def heads(part: str) -> Any:
        y = e.dense(x, w, name + "/self/" + part, HIDDEN, HIDDEN)
        return v2.transpose(v2.reshape(y, [-1, v2.shape(x)[1], HEADS, SIZE]), [0, 2, 1, 3])

    query, key, value = heads("query"), heads("key"), heads("value")
    scores = v2.matmul(query, key, transpose_b=True) * (1.0 / np.sqrt(float(SIZE))).astype(np.float32)
    found = v2.matmul(v2.nn.softmax(scores + bias), value)
    return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [-1, v2.shape(x)[1], HIDDEN])


def _weights_by_head(w: World, name: str, part: str) -> tuple[Any, Any]:
    full = name + "/self/" + part
    return (
        w.weight(full + "/kernel", drawn(full + "/kernel", HIDDEN, HIDDEN).reshape(HIDDEN, HEADS, SIZE)),
        w.weight(full + "/bias", drawn(full + "/bias", HIDDEN).reshape(HEADS, SIZE)),
    )


def attention_einsum(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """As Model Garden: kernels of three dimensions."""
    parts = []
    for part in ("query", "key", "value"):
        k, b = _weights_by_head(w, name, part)
        parts.append(v2.einsum("abc,cde->abde", x, k) + b)
    query, key, value = parts
    scores = v2.einsum("BTNH,BFNH->BNFT", key, query * SIZE**-0.5) + bias
    found = v2.einsum("BNFT,BTNH->BFNH", v2.nn.softmax(scores, -1), value)
    return v2.reshape(found, [v2.shape(x)[0], v2.shape(x)[1], HIDDEN])


def _fused(x: Any, w: World, e: Encoder, name: str) -> Any:
    names = [name + "/self/" + part for part in ("query", "key", "value")]
    k = w.weight(name + "/self/qkv/kernel", np.concatenate([drawn(n + "/kernel", HIDDEN, HIDDEN) for n in names], 1))
    b = w.weight(name + "/self/qkv/bias", np.concatenate([drawn(n + "/bias", HIDDEN) for n in names]))
    return v2.tensordot(x, k, 1) + b


def attention_fused(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One product for all three, then split."""
    length = v2.shape(x)[1]
    query, key, value = [
        v2.transpose(v2.reshape(part, [-1, length, HEADS, SIZE]), [0, 2, 1, 3])
        for part in v2.split(_fused(x, w, e, name), 3, axis=-1)
    ]
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(np.sqrt(SIZE))
    found = v2.matmul(v2.nn.softmax(scores + bias), value)
    return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [-1, length, HIDDEN])


def attention_unstacked(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One product; reshaped to [3, …] and unstacked; softmax by hand."""
    length = v2.shape(x)[1]
    five = v2.reshape(_fused(x, w, e, name), [-1, length, 3, HEADS, SIZE])
    query, key, value = v2.unstack(v2.transpose(five, [2, 0, 3, 1, 4]))
    scores = v2.matmul(query, v2.transpose(key, [0, 1, 3, 2])) * v2.math.rsqrt(float(SIZE)) + bias
    shifted = v2.exp(scores - v2.reduce_max(scores, -1, keepdims=True))
    found = v2.matmul(shifted / v2.reduce_sum(shifted, -1, keepdims=True), value)
    return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [-1, length, HIDDEN])


def attention_head_by_head(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Split into heads along the last dimension; join by concatenation."""
    parts = [v2.split(e.dense(x, w, name + "/self/" + p, HIDDEN, HIDDEN), HEADS, -1) for p in ("query", "key", "value")]
    found = []
    for i in range(HEADS):
        scores = v2.matmul(parts[0][i] / np.float32(SIZE**0.5), parts[1][i], transpose_b=True)
        found.append(v2.matmul(v2.nn.softmax(scores + v2.squeeze(bias, [1])), parts[2][i]))
    return v2.concat(found, -1)


def attention_folded(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Heads are moved into the batch, as the first Transformer implementations did."""
    parts = []
    for part in ("query", "key", "value"):
        y = e.dense(x, w, name + "/self/" + part, HIDDEN, HIDDEN)
        parts.append(v2.concat(v2.split(y, HEADS, axis=2), axis=0))
    scores = v2.matmul(parts[0], v2.transpose(parts[1], [0, 2, 1])) / (SIZE**0.5)
    scores += v2.tile(v2.squeeze(bias, [1]), [HEADS, 1, 1])
    return v2.concat(v2.split(v2.matmul(v2.nn.softmax(scores), parts[2]), HEADS, axis=0), axis=2)


# -- layers


def layer(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    name = f"encoder/layer_{i}"
    found = e.attention(x, bias, w, e, name + "/attention")
    found = e.drop(e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN), w)
    x = e.norm(x + found, w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.norm(x + e.drop(e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w), w, name + "/output")


def all_layers(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    for i in range(LAYERS):
        x = e.layer(x, bias, w, e, i)
    return x


def first_slice(x: Any) -> Any:
    return x[:, 0]


def first_squeezed(x: Any) -> Any:
    return v2.squeeze(x[:, 0:1, :], axis=1)


def first_gathered(x: Any) -> Any:
    return v2.gather(x, 0, axis=1)


def unit(x: Any) -> Any:
    return v2.math.l2_normalize(x, axis=-1)


def unit_norm(x: Any) -> Any:
    return x / v2.norm(x, axis=-1, keepdims=True)


def unit_by_hand(x: Any) -> Any:
    return x * v2.math.rsqrt(v2.maximum(v2.reduce_sum(v2.square(x), 1, keepdims=True), 1e-12))


@dataclass(frozen=True)
class Encoder:
    """One encoder; its attributes are the functions above."""

    words: Callable[..., Any] = words_of
    types: Callable[..., Any] = types_one_hot
    positions: Callable[..., Any] = positions_sliced
    mask: Callable[..., Any] = mask_not_equal
    norm: Callable[..., Any] = norm
    dense: Callable[..., Any] = dense
    attention: Callable[..., Any] = attention
    activation: Callable[..., Any] = gelu
    pooler: Callable[..., Any] = gelu
    layer: Callable[..., Any] = layer
    layers: Callable[..., Any] = all_layers
    first: Callable[..., Any] = first_slice
    unit: Callable[..., Any] = unit
    embeddings: Callable[..., Any] = embeddings
    drop: Callable[..., Any] = lambda x, w: x
    cut: Callable[..., Any] = lambda ids: ids

    def __call__(self, ids: Any, w: World) -> Any:
        ids = self.cut(ids)
        x = self.drop(self.embeddings(ids, w, self), w)
        x = self.first(self.layers(x, self.mask(ids), w, self))
        return self.unit(self.pooler(self.dense(v2.reshape(x, [-1, HIDDEN]), w, "pooler/dense", HIDDEN, HIDDEN)))
