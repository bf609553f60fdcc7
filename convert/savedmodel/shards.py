"""The data files of a checkpoint: bytes read in bounded memory, with their CRC32C verified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import google_crc32c
import numpy as np

from hub2hf.errors import FETCH_AGAIN, CheckpointError
from hub2hf.savedmodel.entries import BundleEntry, Span
from hub2hf.savedmodel.files import is_file
from hub2hf.savedmodel.table import VarintError, mask_crc, read_varint

_READ_BYTES: Final = 8 << 20
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Shards:
    """The files ``PREFIX.data-0000i-of-0000N``.

    Args:
        prefix: path of the checkpoint without its endings.
        count: how many shards the header of the index tells.
    """

    def __init__(self, prefix: Path, count: int) -> None:
        """Name the files; nothing is read."""
        self.paths = tuple(prefix.with_name(f"{prefix.name}.data-{i:05d}-of-{count:05d}") for i in range(count))

    def existing(self) -> list[Path]:
        """Return the shards that are there; one that holds no tensor need not be."""
        return [path for path in self.paths if is_file(path)]

    def check_sizes(self, entries: list[BundleEntry]) -> None:
        """Check that every piece lies within its file.

        Raises:
            CheckpointError: a file is missing or too short, naming it and the first variable that suffers.
        """
        sizes: dict[int, int] = {}
        for entry in entries:
            for piece in entry.pieces:
                path = self.paths[piece.shard]
                if piece.shard not in sizes:
                    sizes[piece.shard] = _file_size(path, entry.key)
                if piece.offset + piece.size > sizes[piece.shard]:
                    raise CheckpointError(
                        f"{path} is truncated: variable {entry.key} needs bytes up to "
                        f"{piece.offset + piece.size} and it has {sizes[piece.shard]}.",
                        FETCH_AGAIN,
                    )

    def read_into(self, key: str, piece: Span, buffer: Bytes) -> None:
        """Fill a buffer of ``piece.size`` bytes.

        Raises:
            CheckpointError: unreadable, too short, or a wrong CRC32C.
        """
        crc = 0
        with self._open(key, piece) as file:
            for start in range(0, piece.size, _READ_BYTES):
                part = buffer[start : start + _READ_BYTES]
                self._fill(key, piece, file, part)
                crc = google_crc32c.extend(crc, part)
        self._check_crc(key, piece, crc)

    def stream(self, key: str, piece: Span, buffer: Bytes) -> Iterator[memoryview]:
        """Yield the bytes of a piece through a buffer, which each step overwrites.

        Raises:
            CheckpointError: as ``read_into``; a wrong CRC32C is raised in place of the last chunk.
        """
        crc = 0
        with self._open(key, piece) as file:
            for start in range(0, piece.size, len(buffer)):
                part = buffer[: piece.size - start]
                self._fill(key, piece, file, part)
                crc = google_crc32c.extend(crc, part)
                if start + len(part) == piece.size:
                    self._check_crc(key, piece, crc)
                yield part.data
        if piece.size == 0:
            self._check_crc(key, piece, crc)

    def read_strings(self, key: str, piece: Span, count: int) -> np.ndarray[Any, np.dtype[Any]]:
        """Read ``count`` strings: an object array [count] of bytes.

        The form is that of ``WriteStringTensor`` (tensorflow/core/util/tensor_bundle/tensor_bundle.cc): the
        lengths as varints, the masked CRC32C of the lengths (as 4, or from 4 GiB 8, bytes each), and the
        strings. The piece's own CRC32C goes on from the former, over its stored form and the strings.

        Raises:
            CheckpointError: unreadable, malformed, or a wrong CRC32C.
        """
        buffer = np.empty(piece.size, dtype=np.uint8)
        self.read_stored(key, piece, buffer)
        data = buffer.tobytes()
        try:
            lengths, position = [], 0
            for _ in range(count):
                length, position = read_varint(data, position, len(data))
                lengths.append(length)
        except VarintError:
            raise self._error(key, piece, "its string lengths are malformed") from None
        if position + 4 + sum(lengths) != len(data):
            raise self._error(key, piece, "its string lengths do not fit its size")
        as_stored = b"".join(n.to_bytes(4 if n < 1 << 32 else 8, "little") for n in lengths)
        crc = google_crc32c.value(as_stored)
        checksum = data[position : position + 4]
        if mask_crc(crc) != int.from_bytes(checksum, "little"):
            raise self._error(key, piece, "its string lengths do not match their CRC32C")
        self._check_crc(key, piece, google_crc32c.extend(crc, data[position:]))
        strings = np.empty(count, dtype=object)
        position += 4
        for i, length in enumerate(lengths):
            strings[i] = data[position : position + length]
            position += length
        return strings

    def read_stored(self, key: str, piece: Span, buffer: Bytes) -> None:
        """Fill a buffer of ``piece.size`` bytes without a look at their CRC32C, which for strings is not over these bytes.

        Raises:
            CheckpointError: unreadable or too short.
        """
        with self._open(key, piece) as file:
            self._fill(key, piece, file, buffer)

    def _open(self, key: str, piece: Span) -> BinaryIO:
        path = self.paths[piece.shard]
        try:
            file = path.open("rb", buffering=0)
            file.seek(piece.offset)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path}, which holds variable {key}, cannot be read: {error}.", FETCH_AGAIN
            ) from None
        return file

    def _fill(self, key: str, piece: Span, file: BinaryIO, part: Bytes) -> None:
        done, view = 0, part.data
        while done < len(view):
            try:
                count = file.readinto(view[done:])  # type: ignore[attr-defined]
            except OSError as error:
                raise self._error(key, piece, f"cannot be read: {error}") from None
            if not count:
                raise self._error(key, piece, "the file ends within it")
            done += count

    def _check_crc(self, key: str, piece: Span, crc: int) -> None:
        if mask_crc(crc) != piece.masked_crc:
            raise self._error(key, piece, "its bytes do not match their CRC32C")

    def _error(self, key: str, piece: Span, problem: str) -> CheckpointError:
        path = self.paths[piece.shard]
        return CheckpointError(
            f"Variable {key} in {path} (byte {piece.offset}, {piece.size} bytes) is damaged: {problem}.",
            FETCH_AGAIN,
        )


def _file_size(path: Path, key: str) -> int:
    if not is_file(path):
        raise CheckpointError(f"The data file {path}, which holds variable {key}, is missing.", FETCH_AGAIN)
    try:
        return path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"The data file {path} cannot be read: {error}.", FETCH_AGAIN) from None
