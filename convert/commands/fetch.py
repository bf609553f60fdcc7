"""`hub2hf fetch`: bring a source here."""

from __future__ import annotations

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar


@options.verb()
@options.source
@options.quiet
@options.as_json
def run(source: str, quiet: bool, as_json: bool) -> None:
    """Download a source into this machine's cache, and print its folder."""
    with progress_bar("fetching", quiet=quiet) as report:
        folder = verbs.fetch(source, progress=report)
    options.answer(as_json, quiet, content=lambda: {"source": source, "folder": str(folder)}, line=str(folder))
