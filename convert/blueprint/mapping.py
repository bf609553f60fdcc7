"""The mapping of a BERT encoder's variables to state-dict keys, found by their place in the computation.

`owners` names every variable by one key, so that the graph can be run on substitutes; `Mapper`, once a first run has shown
the shapes of all values, asks the graph which elements go where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from hub2hf.blueprint.places import Asking, Elements, attention_places, mapped_bias, mapped_matrix
from hub2hf.blueprint.structure import Dense, Join, Layer, Norm, Structure
from hub2hf.errors import MappingError
from hub2hf.state_dict import COPY, MERGE_HEADS, Mapped, keys_named

WORDS = "embeddings.word_embeddings.weight"
TYPES = "embeddings.token_type_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
TABLES = {"words": WORDS, "types": TYPES, "positions": POSITIONS}
PARTS = ("query", "key", "value")


def layer_key(number: int) -> str:
    """Return the start of the keys of a layer."""
    return f"encoder.layer.{number}"


def owners(structure: Structure) -> dict[str, str]:
    """Return variable → a key that it goes to, at least in part, or that stands for it where several share a product.

    Raises:
        MappingError: a variable stands at two places, or at none.
    """
    found: dict[str, str] = {}
    users: dict[str, Join | None] = {}
    for key, leaf, join in _claims(structure):
        if leaf not in found:
            found[leaf], users[leaf] = key, join
        elif join is None or users[leaf] is not join:
            raise MappingError(
                f"Variable {structure.shown([leaf])} stands at two places, that of '{found[leaf]}' and of '{key}'.",
                "A BertModel has weights of its own at each place.",
            )
    return found


def _claims(structure: Structure) -> Iterator[tuple[str, str, Join | None]]:
    """Yield (key, variable, the product where several keys may share one)."""
    for name, key in TABLES.items():
        yield key, structure.tables[name], None
    yield from _of_norm("embeddings.LayerNorm", structure.norm)
    for i, layer in enumerate(structure.layers):
        start = layer_key(i)
        for name in PARTS:
            operand = getattr(layer, name)
            shared = sum(getattr(layer, other).product == operand.product for other in PARTS) > 1
            for ordinal, leaf in enumerate(operand.product.leaves):
                called = str(ordinal) if shared else name
                yield f"{start}.attention.self.{called}.weight", leaf, operand.product
            for ordinal, leaf in enumerate(operand.biases):
                yield f"{start}.attention.self.{name}.{ordinal}.bias", leaf, operand.product
        yield from _of_dense(f"{start}.attention.output.dense", layer.out)
        yield from _of_norm(f"{start}.attention.output.LayerNorm", layer.attention_norm)
        yield from _of_dense(f"{start}.intermediate.dense", layer.inner)
        yield from _of_dense(f"{start}.output.dense", layer.outer)
        yield from _of_norm(f"{start}.output.LayerNorm", layer.norm)
    yield from _of_dense("pooler.dense", structure.pooler)


def _of_dense(key: str, dense: Dense) -> Iterator[tuple[str, str, Join | None]]:
    yield f"{key}.weight", dense.product.leaves[0], None
    yield f"{key}.bias", dense.bias.leaves[0], None


def _of_norm(key: str, norm: Norm) -> Iterator[tuple[str, str, Join | None]]:
    yield f"{key}.weight", norm.gamma.leaves[0], None
    yield f"{key}.bias", norm.beta.leaves[0], None


@dataclass(frozen=True)
class Found:
    """The mapping: `mapped` in state-dict order, and the number of heads."""

    mapped: tuple[Mapped, ...]
    heads: int


class Mapper:
    """Makes the mapping of one structure.

    Args:
        structure: where each variable stands.
        asking: asks its graph.
        names: variable → the names that it goes by.
    """

    def __init__(self, structure: Structure, asking: Asking, names: Mapping[str, Sequence[str]]) -> None:
        self.structure, self.asking, self.names = structure, asking, names

    def found(self) -> Found:
        """Return the mapping.

        Raises:
            MappingError: something in the graph is more than a move, or sizes do not agree.
        """
        structure, first = self.structure, self.structure.layers[0]
        hidden = structure.shapes[structure.tables["words"]][-1]
        places, heads = attention_places(self.asking, first)
        if len(places["query.weight"].outputs) != hidden:
            count = len(places["query.weight"].outputs)
            raise MappingError(
                f"The heads have {count} numbers in all, the hidden state {hidden}.",
                "In a BertModel these are as many.",
            )
        places["inner"], places["outer"], places["pooler"] = (
            self.asking.dense(dense.product) for dense in (first.inner, first.outer, structure.pooler)
        )
        items = list(self._items(places))
        for item in items:
            self._check(item, hidden, len(places["inner"].outputs))
        return Found(tuple(map(self._named, items)), heads)

    def _items(self, places: Mapping[str, Elements]) -> Iterator[Mapped]:
        structure = self.structure
        for name, key in TABLES.items():
            leaf = structure.tables[name]
            shape = structure.shapes[leaf]
            yield Mapped(leaf, key, COPY if len(shape) == 2 else MERGE_HEADS, (prod(shape[:-1]), shape[-1]))
        yield from self._norm("embeddings.LayerNorm", structure.norm)
        for i, layer in enumerate(structure.layers):
            yield from self._layer(layer_key(i), layer, places)
        yield self._matrix("pooler.dense.weight", structure.pooler.product, structure.pooler.product, places["pooler"])
        yield self._vector("pooler.dense.bias", structure.pooler.bias)

    def _layer(self, start: str, layer: Layer, places: Mapping[str, Elements]) -> Iterator[Mapped]:
        first = self.structure.layers[0]
        for name in PARTS:
            operand, asked = getattr(layer, name), getattr(first, name)
            key, weight, bias = f"{start}.attention.self.{name}", places[f"{name}.weight"], places[f"{name}.bias"]
            yield self._matrix(f"{key}.weight", operand.product, asked.product, weight)
            leaf = self._alike(operand.biases, asked.biases, bias)
            yield mapped_bias(f"{key}.bias", leaf, self.structure.shapes[leaf], bias)
        key = f"{start}.attention.output"
        order = places["order"].outputs
        yield self._matrix(f"{key}.dense.weight", layer.out.product, first.out.product, places["out"], order)
        yield self._vector(f"{key}.dense.bias", layer.out.bias)
        yield from self._norm(f"{key}.LayerNorm", layer.attention_norm)
        yield self._matrix(
            f"{start}.intermediate.dense.weight", layer.inner.product, first.inner.product, places["inner"]
        )
        yield self._vector(f"{start}.intermediate.dense.bias", layer.inner.bias)
        yield self._matrix(f"{start}.output.dense.weight", layer.outer.product, first.outer.product, places["outer"])
        yield self._vector(f"{start}.output.dense.bias", layer.outer.bias)
        yield from self._norm(f"{start}.output.LayerNorm", layer.norm)

    def _matrix(
        self, key: str, product: Join, asked: Join, elements: Elements, order: np.ndarray | None = None
    ) -> Mapped:
        leaf = self._alike(product.leaves, asked.leaves, elements)
        return mapped_matrix(key, leaf, self.structure.shapes[leaf], elements, order)

    def _alike(self, leaves: Sequence[str], asked: Sequence[str], elements: Elements) -> str:
        """Return the variable that has the place of the one that was asked, which must be of the same shape."""
        shapes = self.structure.shapes
        if [shapes[leaf] for leaf in leaves] != [shapes[leaf] for leaf in asked]:
            here, there = (self.structure.shown(list(side)) for side in (leaves, asked))
            raise MappingError(
                f"{here} should have the shape of {there} in the first layer.", "A BertModel has equal layers."
            )
        return leaves[elements.leaf]

    def _vector(self, key: str, join: Join) -> Mapped:
        leaf = join.leaves[0]
        shape = self.structure.shapes[leaf]
        return Mapped(leaf, key, COPY if len(shape) == 1 else MERGE_HEADS, (prod(shape),))

    def _norm(self, key: str, norm: Norm) -> Iterator[Mapped]:
        yield self._vector(f"{key}.weight", norm.gamma)
        yield self._vector(f"{key}.bias", norm.beta)

    def _check(self, item: Mapped, hidden: int, inner: int) -> None:
        """Raise where a tensor has not the shape that its key has in a BertModel with these sizes."""
        outer = inner if ".intermediate." in item.key else hidden
        width = inner if item.key.endswith(".output.dense.weight") and ".attention." not in item.key else hidden
        rows = item.shape[0] if item.key in TABLES.values() else outer
        wanted = (rows, width) if len(item.shape) == 2 else (outer,)
        if item.shape != wanted:
            raise MappingError(
                f"Variable {self.structure.shown([item.variable])} becomes '{item.key}' {list(item.shape)}, which should be "
                f"{list(wanted)}.",
                "The checkpoint does not belong to this graph, or it is no BERT encoder.",
            )

    def _named(self, item: Mapped) -> Mapped:
        named = any(item.key in keys_named(name) for name in self.names.get(item.variable, (item.variable,)))
        return item if named else replace(item, named=False)
