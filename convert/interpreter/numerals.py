"""Numbers as text and text as numbers: `AsString`, `StringToNumber`, `StringFormat`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.interpreter.texts import option
from hub2hf.interpreter.utf import byte_strings, flat
from hub2hf.savedmodel.node import Node

MAX_WIDTH = 1000  # of a number that is written, and digits after its point
_INTEGER = re.compile(rb"[ \t\n\v\f\r]*([+-]?[0-9]+)[ \t\n\v\f\r]*")
_FLOAT = re.compile(
    rb"[ \t\n\v\f\r]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|infinity|nan))[ \t\n\v\f\r]*",
    re.I,
)


_HEXADECIMAL = re.compile(rb"\s*([+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?[0-9]{1,4})?)\s*", re.I)


def _written_width(node: Node) -> tuple[int, int]:
    width, precision = int(node.attr("width", -1)), int(node.attr("precision", -1))
    if max(width, precision) > MAX_WIDTH:
        raise GraphError(f"The {node} writes numbers of {max(width, precision)} characters.", "No text encoder does.")
    return width, precision


def _format(node: Node, x: np.ndarray) -> str:
    """Return the printf format of AsString's attributes (`as_string_op.cc`)."""
    width, precision = _written_width(node)
    fill = option(node, "fill", "").decode()
    text = "%" + (f"{fill}{width if width >= 0 else ''}")
    if x.dtype.kind == "u":
        text = text.replace("+", "").replace(" ", "")
    asked = (node.attr("scientific", False), node.attr("shortest", False), precision >= 0 and x.dtype.kind in "iub")
    if sum(asked) > (x.dtype.kind not in "iub"):
        raise ValueError("a form is asked for that such numbers do not have")
    if x.dtype.kind in "iu":
        return text + "d"
    text += f".{precision}" if precision >= 0 else ""
    if node.attr("scientific", False):
        return text + "e"
    return text + ("g" if node.attr("shortest", False) else "f")


@operation("AsString", cost=lambda node, inputs: np.size(inputs[0]) * (ITEM_BYTES + 400) // 8)
def _as_string(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x = np.asarray(inputs[0])
    if x.dtype == object:
        return (_padded(node, x),)
    if x.dtype == bool and _format(node, x):
        return (byte_strings([b"true" if item else b"false" for item in x.ravel()], x.shape),)
    form = _format(node, x)
    if x.dtype.kind == "c":
        one = form
        texts = [f"({one % item.real},{one % item.imag})" for item in x.ravel().tolist()]
    else:
        texts = [form % item for item in as_graph_has_it(node, x).ravel().tolist()]
    return (byte_strings([text.encode() for text in texts], x.shape),)


def _padded(node: Node, x: np.ndarray) -> np.ndarray:
    """Texts, to a width: with spaces at the left, or at the right where the fill is a minus."""
    width, precision = _written_width(node)
    if node.attr("scientific", False) and node.attr("shortest", False):
        raise ValueError("two forms are asked for")
    cut = precision if precision >= 0 and width > 0 else None  # without a width nothing is done
    left = option(node, "fill", "") == b"-"
    pad = bytes.ljust if left else bytes.rjust
    return byte_strings([pad(text[:cut], max(0, width)) for text in flat(x)], x.shape)


def as_graph_has_it(node: Node, x: np.ndarray, attribute: str = "T") -> np.ndarray:
    """Return floats rounded to the type that they have in the graph, as float64."""
    kind = node.attr(attribute, x.dtype)
    if x.dtype != np.float64 or isinstance(kind, str):
        return x
    return x.astype(kind).astype(np.float64)


@operation("StringToNumber")
def _to_number(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Raises ValueError where a text is no number, or does not fit."""
    kind = np.dtype(node.attr("out_type", np.float32))
    read = _float if kind.kind == "f" else _integer
    numbers = np.asarray([read(text, kind) for text in flat(inputs[0])], kind).reshape(np.shape(inputs[0]))
    return (numbers.astype(np.float64) if kind.kind == "f" else numbers,)


def _integer(text: bytes, kind: np.dtype[Any]) -> int:
    found = _INTEGER.fullmatch(text[:MAX_WIDTH])
    number = int(found[1]) if found else None
    if number is None or len(text) > MAX_WIDTH or not np.iinfo(kind).min <= number <= np.iinfo(kind).max:
        raise ValueError(f"{text[:40]!r} is no number of type {kind}")
    return number


def _float(text: bytes, kind: np.dtype[Any]) -> float:
    found = _FLOAT.fullmatch(text[:MAX_WIDTH])
    hexadecimal = _HEXADECIMAL.fullmatch(text[:MAX_WIDTH])
    if hexadecimal and len(text) <= MAX_WIDTH:
        return float.fromhex(hexadecimal[1].decode())
    if not found or len(text) > MAX_WIDTH:
        raise ValueError(f"{text[:40]!r} is no number")
    return float(found[1])


def _format_cost(node: Node, inputs: Sequence[Value]) -> int:
    most = int(node.attr("summarize", 3))
    shown = [np.size(x) if most < 0 else min(np.size(x), (2 * most + 1) ** max(1, np.ndim(x))) for x in inputs]
    texts = sum(len(text) for x in inputs if np.asarray(x).dtype == object for text in flat(x))
    return 40 * sum(shown) + texts


@operation("StringFormat", cost=_format_cost)
def _string_format(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A template with the tensors in place of its placeholders, as `tf.print` writes them."""
    template, placeholder = option(node, "template", "%s"), option(node, "placeholder", "%s")
    parts = template.split(placeholder)
    if len(parts) != len(inputs) + 1:
        raise ValueError(f"{len(parts) - 1} placeholders for {len(inputs)} tensors")
    kinds = node.attr("T", [])
    shown = [_shown(np.asarray(x), kind, int(node.attr("summarize", 3))) for x, kind in zip(inputs, kinds, strict=True)]
    joined = parts[0] + b"".join(a + b for a, b in zip(shown, parts[1:], strict=True))
    return (byte_strings([joined], ()),)


def _shown(x: np.ndarray, kind: Any, most: int) -> bytes:
    exact = x.astype(kind) if x.dtype == np.float64 and not isinstance(kind, str) else x
    if exact.dtype.kind == "c" or (not x.size and (x.ndim > 1 or exact.dtype.kind in "bO")):
        raise ValueError(f"TensorFlow writes nothing readable for the shape {x.shape}")
    return _rows(exact, most, 0)


def _rows(x: np.ndarray, most: int, depth: int) -> bytes:
    if x.ndim == 0:
        return _entry(x[()])
    cut = most >= 0 and len(x) > 2 * most
    kept = [*range(most), *range(len(x) - most, len(x))] if cut else [*range(len(x))]
    entries = [_rows(np.asarray(x[i], x.dtype), most, depth + 1) for i in kept]
    if cut:
        entries.insert(most, b"...")
    between = b" " if x.ndim == 1 else b"\n" * (x.ndim - 1) + b" " * (depth + 1)
    return b"[" + between.join(entries) + b"]"


def _entry(item: Any) -> bytes:
    if isinstance(item, bytes):
        return b'"' + _escaped(item) + b'"'
    if isinstance(item, np.bool_):
        return b"1" if item else b"0"
    if isinstance(item, np.floating) or item.dtype.name == "bfloat16":
        return _shortest(item)
    return str(item).encode()


def _shortest(item: Any) -> bytes:
    """Six digits where they say all, else as many as always do (`FloatToBuffer`, tsl/platform/numbers.cc)."""
    few, many, kind = (15, 17, np.float64) if isinstance(item, np.float64) else (6, 9, np.float32)
    number = float(item)
    text = f"%.{few}g" % number
    return (text if kind(text) == kind(number) or math.isnan(number) else f"%.{many}g" % number).encode()


def _escaped(text: bytes) -> bytes:
    """As C would write it, but for what is no ASCII (`absl::Utf8SafeCEscape`)."""
    named = {9: b"\\t", 10: b"\\n", 13: b"\\r", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}
    return b"".join(named.get(c) or (bytes([c]) if 32 <= c < 127 or c > 127 else b"\\%03o" % c) for c in text)
