"""`hub2hf list`: the models known by name."""

from __future__ import annotations

from hub2hf.commands import options
from hub2hf.report import print_sources


def run(as_json: options.AsJson = False) -> None:
    """List the models known by name, and what of them and of other archives is on this machine."""
    from hub2hf.sources.listing import listed

    found = list(listed())
    if as_json:
        options.print_json([{**vars(source), "folder": source.folder and str(source.folder)} for source in found])
    else:
        print_sources(found)
