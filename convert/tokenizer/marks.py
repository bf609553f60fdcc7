"""Marks that go through the stock NFD in place of others, which it does not know.

The NFD of `tokenizers` follows an older Unicode than TensorFlow Text's. It takes newer marks for letters: it moves neither
them nor other marks past them. But it sorts in their place marks that no text holds any more, because the graph deletes
them: of the same combining class, or of one that lies just as well between the classes of the marks that stay.

Where a graph deletes too few, the newer marks of a class go as themselves, and stay unsorted.
"""

from __future__ import annotations

from collections.abc import Collection

from hub2hf.unicode.folding import mark_classes, unsorted_marks

# `Precompiled` takes a cluster of fewer than six bytes for its first character: no cluster is, that begins with four and
# goes on.
BYTES = 4


def stand_ins(kept: Collection[str], deleted: Collection[str]) -> dict[str, str]:
    """Return the marks to send through the stock NFD.

    Args:
        kept: the marks that are sorted and stay.
        deleted: the marks that are in no text.

    Returns:
        a mark of `kept` that the stock NFD does not sort → one of `deleted` that it does sort, each for one.
    """
    places, unknown = mark_classes(), unsorted_marks()
    free: dict[int, list[str]] = {}
    for mark in sorted(deleted):
        if mark not in unknown and len(mark.encode()) == BYTES:
            free.setdefault(places[mark], []).append(mark)
    found: dict[str, str] = {}
    for place in sorted({places[mark] for mark in unknown.intersection(kept)}):
        needing = sorted(mark for mark in unknown.intersection(kept) if places[mark] == place)
        enough = (free[near] for near in _equal(place, kept) if len(free.get(near, ())) >= len(needing))
        found |= zip(needing, next(enough, ()), strict=False)
    return found


def _equal(place: int, kept: Collection[str]) -> list[int]:
    """The classes that stand to all of `kept` as the class `place` does; itself first."""
    places, unknown = mark_classes(), unsorted_marks()
    if any(places[mark] == place for mark in kept if mark not in unknown):
        return [place]
    others = {places[mark] for mark in kept} - {place}
    low = max((other for other in others if other < place), default=-1)
    high = min((other for other in others if other > place), default=max(places.values()) + 1)
    return sorted(range(low + 1, high), key=lambda near: near != place)
