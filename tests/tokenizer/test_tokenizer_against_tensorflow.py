"""Ids against TensorFlow running the same operations: the standard ones, and others a graph might hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import pytest
import shared
from builders.oracles import RULES, BertSide, TensorFlowSide, bert_operations, folding_operations, standard_operations
from fuzz_tokenizer import (
    CUT_BY,
    CompiledSide,
    alphabet_vocabulary,
    by_cause,
    byte_limit_words,
    compare,
    families,
    pieces_of,
)

from hub2hf.blueprint.text import (
    CaseFold,
    Normalize,
    Pack,
    ReplacePattern,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
    WordPiece,
)
from hub2hf.blueprint.text_side import convention
from hub2hf.errors import GraphError
from hub2hf.tokenizer import probe_tokenizer, read_vocabulary, tokenizer_files
from hub2hf.tokenizer.oniguruma import Oniguruma
from hub2hf.tokenizer.pipeline import build_pipeline

SAMPLE, SAMPLE_OF_PIECES, SMALL_SAMPLE = 500, 250, 1500  # `make fuzz` has all
ROUNDED = 10  # texts of a family of a SentencePiece model that float32's round-off decides
TURN = shared.turn()


@pytest.mark.parametrize(("rules", "name"), [(rules, name) for rules in RULES for name in CUT_BY[rules]])
def test_sample_of_the_fuzz(rules: str, name: str, tmp_path: Path) -> None:
    text, oracle = RULES[rules](CUT_BY[rules][name](tmp_path))
    compiled = CompiledSide(text, tmp_path)
    sample = SAMPLE_OF_PIECES if text.by_pieces else SAMPLE
    for family, texts in families(text, pieces_of(text), sample, TURN):
        count, different = compare(texts(), oracle, compiled)
        different, rounded = by_cause(different, oracle, compiled)
        print(
            f"{rules}, {name} vocabulary, {family}: {count} texts, {len(different)} differences, {len(rounded)} rounded"
        )
        assert not different, (family, TURN)
        assert len(rounded) <= ROUNDED, (family, TURN)


WORDS, PACK = WordPiece("##", "[UNK]", 100, "w"), Pack(101, 102, 0, 128, "p")
SCRIPTS, SPLIT = SplitScripts("s"), SplitDelimiters(convention.DELIMITERS, convention.KEPT, "d")
OTHERS: dict[str, tuple[TextOperation, ...]] = {
    "scripts only": (SCRIPTS, WORDS, PACK),
    "no replacement": (SCRIPTS, SplitCharacters((r"\p{Han}+",), "c"), WORDS, PACK),
    "two replacements": (
        ReplacePattern(r"\p{M}+", "", "a"),
        ReplacePattern(r"[\x{2000}-\x{206F}]|\d", " ", "b"),
        *(SCRIPTS, WORDS, PACK),
    ),
    "other words cut": (SCRIPTS, SplitCharacters((r"[\p{Hiragana}\p{Katakana}]+|.{1,3}\d",), "c"), WORDS, PACK),
    "rules that come back": (SCRIPTS, SplitCharacters((r"(?:[a-m][^a-m])+|.*[\p{Han}e]",), "c"), WORDS, PACK),
    "some stand alone": (
        SCRIPTS,
        SplitAround(r"[\x{4E00}-\x{5FFF}aeiou\p{P}]", "a"),
        SplitCharacters((r"\p{Han}+|.*\d",), "c"),
        *(WORDS, PACK),
    ),
    "all words cut": (SCRIPTS, SplitCharacters((r".*",), "c"), WORDS, PACK),
    "cut twice": (SCRIPTS, SplitCharacters((r"\d+",), "c"), SplitCharacters((r"\p{Thai}*",), "d"), WORDS, PACK),
    "no suffix indicator": (SCRIPTS, WordPiece("", "[UNK]", 100, "w"), PACK),
    "small limit": (*standard_operations(10).operations[:-1], Pack(101, 102, 0, 7, "p")),
    "least limit": (SCRIPTS, WordPiece("##", "[UNK]", 4, "w"), Pack(2, 3, 1, 64, "p")),
    "large limit": (*standard_operations(301).operations[:-1], Pack(103, 100, 0, 512, "p")),
    "other unknown": (SCRIPTS, WordPiece("##", "[MASK]", 100, "w"), PACK),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_operations(name: str, small_vocabulary: Path, tmp_path: Path) -> None:
    text = TextBlueprint(OTHERS[name], small_vocabulary, "v")
    oracle, compiled = TensorFlowSide(text), CompiledSide(text, tmp_path)
    for family, texts in families(text, read_vocabulary(small_vocabulary).pieces, SMALL_SAMPLE, TURN):
        _, different = compare(texts(), oracle, compiled)
        assert not different, (family, TURN)


def test_what_is_deleted_between_characters_of_one_script(tmp_path: Path) -> None:
    text = replace(standard_operations(), vocabulary=alphabet_vocabulary(tmp_path))
    some = ("n", ".", "2", " ", "\u200d", "\x01", "\u1681", "\u1680")
    texts = ["".join(chosen) for length in (3, 5) for chosen in product(some, repeat=length)]
    _, different = compare(texts, TensorFlowSide(text), CompiledSide(text, tmp_path))
    assert not different


@pytest.mark.parametrize("limit", [5, 102])
def test_byte_limits(limit: int, tmp_path: Path) -> None:
    text = replace(standard_operations(limit), vocabulary=alphabet_vocabulary(tmp_path, 11))
    texts = islice(byte_limit_words(limit, read_vocabulary(text.vocabulary).pieces), 0, None, 4)
    _, different = compare(texts, TensorFlowSide(text), CompiledSide(text, tmp_path))
    assert not different


@pytest.mark.parametrize("lower_case", [False, True])
@pytest.mark.parametrize("limit", [6, 100, 103])
def test_byte_limits_of_bert(limit: int, lower_case: bool, tmp_path: Path) -> None:
    text = replace(bert_operations(lower_case, limit), vocabulary=alphabet_vocabulary(tmp_path, 11))
    texts = islice(byte_limit_words(limit, read_vocabulary(text.vocabulary).pieces), 0, None, 4)
    _, different = compare(texts, BertSide(text), CompiledSide(text, tmp_path))
    assert not different


# Clusters of fewer than six bytes, where `Precompiled` alone goes wrong; special foldings; white space that does not split.
FOLDED = (
    *("ß ſ ς Σ İ I ı ﬁ ½ ² Å K", "A\U0001f3fb É\u0301\u0c3e", "\u06001 \u0600\u0600a", "\r\n\r\n a\r\nb", "Ꭰꭰ ᏸ"),
    *("\x01A\x01b\x00c", "\x01\x01", "\x00", "각가힣 \u1100\u1161", "a\u00a0b\u3000c\u2028d", "ก\u0e33 à\u0e33", "ｶﾞ Aﾞ"),
    *("\u0345α\u0345", "x\u00adY\u200dZ", "\u037a \u1fbe", "\U0001e900\U0001e922", "\U0001d400\U0001d7ff", "ﷺ"),
)


@pytest.mark.parametrize("lower_case", [False, True])
def test_odd_foldings(lower_case: bool, tmp_path: Path) -> None:
    text = replace(bert_operations(lower_case), vocabulary=alphabet_vocabulary(tmp_path))
    texts = [*FOLDED, *(a + b for a in FOLDED for b in FOLDED)]
    _, different = compare(texts, BertSide(text), CompiledSide(text, tmp_path))
    assert not different


def test_the_convention_is_that_of_tensorflow_text() -> None:
    from tensorflow_text.python.ops import bert_tokenizer

    assert bert_tokenizer._DELIM_REGEX_PATTERN == convention.DELIMITERS
    assert bert_tokenizer._KEEP_DELIM_NO_WHITESPACE_PATTERN == convention.KEPT


@pytest.mark.parametrize("off_by", [1])
def test_the_comparison_sees_a_limit_off_by_one(off_by: int, tmp_path: Path) -> None:
    text = replace(standard_operations(), vocabulary=alphabet_vocabulary(tmp_path, 11))
    wrong = replace(standard_operations(100 + off_by), vocabulary=text.vocabulary)
    texts = byte_limit_words(100, read_vocabulary(text.vocabulary).pieces)
    assert compare(texts, TensorFlowSide(text), CompiledSide(wrong, tmp_path))[1]


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ((WORDS, PACK), "no SplitScripts or SplitDelimiters"),
        ((SPLIT, SCRIPTS, WORDS, PACK), "s: SplitScripts"),
        ((SplitDelimiters(r"\[unused\d+\]|\s+", "", "unused"), WORDS, PACK), "unused.*single characters"),
        ((SplitDelimiters(r"\s+|,", r"\s+|,", "spaces"), WORDS, PACK), "spaces.*a run of delimiters stays"),
        ((SplitDelimiters(r"\p{P}", r"\p{P}", "joined"), WORDS, PACK), r"joined.*U\+0020"),
        ((Normalize("NFKC", "composed"), SPLIT, WORDS, PACK), "composed.*NFKC"),
        ((CaseFold("folded"), SPLIT, WORDS, PACK), "folded.*without NFD"),
        ((CaseFold("f"), Normalize("NFD", "n"), SPLIT, WORDS, PACK), r"control character U\+0001"),
        ((SCRIPTS, ReplacePattern("a", "", "late"), WORDS, PACK), "late: ReplacePattern"),
        ((SCRIPTS, SCRIPTS, WORDS, PACK), "s: SplitScripts"),
        ((SCRIPTS, SplitAround(r"\p{Han}+", "runs"), WORDS, PACK), "runs|one class"),
        ((SCRIPTS, WordPiece("##", "[UNK]", 3, "narrow"), PACK), "narrow"),
    ],
)
def test_not_understood(operations: tuple[TextOperation, ...], said: str) -> None:
    with pytest.raises(GraphError, match=said):
        build_pipeline(TextBlueprint(operations, Path("v"), "v"), "\U0010ffff", Oniguruma())


def test_same_bytes_twice(small_vocabulary: Path, tmp_path: Path) -> None:
    text = replace(standard_operations(), vocabulary=small_vocabulary)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        tokenizer_files(text, len(read_vocabulary(small_vocabulary)), folder)
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names)


def test_probe_vocabulary_may_have_gaps() -> None:
    tokenizer = probe_tokenizer(standard_operations(), {"[UNK]": 100, "a": 7, "##b": 2000, "日": 3})
    assert tokenizer.encode("ab 日日 [CLS]").ids == [101, 7, 2000, 3, 3, 100, 100, 100, 102]


LENGTH = 100_000
HARD: dict[str, Callable[[int], str]] = {
    "thai and a space": lambda n: "ก" * n + " ",
    "spaces": lambda n: "1" + " " * n + "a",
    "marks": lambda n: "\u0301" * n,
    "marks that stay": lambda n: "\u302e\u1b44" * (n // 2),
    "emoji": lambda n: "😀" * n,
    "emoji at the end": lambda n: "1" * n + "😀",
    "punctuation, then not": lambda n: "." * n + "1",
    "digits and spaces": lambda n: "1 " * (n // 2),
    "alternating scripts": lambda n: "aя" * (n // 2),
    "rare scripts": lambda n: "\U0001e900\U00010d40" * (n // 2),
    "words just suspect": lambda n: ("a" * 26 + " ") * (n // 27),
    "joiners": lambda n: "a\u200d" * (n // 2),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize(
    "text",
    [standard_operations(), bert_operations(lower_case=True), folding_operations()],
    ids=["lealla", "bert", "words"],
)
def test_time_is_linear(text: TextBlueprint, name: str) -> None:
    tokenizer = probe_tokenizer(text, {"[UNK]": 100, "a": 7, "1": 8, "##1": 9})
    tokenizer.no_truncation()
    # A quadratic step would take minutes; the slowest of these takes a third of a second.
    from time import thread_time

    start = thread_time()
    tokenizer.encode(HARD[name](LENGTH))
    assert thread_time() - start < 5
