"""`hub2hf embed`: a corpus with the vector of each text."""

from __future__ import annotations

import contextlib
import ctypes
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar
from hub2hf.proof.text import count

if TYPE_CHECKING:
    from hub2hf.corpora.embed import Departure

M_MMAP_THRESHOLD: Final = -3  # malloc.h of glibc
THRESHOLD: Final = 128 << 10  # bytes; that with which glibc begins


@options.verb()
@click.argument(
    "folder",
    type=options.PATH,
    metavar="FOLDER",
    help="A folder that hub2hf made, or that sentence-transformers loads.",
)
@click.argument("source", metavar="IN", help="Parquet, JSON lines or text: a file, folder, glob, or URL such as s3://…")
@click.argument(
    "out",
    metavar="OUT",
    help="A file such as vectors.parquet or vectors.jsonl, or a folder of Parquet files; one that exists and that "
    "embed did not begin is refused.",
)
@options.text
@options.option("--embedding", default="embedding", help="The column to add.")
@options.runtime
@options.device
@options.precision
@options.option("--dtype", default="float32", help="How vectors are stored: float32 or float16.")
@options.option("--shards", type=int, help="How many files to write into a folder; by default as many as IN has.")
@options.engine
@options.address
@options.workers
@options.quiet
@options.as_json
def run(
    folder: Path,
    source: str,
    out: str,
    text: str,
    embedding: str,
    runtime: str | None,
    device: str,
    precision: str,
    dtype: str,
    shards: int | None,
    engine: str,
    address: str | None,
    workers: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Embed a corpus of any size; a run that was stopped goes on when it is started again."""
    _give_memory_back()
    with progress_bar("embedded", "rows", quiet=quiet) as progress:
        found = verbs.embed(
            folder,
            source,
            out,
            text=text,
            embedding=embedding,
            runtime=runtime,
            device=device,
            precision=precision,
            dtype=dtype,
            shards=shards,
            engine=engine,
            address=address,
            workers=workers,
            progress=progress,
        )
    failed = "".join(f"; {number:,} without a vector: {why}" for why, number in found.failed.items())
    files = "" if len(found.files) == 1 else f" in {len(found.files)} files"
    said = (
        f"{count(found.rows, 'row')}{files}{failed}"
        if found.files
        else "not there yet, it needs the rows of every file"
    )
    options.answer(
        as_json,
        quiet,
        content=lambda: asdict(found),
        line=str(found.out),
        people=lambda: print(f"{found.out}: {said}{_departs(found.departure, precision)}"),
    )
    options.name_unreadable(found.unreadable, "The rest is done and kept")


def _give_memory_back() -> None:
    """Have what a window took given back to the system: a run may last for days.

    pyarrow's own pool keeps it; glibc does once large blocks have come and gone, unless told from what size on not to.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # read when pyarrow loads
    with contextlib.suppress(AttributeError, OSError, TypeError):  # of another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, THRESHOLD)


def _departs(departure: Departure | None, precision: str) -> str:
    if departure is None:
        return ""
    return (
        f"\ncomputed in {precision}, not exact: in {count(departure.texts, 'text')}, numbers of unit vectors up to "
        f"{departure.difference:.1e} from float32's, cosine at least {departure.cosine:.6f}"
    )
