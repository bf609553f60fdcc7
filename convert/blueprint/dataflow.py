"""Questions about the graph that reading a blueprint asks: who makes a value, who calls a function."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import prod

import numpy as np

from hub2hf.interpreter.plan import Body
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Function, Graph
from hub2hf.savedmodel.node import ARGUMENT_OP, Node, TensorRef

INTEGERS = (np.dtype(np.int32), np.dtype(np.int64))
FEW = 4  # elements of a constant that something may be compared with
PASSED_ON = frozenset({"Identity", "ReadVariableOp", "Cast", "StopGradient", "Snapshot", "Reshape", "ExpandDims"})

# Op → the attributes that name the functions it calls, and the position of its first input that is their argument.
CALLS = {
    **dict.fromkeys(("While", "StatelessWhile"), (("cond", "body"), 0)),
    **dict.fromkeys(("If", "StatelessIf"), (("then_branch", "else_branch"), 1)),
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), (("f",), 0)),
}


@dataclass(frozen=True)
class CallSite:
    """`node` of `body` calls a function, whose first argument is input number `offset` of the node."""

    body: Body
    node: Node
    offset: int


class Bodies:
    """All function bodies that the main graph reaches, and which nodes call each."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.callers: dict[str, list[CallSite]] = defaultdict(list)
        stack: list[Body] = [graph]
        while stack:
            body = stack.pop()
            for node in body.nodes.values():
                if node.op not in CALLS:
                    continue
                tick(node)
                attributes, offset = CALLS[node.op]
                for name in map(str, map(node.attr, attributes)):
                    if name not in self.callers:
                        stack.append(graph.function(name))
                    self.callers[name].append(CallSite(body, node, offset))

    def find(self, op: str) -> list[tuple[Body, Node]]:
        """Return every node with `op`, with the body it stands in."""
        bodies: list[Body] = [self.graph, *(self.graph.functions[name] for name in self.callers)]
        return [(body, node) for body in bodies for node in body.by_op.get(op, ())]

    def integers(self) -> set[int]:
        """Return the integers that constants of a few elements hold, in all bodies."""
        found: set[int] = set()
        for _, node in self.find("Const"):
            dtype, shape = node.value_form
            if dtype in INTEGERS and shape is not None and prod(size or 0 for size in shape) <= FEW:
                found.update(int(item) for item in np.ravel(node.value))
        return found

    def origin(self, body: Body, ref: TensorRef) -> tuple[Body, Node] | None:
        """Return the node that makes the value `ref`, followed through identities and out of function arguments;
        None when nothing in the main graph calls the function, or several nodes do."""
        made = self.source(body, ref)
        return made and (made[0], made[0].node(made[1].node))

    def source(self, body: Body, ref: TensorRef) -> tuple[Body, TensorRef] | None:
        """Return what `origin` finds, and which of its outputs it is."""
        while True:
            tick(ref.node)
            node = body.node(ref.node)
            if node.op == ARGUMENT_OP and isinstance(body, Function):
                callers = self.callers.get(body.name, [])
                if len(callers) != 1:
                    return None
                names = [argument.name for argument in body.arguments]
                ref = callers[0].node.input(names.index(node.name) + callers[0].offset)
                body = callers[0].body
            elif node.op in PASSED_ON or node.op in ("Switch", "Enter"):
                ref = node.input(0)
            else:
                return body, ref
