"""What an encoder is made of, by the order of its computation: names are not looked at.

Where a value that depends on the text meets weights, there is a join: a lookup, a product, an addition, a multiplication.
A product by weights is one step deeper than what it takes, and a BERT encoder is a fixed pattern of such steps: each layer
has queries, keys and values at one depth, then the output of the attention, the inner and the outer layer, one deeper each;
the pooler is the last. At each depth the first addition is the bias, and a LayerNorm ends with gamma and beta. All this is
only proposed here: running the graph on other weights at each place proves it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from hub2hf.blueprint.products import contracted, last_comes_from
from hub2hf.blueprint.settle import PRODUCTS
from hub2hf.errors import MappingError
from hub2hf.interpreter.plan import order_of
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

GATHERS = frozenset({"Gather", "GatherV2", "GatherNd", "ResourceGather"})
SLICES = frozenset({"Slice", "StridedSlice"})
ADDITIONS = frozenset({"BiasAdd", "BiasAddV1", "Add", "AddV2", "AddN", "Sub"})
MULTIPLICATIONS = frozenset({"Mul", "RealDiv", "Div"})
BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})

CHOICES = {"If": 0, "StatelessIf": 0, "Switch": 1}  # op → the input that decides

CONSTANT, SHAPE, DATA = range(3)  # what a value depends on: nothing that is fed, the shape of it, the values

REPORT = "Report the model, so that support can be added."
STEPS = 4  # depths of a layer
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
        if op in PRODUCTS:
            return "product"
        if op in GATHERS | SLICES and self.position == 0:
            return "table"
        if op in BATCH_NORMS:
            return {1: "multiply", 2: "add"}.get(self.position, "other")
        return "add" if op in ADDITIONS else "multiply" if op in MULTIPLICATIONS else "other"

    @property
    def data(self) -> TensorRef:
        """The other operand of a product, or the indices of a lookup."""
        return self.node.input(1 - self.position)


@dataclass(frozen=True)
class Dense:
    """A product by weights and the addition of its bias."""

    product: Join
    bias: Join


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
        biases: the variables added on the way.
    """

    places: tuple[tuple[Node, int], ...]
    product: Join
    biases: Names


@dataclass(frozen=True)
class Layer:
    """One layer of the encoder; see `Structure`."""

    query: Operand
    key: Operand
    value: Operand
    out: Dense
    attention_norm: Norm
    inner: Dense
    outer: Dense
    norm: Norm


class Structure:
    """The encoder that leads to one tensor.

    Args:
        graph: a main graph, calls inlined, conditionals settled.
        output: the tensor of the embedding.
        leaves: node → the variable that it is, or is a part of.
        shapes: variable → its shape.

    Attributes:
        tables: "words", "positions", "types" → the variable.
        lookup: the join that looks up the word embeddings.
        layers, norm, pooler: the parts, in order.

    Raises:
        MappingError: the computation is not that of a BERT encoder with a pooler; says where it parts.
    """

    def __init__(
        self, graph: Graph, output: TensorRef, leaves: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.graph, self.shapes = graph, shapes
        self.nodes = {node.name: node for node in order_of(graph, [output])}
        self.kind: dict[str, int] = {}
        self.leaves: dict[str, Names] = {}
        self.depth: dict[str, int] = {}
        self._joins: dict[int, list[Join]] = defaultdict(list)
        for node in self.nodes.values():
            tick(node.name)
            self._place(node, leaves)
        steps = [
            [join for join in self._joins[i] if join.kind == "product"] for i in range(max(self._joins, default=0) + 1)
        ]
        self.lookup, self.tables = self._embeddings()
        self.norm = self._norm(0)
        count, left = divmod(len(steps) - 1, STEPS)
        self._check_steps(steps, count, left)
        self.layers = tuple(self._layer(i, steps) for i in range(count))
        self.pooler = self._dense(steps[-1][0])

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
        if kind == DATA and node.op != "IdentityN":
            weights = [i for i, b in enumerate(before) if self.leaves[b]]
            self.depth[name] += node.op in PRODUCTS and len(weights) == 1
            joins = [Join(node, i, self.leaves[before[i]], self.depth[name]) for i in weights]
            self._joins[self.depth[name]] += joins

    def joins(self) -> Iterator[Join]:
        """Yield all joins."""
        for found in self._joins.values():
            yield from found

    def shown(self, leaves: Names | list[str]) -> str:
        """Return variables as messages name them."""
        return ", ".join(f"'{name}' {list(self.shapes[name])}" for name in sorted(leaves))

    def _embeddings(self) -> tuple[Join, dict[str, str]]:
        """Return the lookup of the words, and the three tables: word embeddings have the most rows, types the fewest."""
        tables = dict.fromkeys(
            leaf
            for join in self._joins[0]
            for leaf in join.leaves
            if join.kind == "table" or (join.kind != "other" and not self._is_vector(leaf))
        )
        rows = sorted(tables, key=lambda leaf: -prod(self.shapes[leaf][:-1]))
        looked_up = [
            join
            for join in self._joins[0]
            if join.node.op in GATHERS and join.position == 0 and self.kind[join.node.input(1).node] == DATA
        ]
        words = sorted(
            (join for join in looked_up if len(join.leaves) == 1), key=lambda join: rows.index(join.leaves[0])
        )
        if not words or len(rows) != 3 or words[0].leaves[0] != rows[0]:
            found = self.shown(rows) if rows else "none"
            raise MappingError(
                f"BERT looks up words, positions and token types in three tables; this graph uses {found}.", REPORT
            )
        same = [join.node.name for join in words if join.leaves == words[0].leaves]
        if len(same) > 1:
            raise MappingError(f"The word embeddings are looked up {len(same)} times, at {', '.join(same)}.", REPORT)
        return words[0], dict(zip(("words", "positions", "types"), rows, strict=True))

    def _check_steps(self, steps: list[list[Join]], count: int, left: int) -> None:
        """Raise where the products by weights are not in the pattern of a BERT encoder."""
        for depth, products in enumerate(steps[1:], 1):
            allowed = (1, 2, 3) if depth % STEPS == 1 and depth < len(steps) - 1 else (1,)
            if len(products) not in allowed:
                names = self.shown([leaf for join in products for leaf in join.leaves])
                raise MappingError(
                    f"After {depth - 1} products by weights, {len(products)} follow side by side ({names}): a layer of BERT "
                    "has one, or three for queries, keys and values.",
                    REPORT,
                )
        if count < 1 or left != 1:
            last = f", the last by {self.shown(steps[-1][0].leaves)}" if len(steps) > 1 and steps[-1] else ""
            raise MappingError(
                f"{len(steps) - 1} products by weights follow each other{last}; BERT has {STEPS} in a layer, and one in "
                "the pooler after all of them.",
                REPORT,
            )

    def _layer(self, number: int, steps: list[list[Join]]) -> Layer:
        depth = STEPS * number + 1
        query, key, value = self._attention(depth)
        out, inner, outer = (self._dense(steps[depth + i][0]) for i in (1, 2, 3))
        return Layer(query, key, value, out, self._norm(depth + 1), inner, outer, self._norm(depth + 3))

    def _attention(self, depth: int) -> tuple[Operand, Operand, Operand]:
        """Return queries, keys and values; keys are taken to be on the last axis of the scores."""
        products = [
            node
            for node in self.nodes.values()
            if node.op in PRODUCTS
            and self.depth[node.name] == depth
            and len(set(node.inputs)) == 2
            and all(self.kind[ref.node] == DATA and self.depth[ref.node] == depth for ref in node.inputs)
        ]
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
                f"Layer {depth // STEPS} should multiply queries and keys, then weights and values; its products: {names}.",
                REPORT,
            )
        keys = [last_comes_from(scores) for scores, _, _ in heads]
        at = (
            [(scores, 1 - key) for (scores, _, _), key in zip(heads, keys, strict=True)],
            [(scores, key) for (scores, _, _), key in zip(heads, keys, strict=True)],
            [(context, 1 - weighted) for _, context, weighted in heads],
        )
        query, key, value = (self._operand(tuple(places), depth) for places in at)
        return query, key, value

    def exchange(self) -> None:
        """Take the queries of all layers for their keys, and their keys for the queries."""
        self.layers = tuple(replace(layer, query=layer.key, key=layer.query) for layer in self.layers)

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
            if not any(self.leaves[r.node] for r in node.inputs) or node.op not in PRODUCTS:
                stack.extend(r.node for r in node.inputs)
        return found

    def _operand(self, places: tuple[tuple[Node, int], ...], depth: int) -> Operand:
        behind = {name for node, position in places for name in self._behind(node.input(position), depth)}
        node, position = places[0]
        joins = [join for join in self._joins[depth] if join.node.name in behind]
        products = [join for join in joins if join.kind == "product"]
        biases = [leaf for join in joins if join.kind == "add" for leaf in join.leaves]
        if len(products) != 1 or not biases:
            raise MappingError(
                f"Input {position} of node '{node.name}' should come from one product by weights and a bias; it comes from "
                f"{len(products)} and {len(biases)}.",
                REPORT,
            )
        return Operand(places, products[0], tuple(dict.fromkeys(biases)))

    def _region(self, depth: int, kind: str) -> list[Join]:
        """Return the joins of one kind at a depth, in order, without those of tables."""
        found = [join for join in self._joins[depth] if join.kind == kind]
        return [join for join in found if all(self._is_vector(leaf) for leaf in join.leaves)]

    def _is_vector(self, leaf: str) -> bool:
        return sum(size > 1 for size in self.shapes[leaf]) <= 1

    def _norm(self, depth: int) -> Norm:
        gammas, additions = self._region(depth, "multiply"), self._region(depth, "add")
        where = f"after {depth} products by weights" if depth else "after the embeddings"
        if len(gammas) != 1 or len(gammas[0].leaves) != 1:
            found = self.shown([leaf for join in gammas for leaf in join.leaves]) if gammas else "none"
            raise MappingError(f"One LayerNorm should follow {where}, with one gamma; found: {found}.", REPORT)
        if len(additions) != (2 if depth else 1) or len(additions[-1].leaves) != 1:
            found = self.shown([leaf for join in additions for leaf in join.leaves]) if additions else "none"
            wanted = "a bias and the beta of a LayerNorm" if depth else "the beta of a LayerNorm"
            raise MappingError(f"What is added {where} should be {wanted}; found: {found}.", REPORT)
        return Norm(gammas[0], additions[-1])

    def _dense(self, product: Join) -> Dense:
        additions = self._region(product.depth, "add")
        if len(product.leaves) != 1 or not additions or len(additions[0].leaves) != 1:
            raise MappingError(
                f"Node '{product.node.name}' multiplies by {self.shown(product.leaves)}; one variable, and the addition of "
                "one bias, are expected.",
                REPORT,
            )
        return Dense(product, additions[0])

    @cached_property
    def conditionals(self) -> list[Node]:
        """The nodes that choose between two computations of the encoder by a value that is fed."""
        found = [node for node in self.nodes.values() if node.op in CHOICES]
        before = {node.name for node in order_of(self.graph, [self.lookup.node.input(1)])} if found else set()
        return [node for node in found if node.name not in before]

    def contraction(self, join: Join) -> tuple[int, ...]:
        """Return the axes of the data that a product by weights sums over."""
        return contracted(join.node, 1 - join.position)
