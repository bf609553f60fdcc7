"""T5's encoder in NumPy, float64: what the converted folder will compute, to hold the graph against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hub2hf.analysis.run import Probe
from hub2hf.architectures.activations import ACTIVATIONS
from hub2hf.architectures.base import EMBEDDINGS, layer_stage
from hub2hf.architectures.head import TensorOf, texts_of
from hub2hf.interpreter.arrays import softmax

WORDS, FINAL = "shared.weight", "encoder.final_layer_norm.weight"
ATTENTION, FEED_FORWARD = "layer.0.SelfAttention", "layer.1.DenseReluDense"
RELATIVE = f"encoder.block.0.{ATTENTION}.relative_attention_bias.weight"
# Raffel et al. 2019 (arXiv:1910.10683), section 2.1: beyond an offset of 128 all share one embedding.
MAX_DISTANCE = 128


def block(number: int) -> str:
    """Return the start of the keys of a layer."""
    return f"encoder.block.{number}"


def buckets(distances: np.ndarray, count: int) -> np.ndarray:
    """Return the bucket of each distance from a query to a key, int64: exact ones for near, logarithmic ones for far.

    Args:
        distances: int, of any shape; negative where the key stands before the query.
        count: how many buckets there are; half of them are for keys after the query.
    """
    half = count // 2
    exact = half // 2
    far = np.abs(distances)
    scaled = np.log(np.maximum(far, 1) / exact) / np.log(MAX_DISTANCE / exact) * (half - exact)
    logarithmic = np.minimum(exact + scaled.astype(np.int64), half - 1)
    return np.asarray((distances > 0) * half + np.where(far < exact, far, logarithmic))


def stages(
    probe: Probe, weights: TensorOf, *, layers: Sequence[int], heads: int, activation: str, epsilon: float, gated: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, value) of each stage up to the last layer and the norm after it, [rows of `Probe.counted`, hidden].

    Args:
        probe: ids, and which of them attention sees.
        weights: state-dict key → its tensor, float64.
        layers: which are computed, by their numbers, in order.
        heads, activation, epsilon: see `EncoderBlueprint`.
        gated: whether the activation is a gate.
    """
    counted = probe.counted
    places, texts = np.nonzero(counted)[1], texts_of(probe)
    ignored = np.where(probe.attended[counted], 0.0, -np.inf)
    table, function = weights(RELATIVE), ACTIVATIONS[activation].function

    def norm(x: np.ndarray, key: str) -> np.ndarray:
        return np.asarray(x / np.sqrt(np.square(x).mean(-1, keepdims=True) + epsilon) * weights(key))

    def product(x: np.ndarray, key: str) -> np.ndarray:
        return np.asarray(x @ weights(f"{key}.weight").T)

    def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, at: slice) -> np.ndarray:
        """Return the context [length, heads * size] of one text."""
        query, key, value = (x[at].reshape(-1, *split).swapaxes(0, 1) for x in (query, key, value))
        away = places[at][np.newaxis, :] - places[at][:, np.newaxis]
        bias = table[buckets(away, len(table))].transpose(2, 0, 1)
        context = softmax(query @ key.swapaxes(-1, -2) + bias + ignored[at]) @ value
        return np.asarray(context.swapaxes(0, 1).reshape(context.shape[1], -1))

    x = weights(WORDS)[probe.ids[counted]]
    yield EMBEDDINGS, x
    for i in layers:
        attention, inner = f"{block(i)}.{ATTENTION}", f"{block(i)}.{FEED_FORWARD}"
        normal = norm(x, f"{block(i)}.layer.0.layer_norm.weight")
        query, key, value = (product(normal, f"{attention}.{name}") for name in "qkv")
        split = (heads, query.shape[-1] // heads)
        x = x + product(np.concatenate([attend(query, key, value, at) for at in texts]), f"{attention}.o")
        normal = norm(x, f"{block(i)}.layer.1.layer_norm.weight")
        if gated:
            middle = function(product(normal, f"{inner}.wi_0")) * product(normal, f"{inner}.wi_1")
        else:
            middle = function(product(normal, f"{inner}.wi"))
        x = x + product(middle, f"{inner}.wo")
        yield layer_stage(i), norm(x, FINAL) if i == layers[-1] else x
