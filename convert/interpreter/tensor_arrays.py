"""The tensor arrays of TensorFlow 1, three generations of them: the list travels as the flow, the handle is its node.

The first generation's handle is a string, the third's a resource; neither is looked at but for the node that made it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.lists import blank
from hub2hf.interpreter.registry import Caller, Value, bounded, operation
from hub2hf.savedmodel.node import Node


def _generations(name: str, *others: str) -> tuple[str, ...]:
    return tuple(f"TensorArray{each}{version}" for each in (name, *others) for version in ("", "V2", "V3"))


@operation(*_generations(""), cost=lambda node, inputs: max(0, int(inputs[0])) * ITEM_BYTES // 8)
def _array(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (node, [None] * bounded(node, [int(inputs[0])])[0])


def _set(node: Node, items: list[Value], index: int, value: Value) -> None:
    """Put a value at a place, which a list that may grow need not have yet."""
    if index < 0 or (index >= len(items) and not node.attr("dynamic_size", False)):
        raise IndexError(f"place {index} of an array of {len(items)}")
    bounded(node, [index + 1])
    items.extend([None] * (index + 1 - len(items)))
    items[index] = value


def _get(node: Node, items: Sequence[Value], index: int, like: Node) -> Value:
    """Return an element; one that was never written is zeros, where its shape is known."""
    if not 0 <= index < len(items):
        raise IndexError(f"place {index} of an array of {len(items)}")
    if items[index] is None:
        return blank(like, _element_shape(like), "dtype")
    return items[index]


def _element_shape(node: Node) -> tuple[int, ...]:
    shape = node.attr("element_shape", None)
    if shape is None or None in shape:
        raise ValueError("an element that was never written has no shape")
    return tuple(shape)


@operation(*_generations("Scatter"), "TensorArrayUnpack")
def _array_scatter(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    handle, values, flow = inputs[0], np.asarray(inputs[-2]), inputs[-1]
    indices = np.arange(len(values)) if node.op == "TensorArrayUnpack" else np.ravel(inputs[1])
    items = list(flow)
    for index, value in zip(indices, values, strict=True):
        _set(handle, items, int(index), value)
    return (items,)


@operation(*_generations("Read"))
def _array_read(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (_get(node, inputs[2], int(inputs[1]), inputs[0]),)


@operation(*_generations("Write"))
def _array_write(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    handle, index, value, flow = inputs
    items = list(flow)
    _set(handle, items, int(index), value)
    return (items,)


def _picked_cost(node: Node, inputs: Sequence[Value]) -> int:
    return np.size(inputs[1]) * max((np.size(item) for item in inputs[-1] if item is not None), default=0)


@operation(*_generations("Gather"), "TensorArrayPack", cost=_picked_cost)
def _array_gather(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    handle, flow = inputs[0], inputs[-1]
    indices = np.arange(len(flow)) if node.op == "TensorArrayPack" else np.ravel(inputs[1])
    if np.size(indices):
        return (np.stack([_get(node, flow, int(index), handle) for index in indices]),)
    shape = [0 if size is None else size for size in node.attr("element_shape", ()) or ()]
    return (blank(node, (0, *shape), "dtype"),)


@operation(*_generations("Concat"))
def _array_concat(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    handle, flow = inputs
    items = [np.asarray(_get(node, flow, i, handle)) for i in range(len(flow))]
    lengths = np.asarray([len(item) for item in items], np.int64)
    if items:
        return np.concatenate(items), lengths
    shape = [0 if size is None else size for size in node.attr("element_shape_except0", ()) or ()]
    return blank(node, (0, *shape), "dtype"), lengths


@operation(*_generations("Split"), cost=lambda node, inputs: np.size(inputs[1]) + ITEM_BYTES // 8 * np.size(inputs[2]))
def _array_split(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    value, lengths, flow = np.asarray(inputs[1]), np.ravel(inputs[2]), inputs[3]
    if lengths.sum() != len(value) or (lengths < 0).any() or len(lengths) < len(flow):
        raise ValueError(f"{len(value)} rows in lengths of {lengths.tolist()}")
    return ([value[end - size : end] for end, size in zip(np.cumsum(lengths), lengths, strict=True)],)


@operation(*_generations("Size"))
def _array_size(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(len(inputs[1]), np.int32),)


@operation(*_generations("Close"))
def _array_close(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return ()
