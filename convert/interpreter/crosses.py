"""Crosses of features: for each row, every combination of one value of each column, as a text or as a hash."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from hub2hf import limits
from hub2hf.errors import GraphError
from hub2hf.interpreter.bounds import ITEM_BYTES, too_large
from hub2hf.interpreter.hashing import MASK, fingerprint64, fingerprint_cat64
from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.interpreter.sparse import Sparse
from hub2hf.interpreter.utf import byte_strings, row_lengths
from hub2hf.savedmodel.node import Node

Column = list[list[Any]]  # the values of each row


def _of_sparse(indices: Value, values: Value, shape: Value) -> Column:
    x = Sparse.of(indices, values, shape)
    if x.shape[0] * ITEM_BYTES > limits.memory():
        raise ValueError(f"a column of {x.shape[0]} rows")
    rows: Column = [[] for _ in range(x.shape[0])]
    for row, value in zip(x.indices[..., 0].tolist(), x.values.tolist(), strict=True):
        rows[row].append(value)
    return rows


def _of_ragged(node: Node, values: Value, splits: Value) -> Column:
    flat, lengths = np.asarray(values).tolist(), row_lengths(node, splits, len(values))
    return [flat[end - size : end] for end, size in zip(np.cumsum(lengths).tolist(), lengths.tolist(), strict=True)]


def _crossed(node: Node, columns: Sequence[Column], combine: Callable[[Sequence[Any]], Any]) -> list[list[Any]]:
    if len({len(column) for column in columns}) > 1:
        raise ValueError("columns of different numbers of rows")
    rows = list(zip(*columns, strict=True))
    made = sum(math.prod(map(len, row)) * (ITEM_BYTES + sum(_longest(values) for values in row)) for row in rows)
    if made > limits.memory():
        raise too_large(node)
    return [[combine(values) for values in product(*row)] for row in rows]


def _longest(values: Sequence[Any]) -> int:
    return max((len(value) if isinstance(value, bytes) else 20 for value in values), default=0)


def _joined(separator: bytes) -> Callable[[Sequence[Any]], bytes]:
    return lambda values: separator.join(v if isinstance(v, bytes) else str(v).encode() for v in values)


def _hashed(key: int, buckets: int) -> Callable[[Sequence[Any]], int]:
    """As `HashCrosser` does: a number stands for itself, a text for its fingerprint."""

    def combine(values: Sequence[Any]) -> int:
        found = key & MASK
        for value in values:
            found = fingerprint_cat64(found, fingerprint64(value) if isinstance(value, bytes) else value & MASK)
        return found % (buckets if buckets > 0 else (1 << 63) - 1)

    return combine


def _columns(node: Node, inputs: Sequence[Value]) -> list[Column]:
    """Sparse columns, then dense ones."""
    count = int(node.attr("N"))
    sparse = [_of_sparse(*inputs[i : 3 * count : count]) for i in range(count)]
    return sparse + [np.asarray(value).tolist() for value in inputs[3 * count :]]


def _features(node: Node, inputs: Sequence[Value]) -> Sequence[Value]:
    count = int(node.attr("N"))
    return [*inputs[count : 2 * count], *inputs[3 * count :]]


def _cost(node: Node, inputs: Sequence[Value]) -> int:
    """Every column may be as wide as it is long; the product is held against the bound before it is made."""
    return sum(map(np.size, inputs)) * ITEM_BYTES // 8


def _sparse_result(node: Node, rows: Sequence[Sequence[Any]], texts: bool) -> tuple[Value, ...]:
    flat = [value for row in rows for value in row]
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    values = byte_strings(flat) if texts else np.asarray(flat, np.int64)
    shape = np.asarray([len(rows), max(map(len, rows), default=0)], np.int64)
    return np.asarray(places, np.int64).reshape(-1, 2), values, shape


@operation("SparseCross", cost=_cost)
def _sparse_cross(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    hashed = bool(node.attr("hashed_output"))
    texts = node.attr("internal_type") == "string"
    if texts and any(np.asarray(value).dtype != object for value in _features(node, inputs)):
        raise ValueError("its columns are not all of its internal type")
    combine = _hashed(int(node.attr("hash_key")), int(node.attr("num_buckets"))) if hashed else _joined(b"_X_")
    return _sparse_result(node, _crossed(node, _columns(node, inputs), combine), not hashed)


@operation("SparseCrossV2", cost=_cost)
def _sparse_cross_v2(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    *rest, separator = inputs
    combine = _joined(np.asarray(separator, object).item())
    return _sparse_result(node, _crossed(node, _columns(node, rest), combine), True)


@operation("RaggedCross", cost=_cost)
def _ragged_cross(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The order of ragged (R), sparse and dense columns is an attribute."""
    order, hashed = str(node.attr("input_order")), bool(node.attr("hashed_output"))
    ragged, sparse = len(node.attr("ragged_values_types", [])), int(node.attr("Nsparse"))
    dense = inputs[2 * ragged + 3 * sparse :]
    found = {
        "R": iter([_of_ragged(node, inputs[i], inputs[ragged + i]) for i in range(ragged)]),
        "S": iter([_of_sparse(*(inputs[2 * ragged + i + j * sparse] for j in range(3))) for i in range(sparse)]),
        "D": iter([np.asarray(value).tolist() for value in dense]),
    }
    if sorted(order) != sorted("R" * ragged + "S" * sparse + "D" * len(dense)):
        raise GraphError(f"The {node} crosses columns in the order {order!r}.", "The graph is damaged.")
    combine = _hashed(int(node.attr("hash_key")), int(node.attr("num_buckets"))) if hashed else _joined(b"_X_")
    rows = _crossed(node, [next(found[letter]) for letter in order], combine)
    flat = [value for row in rows for value in row]
    splits = np.cumsum([0, *map(len, rows)]).astype(node.attr("out_row_splits_type", np.int64))
    return (np.asarray(flat, np.int64) if hashed else byte_strings(flat)), splits
