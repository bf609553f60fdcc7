"""Diagonals of matrices: taken, put, set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hub2hf.interpreter.registry import Caller, Value, bounded, operation
from hub2hf.interpreter.shapes import zero
from hub2hf.savedmodel.node import Node


def _blank(node: Node, shape: Sequence[int], like: np.ndarray, value: Value = None) -> np.ndarray:
    return np.full(bounded(node, shape), zero(like.dtype) if value is None else value, like.dtype)


@operation("Diag", cost=lambda node, inputs: np.size(inputs[0]) ** 2)
def _diag(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A tensor of twice the rank."""
    x = np.asarray(inputs[0])
    out = _blank(node, (x.size, x.size), x)
    np.fill_diagonal(out, x.ravel())
    return (out.reshape(*x.shape, *x.shape),)


@operation("DiagPart")
def _diag_part(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x = np.asarray(inputs[0])
    half = x.shape[: x.ndim // 2]
    if not x.ndim or x.shape != half * 2:
        raise ValueError(f"the diagonal of the shape {x.shape}")
    return (x.reshape(math.prod(half), math.prod(half)).diagonal().reshape(half),)


def _band(node: Node, inputs: Sequence[Value], at: int) -> tuple[int, int]:
    """Return the lowest and the highest diagonal that input `at` names; without it, the main one."""
    if len(inputs) <= at:
        return 0, 0
    bounds = np.ravel(inputs[at])
    low, high = int(bounds[0]), int(bounds[-1])
    if len(bounds) > 2 or low > high:
        raise ValueError(f"the diagonals {bounds.tolist()}")
    return low, high


def _places(node: Node, sizes: tuple[int, int], low: int, high: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each (diagonal, entry) of the packed form, highest first: row, column, whether there is such an entry."""
    rows, columns = sizes
    if not -rows < low <= high < columns and not (rows * columns == 0 or (low, high) == (0, 0)):
        raise ValueError(f"no diagonals from {low} to {high} in a matrix of {rows} by {columns}")
    width = max(0, min(rows + min(high, 0), columns - max(low, 0)))
    diagonals, entries = np.arange(high, low - 1, -1)[:, np.newaxis], np.arange(width)[np.newaxis]
    lengths = np.minimum(rows + np.minimum(diagonals, 0), columns - np.maximum(diagonals, 0))
    align = str(node.attr("align", "RIGHT_LEFT" if node.op.endswith("V3") else "LEFT_LEFT")).split("_")
    right = np.where(
        diagonals >= 0, align[0] == "RIGHT", align[-1] == "RIGHT"
    )  # superdiagonals first, then subdiagonals
    step = entries - np.where(right, width - lengths, 0)
    return step - np.minimum(diagonals, 0), step + np.maximum(diagonals, 0), (step >= 0) & (step < lengths)


def _squeezed(packed: np.ndarray, low: int, high: int) -> np.ndarray:
    """One diagonal has no axis for which it is."""
    return packed[..., 0, :] if low == high else packed


def _part_cost(node: Node, inputs: Sequence[Value]) -> int:
    low, high = _band(node, inputs, 1)
    shape = np.shape(inputs[0])
    return int(4 * math.prod(shape[:-2]) * min(high - low + 1, sum(shape[-2:])) * min(shape[-2:]))


@operation("MatrixDiagPart", "BatchMatrixDiagPart", "MatrixDiagPartV2", "MatrixDiagPartV3", cost=_part_cost)
def _matrix_diag_part(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x = np.asarray(inputs[0])
    low, high = _band(node, inputs, 1)
    row, column, present = _places(node, (x.shape[-2], x.shape[-1]), low, high)
    padding = inputs[2] if len(inputs) > 2 else zero(x.dtype)
    if not x.size:
        return (_squeezed(_blank(node, (*x.shape[:-2], *present.shape), x, padding), low, high),)
    packed = np.where(present, x[..., np.where(present, row, 0), np.where(present, column, 0)], padding)
    return (_squeezed(packed.astype(x.dtype), low, high),)


def _put(node: Node, out: np.ndarray, packed: np.ndarray, low: int, high: int) -> np.ndarray:
    """Write packed diagonals [..., diagonals, width] into matrices."""
    row, column, present = _places(node, (out.shape[-2], out.shape[-1]), low, high)
    if packed.shape[-2:] != present.shape:
        raise ValueError(f"diagonals in the shape {packed.shape} where {present.shape} are wanted")
    out[..., row[present], column[present]] = packed[..., present]
    return out


def _diag_cost(node: Node, inputs: Sequence[Value]) -> int:
    x = np.shape(inputs[0])
    if len(inputs) == 1:
        return int(math.prod(x) * x[-1])
    rows, columns = (int(value) for value in inputs[2:4])
    low, high = _band(node, inputs, 1)
    size = x[-1] + max(abs(low), abs(high))
    return int(math.prod(x[:-1])) * (rows if rows >= 0 else size) * (columns if columns >= 0 else size)


def _sizes(width: int, low: int, high: int, wanted: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns; what is not said is as small as the diagonals allow (`matrix_diag_op.cc`)."""
    rows, columns = wanted
    least = (width - min(high, 0), width + max(low, 0))
    if rows < 0 and columns < 0:
        return max(least), max(least)
    rows, columns = rows if rows >= 0 else least[0], columns if columns >= 0 else least[1]
    if rows < least[0] or columns < least[1] or (rows != least[0] and columns != least[1]):
        raise ValueError(f"diagonals of {width} entries in a matrix of {rows} by {columns}")
    return rows, columns


@operation("MatrixDiag", "BatchMatrixDiag", "MatrixDiagV2", "MatrixDiagV3", cost=_diag_cost)
def _matrix_diag(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x = np.asarray(inputs[0])
    low, high = _band(node, inputs, 1)
    packed = x[..., np.newaxis, :] if low == high else x
    wanted = (int(inputs[2]), int(inputs[3])) if len(inputs) > 3 else (-1, -1)
    rows, columns = _sizes(x.shape[-1], low, high, wanted)
    out = _blank(node, (*packed.shape[:-2], rows, columns), x, inputs[4] if len(inputs) > 4 else None)
    return (_put(node, out, packed, low, high),)


@operation(
    "MatrixSetDiag", "BatchMatrixSetDiag", "MatrixSetDiagV2", "MatrixSetDiagV3", cost=lambda node, i: np.size(i[0])
)
def _matrix_set_diag(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    out, diagonal = np.array(inputs[0]), np.asarray(inputs[1])
    low, high = _band(node, inputs, 2)
    packed = diagonal[..., np.newaxis, :] if low == high else diagonal
    if packed.shape[:-2] != out.shape[:-2]:
        raise ValueError(f"diagonals in the shape {diagonal.shape} for matrices in {out.shape}")
    return (_put(node, out, packed, low, high),)


@operation("MatrixBandPart", "BatchMatrixBandPart")
def _band_part(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, lower, upper = np.asarray(inputs[0]), int(inputs[1]), int(inputs[2])
    if lower > x.shape[-2] or upper > x.shape[-1]:
        raise ValueError(f"a band of {lower} below and {upper} above in a matrix of {x.shape[-2:]}")
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    keep = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    return (np.where(keep, x, zero(x.dtype)).astype(x.dtype),)
