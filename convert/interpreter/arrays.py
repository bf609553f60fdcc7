"""Arithmetic ops: element by element, products, reductions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.interpreter.registry import Caller, Value, bounded, elementary, operation
from hub2hf.savedmodel.node import Node

_erf = np.frompyfunc(math.erf, 1, 1)


def _by(function: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    """Return a division that refuses to divide whole numbers by zero, as TensorFlow does."""

    def divide(x: Value, y: Value) -> Value:
        if np.asarray(y).dtype.kind in "iu" and not np.all(y):
            raise ZeroDivisionError("division by zero")
        return function(x, y)

    return divide


def _towards_zero(x: Value, y: Value) -> Value:
    if np.asarray(x).dtype.kind not in "iu":
        return np.trunc(np.divide(x, y))
    return np.floor_divide(x - np.fmod(x, y), y)


def _division(x: Value, y: Value) -> Value:
    """`Div` is real on floats and truncates on integers."""
    return np.divide(x, y) if np.asarray(x).dtype.kind not in "iu" else _towards_zero(x, y)


def _ones(x: np.ndarray) -> Value:
    if x.dtype in (np.uint32, np.uint64):
        raise TypeError(f"TensorFlow's ones of {x.dtype} are zeros")
    return np.ones_like(x)


def _rounded(x: np.ndarray) -> Value:
    """Halves to the even neighbour."""
    if x.dtype.kind in "iu":
        raise TypeError("TensorFlow does not agree with itself on whole numbers rounded")
    return np.round(x)


def _square_of_difference(x: Value, y: Value) -> Value:
    far = np.subtract(x, y)
    return (far * np.conj(far)).astype(far.dtype) if far.dtype.kind == "c" else np.square(far)


def _clipped(x: Value, low: Value, high: Value) -> Value:
    if np.asarray(x).dtype.kind == "c":
        raise TypeError("complex numbers have no order")
    return np.clip(x, low, high)


def softmax(x: np.ndarray) -> np.ndarray:
    """Return softmax over the last axis, same shape."""
    if not x.size:
        return x
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def erf(x: np.ndarray) -> np.ndarray:
    """Return the error function, float64, same shape."""
    return np.asarray(_erf(x), dtype=np.float64)


def _power(x: Value, y: Value) -> Value:
    """A cube by multiplication, as in the tanh form of GELU: NumPy's general power is ten times slower."""
    return x * x * x if np.ndim(y) == 0 and y == 3 else np.power(x, y)


def _equal(x: Value, y: Value) -> Value:
    return np.equal(x, y).astype(bool)


elementary(
    {
        "Identity": lambda x: x,
        "RefIdentity": lambda x: x,
        "StopGradient": lambda x: x,
        "PlaceholderWithDefault": lambda x: x,
        "PreventGradient": lambda x: x,
        "Snapshot": lambda x: x,
        "GuaranteeConst": lambda x: x,
        "CheckNumerics": lambda x: x,
        "Neg": np.negative,
        "Abs": np.abs,
        "OnesLike": _ones,
        "Sign": np.sign,
        "Square": np.square,
        "Sqrt": np.sqrt,
        "Rsqrt": lambda x: 1.0 / np.sqrt(x),
        "Reciprocal": lambda x: 1.0 / x,
        "Inv": lambda x: 1.0 / x,
        "Exp": np.exp,
        "Log": np.log,
        "Log1p": np.log1p,
        "Tanh": np.tanh,
        "Sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
        "Erf": erf,
        "Erfc": lambda x: 1.0 - erf(x),
        "Relu": lambda x: np.maximum(x, 0),
        "Relu6": lambda x: np.clip(x, 0, 6),
        "Softplus": lambda x: np.logaddexp(x, 0.0),
        "Softmax": softmax,
        "LogSoftmax": lambda x: np.log(softmax(x)),
        "Floor": np.floor,
        "Ceil": np.ceil,
        "Round": _rounded,
        "Rint": np.rint,
        "LogicalNot": np.logical_not,
        "IsNan": np.isnan,
        "IsFinite": np.isfinite,
        "Add": np.add,
        "AddV2": np.add,
        "Sub": np.subtract,
        "Mul": np.multiply,
        "Div": _by(_division),
        "TruncateDiv": _by(_towards_zero),
        "RealDiv": np.divide,
        "DivNoNan": lambda x, y: np.where(y == 0, 0.0, np.divide(x, np.where(y == 0, 1.0, y))),
        "MulNoNan": lambda x, y: np.where(y == 0, 0.0, np.multiply(x, y)),
        "FloorDiv": _by(np.floor_divide),
        "FloorMod": _by(np.mod),
        "Mod": _by(np.fmod),
        "TruncateMod": _by(np.fmod),
        "Pow": _power,
        "Maximum": np.maximum,
        "Minimum": np.minimum,
        "SquaredDifference": _square_of_difference,
        "Less": np.less,
        "LessEqual": np.less_equal,
        "Greater": np.greater,
        "GreaterEqual": np.greater_equal,
        "Equal": _equal,
        "NotEqual": lambda x, y: ~_equal(x, y),
        "LogicalAnd": np.logical_and,
        "LogicalOr": np.logical_or,
        "ClipByValue": _clipped,
        "AddN": lambda *terms: sum(terms[1:], start=terms[0]),
        "AccumulateNV2": lambda *terms: sum(terms[1:], start=terms[0]),
        "Select": lambda c, x, y: np.where(np.reshape(c, c.shape + (1,) * (np.ndim(x) - np.ndim(c))), x, y),
        "SelectV2": np.where,
    }
)


@operation("IdentityN")
def _identity_n(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return tuple(inputs)


@operation("BiasAdd", "BiasAddV1")
def _bias_add(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, bias = inputs
    if node.attr("data_format", "NHWC") != "NHWC":
        raise GraphError(f"Node '{node.name}' adds a bias in channel-first order.", "No text encoder does.")
    if np.ndim(x) < 2 or np.shape(bias) != np.shape(x)[-1:]:
        raise ValueError(f"a bias of {np.shape(bias)} for {np.shape(x)}")
    return (x + bias,)


def _product_cost(node: Node, inputs: Sequence[Value]) -> int:
    a, b = (np.shape(value) for value in inputs[:2])
    turned = [
        node.attr(first, node.attr(other, False))
        for first, other in (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))
    ]
    rows, columns = a[-1 if turned[0] else -2], b[-2 if turned[1] else -1]
    return int(math.prod(np.broadcast_shapes(a[:-2], b[:-2])) * rows * columns)


@operation("MatMul", cost=_product_cost)
def _matmul(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    a, b = inputs
    a = a.T if node.attr("transpose_a", False) else a
    b = b.T if node.attr("transpose_b", False) else b
    alike = len(a) > 1 and (a[-1] == a[0]).all() and (a == a[0]).all()
    if alike:  # as in probes of the weights: every row becomes the same
        return (np.broadcast_to(a[:1] @ b, (len(a), b.shape[1])),)
    return (a @ b,)


@operation("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", cost=_product_cost)
def _batch_matmul(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    a, b = inputs
    if node.op == "BatchMatMul" and np.shape(a)[:-2] != np.shape(b)[:-2]:
        raise ValueError(f"batches of {np.shape(a)} and {np.shape(b)}")
    a = np.conj(np.swapaxes(a, -1, -2)) if node.attr("adj_x", False) else a
    return (a @ (np.conj(np.swapaxes(b, -1, -2)) if node.attr("adj_y", False) else b),)


def _einsum_cost(node: Node, inputs: Sequence[Value]) -> int:
    """All labels of the result; what an ellipsis stands for is at most all of an operand."""
    left, _, right = str(node.attr("equation")).replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(inputs) or len(inputs) > 2:
        raise GraphError(f"The {node} sums over {len(inputs)} operands.", "Only one or two are understood.")
    sizes: dict[str, int] = {}
    extra = 1
    for term, value in zip(terms, inputs, strict=True):
        before, _, after = term.partition("...")
        shape = np.shape(value)
        ends = [*zip(before, shape, strict=False), *zip(reversed(after), reversed(shape), strict=False)]
        for label, size in ends:
            sizes[label] = max(size, sizes.get(label, 1))
        middle = shape[len(before) : len(shape) - len(after)] if "..." in term else ()
        extra = max(extra, math.prod(middle))
    return extra * math.prod(sizes.get(label, 1) for label in right if label != ".")


@operation("Einsum", cost=_einsum_cost)
def _einsum(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.einsum(text_attr(node, "equation"), *inputs, optimize=True),)


def _convolution_cost(node: Node, inputs: Sequence[Value]) -> int:
    x, kernel = (np.shape(value) for value in inputs)
    return int(math.prod(x[:-1]) * max(kernel[-1:], default=1))


@operation("Conv2D", cost=_convolution_cost)
def _conv2d(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Over one place alone, where it is a dense layer: text encoders write theirs so, and no other convolution."""
    x, kernel = inputs
    plain = node.attr("data_format", "NHWC") == "NHWC" and node.attr("padding", "VALID") in ("SAME", "VALID")
    plain = plain and set(node.attr("strides", [1])) == {1}
    if not plain or np.ndim(x) != 4 or np.shape(kernel)[:-2] != (1, 1):
        raise ValueError(f"a convolution of {np.shape(x)} by {np.shape(kernel)}, which is more than a dense layer")
    return (x @ kernel[0, 0],)


def text_attr(node: Node, name: str) -> str:
    """Return a string attribute as text.

    Raises:
        GraphError: it is missing or is not UTF-8.
    """
    value = node.attr(name)
    if not isinstance(value, str):
        raise GraphError(f"Attribute '{name}' of the {node} is not UTF-8 text.", "Download the model again.")
    return value


def _extreme(dtype: np.dtype[Any], lowest: bool) -> Any:
    """Return what TensorFlow gives as the maximum (`lowest`) or minimum of no elements."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if lowest else np.iinfo(dtype).max
    return -np.inf if lowest else np.inf


def _reduction(function: Callable[..., Value]) -> Callable[..., tuple[Value, ...]]:
    def reduce(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
        x, axes = inputs
        keep = node.attr("keep_dims", False)
        axis = tuple(int(a) for a in np.atleast_1d(axes))
        kind: Any = {"dtype": x.dtype} if function in (np.sum, np.prod) else {}
        if function in (np.max, np.min):
            kind = {"initial": _extreme(x.dtype, function is np.max)}
        result = np.asarray(function(x, axis=axis, keepdims=keep, **kind))
        return (np.trunc(result).astype(x.dtype) if function is np.mean and x.dtype.kind in "iu" else result,)

    return reduce


_REDUCTIONS: dict[str, Callable[..., Value]] = {
    "Mean": np.mean,
    "Sum": np.sum,
    "Prod": np.prod,
    "Max": np.max,
    "Min": np.min,
    "Any": np.any,
    "All": np.all,
}
for _name, _function in _REDUCTIONS.items():
    operation(_name)(_reduction(_function))


@operation("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def _fused_batch_norm(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Keras LayerNormalization reshapes so that batch statistics over N, H, W are those of one row."""
    x, scale, offset = inputs[:3]
    channels_first = node.attr("data_format", "NHWC") == "NCHW"
    channel = 1 if channels_first else 3
    axes = tuple(a for a in range(4) if a != channel)
    shape = [1, 1, 1, 1]
    shape[channel] = -1
    epsilon = node.attr("epsilon", 1e-4)
    if not node.attr("is_training", True):
        mean, variance = (np.reshape(v, shape) for v in inputs[3:5])
    else:
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    y = (x - mean) / np.sqrt(variance + epsilon) * np.reshape(scale, shape) + np.reshape(offset, shape)
    return (y, mean.ravel(), variance.ravel(), mean.ravel(), variance.ravel(), np.zeros(0))


@operation("OneHot")
def _one_hot(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    indices, depth, on, off = inputs
    bounded(node, (*indices.shape, int(depth)))
    hot: Any = np.where(indices[..., np.newaxis] == np.arange(int(depth)), on, off)
    axis = node.attr("axis", -1)
    return (hot if axis == -1 else np.moveaxis(hot, -1, axis),)
