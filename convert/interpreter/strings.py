"""Text ops, after TensorFlow's and TF.Text's kernels, one string at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from tokenizers import Regex, normalizers

from convert.errors import GraphError
from convert.interpreter.arrays import text_attr
from convert.interpreter.ragged import spans
from convert.interpreter.registry import Caller, Value, operation
from convert.interpreter.utf import byte_strings
from convert.limits import tick
from convert.savedmodel.node import Node
from convert.unicode.automaton import Automaton, full_match
from convert.unicode.codepoints import EVERYTHING
from convert.unicode.patterns import replacement
from convert.unicode.re2 import parse
from convert.unicode.tables import UNLISTED_SCRIPT, scripts, whitespace


def map_strings(function: Callable[[bytes], bytes], array: Value) -> np.ndarray:
    """Return an array of strings with `function` applied to each."""
    flat = [function(item) for item in np.ravel(array)]
    return byte_strings(flat, np.shape(array))


def text_of(value: Value) -> str:
    """Return a single string as text."""
    item = np.asarray(value).item() if not isinstance(value, (str, bytes)) else value
    return item.decode() if isinstance(item, bytes) else str(item)


@lru_cache(maxsize=64)
def _replacer(pattern: str, rewrite: str, evidence: str) -> normalizers.Replace:
    regex, literal = replacement(pattern, rewrite, evidence)
    return normalizers.Replace(Regex(regex), literal)


@lru_cache(maxsize=64)
def _matcher(pattern: str, evidence: str) -> Automaton:
    return full_match((parse(pattern, evidence),), EVERYTHING)


def _accepts(automaton: Automaton, word: str) -> bool:
    return automaton.accepts(word)


@lru_cache(maxsize=1 << 12)
def _script(point: int) -> str:
    return next((name for name, points in scripts().items() if point in points), UNLISTED_SCRIPT)


def _replaced_cost(node: Node, inputs: Sequence[Value]) -> int:
    """Every character of a text may become the whole rewrite."""
    texts = sum(len(item) for item in np.ravel(inputs[0]))
    rewrite: Any = node.attr("rewrite", "") if len(inputs) < 3 else np.asarray(inputs[2]).item()
    return int(texts * max(1, len(rewrite))) // 8


@operation("RegexReplace", "StaticRegexReplace", cost=_replaced_cost)
def _regex_replace(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if node.op == "RegexReplace":
        pattern, rewrite = text_of(inputs[1]), text_of(inputs[2])
    else:
        pattern, rewrite = text_attr(node, "pattern"), text_attr(node, "rewrite")
    replace = _replacer(pattern, rewrite, node.name)
    return (map_strings(lambda text: replace.normalize_str(text.decode()).encode(), inputs[0]),)


@operation("RegexFullMatch", "StaticRegexFullMatch")
def _regex_full_match(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    pattern = text_of(inputs[1]) if node.op == "RegexFullMatch" else text_attr(node, "pattern")
    matcher = _matcher(pattern, node.name)
    flat = [_accepts(matcher, item.decode()) for item in np.ravel(inputs[0])]
    return (np.asarray(flat, bool).reshape(np.shape(inputs[0])),)


def _spans_cost(node: Node, inputs: Sequence[Value]) -> int:
    return 8 * spans(inputs[1])


@operation("UnicodeScriptTokenizeWithOffsets", cost=_spans_cost)
def _script_tokenize(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    if node.attr("keep_whitespace", False):
        raise GraphError(f"Node '{node.name}' keeps white space as tokens.", "Report the model.")
    points, splits = inputs
    from convert.unicode.tables import _script_numbers

    points = np.asarray(points)
    splits = np.asarray(splits)
    n = len(points)
    sc = np.frombuffer(_script_numbers(), np.uint8)[points] if n else np.zeros(0, np.uint8)
    table = np.zeros(0x110000, bool)
    for low, high in whitespace().ranges:
        table[low : high + 1] = True
    white = table[points] if n else np.zeros(0, bool)
    row = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
    pos = np.arange(n) - splits[:-1][row] if n else np.zeros(0, np.int64)
    change = np.ones(n, bool)
    change[1:] = (sc[1:] != sc[:-1]) | (row[1:] != row[:-1])
    run = np.cumsum(change)
    keep = ~white
    kp, kr, kpos, krow = points[keep], run[keep], pos[keep], row[keep]
    first = np.ones(len(kp), bool)
    first[1:] = kr[1:] != kr[:-1]
    starts_at = np.flatnonzero(first)
    inner = np.append(starts_at, len(kp))
    starts = kpos[starts_at]
    ends = kpos[np.append(starts_at[1:], len(kp)) - 1] + 1 if len(kp) else np.zeros(0, np.int64)
    outer = np.searchsorted(krow[starts_at], np.arange(len(splits)), "left")
    kind = splits.dtype
    return (kp.astype(np.int32), inner.astype(kind), starts.astype(np.int64), ends.astype(np.int64), outer.astype(kind))


def wordpieces(word: str, vocabulary: Mapping[bytes, int], node: Node) -> list[tuple[bytes, int, int]]:
    """Return (piece, start byte, limit byte) of `word` by greedy longest match, as the op's kernel does."""
    suffix = text_attr(node, "suffix_indicator")
    unknown = text_attr(node, "unknown_token").encode()
    size = len(word.encode())
    piece = unknown if node.attr("use_unknown_token", True) else word.encode()
    if size > node.attr("max_bytes_per_word"):
        return [(piece, 0, len(piece))]  # the kernel's limit is that of the piece here, and of the word below
    whole = [(piece, 0, size)]
    pieces, start, at = [], 0, 0
    while start < len(word):
        tick(f"node '{node.name}'")
        for end in range(len(word), start, -1):
            piece = (suffix * (start > 0) + word[start:end]).encode()
            if piece in vocabulary:
                width = len(word[start:end].encode())
                pieces.append((piece, at, at + width))
                start, at = end, at + width
                break
        else:
            return whole
    return pieces


@operation("WordpieceTokenizeWithOffsets")
def _wordpiece(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    words, vocabulary = inputs
    rows = [wordpieces(word.decode(), vocabulary, node) for word in np.ravel(words)]
    flat = [piece for row in rows for piece in row]
    lengths = np.asarray([len(row) for row in rows], np.int64)
    if node.attr("output_row_partition_type", "row_lengths") == "row_splits":
        lengths = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts, limits = (np.asarray([piece[i] for piece in flat], np.int64) for i in (1, 2))
    return (byte_strings([piece[0] for piece in flat]), lengths, starts, limits)
