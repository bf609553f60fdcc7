"""The vocabulary asset, read as TensorFlow's text-file table initialiser reads it, and its special tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from itertools import compress, islice
from pathlib import Path

import numpy as np

from hub2hf.blueprint.text import TextBlueprint
from hub2hf.errors import REPORT, VocabularyError
from hub2hf.savedmodel.assets import check_vocabulary

from .characters import never_in_pieces

MASK = "[MASK]"
AT_A_TIME = 1 << 17  # bytes of lines that are decoded or written together


@dataclass(frozen=True)
class Vocabulary:
    """Pieces in the order of their ids, held as the lines of a file: strings of their own take ten times the memory.

    Attributes:
        lines: the pieces in UTF-8, each with a newline after it; the one in line i, from 0, has the id i.
        path: the file they were read from, for messages.
    """

    lines: bytes
    path: Path

    @classmethod
    def of(cls, pieces: Iterable[str], path: Path) -> Vocabulary:
        """Return the vocabulary of `pieces`; none may hold a newline."""
        return cls("".join(f"{piece}\n" for piece in pieces).encode(), path)

    def part(self, stays: Iterable[bool], path: Path) -> Vocabulary:
        """Return the vocabulary of those of its pieces that stay, in order."""
        return Vocabulary(b"".join(compress(BytesIO(self.lines), stays)), path)

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """All of them: `pieces[i]` has the id i."""
        return tuple(self.lines.decode().split("\n")[:-1])

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each piece."""
        return {piece: index for index, piece in enumerate(self.pieces)}

    def runs(self) -> Iterator[bytes]:
        """Yield the lines, about `AT_A_TIME` bytes of them at a time."""
        start = 0
        while start < len(self.lines):
            end = 1 + max(self.lines.rfind(b"\n", start, start + AT_A_TIME), self.lines.index(b"\n", start))
            yield self.lines[start:end]
            start = end

    def check_utf8(self) -> None:
        """See that all pieces are UTF-8.

        Raises:
            VocabularyError: one is not; names the first.
        """
        number = 0
        for run in self.runs():
            try:
                run.decode()
            except UnicodeDecodeError as error:
                number += run.count(b"\n", 0, error.start)
                raise _bad_line(self.path, number, "is not UTF-8") from error
            number += run.count(b"\n")

    @cached_property
    def _size(self) -> int:
        return self.lines.count(b"\n")

    def __len__(self) -> int:
        """How many pieces there are."""
        return self._size

    def __getitem__(self, number: int) -> str:
        """Return the piece with an id."""
        return next(islice(BytesIO(self.lines), number, None))[:-1].decode()

    def __contains__(self, piece: object) -> bool:
        """Whether it is one of them."""
        return self.number(piece) is not None

    def number(self, piece: object) -> int | None:
        """Return the id of a piece; None of what is none. Of a few of them it is faster than `ids`."""
        line = f"{piece}\n".encode("utf-8", "surrogatepass")
        if self.lines.startswith(line):
            return 0
        end = self.lines.find(b"\n" + line)  # of the one before it
        return self.lines.count(b"\n", 0, end + 1) if end >= 0 else None


@dataclass(frozen=True)
class SpecialTokens:
    """The pieces with a role; `mask` is None when the vocabulary has no `[MASK]`."""

    cls: str
    sep: str
    pad: str
    unk: str
    mask: str | None

    def items(self) -> Iterator[tuple[str, str]]:
        """(`cls_token`, piece) and so on, as transformers names them."""
        for role in ("cls", "sep", "pad", "unk", "mask"):
            token = getattr(self, role)
            if token is not None:
                yield f"{role}_token", token


def read_vocabulary(path: Path) -> Vocabulary:
    """Read one piece a line; the id of a piece is its line number from 0.

    TensorFlow ends a line at `\\n` or `\\r\\n` and needs no newline at the end; it refuses an empty file, an
    empty line and a repeated piece. A carriage return elsewhere and bytes that are not UTF-8 it would take,
    but no `vocab.txt` or `tokenizer.json` can hold them, so they are refused here.

    Raises:
        VocabularyError: the file cannot be read, or a line cannot be a piece; names the line.
    """
    check_vocabulary(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VocabularyError(f"{path}: {error.strerror}.", "It is an asset of the model.") from error
    if not data:
        raise VocabularyError(f"{path} is empty.", "It should hold one piece a line.")
    lines = data.replace(b"\r\n", b"\n")
    vocabulary = Vocabulary(lines if lines.endswith(b"\n") else lines + b"\n", path)
    _check(vocabulary)
    return vocabulary


def _check(vocabulary: Vocabulary) -> None:
    vocabulary.check_utf8()
    lines = vocabulary.lines
    hashes = np.sort(np.fromiter(map(hash, BytesIO(lines)), np.int64, len(vocabulary)))
    if (hashes[1:] == hashes[:-1]).any() or lines.startswith(b"\n") or b"\n\n" in lines or b"\r" in lines:
        _check_each(vocabulary)


def _check_each(vocabulary: Vocabulary) -> None:
    seen: dict[str, int] = {}
    for number, piece in enumerate(vocabulary.pieces):
        if not piece:
            raise _bad_line(vocabulary.path, number, "is empty")
        if "\r" in piece:
            raise _bad_line(vocabulary.path, number, "holds a carriage return")
        if piece in seen:
            raise _bad_line(vocabulary.path, number, f"repeats {piece!r} of line {seen[piece] + 1}")
        seen[piece] = number


def _bad_line(path: Path, number: int, what: str) -> VocabularyError:
    return VocabularyError(
        f"{path}: line {number + 1} {what}.",
        "Every line must be one piece of its own; fetch the model again.",
    )


def special_tokens(text: TextBlueprint, vocabulary: Vocabulary) -> SpecialTokens:
    """The pieces behind the ids the graph packs with, and its unknown token.

    Raises:
        VocabularyError: the vocabulary is too short for an id, lacks the unknown token, or holds a piece that the text rules
            cannot follow.
    """
    unknown = text.wordpiece.unknown_token
    if unknown not in vocabulary:
        raise VocabularyError(
            f"{vocabulary.path} has no {unknown!r}, which {text.wordpiece.evidence} gives for unknown words.",
            "This is not the vocabulary of this graph.",
        )
    pack = text.pack
    found = []
    for role in (pack.start_id, pack.end_id, pack.pad_id):
        if not 0 <= role < len(vocabulary):
            raise VocabularyError(
                f"{vocabulary.path} has {len(vocabulary)} pieces, but {pack.evidence} packs with id {role}.",
                "This is not the vocabulary of this graph.",
            )
        found.append(vocabulary[role])
    for character in sorted(never_in_pieces(text.operations)):
        if character.encode() in vocabulary.lines:
            piece = next(piece for piece in vocabulary.pieces if character in piece)
            raise VocabularyError(
                f"{vocabulary.path} has the piece {piece!r}, and the graph folds words by themselves: to those with "
                f"U+{ord(character):04X} in them the tokenizers library gives another form.",
                REPORT,
            )
    mask = MASK if MASK in vocabulary else None
    return SpecialTokens(cls=found[0], sep=found[1], pad=found[2], unk=unknown, mask=mask)
