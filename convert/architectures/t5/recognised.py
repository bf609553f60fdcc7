"""T5's encoder, as it was recognised in a graph: its mapping, and what is read of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from hub2hf.analysis.epsilon import read_epsilon
from hub2hf.analysis.flow import Join
from hub2hf.analysis.places import Asking, Elements, attention_places, mapped_matrix
from hub2hf.analysis.read import SAME, Read
from hub2hf.analysis.run import ObservedRun, Probe
from hub2hf.analysis.substitutes import GAMMA, KERNEL, MERGING, VECTOR
from hub2hf.analysis.substitutes import WORDS as WORD_TABLE
from hub2hf.architectures.activations import identify_activation
from hub2hf.architectures.base import EMBEDDINGS, Architecture, Claim, Found, Recognised, layer_stage
from hub2hf.architectures.head import Head, TensorOf, dense_key
from hub2hf.architectures.t5.reference import ATTENTION, FEED_FORWARD, FINAL, RELATIVE, WORDS, block, stages
from hub2hf.architectures.t5.structure import Structure
from hub2hf.errors import REPORT, MappingError
from hub2hf.savedmodel.node import TensorRef
from hub2hf.state_dict import COPY, TRANSPOSE, Mapped

PARTS = {"query": "q", "key": "k", "value": "v"}
LONGEST = 2048  # ids of a text: no positions are looked up, and published modules cut at 512 or before


class RecognisedT5(Recognised):
    """T5's encoder in a graph."""

    def __init__(self, architecture: Architecture, structure: Structure) -> None:
        flow = structure.flow
        self.architecture, self.flow, self.structure = architecture, flow, structure
        self.ids, self.types = structure.lookup.data, ("", 1)
        self.layers = len(structure.layers)
        self.gated = len(structure.layers[0].inner) == 2
        self.head = Head(flow, structure.depth, flow.end_of(structure.norm))
        stages_of = [EMBEDDINGS, *map(layer_stage, range(self.layers - 1))]
        self.taps = {stage: structure.stream(number) for number, stage in enumerate(stages_of)}

    def claims(self) -> Iterator[Claim]:
        """Yield every variable that has a place."""
        structure = self.structure
        yield Claim(WORDS, structure.words, WORD_TABLE)
        yield Claim(RELATIVE, structure.table, VECTOR)
        for i, layer in enumerate(structure.layers):
            start, attention = block(i), layer.attention
            products = [getattr(attention, name).product for name in PARTS]
            for (name, key), product in zip(PARTS.items(), products, strict=True):
                for ordinal, leaf in enumerate(product.leaves):
                    called = key if products.count(product) == 1 else f"{name}.{ordinal}"
                    yield Claim(f"{start}.{ATTENTION}.{called}.weight", leaf, KERNEL, product)
            yield Claim(f"{start}.{ATTENTION}.o.weight", attention.out.product.leaves[0], MERGING)
            yield Claim(f"{start}.layer.0.layer_norm.weight", layer.attention_norm.gamma.leaves[0], GAMMA)
            for name, inner in zip(self._inner(), layer.inner, strict=True):
                yield Claim(f"{start}.{FEED_FORWARD}.{name}.weight", inner.leaves[0], KERNEL)
            yield Claim(f"{start}.{FEED_FORWARD}.wo.weight", layer.outer.leaves[0], KERNEL)
            yield Claim(f"{start}.layer.1.layer_norm.weight", layer.norm.gamma.leaves[0], GAMMA)
        yield Claim(FINAL, structure.norm.gamma.leaves[0], GAMMA)
        for number, dense in enumerate(self.head.layers):
            yield Claim(f"{dense_key(number)}.weight", dense.product.leaves[0], KERNEL)
            if dense.bias is not None:
                yield Claim(f"{dense_key(number)}.bias", dense.bias.leaves[0], VECTOR)

    def _inner(self) -> tuple[str, ...]:
        return ("wi_0", "wi_1") if self.gated else ("wi",)

    def size(self, name: str) -> Read[int]:
        """Return vocab_size or hidden_size; there are no positions and no token types."""
        rows, width = self.flow.shapes[self.structure.words]
        known = {"vocab_size": rows, "hidden_size": width}
        if name in known:
            return Read(known[name], f"variable '{self.structure.words}'")
        if name == "type_vocab_size":
            return Read(1, "no token types are added")
        return Read(LONGEST, f"positions are relative: variable '{self.structure.table}'")

    def entering(self) -> set[TensorRef]:
        """Return what the context of the first attention is made of besides the scores."""
        attention = self.structure.layers[0].attention
        scores, _ = attention.key.places[0]
        return self.flow.entering(scores, attention.out.product.data)

    def settle(self, asking: Asking, run: ObservedRun) -> None:
        """Tell queries from keys, and the product with the activation from the one that it is the gate of."""
        first = self.structure.layers[0]
        entering = {ref: run.value(ref) for ref in self.entering()}
        if asking.keys_are_queries(first.attention, entering):
            self.structure.exchange()
        self._sharpness = asking.sharpness(self.structure.layers[0].attention, entering)
        self._activation = self._read_activation(run)

    def _read_activation(self, run: ObservedRun) -> Read[str]:
        """Return the activation of the inner product, which is brought to the front where there are two."""
        first = self.structure.layers[0]
        end, starts = first.outer.data, [TensorRef(join.node.name) for join in first.inner]

        def made(number: int, x: np.ndarray) -> np.ndarray:
            """Return what the outer product takes where the inner one `number` makes x, and the other one ones."""
            others = {ref: np.ones(run.shape(ref)) for ref in starts if ref != starts[number]}
            return run.part([end], {starts[number]: x, **others})[0]

        gate = 0
        if self.gated:
            apart = [self._bend(partial(made, number), run.shape(ref)) for number, ref in enumerate(starts)]
            gate = int(np.argmax(apart))
            if not min(apart) < SAME < apart[gate]:
                names = self.flow.shown([leaf for join in first.inner for leaf in join.leaves])
                raise MappingError(
                    f"Of {names} one should go through an activation, to be the gate of the other.", REPORT
                )
        read, _ = identify_activation(
            partial(made, gate), run.shape(starts[gate]), first.inner[gate].node, end, last=False
        )
        self.structure.gated_by(gate)
        return read

    def _bend(self, function: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> float:
        """Return how far a function is from one that of a sum makes the sum."""
        one, other = np.random.default_rng(0).standard_normal((2, *shape))
        return float(np.abs(function(one + other) - function(one) - function(other)).max())

    def mapping(self, asking: Asking, names: Mapping[str, Sequence[str]]) -> Found:
        """Return the mapping."""
        structure, first = self.structure, self.structure.layers[0]
        places, heads = attention_places(asking, first.attention, self._sharpness, power=0.0)
        inner = [asking.dense(join) for join in first.inner]
        outer = asking.dense(first.outer)

        def matrix(key: str, product: Join, elements: Elements, order: np.ndarray | None = None) -> Mapped:
            leaf = product.leaves[elements.leaf]
            return mapped_matrix(f"{key}.weight", leaf, self.flow.shapes[leaf], elements, order)

        items = [self._copied(WORDS, structure.words), self._relative(asking, heads)]
        for i, layer in enumerate(structure.layers):
            start = block(i)
            for name, key in PARTS.items():
                operand = getattr(layer.attention, name)
                items.append(matrix(f"{start}.{ATTENTION}.{key}", operand.product, places[f"{name}.weight"]))
            out = layer.attention.out.product
            items.append(matrix(f"{start}.{ATTENTION}.o", out, places["out"], places["order"].outputs))
            items.append(self._copied(f"{start}.layer.0.layer_norm.weight", layer.attention_norm.gamma.leaves[0]))
            for name, join, elements in zip(self._inner(), layer.inner, inner, strict=True):
                items.append(matrix(f"{start}.{FEED_FORWARD}.{name}", join, elements))
            items.append(matrix(f"{start}.{FEED_FORWARD}.wo", layer.outer, outer))
            items.append(self._copied(f"{start}.layer.1.layer_norm.weight", layer.norm.gamma.leaves[0]))
        items.append(self._copied(FINAL, structure.norm.gamma.leaves[0]))
        for number, dense in enumerate(self.head.layers):
            items.append(matrix(dense_key(number), dense.product, asking.dense(dense.product)))
            if dense.bias is not None:
                items.append(self._copied(f"{dense_key(number)}.bias", dense.bias.leaves[0]))
        self._check(items)
        return Found(tuple(items), heads)

    def _copied(self, key: str, leaf: str) -> Mapped:
        return Mapped(leaf, key, COPY, self.flow.shapes[leaf])

    def _relative(self, asking: Asking, heads: int) -> Mapped:
        """Return the pair of the table of relative positions, [buckets, heads] or turned.

        Distance 0 is in bucket 0 and a key one before its query in bucket 1: how far their numbers lie apart tells.
        """
        join, leaf = self.structure.relative, self.structure.table
        shape = self.flow.shapes[leaf]
        numbers = asking.numbers(join.node.input(join.position), leaf)
        step = int(np.unique(numbers[..., 1, 0] - numbers[..., 0, 0])[0])
        sizes = {heads: (COPY, shape), 1: (TRANSPOSE, shape[::-1])}
        operation, size = sizes.get(step, (COPY, (0, 0)))
        if len(shape) != 2 or size[1] != heads or heads == 1:
            raise MappingError(
                f"Variable {self.flow.shown([leaf])} is added by relative position, and is no table of buckets for {heads} "
                "heads.",
                REPORT,
            )
        return Mapped(leaf, RELATIVE, operation, size)

    def _check(self, items: Sequence[Mapped]) -> None:
        """Raise where a tensor has not the shape that its key has in a T5EncoderModel with these sizes."""
        shapes = {item.key: item.shape for item in items}
        hidden = shapes[WORDS][1]
        wide = shapes[f"{block(0)}.{ATTENTION}.q.weight"][0]
        middle = shapes[f"{block(0)}.{FEED_FORWARD}.{self._inner()[0]}.weight"][0]
        wanted = {"q": (wide, hidden), "k": (wide, hidden), "v": (wide, hidden), "o": (hidden, wide)}
        wanted |= dict.fromkeys(self._inner(), (middle, hidden)) | {"wo": (hidden, middle)}
        for item in items:
            part = item.key.split(".")[-2]
            size = (hidden,) if "norm" in part else wanted.get(part, item.shape)
            if item.shape != size:
                raise MappingError(
                    f"Variable {self.flow.shown([item.variable])} becomes '{item.key}' {list(item.shape)}, which should be "
                    f"{list(size)}.",
                    "The checkpoint does not belong to this graph, or it is not such an encoder.",
                )

    def read(self, run: ObservedRun, found: Found) -> dict[str, Read[Any]]:
        """Return what is read of the layers."""
        structure = self.structure
        norms = [n for layer in structure.layers for n in (layer.attention_norm, layer.norm)] + [structure.norm]
        inner = next(item for item in found.mapped if item.key.endswith(f"{FEED_FORWARD}.{self._inner()[0]}.weight"))
        scores = structure.layers[0].attention.query.places[0][0].name
        return {
            "layers": Read(self.layers, f"variable '{structure.layers[-1].norm.gamma.leaves[0]}'"),
            "heads": Read(found.heads, f"node '{scores}'"),
            "intermediate_size": Read(inner.shape[0], f"variable '{inner.variable}'"),
            "hidden_activation": self._activation,
            "layer_norm_epsilon": read_epsilon(self.flow.nodes, norms),
        }

    def stages(
        self, probe: Probe, weights: TensorOf, read: Mapping[str, Read[Any]], layers: Sequence[int]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, value) of each stage up to the last layer."""
        return stages(
            probe,
            weights,
            layers=layers,
            heads=read["heads"].value,
            activation=read["hidden_activation"].value,
            epsilon=read["layer_norm_epsilon"].value,
            gated=self.gated,
        )
