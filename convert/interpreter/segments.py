"""Reductions by segment: `Segment*`, `UnsortedSegment*`, `SparseSegment*`, in one pass over sorted ids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from hub2hf.errors import GraphError
from hub2hf.interpreter.registry import Caller, Value, bounded, operation
from hub2hf.savedmodel.node import Node

COMBINE: dict[str, Any] = {
    "Sum": np.add,
    "Mean": np.add,
    "SqrtN": np.add,
    "Prod": np.multiply,
    "Max": np.maximum,
    "Min": np.minimum,
}


def _floats(dtype: np.dtype[Any]) -> Any:
    return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the least number of a type; TensorFlow's maximum of nothing in a segment."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else _floats(dtype).min


def highest(dtype: np.dtype[Any]) -> Any:
    """Return the greatest number of a type."""
    return np.iinfo(dtype).max if dtype.kind in "iu" else _floats(dtype).max


def float_limit(node: Node, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of numbers that the graph has where the interpreter has float64."""
    kind = node.attr("T", dtype)
    return np.dtype(kind) if not isinstance(kind, str) and dtype.kind == "f" else dtype


def reduced(x: np.ndarray, ids: np.ndarray, count: int, kind: str, empty: Any) -> np.ndarray:
    """Combine the rows of x [n, ...] that have one id into [count, ...].

    Args:
        x: the rows.
        ids: [n]; negative ones are left out.
        count: of segments, more than any id.
        kind: a key of COMBINE.
        empty: what a segment without rows is.
    """
    order = np.argsort(ids, kind="stable") if (ids[1:] < ids[:-1]).any() else np.arange(len(ids))
    order = order[np.searchsorted(ids[order], 0) :]
    out = np.full((count, *x.shape[1:]), empty, x.dtype)
    if not len(order) or not x.size:
        return out
    present, first, sizes = np.unique(ids[order], return_index=True, return_counts=True)
    total = COMBINE[kind].reduceat(x[order], first, axis=0, dtype=x.dtype)
    if kind in ("Mean", "SqrtN"):
        divisor = sizes if kind == "Mean" else np.sqrt(sizes)
        shaped = divisor.reshape(-1, *[1] * (x.ndim - 1))
        total = total / shaped if x.dtype.kind in "fc" else (np.sign(total) * (np.abs(total) // shaped)).astype(x.dtype)
    out[present] = total
    return out


def _rows_cost(node: Node, inputs: Sequence[Value]) -> int:
    """As many rows as the last id says."""
    ids = np.asarray(inputs[-1] if node.op.startswith("SparseSegment") else inputs[1])
    count = int(ids.max(initial=-1)) + 1
    if node.op.startswith("Unsorted") or node.op.endswith("Segments"):
        count = int(inputs[3 if node.op.endswith("Segments") else 2])
    row = math.prod(np.shape(inputs[0])[np.ndim(inputs[1]) if node.op.startswith("Unsorted") else 1 :])
    return max(0, count) * row + np.size(inputs[1]) * max(1, row)


SEGMENT = {f"Segment{kind}": kind for kind in ("Sum", "Mean", "Prod", "Max", "Min")}
UNSORTED = {f"UnsortedSegment{kind}": kind for kind in ("Sum", "Prod", "Max", "Min")}
SPARSE = {f"SparseSegment{kind}": kind for kind in ("Sum", "Mean", "SqrtN")}


def _identity(kind: str, dtype: np.dtype[Any]) -> Any:
    if kind == "Max":
        return lowest(dtype)
    if kind == "Min":
        return highest(dtype)
    return 1 if kind == "Prod" else 0


@operation(*SEGMENT, cost=_rows_cost)
def _segment(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Ids are sorted; a segment without rows is 0, or 1 for a product."""
    x, ids = np.asarray(inputs[0]), np.asarray(inputs[1]).ravel()
    if (ids[1:] < ids[:-1]).any() or (ids < 0).any() or len(ids) != len(x):
        raise GraphError(f"The {node} takes segment ids that do not rise, or not one a row.", "The graph is damaged.")
    kind = SEGMENT[node.op]
    count = int(ids[-1]) + 1 if len(ids) else 0
    bounded(node, (count, *x.shape[1:]))
    return (reduced(x, ids, count, kind, 1 if kind == "Prod" else 0),)


@operation(*UNSORTED, cost=_rows_cost)
def _unsorted_segment(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Negative ids are left out; a segment without rows is what the operation has as its identity."""
    x, ids, count = np.asarray(inputs[0]), np.asarray(inputs[1]), int(inputs[2])
    if x.shape[: ids.ndim] != ids.shape or (ids >= count).any():
        raise GraphError(f"The {node} takes segment ids that do not fit its data.", "The graph is damaged.")
    kind = UNSORTED[node.op]
    trailing = x.shape[ids.ndim :]
    bounded(node, (count, *trailing))
    rows = x.reshape(ids.size, *trailing)
    return (reduced(rows, ids.ravel(), count, kind, _identity(kind, float_limit(node, x.dtype))),)


@operation(*SPARSE, *(f"{op}WithNumSegments" for op in SPARSE), cost=_rows_cost)
def _sparse_segment(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Rows of the data that `indices` name, by sorted ids."""
    x, indices, ids = np.asarray(inputs[0]), np.ravel(inputs[1]), np.ravel(inputs[2])
    count = int(inputs[3]) if len(inputs) > 3 else int(ids[-1]) + 1 if len(ids) else 0
    if len(indices) != len(ids) or (ids[1:] < ids[:-1]).any() or (len(ids) and (ids[0] < 0 or ids[-1] >= count)):
        raise GraphError(f"The {node} takes segment ids that do not rise.", "The graph is damaged.")
    if ((indices < 0) | (indices >= len(x))).any():
        raise IndexError("an index is outside the data")
    bounded(node, (count, *x.shape[1:]))
    return (reduced(x[indices], ids, count, SPARSE[node.op.removesuffix("WithNumSegments")], 0),)
