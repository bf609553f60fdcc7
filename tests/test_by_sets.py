"""Rules that are told by sets of characters, scripts of an older Unicode, and vocabularies in columns."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hub2hf.blueprint.asked.ask import _plain
from hub2hf.blueprint.asked.trace import TextTrace
from hub2hf.blueprint.text import Pack, SplitScriptsByHand, TextBlueprint, WordPiece
from hub2hf.blueprint.vocabulary.tables import LINE_NUMBER, WHOLE_LINE, _columns
from hub2hf.errors import GraphError
from hub2hf.folder import agreement
from hub2hf.folder.agreement import prove_tables
from hub2hf.interpreter.utf import script_numbers
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.unicode.codepoints import CodePoints
from hub2hf.unicode.tables import OF_TENSORFLOW, script_of, scripts

# Letter 0 anywhere, or words of 1 alone, or of 2 alone; 3 is nothing.
BY_SETS = (frozenset({1, 2, 3}), ((1, 2, 3, 4), (1, 1, 1, 1), (1, 2, 4, 4), (1, 4, 3, 4), (1, 4, 4, 4)))
# Letter 0 first.
FIRST = (frozenset({1}), ((1, 2), (1, 1), (2, 2)))


def test_a_rule_is_told_by_sets() -> None:
    anywhere, only = _plain(*BY_SETS) or ([], [])
    assert (anywhere, sorted(map(sorted, only))) == ([0], [[1], [2]])


def test_what_the_sets_tell_is_the_rule() -> None:
    accepting, moves = BY_SETS
    anywhere, only = _plain(accepting, moves) or ([], [])
    for size in range(1, 6):
        for word in product(range(4), repeat=size):
            state = 0
            for letter in word:
                state = moves[state][letter]
            assert (state in accepting) == (bool({*anywhere} & {*word}) or any({*word} <= some for some in only))


def test_another_rule_is_not_told_by_sets() -> None:
    assert _plain(*FIRST) is None


def test_two_tables_of_the_scripts_of_tensorflow_part_alike() -> None:
    """One is what the graph is run with, the other what the tokenizer is compiled from."""
    numbers = script_numbers()
    ours = np.array([script_of(chr(code), OF_TENSORFLOW) for code in range(len(numbers))])
    pairs = {*zip(numbers.tolist(), ours.tolist(), strict=True)}
    assert len(pairs) == len({*numbers.tolist()}) == len({*ours.tolist()}) == len(scripts(OF_TENSORFLOW))


BY_HAND = TextBlueprint(
    (SplitScriptsByHand("scripts"), WordPiece("##", "[UNK]", 100, "pieces"), Pack(2, 3, 0, 128, "ids")), Path("v"), "v"
)


def test_scripts_of_an_older_unicode_agree_with_what_they_are_held_against() -> None:
    prove_tables(BY_HAND)


@pytest.mark.parametrize("code", [0x41, 0x3042, 0x2EBE0])
def test_a_script_that_lacks_a_character_is_found(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known = scripts(OF_TENSORFLOW)
    less = {name: codes - CodePoints.single(code) for name, codes in known.items()}
    monkeypatch.setattr(agreement, "scripts", lambda table: less if table == OF_TENSORFLOW else scripts(table))
    with pytest.raises(GraphError, match=f"U\\+{code:04X}"):
        prove_tables(BY_HAND)


def test_a_conditional_of_a_loop_depends_on_the_text_later() -> None:
    """Its first way was taken before anything of the text was in what it asks."""
    trace, text = TextTrace(), np.array([b"dog"], object)
    trace.follow(text)
    first, later = np.array(True), np.array(False)
    node = Node.made("branch", "If", (TensorRef("asked"),))
    trace.observe(node, [first, text], (text,))
    trace.observe(Node.made("asked", "Equal", (TensorRef("text"),)), [text], (later,))
    trace.observe(node, [later, text], (text,))
    assert trace.untaken() == []
    unasked = TextTrace()
    unasked.follow(text)
    unasked.observe(Node.made("asked", "Equal", (TensorRef("text"),)), [text], (later,))
    unasked.observe(node, [later, text], (text,))
    assert unasked.untaken() == ["branch"]


def test_what_code_points_are_compared_with_is_no_length() -> None:
    trace, text = TextTrace(), np.array([b"dog"], object)
    numbers = {name: np.array(number) for name, number in (("han", 0x4E00), ("most", 1000), ("both", 2000))}

    def run(op: str, *inputs: np.ndarray) -> np.ndarray:
        outputs = (np.array([0, 3]), np.array([100, 111, 103]))
        trace.observe(Node.made(op.lower(), op), inputs, outputs)
        return outputs[1]

    trace.follow(text)
    for name, number in numbers.items():
        trace.observe(Node.made(name, "Const"), (), (number,))
    points = run("Reshape", run("UnicodeDecode", text), np.array([-1]))
    run("GreaterEqual", points, numbers["han"])
    run("LessEqual", points, numbers["both"])
    assert trace.sizes == set()
    run("GreaterEqual", run("StringLength", text), numbers["most"])
    trace.forget()
    numbers["both"] = np.array(2000)  # another run has other arrays
    trace.observe(Node.made("both", "Const"), (), (numbers["both"],))
    run("Sub", numbers["both"], np.array(1))
    assert trace.sizes == {1000, 2000}


def columns(path: Path, **attributes: Any) -> tuple[list[bytes], list[int]]:
    given = {"key_index": 1, "value_index": 0, "delimiter": "\t", **attributes}
    node = SimpleNamespace(name="filled", attr=lambda name, default=None: given.get(name, default))
    keys, values = _columns(node, path)  # type: ignore[arg-type]
    return keys.tolist(), values.tolist()


def test_columns_of_a_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "numbers.tsv"
    path.write_text("1\tdog\r\n0\tcat\n2\t犬\n")
    assert columns(path) == ([b"dog", b"cat", "犬".encode()], [1, 0, 2])
    assert columns(path, vocab_size=2) == ([b"dog", b"cat"], [1, 0])
    assert columns(path, value_index=LINE_NUMBER, offset=7)[1] == [7, 8, 9]
    assert columns(path, key_index=WHOLE_LINE)[0][0] == b"1\tdog"
    with pytest.raises(GraphError, match="line 1, has no key and number"):
        columns(path, key_index=2)
