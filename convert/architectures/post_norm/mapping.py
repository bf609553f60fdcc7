"""The mapping of an encoder's variables to places, found in the computation; places are named as `BertModel`'s keys.

`claims` names every variable by one key, so that the graph can be run on substitutes; `Mapper`, once a first run has shown
the shapes of all values, asks the graph which elements go where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from hub2hf.analysis.flow import Dense, Join, Norm
from hub2hf.analysis.places import Asking, Elements, attention_places, mapped_bias, mapped_matrix
from hub2hf.analysis.substitutes import GAMMA, KERNEL, MERGING, VECTOR, WORDS
from hub2hf.architectures.base import Claim, Found
from hub2hf.architectures.head import Head, dense_key
from hub2hf.architectures.post_norm.structure import Layer, Structure
from hub2hf.errors import MappingError
from hub2hf.state_dict import COPY, MERGE_HEADS, Mapped

WORD_TABLE = "embeddings.word_embeddings.weight"
TYPES = "embeddings.token_type_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
TABLES = {"words": WORD_TABLE, "types": TYPES, "positions": POSITIONS}
PROJECTION = "embeddings_project"
PARTS = ("query", "key", "value")


def layer_key(number: int) -> str:
    """Return the start of the keys of a layer."""
    return f"encoder.layer.{number}"


def claims(structure: Structure, head: Head) -> Iterator[Claim]:
    """Yield every variable that has a place."""
    for name, leaf in structure.tables.items():
        yield Claim(TABLES[name], leaf, WORDS if name == "words" else VECTOR)
    yield from _of_norm("embeddings.LayerNorm", structure.norm)
    if structure.projection is not None:
        yield from _of_dense(PROJECTION, structure.projection)
    for i, layer in enumerate(structure.own_layers):
        start = layer_key(i)
        for name in PARTS:
            operand = getattr(layer.attention, name)
            shared = sum(getattr(layer.attention, other).product == operand.product for other in PARTS) > 1
            for ordinal, leaf in enumerate(operand.product.leaves):
                called = str(ordinal) if shared else name
                yield Claim(f"{start}.attention.self.{called}.weight", leaf, KERNEL, operand.product)
            for ordinal, leaf in enumerate(operand.biases):
                yield Claim(f"{start}.attention.self.{name}.{ordinal}.bias", leaf, VECTOR, operand.product)
        yield from _of_dense(f"{start}.attention.output.dense", layer.attention.out, MERGING)
        yield from _of_norm(f"{start}.attention.output.LayerNorm", layer.attention_norm)
        yield from _of_dense(f"{start}.intermediate.dense", layer.inner)
        yield from _of_dense(f"{start}.output.dense", layer.outer)
        yield from _of_norm(f"{start}.output.LayerNorm", layer.norm)
    for number, dense in enumerate(head.layers):
        yield Claim(f"{dense_key(number)}.weight", dense.product.leaves[0], KERNEL)
        if dense.bias is not None:
            yield Claim(f"{dense_key(number)}.bias", dense.bias.leaves[0], VECTOR)


def _of_dense(key: str, dense: Dense, role: str = KERNEL) -> Iterator[Claim]:
    yield Claim(f"{key}.weight", dense.product.leaves[0], role)
    yield Claim(f"{key}.bias", dense.bias.leaves[0], VECTOR)


def _of_norm(key: str, norm: Norm) -> Iterator[Claim]:
    yield Claim(f"{key}.weight", norm.gamma.leaves[0], GAMMA)
    yield Claim(f"{key}.bias", norm.beta.leaves[0], VECTOR)


class Mapper:
    """Makes the mapping of one structure.

    Args:
        structure, head: where each variable stands.
        asking: asks its graph.
        sharpness: what scores are multiplied by in it.
    """

    def __init__(self, structure: Structure, head: Head, asking: Asking, sharpness: float) -> None:
        self.structure, self.head, self.asking, self.shapes = structure, head, asking, structure.flow.shapes
        self.sharpness = sharpness

    def found(self) -> Found:
        """Return the mapping.

        Raises:
            MappingError: something in the graph is more than a move, or sizes do not agree.
        """
        structure, first = self.structure, self.structure.layers[0]
        hidden = structure.width
        places, heads = attention_places(self.asking, first.attention, self.sharpness, power=-0.5)
        if len(places["query.weight"].outputs) != hidden:
            count = len(places["query.weight"].outputs)
            raise MappingError(
                f"The heads have {count} numbers in all, the hidden state {hidden}.",
                "In a BertModel these are as many.",
            )
        places["inner"], places["outer"] = (
            self.asking.dense(dense.product, dense.added) for dense in (first.inner, first.outer)
        )
        self._biases = [self.asking.bias(d.product, d.bias) for d in (first.attention.out, first.inner, first.outer)]
        items = list(self._items(places))
        for item in items:
            self._check(item, hidden, len(places["inner"].outputs))
        return Found((*items, *self._head(hidden)), heads)

    def _items(self, places: dict[str, Elements]) -> Iterator[Mapped]:
        structure = self.structure
        for name, key in TABLES.items():
            if name not in structure.tables:
                continue
            leaf = structure.tables[name]
            shape = self.shapes[leaf]
            yield Mapped(leaf, key, COPY if len(shape) == 2 else MERGE_HEADS, (prod(shape[:-1]), shape[-1]))
        yield from self._norm("embeddings.LayerNorm", structure.norm)
        if structure.projection is not None:
            product = structure.projection.product
            yield self._matrix(f"{PROJECTION}.weight", product, product, self.asking.dense(product))
            yield self._vector(f"{PROJECTION}.bias", structure.projection.bias)
        for i, layer in enumerate(structure.own_layers):
            yield from self._layer(layer_key(i), layer, places)

    def _layer(self, start: str, layer: Layer, places: dict[str, Elements]) -> Iterator[Mapped]:
        first = self.structure.layers[0]
        for name in PARTS:
            operand, asked = getattr(layer.attention, name), getattr(first.attention, name)
            key, weight, bias = f"{start}.attention.self.{name}", places[f"{name}.weight"], places[f"{name}.bias"]
            yield self._matrix(f"{key}.weight", operand.product, asked.product, weight)
            leaf = self._alike(operand.biases, asked.biases, bias)
            yield mapped_bias(f"{key}.bias", leaf, self.shapes[leaf], bias)
        key, out = f"{start}.attention.output", layer.attention.out
        order = places["order"].outputs
        yield self._matrix(f"{key}.dense.weight", out.product, first.attention.out.product, places["out"], order)
        yield self._vector(f"{key}.dense.bias", out.bias, self._biases[0])
        yield from self._norm(f"{key}.LayerNorm", layer.attention_norm)
        yield self._matrix(
            f"{start}.intermediate.dense.weight", layer.inner.product, first.inner.product, places["inner"]
        )
        yield self._vector(f"{start}.intermediate.dense.bias", layer.inner.bias, self._biases[1])
        yield self._matrix(f"{start}.output.dense.weight", layer.outer.product, first.outer.product, places["outer"])
        yield self._vector(f"{start}.output.dense.bias", layer.outer.bias, self._biases[2])
        yield from self._norm(f"{start}.output.LayerNorm", layer.norm)

    def _head(self, width: int) -> Iterator[Mapped]:
        """Yield the pairs of the head, each layer as wide as the one before it is long."""
        for number, layer in enumerate(self.head.layers):
            product = layer.product
            elements = self.asking.dense(product, layer.bias)
            weight = self._matrix(f"{dense_key(number)}.weight", product, product, elements)
            outputs, inputs = weight.shape
            if inputs != width:
                raise self._unfit(weight, [outputs, width])
            yield weight
            if layer.bias is not None:
                bias = self._vector(f"{dense_key(number)}.bias", layer.bias, self.asking.bias(product, layer.bias))
                if bias.shape != (outputs,):
                    raise self._unfit(bias, [outputs])
                yield bias
            width = outputs

    def _matrix(
        self, key: str, product: Join, asked: Join, elements: Elements, order: np.ndarray | None = None
    ) -> Mapped:
        leaf = self._alike(product.leaves, asked.leaves, elements)
        return mapped_matrix(key, leaf, self.shapes[leaf], elements, order)

    def _alike(self, leaves: Sequence[str], asked: Sequence[str], elements: Elements) -> str:
        """Return the variable that has the place of the one that was asked, which must be of the same shape."""
        if [self.shapes[leaf] for leaf in leaves] != [self.shapes[leaf] for leaf in asked]:
            here, there = (self.structure.flow.shown(list(side)) for side in (leaves, asked))
            raise MappingError(
                f"{here} should have the shape of {there} in the first layer.", "A BertModel has equal layers."
            )
        return leaves[elements.leaf]

    def _vector(self, key: str, join: Join, scale: float = 1.0) -> Mapped:
        leaf = join.leaves[0]
        shape = self.shapes[leaf]
        return Mapped(leaf, key, COPY if len(shape) == 1 else MERGE_HEADS, (prod(shape),), factor=scale)

    def _norm(self, key: str, norm: Norm) -> Iterator[Mapped]:
        yield self._vector(f"{key}.weight", norm.gamma)
        yield self._vector(f"{key}.bias", norm.beta)

    def _check(self, item: Mapped, hidden: int, inner: int) -> None:
        """Raise where a tensor has not the shape that its key has in a BertModel with these sizes."""
        embedded = self.shapes[self.structure.tables["words"]][-1]
        outer = inner if ".intermediate." in item.key else embedded if item.key.startswith("embeddings.") else hidden
        width = inner if item.key.endswith(".output.dense.weight") and ".attention." not in item.key else hidden
        width = embedded if item.key in (*TABLES.values(), f"{PROJECTION}.weight") else width
        rows = item.shape[0] if item.key in TABLES.values() else outer
        wanted = (rows, width) if len(item.shape) == 2 else (outer,)
        if item.shape != wanted:
            raise self._unfit(item, list(wanted))

    def _unfit(self, item: Mapped, wanted: list[int]) -> MappingError:
        return MappingError(
            f"Variable {self.structure.flow.shown([item.variable])} becomes '{item.key}' {list(item.shape)}, which should "
            f"be {wanted}.",
            "The checkpoint does not belong to this graph, or it is not such an encoder.",
        )
