"""The file for JavaScript, run by Node: the ids of the Rust library, which is held against TensorFlow elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import shared
from builders.javascript import LIBRARIES, is_installed
from builders.oracles import bert_operations, folding_operations, over, standard_operations
from fuzz_tokenizer import CompiledSide, alphabet_vocabulary, byte_limit_words, compare, families, javascript_ids
from test_tokenizer_against_tensorflow import FOLDED, HARD, LENGTH, OTHERS

from hub2hf.blueprint.text import Pack, ReplacePattern, SplitScripts, TextBlueprint, WordPiece
from hub2hf.errors import GraphError
from hub2hf.tokenizer import read_vocabulary
from hub2hf.tokenizer.engine import CharacterMap
from hub2hf.tokenizer.javascript import JavaScript

RULES: dict[str, tuple[TextBlueprint, int]] = {  # and the size of the sample: folding takes three times as long
    "lealla": (standard_operations(), 250),
    "cased": (bert_operations(lower_case=False), 250),
    "uncased": (bert_operations(lower_case=True), 600),
    "words uncased": (folding_operations(), 600),
}
MOST = 5_000

in_node = pytest.mark.skipif(not is_installed(), reason="make test installs Node's packages")


@in_node
def test_fuzzed_texts_have_the_same_ids(tmp_path: Path) -> None:
    vocabulary, compared = alphabet_vocabulary(tmp_path), dict.fromkeys(LIBRARIES, 0)
    for rules, (text, sample) in RULES.items():
        whole = over(text, vocabulary)
        compiled, pieces = CompiledSide(whole, tmp_path), read_vocabulary(whole.vocabulary).pieces
        for library in LIBRARIES:
            fewer = 3 if library == LIBRARIES[0] else 30  # of `make fuzz`; the other runs the same code
            with javascript_ids(whole, library) as ids:
                for family, texts in families(whole, pieces, sample * fewer, shared.turn()):
                    count, different = compare(texts(), compiled, ids)
                    assert not different, (library, rules, family, shared.turn())
                    compared[library] += count
    assert min(compared[LIBRARIES[0]], 6 * compared[LIBRARIES[1]]) > MOST


@in_node
def test_odd_foldings_and_what_stands_between_marks(tmp_path: Path) -> None:
    text = replace(bert_operations(lower_case=True), vocabulary=alphabet_vocabulary(tmp_path))
    marks = [f"a{a}{b}{c}x" for a in MARKS for b in MARKS for c in MARKS]
    with javascript_ids(text, LIBRARIES[0]) as ids:
        _, different = compare(
            [*FOLDED, *(a + b for a in FOLDED for b in FOLDED), *marks], CompiledSide(text, tmp_path), ids
        )
    assert not different


MARKS = (
    *("\u0301", "\u0327"),  # deleted
    *("\u302e", "\u1b44", "\u0897", "\U00010d69", "\U0001e5ee"),  # kept, of several combining classes, some of them new
    *("\u20dd", "\u00ad"),  # of no class, deleted and not
    *("\u1acf", "\u0378", "\ue000"),  # unknown to TensorFlow Text; the first is a mark in Unicode 17
    "\u0345",  # a mark that is folded to a letter
)


@in_node
@pytest.mark.parametrize("name", OTHERS)
def test_other_operations(name: str, small_vocabulary: Path, tmp_path: Path) -> None:
    text = TextBlueprint(OTHERS[name], small_vocabulary, "v")
    compiled = CompiledSide(text, tmp_path)
    with javascript_ids(text, LIBRARIES[0]) as ids:
        for family, texts in families(text, read_vocabulary(small_vocabulary).pieces, 1500, shared.turn()):
            _, different = compare(texts(), compiled, ids)
            assert not different, (family, shared.turn())


DOLLARS = (r"[€£]", "$1$$&"), (r"a{2,3}?b|^x|y$", "$`"), (r"😀+", "日")


@in_node
def test_a_dollar_sign_is_one_and_anchors_are_the_ends(small_vocabulary: Path, tmp_path: Path) -> None:
    replacements = (ReplacePattern(pattern, rewrite, "r") for pattern, rewrite in DOLLARS)
    operations = (*replacements, SplitScripts("s"), WordPiece("##", "[UNK]", 100, "w"), Pack(101, 102, 0, 128, "p"))
    text = TextBlueprint(operations, small_vocabulary, "v")
    texts = ["£5 €", "aab aaab xx\nx y\ny", "x", "y", "😀😀😁 a😀b", "x😀y", "$1 $$"]
    with javascript_ids(text, LIBRARIES[0]) as ids:
        assert compare(texts, CompiledSide(text, tmp_path), ids) == (len(texts), [])


@in_node
def test_the_comparison_sees_a_limit_off_by_one(tmp_path: Path) -> None:
    text = replace(standard_operations(), vocabulary=alphabet_vocabulary(tmp_path, 11))
    with javascript_ids(replace(standard_operations(101), vocabulary=text.vocabulary), LIBRARIES[0]) as ids:
        texts = byte_limit_words(100, read_vocabulary(text.vocabulary).pieces)
        assert compare(texts, CompiledSide(text, tmp_path), ids)[1]


@in_node
@pytest.mark.parametrize("rules", ["lealla", "uncased", "words uncased"])
def test_time_is_linear(rules: str, small_vocabulary: Path, tmp_path: Path) -> None:
    text = over(RULES[rules][0], small_vocabulary)
    texts: list[Callable[[int], str]] = list(HARD.values())
    with javascript_ids(text, LIBRARIES[0]) as ids:
        assert compare([make(LENGTH) for make in texts], CompiledSide(text, tmp_path), ids) == (len(texts), [])


def test_characters_that_change_one_another_are_changed_in_order_or_refused() -> None:
    steps = list(JavaScript().mapped(CharacterMap({"a": "b", "b": "c", "x": "yx", "d": "$"}, {})))
    regexes = [step[0] for step in steps if isinstance(step, tuple)]
    assert regexes.index("[b]") < regexes.index("[a]")
    assert ("[d]", "$$") in steps
    with pytest.raises(GraphError, match=r"U\+0061 becomes 'b'.*U\+0062 becomes something else|U\+0062 becomes 'a'"):
        list(JavaScript().mapped(CharacterMap({"a": "b", "b": "a"}, {})))


def test_no_regex_matches_nothing(small_vocabulary: Path, tmp_path: Path) -> None:
    """The model of `hub2hf.web` refuses one; JavaScript would find it inside characters."""
    from hub2hf.tokenizer import write_javascript_files
    from hub2hf.web.words import words_in_javascript

    for text, _ in RULES.values():
        write_javascript_files(text, read_vocabulary(over(text, small_vocabulary).vocabulary), tmp_path)
        content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
        assert words_in_javascript(content)("a") == ["a"]
