"""Vectors that were stored years ago, held against a folder: how many are those that it gives, and what the others are.

No TensorFlow is needed: the vectors are what TensorFlow made. Both sides are brought to unit length, which also takes away
the scale of int8. What a store has rounded is known by its numbers, and allowed for.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from hub2hf.corpora.causes import Causes
from hub2hf.corpora.vectors import Vectors, beyond, read_vectors

CLOSE: Final = 0.9999  # cosine: half precision in the computing gives 0.99995 and more; another text less
REMEMBERED: Final = 200_000  # distinct texts, for duplicates
EXAMINED: Final = 64  # rows of a window that are asked why they differ
EXAMINED_IN_ALL: Final = 2048
NO_TEXT, CLOSE_BY, UNSEEN = "no text", "close", "not examined"


@dataclass
class Tally:
    """What came of some rows.

    Attributes:
        rows: how many.
        matching: how many of them are within the tolerance.
        difference: the largest of those, beyond what rounding explains.
        others: why → how many of the rest.
    """

    rows: int = 0
    matching: int = 0
    difference: float = 0.0
    others: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**vars(self), "others": dict(self.others)}

    def add(self, why: str, difference: float = 0.0) -> None:
        """Count a row; why is "" where it matches."""
        self.rows += 1
        if why:
            self.others[why] += 1
        else:
            self.matching += 1
            self.difference = max(self.difference, difference)


class Comparison:
    """Stored vectors of a corpus against a folder, window by window.

    Args:
        causes: what can be asked why a row differs.
        tolerance: the largest difference of an entry, of unit vectors, that passes.
    """

    def __init__(self, causes: Causes, tolerance: float) -> None:
        self.causes, self.tolerance = causes, tolerance
        self.tallies: dict[str, Tally] = {}
        self.rounding: Counter[str] = Counter()
        self.cosines: list[float] = []  # of rows that nothing explains
        self.duplicates = self.disagreeing = 0
        self._examined = 0
        self._seen: dict[bytes, np.ndarray] = {}

    def add(self, texts: Sequence[str | None], languages: Sequence[str], column: Any, found: np.ndarray) -> list[str]:
        """Compare a window; return of each row why its vector has to be made again, or "".

        Args:
            texts: of the rows; None where there is none.
            languages: of the rows.
            column: their stored vectors.
            found: what the folder gives for the rows that have a text, float32 [texts, hidden].
        """
        stored = read_vectors(column, found.shape[1])
        why = [NO_TEXT if text is None else each for each, text in zip(stored.why, texts, strict=True)]
        unit = np.zeros((len(texts), found.shape[1]))
        present = [i for i, text in enumerate(texts) if text is not None]
        unit[present] = found / np.linalg.norm(found.astype(np.float64), axis=1, keepdims=True)
        at = [i for i, each in enumerate(stored.why) if not each]  # rows of `stored`
        differences = beyond(stored, unit[at])
        cosines = (stored.unit * unit[at]).sum(axis=1)
        within: dict[int, float] = {}
        asked: list[int] = []
        for k, row in enumerate(at):
            self.rounding[stored.rounding[k]] += 1
            if why[row]:
                continue
            self._remember(str(texts[row]), stored.unit[k])
            if differences[k] <= self.tolerance:
                within[row] = float(differences[k])
            elif cosines[k] >= CLOSE:
                why[row] = CLOSE_BY
            else:
                why[row] = UNSEEN
                asked.append(k)
        self._explain(asked, at, texts, stored, unit, cosines, why)
        for row, language in enumerate(languages):
            self.tallies.setdefault(language, Tally()).add(why[row], within.get(row, 0.0))
        return why

    def _explain(
        self,
        asked: list[int],
        at: list[int],
        texts: Sequence[str | None],
        stored: Vectors,
        unit: np.ndarray,
        cosines: np.ndarray,
        why: list[str],
    ) -> None:
        """Ask of some rows that differ why they do."""
        some = asked[: min(EXAMINED, EXAMINED_IN_ALL - self._examined)]
        self._examined += len(some)
        chosen = Vectors([], stored.unit[some], [stored.rounding[k] for k in some], stored.steps[some])
        named = self.causes.of([str(texts[at[k]]) for k in some], chosen, unit, self.tolerance) if some else []
        for k, cause in zip(some, named, strict=True):
            why[at[k]] = cause or self.causes.UNEXPLAINED
            if not cause:
                self.cosines.append(float(cosines[k]))

    def _remember(self, text: str, vector: np.ndarray) -> None:
        """Count a text that came before, and whether its vectors agree."""
        key = hashlib.blake2b(text.encode(), digest_size=8).digest()
        mark = vector[:4].astype(np.float16)
        if key in self._seen:
            self.duplicates += 1
            self.disagreeing += bool(np.abs(self._seen[key] - mark).max() > 2e-3)
        elif len(self._seen) < REMEMBERED:
            self._seen[key] = mark

    @property
    def total(self) -> Tally:
        """All languages together."""
        sums = Tally()
        for tally in self.tallies.values():
            sums.rows += tally.rows
            sums.matching += tally.matching
            sums.difference = max(sums.difference, tally.difference)
            sums.others.update(tally.others)
        return sums
