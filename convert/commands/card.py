"""`hub2hf card`: write the model card again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hub2hf as verbs
from hub2hf.commands import options


def run(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that hub2hf made.")],
    model: options.Model = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a card that was edited by hand.")] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Write the model card of a folder again; the weights are not touched."""
    path = verbs.card(folder, model=model, force=force)
    options.answer(
        as_json,
        quiet,
        content=lambda: {"card": str(path)},
        line=str(path),
        people=lambda: print(f"{path}: written"),
    )
