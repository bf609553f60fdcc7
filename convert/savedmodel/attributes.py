"""Attributes and constants of graph nodes, decoded into Python and numpy values."""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.limits import MAX_REPEATED
from hub2hf.savedmodel.dtypes import DT_STRING, NUMPY_DTYPES, graph_dtype

MAX_ELEMENTS: Final = 1 << 28  # a constant of a graph cannot hold more: GraphDef is limited to 2 GiB
MAX_RANK: Final = 32  # numpy < 2 has no more axes
UNREADABLE: Final = "Report the model: hub2hf does not read this form of graph, or the file is damaged."

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | None, ...] | None

# Field of TensorProto that holds the values of each DataType (tensorflow/core/framework/tensor.proto).
_FIELDS: Final = {
    1: "float_val",
    2: "double_val",
    **dict.fromkeys((3, 4, 5, 6, 17), "int_val"),
    7: "string_val",
    8: "scomplex_val",
    9: "int64_val",
    10: "bool_val",
    14: "half_val",
    18: "dcomplex_val",
    19: "half_val",
    22: "uint32_val",
    23: "uint64_val",
}
# The type in which each field is read, before it is made the DataType.
_FIELD_DTYPES: Final = {
    "float_val": np.float32,
    "double_val": np.float64,
    "int_val": np.int64,
    "scomplex_val": np.float32,
    "int64_val": np.int64,
    "bool_val": np.bool_,
    "half_val": np.int64,
    "dcomplex_val": np.float64,
    "uint32_val": np.uint32,
    "uint64_val": np.uint64,
}


def decode_attribute(proto: Any, where: str) -> Any:
    """Decode an AttrValue.

    Args:
        proto: the message.
        where: the attribute and its node, for messages.

    Returns:
        An int, float or bool; str (bytes where they are not UTF-8); a dtype as ``graph_dtype`` gives it; a
        shape (tuple with None for an unknown size, or None for an unknown rank); an array; the name of a
        function; or a list of these.

    Raises:
        GraphError: it has no value, is the placeholder of a function's parameter, or is malformed.
    """
    kind = proto.WhichOneof("value")
    if kind is None or kind == "placeholder":
        raise GraphError(f"The {where} has no value.", UNREADABLE)
    if kind != "list":
        return _decode(kind, getattr(proto, kind), where)
    return [_decode(field.name, item, where) for field, items in proto.list.ListFields() for item in items]


def _decode(kind: str, value: Any, where: str) -> Any:
    if kind == "s":
        return decode_text(value)
    if kind == "type":
        return graph_dtype(value)
    if kind == "shape":
        return decode_shape(value, where)
    if kind == "tensor":
        return decode_tensor(value, where)
    if kind == "func":
        return str(value.name)
    return value


def decode_text(data: bytes) -> str | bytes:
    """Return the text of UTF-8 bytes, or the bytes themselves when they are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return bytes(data)


def decode_shape(proto: Any, where: str) -> Shape:
    """Decode a TensorShapeProto: a tuple with None for each unknown size, or None when the rank is unknown.

    Raises:
        GraphError: a size below -1.
    """
    if proto.unknown_rank:
        return None
    sizes = [int(dim.size) for dim in proto.dim]
    if any(size < -1 for size in sizes):
        raise GraphError(f"The {where} has the impossible shape {sizes}.", UNREADABLE)
    return tuple(None if size == -1 else size for size in sizes)


def decode_tensor(proto: Any, where: str) -> Array:
    """Decode a TensorProto as ``tf.make_ndarray`` does.

    Args:
        proto: the message.
        where: what holds it, for messages.

    Returns:
        A read-only array; strings as an object array of bytes. A single value for all elements takes the
        memory of one.

    Raises:
        GraphError: unknown or unsupported dtype, shape not fully known or of more than 2**28 elements, or
            values that do not fit the shape.
    """
    dtype = NUMPY_DTYPES.get(proto.dtype)
    if dtype is None:
        raise GraphError(f"The {where} holds values of the unsupported {graph_dtype(proto.dtype)}.", UNREADABLE)
    shape = decode_shape(proto.tensor_shape, where)
    if shape is None or len(shape) > MAX_RANK or None in shape:
        raise GraphError(f"The {where} holds a tensor of unknown shape.", UNREADABLE)
    known = tuple(size or 0 for size in shape)
    count = prod(known)
    if max(count, *known, 0) > MAX_ELEMENTS:
        raise GraphError(f"The {where} holds a tensor of the impossible shape {list(known)}.", UNREADABLE)
    try:
        array = _values(proto, dtype, count, where)
        array = np.broadcast_to(array, known) if array.size == 1 != count else array.reshape(known)
    except MemoryError:
        raise GraphError(f"The {where} does not fit in memory.", "Use a machine with more memory.") from None
    array.flags.writeable = False
    return array


def _values(proto: Any, dtype: np.dtype[Any], count: int, where: str) -> Array:
    """Return the values: ``count`` of them, or one that stands for all."""
    content = proto.tensor_content
    if content:
        if dtype.hasobject or len(content) != count * dtype.itemsize:
            raise GraphError(f"The {where} has {len(content)} bytes, not {count} of {dtype}.", UNREADABLE)
        raw = np.frombuffer(content, dtype=np.uint8)
        return (raw != 0) if dtype == np.bool_ else raw.view(dtype)
    if proto.dtype not in _FIELDS:
        raise GraphError(f"The {where} holds values of {dtype} in an unsupported form.", UNREADABLE)
    values = _field_values(proto, dtype)
    if not count:  # TensorFlow ignores what an empty tensor holds; tf.zeros([0], tf.string) has one value
        values = values[:0]
    if len(values) > count:
        raise GraphError(f"The {where} has {len(values)} values, more than its shape of {count}.", UNREADABLE)
    if len(values) == 0:
        empty = np.empty(min(count, 1), dtype=dtype)
        empty.fill(b"" if dtype.hasobject else 0)
        return empty
    if 1 < len(values) < count:  # the last value repeats
        if count > MAX_REPEATED:
            raise GraphError(f"The {where} repeats {len(values)} values to fill {count}.", UNREADABLE)
        repeated = np.empty(count, dtype=dtype)
        repeated[: len(values)] = values
        repeated[len(values) :] = values[-1:]
        return repeated
    return values


def _field_values(proto: Any, dtype: np.dtype[Any]) -> Array:
    field = _FIELDS[proto.dtype]
    items = getattr(proto, field)
    if proto.dtype == DT_STRING:
        strings = np.empty(len(items), dtype=object)
        strings[:] = list(items)
        return strings
    values: Array = np.fromiter(items, dtype=_FIELD_DTYPES[field], count=len(items))
    if field == "half_val":  # the 16 bits of float16 or bfloat16
        return values.astype(np.uint16).view(dtype)
    if field in ("scomplex_val", "dcomplex_val"):  # real and imaginary parts in turn
        return values[: len(values) // 2 * 2].view(dtype)
    return values.astype(dtype, copy=False)
