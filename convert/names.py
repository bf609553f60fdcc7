"""Names as people give them: lists with commas or of Python's, and paths; and numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real

from hub2hf.errors import SourceError


def listed(names: str | Iterable[str]) -> list[str]:
    """Return the names of a list; of a text, what stands between its commas.

    Raises:
        SourceError: it is no list of names.
    """
    if isinstance(names, str):
        return [name.strip() for name in names.split(",") if name.strip()]
    found = list(names) if isinstance(names, Iterable) else [names]
    for name in found:
        if not isinstance(name, str):
            raise SourceError(
                f"A name is of the type {type(name).__name__}.", "Pass a list of str, or a str with commas."
            )
    return found


def present(**given: object) -> dict[str, object]:
    """Return those of the arguments, given by their names, that are not None."""
    return {name: value for name, value in given.items() if value is not None}


def check_paths(**given: object) -> None:
    """Refuse arguments, given by their names, that are no paths: a file may be called `None` or `5`, but nobody means that.

    Raises:
        SourceError: names the argument.
    """
    _check((str, os.PathLike), "path", "Pass a str or a Path.", given)


def check_texts(**given: object) -> None:
    """Refuse arguments, given by their names, that are no texts (SourceError: names the argument)."""
    _check(str, "text", "Pass a str.", given)


def check_flags(**given: object) -> None:
    """Refuse arguments, given by their names, that are neither True nor False: any text would count as True, "no" as well.

    Raises:
        SourceError: names the argument.
    """
    for name, value in given.items():
        if not isinstance(value, bool):
            raise SourceError(
                f"{name} is of the type {type(value).__name__}, and neither True nor False.", "Pass a bool."
            )


def check_whole_numbers(**given: object) -> None:
    """Refuse arguments, given by their names, that are no whole numbers (SourceError: names the argument)."""
    _check(Integral, "whole number", "Pass an int.", given)


def check_counts(**given: int) -> None:
    """Refuse arguments, given by their names, that are no whole numbers from 1 on (SourceError: names the argument)."""
    check_whole_numbers(**given)
    for name, value in given.items():
        if value < 1:
            raise SourceError(f"{name} is {value}.", "Pass 1 or more.")


def check_numbers(**given: object) -> None:
    """Refuse arguments, given by their names, that are no numbers (SourceError: names the argument)."""
    _check(Real, "number", "Pass a float.", given)


def _check(kind: type | tuple[type, ...], what: str, step: str, given: dict[str, object]) -> None:
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, kind):
            raise SourceError(f"{name} is of the type {type(value).__name__}, and no {what}.", step)
