"""Where the token ids of a candidate depart from the graph's, and which text rule of the graph it lacks there."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hub2hf.equivalence.recording import Recording
from hub2hf.surfaces.transformers import Pooled

IDS, TRUNCATION = "ids", "truncation"  # the stages before all others

SPECIAL = ("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]")
SameIds = Callable[[str, str], bool]


@dataclass(frozen=True)
class OtherIds:
    """How the ids of one sentence differ.

    Attributes:
        stage: "ids", or "truncation" where they are the same up to where the graph cuts.
        detail: what is seen of it, for people.
        near: the characters behind the first piece that is another, with one more on each side.
        rule: the rule that is likely missing.
    """

    stage: str
    detail: str
    near: str
    rule: str


def other_ids(loaded: Pooled, recording: Recording, found: list[int]) -> OtherIds:
    """Return how `found` differs from the ids of the one sentence of `recording`."""
    (expected,), text = recording.ids, recording.sentences[0].text
    whole = loaded.tokenizer([text], truncation=False)["input_ids"][0]
    if whole == expected or (len(expected) == recording.max_length and whole[: len(expected) - 1] == expected[:-1]):
        cut = f"{len(found)} pieces of {len(whole)}, of which the graph keeps the first {len(expected)}"
        return OtherIds(TRUNCATION, cut, "", f"truncation: the graph keeps {recording.max_length} pieces")
    at = next((i for i, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return OtherIds(IDS, f"{len(found)} pieces in place of {len(expected)}", "", _rule(text, ""))
    start, end = _span(loaded.tokenizer, text, at)
    near = text[start:end]
    wanted, got = loaded.tokenizer.convert_ids_to_tokens([expected[at], found[at]])
    told = f"piece {at} is “{got}” ({found[at]}) in place of “{wanted}” ({expected[at]}), from “{near}”"
    return OtherIds(IDS, told, near, _rule(text, near))


def _span(tokenizer: Any, text: str, at: int) -> tuple[int, int]:
    """Return the characters behind piece number `at`, with one more on each side; all of them where that is not told."""
    if not tokenizer.is_fast:
        return 0, len(text)
    offsets = tokenizer(text, return_offsets_mapping=True, truncation=True)["offset_mapping"]
    start, end = offsets[min(at, len(offsets) - 2)]
    return max(start - 1, 0), max(end, start) + 1


def _has(categories: str) -> SameIds:
    return lambda text, near: any(unicodedata.category(c) in categories.split() for c in near)


# What a text rule of the graph does, and how to tell from a sentence and the characters at its first difference that a
# candidate lacks it; the first that holds is named.
RULES: tuple[tuple[str, SameIds], ...] = (
    ("literal special tokens are plain text", lambda text, near: any(token in text for token in SPECIAL)),
    ("control and format characters are deleted (ZWNJ, soft hyphen, …)", _has("Cc Cf")),
    ("a word of too many UTF-8 bytes is unknown", lambda text, near: any(len(w.encode()) > 100 for w in text.split())),
    ("combining marks are a script of their own", _has("Mn Mc Me")),
    ("hiragana, katakana and Han are three scripts", lambda text, near: any(_is_kana(c) for c in near)),
    ("emoji and signs", _has("So Sk Sm Sc")),
    ("no case folding, no accent stripping", lambda text, near: near not in (near.lower(), _decomposed(near))),
    ("punctuation and digits join across spaces, and split by script only", _has("Po Pd Ps Pe Pi Pf Pc Nd No Nl Zs")),
)


def _rule(text: str, near: str) -> str:
    name = next((name for name, holds in RULES if holds(text, near)), "another text rule")
    return f"tokenizer rule: {name}"


def _is_kana(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("HIRAGANA", "KATAKANA"))


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)
