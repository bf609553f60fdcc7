"""Products side by side, made one: the heads of an attention, halves of the outputs, halves of the inputs that are added.

[x V, x W] is x [V, W], and x V + y W is [x, y] [V; W]: what is taken and what is multiplied by are put together in the
graph, and the parts of what comes out are taken from that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from hub2hf.analysis.flow import ADDITIONS
from hub2hf.analysis.parts import PASSING
from hub2hf.analysis.settle import PRODUCTS, constant
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

NO_VARIABLE = no_variable("takes part in weights of others")
OF_ROWS = PRODUCTS - {"Einsum", "Conv2D"}
SUMS = ADDITIONS - {"Sub", "BiasAdd", "BiasAddV1"}
# Of these, two are the same where their inputs and attributes are.
MOVES = frozenset({"Reshape", "Transpose", "Identity", "Shape", "GatherV2", "Prod", "Pack", "ConcatV2", "ExpandDims"})
MOVES |= {"StridedSlice", "Slice", "Split", "SplitV"}
TURNS = (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))
SMALL = 16  # elements of a constant that is compared
THREE = 3  # queries, keys and values stand side by side anyway


@dataclass(frozen=True)
class _Product:
    """A product of what depends on the text, on the left, by weights; `turned`: whether these are [outputs, inputs]."""

    node: Node
    turned: bool

    @property
    def outputs(self) -> int:
        """The axis of the weights that stays."""
        return -2 if self.turned else -1


def as_one(graph: Graph, order: Sequence[Node], shapes: Mapping[str, tuple[int, ...]]) -> Graph:
    """Return `graph` with one product in place of those side by side that no layer has.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        shapes: node of a variable → its shape.
    """
    making = _Making(graph, order, shapes)
    making.say_once()
    for node in order:
        making.add_up(node)
    for products in making.groups():
        making.put_together(products)
    return Graph({**graph.nodes, **making.changed}, graph.functions) if making.changed else graph


class _Making:
    """A graph on its way to one with fewer products.

    Attributes:
        changed: the nodes that are new, or other than they were.
    """

    def __init__(self, graph: Graph, order: Sequence[Node], shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.graph, self.shapes = graph, shapes
        self.changed: dict[str, Node] = {}
        self._still: dict[str, bool] = {}  # a node that depends on nothing that is fed → whether variables are in it
        self._users: dict[str, list[Node]] = defaultdict(list)
        self._keys: dict[str, int] = {}
        self._known: dict[object, int] = {}
        self._products: dict[str, _Product] = {}
        for node in order:
            before = [ref.node for ref in node.inputs]
            for name in dict.fromkeys(before):
                self._users[name].append(node)
            own = node.name in shapes
            if own or node.op == "Const" or (before and all(name in self._still for name in before)):
                self._still[node.name] = own or any(self._still[name] for name in before)
            elif node.op in OF_ROWS and before[0] not in self._still and self._still.get(before[-1]):
                left, right = (any(node.attr(name, False) for name in names) for names in TURNS)
                if not left:
                    self._products[node.name] = _Product(node, right)

    def _node(self, name: str) -> Node:
        """Return a node, as it is now."""
        return self.changed.get(name) or self.graph.node(name)

    def _before_move(self, ref: TensorRef) -> str:
        """Return the node of a tensor, or what it gives another shape."""
        node = self._node(ref.node)
        return node.inputs[0].node if node.op == "Reshape" else node.name

    def _before_moves(self, ref: TensorRef) -> TensorRef:
        """Return what a tensor is before it is given another shape, or its axes another order."""
        node = self._node(ref.node)
        while node.op in ("Reshape", "Transpose", "Identity", "ExpandDims"):
            ref = node.input(0)
            node = self._node(ref.node)
        return ref

    def _source(self, ref: TensorRef) -> TensorRef:
        """Return what a tensor is before it is passed on."""
        while (node := self._node(ref.node)).op in PASSING:
            ref = node.input(0)
        return ref

    def say_once(self) -> None:
        """Make one product of those of the same values by the same weights."""
        known: dict[object, str] = {}
        for name, product in [*self._products.items()]:
            node = product.node
            first = known.setdefault((node.form, self._key(node.input(0)), self._source(node.input(1))), name)
            if first != name:
                again = self._put(Node.made(name, "Identity", (TensorRef(first),), function=node.function))
                self._users[first].append(self._node(again.node))
                del self._products[name]

    def add_up(self, node: Node) -> None:
        """Make one product of several that are added up."""
        if node.op not in SUMS or len(node.inputs) < 2:
            return
        found = [self._products.get(self._before_move(ref)) for ref in node.inputs]
        products = [product for product in found if product is not None]
        forms = {(product.node.op, product.turned) for product in products}
        alone = all(len(self._users[product.node.name]) == 1 for product in products)
        if len(products) < len(node.inputs) or len(forms) > 1 or not alone:
            return
        first = products[0]
        start = f"{node.name}/hub2hf"
        data = self._together(f"{start}/data", [product.node.input(0) for product in products], -1)
        inputs = -1 if first.turned else -2
        weights = self._together(f"{start}/weights", [product.node.input(1) for product in products], inputs)
        made = self._product(f"{start}/product", first, data, weights)
        moved = self.graph.node(node.inputs[0].node)
        if moved.op == "Reshape":
            total = self._put(Node.made(node.name, "Reshape", (made, moved.input(1)), function=node.function))
        else:
            total = self._put(Node.made(node.name, "Identity", (made,), function=node.function))
        for product in products:
            del self._products[product.node.name]
        self._products[made.node] = _Product(self._node(made.node), first.turned)
        self._users[made.node] = [self._node(total.node)]

    def groups(self) -> list[list[_Product]]:
        """Return the products of the same values, in order, where they are more than three or meet again."""
        near: dict[object, list[_Product]] = defaultdict(list)
        for product in self._products.values():
            near[self._key(self._before_moves(product.node.input(0)))].append(product)
        found: dict[object, list[_Product]] = defaultdict(list)
        for products in near.values():
            if len(products) > THREE or self._meet(products):
                for product in products:
                    found[product.node.op, product.turned, self._key(product.node.input(0))].append(product)
        return [products for products in found.values() if len(products) > 1]

    def _meet(self, products: Sequence[_Product]) -> bool:
        ends = [{user.name for user in self._after(product)[-1:]} for product in products]
        together = [self._node(name) for name in set.intersection(*ends)] if len(products) > 1 else []
        return any(node.op == "ConcatV2" for node in together)

    def _after(self, product: _Product) -> list[Node]:
        """Return what is made of a product, and of that alone: moves, a bias, and what follows."""
        found: list[Node] = []
        name = product.node.name
        while len(self._users[name]) == 1:
            (node,) = self._users[name]
            found.append(node)
            if node.op not in ("Reshape", "Identity") and self._bias(node) is None:
                break
            name = node.name
        return found

    def _bias(self, node: Node) -> TensorRef | None:
        """Return the weights that an addition adds, second or first."""
        if node.op not in ADDITIONS - {"Sub"} or len(node.inputs) != 2:
            return None
        found = [ref for ref in node.inputs if self._still.get(ref.node)]
        return found[0] if len(found) == 1 else None

    def put_together(self, products: Sequence[_Product]) -> None:
        """Make one product of several of the same values."""
        first = products[0]
        try:
            sizes = [self._shape(product.node.input(1))[product.outputs] for product in products]
            biases = [self._own_bias(product, size) for product, size in zip(products, sizes, strict=True)]
        except GraphError:
            return
        start = f"{first.node.name}/hub2hf"
        weights = [product.node.input(1) for product in products]
        made = self._product(
            f"{start}/product", first, first.node.input(0), self._together(f"{start}/weights", weights, first.outputs)
        )
        added = [bias for bias in biases if bias is not None]
        if len(added) == len(products):
            bias = self._together(f"{start}/biases", [self._bias(node) for node in added], 0)
            made = self._put(Node.made(f"{start}/biased", "AddV2", (made, bias)))
            for node in added:
                data = next(ref for ref in node.inputs if ref != self._bias(node))
                self._put(Node.made(node.name, "Identity", (data,), function=node.function))
        counts = self._constant(f"{start}/sizes", np.asarray(sizes, np.int32))
        axis = self._constant(f"{start}/axis", np.asarray(-1, np.int32))
        parts = self._put(
            Node.made(f"{start}/parts", "SplitV", (made, counts, axis), attributes={"num_split": len(sizes)})
        )
        for i, product in enumerate(products):
            self._put(
                Node.made(product.node.name, "Identity", (TensorRef(parts.node, i),), function=product.node.function)
            )

    def _own_bias(self, product: _Product, size: int) -> Node | None:
        """Return the addition of a vector of `size` numbers that follows a product alone, or its rows in another shape."""
        for node in self._after(product):
            bias = self._bias(node)
            if bias is not None:
                return node if self._shape(bias) == (size,) and size > 1 else None
        return None

    def _shape(self, ref: TensorRef) -> tuple[int, ...]:
        """Return the shape of weights."""
        zeros = {TensorRef(name): np.broadcast_to(0.0, shape) for name, shape in self.shapes.items()}
        if ref in zeros:
            return self.shapes[ref.node]
        graph = self.graph
        if ref.node in self.changed:
            graph = Graph({**graph.nodes, **self.changed}, graph.functions)
        (found,) = Interpreter(graph, Substitutes(NO_VARIABLE, {})).run([ref], zeros)
        return np.shape(found)

    def _key(self, ref: TensorRef) -> tuple[int, int]:
        """Return what tells whether two tensors are the same."""
        stack = [ref.node]
        while stack:
            node = self._node(stack[-1])
            tick(node.name)
            before = [each.node for each in node.inputs] if node.op in MOVES else []
            missing = [name for name in before if name not in self._keys]
            if not missing:
                self._keys.setdefault(stack.pop(), self._known.setdefault(self._told_by(node), len(self._known)))
            stack += missing
        return self._keys[ref.node], ref.output

    def _told_by(self, node: Node) -> object:
        """Return what a node is told by, whose inputs are known."""
        shape = node.value_form[1] if node.op == "Const" else None
        if node.op not in MOVES and (shape is None or prod(size or 0 for size in shape) > SMALL):
            return node.name
        return node.form, *((self._keys[ref.node], ref.output) for ref in node.inputs)

    def _together(self, name: str, refs: Collection[TensorRef | None], axis: int) -> TensorRef:
        end = self._constant(f"{name}/axis", np.asarray(axis, np.int32))
        inputs = [ref for ref in refs if ref is not None]
        return self._put(Node.made(name, "ConcatV2", (*inputs, end), attributes={"N": len(inputs)}))

    def _product(self, name: str, like: _Product, data: TensorRef, weights: TensorRef) -> TensorRef:
        turned = "transpose_b" if like.node.op == "MatMul" else "adj_y"
        return self._put(Node.made(name, like.node.op, (data, weights), attributes={turned: like.turned}))

    def _constant(self, name: str, value: np.ndarray) -> TensorRef:
        return self._put(constant(name, value))

    def _put(self, node: Node) -> TensorRef:
        self.changed[node.name] = node
        return TensorRef(node.name)
