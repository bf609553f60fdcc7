"""Ops that sort, search and count: the largest entries, unique ones, places in sorted rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.registry import Caller, Value, bounded, operation
from hub2hf.savedmodel.node import Node


def descending(x: np.ndarray) -> np.ndarray:
    """Return the order of the last axis from the largest entry, the first of equal ones first, int64 like x.

    No number is turned around: the negative of the least integer is itself.
    """
    order = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    return np.asarray(x.shape[-1] - 1 - order)


@operation("TopK", "TopKV2", cost=lambda node, inputs: 4 * np.size(inputs[0]))
def _top_k(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The k largest of each row; of equal ones the first."""
    x = np.asarray(inputs[0])
    k = int(inputs[1]) if len(inputs) > 1 else int(node.attr("k"))
    if x.ndim < 1 or not 0 <= k <= x.shape[-1]:
        raise ValueError(f"the {k} largest of rows in the shape {x.shape}")
    order = descending(x)[..., :k]
    return np.take_along_axis(x, order, -1), order.astype(node.attr("index_type", np.int32))


@operation("InTopK", "InTopKV2", cost=lambda node, inputs: 2 * np.size(inputs[0]))
def _in_top_k(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Whether fewer than k classes are predicted above the target; never where either is not finite."""
    x, targets = np.asarray(inputs[0]), np.asarray(inputs[1])
    k = int(inputs[2]) if len(inputs) > 2 else int(node.attr("k"))
    known = (targets >= 0) & (targets < x.shape[1])
    target = np.take_along_axis(x, np.where(known, targets, 0)[:, np.newaxis], 1)
    finite = np.isfinite(target[..., 0]) & known
    above = (x > target).sum(1)
    finite &= ~(~np.isfinite(x) & ((x > target) | np.isnan(x))).any(1)
    return (finite & (above < k),)


@operation("NthElement", cost=lambda node, inputs: 2 * np.size(inputs[0]))
def _nth(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    rows, n = np.sort(inputs[0], axis=-1), int(inputs[1])
    if not 0 <= n < rows.shape[-1]:
        raise IndexError(f"entry {n} of rows of {rows.shape[-1]}")
    return (rows[..., rows.shape[-1] - 1 - n if node.attr("reverse", False) else n],)


@operation("LowerBound", "UpperBound", cost=lambda node, inputs: np.size(inputs[1]))
def _bound(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    rows, values = (np.asarray(value) for value in inputs)
    side: Any = "left" if node.op == "LowerBound" else "right"
    if rows.ndim != 2 or values.ndim != 2 or len(rows) != len(values):
        raise ValueError(f"sorted rows in the shape {rows.shape} and values in {values.shape}")
    found = [np.searchsorted(row, wanted, side) for row, wanted in zip(rows, values, strict=True)]
    return (np.asarray(found, node.attr("out_type", np.int32)).reshape(values.shape),)


@operation("Bucketize")
def _bucketize(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Boundaries are float32 attributes, and the input is held against them as float32."""
    boundaries = np.asarray(node.attr("boundaries", []), np.float32)
    if (boundaries[1:] < boundaries[:-1]).any():
        raise ValueError("its boundaries do not rise")
    return (np.searchsorted(boundaries, np.asarray(inputs[0], np.float32), "right").astype(np.int32),)


def first_seen(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (places of the first of each different entry [m], which of these each entry is [n], counts [m]) of x [n]."""
    if x.dtype == object:
        places: dict[bytes, int] = {}
        numbers = np.asarray([places.setdefault(item, len(places)) for item in x.tolist()], np.int64)
    else:
        _, numbers = np.unique(x, return_inverse=True)
        _, first = np.unique(numbers, return_index=True)
        numbers = np.argsort(np.argsort(first))[numbers]
    _, first, counts = np.unique(numbers, return_index=True, return_counts=True)
    return first, numbers, counts


def _unique_cost(node: Node, inputs: Sequence[Value]) -> int:
    return np.size(inputs[0]) * (ITEM_BYTES // 8)


@operation("Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", cost=_unique_cost)
def _unique(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Entries, or slices along an axis, in the order in which they first stand."""
    x, kind = np.asarray(inputs[0]), node.attr("out_idx", np.int32)
    axes = np.ravel(inputs[1]) if len(inputs) > 1 else np.zeros(0, int)
    if len(axes) > 1 or (not len(axes) and x.ndim != 1):
        raise ValueError(f"unique entries of the shape {x.shape} along the axes {axes.tolist()}")
    axis = int(axes[0]) if len(axes) else 0
    if x.ndim == 1:
        first, numbers, counts = first_seen(x)
    else:
        rows = np.moveaxis(x, axis, 0).reshape(x.shape[axis], math.prod(x.shape) // max(1, x.shape[axis]))
        keys = np.empty(len(rows), object)
        keys[:] = [tuple(row) for row in rows.tolist()]
        first, numbers, counts = first_seen(keys)
    outputs = (np.take(x, first, axis), numbers.astype(kind), counts.astype(kind))
    return outputs if "Counts" in node.op else outputs[:2]


@operation("ListDiff", cost=_unique_cost)
def _list_diff(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The entries of x that are not in y, in order, and their places."""
    x, y = (np.asarray(value) for value in inputs)
    taken = set(y.tolist())
    places = np.asarray([i for i, item in enumerate(x.tolist()) if item not in taken], np.int64)
    return x[places], places.astype(node.attr("out_idx", np.int32))


@operation("Where", cost=lambda node, inputs: 2 * np.size(inputs[0]) * max(1, np.ndim(inputs[0])))
def _where(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Places of what is not zero, int64 [n, rank]."""
    return (np.argwhere(np.asarray(inputs[0]) != 0).astype(np.int64).reshape(-1, np.ndim(inputs[0])),)


@operation("ArgMax", "ArgMin")
def _arg_extreme(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if np.ndim(inputs[0]) == 0:
        raise ValueError("a scalar has no axis")
    find = np.argmax if node.op == "ArgMax" else np.argmin
    return (np.asarray(find(inputs[0], axis=int(inputs[1]))).astype(node.attr("output_type", np.int64)),)


def _counted(values: np.ndarray, weights: np.ndarray, size: int, binary: bool, kind: Any) -> np.ndarray:
    if binary:
        return (np.bincount(values, minlength=size)[:size] > 0).astype(kind)
    return np.bincount(values, weights if weights.size else None, size)[:size].astype(kind)


def bins(node: Node, rows: Sequence[np.ndarray], weights: Sequence[np.ndarray], size: int, kind: Any) -> np.ndarray:
    """Count the values of each row below `size`, or sum their weights; returns `kind` [rows, size]."""
    bounded(node, (len(rows), size))
    out = np.zeros((len(rows), size), kind)
    for target, row, weight in zip(out, rows, weights, strict=True):
        if (row < 0).any():
            raise GraphError(f"The {node} counts negative numbers.", "TensorFlow refuses it too.")
        inside = row < size
        given = weight[inside] if weight.size else weight
        target[:] = _counted(row[inside], given, size, bool(node.attr("binary_output", False)), kind)
    return out


def _bins_cost(node: Node, inputs: Sequence[Value]) -> int:
    if node.op == "Bincount":
        return int(inputs[1])
    if node.op == "DenseBincount":
        return int(inputs[1]) * (len(inputs[0]) if np.ndim(inputs[0]) > 1 else 1)
    if node.op == "RaggedBincount":
        return int(inputs[2]) * len(inputs[0])
    rows = int(np.ravel(inputs[2])[0]) if np.size(inputs[2]) > 1 else 1
    return (int(inputs[3]) + ITEM_BYTES) * rows


@operation("Bincount", "DenseBincount", cost=_bins_cost)
def _bincount(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, size, weights = np.asarray(inputs[0]), int(inputs[1]), np.asarray(inputs[2])
    flat = x.ndim != 2 or node.op == "Bincount"
    rows = [x.ravel()] if flat else list(x)
    given = [weights.ravel()] if flat else list(weights) if weights.size else [weights] * len(rows)
    out = bins(node, rows, given, size, weights.dtype)
    return (out[0] if flat else out,)


@operation("RaggedBincount", cost=_bins_cost)
def _ragged_bincount(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    splits, x, size, weights = np.asarray(inputs[0]), np.asarray(inputs[1]), int(inputs[2]), np.asarray(inputs[3])
    ends = splits[1:-1].astype(np.int64)
    given = np.split(weights, ends) if weights.size else [weights] * (len(splits) - 1)
    return (bins(node, np.split(x, ends), given, size, weights.dtype),)


@operation("SparseBincount", cost=_bins_cost)
def _sparse_bincount(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    indices, x, shape = (np.asarray(value) for value in inputs[:3])
    size, weights = int(inputs[3]), np.asarray(inputs[4])
    if shape.size == 1:
        return (bins(node, [x], [weights], size, weights.dtype)[0],)
    places = [np.flatnonzero(indices[..., 0] == row) for row in range(*bounded(node, [int(shape[0])]))]
    given = [weights[at] if weights.size else weights for at in places]
    return (bins(node, [x[at] for at in places], given, size, weights.dtype),)
