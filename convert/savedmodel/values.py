"""The values of a SavedModel's variables: those of its checkpoint, and those that were frozen into its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import prod
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


@dataclass(frozen=True)
class Shard:
    """A run of rows of a variable."""

    variable: str
    start: int
    rows: int


@dataclass(frozen=True)
class Joined:
    """A table whose rows are those of several shards.

    Attributes:
        shards: those, in order.
        dealt: whether their rows are dealt out like cards, the first of each and then the second of each, as TensorFlow's
            partition strategy "mod" has them; otherwise those of one follow those of another, as "div" has them.
    """

    shards: tuple[Shard, ...]
    dealt: bool

    @property
    def rows(self) -> int:
        """How many there are in all."""
        return sum(shard.rows for shard in self.shards)

    def places(self) -> Iterator[np.ndarray]:
        """Yield the rows of the table that those of each shard are, int64."""
        start, counts = 0, [shard.rows for shard in self.shards]
        for i, count in enumerate(counts):
            each = np.arange(count)
            if self.dealt:
                yield np.add.reduce([np.minimum(each + (j < i), other) for j, other in enumerate(counts)])
            else:
                yield each + start
            start += count

    def of(self, read: Callable[[str], np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Return the table; `read` gives the values of variables."""
        parts = [read(shard.variable)[shard.start : shard.start + shard.rows] for shard in self.shards]
        value = np.empty((self.rows, *parts[0].shape[1:]), parts[0].dtype)
        for part, places in zip(parts, self.places(), strict=True):
            value[places] = part
        return value

    def facts(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Computed:
    """A value that the graph computes of those of variables.

    Attributes:
        tensor: what the graph calls it.
        variables: what it is made of.
        dtype, shape: its own.
        value: from a way to read variables to it.
    """

    tensor: str
    variables: tuple[str, ...]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    value: Callable[[Callable[[str], np.ndarray[Any, Any]]], np.ndarray[Any, Any]]

    def facts(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"tensor": self.tensor, "variables": list(self.variables)}


class Values:
    """Values by name.

    Args:
        checkpoint: that of the SavedModel; None where it has none.
        frozen: constants of the graph that are weights, by the name that they go by.
        made: what is made of several variables or constants, by the name that it goes by.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        frozen: Mapping[str, Node],
        made: Mapping[str, Joined | Computed] | None = None,
    ) -> None:
        self._checkpoint, self._frozen = checkpoint, frozen
        self._joined = {name: each for name, each in (made or {}).items() if isinstance(each, Joined)}
        self._computed = {name: each for name, each in (made or {}).items() if isinstance(each, Computed)}

    def stored(self, name: str) -> Stored:
        """Return what is known of a value.

        Raises:
            CheckpointError, GraphError: there is none of that name, or it is malformed.
        """
        if name in self._joined:
            whole = self._joined[name]
            first = self.stored(whole.shards[0].variable)
            shape = (whole.rows, *first.shape[1:])
            return Stored(first.dtype, shape, prod(shape) * first.dtype.itemsize)
        if name in self._computed:
            computed = self._computed[name]
            return Stored(computed.dtype, computed.shape, prod(computed.shape) * computed.dtype.itemsize)
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
        if name in self._joined:
            return self._joined[name].of(self.read)
        if name in self._computed:
            return self._computed[name].value(self.read).astype(self._computed[name].dtype, copy=False)
        return self._frozen[name].value if name in self._frozen else self._of_checkpoint(name).read(name)

    def stream(self, name: str) -> Iterator[bytes | memoryview]:
        """Yield the bytes of a value of numbers, little-endian and in row-major order, in chunks.

        Raises:
            CheckpointError, GraphError: there is none of that name, or it is damaged.
        """
        if name in self._joined:
            yield from self._dealt(name) if self._joined[name].dealt else self._in_turn(name)
            return
        if name not in self._frozen and name not in self._computed:
            yield from self._of_checkpoint(name).stream(name)
            return
        # A constant that one value fills takes the memory of one: its rows are laid out a few at a time.
        value = self.read(name)
        rows = value.reshape(-1) if value.flags.c_contiguous else np.atleast_1d(value)
        each = max(1, CHUNK // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), each):
            yield np.ascontiguousarray(rows[start : start + each]).tobytes()

    def _in_turn(self, name: str) -> Iterator[bytes | memoryview]:
        for shard in self._joined[name].shards:
            yield from self._rows(shard)

    def _dealt(self, name: str) -> Iterator[bytes | memoryview]:
        """Yield the rows of all shards by turns, of each so many at a time as make a chunk of all together."""
        whole, stored = self._joined[name], self.stored(name)
        size = stored.nbytes // max(1, whole.rows)
        shards = [_Reader(self._rows(shard)) for shard in whole.shards]
        left = np.asarray([shard.rows for shard in whole.shards])
        while left.any():
            most = max(1, CHUNK // max(1, size * len(shards)))
            taken = np.minimum(left, most)
            some = Joined(tuple(Shard("", 0, int(count)) for count in taken), dealt=True)
            chunk = np.empty((some.rows, size), np.uint8)
            for shard, places in zip(shards, some.places(), strict=True):
                chunk[places] = shard.take(len(places) * size).reshape(-1, size)
            yield chunk.tobytes()
            left = left - taken

    def _rows(self, shard: Shard) -> Iterator[bytes | memoryview]:
        """Yield the bytes of a run of rows of a variable; where a slice holds just these, no others are read."""
        if shard.variable not in self._frozen:
            alone = self._of_checkpoint(shard.variable).stream_rows(shard.variable, shard.start, shard.rows)
            if alone is not None:
                yield from alone
                return
        size = self.stored(shard.variable).nbytes // max(1, self.stored(shard.variable).shape[0])
        skipped, left = shard.start * size, shard.rows * size
        for chunk in self.stream(shard.variable):
            begin = min(skipped, len(chunk))
            part = chunk[begin : begin + left]
            skipped, left = skipped - begin, left - len(part)
            if len(part):
                yield part

    def _of_checkpoint(self, name: str) -> Checkpoint:
        if self._checkpoint is None:
            raise GraphError(f"The SavedModel has no value for '{name}'.", FETCH_AGAIN)
        return self._checkpoint


class _Reader:
    """Bytes that come in chunks, taken so many at a time."""

    def __init__(self, chunks: Iterator[bytes | memoryview]) -> None:
        self._chunks, self._rest = chunks, np.empty(0, np.uint8)

    def take(self, count: int) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the next `count` bytes."""
        out = np.empty(count, np.uint8)
        done = 0
        while done < count:
            if not len(self._rest):
                self._rest = np.frombuffer(next(self._chunks), np.uint8)
            part = self._rest[: count - done]
            out[done : done + len(part)] = part
            self._rest = self._rest[len(part) :]
            done += len(part)
        return out
