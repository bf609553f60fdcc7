"""A graph under construction: nodes with names, and initializers whose bytes are made only when they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import gcd, prod
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from hub2hf.onnx.messages import DATA_TYPES, FLOAT, INT, INTS, STRING, new
from hub2hf.onnx.precision import MATRICES, PART, Precision, narrowed, quantized, scales
from hub2hf.onnx.weights import WeightFile

# Gelu came with opset 20, LayerNormalization with 17. ONNX Runtime runs 20 since 1.17 (January 2024), and with it
# onnxruntime-web and -node; OpenVINO since 2024.0. Nothing later is of use to an encoder, and would shut out runtimes.
OPSET = 20
NORM, REACH = "LayerNormalization", "/reach"
# What a channel's reach is raised to where it is taken from what is rounded, and given to the weights: with 0 the one has
# all the outliers, with 1 the other. See `precision` for what it was measured by.
EVENED: Final = 0.5
LOWEST: Final = MappingProxyType({"Gelu": -0.1701, "Relu": 0.0})  # below what an activation makes, both forms of GELU
NOTHING: Final[Mapping[str, np.ndarray]] = MappingProxyType({})
LEAST = 1e-30  # that a row of nothing but 0 is divided by
ZERO = 128  # the uint8 that stands for 0: products of uint8 and int8 are the fast ones
IR_VERSION = 9  # that of the release of ONNX that brought opset 20

Pieces = Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Initializer:
    """A constant of the graph: its name, dtype and shape, and what makes its numbers, flat arrays of that dtype in order."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    pieces: Pieces

    @property
    def nbytes(self) -> int:
        """How many bytes the numbers take."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class _Nearness:
    """How numbers [..., channels] are rounded to uint8: less `base`, over `even`, over a scale each row, plus `zero`."""

    base: np.ndarray = field(default_factory=lambda: np.zeros(1, np.float32))
    even: np.ndarray = field(default_factory=lambda: np.ones(1, np.float32))
    zero: int = ZERO


class OnnxGraph:
    """Nodes in the order in which they run, and what they read.

    Args:
        weights: of the folder.
        precision: in which matrices are kept.
        key: from the place of a tensor to its key in the folder; see `Architecture.key`.
        words: the key of the word embeddings.
        reaches: what products meet → the lowest, highest and mean number of each channel, as `reach` measured them.
    """

    def __init__(
        self,
        weights: WeightFile,
        precision: Precision,
        key: Callable[[str], str] = str,
        words: str = "",
        reaches: Mapping[str, np.ndarray] = NOTHING,
    ) -> None:
        self.nodes: list[Any] = []
        self.initializers: dict[str, Initializer] = {}
        self._weights, self._precision, self._key, self._words = weights, precision, key, words
        self._dtype, self._reaches = precision.dtype, reaches
        self._quantized: dict[str, tuple[str, str]] = {}
        self._kinds: dict[str, str] = {}
        self._met: dict[str, int] = {}
        self._made: Counter[str] = Counter()

    def op(self, kind: str, *inputs: str, at: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the name of that.

        Args:
            kind: the operator.
            inputs: what it reads.
            at: where in the model it stands, for people who look at the graph.
            output: what the output is called; by default as the node.
            attributes: of the operator; whole numbers, lists of them, floats and texts.
        """
        name = f"{at}/{kind}"
        self._made[name] += 1
        if self._made[name] > 1:
            name = f"{name}.{self._made[name]}"
        made = [_attribute(key, value) for key, value in attributes.items()]
        output = output or name
        self._kinds[output] = kind
        self.nodes.append(new("NodeProto", name=name, op_type=kind, input=inputs, output=[output], attribute=made))
        return output

    def constant(self, value: Any, dtype: str = "float32") -> str:
        """Return the name of a small constant, which equal ones share."""
        array = np.asarray(value, dtype)
        name = f"constant.{dtype}.{'x'.join(map(str, array.shape))}.{'_'.join(map(str, array.ravel().tolist()))}"
        self.initializers.setdefault(name, Initializer(name, dtype, array.shape, lambda: iter([array.ravel()])))
        return name

    def has(self, place: str) -> bool:
        """Whether the folder has a tensor of that place."""
        return self._key(place) in self._weights

    def shape(self, place: str) -> tuple[int, ...]:
        """Return the shape of a tensor of the folder."""
        return self._weights.shape(self._key(place))

    def table(self, place: str) -> str:
        """Return the name of a tensor whose rows are gathered, in the dtype of matrices."""
        key = self._key(place)
        return self._initializer(key, self._dtype, self._weights.shape(key), partial(self._weights.pieces, key))

    def rows(self, place: str, ids: str, at: str) -> str:
        """Return the name of the rows of a table at ids [batch, length], float32 [batch, length, size]."""
        key = self._key(place)
        if not (self._precision.rows and key == self._words):
            return self.as_float32(self.op("Gather", self.table(place), ids, at=at, axis=0), at)
        count, size = self._weights.shape(key)
        part = gcd(size, PART)
        table = self._add(key, "int8", (count, size), lambda: quantized(self._weights.rows(key, part)))
        steps = self._add(
            f"{key}.scale", "float32", (count, size // part), lambda: scales(self._weights.rows(key, part))
        )
        # DequantizeLinear takes a scale each row of two dimensions: each part of a row is one.
        rows, by_part = (self.op("Gather", name, ids, at=at, axis=0) for name in (table, steps))
        rows = self.op("Reshape", rows, self.constant([-1, part], "int64"), at=at)
        by_part = self.op("Reshape", by_part, self.constant([-1], "int64"), at=at)
        found = self.op("DequantizeLinear", rows, by_part, at=at, axis=0)
        shape = self.op("Concat", self.op("Shape", ids, at=at), self.constant([size], "int64"), at=at, axis=0)
        return self.op("Reshape", found, shape, at=at)

    def product(self, x: str, place: str, at: str) -> str:
        """Return the name of x [..., inputs] times a weight [outputs, inputs], float32 [..., outputs]."""
        if not self._precision.matrices:
            self._met[x] = self.shape(place)[1]
            return self.op("MatMul", x, self.matrix(place), at=at)
        key = self._key(place)
        outputs, inputs = self._weights.shape(key)
        near, met = self._nearness(x), self._reaches.get(x)
        name = key if met is None else f"{x}*{key}"  # layers that share a weight meet other numbers with it

        def rows() -> Iterator[np.ndarray]:
            return (block * near.even for block in self._weights.rows(key))

        weight = self._add(name, "int8", (inputs, outputs), lambda: _turned(quantized(rows(), MATRICES), inputs))
        steps = self._add(f"{name}.scale", "float32", (outputs,), lambda: scales(rows(), MATRICES))
        whole, step = self._rounded(x, near, at)
        zero = self.constant(near.zero, "uint8")
        found = self.cast(self.op("MatMulInteger", whole, weight, zero, at=at), "float32", at)
        found = self.op("Mul", self.op("Mul", found, step, at=at), steps, at=at)
        if met is None:
            return found

        def missing() -> Iterator[np.ndarray]:
            mean = met[2]
            for block in self._weights.rows(key):
                (by_row,) = scales(iter([block * near.even]), MATRICES)
                kept = np.concatenate(list(quantized(iter([block * near.even]), MATRICES))).reshape(block.shape)
                yield block @ mean - kept @ ((mean - near.base) / near.even) * by_row

        return self.op("Add", found, self._add(f"{name}.missing", "float32", (outputs,), missing), at=at)

    def _nearness(self, x: str) -> _Nearness:
        kind, met = self._kinds.get(x), self._reaches.get(x)
        if met is None or kind not in (NORM, *LOWEST):
            return _Nearness()
        if kind in LOWEST:
            return _Nearness(np.array([LOWEST[kind]], np.float32), zero=0)
        lowest, highest, _ = met
        power = np.maximum((highest - lowest) / 2, np.float32(1e-5)) ** np.float32(EVENED)
        return _Nearness((lowest + highest) / 2, power / power.mean())

    def _rounded(self, x: str, near: _Nearness, at: str) -> tuple[str, str]:
        """Return the names of x in uint8 and of the scales of its rows; products of the same x share them."""
        if x not in self._quantized:
            y = x
            for kind, part, neutral in (("Sub", near.base, 0), ("Div", near.even, 1)):
                if (part != neutral).any():
                    name = self._add(f"{x}.{kind}", "float32", part.shape, partial(iter, [part]))
                    y = self.op(kind, y, name, at=at)
            positive = y if near.zero == 0 else self.op("Abs", y, at=at)
            largest = self.op("ReduceMax", positive, self.constant([-1], "int64"), at=at, keepdims=1)
            largest = self.op("Max", largest, self.constant(LEAST), at=at)
            step = self.op("Div", largest, self.constant(float(255 - near.zero)), at=at)
            whole = self.op("Div", y, step, at=at)
            whole = self.op("QuantizeLinear", whole, self.constant(1.0), self.constant(near.zero, "uint8"), at=at)
            self._quantized[x] = whole, step
        return self._quantized[x]

    def reaches(self) -> list[tuple[str, int]]:
        """Add outputs that say which numbers products meet, and return name and channels of each: see `reach`."""
        return [(self._reach(x, channels), channels) for x, channels in self._met.items()]

    def _reach(self, x: str, channels: int) -> str:
        at = f"{x}{REACH}"
        rows = self.op("Reshape", x, self.constant([-1, channels], "int64"), at=at)
        axis = self.constant([0], "int64")
        found = [self.op(kind, rows, axis, at=at, keepdims=1) for kind in ("ReduceMin", "ReduceMax", "ReduceMean")]
        return self.op("Concat", *found, at=at, output=at, axis=0)

    def vector(self, place: str) -> str:
        """Return the name of a bias or a scale, float32 always."""
        key = self._key(place)
        return self._initializer(key, "float32", self._weights.shape(key), partial(self._weights.pieces, key))

    def matrix(self, place: str) -> str:
        """Return the name of a weight [outputs, inputs] as [inputs, outputs], float32."""
        key = self._key(place)

        def pieces() -> Iterator[np.ndarray]:
            yield self._weights.read(key).T.ravel()

        outputs, inputs = self._weights.shape(key)
        return self.as_float32(self._initializer(key, self._dtype, (inputs, outputs), pieces), key)

    def as_float32(self, value: str, at: str) -> str:
        """Return the name of what was kept in the dtype of matrices, as float32."""
        return value if self._dtype == "float32" else self.cast(value, "float32", at)

    def cast(self, value: str, dtype: str, at: str) -> str:
        """Return the name of a value in another dtype, of `DATA_TYPES`."""
        return self.op("Cast", value, at=at, to=DATA_TYPES[dtype])

    def _initializer(self, name: str, dtype: str, shape: tuple[int, ...], pieces: Pieces) -> str:
        def converted() -> Iterator[np.ndarray]:
            for piece in pieces():
                yield narrowed(piece, dtype, name)

        return self._add(name, dtype, shape, converted)

    def _add(self, name: str, dtype: str, shape: tuple[int, ...], pieces: Pieces) -> str:
        self.initializers[name] = Initializer(name, dtype, shape, pieces)
        return name


def _turned(rows: Iterator[np.ndarray], inputs: int) -> Iterator[np.ndarray]:
    """Yield the numbers of a matrix whose rows come in flat arrays, column by column."""
    yield np.concatenate(list(rows)).reshape(-1, inputs).T.ravel()


def _attribute(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return new("AttributeProto", name=name, s=value.encode(), type=STRING)
    if isinstance(value, int):
        return new("AttributeProto", name=name, i=value, type=INT)
    if isinstance(value, float):
        return new("AttributeProto", name=name, f=value, type=FLOAT)
    return new("AttributeProto", name=name, ints=value, type=INTS)
