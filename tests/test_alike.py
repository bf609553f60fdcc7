"""Layers that are one computation on other weights are run once; whatever sets one apart is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from references import EMBEDDED

from hub2hf.analysis.alike import one_mapping, shortened
from hub2hf.analysis.run import ObservedRun
from hub2hf.blueprint import read as reading
from hub2hf.blueprint.encoder.side import EncoderSide
from hub2hf.blueprint.entry import text_entry
from hub2hf.blueprint.vocabulary.numbered import as_it_is
from hub2hf.errors import Hub2HFError
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.original import Original

Edit = Callable[[EncoderSide], Graph]


@pytest.fixture
def side() -> EncoderSide:
    """Return the encoder of the embedded model, whose second layer of three is like the first."""
    model = SavedModel.open(EMBEDDED)
    found = text_entry(model, "")
    assert found is not None
    return reading._Reading(model, found, as_it_is).encoder


def in_second(side: EncoderSide, op: str, number: int = 0) -> Node:
    """Return a node of the second layer."""
    short = shortened(side.graph, side.output, side.encoder.spans(), side.keys)
    assert short is not None
    return [side.graph.nodes[name] for name in short.twins if side.graph.nodes[name].op == op][number]


def changed(side: EncoderSide, *nodes: Node) -> Graph:
    return Graph({**side.graph.nodes, **{node.name: node for node in nodes}}, side.graph.functions)


def first_in_place_of(side: EncoderSide, node: Node, what: TensorRef, by: TensorRef) -> Graph:
    return changed(side, replace(node, inputs=tuple(by if ref == what else ref for ref in node.inputs)))


def another_operation(side: EncoderSide) -> Graph:
    return changed(side, replace(in_second(side, "Tanh"), op="Sigmoid"))


def another_attribute(side: EncoderSide) -> Graph:
    product = next(n for i in range(9) if not (n := in_second(side, "BatchMatMulV2", i)).attr("adj_y"))
    attributes = {**product._attrs, "adj_y": type(next(iter(product._attrs.values())))(b=True)}
    return changed(side, replace(product, _attrs=attributes, _decoded={}))


def another_constant(side: EncoderSide) -> Graph:
    scale = next(
        node for i in range(60) if (node := in_second(side, "Const", i)).value.dtype == np.float32 and node.value == 0.5
    )
    proto = type(scale._attrs["value"])()
    proto.CopyFrom(scale._attrs["value"])
    proto.tensor.ClearField("tensor_content")
    proto.tensor.float_val[:] = [float(scale.value) * 1.1]
    return changed(side, replace(scale, _attrs={**scale._attrs, "value": proto}, _decoded={}))


def operands_in_another_order(side: EncoderSide) -> Graph:
    difference = in_second(side, "Sub")
    return changed(side, replace(difference, inputs=difference.inputs[::-1]))


def the_rest_of_the_first_layer(side: EncoderSide) -> Graph:
    """What the first layer adds its attention to is added in the second too, in place of what that one is given."""
    first, second = side.encoder.spans()[:2]
    added = next(
        side.graph.nodes[name]
        for name in _order(side, second.end)
        if side.graph.nodes[name].op in ("Add", "AddV2") and second.start in side.graph.nodes[name].inputs
    )
    return first_in_place_of(side, added, second.start, first.start)


def a_last_layer_that_looks_back(side: EncoderSide) -> Graph:
    """The last layer adds its attention to what the second was given."""
    _, second = side.encoder.spans()
    added = next(
        node
        for node in side.graph.nodes.values()
        if node.op in ("Add", "AddV2") and second.end in node.inputs and node.name not in _order(side, second.end)
    )
    return first_in_place_of(side, added, second.end, second.start)


def _order(side: EncoderSide, end: TensorRef) -> set[str]:
    return {node.name for node in side.graph.upstream([end.node])}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (another_operation, "the stage 'layer 1'"),
        (another_attribute, "MatMul_1"),
        (another_constant, "the stage 'layer 1'"),
        (operands_in_another_order, "the stage 'layer 1'"),
        (the_rest_of_the_first_layer, "the stage 'layer 1'"),
        (a_last_layer_that_looks_back, "the stage 'layer 2"),
    ],
)
def test_a_layer_that_computes_another_thing_is_seen_and_the_graph_refused(
    side: EncoderSide, edit: Edit, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = edit(side)
    assert shortened(graph, side.output, side.encoder.spans(), side.keys) is None
    monkeypatch.setattr(reading._Reading, "__init__", _with_graph(reading._Reading.__init__, graph))
    with pytest.raises(Hub2HFError, match=said):
        reading.read_blueprint(Original(EMBEDDED))


def _with_graph(usual: Callable[..., None], graph: Graph) -> Callable[..., None]:
    def opened(self: Any, *given: Any, **options: Any) -> None:
        usual(self, *given, **options)
        self.encoder.graph = graph

    return opened


def test_variables_in_other_roles_make_another_layer(side: EncoderSide) -> None:
    spans, keys = side.encoder.spans(), dict(side.keys)
    names = [n for n, (key, _) in keys.items() if key.startswith(f"{spans[1].key}output.LayerNorm.")]
    assert len(names) == 2 and shortened(side.graph, side.output, spans, keys) is not None
    keys[names[0]], keys[names[1]] = keys[names[1]], keys[names[0]]
    assert shortened(side.graph, side.output, spans, keys) is None


def test_what_else_takes_the_layers_that_are_left_out_needs_them(side: EncoderSide) -> None:
    first, second = side.encoder.spans()
    last = side.graph.nodes[side.output.node]
    both = Node.made("both", "AddV2", [TensorRef(last.name), second.end])
    graph = Graph({**side.graph.nodes, "both": both, "there": replace(both, name="there")}, side.graph.functions)
    assert shortened(graph, TensorRef("both"), [first, second], side.keys) is not None  # that is moved to the first
    inner = in_second(side, "Tanh")
    both = replace(both, inputs=(TensorRef(last.name), TensorRef(inner.name)))
    graph = Graph({**side.graph.nodes, "both": both}, side.graph.functions)
    assert shortened(graph, TensorRef("both"), [first, second], side.keys) is None


def test_pairs_of_alike_layers_are_alike(side: EncoderSide) -> None:
    blueprint = reading.read_blueprint(Original(EMBEDDED))
    mapped, spans = blueprint.encoder.mapped, side.encoder.spans()
    short = shortened(side.graph, side.output, spans, side.keys)
    assert short is not None
    twins = {side.leaves.of[two][0]: side.leaves.of[one][0] for two, one in short.twins.items() if two in side.keys}
    assert len(twins) == sum(item.key.startswith(spans[0].key) for item in mapped) > 10
    assert one_mapping(mapped, spans, twins)
    at = next(i for i, item in enumerate(mapped) if item.key == f"{spans[1].key}output.dense.weight")
    for other in (
        replace(mapped[at], operation="copy"),
        replace(mapped[at], factor=2.0),
        replace(mapped[at], variable=mapped[at + 1].variable),
    ):
        assert other == mapped[at] or not one_mapping([*mapped[:at], other, *mapped[at + 1 :]], spans, twins)


def test_layers_that_are_alike_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    usual = ObservedRun.__init__

    def noted(self: ObservedRun, *given: Any) -> None:
        usual(self, *given)
        seen.append({stage for stage, ref in self.at.items() if ref in self._values})

    monkeypatch.setattr(ObservedRun, "__init__", noted)
    reading.read_blueprint(Original(EMBEDDED))
    assert seen[0] == {"embeddings", "layer 0"}  # and the last, which has no tap
