"""A few pieces of a vocabulary file, found without reading it into memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from hub2hf.errors import VocabularyError
from hub2hf.savedmodel.assets import check_vocabulary


def lines_of(path: Path, pieces: Collection[str]) -> dict[str, int]:
    """Return the line number, from 0, of each of `pieces` that the vocabulary file has.

    Raises:
        VocabularyError: the file cannot be read.
    """
    check_vocabulary(path)
    wanted = {piece.encode(): piece for piece in pieces}
    found: dict[str, int] = {}
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                piece = wanted.get(line.rstrip(b"\r\n"))
                if piece is not None:
                    found.setdefault(piece, number)
                    if len(found) == len(wanted):
                        break
    except OSError as error:
        raise VocabularyError(f"{path} cannot be read: {error.strerror}.", "Download the model again.") from error
    return found


def count_lines(path: Path) -> int:
    """Return how many pieces the vocabulary file has, one a line; the last needs no newline.

    Raises:
        VocabularyError: the file cannot be read, or is no vocabulary.
    """
    check_vocabulary(path)
    try:
        with path.open("rb") as lines:
            return sum(1 for _ in lines)
    except OSError as error:
        raise VocabularyError(f"{path} cannot be read: {error.strerror}.", "Download the model again.") from error


def lines_in(path: Path) -> Iterator[bytes]:
    """Yield the pieces of a vocabulary file, one a line, without their newlines.

    Raises:
        VocabularyError: the file cannot be read.
    """
    check_vocabulary(path)
    try:
        with path.open("rb") as lines:
            for line in lines:
                yield line.rstrip(b"\r\n")
    except OSError as error:
        raise VocabularyError(f"{path} cannot be read: {error.strerror}.", "Download the model again.") from error
