"""Sentences by language: the project's own, its traps, and a person's own file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from hub2hf.configs import config_file
from hub2hf.errors import SourceError
from hub2hf.proof import TRAPS, UNKNOWN

CHUNK = 1024  # sentences held in memory at once, however many there are
ENOUGH = 10_000  # distinct texts that are remembered: more than there are languages


class Sentence(NamedTuple):
    """A sentence and its language (ISO 639 code, as on the model card)."""

    language: str
    text: str


Sentences = str | Path | Iterable[Sentence]  # a file, or what gives its sentences whenever it is asked


def demo_sentences() -> list[Sentence]:
    """Return the few sentences of the demonstration, in order."""
    return [Sentence(*row) for row in _rows("demo_sentences.tsv")]


def language_sentences() -> list[Sentence]:
    """Return the sentences of the 109 languages of LEALLA's card, at least four each, in the card's order."""
    return [Sentence(*row) for row in _rows("sentences.tsv")]


def trap_sentences() -> list[Sentence]:
    """Return texts that ports get wrong, under the language `TRAPS`."""
    return [Sentence(TRAPS, json.loads(text)) for _, text in _rows("traps.tsv")]


def _rows(name: str) -> Iterator[tuple[str, str]]:
    for line in config_file(name).read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("# "):
            first, _, second = line.partition("\t")
            yield first, second


def sentence_of(line: str) -> Sentence:
    """Return the sentence of a line: `sentence` or `language<TAB>sentence`."""
    language, tab, text = line.partition("\t")
    return Sentence(language, text) if tab else Sentence(UNKNOWN, line)


def read_sentences(path: Path) -> Iterator[Sentence]:
    """Yield the sentences of a person's file, one a line, as `sentence` or `language<TAB>sentence`; never held whole.

    Raises:
        SourceError: it cannot be read, or a line is not UTF-8; names the line.
    """
    number = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")  # as Windows saves it
                if text:
                    yield sentence_of(text)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: line {number} is not UTF-8.", "Save the file as UTF-8.") from error


class Distinct:
    """Counts what has been compared: texts that say nothing prove nothing, and one text proves one language at most."""

    def __init__(self) -> None:
        self.languages: set[str] = set()
        self.texts: set[bytes] = set()  # hashes: they are sent from process to process

    def add(self, sentences: Iterable[Sentence]) -> None:
        """Count sentences."""
        for language, text in sentences:
            self.languages.add(language)
            if len(self.texts) < ENOUGH and text.strip():
                self.texts.add(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())

    def merge(self, other: Distinct) -> None:
        """Count what another has counted."""
        self.languages |= other.languages
        if len(self.texts) < ENOUGH:
            self.texts |= other.texts

    def check(self) -> None:
        """See that there are as many distinct texts, none of them blank, as languages.

        Raises:
            SourceError: there are fewer.
        """
        if not self.texts:
            raise SourceError("All sentences are blank: they prove nothing.", "Give at least one with text in it.")
        if len(self.texts) < len(self.languages):
            languages = f"{len(self.languages)} language{'s' if len(self.languages) > 1 else ''}"
            raise SourceError(
                f"{len(self.texts)} distinct texts that are not blank prove nothing about {languages}.",
                "Give each language a sentence of its own.",
            )


def chunked(sentences: Iterable[Sentence], size: int = CHUNK) -> Iterator[list[Sentence]]:
    """Yield lists of at most `size` sentences."""
    iterator = iter(sentences)
    while chunk := list(islice(iterator, size)):
        yield chunk


def chosen_sentences(languages: Collection[str], file: Sentences | None) -> Iterator[Sentence]:
    """Yield the sentences of `file`, or the project's own and the traps, in `languages` only where any are named.

    Args:
        languages: the languages; all where there are none.
        file: a person's file, or what gives its sentences whenever it is asked.

    Raises:
        SourceError: there are none in one of the languages, or the file cannot be read.
    """
    if file is None:
        own = [*language_sentences(), *trap_sentences()]
        check_languages(languages, own)
        return (sentence for sentence in own if not languages or sentence.language in languages)
    return _of_file(languages, read_sentences(Path(file)) if isinstance(file, str | Path) else file)


def count_sentences(languages: Collection[str], file: Sentences | None) -> int | None:
    """Return how many sentences `chosen_sentences` will yield; None of a pipe, which can be read only once.

    It sees that they are all there and prove something, before anything that takes time.

    Raises:
        SourceError: there are none in one of the languages, they prove nothing, or the file cannot be read.
    """
    if isinstance(file, str | Path) and Path(file).exists() and not (Path(file).is_file() or Path(file).is_dir()):
        return None
    count, distinct = 0, Distinct()
    for chunk in chunked(chosen_sentences(languages, file)):
        count += len(chunk)
        distinct.add(chunk)
    if not count:
        raise SourceError("There are no sentences.", "Check the languages and the file of sentences.")
    distinct.check()
    return count


def _of_file(languages: Collection[str], sentences: Iterable[Sentence]) -> Iterator[Sentence]:
    """Yield the sentences of a file in `languages`, and see at its end that there were some in each."""
    missing = set(languages)
    for sentence in sentences:
        if not languages or sentence.language in languages:
            missing.discard(sentence.language)
            yield sentence
    _refuse_unknown(missing)


def check_languages(languages: Collection[str], sentences: Iterable[Sentence]) -> None:
    """See that there are sentences in each of the languages.

    Raises:
        SourceError: there are none in some.
    """
    _refuse_unknown(set(languages) - {sentence.language for sentence in sentences})


def _refuse_unknown(languages: Collection[str]) -> None:
    if languages:
        names = ", ".join(sorted(languages))
        raise SourceError(
            f"There are no sentences in {names}.",
            "hub2hf has sentences in the 109 languages of LEALLA, by codes such as de,ja; give others with --sentences.",
        )
