"""The table of operations: op name → function of (node, inputs, interpreter) → outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from convert.errors import GraphError
from convert.savedmodel.node import Node

Value = Any  # np.ndarray, or a TensorList, or a resource


class Caller(Protocol):
    """What operations may ask of the interpreter: to call a function of the graph."""

    def call(self, node: Node, name: str, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """Return the outputs of function `name`, called by `node` with `arguments`."""


Operation = Callable[[Node, Sequence[Value], Caller], tuple[Value, ...]]

DEAD = object()  # in place of a value on the side of a Switch that is not taken

OPERATIONS: dict[str, Operation] = {}

# A probe needs no larger tensor; a hostile graph must not fill the memory.
MAX_ELEMENTS = 1 << 24


def operation(*names: str) -> Callable[[Operation], Operation]:
    """Register a function with all its outputs under the op `names`."""

    def register(function: Operation) -> Operation:
        OPERATIONS.update(dict.fromkeys(names, function))
        return function

    return register


def elementary(table: dict[str, Callable[..., Value]]) -> None:
    """Register functions of the input values alone with one output, as ``{op name: function}``."""

    def adapt(function: Callable[..., Value]) -> Operation:
        return lambda node, inputs, run: (function(*inputs),)

    OPERATIONS.update({name: adapt(function) for name, function in table.items()})


def bounded(node: Node, shape: Sequence[int]) -> tuple[int, ...]:
    """Return `shape` as a tuple of ints.

    Raises:
        GraphError: a dimension is negative or the tensor would be larger than any probe needs.
    """
    sizes = tuple(int(size) for size in shape)
    elements = 1
    for size in sizes:
        elements *= size
        if size < 0 or elements > MAX_ELEMENTS:
            raise GraphError(
                f"Node '{node.name}' ({node.op}) would make a tensor of shape {list(sizes)}.",
                "The graph is damaged or is not that of a text encoder.",
            )
    return sizes


def as_float64(array: np.ndarray) -> np.ndarray:
    """Return floating arrays (float16/32/64, bfloat16) as float64 and all others unchanged."""
    kind = array.dtype
    floating = kind.kind == "f" or kind.name == "bfloat16"
    return array.astype(np.float64) if floating and kind != np.float64 else array
