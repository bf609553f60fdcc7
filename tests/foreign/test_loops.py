"""Whether a text side takes one word after another is told by its steps, before it is given long texts."""

from __future__ import annotations

import numpy as np
import pytest
from zoo_base import World, v1, v2
from zoo_crowd import Side, rows_mapped, scattered, until_full

from hub2hf.blueprint.asked.oracle import Inquiry, goes_word_by_word
from hub2hf.interpreter import Substitutes, no_variable
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.graph import ReadGraph
from hub2hf.savedmodel.node import TensorRef


@pytest.mark.parametrize(("side", "loops"), [(until_full, True), (scattered, True), (rows_mapped, False)])
def test_a_loop_over_words_is_no_loop_over_texts(side: Side, loops: bool) -> None:
    with v1.Graph().as_default() as graph:
        raw = v1.placeholder(v2.string, [None])
        ids = TensorRef(side(raw, World()).op.name)
    read = ReadGraph(messages.parse("GraphDef", graph.as_graph_def().SerializeToString()))

    def run(asked: Inquiry) -> np.ndarray:
        given = np.array([text.encode() for text in asked.texts], object)
        interpreter = asked.interpreter(read, Substitutes(no_variable("is in no text side"), asked.vocabulary), given)
        return np.asarray(interpreter.run([ids], {TensorRef(raw.op.name): given})[0])

    assert goes_word_by_word(run) is loops
