"""The tensors of `model.safetensors`, read piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import ml_dtypes
import numpy as np

from hub2hf.errors import ExportError
from hub2hf.folder.manifest import UNREADABLE, unreadable

DTYPES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "F64": np.dtype(np.float64),
        "F32": np.dtype(np.float32),
        "F16": np.dtype(np.float16),
        "BF16": np.dtype(ml_dtypes.bfloat16),
    }
)
MAX_HEADER = 100_000_000  # as safetensors itself has it
PIECE = 1 << 22  # bytes read at once


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies: its dtype, its shape, and the bytes [start, end) of the file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    end: int


class WeightFile:
    """A safetensors file (format: github.com/huggingface/safetensors, README "Format").

    Args:
        path: the file.

    Raises:
        ExportError: it cannot be read, or is not whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._stored = _contents(path)
        except UNREADABLE as error:
            raise unreadable(path, error) from error

    def __contains__(self, key: str) -> bool:
        return key in self._stored

    def __iter__(self) -> Iterator[str]:
        """Yield the keys in the order of the file."""
        return iter(self._stored)

    def dtype(self, key: str) -> np.dtype[Any]:
        """Return the dtype of a tensor.

        Raises:
            ExportError: there is none of that key.
        """
        return self._find(key).dtype

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of a tensor.

        Raises:
            ExportError: there is none of that key.
        """
        return self._find(key).shape

    def read(self, key: str) -> np.ndarray:
        """Return a whole tensor, of the shape and dtype that it is stored in.

        Raises:
            ExportError: there is none of that key, or the file cannot be read.
        """
        return np.concatenate(list(self.pieces(key))).reshape(self.shape(key))

    def pieces(self, key: str) -> Iterator[np.ndarray]:
        """Yield the numbers of a tensor in order, in flat arrays of a few megabytes.

        Raises:
            ExportError: there is none of that key, or the file cannot be read.
        """
        stored = self._find(key)
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(stored.start)
                for start in range(stored.start, stored.end, PIECE):
                    data = file.read(min(PIECE, stored.end - start))
                    yield np.frombuffer(data, stored.dtype)
        except OSError as error:
            raise unreadable(self.path, error, "Check the disk.") from error

    def rows(self, key: str, width: int = 0) -> Iterator[np.ndarray]:
        """Yield the rows of a matrix in order, [some, width] at a time.

        Args:
            key: of the tensor.
            width: of parts of rows, which come in their place; whole ones by default.

        Raises:
            ExportError: there is none of that key, or the file cannot be read.
        """
        yield from whole_rows(self.pieces(key), width or self.shape(key)[1])

    def _find(self, key: str) -> TensorPlace:
        try:
            return self._stored[key]
        except KeyError as error:
            raise ExportError(f"{self.path} has no tensor '{key}'.", "Convert the model again.") from error


def whole_rows(pieces: Iterable[np.ndarray], width: int) -> Iterator[np.ndarray]:
    """Yield the rows of a matrix that comes in flat arrays, which end anywhere.

    Args:
        pieces: the flat arrays.
        width: numbers in a row.
    """
    rest = np.empty(0)
    for piece in pieces:
        flat = np.concatenate([rest.astype(piece.dtype, copy=False), piece]) if len(rest) else piece
        whole = len(flat) // width * width
        yield flat[:whole].reshape(-1, width)
        rest = flat[whole:]


def _contents(path: Path) -> dict[str, TensorPlace]:
    """Return key → where it lies; raises whatever a file that is none leads to."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER:
            raise ValueError("its header is too long")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise TypeError("its header names no tensors")
    header.pop("__metadata__", None)
    found = {key: _stored(entry, 8 + length) for key, entry in header.items()}
    if path.stat().st_size < max((stored.end for stored in found.values()), default=0):
        raise ValueError("it is cut short")
    return found


def _stored(entry: Mapping[str, Any], start: int) -> TensorPlace:
    """Return where a tensor lies, from its entry in the header."""
    dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if begin < 0 or end - begin != prod(shape) * dtype.itemsize:
        raise ValueError(f"a tensor of shape {list(shape)} has {end - begin} bytes")
    return TensorPlace(dtype, shape, start + begin, start + end)
