"""Stored vectors as they stand in a column, and how far they are from others beyond what their rounding explains."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hub2hf.corpora.places import pyarrow, shown
from hub2hf.errors import SourceError

if TYPE_CHECKING:
    from hub2hf.corpora.job import Windows

FLOAT16, BFLOAT16, INT8, FULL = "float16", "bfloat16", "int8", "float32"
# What rounding to so many bits may change, as a part of each number, twice: the length changes with it.
RELATIVE: Final = {FULL: 0.0, FLOAT16: 2.0**-10, BFLOAT16: 2.0**-7}
SMALLEST: Final = {FLOAT16: 2.0**-24, INT8: 0.5}  # of numbers near 0, as they are stored

NO_VECTOR, WIDTH, NOT_A_NUMBER, ZERO = (
    "no vector",
    "wrong width",
    "NaN or infinite",
    "zero",
)  # why one cannot be compared


@dataclass(frozen=True)
class Vectors:
    """Stored vectors of a window.

    Attributes:
        why: of each row, why it has none that can be compared; "" where it has.
        unit: float64 [comparable rows, hidden], of unit length.
        rounding: of each of those, the form in which it was stored.
        steps: of each of those, what its form changes of numbers near 0, at unit length.
    """

    why: list[str]
    unit: np.ndarray
    rounding: list[str]
    steps: np.ndarray


def check_vectors(corpus: Windows, name: str) -> None:
    """See that a column of a corpus holds lists of numbers; a file may have none in it.

    Raises:
        SourceError: it does not; names the file.
    """
    types = pyarrow().types
    for file, given in corpus.files.items():
        kind = _kind(corpus, file, name)
        lists = _is_list(kind)
        of = kind.value_type if lists else kind
        if not types.is_null(of) and not (lists and (types.is_floating(of) or types.is_signed_integer(of))):
            raise SourceError(
                f"{shown(given.path)}: the column '{name}' holds {kind}, not lists of signed numbers.",
                "Name another: --embedding COLUMN.",
            )


def vectors_of(corpus: Windows, file: int, table: Any, name: str) -> Any:
    """Return a column that `check_vectors` passed, of a window of a file: as lists of the type that this file has.

    All files together may have another, as of int8 and float32; and without a vector a column is of no type in particular.
    """
    arrow, kind = pyarrow(), _kind(corpus, file, name)
    if _is_list(kind):
        return table.column(name).cast(kind)
    return arrow.chunked_array([arrow.nulls(len(table), arrow.list_(arrow.float32()))])


def _kind(corpus: Windows, file: int, name: str) -> Any:
    schema = corpus.scans[file].schema
    return schema.field(name).type if name in schema.names else pyarrow().null()


def _is_list(kind: Any) -> bool:
    types = pyarrow().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def widths_of(column: Any) -> Counter[int]:
    """Return how many vectors of a column of `vectors_of` have how many numbers."""
    return Counter(pyarrow().compute.list_value_length(column).drop_null().to_pylist())


def read_vectors(column: Any, hidden: int) -> Vectors:
    """Return the vectors of a column of `vectors_of`; of `hidden` numbers each, or they cannot be compared."""
    arrow = pyarrow()
    whole = column.combine_chunks()
    whole = whole if isinstance(whole, arrow.Array) else arrow.concat_arrays(whole.chunks)
    lengths = [None if length is None else int(length) for length in arrow.compute.list_value_length(whole).to_pylist()]
    why = [NO_VECTOR if n is None else WIDTH if n != hidden else "" for n in lengths]
    right = whole.filter(arrow.array([not each for each in why]))
    integers = arrow.types.is_integer(right.type.value_type)  # in NumPy, those of which one is null are none
    values = right.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, hidden)
    largest = np.abs(values).max(axis=1)
    good = np.isfinite(largest) & (largest > 0)
    for row, value in zip([i for i, each in enumerate(why) if not each], largest, strict=True):
        if not np.isfinite(value):
            why[row] = NOT_A_NUMBER
        elif value == 0:
            why[row] = ZERO
    values, largest = values[good], largest[good]
    rounding = [INT8] * len(values) if integers else _rounding(values)
    scaled = values / largest[:, None]  # float64 can hold their squares
    norms = np.linalg.norm(scaled, axis=1)
    steps = np.array([SMALLEST.get(form, 0.0) for form in rounding]) / largest / norms
    return Vectors(why, scaled / norms[:, None], rounding, steps)


def _rounding(values: np.ndarray) -> list[str]:
    """Return of each vector the coarsest form that holds it exactly."""
    import ml_dtypes

    with np.errstate(over="ignore"):
        single = values.astype(np.float32)  # JSON has nine digits, which is as near as float32 can tell
        half = single.astype(np.float16).astype(np.float32) == single
        coarse = single.astype(ml_dtypes.bfloat16).astype(np.float32) == single
    held = np.isfinite(single) & ((single == 0) == (values == 0))
    return [
        BFLOAT16 if b else FLOAT16 if h else FULL
        for b, h in zip((coarse & held).all(axis=1), (half & held).all(axis=1), strict=True)
    ]


def beyond(stored: Vectors, expected: np.ndarray) -> np.ndarray:
    """Return the largest difference of each vector, less what rounding explains, float64 [rows].

    Args:
        stored: vectors.
        expected: float64 [rows, hidden], of unit length.
    """
    hidden = expected.shape[1]
    relative = np.array([RELATIVE.get(form, 0.0) for form in stored.rounding]) + stored.steps * hidden**0.5
    allowed = np.abs(expected) * relative[:, None] + stored.steps[:, None]
    return np.asarray(np.maximum(np.abs(stored.unit - expected) - allowed, 0.0).max(axis=1, initial=0.0))
