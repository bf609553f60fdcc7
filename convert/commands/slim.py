"""`hub2hf slim`: a part of the vocabulary."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import hub2hf as verbs
from hub2hf.bars import progress_bar
from hub2hf.commands import options


def run(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that hub2hf made.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make.")],
    languages: Annotated[str, typer.Option(help="Keep what these languages are written in, such as de,ja.")] = "",
    scripts: Annotated[str, typer.Option(help="Keep these scripts, such as Latin,Han.")] = "",
    alphabet: Annotated[Path | None, typer.Option(help="Keep the characters of this text file.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUT, if it holds nothing but what hub2hf wrote.")
    ] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Make a smaller folder with part of the vocabulary: exact for every text in the languages or characters named.

    Texts with other characters may have other ids and embeddings. `hub2hf verify SOURCE OUT` proves the promise.
    """
    with progress_bar("writing weights", quiet=quiet) as report:
        made = verbs.slim(
            folder,
            out,
            languages=options.split(languages),
            scripts=options.split(scripts),
            alphabet=alphabet,
            force=force,
            progress=report,
        )
    told = {**asdict(made), "out": str(made.out), "alphabet": len(made.alphabet)}
    options.answer(as_json, quiet, content=lambda: told, line=str(made.out), people=lambda: _print(made))


def _print(made: verbs.Slim) -> None:
    pieces = made.kept + made.dropped
    print(f"{made.out}: {made.kept:,} of {pieces:,} pieces; {made.bytes:,} bytes of {made.bytes_before:,}")
    print(f"exact for {', '.join([*made.languages, 'digits, punctuation, signs and emoji'])}")
