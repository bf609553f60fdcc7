"""What travels as a variant beside lists and ragged tensors: maps, composites; and ops without a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.savedmodel.node import Node

Key = tuple[str, tuple[int, ...], bytes]


def _key(value: np.ndarray) -> Key:
    content = b"\0".join(value.ravel().tolist()) if value.dtype == object else value.tobytes()
    return value.dtype.name, value.shape, content


@operation("EmptyTensorMap")
def _map(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return ({},)


def _entry(entries: Mapping[Key, tuple[Value, Value]], key: np.ndarray) -> tuple[Value, Value]:
    if _key(key) not in entries:
        raise KeyError("the map has no such key")
    return entries[_key(key)]


@operation("TensorMapInsert", cost=lambda node, inputs: (len(inputs[0]) + 1) * ITEM_BYTES // 8)
def _map_insert(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    entries, key, value = inputs
    return ({**entries, _key(key): (key, value)},)


@operation("TensorMapErase", cost=lambda node, inputs: len(inputs[0]) * ITEM_BYTES // 8)
def _map_erase(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    entries, key = inputs
    _entry(entries, key)
    return ({name: pair for name, pair in entries.items() if name != _key(key)},)


@operation("TensorMapLookup")
def _map_lookup(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (_entry(inputs[0], inputs[1])[1],)


@operation("TensorMapHasKey")
def _map_has(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(_key(inputs[1]) in inputs[0]),)


@operation("TensorMapSize")
def _map_size(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(len(inputs[0]), np.int32),)


@operation("TensorMapStackKeys", cost=lambda node, inputs: sum(np.size(key) for key, _ in inputs[0].values()))
def _map_keys(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """In the order in which they came; TensorFlow's is that of its hash."""
    return (np.stack([key for key, _ in inputs[0].values()]),)


@operation("CompositeTensorVariantFromComponents")
def _composite(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (tuple(inputs),)


@operation("CompositeTensorVariantToComponents")
def _components(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return tuple(inputs[0])


@operation("NoOp", "ControlTrigger")
def _nothing(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return ()


@operation("VarIsInitializedOp")
def _initialised(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A variable of a SavedModel has the value of its checkpoint."""
    return (np.asarray(True),)


@operation("VariableShape")
def _variable_shape(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(np.shape(inputs[0]), node.attr("out_type", np.int32)),)
