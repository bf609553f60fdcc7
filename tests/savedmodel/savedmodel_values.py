"""Values of every dtype that checkpoints hold."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

FLOATS = ["float16", "float32", "float64", "bfloat16", "complex64", "complex128"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
DTYPES = FLOATS + INTEGERS


def values_of(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random bits as numbers: every pattern a dtype has, NaN included (0 and 1 for bool)."""
    target = tf.as_dtype(dtype)
    count = int(np.prod(shape))
    raw = np.random.default_rng(seed).integers(0, 256, count * target.size, dtype=np.uint8)
    if dtype == "bool":
        return (raw % 2).astype(bool).reshape(shape)
    return raw.view(target.as_numpy_dtype).reshape(shape)
