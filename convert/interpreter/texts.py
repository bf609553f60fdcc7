"""String ops of TensorFlow's core: joining, splitting, cutting, stripping, casing, base64."""

from __future__ import annotations

import base64
import binascii
import math
import operator
from collections.abc import Callable, Sequence
from itertools import dropwhile, pairwise

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.registry import Caller, Value, bounded, operation
from hub2hf.interpreter.utf import byte_strings, decoded, encoded, flat, row_lengths, starts_of, valid
from hub2hf.savedmodel.node import Node
from hub2hf.unicode.casing import lowered, uppered

SPACE = b"\t\n\v\f\r "  # absl::ascii_isspace


def text_cost(copies: Callable[[Node, Sequence[Value]], int]) -> Callable[[Node, Sequence[Value]], int]:
    """Return the cost of an op whose outputs hold the bytes of its inputs about `copies` times."""

    def cost(node: Node, inputs: Sequence[Value]) -> int:
        arrays = [np.asarray(value) for value in inputs]
        most = max(
            (max(map(len, array.ravel().tolist()), default=0) for array in arrays if array.dtype == object), default=0
        )
        return copies(node, inputs) * (ITEM_BYTES + most) // 8

    return cost


def option(node: Node, name: str, default: str) -> bytes:
    """Return a string attribute as bytes."""
    value = node.attr(name, default)
    return value if isinstance(value, bytes) else str(value).encode()


def _broadcast_count(node: Node, inputs: Sequence[Value]) -> int:
    return len(inputs) * math.prod(np.broadcast_shapes(*map(np.shape, inputs)))


@operation("StringJoin", cost=text_cost(_broadcast_count))
def _join(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Inputs are scalars or all of one shape."""
    if not inputs:
        return (byte_strings([b""], ()),)
    separator = option(node, "separator", "")
    shapes = {np.shape(value) for value in inputs if np.ndim(value)}
    if len(shapes) > 1:
        raise GraphError(f"The {node} joins texts of the shapes {sorted(shapes)}.", "The graph is damaged.")
    shape = shapes.pop() if shapes else ()
    size = math.prod(shape)
    parts = [flat(value) if np.ndim(value) else flat(value) * size for value in inputs]
    return (byte_strings([separator.join(row) for row in zip(*parts, strict=True)], shape),)


@operation("StringLength")
def _length(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """In characters, TensorFlow counts the bytes that are no continuation, of malformed text too."""
    texts = flat(inputs[0])
    sizes = np.asarray([*map(len, texts)], np.int64)
    if node.attr("unit", "BYTE") == "UTF8_CHAR":
        before = np.concatenate([[0], np.cumsum(starts_of(b"".join(texts)))])
        ends = np.cumsum(sizes)
        sizes = before[ends] - before[ends - sizes]
    return (sizes.astype(np.int32).reshape(np.shape(inputs[0])),)


@operation("StringStrip")
def _strip(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (byte_strings([text.strip(SPACE) for text in flat(inputs[0])], np.shape(inputs[0])),)


@operation("StringLower", "StringUpper", cost=text_cost(lambda node, inputs: 3 * np.size(inputs[0])))
def _case(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Without an encoding only ASCII letters change. With one, a text ends at its first zero, as C's texts do."""
    encoding, lower = option(node, "encoding", ""), node.op == "StringLower"
    texts = flat(inputs[0])
    if not encoding:
        found = [text.lower() if lower else text.upper() for text in texts]
    elif encoding == b"utf-8":
        change = lowered if lower else uppered
        texts = [text.partition(b"\0")[0] for text in texts]
        if not valid(texts):
            points, lengths = decoded(texts)
            texts = encoded(np.where((points >= 0xD800) & (points <= 0xD804), 0xFFFD, points), lengths)
        found = [change(text.decode()).encode() for text in texts]
    else:
        raise GraphError(f"The {node} changes case in the encoding {encoding!r}.", "TensorFlow knows only utf-8.")
    return (byte_strings(found, np.shape(inputs[0])),)


def _part(node: Node, text: bytes, position: int, length: int) -> bytes | None:
    """Cut one text, as loops do thousands of times; None where a number is none of the plain ones."""
    places: Sequence[int] = range(len(text) + 1)
    if node.attr("unit", "BYTE") == "UTF8_CHAR":
        places = [i for i, byte in enumerate(text) if i == 0 or byte & 0xC0 != 0x80] + [len(text)]
    if not 0 <= position < len(places) or length < 0:
        return None
    return text[places[position] : places[min(position + length, len(places) - 1)]]


@operation("Substr", cost=text_cost(lambda node, inputs: math.prod(np.broadcast_shapes(*map(np.shape, inputs)))))
def _substr(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A character begins with a text, and at each byte that does not continue one.

    Raises:
        GraphError: a position is outside its text.
    """
    shape = np.broadcast_shapes(*map(np.shape, inputs))
    if math.prod(shape) == 1 and (part := _part(node, *(np.asarray(value).item() for value in inputs))) is not None:
        return (byte_strings([part], shape),)
    texts = flat(np.broadcast_to(np.asarray(inputs[0], object), shape))
    positions, lengths = (np.broadcast_to(np.asarray(value, np.int64), shape).ravel() for value in inputs[1:])
    sizes = np.asarray([*map(len, texts)], np.int64)
    first = np.cumsum(sizes) - sizes  # byte of the joined texts at which each begins
    if node.attr("unit", "BYTE") == "UTF8_CHAR":
        begins = starts_of(b"".join(texts))
        begins[first[sizes > 0]] = True
        places = np.concatenate([np.flatnonzero(begins), [len(begins)]])
        before = np.concatenate([[0], np.cumsum(begins)])
        counts = before[first + sizes] - before[first]
    else:
        counts = sizes
    at = np.where(positions < 0, positions + counts, positions)
    if ((at < 0) | (at > counts)).any():
        row = int(np.argmax((at < 0) | (at > counts)))
        raise GraphError(
            f"The {node} cuts at {positions[row]}, outside a text of {counts[row]}.", "TensorFlow refuses it too."
        )
    if counts is not sizes and ((lengths < 0) & (positions < 0)).any():
        raise ValueError("a negative length from a negative position")
    most = 0 if counts is not sizes else counts  # of a negative length
    ends = np.where(lengths < 0, np.maximum(at, most), np.minimum(at + np.minimum(lengths, counts), counts))
    if counts is not sizes:
        at, ends = (places[before[first] + each] - first for each in (at, ends))
        ends = np.minimum(ends, sizes)
    cut = zip(texts, at.tolist(), ends.tolist(), strict=True)
    return (byte_strings([text[a:b] for text, a, b in cut], shape),)


def _split_result(rows: Sequence[Sequence[bytes]]) -> tuple[Value, ...]:
    """Return texts as a sparse tensor: indices [n, 2], values [n], shape [2]."""
    lengths = np.asarray([*map(len, rows)], np.int64)
    row = np.repeat(np.arange(len(rows)), lengths)
    column = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    indices = np.stack([row, column], 1).astype(np.int64).reshape(-1, 2)
    values = byte_strings([piece for pieces in rows for piece in pieces])
    return indices, values, np.asarray([len(rows), int(lengths.max(initial=0))], np.int64)


def _split_cost(node: Node, inputs: Sequence[Value]) -> int:
    return sum(len(text) + 1 for text in flat(inputs[0])) * (ITEM_BYTES // 8 + 3)


@operation("StringSplit", cost=_split_cost)
def _split(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Each byte of the delimiter is one; without a delimiter, every byte is a piece."""
    delimiters, skip = np.asarray(inputs[1], object).item(), node.attr("skip_empty", True)
    rows = []
    for text in flat(inputs[0]):
        if not text:
            pieces = []
        elif delimiters:
            pieces = text.translate(bytes.maketrans(delimiters, delimiters[:1] * len(delimiters))).split(delimiters[:1])
        else:
            pieces = [text[i : i + 1] for i in range(len(text))]
        rows.append([piece for piece in pieces if piece or not skip])
    return _split_result(rows)


@operation("StringSplitV2", cost=_split_cost)
def _split_v2(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """As Python's `str.split`, nearly: without a separator, at runs of white space."""
    separator, most = np.asarray(inputs[1], object).item(), int(node.attr("maxsplit", -1))
    texts = flat(inputs[0])
    if most == 0:
        return _split_result([[text] for text in texts])
    return _split_result([text.split(separator, most) if separator else _words(text, most) for text in texts])


def _words(text: bytes, most: int) -> list[bytes]:
    """The rest after the last split is kept as it is, empty too."""
    words = text.split(None, most)
    return [*words, b""] if len(words) == most else words


@operation("ReduceJoin", cost=text_cost(lambda node, inputs: np.size(inputs[0])))
def _reduce_join(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Join along axes, along the first of them first, contrary to the examples in its documentation."""
    x, separator = np.asarray(inputs[0], object), option(node, "separator", "")
    axes = [int(axis) % max(1, x.ndim) for axis in np.ravel(inputs[1])]
    if any(not -x.ndim <= int(axis) < x.ndim for axis in np.ravel(inputs[1])) or len(set(axes)) < len(axes):
        raise ValueError(f"it joins along {np.ravel(inputs[1]).tolist()} of {x.ndim} axes")
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    kept = [x.shape[axis] for axis in rest]
    moved = (
        x.transpose([*rest, *axes[::-1]]).reshape(math.prod(kept), -1)
        if x.size
        else np.empty((math.prod(kept), 0), object)
    )
    joined = byte_strings([separator.join(row) for row in moved.tolist()], tuple(kept))
    if node.attr("keep_dims", False):
        joined = joined.reshape([1 if axis in axes else size for axis, size in enumerate(x.shape)])
    return (joined,)


@operation("UnsortedSegmentJoin", cost=lambda node, inputs: ITEM_BYTES // 8 * (np.size(inputs[0]) + int(inputs[2])))
def _segment_join(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    x, ids, count = np.asarray(inputs[0], object), np.asarray(inputs[1]), int(inputs[2])
    bounded(node, [count])
    if not ids.ndim or x.shape[: ids.ndim] != ids.shape or ((ids < 0) | (ids >= count)).any():
        raise ValueError("segment ids do not fit the texts or the number of segments")
    rows = x.reshape(ids.size, math.prod(x.shape[ids.ndim :]))
    order, separator = np.argsort(ids.ravel(), kind="stable"), option(node, "separator", "")
    ends = np.concatenate([[0], np.cumsum(np.bincount(ids.ravel(), minlength=count))]).tolist()
    out = np.empty((count, rows.shape[1]), object)
    for i in range(rows.shape[1]):
        column = rows[order, i].tolist()
        # No separator comes before the first text that is not empty.
        out[:, i] = [separator.join(dropwhile(operator.not_, column[a:b])) for a, b in pairwise(ends)]
    return (out.reshape(count, *x.shape[ids.ndim :]),)


def _ngram_cost(node: Node, inputs: Sequence[Value]) -> int:
    widths = [max(1, int(width)) for width in node.attr("ngram_widths", [])]
    pads = 2 * (int(node.attr("pad_width", 0)) if int(node.attr("pad_width", 0)) >= 0 else max(widths, default=1))
    pieces = np.size(inputs[0]) + np.size(inputs[1]) * (1 + min(pads, 2 * max(widths, default=1)))
    most = max(map(len, flat(inputs[0])), default=0)
    return sum(pieces * (ITEM_BYTES + width * (most + len(option(node, "separator", " ")))) // 8 for width in widths)


@operation("StringNGrams", cost=_ngram_cost)
def _ngrams(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    separator = option(node, "separator", " ")
    left, right = option(node, "left_pad", ""), option(node, "right_pad", "")
    pad, short = int(node.attr("pad_width", 0)), node.attr("preserve_short_sequences", False)
    widths = [int(width) for width in node.attr("ngram_widths", [])]
    texts, grams, counts = flat(inputs[0]), [], [0]
    lengths = row_lengths(node, inputs[1], len(texts))
    for end, size in zip(np.cumsum(lengths).tolist(), lengths.tolist(), strict=True):
        row = texts[end - size : end]
        found = [gram for width in widths for gram in _of_width(row, width, pad, (left, right), separator)]
        if short and not found and row:
            padding = max(widths) - 1 if pad < 0 else pad
            found = [separator.join([left] * padding + row + [right] * padding)]
        grams += found
        counts.append(len(grams))
    return byte_strings(grams), np.asarray(counts).astype(node.attr("Tsplits", np.int64))


def _of_width(row: list[bytes], width: int, pad: int, ends: tuple[bytes, bytes], separator: bytes) -> list[bytes]:
    padding = width - 1 if pad < 0 else min(pad, width - 1)
    padded = [ends[0]] * padding + row + [ends[1]] * padding
    return [separator.join(padded[i : i + width]) for i in range(len(padded) - width + 1)]


@operation("EncodeBase64", "DecodeBase64", cost=text_cost(lambda node, inputs: 2 * np.size(inputs[0])))
def _base64(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The alphabet of URLs; padded or not when it is read."""
    texts = flat(inputs[0])
    if node.op == "EncodeBase64":
        found = [base64.urlsafe_b64encode(text) for text in texts]
        found = found if node.attr("pad", False) else [text.rstrip(b"=") for text in found]
    else:
        found = [_base64_decoded(text) for text in texts]
    return (byte_strings(found, np.shape(inputs[0])),)


def _base64_decoded(text: bytes) -> bytes:
    padding = min(2, len(text) - len(text.rstrip(b"="))) if len(text) % 4 == 0 else 0
    body = text[: len(text) - padding]
    if any(sign in body for sign in (b"+", b"/", b"=")) or len(body) % 4 == 1:
        raise ValueError("no base64 of URLs")
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64 of URLs: {error}") from None
