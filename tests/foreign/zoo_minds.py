"""Encoders of the facts page once more, as other minds would write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import LENGTH, World, drawn, v2
from zoo_encoders import HEADS, HIDDEN, SIZE, Encoder

PARTS = ("query", "key", "value")


# -- masks


def mask_infinite(ids: Any) -> Any:
    return v2.where(v2.equal(ids, 0), -np.inf, 0.0)[:, None, None]


def mask_billion(ids: Any) -> Any:
    return v2.expand_dims(v2.expand_dims(1.0 - v2.clip_by_value(v2.cast(ids, v2.float32), 0.0, 1.0), 1), 1) * -1e9


def mask_smallest(ids: Any) -> Any:
    return v2.cast(v2.logical_not(v2.cast(ids, v2.bool)), v2.float32)[:, None, None, :] * v2.float32.min


def mask_kept(ids: Any) -> Any:
    """Which are kept, for an attention that multiplies, or chooses."""
    return v2.greater(ids, 0)[:, None, None]


# -- products and norms


def dense_double(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    y = v2.einsum(
        "bi,io->bo",
        v2.reshape(v2.cast(x, v2.float64), [-1, inputs]),
        v2.cast(z.kernel(w, name, inputs, outputs), v2.float64),
    )
    y = v2.cast(y, v2.float32) + v2.reshape(z.bias(w, name, outputs), [1, -1])
    return v2.reshape(y, v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_of_shards(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The kernel is kept in two parts."""
    whole = drawn(name + "/kernel", inputs, outputs)
    parts = [w.weight(f"{name}/kernel/part_{i}", part) for i, part in enumerate(np.split(whole, 2))]
    return v2.tensordot(x, v2.concat(parts, 0), 1) + z.bias(w, name, outputs)


def norm_double(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    y = v2.cast(x, v2.float64)
    mean, variance = v2.nn.moments(y, [-1], keepdims=True)
    return v2.cast((y - mean) / v2.sqrt(variance + 1e-12), v2.float32) * gamma + beta


def norm_squares(x: Any, w: World, name: str) -> Any:
    """E[x^2] - E[x]^2, of numbers that were centred before."""
    gamma, beta = z._scales(w, name)
    x -= v2.reduce_mean(x, -1, keepdims=True)
    variance = v2.reduce_mean(x * x, -1, keepdims=True) - v2.square(v2.reduce_mean(x, -1, keepdims=True))
    return v2.math.multiply(x, v2.math.reciprocal(v2.sqrt(variance + 1e-12))) * gamma + beta


def norm_variance(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    inverse = v2.math.rsqrt(v2.math.reduce_variance(x, -1, keepdims=True) + v2.constant(1e-12))
    return v2.add(v2.multiply(gamma * inverse, x), beta - v2.reduce_mean(x, -1, keepdims=True) * inverse * gamma)


# -- activations


def gelu_erf(x: Any) -> Any:
    return x * 0.5 * (1.0 + v2.math.erf(x / v2.sqrt(2.0)))


def gelu_erfc(x: Any) -> Any:
    return 0.5 * x * v2.math.erfc(-x * np.float32(np.sqrt(0.5)))


# -- embeddings


def embeddings_types_first(ids: Any, w: World, e: Encoder) -> Any:
    places = v2.tile(e.positions(ids, w), [v2.shape(ids)[0], 1, 1])
    return e.norm((e.types(ids, w) + places) + v2.identity(e.words(ids, w)), w, "embeddings")


def embeddings_stacked(ids: Any, w: World, e: Encoder) -> Any:
    places = v2.broadcast_to(e.positions(ids, w), v2.concat([v2.shape(ids), [HIDDEN]], 0))
    return e.norm(v2.reduce_sum(v2.stack([e.words(ids, w), z.types_gathered(ids, w), places], 2), 2), w, "embeddings")


def embeddings_added(ids: Any, w: World, e: Encoder) -> Any:
    words = e.words(ids, w)
    return e.norm(
        v2.add_n([words, v2.zeros_like(words) + e.positions(ids, w), z.types_one_hot(ids, w)]), w, "embeddings"
    )


# -- attention


def _heads(x: Any, w: World, e: Encoder, name: str) -> list[Any]:
    ys = [e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN) for part in PARTS]
    return [v2.transpose(v2.reshape(y, [-1, LENGTH, HEADS, SIZE]), [0, 2, 1, 3]) for y in ys]


def _joined(found: Any) -> Any:
    return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [-1, LENGTH, HIDDEN])


def attention_orders(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Heads first in every equation; the scale is shared by queries and keys."""
    query, key, value = (
        v2.einsum("bld,dhs->hbls", x, k) + b[:, None, None]
        for k, b in (z._weights_by_head(w, name, part) for part in PARTS)
    )
    near = np.float32(SIZE**-0.25)
    scores = v2.einsum("hbqs,hbks->hbqk", query * near, key * near) + v2.transpose(bias, [1, 0, 2, 3])
    return v2.reshape(v2.einsum("hbqk,hbks->bqhs", v2.nn.softmax(scores), value), [-1, LENGTH, HIDDEN])


def attention_multiplied(x: Any, kept: Any, w: World, e: Encoder, name: str) -> Any:
    """What is not kept is made 0 after the exponential."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)
    powers = v2.exp(scores - v2.reduce_max(scores, -1, keepdims=True)) * v2.cast(kept, v2.float32)
    return _joined(v2.matmul(powers, value) / v2.reduce_sum(powers, -1, keepdims=True))


def attention_chosen(x: Any, kept: Any, w: World, e: Encoder, name: str) -> Any:
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)
    return _joined(v2.matmul(v2.nn.softmax(v2.where(kept, scores, -1e9)), value))


def attention_transposed(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Values are on the left, and the softmax is along the axis before the last."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(key, query, transpose_b=True) / np.float32(SIZE**0.5) + v2.transpose(bias, [0, 1, 3, 2])
    found = v2.matmul(value, v2.nn.softmax(scores, axis=-2), transpose_a=True)
    return v2.reshape(v2.transpose(found, [0, 3, 1, 2]), [-1, LENGTH, HIDDEN])


def layer_other_way(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """The residual comes second; 3-D output kernels, as Model Garden's EinsumDense."""
    name = f"encoder/layer_{i}"
    found = v2.reshape(e.attention(x, bias, w, e, name + "/attention"), [-1, LENGTH, HEADS, SIZE])
    out = name + "/attention/output/dense"
    k = w.weight(out + "/kernel", drawn(out + "/kernel", HIDDEN, HIDDEN).reshape(HEADS, SIZE, HIDDEN))
    x = e.norm((v2.einsum("abcd,cde->abe", found, k) + z.bias(w, out, HIDDEN)) + x, w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, z.INTERMEDIATE))
    return e.norm(v2.add(e.dense(middle, w, name + "/output/dense", z.INTERMEDIATE, HIDDEN), x), w, name + "/output")


# -- ends


def first_product(x: Any) -> Any:
    return v2.einsum("blh,l->bh", x, v2.one_hot(0, LENGTH))


def first_masked(x: Any) -> Any:
    return v2.reduce_sum(x * v2.reshape(v2.one_hot(0, LENGTH), [1, LENGTH, 1]), 1)


def unit_no_nan(x: Any) -> Any:
    return v2.math.divide_no_nan(x, v2.sqrt(v2.reduce_sum(x**2, -1, keepdims=True)))


def unit_double(x: Any) -> Any:
    y = v2.cast(x, v2.float64)
    return v2.cast(y / v2.maximum(v2.norm(y, axis=1, keepdims=True), 1e-12), v2.float32)


MINDS: dict[str, Encoder] = {
    "mask-infinite": Encoder(mask=mask_infinite, norm=norm_double),
    "mask-billion": Encoder(mask=mask_billion, unit=unit_no_nan),
    "mask-smallest": Encoder(mask=mask_smallest, embeddings=embeddings_types_first),
    "mask-multiplied": Encoder(mask=mask_kept, attention=attention_multiplied),
    "mask-chosen": Encoder(mask=mask_kept, attention=attention_chosen, norm=norm_variance),
    "double": Encoder(dense=dense_double, unit=unit_double),
    "kernels-of-shards": Encoder(dense=dense_of_shards),
    "norm-squares": Encoder(norm=norm_squares, first=first_masked),
    "orders": Encoder(attention=attention_orders, embeddings=embeddings_added),
    "values-on-the-left": Encoder(attention=attention_transposed),
    "other-way": Encoder(layer=layer_other_way, first=first_product),
    "erf": Encoder(activation=gelu_erf, pooler=gelu_erf, embeddings=embeddings_stacked),
    "erfc": Encoder(activation=gelu_erfc, pooler=gelu_erfc),
}
