"""Names as people give them: lists with commas or of Python's, and paths."""

from __future__ import annotations

import os
from collections.abc import Iterable

from hub2hf.errors import SourceError


def listed(names: str | Iterable[str]) -> list[str]:
    """Return the names of a list; of a text, what stands between its commas."""
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names)


def check_paths(**given: object) -> None:
    """Refuse arguments, given by their names, that are no paths: a file may be called `None` or `5`, but nobody means that.

    Raises:
        SourceError: names the argument.
    """
    for name, value in given.items():
        if not isinstance(value, str | os.PathLike):
            raise SourceError(f"{name} is of the type {type(value).__name__}, and no path.", "Pass a str or a Path.")
