"""Lists that grow as they are written are as long as they must be, whichever way a conditional took for that."""

from __future__ import annotations

import numpy as np
import pytest

from hub2hf.analysis.grown import grown
from hub2hf.analysis.settle import constant
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.savedmodel.graph import Argument, Function, Graph
from hub2hf.savedmodel.node import Node, TensorRef

LENGTH = TensorRef("length_after")


def none(name: str) -> np.ndarray:
    raise AssertionError(name)


def node(name: str, op: str, *inputs: str, **attributes: object) -> Node:
    return Node.made(name, op, map(TensorRef, inputs), attributes=attributes)


def graph_of(more: int, *, asked: str = "GreaterEqual") -> Graph:
    """Return a graph with a list of three, which is given `more` places than the one asked for where that is beyond it."""
    given = [Argument("place", "int32"), Argument("items", "variant")]
    nodes = [constant("more", np.asarray(more, np.int32)), node("size", "AddV2", "place", "more")]
    nodes += [node("longer", "TensorListResize", "items", "size")]
    then = Function("then", {each.name: each for each in nodes}, given, [("out", TensorRef("longer"))])
    other = Function("other", {}, given, [("out", TensorRef("items"))])
    main = [
        node("at", "Placeholder"),
        constant("three", np.asarray(3, np.int32)),
        constant("shape", np.asarray([], np.int32)),
        node("list", "TensorListReserve", "shape", "three", element_dtype="float32", shape_type="int32"),
        node("length", "TensorListLength", "list"),
        node("asked", asked, "at", "length"),
        node("cond", "If", "asked", "at", "list", then_branch="then", else_branch="other"),
        node("length_after", "TensorListLength", "cond"),
    ]
    return Graph({each.name: each for each in main}, {"then": then, "other": other})


def length_after(graph: Graph, at: int) -> int:
    feeds = {TensorRef("at"): np.asarray(at, np.int32)}
    return int(np.asarray(Interpreter(graph, Substitutes(none, {})).run([LENGTH], feeds)[0]))


@pytest.mark.parametrize("at", [0, 2, 3, 7])
def test_a_list_that_grows_needs_no_question(at: int) -> None:
    new = grown(graph_of(1))
    assert new.node("cond").op == "TensorListResize"
    assert length_after(new, at) == length_after(graph_of(1), at) == max(3, at + 1)


@pytest.mark.parametrize(("more", "asked"), [(2, "GreaterEqual"), (1, "Less")])
def test_what_asks_or_does_something_else_stays(more: int, asked: str) -> None:
    assert grown(graph_of(more, asked=asked)).node("cond").op == "If"
