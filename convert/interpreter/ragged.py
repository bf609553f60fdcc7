"""Ops on ragged tensors: row splits and flat values, or variants that hold both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from convert.interpreter.registry import Caller, Value, bounded, operation
from convert.interpreter.shapes import ints
from convert.savedmodel.node import Node


def _rows(splits: Value) -> list[tuple[int, int]]:
    """Return (start, limit) of each row of a ragged tensor from its row splits [rows + 1]."""
    return [(int(a), int(b)) for a, b in pairwise(splits)]


def spans(splits: Value) -> int:
    """Return how many elements row splits speak of; hostile ones speak of the same again and again."""
    return int(np.maximum(np.diff(np.ravel(splits)), 0).sum())


def _gather_cost(node: Node, inputs: Sequence[Value]) -> int:
    *splits, values, indices = inputs
    row = max((int(np.max(np.diff(level), initial=0)) for level in splits), default=1)
    return int(np.size(indices) * row ** len(splits) * math.prod(np.shape(values)[1:]))


@operation("RaggedGather", cost=_gather_cost)
def _ragged_gather(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    *splits, values, indices = inputs
    outputs = []
    pick = np.ravel(indices)
    for level in splits:
        pick = np.asarray(pick, np.int64)
        lengths = (level[pick + 1] - level[pick]).astype(np.int64)
        ends = np.cumsum(lengths)
        outputs.append(np.concatenate([[0], ends]).astype(level.dtype))
        pick = np.repeat(level[pick] - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
    return (*outputs, values[pick.astype(np.int64)])


def _range_cost(node: Node, inputs: Sequence[Value]) -> int:
    starts, ends, deltas = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in inputs))
    with np.errstate(all="ignore"):
        lengths = np.nan_to_num((ends - starts) / deltas, nan=0.0, posinf=1e18, neginf=0.0)
    return int(np.clip(lengths, 0, 1e18).sum())


@operation("RaggedRange", cost=_range_cost)
def _ragged_range(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    starts, limits, deltas = np.broadcast_arrays(*inputs)
    rows = [np.arange(a, b, d) for a, b, d in zip(*map(np.atleast_1d, (starts, limits, deltas)), strict=True)]
    lengths = [0, *(len(row) for row in rows)]
    values = np.concatenate(rows or [np.zeros(0)]).astype(np.asarray(inputs[0]).dtype)
    return (np.cumsum(lengths).astype(node.attr("Tsplits", np.int64)), values)


@operation("RaggedTensorToTensor")
def _ragged_to_tensor(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """One ragged dimension, given as row splits, row lengths or value row ids; longer rows are cut."""
    shape, values, default, *partitions = inputs
    kinds = [k.decode() if isinstance(k, bytes) else k for k in node.attr("row_partition_types")]
    if kinds[0] == "FIRST_DIM_SIZE":
        count = int(partitions[0])
        lengths = np.bincount(partitions[1].astype(np.int64), minlength=count)
        splits = np.concatenate([[0], np.cumsum(lengths)])
    else:
        splits = partitions[0] if kinds[0] == "ROW_SPLITS" else np.concatenate([[0], np.cumsum(partitions[0])])
    rows = _rows(splits)
    wanted = ints(shape) if np.size(shape) > 1 else (-1, -1)
    height = wanted[0] if wanted[0] >= 0 else len(rows)
    width = wanted[1] if wanted[1] >= 0 else max((b - a for a, b in rows), default=0)
    out = np.full(bounded(node, (height, width, *values.shape[1:])), default, dtype=values.dtype)
    for row, (a, b) in zip(out, rows, strict=False):
        row[: b - a] = values[a : min(b, a + width)]
    return (out,)


@dataclass(frozen=True)
class RaggedVariant:
    """A ragged tensor as one value: its row splits, outermost first, and its flat values."""

    splits: tuple[np.ndarray, ...]
    values: np.ndarray

    def rows(self) -> list[RaggedVariant]:
        """Return the rows, each with one level of splits less."""
        if not self.splits:
            return [RaggedVariant((), row) for row in self.values]
        outer, *inner = self.splits
        return [_between(inner, self.values, a, b) for a, b in _rows(outer)]


def _between(splits: Sequence[np.ndarray], values: np.ndarray, start: int, limit: int) -> RaggedVariant:
    """Return the rows from `start` to `limit` of the ragged tensor of `splits` and `values`."""
    kept = []
    for level in splits:
        part = level[start : limit + 1]
        kept.append(part - part[0])
        start, limit = int(part[0]), int(part[-1])
    return RaggedVariant(tuple(kept), values[start:limit])


@operation("RaggedTensorToVariant", cost=lambda node, inputs: 8 * sum(map(np.size, inputs)))
def _to_variant(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    *splits, values = inputs
    whole = RaggedVariant(tuple(splits), np.asarray(values))
    return (variants(whole.rows()) if node.attr("batched_input") else variants([whole]).reshape(()),)


def variants(items: Sequence[object]) -> np.ndarray:
    """Return variants as an object array [items]."""
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


@operation("RaggedTensorFromVariant")
def _from_variant(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A vector of variants is one ragged tensor more deeply nested; TensorFlow makes no deeper ones of text."""
    encoded = np.asarray(inputs[0], dtype=object)
    rank, kind = node.attr("output_ragged_rank"), node.attr("Tsplits", np.int64)
    if encoded.ndim == 0:
        item = encoded.item()
        return (*(level.astype(kind) for level in item.splits), item.values)
    if encoded.ndim > 1:
        raise ValueError(f"variants of rank {encoded.ndim}")
    items = list(encoded)
    lengths = [len(item.splits[0]) - 1 if item.splits else len(item.values) for item in items]
    levels = [np.cumsum([0, *lengths])]
    for depth in range(rank - 1):
        levels.append(np.cumsum([0, *(size for item in items for size in np.diff(item.splits[depth]))]))
    value_kind = node.attr("Tvalues")
    nothing = np.zeros(0, object if isinstance(value_kind, str) else value_kind)
    values = np.concatenate([item.values for item in items]) if items else nothing
    return (*(level.astype(kind) for level in levels), values)
