"""`hub2hf export`: other runtimes."""

from __future__ import annotations

from pathlib import Path

import click

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.verbs.targets import TARGETS

SUMMARIES = "; ".join(f"{name} {target.summary}" for name, target in TARGETS.items())


@options.verb(help=f"Export a converted folder for other runtimes: {SUMMARIES}.")
@options.folder
@click.argument("target", metavar="TARGET", help=f"What for: {' or '.join(TARGETS)}.")
@click.argument(
    "out", required=False, type=options.PATH, metavar="OUT", help="The folder to make, for a target that makes one."
)
@options.option("--dtype", default="float32", help="How weights are stored: float32 or float16.")
@options.replace
@options.quiet
@options.as_json
def run(folder: Path, target: str, out: Path | None, dtype: str, force: bool, quiet: bool, as_json: bool) -> None:
    """Export a converted folder for other runtimes."""
    path = verbs.export(folder, target, out, dtype=dtype, force=force)
    options.answer(
        as_json,
        quiet,
        content=lambda: {"written": str(path)},
        line=str(path),
        people=lambda: print(f"{path}: written"),
    )
