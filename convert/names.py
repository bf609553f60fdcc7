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


def check_texts(**given: object) -> None:
    """Refuse arguments, given by their names, that are no text.

    Raises:
        SourceError: names the argument.
    """
    for name, value in given.items():
        if not isinstance(value, str):
            raise SourceError(f"{name} is of the type {type(value).__name__}, and no text.", "Pass a str.")


def check_counts(**given: object) -> None:
    """Refuse arguments, given by their names, that are no whole number from 1 on.

    Raises:
        SourceError: names the argument.
    """
    for name, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise SourceError(f"{name} is of the type {type(value).__name__}, and no whole number.", "Pass an int.")
        if value < 1:
            raise SourceError(f"{name} is {value}.", "Pass 1 or more.")
