"""`verify --golden vectors.parquet`: what to do with an index that the TensorFlow module filled years ago."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hub2hf.corpora.causes import Causes
from hub2hf.corpora.encoders import SURFACE_OF, chosen_means, load
from hub2hf.corpora.job import Windows
from hub2hf.corpora.places import located, shown, whole, writable
from hub2hf.corpora.sentences import LANGUAGES, languages_of
from hub2hf.corpora.stored import CLOSE_BY, NO_TEXT, UNSEEN, Comparison, Tally
from hub2hf.corpora.vectors import NO_VECTOR, NOT_A_NUMBER, WIDTH, ZERO, check_vectors, vectors_of
from hub2hf.equivalence.tolerances import load_tolerances
from hub2hf.errors import ExportError, SourceError, pasted, printable
from hub2hf.names import check_counts, check_paths, present
from hub2hf.proof import UNKNOWN
from hub2hf.proof.text import count as rows_of
from hub2hf.proof.text import number

WINDOW: Final = 1024
PLACE: Final = ("file", "row", "why")  # columns of the list of rows, beside their texts
TEXT: Final = "text"  # the column of texts, where none is named
KEEP, NEAR, AGAIN, OTHER = "keep", "close", "again", "another model"
SAYS: Final = {
    KEEP: "Keep the index: these are the vectors that the folder gives.",
    NEAR: "Keep the index where neighbours are all that counts: the vectors are close, but not the same.",
    AGAIN: "Keep the index, and embed again what differs.",
    OTHER: "These vectors are another model's, or of other texts: embed everything again, or find the folder that fits.",
}


@dataclass(frozen=True)
class StoredReport:
    """What came of stored vectors.

    Attributes:
        golden, candidate: what was compared.
        verdict: keep, close, again, or another model.
        advice: the same in a sentence.
        total: all rows; see `hub2hf.corpora.stored.Tally`.
        languages: language → the same of its rows.
        tolerance: the largest difference of an entry, of unit vectors, that passes.
        rounding: form that the stored numbers fit → how many vectors.
        duplicates: rows whose text came before, of the first distinct texts that are remembered.
        disagreeing: how many of those have another vector than before.
        again: how many rows are to be embedded again.
        listed: the file that lists them, if one was asked for.
        text: the column of texts, there too.
        unreadable: file → why it could not be read.
        seconds: how long it took.
    """

    golden: str
    candidate: str
    verdict: str
    advice: str
    total: Tally
    languages: Mapping[str, Tally]
    tolerance: float
    rounding: Mapping[str, int]
    duplicates: int
    disagreeing: int
    again: int
    listed: str
    text: str
    unreadable: Mapping[str, str]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        languages = {name: tally.to_json() for name, tally in self.languages.items()}
        return {**vars(self), "total": self.total.to_json(), "languages": languages, "rounding": dict(self.rounding)}

    def lines(self) -> Iterator[str]:
        """Yield what a person reads."""
        total = self.total
        form = ", ".join(f"{n:,} of {name} numbers" for name, n in self.rounding.items()) or "none can be compared"
        yield f"{total.matching:,} of {total.rows:,} vectors are those of {self.candidate} ({form})"
        if total.matching:
            yield f"  to {number(total.difference)} beyond their rounding; at most {self.tolerance:.0e} passes"
        for why, count in total.others.most_common():
            yield f"  {count:,}: {why}"
        if self.duplicates:
            yield f"  {rows_of(self.duplicates, 'text')} came before, {self.disagreeing:,} of them with another vector"
        for language, tally in self.languages.items():
            if tally.matching < tally.rows:
                yield f"  {printable(language)}: {tally.matching:,} of {tally.rows:,}"
        yield self.advice
        if self.again:
            column = [] if self.text == TEXT else ["--text", self.text]
            command = pasted("hub2hf", "embed", self.candidate, self.listed, *column, "OUT")
            where = f"listed in {self.listed}: {command}" if self.listed else "--again FILE.jsonl lists them"
            yield f"{rows_of(self.again, 'row')} to embed again, {where}"
        elif self.listed:
            yield f"no row needs to be embedded again: {self.listed} is empty"


def verify_vectors(
    golden: str | Path,
    candidate: str | Path,
    *,
    text: str = TEXT,
    embedding: str = "embedding",
    language: str | None = None,
    runtime: str | None = None,
    device: str = "cpu",
    again: str | Path | None = None,
    tolerances: str | Path | None = None,
    window: int = WINDOW,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> StoredReport:
    """Hold vectors that were stored, of any length, against what a folder gives for their texts; no TensorFlow is needed.

    Args:
        golden: Parquet or JSON lines with texts and their vectors, as `embed` takes them: float16, float32, float64, or int8
            with any scale that is one for the whole vector.
        candidate: a folder, as for `embed`.
        text, embedding, language: columns; of the last, `language` or `lang` where there is such a one.
        runtime, device: as for `embed`.
        again: a file of JSON lines to write, FILE.jsonl: the rows to embed again, as `embed` takes them.
        tolerances: as for `verify`.
        window: rows that are compared at a time.
        progress: called with (rows compared, rows in all).

    Raises:
        Hub2HFError: a column is missing, there is nothing to compare, or `again` cannot be written.
    """
    check_paths(golden=golden, candidate=candidate, **present(again=again, tolerances=tolerances))
    check_counts(window=window)
    if again is not None and text in PLACE:
        raise SourceError(
            f"The list of rows has a column '{text}' of its own, beside their texts.",
            "Give the column of texts another name.",
        )
    start, folder = time.monotonic(), Path(candidate)
    if not folder.is_dir():
        raise SourceError(f"{candidate} is not a folder.", "Name a Hugging Face model folder.")
    means = chosen_means(folder, runtime, device)
    corpus, unreadable = Windows.found(str(golden), text, window)
    schema = corpus.schema
    for name, step in ((embedding, "Name it: --embedding COLUMN."), (language, "Name another, or none.")):
        if name is not None and name not in schema.names:
            raise SourceError(f"{shown(str(golden))} has no column '{name}'; it has {', '.join(schema.names)}.", step)
    check_vectors(corpus, embedding)
    language = language or next((name for name in LANGUAGES if name in schema.names), None)
    encoder = load(folder, means)
    allowed = load_tolerances(Path(tolerances) if tolerances is not None else None).of(
        SURFACE_OF[means.runtime], UNKNOWN
    )
    comparison = Comparison(Causes(folder, encoder), allowed.tolerance)
    done, listed = 0, 0
    with _listing(again) as listing:
        for chunk, each in corpus.taken(corpus.all_chunks, encoder.prepare):
            path, first = corpus.files[chunk.file].path, chunk.number * window
            if isinstance(each, str):
                unreadable[path] = each
                continue
            stored, texts = vectors_of(corpus, chunk.file, each.window.table, embedding), each.window.texts
            languages = languages_of(each.window, corpus.files[chunk.file], language)
            why = comparison.add(texts, languages, stored, encoder.embed(each.batches))
            for row, reason in enumerate(why):
                if reason and reason not in (NO_TEXT, CLOSE_BY):
                    listed += 1
                    listing(dict(zip(PLACE, (path, first + row, reason), strict=True)) | {text: texts[row]})
            done += len(texts)
            progress(done, corpus.all_rows)
        total = comparison.total
        verdict = _verdict(total, unreadable)  # while the list has not got its name yet: it may be an error
    return StoredReport(
        shown(str(golden)),
        str(candidate),
        verdict,
        SAYS[verdict],
        total,
        comparison.tallies if language else {},
        allowed.tolerance,
        comparison.rounding,
        comparison.duplicates,
        comparison.disagreeing,
        listed,
        str(again) if again is not None else "",
        text,
        unreadable,
        time.monotonic() - start,
    )


def _verdict(total: Tally, unreadable: Mapping[str, str]) -> str:
    """Return what to do.

    Raises:
        SourceError: no row can be compared.
    """
    nothing = sum(total.others[why] for why in (NO_TEXT, NO_VECTOR, NOT_A_NUMBER, ZERO))
    compared = total.rows - nothing
    if not compared:
        for path, why in unreadable.items():
            raise SourceError(f"{path} cannot be read: {why}.", "Repair it, or name another.")
        raise SourceError("No row has a text and a vector that can be compared.", "Check the columns.")
    strange, unseen = total.others[Causes.UNEXPLAINED], total.others[UNSEEN]
    explained = sum(
        n for why, n in total.others.items() if why.startswith(("another text:", "cut", "not cut", "other ids"))
    )
    strange += round(unseen * strange / (strange + explained)) if strange + explained else unseen
    if total.matching == compared:
        return KEEP
    if total.matching + total.others[CLOSE_BY] == compared:
        return NEAR
    return OTHER if strange + total.others[WIDTH] > compared / 2 else AGAIN


@contextmanager
def _listing(path: str | Path | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield what lists a row in the file, which is there when all went well."""
    if path is None:
        yield lambda row: None
        return
    target, step = Path(path), "Name another file."
    if target.suffix.lower() not in (".jsonl", ".ndjson"):  # by which embed knows them
        raise ExportError(f"{target} would be JSON lines, which its name does not say.", "Name a file FILE.jsonl.")
    if target.exists():
        raise ExportError(f"{target} exists already.", step)
    files, place = located(str(target))
    work = str(Path(place).with_name(f".{target.name}.{os.getpid()}"))

    def write(row: Mapping[str, Any]) -> None:
        with writable(str(target), step):
            stream.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode())

    with whole(files, place, work, place=str(target), next_step=step) as stream:
        yield write
