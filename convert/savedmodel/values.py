"""The values of a SavedModel's variables: those of its checkpoint, and those that were frozen into its graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hub2hf.errors import FETCH_AGAIN, GraphError
from hub2hf.savedmodel.checkpoint import Checkpoint
from hub2hf.savedmodel.node import Node

CHUNK = 4 << 20


@dataclass(frozen=True)
class Stored:
    """What is known of a value without reading it.

    Attributes:
        dtype: numpy dtype (bfloat16 and float8 of ml_dtypes).
        shape: sizes along its axes.
        nbytes: bytes it takes.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    nbytes: int


class Values:
    """Values by name.

    Args:
        checkpoint: that of the SavedModel; None where it has none.
        frozen: constants of the graph that are weights, by the name that they go by.
    """

    def __init__(self, checkpoint: Checkpoint | None, frozen: Mapping[str, Node]) -> None:
        self._checkpoint, self._frozen = checkpoint, frozen

    def stored(self, name: str) -> Stored:
        """Return what is known of a value.

        Raises:
            CheckpointError, GraphError: there is none of that name, or it is malformed.
        """
        if name in self._frozen:
            value = self._frozen[name].value
            return Stored(value.dtype, value.shape, value.size * value.dtype.itemsize)
        variable = self._of_checkpoint(name).variable(name)
        return Stored(variable.dtype, variable.shape, variable.nbytes)

    def read(self, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Return a value.

        Raises:
            CheckpointError, GraphError: there is none of that name, or it is damaged.
        """
        return self._frozen[name].value if name in self._frozen else self._of_checkpoint(name).read(name)

    def stream(self, name: str) -> Iterator[bytes | memoryview]:
        """Yield the bytes of a value of numbers, little-endian and in row-major order, in chunks.

        Raises:
            CheckpointError, GraphError: there is none of that name, or it is damaged.
        """
        if name not in self._frozen:
            yield from self._of_checkpoint(name).stream(name)
            return
        # A constant that one value fills takes the memory of one: its rows are laid out a few at a time.
        value = self._frozen[name].value
        rows = value.reshape(-1) if value.flags.c_contiguous else np.atleast_1d(value)
        each = max(1, CHUNK // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), each):
            yield np.ascontiguousarray(rows[start : start + each]).tobytes()

    def _of_checkpoint(self, name: str) -> Checkpoint:
        if self._checkpoint is None:
            raise GraphError(f"The SavedModel has no value for '{name}'.", FETCH_AGAIN)
        return self._checkpoint
