"""The code points that tell two tables apart, or two readings of a pattern.

Two sets of code points are one where they agree about the first and the last code point of every range of both, and about
the neighbours of these. So whoever asks a graph about the boundaries of its own sets and of those here has asked about all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

import numpy as np

from hub2hf.limits import tick

from .folding import folded_character, marks, normalized
from .patterns import bracket_points
from .points import LAST, SURROGATES, asked, script_numbers, white_space
from .syntax import HEXADECIMAL, tokens

ASCII: Final = 0x80
HANGUL: Final = (0xAC00, 0xD7A3)  # the syllables: Unicode standard, section 3.12


def boundary_points(
    patterns: Iterable[str] = (), *, scripts: bool = False, folds: bool = False, form: str | None = None
) -> list[int]:
    """Return the code points to ask a graph about, ascending, ASCII and U+10FFFF always among them, no surrogate.

    Args:
        patterns: those of its regex ops: the ends of every class, bracket and literal in them.
        scripts: whether it splits by script: the ends of every script and of the white space.
        folds: whether it folds case: whatever is folded.
        form: of its normalization: whatever that changes, and what it sorts.

    Raises:
        GraphError: the patterns have too many brackets to look at each.
    """
    found = {*range(ASCII), LAST}
    for pattern in patterns:
        for part in _parts(pattern):
            found.update(_set_edges(part))
    if scripts:
        found.update(_changes(script_numbers()), _changes(white_space()))
    if folds:
        found.update(point for point in asked().tolist() if folded_character(chr(point)) != chr(point))
    if form:
        found.update(_normalized_points(form))
    return sorted(point for point in found if 0 <= point <= LAST and not SURROGATES[0] <= point <= SURROGATES[1])


def _changes(values: np.ndarray) -> set[int]:
    """The code points on both sides of each change of `values` [0x110000]."""
    last = np.flatnonzero(values[1:] != values[:-1])
    return {*last.tolist(), *(last + 1).tolist()}


def _parts(pattern: str) -> Iterator[str]:
    """Yield every class, bracket and code point of a pattern, as a pattern."""
    bracket = ""
    for token in tokens(pattern):
        if token.bracketed:
            bracket += token.text
        elif bracket:
            yield bracket + token.text
            bracket = ""
        elif token.name or not token.text.isascii() or token.text.startswith(("\\x", "\\Q")):
            yield token.text


@lru_cache(maxsize=1 << 12)
def _set_edges(part: str) -> frozenset[int]:
    """The code points on both sides of each end of the set that a part of a pattern matches."""
    tick("a pattern")
    literal = HEXADECIMAL.fullmatch(part)
    if literal or len(part) == 1:
        point = int(literal[1] or literal[2], 16) if literal else ord(part)
        return frozenset((point - 1, point, point + 1))
    if part.startswith("\\Q"):
        return frozenset(ord(character) + step for character in part for step in (-1, 0, 1))
    return frozenset(_changes(bracket_points(part if part.startswith("[") else f"[{part}]")))


def _normalized_points(form: str) -> Iterator[int]:
    """Yield what a normalization changes and what it sorts; of the Hangul syllables, which are arithmetic, the ends."""
    characters = [chr(point) for point in asked().tolist() if chr(point) != "\n"]
    lines = normalized("\n".join(characters), form).split("\n")
    yield from (ord(one) for one, other in zip(characters, lines, strict=True) if one != other)
    yield from map(ord, marks())
    yield from (HANGUL[0] - 1, *HANGUL, HANGUL[1] + 1)
