"""What is computed a part of the tokens at a time, as if it were at once: queries in blocks, inner layers in chunks.

Where parts of one tensor go through the same operations and are put together again, these are done to the whole. That this
is the same is not told by the operations: it is seen in a run, which computes both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hub2hf.analysis.read import SAME
from hub2hf.errors import GraphError
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

Run = Callable[[Graph, Sequence[TensorRef]], list[np.ndarray]]  # the values of tensors of a graph

# Op → its input that is split.
SPLITS = {"Split": 1, "SplitV": 0}
MAX_NODES = 10_000  # that parts go through


def at_once(graph: Graph, order: Sequence[Node], run: Run) -> Graph:
    """Return `graph` with operations on wholes in place of those on parts that are put together again.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        run: runs a graph like it.
    """
    found: dict[str, tuple[TensorRef, dict[str, Node]]] = {}
    for node in order:
        if node.op == "ConcatV2" and len(node.inputs) > 2:
            whole = _Whole(graph, node.name)
            ref = whole.of(node.inputs[:-1])
            if ref is not None and whole.made:
                found[node.name] = ref, whole.made
    try:
        same = _same(graph, found, run)
    except GraphError:  # a shape may be written into the parts of one
        same = [name for name in found if _is_same(graph, name, found[name], run)]
    changed: dict[str, Node] = {}
    for name in same:
        ref, made = found[name]
        changed |= {**made, name: Node.made(name, "Identity", (ref,), function=graph.node(name).function)}
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def _same(graph: Graph, found: Mapping[str, tuple[TensorRef, dict[str, Node]]], run: Run) -> list[str]:
    """Return the nodes whose values are those of the wholes that were found for them."""
    new = {name: node for _, made in found.values() for name, node in made.items()}
    values = run(
        Graph({**graph.nodes, **new}, graph.functions), [ref for ref, _ in found.values()] + [*map(TensorRef, found)]
    )
    pairs = zip(found, values[: len(found)], values[len(found) :], strict=True)
    return [name for name, a, b in pairs if a.shape == b.shape and np.abs(a - b).max(initial=0.0) < SAME]


def _is_same(graph: Graph, name: str, found: tuple[TensorRef, dict[str, Node]], run: Run) -> bool:
    try:
        return bool(_same(graph, {name: found}, run))
    except GraphError:
        return False


class _Whole:
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
            self._known[parts] = self._done(first, parts[0], wholes)
        return []

    def _done(self, node: Node, ref: TensorRef, inputs: Sequence[TensorRef | None]) -> TensorRef | None:
        taken = tuple(each for each in inputs if each is not None)
        if len(taken) < len(inputs):
            return None
        name = f"{node.name}/hub2hf/whole/{self._name}"
        self.made[name] = replace(node, name=name, inputs=taken, control_inputs=())
        return replace(ref, node=name)
