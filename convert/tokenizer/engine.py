"""What the operations of a text side are compiled to, and what a library that reads it has to be told in its own way.

`pipeline` and `characters` compile; an `Engine` writes. There are two, `oniguruma` and `javascript`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from hub2hf.unicode.codepoints import CodePoints
from hub2hf.unicode.dialect import Dialect

NFD: Final = "NFD"
NFC: Final = "NFC"
LONGEST_UTF8 = 4  # bytes in one character

# Characters that no text holds any more when they are needed. The first comes between characters, no map for
# `Precompiled` can hold the second, and the last stands where a character was that parts marks.
SEPARATOR, ZERO, PARTING = RESERVED = "\x01", "\0", "\x02"


@dataclass(frozen=True)
class Prepend:
    """`content` comes in front of a text that is not empty."""

    content: str


# A regex and what comes in place of each match; a map for `Precompiled`; a stock normalization.
Form = Literal["NFD", "NFC"]
TextStep = tuple[str, str] | Prepend | bytes | Form


@dataclass(frozen=True)
class CharacterMap:
    """Each character becomes a string, marks are put into the order of NFD, and what was only there for that goes.

    Attributes:
        mapping: character → what it becomes. Hangul syllables and all that NFD changes are in it, and none of `RESERVED`;
            but its values may hold `PARTING`.
        restored: after NFD, mark → the mark that it stood for.
        form: what puts marks into order; NFC also composes.
    """

    mapping: Mapping[str, str]
    restored: Mapping[str, str]
    form: Form = NFD


class Engine(Protocol):
    """How one library is told."""

    dialect: Dialect

    def literal(self, content: str) -> str:
        """Write a replacement that is `content` itself."""

    def mapped(self, characters: CharacterMap) -> Iterable[TextStep]:
        """Map characters, and sort marks."""

    def spaces_after(self, runs: Sequence[CodePoints], gone: CodePoints) -> TextStep:
        """At the start of the text, a space, and after each run of a set of `runs` a space comes in place of `gone`.

        Where no such run begins, one of `gone` does, the space at the start too. Spaces that alone part two runs of one set
        may stay as they are.
        """

    def spaces_around(self, codes: CodePoints) -> TextStep:
        """Part each of `codes` from what stands beside it by spaces."""

    def long_words(self, limit: int, spared: str | None, unknown: str) -> Iterable[TextStep]:
        """Words of more than `limit` bytes become `unknown`; not those at whose start the regex `spared` matches.

        Words stand behind spaces, the first too, and hold no tabs.
        """
