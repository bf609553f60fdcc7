"""How many texts a batch has tells no numbers but shapes: what is proved of a few texts then holds for many.

Probes are few, and a graph may do something else for more of them. What depends on shapes alone is computed for larger
batches, the shapes being those of a run, with more texts in them; nothing of the text itself is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import prod

import numpy as np

from hub2hf.analysis.flow import DATA, SHAPE, SHAPES, Flow
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.savedmodel.node import Node, TensorRef

NO_VARIABLE = no_variable("tells how many texts there are")
COUNTS = (3, 17, 1025)  # texts of a batch
MOST = 1 << 20  # numbers of a tensor that is computed

Shape = tuple[int, ...]
ShapeOf = Callable[[TensorRef], Shape | None]


def check_many(flow: Flow, before: Collection[str], ids: Shape, shape_of: ShapeOf) -> None:
    """See that no numbers depend on how many texts there are.

    Args:
        flow: the graph of an encoder.
        before: the nodes of the text side, which is not looked at.
        ids: the shape of those of a run, [texts, length].
        shape_of: the shape of a tensor in that run; None where it was not computed.

    Raises:
        GraphError: names the node that takes another number in a larger batch.
    """
    many, texts = _Many(flow, ids, shape_of), ids[0]
    taken = {
        ref: node
        for node in flow.nodes.values()
        if flow.kind[node.name] == DATA and node.name not in before and node.op not in SHAPES
        for ref in node.inputs
        if flow.kind[ref.node] == SHAPE and not flow.leaves[ref.node]
    }
    few = many.values(taken, texts)
    told = [few, many.values(few, 1)]
    for count in COUNTS:
        for ref, value in many.values(few, count).items():
            if not any(ref in each and _alike(value, each[ref]) for each in told):
                node = taken[ref]
                raise GraphError(
                    f"Node '{node.name}' ({node.op}) takes another number from node '{ref.node}' where a batch has {count} "
                    "texts: what becomes of a text depends on how many there are.",
                    "Export a graph that treats each text alike.",
                )


class _Many:
    """Computes what depends on shapes alone, for batches of any size."""

    def __init__(self, flow: Flow, ids: Shape, shape_of: ShapeOf) -> None:
        self.flow, self._shape_of = flow, shape_of
        self._texts, self._length = ids
        self._run = Interpreter(flow.graph, Substitutes(NO_VARIABLE, {})).run

    def values(self, refs: Iterable[TensorRef], count: int) -> dict[TensorRef, np.ndarray]:
        """Return the values of those of the tensors that are numbers or truths, and to be had, in a batch of `count`."""
        shapes: dict[TensorRef, np.ndarray] = {}
        wanted = [ref for ref in refs if self._is_small(ref, count) and self._add_shapes(ref, count, shapes)]
        try:
            values = self._run(wanted, shapes)
        except GraphError:  # one of them cannot be computed: which?
            return {} if len(wanted) < 2 else {k: v for ref in wanted for k, v in self.values([ref], count).items()}
        return {
            ref: value for ref, value in zip(wanted, map(np.asarray, values), strict=True) if value.dtype.kind in "fb"
        }

    def _is_small(self, ref: TensorRef, count: int) -> bool:
        shape = self._shape_of(ref)
        return shape is not None and prod(shape) * count <= MOST * self._texts

    def _add_shapes(self, ref: TensorRef, count: int, found: dict[TensorRef, np.ndarray]) -> bool:
        """Add the shapes that a tensor depends on; return whether all of them were seen."""
        stack, seen = [ref.node], {ref.node}
        while stack:
            node = self.flow.nodes[stack.pop()]
            for i, taken in enumerate(node.inputs):
                if node.op in SHAPES:
                    shape = self._shape(taken, count)
                    told = None if shape is None else _told(node, shape)
                    if told is None:
                        return False
                    found[TensorRef(node.name, i)] = told
                elif taken.node not in seen:
                    seen.add(taken.node)
                    stack.append(taken.node)
        return True

    def _shape(self, ref: TensorRef, count: int) -> Shape | None:
        """Return the shape of a tensor: texts are counted by its first axis, perhaps several times over."""
        shape = self._shape_of(ref)
        if not shape or shape[0] % self._texts or shape[0] == self._length or self.flow.kind[ref.node] != DATA:
            return shape
        return (shape[0] // self._texts * count, *shape[1:])


def _told(node: Node, shape: Shape) -> np.ndarray | None:
    """Return what a node makes of a tensor of a shape; None where these are no numbers."""
    if node.op in ("ZerosLike", "OnesLike"):
        dtype = node.attr("T")
        return None if isinstance(dtype, str) else np.broadcast_to(np.asarray(node.op == "OnesLike", dtype), shape)
    value = {"Size": prod(shape), "Rank": len(shape)}.get(node.op, shape)
    return np.asarray(value, str(node.attr("out_type", "int32")))


def _alike(found: np.ndarray, few: np.ndarray) -> bool:
    """Whether a value of many texts is that of a few, or has the same rows and more of them."""
    if found.shape == few.shape:
        return np.array_equal(found, few, equal_nan=found.dtype.kind == "f")
    rows = min(len(found), len(few)) if found.ndim == few.ndim > 0 else 0
    return found.shape[1:] != few.shape[1:] or np.array_equal(found[:rows], few[:rows])
