"""`embed`: a corpus goes in, the same rows with a vector each come out, in memory that does not grow with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.corpora.destination import Destination
from hub2hf.corpora.encoders import FLOAT32, chosen_means, fingerprint, load
from hub2hf.corpora.job import Embedding, Prepared
from hub2hf.corpora.places import Input, inputs, pyarrow, shown
from hub2hf.corpora.ray_engine import Run, check_engine, run_on
from hub2hf.corpora.reading import joined, scanned
from hub2hf.corpora.work import AGAIN, Work, plan_of
from hub2hf.corpora.writing import check_columns
from hub2hf.errors import ExportError, SourceError
from hub2hf.folder.manifest import MANIFEST, read_manifest
from hub2hf.names import check_counts, check_paths, check_texts
from hub2hf.notices import Progress
from hub2hf.proof.text import count
from hub2hf.surfaces.base import unit

WINDOW: Final = 4096  # rows that are sorted by length together, and lost at most when a run is killed
DTYPES: Final = ("float32", "float16")
MEASURED: Final = 256  # texts that are embedded in float32 too, where something else is computed in


@dataclass(frozen=True)
class Departure:
    """How far vectors that were computed in another precision are from those of float32.

    Attributes:
        texts: how many were embedded in both, the first ones of the corpus.
        difference: the largest of any number of the vectors, both of unit length.
        cosine: the smallest of the two vectors of a text.
    """

    texts: int
    difference: float
    cosine: float


@dataclass(frozen=True)
class Embeddings:
    """What a run of `embed` came to.

    Attributes:
        out: the file or folder.
        rows: how many rows are in it.
        failed: why a text has no vector → how many.
        unreadable: file of the input → why it could not be read; files of `out` that need its rows are not there.
        files: the files of `out` that are there.
        seconds: that this run took.
        departure: from float32, where this run computed in another precision.
    """

    out: str
    rows: int
    failed: Mapping[str, int]
    unreadable: Mapping[str, str]
    files: tuple[str, ...]
    seconds: float
    departure: Departure | None = None


def embed(
    folder: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    text: str = "text",
    embedding: str = "embedding",
    runtime: str | None = None,
    device: str = "cpu",
    precision: str = FLOAT32,
    dtype: str = "float32",
    shards: int | None = None,
    window: int = WINDOW,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Embeddings:
    """Embed a corpus, and go on where an earlier run of the same was stopped.

    Args:
        folder: a Hugging Face folder that `convert` made, or anyone's that sentence-transformers loads.
        source: Parquet, JSON lines or plain text: a file, a folder, a glob, or a URL that pyarrow's file systems open.
        out: a file, its form told by its name, or a folder to fill with Parquet files; or such a URL. Order and columns are
            those of `source`; plain text has the vectors alone.
        text: the column of texts.
        embedding: the column to add, fixed-size lists of floats: as the graph gives them, null where a text failed.
        runtime: `onnx` or `torch`; the faster one that the folder is made for by default.
        device: of PyTorch: cpu, cuda, mps.
        precision: in which PyTorch computes: float32; or float16 or bfloat16, which are not exact: see `departure`.
        dtype: in which vectors are kept, float32 or float16.
        shards: how many files to write into a folder; as many as `source` has by default.
        window: rows that are sorted by length together; twice as many are held in memory.
        engine: `local`, or `ray`: Ray Data, on a cluster that reaches `folder`, `source` and `out` by these names.
        address: of the Ray cluster; one is started on this machine by default.
        workers: of Ray: how many load the folder; one for each processor by default.
        progress: called with (rows done, rows in all).

    Returns:
        What it came to. Files that could not be read are named there, and the others are done.

    Raises:
        Hub2HFError: something is missing, or `out` is another run's or cannot be written.
    """
    start = time.monotonic()
    check_paths(folder=folder, source=source, out=out)
    check_texts(text=text, embedding=embedding, device=device)
    check_counts(window=window, shards=1 if shards is None else shards)
    check_engine(engine, address, workers)
    pyarrow()
    target = Destination.of(str(out))
    _check(Path(folder), target, dtype, shards)
    means = chosen_means(Path(folder), runtime, device, precision)
    mark = fingerprint(Path(folder), means.runtime)
    found = [given for given in inputs(str(source)) if not target.holds(given.files, given.path)]
    if not found:
        raise ExportError(f"{shown(str(out))} is where IN itself is.", "Name another OUT.")
    scans, unreadable = scanned(found, text, window)
    if shards is not None:
        if unreadable:
            name, why = found[min(unreadable)].path, unreadable[min(unreadable)]
            raise SourceError(f"{name} cannot be read: {why}.", "Leave it out of IN, or leave out --shards.")
        rows = sum(one.rows for one in scans.values())
        if shards > max(1, rows):
            raise SourceError(
                f"{source} has {count(rows, 'row')}, fewer than {shards} files.", "Ask for fewer: --shards."
            )
        smaller = max(1, rows // shards)
        if smaller < window:
            window = smaller
            scans, unreadable = scanned(found, text, window)
    schema = joined([(found[i], one) for i, one in scans.items()], text)
    check_columns(schema, embedding, target.form)
    files = {i: found[i] for i in scans}
    job = Embedding(text, window, files, scans, schema, Path(folder).resolve(), means, dtype, embedding, target)
    plan = plan_of([job.chunks(i) for i in range(len(found))], target, shards)
    work = Work(target, plan, _identity(job, mark, found, shards), set(unreadable))
    departure = None
    with work.opened():
        done = work.done()
        if done is None:
            departure = _departure(job) if precision != FLOAT32 else None
            done = _run(work, job, run_on(engine, address, workers, AGAIN), unreadable, progress)
    return Embeddings(
        shown(str(out)),
        done["rows"],
        done["failed"],
        {found[i].path: why for i, why in unreadable.items()},
        tuple(work.written),
        time.monotonic() - start,
        departure,
    )


def _check(folder: Path, target: Destination, dtype: str, shards: int | None) -> None:
    """See that what was asked for makes sense, before anything is read."""
    if dtype not in DTYPES:
        raise SourceError(f"Vectors cannot be stored as '{dtype}'.", f"Choose from: {', '.join(DTYPES)}.")
    if shards is not None and target.single and shards > 1:
        raise SourceError(
            f"{target.path} cannot be written as {shards} files.",
            "For several files, name a folder, without a suffix.",
        )
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder.", "Name a folder that hub2hf convert made.")


def _identity(job: Embedding, mark: str, found: Sequence[Input], shards: int | None) -> dict[str, Any]:
    """Return what is made of what, as JSON data: another run's differs in it."""
    ours = (job.folder / MANIFEST).is_file()
    return {
        "hub2hf": metadata.version("hub2hf"),
        "path": str(job.folder),
        "fingerprint": mark,
        "savedmodel": read_manifest(job.folder).fingerprint if ours else None,
        "runtime": job.means.runtime,
        "precision": job.means.precision,
        "dtype": job.dtype,
        "text": job.text,
        "embedding": job.embedding,
        "window": job.window,
        "shards": shards,
        "schema": ", ".join(f"{field.name}: {field.type}" for field in job.schema),
        "inputs": [
            {**given.state, "rows": job.scans[i].rows if i in job.scans else None} for i, given in enumerate(found)
        ],
    }


def _departure(job: Embedding) -> Departure | None:
    """Return what another precision than float32 costs in the first texts of a corpus; None if there are none to read."""
    read = next(job.taken(job.all_chunks[:1], lambda texts: ()), (None, ""))[1]
    texts = [text for text in read.window.texts if text is not None] if isinstance(read, Prepared) else []
    if not texts:
        return None
    found = []
    for means in (job.means, replace(job.means, precision=FLOAT32)):
        encoder = load(job.folder, means)
        found.append(unit(encoder.embed(encoder.prepare(texts[:MEASURED]))))
    own, exact = found
    return Departure(len(own), float(np.abs(own - exact).max()), float((own * exact).sum(axis=1).min()))


def _run(work: Work, job: Embedding, engine: Run, unreadable: dict[int, str], progress: Progress) -> dict[str, Any]:
    """Embed what is missing, and make each file of OUT once all of it is there; return rows and failed texts."""
    missing = {shard: set(chunks) for shard, chunks in work.missing().items()}
    chunks = [chunk for shard in missing for chunk in work.plan[shard] if chunk in missing[shard]]
    shard_of = {chunk: shard for shard, left in missing.items() for chunk in left}
    total = sum(one.rows for one in job.scans.values())
    done = total - sum(map(job.rows, chunks))
    progress(done, total)
    ready = [shard for shard, left in missing.items() if not left and _whole(work, shard, unreadable)]
    _finish(work, ready, job.embedding)
    for chunk, why, _ in engine(job, chunks) if chunks else ():
        _finish(work, ready, job.embedding)
        shard = shard_of[chunk]
        missing[shard].discard(chunk)
        if why:
            if chunk.file not in unreadable:
                work.damaged(chunk.file)
            unreadable[chunk.file] = why
        else:
            done += job.rows(chunk)
            progress(done, total)
        if not missing[shard] and _whole(work, shard, unreadable):
            ready.append(shard)
    _finish(work, ready, job.embedding)  # the last one without the folder in memory
    return work.end()


def _finish(work: Work, ready: list[int], embedding: str) -> None:
    """Make the files of OUT that are ready, and strike them off."""
    if ready:
        pyarrow().default_memory_pool().release_unused()
    while ready:
        work.finish(ready.pop(0), embedding)


def _whole(work: Work, shard: int, unreadable: Mapping[int, str]) -> bool:
    """Whether all the rows of a file of OUT could be read."""
    if not unreadable:
        return True
    needed = {chunk.file for chunk in work.plan[shard]}
    return not work.target.single and bool(needed) and needed.isdisjoint(unreadable)
