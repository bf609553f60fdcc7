"""How much an operation would make, asked before it is done: small inputs can make large outputs.

NumPy allocates what an operation asks for; the operating system grants it, and ends the process when it is used. So each
step first says how many elements it may make at most, and what is held at one time is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from convert import limits
from convert.errors import GraphError
from convert.interpreter.registry import Value
from convert.savedmodel.node import Node

ITEM_BYTES = 64  # of an object: a short text, or an entry of a list
MAX_OUTPUTS = 10_000  # of one node; those of an Unpack of texts are the most, one a text

Estimate = Callable[[Node, Sequence[Value]], int]


def check(node: Node, inputs: Sequence[Value]) -> None:
    """Refuse a step that would hold or make more than `limits.memory`.

    Raises:
        GraphError: names the node.
    """
    limits.tick(f"node '{node.name}'")
    taken = sum(map(nbytes, inputs))
    estimate = ESTIMATES.get(node.op, _broadcast)
    try:
        made = estimate(node, inputs)
    except (ValueError, IndexError, TypeError, AttributeError, KeyError, OverflowError):
        made = 0  # the operation itself says what is wrong
    if taken + 8 * made > limits.memory():
        raise too_large(node)


def too_large(node: Node) -> GraphError:
    """Return the error for a step that takes more memory than any probe of a text encoder."""
    return GraphError(
        f"Node '{node.name}' ({node.op}) would take more than {limits.memory() >> 20} MB.",
        "The graph is damaged or is not that of a text encoder.",
    )


def nbytes(value: Value) -> int:
    """Return about how many bytes a value holds."""
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            return value.nbytes
        items = value.ravel().tolist()
        try:
            return ITEM_BYTES * len(items) + len(b"".join(items))
        except TypeError:  # variants
            return ITEM_BYTES * len(items)
    if isinstance(value, list):
        return sum(ITEM_BYTES + (nbytes(item) if item is not None else 0) for item in value)
    return ITEM_BYTES


def _broadcast(node: Node, inputs: Sequence[Value]) -> int:
    """Element by element; also above what operations make that give back what they take, whole or in part."""
    shapes = [np.shape(value) for value in inputs if not isinstance(value, list)]
    if math.prod(max(1, math.prod(shape)) for shape in shapes) <= 1 << 16:
        return 0
    try:
        return int(math.prod(np.broadcast_shapes(*shapes)))
    except ValueError:
        return sum(map(math.prod, shapes))


def _product(node: Node, inputs: Sequence[Value]) -> int:
    a, b = (np.shape(value) for value in inputs[:2])
    rows, columns = max(a[-2:], default=1), max(b[-2:], default=1)
    return int(math.prod(np.broadcast_shapes(a[:-2], b[:-2])) * rows * columns)


def _einsum(node: Node, inputs: Sequence[Value]) -> int:
    """All labels of the result; what an ellipsis stands for is at most all of an operand."""
    left, _, right = str(node.attr("equation")).replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(inputs) or len(inputs) > 2:
        raise GraphError(f"The {node} sums over {len(inputs)} operands.", "Only one or two are understood.")
    sizes: dict[str, int] = {}
    extra = 1
    for term, value in zip(terms, inputs, strict=True):
        before, _, after = term.partition("...")
        shape = np.shape(value)
        ends = [*zip(before, shape, strict=False), *zip(reversed(after), reversed(shape), strict=False)]
        for label, size in ends:
            sizes[label] = max(size, sizes.get(label, 1))
        middle = shape[len(before) : len(shape) - len(after)] if "..." in term else ()
        extra = max(extra, math.prod(middle))
    return extra * math.prod(sizes.get(label, 1) for label in right if label != ".")


def _gather(node: Node, inputs: Sequence[Value]) -> int:
    shape, picked = np.shape(inputs[0]), np.size(inputs[1])
    axis = int(inputs[2]) if len(inputs) > 2 else 0
    return int(picked * math.prod(size for i, size in enumerate(shape) if i != axis % max(1, len(shape))))


def _gather_nd(node: Node, inputs: Sequence[Value]) -> int:
    depth = np.shape(inputs[1])[-1]
    return int(np.size(inputs[1]) // max(1, depth) * math.prod(np.shape(inputs[0])[depth:]))


def _spans(splits: Value) -> int:
    """Return how many elements row splits speak of; hostile ones speak of the same again and again."""
    return sum(max(0, int(b) - int(a)) for a, b in pairwise(np.ravel(splits)))


def _ragged_gather(node: Node, inputs: Sequence[Value]) -> int:
    *splits, values, indices = inputs
    row = max((int(np.max(np.diff(level), initial=0)) for level in splits), default=1)
    return int(np.size(indices) * row ** len(splits) * math.prod(np.shape(values)[1:]))


def _ragged_range(node: Node, inputs: Sequence[Value]) -> int:
    starts, ends, deltas = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in inputs))
    with np.errstate(all="ignore"):
        lengths = np.nan_to_num((ends - starts) / deltas, nan=0.0, posinf=1e18, neginf=0.0)
    return int(np.clip(lengths, 0, 1e18).sum())


def _many(count: Callable[[Node, Sequence[Value]], int]) -> Estimate:
    """A node that makes `count` outputs, each a Python object."""

    def estimate(node: Node, inputs: Sequence[Value]) -> int:
        found = count(node, inputs)
        if found > MAX_OUTPUTS:
            raise GraphError(f"The {node} makes {found} outputs.", "The graph is damaged.")
        return found * ITEM_BYTES

    return estimate


def _replaced(node: Node, inputs: Sequence[Value]) -> int:
    """Every character of a text may become the whole rewrite."""
    texts = sum(len(item) for item in np.ravel(inputs[0]))
    rewrite: Any = node.attr("rewrite", "") if len(inputs) < 3 else np.asarray(inputs[2]).item()
    return int(texts * max(1, len(rewrite))) // 8


def _segments(node: Node, inputs: Sequence[Value]) -> int:
    """Each segment looks at all ids: time, rather than memory."""
    return np.size(inputs[1]) * min(np.size(inputs[1]), int(np.unique(inputs[1]).size)) // 64


ESTIMATES: dict[str, Estimate] = {
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _product),
    "Einsum": _einsum,
    **dict.fromkeys(("Gather", "GatherV2", "ResourceGather"), _gather),
    "GatherNd": _gather_nd,
    "RaggedGather": _ragged_gather,
    "RaggedRange": _ragged_range,
    **dict.fromkeys(("RegexReplace", "StaticRegexReplace"), _replaced),
    **dict.fromkeys(("UnicodeEncode", "UnicodeScriptTokenizeWithOffsets"), lambda node, inputs: 8 * _spans(inputs[1])),
    "RaggedTensorToVariant": lambda node, inputs: 8 * sum(np.size(value) for value in inputs),
    "Where": lambda node, inputs: np.size(inputs[0]) * max(1, np.ndim(inputs[0])),
    "Unpack": _many(lambda node, inputs: int(np.shape(inputs[0])[node.attr("axis", 0)])),
    "Split": _many(lambda node, inputs: int(node.attr("num_split"))),
    "SplitV": _many(lambda node, inputs: int(np.size(inputs[1]))),
    "DynamicPartition": _many(lambda node, inputs: int(node.attr("num_partitions"))),
    "TensorListFromTensor": lambda node, inputs: len(inputs[0]) * ITEM_BYTES // 8,
    **dict.fromkeys(("SegmentSum", "SegmentMax", "SegmentMin", "UnsortedSegmentSum"), _segments),
}
