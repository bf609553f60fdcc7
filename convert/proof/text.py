"""Texts and numbers as a reader can see them, whatever is in them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_UP, Context

from hub2hf.proof.record import PARTLY, TRAPS, UNKNOWN, Cause

CONTROLS = {"\n": "NEW LINE", "\r": "CARRIAGE RETURN", "\t": "TAB"}  # which Unicode gives no name
ASCII = str.maketrans({"≠": "!=", "…": "...", "⟨": "<", "⟩": ">", "×": "x"})  # for who cannot show our signs
JOINERS = "\u200c\u200d"  # part of the spelling in Persian, of Indic scripts and of emoji
BLANK_LETTERS = "\u034f\u115f\u17b4\u17b5\u2800\u3164\uffa0"  # letters, marks and a sign that show nothing
OTHERS = {
    TRAPS: "the traps (texts that ports get wrong)",
    UNKNOWN: "the sentences of no stated language",
    PARTLY: "parts of other languages",
}  # stand in the place of a language
NAMED = 3  # languages are named up to here, and counted beyond
PLAIN = 1e-3  # differences from here on are written without an exponent
STAGES = {
    "ids": "token ids",
    "truncation": "truncation",
    "embeddings": "sum of the embeddings, before the first layer",
    "embedding": "sentence embedding (pooling, dense layers, normalisation)",
    "": "not known",
}


def pieces(text: str, limit: int | None = None) -> Iterator[tuple[str, bool]]:
    """Yield what to show for `text`, and whether it is a name such as `⟨SOFT HYPHEN⟩` for what cannot be seen.

    Named are controls, format characters, white space other than single spaces inside, unassigned and private code points,
    half surrogate pairs and marks without a letter. Joiners stay between letters, where the spelling has them.

    Args:
        text: anything.
        limit: characters shown of it; what is left out is counted.
    """
    if not text:
        yield "(empty text)", True
    shown = text if limit is None or len(text) <= limit else text[: limit - 1].rstrip(" ")
    at = 0
    while at < len(shown):
        end = at + 1
        if _visible(shown, at):
            yield shown[at], False
        else:
            while shown[end : end + 1] == shown[at] and not _visible(shown, end):
                end += 1
            yield _name(shown[at], end - at), True
        at = end
    if len(shown) < len(text):
        yield f"… ({len(text):,} characters)", True


def _name(character: str, times: int) -> str:
    name = CONTROLS.get(character) or unicodedata.name(character, f"U+{ord(character):04X}")
    return f"⟨{name} × {times}⟩" if times > 1 else f"⟨{name}⟩"


def _visible(text: str, at: int) -> bool:
    """Whether the character at `at` shows as itself."""
    character, category = text[at], unicodedata.category(text[at])
    before = text[at - 1] if at else " "
    after = text[at + 1] if at + 1 < len(text) else " "
    if character == " ":
        return before != " " and at + 1 < len(text)
    if character in JOINERS:
        return all(unicodedata.category(side)[0] in "LMS" and not side.isascii() for side in (before, after))
    if category[0] == "M" and unicodedata.category(before)[0] in "ZC" and before not in JOINERS:
        return False
    return category[0] not in "CZ" and character not in BLANK_LETTERS


def printable(text: str, limit: int | None = None) -> str:
    """Return `text` on one line with nothing invisible in it."""
    return "".join(piece for piece, _ in pieces(text, limit))


def number(value: float) -> str:
    """Return a difference in two digits, never smaller than it is: 3.8e-07, 0.013, 0.50; what is no number, in words."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite"
    if not value:
        return "0"
    rounded = Context(prec=2, rounding=ROUND_UP).create_decimal(repr(float(value)))
    return f"{float(rounded):.1e}" if float(rounded) < PLAIN else f"{float(rounded):#.2g}"


def cosine(value: float | None) -> str:
    """Return a cosine in three digits, never larger than it is; "" where there is none."""
    if value is None:
        return ""
    return f"{math.floor(value * 1000 + 1e-3) / 1000:.3f}" if math.isfinite(value) else number(value)


def share(cause: Cause) -> str:
    """Return how much of the mean difference a cause alone makes: ` (58 %)`; "" where that was not measured."""
    if cause.share is None:
        return ""
    if not cause.likely:
        return " (differs, but is no cause by itself)"
    return f" ({cause.share:.0%})".replace("%", " %") if cause.share >= 0.01 else " (under 1 %)"


def tolerance(value: float) -> str:
    """Return a tolerance in as few digits as say it exactly: 2e-06, 0.13."""
    if not PLAIN <= value < math.inf:
        digits = (f"{value:.{n}e}" for n in range(17))
        return next(text for text in digits if float(text) == value) if 0 < value < math.inf else number(value)
    return f"{value:g}"


def stage(name: str) -> str:
    """Return the name of a stage in words."""
    return STAGES.get(name, printable(name))


def join(names: Sequence[str]) -> str:
    """Return `a`, `a and b` or `a, b and c`."""
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


def count(number_of: int, thing: str) -> str:
    """Return `1 sentence` or `1,000 sentences`."""
    return f"{number_of:,} {thing}{'' if number_of == 1 else 's'}"


def where(some: Iterable[str], every: Iterable[str]) -> str:
    """Return in words which of the languages `every` are in `some`: `de and ja`, or `37 of 109 languages and the traps`."""
    found = set(some)
    part, whole = found - OTHERS.keys(), set(every) - OTHERS.keys()
    if part and len(whole) <= NAMED:
        languages = [printable(name) for name in sorted(part)]
    elif part:
        languages = [f"{f'all {len(whole):,}' if part == whole else f'{len(part):,} of {len(whole):,}'} languages"]
    else:
        languages = []
    return join(languages + [words for name, words in OTHERS.items() if name in found])


def more(rest: Iterable[str]) -> str:
    """Return how many languages are not shown: `96 more languages and the traps`."""
    found = set(rest)
    languages = [count(len(found - OTHERS.keys()), "more language")] if found - OTHERS.keys() else []
    return join(languages + [words for name, words in OTHERS.items() if name in found])


def language_tag(language: str) -> str:
    """Return `language` if it can stand in HTML's `lang`, else the empty tag, which says that it is not known."""
    good = language not in OTHERS and re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", language)
    return language if good else ""
