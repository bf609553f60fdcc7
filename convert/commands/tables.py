"""Where what is printed for people goes, and in what form it has rows."""

from __future__ import annotations

import os
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

WIDE: Final = 10_000  # columns where there is no terminal: what is printed may be searched, and is never wrapped


def screen() -> Console:
    """Return the standard output, which wraps lines on a terminal, or where COLUMNS says so."""
    found = Console()
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(width=WIDE)


def table(*headers: str) -> Table:
    """Return an empty table, whose cells are folded where they are too wide."""
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        found.add_column(header, overflow="fold")
    return found
