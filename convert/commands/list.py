"""`hub2hf list`: the models known by name."""

from __future__ import annotations

from hub2hf.commands import options


def run(quiet: options.Quiet = False, as_json: options.AsJson = False) -> None:
    """List the models known by name, and which of them, and of other archives, are on this machine."""
    from hub2hf.report import print_sources
    from hub2hf.sources.listing import listed

    found = list(listed())
    options.answer(
        as_json,
        quiet,
        content=lambda: [{**vars(source), "folder": source.folder and str(source.folder)} for source in found],
        line="\n".join(source.name for source in found),
        people=lambda: print_sources(found),
    )
