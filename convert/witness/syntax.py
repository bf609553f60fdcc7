"""Where the classes and brackets of an RE2 pattern are: as much of its syntax as takes to write one class for another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HEXADECIMAL: Final = re.compile(r"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")


def classes(pattern: str) -> tuple[str, ...]:
    """The names in `\\p{…}` and `\\P{…}` of a pattern, each once."""
    return tuple(dict.fromkeys(token.name for token in tokens(pattern) if token.name))


@dataclass(frozen=True)
class Token:
    """A piece of a pattern; of a class `\\p{…}` also its `name`, whether it is `negated`, and whether in brackets."""

    text: str
    name: str = ""
    negated: bool = False
    bracketed: bool = False


def tokens(pattern: str) -> Iterator[Token]:
    """Cut a pattern into its classes and what stands between them."""
    at, first = 0, -1  # `first`: where the first item of the bracket begins that is open
    while at < len(pattern):
        end, name, negated = at + 1, "", False
        if pattern.startswith("\\Q", at) and first < 0:
            end = (pattern.find("\\E", at) + 2) if "\\E" in pattern[at:] else len(pattern)
        elif pattern[at] == "\\":
            end, name, negated = _escape(pattern, at)
        elif first < 0 and pattern[at] == "[":
            end = first = at + 1 + pattern.startswith("^", at + 1)
        elif first >= 0 and pattern.startswith("[:", at) and ":]" in pattern[at:]:
            end = pattern.find(":]", at) + 2
        elif pattern[at] == "]" and at != first:
            first = -1
        yield Token(pattern[at:end], name, negated, first >= 0)
        at = end


def _escape(pattern: str, at: int) -> tuple[int, str, bool]:
    """The end of the escape at `at`; of a class also its name, and whether it is negated."""
    end, kind = at + 2, pattern[at + 1 : at + 2]
    if kind == "x" and (digits := HEXADECIMAL.match(pattern, at)):
        return digits.end(), "", False
    if kind not in ("p", "P") or end >= len(pattern):
        return end, "", False
    name = pattern[end]
    end += 1
    if name == "{":
        close = pattern.find("}", end)
        if close < 0:
            return len(pattern), "", False  # RE2 tells what is wrong with it
        name, end = pattern[end:close], close + 1
    inverted = name.startswith("^")
    return end, name[inverted:], (kind == "P") != inverted
