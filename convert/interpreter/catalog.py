"""All operations by name. What text encoders are made of is loaded with this module, the rest when a graph asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from hub2hf.interpreter import (  # noqa: F401  (fill OPERATIONS)
    arrays,
    bounds,
    control,
    elementwise,
    lists,
    matrices,
    ragged,
    shapes,
    strings,
    tables,
    tensor_arrays,
    texts,
    tokens,
    utf,
    variants,
    words,
)
from hub2hf.interpreter.registry import OPERATIONS, Operation

RARE = ("blocks", "crosses", "hashing", "numerals", "pieces", "searching", "segments", "sparse", "special")


@cache
def operations() -> Mapping[str, Operation]:
    """Return op name → operation, for all that can be computed."""
    for name in RARE:
        import_module(f"hub2hf.interpreter.{name}")
    return OPERATIONS


def find(op: str) -> Operation | None:
    """Return the operation of this name; None where it cannot be computed."""
    return OPERATIONS.get(op) or operations().get(op)
