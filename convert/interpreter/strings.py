"""Text ops, after TensorFlow's and TF.Text's kernels. What Unicode and RE2 know comes from `hub2hf.witness`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.arrays import text_attr
from hub2hf.interpreter.ragged import spans
from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.interpreter.utf import byte_strings
from hub2hf.limits import tick
from hub2hf.savedmodel.node import Node
from hub2hf.witness.patterns import Pattern, compiled
from hub2hf.witness.points import LAST, script_numbers, white_space
from hub2hf.witness.rewrites import read_rewrite


def map_strings(function: Callable[[bytes], bytes], array: Value) -> np.ndarray:
    """Return an array of strings with `function` applied to each."""
    flat = [function(item) for item in np.ravel(array)]
    return byte_strings(flat, np.shape(array))


def text_of(value: Value) -> str:
    """Return a single string as text."""
    item = np.asarray(value).item() if not isinstance(value, (str, bytes)) else value
    return item.decode() if isinstance(item, bytes) else str(item)


def _pattern(node: Node, inputs: Sequence[Value]) -> Pattern:
    written = text_attr(node, "pattern") if node.op.startswith("Static") else text_of(inputs[1])
    return compiled(written, node.name)


def _replaced_cost(node: Node, inputs: Sequence[Value]) -> int:
    """Every character of a text may become the whole rewrite."""
    texts = sum(len(item) for item in np.ravel(inputs[0]))
    rewrite: Any = node.attr("rewrite", "") if len(inputs) < 3 else np.asarray(inputs[2]).item()
    return int(texts * max(1, len(rewrite))) // 8


@operation("RegexReplace", "StaticRegexReplace", cost=_replaced_cost)
def _regex_replace(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    pattern = _pattern(node, inputs)
    rewrite = read_rewrite((text_attr(node, "rewrite") if len(inputs) < 3 else text_of(inputs[2])).encode())
    everywhere = bool(node.attr("replace_global", True))
    flat = np.ravel(inputs[0]).tolist()
    known = {item: pattern.replaced(item, rewrite, everywhere) for item in set(flat)}
    return (byte_strings([known[item] for item in flat], np.shape(inputs[0])),)


@operation("RegexFullMatch", "StaticRegexFullMatch")
def _regex_full_match(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    pattern = _pattern(node, inputs)
    if np.size(inputs[0]) == 1:
        return (np.full(np.shape(inputs[0]), pattern.matches(np.asarray(inputs[0], object).item())),)
    flat = np.ravel(inputs[0]).tolist()
    known = {item: pattern.matches(item) for item in set(flat)}
    return (np.asarray([known[item] for item in flat], bool).reshape(np.shape(inputs[0])),)


def _spans_cost(node: Node, inputs: Sequence[Value]) -> int:
    return 8 * spans(inputs[1])


@operation("UnicodeScriptTokenizeWithOffsets", cost=_spans_cost)
def _script_tokenize(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A word ends where the script changes; white space counts with its script, and then goes."""
    if node.attr("keep_whitespace", False):
        raise GraphError(f"Node '{node.name}' keeps white space as tokens.", REPORT)
    points, splits = np.asarray(inputs[0], np.int64), np.asarray(inputs[1])
    if points.size and not 0 <= points.min() <= points.max() <= LAST:
        raise GraphError(f"Node '{node.name}' is given what is not a code point.", "The graph is damaged.")
    scripts = script_numbers()[points]
    fresh = np.ones(len(points), bool)
    fresh[1:] = scripts[1:] != scripts[:-1]
    fresh[splits[:-1][splits[:-1] < len(points)]] = True
    kept = np.flatnonzero(~white_space()[points])
    runs = np.cumsum(fresh)[kept]
    begins = np.flatnonzero(np.diff(runs, prepend=0))  # of words, among what is kept
    inner = np.append(begins, len(kept))
    outer = np.searchsorted(kept[begins], splits)
    row_starts = np.repeat(splits[:-1].astype(np.int64), np.diff(outer))
    starts, limits = kept[begins] - row_starts, kept[inner[1:] - 1] + 1 - row_starts
    words = points[kept].astype(np.int32)
    return (words, inner.astype(splits.dtype), starts, limits, outer.astype(splits.dtype))


@dataclass(frozen=True)
class _WordPiece:
    """Greedy longest match over a vocabulary, with the attributes of the op."""

    evidence: str
    vocabulary: Mapping[bytes, int]
    suffix: bytes
    unknown: bytes | None  # None: an unknown word stays as it is
    limit: int

    def pieces(self, word: bytes) -> list[tuple[bytes, int, int]]:
        """Return (piece, start byte, limit byte) of `word`, as the op's kernel does."""
        tick(f"node '{self.evidence}'")
        whole = word if self.unknown is None else self.unknown
        if len(word) > self.limit:
            return [(whole, 0, len(whole))]  # the kernel's limit is that of the piece here, and of the word below
        if word in self.vocabulary:
            return [(word, 0, len(word))]
        ends = [at for at in range(1, len(word)) if word[at] & 0xC0 != 0x80] + [len(word)]
        found, start, prefix = [], 0, b""
        while start < len(word):
            for end in reversed(ends[bisect_right(ends, start) :]):
                piece = prefix + word[start:end]
                if piece in self.vocabulary:
                    found.append((piece, start, end))
                    start, prefix = end, self.suffix
                    break
            else:
                return [(whole, 0, len(word))]
        return found


@operation("WordpieceTokenizeWithOffsets")
def _wordpiece(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    words, vocabulary = inputs
    unknown = text_attr(node, "unknown_token").encode() if node.attr("use_unknown_token", True) else None
    suffix = text_attr(node, "suffix_indicator").encode()
    model = _WordPiece(node.name, vocabulary, suffix, unknown, node.attr("max_bytes_per_word"))
    rows = [model.pieces(word) for word in np.ravel(words)]
    flat = [piece for row in rows for piece in row]
    lengths = np.asarray([len(row) for row in rows], np.int64)
    if node.attr("output_row_partition_type", "row_lengths") == "row_splits":
        lengths = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts, limits = (np.asarray([piece[i] for piece in flat], np.int64) for i in (1, 2))
    return (byte_strings([piece[0] for piece in flat]), lengths, starts, limits)
