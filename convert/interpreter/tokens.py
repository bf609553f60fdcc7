"""TF.Text's smaller splitters, after its kernels: at white space, into bytes, by labels; n-grams, masks, bits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.registry import Caller, Value, bounded, operation
from hub2hf.interpreter.texts import option
from hub2hf.interpreter.utf import LAST_POINT, byte_strings, decoded, flat, row_lengths, sizes_of, valid
from hub2hf.interpreter.words import shared
from hub2hf.savedmodel.node import Node
from hub2hf.unicode.tables import whitespace


@cache
def _is_space() -> np.ndarray:
    """For every code point, whether it is white space to TF.Text's ICU, bool."""
    found = np.zeros(LAST_POINT + 1, bool)
    for low, high in whitespace().ranges:
        found[low : high + 1] = True
    return found


def _pieces_cost(node: Node, inputs: Sequence[Value]) -> int:
    return np.size(inputs[0]) * 8 + sum(map(len, flat(inputs[0]))) * ITEM_BYTES // 8


@operation("WhitespaceTokenizeWithOffsets", cost=lambda node, inputs: 8 * (np.size(inputs[0]) + np.size(inputs[1])))
def _whitespace(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Words of code points; offsets are counted in them, from the start of the text."""
    points = np.ravel(inputs[0])
    lengths = row_lengths(node, inputs[1], len(points))
    rows = np.repeat(np.arange(len(lengths)), lengths)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.arange(len(points)) - first
    inside = ~_is_space()[np.clip(points, 0, LAST_POINT)]
    before = np.concatenate([[False], inside[:-1]]) & (places > 0)
    starts = np.flatnonzero(inside & ~before)
    sizes = np.diff(np.concatenate([[0], np.cumsum(inside)])[np.concatenate([starts, [len(points)]])])
    kind = np.asarray(inputs[1]).dtype
    inner = np.concatenate([[0], np.cumsum(sizes)]).astype(kind)
    outer = np.concatenate([[0], np.cumsum(np.bincount(rows[starts], minlength=len(lengths)))]).astype(kind)
    begins = places[starts].astype(np.int64)
    return points[inside].astype(np.int32), inner, begins, begins + sizes, outer


@operation("TFText>WhitespaceTokenizeWithOffsetsV2", cost=_pieces_cost)
def _whitespace_v2(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """White space is what the bits of the configuration say; the kernel ends a word one byte before the next character."""
    config = np.frombuffer(np.asarray(inputs[1], object).item(), np.uint8)
    bits = np.unpackbits(config, bitorder="little")
    words: list[bytes] = []
    starts: list[int] = []
    ends: list[int] = []
    splits = [0]
    for text in flat(inputs[0]):
        points, _ = decoded([text])
        sizes = sizes_of(points)
        after = np.cumsum(sizes).tolist()
        spaces = [0 <= point < len(bits) and bool(bits[point]) for point in points.tolist()]
        start: int | None = None
        for place, space in enumerate(spaces):
            if space and start is not None:
                _add(text, start, after[place] - 1, (words, starts, ends))
            start = None if space else after[place] - int(sizes[place]) if start is None else start
        if start is not None:
            _add(text, start, len(text), (words, starts, ends))
        splits.append(len(words))
    offsets = (np.asarray(splits, np.int64), np.asarray(starts, np.int32), np.asarray(ends, np.int32))
    return (byte_strings(words), *offsets)


def _add(text: bytes, start: int, end: int, found: tuple[list[bytes], list[int], list[int]]) -> None:
    words, starts, ends = found
    words.append(text[start:end])
    starts.append(start)
    ends.append(end)


@operation("TFText>ByteSplitWithOffsets", cost=_pieces_cost)
def _byte_split(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    texts = flat(inputs[0])
    sizes = np.asarray([*map(len, texts)], np.int64)
    places = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    splits = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    starts = places.astype(np.int32)
    return np.frombuffer(b"".join(texts), np.uint8), splits, starts, starts + np.int32(1)


@operation("TFText>ByteSplitByOffsets", cost=_pieces_cost)
def _split_by_offsets(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    texts, starts, ends = flat(inputs[0]), np.ravel(inputs[1]), np.ravel(inputs[2])
    lengths = row_lengths(node, inputs[3], len(starts))
    if len(lengths) != len(texts) or len(starts) != len(ends):
        raise ValueError(f"{len(starts)} starts and {len(ends)} ends in {len(lengths)} rows for {len(texts)} texts")
    rows = np.repeat(np.arange(len(texts)), lengths).tolist()
    cut = []
    for row, start, end in zip(rows, starts.tolist(), ends.tolist(), strict=True):
        if not 0 <= start <= len(texts[row]) or not start <= end <= len(texts[row]):
            raise IndexError(f"from {start} to {end} of {len(texts[row])} bytes")
        cut.append(texts[row][start:end])
    return byte_strings(cut), np.ravel(inputs[3]).astype(np.int64)


@operation("SplitMergeTokenizeWithOffsets", cost=_pieces_cost)
def _split_merge(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """A label for each character: 0 begins a word, 1 goes on with it; white space is left out, and may end one."""
    texts, labels = flat(inputs[0]), np.ravel(inputs[1]).tolist()
    lengths = row_lengths(node, inputs[2], len(labels)).tolist()
    if not valid(texts):
        raise GraphError(f"The {node} splits malformed text.", REPORT)
    forced = node.attr("force_split_at_break_character", True)
    words: list[bytes] = []
    starts: list[int] = []
    ends: list[int] = []
    splits, at = [0], 0
    for text, size in zip(texts, lengths, strict=True):
        characters = text.decode()
        if len(characters) != size:
            raise ValueError(f"{size} labels for {len(characters)} characters")
        place, open_word = 0, False
        for character, label in zip(characters, labels[at : at + size], strict=True):
            piece = character.encode()
            if _is_space()[ord(character)]:
                open_word = open_word and not forced
            elif label == 0 or not open_word:
                words.append(piece)
                starts.append(place)
                ends.append(place + len(piece))
                open_word = True
            else:
                words[-1] += piece
                ends[-1] = place + len(piece)
            place += len(piece)
        at += size
        splits.append(len(words))
    offsets = (np.asarray(splits, np.int64), np.asarray(starts, np.int64), np.asarray(ends, np.int64))
    return (byte_strings(words), *offsets)


def _ngrams_cost(node: Node, inputs: Sequence[Value]) -> int:
    most = max(map(len, flat(inputs[0])), default=0) + len(option(node, "string_separator", " "))
    width = max(0, min(int(node.attr("width")), np.size(inputs[0])))
    return np.size(inputs[0]) * (ITEM_BYTES + width * most) // 8


@operation("TFText>NgramsStringJoin", cost=_ngrams_cost)
def _ngrams(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Over the innermost rows, as many in a row as its width; shorter rows give none."""
    texts, *levels = flat(inputs[0]), *inputs[1:]
    width, separator = int(node.attr("width")), option(node, "string_separator", " ")
    if int(node.attr("axis", -1)) != -1:
        raise GraphError(f"The {node} joins along another axis than the last.", REPORT)
    if width < 1:
        raise ValueError(f"the width {width}")
    grams, splits = [], [0]
    lengths = row_lengths(node, levels[-1], len(texts))
    for end, size in zip(np.cumsum(lengths).tolist(), lengths.tolist(), strict=True):
        row = texts[end - size : end]
        grams += [separator.join(row[i : i + width]) for i in range(size - width + 1)]
        splits.append(len(grams))
    outer = [np.ravel(level) for level in levels[:-1]]
    return (byte_strings(grams), *outer, np.asarray(splits, np.asarray(levels[-1]).dtype))


@operation(
    "TFText>Utf8Binarize",
    cost=lambda node, inputs: np.size(inputs[0]) * int(node.attr("word_length")) * int(node.attr("bits_per_char")),
)
def _binarize(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The bits of the first characters of each word, lowest first; too short words end in zeros."""
    length, bits = int(node.attr("word_length")), int(node.attr("bits_per_char"))
    texts = flat(inputs[0])
    if np.ndim(inputs[0]) != 1:
        raise ValueError(f"words in the shape {np.shape(inputs[0])}")
    bounded(node, (len(texts), length, bits))
    out = np.zeros((len(texts), length, bits))
    for target, text in zip(out, texts, strict=True):
        points, _ = decoded([text])
        points = np.where((points >= 0xD800) & (points <= 0xDFFF), node.attr("replacement_char", 0xFFFD), points)[
            :length
        ]
        target[: len(points)] = (points[:, np.newaxis] >> np.arange(bits)) & 1
    return (out.reshape(*np.shape(inputs[0]), length * bits),)


@operation("TFText>RoundRobinGenerateMasks")
def _round_robin_masks(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """For each segment, which of its values TFText>RoundRobinTrim would keep."""
    budget, count = int(inputs[0]), int(node.attr("N"))
    levels = [
        row_lengths(node, level, np.size(value))
        for value, level in zip(inputs[1 : 1 + count], inputs[1 + count :], strict=True)
    ]
    masks: list[list[bool]] = [[] for _ in levels]
    for sizes in zip(*(level.tolist() for level in levels), strict=True):
        for mask, size, kept in zip(masks, sizes, shared(sizes, budget), strict=True):
            mask.extend(place < kept for place in range(size))
    return tuple(np.asarray(mask, bool) for mask in masks)
