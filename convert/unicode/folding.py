"""Case folding and decomposition as TensorFlow Text does them, character by character.

`folding_tables.txt` is written by `scripts/build_folding_tables.py`, which asks TensorFlow about every code point.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from .codepoints import CodePoints

# The Unicode standard, section 3.12, "Conjoining Jamo Behavior".
_SYLLABLE, _LEADING, _VOWEL, _TRAILING = 0xAC00, 0x1100, 0x1161, 0x11A7
_VOWELS, _TRAILINGS, _SYLLABLES = 21, 28, 11172


@cache
def _sections() -> dict[str, list[str]]:
    text = resources.files(__package__).joinpath("folding_tables.txt").read_text(encoding="ascii")
    sections: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            section.append(line)
    return sections


@cache
def _tables() -> dict[str, dict[int, str]]:
    lines = {name: _sections()[name] for name in ("casefold", "nfd")}
    return {name: {code: text for line in lines[name] for code, text in _run(line).items()} for name in lines}


def _run(line: str) -> dict[int, str]:
    span, _, target = line.partition(":")
    span, _, step = span.partition("/")
    low, _, high = span.partition("-")
    first, last, by = int(low, 16), int(high or low, 16), int(step or "1")
    points = [int(point, 16) for point in target.split("+") if point]
    if first == last:
        return {first: "".join(map(chr, points))}
    return {code: chr(points[0] + code - first) for code in range(first, last + 1, by)}


def case_folded(character: str) -> str:
    """What `CaseFoldUTF8` (ICU's NFKC_Casefold) makes of one character; may be nothing, or several."""
    return _tables()["casefold"].get(ord(character), character)


def decomposed(character: str) -> str:
    """What `NormalizeUTF8` makes of one character in the form NFD."""
    at = ord(character) - _SYLLABLE
    if not 0 <= at < _SYLLABLES:
        return _tables()["nfd"].get(ord(character), character)
    vowel = _VOWEL + at // _TRAILINGS % _VOWELS
    jamo = chr(_LEADING + at // (_VOWELS * _TRAILINGS)) + chr(vowel)
    return jamo + chr(_TRAILING + at % _TRAILINGS) if at % _TRAILINGS else jamo


@cache
def folded_characters() -> tuple[str, ...]:
    """Every character that folding or decomposition changes, in order."""
    tables = _tables()
    codes = {*tables["casefold"], *tables["nfd"], *range(_SYLLABLE, _SYLLABLE + _SYLLABLES)}
    return tuple(map(chr, sorted(codes)))


@cache
def mark_classes() -> dict[str, int]:
    """The marks that `NormalizeUTF8` sorts in the form NFD, each with the place of its combining class among all."""
    return {c: place for place, line in enumerate(_sections()["marks"]) for c in _characters(line)}


@cache
def unsorted_marks() -> frozenset[str]:
    """Those of `mark_classes` that the NFD of `tokenizers`, of an older Unicode, does not sort."""
    return frozenset(c for line in _sections()["unsorted"] for c in _characters(line))


@cache
def uncomposed() -> frozenset[str]:
    """What folding composes and the NFC of `tokenizers` does not, and what it begins with when it is decomposed."""
    return frozenset(c for line in _sections()["uncomposed"] for c in _characters(line))


def _characters(line: str) -> list[str]:
    return [chr(code) for low, high in CodePoints.parse(line).ranges for code in range(low, high + 1)]
