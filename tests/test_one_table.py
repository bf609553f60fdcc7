"""Rows of one table that no other place looks up are a table of their own; others stay where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from hub2hf.analysis.one_table import summed_apart, tables_apart
from hub2hf.analysis.settle import constant
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

TABLE = np.random.default_rng(0).standard_normal((9, 4))
TABLES = {"table": TABLE.shape}
IDS = np.array([[3, 0, 2], [1, 4, 0]])
OUT = TensorRef("out")


def run(graph: Graph, refs: Sequence[TensorRef], fed: Mapping[TensorRef, np.ndarray]) -> list[np.ndarray]:
    values = Interpreter(graph, Substitutes(lambda name: TABLE, {})).run(refs, {TensorRef("ids"): IDS, **fed})
    return [np.asarray(value) for value in values]


def graph_of(*nodes: Node) -> Graph:
    given = [
        Node.made("table", "VariableV2"),
        Node.made("ids", "Placeholder"),
        constant("axis", np.asarray(0, np.int32)),
    ]
    return Graph({node.name: node for node in [*given, *nodes]}, {})


def made(name: str, op: str, *inputs: str, **attributes: object) -> Node:
    return Node.made(name, op, tuple(map(TensorRef, inputs)), attributes=attributes)


def looked_up(*places: np.ndarray) -> Graph:
    """Return a graph that adds the rows of the ids and those at other places."""
    nodes = [made("words", "GatherV2", "table", "ids", "axis")]
    for i, place in enumerate(places):
        nodes += [constant(f"place_{i}", place), made(f"rows_{i}", "GatherV2", "table", f"place_{i}", "axis")]
    return graph_of(*nodes, made("out", "AddN", "words", *(f"rows_{i}" for i in range(len(places)))))


def parts(graph: Graph) -> int:
    """Return how many tables a graph looks rows up in; it computes what it did."""
    new = tables_apart(graph, order_of(graph, [OUT]), TABLES, run)
    np.testing.assert_array_equal(run(new, [OUT], {})[0], run(graph, [OUT], {})[0])
    return len({node.input(0).node for node in order_of(new, [OUT]) if node.op == "GatherV2"})


def test_words_positions_and_types_are_three_tables() -> None:
    assert parts(looked_up(np.array([5, 6, 7]), np.asarray(8))) == 3


def test_rows_that_words_look_up_too_stay() -> None:
    assert parts(looked_up(np.array([4, 6, 7]))) == 1


def test_places_that_look_up_the_same_rows_share_a_table() -> None:
    assert parts(looked_up(np.array([5, 6, 7]), np.array([5, 6, 7]))) == 2


def test_a_table_that_only_numbers_look_up_stays() -> None:
    nodes = [constant("one", np.asarray(1)), constant("two", np.asarray(2))]
    nodes += [made(f"row_{i}", "GatherV2", "table", i, "axis") for i in ("one", "two")]
    assert parts(graph_of(*nodes, made("out", "AddV2", "row_one", "row_two"))) == 1


def test_ids_that_had_a_number_added_are_those_before() -> None:
    graph = graph_of(
        constant("start", np.asarray(4)),
        made("moved", "AddV2", "ids", "start"),
        made("words", "GatherV2", "table", "moved", "axis"),
        constant("place", np.array([0, 1, 2])),
        made("rows", "GatherV2", "table", "place", "axis"),
        made("out", "AddV2", "words", "rows"),
    )
    assert parts(graph) == 2
    new = tables_apart(graph, order_of(graph, [OUT]), TABLES, run)
    assert new.node("words").input(1) == TensorRef("ids")


@pytest.mark.parametrize(("packed", "summed", "apart"), [(2, 2, True), (-1, 2, True), (2, -2, True), (1, 2, False)])
def test_rows_of_packed_ids_that_are_added_up_are_looked_up_one_by_one(packed: int, summed: int, apart: bool) -> None:
    graph = graph_of(
        made("zeros", "ZerosLike", "ids"),
        made("packed", "Pack", "ids", "zeros", axis=packed, N=2),
        made("rows", "GatherV2", "table", "packed", "axis"),
        constant("summed", np.asarray(summed, np.int32)),
        made("out", "Sum", "rows", "summed"),
    )
    new = summed_apart(graph, order_of(graph, [OUT]), TABLES, run)
    np.testing.assert_allclose(run(new, [OUT], {})[0], run(graph, [OUT], {})[0], atol=1e-12)
    assert (new.node("out").op == "AddN") == apart


def test_columns_that_are_added_up_stay() -> None:
    graph = graph_of(
        constant("columns", np.asarray(1, np.int32)),
        constant("some", np.array([0, 1, 2])),
        constant("others", np.array([3, 1, 0])),
        made("packed", "Pack", "some", "others", axis=0, N=2),
        made("rows", "GatherV2", "table", "packed", "columns"),
        constant("summed", np.asarray(0, np.int32)),
        made("out", "Sum", "rows", "summed"),
    )
    assert summed_apart(graph, order_of(graph, [OUT]), TABLES, run).node("out").op == "Sum"
