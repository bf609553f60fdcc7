"""Cases of operations on sparse tensors, and of counting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from generated import INTS, Case, types_of, values

PLACES = np.array([[0, 1], [1, 0], [1, 2]])
SH = np.array([3, 4])
I2 = np.array([[0, 1], [2, 3]])
SP = np.array([0, 2, 2, 3])
SQ = np.array([0, 1, 4, 6])


def sparse() -> Iterator[Case]:
    for op in ("SparseReorder",):
        yield from (Case(op, [i, values(d, (3,)), SH]) for d in types_of(op) for i in (PLACES, PLACES[::-1]))
    yield from (
        Case("SparseToDense", [np.array(i, k), np.array(s, k), values(d, v), values(d, ())], {"validate_indices": b})
        for d in types_of("SparseToDense")
        for k in (np.int32, np.int64)
        for i, s, v in (
            (2, [4], ()),
            ([1, 3], [4], (2,)),
            ([[0, 1], [2, 3]], [3, 4], (2,)),
            ([[2, 3], [0, 1]], [3, 4], (2,)),
            ([[0, 1], [0, 1]], [3, 4], ()),
            ([[0, 5]], [3, 4], (1,)),
        )
        for b in (True, False)
    )
    yield from (
        Case("SparseReshape", [PLACES, SH, np.array(s)])
        for s in ([4, 3], [-1], [2, -1], [2, 2, 3], [5], [-1, -1], [12, -1])
    )
    yield from (
        Case("SparseFillEmptyRows", [i, values(d, (len(i),)), np.array([4, 4]), values(d, (), 9)])
        for d in types_of("SparseFillEmptyRows")
        for i in (PLACES, PLACES[::-1], PLACES[:0])
    )
    yield from (
        Case("SparseConcat", [[PLACES, I2], [values(d, (3,)), values(d, (2,), 1)], [SH, SH]], {"concat_dim": a})
        for d in types_of("SparseConcat")
        for a in (0, 1, -1)
    )
    yield from (
        Case("SparseSlice", [PLACES, values(d, (3,)), SH, np.array(a), np.array(b)])
        for d in types_of("SparseSlice")
        for a, b in (([0, 0], [2, 2]), ([1, 0], [9, 9]), ([2, 2], [1, 1]), ([-1, 0], [2, 2]), ([5, 0], [1, 1]))
    )
    yield from (
        Case("SparseSplit", [np.int64(a), PLACES, values(d, (3,)), SH], {"num_split": k})
        for d in types_of("SparseSplit")
        for a in (0, 1)
        for k in (1, 2, 3)
    )
    yield from (
        Case(
            "SparseAdd",
            [
                PLACES,
                values(d, (3,)),
                SH,
                I2,
                values(d, (2,), 2),
                SH,
                np.array(
                    t_, (tf.float32 if d == tf.complex64 else tf.float64 if d == tf.complex128 else d).as_numpy_dtype
                ),
            ],
        )
        for d in types_of("SparseAdd")
        for t_ in (0, 2)
    )
    for op in ("SparseSparseMaximum", "SparseSparseMinimum"):
        yield from (
            Case(op, [PLACES, values(d, (3,)), SH, I2, values(d, (2,), 2), SH])
            for d in types_of(op)
            if not d.is_complex
        )
    for op in ("SparseDenseCwiseAdd", "SparseDenseCwiseMul", "SparseDenseCwiseDiv"):
        yield from (
            Case(op, [PLACES, values(d, (3,)), SH, values(d, s, 3, low=1)])
            for d in types_of(op)
            for s in ((3, 4), (4,), (), (3, 1))
        )
    yield from (
        Case(
            "SparseTensorDenseAdd",
            [np.array(PLACES, k.as_numpy_dtype), values(d, (3,)), np.array(SH, k.as_numpy_dtype), values(d, s)],
        )
        for d in types_of("SparseTensorDenseAdd")
        for k in INTS
        for s in ((3, 4), (4, 3))
    )
    yield from (
        Case("SparseTensorDenseMatMul", [PLACES, values(d, (3,)), SH, values(d, s)], {"adjoint_a": a, "adjoint_b": b})
        for d in types_of("SparseTensorDenseMatMul")
        for s in ((4, 2), (2, 4), (3, 2), (2, 3))
        for a in (True, False)
        for b in (True, False)
    )
    yield from (
        Case("SparseMatMul", [values(d, (3, 4)), values(e, (4, 2))])
        for d in (tf.float32, tf.bfloat16)
        for e in (tf.float32, tf.bfloat16)
    )
    for op in ("SparseReduceMax", "SparseReduceSum", "SparseReduceMaxSparse", "SparseReduceSumSparse"):
        yield from (
            Case(op, [PLACES, values(d, (3,)), SH, np.array(a, np.int32)], {"keep_dims": k})
            for d in types_of(op)
            for a in ([0], [1], [-1], [0, 1], [])
            for k in (True, False)
            if not d.is_complex
        )
    yield from (Case("SparseSoftmax", [PLACES, values(d, (3,)), SH]) for d in types_of("SparseSoftmax"))
    yield from (
        Case("RaggedTensorToSparse", [[SQ] if k == 1 else [SP, SQ], values(d, (6, *t_))])
        for d in types_of("RaggedTensorToSparse")
        for k in (1, 2)
        for t_ in ((), (2,))
    )


def counts() -> Iterator[Case]:
    yield from (
        Case(
            "DenseCountSparseOutput",
            [values(d, s, low=0, high=4), w],
            {"minlength": a, "maxlength": b, "binary_output": c},
        )
        for d in types_of("DenseCountSparseOutput")
        for s in ((5,), (2, 3))
        for w in (np.zeros(0, np.int64), values(tf.float32, s))
        for a, b in ((-1, -1), (8, -1), (-1, 2))
        for c in (True, False)
    )
    yield from (
        Case(
            "SparseCountSparseOutput",
            [PLACES, values(d, (3,), low=0, high=4), SH, w],
            {"minlength": a, "maxlength": b, "binary_output": c},
        )
        for d in types_of("SparseCountSparseOutput")
        for w in (np.zeros(0, np.int64), values(tf.float32, (3,)))
        for a, b in ((-1, -1), (8, -1), (-1, 2))
        for c in (True, False)
    )
    yield from (
        Case(
            "RaggedCountSparseOutput",
            [SQ, values(d, (6,), low=0, high=4), w],
            {"minlength": a, "maxlength": b, "binary_output": c},
        )
        for d in types_of("RaggedCountSparseOutput")
        for w in (np.zeros(0, np.int64), values(tf.float32, (6,)))
        for a, b in ((-1, -1), (8, -1), (-1, 2))
        for c in (True, False)
    )
    for op in ("Bincount", "DenseBincount"):
        yield from (
            Case(
                op,
                [
                    values(d, s, low=-1 if q else 0, high=5),
                    np.array(4, np.int32 if op == "Bincount" else d.as_numpy_dtype),
                    w,
                ],
                {} if op == "Bincount" else {"binary_output": c},
            )
            for d in (types_of("DenseBincount", "Tidx") if op[0] == "D" else [tf.int32])
            for s in ((5,), (2, 3))
            for q in (0, 1)
            for w in (np.zeros(0, np.int64), values(tf.float32, s))
            for c in (True, False)
        )
    yield from (
        Case(
            "RaggedBincount",
            [SQ, values(d, (6,), low=0, high=5), np.array(4, d.as_numpy_dtype), w],
            {"binary_output": c},
        )
        for d in types_of("RaggedBincount", "Tidx")
        for w in (np.zeros(0, np.int64), values(tf.float32, (6,)))
        for c in (True, False)
    )
    yield from (
        Case(
            "SparseBincount",
            [PLACES, values(d, (3,), low=0, high=5), SH, np.array(4, d.as_numpy_dtype), w],
            {"binary_output": c},
        )
        for d in types_of("SparseBincount", "Tidx")
        for w in (np.zeros(0, np.int64), values(tf.float32, (3,)))
        for c in (True, False)
    )


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    for part in (sparse, counts):
        yield from part()
