"""The colours of the heat maps: a logarithmic scale of difference / tolerance.

Blue is within the tolerance and orange outside, a pair that all common forms of colour blindness tell apart; more is darker
on light pages and brighter on dark ones. Cells outside the tolerance also carry the letter F, so nothing rests on colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hub2hf.proof import TIGHT, Row
from hub2hf.proof.summary import ratio

OUTSIDE = "F"  # marks a cell outside its tolerance


@dataclass(frozen=True)
class Step:
    """One colour.

    Attributes:
        upto: largest difference / tolerance that has this colour.
        label: what it means.
        light, dark: (background, text) on a light and on a dark page; at least 4.5 to 1.
    """

    upto: float
    label: str
    light: tuple[str, str]
    dark: tuple[str, str]


STEPS = (
    Step(0.01, "up to 1/100 of the tolerance", ("#e8f1fa", "#102a43"), ("#13273a", "#cfe3f5")),
    Step(0.1, "up to 1/10", ("#bcd9f0", "#0b2239"), ("#1b4263", "#e3f0fb")),
    Step(1.0, "up to the tolerance", ("#79b4e0", "#06182a"), ("#2a6ca3", "#ffffff")),
    Step(10.0, "F: up to 10 times the tolerance", ("#fdd9a6", "#3b1d00"), ("#7a3d06", "#ffffff")),
    Step(1000.0, "F: up to 1000 times", ("#f59331", "#2b1300"), ("#e07f1f", "#1c0c00")),
    Step(math.inf, "F: more", ("#9c3300", "#ffffff"), ("#ffc98c", "#2b1300")),
    Step(math.nan, "F: not a number", ("#1c1c1c", "#ffffff"), ("#f2f2f2", "#111111")),
    Step(math.nan, "differs, as a wide tolerance allows", ("#d9d9d9", "#1c1c1c"), ("#4a4a4a", "#f2f2f2")),
)
WITHIN, BEYOND, NO_NUMBER, ALLOWED = range(3), range(3, 6), 6, 7


def step(row: Row) -> int:
    """Return which of `STEPS` is the colour of `row`; of a row that passed, never one outside the tolerance."""
    if not math.isfinite(row.difference):
        return NO_NUMBER
    if row.passed and row.difference > TIGHT:
        return ALLOWED
    share = ratio(row)
    choices = WITHIN if row.passed else BEYOND
    return next((i for i in choices if share <= STEPS[i].upto), choices[-1])
