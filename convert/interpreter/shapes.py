"""Ops that move elements about: shapes, slices, gathers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hub2hf.interpreter.bounds import many
from hub2hf.interpreter.registry import Caller, Value, as_float64, bounded, elementary, operation
from hub2hf.savedmodel.node import Node


def ints(value: Value) -> tuple[int, ...]:
    """Return the elements of an integer tensor, such as a shape."""
    return tuple(map(int, np.atleast_1d(value).tolist()))


def zero(dtype: Any) -> Any:
    """Return TensorFlow's zero of a type: of texts, the empty one."""
    return b"" if dtype.hasobject else np.zeros((), dtype)[()]


elementary(
    {
        "ExpandDims": lambda x, axis: np.expand_dims(x, int(np.ravel(axis)[0])),
        "Transpose": lambda x, order: np.transpose(x, ints(order)) if np.size(order) else x,
        "Concat": lambda axis, *parts: np.concatenate(parts, axis=int(axis)),
        "ConcatV2": lambda *parts: np.concatenate(parts[:-1], axis=int(parts[-1])),
        "ZerosLike": lambda x: np.full_like(x, zero(np.asarray(x).dtype)),
        "Rank": lambda x: np.asarray(np.ndim(x), np.int32),
        "InvertPermutation": lambda x: np.argsort(x).astype(x.dtype),
        "ReverseV2": lambda x, axes: np.flip(x, ints(axes)) if np.size(axes) else x,
        "BroadcastArgs": lambda a, b: np.asarray(np.broadcast_shapes(ints(a), ints(b)), a.dtype),
        "EnsureShape": lambda x: x,
    }
)


def _gather_nd_cost(node: Node, inputs: Sequence[Value]) -> int:
    depth = np.shape(inputs[1])[-1]
    return int(np.size(inputs[1]) // max(1, depth) * math.prod(np.shape(inputs[0])[depth:]))


def inside(indices: Value, shape: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Return indices [..., depth] as an index of NumPy into an array of `shape`.

    Raises:
        IndexError: one is outside; NumPy would count a negative one from the end.
    """
    places = np.asarray(indices)
    if ((places < 0) | (places >= np.asarray(shape[: places.shape[-1]], np.int64))).any():
        raise IndexError(f"an index is outside the shape {tuple(shape)}")
    return tuple(np.moveaxis(places, -1, 0))


@operation("GatherNd", "ResourceGatherNd", cost=_gather_nd_cost)
def _gather_nd(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x = np.asarray(inputs[0])
    at = inside(inputs[1], x.shape)
    return (x[at] if at else np.broadcast_to(x, (*np.shape(inputs[1])[:-1], *x.shape)),)


@operation("Shape", "Size")
def _shape(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    value = np.shape(inputs[0]) if node.op == "Shape" else np.size(inputs[0])
    return (np.asarray(value, node.attr("out_type", np.int32)),)


@operation("ShapeN")
def _shape_n(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return tuple(np.asarray(np.shape(x), node.attr("out_type", np.int32)) for x in inputs)


HALVES = frozenset({"float16", "bfloat16"})


@operation("Cast")
def _cast(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    source = np.asarray(inputs[0])
    if (source.dtype == object) != (node.attr("DstT") == "string"):
        raise TypeError("texts are no numbers")
    if source.dtype == object or _keeps_float(node, source):
        target = str(np.dtype(node.attr("DstT")))
        rounds = target in HALVES and str(np.dtype(node.attr("SrcT", target))) not in HALVES
        return (as_float64(source.astype(node.attr("DstT"))) if rounds else inputs[0],)
    if source.dtype == np.float64 and np.dtype(node.attr("DstT")).kind in "iu":
        # 1.99999999 of what was computed in float64 is 2.0 in the graph: T5 takes the bucket of a distance so.
        source = source.astype(node.attr("SrcT", np.float64))
    return (as_float64(source.astype(node.attr("DstT"))),)


def _keeps_float(node: Node, value: Value) -> bool:
    """The interpreter computes in float64 throughout; only what half precision makes of a number is seen in a result."""
    target = np.dtype(node.attr("DstT"))
    return bool(np.asarray(value).dtype == np.float64 and (target.kind == "f" or target.name == "bfloat16"))


@operation("Reshape")
def _reshape(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Beside a size of 0, one that is left open is told by all sizes that are not 0, as in TensorFlow."""
    sizes = list(ints(inputs[1])) if np.size(inputs[1]) else []
    if 0 in sizes and -1 in sizes:
        elements = math.prod(size for size in np.shape(inputs[0]) if size)
        sizes[sizes.index(-1)] = elements // math.prod(size for size in sizes if size > 0)
    return (np.reshape(inputs[0], sizes),)


@operation("Squeeze")
def _squeeze(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    axes = node.attr("squeeze_dims", [])
    return (np.squeeze(inputs[0], tuple(axes) if axes else None),)


@operation("Pack")
def _pack(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    kinds = {value.dtype if isinstance(value, np.ndarray) and not value.ndim else None for value in inputs}
    if len(kinds) == 1 and (kind := kinds.pop()) is not None and not kind.hasobject:
        return (np.array([value.item() for value in inputs], kind),)  # a shape or a place: loops make thousands
    return (np.stack(inputs, axis=node.attr("axis", 0)),)


@operation("Unpack", cost=many(lambda node, inputs: int(np.shape(inputs[0])[node.attr("axis", 0)])))
def _unpack(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    axis = node.attr("axis", 0)
    return tuple(np.take(inputs[0], i, axis) for i in range(np.shape(inputs[0])[axis]))


def _split_count(node: Node, inputs: Sequence[Value]) -> int:
    return int(node.attr("num_split")) if node.op == "Split" else int(np.size(inputs[1]))


@operation("Split", "SplitV", cost=many(_split_count))
def _split(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if node.op == "Split":
        return tuple(np.split(inputs[1], node.attr("num_split"), axis=int(inputs[0])))
    x, sizes, axis = inputs[0], list(ints(inputs[1])), int(inputs[2])
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(sizes) - 1
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=axis))


@operation("Slice")
def _slice(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, begin, size = inputs
    ends = [b + s if s >= 0 else None for b, s in zip(ints(begin), ints(size), strict=True)]
    return (x[tuple(slice(b, e) for b, e in zip(ints(begin), ends, strict=True))],)


MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def sliced(node: Node, bounds: Sequence[Value]) -> tuple[Any, ...]:
    """Return the index that begin, end and strides of a strided slice mean under its masks."""
    begin, end, ellipsis, new_axis, shrink_axis = (int(node.attr(name, 0)) for name in MASKS)
    index: list[Any] = []
    for i, (b, e, s) in enumerate(zip(*map(ints, bounds), strict=True)):
        bit = 1 << i
        if ellipsis & bit:
            index.append(Ellipsis)
        elif new_axis & bit:
            index.append(np.newaxis)
        elif shrink_axis & bit:
            index.append(b)
        else:
            index.append(slice(None if begin & bit else b, None if end & bit else e, s))
    return tuple(index)


@operation("StridedSlice")
def _strided_slice(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(inputs[0])[sliced(node, inputs[1:])],)


def _gather_cost(node: Node, inputs: Sequence[Value]) -> int:
    shape, picked = np.shape(inputs[0]), np.size(inputs[1])
    axis = int(inputs[2]) if len(inputs) > 2 else 0
    return int(picked * math.prod(size for i, size in enumerate(shape) if i != axis % max(1, len(shape))))


@operation("Gather", "GatherV2", "ResourceGather", cost=_gather_cost)
def _gather(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, indices = inputs[:2]
    axis = int(inputs[2]) if len(inputs) > 2 else 0
    batched = int(node.attr("batch_dims", 0))
    batched += np.ndim(indices) if batched < 0 else 0
    if ((np.asarray(indices) < 0) | (np.asarray(indices) >= np.shape(x)[axis])).any():
        raise IndexError(f"an index is outside the {np.shape(x)[axis]} entries along the axis {axis}")
    if not batched and not np.asarray(x).flags.c_contiguous:  # np.take would lay out all of it
        return (x[(*[slice(None)] * (axis % np.ndim(x)), np.asarray(indices))],)
    if not batched:
        return (np.take(x, indices, axis=axis),)
    bounded(node, (*np.shape(indices), *np.shape(x)[batched:]))
    axis += np.ndim(x) if axis < 0 else 0
    shape = np.shape(x)[:batched]
    found = np.empty((*np.shape(x)[:axis], *np.shape(indices)[batched:], *np.shape(x)[axis + 1 :]), np.asarray(x).dtype)
    for at in np.ndindex(*shape):  # of which there may be none
        found[at] = np.take(x[at], indices[at], axis=axis - batched)
    return (found,)


@operation("Tile")
def _tile(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    counts = ints(inputs[1])
    bounded(node, [a * b for a, b in zip(np.shape(inputs[0]), counts, strict=True)])
    return (np.tile(inputs[0], counts),)


@operation("Fill")
def _fill(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    shape = bounded(node, ints(inputs[0]) if np.size(inputs[0]) else ())
    return (np.full(shape, inputs[1], dtype=np.asarray(inputs[1]).dtype),)


@operation("BroadcastTo")
def _broadcast_to(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.broadcast_to(inputs[0], bounded(node, ints(inputs[1]))),)


@operation("Range")
def _range(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    start, limit, delta = (np.asarray(v).item() for v in inputs)
    if delta:
        bounded(node, [max(0, int((limit - start) / delta))])
    return (np.arange(start, limit, delta, dtype=np.asarray(inputs[0]).dtype),)


@operation("Pad", "PadV2", "MirrorPad")
def _pad(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, paddings = inputs[0], [ints(pair) for pair in inputs[1]]
    bounded(node, [size + sum(pair) for size, pair in zip(np.shape(x), paddings, strict=True)])
    if node.op == "MirrorPad":
        mode = "reflect" if node.attr("mode", "REFLECT") == "REFLECT" else "symmetric"
        return (np.pad(x, paddings, mode=mode),)  # type: ignore[call-overload]
    return (np.pad(x, paddings, constant_values=inputs[2] if len(inputs) > 2 else zero(x.dtype)),)


@operation("DynamicPartition", cost=many(lambda node, inputs: int(node.attr("num_partitions"))))
def _dynamic_partition(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return tuple(inputs[0][inputs[1] == i] for i in range(node.attr("num_partitions")))


@operation("DynamicStitch", "ParallelDynamicStitch")
def _dynamic_stitch(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    half = len(inputs) // 2
    indices, parts = inputs[:half], inputs[half:]
    size = max((int(i.max()) + 1 for i in indices if np.size(i)), default=0)
    trailing = parts[0].shape[np.ndim(indices[0]) :]
    out = np.zeros(bounded(node, (size, *trailing)), parts[0].dtype)
    for index, part in zip(indices, parts, strict=True):
        out[index] = part
    return (out,)


_SCATTER: dict[str, Any] = {"Add": np.add, "Sub": np.subtract, "Max": np.maximum, "Min": np.minimum}


def _scattered(node: Node, x: np.ndarray, indices: Value, updates: Value, name: str) -> np.ndarray:
    """Combine updates with the entries or slices of a copy of x that indices [..., depth] name, one after the other."""
    out, changes = np.array(x), np.asarray(updates)
    at = inside(indices, out.shape)
    wanted = (*np.shape(indices)[:-1], *out.shape[np.shape(indices)[-1] :])
    if changes.shape != wanted:
        raise ValueError(f"updates {changes.shape} where {wanted} are wanted")
    if name == "Update":
        out[at] = changes
    else:
        _SCATTER[name].at(out, at, changes)
    return out


@operation(*(f"TensorScatter{name}" for name in ("Update", *_SCATTER)), cost=lambda node, inputs: np.size(inputs[0]))
def _tensor_scatter(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    name = node.op.removeprefix("TensorScatter")
    return (_scattered(node, np.asarray(inputs[0]), inputs[1], inputs[2], name),)


@operation("ScatterNdNonAliasingAdd", cost=lambda node, inputs: np.size(inputs[0]))
def _scatter_add(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (_scattered(node, np.asarray(inputs[0]), inputs[1], inputs[2], "Add"),)


@operation("ScatterNd", cost=lambda node, inputs: math.prod(ints(inputs[2])))
def _scatter(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Of entries that are named twice, the sum; of texts, the last."""
    indices, updates = inputs[0], np.asarray(inputs[1])
    out = np.full(bounded(node, ints(inputs[2])), zero(updates.dtype), updates.dtype)
    if updates.dtype == bool:
        return (_scattered(node, out.astype(np.int64), indices, updates.astype(np.int64), "Add") > 0,)
    if updates.dtype == object:
        out[inside(indices, out.shape)] = updates
        return (out,)
    return (_scattered(node, out, indices, updates, "Add"),)
