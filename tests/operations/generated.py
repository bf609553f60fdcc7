"""Cases for single operations: values drawn by a seed, one node with its constants, run by TensorFlow and by us.

Both read the same GraphDef, so that nothing stands between them; and what TensorFlow refuses, the interpreter must refuse.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from operator import getitem
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers its operations)
from tensorflow.core.framework import graph_pb2, kernel_def_pb2, node_def_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework import op_def_registry

from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.graph import ReadGraph
from hub2hf.savedmodel.node import TensorRef

# Types that text encoders hold; quantised numbers and those of accelerators are excluded by a rule of scripts/ops.py.
DTYPES = (
    *(tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.int32, tf.int64, tf.int8, tf.int16),
    *(tf.uint8, tf.uint16, tf.uint32, tf.uint64, tf.bool, tf.complex64, tf.complex128, tf.string),
)
REAL = (tf.float32, tf.float64)
FLOATS = (*REAL, tf.float16, tf.bfloat16)
INTS = (tf.int32, tf.int64)
SHAPES = ((), (0,), (3,), (2, 3), (2, 0, 2), (2, 1, 3))


@dataclass(frozen=True)
class Case:
    """One node.

    Attributes:
        op: the operation.
        inputs: a value, or a list of values, for each of its inputs.
        attrs: those that the types and number of inputs do not tell; types as tf.DType.
        seen: which outputs are compared; none stands for all.
        loose: a factor on the tolerance, where both sums are long.
    """

    op: str
    inputs: Sequence[Any] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    seen: tuple[int, ...] | None = None
    loose: float = 1.0

    def __str__(self) -> str:
        shown = [_told(value) for value in self.inputs]
        return f"{self.op}({', '.join(shown)}{', ' if self.attrs else ''}{self.attrs or ''})"


def _told(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_told, value))}]"
    array = np.asarray(value)
    small = array.size <= 4
    return repr(array.tolist()) if small and array.dtype.kind in "OiSU" else f"{array.dtype}{list(array.shape)}"


def array_of(value: Any) -> np.ndarray:
    """Return texts as an object array of bytes, numbers as they are."""
    array = np.asarray(value)
    if array.dtype.kind not in "USO":
        return array
    boxed = np.empty(array.shape, object)
    for place in np.ndindex(*array.shape):
        item = value[place] if isinstance(value, np.ndarray) else reduce(getitem, place, value)
        boxed[place] = item.encode() if isinstance(item, str) else item
    return boxed


def graph_def(case: Case) -> graph_pb2.GraphDef:
    """Return a graph of the node `op` and its constants, its types told by them."""
    made = graph_pb2.GraphDef()
    op_def = op_def_registry.get(case.op)
    retired = op_def.deprecation.version  # the GraphDef version that may no longer hold the op
    made.versions.producer = retired - 1 if retired else tf.version.GRAPH_DEF_VERSION
    node = node_def_pb2.NodeDef(name="op", op=case.op)
    for arg, given in zip(op_def.input_arg, case.inputs, strict=True):
        several = bool(arg.number_attr or arg.type_list_attr)
        values = [array_of(value) for value in (given if several else [given])]
        kinds = [tf.as_dtype(value.dtype) if value.dtype != object else tf.string for value in values]
        for value, kind in zip(values, kinds, strict=True):
            constant = made.node.add(name=f"c{len(made.node)}", op="Const")
            constant.attr["dtype"].type = kind.as_datatype_enum
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, kind, value.shape))
            node.input.append(constant.name)
        if arg.number_attr:
            node.attr[arg.number_attr].i = len(values)
        if arg.type_attr and kinds:
            node.attr[arg.type_attr].type = kinds[0].as_datatype_enum
        if arg.type_list_attr:
            node.attr[arg.type_list_attr].list.type.extend(kind.as_datatype_enum for kind in kinds)
    for name, value in case.attrs.items():
        node.attr[name].CopyFrom(_attribute(value))
    made.node.append(node)
    return made


def _attribute(value: Any) -> Any:
    made = node_def_pb2.NodeDef().attr["x"]
    if isinstance(value, (list, tuple)):
        made.list.SetInParent()
        for item in value:
            inner = _attribute(item)
            kind = inner.WhichOneof("value")
            target = getattr(made.list, kind)
            target.append(getattr(inner, kind))
        return made
    match value:
        case bool():
            made.b = value
        case int():
            made.i = value
        case float():
            made.f = value
        case str() | bytes():
            made.s = value.encode() if isinstance(value, str) else value
        case tf.DType():
            made.type = value.as_datatype_enum
        case tf.TensorShape():
            made.shape.CopyFrom(value.as_proto())
        case _:
            made.tensor.CopyFrom(tf.make_tensor_proto(value))
    return made


def theirs(protos: Sequence[graph_pb2.GraphDef]) -> list[list[np.ndarray] | None]:
    """Return TensorFlow's outputs of the node of each graph; None where it refuses. Many graphs at once are quicker."""
    try:
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            fetches = []
            for number, proto in enumerate(protos):
                tf.import_graph_def(proto, name=f"case{number}")
                fetches.append(list(graph.get_operation_by_name(f"case{number}/op").outputs))
            return [[array_of(value) for value in values] for values in session.run(fetches)]
    except (ValueError, tf.errors.OpError):
        return [None] if len(protos) == 1 else [theirs([proto])[0] for proto in protos]


def ours(proto: graph_pb2.GraphDef, count: int) -> list[np.ndarray]:
    """Return the interpreter's outputs."""
    graph = ReadGraph(messages.parse("GraphDef", proto.SerializeToString()))
    interpreter = Interpreter(graph, Substitutes(lambda name: np.zeros(()), {}))
    return [np.asarray(value) for value in interpreter.run([TensorRef("op", i) for i in range(count)], {})]


def tolerance(dtype: np.dtype[Any], case: Case) -> float:
    """Return how far a float may be from TensorFlow's, which is rounded to `dtype` at each step."""
    name = {"complex64": "float32", "complex128": "float64"}.get(dtype.name, dtype.name)
    return case.loose * {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-6, "float64": 1e-9}[name]


def differences(cases: Iterable[Case], at_once: int = 32) -> dict[str, str]:
    """Return, for each case in which the interpreter differs from TensorFlow, how."""
    found: dict[str, str] = {}
    rest = iter(cases)
    while batch := list(itertools.islice(rest, at_once)):
        protos = [graph_def(case) for case in batch]
        versions = {proto.versions.producer for proto in protos}
        right = theirs(protos) if len(versions) == 1 else [theirs([proto])[0] for proto in protos]
        for case, proto, expected in zip(batch, protos, right, strict=True):
            said = _difference(case, proto, expected)
            if said:
                found[str(case)] = said
    return found


def _difference(case: Case, proto: graph_pb2.GraphDef, expected: list[np.ndarray] | None) -> str:
    try:
        found = ours(proto, len(expected) if expected is not None else 1)
    except GraphError as error:
        return "" if expected is None else f"refused: {error}"
    if expected is None:
        return f"TensorFlow refuses it, the interpreter gives {found[0]!r}"
    for number, (mine, right) in enumerate(zip(found, expected, strict=True)):
        if case.seen is None or number in case.seen:
            said = _unlike(mine, right, case)
            if said:
                return f"output {number}: {said}"
    return ""


def _unlike(mine: np.ndarray, right: np.ndarray, case: Case) -> str:
    if mine.shape != right.shape:
        return f"shape {mine.shape}, not {right.shape}"
    floating = right.dtype.kind in "fc" or right.dtype.name == "bfloat16"
    wanted = np.dtype(np.float64) if floating and right.dtype.kind != "c" else right.dtype
    if mine.dtype != wanted:
        return f"type {mine.dtype}, not {wanted}"
    if not floating:
        same = mine.tolist() == right.tolist()
        return "" if same else f"{mine.tolist()}, not {right.tolist()}"
    limit = tolerance(right.dtype, case)
    right = right.astype(np.complex128 if right.dtype.kind == "c" else np.float64)
    close = np.isclose(mine, right, rtol=limit, atol=limit, equal_nan=True)
    if close.all():
        return ""
    at = np.unravel_index(np.argmax(~close), close.shape) if close.shape else ()
    return f"{mine[at]!r}, not {right[at]!r} at {at}"


@cache
def _kernels() -> dict[str, list[dict[str, list[int]]]]:
    """Types that TensorFlow's CPU kernels of each op take, by attribute."""
    buffer = pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllRegisteredKernels())
    found: dict[str, list[dict[str, list[int]]]] = {}
    for kernel in kernel_def_pb2.KernelList.FromString(buffer).kernel:
        if kernel.device_type in ("CPU", "DEFAULT") and not kernel.label:
            allowed = {rule.name: list(rule.allowed_values.list.type) for rule in kernel.constraint}
            found.setdefault(kernel.op, []).append(allowed)
    return found


def types_of(op: str, attribute: str = "T") -> list[tf.DType]:
    """Return the types of DTYPES that an op takes on a CPU for one of its type attributes."""
    op_def = op_def_registry.get(op)
    declared = next(attr for attr in op_def.attr if attr.name == attribute)
    allowed = set(declared.allowed_values.list.type) or {kind.as_datatype_enum for kind in DTYPES}
    taken: set[int] = set()
    for kernel in _kernels().get(op, []):
        taken |= set(kernel.get(attribute) or allowed)
    return [kind for kind in DTYPES if kind.as_datatype_enum in allowed & taken]


def values(dtype: tf.DType, shape: Sequence[int], seed: int = 0, low: float = -3, high: float = 3) -> np.ndarray:
    """Return values of a type, the same for a seed; whole numbers and texts repeat."""
    rng = np.random.default_rng([seed, *shape, dtype.as_datatype_enum])
    if dtype == tf.string:
        words = np.asarray([b"", b"a", b"ab", "я".encode(), b"b c", "犬😀".encode(), b"\0x", b"abc"], object)
        return np.asarray(words[rng.integers(0, len(words), shape)], object).reshape(shape)
    if dtype == tf.bool:
        return np.asarray(rng.random(shape) < 0.5)
    if dtype.is_complex:
        drawn = rng.uniform(low, high, shape) + 1j * rng.uniform(low, high, shape)
    elif dtype.is_integer:
        drawn = rng.integers(max(0, int(low)) if dtype.is_unsigned else int(low), int(high) + 1, shape)
    else:
        drawn = rng.uniform(low, high, shape)
    return np.asarray(drawn).astype(dtype.as_numpy_dtype)


def shapes_and_types(op: str, shapes: Sequence[tuple[int, ...]], attribute: str = "T") -> Iterator[tuple[Any, Any]]:
    """Yield every pair of a shape and a type that an op takes."""
    return itertools.product(shapes, types_of(op, attribute))
