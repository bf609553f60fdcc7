"""The pattern of an encoder with LayerNorm after each part: two tables or three, and layers of four products by weights.

Each layer has queries, keys and values at one depth, then the output of the attention, the inner and the outer layer; a
LayerNorm follows the embeddings, the attention and the layer. The embeddings may be projected to another width first, and
all layers may have the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from hub2hf.analysis.flow import Attention, Dense, Flow, Join, Norm
from hub2hf.architectures.base import Unlike
from hub2hf.errors import REPORT, MappingError

STEPS = 4  # depths of a layer


@dataclass(frozen=True)
class Layer:
    """One layer of the encoder; see `Structure`."""

    attention: Attention
    attention_norm: Norm
    inner: Dense
    outer: Dense
    norm: Norm


class Structure:
    """The parts of such an encoder in a graph.

    Attributes:
        tables: "words", "positions" and, where token types are added, "types" → the variable.
        lookup: the join that looks up the word embeddings.
        norm, layers: the parts, in order.
        projection: the dense layer between the embeddings and the first layer; None where there is none.
        shared: whether all layers, of which there are several, have the weights of the first.
        depth: that of the last layer.

    Raises:
        MappingError: the computation is not that of such an encoder; says where it parts.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.lookup, self.tables = self._embeddings()
        self.norm = flow.norm(0, before=sum(leaf in self.tables.values() for leaf in self._rows()))
        self._start = self._projected()
        self.projection = flow.dense(1) if self._start else None
        count = self._count()
        self.layers = tuple(self._layer(number) for number in range(count))
        self.shared = count > 1 and len({layer.inner.product.leaves for layer in self.layers}) == 1
        self.depth = self._start + STEPS * count

    @property
    def width(self) -> int:
        """The numbers of a token in the layers."""
        shapes = self.flow.shapes
        if self.projection is None:
            return shapes[self.tables["words"]][-1]
        return prod(shapes[self.projection.bias.leaves[0]])

    @property
    def own_layers(self) -> tuple[Layer, ...]:
        """The layers that have weights of their own."""
        return self.layers[:1] if self.shared else self.layers

    def _embeddings(self) -> tuple[Join, dict[str, str]]:
        """Return the lookup of the words, and the tables: of those whose rows the text tells, words have the most, and types
        have fewer rows than positions, which may be more than there are words."""
        rows = self.flow.tables()
        rows += self._rows() if len(rows) == 2 else []
        words = sorted(self.flow.lookups(), key=lambda join: rows.index(join.leaves[0]))
        if words:
            rows.sort(key=lambda leaf: leaf != words[0].leaves[0])
        if not words or len(rows) not in (2, 3) or self._told_by_ids(words, rows[1]):
            found = self.flow.shown(rows) if rows else "none"
            raise Unlike(
                "An encoder with LayerNorm after each part has a table of words, one of positions, and perhaps one of token "
                f"types; this graph uses {found}.",
                REPORT,
            )
        same = [join.node.name for join in words if join.leaves == words[0].leaves]
        if len(same) > 1:
            raise MappingError(f"The word embeddings are looked up {len(same)} times, at {', '.join(same)}.", REPORT)
        return words[0], dict(zip(("words", "positions", "types"), rows, strict=False))

    def _rows(self) -> list[str]:
        """Return the variables of one row that are added to all embeddings, as the token type of all tokens may be."""
        added = self.flow.biases(0)[:-1]
        return [join.leaves[0] for join in added if len(join.leaves) == 1]

    def _told_by_ids(self, lookups: list[Join], table: str) -> bool:
        """Whether rows of a table are told by what is fed, as those of positions are not, where it is one of two."""
        return len(self.flow.tables()) == 2 and any(join.leaves == (table,) for join in lookups)

    def _projected(self) -> int:
        """Return how many products by weights precede those of the first attention: 1, of the embeddings, or none."""
        flow = self.flow
        projected = len(flow.steps) > 2 and len(flow.steps[1]) == 1
        return int(projected and not flow.operands_meet(1) and bool(flow.operands_meet(2)))

    def _count(self) -> int:
        """Return the number of layers: as many as begin with an attention."""
        flow, count, start = self.flow, 0, self._start
        while start + STEPS * (count + 1) < len(flow.steps) and flow.operands_meet(start + STEPS * count + 1):
            for at in range(STEPS * count + 1, STEPS * (count + 1) + 1):
                products = flow.steps[start + at]
                if len(products) not in ((1, 2, 3) if at % STEPS == 1 else (1,)):
                    names = flow.shown([leaf for join in products for leaf in join.leaves])
                    raise MappingError(
                        f"After {start + at - 1} products by weights, {len(products)} follow side by side ({names}): a "
                        "layer of BERT has one, or three for queries, keys and values.",
                        REPORT,
                    )
            count += 1
        if not count:
            raise MappingError(
                f"{len(flow.steps) - 1} products by weights follow each other, and no products of queries and keys after "
                f"the first; a layer of BERT has {STEPS}, and begins with an attention.",
                REPORT,
            )
        return count

    def _layer(self, number: int) -> Layer:
        flow, depth = self.flow, self._start + STEPS * number + 1
        attention = flow.attention(depth, f"Layer {number}")
        return Layer(
            attention, flow.norm(depth + 1), flow.dense(depth + 2), flow.dense(depth + 3), flow.norm(depth + 3)
        )

    def exchange(self) -> None:
        """Take the queries of all layers for their keys, and their keys for the queries."""
        self.layers = tuple(replace(layer, attention=layer.attention.exchanged()) for layer in self.layers)
