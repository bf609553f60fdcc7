"""Runs of a whole graph on probes, which keep what was computed on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from hub2hf.analysis.flow import CHOICES
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.variables import VARIABLE_OPS

NO_VARIABLE = no_variable("takes part where none should")
SMALL = 16  # elements of an integer that is kept of a run: a shape, or a part of one

Feeds = Mapping[TensorRef, Any]


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
        the first id of a text may be pooled, attended or not."""
        counted = self.attended.copy()
        counted[:, :1] = True
        return counted

    @classmethod
    def padded(cls, ids: np.ndarray, pad_id: int, row: int = 0) -> Probe:
        """Return the probe of texts that are padded with `pad_id`, all of token type `row`."""
        return cls(ids, ids != pad_id, np.full_like(ids, row))


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
class Watched:
    """What a run keeps.

    Attributes:
        taps: stage → the tensor that holds it, in the order of the computation.
        ids: the tensor of the ids that are looked up.
        conditionals: nodes whose decisions are taken note of.
        kept: further tensors.
        outputs: further outputs of the graph, by name.
    """

    taps: Mapping[str, TensorRef]
    ids: TensorRef
    conditionals: Sequence[Node] = ()
    kept: frozenset[TensorRef] = frozenset()
    outputs: Mapping[str, TensorRef] = field(default_factory=dict)


class ObservedRun:
    """One run of the whole graph that keeps the value of every stage, and the shapes of all values.

    Args:
        graph: the graph, calls inlined.
        output: the tensor of the embedding.
        watched: what is kept.
        substitutes: for variables and vocabulary.
        given: what the graph is run on.
        twins: node that is not run → one in whose place it stands, and whose shapes it has.

    Attributes:
        probe: what the ids were that the run looked up, and which of them count.
        until: the stage that the run ends with; "" where it ends with the embedding.
        embedding: the value of the last tensor that was run for.
        others: the value of each further output.
        chosen: (node, value) of what conditionals were decided by.
    """

    def __init__(
        self,
        graph: Graph,
        output: TensorRef,
        watched: Watched,
        substitutes: Substitutes,
        given: Feeding,
        twins: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.graph, self.output, self.given, self.at = graph, output, given, watched.taps
        stages = list(watched.taps)
        # What is decided on the way may be decided after the first layer.
        self.until = "" if given.whole or watched.conditionals or len(stages) < 3 else stages[1]
        self._kept = {ref.node for ref in (*watched.taps.values(), *watched.kept, watched.ids)}
        self._values: dict[TensorRef, Any] = dict(given.feeds)
        self._shapes: dict[str, list[tuple[int, ...]]] = {}
        self._small: dict[TensorRef, np.ndarray] = {}
        self._choices = {node.name: CHOICES[node.op] for node in watched.conditionals}
        self.chosen: set[tuple[str, int]] = set()
        self._substitutes = substitutes
        interpreter = Interpreter(graph, substitutes, self._observe)
        last = self.at[self.until] if self.until else output
        self.embedding, *found = interpreter.run([last, *watched.outputs.values()], given.feeds)
        for left_out, twin in twins.items():
            if twin in self._shapes:
                self._shapes.setdefault(left_out, self._shapes[twin])
        self.probe = self._probe(watched.ids)
        self.others: dict[str, np.ndarray] = dict(zip(watched.outputs, found, strict=True))

    def _probe(self, looked_up: TensorRef) -> Probe:
        """Return what the run was given: of texts, the ids that it looked up."""
        if isinstance(self.given.probe, Probe):
            return self.given.probe
        ids, texts = self.value(looked_up), len(next(iter(self.given.feeds.values())))
        if ids.dtype.kind not in "iu" or ids.size % texts:
            raise GraphError(f"Node '{looked_up.node}' does not make one row of ids per text.", REPORT)
        return Probe.padded(ids.reshape(texts, -1), self.given.probe)

    def _observe(self, node: Node, inputs: Any, outputs: tuple[Any, ...]) -> None:
        if node.function:
            return
        if node.name in self._choices:
            value = inputs[self._choices[node.name]]
            self.chosen.add((node.name, int(value) if "Case" in node.op else int(np.all(value))))
        self._shapes[node.name] = [getattr(value, "shape", ()) for value in outputs]
        for i, value in enumerate(outputs):
            small = isinstance(value, np.ndarray) and value.dtype.kind == "i" and value.size <= SMALL
            if small and node.op != "Const":
                self._small[TensorRef(node.name, i)] = value
            if node.name in self._kept:
                self._values[TensorRef(node.name, i)] = value

    def shape(self, ref: TensorRef) -> tuple[int, ...]:
        """Return the shape that a tensor had."""
        return self._shapes[ref.node][ref.output]

    def shape_seen(self, ref: TensorRef) -> tuple[int, ...] | None:
        """Return the shape that a tensor had; None where it was not computed."""
        if ref in self.given.feeds:
            return np.shape(self.given.feeds[ref])
        found = self._shapes.get(ref.node, ())
        return found[ref.output] if ref.output < len(found) else None

    def value(self, ref: TensorRef) -> np.ndarray:
        """Return the value of a stage, of what was kept, or of what was fed; of a list of tensors, that as it is.

        Raises:
            GraphError: it was not computed.
        """
        if ref == self.output and not self.until:
            return np.asarray(self.embedding)
        if ref not in self._values:
            raise GraphError(f"The value of '{ref}' was not seen in a run.", REPORT)
        found: np.ndarray = self._values[ref]
        return found

    def part(
        self, fetches: Sequence[TensorRef], feeds: Feeds, variable: Callable[[str], np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run the part of the graph from `feeds` to `fetches`; the shapes of all values stay as they were.

        Raises:
            GraphError: it takes a variable, and `variable`, which gives their values, is None.
        """
        kept = {ref: value for ref, value in self._small.items() if ref not in fetches}
        given = {**kept, **feeds}
        run = Interpreter(self.graph, Substitutes(variable or NO_VARIABLE, {})).run
        try:
            values = run(fetches, given)
        except GraphError:
            entering = self._entering(fetches, given)
            if not entering:
                raise
            values = run(fetches, {**given, **entering})
        return [np.asarray(value) for value in values]

    def _entering(self, fetches: Sequence[TensorRef], given: Feeds) -> dict[TensorRef, Any]:
        """Return the values, in this run, of what `fetches` depend on beside what is given: which tokens are padding, where
        they stand. What is made of weights is none of them."""
        inside: set[str] = set()  # nodes that depend on what is given
        of_weights: set[str] = set()
        found: dict[TensorRef, None] = {}
        order = order_of(self.graph, fetches, frozenset(given))
        of_text = {ref.node for ref in self.given.feeds}
        for node in order:
            before = [ref for ref in node.inputs if ref not in given]
            names = {ref.node for ref in before}
            if len(before) < len(node.inputs) or names & inside:
                inside.add(node.name)
                found |= dict.fromkeys(ref for ref in before if ref.node in of_text - inside)
            elif node.op in VARIABLE_OPS or names & of_weights:
                of_weights.add(node.name)
            elif names & of_text:
                of_text.add(node.name)
        missing = [ref for ref in found if ref not in self._values]
        if missing:
            values = Interpreter(self.graph, self._substitutes).run(missing, self.given.feeds)
            self._values.update(zip(missing, values, strict=True))
        return {ref: self._values[ref] for ref in found}
