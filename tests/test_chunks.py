"""What is computed a part at a time is computed at once where a run shows that this is the same, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from graphs import run

from hub2hf.analysis.chunks import at_once
from hub2hf.analysis.settle import constant
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

OUT = TensorRef("out")


def graph_of(op: str, axis: int, *, outputs: Sequence[int] = (0, 1), **attributes: object) -> Graph:
    """Return a graph that splits x in two along an axis, does something to each, and puts `outputs` together there."""
    nodes = [
        Node.made("x", "Placeholder"),
        constant("axis", np.asarray(axis, np.int32)),
        Node.made("parts", "Split", (TensorRef("axis"), TensorRef("x")), attributes={"num_split": 2}),
        *(Node.made(f"each_{i}", op, (TensorRef("parts", i),), attributes=attributes) for i in (0, 1)),
        Node.made("out", "ConcatV2", (*(TensorRef(f"each_{i}") for i in outputs), TensorRef("axis"))),
    ]
    return Graph({node.name: node for node in nodes}, {})


def made_at_once(graph: Graph) -> bool:
    """Tell whether no parts are left, and that the graph computes what it did."""
    new = at_once(graph, order_of(graph, [OUT]), run)
    np.testing.assert_allclose(run(new, [OUT])[0], run(graph, [OUT])[0], atol=1e-12)
    return all(node.op != "Split" for node in order_of(new, [OUT]))


@pytest.mark.parametrize(("op", "axis"), [("Relu", 2), ("Relu", 1), ("Softmax", 1)])
def test_what_is_done_to_each_part_is_done_to_the_whole(op: str, axis: int) -> None:
    assert made_at_once(graph_of(op, axis))


@pytest.mark.parametrize("outputs", [(0, 1), (1, 0), (0, 0)])
def test_what_parts_are_to_each_other_stays_in_parts(outputs: tuple[int, int]) -> None:
    assert not made_at_once(graph_of("Softmax", 2, outputs=outputs))


@pytest.mark.parametrize("outputs", [(1, 0), (0, 0)])
def test_parts_in_another_order_stay(outputs: tuple[int, int]) -> None:
    assert not made_at_once(graph_of("Relu", 2, outputs=outputs))


def test_parts_that_are_done_differently_stay() -> None:
    graph = graph_of("LeakyRelu", 2, alpha=0.1)
    other = Node.made("each_1", "LeakyRelu", (TensorRef("parts", 1),), attributes={"alpha": 0.2})
    assert not made_at_once(Graph({**graph.nodes, "each_1": other}, {}))


def test_where_one_cannot_be_run_others_are_made_at_once() -> None:
    graph = graph_of("Relu", 2)
    shape = constant("shape", np.asarray([3, 4, 3], np.int32))
    written = [
        Node.made(f"written_{i}", "Reshape", (TensorRef(f"each_{i}"), TensorRef("shape"))) for i in (0, 1)
    ]  # a part has this shape, the whole has not
    ends = [
        Node.made("first", "ConcatV2", (*(TensorRef(node.name) for node in written), TensorRef("axis"))),
        Node.made("second", "ConcatV2", (TensorRef("each_0"), TensorRef("each_1"), TensorRef("axis"))),
        Node.made("out", "AddV2", (TensorRef("first"), TensorRef("second"))),
    ]
    graph = Graph({**graph.nodes, **{node.name: node for node in (shape, *written, *ends)}}, {})
    new = at_once(graph, order_of(graph, [OUT]), run)
    np.testing.assert_allclose(run(new, [OUT])[0], run(graph, [OUT])[0], atol=1e-12)
    assert [new.node(name).op for name in ("first", "second")] == ["ConcatV2", "Identity"]
