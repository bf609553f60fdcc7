"""Arrays that grow as they are written, as TensorFlow 1.15 has them, without asking before each item whether they must.

`TensorArray.write` asks there whether the place is beyond the list, and makes the list longer by one place, or leaves it. Of
an array that grows with every item one answer is never given, so that no probe can show what would follow. The longer of the
two lists is the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hub2hf.analysis.parts import PASSING
from hub2hf.analysis.settle import IFS, constant
from hub2hf.savedmodel.graph import Function, Graph
from hub2hf.savedmodel.node import Node, TensorRef


def grown(graph: Graph) -> Graph:
    """Return `graph` with lists as long as they must be in place of conditionals that make them so."""
    functions = {
        name: Function(
            name, changed, function.arguments, list(zip(function.return_names, function.returns, strict=True))
        )
        for name, function in graph.functions.items()
        if (changed := _grown(graph, function.nodes))
    }
    main = _grown(graph, graph.nodes)
    return Graph(main or graph.nodes, {**graph.functions, **functions}) if main or functions else graph


def _grown(graph: Graph, nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Return the nodes of a scope with such conditionals replaced; none where it has no such."""
    changed: dict[str, Node] = {}
    for node in nodes.values():
        if node.op in IFS and (found := _growing(graph, nodes, node)) is not None:
            items, place, length = found
            names = [f"{node.name}/hub2hf/{end}" for end in ("one", "size", "longer")]
            one, size, longer = map(TensorRef, names)
            changed[names[0]] = constant(names[0], np.asarray(1, np.int32))
            changed[names[1]] = Node.made(names[1], "AddV2", (place, one), function=node.function)
            changed[names[2]] = Node.made(names[2], "Maximum", (size, length), function=node.function)
            changed[node.name] = Node.made(node.name, "TensorListResize", (items, longer), function=node.function)
    return {**nodes, **changed} if changed else {}


def _growing(graph: Graph, nodes: Mapping[str, Node], node: Node) -> tuple[TensorRef, TensorRef, TensorRef] | None:
    """Return the list, the place and the length that a conditional asks of; None where it asks or does something else."""
    asked = nodes[node.input(0).node]
    if asked.op != "GreaterEqual" or nodes[asked.input(1).node].op != "TensorListLength":
        return None
    place, length = asked.inputs
    items = nodes[length.node].input(0)
    longer, as_it_is = (graph.function(str(node.attr(f"{side}_branch"))) for side in ("then", "else"))
    if [_given(as_it_is, ref, node) for ref in as_it_is.returns] != [items] or len(longer.returns) != 1:
        return None
    resized = _made_by(longer, longer.returns[0])
    added = _made_by(longer, resized.input(1)) if resized.op == "TensorListResize" else resized
    if added.op not in ("Add", "AddV2") or _given(longer, resized.input(0), node) != items:
        return None
    one = _made_by(longer, added.input(1))
    is_one = one.op == "Const" and one.value.size == 1 and int(one.value.ravel()[0]) == 1
    return (items, place, length) if is_one and _given(longer, added.input(0), node) == place else None


def _made_by(function: Function, ref: TensorRef) -> Node:
    node = function.nodes[ref.node]
    while node.op in PASSING:
        node = function.nodes[node.input(0).node]
    return node


def _given(function: Function, ref: TensorRef, call: Node) -> TensorRef | None:
    """Return what a tensor of a branch is of what the conditional is given; None where it is made in the branch."""
    names = [argument.name for argument in function.arguments]
    name = _made_by(function, ref).name
    return call.input(1 + names.index(name)) if name in names else None
