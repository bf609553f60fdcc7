"""What the interpreter runs text with, against TensorFlow: all code points, and patterns and texts that are drawn."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.python.ops.regex_split_ops import gen_regex_split_ops

from hub2hf.errors import GraphError
from hub2hf.unicode import tables
from hub2hf.unicode.codepoints import CodePoints
from hub2hf.witness import folding, points
from hub2hf.witness.boundaries import boundary_points
from hub2hf.witness.differences import class_differences, codes, script_differences
from hub2hf.witness.patterns import bracket_points, compiled
from hub2hf.witness.rewrites import read_rewrite

SEED, PATTERNS = 4, 200
TEXTS = [chr(code) for code in [*range(0xD800), *range(0xE000, 0x110000)]]
ENCODED = tf.constant([text.encode() for text in TEXTS])
# Code points of every kind, of the differences among them.
ALPHABET = "aabAB1 .,\n\tяИ犬的ก\u0301\u0345\u00ad\u200dßſK😀\u2ffc\U0002ebf0\ue000\U000e0041"
ATOMS = (
    *("a", "b", "я", "犬", ".", r"\p{L}", r"\P{L}", r"\pS", r"\p{^So}", r"\p{Han}", r"\s", r"\w", r"\D", r"\C"),
    *(
        "[a-c]",
        "[^ab]",
        r"[\p{Lo}1]",
        r"[^\p{Han} ]",
        r"[\P{Han}]",
        r"[\P{S}a]",
        "[[:punct:]]",
        r"[]a]",
        r"\x{2EBF0}",
        r"\Q.[\E",
    ),
)


def pattern(draw: random.Random, depth: int = 0) -> str:
    """A pattern of RE2."""
    kind = draw.random()
    if depth > 2 or kind < 0.45:
        return draw.choice(ATOMS) + draw.choice(("", "", "", "*", "+", "?", "+?", "{1,2}"))
    if kind < 0.7:
        return "".join(pattern(draw, depth + 1) for _ in range(draw.randint(2, 3)))
    if kind < 0.85:
        return draw.choice(("({})", "(?:{})", "({})?", "(?s:{})", "(?i:{})")).format(pattern(draw, depth + 1))
    return f"{pattern(draw, depth + 1)}|{draw.choice(('', '^', '')) + pattern(draw, depth + 1)}{draw.choice(('', '$'))}"


def text(draw: random.Random) -> bytes:
    found = "".join(draw.choices(ALPHABET, k=draw.randint(0, 12))).encode()
    return found if draw.random() < 0.9 else found.replace(b"a", b"\xff").replace(b" ", b"\xed\xa0\x80\xf4\x90")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, list[bytes]]]:
    draw = random.Random(SEED)
    return [(pattern(draw), [text(draw) for _ in range(12)]) for _ in range(PATTERNS)]


@pytest.mark.parametrize("rewrite", ["", "-", r"<\0>", r"\\\1 ", r"x\q", "y\\"])
@pytest.mark.parametrize("everywhere", [True, False])
def test_replaces_what_tensorflow_replaces(
    rewrite: str, everywhere: bool, drawn: list[tuple[str, list[bytes]]]
) -> None:
    for written, texts in drawn:
        theirs = tf.strings.regex_replace(texts, written, rewrite, everywhere).numpy().tolist()
        found = [compiled(written, "n").replaced(one, read_rewrite(rewrite.encode()), everywhere) for one in texts]
        assert found == theirs, (written, rewrite)


def test_matches_what_tensorflow_matches(drawn: list[tuple[str, list[bytes]]]) -> None:
    seen = 0
    for written, texts in drawn:
        theirs = tf.strings.regex_full_match(texts, written).numpy().tolist()
        assert [compiled(written, "n").matches(one) for one in texts] == theirs, written
        seen += sum(theirs)
    assert seen > PATTERNS / 4


def test_splits_where_tensorflow_splits() -> None:
    draw = random.Random(SEED)
    delimiters = [
        f"({draw.choice(ATOMS)}{draw.choice(('', '+'))}){draw.choice(('', '', 'b', '(a)?'))}" for _ in range(80)
    ]
    for written in [*delimiters, "(^a)", "a", r"x()"]:
        texts, kept = [text(draw) for _ in range(8)], draw.choice(("", r"\p{L}", ".", "[^a]+"))
        words, starts, ends, splits = gen_regex_split_ops.regex_split_with_offsets(
            input=texts, delim_regex_pattern=written, keep_delim_regex_pattern=kept
        )
        stay = compiled(kept, "n") if kept else None
        spans = [list(compiled(written, "n").split(one, stay)) for one in texts]
        assert [[start, end] for row in spans for start, end in row] == np.stack([starts, ends], 1).tolist(), written
        assert np.cumsum([0, *map(len, spans)]).tolist() == splits.numpy().tolist()
        assert [one[a:b] for one, row in zip(texts, spans, strict=True) for a, b in row] == words.numpy().tolist()


@pytest.mark.parametrize(
    ("written", "why"), [("(b*)", "is nothing"), ("(y)?x", "is nothing"), ("(", "missing"), (r"\p{Klingon}", "range")]
)
def test_what_no_split_can_be_is_refused(written: str, why: str) -> None:
    with pytest.raises(GraphError, match=why):
        list(compiled(written, "node").split(b"axb", None))


def test_case_that_is_in_doubt_is_refused_where_it_matters() -> None:
    assert compiled("(?i)[a-z]+", "node").matches("AẞK".replace("ẞ", "b").encode())
    with pytest.raises(GraphError, match=r"U\+1FD3"):
        compiled("(?i)[\u0370-\u03ff]", "node").matches("\u1fd3".encode())


@pytest.mark.parametrize("name", ["L", "Lo", "S", "So", "Han", "Common", "Cf", "Cc", "P", "Z", "M", "Inherited"])
def test_classes_are_those_of_tensorflow(name: str) -> None:
    theirs = tf.strings.regex_full_match(ENCODED, rf"\p{{{name}}}").numpy()
    found = points.code_points(name)
    assert found is not None
    assert list(codes(found)) == [ord(one) for one, there in zip(TEXTS, theirs, strict=True) if there]


def test_scripts_and_white_space_are_those_of_tensorflow() -> None:
    """The tables are held against TensorFlow by their own tests."""
    surrogates = CodePoints.of(points.SURROGATES)
    assert {name: (known - surrogates).ranges for name, known in tables.scripts().items()} == points.script_ranges()
    assert points.ranges(points.white_space()) == tables.whitespace().ranges
    assert sum(len(CodePoints(found)) for found in script_differences().values()) > 4000


def folded(one: str) -> str:
    return one if 0x40000 <= ord(one) < 0xDFFFE or ord(one) >= 0xF0000 else folding.case_folded(one)


@pytest.mark.parametrize("form", [*folding.FORMS, ""])
def test_characters_become_what_tensorflow_makes_of_them(form: str) -> None:
    theirs = tf_text.normalize_utf8(ENCODED, form) if form else tf_text.case_fold_utf8(ENCODED)
    # idna is slow, and has nothing to say about the planes without characters.
    ours = (folding.normalized(one, form) if form else folded(one) for one in TEXTS)
    assert not [
        f"U+{ord(one):04X}"
        for one, found, other in zip(TEXTS, ours, theirs.numpy(), strict=True)
        if found != other.decode()
    ]


def test_marks_and_letters_together_become_what_tensorflow_makes_of_them() -> None:
    draw = random.Random(SEED)
    pool = [*folding.marks(), *map(chr, range(0x1100, 0x1120)), *map(chr, range(0x1161, 0x1180)), *"aeKß각\u1ad0\u11ab"]
    texts = ["".join(draw.choices(pool, k=6)) for _ in range(4000)]
    for form in folding.FORMS:
        theirs = tf_text.normalize_utf8([one.encode() for one in texts], form).numpy().tolist()
        assert [folding.normalized(one, form).encode() for one in texts] == theirs
    assert [folding.case_folded(one).encode() for one in texts] == tf_text.case_fold_utf8(
        [one.encode() for one in texts]
    ).numpy().tolist()


def test_boundaries_are_the_ends_of_every_range() -> None:
    found = set(boundary_points([r"\p{Cf}|[\x{2000}-\x{206F}я]", r"\p{Han}"], scripts=True))
    for known in (
        tables.re2_class("Cf"),
        tables.re2_class("Han"),
        *tables.scripts().values(),
        CodePoints.parse("2000-206F"),
    ):
        assert known is not None
        ends = {near for low, high in known.ranges for near in (low - 1, low, high, high + 1)}
        assert {end for end in ends if 0 <= end <= points.LAST and not 0xD7FF <= end <= 0xE000} <= found
    assert np.flatnonzero(bracket_points(r"[^\P{Lu}a-zB]")).tolist()[:3] == [0x41, 0x43, 0x44]
    assert set(codes(class_differences("Han"))) <= set(range(0x2EBF0, 0x2EE5E))
