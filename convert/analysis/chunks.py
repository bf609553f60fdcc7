"""What is computed a part of the tokens at a time, as if it were at once: queries or keys in blocks, inner layers in chunks.

Where parts of one tensor go through the same operations and are put together again, these are done to the whole; parts may
also be added up, as an attention does with those of its values. That this is the same is not told by the operations: it is
seen in a run, which computes both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hub2hf.analysis.online import keys_at_once
from hub2hf.analysis.read import SAME
from hub2hf.analysis.whole import Whole
from hub2hf.errors import GraphError
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

Run = Callable[[Graph, Sequence[TensorRef]], list[np.ndarray]]  # the values of tensors of a graph


def at_once(graph: Graph, order: Sequence[Node], run: Run) -> Graph:
    """Return `graph` with operations on wholes in place of those on parts that are put together again.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        run: runs a graph like it.
    """
    found: dict[str, tuple[TensorRef, dict[str, Node]]] = {}
    for node in order:
        whole = _put_together(graph, node) or keys_at_once(graph, node)
        if whole is not None:
            found[node.name] = whole
    try:
        same = _same(graph, found, run)
    except GraphError:  # a shape may be written into the parts of one
        same = [name for name in found if _is_same(graph, name, found[name], run)]
    changed: dict[str, Node] = {}
    for name in same:
        ref, made = found[name]
        changed |= {**made, name: Node.made(name, "Identity", (ref,), function=graph.node(name).function)}
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def _put_together(graph: Graph, node: Node) -> tuple[TensorRef, dict[str, Node]] | None:
    """Return what the parts that a node puts together are in whole, and the nodes that make it."""
    if node.op != "ConcatV2" or len(node.inputs) < 3:
        return None
    whole = Whole(graph, node.name)
    ref = whole.of(node.inputs[:-1])
    return None if ref is None or not whole.made else (ref, whole.made)


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
