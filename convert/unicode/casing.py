"""Lower and upper case as `tf.strings.lower` and `upper` make them with the encoding utf-8: those of TensorFlow's ICU.

The tables are written by `scripts/build_casing_tables.py`, which asks TensorFlow about every code point.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

_SIGMA = "\u03a3"
_CONTEXT = 64  # characters on either side that can decide on the form of a sigma


@cache
def _tables() -> dict[str, dict[int, str]]:
    tables: dict[str, dict[int, str]] = {"lower": {}, "upper": {}}
    text = resources.files(__package__).joinpath("casing_tables.txt").read_text(encoding="ascii")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        kind, source, *target = line.split()
        low, _, high = source.partition("-")
        first = "".join(chr(int(code, 16)) for code in target)
        for step, code in enumerate(range(int(low, 16), int(high or low, 16) + 1)):
            tables[kind][code] = first if len(first) > 1 else chr(ord(first) + step)
    return tables


def lowered(text: str) -> str:
    """Return a text in lower case."""
    if text.isascii():
        return text.lower()
    if _SIGMA in text:
        text = "".join(_sigma(text, i) if c == _SIGMA else c for i, c in enumerate(text))
    return text.translate(_tables()["lower"])


def uppered(text: str) -> str:
    """Return a text in upper case."""
    return text.upper() if text.isascii() else text.translate(_tables()["upper"])


def _sigma(text: str, at: int) -> str:
    """A capital sigma at the end of a word has a form of its own (Final_Sigma, Unicode 3.13, table 3-17)."""
    before = text[max(0, at - _CONTEXT) : at]
    return (before + text[at : at + _CONTEXT]).lower()[len(before.lower())]
