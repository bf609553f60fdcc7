"""Where a value comes from, followed through functions that a graph calls."""

from __future__ import annotations

from hub2hf.blueprint.dataflow import Bodies
from hub2hf.savedmodel.graph import Argument, Function, Graph
from hub2hf.savedmodel.node import Node, TensorRef


def test_which_output_a_value_is_is_known_through_calls() -> None:
    """As TensorFlow 2.10 restores a mutable table: by a function that is given two of the tensors of one RestoreV2."""
    given = [Argument("keys", "string"), Argument("values", "int32")]
    passed = [Node.made(f"of_{each.name}", "Identity", [TensorRef(each.name)], function="fill") for each in given]
    fill = Function("fill", {each.name: each for each in passed}, given, [("out", TensorRef("of_keys"))])
    restore = Node.made("restore", "RestoreV2")
    inputs = [TensorRef("restore", 40), TensorRef("restore", 41)]
    call = Node.made("call", "StatefulPartitionedCall", inputs, attributes={"f": "fill"})
    bodies = Bodies(Graph({"restore": restore, "call": call}, {"fill": fill}))
    for name, wanted in zip(("of_keys", "of_values"), inputs, strict=True):
        assert bodies.source(fill, TensorRef(name)) == (bodies.graph, wanted)
        assert bodies.origin(fill, TensorRef(name)) == (bodies.graph, restore)
