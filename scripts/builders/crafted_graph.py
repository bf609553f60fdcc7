"""A SavedModel's main graph with ways to put hostile nodes into it, where every probe meets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from builders.hostile import open_graph, save_graph
from hub2hf.savedmodel import messages

FLOAT, INT32, STRING, INT64 = 1, 3, 7, 9
Change = Callable[[Path], None]


class Crafted:
    """The main graph of a copy, with a way to put nodes between the text and what reads it, or after the ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proto = open_graph(folder)
        self.meta = self.proto.meta_graphs[0]
        self.nodes = self.meta.graph_def.node
        self.by_name = {node.name: node for node in self.nodes}

    def add(self, op: str, inputs: Sequence[str] = (), name: str = "", **attrs: Any) -> str:
        """Add a node and return its name; attributes are messages' fields by kind, as `T={"type": 1}`."""
        node = self.nodes.add(name=name or f"x{len(self.nodes)}", op=op)
        node.input.extend(inputs)
        for key, value in attrs.items():
            for kind, content in value.items():
                if kind == "func":
                    node.attr[key].func.name = content
                elif kind == "list":
                    node.attr[key].list.CopyFrom(content)
                else:
                    setattr(node.attr[key], kind, content)
        return str(node.name)

    def constant(self, values: Sequence[Any], dtype: int = INT32, shape: Sequence[int] | None = None) -> str:
        """Add a constant and return its name."""
        name = self.add("Const", dtype={"type": dtype})
        tensor = self.by_last().attr["value"].tensor
        tensor.dtype = dtype
        for size in [len(values)] if shape is None else shape:
            tensor.tensor_shape.dim.add(size=size)
        fields = {FLOAT: "float_val", INT32: "int_val", STRING: "string_val", INT64: "int64_val"}
        getattr(tensor, fields[dtype]).extend(values)
        return name

    def scalar(self, value: Any, dtype: int = INT32) -> str:
        """Add a constant without axes."""
        return self.constant([value], dtype, ())

    def by_last(self) -> Any:
        """Return the node that was added last."""
        return self.nodes[len(self.nodes) - 1]

    def output(self) -> Any:
        """Return the tensor of the one output of the signature in use."""
        signatures = self.meta.signature_def
        signature = signatures["default"] if "default" in signatures else next(iter(signatures.values()))
        return next(iter(signature.outputs.values()))

    def replace_output(self, name: str) -> None:
        """Let a node be the output, the old one an addend of it, so that all of the graph still counts."""
        old = self.output().name
        self.add("Sum", [name, self.constant([0])], "reduced")
        self.add("AddV2", [old, "reduced"], "hostile_output")
        self.output().name = "hostile_output:0"

    def into_ids(self, name: str) -> None:
        """Let a node be looked up, added to, by the word embeddings: it is run with every probe."""
        gathers = [n for n in self.nodes if n.op in ("GatherV2", "ResourceGather", "Gather")]
        for gather in gathers:
            total = self.add("Sum", [name, self.constant([0])])
            zero = self.add("Mul", [self.add("Cast", [total], DstT={"type": INT32}), self.scalar(0)])
            gather.input[1] = self.add("AddV2", [gather.input[1], zero])

    def save(self) -> None:
        """Write the graph back."""
        save_graph(self.folder, self.proto)


def graph_case(build: Callable[[Crafted], str | None], *, ids: bool = True) -> Change:
    """A case that adds what `build` makes to the graph: to the ids, or only to the output."""

    def change(folder: Path) -> None:
        crafted = Crafted(folder)
        name = build(crafted)
        if name is not None:
            (crafted.into_ids if ids else crafted.replace_output)(name)
        crafted.save()

    return change


def doubling(times: int) -> Callable[[Crafted], str]:
    """A value added to itself again and again along a new axis."""

    def build(g: Crafted) -> str:
        name = g.constant([1.0], FLOAT)
        for _ in range(times):
            name = g.add("ConcatV2", [name, name, g.scalar(0)])
        return name

    return build


def outer(op: str, size: int = 1 << 20) -> Callable[[Crafted], str]:
    """A column and a row, which an operation broadcasts."""

    def build(g: Crafted) -> str:
        column = g.constant([1.0], FLOAT, (size, 1))
        row = g.constant([2.0], FLOAT, (1, size))
        return g.add(op, [column, row])

    return build


def held(g: Crafted) -> str:
    """Many values of 8 MB, all of them needed at the end."""
    names = [g.add("Fill", [g.constant([1 << 20]), g.scalar(float(i), FLOAT)]) for i in range(500)]
    return g.add("AddN", names)


def constants(count: int) -> Callable[[Crafted], str]:
    """`count` constants of which each repeats two values to fill 16 MB; four are as many as a run may hold."""

    def build(g: Crafted) -> str:
        names = [g.constant([1.0, 2.0], FLOAT, (1 << 22,)) for _ in range(count)]
        return g.add("AddN", [g.add("Sum", [name, g.constant([0])]) for name in names])

    return build


def function(
    g: Crafted, name: str, arguments: Sequence[str], nodes: Sequence[tuple[str, str, Sequence[str]]], ret: str
) -> Any:
    """Add a function of int32 arguments with one result."""
    made = g.meta.graph_def.library.function.add()
    made.signature.name = name
    for argument in arguments:
        made.signature.input_arg.add(name=argument, type=INT32)
    made.signature.output_arg.add(name="out", type=INT32)
    for node_name, op, inputs in nodes:
        node = made.node_def.add(name=node_name, op=op)
        node.input.extend(inputs)
    made.ret["out"] = ret
    return made


def endless(g: Crafted) -> str:
    """A loop whose condition is always true and whose body works."""
    cond = function(g, "forever", ["a"], [("t", "Equal", ["a", "a"])], "t:z:0")
    cond.signature.output_arg[0].type = 10
    function(g, "grow", ["a"], [("s", "Add", ["a", "a"])], "s:z:0")
    start = g.constant([1], INT32, (1 << 16,))
    return g.add("While", [start], cond={"func": "forever"}, body={"func": "grow"}, T={"list": _types(INT32)})


def growing(g: Crafted) -> str:
    """A loop whose value doubles each time."""
    endless(g)
    library = g.meta.graph_def.library.function
    body = library[len(library) - 1].node_def[0]
    body.op = "Concat"
    axis = library[len(library) - 1].node_def.add(name="axis", op="Const")
    axis.attr["value"].tensor.dtype = INT32
    axis.attr["value"].tensor.int_val.append(0)
    axis.attr["value"].tensor.tensor_shape.SetInParent()
    del body.input[:]
    body.input.extend(["axis:output:0", "a", "a"])
    library[len(library) - 1].ret["out"] = "s:output:0"
    return str(g.by_last().name)


def _types(dtype: int) -> Any:
    value = messages.new("ListValue")
    value.type.append(dtype)
    return value


def calls(depth: int, width: int) -> Callable[[Crafted], str]:
    """Functions that each call the next one several times: as many calls as the width to the power of the depth."""

    def build(g: Crafted) -> str:
        function(g, "f0", ["a"], [("n", "Neg", ["a"])], "n:y:0")
        for level in range(1, depth):
            nodes = [(f"c{i}", f"f{level - 1}", ["a"] if i == 0 else [f"c{i - 1}:out:0"]) for i in range(width)]
            function(g, f"f{level}", ["a"], nodes, f"c{width - 1}:out:0")
        return g.add("PartitionedCall", [g.scalar(1)], f={"func": f"f{depth - 1}"}, Tout={"list": _types(INT32)})

    return build


def recursion(g: Crafted) -> str:
    """Two functions that call each other."""
    function(g, "a", ["x"], [("c", "b", ["x"])], "c:out:0")
    function(g, "b", ["x"], [("c", "a", ["x"])], "c:out:0")
    return g.add("PartitionedCall", [g.scalar(1)], f={"func": "a"}, Tout={"list": _types(INT32)})


def identities(count: int) -> Callable[[Crafted], None]:
    """A variable that is read through a long chain of nodes."""

    def build(g: Crafted) -> None:
        variable = next(n for n in g.nodes if n.op in ("VarHandleOp", "VariableV2"))
        users = [n for n in g.nodes if n.op == "ReadVariableOp" and n.input[0] == variable.name]
        name = users[0].input[0]
        for _ in range(count):
            name = g.add("Identity", [name])
        users[0].input[0] = name

    return build


def diamonds(g: Crafted) -> None:
    """The word embeddings pass through joins in which the ways double each time."""
    gather = next(n for n in g.nodes if n.op in ("GatherV2", "ResourceGather", "Gather"))
    name = gather.input[0]
    for _ in range(60):
        name = g.add("ConcatV2", [name, name, g.scalar(0)])
    gather.input[0] = name


def cycle(g: Crafted) -> str:
    """Nodes that take each other."""
    a = g.add("Identity", ["later"])
    return g.add("Identity", [a], "later")


def many_inputs(count: int) -> Callable[[Crafted], None]:
    """A node that takes the same tensor again and again."""

    def build(g: Crafted) -> None:
        one = g.scalar(1.0, FLOAT)
        g.add("AddN", [one] * count)

    return build


def many_nodes(count: int) -> Callable[[Crafted], None]:
    """More nodes than the memory would hold."""

    def build(g: Crafted) -> None:
        for i in range(count):
            g.nodes.add(name=f"n{i}", op="NoOp")

    return build


def outputs_of_outputs(g: Crafted) -> None:
    """An operation with very many outputs, each asked for by name: counting them takes the square."""
    op = g.meta.meta_info_def.stripped_op_list.op.add(name="Many")
    for i in range(20_000):
        op.output_arg.add(name=f"o{i}", type=INT32)
    made = function(g, "square", ["a"], [("m", "Many", [])], "m:o0:0")
    for i in range(20_000):
        made.node_def.add(name=f"u{i}", op="Identity").input.append("m:o19999:0")
    g.add("PartitionedCall", [g.scalar(1)], f={"func": "square"}, Tout={"list": _types(INT32)})


def deep(g: Crafted) -> None:
    """Attributes within attributes, deeper than a parser goes."""
    value = g.by_last().attr["deep"]
    for _ in range(40):
        value.func.name = "f"
        value = value.func.attr["deep"]
