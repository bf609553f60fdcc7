"""What a match is replaced by, in RE2's syntax."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any


@dataclass(frozen=True)
class Rewrite:
    r"""What a match becomes: literal bytes and the numbers of groups.

    Attributes:
        pieces: in order.
        broken: it ends at a backslash with neither a digit nor a backslash after it; TensorFlow uses it up to there where
            it replaces all matches, and not at all where it replaces the first.
        highest: the highest group.
    """

    pieces: tuple[bytes | int, ...]
    broken: bool
    highest: int

    @cached_property
    def literal(self) -> bytes | None:
        """The content for every match, where it has no groups; the whole match is group 0."""
        return self.content(None) if all(isinstance(piece, bytes) for piece in self.pieces) else None

    def content(self, found: Any) -> bytes:
        """The content for a match; a group that takes no part is empty."""
        return b"".join(piece if isinstance(piece, bytes) else found.group(piece) or b"" for piece in self.pieces)


@lru_cache(maxsize=256)
def read_rewrite(rewrite: bytes) -> Rewrite:
    r"""Read RE2's rewrite syntax: a backslash and a digit is a group, two backslashes are one."""
    literal, *escapes = rewrite.split(b"\\")
    pieces: list[bytes | int] = [literal]
    rest, broken = iter(escapes), False
    for escape in rest:
        if escape[:1].isdigit():
            pieces += [int(escape[:1]), escape[1:]]
        elif not escape and (following := next(rest, None)) is not None:
            pieces.append(b"\\" + following)
        else:
            broken = True
            break
    return Rewrite(tuple(pieces), broken, max(map(int, _digits(rewrite)), default=0))


def _digits(rewrite: bytes) -> Iterator[bytes]:
    """Yield every digit that follows a backslash; RE2 looks at groups before it knows where a rewrite is broken."""
    at = rewrite.find(b"\\")
    while 0 <= at < len(rewrite) - 1:
        if rewrite[at + 1 : at + 2].isdigit():
            yield rewrite[at + 1 : at + 2]
        at = rewrite.find(b"\\", at + 2)
