"""`hub2hf export`: other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.verbs.targets import TARGETS


def run(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that hub2hf made.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help=f"What for: {' or '.join(TARGETS)}.")],
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="The folder to make, for a target that makes one.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="How weights are stored: float32 or float16.")] = "float32",
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUT, if it holds nothing but what hub2hf wrote.")
    ] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Export a converted folder for other runtimes."""
    path = verbs.export(folder, target, out, dtype=dtype, force=force)
    options.answer(
        as_json,
        quiet,
        content=lambda: {"written": str(path)},
        line=str(path),
        people=lambda: print(f"{path}: written"),
    )


_TARGETS = "; ".join(f"{name} {target.summary}" for name, target in TARGETS.items())
run.__doc__ = f"Export a converted folder for other runtimes: {_TARGETS}."
