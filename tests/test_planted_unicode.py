"""Faults planted in the Unicode tables and the parser that the tokenizer is compiled from: each must refuse the model."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import hub2hf
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.text import (
    CaseFold,
    Normalize,
    ReplacePattern,
    SplitDelimiters,
    TextBlueprint,
)
from hub2hf.blueprint.text_side.convention import CONTROLS, DELIMITERS, KEPT, MARKS
from hub2hf.errors import GraphError
from hub2hf.folder.agreement import prove_tables
from hub2hf.folder.tokenizer_proof import prove_tokenizer
from hub2hf.unicode import automaton, folding, re2, tables
from hub2hf.unicode.codepoints import CodePoints

SEED, SAMPLES = 9, 6
CLASSES = ("Cf", "Cc", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So")
Plant = Callable[[str, str, str], None]


def _modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith(("hub2hf.unicode.", "hub2hf.tokenizer."))]


def _forget() -> None:
    """What was made of the tables is made anew."""
    lines = tables._lines
    for module in _modules():
        for function in vars(module).values():
            if hasattr(function, "cache_clear") and function is not lines and function is not folding._sections:
                function.cache_clear()


@pytest.fixture
def fresh() -> Iterator[None]:
    _forget()
    yield
    _forget()


@pytest.fixture
def plant(fresh: None, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Write other ranges into a table."""
    return lambda kind, name, ranges: monkeypatch.setitem(tables._lines()[kind], name, ranges)


@pytest.fixture(scope="module")
def lealla() -> Blueprint:
    return hub2hf.Source.find("lealla-mini").blueprint


@pytest.fixture(scope="module")
def bert(lealla: Blueprint) -> TextBlueprint:
    """The text operations of a lower-cased BERT."""
    steps = (
        CaseFold("fold"),
        Normalize("NFD", "nfd"),
        ReplacePattern(MARKS, "", "marks"),
        ReplacePattern(CONTROLS, " ", "controls"),
        SplitDelimiters(DELIMITERS, KEPT, "split"),
    )
    return replace(lealla.text, operations=(*steps, *lealla.text.operations[-2:]))


def test_the_tables_as_they_are_agree(lealla: Blueprint, bert: TextBlueprint, fresh: None) -> None:
    prove_tokenizer(lealla)
    prove_tables(bert)


def _dropped() -> Iterator[tuple[str, str, int]]:
    """Some ranges of each class, and one of every script and of the white space."""
    draw = random.Random(SEED)
    lines = tables._lines()
    for name in CLASSES:
        count = len(lines["re2_category"][name].split())
        yield from (("re2_category", name, place) for place in sorted(draw.sample(range(count), min(SAMPLES, count))))
    han = lines["re2_script"]["Han"].split()
    yield from (("re2_script", "Han", place) for place in range(len(han)))
    for name, ranges in lines["icu_script"].items():
        yield "icu_script", name, draw.randrange(len(ranges.split()))
    yield from (("icu_whitespace", "-", place) for place in range(len(lines["icu_whitespace"]["-"].split())))


@pytest.mark.parametrize(("kind", "name", "place"), list(_dropped()))
def test_a_range_that_is_dropped(kind: str, name: str, place: int, plant: Plant, lealla: Blueprint) -> None:
    ranges = tables._lines()[kind][name].split()
    plant(kind, name, " ".join(ranges[:place] + ranges[place + 1 :]))
    with pytest.raises(GraphError, match=r"U\+" + ranges[place].split("-")[0].rjust(4, "0")):
        prove_tokenizer(lealla)


def test_two_scripts_that_are_swapped(plant: Plant, lealla: Blueprint) -> None:
    lines = tables._lines()["icu_script"]
    hiragana, katakana = lines["Hiragana"], lines["Katakana"]
    plant("icu_script", "Hiragana", katakana)
    plant("icu_script", "Katakana", hiragana)
    with pytest.raises(GraphError, match="the script"):
        prove_tokenizer(lealla)


@pytest.mark.parametrize(("more", "less"), [(1, 0), (0, 1), (-1, 0), (0, -1)])
def test_ends_of_a_range_that_are_off_by_one(more: int, less: int, plant: Plant, lealla: Blueprint) -> None:
    ranges = tables._lines()["re2_category"]["Sm"].split()
    low, _, high = ranges[-3].partition("-")
    ranges[-3] = f"{int(low, 16) + less:X}-{int(high or low, 16) + more:X}"
    plant("re2_category", "Sm", " ".join(ranges))
    with pytest.raises(GraphError, match=r"U\+"):
        prove_tokenizer(lealla)


def test_a_parser_that_reads_a_class_wrong(monkeypatch: pytest.MonkeyPatch, fresh: None, lealla: Blueprint) -> None:
    """The tables are right, and what the parser makes of them is not."""
    right = re2._Parser.property_class
    wrong = CodePoints.parse("AD")
    monkeypatch.setattr(re2._Parser, "property_class", lambda self, negated: right(self, negated) - wrong)
    with pytest.raises(GraphError, match=r"U\+00AD.*in the pattern"):
        prove_tokenizer(lealla)


def test_a_bracket_that_is_off_by_one(monkeypatch: pytest.MonkeyPatch, fresh: None, bert: TextBlueprint) -> None:
    def item(parser: re2._Parser) -> CodePoints:
        found = right(parser)
        return CodePoints(tuple((low, high - 1) if high == 0x9FFF else (low, high) for low, high in found.ranges))

    right = re2._Parser.bracket_item
    monkeypatch.setattr(re2._Parser, "bracket_item", item)
    with pytest.raises(GraphError, match=r"U\+9FFF"):
        prove_tables(bert)


def test_white_space_of_perl_with_a_tab_too_many(
    monkeypatch: pytest.MonkeyPatch, fresh: None, bert: TextBlueprint
) -> None:
    monkeypatch.setitem(re2.PERL, "s", CodePoints.parse("9-D 20"))
    with pytest.raises(GraphError, match=r"U\+000B"):
        prove_tables(bert)


def test_an_automaton_that_forgets_a_part(monkeypatch: pytest.MonkeyPatch, fresh: None, lealla: Blueprint) -> None:
    right = automaton._partition
    part = CodePoints.parse("4E00")
    monkeypatch.setattr(automaton, "_partition", lambda sets, every: right([codes - part for codes in sets], every))
    with pytest.raises(GraphError):
        prove_tokenizer(lealla)


@pytest.mark.parametrize("character", ["Ａ", "ß", "\u200d", "Ꭰ", "ǰ"])
def test_a_wrong_fold(character: str, monkeypatch: pytest.MonkeyPatch, fresh: None, bert: TextBlueprint) -> None:
    monkeypatch.setitem(folding._tables()["casefold"], ord(character), "x")
    with pytest.raises(GraphError, match=f"U\\+{ord(character):04X}.*case folding"):
        prove_tables(bert)


def test_a_wrong_decomposition(monkeypatch: pytest.MonkeyPatch, fresh: None, bert: TextBlueprint) -> None:
    monkeypatch.delitem(folding._tables()["nfd"], ord("é"))
    with pytest.raises(GraphError, match=r"U\+00E9.*NFD"):
        prove_tables(bert)


def test_a_mark_of_the_wrong_class(monkeypatch: pytest.MonkeyPatch, fresh: None, bert: TextBlueprint) -> None:
    classes = folding.mark_classes()
    monkeypatch.setitem(classes, "\u0327", classes["\u0301"])
    with pytest.raises(GraphError, match=r"U\+0327.*combining class"):
        prove_tables(bert)


def test_convert_refuses_and_writes_nothing(plant: Plant, tmp_path: Path) -> None:
    ranges = tables._lines()["re2_category"]["Cf"].split()
    plant("re2_category", "Cf", " ".join(ranges[:3] + ranges[4:]))
    with pytest.raises(GraphError):
        hub2hf.convert("lealla-mini", tmp_path / "out")
    assert not (tmp_path / "out").exists()
