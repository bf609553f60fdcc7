"""One small TensorFlow computation for each arithmetic and shape op of the interpreter, odd attributes among them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

R = tf.raw_ops
WORDS = ["abbc", "ab", "яb", "", "xyz", "a" * 12]

UNARY = """Identity StopGradient PreventGradient Snapshot Neg Abs Sign Square Exp Tanh Sigmoid Erf Erfc Reciprocal
    Inv Relu Relu6 Softplus Softmax LogSoftmax Floor Ceil Round Rint IsNan IsFinite"""
BINARY = """Add AddV2 Sub Mul Div RealDiv DivNoNan Maximum Minimum SquaredDifference FloorDiv FloorMod Mod
    TruncateMod Less LessEqual Greater GreaterEqual Equal NotEqual"""

Case = Callable[[], Any]


def reals(*shape: int, seed: int = 0, dtype: Any = np.float64) -> Any:
    """Return normal numbers, the same for a seed."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def integers(*shape: int, low: int = -9, high: int = 9, dtype: Any = np.int32, seed: int = 0) -> Any:
    """Return whole numbers without zero, the same for a seed."""
    drawn = np.random.default_rng([seed, *shape]).integers(low, high, shape)
    return np.where(drawn == 0, 1, drawn).astype(dtype)


def elementwise() -> Iterator[tuple[str, Case]]:
    x, y, positive = reals(3, 4), reals(3, 4, seed=1), np.abs(reals(3, 4)) + 0.1
    i, j, flags = integers(3, 4), integers(3, 4, seed=1), reals(3, 4) > 0
    for op in UNARY.split():
        yield op, lambda op=op: alone(op, 3 * x)
    for op in ("Sqrt", "Rsqrt", "Log", "Log1p"):
        yield op, lambda op=op: getattr(R, op)(x=positive)
    yield "CheckNumerics", lambda: R.CheckNumerics(tensor=x, message="")
    yield "Round of halves", lambda: R.Round(x=np.asarray([-2.5, -0.5, 0.5, 1.5, 2.5]))
    yield "IsNan of odd", lambda: R.IsNan(x=np.asarray([np.nan, np.inf, 0.0]))
    yield "Sign of integers", lambda: R.Sign(x=i)
    for op in BINARY.split():
        yield op, lambda op=op: getattr(R, op)(x=x, y=y)
        yield f"{op} broadcast", lambda op=op: getattr(R, op)(x=x, y=y[:, :1])
    for op in ("Div", "TruncateDiv", "FloorDiv", "FloorMod", "Mod", "TruncateMod", "Mul", "Sub", "Maximum", "Pow"):
        high = np.abs(j) % 4 if op == "Pow" else j
        yield f"{op} of integers", lambda op=op, high=high: getattr(R, op)(x=i, y=high)
    yield "DivNoNan by zero", lambda: R.DivNoNan(x=x, y=np.where(x > 0, 0.0, x))
    yield "MulNoNan", lambda: R.MulNoNan(x=np.asarray([np.inf, np.nan, 2.0]), y=np.asarray([0.0, 0.0, 3.0]))
    yield "Pow", lambda: R.Pow(x=positive, y=y)
    yield "Pow 3", lambda: R.Pow(x=x, y=np.float64(3))
    for op in ("LogicalAnd", "LogicalOr"):
        yield op, lambda op=op: getattr(R, op)(x=flags, y=flags.T.reshape(3, 4))
    yield "LogicalNot", lambda: R.LogicalNot(x=flags)
    yield "Equal of strings", lambda: R.Equal(x=WORDS, y="ab")
    yield "NotEqual of strings", lambda: R.NotEqual(x=WORDS, y="ab")
    yield "ClipByValue", lambda: R.ClipByValue(t=x, clip_value_min=np.float64(-0.5), clip_value_max=np.float64(0.5))
    yield "AddN", lambda: R.AddN(inputs=[x, y, x])
    yield "AccumulateNV2", lambda: R.AccumulateNV2(inputs=[x, y], shape=[3, 4])
    yield "Select of rows", lambda: R.Select(condition=[True, False, True], x=x, y=y)
    yield "Select", lambda: R.Select(condition=flags, x=x, y=y)
    yield "SelectV2", lambda: R.SelectV2(condition=flags[:, :1], t=x, e=np.float64(0))
    yield "SelectV2 of strings", lambda: R.SelectV2(condition=[[True], [False]], t=WORDS, e="-")
    yield "IdentityN", lambda: R.IdentityN(input=[x, i])


def alone(op: str, x: Any) -> Any:
    """Return an op of one input, whatever that is called."""
    function = getattr(R, op)
    return function(**{next(iter(inspect.signature(function).parameters)): x})


def numeric() -> Iterator[tuple[str, Case]]:
    x, y = reals(2, 3, 4), reals(2, 3, 4, seed=1)
    a, b = reals(3, 4), reals(3, 5)
    i, flags = integers(2, 3, 4), reals(2, 3, 4) > 1
    yield "BiasAdd", lambda: R.BiasAdd(value=x, bias=x[0, 0])
    yield "BiasAddV1", lambda: R.BiasAddV1(value=x, bias=x[0, 0])
    yield "MatMul", lambda: R.MatMul(a=a, b=b, transpose_a=True)
    yield "MatMul both", lambda: R.MatMul(a=a, b=reals(5, 3), transpose_a=True, transpose_b=True)
    yield "BatchMatMul", lambda: R.BatchMatMul(x=x, y=y, adj_y=True)
    yield "BatchMatMulV2", lambda: R.BatchMatMulV2(x=x, y=y[:1], adj_x=True)
    yield "BatchMatMulV3", lambda: R.BatchMatMulV3(x=x, y=y, Tout=tf.float64, adj_x=True)
    for equation in ("abc,abd->acd", "abc,acd->abd", "ab...,ab...->b...", "abc,abc->"):
        second = reals(2, 4, 5) if equation == "abc,acd->abd" else y
        yield f"Einsum {equation}", lambda e=equation, s=second: R.Einsum(inputs=[x, s], equation=e)
    yield "Einsum of one", lambda: R.Einsum(inputs=[x], equation="abc->ca")
    for op in ("Mean", "Sum", "Prod", "Max", "Min"):
        yield op, lambda op=op: getattr(R, op)(input=x, axis=[0, -1], keep_dims=True)
        yield f"{op} of integers", lambda op=op: getattr(R, op)(input=i, axis=-2)
        yield f"{op} over no axis", lambda op=op: getattr(R, op)(input=x, axis=np.zeros(0, np.int32))
    for op in ("Sum", "Prod", "Max", "Min"):
        yield f"{op} of nothing", lambda op=op: getattr(R, op)(input=np.zeros((0, 2), np.int64), axis=0)
        yield f"{op} of no numbers", lambda op=op: getattr(R, op)(input=np.zeros((0, 2)), axis=[0])
    for op in ("Any", "All"):
        yield op, lambda op=op: getattr(R, op)(input=flags, axis=1)
        yield f"{op} of nothing", lambda op=op: getattr(R, op)(input=np.zeros((2, 0), bool), axis=[-1], keep_dims=True)
    for exclusive, reverse in ((False, False), (True, False), (False, True), (True, True)):
        options = {"exclusive": exclusive, "reverse": reverse}
        yield f"Cumsum {options}", lambda o=options: R.Cumsum(x=x, axis=-2, **o)
        yield f"Cumsum of integers {options}", lambda o=options: R.Cumsum(x=i, axis=0, **o)
    yield "ArgMax", lambda: R.ArgMax(input=x, dimension=-1, output_type=tf.int32)
    yield "ArgMin", lambda: R.ArgMin(input=i, dimension=1)
    yield from _norms()
    yield "OneHot", lambda: R.OneHot(indices=[[0, 2], [-1, 5]], depth=3, on_value=2.0, off_value=0.5)
    yield "OneHot axis", lambda: R.OneHot(indices=[[0, 2], [1, 5]], depth=3, on_value=1, off_value=0, axis=1)
    for lower, upper in ((1, 0), (-1, 0), (0, -1), (0, 1)):
        yield (
            f"MatrixBandPart {lower} {upper}",
            lambda n=(lower, upper): R.MatrixBandPart(input=x, num_lower=n[0], num_upper=n[1]),
        )


def _norms() -> Iterator[tuple[str, Case]]:
    z, ones = reals(2, 3, 4, 5, dtype=np.float32), np.ones(5, np.float32)
    scale, offset = reals(5, seed=1, dtype=np.float32), reals(5, seed=2, dtype=np.float32)
    nothing = np.zeros(0, np.float32)
    for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        yield (
            op,
            lambda op=op: getattr(R, op)(x=z, scale=scale, offset=offset, mean=nothing, variance=nothing, epsilon=1e-3)[
                0
            ],
        )
        yield (
            f"{op} as learnt",
            lambda op=op: getattr(R, op)(
                x=z, scale=scale, offset=offset, mean=offset, variance=ones, is_training=False
            )[0],
        )
    rows = np.ones(3, np.float32)
    yield "FusedBatchNormV3 channels first", lambda: _by_rows(z, rows)


def _by_rows(z: Any, rows: Any) -> Any:
    """The trick of Keras LayerNormalization: one batch, a channel for each row."""
    flat = np.reshape(z, (1, 3, -1, 1))
    return tf.compat.v1.nn.fused_batch_norm(flat, rows, 0 * rows, epsilon=1e-3, data_format="NCHW")[0]


def _packs(x: Any) -> Iterator[tuple[str, Case]]:
    yield "Pack", lambda: R.Pack(values=[x, x], axis=-1)
    for kind in (np.int64, np.float32, np.bool_):
        yield f"Pack {kind.__name__}", lambda kind=kind: R.Pack(values=[kind(1), kind(0), kind(1 << 40)])


def shapes() -> Iterator[tuple[str, Case]]:
    x, i = reals(2, 3, 4), integers(3, 2)
    yield "ExpandDims", lambda: R.ExpandDims(input=x, axis=-2)
    yield "Transpose", lambda: R.Transpose(x=x, perm=[2, 0, 1])
    yield "Transpose of a scalar", lambda: R.Transpose(x=np.float64(3), perm=np.zeros(0, np.int32))
    yield "Concat", lambda: R.Concat(concat_dim=1, values=[x, x])
    yield "ConcatV2", lambda: R.ConcatV2(values=[x, x, x], axis=-1)
    yield "ConcatV2 of strings", lambda: R.ConcatV2(values=[WORDS, WORDS], axis=0)
    yield "ZerosLike", lambda: R.ZerosLike(x=i)
    yield "OnesLike", lambda: R.OnesLike(x=i)
    yield "Rank", lambda: R.Rank(input=x)
    yield "InvertPermutation", lambda: R.InvertPermutation(x=[2, 0, 3, 1])
    yield "Where", lambda: R.Where(condition=x > 0)
    yield "GatherNd", lambda: R.GatherNd(params=x, indices=[[0, 2], [1, 0]])
    for op in ("Update", "Add", "Sub", "Max", "Min"):
        yield (
            f"TensorScatter{op}",
            lambda op=op: getattr(R, f"TensorScatter{op}")(tensor=x, indices=[[0, 2], [1, 0]], updates=x[0, :2]),
        )
    yield "ScatterNd", lambda: R.ScatterNd(indices=[[0], [2], [0]], updates=reals(3), shape=[4])
    yield "GatherNd of rows", lambda: R.GatherNd(params=x, indices=[[[0], [1]]])
    yield "ReverseV2", lambda: R.ReverseV2(tensor=x, axis=[-1, 0])
    yield "BroadcastArgs", lambda: R.BroadcastArgs(s0=[2, 1], s1=[3])
    yield "EnsureShape", lambda: R.EnsureShape(input=x, shape=[None, 3, 4])
    yield "Shape", lambda: R.Shape(input=x, out_type=tf.int64)
    yield "Size", lambda: R.Size(input=x)
    yield "ShapeN", lambda: R.ShapeN(input=[x, x[0]])
    for to in (tf.int32, tf.bool, tf.float16, tf.float32):
        yield f"Cast to {to.name}", lambda to=to: R.Cast(x=3 * np.round(x, 1) if to == tf.int32 else x > 0, DstT=to)
    yield "Cast cuts", lambda: R.Cast(x=np.asarray([-1.7, 1.7]), DstT=tf.int64)
    for name, size, to in (
        ("", (2, 3, 4), [4, -1]),
        (" of nothing", (0, 4), [-1, 0, 2]),
        (" of nothing to one row", (0,), [-1, 0]),
    ):
        yield f"Reshape{name}", lambda size=size, to=to: R.Reshape(tensor=np.ones(size, np.float32), shape=to)
    yield "Reshape to a scalar", lambda: R.Reshape(tensor=[7], shape=np.zeros(0, np.int32))
    yield "Squeeze", lambda: R.Squeeze(input=x[:1, :, :1], axis=[-1])
    yield "Squeeze all", lambda: R.Squeeze(input=x[:1, :, :1])
    yield from _packs(x)
    yield "Unpack", lambda: R.Unpack(value=x, num=3, axis=-2)
    yield "Split", lambda: R.Split(axis=-1, value=x, num_split=2)
    yield "SplitV", lambda: R.SplitV(value=x, size_splits=[1, -1, 2], axis=2, num_split=3)
    yield "Slice", lambda: R.Slice(input=x, begin=[0, 1, 2], size=[-1, 2, 1])
    yield from _strided()
    yield "Gather", lambda: R.Gather(params=x, indices=[[1, 0]])
    yield "GatherV2", lambda: R.GatherV2(params=x, indices=[[1, 0], [2, 2]], axis=-2)
    yield "GatherV2 batch", lambda: R.GatherV2(params=x, indices=[[1, 0], [2, 2]], axis=1, batch_dims=1)
    yield "GatherV2 batch far", lambda: R.GatherV2(params=x, indices=[[1, 0, 1], [2, 2, 3]], axis=-1, batch_dims=1)
    yield "GatherV2 two batches", lambda: R.GatherV2(params=x, indices=np.ones((2, 3, 2), int), axis=2, batch_dims=2)
    yield "Tile", lambda: R.Tile(input=i, multiples=[2, 3])
    yield "Fill", lambda: R.Fill(dims=[2, 3], value="a")
    yield "BroadcastTo", lambda: R.BroadcastTo(input=x[:, :1], shape=[5, 2, 3, 4])
    for bounds in ((0, 7, 3), (5, -2, -2), (3, 3, 1)):
        yield f"Range {bounds}", lambda b=bounds: R.Range(start=b[0], limit=b[1], delta=b[2])
    yield "Range of fractions", lambda: R.Range(start=0.0, limit=1.0, delta=0.3)
    yield "Pad", lambda: R.Pad(input=i, paddings=[[1, 0], [0, 2]])
    yield "PadV2", lambda: R.PadV2(input=WORDS, paddings=[[1, 2]], constant_values="[PAD]")
    for mode in ("REFLECT", "SYMMETRIC"):
        yield f"MirrorPad {mode}", lambda m=mode: R.MirrorPad(input=x, paddings=[[0, 1], [2, 1], [0, 0]], mode=m)
    yield "Unique", lambda: R.Unique(x=[4, 1, 4, 0, 1])
    yield "UniqueV2", lambda: R.UniqueV2(x=[4, 1, 4], axis=np.zeros(0, np.int64), out_idx=tf.int64)
    yield from _segments()


def _strided() -> Iterator[tuple[str, Case]]:
    x = reals(3, 4, 5)

    def sliced(index: Any) -> Case:
        return lambda: tf.constant(x)[index]

    yield "StridedSlice", sliced((slice(None, None, -1), slice(1, -1, 2)))
    yield "StridedSlice shrink", sliced((-1, slice(0, 2), 3))
    yield "StridedSlice ellipsis", sliced((Ellipsis, slice(None, 2)))
    yield "StridedSlice ellipsis shrink", sliced((1, Ellipsis, 2))
    yield "StridedSlice new axis", sliced((tf.newaxis, slice(1, 2), tf.newaxis, 1))
    yield "StridedSlice beyond", sliced((slice(2, 99), slice(-99, 1)))
    yield "StridedSlice backwards", sliced((slice(2, 0, -1),))


def _segments() -> Iterator[tuple[str, Case]]:
    x, ids = reals(4, 3), np.asarray([0, 0, 2, 2], np.int32)
    for op in ("SegmentSum", "SegmentMax", "SegmentMin"):
        yield op, lambda op=op: getattr(R, op)(data=integers(4, 3), segment_ids=ids)
    yield "UnsortedSegmentSum", lambda: R.UnsortedSegmentSum(data=x, segment_ids=[3, 0, -1, 3], num_segments=5)
    yield "DynamicPartition", lambda: R.DynamicPartition(data=x, partitions=[1, 0, 1, 2], num_partitions=4)
    for op in ("DynamicStitch", "ParallelDynamicStitch"):
        yield op, lambda op=op: getattr(R, op)(indices=[[2, 0], [[1], [3]]], data=[x[:2], x[2:, np.newaxis]])


def cases() -> dict[str, Case]:
    """Return every case by name."""
    return {name: case for group in (elementwise, numeric, shapes) for name, case in group()}
