"""Attention that takes keys and values a block at a time, as if it took all of them at once: the online softmax.

Each block adds exp(s - m) v to one sum and exp(s - m) to another, where m may be the largest score so far; as it grows, both
sums are made smaller. Their quotient is softmax(s) v of all blocks, whatever m is. Where a quotient is made of nothing else,
it is proposed that it is that; whoever takes it runs both.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hub2hf.analysis.flow import ADDITIONS, MULTIPLICATIONS
from hub2hf.analysis.parts import MOVES, made_by
from hub2hf.analysis.products import is_product
from hub2hf.analysis.whole import Whole
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

QUOTIENTS = MULTIPLICATIONS | {"DivNoNan"}
# Of what a quotient may be made from the powers on, and what may be taken from scores before these are powers. A bound is
# none of the former: a run of a few texts does not tell whether it ever holds.
OF_POWERS = ADDITIONS | QUOTIENTS | MOVES | {"Sum", "Reciprocal", "Inv", "StridedSlice"}
OF_SCORES = MOVES | {"Sub", "Maximum", "Max", "StridedSlice"}
STARTS = frozenset({"Const", "Fill", "ZerosLike"})  # what sums and the largest score begin with


def keys_at_once(graph: Graph, node: Node) -> tuple[TensorRef, dict[str, Node]] | None:
    """Return what a quotient is where it is the attention to keys in blocks, and the nodes that make it; None elsewhere.

    Args:
        graph: a main graph, `settled`.
        node: the quotient.
    """
    found = _powers(graph, node) if node.op in QUOTIENTS else None
    if found is None or len(found[0]) < 2:
        return None
    contexts, at = zip(*found[0].items(), strict=True)
    scores = [_scores(graph, graph.node(name).input(i)) for name, i in zip(contexts, at, strict=True)]
    if len({*at}) > 1 or not all(_is_offset(graph, power, [*scores]) for power in found[1]):
        return None
    whole, first = Whole(graph, node.name), graph.node(contexts[0])
    values = whole.of([graph.node(name).input(1 - at[0]) for name in contexts])
    weights = whole.of(scores)
    if values is None or weights is None or not whole.made:
        return None
    softmax = Node.made(f"{node.name}/hub2hf/softmax", "Softmax", (weights,), function=node.function)
    taken = (TensorRef(softmax.name), values)
    context = replace(first, name=f"{node.name}/hub2hf/context", inputs=taken[:: 1 - 2 * at[0]], control_inputs=())
    return TensorRef(context.name), {**whole.made, softmax.name: softmax, context.name: context}


def _powers(graph: Graph, node: Node) -> tuple[dict[str, int], list[Node]] | None:
    """Return the products of powers by values, each with the place of the powers, and all powers that a quotient is made of;
    None where it is made of more."""
    products: dict[str, int] = {}
    powers: dict[str, Node] = {}
    seen, stack = {node.name}, [node]
    while stack:
        each = stack.pop()
        tick(each.name)
        before = []
        if each.op == "Exp":
            powers[each.name] = each
        elif is_product(each):
            at = [i for i, ref in enumerate(each.inputs) if made_by(graph, ref).op == "Exp"]
            if len(at) != 1:
                return None
            products[each.name] = at[0]
            before = [made_by(graph, each.input(at[0]))]
        elif each.op in OF_POWERS:
            before = [graph.node(ref.node) for ref in each.inputs]
        elif each.op not in STARTS:
            return None
        stack += [other for other in before if other.name not in seen]
        seen |= {other.name for other in before}
    return products, [*powers.values()]


def _scores(graph: Graph, power: TensorRef) -> TensorRef:
    """Return the scores of which a power is made, without what is taken from them."""
    taken = made_by(graph, power).input(0)
    while (node := made_by(graph, taken)).op == "Sub":
        taken = node.input(0)
    return taken


def _is_offset(graph: Graph, power: Node, scores: Collection[TensorRef]) -> bool:
    """Whether a power is of scores, and of what is the same for all keys, alone."""
    seen, stack = {*scores}, [ref for ref in power.inputs if ref not in scores]
    while stack:
        node = graph.node(stack.pop().node)
        if node.op not in OF_SCORES | STARTS:
            return False
        before = [ref for ref in node.inputs if node.op not in STARTS and ref not in seen]
        seen |= {*before}
        stack += before
    return True
