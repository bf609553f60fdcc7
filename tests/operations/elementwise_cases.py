"""Cases of operations element by element, and of reductions and products."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from generated import REAL, SHAPES, Case, shapes_and_types, types_of, values

PAIRS = (((), ()), ((3,), ()), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((0,), (1,)), ((3,), (2,)))
UNARY = """Abs Neg Sign Square Exp Tanh Sigmoid Erf Erfc Reciprocal Inv Relu Relu6 Softplus Floor Ceil Round Rint IsNan IsFinite
    Asinh Atan Conj Cos Cosh Elu Expm1 Invert IsInf Selu Sin Sinh Softsign Tan LeakyRelu PopulationCount L2Loss Identity
    StopGradient PreventGradient Snapshot LogicalNot ZerosLike OnesLike Rank Shape Size CheckNumerics PlaceholderWithDefault
    GuaranteeConst BesselI0 BesselI1 BesselI0e BesselI1e BesselJ0 BesselJ1 Dawsn Digamma Expint FresnelCos FresnelSin Lgamma"""
POSITIVE = "Sqrt Rsqrt Log Log1p BesselK0 BesselK1 BesselK0e BesselK1e BesselY0 BesselY1 Spence"
WITHIN = {
    "Acos": (-0.9, 0.9),
    "Asin": (-0.9, 0.9),
    "Atanh": (-0.9, 0.9),
    "Acosh": (1.1, 3),
    "Erfinv": (-0.99, 0.99),
    "Ndtri": (0.01, 0.99),
}
BINARY = """Add AddV2 Sub Mul RealDiv DivNoNan Maximum Minimum SquaredDifference Less LessEqual Greater GreaterEqual
    Equal NotEqual LogicalAnd LogicalOr BitwiseAnd BitwiseOr BitwiseXor Atan2 NextAfter MulNoNan"""
DIVISIONS = "Div FloorDiv FloorMod Mod TruncateDiv TruncateMod"
PRODUCTS_OF_LOGS = "Xdivy Xlog1py Xlogy"
TWO_POSITIVE = "Igamma Igammac Zeta Pow"


def unary() -> Iterator[Case]:
    for op in UNARY.split():
        if op in ("LogicalNot",):
            yield from (Case(op, [values(tf.bool, shape)]) for shape in SHAPES)
            continue
        attrs = (
            {"message": ""}
            if op == "CheckNumerics"
            else {"shape": tf.TensorShape(None)}
            if op == "PlaceholderWithDefault"
            else {}
        )
        kind = "dtype" if op == "PlaceholderWithDefault" else "T"
        for shape, dtype in shapes_and_types(op, SHAPES, kind):
            wrong = (op == "Round" and dtype.is_integer) or (op == "OnesLike" and dtype in (tf.uint32, tf.uint64))
            if not wrong:  # TensorFlow gives zeros
                yield Case(op, [values(dtype, shape)], attrs)
    for op in POSITIVE.split():
        yield from (Case(op, [values(d, s, low=0.1, high=9)]) for s, d in shapes_and_types(op, SHAPES))
    for op, (low, high) in WITHIN.items():
        yield from (Case(op, [values(d, s, low=low, high=high)]) for s, d in shapes_and_types(op, SHAPES))
    for op in ("Real", "Imag", "Angle", "ComplexAbs"):
        for shape, dtype in shapes_and_types(op, SHAPES):
            yield Case(op, [values(dtype, shape)], {"Tout": tf.float32 if dtype == tf.complex64 else tf.float64})
    for dtype in REAL:
        odd = np.asarray([0, -0.0, 1, -1, 0.5, 2.5, -2.5, 1e-5, 30, np.inf, -np.inf, np.nan], dtype.as_numpy_dtype)
        # (the error function of an infinite float64 is not a number to TensorFlow)
        for op in [
            "Abs",
            "Sign",
            "Exp",
            "Tanh",
            "Sigmoid",
            "Erfc",
            "Relu",
            "Relu6",
            "Softplus",
            "Floor",
            "Round",
            "Rint",
            "IsNan",
            "IsInf",
            "Elu",
            "Selu",
            "Sqrt",
            "Log",
        ]:
            yield Case(op, [odd])
        for op in ["Ndtri", "Erfinv", "Spence", "Lgamma", "Digamma", "BesselK0", "BesselY0", "FresnelSin"]:
            yield Case(op, [np.asarray([0, 1, -1, 0.5, 1e-5, 2, 3, 20, -0.5, 1.5], dtype.as_numpy_dtype)])


def binary() -> Iterator[Case]:
    for op in BINARY.split():
        types = [tf.bool] if op.startswith("Logical") else types_of(op)
        for dtype in types:
            for left, right in PAIRS:
                yield Case(op, [values(dtype, left), values(dtype, right, 3)])
    for op in DIVISIONS.split():
        for dtype in types_of(op):
            if dtype in (tf.float16, tf.bfloat16):
                continue  # a quotient is rounded before it is cut, so that whole numbers differ by one
            for left, right in PAIRS:
                yield Case(op, [values(dtype, left, low=-30, high=30), values(dtype, right, 3, low=1)])
            for sign in (1, -1) if not dtype.is_unsigned else (1,):
                divisor = np.asarray(3 * sign).astype(dtype.as_numpy_dtype)
                yield Case(op, [values(dtype, (20,), low=-30, high=30), divisor])
            if dtype.is_integer:
                yield Case(op, [values(dtype, (3,)), np.zeros(3, dtype.as_numpy_dtype)])
    for op in PRODUCTS_OF_LOGS.split():
        for dtype in types_of(op):
            for left, right in PAIRS:
                yield Case(op, [values(dtype, left), values(dtype, right, 3, low=1)])
            yield Case(op, [np.zeros(2, dtype.as_numpy_dtype), np.asarray([0, 1]).astype(dtype.as_numpy_dtype)])
    for op in TWO_POSITIVE.split():
        for dtype in types_of(op):
            for left, right in PAIRS:
                low, high = (0, 3) if op == "Pow" else (1.1, 9)
                yield Case(op, [values(dtype, left, low=low, high=high), values(dtype, right, 3, low=0, high=3)])
    for op in ("LeftShift", "RightShift"):
        for dtype in types_of(op):
            yield from (
                Case(op, [values(dtype, left), values(dtype, right, 3, low=0, high=70)]) for left, right in PAIRS
            )
    for dtype in types_of("ApproximateEqual"):
        x = values(dtype, (4,))
        yield Case("ApproximateEqual", [x, x + np.asarray(1e-6).astype(dtype.as_numpy_dtype)])
        yield Case("ApproximateEqual", [x, values(dtype, (4,), 5)], {"tolerance": 1.5})
    for dtype in types_of("Polygamma"):
        yield Case("Polygamma", [np.asarray([0, 1, 2, 3], dtype.as_numpy_dtype), values(dtype, (4,), low=0.1, high=9)])
    for dtype in types_of("Betainc"):
        yield Case("Betainc", [values(dtype, (4,), seed, low=0.1, high=1 if seed == 2 else 9) for seed in range(3)])
    for dtype in types_of("Complex"):
        to = tf.complex64 if dtype == tf.float32 else tf.complex128
        yield from (Case("Complex", [values(dtype, s), values(dtype, s, 2)], {"Tout": to}) for s in SHAPES)


def choices() -> Iterator[Case]:
    for dtype in types_of("Select"):
        flags = values(tf.bool, (2, 3))
        x, y = values(dtype, (2, 3)), values(dtype, (2, 3), 1)
        yield Case("Select", [flags, x, y])
        yield Case("Select", [flags[:, 0], x, y])
        yield Case("Select", [np.asarray(True), x, y])
        yield Case("Select", [flags[0], x, y])
    for dtype in types_of("SelectV2"):
        for one, two, three in (((2, 3), (2, 3), (3,)), ((3,), (), (2, 1)), ((), (2, 3), (2, 3)), ((2,), (3,), ())):
            yield Case("SelectV2", [values(tf.bool, one), values(dtype, two), values(dtype, three, 1)])
    for dtype in (kind for kind in types_of("ClipByValue") if not kind.is_complex):
        low, high = np.asarray(1).astype(dtype.as_numpy_dtype), np.asarray(2).astype(dtype.as_numpy_dtype)
        yield Case("ClipByValue", [values(dtype, (2, 3)), low, high])
    for dtype in types_of("AddN"):
        yield Case("AddN", [[values(dtype, (2, 3), seed) for seed in range(3)]])
        yield Case("AddN", [[values(dtype, (3,))]])
    for source in types_of("Cast", "SrcT"):
        for target in types_of("Cast", "DstT"):
            yield Case("Cast", [values(source, (2, 3), low=0 if target.is_unsigned else -3)], {"DstT": target})


def reductions() -> Iterator[Case]:
    for op in ["Mean", "Sum", "Prod", "Max", "Min", "EuclideanNorm"]:
        for shape, dtype in shapes_and_types(op, SHAPES):
            for axes in ([], [0], [-1], list(range(len(shape))), [5], [0, 0]):
                if shape.count(0) and op == "Mean":
                    continue  # no number of nothing, or whatever an integer division leaves
                for keep in (True, False):
                    yield Case(op, [values(dtype, shape), np.asarray(axes, np.int32)], {"keep_dims": keep}, loose=4)
    for op in ("Any", "All"):
        for shape in SHAPES:
            for axes in ([], [0], [-1], [1]):
                yield Case(op, [values(tf.bool, shape), np.asarray(axes, np.int32)], {"keep_dims": len(axes) > 0})
    for op in ("Cumsum", "Cumprod", "CumulativeLogsumexp"):
        for shape, dtype in shapes_and_types(op, SHAPES[1:]):
            for exclusive, reverse in ((False, False), (True, False), (False, True), (True, True)):
                attrs = {"exclusive": exclusive, "reverse": reverse}
                yield Case(op, [values(dtype, shape), np.int32(-1)], attrs, loose=4)
                yield Case(op, [values(dtype, shape), np.int32(0)], attrs, loose=4)
    for op in ("ArgMax", "ArgMin"):
        for shape, dtype in shapes_and_types(op, SHAPES):
            yield from (Case(op, [values(dtype, shape), np.int32(axis)]) for axis in (0, -1, 1))
    for op in ("Softmax", "LogSoftmax"):
        yield from (Case(op, [values(d, s)], loose=4) for s, d in shapes_and_types(op, SHAPES[1:]))
    for shape, dtype in shapes_and_types("Cross", ((3,), (2, 3), (2,))):
        yield Case("Cross", [values(dtype, shape), values(dtype, shape, 4)])
    for shape, dtype in shapes_and_types("HistogramFixedWidth", SHAPES):
        limits = np.asarray([-2, 2]).astype(dtype.as_numpy_dtype)
        yield Case("HistogramFixedWidth", [values(dtype, shape), limits, np.int32(5)])


def products() -> Iterator[Case]:
    for dtype in types_of("MatMul"):
        for left, right, a, b in (
            ((2, 3), (3, 4), False, False),
            ((3, 2), (3, 4), True, False),
            ((2, 3), (4, 3), False, True),
            ((2, 3), (2, 3), False, False),
        ):
            yield Case(
                "MatMul", [values(dtype, left), values(dtype, right, 1)], {"transpose_a": a, "transpose_b": b}, loose=4
            )
    for op in ("BatchMatMul", "BatchMatMulV2"):
        for dtype in types_of(op):
            for left, right, a, b in (
                ((2, 2, 3), (2, 3, 4), False, False),
                ((2, 3, 2), (2, 4, 3), True, True),
                ((2, 1, 2, 3), (3, 3, 1), False, False),
            ):
                yield Case(op, [values(dtype, left), values(dtype, right, 1)], {"adj_x": a, "adj_y": b}, loose=4)
    for dtype in REAL:
        yield Case("BatchMatMulV3", [values(dtype, (2, 2, 3)), values(dtype, (3, 4), 1)], {"Tout": dtype}, loose=4)
    for dtype in types_of("Einsum"):
        for equation, shapes in (
            ("ab,bc->ac", ((2, 3), (3, 4))),
            ("abc,cd->abd", ((2, 2, 3), (3, 2))),
            ("a...b,...b->a...", ((2, 3, 4), (3, 4))),
            ("ab->ba", ((2, 3),)),
            ("aab->ab", ((2, 2, 3),)),
        ):
            yield Case(
                "Einsum", [[values(dtype, shape, i) for i, shape in enumerate(shapes)]], {"equation": equation}, loose=4
            )
    for shape, kernel in (((1, 1, 3, 2), (1, 1, 2, 4)), ((2, 3, 2, 3), (1, 1, 3, 1))):
        for padding in ("SAME", "VALID"):
            attributes = {"strides": [1, 1, 1, 1], "padding": padding}
            yield Case("Conv2D", [values(tf.float32, shape), values(tf.float32, kernel, 1)], attributes, loose=4)
    for dtype in types_of("BiasAdd"):
        for shape in ((2, 3), (2, 4, 3), (2, 2, 2, 3), (3,)):
            yield from (Case(op, [values(dtype, shape), values(dtype, (3,))]) for op in ("BiasAdd", "BiasAddV1"))
    for left in (tf.float32, tf.bfloat16):
        yield Case("SparseMatMul", [values(left, (3, 4)), values(tf.float32, (4, 2))], loose=4)


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    for part in (unary, binary, choices, reductions, products):
        yield from part()
