"""Attention to keys in blocks is taken for attention to all of them where it is that, whatever else is done to its sums."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import run

from hub2hf.analysis.chunks import at_once
from hub2hf.analysis.settle import constant
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

OUT = TensorRef("out")


class Blocks:
    """A graph of attention from x to x, two keys at a time; `made` adds a node and names what it makes."""

    def __init__(
        self, quotient: str = "RealDiv", turned: bool = False, less: bool = True, bounded: bool = False
    ) -> None:
        self.nodes = [Node.made("x", "Placeholder"), constant("axis", np.asarray([-1], np.int32))]
        self.nodes.append(constant("low", np.asarray([[[-1e30]]])))
        self.nodes += [constant(f"at_{i}", np.asarray([0, i, 0], np.int32)) for i in (0, 2)]
        self.nodes.append(constant("size", np.asarray([-1, 2, -1], np.int32)))
        total = mixed = None
        largest = "low"
        for i in (0, 2):
            part = self.made(f"part_{i}", "Slice", "x", f"at_{i}", "size")
            scores = self.made(f"scores_{i}", "BatchMatMulV2", "x", part, adj_y=True)
            top = self.made(f"top_{i}", "Max", scores, "axis", keep_dims=True)
            larger = self.made(f"larger_{i}", "Maximum", largest, top)
            power = self.made(f"power_{i}", "Exp", self.made(f"far_{i}", "Sub", scores, larger))
            added = self.made(f"added_{i}", "Sum", power, "axis", keep_dims=True)
            if turned:
                context = self.made(f"context_{i}", "Einsum", part, power, equation="bke,bqk->bqe", N=2)
            else:
                context = self.made(f"context_{i}", "BatchMatMulV2", power, part)
            if total is None or mixed is None:
                total, mixed = added, context
            else:
                shrink = self.made("shrink", "Exp", self.made("smaller", "Sub", largest, larger))
                shrunk = self.made("shrunk", "Mul", total, shrink) if less else total
                total = self.made("total", "AddV2", shrunk, added)
                mixed = self.made("mixed", "AddV2", self.made("faded", "Mul", mixed, shrink), context)
            largest = larger
        if bounded:  # that never holds here
            self.nodes.append(constant("bound", np.asarray(1e-6)))
            total = self.made("bounded", "Maximum", total, "bound")
        if quotient == "Mul":
            total = self.made("inverse", "Reciprocal", total)
        self.made("out", quotient, mixed, total)

    def made(self, name: str, op: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(Node.made(name, op, tuple(map(TensorRef, inputs)), attributes=attributes))
        return name

    def becomes_one(self) -> bool:
        """Tell whether one softmax is left, and no power; and that the graph computes what it did."""
        graph = Graph({node.name: node for node in self.nodes}, {})
        new = at_once(graph, order_of(graph, [OUT]), run)
        np.testing.assert_allclose(run(new, [OUT])[0], run(graph, [OUT])[0], atol=1e-12)
        return [node.op for node in order_of(new, [OUT]) if node.op in ("Exp", "Softmax")] == ["Softmax"]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("quotient", ["RealDiv", "DivNoNan", "Mul"])
def test_keys_in_blocks_are_attended_at_once(quotient: str, turned: bool) -> None:
    assert Blocks(quotient, turned).becomes_one()


def test_a_sum_that_is_not_made_smaller_is_another() -> None:
    assert not Blocks(less=False).becomes_one()


def test_a_bound_that_no_run_shows_is_not_left_out() -> None:
    assert not Blocks(bounded=True).becomes_one()


def test_a_bound_on_what_is_taken_from_scores_is_not_left_out() -> None:
    blocks = Blocks()
    at = next(i for i, node in enumerate(blocks.nodes) if node.name == "shrink")
    blocks.nodes[at] = Node.made("shrink", "Exp", (TensorRef("near"),))
    blocks.nodes.append(constant("most", np.asarray(50.0)))
    blocks.made("near", "Minimum", "smaller", "most")
    assert not blocks.becomes_one()


def test_a_slice_that_each_part_takes_is_no_part() -> None:
    nodes = [
        Node.made("x", "Placeholder"),
        constant("axis", np.asarray(2, np.int32)),
        constant("at", np.asarray([0, 0, 0], np.int32)),
        constant("size", np.asarray([-1, -1, 1], np.int32)),
        Node.made("parts", "Split", (TensorRef("axis"), TensorRef("x")), attributes={"num_split": 2}),
        *(Node.made(f"first_{i}", "Slice", (TensorRef("x"), TensorRef("at"), TensorRef("size"))) for i in (0, 1)),
        *(Node.made(f"each_{i}", "Mul", (TensorRef("parts", i), TensorRef(f"first_{i}"))) for i in (0, 1)),
        Node.made("out", "ConcatV2", (TensorRef("each_0"), TensorRef("each_1"), TensorRef("axis"))),
    ]
    graph = Graph({node.name: node for node in nodes}, {})
    new = at_once(graph, order_of(graph, [OUT]), run)
    np.testing.assert_allclose(run(new, [OUT])[0], run(graph, [OUT])[0], atol=1e-12)
    assert new.node("out").op == "Identity"
