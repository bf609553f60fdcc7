"""`Read`: a value with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

# The constants of a graph are float32, and its arithmetic is done here in float64: equal values agree to about 1e-7.
SAME = 1e-6


@dataclass(frozen=True)
class Read(Generic[T]):
    """A value and the node or variable it was read from."""

    value: T
    evidence: str
