"""Fit the constants of `convert/folder/sentence_transformers.py`: the tanh form of GELU as a sum of scaled erf forms.

Run: python scripts/fit_gelu.py
Both forms are x/2 plus an even function, so only x >= 0 matters, and the scaled slopes must sum to 1 for the x/2.
"""

from __future__ import annotations

import numpy as np

from hub2hf.architectures.activations import ACTIVATIONS

# Chosen among geometric grids for a small error at small coefficients: these keep float32 round-off small.
SCALES = np.concatenate([[1.0], np.geomspace(0.6, 1.9, 8)]).round(6)
SLOPES_WEIGHT, RIDGE = 1e3, 1e-6


def main() -> None:
    """Print the table and its largest error."""
    exact, stock = ACTIVATIONS["gelu_tanh"].function, ACTIVATIONS["gelu_erf"].function
    x = np.linspace(0.0, 9.0, 1501)
    terms = np.stack([stock(a * x) - a * x / 2 for a in SCALES], axis=1)
    wanted = exact(x) - stock(x)
    rows = np.vstack([terms, SLOPES_WEIGHT * SCALES, RIDGE * np.eye(len(SCALES))])
    change = np.linalg.lstsq(rows, np.concatenate([wanted, np.zeros(1 + len(SCALES))]), rcond=None)[0]
    coefficients = (change + (SCALES == 1.0)).round(9)
    print("scales      ", tuple(SCALES.tolist()))
    print("coefficients", tuple(coefficients.tolist()))
    grid = np.linspace(-30.0, 30.0, 60_001)
    fitted = sum(c * stock(a * grid) for a, c in zip(SCALES, coefficients, strict=True))
    print("largest error", np.abs(fitted - exact(grid)).max())


if __name__ == "__main__":
    main()
