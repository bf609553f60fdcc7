"""What a lossy folder may lose: it has no exact way of loading, and is judged by whether translations are still found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import floor
from typing import Any


@dataclass(frozen=True)
class Limits:
    """The most that may be lost in any language.

    Attributes:
        pairs: how many searches may fail that did not with the original.
        share: the same as a share of all searches; the larger of both counts.
        cosine: the smallest cosine of an embedding and the original's.
    """

    pairs: int
    share: float
    cosine: float

    def may_lose(self, searches: int) -> int:
        """Return how many of so many searches may fail that did not with the original."""
        return max(self.pairs, floor(self.share * searches))

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Limits:
        """Return what `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is not that.
        """
        return cls(int(data["pairs"]), float(data["share"]), float(data["cosine"]))
