"""Ops that move elements about: shapes, slices, gathers, ragged rows, tensor lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.interpreter.registry import Value, as_float64, bounded, elementary, operation
from convert.savedmodel.node import Node

if TYPE_CHECKING:
    from convert.interpreter.run import Interpreter


def _ints(value: Value) -> tuple[int, ...]:
    return tuple(int(v) for v in np.atleast_1d(value))


def _rows(splits: Value) -> list[tuple[int, int]]:
    """Return (start, limit) of each row of a ragged tensor from its row splits [rows + 1]."""
    return [(int(a), int(b)) for a, b in zip(splits[:-1], splits[1:], strict=True)]


elementary(
    {
        "ExpandDims": lambda x, axis: np.expand_dims(x, int(np.ravel(axis)[0])),
        "Transpose": lambda x, order: np.transpose(x, _ints(order)) if np.size(order) else x,
        "Concat": lambda axis, *parts: np.concatenate(parts, axis=int(axis)),
        "ConcatV2": lambda *parts: np.concatenate(parts[:-1], axis=int(parts[-1])),
        "ZerosLike": np.zeros_like,
        "OnesLike": np.ones_like,
        "Rank": lambda x: np.asarray(np.ndim(x), np.int32),
        "InvertPermutation": lambda x: np.argsort(x).astype(x.dtype),
        "Where": lambda x: np.argwhere(x).astype(np.int64),
        "GatherNd": lambda x, indices: x[tuple(np.moveaxis(indices, -1, 0))],
        "ReverseV2": lambda x, axes: np.flip(x, _ints(axes)) if np.size(axes) else x,
        "BroadcastArgs": lambda a, b: np.asarray(np.broadcast_shapes(_ints(a), _ints(b)), a.dtype),
        "EnsureShape": lambda x: x,
    }
)


@operation("Shape", "Size")
def _shape(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    value = np.shape(inputs[0]) if node.op == "Shape" else np.size(inputs[0])
    return (np.asarray(value, node.attr("out_type", np.int32)),)


@operation("ShapeN")
def _shape_n(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return tuple(np.asarray(np.shape(x), node.attr("out_type", np.int32)) for x in inputs)


@operation("Cast")
def _cast(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (as_float64(np.asarray(inputs[0]).astype(node.attr("DstT"))),) if not _keeps_float(node, inputs[0]) else (
        inputs[0],
    )


def _keeps_float(node: Node, value: Value) -> bool:
    """Between float types nothing is rounded: the interpreter computes in float64 throughout."""
    target = np.dtype(node.attr("DstT"))
    return bool(np.asarray(value).dtype == np.float64 and (target.kind == "f" or target.name == "bfloat16"))


@operation("Reshape")
def _reshape(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (np.reshape(inputs[0], _ints(inputs[1]) if np.size(inputs[1]) else ()),)


@operation("Squeeze")
def _squeeze(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    axes = node.attr("squeeze_dims", [])
    return (np.squeeze(inputs[0], tuple(axes) if axes else None),)


@operation("Pack")
def _pack(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (np.stack(inputs, axis=node.attr("axis", 0)),)


@operation("Unpack")
def _unpack(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    axis = node.attr("axis", 0)
    return tuple(np.take(inputs[0], i, axis) for i in range(np.shape(inputs[0])[axis]))


@operation("Split", "SplitV")
def _split(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    if node.op == "Split":
        return tuple(np.split(inputs[1], node.attr("num_split"), axis=int(inputs[0])))
    x, sizes, axis = inputs[0], list(_ints(inputs[1])), int(inputs[2])
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(sizes) - 1
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=axis))


@operation("Slice")
def _slice(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    x, begin, size = inputs
    ends = [b + s if s >= 0 else None for b, s in zip(_ints(begin), _ints(size), strict=True)]
    return (x[tuple(slice(b, e) for b, e in zip(_ints(begin), ends, strict=True))],)


@operation("StridedSlice")
def _strided_slice(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    x, begin, end, strides = inputs
    masks = {name: int(node.attr(f"{name}_mask", 0)) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    index: list[Any] = []
    for i, (b, e, s) in enumerate(zip(_ints(begin), _ints(end), _ints(strides), strict=True)):
        bit = 1 << i
        if masks["ellipsis"] & bit:
            index.append(Ellipsis)
        elif masks["new_axis"] & bit:
            index.append(np.newaxis)
        elif masks["shrink_axis"] & bit:
            index.append(b)
        else:
            index.append(slice(None if masks["begin"] & bit else b, None if masks["end"] & bit else e, s))
    return (np.asarray(x)[tuple(index)],)


@operation("Gather", "GatherV2", "ResourceGather")
def _gather(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    x, indices = inputs[:2]
    axis = int(inputs[2]) if len(inputs) > 2 else 0
    if not node.attr("batch_dims", 0):
        return (np.take(x, indices, axis=axis),)
    rows = np.arange(x.shape[0]).reshape(-1, *([1] * (np.ndim(indices) - 1)))
    return (np.moveaxis(x, axis, 1)[rows, indices],)


@operation("Tile")
def _tile(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    counts = _ints(inputs[1])
    bounded(node, [a * b for a, b in zip(np.shape(inputs[0]), counts, strict=True)])
    return (np.tile(inputs[0], counts),)


@operation("Fill")
def _fill(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    shape = bounded(node, _ints(inputs[0]) if np.size(inputs[0]) else ())
    return (np.full(shape, inputs[1], dtype=np.asarray(inputs[1]).dtype),)


@operation("BroadcastTo")
def _broadcast_to(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (np.broadcast_to(inputs[0], bounded(node, _ints(inputs[1]))),)


@operation("Range")
def _range(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    start, limit, delta = (np.asarray(v).item() for v in inputs)
    if delta:
        bounded(node, [max(0, int((limit - start) / delta))])
    return (np.arange(start, limit, delta, dtype=np.asarray(inputs[0]).dtype),)


@operation("Pad", "PadV2", "MirrorPad")
def _pad(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    x, paddings = inputs[0], [_ints(pair) for pair in inputs[1]]
    bounded(node, [size + sum(pair) for size, pair in zip(np.shape(x), paddings, strict=True)])
    if node.op == "MirrorPad":
        mode = "reflect" if node.attr("mode", "REFLECT") == "REFLECT" else "symmetric"
        return (np.pad(x, paddings, mode=mode),)  # type: ignore[call-overload]
    return (np.pad(x, paddings, constant_values=inputs[2] if len(inputs) > 2 else np.zeros((), x.dtype)[()]),)


@operation("Unique", "UniqueV2")
def _unique(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    values, first, inverse = np.unique(inputs[0], return_index=True, return_inverse=True)
    order = np.argsort(first)
    return (values[order], np.argsort(order)[inverse].astype(node.attr("out_idx", np.int32)))


@operation("RaggedGather")
def _ragged_gather(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    *splits, values, indices = inputs
    outputs = []
    pick = np.ravel(indices)
    for level in splits:
        spans = [_rows(level)[int(i)] for i in pick]
        outputs.append(np.cumsum([0, *(b - a for a, b in spans)]).astype(level.dtype))
        pick = np.concatenate([np.arange(a, b) for a, b in spans] or [np.zeros(0, np.int64)])
    return (*outputs, values[pick.astype(np.int64)])


@operation("RaggedRange")
def _ragged_range(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    starts, limits, deltas = np.broadcast_arrays(*inputs)
    rows = [np.arange(a, b, d) for a, b, d in zip(*map(np.atleast_1d, (starts, limits, deltas)), strict=True)]
    lengths = [0, *(len(row) for row in rows)]
    values = np.concatenate(rows or [np.zeros(0)]).astype(np.asarray(inputs[0]).dtype)
    return (np.cumsum(lengths).astype(node.attr("Tsplits", np.int64)), values)


@operation("RaggedTensorToTensor")
def _ragged_to_tensor(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
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
    wanted = _ints(shape) if np.size(shape) > 1 else (-1, -1)
    height = wanted[0] if wanted[0] >= 0 else len(rows)
    width = wanted[1] if wanted[1] >= 0 else max((b - a for a, b in rows), default=0)
    out = np.full(bounded(node, (height, width, *values.shape[1:])), default, dtype=values.dtype)
    for row, (a, b) in zip(out, rows, strict=False):
        row[: b - a] = values[a : min(b, a + width)]
    return (out,)


@operation("SegmentSum", "SegmentMax", "SegmentMin", "UnsortedSegmentSum")
def _segment(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    x, ids = inputs[:2]
    count = int(inputs[2]) if len(inputs) > 2 else (int(ids.max()) + 1 if ids.size else 0)
    combine: Any = {"SegmentMax": np.max, "SegmentMin": np.min}.get(node.op, np.sum)
    out = np.zeros(bounded(node, (count, *x.shape[1:])), x.dtype)
    for i in np.unique(ids):
        out[i] = combine(x[ids == i], axis=0)
    return (out,)


@operation("DynamicPartition")
def _dynamic_partition(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return tuple(inputs[0][inputs[1] == i] for i in range(node.attr("num_partitions")))


@operation("DynamicStitch", "ParallelDynamicStitch")
def _dynamic_stitch(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    half = len(inputs) // 2
    indices, parts = inputs[:half], inputs[half:]
    size = max((int(i.max()) + 1 for i in indices if np.size(i)), default=0)
    trailing = parts[0].shape[np.ndim(indices[0]) :]
    out = np.zeros(bounded(node, (size, *trailing)), parts[0].dtype)
    for index, part in zip(indices, parts, strict=True):
        out[index] = part
    return (out,)


# Tensor lists carry the per-element results of map_fn; they are never changed in place.


@operation("TensorListFromTensor")
def _list_from_tensor(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (list(inputs[0]),)


@operation("TensorListReserve")
def _list_reserve(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return ([None] * bounded(node, [int(inputs[1])])[0],)


@operation("EmptyTensorList")
def _list_empty(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return ([],)


@operation("TensorListGetItem")
def _list_get(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (np.asarray(inputs[0][int(inputs[1])]),)


@operation("TensorListSetItem")
def _list_set(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    items, index = list(inputs[0]), int(inputs[1])
    if index == len(items) and node.attr("resize_if_index_out_of_bounds", False):
        items.append(None)
    items[index] = inputs[2]
    return (items,)


@operation("TensorListPushBack")
def _list_push(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return ([*inputs[0], inputs[1]],)


@operation("TensorListLength")
def _list_length(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (np.asarray(len(inputs[0]), np.int32),)


@operation("TensorListStack")
def _list_stack(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (np.stack(inputs[0]),)


@operation("TensorListConcat", "TensorListConcatV2")
def _list_concat(node: Node, inputs: Sequence[Value], run: Interpreter) -> tuple[Value, ...]:
    return (np.concatenate(inputs[0]), np.asarray([len(item) for item in inputs[0]], np.int64))
