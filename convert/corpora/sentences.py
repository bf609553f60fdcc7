"""The sentences of a corpus, for `verify --sentences`: all of them, or a sample that says how far it reaches."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from hub2hf.corpora.job import Windows
from hub2hf.corpora.lines import NO_UTF8
from hub2hf.corpora.places import TEXT, Input, codec_of, is_corpus, pyarrow, shown
from hub2hf.corpora.reading import Window
from hub2hf.equivalence.sentences import Sentence, sentence_of
from hub2hf.errors import SourceError
from hub2hf.names import check_whole_numbers
from hub2hf.proof import UNKNOWN

LANGUAGES: Final = ("language", "lang")  # columns that say one
TAB: Final = "\t"  # after the language of a line that says it
WINDOW: Final = 1024
CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Corpus:
    """The sentences of a corpus, read anew whenever they are asked for, and never held whole.

    Attributes:
        place: Parquet, JSON lines or lines, as `embed` takes them; a line may say its language: `language<TAB>sentence`.
        text: the column of texts; rows without one are left out.
    """

    place: str
    text: str = "text"

    @classmethod
    def of(cls, place: str | Path, text: str = "text") -> Corpus | None:
        """Return what a place holds; None of a file of lines, which may be a pipe: `read_sentences` reads it."""
        return cls(str(place), text) if is_corpus(place) or codec_of(str(place)) else None

    def __iter__(self) -> Iterator[Sentence]:
        """Yield them in order.

        Raises:
            SourceError: a file cannot be read, or has no such column: what is left out would not be proved.
        """
        unreadable: dict[str, str] = {}
        yield from self.readable(unreadable)
        for path, why in unreadable.items():
            raise SourceError(f"{path} cannot be read: {why}.", "Repair it, or leave it out.")

    def readable(self, unreadable: dict[str, str]) -> Iterator[Sentence]:
        """Yield those that can be read.

        Args:
            unreadable: gets the files that cannot be read to their end, and why.

        Raises:
            SourceError: none can, or a file has no such column.
        """
        windows, bad = Windows.found(self.place, self.text, WINDOW)
        unreadable |= bad
        for chunk, made in windows.taken(windows.all_chunks, lambda texts: ()):
            if isinstance(made, str):
                unreadable[windows.files[chunk.file].path] = made
            else:
                yield from sentences_of(made.window, windows.files[chunk.file])


def sentences_of(window: Window, given: Input) -> list[Sentence]:
    """Return the texts of a window of a file that are some, with the language that the line itself, or a column, says.

    Raises:
        SourceError: the column holds no names, or a line is not UTF-8.
    """
    column = next((name for name in LANGUAGES if name in window.table.column_names), None)
    pairs = zip(languages_of(window, given, column), window.texts, strict=True)
    if given.form == TEXT:
        if NO_UTF8 in window.failed:
            raise SourceError(f"{shown(given.path)} holds lines that are not UTF-8.", "Save the file as UTF-8.")
        return [sentence_of(line) if TAB in line else Sentence(name, line) for name, line in pairs if line]
    return [Sentence(name, text) for name, text in pairs if text is not None]


def languages_of(window: Window, given: Input, column: str | None) -> list[str]:
    """Return the language of each row of a window of a file, which a column says, if there is such a one.

    Raises:
        SourceError: the column holds no names.
    """
    if column is None:
        return [UNKNOWN] * len(window.texts)
    arrow, values = pyarrow(), window.table.column(column)
    try:
        return [(name or "").strip() or UNKNOWN for name in values.cast(arrow.string()).to_pylist()]
    except (UnicodeDecodeError, arrow.ArrowException) as error:
        other = arrow.types.is_nested(values.type) or arrow.types.is_temporal(values.type)
        kind = str(values.type) if other else "what is not UTF-8"
        raise SourceError(
            f"{shown(given.path)}: the column '{column}' holds {kind}, not names of languages.",
            "Make it a column of strings, or give it another name.",
        ) from error


class Sample:
    """Some sentences of each language, drawn by a seed; as many of each as its size allows.

    Args:
        sentences: gives all of them, in the same order whenever it is called.
        size: how many are drawn.
        seed: of the drawing.
    """

    def __init__(self, sentences: Callable[[], Iterable[Sentence]], size: int, seed: int) -> None:
        check_whole_numbers(sample=size, seed=seed)
        if size < 1:
            raise SourceError(f"A sample of {size} proves nothing.", "Ask for more.")
        self.sentences, self.size, self.seed = sentences, size, seed

    @cached_property
    def counts(self) -> Counter[str]:
        """How many sentences there are of each language."""
        return Counter(sentence.language for sentence in self.sentences())

    @cached_property
    def shares(self) -> dict[str, int]:
        """How many are drawn of each language."""
        left, shares = self.size, {}
        for done, (language, count) in enumerate(sorted(self.counts.items(), key=lambda each: (each[1], each[0]))):
            shares[language] = min(count, max(1, left // (len(self.counts) - done)))
            left -= shares[language]
        return shares

    def __iter__(self) -> Iterator[Sentence]:
        """Yield them in the order of the corpus."""
        rng = random.Random(self.seed)
        drawn = {name: set(rng.sample(range(self.counts[name]), n)) for name, n in sorted(self.shares.items())}
        seen: Counter[str] = Counter()
        for sentence in self.sentences():
            if seen[sentence.language] in drawn[sentence.language]:
                yield sentence
            seen[sentence.language] += 1

    def reach(self) -> str:
        """Return in a sentence what a sample tells of which none differs."""
        share = bound(self.counts, self.shares)
        weakest = max(bound({n: self.counts[n]}, {n: k}) for n, k in self.shares.items())
        return (
            f"{sum(self.shares.values()):,} of {sum(self.counts.values()):,} sentences were drawn, by seed {self.seed}. "
            f"Where none of them differs, at most {share:.2%} of all do, and {weakest:.2%} of any language "
            f"(with {CONFIDENCE:.0%} confidence)."
        )


def bound(counts: Mapping[str, int], drawn: Mapping[str, int]) -> float:
    """Return the largest share that may differ where none of a stratified sample does, with the confidence of this module.

    Of all shares p of the strata under which such a sample is not rarer than 1 - CONFIDENCE, that is Π (1 - p)^drawn, it is
    the largest mean by their sizes; for one stratum 1 - (1 - CONFIDENCE)^(1 / drawn), the rule of three. Where the gain is
    even, (1 - p) is proportional to drawn / size (the multiplier of Lagrange), which bisection finds.

    Args:
        counts: the size of each stratum.
        drawn: how many of each were; at least one.
    """
    whole = {name: drawn[name] == count for name, count in counts.items()}  # nothing of these is unknown
    total = sum(counts.values())
    density = {name: drawn[name] / count for name, count in counts.items() if not whole[name]}
    if not density:
        return 0.0

    def rarity(multiplier: float) -> float:
        return sum(drawn[name] * math.log(min(1.0, multiplier * d)) for name, d in density.items())

    low, high = 0.0, 1 / min(density.values())
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if rarity(middle) < math.log(1 - CONFIDENCE) else (low, middle)
    return sum(counts[name] * (1 - min(1.0, high * d)) for name, d in density.items()) / total
