"""BERT (Devlin et al. 2018, arXiv:1810.04805): LayerNorm after each part, learned positions, two token types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.analysis.epsilon import read_epsilon
from hub2hf.analysis.flow import Flow
from hub2hf.analysis.places import Asking
from hub2hf.analysis.read import Read
from hub2hf.analysis.run import ObservedRun, Probe
from hub2hf.architectures.activations import ACTIVATIONS, transformers_name
from hub2hf.architectures.base import (
    EMBEDDINGS,
    MODEL_FILE,
    Architecture,
    Change,
    Claim,
    Found,
    Recognised,
    StockPooler,
    layer_stage,
)
from hub2hf.architectures.bert.mapping import TYPES, Mapper, claims
from hub2hf.architectures.bert.names import FAMILIES
from hub2hf.architectures.bert.reference import stages
from hub2hf.architectures.bert.structure import Structure
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.head import HEAD, Head, Weights, activation_between, dense_key, head_config
from hub2hf.savedmodel.node import TensorRef

# The form of `config.json`. Without one, or with one after 4.57.2, transformers 4.57 takes the tokenizer of any local folder
# of more than 100,000 pieces for Mistral's, and advises a flag that would change the ids.
CONFIG_VERSION = "4.57.0"
EPSILONS = (1e-12, 1e-6, 1e-5)  # that published models have
SIZES = {
    "vocab_size": ("words", 0),
    "hidden_size": ("words", -1),
    "type_vocab_size": ("types", 0),
    "max_position_embeddings": ("positions", 0),
}


class RecognisedBert(Recognised):
    """A BERT encoder in a graph."""

    def __init__(self, architecture: Architecture, flow: Flow) -> None:
        self.architecture, self.flow = architecture, flow
        structure = self.structure = Structure(flow)
        self.ids = structure.lookup.data
        self.types = (structure.tables["types"], self.size("type_vocab_size").value)
        self.layers = len(structure.layers)
        self.head = Head(flow, structure.depth, flow.end_of(structure.layers[-1].norm))
        # The values, not the queries: in the last layer the first token may be the only one that asks.
        taken = [layer.attention.value.product.data for layer in structure.layers]
        self.taps = dict(zip([EMBEDDINGS, *map(layer_stage, range(self.layers - 1))], taken, strict=True))

    def claims(self) -> Iterator[Claim]:
        """Yield every variable that has a place."""
        return claims(self.structure, self.head)

    def size(self, name: str) -> Read[int]:
        """Return a size of one of the tables."""
        table, axis = SIZES[name]
        leaf = self.structure.tables[table]
        shape = self.flow.shapes[leaf]
        return Read(shape[-1] if axis else prod(shape[:-1]), f"variable '{leaf}'")

    def entering(self) -> set[TensorRef]:
        """Return what the weights of the first attention are made of besides the scores."""
        attention = self.structure.layers[0].attention
        (scores, _), (context, position) = attention.key.places[0], attention.value.places[0]
        return self.flow.entering(scores, context.input(1 - position))

    def settle(self, asking: Asking, run: ObservedRun) -> None:
        """Tell queries from keys."""
        entering = {ref: run.value(ref) for ref in self.entering()}
        if asking.keys_are_queries(self.structure.layers[0].attention, entering):
            self.structure.exchange()

    def mapping(self, asking: Asking, names: Mapping[str, Sequence[str]]) -> Found:
        """Return the mapping."""
        return Mapper(self.structure, self.head, asking).found()

    def read(self, run: ObservedRun, found: Found) -> dict[str, Read[Any]]:
        """Return what is read of the layers."""
        layers, first = self.structure.layers, self.structure.layers[0]
        norms = [self.structure.norm, *(norm for layer in layers for norm in (layer.attention_norm, layer.norm))]
        inner = {item.key: item for item in found.mapped}["encoder.layer.0.intermediate.dense.bias"]
        scores, hidden = first.attention.query.places[0][0].name, self.size("hidden_size").value
        activation, _ = activation_between(run, first.inner.bias.node, first.outer.product.data, last=False)
        return {
            "layers": Read(len(layers), f"variable '{layers[-1].norm.beta.leaves[0]}'"),
            "heads": Read(found.heads, f"node '{scores}' contracts {hidden // found.heads} of {hidden} numbers"),
            "intermediate_size": Read(inner.shape[0], f"variable '{inner.variable}'"),
            "hidden_activation": activation,
            "layer_norm_epsilon": read_epsilon(self.flow.nodes, [norm.beta.node for norm in norms]),
        }

    def stages(self, probe: Probe, weights: Weights, read: Mapping[str, Read[Any]]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, value) of each stage up to the last layer."""
        return stages(
            probe,
            weights,
            layers=read["layers"].value,
            heads=read["heads"].value,
            activation=read["hidden_activation"].value,
            epsilon=read["layer_norm_epsilon"].value,
        )


class Bert(Architecture):
    """`transformers.BertModel`."""

    name, title, model_class = "bert", "BERT", "BertModel"
    families = FAMILIES
    token_types = TYPES

    def recognise(self, flow: Flow) -> Recognised:
        """Return the encoder in a graph."""
        return RecognisedBert(self, flow)

    def dense_key(self, encoder: EncoderBlueprint, number: int) -> str:
        """Return the start of the keys of a dense layer: that of the pooler of `BertModel`, where the head is like it."""
        return dense_key(number) if self.stock_activation(encoder) is None else "pooler.dense"

    def stock_activation(self, encoder: EncoderBlueprint) -> str | None:
        """Return the activation of the one dense layer on the first token, which the pooler of `BertModel` has, too."""
        if encoder.pooler.value != "first" or len(encoder.dense) != 1:
            return None
        (dense,) = encoder.dense
        return dense.activation if dense.bias and dense.outputs == encoder.hidden_size.value else None

    def config(self, encoder: EncoderBlueprint, pad_id: int) -> dict[str, Any]:
        """Return `config.json` for `transformers.BertConfig`."""
        config: dict[str, Any] = {
            "architectures": [self.model_class],
            "model_type": "bert",
            "vocab_size": encoder.vocab_size.value,
            "hidden_size": encoder.hidden_size.value,
            "num_hidden_layers": encoder.layers.value,
            "num_attention_heads": encoder.heads.value,
            "intermediate_size": encoder.intermediate_size.value,
            "hidden_act": transformers_name(encoder.hidden_activation.value),
            "layer_norm_eps": encoder.layer_norm_epsilon.value,
            "max_position_embeddings": encoder.positions.value,
            "type_vocab_size": encoder.type_vocab_size.value,
            "pad_token_id": pad_id,
            "dtype": "float32",  # what the graph computes in, however its variables are stored
            "transformers_version": CONFIG_VERSION,
        }
        if self.needs_model_class(encoder):
            stock = self.stock_activation(encoder)
            if stock is None:
                config[HEAD] = head_config(encoder)
            else:
                config["pooler_act"] = transformers_name(stock)
            config["pooler_normalize"] = encoder.normalised.value
            config["auto_map"] = {"AutoModel": f"{Path(MODEL_FILE).stem}.HubEncoderModel"}
        return config

    def needs_model_class(self, encoder: EncoderBlueprint) -> bool:
        """Return whether `BertModel.pooler_output` (first token, dense, tanh, not normalised) is not the embedding."""
        return self.stock_activation(encoder) != "tanh" or encoder.normalised.value

    def model_code(self) -> Path:
        """Return the file of the model class."""
        return Path(__file__).with_name(MODEL_FILE)

    def stock_pooler(self, model: Any) -> StockPooler:
        """Return the pooler of a loaded `BertModel`."""

        def pooled(first: np.ndarray) -> tuple[np.ndarray, str, np.ndarray]:
            import torch

            dense, activation = model.pooler.dense, model.pooler.activation
            made = first.astype(np.float64) @ dense.weight.detach().numpy().T + dense.bias.detach().numpy()
            return made, type(activation).__name__, activation(torch.from_numpy(made)).numpy()

        return pooled

    def changes(self, model: Any) -> Iterator[Change]:
        """Yield other activations, epsilons and token types."""
        from transformers.activations import ACT2FN

        has, epsilon_has = model.config.hidden_act, model.config.layer_norm_eps
        for name, activation in ACTIVATIONS.items():
            known = activation.transformers_name
            if known and known != has:
                inner = [layer.intermediate for layer in model.encoder.layer]
                change = [(owner, "intermediate_act_fn", ACT2FN[known]) for owner in inner]
                yield Change("hidden activation", f"{name} in place of {has}", change)
        norms = [module for module in model.modules() if type(module).__name__ == "LayerNorm"]
        for epsilon in EPSILONS:
            if epsilon != epsilon_has:
                change = [(norm, "eps", epsilon) for norm in norms]
                yield Change("LayerNorm epsilon", f"{epsilon} in place of {epsilon_has}", change)
        types = model.embeddings.token_type_embeddings.weight
        for row in range(1, len(types)):
            change = [(types, "data", types.data.roll(-row, 0))]
            yield Change("token-type row", f"row {row} of the token types in place of row 0", change)


ARCHITECTURE = Bert()
