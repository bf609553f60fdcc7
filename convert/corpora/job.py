"""What a process does for `embed`: it loads the folder once, and embeds windows of the corpus, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.corpora.encoders import Batch, Encoder, load
from hub2hf.corpora.places import Input, first_line, pyarrow
from hub2hf.corpora.reading import Reader, Scan, Window
from hub2hf.corpora.work import Chunk, Target, keep
from hub2hf.corpora.writing import with_vectors
from hub2hf.errors import Hub2HFError


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
    target: Target
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
class _Prepared:
    """A window whose texts are tokenised, or why it could not be read."""

    window: Window | None
    batches: Sequence[Batch] = ()
    unreadable: str = ""


class Process:
    """Embeds windows of a job; the folder is loaded once.

    Raises:
        SourceError: the folder cannot be loaded.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.encoder: Encoder = load(job.folder, job.runtime, job.device)
        self.hidden = self.encoder.embed(self.encoder.prepare(["a"])).shape[1]

    def run(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, str]]:
        """Embed windows, keep each, and yield it with why it could not be read; "" where it could.

        The next window is read and tokenised while the model runs this one. Of a file that cannot be read no more is tried.

        Raises:
            ExportError: a window cannot be kept.
        """
        with ExitStack() as opened, ThreadPoolExecutor(max_workers=1) as ahead:
            readers: dict[int, Reader] = {}
            bad: dict[int, str] = {}

            def prepare(chunk: Chunk) -> _Prepared:
                if chunk.file in bad:
                    return _Prepared(None, unreadable=bad[chunk.file])
                if chunk.file not in readers:
                    readers[chunk.file] = opened.enter_context(closing(self._reader(chunk.file)))
                prepared = self._prepared(readers[chunk.file], chunk)
                if prepared.unreadable:
                    bad[chunk.file] = prepared.unreadable
                return prepared

            waiting = [ahead.submit(prepare, chunk) for chunk in chunks[:1]]
            for i, chunk in enumerate(chunks):
                prepared = waiting.pop().result()
                waiting.extend(ahead.submit(prepare, following) for following in chunks[i + 1 : i + 2])
                if prepared.window is not None:
                    table = self._embedded(prepared.window, prepared.batches)
                    keep(self.job.target, chunk, table, prepared.window.failed)
                yield chunk, prepared.unreadable

    def _reader(self, file: int) -> Reader:
        job = self.job
        return Reader(job.files[file], job.text, job.scans[file], job.schema, job.window)

    def _prepared(self, reader: Reader, chunk: Chunk) -> _Prepared:
        try:
            window = reader.take(chunk.number)
            reader.given.check_unchanged()
        except (OSError, ValueError, Hub2HFError, pyarrow().ArrowException) as error:
            return _Prepared(None, unreadable=first_line(error))
        return _Prepared(window, self.encoder.prepare([text for text in window.texts if text is not None]))

    def _embedded(self, window: Window, batches: Sequence[Batch]) -> Any:
        """Return the rows of a window with their vectors."""
        missing = np.array([text is None for text in window.texts], bool)
        vectors = np.zeros((len(window.texts), self.hidden), self.job.dtype)
        if batches:
            vectors[~missing] = self.encoder.embed(batches)
        return with_vectors(window.table, self.job.embedding, vectors, missing)
