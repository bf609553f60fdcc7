"""Normalization and case folding as TensorFlow Text's ICU does them, by `unicodedata2` and `idna`.

ICU's NFKC_Casefold is what UTS 46 maps names of domains with (https://www.unicode.org/reports/tr46/), but for the few
characters that names may not have or keep, and those are in `differences.txt`.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

from hub2hf.errors import GraphError

from .differences import folded, inert, versions
from .points import asked

FORMS: Final = ("NFC", "NFD", "NFKC", "NFKD")
UNICODE: Final = "18.0.0"  # of unicodedata2: another knows other characters, and `inert` is not told for it
STAND_IN: Final = 0xD800  # surrogates stand for what is inert: no text has them, and no normalization changes them


def normalized(text: str, form: str) -> str:
    """`text` in one of `FORMS`; it holds no surrogates.

    Raises:
        GraphError: the installed unicodedata2 is of another Unicode version.
    """
    if text.isascii():
        return text
    normalize = _unicodedata().normalize
    if inert().isdisjoint(text):
        return str(normalize(form, text))
    there, back = _stand_ins()
    return str(normalize(form, text.translate(there)).translate(back))


def case_folded(text: str) -> str:
    """`text` folded by NFKC_Casefold, and composed."""
    if text.isascii():
        return text.lower()
    return normalized("".join(map(folded_character, text)), "NFC")


@lru_cache(maxsize=1 << 16)
def folded_character(character: str) -> str:
    """What NFKC_Casefold makes of one character; may be nothing, or several."""
    import idna  # only graphs that fold case pay for it

    known = folded().get(character)
    if known is not None:
        return known
    try:
        return idna.uts46_remap(character, std3_rules=False)
    except idna.IDNAError:  # it may stand in no name
        return character


@cache
def marks() -> dict[str, int]:
    """The characters that normalization sorts and does not change, each with its combining class."""
    combining = _unicodedata().combining
    found = {character: int(combining(character)) for character in map(chr, asked().tolist())}
    return {c: number for c, number in found.items() if number and c not in inert() and normalized(c, "NFD") == c}


@cache
def _unicodedata() -> Any:
    import unicodedata2

    if unicodedata2.unidata_version != UNICODE:
        raise GraphError(
            f"unicodedata2 is of Unicode {unicodedata2.unidata_version}, not {UNICODE}: {versions()}.",
            f"Install unicodedata2=={UNICODE}.",
        )
    return unicodedata2


@cache
def _stand_ins() -> tuple[dict[int, int], dict[int, int]]:
    there = {ord(character): STAND_IN + place for place, character in enumerate(sorted(inert()))}
    return there, {other: point for point, other in there.items()}


def decomposed(character: str) -> str:
    """What NFD makes of one character."""
    return normalized(character, "NFD")
