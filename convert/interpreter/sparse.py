"""Sparse tensors: indices int64 [n, rank], values [n], shape int64 [rank], as three inputs or outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hub2hf.interpreter.registry import Caller, Value, bounded, operation
from hub2hf.interpreter.shapes import inside, ints, zero
from hub2hf.interpreter.utf import row_lengths
from hub2hf.savedmodel.node import Node


@dataclass(frozen=True)
class Sparse:
    """A sparse tensor; entries may repeat and be in any order."""

    indices: np.ndarray
    values: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def of(cls, indices: Value, values: Value, shape: Value) -> Sparse:
        """Take in three tensors.

        Raises:
            ValueError: they do not fit each other.
            IndexError: an entry is outside the shape.
        """
        places, found, sizes = np.asarray(indices), np.asarray(values), ints(shape) if np.size(shape) else ()
        if places.ndim != 2 or places.shape != (len(found), len(sizes)):
            raise ValueError(f"indices {places.shape}, values {found.shape}, shape {sizes}")
        inside(places, sizes)
        return cls(places, found, sizes)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The three tensors."""
        return self.indices.astype(np.int64), self.values, np.asarray(self.shape, np.int64)

    def sorted(self) -> Sparse:
        """Return it in row-major order, equal places in the order they had."""
        order = (
            np.lexsort(self.indices.T[::-1]) if len(self.shape) and len(self.values) else np.arange(len(self.values))
        )
        return Sparse(self.indices[order], self.values[order], self.shape)

    def dense(self, node: Node) -> np.ndarray:
        """Return it with zeros in between; the last of equal places counts."""
        out = np.full(bounded(node, self.shape), zero(self.values.dtype), self.values.dtype)
        out[tuple(self.indices.T)] = self.values
        return out


def _dense_cost(at: int = 2) -> Callable[[Node, Sequence[Value]], int]:
    return lambda node, inputs: math.prod(max(0, size) for size in ints(inputs[at]))


@operation("SparseToDense", cost=lambda node, inputs: math.prod(ints(inputs[1])))
def _to_dense(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Indices as a scalar, a vector of places in one axis, or a matrix."""
    indices, values, default = np.asarray(inputs[0]), np.asarray(inputs[2]), np.asarray(inputs[3])
    shape = ints(inputs[1]) if np.size(inputs[1]) else ()
    places = indices.reshape(-1, 1) if indices.ndim < 2 else indices
    if places.shape[1] != len(shape) or (values.ndim and len(values) != len(places)):
        raise ValueError(f"indices {indices.shape} and values {values.shape} for the shape {shape}")
    inside(places, shape)
    if node.attr("validate_indices", True) and len(places) > 1:
        order = np.lexsort(places.T[::-1])
        if (np.diff(order) != 1).any() or (np.diff(places, axis=0) == 0).all(1).any():
            raise ValueError("indices repeat or are not in order")
    out = np.full(bounded(node, shape), default, values.dtype)
    out[tuple(places.T)] = values
    return (out,)


@operation("SparseReorder")
def _reorder(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return Sparse.of(*inputs).sorted().outputs[:2]


@operation("SparseReshape")
def _sparse_reshape(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    indices, old, new = np.asarray(inputs[0]), ints(inputs[1]), list(ints(inputs[2]))
    size = math.prod(old)
    if new.count(-1) > 1 or any(n < -1 for n in new):
        raise ValueError(f"the shape {new}")
    if -1 in new:
        rest = math.prod(n for n in new if n != -1)
        new[new.index(-1)] = size // rest if rest else 0
    if math.prod(new) != size or size > 1 << 62:
        raise ValueError(f"the shape {list(old)} as {new}")
    inside(indices, old)
    flat = np.ravel_multi_index(tuple(indices.T), old) if len(indices) else np.zeros(0, np.int64)
    places = np.stack(np.unravel_index(flat, new), 1) if len(indices) else np.zeros((0, len(new)))
    return places.astype(np.int64), np.asarray(new, np.int64)


def _empty_rows_cost(node: Node, inputs: Sequence[Value]) -> int:
    return 4 * (int(np.ravel(inputs[2])[0]) + np.size(inputs[0]))


@operation("SparseFillEmptyRows", cost=_empty_rows_cost)
def _fill_empty_rows(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Give each row without entries one at its first place."""
    x, default = Sparse.of(*inputs[:3]), np.asarray(inputs[3])
    (rows,) = bounded(node, x.shape[:1])
    empty = np.bincount(x.indices[..., 0], minlength=rows) == 0
    added = np.zeros((int(empty.sum()), len(x.shape)), np.int64)
    added[..., 0] = np.flatnonzero(empty)
    filler = np.full(len(added), default, x.values.dtype)
    places = np.concatenate([x.indices, added])
    order = np.argsort(places[..., 0], kind="stable")
    back = np.argsort(order)[: len(x.values)].astype(np.int64)
    return places[order].astype(np.int64), np.concatenate([x.values, filler])[order], empty, back


@operation("SparseConcat", cost=lambda node, inputs: 2 * sum(map(np.size, inputs)))
def _concat(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    count = len(inputs) // 3
    parts = [Sparse.of(*inputs[i::count]) for i in range(count)]
    axis = int(node.attr("concat_dim")) % len(parts[0].shape)
    rest = {(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts}
    if len(rest) != 1:
        raise ValueError("shapes differ beside the axis along which they are joined")
    shape, indices = list(parts[0].shape), []
    shape[axis] = 0
    for part in parts:
        moved = part.indices.copy()
        moved[:, axis] += shape[axis]
        indices.append(moved)
        shape[axis] += part.shape[axis]
    return (
        Sparse(np.concatenate(indices), np.concatenate([part.values for part in parts]), tuple(shape)).sorted().outputs
    )


def _cut(x: Sparse, start: Sequence[int], size: Sequence[int]) -> Sparse:
    low = np.asarray(start, np.int64)
    ends = np.minimum(low + np.asarray(size, np.int64), x.shape)
    kept = ((x.indices >= low) & (x.indices < ends)).all(1)
    shape = tuple(max(0, int(n)) for n in ends - low)
    return Sparse(x.indices[kept] - low, x.values[kept], shape)


@operation("SparseSlice")
def _slice(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if any(n < 0 for n in ints(inputs[4])):
        raise ValueError("a size is negative")
    return _cut(Sparse.of(*inputs[:3]), ints(inputs[3]), ints(inputs[4])).outputs


@operation("SparseSplit", cost=lambda node, inputs: 64 * int(node.attr("num_split")) + 2 * np.size(inputs[1]))
def _split(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Parts along an axis, the first ones longer by one where it does not divide."""
    x, count = Sparse.of(*inputs[1:]), int(node.attr("num_split"))
    axis = int(inputs[0]) % len(x.shape)
    whole, more = divmod(x.shape[axis], count)
    if count > x.shape[axis]:
        raise ValueError(f"{count} parts of {x.shape[axis]}")
    parts, at = [], 0
    for i in range(count):
        start, size = [0] * len(x.shape), list(x.shape)
        start[axis], size[axis] = at, whole + (i < more)
        parts.append(_cut(x, start, size).outputs)
        at += size[axis]
    return tuple(part[i] for i in range(3) for part in parts)


def _merged(a: Sparse, b: Sparse, combine: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sparse:
    """Combine two sparse tensors at the places of either; where one has none it is zero."""
    if a.shape != b.shape:
        raise ValueError(f"the shapes {a.shape} and {b.shape}")
    both = np.concatenate([a.indices, b.indices])
    places, where = np.unique(both, axis=0, return_inverse=True)
    left, right = np.zeros(len(places), a.values.dtype), np.zeros(len(places), b.values.dtype)
    left[where.ravel()[: len(a.values)]] = a.values
    right[where.ravel()[len(a.values) :]] = b.values
    return Sparse(places.reshape(-1, len(a.shape)), combine(left, right), a.shape)


@operation("SparseAdd")
def _add(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Sums of two entries that are below the threshold are left out."""
    a, b, threshold = Sparse.of(*inputs[:3]), Sparse.of(*inputs[3:6]), float(inputs[6])
    total = _merged(a, b, np.add)
    once = Sparse(a.indices, np.ones(len(a.values)), a.shape), Sparse(b.indices, np.ones(len(b.values)), b.shape)
    kept = (_merged(*once, np.add).values < 2) | (np.abs(total.values) >= threshold)
    return Sparse(total.indices[kept], total.values[kept], total.shape).outputs


@operation("SparseSparseMaximum", "SparseSparseMinimum")
def _extreme(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    combine = np.maximum if node.op.endswith("Maximum") else np.minimum
    return _merged(Sparse.of(*inputs[:3]), Sparse.of(*inputs[3:]), combine).outputs[:2]


_DENSE: dict[str, Any] = {"Add": np.add, "Mul": np.multiply, "Div": np.divide}


@operation(*(f"SparseDenseCwise{name}" for name in _DENSE))
def _with_dense(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Only at the places of the sparse tensor; the dense one is broadcast to it."""
    x, name = Sparse.of(*inputs[:3]), node.op.removeprefix("SparseDenseCwise")
    dense = np.broadcast_to(inputs[3], x.shape)[tuple(x.indices.T)]
    if name == "Div" and x.values.dtype.kind in "iu":
        if (dense == 0).any():
            raise ZeroDivisionError("division by zero")
        signs = np.sign(x.values) * np.sign(dense)
        return ((np.abs(x.values) // np.abs(dense) * signs).astype(x.values.dtype),)
    return (_DENSE[name](x.values, dense),)


@operation("SparseTensorDenseAdd", cost=lambda node, inputs: np.size(inputs[3]))
def _dense_add(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, out = Sparse.of(*inputs[:3]), np.array(inputs[3])
    if x.shape != out.shape:
        raise ValueError(f"the shapes {x.shape} and {out.shape}")
    np.add.at(out, tuple(x.indices.T), x.values)
    return (out,)


def _product_cost(node: Node, inputs: Sequence[Value]) -> int:
    rows, columns = np.shape(inputs[3])
    shape = ints(inputs[2])
    return int(shape[1 if node.attr("adjoint_a", False) else 0] * (rows if node.attr("adjoint_b", False) else columns))


@operation("SparseTensorDenseMatMul", cost=_product_cost)
def _dense_product(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, b = Sparse.of(*inputs[:3]), np.asarray(inputs[3])
    left, right = bool(node.attr("adjoint_a", False)), bool(node.attr("adjoint_b", False))
    b = b.conj().T if right else b
    rows, columns = x.indices.T[::-1] if left else x.indices.T
    shape = x.shape[::-1] if left else x.shape
    if len(shape) != 2 or b.ndim != 2 or shape[1] != b.shape[0]:
        raise ValueError(f"the product of {shape} and {b.shape}")
    out = np.zeros(bounded(node, (shape[0], b.shape[1])), b.dtype)
    np.add.at(out, rows, (x.values.conj() if left else x.values)[:, np.newaxis] * b[columns])
    return (out,)


@operation("SparseMatMul", cost=lambda node, inputs: max(np.shape(inputs[0])) * max(np.shape(inputs[1])))
def _product(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A dense product of matrices that hold many zeros."""
    a, b = (np.asarray(value) for value in inputs)
    return ((a.T if node.attr("transpose_a", False) else a) @ (b.T if node.attr("transpose_b", False) else b),)


def _reduced(node: Node, inputs: Sequence[Value]) -> tuple[Sparse, bool]:
    """Return the reduction over some axes, at the places that entries lead to, and whether all axes are gone."""
    x, axes = Sparse.of(*inputs[:3]), {int(axis) % max(1, len(inputs[2])) for axis in np.ravel(inputs[3])}
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    places, where = np.unique(x.indices[:, kept], axis=0, return_inverse=True)
    if "Max" in node.op:
        totals = np.full(
            len(places), -np.inf if x.values.dtype.kind == "f" else np.iinfo(x.values.dtype).min, x.values.dtype
        )
        np.maximum.at(totals, where.ravel(), x.values)
    else:
        totals = np.zeros(len(places), x.values.dtype)
        np.add.at(totals, where.ravel(), x.values)
    shape = [x.shape[axis] for axis in kept]
    if node.attr("keep_dims", False):
        full = np.zeros((len(places), len(x.shape)), np.int64)
        full[:, kept] = places
        places, shape = full, [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    return Sparse(places.reshape(len(totals), len(shape)), totals, tuple(shape)), not kept


@operation("SparseReduceMax", "SparseReduceSum", cost=_dense_cost())
def _reduce(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    total, whole = _reduced(node, inputs)
    if whole and not node.attr("keep_dims", False):
        return (total.values[0] if len(total.values) else np.zeros((), total.values.dtype),)
    return (total.dense(node),)


@operation("SparseReduceMaxSparse", "SparseReduceSumSparse")
def _reduce_sparse(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return _reduced(node, inputs)[0].outputs


@operation("SparseSoftmax")
def _softmax(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Over the entries of each row of the last axis."""
    x = Sparse.of(*inputs)
    if len(x.shape) < 2:
        raise ValueError(f"the shape {x.shape}")
    _, rows = np.unique(x.indices[:, :-1], axis=0, return_inverse=True)
    rows = rows.ravel()
    most = np.full(len(rows), -np.inf)
    np.maximum.at(most, rows, x.values)
    powers = np.exp(x.values - most[rows])
    totals = np.zeros(len(rows))
    np.add.at(totals, rows, powers)
    return (powers / totals[rows],)


@operation("RaggedTensorToSparse", cost=lambda node, inputs: np.size(inputs[-1]) * (len(inputs) + 2))
def _ragged_to_sparse(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Each level of splits gives one column of the indices."""
    *splits, values = (np.asarray(value) for value in inputs)
    for level, count in zip(splits, [*(len(level) - 1 for level in splits[1:]), len(values)], strict=True):
        row_lengths(node, level, count)
    inner = [np.arange(int(level[-1])) for level in splits]
    columns = [place - np.repeat(level[:-1], np.diff(level)) for level, place in zip(splits, inner, strict=True)]
    first = np.arange(len(splits[0]) - 1)
    indices = np.zeros((1, 0), np.int64)
    rows = first.reshape(-1, 1)
    widths = [len(splits[0]) - 1]
    for level, column in zip(splits, columns, strict=True):
        rows = np.concatenate([np.repeat(rows, np.diff(level), axis=0), column.reshape(-1, 1)], 1)
        widths.append(int(np.diff(level).max(initial=0)))
    trailing = values.shape[1:]
    grid = np.indices(trailing).reshape(len(trailing), math.prod(trailing)).T
    indices = np.concatenate([np.repeat(rows, len(grid), axis=0), np.tile(grid, (len(rows), 1))], 1)
    return indices.astype(np.int64), values.ravel(), np.asarray([*widths, *trailing], np.int64)


def _counts(node: Node, rows: np.ndarray, values: np.ndarray, weights: np.ndarray, total: int | None) -> Sparse:
    """Count the values of each row from `minlength` to `maxlength`, at their places."""
    if (values < 0).any():
        raise ValueError("it counts negative numbers")
    least, most = int(node.attr("minlength", -1)), int(node.attr("maxlength", -1))
    kept = values < most if most >= 0 else np.ones(len(values), bool)
    pairs = np.stack([rows[kept], values[kept]], 1).astype(np.int64)
    places, where = np.unique(pairs, axis=0, return_inverse=True)
    kind = weights.dtype if weights.size else np.dtype(np.int64)
    counts = np.zeros(len(places), kind)
    np.add.at(counts, where.ravel(), weights[kept] if weights.size else 1)
    if node.attr("binary_output", False):
        counts = np.ones(len(places), kind)
    width = max(least, most if most >= 0 else int(values.max(initial=-1)) + 1)
    places = places.reshape(-1, 2)
    if total is None:
        return Sparse(places[:, 1:], counts, (width,))
    return Sparse(places, counts, (total, width))


@operation("DenseCountSparseOutput", cost=lambda node, inputs: 6 * np.size(inputs[0]))
def _dense_count(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, weights = np.asarray(inputs[0]), np.asarray(inputs[1])
    rows = np.repeat(np.arange(len(x)), x.shape[1]) if x.ndim == 2 else np.zeros(x.size, np.int64)
    return _counts(node, rows, x.ravel(), weights.ravel(), len(x) if x.ndim == 2 else None).outputs


@operation("SparseCountSparseOutput", cost=lambda node, inputs: 6 * np.size(inputs[1]))
def _sparse_count(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, weights = Sparse.of(*inputs[:3]), np.asarray(inputs[3])
    rows = x.indices[..., 0] if len(x.shape) == 2 else np.zeros(len(x.values), np.int64)
    return _counts(node, rows, x.values, weights, x.shape[0] if len(x.shape) == 2 else None).outputs


@operation("RaggedCountSparseOutput", cost=lambda node, inputs: 6 * np.size(inputs[1]))
def _ragged_count(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    splits, values, weights = (np.asarray(value) for value in inputs)
    rows = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
    return _counts(node, rows, values, weights, len(splits) - 1).outputs
