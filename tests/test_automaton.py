"""Rules about whole words, written as regexes: RE2 says which words a pattern matches, Oniguruma what became of it."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
import re2
from tokenizers import Regex, pre_tokenizers

from hub2hf.unicode.automaton import full_match, to_pattern, to_regex
from hub2hf.unicode.re2 import parse
from hub2hf.unicode.tables import whitespace

SETS = ("a", "b", "c", "d", "[ab]", "[^ab]", "[bcd]", ".")
PATTERNS = 60


def generated(source: Random, depth: int) -> str:
    kind = source.random()
    if depth == 0 or kind < 0.3:
        return source.choice(SETS)
    if kind < 0.6:
        return generated(source, depth - 1) + generated(source, depth - 1)
    if kind < 0.75:
        return f"(?:{generated(source, depth - 1)}|{generated(source, depth - 1)})"
    return f"(?:{generated(source, depth - 1)}){source.choice('*+?')}"


def words(source: Random) -> list[str]:
    short = ["".join(word) for length in (2, 3) for word in product("abcz", repeat=length)]
    return short + ["".join(source.choices("abcdz", k=source.choice((4, 5, 9)))) for _ in range(60)]


@pytest.mark.parametrize("seed", range(PATTERNS))
def test_every_pattern_is_written_as_what_it_matches(seed: int) -> None:
    source = Random(seed)
    pattern = generated(source, 4)
    automaton = full_match((parse(pattern, "test"),), ~whitespace())
    regex, written = to_regex(automaton, "(?![^ ])"), to_pattern(automaton)
    assert regex is not None
    assert written is not None
    whole, again = re2.compile(pattern), re2.compile(written)
    split = pre_tokenizers.Split(Regex(rf"\A(?={regex})."), "isolated")  # parts the first character from the rest
    for word in words(source):
        wanted = whole.fullmatch(word) is not None
        assert (again.fullmatch(word) is not None) == wanted, word
        assert automaton.accepts(word) == wanted, word
        assert (len(split.pre_tokenize_str(word)) > 1) == wanted, word
        assert not wanted or any(ord(character) in automaton.needed for character in word), word


@pytest.mark.parametrize(
    ("pattern", "needed"), [("[ab]+", "ab"), (".*x.*", "x"), ("a*", "a"), ("a.*b|c", "bc"), ("(?:ab)?c*", "bc")]
)
def test_what_every_accepted_word_has(pattern: str, needed: str) -> None:
    automaton = full_match((parse(pattern, "test"),), ~whitespace())
    assert {chr(code) for low, high in automaton.needed.ranges for code in range(low, high + 1)} == set(needed)
