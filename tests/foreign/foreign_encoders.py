"""Encoder styles: each computes the pooled embedding [batch, hidden] of packed ids in its own words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def original_gelu(x: Any) -> Any:
    """As google-research/bert writes it."""
    return x * (0.5 * (1.0 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * tf.pow(x, 3)))))


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu_tanh": original_gelu,
    "gelu_erf": lambda x: x * 0.5 * (1.0 + tf.math.erf(x / tf.sqrt(2.0))),
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
    "none": tf.identity,
    "nn_gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "nn_gelu_erf": lambda x: tf.nn.gelu(x, approximate=False),
    "erfc_gelu": lambda x: 0.5 * x * tf.math.erfc(-x * math.sqrt(0.5)),
    "sigmoid_gelu": lambda x: x * tf.sigmoid(1.702 * x),
}


def unit(x: Any, r: Any) -> Any:
    """Return x over its L2 norm, in the words of `r.l2`."""
    if r.l2 == "none":
        return x
    if r.l2 == "norm":
        return x / tf.norm(x, axis=-1, keepdims=True)
    if r.l2 == "rsqrt":
        return x * tf.math.rsqrt(tf.reduce_sum(tf.square(x), axis=1, keepdims=True) + 1e-12)
    if r.l2 == "einsum":
        return tf.math.divide_no_nan(x, tf.sqrt(tf.einsum("ij,ij->i", x, x))[:, tf.newaxis])
    return tf.linalg.l2_normalize(x, axis=-1)


def norm(x: Any, get: Any, name: str, epsilon: float) -> Any:
    """Return LayerNorm of x over its last axis, in the words of `recipe.norm`."""
    size = int(x.shape[-1])
    gamma, beta = get.norm(name, size)
    style = get.recipe.norm
    if style == "fused":
        return fused_norm(x, gamma, beta, epsilon)
    if style == "by_hand":
        mean = tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(x, mean), -1, keepdims=True)
        return gamma * ((x - mean) * tf.math.rsqrt(variance + epsilon)) + beta
    if style == "power":
        mean = tf.reduce_mean(x, -1, keepdims=True)
        deviation = tf.pow(tf.reduce_mean(tf.pow(x - mean, 2), -1, keepdims=True) + epsilon, 0.5)
        return tf.divide(x - mean, deviation) * gamma + beta
    if style == "squares":  # E[x²] - E[x]²
        mean = tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(x * x, -1, keepdims=True) - mean * mean
        return (x - mean) / tf.sqrt(epsilon + variance) * gamma + beta
    axis = [-1]  # contrib.layers.layer_norm: moments and batch_normalization
    mean, variance = tf.nn.moments(x, axis, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, offset=beta, scale=gamma, variance_epsilon=epsilon)


def fused_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """The trick of Keras: rows become channels of a batch of one, so that batch statistics are those of a row."""
    shape = tf.shape(x)
    rows = tf.reduce_prod(shape[:-1])
    flat = tf.reshape(x, [1, rows, shape[-1], 1])
    ones, zeros = tf.ones([rows]), tf.zeros([rows])
    y, _, _ = v1.nn.fused_batch_norm(flat, ones, zeros, epsilon=epsilon, data_format="NCHW")
    return tf.reshape(y, shape) * gamma + beta


def _epsilon(r: Any, layer: int) -> float:
    return 1e-5 if "epsilon_mix" in r.twists and layer == 1 else float(r.epsilon)


def _activation(r: Any, layer: int) -> Callable[[Any], Any]:
    return ACTIVATIONS["relu" if "activation_mix" in r.twists and layer == 1 else r.activation]


def _pooled(x: Any, mask: Any, get: Any) -> Any:
    """Return the pooler of x [batch, length, hidden]."""
    r = get.recipe
    if "mean_pool" in r.twists:
        weights = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
        first = tf.reduce_sum(x * weights, 1) / tf.reduce_sum(weights, 1)
    elif "max_pool" in r.twists:
        first = tf.reduce_max(x, axis=1)
    elif "last_token" in r.twists:
        first = x[:, -1]
    elif r.encoder == "google":
        first = tf.squeeze(x[:, 0:1, :], axis=1)
    else:
        first = tf.gather(x, 0, axis=1) if r.encoder == "modern" else x[:, 0]
    y = tf.matmul(first, get.kernel("pooler/dense", r.hidden, r.hidden)) + get.bias("pooler/dense", r.hidden)
    if "unknown_op" in r.twists:
        y = tf.quantization.fake_quant_with_min_max_args(y)
    return ACTIVATIONS[r.pooler](y)


def _shape(x: Any) -> list[Any]:
    """As `modeling.get_shape_list`: static sizes where known, else from tf.shape."""
    dynamic = tf.shape(x)
    return [dynamic[i] if size is None else size for i, size in enumerate(x.shape.as_list())]


def google(ids: Any, mask: Any, pieces: int, get: Any) -> Any:
    """In the words of google-research/bert: two-dimensional products, an attention mask, one-hot token types."""
    r = get.recipe
    batch, length = _shape(ids)
    mask = tf.cast(_mask(ids, mask, r), tf.int32)
    words, types, positions = get.tables(pieces)
    type_ids = tf.zeros(shape=[batch, length], dtype=tf.int32) + int("type_row_1" in r.twists)
    x = tf.reshape(tf.gather(words, tf.reshape(tf.expand_dims(ids, [-1]), [-1])), [batch, length, r.hidden])
    one_hot = tf.one_hot(tf.reshape(type_ids, [-1]), depth=2)
    x += tf.reshape(tf.matmul(one_hot, types), [batch, length, r.hidden])
    with tf.control_dependencies([v1.assert_less_equal(length, r.positions)]):
        table = tf.slice(positions, [0, 0], [length, -1])
        x += tf.reshape(table, [1, length, r.hidden])
    x = norm(x, get, "embeddings", _epsilon(r, -1))
    bias = _additive(batch, length, mask, r)
    x = tf.reshape(x, [-1, r.hidden])
    for i in range(r.layers):
        x = _google_layer(x, bias, (batch, length), get, i)
    return _pooled(tf.reshape(x, [batch, length, r.hidden]), mask, get)


def _mask(ids: Any, mask: Any, r: Any) -> Any:
    if mask is not None:
        return mask
    if r.mask == "sequence":
        return tf.sequence_mask(tf.reduce_sum(tf.cast(ids > 0, tf.int32), 1), r.max_length)
    if r.mask in ("ones_like", "outer"):
        return tf.where(tf.equal(ids, 0), tf.zeros_like(ids), tf.ones_like(ids))
    return tf.sign(ids)


def _additive(batch: Any, length: Any, mask: Any, r: Any) -> Any:
    to_mask = tf.cast(tf.reshape(mask, [batch, 1, length]), tf.float32)
    ones = tf.ones(shape=[batch, length, 1], dtype=tf.float32)
    whole = (tf.reshape(tf.cast(mask, tf.float32), [batch, length, 1]) if r.mask == "outer" else ones) * to_mask
    if "causal" in r.twists:
        whole = tf.linalg.band_part(whole, -1, 0)
    scale = 0.0 if "no_mask" in r.twists else -10000.0
    return (1.0 - tf.expand_dims(whole, axis=[1])) * scale


def _google_layer(x: Any, bias: Any, size: tuple[Any, Any], get: Any, i: int) -> Any:
    r, name = get.recipe, f"encoder/layer_{i}"
    batch, length = size

    def dense(y: Any, scope: str, size: int) -> Any:
        return tf.nn.bias_add(tf.matmul(y, get.kernel(scope, int(y.shape[-1]), size)), get.bias(scope, size))

    def split(y: Any) -> Any:
        return tf.transpose(tf.reshape(y, [batch, length, r.heads, r.head_size]), [0, 2, 1, 3])

    first, second = ("key", "query") if "swap_names" in r.twists else ("query", "key")
    before = norm(x, get, f"{name}/attention/output", _epsilon(r, i)) if "pre_norm" in r.twists else x
    query, key, value = (split(dense(before, f"{name}/attention/self/{k}", r.hidden)) for k in (first, second, "value"))
    scores = tf.matmul(query, key, transpose_b=True)
    if "no_scale" not in r.twists:
        scores = tf.multiply(scores, 1.0 / math.sqrt(float(r.head_size)))
    if "relative" in r.twists:
        distance = tf.cast(tf.abs(tf.range(length)[:, None] - tf.range(length)[None]), tf.float32)
        scores -= 0.1 * distance
    context = tf.matmul(tf.nn.softmax(scores + bias), value)
    context = tf.reshape(tf.transpose(context, [0, 2, 1, 3]), [batch * length, r.hidden])
    attended = dense(context, f"{name}/attention/output/dense", r.hidden) + x
    if "pre_norm" in r.twists:
        middle = norm(attended, get, f"{name}/output", _epsilon(r, i))
        middle = _activation(r, i)(dense(middle, f"{name}/intermediate/dense", r.intermediate))
        return attended + dense(middle, f"{name}/output/dense", r.hidden)
    attended = norm(attended, get, f"{name}/attention/output", _epsilon(r, i))
    middle = _activation(r, i)(dense(attended, f"{name}/intermediate/dense", r.intermediate))
    return norm(dense(middle, f"{name}/output/dense", r.hidden) + attended, get, f"{name}/output", _epsilon(r, i))


def modern(ids: Any, mask: Any, pieces: int, get: Any) -> Any:
    """Three-dimensional throughout: einsum or tensordot products, gathers, a where or an adder for the mask."""
    r = get.recipe
    keep = tf.cast(_mask(ids, mask, r), tf.bool)
    words, types, positions = get.tables(pieces)
    x = tf.gather(words, ids) + tf.gather(types, tf.zeros_like(ids) + int("type_row_1" in r.twists))
    if r.attention == "batch_dims":
        places = tf.broadcast_to(tf.range(r.max_length), tf.shape(ids))
        x += tf.gather(tf.broadcast_to(positions, [tf.shape(ids)[0], *positions.shape]), places, axis=1, batch_dims=1)
    else:
        x += tf.gather(positions, tf.range(tf.shape(ids)[1]))[tf.newaxis]
    x = norm(x, get, "embeddings", _epsilon(r, -1))
    for i in range(r.layers):
        x = _modern_layer(x, keep, get, i)
    return _pooled(x, keep, get)


def _modern_layer(x: Any, keep: Any, get: Any, i: int) -> Any:
    r, name = get.recipe, f"encoder/layer_{i}"

    def dense(y: Any, scope: str, size: int) -> Any:
        kernel = get.kernel(scope, int(y.shape[-1]), size)
        product = (
            tf.tensordot(y, kernel, [[2], [0]]) if r.attention == "tensordot" else tf.einsum("abc,cd->abd", y, kernel)
        )
        product = tf.ensure_shape(product, [None, None, size])
        return product + get.bias(scope, size)

    q, k, v = (
        tf.reshape(dense(x, f"{name}/attention/self/{part}", r.hidden), [-1, r.max_length, r.heads, r.head_size])
        for part in ("query", "key", "value")
    )
    if r.attention == "tensordot":
        scores = tf.matmul(tf.transpose(q, [0, 2, 1, 3]), tf.transpose(k, [0, 2, 3, 1])) / math.sqrt(r.head_size)
        weights = tf.nn.softmax(tf.where(keep[:, None, None], scores, -1e9))
        context = tf.transpose(tf.matmul(weights, tf.transpose(v, [0, 2, 1, 3])), [0, 2, 1, 3])
    else:
        scores = tf.einsum("aecd,abcd->acbe", k, q * (1.0 / math.sqrt(float(r.head_size))))
        scores += (1.0 - tf.cast(keep[:, tf.newaxis, tf.newaxis, :], tf.float32)) * -1e9
        shifted = tf.exp(scores - tf.reduce_max(scores, -1, keepdims=True))
        weights = shifted / tf.reduce_sum(shifted, -1, keepdims=True)
        context = tf.einsum("acbe,aecd->abcd", weights, v)
    context = tf.reshape(context, [-1, r.max_length, r.hidden])
    x = norm(
        x + dense(context, f"{name}/attention/output/dense", r.hidden), get, f"{name}/attention/output", _epsilon(r, i)
    )
    middle = _activation(r, i)(dense(x, f"{name}/intermediate/dense", r.intermediate))
    return norm(x + dense(middle, f"{name}/output/dense", r.hidden), get, f"{name}/output", _epsilon(r, i))


def wrapped(ids: Any, mask: Any, pieces: int, get: Any) -> Any:
    """The layers of `modern`, each in a traced function, inside a traced function: variables come in as arguments."""
    v1.get_variable_scope().set_use_resource(True)
    modern(ids[:0], None if mask is None else mask[:0], pieces, get)  # makes the variables outside of the function

    @tf.function(autograph=False)
    def encode(ids: Any, keep: Any) -> Any:
        r = get.recipe
        words, types, positions = get.tables(pieces)
        x = tf.nn.embedding_lookup(words, ids) + types[0] + positions[: r.max_length]
        x = norm(x, get, "embeddings", r.epsilon)
        for i in range(r.layers):
            x = tf.function(lambda x, i=i: _modern_layer(x, keep, get, i), autograph=False)(x)
        return x

    keep = tf.cast(_mask(ids, mask, get.recipe), tf.bool)
    return _pooled(encode(ids, keep), keep, get)


def longest(ids: Any, mask: Any, pieces: int, get: Any) -> Any:
    """As `google`, on batches that are cut to their longest text."""
    return google(ids[:, : tf.reduce_max(tf.reduce_sum(tf.sign(ids), 1))], mask, pieces, get)


STYLES: dict[str, Callable[..., Any]] = {"google": google, "modern": modern, "wrapped": wrapped, "longest": longest}
