"""Stored vectors as they stand in a column, and how far they are from others beyond what their rounding explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hub2hf.corpora.places import pyarrow
from hub2hf.errors import SourceError

FLOAT16, BFLOAT16, INT8, FULL = "float16", "bfloat16", "int8", "float32"
# What rounding to so many bits may change, as a part of each number, twice: the length changes with it.
RELATIVE: Final = {FULL: 0.0, FLOAT16: 2.0**-10, BFLOAT16: 2.0**-7}
SMALLEST: Final = {FULL: 0.0, FLOAT16: 2.0**-24, BFLOAT16: 0.0}  # step of subnormal numbers

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
        steps: of each of those, half the step of int8 at unit length; else 0.
    """

    why: list[str]
    unit: np.ndarray
    rounding: list[str]
    steps: np.ndarray


def check_vectors(name: str, column: Any) -> None:
    """See that a column holds lists of numbers.

    Raises:
        SourceError: it does not.
    """
    types = pyarrow().types
    kind = column.type
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not lists or not (types.is_floating(kind.value_type) or types.is_signed_integer(kind.value_type)):
        raise SourceError(
            f"The column '{name}' holds {kind}, not lists of signed numbers.", "Name another: --embedding COLUMN."
        )


def read_vectors(column: Any, hidden: int) -> Vectors:
    """Return the vectors of a column of lists of numbers; of `hidden` numbers each, or they cannot be compared."""
    arrow = pyarrow()
    whole = column.combine_chunks()
    whole = whole if isinstance(whole, arrow.Array) else arrow.concat_arrays(whole.chunks)
    lengths = [None if length is None else int(length) for length in arrow.compute.list_value_length(whole).to_pylist()]
    why = [NO_VECTOR if n is None else WIDTH if n != hidden else "" for n in lengths]
    right = whole.filter(arrow.array([not each for each in why]))
    flat = right.flatten().to_numpy(zero_copy_only=False)
    integers = np.issubdtype(flat.dtype, np.integer)
    values = flat.astype(np.float64).reshape(-1, hidden)
    norms = np.linalg.norm(values, axis=1)
    good = np.isfinite(norms) & (norms > 0)
    for row, value in zip([i for i, each in enumerate(why) if not each], norms, strict=True):
        if not np.isfinite(value):
            why[row] = NOT_A_NUMBER
        elif value == 0:
            why[row] = ZERO
    values, norms = values[good], norms[good]
    rounding = [INT8] * len(values) if integers else _rounding(values)
    return Vectors(why, values / norms[:, None], rounding, 0.5 / norms if integers else np.zeros(len(values)))


def _rounding(values: np.ndarray) -> list[str]:
    """Return of each vector the coarsest form that holds it exactly."""
    import ml_dtypes

    with np.errstate(over="ignore"):
        values = values.astype(np.float32)  # JSON has nine digits, which is as near as float32 can tell
        half = (values.astype(np.float16).astype(np.float32) == values).all(axis=1)
    coarse = (values.astype(ml_dtypes.bfloat16).astype(np.float32) == values).all(axis=1)
    return [BFLOAT16 if b else FLOAT16 if h else FULL for b, h in zip(coarse, half, strict=True)]


def beyond(stored: Vectors, expected: np.ndarray) -> np.ndarray:
    """Return the largest difference of each vector, less what rounding explains, float64 [rows].

    Args:
        stored: vectors.
        expected: float64 [rows, hidden], of unit length.
    """
    hidden = expected.shape[1]
    relative = np.array([RELATIVE.get(form, 0.0) for form in stored.rounding]) + stored.steps * hidden**0.5
    smallest = np.array([SMALLEST.get(form, 0.0) for form in stored.rounding]) + stored.steps
    allowed = np.abs(expected) * relative[:, None] + smallest[:, None]
    return np.asarray(np.maximum(np.abs(stored.unit - expected) - allowed, 0.0).max(axis=1, initial=0.0))
