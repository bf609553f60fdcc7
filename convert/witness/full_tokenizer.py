"""BERT's FullTokenizer written out in plain Python, as google-research/bert describes it: what its rules are held against.

Nothing is compiled here, and no table is hub2hf's own: categories and NFD are those of Python's `unicodedata`, lower case
and white space those of its `str`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Final

LINES: Final = "\t\n\r"  # controls that part words
IDEOGRAPHS: Final = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
LONGEST: Final = 200  # characters of a word
UNKNOWN, SUFFIX = "[UNK]", "##"


def full_tokenizer(vocabulary: Mapping[str, int], lower: bool) -> Callable[[str], list[int]]:
    """Return what makes ids of a text, without [CLS] and [SEP].

    Args:
        vocabulary: piece → id.
        lower: whether text is lower-cased and loses its accents.
    """
    return lambda text: [vocabulary[piece] for word in words(text, lower) for piece in _pieces(word, vocabulary)]


def words(text: str, lower: bool) -> Iterator[str]:
    """Yield the words of a text: what stands between white space, cut at punctuation and ideographs."""
    cleaned = "".join(map(_cleaned, text))
    for word in cleaned.split():
        changed = _without_accents(word.lower()) if lower else word
        for alone, run in groupby(changed, _is_punctuation):
            joined = "".join(run)
            yield from joined if alone else [joined]


def _cleaned(character: str) -> str:
    if character in LINES or unicodedata.category(character) == "Zs":
        return " "
    if character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf"):
        return ""
    ideograph = any(low <= ord(character) <= high for low, high in IDEOGRAPHS)
    return f" {character} " if ideograph else character


def _without_accents(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn")


def _is_punctuation(character: str) -> bool:
    sign = "!" <= character <= "~" and not character.isalnum()
    return sign or unicodedata.category(character).startswith("P")


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    """Return the longest pieces from left to right; the unknown one where they do not make the whole word."""
    found: list[str] = []
    at = 0
    while len(word) <= LONGEST and at < len(word):
        prefix = SUFFIX if at else ""
        end = next((end for end in range(len(word), at, -1) if prefix + word[at:end] in vocabulary), None)
        if end is None:
            break
        found.append(prefix + word[at:end])
        at = end
    return found if at == len(word) else [UNKNOWN]
