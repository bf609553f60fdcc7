"""A TensorFlow checkpoint (tensor bundle) read without TensorFlow, every byte verified by CRC32C."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from hub2hf.errors import FETCH_AGAIN, CheckpointError
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.entries import BundleEntry, Span, read_entries, read_header
from hub2hf.savedmodel.files import is_file
from hub2hf.savedmodel.graph_only import KeptBytes
from hub2hf.savedmodel.shards import Shards
from hub2hf.savedmodel.table import read_table

OBJECT_GRAPH_KEY: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"  # OBJECT_GRAPH_PROTO_KEY, tensorflow/python/trackable/base.py


@dataclass(frozen=True)
class Variable:
    """A variable of the checkpoint.

    Attributes:
        name: the name the model gave it (``full_name`` of a TF2 object graph), or its key where there is
            no such name, or where two variables share it.
        key: its key in the checkpoint.
        dtype: numpy dtype (bfloat16 and float8 of ml_dtypes); ``object`` for strings.
        shape: sizes along its axes.
        nbytes: bytes it takes on disk; for all but strings also in memory.
    """

    name: str
    key: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    nbytes: int
    _pieces: tuple[Span, ...]

    @property
    def is_string(self) -> bool:
        """Whether it holds strings (as bytes objects), which cannot be streamed."""
        return self.dtype == object

    @property
    def slice_count(self) -> int:
        """Into how many slices it is stored; 0 when it is whole."""
        return sum(piece.slice is not None for piece in self._pieces)


class Checkpoint:
    """A checkpoint: ``PREFIX.index`` and ``PREFIX.data-*``; use :meth:`open`.

    Attributes:
        prefix: path without the endings, such as ``variables/variables``.
        variables: every variable by name, in the order of the index, without the object graph itself.
    """

    def __init__(self, prefix: Path, shards: Shards, entries: Mapping[str, BundleEntry]) -> None:
        """Put together what :meth:`open` has read and checked."""
        self.prefix = prefix
        self._shards = shards
        self._entries = entries
        graph = entries.get(OBJECT_GRAPH_KEY)
        self._by_key: dict[str, Variable] = {}
        self._objects = self._object_graph(graph) if graph else messages.new("TrackableObjectGraph")
        names = _names(
            entries, [(str(a.checkpoint_key), str(a.full_name)) for n in self._objects.nodes for a in n.attributes]
        )
        for key, entry in entries.items():
            if key != OBJECT_GRAPH_KEY:
                name = names.get(key, key)
                self._by_key[key] = Variable(name, key, entry.dtype, entry.shape, entry.nbytes, entry.pieces)
        self.variables: Mapping[str, Variable] = MappingProxyType({v.name: v for v in self._by_key.values()})

    @classmethod
    def open(cls, prefix: Path) -> Checkpoint:
        """Read and check the index of a checkpoint, and the sizes of its data files.

        Args:
            prefix: path without ``.index``.

        Raises:
            CheckpointError: a file is missing, truncated or damaged, or something in it is not supported.
        """
        index = prefix.with_name(prefix.name + ".index")
        if not is_file(index):
            raise CheckpointError(f"The checkpoint index {index} is missing.", FETCH_AGAIN)
        return cls._opened(prefix, Shards)

    @classmethod
    def of_graph_only(cls, folder: Path) -> Checkpoint:
        """Read the index of the checkpoint in the folder of a graph-only file, which has no data files.

        Raises:
            CheckpointError: the index is damaged.
            SourceError: the file of the bytes that are kept is.
        """
        return cls._opened(folder / "variables/variables", lambda _, count: KeptBytes(folder, count))

    @classmethod
    def _opened(cls, prefix: Path, shards_of: Callable[[Path, int], Shards]) -> Checkpoint:
        index = prefix.with_name(prefix.name + ".index")
        table = read_table(index)
        count = read_header(str(index), table)
        entries = read_entries(str(index), table, count)
        shards = shards_of(prefix, count)
        shards.check_sizes(list(entries.values()))
        return cls(prefix, shards, entries)

    def variable(self, name: str) -> Variable:
        """Return a variable by its name or its key.

        Raises:
            CheckpointError: there is none.
        """
        found = self.variables.get(name) or self._by_key.get(name)
        if found is None:
            some = ", ".join(list(self.variables)[:3]) or "none"
            raise CheckpointError(
                f"The checkpoint {self.prefix} has no variable {name}.",
                f"It has {len(self.variables)}; the first are: {some}.",
            )
        return found

    def of_object(self, path: Sequence[str]) -> Variable | None:
        """Return the variable that the names `path` lead to from the root object; None when there is none."""
        nodes, at = self._objects.nodes, 0
        for name in path:
            found = [int(c.node_id) for c in nodes[at].children if c.local_name == name] if at < len(nodes) else []
            if not found or not 0 <= found[0] < len(nodes):
                return None
            at = found[0]
        keys = [str(a.checkpoint_key) for a in nodes[at].attributes] if at < len(nodes) else []
        return self._by_key.get(keys[0]) if keys else None

    def has(self, name: str) -> bool:
        """Tell whether there is a variable of this name or key."""
        return name in self.variables or name in self._by_key

    def read(self, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Read a whole variable, put together from its slices, its CRC32C verified.

        Args:
            name: its name or key.

        Returns:
            An array of the variable's dtype and shape; strings as bytes objects.

        Raises:
            CheckpointError: no such variable, unreadable or damaged.
        """
        variable = self.variable(name)
        try:
            return self._read(variable)
        except MemoryError:
            raise CheckpointError(
                f"Variable {name} of {self.prefix} ({variable.nbytes} bytes) does not fit in memory.",
                "Use a machine with more memory.",
            ) from None

    def stored(self, key: str) -> bytes | None:
        """Return the bytes of a small entry as they are stored, the object graph among them; None when it is not whole.

        Raises:
            CheckpointError: unreadable or damaged.
        """
        entry = self._entries.get(key)
        if entry is None or len(entry.pieces) != 1 or entry.pieces[0].slice is not None:
            return None
        buffer = np.empty(entry.pieces[0].size, dtype=np.uint8)
        self._shards.read_stored(key, entry.pieces[0], buffer)
        return buffer.tobytes()

    def stream(self, name: str, chunk_bytes: int = 4 << 20) -> Iterator[memoryview]:
        """Yield the bytes of a variable, little-endian and in row-major order, in bounded memory.

        Slices along the first axis are streamed one after another; other slices need the whole variable in
        memory. A chunk is valid until the next one is asked for (its buffer is used again). Chunks need not
        be of equal size, but are never empty.

        Args:
            name: name or key of a variable of numbers.
            chunk_bytes: largest size of a chunk.

        Raises:
            CheckpointError: no such variable, or one of strings (at once); unreadable or damaged (while
                iterating: the last chunk of a piece is given only when its CRC32C is right).
        """
        variable = self.variable(name)
        if variable.is_string:
            raise CheckpointError(f"Variable {name} of {self.prefix} holds strings.", "Read it whole.")
        size = max(1, chunk_bytes)
        pieces = variable._pieces
        if all(piece.slice is None or piece.slice.rows_only for piece in pieces):
            return self._stream_pieces(variable, size)
        return _chunks(self.read(name), size)

    def stream_rows(self, name: str, start: int, rows: int, chunk_bytes: int = 4 << 20) -> Iterator[memoryview] | None:
        """Do as :meth:`stream` with the rows that one slice holds alone; None where no slice holds just these.

        Raises:
            CheckpointError: see :meth:`stream`.
        """
        variable = self.variable(name)
        for piece in variable._pieces:
            part = piece.slice
            if part is not None and part.rows_only and (part.starts[0], part.shape[0]) == (start, rows):
                return self._stream_pieces(replace(variable, _pieces=(piece,)), max(1, chunk_bytes))
        return None

    def verify(self, name: str, chunk_bytes: int = 4 << 20) -> None:
        """Read a variable in bounded memory (strings: whole) only to check its CRC32C.

        Raises:
            CheckpointError: no such variable, unreadable or damaged.
        """
        variable = self.variable(name)
        if variable.is_string:
            self.read(name)
            return
        for _ in self._stream_pieces(variable, max(1, chunk_bytes)):
            pass

    def fingerprint_files(self) -> list[Path]:
        """Return the files that make up the checkpoint: the index and the data shards."""
        return [self.prefix.with_name(self.prefix.name + ".index"), *self._shards.existing()]

    def _stream_pieces(self, variable: Variable, chunk_bytes: int) -> Iterator[memoryview]:
        pieces = sorted(variable._pieces, key=lambda piece: piece.slice.starts[0] if piece.slice else 0)
        buffer = np.empty(min(chunk_bytes, max(1, *(piece.size for piece in pieces))), dtype=np.uint8)
        for piece in pieces:
            yield from self._shards.stream(variable.key, piece, buffer)

    def _read(self, variable: Variable) -> np.ndarray[Any, np.dtype[Any]]:
        if len(variable._pieces) == 1 and variable._pieces[0].slice is None:
            return self._read_piece(variable, variable._pieces[0], variable.shape)
        whole = np.empty(variable.shape, dtype=variable.dtype)
        for piece in variable._pieces:
            if piece.slice is not None:
                whole[piece.slice.index] = self._read_piece(variable, piece, piece.slice.shape)
        return whole

    def _read_piece(self, variable: Variable, piece: Span, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[Any]]:
        if variable.is_string:
            return self._shards.read_strings(variable.key, piece, prod(shape)).reshape(shape)
        buffer = np.empty(piece.size, dtype=np.uint8)
        self._shards.read_into(variable.key, piece, buffer)
        return buffer.view(variable.dtype).reshape(shape)

    def _object_graph(self, graph: BundleEntry) -> Any:
        """Return the TrackableObjectGraph: the objects that were saved, by name, each with its checkpoint keys."""
        if graph.dtype != object or graph.shape or graph.pieces[0].slice is not None:
            raise CheckpointError(f"The object graph of {self.prefix} is not one string.", FETCH_AGAIN)
        data = self._shards.read_strings(graph.key, graph.pieces[0], 1)[0]
        try:
            return messages.parse("TrackableObjectGraph", data)
        except messages.MalformedMessage as error:
            raise CheckpointError(f"The object graph of {self.prefix} is malformed: {error}.", FETCH_AGAIN) from None


def _names(entries: Mapping[str, BundleEntry], full_names: list[tuple[str, str]]) -> dict[str, str]:
    """Give each key its full name, unless two keys share it or it is the key of another: then none has it."""
    pairs = dict.fromkeys((key, name) for key, name in full_names if key in entries and name)
    names_of_key = Counter(key for key, _ in pairs)
    keys_of_name = Counter(name for _, name in pairs)
    return {
        key: name
        for key, name in pairs
        if names_of_key[key] == 1 and keys_of_name[name] == 1 and (name == key or name not in entries)
    }


def _chunks(array: np.ndarray[Any, np.dtype[Any]], chunk_bytes: int) -> Iterator[memoryview]:
    data = array.reshape(-1).view(np.uint8)
    for start in range(0, len(data), chunk_bytes):
        yield data[start : start + chunk_bytes].data
