"""What a run of a text side was asked: questions that were answered before, and words among others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hub2hf.blueprint.asked.oracle import Heard, _parted
from hub2hf.blueprint.asked.trace import TextTrace
from hub2hf.errors import GraphError
from hub2hf.savedmodel.node import Node, TensorRef

Pair = tuple[int, int]


def traced(runs: Sequence[tuple[Pair, Pair | None]]) -> TextTrace:
    """Return the trace of runs that ask whether two numbers are equal, and where they are not, ask so of two others.

    Ragged tensors that broadcast do: "has the one a single row? If not, has the other?"
    """
    trace = TextTrace()
    for outer, inner in runs:
        for pair, function in ((outer, ""), (inner, "otherwise")):
            if pair is not None:
                left, right = (np.asarray(number) for number in pair)
                trace.follow(left)
                answer = np.asarray(pair[0] == pair[1])
                equal = Node.made(f"{function}equal", "Equal", (TensorRef("a"), TensorRef("b")), function=function)
                trace.observe(equal, (left, right), (answer,))
                branches = {"then_branch": "then", "else_branch": "otherwise" if not function else "neither"}
                asked = Node.made(f"{function}if", "If", (TensorRef("c"),), function=function, attributes=branches)
                trace.observe(asked, (answer,), ())
    return trace


def test_ragged_tensors_that_broadcast_ask_again_what_was_answered() -> None:
    assert traced([((2, 2), None), ((3, 1), (3, 1))]).untaken() == []


def test_a_question_about_other_numbers_is_open() -> None:
    assert traced([((2, 2), None), ((3, 1), (4, 1))]).untaken() == ["otherwise/otherwiseif"]


def test_a_question_that_has_one_answer_is_open() -> None:
    assert "otherwise/otherwiseif" in traced([((3, 1), (3, 1))]).untaken()


def test_words_among_others_are_told_by_their_characters() -> None:
    text = ["ab", "яя", "c"]
    assert list(_parted(text, Heard("abяяc", ("a", "b", "яя", "c")))) == [("a", "b"), ("яя",), ("c",)]


@pytest.mark.parametrize("words", [("ab", "яю", "c"), ("ab", "я", "я"), ("ab", "яя"), ("abя", "я", "c")])
def test_words_that_come_through_as_others_are_told_of_none(words: tuple[str, ...]) -> None:
    with pytest.raises(GraphError, match="cannot be told"):
        list(_parted(["ab", "яя", "c"], Heard("abяяc", words)))
