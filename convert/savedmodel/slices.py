"""Variables stored in slices: the keys, extents and tiling of the pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from hub2hf.limits import MAX_SLICES

FULL_EXTENT = -1  # TensorSlice::kFullExtent, tensorflow/core/framework/tensor_slice.h
_ESCAPES = {0x00: b"\x00\xff", 0xFF: b"\xff\x00"}


class SliceError(ValueError):
    """What is wrong with the slices, in words; callers name the variable."""


@dataclass(frozen=True)
class SliceSpec:
    """One piece of a tensor.

    Attributes:
        full_shape: shape of the whole tensor.
        starts: first index of the piece along each axis.
        shape: number of indices along each axis.
    """

    full_shape: tuple[int, ...]
    starts: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def index(self) -> tuple[slice, ...]:
        """The piece as an index into the whole tensor."""
        return tuple(slice(start, start + n) for start, n in zip(self.starts, self.shape, strict=True))

    @property
    def rows_only(self) -> bool:
        """Whether the piece is a run of whole rows (full along every axis but the first)."""
        return len(self.shape) > 0 and self.shape[1:] == self.full_shape[1:]


def slice_from_proto(proto: Any, shape: tuple[int, ...]) -> tuple[SliceSpec, tuple[tuple[int, int], ...]]:
    """Read a TensorSliceProto.

    Returns:
        The piece, and its (start, length) pairs with the full extent kept as -1: the form its key is made of.

    Raises:
        SliceError: another number of axes than the tensor, or a piece that ends outside of it.
    """
    extents = tuple((int(e.start), int(e.length) if e.HasField("length") else FULL_EXTENT) for e in proto.extent)
    return _checked(extents, shape), extents


def parse_slice_spec(spec: str) -> SliceSpec | None:
    """Read an entry of ``shape_and_slices`` of RestoreV2, such as ``"4 6 0,2:-"``.

    The form is that of ``ParseShapeAndSlice`` (tensorflow/core/util/saved_tensor_slice_util.h): the sizes of
    the whole tensor, then one ``start,length`` or ``-`` an axis, separated by colons.

    Returns:
        The piece, or None when the entry is empty: the whole tensor.

    Raises:
        SliceError: not of that form.
    """
    if not spec:
        return None
    *dims, last = spec.split(" ")
    try:
        shape = tuple(int(dim) for dim in dims)
        parts = last.split(":") if last else []
        extents = []
        for part in parts:
            start, length = ("0", str(FULL_EXTENT)) if part == "-" else part.split(",")
            extents.append((int(start), int(length)))
    except ValueError:
        raise SliceError(f"{spec!r} is not a shape and slice") from None
    return _checked(tuple(extents), shape)


def _checked(extents: tuple[tuple[int, int], ...], shape: tuple[int, ...]) -> SliceSpec:
    if len(extents) != len(shape):
        raise SliceError(f"a slice has {len(extents)} axes and the variable {len(shape)}")
    lengths = []
    for (start, length), size in zip(extents, shape, strict=True):
        whole = length == FULL_EXTENT and start == 0
        if not whole and (start < 0 or length < 0 or start + length > size):
            raise SliceError(f"a slice [{start}, {start + length}) ends outside an axis of {size}")
        lengths.append(size if whole else length)
    return SliceSpec(shape, tuple(start for start, _ in extents), tuple(lengths))


def check_tiling(slices: Sequence[SliceSpec], shape: tuple[int, ...]) -> None:
    """Check that the pieces cover the tensor once: no gap, no overlap.

    Raises:
        SliceError: they do not.
    """
    if len(slices) > MAX_SLICES:
        raise SliceError(f"it has {len(slices)} slices, more than {MAX_SLICES}")
    pieces = [piece for piece in slices if prod(piece.shape)]
    if sum(prod(piece.shape) for piece in pieces) != prod(shape):
        raise SliceError("its slices leave a gap or overlap")
    if len(pieces) < 2:
        return
    starts = np.array([piece.starts for piece in pieces], dtype=np.int64)
    ends = starts + np.array([piece.shape for piece in pieces], dtype=np.int64)
    order = np.argsort(starts[..., 0], kind="stable")
    starts, ends = starts[order], ends[order]
    for i in range(len(pieces) - 1):
        # Later pieces that begin below the end of this one along axis 0, the only ones that can meet it.
        stop = int(np.searchsorted(starts[..., 0], ends[i, 0]))
        later = slice(i + 1, stop)
        if bool(np.any(np.all((starts[later] < ends[i]) & (ends[later] > starts[i]), axis=1))):
            raise SliceError("its slices overlap")


def encode_slice_key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """Return the key of a piece in the index.

    As ``checkpoint::EncodeTensorNameSlice`` (tensorflow/core/util/saved_tensor_slice_util.cc): an OrderedCode
    (tensorflow/core/lib/strings/ordered_code.cc) of 0, the name, the rank, and each start and length.
    """
    escaped = re.sub(b"[\x00\xff]", lambda found: _ESCAPES[found[0][0]], name)
    parts = [_encode_unsigned(0), escaped, b"\x00\x01", _encode_unsigned(len(extents))]
    for start, length in extents:
        parts += [_encode_signed(start), _encode_signed(length)]
    return b"".join(parts)


def _encode_unsigned(value: int) -> bytes:
    """OrderedCode::WriteNumIncreasing: the number of bytes, then the bytes, most significant first."""
    body = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(body)]) + body


def _encode_signed(value: int) -> bytes:
    """OrderedCode::WriteSignedNumIncreasing: the length in leading bits, flipped for negative numbers."""
    magnitude = ~value if value < 0 else value
    length = magnitude.bit_length() // 7 + 1
    body = bytearray((value & ((1 << (8 * length)) - 1)).to_bytes(length, "big"))
    header = (((1 << length) - 1) << (16 - length)).to_bytes(2, "big")  # `length` ones, then zeros
    body[0] ^= header[0]
    if length > 1:
        body[1] ^= header[1]
    return bytes(body)
