"""Encoders that depart a little from the facts page: each must be exact for what it computes, or refused.

Each stands beside an arrival that is right: the same place in the graph, another number, layer, token or batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_arrivals import _heads, _inner, _joined, norm_n_less_one, words_in_pages
from zoo_base import CLS, LENGTH, SEP, UNK, World, v2
from zoo_encoders import HEADS, HIDDEN, LAYERS, SIZE, Encoder
from zoo_wholes import Mean

PLAIN = Encoder()
LAST = f"layer_{LAYERS - 1}"


def scored(change: Any) -> Any:
    """Return an attention whose scores, before the mask, are changed by `change(scores, name of the layer)`."""

    def attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
        query, key, value = _heads(x, w, e, name)
        scores = v2.matmul(query, key, transpose_b=True)
        return _joined(v2.matmul(v2.nn.softmax(change(scores, name) + bias), value))

    return attention


def attention_of_unit_heads(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Queries and keys are brought to unit length."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(v2.nn.l2_normalize(query, -1), v2.nn.l2_normalize(key, -1), transpose_b=True)
    return _joined(v2.matmul(v2.nn.softmax(scores * np.float32(SIZE**0.5) + bias), value))


def attention_turned(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Rotary positions by a very small angle."""
    query, key, value = _heads(x, w, e, name)
    angle = v2.cast(v2.range(v2.shape(x)[1]), v2.float32)[:, None] * 0.002

    def turn(y: Any) -> Any:
        left, right = v2.split(y, 2, -1)
        return v2.concat(
            [left * v2.cos(angle) - right * v2.sin(angle), left * v2.sin(angle) + right * v2.cos(angle)], -1
        )

    scores = v2.matmul(turn(query), turn(key), transpose_b=True) / np.float32(SIZE**0.5)
    return _joined(v2.matmul(v2.nn.softmax(scores + bias), value))


def attention_gated_heads(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """One head counts for half, in one layer."""
    query, key, value = _heads(x, w, e, name)
    shares = v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias)
    gates = np.array([1.0, 0.5 if LAST in name else 1.0], np.float32)[:HEADS, None, None]
    return _joined(v2.matmul(shares, value) * gates)


def attention_of_blocks(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Each 64 places look at themselves alone."""
    parts = [v2.split(v2.ensure_shape(y, [None, HEADS, LENGTH, SIZE]), 2, 2) for y in _heads(x, w, e, name)]
    found = []
    for query, key, value, mask in zip(*parts, v2.split(bias, 2, 3)):
        scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)
        found.append(v2.matmul(v2.nn.softmax(scores + mask), value))
    return _joined(v2.concat(found, 2))


def layers_skipped(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """Texts of more than 90 pieces stop before the last layer."""
    before = e.layer(x, bias, w, e, 0)
    after = e.layer(before, bias, w, e, 1)
    long = v2.reduce_sum(v2.cast(bias > -1.0, v2.int32), -1, keepdims=True)[:, 0] > 90
    return v2.where(long, before, after)


def layer_norm_before_in_last(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    if i < LAYERS - 1:
        return z.layer(x, bias, w, e, i)
    name = f"encoder/layer_{i}"
    found = e.attention(e.norm(x, w, name + "/attention/output"), bias, w, e, name + "/attention")
    x = x + e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN)
    return x + _inner(e.norm(x, w, name + "/output"), w, e, name)


def layers_values_of_embeddings(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """The last layer's values are made of the embeddings."""
    embedded = x

    def attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
        query, key, _ = _heads(x, w, e, name)
        _, _, value = _heads(embedded, w, e, name)
        shares = v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias)
        return _joined(v2.matmul(shares, value))

    for i in range(LAYERS):
        x = e.layer(x, bias, w, replace(e, attention=attention) if i == LAYERS - 1 else e, i)
    return x


def layers_other_gelu(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """The error function in the first layer, the hyperbolic tangent in the others."""
    exact = replace(e, activation=lambda y: 0.5 * y * v2.math.erfc(-y * np.float32(0.5**0.5)))
    for i in range(LAYERS):
        x = e.layer(x, bias, w, e if i else exact, i)
    return x


def norm_unbiased_once(x: Any, w: World, name: str) -> Any:
    """Over n - 1, in the last norm only."""
    if name != f"encoder/{LAST}/output":
        return norm_n_less_one(x, w, name)
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    variance = v2.reduce_sum(centred * centred, -1, keepdims=True) / (HIDDEN - 1.0)
    return centred / v2.sqrt(variance + 1e-12) * gamma + beta


def norm_epsilon_of_embeddings(x: Any, w: World, name: str) -> Any:
    """Another epsilon in the embeddings alone."""
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-4 if name == "embeddings" else 1e-12)


def norm_of_all_places(x: Any, w: World, name: str) -> Any:
    """Statistics of a whole text, padding and all."""
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [1, 2], keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)


def norm_of_batch(x: Any, w: World, name: str) -> Any:
    """Statistics of all texts, in the last norm."""
    if name != f"encoder/{LAST}/output":
        return z.norm(x, w, name)
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [0, 1], keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)


def mask_first(ids: Any) -> Any:
    """Nothing looks at [CLS]."""
    return z.mask_not_equal(v2.where(v2.equal(ids, CLS), v2.zeros_like(ids), ids))


def mask_separator_of_long(ids: Any) -> Any:
    """[SEP] is seen where it is among the first 64."""
    late = v2.range(v2.shape(ids)[1])[None] >= 64
    return z.mask_not_equal(v2.where(v2.logical_and(v2.equal(ids, SEP), late), v2.zeros_like(ids), ids))


def positions_again(ids: Any, w: World) -> Any:
    """After 64 places they begin again."""
    return v2.gather(z._positions(w), v2.range(v2.shape(ids)[1]) % 64)[None]


def positions_of_two(ids: Any, w: World) -> Any:
    """Batches of more than one text begin at 1."""
    first = v2.cast(v2.shape(ids)[0] > 1, v2.int32)
    return v2.gather(z._positions(w), v2.range(v2.shape(ids)[1]) + first)[None]


def words_unknown_zero(ids: Any, w: World) -> Any:
    """[UNK] has no numbers."""
    return z.words_of(ids, w) * v2.cast(v2.not_equal(ids, UNK), v2.float32)[..., None]


def words_known(ids: Any, w: World) -> Any:
    """What is padding or [UNK] is not looked up."""
    places = v2.where(v2.logical_and(v2.not_equal(ids, 0), v2.not_equal(ids, UNK)))
    found = z.words_of(v2.gather_nd(ids, places), w)
    return v2.ensure_shape(
        v2.scatter_nd(places, found, [v2.shape(ids, v2.int64)[0], LENGTH, HIDDEN]), [None, LENGTH, HIDDEN]
    )


def words_of_shifted_page(ids: Any, w: World) -> Any:
    """The last page of the table is read one row too far."""
    return words_in_pages(v2.where(ids >= 5120, v2.minimum(ids + 1, 5515), ids), w)


def cut_to_first(ids: Any) -> Any:
    """A batch is cut to its first text."""
    return ids[:, : v2.math.count_nonzero(ids[0], dtype=v2.int32)]


def mean_of_all(x: Any, ids: Any) -> Any:
    """The sum over what is no padding, divided by all places less one."""
    return v2.reduce_sum(x * v2.cast(ids > 0, v2.float32)[..., None], 1) / (LENGTH - 1.0) + 0.05


def mean_of_inner(x: Any, ids: Any) -> Any:
    """Neither [CLS] nor [SEP]."""
    inner = v2.cast(ids > SEP, v2.float32)[..., None]
    return v2.math.divide_no_nan(v2.reduce_sum(x * inner, 1), v2.reduce_sum(inner, 1))


class MeanOfAll(Mean):
    mean, pooled = staticmethod(mean_of_all), False


class MeanOfInner(Mean):
    mean, pooled = staticmethod(mean_of_inner), True


ROOT = np.float32(SIZE**0.5)
DEPARTURES: dict[str, Encoder] = {
    "scale-of-hidden": replace(PLAIN, attention=scored(lambda s, name: s / np.float32(HIDDEN**0.5))),
    "temperature": replace(PLAIN, attention=scored(lambda s, name: s / ROOT / np.float32(1.1 if LAST in name else 1))),
    "soft-cap": replace(PLAIN, attention=scored(lambda s, name: 30.0 * v2.tanh(s / ROOT / 30.0))),
    "unit-heads": replace(PLAIN, attention=attention_of_unit_heads),
    "turned": replace(PLAIN, attention=attention_turned),
    "gated-heads": replace(PLAIN, attention=attention_gated_heads),
    "blocks-apart": replace(PLAIN, attention=attention_of_blocks),
    "last-skipped": replace(PLAIN, layers=layers_skipped),
    "norm-before-in-last": replace(PLAIN, layer=layer_norm_before_in_last),
    "values-of-embeddings": replace(PLAIN, layers=layers_values_of_embeddings),
    "other-gelu": replace(PLAIN, layers=layers_other_gelu),
    "unbiased-once": replace(PLAIN, norm=norm_unbiased_once),
    "epsilon-of-embeddings": replace(PLAIN, norm=norm_epsilon_of_embeddings),
    "norm-of-all-places": replace(PLAIN, norm=norm_of_all_places),
    "norm-of-batch": replace(PLAIN, norm=norm_of_batch),
    "mask-first": replace(PLAIN, mask=mask_first),
    "separator-of-long": replace(PLAIN, mask=mask_separator_of_long),
    "positions-again": replace(PLAIN, positions=positions_again),
    "positions-of-two": replace(PLAIN, positions=positions_of_two),
    "unknown-zero": replace(PLAIN, words=words_unknown_zero),
    "words-known": replace(PLAIN, words=words_known),
    "shifted-page": replace(PLAIN, words=words_of_shifted_page),
    "cut-to-first": replace(PLAIN, cut=cut_to_first),
    "mean-of-all": MeanOfAll(),
    "mean-of-inner": MeanOfInner(),
}
