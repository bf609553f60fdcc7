"""Cases of operations that search, sort, pick, scatter and reduce by segment, ragged ones among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from generated import INTS, SHAPES, Case, types_of, values


def searching() -> Iterator[Case]:
    for op in ("TopKV2", "NthElement", "Unique", "UniqueWithCounts", "ListDiff", "UniqueV2"):
        for d in types_of(op):
            for s in SHAPES:
                x = values(d, s)
                if op == "TopKV2":
                    yield from (Case(op, [x, np.int32(k)]) for k in (0, 1, 2, 9))
                if op == "NthElement":
                    yield from (Case(op, [x, np.int32(k)], {"reverse": r}) for k in (0, 1, 2, 9) for r in (True, False))
                if op in ("Unique", "UniqueWithCounts"):
                    yield from ([Case(op, [x], {"out_idx": tf.int64})])
                if op == "UniqueV2":
                    yield from (
                        Case(o, [x, np.array(a, np.int64)])
                        for o in ("UniqueV2", "UniqueWithCountsV2")
                        for a in ([], [0], [1], [-1])
                    )
                if op == "ListDiff":
                    yield from ([Case(op, [x, values(d, (2,), 5)])])
    yield from (
        Case(op, [values(d, s, low=-1, high=4), values(tf.int32, s[:1], low=-1, high=4)], {"k": k})
        for op in ("InTopK",)
        for d in (tf.float32,)
        for s in ((4, 3), (0, 3), (3,))
        for k in (1, 2, 5)
    )
    for op in ("LowerBound", "UpperBound"):
        yield from (
            Case(op, [np.sort(values(d, (2, 4))), values(d, (2, 3), 9)], {"out_type": o})
            for d in types_of(op)
            if not d.is_complex
            for o in INTS
        )
    yield from (
        Case("Bucketize", [values(d, s)], {"boundaries": b})
        for d in types_of("Bucketize")
        for s in SHAPES
        for b in ([], [-1.0, 0.0, 0.0, 2.0], [2.0, 1.0])
    )
    yield from (
        Case("Where", [values(d, s)]) for d in types_of("Where") if d not in (tf.float16, tf.bfloat16) for s in SHAPES
    )
    for op in ("ArgMax", "ArgMin"):
        yield from (Case(op, [values(d, s), np.int32(a)]) for d in types_of(op) for s in SHAPES for a in (0, -1, 1))


def segments() -> Iterator[Case]:
    for op in (f"Segment{kind}" for kind in ("Sum", "Mean", "Prod", "Max", "Min")):
        yield from (
            Case(op, [values(d, s), np.array(i, np.int32)])
            for d in types_of(op)
            for s in ((3,), (3, 2), (0, 2))
            for i in ([0, 0, 2], [1, 1, 1], [2, 1, 0], [-1, 0, 0], [])
        )
    for op in (f"UnsortedSegment{kind}" for kind in ("Sum", "Prod", "Max", "Min")):
        yield from (
            Case(op, [values(d, s), np.array(i, np.int32), np.int32(4)])
            for d in types_of(op)
            for s in ((3,), (3, 2), (0, 2))
            for i in ([0, 0, 2], [1, 1, 1], [2, 1, 0], [-1, 0, 0], [], [4, 0, 0])
        )
    for op in (f"SparseSegment{kind}{more}" for kind in ("Sum", "Mean", "SqrtN") for more in ("",)):
        yield from (
            Case(op, [values(d, s), np.array(x, np.int32), np.array(i, np.int32)])
            for d in types_of(op)
            for s in ((3,), (3, 2))
            for x in ([0, 2, 2], [1, 5, 0], [])
            for i in ([0, 0, 2], [1, 1, 1], [2, 1, 0], [-1, 0, 0], [])
        )

    for op in ("SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN"):
        for dtype in types_of(op + "WithNumSegments"):
            for count in (2, 5):
                yield Case(
                    op + "WithNumSegments",
                    [
                        values(dtype, (3, 2)),
                        np.array([0, 2, 2], np.int32),
                        np.array([0, 0, 2], np.int32),
                        np.int32(count),
                    ],
                )


def picking() -> Iterator[Case]:
    outer, inner = np.asarray([0, 2, 2, 3]), np.asarray([0, 1, 4, 6])
    for kind in (np.int32, np.int64):
        for dtype in types_of("RaggedGather", "Tvalues"):
            for picked in ([2, 0, 1, 2], [], [3], [-1], [[1, 0]]):
                for levels in ([inner], [outer, inner]):
                    attrs = {"OUTPUT_RAGGED_RANK": len(levels) + np.ndim(picked) - 1}
                    yield Case(
                        "RaggedGather",
                        [[level.astype(kind) for level in levels], values(dtype, (6, 2)), np.asarray(picked, np.int32)],
                        attrs,
                    )
    for dtype in types_of("RaggedRange"):
        for starts, limits, deltas in (
            ([0, 5, 8], [3, 5, 0], [1, 1, -3]),
            (1, [3, 1], 1),
            ([0, 2], [5, 9], [2, 3]),
            ([1], [2], [0]),
            ([], [], []),
            ([5], [1], [1]),
        ):
            yield Case(
                "RaggedRange",
                [np.asarray(v, dtype.as_numpy_dtype) for v in (starts, limits, deltas)],
                {"Tsplits": tf.int32},
            )
    for dtype in types_of("RaggedTensorToTensor"):
        for shape in ([-1, -1], [3, 4], [-1, 2], [2, -1], -1, [5, 5], [-1]):
            yield Case(
                "RaggedTensorToTensor",
                [np.asarray(shape), values(dtype, (6,)), values(dtype, (), 3), [inner]],
                {"row_partition_types": ["ROW_SPLITS"]},
            )
            yield Case(
                "RaggedTensorToTensor",
                [np.asarray(shape), values(dtype, (3,)), values(dtype, (), 3), [np.int64(3), np.asarray([0, 2, 2])]],
                {"row_partition_types": ["FIRST_DIM_SIZE", "VALUE_ROWIDS"]},
            )
        for shape in ([-1, -1, -1], [2, 1, 2], [4, 3, 4]):
            yield Case(
                "RaggedTensorToTensor",
                [np.asarray(shape), values(dtype, (6,)), values(dtype, (), 3), [outer, inner]],
                {"row_partition_types": ["ROW_SPLITS", "ROW_SPLITS"]},
            )
            yield Case(
                "RaggedTensorToTensor",
                [np.asarray(shape), values(dtype, (3, 2)), values(dtype, (), 3), [np.asarray([0, 1, 1, 3])]],
                {"row_partition_types": ["ROW_SPLITS"]},
            )
    for dtype in types_of("RaggedFillEmptyRows"):
        for ids in ([0, 0, 2], [1, 3, 3], [0, 1, 2]):
            yield Case("RaggedFillEmptyRows", [np.asarray(ids), values(dtype, (3,)), np.int64(5), values(dtype, (), 9)])
    for dtype in types_of("UnsortedSegmentSum"):
        yield Case(
            "UnsortedSegmentSum", [values(dtype, (2, 3, 2)), values(tf.int32, (2, 3), low=-1, high=3), np.int32(4)]
        )
    for name in ("Update", "Add", "Sub", "Max", "Min"):
        for dtype in types_of(f"TensorScatter{name}"):
            if dtype.is_complex and name in ("Max", "Min"):
                continue
            for places, shape in (
                ([[0, 2], [1, 0], [0, 2]], (3,)),
                ([[2], [0]], (2, 3)),
                ([[9, 0]], (1,)),
                ([[-1, 0]], (1,)),
            ):
                yield Case(
                    f"TensorScatter{name}",
                    [values(dtype, (3, 3)), np.asarray(places, np.int32), values(dtype, shape, 1)],
                )
    for op in ("ScatterNd", "ScatterNdNonAliasingAdd"):
        for dtype in types_of(op):
            for places, shape in (([[0, 2], [1, 0], [2, 2]], (3,)), ([[2], [0]], (2, 3)), ([[9, 0]], (1,))):
                changes = [np.asarray(places, np.int32), values(dtype, shape, 1)]
                yield Case(
                    op,
                    [*changes, np.asarray([3, 3], np.int32)]
                    if op == "ScatterNd"
                    else [values(dtype, (3, 3)), *changes],
                )
    for dtype in types_of("GatherNd", "Tparams"):
        for places in ([[0, 2], [1, 0]], [[2], [0]], [[9, 0]], [[-1, 0]], [[]], [[[0], [1]]]):
            yield Case("GatherNd", [values(dtype, (3, 3, 2)), np.asarray(places, np.int32)])
    for dtype in types_of("GatherV2", "Tparams"):
        for picked, axis, batch in (
            ([1, 0], 0, 0),
            ([[2, 0]], -1, 0),
            ([[0], [1], [2]], 1, 1),
            ([5], 0, 0),
            ([-1], 0, 0),
            (1, 1, 0),
        ):
            yield Case(
                "GatherV2",
                [values(dtype, (3, 3, 3)), np.asarray(picked, np.int32), np.int32(axis)],
                {"batch_dims": batch},
            )
    for dtype in types_of("Pad"):
        for pads in ([[1, 0], [0, 2]], [[0, 0], [0, 0]], [[-1, 0], [0, 0]]):
            yield Case("Pad", [values(dtype, (2, 3)), np.asarray(pads, np.int32)])
            yield Case("PadV2", [values(dtype, (2, 3)), np.asarray(pads, np.int32), values(dtype, (), 4)])
    for dtype in (kind for kind in types_of("Tile") if kind != tf.uint16):
        yield from (Case("Tile", [values(dtype, (2, 3)), np.asarray(n, np.int32)]) for n in ([2, 3], [0, 1], [1, -1]))
    for dtype in types_of("Concat"):
        yield from (
            Case("Concat", [np.int32(axis), [values(dtype, (2, 3)), values(dtype, (2, 3), 1)]])
            for axis in (0, 1, -1, 2)
        )


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    for part in (searching, segments, picking):
        yield from part()
