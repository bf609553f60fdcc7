"""`hub2hf embed`: a corpus with the vector of each text."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import hub2hf as verbs
from hub2hf.bars import progress_bar
from hub2hf.commands import options


def run(
    folder: Annotated[Path, typer.Argument(help="A folder that hub2hf made, or that sentence-transformers loads.")],
    source: Annotated[
        str, typer.Argument(metavar="IN", help="Parquet, JSON lines, text: a file, folder, glob, or URL as s3://….")
    ],
    out: Annotated[str, typer.Argument(help="A file as vectors.parquet, vectors.jsonl; or a folder of Parquet files.")],
    text: Annotated[str, typer.Option(help="The column of texts.")] = "text",
    embedding: Annotated[str, typer.Option(help="The column to add.")] = "embedding",
    runtime: Annotated[str | None, typer.Option(help="onnx or torch; the faster one there is by default.")] = None,
    device: Annotated[str, typer.Option(help="Of PyTorch: cpu, cuda, mps.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="How vectors are kept: float32, float16.")] = "float32",
    shards: Annotated[
        int | None, typer.Option(help="How many files to write into a folder; as many as IN has.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local, or ray: Ray Data, on a cluster that reaches all that is named.")
    ] = "local",
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster; one is started here by default.")] = None,
    workers: Annotated[int | None, typer.Option(help="Of Ray: one for each processor by default.")] = None,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Embed a corpus of any size; run it again after it was stopped, and it goes on."""
    with progress_bar("embedded", "rows", quiet=quiet) as progress:
        found = verbs.embed(
            folder,
            source,
            out,
            text=text,
            embedding=embedding,
            runtime=runtime,
            device=device,
            dtype=dtype,
            shards=shards,
            engine=engine,
            address=address,
            workers=workers,
            progress=progress,
        )
    failed = "".join(f"; {count:,} without a vector: {why}" for why, count in found.failed.items())
    files = "" if len(found.files) == 1 else f" in {len(found.files)} files"
    options.answer(
        as_json,
        quiet,
        content=lambda: asdict(found),
        line=str(found.out),
        people=lambda: print(f"{found.out}: {found.rows:,} rows{files}{failed}"),
    )
    for name, why in found.unreadable.items():
        print(
            f"hub2hf: {name} cannot be read: {why}. The rest is done: repair it and run the same command again.",
            file=sys.stderr,
        )
    if found.unreadable:
        raise typer.Exit(options.EXIT_ERROR)
