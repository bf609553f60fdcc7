"""Rules about words are learned from answers alone: each of these is answered by a function that the learner never sees."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

import pytest

from hub2hf.blueprint.asked.learn import Learned, Questions, learn
from hub2hf.blueprint.vocabulary.tables import told_apart
from hub2hf.unicode.automaton import Automaton, TooComplexError, to_pattern, words_matching
from hub2hf.unicode.codepoints import CodePoints, union

POINTS = "abcdefghij0123456789.,!?"
RULES: dict[str, Callable[[str], bool]] = {
    "never": lambda word: False,
    "always": lambda word: True,
    "any": lambda word: any(c.isdigit() for c in word),
    "all": lambda word: all(c in ".,!?" for c in word),
    "first": lambda word: word[0] in "abc",
    "any of two or all of one": lambda word: "a" in word or "0" in word or all(c in ".," for c in word),
    "first but not all": lambda word: word[0].isdigit() and not all(c.isdigit() for c in word),
    "short": lambda word: len(word) < 4,
    "short, of digits": lambda word: len(word) <= 3 and word.isdigit(),
    "exactly one point": lambda word: word.count(".") == 1,
    "last": lambda word: word[-1] == "a",
    "first and last": lambda word: word[0] == "a" and word[-1] == "a",
    "even length": lambda word: len(word) % 2 == 0,
    "last but one": lambda word: word[-2] in "abc",
}
# What no automaton tells.
HOPELESS: dict[str, Callable[[str], bool]] = {
    "reversed": lambda word: word == word[::-1],
    "as many of one as of another": lambda word: word.count("a") == word.count("b"),
}


def answered(asking: Questions, rule: Callable[[str], bool]) -> tuple[Learned, int]:
    """Run a learner; return the rule and how many words it asked about."""
    count = 0
    words: Sequence[str] = next(asking)
    while True:
        count += len(words)
        assert all(len(word) > 1 for word in words)
        try:
            words = asking.send([rule(word) for word in words])
        except StopIteration as stop:
            return stop.value, count


def pattern_of(learned: Learned) -> str | None:
    codes = [union(CodePoints.single(ord(c)) for c in members) for members in learned.classes]
    edges: list[dict[int, CodePoints]] = []
    for row in learned.moves:
        targets: dict[int, CodePoints] = {}
        for letter, target in enumerate(row):
            targets[target] = targets.get(target, CodePoints()) | codes[letter]
        edges.append(targets)
    return to_pattern(Automaton(0, learned.accepting, tuple(edges)))


def random_words(count: int = 3000) -> list[str]:
    source = Random(7)
    return ["".join(source.choices(POINTS, k=source.randint(2, 9))) for _ in range(count)]


@pytest.mark.parametrize("name", RULES)
def test_learns_the_rule_and_writes_it_as_a_pattern(name: str) -> None:
    rule = RULES[name]
    learned, asked = answered(learn(list(POINTS)), rule)
    assert asked < 6000
    letter = {c: i for i, members in enumerate(learned.classes) for c in members}
    pattern = pattern_of(learned)
    plain = re.sub(r"\\x\{([0-9A-F]+)\}", lambda code: f"\\U{int(code[1], 16):08X}", pattern or "(?!)")
    automaton = words_matching((pattern,), "test") if pattern is not None else None
    for word in random_words():
        assert learned.holds([letter[c] for c in word]) == rule(word), word
        assert (re.fullmatch(plain, word) is not None) == rule(word), word
        assert (automaton is not None and automaton.accepts(word)) == rule(word), word


def test_a_hint_is_taken_only_where_it_holds() -> None:
    """Each rule is learned right with all rules as hints, and its own saves questions."""
    alone = {name: answered(learn(list(POINTS)), rule) for name, rule in RULES.items()}
    hints = [learned for learned, _ in alone.values()]
    for name, rule in RULES.items():
        learned, asked = answered(learn(list(POINTS), hints=hints), rule)
        letter = {c: i for i, members in enumerate(learned.classes) for c in members}
        assert all(learned.holds([letter[c] for c in word]) == rule(word) for word in random_words()), name
        _, asked_with_its_own = answered(learn(list(POINTS), hints=[alone[name][0]]), rule)
        assert asked_with_its_own <= alone[name][1], name
        assert asked >= asked_with_its_own, name
    assert answered(learn(list(POINTS), hints=[alone["any"][0]]), RULES["any"])[1] < alone["any"][1]


@pytest.mark.parametrize("name", HOPELESS)
def test_what_is_no_small_rule_is_refused_or_not_learned(name: str) -> None:
    rule = HOPELESS[name]
    with pytest.raises(TooComplexError):
        learned, _ = answered(learn(list("abc")), rule)
        pattern_of(learned)


def test_of_keys_in_a_row_with_one_value_a_table_tells_the_ends() -> None:
    han = dict.fromkeys(range(0x4E00, 0x9FF0), 1)
    assert told_apart({**han, 0x9FF0: 2, 0xA000: 2}) == {0x4E00, 0x9FEF, 0x9FF0, 0xA000}
    assert told_apart({b"a": 1, b"b": 1, b"c": 1, b"de": 1}) == {*map(ord, "acde")}
