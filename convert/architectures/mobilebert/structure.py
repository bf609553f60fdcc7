"""The pattern of MobileBERT: each word embedding beside its two neighbours, and layers narrower inside than between them.

A layer has two bottlenecks and the values at one depth, then queries and keys, the output of the attention, several pairs of
an inner and an outer layer, and the way back to the width between layers. A gamma and a beta follow all but the inner ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from hub2hf.analysis.flow import Attention, Dense, Flow, Join, Norm
from hub2hf.architectures.base import Unlike
from hub2hf.errors import REPORT, MappingError
from hub2hf.savedmodel.node import TensorRef

BESIDE = 3  # word embeddings that a token is made of


@dataclass(frozen=True)
class Block:
    """A dense layer, and the gamma and beta after it; none after an inner one."""

    dense: Dense
    norm: Norm | None = None


@dataclass(frozen=True)
class Layer:
    """One layer: its attention, without the output, and its blocks, by the start of their keys within a layer."""

    attention: Attention
    blocks: Mapping[str, Block]


def pairs(count: int) -> list[tuple[str, str]]:
    """Return the starts of the keys of the inner and outer blocks of a layer that has `count` pairs of them."""
    first = [f"ffn.{number}." for number in range(count - 1)]
    return [(f"{start}intermediate", f"{start}output") for start in (*first, "")]


class Structure:
    """The parts of MobileBERT in a graph.

    Attributes:
        tables: "words", "positions" and "types" → the variable.
        lookup: the join that looks up the word embeddings.
        embeddings: the dense layer on three word embeddings, with the gamma and beta of the embeddings.
        layers: the parts, in order.
        pairs: inner and outer blocks of a layer.
        depth: that of the last layer.

    Raises:
        MappingError: the computation is not that of such an encoder; says where it parts.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.lookup = self._lookup()
        self.tables = {"words": self.lookup.leaves[0], **self._added()}
        self.embeddings = Block(flow.dense(1), flow.norm(1))
        self.pairs = self._pairs(1)
        self.steps = 4 + 2 * self.pairs
        count = 0
        while 1 + self.steps * (count + 1) < len(flow.steps) and len(flow.steps[2 + self.steps * count]) > 1:
            count += 1
        self.layers = tuple(self._layer(1 + self.steps * number) for number in range(count))
        if not self.layers:
            raise MappingError("No layer with bottlenecks, as MobileBERT has, follows the embeddings.", REPORT)
        self.depth = 1 + self.steps * count

    @property
    def width(self) -> int:
        """The numbers of a token between the layers."""
        return prod(self.flow.shapes[self.embeddings.dense.bias.leaves[0]])

    def _lookup(self) -> Join:
        """Return where words are looked up: what is first multiplied by weights is three times as wide as their table."""
        shapes = self.flow.shapes
        words = max(self.flow.lookups(), key=lambda join: shapes[join.leaves[0]][0], default=None)
        first = self.flow.steps[1] if len(self.flow.steps) > 1 else []
        if words is not None and len(first) == 1 and len(first[0].leaves) == 1:
            inputs = prod(shapes[first[0].leaves[0]][axis] for axis in range(len(shapes[first[0].leaves[0]]) - 1))
            if inputs == BESIDE * shapes[words.leaves[0]][-1]:
                return words
        raise Unlike("MobileBERT multiplies each word embedding and its two neighbours, beside each other.", REPORT)

    def _added(self) -> dict[str, str]:
        """Return the tables of positions and token types, which are added after the first product by weights."""
        shapes = self.flow.shapes
        added = [leaf for join in self.flow.at(1, "add") for leaf in join.leaves]
        added += [join.leaves[0] for join in self.flow.lookups() if join is not self.lookup]
        tables = {leaf for leaf in added if sum(size > 1 for size in shapes[leaf]) == 2}
        if len(tables) != 2:
            raise MappingError(
                f"MobileBertModel adds positions and token types; this graph adds {self.flow.shown(list(tables))}.",
                REPORT,
            )
        types, positions = sorted(tables, key=lambda leaf: prod(shapes[leaf][:-1]))
        return {"positions": positions, "types": types}

    def _pairs(self, depth: int) -> int:
        """Return how many inner and outer layers the layer after `depth` has: no gamma follows an inner one."""
        flow, count = self.flow, 0
        while depth + 5 + 2 * count < len(flow.steps) and not flow.scales(depth + 4 + 2 * count):
            count += 1
        return count

    def _layer(self, depth: int) -> Layer:
        """Return the layer that takes tokens of `depth`."""
        flow, where = self.flow, f"The layer after {depth} products by weights"
        if len(flow.steps[depth + 1]) != BESIDE or len(flow.steps[depth + 2]) != 2 or not self.pairs:
            names = flow.shown([leaf for join in flow.steps[depth + 1] for leaf in join.leaves])
            raise MappingError(
                f"{where} should begin with two bottlenecks, one of queries and keys, and the values; it has {names}.",
                REPORT,
            )
        attention = flow.attention(depth + 2, where, values=depth + 1)
        (context, position) = attention.value.places[0]
        shared, values = flow.branch(attention.query.product.data), flow.branch(context.input(position))
        taken = {join.node.name for join in (*shared, *values)}
        left = [
            join
            for kind in ("product", "add", "multiply")
            for join in flow.at(depth + 1, kind)
            if join.node.name not in taken
        ]
        blocks = {
            "bottleneck.input": self._block(left, where),
            "bottleneck.attention": self._block(shared, where),
            "attention.output": Block(attention.out, flow.norm(depth + 3)),
        }
        for number, (inner, outer) in enumerate(pairs(self.pairs)):
            at = depth + 4 + 2 * number
            blocks |= {inner: Block(flow.dense(at)), outer: Block(flow.dense(at + 1), flow.norm(at + 1))}
        end = depth + self.steps
        return Layer(attention, {**blocks, "output.bottleneck": Block(flow.dense(end), flow.norm(end))})

    def _block(self, joins: Sequence[Join], where: str) -> Block:
        """Return the block that the joins of one branch make."""
        products, added, scaled = (
            [join for join in joins if join.kind == kind] for kind in ("product", "add", "multiply")
        )
        if [len(each) for each in (products, added, scaled)] != [1, 2, 1] or any(len(j.leaves) != 1 for j in joins):
            names = self.flow.shown([leaf for join in joins for leaf in join.leaves])
            raise MappingError(
                f"{where} should have a bottleneck of kernel, bias, gamma and beta; it has {names}.", REPORT
            )
        return Block(Dense(products[0], added[0]), Norm(scaled[0], added[1]))

    def tokens(self, number: int) -> TensorRef:
        """Return the tensor that layer `number` takes."""
        return self.layers[number].attention.value.product.data

    def exchange(self) -> None:
        """Take the queries of all layers for their keys, and their keys for the queries."""
        self.layers = tuple(replace(layer, attention=layer.attention.exchanged()) for layer in self.layers)
