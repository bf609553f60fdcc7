"""Tensor lists, which carry the per-element results of map_fn; they are never changed in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.registry import Caller, Value, as_float64, bounded, operation
from hub2hf.interpreter.shapes import ints
from hub2hf.savedmodel.node import Node


def blank(node: Node, shape: Sequence[int], attribute: str = "element_dtype") -> np.ndarray:
    """Return zeros (or empty strings) of the list's dtype and of `shape`."""
    kind = node.attr(attribute)
    blank = np.zeros(bounded(node, shape), object if isinstance(kind, str) else as_float64(np.zeros(0, kind)).dtype)
    if isinstance(kind, str):
        blank.fill(b"")
    return blank


def _item(item: Value, node: Node, shape: Value) -> Value:
    """Return an element of a list; one that was never set is zeros of `shape`."""
    return blank(node, ints(shape)) if item is None else item


@operation("TensorListFromTensor", cost=lambda node, inputs: len(inputs[0]) * ITEM_BYTES // 8)
def _list_from_tensor(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (list(inputs[0]),)


@operation("TensorListReserve")
def _list_reserve(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return ([None] * bounded(node, [int(inputs[1])])[0],)


@operation("EmptyTensorList")
def _list_empty(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return ([],)


@operation("TensorListGetItem")
def _list_get(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (_item(inputs[0][int(inputs[1])], node, inputs[2] if len(inputs) > 2 else ()),)


@operation("TensorListSetItem")
def _list_set(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    items, index = inputs[0], int(inputs[1])
    growing = index == len(items) and node.attr("resize_if_index_out_of_bounds", False)
    return (items.changed(index if growing else _place(items, index), inputs[2]),)


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
    return (blank(node, (0, *ints(inputs[1]))),)


@operation("TensorListConcat", "TensorListConcatV2")
def _list_concat(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Join along the first axis; an item that was never set is of the given shape, its length that of `leading_dims`."""
    items, kind = inputs[0], node.attr("element_dtype")
    lengths = np.ravel(inputs[2]).tolist() if len(inputs) > 2 else []
    shape = (
        ints(inputs[1])[1:] if len(inputs) > 1 and np.ndim(inputs[1]) else (node.attr("element_shape", ()) or ())[1:]
    )
    filled = [blank(node, (lengths[i], *shape)) if item is None else item for i, item in enumerate(items)]
    if not filled:
        nothing = blank(node, (0, *(0 if size is None else size for size in shape)))
        return nothing, np.zeros(0, np.int64)
    if any(np.ndim(item) == 0 for item in filled):
        raise ValueError(f"it joins scalars of type {kind}")
    return np.concatenate(filled), np.asarray([len(item) for item in filled], np.int64)


@operation("TensorListElementShape")
def _list_shape(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """What is known of all its elements: the list itself does not say, so all that are set must agree."""
    shapes = {np.shape(item) for item in inputs[0] if item is not None}
    if len(shapes) != 1:
        raise ValueError("the elements of the list have no one shape")
    return (np.asarray(shapes.pop(), node.attr("shape_type", np.int32)),)


@operation("TensorListGather")
def _list_gather(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    picked = [inputs[0][_place(inputs[0], index)] for index in np.ravel(inputs[1])]
    if picked:
        return (np.stack([_item(item, node, inputs[2]) for item in picked]),)
    return (blank(node, (0, *ints(inputs[2]))),)


def _place(items: Sequence[Value], index: Any) -> int:
    if not 0 <= index < len(items):
        raise IndexError(f"element {index} of a list of {len(items)}")
    return int(index)


@operation("TensorListPopBack")
def _list_pop(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if not inputs[0]:
        raise IndexError("the list is empty")
    return inputs[0][:-1], _item(inputs[0][-1], node, inputs[1])


@operation("TensorListPushBackBatch")
def _list_push_batch(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """One entry for each of a batch of lists, an object array."""
    lists = np.asarray(inputs[0], object)
    return (objects([[*items, entry] for items, entry in zip(lists, inputs[1], strict=True)]),)


def objects(items: Sequence[object]) -> np.ndarray:
    """Return lists, or other variants, as an object array [items]."""
    out = np.empty(len(items), object)
    for place, item in enumerate(items):
        out[place] = item
    return out


def _resized_cost(node: Node, inputs: Sequence[Value]) -> int:
    return max(0, int(inputs[1])) * ITEM_BYTES // 8


@operation("TensorListResize", cost=_resized_cost)
def _list_resize(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    (size,) = bounded(node, [int(inputs[1])])
    return ([*inputs[0][:size], *[None] * (size - len(inputs[0]))],)


@operation("TensorListScatter", "TensorListScatterV2", cost=lambda node, inputs: ITEM_BYTES // 8 * np.size(inputs[1]))
def _list_scatter(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A list just as long as its indices ask for, or as it is told."""
    tensor, indices = np.asarray(inputs[0]), np.ravel(inputs[1])
    count = int(inputs[3]) if len(inputs) > 3 else -1
    size = count if count >= 0 else int(indices.max(initial=-1)) + 1
    return (_scattered([None] * bounded(node, [size])[0], tensor, indices),)


@operation("TensorListScatterIntoExistingList", cost=lambda node, inputs: ITEM_BYTES // 8 * np.size(inputs[2]))
def _list_scatter_into(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    items, tensor, indices = list(inputs[0]), np.asarray(inputs[1]), np.ravel(inputs[2])
    (size,) = bounded(node, [max(len(items), int(indices.max(initial=-1)) + 1)])
    return (_scattered(items + [None] * (size - len(items)), tensor, indices),)


def _scattered(items: list[Value], tensor: np.ndarray, indices: np.ndarray) -> list[Value]:
    if len(tensor) < len(indices):
        raise ValueError(f"{len(tensor)} rows for {len(indices)} places")
    for place, row in zip(indices, tensor, strict=False):
        items[_place(items, place)] = row
    return items


@operation("TensorListSplit", cost=lambda node, inputs: np.size(inputs[0]) + ITEM_BYTES // 8 * np.size(inputs[2]))
def _list_split(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    tensor, lengths = np.asarray(inputs[0]), np.ravel(inputs[2]).astype(np.int64)
    if (lengths < 0).any() or lengths.sum() != len(tensor):
        raise ValueError(f"{len(tensor)} rows in lengths of {lengths.tolist()}")
    return ([tensor[end - size : end] for end, size in zip(np.cumsum(lengths), lengths, strict=True)],)


@operation("TensorListConcatLists")
def _list_concat_lists(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if isinstance(inputs[0], list):
        return ([*inputs[0], *inputs[1]],)
    return (objects([[*a, *b] for a, b in zip(inputs[0], inputs[1], strict=True)]),)
