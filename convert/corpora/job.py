"""What a process does of a corpus: it takes windows of it, one after the other; for `embed` it loads the folder once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hub2hf.corpora.destination import Destination
from hub2hf.corpora.encoders import Batch, Encoder, Means, files_read, load
from hub2hf.corpora.places import LINES, Input, failures, first_line, inputs, pyarrow
from hub2hf.corpora.reading import Reader, Scan, Window, joined, scanned
from hub2hf.corpora.work import Chunk, keep
from hub2hf.corpora.writing import as_json, with_vectors
from hub2hf.errors import Hub2HFError, SourceError
from hub2hf.savedmodel.files import state_of

Request = TypeVar("Request")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Prepared:
    """A window whose texts are tokenised."""

    window: Window
    batches: Sequence[Batch]


Prepare = Callable[[list[str]], Sequence[Batch]]


def take(reader: Reader, number: int, prepare: Prepare, fitted: Callable[[Any], Any]) -> Prepared | str:
    """Return a window of a file, its texts tokenised; or why it cannot be read."""
    try:
        window = reader.take(number)
        window = replace(window, table=fitted(window.table))
        reader.given.check_unchanged()
    except failures(ValueError, Hub2HFError) as error:
        return first_line(error)
    return Prepared(window, prepare([text for text in window.texts if text is not None]))


def ahead(prepare: Callable[[Request], Made], things: Iterable[Request]) -> Iterator[Made]:
    """Yield what `prepare` makes of each thing, and have it make the next in another thread meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: list[Future[Made]] = []
        for thing in things:
            waiting.append(pool.submit(prepare, thing))
            if len(waiting) > 1:
                yield waiting.pop(0).result()
        for last in waiting:
            yield last.result()


Done = tuple[Chunk, str, Any]  # a window, why it could not be read or "", and what was made of it


class Worker(ABC):
    """What a process has loaded for a job."""

    @abstractmethod
    def run(self, chunks: Sequence[Chunk]) -> Iterator[Done]:
        """Do windows, and yield each; what is made of it can be sent to another process.

        Raises:
            Hub2HFError: it cannot be done.
        """


@dataclass(frozen=True)
class Windows:
    """A corpus, window by window; it can be sent to another process.

    Attributes:
        text: the column of texts.
        window: rows.
        files: of the corpus, by their numbers; those alone that can be read.
        scans: what is known of them.
        schema: the columns of all.
    """

    text: str
    window: int
    files: Mapping[int, Input]
    scans: Mapping[int, Scan]
    schema: Any

    @classmethod
    def found(cls, place: str, text: str, window: int) -> tuple[Windows, dict[str, str]]:
        """Return a corpus, and which of its files cannot be read, and why.

        Raises:
            SourceError: see `inputs`, `scanned`, `joined`.
        """
        found = inputs(place)
        scans, unreadable = scanned(found, text, window)
        files = {i: found[i] for i in scans}
        schema = joined([(files[i], one) for i, one in scans.items()], text)
        return cls(text, window, files, scans, schema), {found[i].path: why for i, why in unreadable.items()}

    @property
    def all_rows(self) -> int:
        """How many rows there are."""
        return sum(one.rows for one in self.scans.values())

    @property
    def all_chunks(self) -> list[Chunk]:
        """The windows of all files, in order, but those of empty ones."""
        return [chunk for file in self.files for chunk in self.chunks(file) if self.rows(chunk)]

    def chunks(self, file: int) -> list[Chunk]:
        """Return the windows of a file: none of one that cannot be read, and one of an empty one."""
        found = self.scans.get(file)
        return [] if found is None else [Chunk(file, n) for n in range(max(1, -(-found.rows // self.window)))]

    def rows(self, chunk: Chunk) -> int:
        """Return how many rows a window has."""
        return min(self.window, self.scans[chunk.file].rows - chunk.number * self.window)

    def taken(self, chunks: Sequence[Chunk], prepare: Prepare) -> Iterator[tuple[Chunk, Prepared | str]]:
        """Yield windows, their texts tokenised, or why they cannot be read; the next is made meanwhile.

        Of a file that cannot be read no more is tried.

        Args:
            chunks: which.
            prepare: tokenises texts.
        """
        with ExitStack() as opened:
            readers: dict[int, Reader] = {}  # one, of the file that is read
            bad: dict[int, str] = {}

            def made(chunk: Chunk) -> Prepared | str:
                if chunk.file not in readers:
                    opened.close()
                    readers.clear()
                    readers[chunk.file] = opened.enter_context(closing(self._reader(chunk.file)))
                return bad.get(chunk.file) or take(readers[chunk.file], chunk.number, prepare, self.fitted)

            for chunk, one in zip(chunks, ahead(made, chunks), strict=True):
                if isinstance(one, str):
                    bad[chunk.file] = one
                yield chunk, one

    def fitted(self, table: Any) -> Any:
        """Return the rows of a window as they are needed (ValueError: they cannot be so)."""
        return table

    def _reader(self, file: int) -> Reader:
        return Reader(self.files[file], self.text, self.scans[file], self.schema, self.window)


@dataclass(frozen=True)
class Job(Windows, ABC):
    """What is to be done of a corpus, all that a process needs to know."""

    @abstractmethod
    def load(self) -> Worker:
        """Return what does it, loaded (Hub2HFError: it cannot be)."""


@dataclass(frozen=True)
class Embedding(Job):
    """All that a process needs to embed windows of a corpus.

    Attributes:
        folder, means: what embeds.
        dtype: of the vectors that are kept.
        embedding: the column of vectors.
        target: where windows are kept.
    """

    folder: Path
    means: Means
    dtype: str
    embedding: str
    target: Destination

    def load(self) -> Worker:
        """Return the folder, loaded (SourceError: it cannot be)."""
        return Embedder(self)

    def fitted(self, table: Any) -> Any:
        """Return the rows of a window as OUT can hold them (ValueError: it cannot)."""
        return as_json(table, self.text) if self.target.form == LINES else table


class Embedder(Worker):
    """Embeds windows; the folder is loaded once.

    Raises:
        SourceError: the folder cannot be loaded.
    """

    def __init__(self, job: Embedding) -> None:
        self.job = job
        self._states = {file: state_of(job.folder / file) for file in files_read(job.folder, job.means.runtime)}
        self.encoder: Encoder = load(job.folder, job.means)

    def run(self, chunks: Sequence[Chunk]) -> Iterator[Done]:
        """Embed windows, keep each, and yield it.

        The next window is read and tokenised while the model runs this one.

        Raises:
            ExportError: a window cannot be kept.
            SourceError: the folder was changed meanwhile; its weights are mapped, not copied.
        """
        for chunk, made in self.job.taken(chunks, self.encoder.prepare):
            if isinstance(made, str):
                yield chunk, made, None
            else:
                table = self._embedded(made.window, made.batches)
                self._check_unchanged()
                keep(self.job.target, chunk, table, made.window.failed)
                del table, made
                pyarrow().default_memory_pool().release_unused()
                yield chunk, "", None

    def _check_unchanged(self) -> None:
        for file, state in self._states.items():
            if state_of(self.job.folder / file) != state:
                raise SourceError(
                    f"{self.job.folder / file} was changed while it was read.",
                    "Put it back and run the same command again, or name another OUT.",
                )

    def _embedded(self, window: Window, batches: Sequence[Batch]) -> Any:
        """Return the rows of a window with their vectors."""
        missing = np.array([text is None for text in window.texts], bool)
        vectors = np.zeros((len(window.texts), self.encoder.hidden), self.job.dtype)
        vectors[~missing] = self.encoder.embed(batches)
        return with_vectors(window.table, self.job.embedding, vectors, missing)
