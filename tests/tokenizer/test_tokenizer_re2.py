"""The RE2 parser, the automata and the replacements, against TensorFlow's regex ops on seeded texts."""

from __future__ import annotations

import random
import time

import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tokenizers import Regex, normalizers

from hub2hf.errors import GraphError
from hub2hf.tokenizer.pipeline import END_OF_WORD
from hub2hf.unicode.automaton import TooComplexError, full_match, to_regex
from hub2hf.unicode.codepoints import EVERYTHING
from hub2hf.unicode.patterns import replacement
from hub2hf.unicode.re2 import parse

ALPHABET = "ab1.|-_]^\\é日カ😀☀+́\u00a6Z"

FULL = [
    r"\p{Han}+",
    tf_text.WordShape.HAS_EMOJI.value,
    tf_text.WordShape.IS_PUNCT_OR_SYMBOL.value,
    r"[\p{P}|\p{S}]*",
    r"a",
    r"(?:a|b)+",
    r"a+b*1?",
    r".{2,4}",
    r"[^ab]+$",
    r"^\pL+\d$",
    r"(?s).*1.*",
    r"(?P<name>ab|a)(b|)",
    r"\Aa\z|b{2}|[]^]+",
    r"[a-b\d_]+?",
    r"[[:alpha:]]+|[[:^alpha:]]",
    r"\x61\x{1F600}?|\Qa.\E",
    r"\P{L}+|\p{^Han}",
    r"a{,2}|[\-\]]+",
    r"(?U)a+b",
]
SEARCH = [
    (r"\p{Cc}|\p{Cf}", ""),
    (r"[^\pL]+", "x"),
    (r"a|ab", "é"),
    (r"ab|a", "1\\\\"),
    (r"(?:a|b){2}", ""),
    (r"^a|1$", "_"),
    (r"[[:punct:]]+", "-"),
    (r"b+?", "日"),
]
REFUSED = [r"a**", r"\bword", r"(?i)a", r"(a", r"[b-a]", r"\p{Klingon}", r"(?=a)", r"\C", r"*", r"a{2000}", r"[[:x:]]"]


def texts(count: int = 3000) -> list[str]:
    source = random.Random(7)
    return ["".join(source.choices(ALPHABET, k=source.randint(1, 6))) for _ in range(count)]


@pytest.mark.parametrize("pattern", FULL)
def test_full_match(pattern: str) -> None:
    words = texts()
    expected = tf.strings.regex_full_match(tf.constant([word.encode() for word in words]), pattern).numpy()
    regex = to_regex(full_match((parse(pattern, "node"),), EVERYTHING), END_OF_WORD)
    assert regex is not None
    cut = normalizers.Replace(Regex(rf"\A(?={regex})"), "\t")
    assert [cut.normalize_str(word).startswith("\t") for word in words] == expected.tolist()


@pytest.mark.parametrize(("pattern", "rewrite"), SEARCH)
def test_replacement(pattern: str, rewrite: str) -> None:
    words = texts()
    expected = tf.strings.regex_replace(tf.constant([word.encode() for word in words]), pattern, rewrite).numpy()
    regex, content = replacement(pattern, rewrite, "node")
    step = normalizers.Replace(Regex(regex), content)
    assert [step.normalize_str(word) for word in words] == [word.decode() for word in expected]


@pytest.mark.parametrize("pattern", REFUSED)
def test_not_understood_names_node_and_pattern(pattern: str) -> None:
    with pytest.raises(GraphError) as caught:
        parse(pattern, "while/body/Clean")
    assert "while/body/Clean" in str(caught.value)
    assert repr(pattern) in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "rewrite"), [(r"a*", ""), (r"(a)", r"\1"), (r"(?:a+b)+", ""), (r"\s+$", ""), (r"^", "x")]
)
def test_replacements_refused(pattern: str, rewrite: str) -> None:
    with pytest.raises(GraphError, match="cannot be translated"):
        replacement(pattern, rewrite, "node")


def test_no_way_back_is_looked_for_where_there_is_none() -> None:
    """It took for ever: at each of 40 places every way on was tried for one that leads back."""
    automaton = full_match((parse("(a|b|ab){40}c", "node"),), EVERYTHING)
    with pytest.raises(TooComplexError, match="too long"):
        to_regex(automaton, END_OF_WORD)


def test_emoji_pattern_is_linear() -> None:
    regex = to_regex(full_match((parse(tf_text.WordShape.HAS_EMOJI.value, "node"),), EVERYTHING), END_OF_WORD)
    step = normalizers.Replace(Regex(rf"\A(?={regex})"), "\t")
    start = time.thread_time()
    assert not step.normalize_str("x" * 1_000_000).startswith("\t")
    assert time.thread_time() - start < 5
