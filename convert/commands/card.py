"""`hub2hf card`: write the model card again."""

from __future__ import annotations

from pathlib import Path

import hub2hf as verbs
from hub2hf.commands import options


@options.verb()
@options.folder
@options.model
@options.option("--force", is_flag=True, help="Overwrite a card that was edited by hand.")
@options.quiet
@options.as_json
def run(folder: Path, model: str | None, force: bool, quiet: bool, as_json: bool) -> None:
    """Write the model card of a folder again; the weights are not touched."""
    path = verbs.card(folder, model=model, force=force)
    options.answer(
        as_json,
        quiet,
        content=lambda: {"card": str(path)},
        line=str(path),
        people=lambda: print(f"{path}: written"),
    )
