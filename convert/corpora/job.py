"""What a process does for `embed`: it loads the folder once, and embeds windows of the corpus, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hub2hf.corpora.encoders import Batch, Encoder, load
from hub2hf.corpora.places import Input, first_line, pyarrow
from hub2hf.corpora.reading import Reader, Scan, Window
from hub2hf.corpora.work import Chunk, Destination, keep
from hub2hf.corpora.writing import with_vectors
from hub2hf.errors import Hub2HFError

Request = TypeVar("Request")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Job:
    """All that a process needs to embed windows of a corpus; it can be sent to another.

    Attributes:
        folder, runtime, device: what embeds.
        dtype: of the vectors that are kept.
        text, embedding: the column of texts, and that of vectors.
        window: rows.
        target: where windows are kept.
        files: of the corpus, by their numbers; those alone that can be read.
        scans: what is known of them.
        schema: the columns of all.
    """

    folder: Path
    runtime: str
    device: str
    dtype: str
    text: str
    embedding: str
    window: int
    target: Destination
    files: Mapping[int, Input]
    scans: Mapping[int, Scan]
    schema: Any

    def chunks(self, file: int) -> list[Chunk]:
        """Return the windows of a file: none of one that cannot be read, and one of an empty one."""
        found = self.scans.get(file)
        return [] if found is None else [Chunk(file, n) for n in range(max(1, -(-found.rows // self.window)))]

    def rows(self, chunk: Chunk) -> int:
        """Return how many rows a window has."""
        return min(self.window, self.scans[chunk.file].rows - chunk.number * self.window)


@dataclass(frozen=True)
class Prepared:
    """A window whose texts are tokenised."""

    window: Window
    batches: Sequence[Batch]


Prepare = Callable[[list[str]], Sequence[Batch]]


def take(reader: Reader, number: int, prepare: Prepare) -> Prepared | str:
    """Return a window of a file, its texts tokenised; or why it cannot be read."""
    try:
        window = reader.take(number)
        reader.given.check_unchanged()
    except (OSError, ValueError, Hub2HFError, pyarrow().ArrowException) as error:
        return first_line(error)
    return Prepared(window, prepare([text for text in window.texts if text is not None]))


def walk(
    found: Sequence[Input],
    scans: Mapping[int, Scan],
    schema: Any,
    text: str,
    window: int,
    prepare: Prepare,
    unreadable: dict[int, str],
) -> Iterator[tuple[int, int, Prepared]]:
    """Yield the windows of all files in order, each with its file and its first row; the next is made meanwhile.

    Args:
        found, scans, schema, text: the corpus.
        window: rows.
        prepare: tokenises texts.
        unreadable: gets the files that cannot be read to their end, and why.
    """
    with ExitStack() as opened:
        readers = {
            i: opened.enter_context(closing(Reader(found[i], text, one, schema, window))) for i, one in scans.items()
        }
        places = [(i, number) for i, one in scans.items() for number in range(-(-one.rows // window))]

        def at(place: tuple[int, int]) -> Prepared | str:
            return unreadable.get(place[0]) or take(readers[place[0]], place[1], prepare)

        for (i, number), made in zip(places, ahead(at, places), strict=True):
            if isinstance(made, str):
                unreadable[i] = made
            else:
                yield i, number * window, made


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


class Process:
    """Embeds windows of a job; the folder is loaded once.

    Raises:
        SourceError: the folder cannot be loaded.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.encoder: Encoder = load(job.folder, job.runtime, job.device)

    def run(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, str]]:
        """Embed windows, keep each, and yield it with why it could not be read; "" where it could.

        The next window is read and tokenised while the model runs this one. Of a file that cannot be read no more is tried.

        Raises:
            ExportError: a window cannot be kept.
        """
        with ExitStack() as opened:
            readers: dict[int, Reader] = {}
            bad: dict[int, str] = {}

            def prepare(chunk: Chunk) -> Prepared | str:
                if chunk.file not in readers:
                    readers[chunk.file] = opened.enter_context(closing(self._reader(chunk.file)))
                return bad.get(chunk.file) or take(readers[chunk.file], chunk.number, self.encoder.prepare)

            for chunk, made in zip(chunks, ahead(prepare, chunks), strict=True):
                if isinstance(made, str):
                    bad[chunk.file] = made
                else:
                    keep(self.job.target, chunk, self._embedded(made.window, made.batches), made.window.failed)
                yield chunk, bad.get(chunk.file, "")

    def _reader(self, file: int) -> Reader:
        job = self.job
        return Reader(job.files[file], job.text, job.scans[file], job.schema, job.window)

    def _embedded(self, window: Window, batches: Sequence[Batch]) -> Any:
        """Return the rows of a window with their vectors."""
        missing = np.array([text is None for text in window.texts], bool)
        vectors = np.zeros((len(window.texts), self.encoder.hidden), self.job.dtype)
        vectors[~missing] = self.encoder.embed(batches)
        return with_vectors(window.table, self.job.embedding, vectors, missing)
