"""Read the lower and upper case that `tf.strings` gives each code point, and write them as ranges.

python scripts/build_casing_tables.py           # rewrite convert/unicode/casing_tables.txt
python scripts/build_casing_tables.py --check   # exit 1 if TensorFlow and the file differ
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from build_unicode_tables import TEXTS, write_or_compare

TABLE = Path(__file__).parent.parent / "convert" / "unicode" / "casing_tables.txt"


def _lines(kind: str, change: Callable[..., Any]) -> Iterator[str]:
    """`lower 41-5A 61`: each of a range becomes the one as far from 61; several targets stand alone."""
    found = change(tf.constant([text.encode() for text in TEXTS]), encoding="utf-8").numpy()
    runs: list[list[int]] = []
    for text, other in zip(TEXTS, (item.decode() for item in found), strict=True):
        if text in (other, "\0"):  # TensorFlow ends a text at a zero
            continue
        if len(other) > 1:
            runs.append([ord(text), ord(text), *map(ord, other)])
        elif runs and len(runs[-1]) == 3 and runs[-1][1] == ord(text) - 1 and _next(runs[-1]) == ord(other):
            runs[-1][1] = ord(text)
        else:
            runs.append([ord(text), ord(text), ord(other)])
    for low, high, *target in runs:
        source = f"{low:X}" if low == high else f"{low:X}-{high:X}"
        yield " ".join([kind, source, *(f"{code:X}" for code in target)])


def _next(run: list[int]) -> int:
    low, high, first = run
    return first + high - low + 1


def build() -> str:
    """The whole file, as text."""
    lines = ["# Lower and upper case as tf.strings gives them; written by scripts/build_casing_tables.py, not by hand."]
    lines += [*_lines("lower", tf.strings.lower), *_lines("upper", tf.strings.upper)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_compare(TABLE, build, __doc__))
