"""Layers that are one computation on other weights: what is proved of the first of them holds for each.

Two layers are alike where their nodes, followed from what ends each to what begins it, are the same operations with the same
attributes, constants and inputs, and where each variable of one stands in the place of the variable of the same role of the
other. Nothing is run for that, and nothing is left to chance. A graph can then be run without the layers that are like the
first, which of 24 are 22: the first, and the last on what the first one makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from hub2hf.analysis.flow import SHAPES
from hub2hf.analysis.parts import MOVES
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.state_dict import Mapped

RESHAPES: Final = MOVES - {"Transpose"}  # which leave numbers in their order

Keys = Mapping[str, tuple[str, Any]]  # node of a variable → its state-dict key, and which part of that it is


@dataclass(frozen=True)
class Span:
    """A layer in a graph.

    Attributes:
        start, end: the tensor that it is given, and the one that it makes.
        key: the start of the state-dict keys of its weights.
    """

    start: TensorRef
    end: TensorRef
    key: str


@dataclass(frozen=True)
class Shortened:
    """A graph without the layers that are like the first.

    Attributes:
        graph: it; the last layer is given what the first one makes.
        twins: node of a layer that was left out → the node in its place in the first.
        first: the tensor that the first layer ends with, before it takes the shape that others ask for.
    """

    graph: Graph
    twins: Mapping[str, str]
    first: TensorRef


def shortened(graph: Graph, output: TensorRef, spans: Sequence[Span], keys: Keys) -> Shortened | None:
    """Return a graph without the layers that are like the first; None where not all of `spans` are alike.

    Args:
        graph: a main graph, calls inlined, without conditionals on the way.
        output: what it is run for.
        spans: its layers in order, all but the last.
        keys: the variables.
    """
    if len(spans) < 2:
        return None
    moved = [Span(_before_moves(graph, span.start), _before_moves(graph, span.end), span.key) for span in spans]
    return _shortened(graph, output, spans, keys) or _shortened(graph, output, moved, keys)


def _shortened(graph: Graph, output: TensorRef, spans: Sequence[Span], keys: Keys) -> Shortened | None:
    order = order_of(graph, [output])
    weighted, told = _dependent(order, keys)
    twins: dict[str, str] = {}
    form_of = cache(lambda node: node.form)  # the first layer is held beside each of the others
    for span in spans[1:]:
        found = _twins(graph, spans[0], span, keys, weighted, form_of)
        if found is None:
            return None
        twins |= found
    first, last = spans[0].end, spans[-1].end
    after: dict[str, Node] = {}  # what is left to do once the layers are done
    for node in order:
        if any(ref == last or ref.node in after for ref in node.inputs):
            after[node.name] = replace(node, inputs=tuple(first if ref == last else ref for ref in node.inputs))
            others = {ref.node for ref in node.inputs if ref != last} - after.keys()
            if others & weighted & told:
                return None  # it looks back past the layers
    return Shortened(Graph({**graph.nodes, **after}, graph.functions), twins, first)


def _before_moves(graph: Graph, ref: TensorRef) -> TensorRef:
    """Return the tensor that `ref` is another shape of, with its numbers in the same order.

    What takes a tensor several times may bring it to its own shape each time.
    """
    while (node := graph.nodes[ref.node]).op in RESHAPES:
        ref = node.input(0)
    return ref


def one_mapping(mapped: Sequence[Mapped], spans: Sequence[Span], twins: Mapping[str, str]) -> bool:
    """Tell whether the variables of layers that are alike are paired with their keys alike.

    Args:
        mapped: all pairs.
        spans: the layers.
        twins: variable → the one in its place in the first layer.
    """

    def pairs(span: Span) -> set[Mapped]:
        own = [item for item in mapped if item.key.startswith(span.key)]
        return {
            replace(item, key=item.key[len(span.key) :], variable=twins.get(item.variable, item.variable), named=True)
            for item in own
        }

    return all(pairs(span) == pairs(spans[0]) for span in spans[1:])


def _dependent(order: Sequence[Node], keys: Keys) -> tuple[set[str], set[str]]:
    """Return the nodes whose values depend on weights, and those whose values depend on what is fed; shapes tell neither.

    Args:
        order: each after its inputs.
        keys: the variables.
    """
    weighted, told = {*keys}, set[str]()
    for node in order:
        before = {ref.node for ref in node.inputs}
        if node.op in SHAPES:
            continue
        if before & weighted:
            weighted.add(node.name)
        if before & told or not (before or node.op == "Const" or node.name in keys):
            told.add(node.name)
    return weighted, told


def _twins(
    graph: Graph, first: Span, other: Span, keys: Keys, weighted: set[str], form_of: Callable[[Node], object]
) -> dict[str, str] | None:
    """Return node of `other` → node in its place in `first`, whose forms `form_of` keeps; None where they are not alike."""
    twins: dict[str, str] = {}
    for one, two in _side_by_side(graph, first, other, keys):
        if one is None or two is None:
            return None
        if one is two:
            if one.name in weighted:  # the other layers would take what this one was given
                return None
        elif (one.name in keys) != (two.name in keys):
            return None
        elif one.name in keys:
            (key, part), (key_there, part_there) = keys[one.name], keys[two.name]
            if not key.startswith(first.key) or key_there != other.key + key[len(first.key) :] or part != part_there:
                return None
            twins[two.name] = one.name
        elif form_of(one) != two.form or not (one.inputs or one.op == "Const"):
            return None
        else:
            twins[two.name] = one.name
    return twins


def _side_by_side(graph: Graph, first: Span, other: Span, keys: Keys) -> Iterator[tuple[Node | None, Node | None]]:
    """Yield the nodes of two layers from their ends on, those in the same places together; None where these differ.

    What is before a variable, before what both take, and before what each is given is not looked at.
    """
    seen = set()
    stack = [(first.end, other.end)]
    while stack:
        pair = one, two = stack.pop()
        if pair in seen or pair == (first.start, other.start):
            continue
        seen.add(pair)
        if (one.output, one.out_name) != (two.output, two.out_name):
            yield None, None
            return
        here, there = graph.nodes[one.node], graph.nodes[two.node]
        yield here, there
        if here is not there and here.name not in keys:
            if len(here.inputs) != len(there.inputs):
                yield None, None
                return
            stack += zip(here.inputs, there.inputs, strict=True)
