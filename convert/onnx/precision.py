"""In which numbers an ONNX file keeps the weights, and int8 with a scale each row, or each part of one.

What the choices rest on was measured with trained weights (`make retrieval` has the model).

With int8 rows and one scale a row the noise of an embedding, 1 - cosine, was 1.6e-6 on average; with one each 64 numbers
0.8e-6, each 16 0.5e-6. All searches that changed had been won or lost by less than 2e-4, half of them by less than 5e-5:
ties, which any noise decides, so that less noise is all that helps. A row has no outliers there (its largest number is 3.2
standard deviations): a scale each column, or clipping, changes nothing.

With int8 products of numbers as they come it was 1.2e-3: weights of 7 bits alone made 3.8e-4 (of 8 bits 0.8e-4), what
LayerNorms make 8.4e-4, what activations make 1.2e-4, what attention makes 0.04e-4. Channels of LayerNorms evened out, with
half of what sets them apart given to the weights (`EVENED`), left 6.3e-4; the whole of uint8 for what activations make,
which is never far below 0, 5.5e-4; channels moved to the middle of their numbers 4.9e-4; and a constant by which a token
of mean numbers has its exact product 3.6e-4. Of 19 languages of Tatoeba with at most 360 pairs 6 were beyond the bar of
`slim --int8` before, and 3 are now, by one pair or two (ang 4, nov 3, tzl 3 where 2 may be lost); of the 7,608
searches 17 more were lost than won before, and 3 are now. ONNX Runtime on one thread takes the same time as before, 1 over
1.5 to 1.7 of that in float32. What would be better is slower than that bar, or not enough: products with a scale each 16
numbers (`MatMulNBits` in 8 bits) have 0.7e-4 at 0.8 times the speed of float32; weights of 8 bits have 2.2e-4, in uint8,
which nothing cuts off, at 0.75; weights rounded one after the other with what that errs taken up by the next (GPTQ) have
2.6e-4 at the same speed, and 1 or 2 languages beyond, not the same ones.

Why no better rounding will do: the very noise of these 7,264 texts, made smaller, was added to the exact embeddings. With
half the power (1.8e-4) 4 languages are beyond, with a quarter (0.9e-4) 1, and with an eighth (0.45e-4) none; dealt out to
other texts, three times each, 1 to 4, 0 to 1, 0 to 1 and none beyond at 3.6e-4, 1.8e-4, 0.9e-4 and 0.45e-4. The mean of
the noise, 15 % of its power, changes nothing when it is taken away. So whole int8 would have to be eight times as exact,
which is more than products with a scale each 16 numbers are. The bar of `slim --int8` stays; a folder that misses it on
`--pairs` is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from hub2hf.errors import ExportError

ROWS: Final = 127  # the largest int8, on both sides of 0
PART: Final = 16  # numbers of a row of the word embeddings that share a scale: a quarter more bytes than with one a row
# Processors without VNNI add two products of uint8 and int8 in 16 bits, and what does not fit is cut off: with weights of
# 7 bits it always fits (2 * 255 * 63 < 2**15), and the numbers are the same everywhere.
MATRICES: Final = 63


@dataclass(frozen=True)
class Precision:
    """How numbers are kept; all is computed in float32 but for what `matrices` says.

    Attributes:
        dtype: float32, float16 or bfloat16: of matrices and tables.
        rows: whether the word embeddings are int8, with a scale each `PART` numbers of a row.
        matrices: whether weights of dense layers are int8, with a scale each output, and what they are multiplied with is
            rounded to int8 as the graph runs, with a scale each token.
    """

    dtype: str = "float32"
    rows: bool = False
    matrices: bool = False

    @property
    def only_onnx(self) -> bool:
        """Whether no stock class of PyTorch loads such numbers, and an ONNX file is all there is."""
        return self.rows or self.matrices


EXACT: Final = Precision()


def narrowed(numbers: np.ndarray, dtype: str, name: str) -> np.ndarray:
    """Return numbers in another dtype.

    Args:
        numbers: floats.
        dtype: a name of NumPy or ml_dtypes.
        name: of the tensor.

    Raises:
        ExportError: one is beyond what float16 reaches.
    """
    with np.errstate(over="ignore"):  # it is looked for here
        found = numbers.astype(dtype, copy=False)
    if dtype == "float16" and not np.isfinite(found).all():
        raise ExportError(f"'{name}' holds a number that float16 does not reach.", "Take float32, or bfloat16.")
    return found


def scales(rows: Iterator[np.ndarray], largest: int = ROWS) -> Iterator[np.ndarray]:
    """Yield the scale of each row, float32 [rows].

    Args:
        rows: of a matrix in order, [some, columns] at a time.
    """
    for block in rows:
        reach = np.abs(block.astype(np.float32, copy=False)).max(axis=1)
        yield np.where(reach > 0, reach / np.float32(largest), np.float32(1))


def quantized(rows: Iterator[np.ndarray], largest: int = ROWS) -> Iterator[np.ndarray]:
    """Yield the numbers of rows over the scale of each, int8, flat.

    Args:
        rows: as for `scales`.
    """
    for block in rows:
        (scale,) = scales(iter([block]), largest)
        yield np.rint(block.astype(np.float32, copy=False) / scale[:, np.newaxis]).astype(np.int8).ravel()
