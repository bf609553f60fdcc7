"""Ops on ragged tensors: row splits and flat values, or variants that hold both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hub2hf.interpreter.registry import MAX_ELEMENTS, Caller, Value, bounded, operation
from hub2hf.interpreter.shapes import ints
from hub2hf.savedmodel.node import Node


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
    """Each level picks rows of the next; an index is that of a row."""
    *splits, values, indices = inputs
    shape, kind = np.shape(indices), np.asarray(splits[0]).dtype
    uniform = [np.arange(math.prod(shape[:axis]) + 1) * shape[axis] for axis in range(1, len(shape))]
    outputs, pick, outer = [], np.ravel(indices).astype(np.int64), True
    for level in splits:
        if outer and ((pick < 0) | (pick >= len(level) - 1)).any():
            raise IndexError("a row is picked that is not there")
        outer = False
        starts, lengths = level[:-1][pick].astype(np.int64), np.diff(level)[pick].astype(np.int64)
        ends = np.cumsum(lengths)
        below = np.concatenate([[0], ends])
        outputs.append(below.astype(level.dtype))
        pick = np.repeat(starts - (ends - lengths), lengths) + np.arange(int(below[-1]))
    return (*(level.astype(kind) for level in uniform), *outputs, np.asarray(values)[pick])


def _range_cost(node: Node, inputs: Sequence[Value]) -> int:
    starts, ends, deltas = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in inputs))
    with np.errstate(all="ignore"):
        lengths = np.nan_to_num((ends - starts) / deltas, nan=0.0, posinf=1e18, neginf=0.0)
    return int(np.clip(lengths, 0, 1e18).sum())


@operation("RaggedRange", cost=_range_cost)
def _ragged_range(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    starts, limits, deltas = np.broadcast_arrays(*map(np.atleast_1d, inputs))
    if (deltas == 0).any():
        raise ValueError("a step is zero")
    if starts.dtype.kind in "iu":
        below = np.where(deltas > 0, limits - starts + deltas - 1, limits - starts + deltas + 1) // deltas
        lengths = np.maximum(np.where(deltas > 0, limits > starts, limits < starts) * below, 0).astype(np.int64)
    else:
        lengths = np.maximum(np.ceil(np.abs((limits - starts) / deltas)) * ((limits - starts) * deltas > 0), 0).astype(
            np.int64
        )
    ends = np.cumsum(lengths)
    steps = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
    values = np.repeat(starts, lengths) + steps * np.repeat(deltas, lengths)
    kind = np.asarray(inputs[0]).dtype
    return np.concatenate([[0], ends]).astype(node.attr("Tsplits", np.int64)), values.astype(kind)


def _levels(kinds: Sequence[str], partitions: Sequence[Value]) -> list[np.ndarray]:
    """Return each ragged dimension as row splits [rows + 1], outermost first."""
    levels = []
    first = kinds[0] == "FIRST_DIM_SIZE"
    rows = int(partitions[0]) if first else -1
    if rows > MAX_ELEMENTS:
        raise ValueError(f"{rows} rows")
    for kind, partition in zip(kinds[first:], partitions[first:], strict=True):
        if kind == "VALUE_ROWIDS":
            if np.max(partition, initial=-1) >= rows:
                raise ValueError("a row is named that is not there")
            lengths = np.bincount(np.asarray(partition, np.int64), minlength=rows)
            level = np.concatenate([[0], np.cumsum(lengths)])
        elif kind == "ROW_SPLITS":
            level = np.asarray(partition, np.int64)
            if level[0] != 0 or (level[1:] < level[:-1]).any() or level[-1] > MAX_ELEMENTS:
                raise ValueError("row splits that do not rise, or too far")
            if rows not in (-1, len(level) - 1):
                raise ValueError(f"{len(level) - 1} rows of {rows}")
        else:
            raise ValueError(f"rows told by {kind}")
        levels.append(level)
        rows = int(level[-1])
    return levels


def _dense_shape(node: Node, inputs: Sequence[Value]) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """Return the levels of splits and the shape of the dense tensor: as asked for, or as large as the rows."""
    shape, values, _, *partitions = inputs
    kinds = [kind.decode() if isinstance(kind, bytes) else str(kind) for kind in node.attr("row_partition_types")]
    levels = _levels(kinds, partitions)
    least = [len(levels[0]) - 1, *(int(np.diff(level).max(initial=0)) for level in levels), *np.shape(values)[1:]]
    wanted = ints(shape) if np.ndim(shape) else (-1,) * len(least)
    if len(wanted) != len(least):
        raise ValueError(f"the shape {wanted} of {len(least)} axes")
    return levels, tuple(size if size >= 0 else own for size, own in zip(wanted, least, strict=True))


@operation("RaggedTensorToTensor", cost=lambda node, inputs: math.prod(_dense_shape(node, inputs)[1]))
def _ragged_to_tensor(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Rows longer than the shape are cut, shorter ones are filled with the default."""
    values, default = np.asarray(inputs[1]), np.asarray(inputs[2])
    levels, shape = _dense_shape(node, inputs)
    bounded(node, shape)
    places = np.arange(len(levels[0]) - 1)[:, np.newaxis]
    for level in levels:
        lengths = np.diff(level)
        column = np.arange(int(level[-1])) - np.repeat(level[:-1], lengths)
        places = np.concatenate([np.repeat(places, lengths, axis=0), column[:, np.newaxis]], 1)
    if len(places) != len(values):
        raise ValueError(f"{len(values)} values in {len(places)} places")
    depth = len(levels) + 1
    trailing = shape[depth:]
    if trailing != values.shape[1:]:
        raise ValueError(f"values {values.shape} in the shape {shape}")
    out = np.empty(shape, values.dtype)
    out[...] = default
    kept = (places < np.asarray(shape[:depth])).all(1)
    out[tuple(places[kept].T)] = values[kept]
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


@operation("RaggedFillEmptyRows", cost=lambda node, inputs: 4 * (int(inputs[2]) + np.size(inputs[1])))
def _fill_empty_rows(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Give each row without values the default; rows are told by the ids of their values, which rise."""
    ids, values, default = np.asarray(inputs[0]), np.asarray(inputs[1]), np.asarray(inputs[3])
    (rows,) = bounded(node, [int(inputs[2])])
    if ((ids < 0) | (ids >= rows)).any() or len(ids) != len(values):
        raise ValueError("row ids do not fit the values or the number of rows")
    empty = np.bincount(ids, minlength=rows) == 0
    added = np.flatnonzero(empty)
    filler = np.empty(len(added), values.dtype)
    filler[...] = default
    every = np.concatenate([ids, added])
    order = np.argsort(every, kind="stable")
    back = np.argsort(order)[: len(ids)].astype(np.int64)
    return every[order].astype(np.int64), np.concatenate([values, filler])[order], empty, back
