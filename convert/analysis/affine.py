"""Products that add their bias by a row of the kernel, and one number beside what they take: x, 1 times W over b.

[x, 1] [W; b] is x W + b: where what is multiplied by weights ends, or begins, with numbers that are the same for all texts,
the product is taken of the rest, and the rows of the weights that these numbers meet are added.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hub2hf.analysis.parts import MOVES
from hub2hf.analysis.settle import PRODUCTS, constant
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.interpreter.arrays import text_attr
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

NO_VARIABLE = no_variable("takes part in weights of others")
FILLED = MOVES | {"Fill", "BroadcastTo", "Tile", "Cast", "OnesLike"}
PADS = {"Pad": 0.0, "PadV2": None}
PLAIN_SLICE = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
MOST = 8  # numbers that stand beside what is multiplied


@dataclass(frozen=True)
class _Beside:
    """What a tensor is made of: `data`, and numbers that stand before and after it along the last axis."""

    data: TensorRef
    before: tuple[float, ...]
    after: tuple[float, ...]


def with_biases(graph: Graph, order: Sequence[Node], shapes: Mapping[str, tuple[int, ...]]) -> Graph:
    """Return `graph` with an addition in place of each row of weights that one number is multiplied by.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        shapes: node of a variable → its shape.
    """
    ends = {node.name: found for node in order if (found := _beside(graph, node)) is not None}
    if not ends:
        return graph
    still = _still(order, shapes)
    changed: dict[str, Node] = {}
    for node in order:
        if node.op in PRODUCTS - {"Conv2D"} and len(node.inputs) == 2 and still.get(node.input(1).node):
            chain = _chain(graph, node.input(0), ends)
            if chain:
                for new in _apart(graph, node, chain, ends[chain[-1].name], shapes):
                    changed[new.name] = new
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def _still(order: Sequence[Node], variables: Collection[str]) -> dict[str, bool]:
    """Return the nodes that depend on nothing that is fed → whether variables are in them."""
    found: dict[str, bool] = {}
    for node in order:
        before = [ref.node for ref in node.inputs]
        own = node.name in variables
        if own or node.op == "Const" or (before and all(name in found for name in before)):
            found[node.name] = own or any(found[name] for name in before)
    return found


def _chain(graph: Graph, ref: TensorRef, ends: Collection[str]) -> list[Node]:
    """Return the moves from a tensor back to one of `ends`, that one last; none where it leads to no such."""
    found = [graph.node(ref.node)]
    while found[-1].name not in ends:
        if found[-1].op not in MOVES:
            return []
        found.append(graph.node(found[-1].input(0).node))
    return found


def _beside(graph: Graph, node: Node) -> _Beside | None:
    """Return what a node puts beside a tensor along the last axis; None where it does not."""
    if node.op == "ConcatV2":
        parts = [(ref, _filled(graph, ref)) for ref in node.inputs[:-1]]
        data = [i for i, (_, number) in enumerate(parts) if number is None]
        axis = graph.node(node.inputs[-1].node)
        if len(data) == 1 < len(parts) and axis.op == "Const" and int(axis.value) != 0:
            numbers = [number for _, number in parts if number is not None]
            return _Beside(parts[data[0]][0], tuple(numbers[: data[0]]), tuple(numbers[data[0] :]))
    if node.op in PADS:
        sizes = graph.node(node.input(1).node)
        number = PADS[node.op] if len(node.inputs) < 3 else _filled(graph, node.input(2))
        if (
            sizes.op == "Const"
            and number is not None
            and not sizes.value[:-1].any()
            and 0 < sizes.value[-1].sum() <= MOST
        ):
            before, after = map(int, sizes.value[-1])
            return _Beside(node.input(0), (number,) * before, (number,) * after)
    return None


def _filled(graph: Graph, ref: TensorRef) -> float | None:
    """Return the one number that a tensor is filled with; None where it is not known."""
    node = graph.node(ref.node)
    while node.op in FILLED:
        if node.op == "OnesLike":
            return 1.0
        node = graph.node(node.input(1 if node.op == "Fill" else 0).node)
    if node.op != "Const" or node.value.dtype.kind != "f" or not node.value.size:
        return None
    first = node.value.reshape(-1)[0]
    return float(first) if (node.value == first).all() else None


def _apart(
    graph: Graph, node: Node, chain: Sequence[Node], beside: _Beside, shapes: Mapping[str, tuple[int, ...]]
) -> list[Node]:
    """Return what stands for a product: one of the rest, and additions of rows of the weights; nothing if it is no such.

    Of a concatenation each part is taken for one number wide; whoever compares the graphs sees where it is not.
    """
    weights = _variable(graph, node.input(1), shapes)
    axis = _inputs(node)
    if weights is None or axis is None:
        return []
    shape = shapes[weights.node]
    count, extra = shape[axis], len(beside.before) + len(beside.after)
    start, made = f"{node.name}/hub2hf/affine", []

    def put(name: str, op: str, *inputs: TensorRef, **attributes: object) -> TensorRef:
        made.append(Node.made(f"{start}/{name}", op, inputs, function=node.function, attributes=attributes))
        return TensorRef(made[-1].name)

    def number(name: str, *values: int) -> TensorRef:
        made.append(constant(f"{start}/{name}", np.asarray(values, np.int32)))
        return TensorRef(made[-1].name)

    def rows(name: str, begin: int, size: int) -> TensorRef:
        begins, sizes = [0, 0], [*shape]
        begins[axis], sizes[axis] = begin, size
        return put(name, "Slice", weights, number(f"{name}/begin", *begins), number(f"{name}/size", *sizes))

    moved = _without(graph, chain, beside.data, count - extra, start)
    made += moved
    data = TensorRef(moved[-1].name) if moved else beside.data
    product = f"{start}/product"
    inside = rows("kernel", len(beside.before), count - extra)
    made.append(replace(node, name=product, inputs=(data, inside), control_inputs=()))
    total = TensorRef(product)
    numbers = [*enumerate(beside.before), *enumerate(beside.after, count - len(beside.after))]
    for at, value in numbers:
        row = put(f"row_{at}/flat", "Reshape", rows(f"row_{at}", at, 1), number(f"row_{at}/shape", -1))
        if value != 1.0:
            made.append(constant(f"{start}/row_{at}/number", np.asarray(value, np.float32)))
            row = put(f"row_{at}/times", "Mul", row, TensorRef(made[-1].name))
        total = put(f"row_{at}/added", "AddV2", total, row)
    return [*made, Node.made(node.name, "Identity", (total,), function=node.function)]


def _variable(graph: Graph, ref: TensorRef, shapes: Mapping[str, tuple[int, ...]]) -> TensorRef | None:
    """Return the variable of two dimensions that a tensor is as it is, moved or not; None where it is no such."""
    node = graph.node(ref.node)
    while node.op in MOVES:
        node = graph.node(node.input(0).node)
    if len(shapes.get(node.name, ())) != 2:
        return None
    numbers = np.arange(float(np.prod(shapes[node.name]))).reshape(shapes[node.name])
    try:
        (found,) = Interpreter(graph, Substitutes(NO_VARIABLE, {})).run([ref], {TensorRef(node.name): numbers})
    except GraphError:
        return None
    return TensorRef(node.name) if np.array_equal(found, numbers) else None


def _inputs(node: Node) -> int | None:
    """Return which axis of the weights, of two, a product of rows sums over; None where it is no such product."""
    if node.op == "Einsum":
        left, _, result = text_attr(node, "equation").replace(" ", "").partition("->")
        data, _, weights = left.partition(",")
        if len(weights) != 2 or data[-1:] not in weights or result != data[:-1] + weights.replace(data[-1:], "", 1):
            return None
        return weights.index(data[-1])
    if any(node.attr(name, False) for name in ("transpose_a", "adj_x")):
        return None
    return int(any(node.attr(name, False) for name in ("transpose_b", "adj_y")))


def _without(graph: Graph, chain: Sequence[Node], data: TensorRef, width: int, start: str) -> list[Node]:
    """Return the moves of a chain, of `data` in place of what its last node makes, its last axis being `width` long."""
    made: list[Node] = []
    ref = data
    for i, node in enumerate(reversed(chain[:-1])):
        inputs = (ref, *node.inputs[1:])
        if node.op == "Reshape":
            # The same shape, but for the last axis, which may have been stated.
            names = [f"{start}/{i}/{end}" for end in ("begin", "end", "strides", "width", "axis", "before", "shape")]
            values = ([0], [-1], [1], [width], 0)
            made += [constant(n, np.asarray(v, np.int32)) for n, v in zip(names, values, strict=False)]
            *ends, last, axis, before, shape = (TensorRef(name) for name in names)
            made.append(Node.made(before.node, "StridedSlice", (node.input(1), *ends), attributes=PLAIN_SLICE))
            made.append(Node.made(shape.node, "ConcatV2", (before, last, axis), attributes={"N": 2}))
            inputs = (ref, shape)
        made.append(replace(node, name=f"{start}/{i}", inputs=inputs, control_inputs=()))
        ref = TensorRef(made[-1].name)
    return made
