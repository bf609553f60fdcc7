"""The order in which a body is run, worked out once: which step takes which values, and after which they can go.

A loop runs its body thousands of times. Values stand in numbered places rather than under names, and what a step needs
is looked up beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hub2hf.errors import GraphError
from hub2hf.interpreter.registry import Cost, Kernel, Operation
from hub2hf.savedmodel.graph import Function, Graph
from hub2hf.savedmodel.node import Node, TensorRef

Body = Graph | Function

MERGES = frozenset({"Merge", "RefMerge"})  # the only ops that take a dead value
PASSES = frozenset({"Identity", "StopGradient", "Snapshot", "PreventGradient"})  # what they take is what they give
SWITCHES = frozenset({"Switch", "RefSwitch"})  # the only ones that make one


@dataclass(frozen=True, slots=True)
class Step:
    """One node, as it is run.

    Attributes:
        node: the node.
        kernel: computes it; None where its op is not known.
        cost: how many elements it may make; None for what makes no more than its inputs broadcast together.
        inputs: (place, output) of each.
        place: where its outputs go.
        last: the places that nobody needs after it.
    """

    node: Node
    kernel: Kernel | None
    cost: Cost | None
    inputs: tuple[tuple[int, int], ...]
    place: int
    last: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a body is run; the first places are those of what is fed, in its order.

    Attributes:
        constants: its constants, with their places.
        steps: all else, each after what it takes.
        results: (place, output) of each value that is fetched.
        fed: how many values are fed.
        conditional: whether a step may take a dead value.
    """

    constants: tuple[tuple[int, Node], ...]
    steps: tuple[Step, ...]
    results: tuple[tuple[int, int], ...]
    fed: int
    conditional: bool

    @property
    def places(self) -> int:
        """How many places there are."""
        return self.fed + len(self.constants) + len(self.steps)


def plan(
    body: Body,
    fetches: Sequence[TensorRef],
    fed: Sequence[TensorRef],
    known_of: Callable[[Node], Operation | None],
    *,
    whole: bool = False,
) -> Plan:
    """Plan how `fetches` are computed from what is fed.

    Args:
        body: the graph, or a function.
        fetches: what is wanted.
        fed: the tensors that values are given for; what is before them is not followed.
        known_of: what computes a node, and what it may cost.
        whole: whether nodes that only pass a value on are steps too; loops have many.

    Raises:
        GraphError: see `order_of`; or a node takes an output that another does not have.
    """
    order = order_of(body, fetches, frozenset(fed))
    constants = [node for node in order if node.op == "Const"]
    passed = {node.name: node.inputs[0] for node in order if not whole and node.op in PASSES and len(node.inputs) == 1}
    rest = [node for node in order if node.op != "Const" and node.name not in passed]
    numbers = {node.name: len(fed) + i for i, node in enumerate([*constants, *rest])}
    given = {ref: i for i, ref in enumerate(fed)}

    def place(ref: TensorRef) -> tuple[int, int]:
        while ref not in given and ref.node in passed:
            if ref.output:
                raise GraphError(
                    f"Node '{ref.node}' has one output, and another one is taken.", "The graph is damaged."
                )
            ref = passed[ref.node]
        return (given[ref], 0) if ref in given else (numbers[ref.node], ref.output)

    taken = [tuple(map(place, node.inputs)) for node in rest]
    results = tuple(map(place, fetches))
    last = _last_uses(taken, {number for number, _ in results}, len(fed) + len(constants))
    steps = []
    for i, (node, inputs) in enumerate(zip(rest, taken, strict=True)):
        known = known_of(node)
        kernel, cost = (known.kernel, known.cost) if known else (None, None)
        steps.append(Step(node, kernel, cost, inputs, numbers[node.name], last.get(i, ())))
    placed = tuple((numbers[node.name], node) for node in constants)
    return Plan(placed, tuple(steps), results, len(fed), any(node.op in SWITCHES | MERGES for node in rest))


def _last_uses(
    taken: Sequence[tuple[tuple[int, int], ...]], results: set[int], first: int
) -> Mapping[int, tuple[int, ...]]:
    """Return step → the places, from `first` on, that it is the last to take; what is fetched stays."""
    last = {place: i for i, inputs in enumerate(taken) for place, _ in inputs}
    found: dict[int, tuple[int, ...]] = {}
    for place, i in last.items():
        if place >= first and place not in results:
            found[i] = (*found.get(i, ()), place)
    return found


def order_of(body: Body, fetches: Sequence[TensorRef], fed: frozenset[TensorRef] = frozenset()) -> list[Node]:
    """Return the nodes of `body` that `fetches` depend on, each after its inputs; control inputs do not count.

    Raises:
        GraphError: a node is missing, or depends on itself.
    """
    order: list[Node] = []
    done: dict[str, bool] = {}  # False: entered, and so on the way to what is looked at
    stack = [ref.node for ref in reversed(fetches) if ref not in fed]
    while stack:
        name = stack[-1]
        known = done.get(name)
        if known is not None:
            stack.pop()
            if not known:
                done[name] = True
                order.append(body.nodes[name])
            continue
        node = body.nodes.get(name)
        if node is None:
            raise GraphError(f"The output depends on '{name}', which is not in the graph.", "Download it again.")
        done[name] = False
        for ref in reversed(node.inputs):
            if fed and ref in fed:
                continue
            known = done.get(ref.node)
            if known is None:
                stack.append(ref.node)
            elif not known:
                raise GraphError(f"Node '{ref.node}' depends on itself.", "TensorFlow 1 loops are not supported.")
    return order
