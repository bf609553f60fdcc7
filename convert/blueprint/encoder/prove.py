"""Runs of a whole graph on probes, held against what was read of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hub2hf.analysis.read import SAME, Read
from hub2hf.analysis.run import ObservedRun, Probe
from hub2hf.architectures.base import EMBEDDINGS, Recognised, layer_stage
from hub2hf.architectures.head import EMBEDDING, POOLING, HeadRead
from hub2hf.errors import REPORT, GraphError
from hub2hf.savedmodel.node import TensorRef


@dataclass(frozen=True)
class Believed:
    """All that was read of an encoder.

    Attributes:
        encoder: where its parts are.
        read: what its layers compute, by the names of `EncoderBlueprint`.
        weights: from a state-dict key to its tensor.
        layers: those that are run, by their numbers.
        head: what follows the layers; None until it is read.
    """

    encoder: Recognised
    read: Mapping[str, Read[Any]]
    weights: Callable[[str], np.ndarray]
    layers: Sequence[int]
    head: HeadRead | None = None


@dataclass(frozen=True)
class Proved:
    """What a run has shown.

    Attributes:
        row: the token-type row.
        head: what follows the layers; what was believed of it where the run ends before.
        named: further output of the graph → the stage that it is.
        taps: stage up to the last layer → the tensor that holds it, for the last layer perhaps only its first tokens.
    """

    row: int
    head: HeadRead | None
    named: Mapping[str, str]
    taps: Mapping[str, TensorRef]


def prove(run: ObservedRun, believed: Believed, rows: range | None = None) -> Proved:
    """Hold every stage of a run against what is believed; what is not believed of the head yet is read from the run.

    Args:
        run: a run; a whole one where the head is to be read.
        believed: what was read.
        rows: the token-type rows to try; all by default. Not of concern where token types are given.

    Raises:
        GraphError: names the first stage where the graph computes something else.
    """
    probe = run.probe
    departed: tuple[str, str] | None = None
    for row in range(1) if run.given.types_given else rows or range(believed.encoder.types[1]):
        types = probe.types if run.given.types_given else np.full_like(probe.ids, row)
        held = _Held(run, believed, replace(probe, types=types))
        departed = held.departure()
        if departed is None:
            return Proved(row, held.head, held.named, held.taps())
        if departed[0] != EMBEDDINGS:
            break
    stage, where = departed or (EMBEDDINGS, run.output.node)
    last = layer_stage(believed.encoder.layers - 1)
    stage = f"{last} and what is pooled of it" if stage == POOLING else stage
    texts, length = probe.ids.shape
    raise GraphError(
        f"What was read of the encoder does not hold: the stage '{stage}', which ends at node '{where}', computes "
        f"something else (seen in {texts} texts of {length} ids).",
        REPORT,
    )


class _Held:
    """One run held against what is believed, with the token types of one row.

    Attributes:
        head: what follows the layers, believed or, once they have agreed, read.
        named: further output of the graph → the stage that it is.
    """

    def __init__(self, run: ObservedRun, believed: Believed, probe: Probe) -> None:
        self.run, self.believed, self.probe, self.head = run, believed, probe, believed.head
        self.named: dict[str, str] = {}
        encoder = believed.encoder
        self.layers = dict(run.at)
        last = None if run.until else encoder.head.states(run)
        if last is not None:
            self.layers[layer_stage(encoder.layers - 1)] = last
        by_text = bool(encoder.head.layers) and (run.until or not encoder.head.of_tokens(run))
        pooled = {POOLING: encoder.head.pooled} if by_text else {}
        self.at = {**self.layers, **pooled, EMBEDDING: run.output}

    def departure(self) -> tuple[str, str] | None:
        """Return the first stage that is another, and the node that ends it; None where all are the same."""
        for stage, expected in self._stages():
            for name, value in self.run.others.items():
                if same(value, expected, self.probe):
                    self.named[name] = stage  # of two stages that are the same, the later
            ref = self.at.get(stage)
            if ref is not None and not same(self.run.value(ref), expected, self.probe):
                return stage, ref.node
            if stage == self.run.until:
                return None
        return None

    def taps(self) -> dict[str, TensorRef]:
        """Return the stages up to the last layer that the graph has, or the first tokens of the last."""
        encoder, last = self.believed.encoder, layer_stage(self.believed.encoder.layers - 1)
        only_first = self.head is not None and self.head.takes_first_tokens and encoder.head.layers
        return self.layers if last in self.layers or not only_first else {**self.layers, last: encoder.head.pooled}

    def _stages(self) -> Iterator[tuple[str, np.ndarray]]:
        encoder, weights = self.believed.encoder, self.believed.weights
        states = np.empty(0)
        for stage, states in encoder.stages(self.probe, weights, self.believed.read, self.believed.layers):
            yield stage, states
        self.head = self.head or encoder.head.read(self.run, states)
        yield from self.head.stages(states, self.probe, weights)


def same(found: np.ndarray, expected: np.ndarray, probe: Probe) -> bool:
    """Tell whether a stage is what it should be, at the tokens that count where it is of all, or at each text's row.

    A stage of all tokens has as many rows as they count; so has one of rows of texts, where texts are as short as that.
    """
    hidden, counted = expected.shape[-1], probe.counted
    if found.size == probe.ids.size * hidden and len(expected) == counted.sum():
        texts, length = counted.shape
        layouts = (
            found.reshape(texts, length, hidden),
            found.reshape(length, texts, hidden).swapaxes(0, 1),  # the places of all texts together
            found.reshape(texts, hidden, length).swapaxes(1, 2),  # channels first
        )
        return any(_alike(each[counted], expected) for each in layouts)
    return found.size == expected.size and _alike(found.reshape(expected.shape), expected)


def _alike(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(found - expected).max() < SAME)  # NaN is not the same either
