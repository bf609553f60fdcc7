"""BERT in NumPy, float64: what the converted folder will compute, to hold the graph against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hub2hf.blueprint.activations import ACTIVATIONS
from hub2hf.interpreter.arrays import softmax

Weights = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Hypothesis:
    """What has been read of the encoder; see `EncoderBlueprint` for the meaning of each."""

    layers: int
    heads: int
    hidden_activation: str
    pooler_activation: str
    layer_norm_epsilon: float
    normalised: bool


@dataclass(frozen=True)
class Probe:
    """What the encoder is given.

    Attributes:
        ids: int [batch, length].
        attended: bool [batch, length], False where attention ignores an id.
        types: int [batch, length], the token-type row of each id.
    """

    ids: np.ndarray
    attended: np.ndarray
    types: np.ndarray

    @property
    def counted(self) -> np.ndarray:
        """bool [batch, length]: what is computed. What becomes of padding is nobody's concern, since attention ignores it;
        the first id of a text is pooled, attended or not."""
        counted = self.attended.copy()
        counted[:, :1] = True
        return counted

    @classmethod
    def padded(cls, ids: np.ndarray, pad_id: int, row: int = 0) -> Probe:
        """Return the probe of texts that are padded with `pad_id`, all of token type `row`."""
        return cls(ids, ids != pad_id, np.full_like(ids, row))


def stages(probe: Probe, weights: Weights, believed: Hypothesis) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, value) of each stage of the computation.

    Args:
        probe: ids, token types, and which of them attention sees.
        weights: state-dict key → TensorFlow variable (kernels [inputs, outputs], heads apart or not), float64.
        believed: the rest of the blueprint.

    Yields:
        "embeddings" and "layer i" [rows of `Probe.counted`, hidden]; "first token", "pooler.dense", "pooled" and "embedding"
        [batch, hidden].
    """
    counted = probe.counted
    places = np.nonzero(counted)[1]
    ends = np.cumsum(counted.sum(axis=1))
    texts = [slice(int(start), int(end)) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    ignored = np.where(probe.attended[counted], 0.0, -np.inf)

    def dense(x: np.ndarray, key: str) -> np.ndarray:
        kernel = weights(f"{key}.weight").reshape(x.shape[-1], -1)
        return np.asarray(x @ kernel + weights(f"{key}.bias").ravel())

    def layer_norm(x: np.ndarray, key: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(-1, keepdims=True) + believed.layer_norm_epsilon)
        return np.asarray(centred / deviation * weights(f"{key}.weight") + weights(f"{key}.bias"))

    def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, ignored: np.ndarray) -> np.ndarray:
        """Return the context [length, hidden] of one text."""
        query, key, value = (x.reshape(len(x), believed.heads, -1).swapaxes(0, 1) for x in (query, key, value))
        scores = query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1]) + ignored
        return np.asarray((softmax(scores) @ value).swapaxes(0, 1).reshape(query.shape[1], -1))

    x = weights("embeddings.word_embeddings.weight")[probe.ids[counted]]
    x = x + weights("embeddings.token_type_embeddings.weight")[probe.types[counted]]
    x = layer_norm(x + weights("embeddings.position_embeddings.weight")[places], "embeddings.LayerNorm")
    yield "embeddings", x
    activation = ACTIVATIONS[believed.hidden_activation].function
    for i in range(believed.layers):
        layer = f"encoder.layer.{i}"
        query, key, value = (dense(x, f"{layer}.attention.self.{n}") for n in ("query", "key", "value"))
        context = np.concatenate([attend(query[at], key[at], value[at], ignored[at]) for at in texts])
        x = layer_norm(x + dense(context, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        middle = activation(dense(x, f"{layer}.intermediate.dense"))
        x = layer_norm(x + dense(middle, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        yield f"layer {i}", x
    first = x[[text.start for text in texts]]
    yield "first token", first
    pooled = dense(first, "pooler.dense")
    yield "pooler.dense", pooled
    pooled = ACTIVATIONS[believed.pooler_activation].function(pooled)
    yield "pooled", pooled
    yield "embedding", normalise(pooled) if believed.normalised else pooled


def normalise(x: np.ndarray) -> np.ndarray:
    """Return x [batch, hidden] divided by its L2 norm."""
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))
