"""Encoders that compute another function than the facts page. A reader must be exact for that function, or refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import UNK, World, v2
from zoo_encoders import HEADS, HIDDEN, INTERMEDIATE, LAYERS, SIZE, Encoder

RARE = 5176  # `the`, which two of the texts hold


def relu_in_last(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    return z.layer(x, bias, w, replace(e, activation=v2.nn.relu) if i == LAYERS - 1 else e, i)


def half_residual(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    return 0.5 * x + 0.5 * z.layer(x, bias, w, e, i)


def norm_first(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """LayerNorm before each part, as GPT has it."""
    name = f"encoder/layer_{i}"
    found = e.attention(e.norm(x, w, name + "/attention/output"), bias, w, e, name + "/attention")
    x = x + e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN)
    middle = e.activation(
        e.dense(e.norm(x, w, name + "/output"), w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE)
    )
    return x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN)


def shared_layer(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    for _ in range(LAYERS):
        x = e.layer(x, bias, w, e, 0)
    return x


def layers_backwards(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    for i in reversed(range(LAYERS)):
        x = e.layer(x, bias, w, e, i)
    return x


def last_two(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    found = [x]
    for i in range(LAYERS):
        found.append(e.layer(found[-1], bias, w, e, i))
    return found[-1] + found[-2]


def unscaled(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Scores are divided by the size of a head, not by its root."""

    def dense(x: Any, w: World, part: str, inputs: int, outputs: int) -> Any:
        y = e.dense(x, w, part, inputs, outputs)
        return y / np.float32(SIZE**0.5) if part.endswith("query") else y

    return z.attention(x, bias, w, replace(e, dense=dense), name)


def heads_interleaved(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Each head takes every second number: exact only with permuted kernels."""

    def dense(x: Any, w: World, part: str, inputs: int, outputs: int) -> Any:
        y = v2.reshape(e.dense(x, w, part, inputs, outputs), [-1, v2.shape(x)[1], SIZE, HEADS])
        return v2.reshape(v2.transpose(y, [0, 1, 3, 2]), [-1, v2.shape(x)[1], HIDDEN])

    return z.attention(x, bias, w, replace(e, dense=dense), name)


def causal(ids: Any) -> Any:
    below = v2.linalg.band_part(v2.ones([v2.shape(ids)[1], v2.shape(ids)[1]]), -1, 0)
    return z.mask_not_equal(ids) + (1.0 - below) * -10000.0


def nearness(ids: Any) -> Any:
    """A bias that grows with distance."""
    place = v2.cast(v2.range(v2.shape(ids)[1]), v2.float32)
    return z.mask_not_equal(ids) - 0.1 * v2.abs(place[:, None] - place)


def mask_unknown(ids: Any) -> Any:
    return z.mask_not_equal(v2.where(v2.equal(ids, UNK), v2.zeros_like(ids), ids))


def mask_beyond_64(ids: Any) -> Any:
    return z.mask_not_equal(v2.where(v2.range(v2.shape(ids)[1]) < 64, ids, v2.zeros_like(ids)))


def mask_long_only(ids: Any) -> Any:
    """Texts of fewer than 8 pieces see their padding."""
    short = v2.math.count_nonzero(ids, axis=1, keepdims=True) < 8
    return z.mask_not_equal(v2.where(short, v2.ones_like(ids), ids))


def mask_of_batch(ids: Any) -> Any:
    """The first text's mask for all."""
    return z.mask_not_equal(v2.where(v2.equal(ids[:1], 0), v2.zeros_like(ids), v2.ones_like(ids)))


def weak_mask(ids: Any) -> Any:
    return z.mask_not_equal(ids) * 0.0001


def positions_backwards(ids: Any, w: World) -> Any:
    return v2.reverse(z.positions_gathered(ids, w), [1])


def positions_from_2(ids: Any, w: World) -> Any:
    return v2.gather(z._positions(w), v2.range(v2.shape(ids)[1]) + 2)[None]


def positions_of_length(ids: Any, w: World) -> Any:
    """Positions count from the end of the text."""
    place = v2.range(v2.shape(ids)[1])[None] - v2.math.count_nonzero(ids, axis=1, keepdims=True, dtype=v2.int32)
    return v2.gather(z._positions(w), v2.abs(place))


def types_by_parity(ids: Any, w: World) -> Any:
    return v2.gather(z._types(w), v2.range(v2.shape(ids)[1]) % 2)


def types_late(ids: Any, w: World) -> Any:
    return v2.gather(z._types(w), v2.cast(v2.range(v2.shape(ids)[1]) > 63, v2.int32))


def types_second(ids: Any, w: World) -> Any:
    return z._types(w)[1]


def types_by_id(ids: Any, w: World) -> Any:
    """The pieces of the vocabulary's end have another type."""
    return v2.gather(z._types(w), v2.cast(ids > 5000, v2.int32))


def words_scaled(ids: Any, w: World) -> Any:
    return z.words_of(ids, w) * HIDDEN**0.5


def words_one_changed(ids: Any, w: World) -> Any:
    """One rare piece is taken for another."""
    return z.words_of(v2.where(v2.equal(ids, RARE), v2.fill(v2.shape(ids), RARE + 1), ids), w)


def norm_other_epsilon(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12 if "layer_1" not in name else 1e-2)


def first_mean(x: Any) -> Any:
    return v2.reduce_mean(x, axis=1)


def first_maximum(x: Any) -> Any:
    return v2.reduce_max(x, axis=1)


def first_last(x: Any) -> Any:
    return x[:, -1]


def first_and_second(x: Any) -> Any:
    return x[:, 0] + x[:, 1]


def unit_less(x: Any) -> Any:
    return x / (1.0 + v2.norm(x, axis=-1, keepdims=True))


def unit_centred(x: Any) -> Any:
    """The batch's mean is taken away."""
    return z.unit(x - v2.reduce_mean(x, axis=0, keepdims=True))


def gelu_exact_for_large(x: Any) -> Any:
    return v2.where(x > 1.0, 0.5 * x * (1.0 + v2.math.erf(x / np.float32(2**0.5))), z.gelu(x))


def leaky(x: Any) -> Any:
    return v2.nn.leaky_relu(x, 0.1)


def quick(x: Any) -> Any:
    return x * v2.sigmoid(1.702 * x)


def first_100(ids: Any) -> Any:
    """Only 100 places reach the encoder."""
    return ids[:, :100]


def swapped(ids: Any) -> Any:
    """Two places change."""
    return v2.concat([ids[:, :1], ids[:, 2:3], ids[:, 1:2], ids[:, 3:]], 1)


def shared_room(ids: Any) -> Any:
    """Places beyond the shortest text of the batch are dropped."""
    return ids[:, : v2.maximum(v2.reduce_min(v2.math.count_nonzero(ids, axis=1, dtype=v2.int32)), 2)]


PLAIN = Encoder()
TWISTED: dict[str, Encoder] = {
    "relu-in-last": replace(PLAIN, layer=relu_in_last),
    "half-residual": replace(PLAIN, layer=half_residual),
    "norm-first": replace(PLAIN, layer=norm_first),
    "shared-layer": replace(PLAIN, layers=shared_layer),
    "layers-backwards": replace(PLAIN, layers=layers_backwards),
    "last-two": replace(PLAIN, layers=last_two),
    "scale-of-size": replace(PLAIN, attention=unscaled),
    "heads-interleaved": replace(PLAIN, attention=heads_interleaved),
    "causal": replace(PLAIN, mask=causal),
    "nearness": replace(PLAIN, mask=nearness),
    "mask-unknown": replace(PLAIN, mask=mask_unknown),
    "mask-beyond-64": replace(PLAIN, mask=mask_beyond_64),
    "mask-long-only": replace(PLAIN, mask=mask_long_only),
    "mask-of-batch": replace(PLAIN, mask=mask_of_batch),
    "mask-weak": replace(PLAIN, mask=weak_mask),
    "mask-none": replace(PLAIN, mask=lambda ids: 0.0),
    "positions-backwards": replace(PLAIN, positions=positions_backwards),
    "positions-from-2": replace(PLAIN, positions=positions_from_2),
    "positions-of-length": replace(PLAIN, positions=positions_of_length),
    "types-by-parity": replace(PLAIN, types=types_by_parity),
    "types-late": replace(PLAIN, types=types_late),
    "types-second": replace(PLAIN, types=types_second),
    "types-by-id": replace(PLAIN, types=types_by_id),
    "words-scaled": replace(PLAIN, words=words_scaled),
    "words-one-changed": replace(PLAIN, words=words_one_changed),
    "norm-other-epsilon": replace(PLAIN, norm=norm_other_epsilon),
    "mean": replace(PLAIN, first=first_mean),
    "maximum": replace(PLAIN, first=first_maximum),
    "last-token": replace(PLAIN, first=first_last),
    "first-and-second": replace(PLAIN, first=first_and_second),
    "unit-less": replace(PLAIN, unit=unit_less),
    "unit-centred": replace(PLAIN, unit=unit_centred),
    "gelu-exact-for-large": replace(PLAIN, activation=gelu_exact_for_large),
    "leaky": replace(PLAIN, activation=leaky),
    "quick": replace(PLAIN, activation=quick),
    "pooler-tanh": replace(PLAIN, pooler=v2.tanh),
    "pooler-relu": replace(PLAIN, pooler=v2.nn.relu),
    "first-100": replace(PLAIN, cut=first_100),
    "swapped": replace(PLAIN, cut=swapped),
    "shared-room": replace(PLAIN, cut=shared_room),
}
