"""TF.Text's SentencepieceTokenizer, after sentencepiece's own kernels: normalizer, unigram or BPE model, byte fallback.

sentencepiece adds scores as float32, and of two cuts takes the first that is not less likely (`unigram_model.cc`,
`Model::EncodeOptimized`); what is here does the same in the same order, so that ties fall the same way. A BPE model joins
the two neighbours that make the piece of the best score, the leftmost ones where several do (`bpe_model.cc`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from heapq import heappop, heappush

import numpy as np

from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.bounds import ITEM_BYTES
from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.interpreter.utf import byte_strings, flat
from hub2hf.limits import tick
from hub2hf.savedmodel.node import Node
from hub2hf.savedmodel.sentencepiece import (
    BPE,
    BYTE,
    KINDS,
    NORMAL,
    SPACE,
    UNIGRAM,
    UNUSED,
    USER_DEFINED,
    PieceModel,
    charsmap_parts,
    read_pieces,
)

UNKNOWN_PENALTY = 10.0  # kUnkPenalty, unigram_model.cc
BONUS = 0.1  # what a user-defined piece costs beside the best score for each of its bytes, ibid.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
VALUE, LABEL, LEAF, WIDE = 0x7FFFFFFF, 0x800000FF, 1 << 8, 1 << 9  # of a unit: darts-clone, Details::DoubleArrayUnit


class Cutter:
    """One SentencePiece model, ready to cut texts.

    Args:
        model: its content.
        evidence: the node that holds it.
    """

    def __init__(self, model: PieceModel, evidence: str) -> None:
        self.model, self.evidence = model, evidence
        self._units, self._strings = charsmap_parts(model.charsmap, evidence)
        self._chosen = {text.encode() for text in model.of_kind(USER_DEFINED)}
        self._longest_chosen = max(map(len, self._chosen), default=0)

    def normalized(self, text: bytes) -> bytes:
        """Return `text` as `Normalizer::Normalize` gives it."""
        model, out = self.model, bytearray()
        space = SPACE.encode() if model.escape_whitespaces else b" "
        parts = list(self._parts(text))
        if model.remove_extra_whitespaces:
            first = next((i for i, part in enumerate(parts) if part != b" "), len(parts))
            parts = parts[first:]
        if not parts:
            return b""
        if model.add_dummy_prefix and not model.treat_whitespace_as_suffix:
            out += space
        after_space = model.remove_extra_whitespaces
        for part in parts:
            kept = part.lstrip(b" ") if after_space else part
            if kept:
                out += kept.replace(b" ", space)
                after_space = kept.endswith(b" ")
            after_space = after_space and model.remove_extra_whitespaces
        while model.remove_extra_whitespaces and out.endswith(space):
            del out[-len(space) :]
        if model.add_dummy_prefix and model.treat_whitespace_as_suffix:
            out += space
        return bytes(out)

    def _parts(self, text: bytes) -> Iterator[bytes]:
        """Yield what each longest beginning that the map knows becomes, and all else as it is, by characters."""
        at, end = 0, len(text)
        while at < end:
            size = self._chosen_at(text, at)
            if size:
                yield text[at : at + size]
            else:
                size, value = self._mapped_at(text, at)
                if size:
                    yield self._strings[value : self._strings.index(b"\0", value)]
                else:
                    size = character_size(text, at)
                    yield text[at : at + size] if size else REPLACEMENT
            at += size or 1

    def _chosen_at(self, text: bytes, at: int) -> int:
        for size in range(min(self._longest_chosen, len(text) - at), 0, -1):
            if text[at : at + size] in self._chosen:
                return size
        return 0

    def _mapped_at(self, text: bytes, at: int) -> tuple[int, int]:
        """Return the size in bytes of the longest beginning that has a value, and that value (`commonPrefixSearch`)."""
        units = self._units
        if not units:
            return 0, 0
        place, found = _children(0, units[0]), (0, 0)
        for i in range(at, len(text)):
            place ^= text[i]
            if place >= len(units) or units[place] & LABEL != text[i]:
                break
            unit = units[place]
            place = _children(place, unit)
            if unit & LEAF and place < len(units):
                found = i + 1 - at, units[place] & VALUE
        return found

    def ids(self, text: bytes) -> list[int]:
        """Return the ids of the pieces of `text`."""
        return [number for _, number in self.of_text(text)]

    def of_text(self, text: bytes) -> list[tuple[str, int]]:
        """Return the pieces of `text` with their ids; see `pieces`."""
        tick(f"node '{self.evidence}'")
        return self.pieces(self.normalized(text).decode())

    def cut(self, normalized: str, *, exact: bool = False) -> list[int]:
        """Return the ids of the pieces of a normalized text; for `exact` see `best`."""
        return [number for _, number in self.pieces(normalized, exact=exact)]

    def pieces(self, normalized: str, *, exact: bool = False) -> list[tuple[str, int]]:
        """Return the pieces of a normalized text with their ids; an unknown one as it stands there."""
        unknown, before = self.model.unknown, False
        found: list[tuple[str, int]] = []
        for piece, number in self.best(normalized, exact=exact):
            if number != unknown:
                found.append((piece, number))
            elif self.model.byte_fallback:
                found += [(f"<0x{byte:02X}>", self._bytes[byte]) for byte in piece.encode()]
            elif not before:
                found.append((piece, unknown))
            else:  # unknown pieces side by side are one
                found[-1] = (found[-1][0] + piece, unknown)
            before = number == unknown
        return found

    def special(self, piece: str) -> int:
        """Return the id of a piece that is added to each text.

        Raises:
            GraphError: there is none.
        """
        if piece not in self.model.ids:
            raise GraphError(
                f"The SentencePiece model of node '{self.evidence}' lacks {piece!r}.", "The graph is damaged."
            )
        return self.model.ids[piece]

    @cached_property
    def _bytes(self) -> list[int]:
        pieces = self.model.of_kind(BYTE)
        return [pieces.get(f"<0x{byte:02X}>", self.model.unknown) for byte in range(256)]

    @cached_property
    def _known(self) -> dict[str, tuple[int, float | None]]:
        """Piece → its id and score; a score of None goes by the length, and a beginning of a piece has the id -1."""
        known: dict[str, tuple[int, float | None]] = {}
        for text, number in self.model.of_kind(NORMAL, USER_DEFINED, UNUSED).items():
            for end in range(1, len(text)):
                known.setdefault(text[:end], (-1, 0.0))
            piece = self.model.pieces[number]
            chosen = piece.kind == USER_DEFINED
            known[text] = (number if piece.kind != UNUSED else -1, None if chosen else piece.score)
        return known

    def best(self, text: str, *, exact: bool = False) -> Iterable[tuple[str, int]]:
        """Return the pieces of a normalized text, each with its id: the likeliest cut, or that of BPE.

        Args:
            text: normalized.
            exact: add up scores without round-off, as libraries with double precision do.
        """
        if self.model.kind == BPE:
            return self._joined(text)
        known, unknown, size = self._known, self.model.unknown, len(text)
        lowest, highest = self.model.scores
        penalised = np.float32(np.float32(lowest) - np.float32(UNKNOWN_PENALTY)).item()
        scores, starts, numbers = (
            array("d" if exact else "f", [0.0]) * (size + 1),
            [-1] * (size + 1),
            [unknown] * (size + 1),
        )
        for start in range(size):
            until, single = scores[start], False
            for end in range(start + 1, size + 1):
                entry = known.get(text[start:end])
                if entry is None:
                    break
                number, score = entry
                if number < 0:
                    continue
                if score is None:
                    score = len(text[start:end].encode()) * highest - BONUS
                total = score + until  # in double precision here, and stored in single
                if starts[end] < 0 or total > scores[end]:
                    scores[end], starts[end], numbers[end] = total, start, number
                single = single or end == start + 1
            if not single:
                total = penalised + until if exact else np.float32(penalised + until).item()
                if starts[start + 1] < 0 or total > scores[start + 1]:
                    scores[start + 1], starts[start + 1], numbers[start + 1] = total, start, unknown
        found, end = [], size
        while end > 0:
            found.append((text[starts[end] : end], numbers[end]))
            end = starts[end]
        return reversed(found)

    def _joined(self, text: str) -> list[tuple[str, int]]:
        """Return the pieces of a BPE model: neighbours are joined, the pair of the best score first, from left to right."""
        parts = list(text)
        normal, after = self.model.of_kind(NORMAL), list(range(1, len(text) + 1))
        before = [i - 1 for i in range(len(text))]
        agenda: list[tuple[float, int, str]] = []

        def note(left: int) -> None:
            """Put a part with the one behind it on the agenda, where they make a piece."""
            if left >= 0 and after[left] < len(parts) and (piece := parts[left] + parts[after[left]]) in normal:
                heappush(agenda, (-self.model.pieces[normal[piece]].score, left, piece))

        for i in range(len(parts)):
            note(i)
        while agenda:
            _, left, piece = heappop(agenda)
            right = after[left]
            if not parts[left] or right >= len(parts) or parts[left] + parts[right] != piece:
                continue  # one of the two was joined with another meanwhile
            parts[left], parts[right], after[left] = piece, "", after[right]
            if after[left] < len(parts):
                before[after[left]] = left
            note(before[left])
            note(left)
        return [(part, normal.get(part, self.model.unknown)) for part in parts if part]


def _children(place: int, unit: int) -> int:
    return place ^ (unit >> 10) << ((unit & WIDE) >> 6)


def character_size(text: bytes, at: int) -> int:
    """Return how many bytes the character at `at` has; 0 where none that is well formed begins."""
    first = text[at]
    size = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    try:
        return size if len(text[at : at + size].decode()) == 1 else 0
    except UnicodeDecodeError:
        return 0


@lru_cache(maxsize=4)
def cutter(data: bytes, evidence: str) -> Cutter:
    """Return the model that `data` serializes, ready to cut texts.

    Raises:
        GraphError: it is of a kind that is not understood.
        VocabularyError: it is damaged.
    """
    model = read_pieces(data, evidence)
    if model.kind not in (UNIGRAM, BPE):
        raise GraphError(
            f"The SentencePiece model of node '{evidence}' is a {KINDS.get(model.kind, 'strange')} model.",
            "Only unigram and BPE models are read: report the model.",
        )
    if model.kind == BPE and (model.of_kind(USER_DEFINED, UNUSED) or any(len(name) == 1 for name in model.others)):
        raise GraphError(
            f"The BPE model of node '{evidence}' has pieces that must be kept, that are unused, or of one character and not "
            "normal.",
            "Such a model is not read: report it.",
        )
    return Cutter(model, evidence)


@operation("SentencepieceOp")
def _model(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The model is an attribute, or, with TensorFlow 1, a constant input."""
    data = node.attr("model", b"")
    data = data if isinstance(data, bytes) else str(data).encode()
    if not data and inputs:
        data = np.asarray(inputs[0], object).item()
    if not data:
        raise GraphError(f"The {node} brings no SentencePiece model.", REPORT)
    return (cutter(data, node.name),)


def _tokens_cost(node: Node, inputs: Sequence[Value]) -> int:
    return np.size(inputs[1]) * 8 + sum(map(len, flat(inputs[1]))) * ITEM_BYTES // 8


@operation("SentencepieceTokenizeOp", cost=_tokens_cost)
def _tokenize(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Pieces of each text, as ids or as strings; with `add_bos`, `add_eos` and `reverse` as TF.Text orders them."""
    model = inputs[0]
    if not isinstance(model, Cutter):
        raise GraphError(f"The {node} is given no SentencePiece model.", "The graph is damaged.")
    nbest, _, add_bos, add_eos, reverse = (np.ravel(value)[0] for value in inputs[2:7])
    if int(nbest) not in (0, 1):
        raise GraphError(f"The {node} cuts texts at random (nbest_size {int(nbest)}).", REPORT)
    before, after = (
        [(piece, model.special(piece))] if wanted else []
        for piece, wanted in ((model.model.bos, add_bos), (model.model.eos, add_eos))
    )
    rows = [[*before, *model.of_text(text), *after] for text in flat(inputs[1])]
    if bool(reverse):
        rows = [row[::-1] for row in rows]
    splits = np.cumsum([0, *map(len, rows)]).astype(np.dtype(node.attr("Tsplits", np.dtype(np.int64))))
    pieces = [pair for row in rows for pair in row]
    if str(kind := node.attr("out_type", np.dtype(np.int32))) != "string":
        return np.asarray([number for _, number in pieces], np.dtype(kind)), splits
    return byte_strings([piece.encode() for piece, _ in pieces]), splits


@operation("SentencepieceVocabSizeOp")
def _size(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (np.asarray(len(inputs[0].model.pieces), np.int32),)


@operation("SentencepieceStringToIdOp")
def _to_id(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    model = inputs[0].model
    found = [model.ids.get(text.decode(errors="replace"), model.unknown) for text in flat(inputs[1])]
    return (np.asarray(found, np.int32).reshape(np.shape(inputs[1])),)


@operation("SentencepieceIdToStringOp")
def _to_string(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    pieces = inputs[0].model.pieces
    return (byte_strings([pieces[int(i)].text.encode() for i in np.ravel(inputs[1])], np.shape(inputs[1])),)
