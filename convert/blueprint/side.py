"""The encoder of one SavedModel: its variables paired with state-dict keys, its values read, the whole proved."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from convert.blueprint.dataflow import Dataflow
from convert.blueprint.encoder import EncoderBlueprint, Read
from convert.blueprint.kinds import refuse_other_kinds
from convert.blueprint.probe import Weights, by_node
from convert.blueprint.prove import TYPES, Feeding, ObservedRun, stage_inputs
from convert.blueprint.read_encoder import EncoderReader
from convert.blueprint.reference import Hypothesis
from convert.errors import MappingError
from convert.interpreter import Substitutes
from convert.savedmodel.graph import Graph
from convert.savedmodel.model import SavedModel
from convert.savedmodel.node import TensorRef
from convert.savedmodel.variables import Binding
from convert.state_dict import COPY, SWAP_ROWS, Mapped, Pairing, pair

GATHERS = frozenset({"Gather", "GatherV2", "ResourceGather"})
WORDS = "embeddings.word_embeddings.weight"
PART = re.compile(r"/part_\d+$")  # tensorflow/python/ops/partitioned_variables.py names the slices so


class EncoderSide:
    """Reads the encoder that leads to one tensor.

    Args:
        model: the SavedModel.
        graph: its main graph, calls inlined.
        output: the tensor of the embedding.

    Raises:
        MappingError: variables and state-dict keys do not pair up, or the encoder is of another kind.
    """

    def __init__(self, model: SavedModel, graph: Graph, output: TensorRef) -> None:
        self.model, self.graph, self.output = model, graph, output
        self.flow = Dataflow(graph, output)
        self.keys, self.pairing = self._pair()
        nodes = {key: self.flow.nodes[name] for name, (key, _) in reversed(self.keys.items())}
        self.reader = EncoderReader(self.flow, nodes)

    def _pair(self) -> tuple[dict[str, tuple[str, tuple[slice, ...]]], Pairing]:
        """Return variable node → (state-dict key, part of the whole variable), and the pairing."""
        bindings = {node.name: self.model.variable_binding(node.name) for node in self.flow.variables()}
        variables = {name: self.model.checkpoint.variable(binding.key) for name, binding in bindings.items()}
        called = {variable.name: PART.sub("", node) for node, variable in variables.items()}
        try:
            pairing = pair({v.name: v.shape for v in variables.values()}, also_called=called)
        except MappingError as error:
            raise refuse_other_kinds({*called, *called.values()}, error) from None
        key_of = {item.variable: item.key for item in pairing.mapped}
        return {name: (key_of[variables[name].name], _part(bindings[name])) for name in bindings}, pairing

    def size(self, dimension: str) -> int:
        """Return a size of the model by the name that the rules give it."""
        return self.pairing.sizes[dimension].value

    @property
    def layers(self) -> int:
        """The number of layers."""
        return self.size("num_hidden_layers")

    def weights(self, rows: int) -> Weights:
        """Return substitutes for the variables, the word embeddings cut to `rows`."""
        shapes = {item.key: self.model.checkpoint.variables[item.variable].shape for item in self.pairing.mapped}
        return Weights(shapes, rows)

    def substitutes(self, rows: int, vocabulary: Mapping[bytes, int]) -> Substitutes:
        """Return the substitutes for variables and vocabulary."""
        return Substitutes(by_node(self.weights(rows), self.keys), vocabulary)

    def stage_tensors(self) -> dict[str, str]:
        """Return stage → the tensor of the graph that holds it; see `Blueprint.stages`."""
        at = stage_inputs(self.reader, self.layers)
        tensors = {stage: str(node.inputs[position]) for stage, (node, position) in at.items()}
        tensors[f"layer {self.layers - 1}"] = tensors.pop("first token")
        return tensors

    def blueprint(
        self,
        given: Feeding,
        substitutes: Substitutes,
        rows: int,
        *,
        others: Mapping[str, TensorRef] | None = None,
        elsewhere: Collection[str] = (),
    ) -> tuple[EncoderBlueprint, dict[str, str]]:
        """Return the encoder, and which stage each of the outputs `others` is.

        Args:
            given: what the graph is run on.
            substitutes: see `substitutes`.
            rows: as for `substitutes`.
            others: further outputs, by name.
            elsewhere: variables that something else than the encoder uses.

        Raises:
            GraphError: something is not understood, or the graph computes something else than was read.
        """
        run = ObservedRun(self.graph, self.output, self.reader, self.layers, substitutes, given.feeds, others)
        believed, read = self._believed(run)
        weights = self.weights(rows)
        row = run.prove(believed, given, weights)
        mapped = tuple(_with_row(item, row) for item in self.pairing.mapped)
        used = {item.variable for item in mapped} | set(elsewhere)
        sizes = {name: Read(size.value, f"variable '{size.variable}'") for name, size in self.pairing.sizes.items()}
        encoder = EncoderBlueprint(
            vocab_size=sizes["vocab_size"],
            hidden_size=sizes["hidden_size"],
            layers=sizes["num_hidden_layers"],
            heads=read["heads"],
            intermediate_size=sizes["intermediate_size"],
            positions=sizes["max_position_embeddings"],
            type_vocab_size=sizes["type_vocab_size"],
            token_type_row=Read(row, self._type_evidence()),
            hidden_activation=read["hidden_activation"],
            pooler_activation=read["pooler_activation"],
            layer_norm_epsilon=read["layer_norm_epsilon"],
            normalised=read["normalised"],
            mapped=mapped,
            unused=tuple(sorted(set(self.model.checkpoint.variables) - used)),
        )
        return encoder, run.named

    def _believed(self, run: ObservedRun) -> tuple[Hypothesis, dict[str, Read[Any]]]:
        reader = self.reader
        product = reader.attention_product()
        heads = reader.heads(product, run.operands[product.name], self.size("hidden_size"))
        node, position = reader.dense_input("encoder.layer.0.output.dense")
        inner = reader.dense_output("encoder.layer.0.intermediate.dense")
        activation, _ = run.activation(inner, node.inputs[position], last=False)
        pooler, normalised = run.activation(reader.dense_output("pooler.dense"), self.output, last=True)
        gammas = [item.key for item in self.pairing.mapped if item.key.endswith("LayerNorm.weight")]
        epsilon = reader.epsilon(gammas)
        read: dict[str, Read[Any]] = {
            "heads": heads,
            "hidden_activation": activation,
            "pooler_activation": pooler,
            "layer_norm_epsilon": epsilon,
            "normalised": normalised,
        }
        believed = Hypothesis(self.layers, heads.value, activation.value, pooler.value, epsilon.value, normalised.value)
        return believed, read

    def _type_evidence(self) -> str:
        types = self.reader.node_of[TYPES]
        use = next(self.flow.uses(types.name), None)
        return f"node '{use.node.name if use else types.name}'"


def _part(binding: Binding) -> tuple[slice, ...]:
    """Return the part of the whole variable that a node of a partitioned variable holds."""
    return () if binding.slice is None else binding.slice.index


def _with_row(item: Mapped, row: int) -> Mapped:
    """Bring the token-type row that the graph adds to the front, where Hugging Face looks by default."""
    if item.key != TYPES or row == 0:
        return item
    return replace(item, operation=SWAP_ROWS if item.operation == COPY else item.operation, row=row)
