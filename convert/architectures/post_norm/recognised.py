"""Encoders with LayerNorm after each part, as BERT has it: what recognises one in a graph, whatever class it becomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from hub2hf.analysis.alike import Span
from hub2hf.analysis.epsilon import asked_epsilon, read_epsilon
from hub2hf.analysis.places import Asking
from hub2hf.analysis.read import Read
from hub2hf.analysis.run import ObservedRun, Probe
from hub2hf.architectures.base import EMBEDDINGS, Architecture, Claim, Found, Recognised, layer_stage
from hub2hf.architectures.head import Head, TensorOf, activation_between
from hub2hf.architectures.post_norm.mapping import Mapper, claims, layer_key
from hub2hf.architectures.post_norm.reference import stages
from hub2hf.architectures.post_norm.structure import Structure
from hub2hf.errors import REPORT, MappingError
from hub2hf.savedmodel.node import TensorRef

SIZES = {
    "vocab_size": ("words", 0),
    "hidden_size": ("words", -1),
    "type_vocab_size": ("types", 0),
    "max_position_embeddings": ("positions", 0),
}


class RecognisedPostNorm(Recognised):
    """An encoder with LayerNorm after each part, in a graph."""

    def __init__(self, architecture: Architecture, structure: Structure) -> None:
        flow = structure.flow
        self.architecture, self.flow, self.structure = architecture, flow, structure
        self.ids = structure.lookup.data
        self.types = (structure.tables.get("types", ""), self.size("type_vocab_size").value)
        self.layers = len(structure.layers)
        self.head = Head(flow, structure.depth, flow.end_of(structure.layers[-1].norm))
        # The values, not the queries: in the last layer the first token may be the only one that asks.
        taken = [layer.attention.value.product.data for layer in structure.layers]
        self.taps = dict(zip([EMBEDDINGS, *map(layer_stage, range(self.layers - 1))], taken, strict=True))

    def claims(self) -> Iterator[Claim]:
        """Yield every variable that has a place."""
        return claims(self.structure, self.head)

    def size(self, name: str) -> Read[int]:
        """Return a size of one of the tables, or the width of the layers."""
        projection = self.structure.projection
        if name == "hidden_size" and projection is not None:
            return Read(self.structure.width, f"variable '{projection.bias.leaves[0]}'")
        table, axis = SIZES[name]
        if table not in self.structure.tables:
            return Read(1, "no token types are added")
        leaf = self.structure.tables[table]
        shape = self.flow.shapes[leaf]
        return Read(shape[-1] if axis else prod(shape[:-1]), f"variable '{leaf}'")

    def spans(self) -> Sequence[Span]:
        """Return where each layer but the last begins and ends; none where all layers have the same weights."""
        ends = list(self.taps.values())
        keys = (f"{layer_key(number)}." for number in range(self.layers))
        return [] if self.structure.shared else [Span(*each) for each in zip(ends, ends[1:], keys, strict=False)]

    def entering(self) -> set[TensorRef]:
        """Return what the context of the first attention is made of besides the scores."""
        attention = self.structure.layers[0].attention
        scores, _ = attention.key.places[0]
        return self.flow.entering(scores, attention.out.product.data)

    def settle(self, asking: Asking, run: ObservedRun) -> None:
        """Tell queries from keys, and what their products are multiplied by."""
        entering = {ref: run.value(ref) for ref in self.entering()}
        if asking.keys_are_queries(self.structure.layers[0].attention, entering):
            self.structure.exchange()
        self._ask = partial(asked_epsilon, asking)
        self._sharpness = asking.sharpness(self.structure.layers[0].attention, entering)

    def mapping(self, asking: Asking, names: Mapping[str, Sequence[str]]) -> Found:
        """Return the mapping."""
        return Mapper(self.structure, self.head, asking, self._sharpness).found()

    def read(self, run: ObservedRun, found: Found) -> dict[str, Read[Any]]:
        """Return what is read of the layers."""
        layers, first = self.structure.layers, self.structure.layers[0]
        norms = [self.structure.norm, *(norm for layer in layers for norm in (layer.attention_norm, layer.norm))]
        inner = {item.key: item for item in found.mapped}["encoder.layer.0.intermediate.dense.bias"]
        scores, hidden = first.attention.query.places[0][0].name, self.size("hidden_size").value
        activation, _ = activation_between(run, first.inner.bias.node, first.outer.product.data, last=False)
        read: dict[str, Read[Any]] = {
            "layers": Read(len(layers), f"variable '{layers[-1].norm.beta.leaves[0]}'"),
            "heads": Read(found.heads, f"node '{scores}' contracts {hidden // found.heads} of {hidden} numbers"),
            "intermediate_size": Read(inner.shape[0], f"variable '{inner.variable}'"),
            "hidden_activation": activation,
            "layer_norm_epsilon": read_epsilon(self.flow.nodes, norms, self._ask),
        }
        epsilon, fixed = read["layer_norm_epsilon"], self.architecture.fixed.get("layer_norm_eps")
        if fixed is not None and epsilon.value != fixed:
            raise MappingError(
                f"The epsilon of LayerNorm is {epsilon.value} ({epsilon.evidence}); {self.architecture.model_class} has "
                f"{fixed} in its code.",
                REPORT,
            )
        return read

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
            typed="types" in self.structure.tables,
            projected=self.structure.projection is not None,
            shared=self.structure.shared,
        )
