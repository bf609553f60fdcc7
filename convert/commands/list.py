"""`hub2hf list`: the models known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from hub2hf.commands import options
from hub2hf.commands.bars import screen, table

if TYPE_CHECKING:
    from hub2hf.sources.listing import Listed


def run(quiet: options.Quiet = False, as_json: options.AsJson = False) -> None:
    """List the models known by name, and which of them, and of other archives, are on this machine."""
    from hub2hf.sources.listing import listed

    found = list(listed())
    options.answer(
        as_json,
        quiet,
        content=lambda: [{**vars(source), "folder": source.folder and str(source.folder)} for source in found],
        line="\n".join(source.name for source in found),
        people=lambda: _print(found),
    )


def _print(sources: list[Listed]) -> None:
    """Print what a person can name, and where it is on this machine."""
    found = table("name", "on this machine, or where it comes from")
    for source in sources:
        here = f"{source.nbytes / 1e6:,.1f} MB in {source.folder}"
        found.add_row(escape(source.name), escape(here if source.folder else source.address or source.kaggle))
    screen().print(found)
