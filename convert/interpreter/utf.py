"""Code points and bytes: decoding, encoding, scripts, after TensorFlow's `unicode_ops.cc`, which asks ICU.

All texts of a tensor are decoded at once: probes have a hundred thousand words.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np

from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.savedmodel.node import Node

LAST_POINT = 0x10FFFF
REPLACEMENT = 0xFFFD
# Python's names of the encodings that TensorFlow's own functions name; ICU knows many more.
CODECS = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be", "US-ASCII": "ascii"}
# Malformed bytes stand as a surrogate while a text is decoded, which no text holds; the last digit says how many they are.
_MALFORMED = 0xD800
_HANDLER = "hub2hf.malformed"
_CONTROLS = bytes(range(0x20))

Points = np.ndarray


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return chr(_MALFORMED + error.end - error.start), error.end


codecs.register_error(_HANDLER, _mark)


def byte_strings(values: Sequence[bytes], shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return bytes as an object array, of `shape` or flat."""
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out if shape is None else out.reshape(shape)


def flat(array: Value) -> list[bytes]:
    """Return the strings of a tensor in order."""
    return [array] if isinstance(array, bytes) else np.asarray(array, object).ravel().tolist()


def points_of(text: str) -> Points:
    """Return the code points of a text, int32, surrogates too."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32)


def starts_of(joined: bytes) -> np.ndarray:
    """Return for each byte of UTF-8 whether a character begins there, bool."""
    return np.asarray((np.frombuffer(joined, np.uint8) & 0xC0) != 0x80)


def sizes_of(points: Points) -> np.ndarray:
    """Return how many bytes of UTF-8 each code point takes, int64; for a mark of malformed bytes, how many those are."""
    sizes = 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
    malformed = (points > _MALFORMED) & (points <= _MALFORMED + 4)
    return np.where(malformed, points - _MALFORMED, sizes)


def valid(texts: Sequence[bytes]) -> bool:
    """Tell whether all texts are well-formed UTF-8, each by itself."""
    joined = b"".join(texts)
    try:
        joined.decode()
    except UnicodeDecodeError:
        return False
    if len(texts) == 1:
        return True
    ends = np.cumsum([0, *map(len, texts)])[:-1]
    begins = starts_of(joined)
    return bool(begins[ends[ends < len(joined)]].all())


def decoded(texts: Sequence[bytes]) -> tuple[Points, np.ndarray]:
    """Decode UTF-8; malformed bytes give marks.

    Returns:
        Code points of all texts, int32, and how many each text has, int64 [texts].
    """
    if len(texts) == 1 and valid(texts):
        points = points_of(texts[0].decode())
        return points, np.asarray([len(points)], np.int64)
    if valid(texts):
        joined = b"".join(texts)
        before = np.concatenate([[0], np.cumsum(starts_of(joined))])
        return points_of(joined.decode()), np.diff(before[np.cumsum([0, *map(len, texts)])])
    parts = [text.decode("utf-8", _HANDLER) for text in texts]
    return points_of("".join(parts)), np.asarray([len(part) for part in parts], np.int64)


def encoded(points: Points, lengths: np.ndarray) -> list[bytes]:
    """Encode valid code points as UTF-8, cut into texts of `lengths` code points."""
    whole = np.asarray(points, np.int32).tobytes().decode("utf-32-le").encode()
    ends = np.concatenate([[0], np.cumsum(sizes_of(points))])[np.concatenate([[0], np.cumsum(lengths)])].tolist()
    return [whole[a:b] for a, b in pairwise(ends)]


def _foreign(texts: Sequence[bytes], encoding: str, node: Node) -> tuple[Points, np.ndarray]:
    codec = CODECS.get(encoding.upper())
    if codec is None:
        raise GraphError(f"The {node} reads texts in {encoding}.", f"Only these are understood: {', '.join(CODECS)}.")
    try:
        parts = [text.decode(codec) for text in texts]
    except UnicodeDecodeError as error:
        raise GraphError(f"The {node} reads bytes that are not {encoding}: {error}.", REPORT) from None
    return points_of("".join(parts)), np.asarray([len(part) for part in parts], np.int64)


def _handled(node: Node, points: Points, wrong: np.ndarray, malformed: np.ndarray) -> tuple[Points, np.ndarray]:
    """Treat `wrong` code points as the node's attributes say.

    Returns:
        The code points, and which of those given are kept, bool.

    Raises:
        GraphError: one is malformed and the node is strict.
    """
    errors = node.attr("errors", "replace")
    kept = np.ones(len(points), bool)
    if not wrong.any():
        return points, kept
    if errors == "strict" and malformed.any():  # control characters are replaced all the same
        raise GraphError(f"The {node} takes malformed text, and is strict.", "TensorFlow refuses it too.")
    if errors == "ignore":
        return points[~wrong], ~wrong
    return np.where(wrong, np.int32(node.attr("replacement_char", REPLACEMENT)), points), kept


def _read(node: Node, texts: Sequence[bytes]) -> tuple[Points, np.ndarray, np.ndarray]:
    """Return code points, which text each is of, and at which byte of it each starts (of UTF-8)."""
    encoding = str(node.attr("input_encoding", "UTF-8"))
    points, lengths = decoded(texts) if encoding.upper() == "UTF-8" else _foreign(texts, encoding, node)
    rows = np.repeat(np.arange(len(texts)), lengths)
    widths = _widths(encoding, points)
    starts = np.cumsum(widths) - widths
    first = np.cumsum(lengths) - lengths
    offsets = starts - starts[first[rows]] if len(points) else starts
    wrong = malformed = (points >= _MALFORMED) & (points <= _MALFORMED + 4)
    if node.attr("replace_control_characters", False):
        wrong = malformed | (points < len(_CONTROLS))
    points, kept = _handled(node, points, wrong, malformed)
    return points, rows[kept], offsets[kept]


def _widths(encoding: str, points: Points) -> np.ndarray:
    match encoding.upper():
        case "UTF-16-BE":
            return 2 + 2 * (points > 0xFFFF).astype(np.int64)
        case "UTF-32-BE":
            return np.full(len(points), 4)
        case _:
            return sizes_of(points)


def _decoded_cost(node: Node, inputs: Sequence[Value]) -> int:
    return 8 * sum(map(len, flat(inputs[0])))


def _is_plain(node: Node) -> bool:
    """Whether a node reads UTF-8 and keeps control characters."""
    return str(node.attr("input_encoding", "UTF-8")).upper() == "UTF-8" and not node.attr(
        "replace_control_characters", False
    )


@operation("UnicodeDecode", "UnicodeDecodeWithOffsets", cost=_decoded_cost)
def _unicode_decode(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    texts = flat(inputs[0])
    if len(texts) == 1 and not node.op.endswith("Offsets") and _is_plain(node) and valid(texts):
        points = points_of(texts[0].decode())  # of a loop over words
        return np.asarray([0, len(points)], node.attr("Tsplits", np.int64)), points
    points, rows, offsets = _read(node, texts)
    counts = np.bincount(rows, minlength=len(texts))
    splits = np.concatenate([[0], np.cumsum(counts)]).astype(node.attr("Tsplits", np.int64))
    outputs = (splits, points.astype(np.int32), offsets.astype(np.int64))
    return outputs if node.op.endswith("Offsets") else outputs[:2]


@operation("UnicodeTranscode", cost=_decoded_cost)
def _unicode_transcode(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    texts = flat(inputs[0])
    points, rows, _ = _read(node, texts)
    found = _written(node, points, np.bincount(rows, minlength=len(texts)))
    return (byte_strings(found, np.shape(inputs[0])),)


def _written(node: Node, points: Points, lengths: np.ndarray) -> list[bytes]:
    encoding = str(node.attr("output_encoding"))
    if encoding == "UTF-8":
        return encoded(points, lengths)
    codec = CODECS.get(encoding)
    if codec is None:
        raise GraphError(f"The {node} writes texts in {encoding}.", REPORT)
    texts = encoded(points, lengths)
    return [text.decode().encode(codec) for text in texts]


def row_lengths(node: Node, splits: Value, count: int) -> np.ndarray:
    """Return the lengths of the rows that row splits [rows + 1] make of `count` values, int64 [rows].

    Raises:
        GraphError: they do not start at 0, decrease, or do not end at `count`.
    """
    level = np.ravel(splits).astype(np.int64)
    if not len(level) or level[0] != 0 or level[-1] != count or (level[1:] < level[:-1]).any():
        raise GraphError(f"The {node} takes row splits that do not fit its {count} values.", "The graph is damaged.")
    return np.diff(level)


@operation("UnicodeEncode", cost=lambda node, inputs: 8 * (np.size(inputs[0]) + np.size(inputs[1])))
def _unicode_encode(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    points = np.ravel(inputs[0]).astype(np.int32)
    lengths = row_lengths(node, inputs[1], len(points))
    rows = np.repeat(np.arange(len(lengths)), lengths)
    wrong = _no_character(points)
    points, kept = _handled(node, points, wrong, wrong)
    return (byte_strings(_written(node, points, np.bincount(rows[kept], minlength=len(lengths)))),)


def _no_character(points: Points) -> np.ndarray:
    """Surrogates, and what is beyond Unicode."""
    return (points < 0) | (points > LAST_POINT) | ((points >= 0xD800) & (points <= 0xDFFF))


@cache
def script_numbers() -> np.ndarray:
    """Return ICU's script number (UScriptCode) of every code point as `tf.strings.unicode_script` gives it, int32.

    Observed by `scripts/build_script_numbers.py`: TensorFlow's ICU is another than TF.Text's.
    """
    numbers = np.full(LAST_POINT + 1, _UNKNOWN_SCRIPT, np.int32)
    package = resources.files("hub2hf.unicode")
    for line in package.joinpath("script_numbers.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        number, *ranges = line.split()
        for each in ranges:
            low, _, high = each.partition("-")
            numbers[int(low, 16) : int(high or low, 16) + 1] = int(number)
    numbers.flags.writeable = False
    return numbers


_UNKNOWN_SCRIPT = 103  # USCRIPT_UNKNOWN
_INVALID_SCRIPT = -1  # USCRIPT_INVALID_CODE


@operation("UnicodeScript")
def _unicode_script(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    points = np.asarray(inputs[0])
    inside = (points >= 0) & (points <= LAST_POINT)
    if inside.all():
        return (script_numbers()[points],)
    return (np.where(inside, script_numbers()[np.where(inside, points, 0)], np.int32(_INVALID_SCRIPT)),)
