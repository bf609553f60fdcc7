"""A vocabulary that lets the interpreter run a graph without its own, and the texts to run it on."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping

MOST_ID, MOST_MARKED = 1 << 15, 100  # of ids that are looked at for their own sake: their rows must fit in memory

# A word-embedding table of a probe needs only the rows that its few pieces use.
SPARE_ROWS = 2048

# Each breaks in a port that gets one text operation wrong: script changes, marks, kana, Han, emoji, punctuation inside
# words, runs of Common characters across spaces, controls and format characters, byte limits, literal special tokens.
TEXTS: tuple[str, ...] = (
    "dog",
    "3,5% of n. 286",
    "naïve café",
    "x\u0301y e\u0301",
    "私はコーヒーのみます。",
    "犬dog犬",
    "北京大学的海滩 一二三",
    "3😀5 1☀2 ☀☀ 12",
    "...!!$$ 5$5 ,,a,,",
    "a😀b 👍🏽 ok☀",
    "?! (a) «b» $5 a|b",
    "| ¦ ©",
    "soft\u00adhyphen zero\u200bwidth\u200dtab\there\nline",
    "می\u200cروم که",
    "ab\u3000cd  ef\u00a0gh\u1680ij",
    "[CLS] [SEP] [MASK] [UNK] ##a",
    "Ab É ß ς İ ﬁ Å",
    "नमस्ते 안녕하세요 привет",
    "unknownword\u0378x",
    "\ue000\uffff\U0001f9ff\U000e0041",
    "   ",
)


def probe_texts(max_bytes: int) -> tuple[str, ...]:
    """Return the probe texts, with words around `max_bytes` UTF-8 bytes in letters of one to four bytes."""
    words = [c * (max_bytes // len(c.encode()) + extra) for c in ("a", "я", "ก", "𐐀") for extra in (0, 1)]
    mixed = "é" + "a" * max(max_bytes - 2, 0)
    return (*TEXTS, *words, mixed, mixed + "a", "1 " * (max_bytes // 2) + "2 3")


def marked_ids(integers: Iterable[int], taken: Collection[int], count: int) -> list[int]:
    """Return the ids, of `count`, that a graph may treat otherwise than others: the integers it holds, their neighbours."""
    near = (c + step for step in (0, 1, -1) for c in sorted(integers) if 0 < c < MOST_ID)
    return [number for number in dict.fromkeys(near) if number not in taken and 0 < number < count][:MOST_MARKED]


def probe_vocabulary(
    texts: tuple[str, ...],
    suffix: str,
    reserved: Mapping[str, int],
    taken: frozenset[int],
    count: int,
    marked: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Return piece → id: the reserved pieces, and most characters of `texts` alone, joined in pairs and as suffixes.

    Args:
        texts: what is to be made of pieces.
        suffix: what pieces begin with that go on with a word.
        reserved: pieces whose ids are known.
        taken: ids that no piece is given: the graph packs with them.
        count: pieces that the model has: its embeddings may have no more rows.
        marked: further pieces that are to have certain ids, none of which is taken or reserved.

    One character in seven is left out, so that some words are unknown; as no piece holds a space, words that do are, too.
    """
    pieces = {**(marked or {}), **reserved}
    used = taken.union(pieces.values())
    fresh = (i for i in range(min(SPARE_ROWS, count)) if i not in used)
    kept = [c for c in sorted(set("".join(texts))) if ord(c) % 7]
    pairs = sorted({t[i : i + 2] for t in texts for i in range(len(t) - 1)} if texts else set())
    for piece in (*kept, *(suffix + c for c in kept), *pairs, *(suffix + p for p in pairs[::2])):
        if piece not in pieces and not piece.isspace() and not {" ", "\n"} & {*piece}:
            number = next(fresh, None)
            if number is None:
                break
            pieces[piece] = number
    return pieces


class AskedVocabulary(Mapping[bytes, int]):
    """A vocabulary that remembers what it was asked for and does not have.

    Attributes:
        missing: the pieces, as text; those that are not UTF-8 are in no vocabulary.
    """

    def __init__(self, known: Mapping[str, int]) -> None:
        self._known = {piece.encode(): number for piece, number in known.items()}
        self.missing: set[str] = set()

    def __getitem__(self, piece: bytes) -> int:
        if piece not in self._known:
            self.missing.add(piece.decode(errors="replace"))
        return self._known[piece]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class EveryPiece(Mapping[bytes, int]):
    """A vocabulary that has every piece, each with some id."""

    def __getitem__(self, piece: bytes) -> int:
        return zlib.crc32(piece) % 1000 + 1

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def __len__(self) -> int:
        return 1000
