"""The table of operations: op name → its kernel and what it may cost.

All that the interpreter knows of an operation stands in one place, the decorator of its kernel; the names of its outputs
are TensorFlow's (`convert/savedmodel/op_outputs.txt`, generated), so that adding an operation touches one file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.savedmodel.node import Node

Value = Any  # np.ndarray, or a TensorList, or a resource


class Caller(Protocol):
    """What operations may ask of the interpreter: to call a function of the graph."""

    def call(self, node: Node, name: str, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """Return the outputs of function `name`, called by `node` with `arguments`."""


Kernel = Callable[[Node, Sequence[Value], Caller], tuple[Value, ...]]
Cost = Callable[[Node, Sequence[Value]], int]

DEAD = object()  # in place of a value on the side of a Switch that is not taken


@dataclass(frozen=True)
class Operation:
    """What is known of an operation.

    Attributes:
        kernel: from (node, inputs, interpreter) to all outputs.
        cost: from (node, inputs) to how many elements, of 8 bytes, it may make at most, asked before it is run; None for
            what makes no more than its inputs broadcast together.
    """

    kernel: Kernel
    cost: Cost | None = None


OPERATIONS: dict[str, Operation] = {}

# A probe needs no larger tensor; a hostile graph must not fill the memory.
MAX_ELEMENTS = 1 << 24


def operation(*names: str, cost: Cost | None = None) -> Callable[[Kernel], Kernel]:
    """Register a kernel with all its outputs under the op `names`, with what it may cost (see `Operation`)."""

    def register(kernel: Kernel) -> Kernel:
        OPERATIONS.update(dict.fromkeys(names, Operation(kernel, cost)))
        return kernel

    return register


def elementary(table: dict[str, Callable[..., Value]], cost: Cost | None = None) -> None:
    """Register functions of the input values alone with one output, as ``{op name: function}``."""

    def adapt(function: Callable[..., Value]) -> Operation:
        return Operation(lambda node, inputs, run: (function(*inputs),), cost)

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
