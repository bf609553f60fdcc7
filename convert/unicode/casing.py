"""Lower and upper case as `tf.strings.lower` and `upper` make them with the encoding utf-8: those of TensorFlow's ICU.

The tables are written by `scripts/build_casing_tables.py`, which asks TensorFlow about every code point.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from .codepoints import CodePoints
from .folding import case_folded

# Final_Sigma (The Unicode Standard, 3.13, table 3-17), as `str.lower` has it, in RE2's classes: a capital sigma after a
# letter with case and before none, over what case ignores. Cased are, of what it does not ignore, the letters of these
# categories and what PropList.txt adds; ignored are marks, format characters, modifiers, and Word_Break's MidLetter,
# MidNumLet and Single_Quote.
SIGMA, FINAL_SIGMA = "\u03a3", "\u03c2"
CASED = (
    r"[\p{Lu}\p{Ll}\p{Lt}\x{AA}\x{BA}\x{2160}-\x{217F}\x{24B6}-\x{24E9}"
    r"\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}]"
)
IGNORED = (
    r"[\p{Mn}\p{Me}\p{Cf}\p{Lm}\p{Sk}'.:\x{B7}\x{387}\x{55F}\x{5F4}\x{2018}\x{2019}\x{2024}\x{2027}"
    r"\x{FE13}\x{FE52}\x{FE55}\x{FF07}\x{FF0E}\x{FF1A}]"
)
# Capitals of Unicode 14, which TensorFlow's own ICU does not know, and TensorFlow Text's does. Unicode 15 has no others.
YOUNG = CodePoints.parse("2C2F A7C0 A7D0 A7D6 A7D8 10570-1057A 1057C-1058A 1058C-10592 10594-10595")
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
    if SIGMA in text:
        text = "".join(_sigma(text, i) if c == SIGMA else c for i, c in enumerate(text))
    return text.translate(_tables()["lower"])


def lower_case(character: str) -> str:
    """Return the full lower case of one character by itself, as Unicode 15 has it."""
    return case_folded(character) if ord(character) in YOUNG else _tables()["lower"].get(ord(character), character)


@cache
def capitals() -> tuple[str, ...]:
    """Every character that `lower_case` changes, in order."""
    young = (code for low, high in YOUNG.ranges for code in range(low, high + 1))
    return tuple(map(chr, sorted({*_tables()["lower"], *young})))


def uppered(text: str) -> str:
    """Return a text in upper case."""
    return text.upper() if text.isascii() else text.translate(_tables()["upper"])


def _sigma(text: str, at: int) -> str:
    """A capital sigma at the end of a word has a form of its own (Final_Sigma, Unicode 3.13, table 3-17)."""
    before = text[max(0, at - _CONTEXT) : at]
    return (before + text[at : at + _CONTEXT]).lower()[len(before.lower())]
