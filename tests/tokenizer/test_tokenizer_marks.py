"""The order of marks after NFD: every pair of those that stay, and what may stand between them, against TensorFlow."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from builders.oracles import BertSide, bert_operations
from fuzz_tokenizer import CompiledSide, alphabet_vocabulary, compare
from tokenizers import normalizers

from hub2hf.blueprint.text import CaseFold, Normalize, ReplacePattern, TextOperation
from hub2hf.blueprint.text_side import convention
from hub2hf.tokenizer.characters import character_steps
from hub2hf.tokenizer.marks import stand_ins
from hub2hf.tokenizer.oniguruma import Oniguruma, normalizer
from hub2hf.unicode.folding import mark_classes, unsorted_marks
from hub2hf.unicode.tables import re2_class

SEED, LONG = 20240229, 20_000
CLASSES = mark_classes()
DELETED = sorted(mark for mark in CLASSES if ord(mark) in (re2_class("Mn") or ()))
KEPT = sorted(CLASSES.keys() - set(DELETED))
ONE_OF_EACH = sorted({place: mark for mark, place in CLASSES.items() if mark in DELETED}.values())
# What parts marks: deleted or not, control characters that steps of the tokenizer use, characters that folding deletes.
PARTING = (
    *(
        "\u0941",
        "\u0e31",
        "\U00011001",
        "\u0903",
        "\u09be",
        "\u0488",
        "\u1b35",
        "\U0001d157",
        "\u20dd",
        "\u0378",
        "a",
        " ",
    ),
    *(
        "\x00",
        "\x01",
        "\x02",
        "\n",
        "\u0600",
        "\U0001f3fb",
        "\u034f",
        "\ufe0f",
        "\u200d",
        "\u00ad",
        "\U000e0100",
        "\u180e",
    ),
)
# What becomes several characters, of which some are marks; U+0345 becomes a letter.
SEVERAL = (
    *(
        "\u0340",
        "\u0344",
        "\u0345",
        "\u0f73",
        "\u0f75",
        "\u0f81",
        "\u0eb3",
        "\u0e33",
        "é",
        "\u1e69",
        "\u0958",
        "\u0ddd",
        "ガ",
    ),
    *(
        "\uff9e",
        "\u1b06",
        "\U0001d15e",
        "\U0001d160",
        "\U0001d1bf",
        "\U000105c9",
        "\U00016121",
        "각",
        "가",
        "\u11a8",
        "ﷺ",
    ),
)
BETWEEN = (*ONE_OF_EACH, *PARTING, *SEVERAL)


def texts() -> Iterator[str]:
    """All pairs, all of KEPT with all of KEPT and anything between, and longer ones that are drawn."""
    yield from (first + a + b for a, b in product((*KEPT, *BETWEEN), repeat=2) for first in ("X", ""))
    yield from (f"X{a}{between}{b}" for a, between, b in product(KEPT, (*KEPT, *BETWEEN), KEPT))
    draw = random.Random(SEED)
    for _ in range(LONG):
        pools = draw.choices((KEPT, DELETED, BETWEEN), (5, 2, 3), k=draw.randint(3, 9))
        yield draw.choice(("X", "", "ก", "カ")) + "".join(map(draw.choice, pools))


@pytest.mark.parametrize("lower_case", [False, True])
def test_marks_are_in_the_order_of_tensorflow(lower_case: bool, tmp_path: Path) -> None:
    vocabulary = alphabet_vocabulary(tmp_path)
    pieces = vocabulary.read_text(encoding="utf-8").split("\n")
    missing = {"##" + mark for mark in KEPT} - set(pieces)
    vocabulary.write_text("\n".join([*pieces[:-1], *sorted(missing), ""]), encoding="utf-8", newline="\n")
    text = replace(bert_operations(lower_case), vocabulary=vocabulary)
    count, different = compare(
        islice(texts(), 0, None, 1 if lower_case else 9),  # without folding, marks stay where they are
        BertSide(text),
        CompiledSide(text, tmp_path),
    )
    print(f"{count} texts, {len(different)} differences")
    assert not different


def test_every_mark_that_needs_another_has_one() -> None:
    found = stand_ins(KEPT, DELETED)
    assert found.keys() == unsorted_marks().intersection(KEPT)
    assert len(set(found.values())) == len(found)
    assert not unsorted_marks().intersection(found.values())


def _nfd(text: str) -> str:
    return str(tf_text.normalize_utf8(tf.constant(text.encode()), "NFD").numpy().decode())


def test_classes_are_those_of_tensorflow_and_of_the_stock_nfd() -> None:
    marks = list(CLASSES)
    random.Random(SEED).shuffle(marks)
    assert _nfd("x" + "".join(marks)) == "x" + "".join(sorted(marks, key=CLASSES.__getitem__))
    known = [mark for mark in marks if mark not in unsorted_marks()]
    stock = normalizers.NFD().normalize_str("x" + "".join(known))
    assert stock == "x" + "".join(sorted(known, key=CLASSES.__getitem__))
    assert all(
        normalizers.NFD().normalize_str(f"\u0301{mark}\u0334") == f"\u0301{mark}\u0334" for mark in unsorted_marks()
    )


FOLD, NFD = CaseFold("f"), Normalize("NFD", "n")
MARKS, CONTROLS = ReplacePattern(convention.MARKS, "", "m"), ReplacePattern(convention.CONTROLS, " ", "c")
# Operations, and whether they delete enough marks to go in place of those that the stock NFD does not know.
OTHERS: dict[str, tuple[tuple[TextOperation, ...], bool]] = {
    "not folded": ((NFD, MARKS, CONTROLS), True),
    "controls deleted": ((FOLD, NFD, MARKS, ReplacePattern(convention.CONTROLS, "", "c")), True),
    "all marks": ((FOLD, NFD, ReplacePattern(r"\p{M}", "", "m"), CONTROLS), True),
    "no deletion": ((FOLD, NFD, CONTROLS), False),
    "some deleted": ((NFD, ReplacePattern(r"[\x{300}-\x{36F}]", "", "m"), CONTROLS), False),
    "a space for a mark": ((FOLD, NFD, CONTROLS, ReplacePattern(convention.MARKS, " ", "m")), False),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_operations(name: str) -> None:
    operations, every = OTHERS[name]
    given = [text for text in texts() if every or unsorted_marks().isdisjoint(text)][::7]
    expected = tf.constant([text.encode() for text in given])
    for operation in operations:
        if isinstance(operation, CaseFold):
            expected = tf_text.case_fold_utf8(expected)
        elif isinstance(operation, Normalize):
            expected = tf_text.normalize_utf8(expected, operation.form)
        elif isinstance(operation, ReplacePattern):
            expected = tf.strings.regex_replace(expected, operation.pattern, operation.rewrite)
    compiled = normalizers.Sequence([normalizer(step) for step in character_steps(operations, Oniguruma())])
    pairs = zip(given, expected.numpy(), strict=True)
    assert not [text for text, theirs in pairs if compiled.normalize_str(text).encode() != theirs]
