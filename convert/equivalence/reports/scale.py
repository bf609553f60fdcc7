"""The colours of the heat maps: a logarithmic scale of difference / tolerance.

Blue is exact and orange is not, a pair that all common forms of colour blindness tell apart; more is darker on light pages
and brighter on dark ones. Cells that are not exact also carry a sign, so nothing rests on colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hub2hf.proof import Row
from hub2hf.proof.summary import ratio

DIFFERS = "≠"  # marks a cell that is not exact


@dataclass(frozen=True)
class Shade:
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
    Shade(0.01, "exact: up to 1/100 of the tolerance", ("#e8f1fa", "#102a43"), ("#13273a", "#cfe3f5")),
    Shade(0.1, "up to 1/10", ("#bcd9f0", "#0b2239"), ("#1b4263", "#e3f0fb")),
    Shade(1.0, "up to the tolerance", ("#79b4e0", "#06182a"), ("#2a6ca3", "#ffffff")),
    Shade(10.0, "≠ up to 10 times the tolerance", ("#fdd9a6", "#3b1d00"), ("#7a3d06", "#ffffff")),
    Shade(1000.0, "≠ up to 1000 times", ("#f59331", "#2b1300"), ("#e07f1f", "#1c0c00")),
    Shade(math.inf, "≠ more than 1000 times the tolerance", ("#9c3300", "#ffffff"), ("#ffc98c", "#2b1300")),
    Shade(math.nan, "≠ not a number", ("#1c1c1c", "#ffffff"), ("#f2f2f2", "#111111")),
    Shade(math.nan, "≠ not exact, but allowed", ("#d9d9d9", "#1c1c1c"), ("#4a4a4a", "#f2f2f2")),
)
WITHIN, BEYOND, NO_NUMBER, ALLOWED = range(3), range(3, 6), 6, 7


def step(row: Row) -> int:
    """Return which of `STEPS` is the colour of `row`; never one of the exact where it is not exact."""
    if not math.isfinite(row.difference):
        return NO_NUMBER
    if row.allowed:
        return ALLOWED
    share = ratio(row)
    choices = WITHIN if row.exact else BEYOND
    return next((i for i in choices if share <= STEPS[i].upto), choices[-1])
