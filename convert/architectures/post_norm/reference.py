"""Such an encoder in NumPy, float64: what the converted folder will compute, to hold the graph against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hub2hf.analysis.run import Probe
from hub2hf.architectures.activations import ACTIVATIONS
from hub2hf.architectures.base import EMBEDDINGS, layer_stage
from hub2hf.architectures.head import TensorOf, texts_of
from hub2hf.architectures.post_norm.mapping import PROJECTION, layer_key
from hub2hf.interpreter.arrays import softmax


def stages(
    probe: Probe,
    weights: TensorOf,
    *,
    layers: Sequence[int],
    heads: int,
    activation: str,
    epsilon: float,
    typed: bool = True,
    projected: bool = False,
    shared: bool = False,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, value) of each stage up to the last layer, [rows of `Probe.counted`, hidden].

    Args:
        probe: ids, token types, and which of them attention sees.
        weights: state-dict key → its tensor, float64.
        layers: which are computed, by their numbers, in order.
        heads, activation, epsilon: see `EncoderBlueprint`.
        typed: whether token types are added.
        projected: whether the embeddings go through a dense layer.
        shared: whether all layers have the weights of the first.
    """
    counted = probe.counted
    places = np.nonzero(counted)[1]
    texts = texts_of(probe)
    ignored = np.where(probe.attended[counted], 0.0, -np.inf)
    function = ACTIVATIONS[activation].function

    def dense(x: np.ndarray, key: str) -> np.ndarray:
        return np.asarray(x @ weights(f"{key}.weight").T + weights(f"{key}.bias"))

    def layer_norm(x: np.ndarray, key: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(-1, keepdims=True) + epsilon)
        return np.asarray(centred / deviation * weights(f"{key}.weight") + weights(f"{key}.bias"))

    def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, ignored: np.ndarray) -> np.ndarray:
        """Return the context [length, hidden] of one text."""
        query, key, value = (x.reshape(len(x), heads, -1).swapaxes(0, 1) for x in (query, key, value))
        scores = query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1]) + ignored
        return np.asarray((softmax(scores) @ value).swapaxes(0, 1).reshape(query.shape[1], -1))

    x = weights("embeddings.word_embeddings.weight")[probe.ids[counted]]
    if typed:
        x = x + weights("embeddings.token_type_embeddings.weight")[probe.types[counted]]
    x = layer_norm(x + weights("embeddings.position_embeddings.weight")[places], "embeddings.LayerNorm")
    if projected:
        x = dense(x, PROJECTION)
    yield EMBEDDINGS, x
    for i in layers:
        layer = layer_key(0 if shared else i)
        query, key, value = (dense(x, f"{layer}.attention.self.{n}") for n in ("query", "key", "value"))
        context = np.concatenate([attend(query[at], key[at], value[at], ignored[at]) for at in texts])
        x = layer_norm(x + dense(context, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        middle = function(dense(x, f"{layer}.intermediate.dense"))
        x = layer_norm(x + dense(middle, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        yield layer_stage(i), x
