"""What is settled before a graph is run: conditionals of a constant, defaults, and lookups written as products.

An exporter leaves the switch between training and use in the graph: a placeholder with a default, and conditionals that
ask it. Nobody feeds it, so one side of each is all that the graph computes. And one-hot rows times a table are rows of the
table: as a lookup, a probe needs no more rows than it asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from hub2hf.analysis.inline import inlined, resolved
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.interpreter.arrays import text_attr
from hub2hf.interpreter.plan import order_of
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import CALL_OPS, Node, TensorRef
from hub2hf.savedmodel.variables import VARIABLE_OPS

# A Conv2D is understood where it is over one place: it multiplies the last axis as a MatMul does.
PRODUCTS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D"})
DEFAULTS = frozenset({"PlaceholderWithDefault", "PlaceholderWithDefaultV2"})
CONDITIONALS = frozenset({"If", "StatelessIf"})
LOOPS = frozenset({"While", "StatelessWhile"})
CASTS = frozenset({"Identity", "Cast", "StopGradient"})
MAX_ROUNDS = 50  # conditionals in one another
MAX_CONSTANT = 1000  # nodes that the predicate of a conditional, or the order of axes, may be computed by


def settled(graph: Graph, outputs: Sequence[TensorRef], given: Collection[str] = ()) -> Graph:
    """Return `graph` with what `outputs` depend on settled, and loops over layers unrolled.

    Args:
        graph: a main graph, calls inlined and loops raised.
        outputs: the tensors that are asked for.
        given: the nodes that are fed, defaults or not.

    Raises:
        GraphError: a conditional is malformed, or conditionals stand in one another without end.
    """
    for _ in range(MAX_ROUNDS):
        tick("conditionals in one another")
        order = order_of(graph, outputs, frozenset(TensorRef(name) for name in given))
        changed = _defaults(order, given)
        if not changed:
            constants = _Constants(graph, given)
            changed = {**_functional(graph, order, constants), **_switched(order, constants)}
            changed = changed or _unrolled(graph, order, given)
        if not changed:
            straight = Graph({**graph.nodes, **_straight(graph, order)}, graph.functions)
            looked_up = _lookups(straight, order_of(straight, outputs), constants)
            return Graph({**straight.nodes, **looked_up}, graph.functions)
        graph = Graph({**graph.nodes, **changed}, graph.functions)
        for output in outputs:
            graph = inlined(graph, output)
    raise GraphError(f"Conditionals stand in one another more than {MAX_ROUNDS} deep.", "The graph is damaged.")


def constant(name: str, value: np.ndarray) -> Node:
    """Return a constant of our own."""
    return Node.made(name, "Const", attributes={"value": value})


def _call(name: str, function: str, of: Node, inputs: Iterable[TensorRef]) -> Node:
    """Return a call of `function`, to stand beside the node `of`."""
    return Node.made(name, sorted(CALL_OPS)[0], inputs, function=of.function, attributes={"f": function})


def _defaults(order: Iterable[Node], given: Collection[str]) -> dict[str, Node]:
    return {
        node.name: replace(node, op="Identity", inputs=node.inputs[:1], control_inputs=())
        for node in order
        if node.op in DEFAULTS and node.name not in given
    }


class _Constants:
    """Values of the graph that depend on nothing that is fed or read."""

    def __init__(self, graph: Graph, given: Collection[str]) -> None:
        self.graph, self._given = graph, frozenset(given)
        self._none = Interpreter(graph, Substitutes(_no_variable, {}))

    def value(self, ref: TensorRef) -> np.ndarray | None:
        """Return the value of a tensor; None where it is not constant."""
        if not self._depends_on_constants(ref):
            return None
        try:
            return np.asarray(self._none.run([ref], {})[0])
        except GraphError:
            return None

    def _depends_on_constants(self, ref: TensorRef) -> bool:
        """Whether `ref` leads back to constants only, by few nodes that are of the main graph alone."""
        stack, seen = [ref.node], {ref.node}
        while stack:
            node = self.graph.node(stack.pop())
            tick(node.name)
            leaf = not node.inputs
            if (leaf and node.op != "Const") or node.name in self._given or node.op in VARIABLE_OPS:
                return False
            for taken in node.inputs:
                if taken.node not in seen:
                    seen.add(taken.node)
                    stack.append(taken.node)
            if len(seen) > MAX_CONSTANT:
                return False
        return True


def _no_variable(name: str) -> np.ndarray:
    raise GraphError(f"Variable '{name}' is not a constant.", REPORT)


def _straight(graph: Graph, order: Iterable[Node]) -> dict[str, Node]:
    """Return the nodes that take a result of a call, or of a conditional, each taking what that is."""
    found = {}
    for node in order:
        inputs = tuple(resolved(graph, ref) for ref in node.inputs)
        if inputs != node.inputs:
            found[node.name] = replace(node, inputs=inputs)
    return found


def _functional(graph: Graph, order: Iterable[Node], constants: _Constants) -> dict[str, Node]:
    """Return calls of the one branch in place of conditionals of a constant."""
    found = {}
    for node in order:
        if node.op in CONDITIONALS:
            predicate = constants.value(node.input(0))
            if predicate is not None and predicate.size == 1:
                branch = str(node.attr("then_branch" if bool(predicate.ravel()[0]) else "else_branch"))
                # The nodes of the branch are named after the call, and the graph may have such names already.
                name = f"{node.name}/hub2hf/branch"
                found[name] = _call(name, branch, node, node.inputs[1:])
                results = tuple(TensorRef(name, i) for i in range(len(graph.function(branch).returns)))
                found[node.name] = replace(node, op="IdentityN", inputs=results, control_inputs=())
    return found


def _unrolled(graph: Graph, order: Iterable[Node], given: Collection[str]) -> dict[str, Node]:
    """Return what stands in place of the loops over layers, each a step further: a call of the body before the loop.

    Their conditions count steps, and depend on nothing else; loops without products are those of texts.
    """
    found = {}
    for node in order:
        if node.op not in LOOPS or not _multiplies(graph, str(node.attr("body")), set()):
            continue
        names = (f"{node.name}/hub2hf/{i}" for i in range(MAX_ROUNDS))
        name = next((name for name in names if name not in graph.nodes), node.name)
        asked = _call(name, str(node.attr("cond")), node, node.inputs)
        holding = inlined(Graph({**graph.nodes, name: asked}, graph.functions), TensorRef(name))
        holds = _Constants(holding, given).value(resolved(holding, TensorRef(name)))
        if holds is not None and holds.size == 1 and holds.ravel()[0]:
            found[name] = _call(name, str(node.attr("body")), node, node.inputs)
            following = tuple(TensorRef(name, i) for i in range(len(node.inputs)))
            found[node.name] = replace(node, inputs=following, control_inputs=())
        elif holds is not None and holds.size == 1:
            found[node.name] = replace(node, op="IdentityN", control_inputs=())
    return found


def _multiplies(graph: Graph, name: str, seen: set[str]) -> bool:
    """Whether a function has a product, or calls one that has."""
    seen.add(name)
    called = set()
    for node in graph.function(name).nodes.values():
        if node.op in PRODUCTS:
            return True
        called |= {str(node.attr("f", ""))} & graph.functions.keys() if node.op in CALL_OPS else set()
    return any(_multiplies(graph, function, seen) for function in called - seen)


def _switched(order: Sequence[Node], constants: _Constants) -> dict[str, Node]:
    """Return what stands in place of the Switch and Merge nodes of a constant: TensorFlow 1 writes conditionals so."""
    found: dict[str, Node] = {}
    dead: set[TensorRef] = set()
    known: dict[TensorRef, bool | None] = {}
    for node in order:
        if node.op == "Switch":
            asked = node.input(1)
            if asked not in known:
                predicate = constants.value(asked)
                known[asked] = None if predicate is None or predicate.size != 1 else bool(predicate.ravel()[0])
            taken = known[asked]
            if taken is not None:
                dead.add(TensorRef(node.name, 0 if taken else 1))
                found[node.name] = replace(
                    node, op="IdentityN", inputs=(node.input(0), node.input(0)), control_inputs=()
                )
            if node.input(0) in dead:
                dead |= {TensorRef(node.name, 0), TensorRef(node.name, 1)}
        elif node.op == "Merge":
            alive = [ref for ref in node.inputs if ref not in dead]
            if len(alive) == 1 < len(node.inputs):
                found[node.name] = replace(node, op="Identity", inputs=(alive[0],), control_inputs=())
            elif not alive:
                dead.add(TensorRef(node.name))
        elif any(ref in dead for ref in node.inputs):
            dead |= {TensorRef(node.name, i) for i in range(max(1, len(node.inputs)))}
    return found


def _lookups(graph: Graph, order: Iterable[Node], constants: _Constants) -> dict[str, Node]:
    """Return lookups in place of products of one-hot rows and a table."""
    found: dict[str, Node] = {}
    for node in order:
        if node.op in PRODUCTS and len(node.inputs) == 2 and _is_plain(node):
            hot = _one_hot(graph, node.input(0), constants)
            if hot is None:
                continue
            ids = hot.input(0)
            if node.op == "MatMul":  # its operand has two dimensions, whatever the shape of the ids
                names = [f"{node.name}/hub2hf/{end}" for end in ("ids", "flat")]
                found[names[1]] = constant(names[1], np.asarray([-1], np.int32))
                found[names[0]] = Node.made(names[0], "Reshape", (ids, TensorRef(names[1])))
                ids = TensorRef(names[0])
            axis = f"{node.name}/hub2hf/axis"
            found[axis] = constant(axis, np.asarray(0, np.int32))
            looked_up = (node.input(1), ids, TensorRef(axis))
            found[node.name] = Node.made(node.name, "GatherV2", looked_up, function=node.function)
    return found


def _is_plain(node: Node) -> bool:
    """Whether a product is rows times a table, neither transposed."""
    if node.op == "Conv2D":
        return False
    if node.op == "Einsum":
        left, _, right = text_attr(node, "equation").replace(" ", "").partition("->")
        rows, _, table = left.partition(",")
        return len(table) == 2 and rows[-1:] == table[0] and right == rows[:-1] + table[1] and table[1] not in rows
    return not any(node.attr(name, False) for name in ("transpose_a", "transpose_b", "adj_x", "adj_y"))


def _one_hot(graph: Graph, ref: TensorRef, constants: _Constants) -> Node | None:
    """Return the OneHot whose rows `ref` holds in order, of ones and zeros on the last axis; None if it is none."""
    while True:
        node = graph.node(ref.node)
        if node.op == "Transpose":
            order = constants.value(node.input(1))
            if order is None or order.ravel().tolist() != list(range(order.size)):
                return None
        elif node.op not in CASTS and node.op != "Reshape":
            break
        ref = node.input(0)
    if node.op != "OneHot" or node.attr("axis", -1) != -1:
        return None
    ends = [constants.value(node.input(i)) for i in (2, 3)]
    plain = all(value is not None and value.size == 1 for value in ends)
    return node if plain and [float(np.ravel(value)[0]) for value in ends if value is not None] == [1.0, 0.0] else None
