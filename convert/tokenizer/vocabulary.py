"""The vocabulary asset, read as TensorFlow's text-file table initialiser reads it, and its special tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hub2hf.blueprint.text import TextBlueprint
from hub2hf.errors import VocabularyError
from hub2hf.savedmodel.assets import check_vocabulary

MASK = "[MASK]"


@dataclass(frozen=True)
class Vocabulary:
    """Pieces in the order of their ids.

    Attributes:
        pieces: `pieces[i]` has the id i.
        path: the file they were read from, for messages.
    """

    pieces: tuple[str, ...]
    path: Path

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each piece."""
        return {piece: index for index, piece in enumerate(self.pieces)}

    def __len__(self) -> int:
        """How many pieces there are."""
        return len(self.pieces)


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
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad_line(path, data.count(b"\n", 0, error.start), "is not UTF-8") from error
    if not text:
        raise VocabularyError(f"{path} is empty.", "It should hold one piece a line.")
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    vocabulary = Vocabulary(tuple(lines), path)
    _check(vocabulary)
    return vocabulary


def _check(vocabulary: Vocabulary) -> None:
    if len(vocabulary.ids) == len(vocabulary) and "" not in vocabulary.ids and not _has_return(vocabulary):
        return
    seen: dict[str, int] = {}
    for number, piece in enumerate(vocabulary.pieces):
        if not piece:
            raise _bad_line(vocabulary.path, number, "is empty")
        if "\r" in piece:
            raise _bad_line(vocabulary.path, number, "holds a carriage return")
        if piece in seen:
            raise _bad_line(vocabulary.path, number, f"repeats {piece!r} of line {seen[piece] + 1}")
        seen[piece] = number


def _has_return(vocabulary: Vocabulary) -> bool:
    return any("\r" in piece for piece in vocabulary.pieces)


def _bad_line(path: Path, number: int, what: str) -> VocabularyError:
    return VocabularyError(
        f"{path}: line {number + 1} {what}.",
        "Every line must be one piece of its own; fetch the model again.",
    )


def special_tokens(text: TextBlueprint, vocabulary: Vocabulary) -> SpecialTokens:
    """The pieces behind the ids the graph packs with, and its unknown token.

    Raises:
        VocabularyError: the vocabulary is too short for an id, or lacks the unknown token.
    """
    unknown = text.wordpiece.unknown_token
    if unknown not in vocabulary.ids:
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
        found.append(vocabulary.pieces[role])
    mask = MASK if MASK in vocabulary.ids else None
    return SpecialTokens(cls=found[0], sep=found[1], pad=found[2], unk=unknown, mask=mask)
