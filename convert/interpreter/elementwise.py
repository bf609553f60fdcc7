"""Arithmetic element by element that text encoders rarely hold: other activations, angles, bits, complex numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hub2hf.interpreter.registry import Caller, Value, as_float64, elementary, operation
from hub2hf.savedmodel.node import Node

# Of the self-normalising unit (Klambauer et al. 2017, section 1).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _elu(x: Value) -> Value:
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


def _without_zero(function: Callable[[Value], Value]) -> Callable[[Value, Value], Value]:
    """x times a function of y; 0 where x is, whatever the function gives."""
    return lambda x, y: np.where(x == 0, 0, x * function(y))


def _shift(left: bool) -> Callable[[Value, Value], Value]:
    """By as many bits as there are less one at most, as TensorFlow clamps it."""

    def shift(x: np.ndarray, y: np.ndarray) -> Value:
        most = np.clip(y, 0, x.dtype.itemsize * 8 - 1).astype(x.dtype)
        return np.left_shift(x, most) if left else np.right_shift(x, most)

    return shift


elementary(
    {
        "Acos": np.arccos,
        "Acosh": np.arccosh,
        "Asin": np.arcsin,
        "Asinh": np.arcsinh,
        "Atan": np.arctan,
        "Atan2": np.arctan2,
        "Atanh": np.arctanh,
        "BitwiseAnd": np.bitwise_and,
        "BitwiseOr": np.bitwise_or,
        "BitwiseXor": np.bitwise_xor,
        "Conj": np.conj,
        "Cos": np.cos,
        "Cosh": np.cosh,
        "Elu": _elu,
        "Expm1": np.expm1,
        "Invert": np.invert,
        "IsInf": np.isinf,
        "LeftShift": _shift(True),
        "RightShift": _shift(False),
        "Selu": lambda x: SELU_SCALE * np.where(x < 0, SELU_ALPHA * np.expm1(np.minimum(x, 0)), x),
        "Sin": np.sin,
        "Sinh": np.sinh,
        "Softsign": lambda x: x / (1 + np.abs(x)),
        "Tan": np.tan,
        "Xdivy": lambda x, y: np.where(x == 0, 0, x / y),
        "Xlog1py": _without_zero(np.log1p),
        "Xlogy": _without_zero(np.log),
    }
)


@operation("LeakyRelu")
def _leaky_relu(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x = np.asarray(inputs[0])
    return (np.where(x > 0, x, x * float(node.attr("alpha", 0.2))),)


@operation("NextAfter")
def _following(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The next number of the type that the graph has."""
    kind = node.attr("T", np.dtype(np.float64))
    return (np.nextafter(*(np.asarray(value, kind) for value in inputs)).astype(np.float64),)


@operation("ApproximateEqual")
def _approximate(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, y = inputs
    far = np.where(x > y, x - y, y - x) if np.asarray(x).dtype.kind in "u" else np.abs(x - y)
    return (far < np.float32(node.attr("tolerance", 1e-5)),)


@operation("PopulationCount")
def _population(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x = np.ascontiguousarray(inputs[0])
    bits = np.unpackbits(x.view(np.uint8).reshape(*x.shape, x.dtype.itemsize), axis=-1)
    return (bits.sum(-1, dtype=np.uint8).reshape(np.shape(inputs[0])),)


@operation("Complex")
def _complex(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    real, imaginary = inputs
    return ((real + 1j * np.asarray(imaginary)).astype(node.attr("Tout", np.dtype(np.complex64))),)


_PARTS: dict[str, Callable[[Value], Value]] = {
    "Real": np.real,
    "Imag": np.imag,
    "ComplexAbs": np.abs,
    "Angle": np.angle,
}


@operation(*_PARTS)
def _part(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (as_float64(np.array(_PARTS[node.op](inputs[0]))),)


@operation("L2Loss")
def _l2_loss(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(np.square(inputs[0]).sum() / 2),)


@operation("EuclideanNorm")
def _norm(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, axes = np.asarray(inputs[0]), tuple(int(axis) for axis in np.ravel(inputs[1]))
    squares = np.square(np.abs(x)).sum(axis=axes, keepdims=bool(node.attr("keep_dims", False)))
    return (np.sqrt(squares).astype(x.dtype),)


def _scan(x: np.ndarray, axis: int, node: Node, step: Any, nothing: float) -> np.ndarray:
    """Combine each entry with all before it; `exclusive` leaves itself out, `reverse` begins at the end."""
    x = np.flip(x, axis) if node.attr("reverse", False) else x
    if node.attr("exclusive", False):
        first = np.full_like(np.take(x, [0], axis), nothing) if x.shape[axis] else x
        x = np.concatenate([first, np.take(x, range(x.shape[axis] - 1), axis)], axis) if x.shape[axis] else x
    total = step(x, axis)
    return np.asarray(np.flip(total, axis) if node.attr("reverse", False) else total)


@operation("Cumsum", "Cumprod", "CumulativeLogsumexp")
def _cumulative(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, axis = np.asarray(inputs[0]), int(inputs[1])
    if node.op == "Cumsum":
        return (_scan(x, axis, node, lambda v, a: np.cumsum(v, a, dtype=v.dtype), 0),)
    if node.op == "Cumprod":
        return (_scan(x, axis, node, lambda v, a: np.cumprod(v, a, dtype=v.dtype), 1),)
    return (_scan(x, axis, node, lambda v, a: np.logaddexp.accumulate(v, a) if v.size else v, -np.inf),)


@operation("Cross")
def _cross(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, y = (np.asarray(value) for value in inputs)
    if x.shape != y.shape or x.shape[-1:] != (3,):
        raise ValueError(f"vectors in the shapes {x.shape} and {y.shape}")
    return (np.cross(x, y),)


@operation("HistogramFixedWidth", cost=lambda node, inputs: int(inputs[2]) + 2 * np.size(inputs[0]))
def _histogram(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, (low, high), size = np.asarray(inputs[0]), np.asarray(inputs[1]), int(inputs[2])
    if not low < high or size < 1:
        raise ValueError(f"{size} bins from {low} to {high}")
    places = np.clip(np.floor((x - low) / ((high - low) / size)), 0, size - 1).astype(np.int64)
    return (np.bincount(places.ravel(), minlength=size).astype(node.attr("dtype", np.int32)),)
