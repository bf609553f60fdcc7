"""Products written the other way round, with the weights on the left or the hidden axis not last, as rows times weights.

W^T x^T is the transpose of x W. Everything else takes tokens for rows, so each such product is written anew: what it takes
is turned to rows, and what comes out is turned back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from hub2hf.analysis.flow import ADDITIONS, GATHERS
from hub2hf.analysis.parts import PASSING, made_by
from hub2hf.analysis.settle import PRODUCTS, constant
from hub2hf.interpreter.arrays import text_attr
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

TURNED = "...ab->...ba"


def in_rows(graph: Graph, order: Sequence[Node], variables: Collection[str]) -> Graph:
    """Return `graph` with rows times weights in place of its products by weights on the left.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        variables: the nodes that are weights.
    """
    constant: set[str] = set()  # nodes that depend on no text
    weights: set[str] = set()  # those of them that are made of variables
    changed: dict[str, Node] = {}
    for node in order:
        before = {ref.node for ref in node.inputs}
        if node.name in variables or (before & weights and before <= constant):
            weights.add(node.name)
        if node.name in weights or node.op == "Const" or (before and before <= constant):
            constant.add(node.name)
        elif node.op in PRODUCTS and len(node.inputs) == 2:
            at = [i for i, ref in enumerate(node.inputs) if ref.node in weights]
            if len(at) == 1 and node.inputs[1 - at[0]].node not in constant:
                changed.update((new.name, new) for new in _in_rows(node, at[0]))
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def looked_up_in_rows(graph: Graph, order: Sequence[Node], leaves: Collection[str]) -> Graph:
    """Return `graph` with lookups of rows in place of those of columns of a table.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        leaves: the nodes that are variables of two dimensions.
    """
    tables: dict[str, str] = {}  # a node that passes a table on
    changed: dict[str, Node] = {}
    for node in order:
        first = node.inputs[0].node if node.inputs else ""
        if node.name in leaves or (node.op in PASSING and first in tables):
            tables[node.name] = node.name
        elif node.op == "GatherV2" and first in tables and not node.attr("batch_dims", 0):
            axis = graph.node(node.input(2).node)
            if axis.op == "Const" and axis.value.size == 1 and int(axis.value.ravel()[0]) in (1, -1):
                names = [f"{node.name}/hub2hf/{end}" for end in ("axes", "table", "axis", "rows")]
                axes, table, zero, rows = names
                changed[axes] = constant(axes, np.asarray([1, 0], np.int32))
                changed[table] = Node.made(table, "Transpose", (node.input(0), TensorRef(axes)))
                changed[zero] = constant(zero, np.asarray(0, np.int32))
                changed[rows] = Node.made(rows, "GatherV2", (TensorRef(table), node.input(1), TensorRef(zero)))
                changed[node.name] = _turned(node.name, TensorRef(rows), "...h->h...", node.function)
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def _in_rows(node: Node, at: int) -> list[Node]:
    """Return the nodes that stand for a product, none where it is of rows already; `at` is the place of the weights."""
    if node.op == "Einsum":
        return _einsum(node, at)
    if node.op == "Conv2D" or at == 1:
        return []
    turned = [
        any(node.attr(name, False) for name in names) for names in (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))
    ]
    weights, data = node.inputs
    nodes = [] if turned[1] else [_turned(f"{node.name}/hub2hf/rows", data, TURNED, node.function)]
    rows = data if turned[1] else TensorRef(nodes[0].name)
    name = "transpose_b" if node.op == "MatMul" else "adj_y"
    product = _made(node, node.op, (rows, weights), {name: not turned[0]})
    return [*nodes, product, _turned(node.name, TensorRef(product.name), TURNED, node.function)]


def _einsum(node: Node, at: int) -> list[Node]:
    left, _, result = text_attr(node, "equation").replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != 2 or "." in left or any(len(set(term)) < len(term) for term in (*terms, result)):
        return []
    data, weights = terms[1 - at], terms[at]
    shared = set(data) & set(weights)
    if shared & set(result) or (set(data) | set(weights)) - shared != set(result):
        return []  # an axis that both have and keep, or that is summed alone
    rows = "".join(sorted(data, key=lambda label: (label not in result, data.index(label))))
    plain = "".join(label for label in rows if label in result) + "".join(label for label in weights if label in result)
    if (rows, plain) == (data, result):
        return []
    nodes, source = [], node.inputs[1 - at]
    if rows != data:
        nodes.append(_turned(f"{node.name}/hub2hf/rows", source, f"{data}->{rows}", node.function))
        source = TensorRef(nodes[0].name)
    product = _made(node, "Einsum", (source, node.inputs[at]), {"equation": f"{rows},{weights}->{plain}", "N": 2})
    return [*nodes, product, _turned(node.name, TensorRef(product.name), f"{plain}->{result}", node.function)]


def _made(node: Node, op: str, inputs: tuple[TensorRef, ...], attributes: dict[str, object]) -> Node:
    return Node.made(f"{node.name}/hub2hf/product", op, inputs, function=node.function, attributes=attributes)


def _turned(name: str, data: TensorRef, equation: str, function: str) -> Node:
    return Node.made(name, "Einsum", (data,), function=function, attributes={"equation": equation, "N": 1})


def side_by_side(graph: Graph, order: Sequence[Node], leaves: Collection[str]) -> Graph:
    """Return `graph` with lookups in one table in place of those in several whose rows are put side by side.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        leaves: the nodes that are variables.
    """
    changed: dict[str, Node] = {}
    for node in order:
        parts = [made_by(graph, ref) for ref in node.inputs[:-1]] if node.op == "ConcatV2" else []
        if len(parts) < 2 or any(part.op not in ("GatherV2", "ResourceGather") for part in parts):
            continue
        ids = {part.input(1) for part in parts}
        tables = [made_by(graph, part.input(0)).name for part in parts]
        if len(ids) == 1 and len({*tables}) == len(tables) and all(table in leaves for table in tables):
            names = [f"{node.name}/hub2hf/{end}" for end in ("columns", "table", "rows")]
            columns, table, rows = map(TensorRef, names)
            changed[names[0]] = constant(names[0], np.asarray(1, np.int32))
            changed[names[1]] = Node.made(names[1], "ConcatV2", (*map(TensorRef, tables), columns))
            changed[names[2]] = constant(names[2], np.asarray(0, np.int32))
            looked_up = (table, *ids, rows)
            changed[node.name] = Node.made(node.name, "GatherV2", looked_up, function=node.function)
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def rows_added(graph: Graph, order: Sequence[Node], leaves: Collection[str]) -> set[str]:
    """Return the constants that are added to rows that were looked up: a token type of all tokens may be one.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        leaves: the nodes that are variables.
    """
    summed: set[str] = set()  # nodes that are rows of tables, or such and more
    found: set[str] = set()
    for node in order:
        makers = [made_by(graph, ref) for ref in node.inputs]
        if node.op in GATHERS and makers[0].name in leaves:
            summed.add(node.name)
        elif node.op in ADDITIONS | {"ConcatV2"} and any(maker.name in summed for maker in makers):
            summed.add(node.name)
            found |= {maker.name for maker in makers if maker.op == "Const" and node.op in ADDITIONS}
    return found


def in_another_shape(
    graph: Graph, order: Sequence[Node], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the nodes that give a table other rows before these are looked up → the node of its variable, and the shape.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        shapes: node of a variable → its shape.
    """
    users: dict[str, list[Node]] = {}
    for node in order:
        for name in {ref.node for ref in node.inputs}:
            users.setdefault(name, []).append(node)
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for node in order:
        if node.op != "Reshape" or graph.node(node.input(1).node).op != "Const":
            continue
        table, form = made_by(graph, node.input(0)).name, graph.node(node.input(1).node).value.ravel().tolist()
        stored = shapes.get(table, ())
        if len(stored) != 2 or len(form) != 2 or form[1] <= 0 or form[1] == stored[1]:
            continue
        looked_up = all(user.op in GATHERS and user.input(0).node == node.name for user in users.get(node.name, []))
        before = node.input(0).node
        while len(users[before]) == 1 and before != table:
            before = graph.node(before).input(0).node
        if looked_up and len(users[before]) == 1:  # nothing else takes the table
            found[node.name] = table, (stored[0] * stored[1] // form[1], form[1])
    return found


def before_picking(graph: Graph, ids: TensorRef) -> TensorRef | None:
    """Return the rows of ids that `ids` were picked of, as they are, without padding; None where they were not picked."""
    node = made_by(graph, ids)
    while node.op == "Reshape" or (node.op == "Cast" and str(node.attr("DstT")) in ("int32", "int64")):
        node = made_by(graph, node.input(0))
    if node.op not in GATHERS:
        return None
    ref = node.input(0)
    while (node := graph.node(ref.node)).op in PASSING | {"Reshape"}:
        ref = node.input(0)
    return ref
