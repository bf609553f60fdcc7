"""Ways of computing that values choose between, of which one is taken for all: a shorter one for short texts is a habit.

Where a conditional after the lookups has products on its sides, each side in turn is taken to be that of every text. That it
is the same is not told by the operations: it is seen in runs, of texts for which each of the sides is chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hub2hf.analysis.flow import CHOICES
from hub2hf.analysis.settle import CONDITIONALS, constant, multiplies, settled
from hub2hf.errors import GraphError
from hub2hf.savedmodel.dtypes import FLOATS
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef


@dataclass(frozen=True)
class Decision:
    """What a conditional is decided by.

    Attributes:
        node: the conditional.
        by: the tensor that decides, of the graph as it is stored.
        sides: how many there are.
    """

    node: str
    by: TensorRef
    sides: int

    def side(self, value: np.ndarray) -> int:
        """Return the side that a value of the tensor chooses; of a number that is none of them, that is the last."""
        if value.dtype == np.bool_:
            return int(value.all())
        return int(value) if 0 <= int(value) < self.sides else self.sides - 1


def decisions(graph: Graph, order: Sequence[Node]) -> list[Decision]:
    """Return what conditionals of a main graph, `settled`, are decided by, that choose between products or what enters them.

    Args:
        graph: it.
        order: its nodes, each after its inputs.
    """
    found = []
    for node in order:
        if node.op in CONDITIONALS:
            functions = [name for names in node.calls.values() for name in names]
            if any(multiplies(graph, name) for name in functions):
                found.append(Decision(node.name, node.input(CHOICES[node.op]), len(functions)))
        elif node.op == "Switch" and str(node.attr("T")) in FLOATS:
            found.append(Decision(node.name, node.input(CHOICES[node.op]), 2))
    return found


def decided(graph: Graph, output: TensorRef, given: Collection[str], found: Sequence[Decision]) -> Iterator[Graph]:
    """Yield graphs in which the last sides, or the first, are taken for all texts.

    Args:
        graph: a main graph, `settled`.
        output: the tensor that is asked for.
        given: the nodes that are fed.
        found: its `decisions`.
    """
    for last in (True, False):
        changed: dict[str, Node] = {}
        for decision in found:
            node, name = graph.node(decision.node), f"{decision.node}/hub2hf/side"
            side = decision.sides - 1 if last else 0
            value = np.asarray(side, np.int32) if "Case" in node.op else np.asarray(bool(side))
            inputs = [*node.inputs]
            inputs[CHOICES[node.op]] = TensorRef(name)
            changed |= {name: constant(name, value), node.name: replace(node, inputs=tuple(inputs))}
        try:
            yield settled(Graph({**graph.nodes, **changed}, graph.functions), [output], given)
        except GraphError:  # this side cannot be taken alone
            continue
