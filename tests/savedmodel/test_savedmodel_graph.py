"""Graphs and functions: constants against TensorFlow, references resolved, and inconsistent graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text
from savedmodel_values import DTYPES, values_of
from tensorflow.core.framework import graph_pb2, tensor_pb2
from tensorflow.python.framework import op_def_registry

from hub2hf.errors import GraphError
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.graph import ReadGraph
from hub2hf.savedmodel.node import TensorRef
from hub2hf.savedmodel.ops import known_outputs, outputs_of


def graph_of(graph_def: Any, op_list: Any = None) -> ReadGraph:
    return ReadGraph(messages.parse("GraphDef", graph_def.SerializeToString()), op_list)


def const(tensor: tensor_pb2.TensorProto) -> Any:
    graph_def = graph_pb2.GraphDef()
    graph_def.node.add(name="c", op="Const").attr["value"].tensor.CopyFrom(tensor)
    return graph_of(graph_def).node("c").value


def assert_same(tensor: tensor_pb2.TensorProto) -> None:
    expected, got = tf.make_ndarray(tensor), const(tensor)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    assert not got.flags.writeable
    if got.dtype == object:
        assert got.tolist() == expected.tolist()
    else:
        assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (2, 0, 3), (4, 5)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_constants(dtype: str, shape: tuple[int, ...]) -> None:
    value = values_of(dtype, shape, 5)
    assert_same(tf.make_tensor_proto(value, dtype=dtype))
    with tf.Graph().as_default():
        assert_same(tf.constant(value).op.node_def.attr["value"].tensor)


@pytest.mark.parametrize("shape", [[], [1], [7], [2, 3], [0]])
@pytest.mark.parametrize("values", [[], [1], [3, -2], [1, 2, 3, 4, 5, 6]])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_in_fields(dtype: str, values: list[int], shape: list[int]) -> None:
    """The last value repeats; as in TensorFlow, no value means zeros."""
    if len(values) > np.prod(shape):
        values = values[: int(np.prod(shape))]
    tensor = tensor_pb2.TensorProto(dtype=tf.as_dtype(dtype).as_datatype_enum)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    if dtype.startswith("u"):
        values = [abs(value) for value in values]
    field = {
        "float16": "half_val",
        "bfloat16": "half_val",
        "float32": "float_val",
        "float64": "double_val",
        "complex64": "scomplex_val",
        "complex128": "dcomplex_val",
        "int64": "int64_val",
        "bool": "bool_val",
        "uint32": "uint32_val",
        "uint64": "uint64_val",
    }.get(dtype, "int_val")
    if field == "half_val":
        values = [value & 0xFFFF for value in values]
    if "complex" in dtype:
        values = [part for value in values for part in (value, value + 1)]
    getattr(tensor, field).extend([bool(value) for value in values] if dtype == "bool" else values)
    assert_same(tensor)


@pytest.mark.parametrize("value", [b"one", [b"", b"\xff\x00", "\N{SNOWMAN}".encode()], [[b"a"] * 3] * 2, []])
def test_strings(value: Any) -> None:
    assert_same(tf.make_tensor_proto(value, dtype=tf.string))


def test_one_value_for_many_takes_the_memory_of_one() -> None:
    tensor = tensor_pb2.TensorProto(dtype=1, float_val=[2.5])
    tensor.tensor_shape.dim.add(size=1 << 28)
    value = const(tensor)
    assert value.shape == (1 << 28,)
    assert value.strides == (0,)
    assert value[-1] == 2.5


def bad(dims: list[int] | None = None, **fields: Any) -> tensor_pb2.TensorProto:
    tensor = tensor_pb2.TensorProto(**{"dtype": 1, **fields})
    for size in dims or []:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


@pytest.mark.parametrize(
    "tensor",
    [
        bad(dtype=0),
        bad(dtype=999),
        bad(dtype=20),
        bad([2], tensor_content=b"1234567"),
        bad([2], float_val=[1, 2, 3]),
        bad([-1]),
        bad([-5]),
        bad([1 << 29], float_val=[1]),
        bad([0, 1 << 40]),
        bad([1 << 20, 1 << 20, 1 << 30]),
        bad([1] * 33),
        bad(dtype=7, tensor_content=b"a"),
        bad(dtype=24),
    ],
)
def test_bad_constants(tensor: tensor_pb2.TensorProto) -> None:
    with pytest.raises(GraphError, match="node c"):
        const(tensor)


def test_bad_constant_of_unknown_rank() -> None:
    tensor = bad()
    tensor.tensor_shape.unknown_rank = True
    with pytest.raises(GraphError, match="unknown shape"):
        const(tensor)


def test_attributes() -> None:
    graph_def = graph_pb2.GraphDef()
    attr = graph_def.node.add(name="n", op="X").attr
    attr["i"].i, attr["f"].f, attr["b"].b, attr["s"].s, attr["raw"].s = -3, 0.5, True, b"text", b"\xff"
    attr["float"].type, attr["ref"].type, attr["string"].type, attr["resource"].type = 1, 101, 7, 20
    attr["shape"].shape.dim.add(size=-1)
    attr["shape"].shape.dim.add(size=4)
    attr["rank"].shape.unknown_rank = True
    attr["ints"].list.i.extend([1, -2])
    attr["texts"].list.s.extend([b"a", b"\xff"])
    attr["types"].list.type.extend([3, 21])
    attr["nothing"].list.SetInParent()
    attr["tensor"].tensor.CopyFrom(tf.make_tensor_proto([1, 2]))
    attr["void"].SetInParent()
    attr["parameter"].placeholder = "T"
    node = graph_of(graph_def).node("n")
    names = (
        "i",
        "f",
        "b",
        "s",
        "raw",
        "float",
        "ref",
        "string",
        "resource",
        "shape",
        "rank",
        "ints",
        "texts",
    )
    assert [node.attr(name) for name in names] == [
        *(-3, 0.5, True, "text", b"\xff", np.float32, np.float32, "string", "resource"),
        *((None, 4), None, [1, -2], ["a", b"\xff"]),
    ]
    assert node.attr("types") == [np.int32, "variant"]
    assert node.attr("nothing") == []
    assert node.attr("tensor").tolist() == [1, 2]
    assert node.attr("missing", 5) == 5
    assert "texts" in node.attr_names
    for name in ("missing", "void", "parameter"):
        with pytest.raises(GraphError, match=rf"node n .*{name}|{name} of node n"):
            node.attr(name)
    with pytest.raises(GraphError, match="not a constant"):
        _ = node.value


def test_table_of_ops_is_that_of_tensorflow() -> None:
    for op, outputs in known_outputs().items():
        op_def = op_def_registry.get(op)
        assert op_def is not None, op
        assert outputs == outputs_of(op_def), op


def loop_graph() -> tuple[graph_pb2.GraphDef, tf.Graph]:
    """A while loop over text, with ops of one and of several outputs in its body."""
    with tf.Graph().as_default() as graph:
        tf.compat.v1.enable_control_flow_v2()
        texts = tf.compat.v1.placeholder(tf.string, [None], name="texts")

        def body(text: tf.Tensor) -> tf.Tensor:
            tokens = tensorflow_text.UnicodeScriptTokenizer().tokenize_with_offsets(text[None])
            first, second = tf.split(tf.concat([tokens[1].values, tokens[2].values], 0), 2)
            unique = tf.unique_with_counts(first + second)
            values, _ = tf.nn.top_k(unique.count, 1)
            parts = tf.unstack(tf.stack([values[0], unique.idx[0]]))
            return parts[1] + parts[0] + tf.cond(values[0] > 3, lambda: unique.count[0], lambda: 2)

        tf.map_fn(body, texts, fn_output_signature=tf.int32)
    return graph.as_graph_def(), graph


@pytest.mark.parametrize("with_op_list", [False, True])
def test_function_bodies_are_those_tensorflow_runs(with_op_list: bool) -> None:
    """TensorFlow instantiates the same functions into graphs: each input must be the same flat output."""
    graph_def, graph = loop_graph()
    op_list = None
    if with_op_list:
        export = tf.compat.v1.train.export_meta_graph(graph=graph, graph_def=graph_def)
        op_list = messages.parse("OpList", export.meta_info_def.stripped_op_list.SerializeToString())
    ours = graph_of(graph_def, op_list)
    assert len(ours.functions) >= 4
    compared = 0
    for name, function in ours.functions.items():
        theirs = graph._get_function(name).graph
        arguments = {tensor.op.name: arg.name for tensor, arg in zip(theirs.inputs, function.arguments, strict=True)}
        by_name = {_plain(op.name): op for op in theirs.get_operations()}
        for node in function.nodes.values():
            op = by_name.get(_plain(node.name))
            if op is None or node.op == "_Arg":
                continue
            for ref, tensor in zip(node.inputs, op.inputs, strict=True):
                expected = arguments.get(tensor.op.name, tensor.op.name)
                assert _plain(ref.node) == _plain(expected), node
                assert (ref.output, ref.out_name) == (tensor.value_index, ""), node
                compared += 1
    assert compared > 40


def _plain(name: str) -> str:
    return name.replace("/", "_").lower()


def test_references() -> None:
    graph_def = graph_pb2.GraphDef()
    graph_def.node.add(name="a", op="Const")
    graph_def.node.add(name="b", op="Split", input=["a", "a:0"])
    graph_def.node.add(name="c", op="Add", input=["b:1", "a", "^b"])
    graph = graph_of(graph_def)
    assert graph.node("c").inputs == (TensorRef("b", 1), TensorRef("a"))
    assert graph.node("c").control_inputs == ("b",)
    consumers = graph.consumers[TensorRef("a", 0)]
    assert [(node.name, position) for node, position in consumers] == [("b", 0), ("b", 1), ("c", 1)]
    assert {node.name for node in graph.upstream(["c"])} == {"a", "b", "c"}
    assert graph.producer(TensorRef("b", 1)).op == "Split"
    assert str(TensorRef("b", 1)) == "b:1"
    assert str(graph.node("b")) == "node b (Split)"
    for call in (lambda: graph.node("x"), lambda: graph.function("x"), lambda: graph.node("a").input(0)):
        with pytest.raises(GraphError):
            call()
    assert "x" not in graph.functions
    assert graph.functions.get("x") is None


def library(*functions: tuple[str, list[str], dict[str, tuple[str, list[str]]], dict[str, str]]) -> Any:
    graph_def = graph_pb2.GraphDef()
    for name, arguments, nodes, returns in functions:
        function = graph_def.library.function.add()
        function.signature.name = name
        for argument in arguments:
            function.signature.input_arg.add(name=argument, type=1)
        for key, value in returns.items():
            function.signature.output_arg.add(name=key, type=1)
            if value:
                function.ret[key] = value
        for node, (op, inputs) in nodes.items():
            function.node_def.add(name=node, op=op, input=inputs)
    return graph_def


def call(graph_def: Any, name: str, node: str = "call") -> Any:
    graph_def.node.add(name=node, op="PartitionedCall").attr["f"].func.name = name
    return graph_def


def test_functions() -> None:
    graph_def = library(
        ("f", ["x", "y"], {"s": ("Mystery", ["x", "y"]), "t": ("Add", ["s:out:0", "s:other:1", "^s"]),
                           "u": ("f2", ["x"]), "v": ("Add", ["u:b:0", "t:z"])}, {"r": "v:z:0", "q": "y"}),
        ("f2", ["x"], {}, {"a": "x", "b": "x"}),
    )  # fmt: skip
    graph = graph_of(call(graph_def, "f"))
    function = graph.functions["f"]
    assert [(arg.name, arg.dtype) for arg in function.arguments] == [("x", np.float32), ("y", np.float32)]
    assert function.nodes["x"].op == "_Arg"
    assert function.nodes["t"].inputs == (TensorRef("s", 0, "out"), TensorRef("s", 1, "other"))
    assert function.nodes["v"].inputs == (TensorRef("u", 1), TensorRef("t"))
    assert function.returns == (TensorRef("v"), TensorRef("y"))
    assert function.return_names == ("r", "q")
    assert graph.callees(graph) == ["f"]
    assert [f.name for f in graph.functions_bottom_up()] == ["f2", "f"]
    assert str(function.node("t")) == "node t (Add, in function f)"
    assert str(TensorRef("s", 1, "other")) == "s:other:1"


BAD_GRAPHS: dict[str, tuple[Any, str]] = {
    "no function": (call(graph_pb2.GraphDef(), "f"), "function f, which does not exist"),
    "itself": (
        call(library(("f", [], {"n": ("f", [])}, {})), "f"),
        "function f calls itself",
    ),
    "each other": (
        call(
            library(
                ("f", [], {"n": ("g", [])}, {}),
                ("g", [], {"n": ("h", [])}, {}),
                ("h", [], {"n": ("g", [])}, {}),
            ),
            "f",
        ),
        "function g calls itself",
    ),
    "two functions": (library(("f", [], {}, {}), ("f", ["x"], {}, {})), "two functions named 'f'"),
    "two nodes": (call(library(("f", ["x"], {"x": ("Const", [])}, {})), "f"), "node x"),
    "no input": (call(library(("f", [], {"x": ("Abs", ["y:y:0"])}, {})), "f"), "node y does not exist"),
    "no control": (call(library(("f", [], {"x": ("Abs", ["^y"])}, {})), "f"), "input y, which does not"),
    "no return": (call(library(("f", [], {}, {"r": ""})), "f"), "what it returns as r"),
    "bad return": (call(library(("f", [], {}, {"r": "x:y:0"})), "f"), "x does not exist"),
    "no output": (
        call(library(("f", ["x"], {"a": ("Abs", ["x"]), "b": ("Abs", ["a:z:0"])}, {})), "f"),
        "a has no output z:0",
    ),
    "output too far": (
        call(library(("f", ["x"], {"a": ("Abs", ["x"]), "b": ("Abs", ["a:y:1"])}, {})), "f"),
        "no output y:1",
    ),
    "no number": (call(library(("f", ["x"], {"a": ("Abs", ["x:y"])}, {})), "f"), "by number"),
    "no output name": (
        call(library(("f", ["x"], {"a": ("Abs", ["x"]), "b": ("Abs", ["a"])}, {})), "f"),
        "names no output",
    ),
    "no count": (
        call(library(("f", ["x"], {"a": ("Split", ["x"]), "b": ("Abs", ["a:output:0"])}, {})), "f"),
        "num_split",
    ),
}


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_graphs_that_do_not_hold_together(case: str) -> None:
    graph_def, message = BAD_GRAPHS[case]
    with pytest.raises(GraphError, match=message):
        graph_of(graph_def)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("a", []), ("a", [])], "node a"),
        ([("", [])], "empty"),
        ([("a", ["b"])], "input b, which does not exist"),
        ([("a", ["^b"])], "input b, which does not exist"),
        ([("a", []), ("b", ["a:x"])], "by number"),
        ([("a", []), ("b", ["a:-1"])], "by number"),
        ([("a", []), ("b", ["a:99999999999"])], "by number"),
        ([("a", []), ("b", [""])], "does not exist"),
    ],
)
def test_bad_nodes(nodes: list[tuple[str, list[str]]], message: str) -> None:
    graph_def = graph_pb2.GraphDef()
    for name, inputs in nodes:
        graph_def.node.add(name=name, op="X", input=inputs)
    with pytest.raises(GraphError, match=message):
        graph_of(graph_def)


def test_deep_graphs_do_not_recurse() -> None:
    depth = 5000
    graph_def = library(*((f"f{i}", [], {"n": (f"f{i + 1}", [])}, {}) for i in range(depth)), (f"f{depth}", [], {}, {}))
    graph_def.node.add(name="n0", op="f0")
    for i in range(depth):
        graph_def.node.add(name=f"n{i + 1}", op="Abs", input=[f"n{i}"])
    graph = graph_of(graph_def)
    assert sum(1 for _ in graph.upstream([f"n{depth}"])) == depth + 1
    assert len(graph.functions_bottom_up()) == depth + 1
