"""Tensor lists, which carry the per-element results of map_fn; they are never changed in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convert.interpreter.bounds import ITEM_BYTES, Items
from convert.interpreter.registry import Caller, Value, as_float64, bounded, operation
from convert.interpreter.shapes import ints
from convert.savedmodel.node import Node


def _blank(node: Node, shape: Sequence[int], attribute: str = "element_dtype") -> np.ndarray:
    """Return zeros (or empty strings) of the list's dtype and of `shape`."""
    kind = node.attr(attribute)
    blank = np.zeros(bounded(node, shape), object if isinstance(kind, str) else as_float64(np.zeros(0, kind)).dtype)
    if isinstance(kind, str):
        blank.fill(b"")
    return blank


def _item(item: Value, node: Node, shape: Value) -> Value:
    """Return an element of a list; one that was never set is zeros of `shape`."""
    return _blank(node, ints(shape)) if item is None else item


@operation("TensorListFromTensor", cost=lambda node, inputs: len(inputs[0]) * ITEM_BYTES // 8)
def _list_from_tensor(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (Items(inputs[0]),)


@operation("TensorListReserve")
def _list_reserve(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (Items([None] * bounded(node, [int(inputs[1])])[0]),)


@operation("EmptyTensorList")
def _list_empty(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (Items(),)


@operation("TensorListGetItem")
def _list_get(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(_item(inputs[0][int(inputs[1])], node, inputs[2] if len(inputs) > 2 else ())),)


@operation("TensorListSetItem")
def _list_set(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    items, index = inputs[0], int(inputs[1])
    growing = index == len(items) and node.attr("resize_if_index_out_of_bounds", False)
    return (items.changed(_inside(items, index, growing), inputs[2]),)


def _inside(items: Items, index: int, growing: bool) -> int:
    """Return `index`, where there is such an element, or one more may come."""
    if not 0 <= index < len(items) + growing:
        raise ValueError(f"element {index} of a list of {len(items)}")
    return index


@operation("TensorListPushBack")
def _list_push(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (inputs[0].changed(len(inputs[0]), inputs[1]),)


@operation("TensorListLength")
def _list_length(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(len(inputs[0]), np.int32),)


@operation("TensorListStack")
def _list_stack(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if inputs[0]:
        return (np.stack([_item(item, node, inputs[1]) for item in inputs[0]]),)
    return (_blank(node, (0, *ints(inputs[1]))),)


@operation("TensorListConcat", "TensorListConcatV2")
def _list_concat(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.concatenate(inputs[0]), np.asarray([len(item) for item in inputs[0]], np.int64))


# The tensor arrays of TensorFlow 1: the list travels as the flow, and the handle is the node that made it.


@operation("TensorArrayV3")
def _array(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (node, Items([None] * bounded(node, [int(inputs[0])])[0]))


@operation("TensorArrayScatterV3")
def _array_scatter(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    _, indices, values, flow = inputs
    items = Items(flow)
    for index, value in zip(np.ravel(indices), values, strict=True):
        items[int(index)] = value
    return (items,)


@operation("TensorArrayReadV3")
def _array_read(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(inputs[2][int(inputs[1])]),)


@operation("TensorArrayWriteV3")
def _array_write(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    _, index, value, flow = inputs
    growing = int(index) == len(flow) and inputs[0].attr("dynamic_size", False)
    return (flow.changed(_inside(flow, int(index), growing), value),)


@operation("TensorArrayGatherV3")
def _array_gather(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    _, indices, flow = inputs
    if np.size(indices):
        return (np.stack([flow[int(index)] for index in np.ravel(indices)]),)
    shape = [0 if size is None else size for size in node.attr("element_shape", ()) or ()]
    return (_blank(node, (0, *shape), "dtype"),)


@operation("TensorArraySizeV3")
def _array_size(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(len(inputs[1]), np.int32),)
