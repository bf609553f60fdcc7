"""Texts that end at a null character: TF.Text's RegexSplitWithOffsets takes a text for a C string, and loses what follows.

No rule over words tells that, so it is told apart from them: texts are cut first, and words are asked without U+0000.
"""

from __future__ import annotations

from hub2hf.blueprint.asked.oracle import CYRILLIC, LATIN, Heard, Oracle
from hub2hf.blueprint.text import ReplacePattern

NULL = 0
FROM_NULL = r"\x00[\x{0}-\x{10FFFF}]*"
SHOWING = (f"{LATIN}\0{CYRILLIC} {LATIN}", f"{LATIN} \0\0{LATIN}", f"\0{LATIN}", "\0", f"{LATIN}\n{LATIN}\0\n{LATIN}")


def ends_at_null(oracle: Oracle) -> bool:
    """Tell whether a graph drops what follows a null character, and the character itself."""
    heard = oracle.hear([LATIN, f"{LATIN}\0{CYRILLIC}"])
    return heard[0].words == heard[1].words


def cut_at_null(evidence: str) -> ReplacePattern:
    """Return the operation that such a graph begins with."""
    return ReplacePattern(FROM_NULL, "", evidence)


def shown(oracle: Oracle) -> list[Heard]:
    """Return what the graph makes of texts that show it."""
    return oracle.hear(SHOWING)
