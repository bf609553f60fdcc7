"""Cases of operations that move elements: diagonals, blocks, rolls, bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from generated import SHAPES, Case, shapes_and_types, types_of, values


def matrices() -> Iterator[Case]:
    yield from (Case("Diag", [values(d, s)]) for s, d in shapes_and_types("Diag", SHAPES))
    yield from (
        Case("DiagPart", [values(d, s)])
        for s, d in shapes_and_types("DiagPart", ((3, 3), (2, 3, 2, 3), (2, 3), (0, 0), ()))
    )
    KS = [[0], [1], [-1], [-1, 1], [0, 2], [-2, 0], [-9, 9], [1, 0], [2, 2]]
    AL = ["LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT"]
    for op in ("MatrixDiagPart", "BatchMatrixDiagPart"):
        yield from (
            Case(op, [values(d, s)]) for s, d in shapes_and_types(op, ((3, 3), (2, 3, 4), (2, 4, 3), (0, 3), (3,)))
        )
    yield from (
        Case("MatrixDiagPartV3", [values(d, s), np.array(k, np.int32), values(d, ())], {"align": al})
        for s in ((3, 3), (2, 3, 4), (4, 3))
        for d in (tf.float32, tf.int64)
        for k in KS
        for al in AL
    )
    yield from (
        Case("MatrixDiagPartV2", [values(d, s), np.array(k, np.int32), values(d, ())])
        for s in ((3, 3), (2, 3, 4), (4, 3))
        for d in types_of("MatrixDiagPartV2")
        for k in KS[:6]
    )
    for op in ("MatrixDiag", "BatchMatrixDiag"):
        yield from (Case(op, [values(d, s)]) for s, d in shapes_and_types(op, ((3,), (2, 4), (0,), ())))
    for op in ("MatrixDiagV3", "MatrixDiagV2"):
        yield from (
            Case(
                op,
                [values(d, s), np.array(k, np.int32), np.int32(r), np.int32(c), values(d, ())],
                {"align": al} if op[-1] == "3" else {},
            )
            for s in ((3,), (2, 3), (2, 3, 4))
            for d in (tf.float32, tf.int64)
            for k in KS[:4]
            for al in (AL if op[-1] == "3" else AL[:1])
            for r, c in ((-1, -1), (4, 4), (3, 3))
            if len(s) > 1 or len(k) == 1
        )
    for op in ("MatrixSetDiag", "BatchMatrixSetDiag"):
        yield from (
            Case(op, [values(d, s), values(d, u)])
            for d in types_of(op)
            for s, u in (((3, 3), (3,)), ((2, 3, 4), (2, 3)), ((2, 3, 4), (3,)), ((0, 3), (0,)))
        )
    for op in ("MatrixSetDiagV3", "MatrixSetDiagV2"):
        yield from (
            Case(op, [values(d, s), values(d, u, 2), np.array(k, np.int32)], {"align": al} if op[-1] == "3" else {})
            for s, u in (
                ((3, 3), (3,)),
                ((3, 4), (2, 3)),
                ((3, 4), (3, 3)),
                ((2, 3, 4), (2, 3)),
                ((2, 3, 4), (2, 3, 3)),
            )
            for d in (tf.float32, tf.int64)
            for k in KS
            for al in (AL if op[-1] == "3" else AL[:1])
        )
    for op in ("MatrixBandPart", "BatchMatrixBandPart"):
        yield from (
            Case(op, [values(d, s), np.int64(a), np.int64(b)])
            for s, d in shapes_and_types(op, ((3, 4), (2, 3, 3), (0, 2), (3,)))
            for a, b in ((0, 0), (-1, 0), (1, -1), (9, 0))
        )


def blocks() -> Iterator[Case]:
    yield from (
        Case("Roll", [values(d, s), np.array(h, np.int32), np.array(a, np.int32)])
        for s, d in shapes_and_types("Roll", SHAPES[1:])
        for h, a in (([1], [0]), ([-7, 2], [0, -1]), (3, 0), ([], []))
    )
    yield from (
        Case("Reverse", [values(d, s), np.array(f, bool)])
        for s, d in shapes_and_types("Reverse", SHAPES)
        for f in ([], [True], [True, False], [True] * 3)
        if 0 not in s
    )
    yield from (
        Case("ReverseSequence", [values(d, (3, 4, 2)), np.array(size, np.int32)], {"seq_dim": q, "batch_dim": b})
        for d in types_of("ReverseSequence")
        for size, q, b in (
            ([0, 2, 4], 1, 0),
            ([1, 2, 3, 3], 0, 1),
            ([1, 1], 0, 2),
            ([5, 0, 0], 1, 0),
            ([0, 0, 0], 0, 0),
        )
    )
    yield from (
        Case("ConjugateTranspose", [values(d, (2, 3)), np.array([1, 0], np.int32)])
        for d in types_of("ConjugateTranspose")
    )
    yield from (
        Case("ConcatOffset", [np.int32(a), [np.array(v, np.int32) for v in size]])
        for a in (0, 1, -1)
        for size in ([[2, 3], [2, 3]], [[2, 1], [2, 5], [2, 0]], [[1, 3], [5, 3]])
    )
    yield from (
        Case("ParallelConcat", [[values(d, (1, 2)), values(d, (1, 2), 1)]], {"shape": tf.TensorShape([2, 2])})
        for d in types_of("ParallelConcat")
    )
    yield from (
        Case("LinSpace", [values(d, ()), values(d, (), 2), np.int32(n_)])
        for d in types_of("LinSpace")
        for n_ in (1, 2, 5, 0)
    )
    yield from (
        Case("UnravelIndex", [np.array(i, np.int64), np.array([3, 4], np.int64)]) for i in (5, [1, 11], [[0]], [12])
    )
    yield from (
        Case("Bitcast", [values(d, s)], {"type": t_})
        for d in types_of("Bitcast")
        for t_ in types_of("Bitcast", "type")
        for s in ((), (3, 2), (2, 4), (2, 8))
        if d.name != "bool"
    )
    yield from (
        Case("SpaceToBatchND", [values(d, (2, 4, 6, 3)), np.array(b, np.int32), np.array(p, np.int32)])
        for d in types_of("SpaceToBatchND")
        for b, p in (
            ([2], [[0, 0]]),
            ([2, 3], [[0, 0], [0, 0]]),
            ([3, 2], [[1, 1], [0, 2]]),
            ([5], [[0, 0]]),
            ([0], [[0, 0]]),
        )
    )
    yield from (
        Case("BatchToSpaceND", [values(d, (12, 2, 3, 2)), np.array(b, np.int32), np.array(p, np.int32)])
        for d in types_of("BatchToSpaceND")
        for b, p in (([2], [[0, 1]]), ([2, 3], [[0, 0], [1, 2]]), ([5], [[0, 0]]), ([0], [[0, 0]]))
    )
    yield from (
        Case("SpaceToBatch", [values(d, (2, 4, 6, 3)), np.array([[0, 0], [1, 1]], np.int32)], {"block_size": 2})
        for d in types_of("SpaceToBatch")
    )
    yield from (
        Case("BatchToSpace", [values(d, (8, 2, 3, 1)), np.array([[0, 1], [0, 0]], np.int32)], {"block_size": 2})
        for d in types_of("BatchToSpace")
    )
    yield from (
        Case(op, [values(d, (2, 4, 6, 4))], {"block_size": 2})
        for op in ("SpaceToDepth", "DepthToSpace")
        for d in types_of(op)
    )
    yield from ([Case("DataFormatDimMap", [np.array([0, 1, -1, 3], np.int32)])])
    yield from (
        Case("DataFormatVecPermute", [np.array(v, np.int32)], {})
        for v in ([1, 2, 3, 4], [5, 6], [1, 2, 3], [[1, 2], [3, 4], [5, 6], [7, 8]], [[1, 2], [3, 4]])
    )
    yield from (
        Case("DecodeRaw", [[b"abcdefgh", b"ijklmnop"]], {"out_type": d, "little_endian": size})
        for d in types_of("DecodeRaw", "out_type")
        if d != tf.bool
        for size in (True, False)
    )
    yield from (
        Case("DecodePaddedRaw", [[b"abcdefgh", b"x"], np.int32(n_)], {"out_type": d})
        for d in types_of("DecodePaddedRaw", "out_type")
        for n_ in (8, 4, 16, 3)
    )
    yield from (
        Case(
            "EditDistance",
            [
                np.array([[0, 0], [0, 1], [1, 0]]),
                values(d, (3,)),
                np.array([2, 3]),
                np.array([[0, 0], [0, 1], [0, 2], [2, 0]]),
                values(d, (4,), 7),
                np.array([3, 3]),
            ],
            {"normalize": n_},
        )
        for d in types_of("EditDistance")
        for n_ in (True, False)
    )
    yield from (
        Case("Empty", [np.array([2, 3], np.int32)], {"dtype": d, "init": True}) for d in types_of("Empty", "dtype")
    )
    yield from (
        Case(
            "TensorStridedSliceUpdate",
            [
                values(d, (3, 4)),
                np.array([0, 1], np.int32),
                np.array([3, 4], np.int32),
                np.array([2, 1], np.int32),
                values(d, (2, 3), 2),
            ],
            {"begin_mask": 1},
        )
        for d in types_of("TensorStridedSliceUpdate")
    )


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    for part in (matrices, blocks):
        yield from part()
