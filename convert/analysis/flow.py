"""Where values that depend on the text meet weights, and the parts that these places form: names are not looked at.

Such a place is a join: a lookup, a product, an addition, a multiplication. A product by weights is one step deeper than
what it takes. At each depth the first addition is the bias, and a LayerNorm ends with gamma and beta; an attention is the
two products of one depth whose operands both depend on the text. All this is only proposed here: running the graph on
other weights at each place proves it. Which parts an encoder should have, and in what order, its architecture says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from hub2hf.analysis.products import contracted, is_product, last_comes_from
from hub2hf.errors import REPORT, MappingError
from hub2hf.interpreter.plan import order_of
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

GATHERS = frozenset({"Gather", "GatherV2", "GatherNd", "ResourceGather", "ResourceGatherNd"})
SLICES = frozenset({"Slice", "StridedSlice"})
ADDITIONS = frozenset({"BiasAdd", "BiasAddV1", "Add", "AddV2", "AddN", "Sub"})
MULTIPLICATIONS = frozenset({"Mul", "RealDiv", "Div"})
BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})

CHOICES = {"If": 0, "StatelessIf": 0, "Switch": 1, "Case": 0, "StatelessCase": 0}  # op → the input that decides

CONSTANT, SHAPE, DATA = range(3)  # what a value depends on: nothing that is fed, the shape of it, the values

MAX_LEAVES = 500  # variables that one value is made of: three kernels are joined, and hardly more

Names = tuple[str, ...]


@dataclass(frozen=True)
class Join:
    """A node at which a value that depends on the text meets weights.

    Attributes:
        node: the node.
        position: which of its inputs is made of weights.
        leaves: the variables that this input is made of.
        depth: how many products by weights lie before and at the node.
    """

    node: Node
    position: int
    leaves: Names
    depth: int

    @property
    def kind(self) -> str:
        """ "product", "table", "add", "multiply", or "other"."""
        op = self.node.op
        if is_product(self.node):
            return "product"
        if op in GATHERS | SLICES and self.position == 0:
            return "table"
        if op in BATCH_NORMS:
            return {1: "multiply", 2: "add"}.get(self.position, "other")
        return "add" if op in ADDITIONS else "multiply" if op in MULTIPLICATIONS | {"Einsum"} else "other"

    @property
    def data(self) -> TensorRef:
        """The other operand of a product, or the indices of a lookup."""
        return self.node.input(1 - self.position)


@dataclass(frozen=True)
class Dense:
    """A product by weights, and the addition of its bias where it has one."""

    product: Join
    added: Join | None

    @property
    def bias(self) -> Join:
        """The addition of the bias, of a layer that was asked for with one."""
        assert self.added is not None
        return self.added


@dataclass(frozen=True)
class Norm:
    """Where a LayerNorm takes its gamma and its beta."""

    gamma: Join
    beta: Join


@dataclass(frozen=True)
class Operand:
    """Queries, keys or values, as the products of the attention take them.

    Attributes:
        places: those products, and which of their inputs they are: one product of all heads, or one for each.
        product: the product by weights that they come from, perhaps with others.
        biases: the variables added on the way; none where the encoder has none.
    """

    places: tuple[tuple[Node, int], ...]
    product: Join
    biases: Names


@dataclass(frozen=True)
class Attention:
    """Queries, keys, values, and the dense layer on what they come to."""

    query: Operand
    key: Operand
    value: Operand
    out: Dense

    def exchanged(self) -> Attention:
        """Return it with the queries taken for the keys, and the keys for the queries."""
        return replace(self, query=self.key, key=self.query)


class Flow:
    """The joins of the graph that leads to one tensor.

    Args:
        graph: a main graph, calls inlined, conditionals settled.
        output: the tensor of the embedding.
        leaves: node → the variable that it is, or is a part of.
        shapes: variable → its shape.

    Attributes:
        nodes: those that reach the output, each after its inputs.
        kind: node → CONSTANT, SHAPE or DATA.
        leaves: node → the variables that it is made of, where it does not depend on the text.
        depth: node → how many products by weights lie before and at it.

    Raises:
        MappingError: a value is made of more variables than any weight is.
    """

    def __init__(
        self, graph: Graph, output: TensorRef, leaves: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.graph, self.output, self.shapes = graph, output, shapes
        self.nodes = {node.name: node for node in order_of(graph, [output])}
        self.kind: dict[str, int] = {}
        self.leaves: dict[str, Names] = {}
        self.depth: dict[str, int] = {}
        self._joins: dict[int, list[Join]] = defaultdict(list)
        self._used = self._whose_values_count()
        for node in self.nodes.values():
            tick(node.name)
            self._place(node, leaves)

    def _whose_values_count(self) -> set[str]:
        """Return the nodes of which more than their shapes reaches the output."""
        used = {self.output.node}
        for node in reversed(self.nodes.values()):
            if node.name in used and node.op not in SHAPES:
                used.update(ref.node for ref in node.inputs)
        return used

    def _place(self, node: Node, leaves: Mapping[str, str]) -> None:
        name, before = node.name, [ref.node for ref in node.inputs]
        found: Names = ()
        kind = max((self.kind[b] for b in before), default=CONSTANT if node.op == "Const" else DATA)
        if name in leaves:
            kind, found = CONSTANT, (leaves[name],)
        elif node.op in SHAPES:
            kind = min(kind, SHAPE)
        elif kind < DATA:
            found = tuple(dict.fromkeys(leaf for b in before for leaf in self.leaves[b]))
        if len(found) > MAX_LEAVES:
            raise MappingError(f"Node '{name}' is made of {len(found)} variables.", "The graph is damaged.")
        self.kind[name], self.leaves[name] = kind, found
        self.depth[name] = max((self.depth[b] for b in before), default=0)
        if kind == DATA and node.op != "IdentityN" and name in self._used:
            weights = [i for i, b in enumerate(before) if self.leaves[b]]
            self.depth[name] += len(weights) == 1 and is_product(node)
            joins = [Join(node, i, self.leaves[before[i]], self.depth[name]) for i in weights]
            self._joins[self.depth[name]] += joins

    def joins(self) -> Iterator[Join]:
        """Yield all joins."""
        for found in self._joins.values():
            yield from found

    @cached_property
    def steps(self) -> list[list[Join]]:
        """The products by weights at each depth; none at the first."""
        return [self.at(depth, "product") for depth in range(max(self._joins, default=0) + 1)]

    def at(self, depth: int, kind: str) -> list[Join]:
        """Return the joins of one kind at a depth, in order."""
        return [join for join in self._joins[depth] if join.kind == kind]

    def shown(self, leaves: Names | list[str]) -> str:
        """Return variables as messages name them."""
        return ", ".join(f"'{name}' {list(self.shapes[name])}" for name in sorted(leaves))

    def tables(self) -> list[str]:
        """Return the variables that the first values are looked up in or made of, those with the most rows first."""
        found = dict.fromkeys(
            leaf
            for join in self._joins[0]
            for leaf in join.leaves
            if join.kind == "table" or join.node.op == "Pack" or (join.kind != "other" and not self._is_vector(leaf))
        )
        return sorted(found, key=lambda leaf: -prod(self.shapes[leaf][:-1]))

    def lookups(self) -> list[Join]:
        """Return the joins at which rows of one variable are looked up by values that depend on the text."""
        return [
            join
            for join in self._joins[0]
            if join.node.op in GATHERS
            and join.position == 0
            and self.kind[join.node.input(1).node] == DATA
            and len(join.leaves) == 1
        ]

    def operands_meet(self, depth: int, values: int | None = None) -> list[Node]:
        """Return the products at a depth whose two operands both depend on the text, and have that depth, or `values`."""
        depths = (depth, depth if values is None else values)
        return [
            node
            for node in self._products
            if self.depth[node.name] == depth and all(self.depth[ref.node] in depths for ref in node.inputs)
        ]

    @cached_property
    def _products(self) -> list[Node]:
        """The products whose two operands both depend on the text."""
        return [
            node
            for node in self.nodes.values()
            if is_product(node)
            and len(set(node.inputs)) == 2
            and all(self.kind[ref.node] == DATA for ref in node.inputs)
        ]

    def attention(self, depth: int, where: str, *, biased: bool = True, values: int | None = None) -> Attention:
        """Return the attention whose queries and keys have `depth`, its output one more.

        Keys are taken to be on the last axis of the scores. `biased`: whether its products are followed by a bias each.
        `values`: the depth of the values, where it is another.

        Raises:
            MappingError: there is none; `where` is the layer in words.
        """
        products = self.operands_meet(depth, values)
        heads: list[
            tuple[Node, Node, int]
        ] = []  # scores, context, and which input of the context is made of the scores
        for node in products:
            tick(node.name)
            behind = [self._behind(node.input(i), depth) for i in (0, 1)]
            heads += [(scores, node, i) for scores in products for i in (0, 1) if scores.name in behind[i]]
        if (
            not heads
            or len(products) != 2 * len(heads)
            or len({node.name for head in heads for node in head[:2]}) != len(products)
        ):
            names = ", ".join(node.name for node in products) or "none"
            raise MappingError(
                f"{where} should multiply queries and keys, then weights and values; its products: {names}.",
                REPORT,
            )
        keys = [last_comes_from(scores) for scores, _, _ in heads]
        at = (
            [(scores, 1 - key) for (scores, _, _), key in zip(heads, keys, strict=True)],
            [(scores, key) for (scores, _, _), key in zip(heads, keys, strict=True)],
            [(context, 1 - weighted) for _, context, weighted in heads],
        )
        if len({scores.input(position) for scores, position in at[1]}) < len(heads):
            names = ", ".join(scores.name for scores, _, _ in heads)
            raise MappingError(f"{where} should multiply all keys of a head at once; its products: {names}.", REPORT)
        depths = (depth, depth, depth if values is None else values)
        query, key, value = (
            self._operand(tuple(places), each, biased=biased) for places, each in zip(at, depths, strict=True)
        )
        return Attention(query, key, value, self.dense(depth + 1, biased=biased))

    def entering(self, start: Node, end: TensorRef) -> set[TensorRef]:
        """Return what else is needed to compute `end` from `start`, at one depth: the mask of an attention."""
        behind, after = self._behind(end, self.depth[start.name]), {start.name}
        for node in self.nodes.values():
            if node.name in behind and any(ref.node in after for ref in node.inputs):
                after.add(node.name)
        taken = {ref for name in after - {start.name} for ref in self.nodes[name].inputs}
        return {ref for ref in taken if ref.node not in after and self.kind[ref.node] != CONSTANT}

    def _behind(self, ref: TensorRef, depth: int) -> dict[str, Node]:
        """Return the nodes at `depth` that `ref` depends on, up to products by weights."""
        found: dict[str, Node] = {}
        stack = [ref.node]
        while stack:
            name = stack.pop()
            if name in found or self.kind[name] != DATA or self.depth[name] != depth:
                continue
            node = found[name] = self.nodes[name]
            if not any(self.leaves[r.node] for r in node.inputs) or not is_product(node):
                stack.extend(r.node for r in node.inputs)
        return found

    def branch(self, ref: TensorRef) -> list[Join]:
        """Return the joins that a tensor is made of, of its own depth, back to products by weights."""
        depth = self.depth[ref.node]
        behind = self._behind(ref, depth)
        return [join for join in self._joins[depth] if join.node.name in behind]

    def _operand(self, places: tuple[tuple[Node, int], ...], depth: int, *, biased: bool) -> Operand:
        behind = {name for node, position in places for name in self._behind(node.input(position), depth)}
        node, position = places[0]
        joins = [join for join in self._joins[depth] if join.node.name in behind]
        products = [join for join in joins if join.kind == "product"]
        biases = [leaf for join in joins if join.kind == "add" for leaf in join.leaves]
        if len(products) != 1 or bool(biases) != biased:
            raise MappingError(
                f"Input {position} of node '{node.name}' should come from one product by weights and "
                f"{'a' if biased else 'no'} bias; it comes from "
                f"{len(products)} and {len(biases)}.",
                REPORT,
            )
        return Operand(places, products[0], tuple(dict.fromkeys(biases)))

    def _region(self, depth: int, kind: str) -> list[Join]:
        """Return the joins of one kind at a depth by vectors alone."""
        return [join for join in self.at(depth, kind) if all(self._is_vector(leaf) for leaf in join.leaves)]

    def _is_vector(self, leaf: str) -> bool:
        return sum(size > 1 for size in self.shapes[leaf]) <= 1

    def norm(self, depth: int, before: int = 1) -> Norm:
        """Return the LayerNorm at a depth, after the bias of a product, or so many vectors that are added `before` it.

        Raises:
            MappingError: there is none, or more than one.
        """
        gammas, additions = self._region(depth, "multiply"), self._region(depth, "add")
        where = f"after {depth} products by weights" if depth else "after the embeddings"
        if len({join.leaves for join in gammas}) != 1 or len(gammas[0].leaves) != 1:
            found = self.shown([leaf for join in gammas for leaf in join.leaves]) if gammas else "none"
            raise MappingError(f"One LayerNorm should follow {where}, with one gamma; found: {found}.", REPORT)
        if len(additions) != before + 1 or len(additions[-1].leaves) != 1:
            found = self.shown([leaf for join in additions for leaf in join.leaves]) if additions else "none"
            wanted = "a bias and the beta of a LayerNorm" if depth else "the beta of a LayerNorm"
            raise MappingError(f"What is added {where} should be {wanted}; found: {found}.", REPORT)
        return Norm(gammas[0], additions[-1])

    def dense(self, depth: int, *, biased: bool = True) -> Dense:
        """Return the dense layer at a depth, by the first product there.

        Raises:
            MappingError: it has more than one kernel, or not one bias; without `biased`, one at all.
        """
        product = self.steps[depth][0]
        additions = self.biases(depth)
        if not biased and len(product.leaves) == 1 and not additions:
            return Dense(product, None)
        if len(product.leaves) != 1 or not biased or not additions or len(additions[0].leaves) != 1:
            raise MappingError(
                f"Node '{product.node.name}' multiplies by {self.shown(product.leaves)}; one variable, and the addition of "
                f"{'one' if biased else 'no'} bias, are expected.",
                REPORT,
            )
        return Dense(product, additions[0])

    def end_of(self, norm: Norm) -> TensorRef | None:
        """Return the tensor that a LayerNorm ends with: the first that every way from its gammas and beta to the output
        leads through. None where the ways meet nowhere before the output."""
        name = self.output.node
        before, after = dict.fromkeys(self.nodes, 0), dict.fromkeys(self.nodes, 0)  # ways to a node, and on from it
        after[name] = 1
        for node in reversed(self.nodes.values()):
            for ref in node.inputs:
                after[ref.node] += after[node.name]
        gammas = [join for join in self.at(norm.gamma.depth, "multiply") if join.leaves == norm.gamma.leaves]
        taking = [join.node.name for join in (*gammas, norm.beta)]
        for node in self.nodes.values():
            starts = taking.count(node.name)
            before[node.name] = starts + sum(before[ref.node] for ref in node.inputs)
        meeting = (node for node in self.nodes if before[node] and before[node] * after[node] == before[name])
        found = next(meeting, name)
        return None if found == name else TensorRef(found)

    def starts_of(self, norm: Norm) -> Iterator[TensorRef]:
        """Yield the tensors that a LayerNorm may be made of alone, the first of them first."""
        end, depth = norm.beta.node, norm.beta.depth
        inside = self._behind(TensorRef(end.name), depth)
        for node in (node for name, node in self.nodes.items() if name in inside):
            after = {node.name}
            for other in (other for name, other in self.nodes.items() if name in inside and name != node.name):
                if any(ref.node in after for ref in other.inputs):
                    after.add(other.name)
            taken = [ref.node for name in after - {node.name} for ref in self.nodes[name].inputs]
            if end.name in after and all(name in after or self.kind[name] != DATA for name in taken):
                yield TensorRef(node.name)

    def scales(self, depth: int) -> list[Join]:
        """Return the joins at a depth at which a vector is multiplied by."""
        return self._region(depth, "multiply")

    def biases(self, depth: int) -> list[Join]:
        """Return the joins at a depth at which a vector is added."""
        return self._region(depth, "add")

    def conditionals(self, ids: TensorRef) -> list[Node]:
        """Return the nodes that choose between two computations by a value that is fed, after `ids`, the ids looked up."""
        found = [node for node in self.nodes.values() if node.op in CHOICES]
        before = {node.name for node in order_of(self.graph, [ids])} if found else set()
        return [node for node in found if node.name not in before]

    def contraction(self, join: Join) -> tuple[int, ...]:
        """Return the axes of the data that a product by weights sums over."""
        return contracted(join.node, 1 - join.position)
