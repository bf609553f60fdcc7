"""An ONNX file opened with its weights mapped from the disk: nothing is copied, and processes of one machine share them.

ONNX Runtime maps weights that are said to lie in a file beside the model, and copies those in it. So it is given the model
without them, in memory, which says that they lie in that very file.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hub2hf.onnx.model import (
    DATA_LOCATION,
    GRAPH,
    INITIALIZER,
    LENGTH_DELIMITED,
    RAW_DATA,
    SMALL,
    field_key,
    placed,
)
from hub2hf.surfaces.onnxruntime import opened

# onnxruntime_session_options_config_keys.h: the folder of files that a model in memory names; since version 1.21
FOLDER_OF_WEIGHTS: Final = "session.model_external_initializers_file_folder_path"
VARINT: Final = 0  # protobuf's wire type
WIDTHS: Final = {1: 8, 5: 4}  # its wire types of a fixed size → bytes
MOST_BITS: Final = 70  # of its numbers: ten groups of seven


class ElsewhereError(Exception):
    """The weights of a model lie in another file."""


def mapped_session(path: Path) -> Any:
    """Return an `onnxruntime.InferenceSession` of a file, its weights mapped.

    Raises:
        ValueError: the file is no protobuf.
        Exception: whatever ONNX Runtime raises where it is no model.
    """
    import onnxruntime

    real = path.resolve()  # weights may not lie outside the folder, as they seem to where the file is a link
    try:
        model = without_weights(real)
    except ElsewhereError:
        return opened(path)  # which maps them
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(FOLDER_OF_WEIGHTS, str(real.parent))
    return opened(model, options)


def without_weights(path: Path) -> bytes:
    """Return an ONNX file whose tensors, but for small ones, say where in the file their numbers lie, and do not have them.

    Raises:
        ElsewhereError: they lie in another file.
        ValueError: it is no protobuf.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return bytes(_without(data, 0, len(data), (GRAPH, INITIALIZER, RAW_DATA), path.name))


def _without(data: mmap.mmap, begin: int, end: int, nest: tuple[int, ...], name: str) -> bytearray:
    """Return a message as it is, but for the numbers of large tensors: `nest` is the fields that lead to these."""
    out = bytearray()
    for field, start, inside, stop in _fields(data, begin, end):
        if field == DATA_LOCATION and nest == (RAW_DATA,):
            raise ElsewhereError
        if field == nest[0] and len(nest) > 1:
            message = _without(data, inside, stop, nest[1:], name)
            out += field_key(field, len(message)) + message
        elif field != nest[0] or stop - inside < SMALL:
            out += data[start:stop]
        else:
            out += placed(name, inside, stop - inside)
    return out


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the number of each field of a message, where it starts, where its content does, and where both stop.

    Raises:
        ValueError: there is no message.
    """
    while at < end:
        start = at
        key, inside = _varint(data, at)
        kind = key & 7
        if kind == VARINT:
            _, at = _varint(data, inside)
        elif kind == LENGTH_DELIMITED:
            length, inside = _varint(data, inside)
            at = inside + length
        else:
            at = inside + WIDTHS.get(kind, end)
        if at > end:
            raise ValueError("it is no ONNX file, or cut off")
        yield key >> 3, start, inside, at


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Return the number that stands at a place, and the place behind it; see `field_key`."""
    number = shift = 0
    while at < len(data) and shift < MOST_BITS:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ValueError("it is no ONNX file, or cut off")
