"""MobileBERT, as it was recognised in a graph: its mapping, and what is read of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from hub2hf.analysis.epsilon import read_epsilon
from hub2hf.analysis.flow import Join, Norm
from hub2hf.analysis.places import Asking, attention_places, mapped_bias, mapped_matrix
from hub2hf.analysis.read import Read
from hub2hf.analysis.run import ObservedRun, Probe
from hub2hf.analysis.substitutes import DAMPING, KERNEL, MERGING, VECTOR, WORDS
from hub2hf.architectures.base import EMBEDDINGS, Architecture, Claim, Found, Recognised, layer_stage
from hub2hf.architectures.head import Head, TensorOf, activation_between, dense_key
from hub2hf.architectures.mobilebert.reference import JOINED, NORM, TABLES, layer_key, stages
from hub2hf.architectures.mobilebert.structure import Structure
from hub2hf.errors import REPORT, GraphError, MappingError
from hub2hf.savedmodel.node import TensorRef
from hub2hf.state_dict import COPY, MERGE_HEADS, Mapped

PARTS = ("query", "key", "value")
SIZES = {"vocab_size": "words", "type_vocab_size": "types", "max_position_embeddings": "positions"}


class RecognisedMobileBert(Recognised):
    """MobileBERT in a graph."""

    def __init__(self, architecture: Architecture, structure: Structure) -> None:
        flow = structure.flow
        self.architecture, self.flow, self.structure = architecture, flow, structure
        self.ids = structure.lookup.data
        self.types = (structure.tables["types"], self.size("type_vocab_size").value)
        self.layers = len(structure.layers)
        self.head = Head(flow, structure.depth, flow.end_of(self._last))
        stages_of = [EMBEDDINGS, *map(layer_stage, range(self.layers - 1))]
        self.taps = {stage: structure.tokens(number) for number, stage in enumerate(stages_of)}

    @property
    def _last(self) -> Norm:
        norm = self.structure.layers[-1].blocks["output.bottleneck"].norm
        assert norm is not None
        return norm

    def claims(self) -> Iterator[Claim]:
        """Yield every variable that has a place."""
        for name, leaf in self.structure.tables.items():
            yield Claim(TABLES[name], leaf, WORDS if name == "words" else VECTOR)
        for key, dense, norm in self._dense():
            yield Claim(f"{key}.weight", dense.leaves[0], MERGING if key.endswith("attention.output.dense") else KERNEL)
            for end, join, role in norm:
                yield Claim(end, join.leaves[0], role)
        for i, layer in enumerate(self.structure.layers):
            for name in PARTS:
                operand, key = getattr(layer.attention, name), f"{layer_key(i)}.attention.self.{name}"
                yield Claim(f"{key}.weight", operand.product.leaves[0], KERNEL)
                yield Claim(f"{key}.bias", operand.biases[0], VECTOR)
        for number, each in enumerate(self.head.layers):
            yield Claim(f"{dense_key(number)}.weight", each.product.leaves[0], KERNEL)
            if each.bias is not None:
                yield Claim(f"{dense_key(number)}.bias", each.bias.leaves[0], VECTOR)

    def _dense(self) -> Iterator[tuple[str, Join, list[tuple[str, Join, str]]]]:
        """Yield of each dense layer outside attention its key, its product, and (key, join, role) of its vectors."""
        structure = self.structure
        blocks = [(JOINED, f"embeddings.{NORM}", structure.embeddings)]
        for i, layer in enumerate(structure.layers):
            starts = ((f"{layer_key(i)}.{start}", block) for start, block in layer.blocks.items())
            blocks += [(f"{start}.dense", f"{start}.{NORM}", block) for start, block in starts]
        for key, normed, block in blocks:
            vectors = [(f"{key}.bias", block.dense.bias, VECTOR)]
            if block.norm is not None:
                # Small: nothing makes large states small later, and a graph's float32 constants show in their scores.
                role = VECTOR if block is structure.embeddings else DAMPING
                vectors += [
                    (f"{normed}.weight", block.norm.gamma, role),
                    (f"{normed}.bias", block.norm.beta, VECTOR),
                ]
            yield key, block.dense.product, vectors

    def size(self, name: str) -> Read[int]:
        """Return a size of one of the tables, or the width between the layers."""
        if name == "hidden_size":
            return Read(self.structure.width, f"variable '{self.structure.embeddings.dense.bias.leaves[0]}'")
        leaf = self.structure.tables[SIZES[name]]
        return Read(prod(self.flow.shapes[leaf][:-1]), f"variable '{leaf}'")

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
        self._sharpness = asking.sharpness(self.structure.layers[0].attention, entering)

    def mapping(self, asking: Asking, names: Mapping[str, Sequence[str]]) -> Found:
        """Return the mapping."""
        layers, shapes = self.structure.layers, self.flow.shapes
        places, heads = attention_places(asking, layers[0].attention, self._sharpness, power=-0.5)
        asked = {key: asking.dense(product) for key, product, _ in self._dense() if key == _in_first_layer(key)}
        items = [self._vector(TABLES[name], leaf) for name, leaf in self.structure.tables.items()]
        for key, product, vectors in self._dense():
            order = places["order"].outputs if key.endswith("attention.output.dense") else None
            elements = places["out"] if order is not None else asked[_in_first_layer(key)]
            leaf = product.leaves[elements.leaf]
            items.append(mapped_matrix(f"{key}.weight", leaf, shapes[leaf], elements, order))
            items += [self._vector(end, join.leaves[0]) for end, join, _ in vectors]
        for i, layer in enumerate(layers):
            for name in PARTS:
                operand, key = getattr(layer.attention, name), f"{layer_key(i)}.attention.self.{name}"
                weight, bias = places[f"{name}.weight"], places[f"{name}.bias"]
                leaf, added = operand.product.leaves[weight.leaf], operand.biases[bias.leaf]
                items.append(mapped_matrix(f"{key}.weight", leaf, shapes[leaf], weight))
                items.append(mapped_bias(f"{key}.bias", added, shapes[added], bias))
        for number, each in enumerate(self.head.layers):
            elements, leaf = asking.dense(each.product), each.product.leaves[0]
            items.append(mapped_matrix(f"{dense_key(number)}.weight", leaf, shapes[leaf], elements))
            if each.bias is not None:
                items.append(self._vector(f"{dense_key(number)}.bias", each.bias.leaves[0]))
        self._check(items)
        return Found(tuple(items), heads)

    def _vector(self, key: str, leaf: str) -> Mapped:
        """Return the pair of a vector, or of a table as it is."""
        shape = self.flow.shapes[leaf]
        table = key in TABLES.values()
        size = (prod(shape[:-1]), shape[-1]) if table else (prod(shape),)
        return Mapped(leaf, key, COPY if len(shape) == len(size) else MERGE_HEADS, size)

    def _check(self, items: Sequence[Mapped]) -> None:
        """Raise where a tensor has not the shape of its like in the first layer."""
        shapes = {item.key: item.shape for item in items}
        for item in items:
            if item.key.startswith("encoder.layer."):
                first = shapes[_in_first_layer(item.key)]
                if item.shape != first:
                    raise MappingError(
                        f"Variable {self.flow.shown([item.variable])} becomes '{item.key}' {list(item.shape)}, which should "
                        f"be {list(first)}, as in the first layer.",
                        REPORT,
                    )

    def read(self, run: ObservedRun, found: Found) -> dict[str, Read[Any]]:
        """Return what is read of the layers."""
        structure, first = self.structure, self.structure.layers[0]
        assert structure.embeddings.norm is not None
        try:
            epsilon = read_epsilon(self.flow.nodes, [structure.embeddings.norm])
        except GraphError:
            epsilon = Read(0.0, "no variance is divided by")
        if epsilon.value:
            raise MappingError(
                f"The layers have LayerNorm ({epsilon.evidence}), for which MobileBertModel has two epsilons at once.",
                "Report it: all MobileBERTs on TensorFlow Hub scale and shift alone.",
            )
        inner, outer = first.blocks["intermediate"].dense, first.blocks["output"].dense
        activation, _ = activation_between(run, inner.bias.node, outer.product.data, last=False)
        bias = next(item for item in found.mapped if item.key == f"{layer_key(0)}.intermediate.dense.bias")
        return {
            "layers": Read(self.layers, f"variable '{self._last.beta.leaves[0]}'"),
            "heads": Read(found.heads, f"node '{first.attention.query.places[0][0].name}'"),
            "intermediate_size": Read(bias.shape[0], f"variable '{bias.variable}'"),
            "hidden_activation": activation,
            "layer_norm_epsilon": epsilon,
        }

    def stages(
        self, probe: Probe, weights: TensorOf, read: Mapping[str, Read[Any]], layers: Sequence[int]
    ) -> Iterator[tuple[str, Any]]:
        """Yield (name, value) of each stage up to the last layer."""
        return stages(
            probe,
            weights,
            layers=layers,
            heads=read["heads"].value,
            activation=read["hidden_activation"].value,
            count=self.structure.pairs,
        )


def _in_first_layer(key: str) -> str:
    """Return the key that a key of a layer has in the first one; any other as it is."""
    return ".".join([layer_key(0), *key.split(".")[3:]]) if key.startswith("encoder.layer.") else key
