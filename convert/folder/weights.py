"""Stream the variables of a SavedModel into `model.safetensors`, never holding the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from hub2hf.errors import FETCH_AGAIN, CheckpointError, MappingError
from hub2hf.folder.files import write_pieces
from hub2hf.savedmodel.values import Values
from hub2hf.state_dict import Mapped, tensor_of

# Format: github.com/huggingface/safetensors, README "Format": 8 bytes little-endian header size, JSON header, tensor bytes.
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
ALIGNMENT = 8
WEIGHTS = "model.safetensors"  # as transformers and sentence-transformers name the file

Done = Callable[[int], None]
TensorEntry = tuple[str, str, list[int], int]  # key, dtype, shape, bytes


def write_safetensors(
    path: Path,
    values: Values,
    mapped: Sequence[Mapped],
    progress: Done = lambda done: None,
    notices: Iterable[str] = (),
    busy: Callable[[], bool] = lambda: False,
) -> str:
    """Write every mapped variable under its key, in the order given; return the SHA-256 of the file in hexadecimal.

    Args:
        path: the file to create.
        values: where the variables are read from; each CRC32C is verified on the way.
        mapped: variables, keys and operations.
        progress: called with the bytes of tensors just written, `weights_bytes` in all.
        notices: keys of tensors without numbers, which come after.
        busy: as for `write_pieces`.

    Raises:
        CheckpointError: a variable is damaged, or holds what is no number.
        MappingError: a variable is not of a floating dtype.
    """
    header = safetensors_header([*_entries(values, mapped), *((notice, "F32", [0], 0) for notice in notices)])

    def pieces() -> Iterator[bytes | memoryview]:
        yield header
        for chunk in (chunk for item in mapped for chunk in _tensor_bytes(values, item)):
            yield chunk
            progress(len(chunk))

    return str(write_pieces(path, pieces(), busy)["sha256"])


def weights_bytes(values: Values, mapped: Iterable[Mapped]) -> int:
    """Return the bytes that the tensors of `mapped` take."""
    return sum(prod(item.shape) * values.stored(item.variable).dtype.itemsize for item in mapped)


def _entries(values: Values, mapped: Sequence[Mapped]) -> Iterator[TensorEntry]:
    for item in mapped:
        variable = values.stored(item.variable)
        dtype = DTYPES.get(variable.dtype.name)
        if dtype is None:
            raise MappingError(
                f"Variable '{item.variable}' is {variable.dtype.name}; a weight must be a float.",
                "Quantised models are not supported.",
            )
        yield item.key, dtype, list(item.shape), prod(item.shape) * variable.dtype.itemsize


def safetensors_header(entries: Iterable[TensorEntry]) -> bytes:
    """Return what stands before the tensors of a file."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for key, dtype, shape, size in entries:
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _tensor_bytes(values: Values, item: Mapped) -> Iterator[bytes | memoryview]:
    dtype = values.stored(item.variable).dtype
    if item.is_copied:
        for chunk in values.stream(item.variable):
            numbers = np.frombuffer(chunk, np.uint8)
            _check(item, numbers[: len(numbers) // dtype.itemsize * dtype.itemsize].view(dtype))
            yield chunk
        return
    value = tensor_of(item, values.read(item.variable))
    if value.size:
        _check(item, value)
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data


def _check(item: Mapped, numbers: np.ndarray) -> None:
    """Raise where some are NaN or infinite: then their sum is, which is told sooner."""
    with np.errstate(all="ignore"):
        if not np.isfinite(numbers.sum()) and not np.isfinite(numbers).all():
            raise CheckpointError(f"Variable '{item.variable}' holds NaN or infinity.", FETCH_AGAIN)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a few small arrays of floating dtype to the file `path`, each under its key."""
    entries = [(key, DTYPES[array.dtype.name], list(array.shape), array.nbytes) for key, array in arrays.items()]
    content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    path.write_bytes(safetensors_header(entries) + content)
