"""MobileBERT in NumPy, float64: what the converted folder will compute, to hold the graph against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hub2hf.analysis.run import Probe
from hub2hf.architectures.activations import ACTIVATIONS
from hub2hf.architectures.base import EMBEDDINGS, layer_stage
from hub2hf.architectures.head import TensorOf, texts_of
from hub2hf.architectures.mobilebert.structure import pairs
from hub2hf.interpreter.arrays import softmax

TABLES = {name: f"embeddings.{end}_embeddings.weight" for name, end in
          (("words", "word"), ("positions", "position"), ("types", "token_type"))}  # fmt: skip
JOINED = "embeddings.embedding_transformation"
NORM = "LayerNorm"  # as MobileBertModel calls what is a gamma and a beta alone


def layer_key(number: int) -> str:
    """Return the start of the keys of a layer."""
    return f"encoder.layer.{number}"


def beside(words: np.ndarray) -> np.ndarray:
    """Return word embeddings [batch, length, size] as [batch, length, 3 size]: of the id after, itself, the id before."""
    after, before = np.zeros_like(words), np.zeros_like(words)
    after[:, :-1], before[:, 1:] = words[:, 1:], words[:, :-1]
    return np.concatenate([after, words, before], -1)


def stages(
    probe: Probe, weights: TensorOf, *, layers: Sequence[int], heads: int, activation: str, count: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, value) of each stage up to the last layer, [rows of `Probe.counted`, hidden].

    Args:
        probe: ids, of padding too; token types, and which of them attention sees.
        weights: state-dict key → its tensor, float64.
        layers: which are computed, by their numbers, in order.
        heads, activation: see `EncoderBlueprint`.
        count: pairs of an inner and an outer layer.
    """
    counted, texts = probe.counted, texts_of(probe)
    ignored = np.where(probe.attended[counted], 0.0, -np.inf)
    function = ACTIVATIONS[activation].function

    def dense(x: np.ndarray, key: str) -> np.ndarray:
        return np.asarray(x @ weights(f"{key}.weight").T + weights(f"{key}.bias"))

    def block(x: np.ndarray, key: str, added: np.ndarray | float = 0.0) -> np.ndarray:
        scaled = (dense(x, f"{key}.dense") + added) * weights(f"{key}.{NORM}.weight")
        return np.asarray(scaled + weights(f"{key}.{NORM}.bias"))

    def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, at: slice) -> np.ndarray:
        """Return the context [length, size] of one text."""
        query, key, value = (x[at].reshape(-1, heads, x.shape[-1] // heads).swapaxes(0, 1) for x in (query, key, value))
        shares = softmax(query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1]) + ignored[at])
        return np.asarray((shares @ value).swapaxes(0, 1).reshape(query.shape[1], -1))

    x = dense(beside(weights(TABLES["words"])[probe.ids])[counted], JOINED)
    x = x + weights(TABLES["positions"])[np.nonzero(counted)[1]] + weights(TABLES["types"])[probe.types[counted]]
    x = x * weights(f"embeddings.{NORM}.weight") + weights(f"embeddings.{NORM}.bias")
    yield EMBEDDINGS, x
    for i in layers:
        at = layer_key(i)
        shared = block(x, f"{at}.bottleneck.attention")
        query, key = (dense(shared, f"{at}.attention.self.{name}") for name in ("query", "key"))
        value = dense(x, f"{at}.attention.self.value")
        context = np.concatenate([attend(query, key, value, text) for text in texts])
        narrow = block(context, f"{at}.attention.output", block(x, f"{at}.bottleneck.input"))
        for inner, outer in pairs(count):
            narrow = block(function(dense(narrow, f"{at}.{inner}.dense")), f"{at}.{outer}", narrow)
        x = block(narrow, f"{at}.output.bottleneck", x)
        yield layer_stage(i), x
