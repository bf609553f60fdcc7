"""What parts of one tensor go through, done to the whole. Whoever takes it runs both, to see that it is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hub2hf.analysis.flow import SLICES
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

# Op → its input that is split.
SPLITS = {"Split": 1, "SplitV": 0}
MAX_NODES = 10_000  # that parts go through


class Whole:
    """What parts go through, done to the whole.

    Args:
        graph: the graph.
        name: of the node that puts the parts together.

    Attributes:
        made: the new nodes.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self._name = graph, name
        self.made: dict[str, Node] = {}
        self._known: dict[tuple[TensorRef, ...], TensorRef | None] = {}

    def of(self, parts: Sequence[TensorRef]) -> TensorRef | None:
        """Return the whole of which `parts` are the same as of the parts of another; None where they are no such."""
        stack = [tuple(parts)]
        while stack:
            asked = stack[-1]
            tick(asked[0].node)
            missing = [] if asked in self._known else self._before(asked)
            if len(self._known) + len(stack) > MAX_NODES:
                return None
            if not missing:
                self._known.setdefault(stack.pop(), None)
            stack += missing
        return self._known[tuple(parts)]

    def _before(self, parts: tuple[TensorRef, ...]) -> list[tuple[TensorRef, ...]]:
        """Note what is known of parts; return what must be known before."""
        nodes = [self.graph.node(ref.node) for ref in parts]
        first = nodes[0]
        if len({*parts}) == 1:
            self._known[parts] = parts[0]
        elif first.op in SPLITS and {node.name for node in nodes} == {first.name}:
            self._known[parts] = first.input(SPLITS[first.op])  # whether all of them, in order, the run tells
        elif len({(node.form, len(node.inputs), ref.output) for node, ref in zip(nodes, parts, strict=True)}) > 1:
            self._known[parts] = None
        elif not first.inputs:
            self._known[parts] = parts[0] if first.op == "Const" else None
        else:
            inputs = list(zip(*(node.inputs for node in nodes), strict=True))
            missing = [each for each in inputs if each not in self._known]
            if missing:
                return missing
            wholes = [self._known[each] for each in inputs]
            if first.op in SLICES and len({*inputs[0]}) == 1 and None in wholes:  # the same is cut at different places
                self._known[parts] = inputs[0][0]
            else:
                self._known[parts] = self._done(first, parts[0], wholes)
        return []

    def _done(self, node: Node, ref: TensorRef, inputs: Sequence[TensorRef | None]) -> TensorRef | None:
        taken = tuple(each for each in inputs if each is not None)
        if len(taken) < len(inputs):
            return None
        name = f"{node.name}/hub2hf/whole/{self._name}"
        self.made[name] = replace(node, name=name, inputs=taken, control_inputs=())
        return ref._replace(node=name)
