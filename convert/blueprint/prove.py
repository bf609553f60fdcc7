"""Runs of a whole graph on probes, held against what was read of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hub2hf.blueprint.encoder import Read
from hub2hf.blueprint.read_encoder import SAME, identify_activation
from hub2hf.blueprint.reference import Hypothesis, Probe, stages
from hub2hf.blueprint.structure import CHOICES, REPORT, Structure
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

EMBEDDING = "embedding"
SMALL = 16  # elements of an integer that is kept of a run: a shape, or a part of one

Feeds = Mapping[TensorRef, Any]


@dataclass(frozen=True)
class Feeding:
    """How a graph is run on a probe: what it is fed, and what it makes of that.

    Attributes:
        feeds: values for its inputs.
        probe: the ids and the mask that these come to, and their token types where the graph is given them; of texts, the
            id that the graph pads theirs with.
        types_given: whether the token types are an input; otherwise the graph adds one row to every token.
        whole: whether every stage is to be run; otherwise the first layer shows what this is fed for.
    """

    feeds: Feeds
    probe: Probe | int
    types_given: bool = False
    whole: bool = True


@dataclass(frozen=True)
class Believed:
    """All that was read of an encoder.

    Attributes:
        hypothesis: what it computes.
        weights: from a state-dict key to its tensor, as TensorFlow multiplies by it: kernels [inputs, outputs].
        types: rows of the token-type embeddings.
    """

    hypothesis: Hypothesis
    weights: Callable[[str], np.ndarray]
    types: int


class ObservedRun:
    """One run of the whole graph that keeps the value of every stage, and the shapes of all values.

    Args:
        graph: the graph, calls inlined.
        output: the tensor of the embedding.
        others: further outputs, by name.
        kept: tensors whose values are kept too.

    Attributes:
        probe: what the ids were that the run looked up, and which of them count.
        named: once proved, which stage each further output is; those that are none are left out.
        chosen: (node, value) of what conditionals were decided by.
    """

    def __init__(
        self,
        graph: Graph,
        output: TensorRef,
        structure: Structure,
        substitutes: Substitutes,
        given: Feeding,
        others: Mapping[str, TensorRef] | None = None,
        kept: Iterable[TensorRef] = (),
    ) -> None:
        self.graph, self.output, self.given, self.layers = graph, output, given, len(structure.layers)
        self.at = stage_tensors(structure)
        # What is decided on the way may be decided after the first layer.
        self._until = "" if given.whole or structure.conditionals or self.layers == 1 else "layer 0"
        self._kept = {ref.node for ref in (*self.at.values(), *kept, structure.lookup.node.input(1))}
        self._values: dict[TensorRef, Any] = dict(given.feeds)
        self._shapes: dict[str, list[tuple[int, ...]]] = {}
        self._small: dict[TensorRef, np.ndarray] = {}
        self._choices = {node.name: CHOICES[node.op] for node in structure.conditionals}
        self.chosen: set[tuple[str, bool]] = set()
        interpreter = Interpreter(graph, substitutes, self._observe)
        self.embedding, *found = interpreter.run(
            [self.at[self._until] if self._until else output, *(others or {}).values()], given.feeds
        )
        self.probe = self._probe(structure.lookup.node.input(1))
        self.named: dict[str, str] = {}
        self.others: dict[str, np.ndarray] = dict(zip(others or {}, found, strict=True))

    def _probe(self, looked_up: TensorRef) -> Probe:
        """Return what the run was given: of texts, the ids that it looked up."""
        if isinstance(self.given.probe, Probe):
            return self.given.probe
        ids, texts = self.value(looked_up), len(next(iter(self.given.feeds.values())))
        if ids.dtype.kind not in "iu" or ids.size % texts:
            raise GraphError(f"Node '{looked_up.node}' does not make one row of ids a text.", REPORT)
        return Probe.padded(ids.reshape(texts, -1), self.given.probe)

    def _observe(self, node: Node, inputs: Any, outputs: tuple[Any, ...]) -> None:
        if node.function:
            return
        if node.name in self._choices:
            self.chosen.add((node.name, bool(np.all(inputs[self._choices[node.name]]))))
        self._shapes[node.name] = [getattr(value, "shape", ()) for value in outputs]
        for i, value in enumerate(outputs):
            if isinstance(value, np.ndarray):
                if value.dtype.kind == "i" and value.size <= SMALL and node.op != "Const":
                    self._small[TensorRef(node.name, i)] = value
                if node.name in self._kept:
                    self._values[TensorRef(node.name, i)] = value

    def shape(self, ref: TensorRef) -> tuple[int, ...]:
        """Return the shape that a tensor had."""
        return self._shapes[ref.node][ref.output]

    def value(self, ref: TensorRef) -> np.ndarray:
        """Return the value of a stage, of what `kept` names, or of what was fed.

        Raises:
            GraphError: it was not computed, or is no array.
        """
        if ref not in self._values:
            raise GraphError(f"The value of '{ref}' was not seen in a run.", REPORT)
        return np.asarray(self._values[ref])

    def part(
        self, fetches: Sequence[TensorRef], feeds: Feeds, variable: Callable[[str], np.ndarray]
    ) -> list[np.ndarray]:
        """Run the part of the graph from `feeds` to `fetches`; the shapes of all values stay as they were."""
        kept = {ref: value for ref, value in self._small.items() if ref not in fetches}
        values = Interpreter(self.graph, Substitutes(variable, {})).run(fetches, {**kept, **feeds})
        return [np.asarray(value) for value in values]

    def activation(self, start: Node, end: TensorRef, *, last: bool) -> tuple[Read[str], Read[bool]]:
        """Identify the activation between the output of `start` and the tensor `end`."""
        begin = TensorRef(start.name)

        def evaluate(x: np.ndarray) -> np.ndarray:
            return self.part([end], {begin: x}, _no_variable)[0]

        return identify_activation(evaluate, self.shape(begin), start, end, last=last)

    def prove(self, believed: Believed, rows: range | None = None) -> int:
        """Hold every stage of the graph against `believed`; return the token-type row that makes it true.

        Args:
            believed: what was read.
            rows: the rows to try; all by default. Not of concern where token types are given.

        Raises:
            GraphError: names the first stage where the graph computes something else.
        """
        departed: tuple[str, str] | None = None
        probe = self.probe
        tried = range(1) if self.given.types_given else rows or range(believed.types)
        for row in tried:
            types = probe.types if self.given.types_given else np.full_like(probe.ids, row)
            departed = self._departure(believed, replace(probe, types=types))
            if departed is None:
                return row
            if departed[0] != "embeddings":
                break
        stage, where = departed or ("embeddings", self.output.node)
        stage = f"layer {self.layers - 1} and its first token" if stage == "first token" else stage
        texts, length = probe.ids.shape
        raise GraphError(
            f"What was read of the encoder does not hold: the stage '{stage}', which ends at node '{where}', computes "
            f"something else (seen in {texts} texts of {length} ids).",
            REPORT,
        )

    def _departure(self, believed: Believed, probe: Probe) -> tuple[str, str] | None:
        self.named.clear()
        for stage, expected in stages(probe, believed.weights, believed.hypothesis):
            for name, value in self.others.items():
                if same(value, expected, probe):
                    self.named[name] = stage  # of two stages that are the same, the later
            if stage in self.at:
                found, where = self._values[self.at[stage]], self.at[stage].node
            elif stage == EMBEDDING:
                found, where = self.embedding, self.output.node
            else:
                continue
            if not same(found, expected, probe):
                return stage, where
            if stage == self._until:
                return None
        return None


def _no_variable(name: str) -> np.ndarray:
    raise GraphError(f"Variable '{name}' takes part in an activation.", REPORT)


def same(found: np.ndarray, expected: np.ndarray, probe: Probe) -> bool:
    """Tell whether a stage is what it should be, at the tokens that count where it is of all, or at the first of each text.

    A stage of all tokens has as many rows as they count; so has one of first tokens, where texts are as short as that.
    """
    hidden = expected.shape[-1]
    if found.size == probe.ids.size * hidden and len(expected) == probe.counted.sum():
        found = found.reshape(-1, hidden)[probe.counted.ravel()]
    if found.size != expected.size:
        return False
    return bool(np.abs(found.reshape(expected.shape) - expected).max() < SAME)  # NaN is not the same either


def stage_tensors(structure: Structure) -> dict[str, TensorRef]:
    """Return stage → the tensor that holds it."""
    at = {}
    for i, layer in enumerate(structure.layers):
        # The values, not the queries: in the last layer the first token may be the only one that asks.
        at[f"layer {i - 1}" if i else "embeddings"] = layer.value.product.data
    at["first token"] = structure.pooler.product.data
    return at
