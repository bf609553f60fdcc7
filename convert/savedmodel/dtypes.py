"""TensorFlow's DataType numbers and the numpy dtypes that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import ml_dtypes
import numpy as np

FLOATS: Final = frozenset({"float16", "bfloat16", "float32", "float64"})  # names of those that weights have

# tensorflow/core/framework/types.proto, enum DataType; numpy has no bfloat16 or float8, ml_dtypes does.
NUMPY_DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.float64),
    3: np.dtype(np.int32),
    4: np.dtype(np.uint8),
    5: np.dtype(np.int16),
    6: np.dtype(np.int8),
    7: np.dtype(object),  # DT_STRING: an array of bytes objects
    8: np.dtype(np.complex64),
    9: np.dtype(np.int64),
    10: np.dtype(np.bool_),
    14: np.dtype(ml_dtypes.bfloat16),
    17: np.dtype(np.uint16),
    18: np.dtype(np.complex128),
    19: np.dtype(np.float16),
    22: np.dtype(np.uint32),
    23: np.dtype(np.uint64),
    24: np.dtype(ml_dtypes.float8_e5m2),
    25: np.dtype(ml_dtypes.float8_e4m3fn),
}
DT_STRING: Final = 7
# The types that are not arrays of numbers, by the name used in this package.
_NAMED: Final[Mapping[int, str]] = {0: "invalid", 7: "string", 20: "resource", 21: "variant"}
_REF_OFFSET: Final = 100  # kDataTypeRefOffset: DT_FLOAT_REF is DT_FLOAT + 100

DType = np.dtype[Any] | str


def graph_dtype(number: int) -> DType:
    """Return the dtype of a value in a graph.

    Args:
        number: a DataType, its reference form (over 100) included.

    Returns:
        A numpy dtype, or a name: ``"string"``, ``"resource"``, ``"variant"``, ``"invalid"`` (0: not set), and
        ``"dtype N"`` for a type this package does not decode.
    """
    base = number - _REF_OFFSET if number > _REF_OFFSET else number
    if base in _NAMED:
        return _NAMED[base]
    return NUMPY_DTYPES.get(base, f"dtype {number}")
