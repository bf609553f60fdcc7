"""Products by broadcasting: what is multiplied number by number and added up along an axis, as products.

The sum over i of x[.., i, 1] W[i, o] is x W. Which axes broadcast is not read from the ops: a run on any text has shown the
shapes of all values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_lowercase

import numpy as np

from hub2hf.analysis.parts import made_by
from hub2hf.analysis.settle import constant
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

WIDER = frozenset({"ExpandDims", "StridedSlice", "Reshape"})  # what gives a value an axis to broadcast along

Shape = tuple[int, ...]


def sums_of_products(graph: Graph, order: Sequence[Node]) -> dict[str, Node]:
    """Return the nodes that add up what is multiplied with one more axis → the node that multiplies.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
    """
    found = {}
    for node in order:
        if node.op == "Sum" and graph.node(node.input(1).node).op == "Const":
            multiplied = made_by(graph, node.input(0))
            if multiplied.op == "Mul" and any(made_by(graph, ref).op in WIDER for ref in multiplied.inputs):
                found[node.name] = multiplied
    return found


def as_products(graph: Graph, sums: Mapping[str, Node], shapes: Mapping[str, Shape]) -> Graph:
    """Return `graph` with a product in place of each of `sums` that is one.

    Args:
        graph: a main graph.
        sums: see `sums_of_products`.
        shapes: node → shape of its first output in a run of several texts.
    """
    changed: dict[str, Node] = {}
    for name, multiplied in sums.items():
        if all(ref.node in shapes and not ref.output for ref in multiplied.inputs):
            changed.update((node.name, node) for node in _product(graph, graph.node(name), multiplied, shapes))
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def _product(graph: Graph, node: Node, multiplied: Node, shapes: Mapping[str, Shape]) -> list[Node]:
    """Return the nodes that stand for a sum; none where it is no sum of a product."""
    own = [shapes[ref.node] for ref in multiplied.inputs]
    rank = max(map(len, own))
    left, right = ((1,) * (rank - len(shape)) + shape for shape in own)
    summed = {int(axis) % rank for axis in np.ravel(graph.node(node.input(1).node).value)} if rank else set()
    labels = ascii_lowercase[:rank]
    alone = [{i for i in range(rank) if one[i] > 1 and other[i] == 1} for one, other in ((left, right), (right, left))]
    if not all(side - summed for side in alone) or any(left[i] != right[i] or left[i] == 1 for i in summed):
        return []
    start, made, refs, terms = f"{node.name}/hub2hf/summed", [], [], []
    for side, shape, ref in zip("lr", own, multiplied.inputs, strict=True):
        ones = [i - len(shape) for i, size in enumerate(shape) if size == 1]
        if ones:
            made.append(Node.made(f"{start}/{side}", "Squeeze", (ref,), attributes={"squeeze_dims": ones}))
        refs.append(TensorRef(made[-1].name) if ones else ref)
        terms.append("".join(labels[i] for i, size in enumerate(shape, rank - len(shape)) if size > 1))
    sizes = np.maximum(left, right)
    result = "".join(labels[i] for i in range(rank) if i not in summed and sizes[i] > 1)
    equation = {"equation": f"{','.join(terms)}->{result}", "N": 2}
    made.append(Node.made(f"{start}/product", "Einsum", refs, function=node.function, attributes=equation))
    kept = [i for i in range(rank) if i not in summed or node.attr("keep_dims", False)]
    for place, i in enumerate(kept):
        if i in summed or sizes[i] == 1:
            axis = constant(f"{start}/{place}/axis", np.asarray(place, np.int32))
            expanded = (TensorRef(made[-1].name), TensorRef(axis.name))
            made += [axis, Node.made(f"{start}/{place}", "ExpandDims", expanded)]
    return [*made, Node.made(node.name, "Identity", (TensorRef(made[-1].name),), function=node.function)]
