"""The entries of a checkpoint's index, validated: what each tensor is and where its pieces lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from hub2hf.errors import FETCH_AGAIN, CheckpointError
from hub2hf.limits import MAX_KEY_BYTES, MAX_SLICES_IN_ALL
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.dtypes import DT_STRING, NUMPY_DTYPES
from hub2hf.savedmodel.slices import SliceError, SliceSpec, check_tiling, encode_slice_key, slice_from_proto

HEADER_KEY: Final = b""  # kHeaderEntryKey, tensorflow/core/util/tensor_bundle/tensor_bundle.h
BUNDLE_VERSION: Final = 1  # kTensorBundleVersion, tensorflow/core/util/tensor_bundle/tensor_bundle.h
MAX_SHARDS: Final = 100_000  # data files are numbered with five digits
MAX_RANK: Final = 32  # numpy < 2 has no more axes
MAX_BYTES: Final = 1 << 62
_SLICE_PREFIX: Final = b"\x00"  # OrderedCode of 0, with which EncodeTensorNameSlice begins
_LITTLE_ENDIAN: Final = 0
_UNSUPPORTED: Final = "Save the model again with a released TensorFlow 2, then convert that."


@dataclass(frozen=True)
class Span:
    """Bytes ``[offset, offset + size)`` of a data shard: a tensor or one slice of it, and their CRC32C."""

    shard: int
    offset: int
    size: int
    masked_crc: int
    slice: SliceSpec | None = None


@dataclass(frozen=True)
class BundleEntry:
    """One tensor of the index, with all its pieces.

    Attributes:
        key: its key in the index.
        dtype: numpy dtype; ``object`` for strings (bytes objects).
        shape: sizes along its axes.
        nbytes: bytes it takes on disk (for numbers, also in memory).
        pieces: one piece, or one for every slice in the order of the index.
    """

    key: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    nbytes: int
    pieces: tuple[Span, ...]


def read_header(where: str, table: Mapping[bytes, bytes]) -> int:
    """Check the header of the bundle and return its number of data shards.

    Raises:
        CheckpointError: no header, a big-endian or newer bundle, or an impossible number of shards.
    """
    first = next(iter(table), None)
    if first != HEADER_KEY:
        raise CheckpointError(f"The checkpoint index {where} has no header.", FETCH_AGAIN)
    header = _parse(where, "BundleHeaderProto", "the header", table[HEADER_KEY])
    if header.endianness != _LITTLE_ENDIAN:
        raise CheckpointError(
            f"The checkpoint {where} was written on a big-endian machine, which is not supported.",
            "Save it again on a little-endian machine (x86 or Arm).",
        )
    if header.version.min_consumer > BUNDLE_VERSION or BUNDLE_VERSION in header.version.bad_consumers:
        raise CheckpointError(
            f"The checkpoint {where} has a newer format (min_consumer {header.version.min_consumer}).",
            _UNSUPPORTED,
        )
    if not 1 <= header.num_shards <= MAX_SHARDS:
        raise CheckpointError(f"The checkpoint index {where} claims {header.num_shards} data shards.", FETCH_AGAIN)
    return int(header.num_shards)


def read_entries(where: str, table: Mapping[bytes, bytes], num_shards: int) -> dict[str, BundleEntry]:
    """Decode and check every entry of a bundle.

    Args:
        where: the index file, for messages.
        table: its entries, header included.
        num_shards: number of data shards the header tells.

    Returns:
        The tensors by key, in the order of the index; slices are gathered into their tensor.

    Raises:
        CheckpointError: an entry is malformed, of an unsupported dtype, or its size does not fit its shape; a
            slice is missing, belongs to no variable, or the slices do not tile their variable.
    """
    reader = _Reader(where, table, num_shards)
    entries = {}
    for raw_key in table:
        if raw_key != HEADER_KEY and not raw_key.startswith(_SLICE_PREFIX):
            entry = reader.entry(raw_key)
            entries[entry.key] = entry
    for raw_key in table:
        if raw_key.startswith(_SLICE_PREFIX) and raw_key not in reader.used_slices:
            raise CheckpointError(f"The slice {raw_key!r} of {where} belongs to no variable.", FETCH_AGAIN)
    return entries


class _Reader:
    def __init__(self, where: str, table: Mapping[bytes, bytes], num_shards: int) -> None:
        self.where, self.table, self.num_shards = where, table, num_shards
        self.used_slices: set[bytes] = set()

    def entry(self, raw_key: bytes) -> BundleEntry:
        try:
            key = raw_key.decode("utf-8")
        except UnicodeDecodeError:
            raise CheckpointError(f"The key {raw_key!r} of {self.where} is not UTF-8.", FETCH_AGAIN) from None
        if len(raw_key) > MAX_KEY_BYTES or not key.isprintable():
            raise CheckpointError(f"The key {key[:50]!r} of {self.where} is not the name of a variable.", FETCH_AGAIN)
        proto = _parse(self.where, "BundleEntryProto", f"variable {key}", self.table[raw_key])
        if proto.dtype not in NUMPY_DTYPES:
            raise self.error(key, f"has the unsupported DataType {proto.dtype}", _UNSUPPORTED)
        shape = self.shape(key, proto.shape, NUMPY_DTYPES[proto.dtype])
        if proto.slices:
            pieces = self.slices(raw_key, key, proto, shape)
        else:
            pieces = (self.piece(key, proto, proto.dtype, shape, None),)
        return BundleEntry(key, NUMPY_DTYPES[proto.dtype], shape, sum(piece.size for piece in pieces), pieces)

    def error(self, key: str, problem: str, next_step: str = FETCH_AGAIN) -> CheckpointError:
        return CheckpointError(f"Variable {key} of {self.where} {problem}.", next_step)

    def shape(self, key: str, proto: Any, dtype: np.dtype[Any]) -> tuple[int, ...]:
        shape = tuple(int(dim.size) for dim in proto.dim)
        if proto.unknown_rank or len(shape) > MAX_RANK or any(size < 0 for size in shape):
            raise self.error(key, f"has the impossible shape {list(shape)}")
        if prod(size for size in shape if size) * dtype.itemsize > MAX_BYTES:
            raise self.error(key, f"has the impossible shape {list(shape)}")
        return shape

    def piece(self, key: str, proto: Any, number: int, shape: tuple[int, ...], spec: SliceSpec | None) -> Span:
        size, count = int(proto.size), prod(shape)
        if proto.offset < 0 or size < 0 or proto.offset + size > MAX_BYTES:
            raise self.error(key, f"claims {size} bytes at byte {proto.offset}")
        if not 0 <= proto.shard_id < self.num_shards:
            raise self.error(key, f"lies in data shard {proto.shard_id} of {self.num_shards}")
        if number != DT_STRING and size != count * NUMPY_DTYPES[number].itemsize:
            dtype = NUMPY_DTYPES[number]
            raise self.error(key, f"has {size} bytes, which does not fit {dtype} {list(shape)}")
        # A string takes a length of 1 byte or more; the checksum of the lengths takes 4.
        if number == DT_STRING and size < count + 4:
            raise self.error(key, f"has {size} bytes, too few for {count} strings")
        return Span(int(proto.shard_id), int(proto.offset), size, int(proto.crc32c), spec)

    def slices(self, raw_key: bytes, key: str, proto: Any, shape: tuple[int, ...]) -> tuple[Span, ...]:
        pieces = []
        if len(self.used_slices) + len(proto.slices) > MAX_SLICES_IN_ALL:
            raise self.error(key, f"is one too many in slices: there are more than {MAX_SLICES_IN_ALL}")
        try:
            for slice_proto in proto.slices:
                spec, extents = slice_from_proto(slice_proto, shape)
                slice_key = encode_slice_key(raw_key, extents)
                pieces.append(self.slice_piece(key, slice_key, proto.dtype, spec))
            check_tiling([piece.slice for piece in pieces if piece.slice], shape)
        except SliceError as error:
            raise self.error(key, f"cannot be put together: {error}") from None
        return tuple(pieces)

    def slice_piece(self, key: str, slice_key: bytes, number: int, spec: SliceSpec) -> Span:
        if slice_key in self.used_slices:
            raise SliceError("a slice is repeated")
        if slice_key not in self.table:
            raise SliceError(f"the slice at {list(spec.starts)} of shape {list(spec.shape)} is missing")
        self.used_slices.add(slice_key)
        data = self.table[slice_key]
        proto = _parse(self.where, "BundleEntryProto", f"a slice of variable {key}", data)
        shape = tuple(int(dim.size) for dim in proto.shape.dim)
        if proto.dtype != number or shape != spec.shape or proto.slices:
            raise SliceError(f"the slice at {list(spec.starts)} is DataType {proto.dtype} of shape {list(shape)}")
        return self.piece(key, proto, number, spec.shape, spec)


def _parse(where: str, kind: str, what: str, data: bytes) -> Any:
    try:
        return messages.parse(kind, data)
    except messages.MalformedMessage as error:
        raise CheckpointError(f"The entry of {what} in {where} is malformed: {error}.", FETCH_AGAIN) from None
