"""What is settled before a graph is run: conditionals of a constant, defaults, and lookups written as products.

An exporter leaves the switch between training and use in the graph: a placeholder with a default, and conditionals that
ask it. Nobody feeds it, so one side of each is all that the graph computes. And one-hot rows times a table are rows of the
table: as a lookup, a probe needs no more rows than it asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hub2hf.analysis.inline import inlined, resolved
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.interpreter.arrays import text_attr
from hub2hf.interpreter.plan import order_of
from hub2hf.limits import tick
from hub2hf.savedmodel.dtypes import FLOATS
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import CALL_OPS, Node, TensorRef
from hub2hf.savedmodel.variables import VARIABLE_OPS

NO_VARIABLE = no_variable("is not a constant")
# A Conv2D is understood where it is over one place: it multiplies the last axis as a MatMul does.
PRODUCTS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D"})
DEFAULTS = frozenset({"PlaceholderWithDefault", "PlaceholderWithDefaultV2"})
IFS = frozenset({"If", "StatelessIf"})
CONDITIONALS = IFS | {"Case", "StatelessCase"}
LOOPS = frozenset({"While", "StatelessWhile"})
SCATTERED = {"TensorScatterAdd": "AddV2", "ScatterNdNonAliasingAdd": "AddV2", "TensorScatterSub": "Sub"}
CASTS = frozenset({"Identity", "Cast", "StopGradient"})
MAX_ROUNDS = 50  # conditionals in one another
MAX_AXES = 8  # of a shape that is taken for that of one text
MAX_CONSTANT = 1000  # nodes that the predicate of a conditional, or the order of axes, may be computed by


def settled(
    graph: Graph, outputs: Sequence[TensorRef], given: Collection[str] = (), *, one_text: bool = False
) -> Graph:
    """Return `graph` with what `outputs` depend on settled, and loops over layers unrolled.

    Args:
        graph: a main graph, calls inlined and loops raised.
        outputs: the tensors that are asked for.
        given: the nodes that are fed, defaults or not.
        one_text: whether one text is fed at a time, so that loops over texts are unrolled, too.

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
            changed = changed or _unrolled(graph, order, given, one_text=one_text)
        if not changed:
            straight = Graph({**graph.nodes, **_straight(graph, order)}, graph.functions)
            order = order_of(straight, outputs)
            plain = {**_lookups(straight, order, constants), **_scattered(order)}
            return Graph({**straight.nodes, **plain}, graph.functions)
        graph = Graph({**graph.nodes, **changed}, graph.functions)
        for output in outputs:
            graph = inlined(graph, output)
    raise GraphError(
        f"Conditionals stand in one another, or a loop runs through layers, more than {MAX_ROUNDS} times.",
        "The graph is damaged or hostile.",
    )


def loops_over_texts(graph: Graph, outputs: Sequence[TensorRef], given: Collection[str]) -> bool:
    """Whether a graph that is `settled` has loops with products, which another number of texts makes longer."""
    order = order_of(graph, outputs, frozenset(TensorRef(name) for name in given))
    return any(node.op in LOOPS and multiplies(graph, str(node.attr("body"))) for node in order)


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
        self._none = Interpreter(graph, Substitutes(NO_VARIABLE, {}))

    def value(self, ref: TensorRef) -> np.ndarray | None:
        """Return the value of a tensor; None where it is not constant."""
        if not self._depends_on_constants(ref):
            return None
        try:
            return np.asarray(self._none.run([ref], {})[0])
        except GraphError:
            return None

    def value_of_one(self, ref: TensorRef) -> np.ndarray | None:
        """Return the value of a tensor that counts texts, where there is one; None where more than shapes tell it.

        What counts places takes them for one, too: whoever asks sees whether that was right.
        """
        shapes: set[TensorRef] = set()
        if not self._depends_on_constants(ref, shapes=shapes):
            return None
        try:
            return np.asarray(self._none.run([ref], dict.fromkeys(shapes, np.ones(MAX_AXES, np.int64)))[0])
        except GraphError:
            return None

    def still(self, ref: TensorRef) -> bool:
        """Whether `ref` leads back to constants and variables only, by few nodes."""
        return self._depends_on_constants(ref, VARIABLE_OPS)

    def _depends_on_constants(
        self, ref: TensorRef, variables: Collection[str] = (), shapes: set[TensorRef] | None = None
    ) -> bool:
        """Whether `ref` leads back to constants only, or `variables` too, by few nodes that are of the main graph alone.

        Where `shapes` are given, it may lead to such as well, which are added to them.
        """
        stack, seen = [ref.node], {ref.node}
        while stack:
            node = self.graph.node(stack.pop())
            tick(node.name)
            leaf = not node.inputs
            if shapes is not None and node.op == "Shape":
                shapes.add(TensorRef(node.name))
                continue
            if node.op in VARIABLE_OPS:
                if node.op not in variables:
                    return False
                continue
            if (leaf and node.op != "Const") or node.name in self._given:
                return False
            for taken in node.inputs:
                if taken.node not in seen:
                    seen.add(taken.node)
                    stack.append(taken.node)
            if len(seen) > MAX_CONSTANT:
                return False
        return True


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
                branch = _branch(node, predicate.ravel()[0])
                # The nodes of the branch are named after the call, and the graph may have such names already.
                name = f"{node.name}/hub2hf/branch"
                found[name] = _call(name, branch, node, node.inputs[1:])
                results = tuple(TensorRef(name, i) for i in range(len(graph.function(branch).returns)))
                found[node.name] = replace(node, op="IdentityN", inputs=results, control_inputs=())
    return found


def _branch(node: Node, chosen: Any) -> str:
    """Return the function that a conditional calls; of a number that is none of its branches', that is the last."""
    if "Case" not in node.op:
        return str(node.attr("then_branch" if bool(chosen) else "else_branch"))
    branches = [str(name) for name in node.attr("branches")]
    return branches[int(chosen) if 0 <= int(chosen) < len(branches) else -1]


def _unrolled(graph: Graph, order: Iterable[Node], given: Collection[str], *, one_text: bool) -> dict[str, Node]:
    """Return what stands in place of the loops over layers, each a step further: a call of the body before the loop.

    Their conditions count steps, and depend on nothing else; loops without products are those of texts.
    """
    found = {}
    for node in order:
        if node.op not in LOOPS or not multiplies(graph, str(node.attr("body"))):
            continue
        names = (f"{node.name}/hub2hf/{i}" for i in range(MAX_ROUNDS))
        name = next((name for name in names if name not in graph.nodes), node.name)
        asked = _call(name, str(node.attr("cond")), node, node.inputs)
        holding = inlined(Graph({**graph.nodes, name: asked}, graph.functions), TensorRef(name))
        constants, condition = _Constants(holding, given), resolved(holding, TensorRef(name))
        holds = constants.value_of_one(condition) if one_text else constants.value(condition)
        if holds is not None and holds.size == 1 and holds.ravel()[0]:
            found[name] = _call(name, str(node.attr("body")), node, node.inputs)
            following = tuple(TensorRef(name, i) for i in range(len(node.inputs)))
            found[node.name] = replace(node, inputs=following, control_inputs=())
        elif holds is not None and holds.size == 1:
            found[node.name] = replace(node, op="IdentityN", control_inputs=())
    return found


def multiplies(graph: Graph, name: str) -> bool:
    """Whether a function has a product, or calls one that has."""
    seen, stack = {name}, [name]
    while stack:
        for node in graph.function(stack.pop()).nodes.values():
            if node.op in PRODUCTS:
                return True
            if node.op in CALL_OPS | CONDITIONALS:
                called = {name for names in node.calls.values() for name in names} & graph.functions.keys()
                stack += called - seen
                seen |= called
    return False


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


def _scattered(order: Iterable[Node]) -> dict[str, Node]:
    """Return additions in place of what adds, or takes away, at some places of a tensor alone."""
    found: dict[str, Node] = {}
    for node in order:
        if node.op in SCATTERED and str(node.attr("T")) in FLOATS:
            base, places, values = node.inputs
            names = [f"{node.name}/hub2hf/{end}" for end in ("shape", "values")]
            found[names[0]] = Node.made(names[0], "Shape", (base,), attributes={"out_type": node.attr("Tindices")})
            found[names[1]] = Node.made(names[1], "ScatterNd", (places, values, TensorRef(names[0])))
            found[node.name] = Node.made(
                node.name, SCATTERED[node.op], (base, TensorRef(names[1])), function=node.function
            )
    return found


def _lookups(graph: Graph, order: Iterable[Node], constants: _Constants) -> dict[str, Node]:
    """Return lookups in place of products of one-hot rows and a table."""
    found: dict[str, Node] = {}
    for node in order:
        turned = _is_turned(node) if node.op in PRODUCTS and len(node.inputs) == 2 else None
        if turned is not None:
            hot = _one_hot(graph, node.input(0), constants)
            if hot is None or not constants.still(node.input(1)):
                continue
            ids = hot.input(0)
            if node.op == "MatMul":  # its operand has two dimensions, whatever the shape of the ids
                names = [f"{node.name}/hub2hf/{end}" for end in ("ids", "flat")]
                found[names[1]] = constant(names[1], np.asarray([-1], np.int32))
                found[names[0]] = Node.made(names[0], "Reshape", (ids, TensorRef(names[1])))
                ids = TensorRef(names[0])
            axis = f"{node.name}/hub2hf/axis"
            found[axis] = constant(axis, np.asarray(0, np.int32))
            table = node.input(1)
            if turned:
                names = [f"{node.name}/hub2hf/{end}" for end in ("table", "axes")]
                found[names[1]] = constant(names[1], np.asarray([1, 0], np.int32))
                found[names[0]] = Node.made(names[0], "Transpose", (table, TensorRef(names[1])))
                table = TensorRef(names[0])
            looked_up = (table, ids, TensorRef(axis))
            found[node.name] = Node.made(node.name, "GatherV2", looked_up, function=node.function)
    return found


def _is_turned(node: Node) -> bool | None:
    """Whether a product is rows times a table whose rows are columns; None where it is neither that nor rows times rows."""
    if node.op == "Conv2D":
        return None
    if node.op == "Einsum":
        left, _, right = text_attr(node, "equation").replace(" ", "").partition("->")
        rows, _, table = left.partition(",")
        if len(table) != 2 or not rows or rows[-1] not in table:
            return None
        turned = rows[-1] == table[1]
        stays = table[not turned]
        return turned if right == rows[:-1] + stays and stays not in rows else None
    if any(node.attr(name, False) for name in ("transpose_a", "adj_x")):
        return None
    return any(bool(node.attr(name, False)) for name in ("transpose_b", "adj_y"))


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
