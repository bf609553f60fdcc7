"""Lookup tables: a table is a mapping from keys (bytes or ints) to values, filled by an initialiser."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.interpreter.utf import byte_strings
from hub2hf.savedmodel.node import Node

# The ops that make a table which nothing has filled yet; HashTable and HashTableV2 hold the vocabulary (run.TABLE_OPS).
MUTABLE = (
    *("MutableHashTable", "MutableHashTableV2", "MutableHashTableOfTensors", "MutableHashTableOfTensorsV2"),
    *("MutableDenseHashTable", "MutableDenseHashTableV2", "AnonymousHashTable", "AnonymousMutableHashTable"),
    *("AnonymousMutableHashTableOfTensors", "AnonymousMutableDenseHashTable"),
)


@operation(*MUTABLE)
def _table(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return ({},)


def _keys(keys: np.ndarray) -> list[bytes | int]:
    return list(keys.ravel().tolist())


@operation("LookupTableFind", "LookupTableFindV2")
def _find(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    table, keys = inputs[:2]
    default = inputs[2] if isinstance(inputs[2], np.ndarray) else np.asarray(inputs[2])
    found = [table.get(key, default) for key in _keys(keys)]
    out = np.empty((len(found), *default.shape), default.dtype)
    for place, value in enumerate(found) if default.ndim or default.dtype == object else ():
        out[place] = value if isinstance(value, bytes) else np.asarray(value, default.dtype)[()]
    if not default.ndim and default.dtype != object:
        out[:] = found
    return (out.reshape((*np.shape(keys), *default.shape)),)


@operation("LookupTableSize", "LookupTableSizeV2")
def _size(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(len(inputs[0]), np.int64),)


def _as_array(items: Sequence[Value], kind: object) -> np.ndarray:
    if kind == "string":
        return byte_strings(list(items))
    exact: np.ndarray = np.asarray([np.asarray(item) for item in items], kind)  # type: ignore[call-overload]
    return exact.astype(np.float64) if exact.dtype.kind == "f" else exact


@operation("LookupTableExport", "LookupTableExportV2", cost=lambda node, inputs: len(inputs[0]) * ITEM_BYTES // 4)
def _export(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Keys and values, in the order in which they came; TensorFlow's order is that of its hash."""
    table = inputs[0]
    return _as_array(list(table), node.attr("Tkeys")), _as_array(list(table.values()), node.attr("Tvalues"))


def _pairs(keys: np.ndarray, values: Value) -> zip[tuple[bytes | int, Value]]:
    return zip(_keys(keys), np.asarray(values), strict=True)


@operation("InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2")
def _import(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Fill a table anew; these ops have no outputs, and run where something asks for them."""
    table, keys, values = inputs
    table.clear()
    table.update(_pairs(keys, values))
    return ()


@operation("LookupTableInsert", "LookupTableInsertV2")
def _insert(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    table, keys, values = inputs
    table.update(_pairs(keys, values))
    return ()


@operation("LookupTableRemoveV2")
def _remove(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    table, keys = inputs
    for key in _keys(keys):
        table.pop(key, None)
    return ()
