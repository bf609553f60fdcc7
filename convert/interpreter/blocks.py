"""Ops that move elements as blocks, rolls, reversals and bytes; and shapes of shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.interpreter.registry import Caller, Value, as_float64, bounded, operation
from hub2hf.interpreter.shapes import ints, sliced, zero
from hub2hf.interpreter.utf import byte_strings, flat
from hub2hf.savedmodel.node import Node


@operation("Roll", cost=lambda node, inputs: np.size(inputs[0]))
def _roll(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.roll(inputs[0], ints(inputs[1]), ints(inputs[2])),)


@operation("Reverse")
def _reverse(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The first form: a flag for each axis."""
    x, flags = np.asarray(inputs[0]), np.ravel(inputs[1])
    if len(flags) != x.ndim:
        raise ValueError(f"{len(flags)} flags for {x.ndim} axes")
    return (np.flip(x, tuple(np.flatnonzero(flags).tolist())),)


@operation("ReverseSequence", cost=lambda node, inputs: np.size(inputs[0]))
def _reverse_sequence(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, lengths = np.asarray(inputs[0]), np.asarray(inputs[1], np.int64)
    along, batch = int(node.attr("seq_dim")), int(node.attr("batch_dim", 0))
    if (
        not 0 <= along < x.ndim
        or not 0 <= batch < x.ndim
        or along == batch
        or lengths.shape != x.shape[batch : batch + 1]
    ):
        raise ValueError(f"sequences along {along}, in rows along {batch}, of the shape {x.shape}")
    if (lengths < 0).any() or (lengths > x.shape[along]).any():
        raise ValueError("a sequence is longer than its row")
    steps = np.arange(x.shape[along])
    order = np.where(steps < lengths[:, np.newaxis], lengths[:, np.newaxis] - 1 - steps, steps)
    rows = np.moveaxis(x, (batch, along), (0, 1))
    picked = rows[np.arange(len(rows))[:, np.newaxis], order]
    return (np.moveaxis(picked, (0, 1), (batch, along)),)


@operation("ConjugateTranspose")
def _conjugate_transpose(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x = np.asarray(inputs[0])
    turned = np.transpose(x, ints(inputs[1])) if np.size(inputs[1]) else x
    return (np.conj(turned) if x.dtype.kind == "c" else turned,)


@operation("ConcatOffset")
def _concat_offset(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    axis, shapes = int(inputs[0]), [np.asarray(shape) for shape in inputs[1:]]
    axis += len(shapes[0]) if axis < 0 else 0
    for shape in shapes:
        if np.delete(shape, axis).tolist() != np.delete(shapes[0], axis).tolist():
            raise ValueError("shapes differ beside the axis along which they are joined")
    ends = np.cumsum([0, *(int(shape[axis]) for shape in shapes)])
    outputs = []
    for start, shape in zip(ends, shapes, strict=False):
        offset = np.zeros_like(shape)
        offset[axis] = start
        outputs.append(offset)
    return tuple(outputs)


@operation("ParallelConcat", cost=lambda node, inputs: sum(map(np.size, inputs)))
def _parallel_concat(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if any(np.shape(value)[:1] != (1,) for value in inputs):
        raise ValueError("it joins rows of one")
    return (np.concatenate(inputs),)


@operation("LinSpace", cost=lambda node, inputs: int(inputs[2]))
def _lin_space(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    start, stop, count = float(inputs[0]), float(inputs[1]), int(inputs[2])
    if count < 1:
        raise ValueError(f"{count} numbers")
    bounded(node, [count])
    return (np.linspace(start, stop, count),)


@operation("UnravelIndex", cost=lambda node, inputs: np.size(inputs[0]) * np.size(inputs[1]))
def _unravel(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    indices, sizes = np.asarray(inputs[0]), ints(inputs[1])
    if indices.ndim > 1:
        raise ValueError(f"indices of rank {indices.ndim}")
    found = np.stack(np.unravel_index(indices, sizes)).astype(indices.dtype)
    return (found,)


@operation("Bitcast", cost=lambda node, inputs: np.size(inputs[0]))
def _bitcast(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The same bytes as another type: floats are first made the type that the graph has."""
    source, target = np.dtype(node.attr("T")), np.dtype(node.attr("type"))
    x = np.ascontiguousarray(np.asarray(inputs[0]).astype(source))
    if source.itemsize < target.itemsize:
        if x.shape[-1:] != (target.itemsize // source.itemsize,):
            raise ValueError(f"the shape {x.shape} as {target}")
        return (as_float64(x.view(target)[..., 0]),)
    more = source.itemsize // target.itemsize
    seen = np.frombuffer(x.tobytes(), target).reshape((*np.shape(inputs[0]), *([more] if more > 1 else [])))
    return (as_float64(seen),)


def _space_to_batch(x: np.ndarray, block: Sequence[int], paddings: Sequence[Sequence[int]]) -> np.ndarray:
    count = len(block)
    rest = [(0, 0)] * (x.ndim - count - 1)
    x = np.pad(x, [(0, 0), *map(tuple, paddings), *rest], constant_values=zero(x.dtype))
    if any(size % b for size, b in zip(x.shape[1:], block, strict=False)):
        raise ValueError(f"blocks of {list(block)} in the shape {x.shape}")
    parts = [n for size, b in zip(x.shape[1 : count + 1], block, strict=True) for n in (size // b, b)]
    split = x.reshape(x.shape[0], *parts, *x.shape[count + 1 :])
    inner, outer = [2 + 2 * i for i in range(count)], [1 + 2 * i for i in range(count)]
    moved = split.transpose([*inner, 0, *outer, *range(1 + 2 * count, split.ndim)])
    return moved.reshape(math.prod(block) * x.shape[0], *parts[::2], *x.shape[count + 1 :])


def _batch_to_space(x: np.ndarray, block: Sequence[int], crops: Sequence[Sequence[int]]) -> np.ndarray:
    count, batch = len(block), x.shape[0] // math.prod(block)
    if x.shape[0] % math.prod(block):
        raise ValueError(f"blocks of {list(block)} from a batch of {x.shape[0]}")
    split = x.reshape(*block, batch, *x.shape[1:])
    order = [count, *(axis for i in range(count) for axis in (count + 1 + i, i))]
    moved = split.transpose([*order, *range(2 * count + 1, split.ndim)])
    sizes = [size * b for size, b in zip(x.shape[1:], block, strict=False)]
    whole = moved.reshape(batch, *sizes, *x.shape[count + 1 :])
    if any(a < 0 or b < 0 or a + b > size for (a, b), size in zip(crops, sizes, strict=True)):
        raise ValueError("more is cut than there is")
    return whole[(slice(None), *(slice(a, size - b) for (a, b), size in zip(crops, sizes, strict=True)))]


def _block(node: Node, inputs: Sequence[Value]) -> tuple[list[int], list[list[int]]]:
    """Return block sizes and paddings; the forms without ND have one size for both axes of an image."""
    if node.op.endswith("ND"):
        return list(ints(inputs[1])), np.asarray(inputs[2]).tolist()
    return [int(node.attr("block_size"))] * 2, np.asarray(inputs[1]).tolist()


def _blocks_cost(node: Node, inputs: Sequence[Value]) -> int:
    block, paddings = _block(node, inputs)
    sizes = [size + a + b for size, (a, b) in zip(np.shape(inputs[0])[1:], paddings, strict=False)]
    shape = np.shape(inputs[0])
    return int(max(math.prod(shape), shape[0] * math.prod(sizes) * math.prod(shape[1 + len(block) :])))


@operation("SpaceToBatch", "SpaceToBatchND", cost=_blocks_cost)
def _to_batch(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    block, paddings = _block(node, inputs)
    if min(block, default=1) < 1:
        raise ValueError(f"blocks of {block}")
    return (_space_to_batch(np.asarray(inputs[0]), block, paddings),)


@operation("BatchToSpace", "BatchToSpaceND")
def _to_space(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    block, crops = _block(node, inputs)
    if min(block, default=1) < 1:
        raise ValueError(f"blocks of {block}")
    return (_batch_to_space(np.asarray(inputs[0]), block, crops),)


@operation("SpaceToDepth", "DepthToSpace")
def _depth(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if node.attr("data_format", "NHWC") != "NHWC":
        raise GraphError(f"The {node} has its channels first.", "No text encoder does.")
    x, size = np.asarray(inputs[0]), int(node.attr("block_size"))
    n, height, width, depth = x.shape
    if size < 2:
        raise ValueError(f"blocks of {size}")
    if node.op == "SpaceToDepth":
        split = x.reshape(n, height // size, size, width // size, size, depth).transpose(0, 1, 3, 2, 4, 5)
        return (split.reshape(n, height // size, width // size, depth * size * size),)
    split = x.reshape(n, height, width, size, size, depth // (size * size)).transpose(0, 1, 3, 2, 4, 5)
    return (split.reshape(n, height * size, width * size, depth // (size * size)),)


@operation("DataFormatDimMap", "DataFormatVecPermute")
def _data_format(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, source = np.asarray(inputs[0]), str(node.attr("src_format", "NHWC"))
    target = str(node.attr("dst_format", "NCHW"))
    if sorted(source) != sorted(target):
        raise ValueError(f"from {source} to {target}")
    if node.op == "DataFormatDimMap":
        where = np.asarray([target.index(letter) for letter in source], x.dtype)
        return (where[x],)
    if len(x) == len(source) - 2:
        source, target = (name.replace("N", "").replace("C", "") for name in (source, target))
    if len(x) != len(source):
        raise ValueError(f"{len(x)} sizes for {source}")
    return (x[[source.index(letter) for letter in target]],)


def _raw_cost(node: Node, inputs: Sequence[Value]) -> int:
    return np.size(inputs[0]) * (int(inputs[1]) if len(inputs) > 1 else 0) + sum(map(len, flat(inputs[0])))


@operation("DecodeRaw", "DecodePaddedRaw", cost=_raw_cost)
def _decode_raw(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The bytes of texts as numbers; texts have one length, or are cut and padded with zeros to one."""
    kind, texts = np.dtype(node.attr("out_type")), flat(inputs[0])
    if len(inputs) > 1:
        size = int(inputs[1])
        texts = [text[:size].ljust(size, b"\0") for text in texts]
    size = len(texts[0]) if texts else 0
    if any(len(text) != size for text in texts) or size % kind.itemsize:
        raise ValueError("texts are not of one length, or not of whole numbers")
    order: Any = "<" if node.attr("little_endian", True) else ">"
    found = np.frombuffer(b"".join(texts), kind.newbyteorder(order) if kind.itemsize > 1 else kind)
    shape = (*np.shape(inputs[0]), size // kind.itemsize)
    return (as_float64(found.astype(kind).reshape(shape)),)


@operation("TensorStridedSliceUpdate", cost=lambda node, inputs: np.size(inputs[0]))
def _slice_update(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    out = np.array(inputs[0])
    index = sliced(node, inputs[1:4])
    if np.shape(inputs[4]) != out[index].shape:
        raise ValueError(f"{np.shape(inputs[4])} into {out[index].shape}")
    out[index] = inputs[4]
    return (out,)


@operation("EditDistance", cost=lambda node, inputs: math.prod(ints(inputs[2])) + 64 * np.size(inputs[1]))
def _edit_distance(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Levenshtein's distance of the sequences in the last axis of two sparse tensors."""
    shape = tuple(max(a, b) for a, b in zip(ints(inputs[2])[:-1], ints(inputs[5])[:-1], strict=True))
    left, right = (_sequences(*inputs[i : i + 2]) for i in (0, 3))
    out = np.zeros(bounded(node, shape))
    for place in left.keys() | right.keys():
        a, b = left.get(place, []), right.get(place, [])
        distance = float(_levenshtein(node, a, b))
        if node.attr("normalize", True):
            distance = distance / len(b) if b else (np.inf if a else 0.0)
        out[place] = distance
    return (out,)


def _sequences(indices: np.ndarray, values: np.ndarray) -> dict[tuple[int, ...], list[Any]]:
    found: dict[tuple[int, ...], list[Any]] = {}
    for place, value in zip(np.asarray(indices)[:, :-1].tolist(), np.asarray(values).tolist(), strict=True):
        found.setdefault(tuple(place), []).append(value)
    return found


def _levenshtein(node: Node, a: Sequence[Any], b: Sequence[Any]) -> int:
    bounded(node, [len(a) + 1, len(b) + 1])
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


@operation("Empty", cost=lambda node, inputs: math.prod(ints(inputs[0])))
def _empty(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Zeros: without `init`, TensorFlow promises nothing of them."""
    kind = node.attr("dtype")
    if not node.attr("init", False):
        raise GraphError(f"The {node} gives memory as it is found.", "Such a graph has no meaning.")
    shape = bounded(node, ints(inputs[0]) if np.size(inputs[0]) else ())
    if kind == "string":
        return (byte_strings([b""] * math.prod(shape), shape),)
    return (as_float64(np.zeros(shape, kind)),)
