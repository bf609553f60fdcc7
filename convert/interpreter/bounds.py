"""How much an operation would make, asked before it is done: small inputs can make large outputs.

NumPy allocates what an operation asks for; the operating system grants it, and ends the process when it is used. So each
step first says how many elements it may make at most, and what is held at one time is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from hub2hf import limits
from hub2hf.errors import GraphError
from hub2hf.interpreter.registry import Cost, Value
from hub2hf.savedmodel.node import Node

ITEM_BYTES = 64  # of an object: a short text, or an entry of a list
FEW = 1 << 16  # elements that are never too many: what is held already is counted elsewhere
MAX_OUTPUTS = 10_000  # of one node; those of an Unpack of texts are the most, one a text


def check(node: Node, cost: Cost | None, inputs: Sequence[Value]) -> None:
    """Refuse a step that would hold or make more than `limits.memory`.

    Args:
        node: the node.
        cost: how many elements it may make at most; None for what its inputs broadcast to.
        inputs: what it takes.

    Raises:
        GraphError: names the node.
    """
    limits.tick(node)
    try:
        made = broadcast(node, inputs) if cost is None else cost(node, inputs)
    except (ValueError, IndexError, TypeError, AttributeError, KeyError, OverflowError, MemoryError):
        made = 0  # the operation itself says what is wrong
    if made > FEW and sum(map(nbytes, inputs)) + 8 * made > limits.memory():
        raise too_large(node)


class TooLargeError(GraphError):
    """A step would take more memory than any probe of a text encoder."""


def too_large(node: Node) -> TooLargeError:
    """Return the error for such a step."""
    return TooLargeError(
        f"Node '{node.name}' ({node.op}) would take more than {limits.memory() >> 20} MB.",
        "The graph is damaged or is not that of a text encoder.",
    )


def _text_bytes(array: np.ndarray) -> int:
    items = array.ravel().tolist()
    try:
        return sum(map(len, items))
    except TypeError:  # variants
        return 0


class Items(list[Value]):
    """The elements of a tensor list; it knows what they hold, as loops change one of them at a time."""

    held: int | None = None

    def changed(self, index: int, value: Value) -> Items:
        """Return a copy with another element at `index`, or one more at the end."""
        copy = Items(self)
        before = _entry(self[index]) if index < len(self) else 0
        copy[index : index + 1] = [value]
        copy.held = nbytes(self) - before + _entry(value)
        return copy


def _entry(item: Value) -> int:
    return ITEM_BYTES + (nbytes(item) if item is not None else 0)


def nbytes(value: Value) -> int:
    """Return about how many bytes a value holds."""
    if isinstance(value, np.ndarray):
        if value.dtype.char != "O":
            return value.nbytes
        return ITEM_BYTES * value.size + _text_bytes(value)
    if isinstance(value, Items):
        if value.held is None:
            value.held = sum(map(_entry, value))
        return value.held
    return ITEM_BYTES


def broadcast(node: Node, inputs: Sequence[Value]) -> int:
    """Element by element; also above what operations make that give back what they take, whole or in part."""
    most = 1
    for value in inputs:
        if isinstance(value, np.ndarray):  # a table or a list is none: NumPy would go through all of it
            most *= value.size or 1
    if most <= FEW:
        return 0
    shapes = [value.shape for value in inputs if isinstance(value, np.ndarray)]
    try:
        return int(math.prod(np.broadcast_shapes(*shapes)))
    except ValueError:
        return sum(map(math.prod, shapes))


def many(count: Callable[[Node, Sequence[Value]], int]) -> Cost:
    """A node that makes `count` outputs, each a Python object."""

    def estimate(node: Node, inputs: Sequence[Value]) -> int:
        found = count(node, inputs)
        if found > MAX_OUTPUTS:
            raise GraphError(f"The {node} makes {found} outputs.", "The graph is damaged.")
        return found * ITEM_BYTES

    return estimate
