"""Questions about the graph that reading a blueprint asks: who consumes a value, who makes it, who calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from convert.interpreter.run import Body, order_of
from convert.limits import tick
from convert.savedmodel.graph import Function, Graph
from convert.savedmodel.node import ARGUMENT_OP, Node, TensorRef
from convert.savedmodel.variables import VARIABLE_OPS

PASSED_ON = frozenset({"Identity", "ReadVariableOp", "Cast", "StopGradient", "Snapshot", "Reshape", "ExpandDims"})

# Op → the attributes that name the functions it calls, and the position of its first input that is their argument.
CALLS = {
    **dict.fromkeys(("While", "StatelessWhile"), (("cond", "body"), 0)),
    **dict.fromkeys(("If", "StatelessIf"), (("then_branch", "else_branch"), 1)),
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), (("f",), 0)),
}


@dataclass(frozen=True)
class Use:
    """`node` takes a value as its input number `position`."""

    node: Node
    position: int


class Dataflow:
    """The part of the main graph that `output` depends on."""

    def __init__(self, graph: Graph, output: TensorRef) -> None:
        self.graph = graph
        self.output = output
        self.nodes = {node.name: node for node in order_of(graph, [output])}
        self._uses: dict[str, list[Use]] = defaultdict(list)
        for node in self.nodes.values():
            for position, ref in enumerate(node.inputs):
                self._uses[ref.node].append(Use(node, position))

    def variables(self) -> list[Node]:
        """Return the nodes of the variables that reach the output."""
        return [node for node in self.nodes.values() if node.op in VARIABLE_OPS]

    def uses(self, name: str) -> Iterator[Use]:
        """Yield the uses of the value of node `name`, through ops that only pass it on."""
        stack, seen = [iter(self._uses[name])], {name}
        while stack:
            use = next(stack[-1], None)
            if use is None:
                stack.pop()
                continue
            passed_on = use.node.op in PASSED_ON and use.position == 0
            if not passed_on and use.node.op != "ConcatV2":  # the slices of a partitioned variable are joined
                yield use
            elif use.node.name not in seen:
                seen.add(use.node.name)
                stack.append(iter(self._uses[use.node.name]))

    def forward(self, start: Node, through: frozenset[str], until: frozenset[str]) -> Node | None:
        """Return the nearest node with an op of `until` reached from `start` by nodes with ops of `through`."""
        return _nearest(start, lambda node: [use.node for use in self._uses[node.name]], through, until)

    def backward(self, start: Node, through: frozenset[str], until: frozenset[str]) -> Node | None:
        """Return the nearest node with an op of `until` that `start` depends on by nodes with ops of `through`."""
        return _nearest(start, lambda node: [self.nodes[ref.node] for ref in node.inputs], through, until)


def _nearest(
    start: Node, neighbours: Callable[[Node], Sequence[Node]], through: frozenset[str], until: frozenset[str]
) -> Node | None:
    """Breadth first; `start` itself counts when its op is in `until`."""
    seen, level = {start.name}, [start]
    while level:
        for node in level:
            if node.op in until:
                return node
        found = [n for node in level if node is start or node.op in through for n in neighbours(node)]
        level = []
        for node in found:
            if node.name not in seen:
                seen.add(node.name)
                level.append(node)
    return None


@dataclass(frozen=True)
class Caller:
    """`node` of `body` calls a function, whose first argument is input number `offset` of the node."""

    body: Body
    node: Node
    offset: int


class Bodies:
    """All function bodies that the main graph reaches, and which nodes call each."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.callers: dict[str, list[Caller]] = defaultdict(list)
        stack: list[Body] = [graph]
        while stack:
            body = stack.pop()
            for node in body.nodes.values():
                attributes, offset = CALLS.get(node.op, ((), 0))
                tick(str(node))
                for name in map(str, map(node.attr, attributes)):
                    if name not in self.callers:
                        stack.append(graph.function(name))
                    self.callers[name].append(Caller(body, node, offset))

    def find(self, op: str) -> list[tuple[Body, Node]]:
        """Return every node with `op`, with the body it stands in."""
        bodies: list[Body] = [self.graph, *(self.graph.functions[name] for name in self.callers)]
        return [(body, node) for body in bodies for node in body.nodes.values() if node.op == op]

    def origin(self, body: Body, ref: TensorRef) -> tuple[Body, Node] | None:
        """Return the node that makes the value `ref`, followed through identities and out of function arguments;
        None when nothing in the main graph calls the function, or several nodes do."""
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
            elif node.op in PASSED_ON:
                ref = node.input(0)
            else:
                return body, node
