"""Sets of code points, as sorted ranges: what a regex class means once no Unicode table is left in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

LAST = 0x10FFFF
Range = tuple[int, int]


def _merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


@dataclass(frozen=True)
class CodePoints:
    """An immutable set of code points.

    Attributes:
        ranges: inclusive, ascending, neither touching nor overlapping.
    """

    ranges: tuple[Range, ...] = ()

    @classmethod
    def of(cls, *ranges: Range) -> CodePoints:
        """The union of inclusive ranges, in any order."""
        return cls(_merge(ranges))

    @classmethod
    def single(cls, code: int) -> CodePoints:
        """The set of one code point."""
        return cls(((code, code),))

    @classmethod
    def parse(cls, text: str) -> CodePoints:
        """Read `41-5A AA B5`, hexadecimal, as in `unicode_tables.txt`."""
        pairs = (item.partition("-") for item in text.split())
        return cls.of(*((int(low, 16), int(high or low, 16)) for low, _, high in pairs))

    def __or__(self, other: CodePoints) -> CodePoints:
        """The union."""
        return CodePoints(_merge(self.ranges + other.ranges))

    def __invert__(self) -> CodePoints:
        """Every other code point."""
        edges = [-1, *(edge for pair in self.ranges for edge in pair), LAST + 1]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        return CodePoints(tuple((low + 1, high - 1) for low, high in gaps if low + 1 <= high - 1))

    def __and__(self, other: CodePoints) -> CodePoints:
        """The intersection."""
        return ~(~self | ~other)

    def __sub__(self, other: CodePoints) -> CodePoints:
        """What is in this set only."""
        return ~(~self | other)

    def __bool__(self) -> bool:
        """Whether the set holds anything."""
        return bool(self.ranges)

    def __contains__(self, code: int) -> bool:
        """Whether the set holds `code`."""
        at = bisect_right(self.ranges, (code, LAST))
        return at > 0 and self.ranges[at - 1][1] >= code

    def __len__(self) -> int:
        """How many code points the set holds."""
        return sum(high - low + 1 for low, high in self.ranges)


NOTHING = CodePoints()
EVERYTHING = CodePoints.of((0, LAST))


def union(sets: Iterable[CodePoints]) -> CodePoints:
    """The union of any number of sets."""
    return CodePoints(_merge(pair for each in sets for pair in each.ranges))
