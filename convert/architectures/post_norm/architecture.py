"""What the classes of transformers for encoders with LayerNorm after each part have in common."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub2hf import architectures
from hub2hf.analysis.flow import REPORT, Flow
from hub2hf.architectures.activations import ACTIVATIONS, transformers_name
from hub2hf.architectures.base import MODEL_FILE, Architecture, Change, Recognised
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.head import HEAD, dense_key, head_config
from hub2hf.architectures.post_norm.mapping import TYPES, WORD_TABLE
from hub2hf.architectures.post_norm.recognised import RecognisedPostNorm
from hub2hf.architectures.post_norm.structure import Structure
from hub2hf.errors import MappingError

# The form of `config.json`. Without one, or with one after 4.57.2, transformers 4.57 takes the tokenizer of any local folder
# of more than 100,000 pieces for Mistral's, and advises a flag that would change the ids.
CONFIG_VERSION = "4.57.0"
UNTAKEN = re.compile(r" +(token_type_ids|position_ids)\b")  # lines of the model class
EPSILONS = (1e-12, 1e-6, 1e-5)  # that published models have


class PostNorm(Architecture):
    """Of such encoders, one that a class of transformers can hold.

    Attributes:
        config_class: the class of its configuration in transformers.
    """

    config_class: str
    token_types: str = TYPES

    @abstractmethod
    def misfit(self, structure: Structure) -> str:
        """Return what of an encoder the class cannot have, as a sentence; "" where it can hold it."""

    def recognise(self, flow: Flow) -> Recognised:
        """Return the encoder in a graph."""
        structure = Structure(flow)
        typed = "types" in structure.tables
        if typed != bool(self.token_types):
            told = "are added, which {} has not" if typed else "are not added, which {} does"
            raise MappingError(f"Token types {told.format(self.model_class)}.", REPORT)
        if misfit := self.misfit(structure):
            raise MappingError(misfit, REPORT)
        return RecognisedPostNorm(self, structure)

    def dense_key(self, encoder: EncoderBlueprint, number: int) -> str:
        """Return the start of the keys of a dense layer: those of our model class."""
        return dense_key(number)

    def config(self, encoder: EncoderBlueprint, pad_id: int) -> dict[str, Any]:
        """Return `config.json` for the configuration class."""
        config: dict[str, Any] = {
            "architectures": [self.model_class],
            "model_type": self.name,
            "vocab_size": encoder.vocab_size.value,
            "hidden_size": encoder.hidden_size.value,
            "num_hidden_layers": encoder.layers.value,
            "num_attention_heads": encoder.heads.value,
            "intermediate_size": encoder.intermediate_size.value,
            "hidden_act": transformers_name(encoder.hidden_activation.value),
            "layer_norm_eps": encoder.layer_norm_epsilon.value,
            "max_position_embeddings": encoder.positions.value,
            **({"type_vocab_size": encoder.type_vocab_size.value} if self.token_types else {}),
            "pad_token_id": pad_id,
            "dtype": "float32",  # what the graph computes in, however its variables are stored
            "transformers_version": CONFIG_VERSION,
        }
        config = {self.config_names.get(name, name): value for name, value in config.items() if name not in self.fixed}
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
        """Return whether `pooler_output` of the stock class (first token, dense, tanh, not normalised) is another."""
        return self.stock_activation(encoder) != "tanh" or encoder.normalised.value

    def model_code(self) -> bytes:
        """Return the model class: one text, of whichever class of transformers it derives."""
        code = (Path(architectures.__file__).parent / "bert" / MODEL_FILE).read_text(encoding="utf-8")
        for name, own in (("BertModel", self.model_class), ("BertConfig", self.config_class), ("BERT", self.title)):
            code = code.replace(name, own)
        if not self.token_types:  # nor positions: a class that takes neither
            code = "".join(line for line in code.splitlines(keepends=True) if not UNTAKEN.match(line))
        return code.encode()

    @abstractmethod
    def inner_activations(self, model: Any) -> list[tuple[Any, str]]:
        """Return (owner, name of its attribute) of the activation in each layer of a loaded model."""

    def changes(self, model: Any) -> Iterator[Change]:
        """Yield other activations, epsilons and token types."""
        from transformers.activations import ACT2FN

        config = self.named_as_ours(model.config.to_dict())
        has, epsilon_has = config["hidden_act"], config["layer_norm_eps"]
        for name, activation in ACTIVATIONS.items():
            known = activation.transformers_name
            if known and known != has:
                change = [(owner, attribute, ACT2FN[known]) for owner, attribute in self.inner_activations(model)]
                yield Change("hidden activation", f"{name} in place of {has}", change)
        norms = [module for module in model.modules() if type(module).__name__ == "LayerNorm"]
        for epsilon in EPSILONS:
            if epsilon != epsilon_has:
                change = [(norm, "eps", epsilon) for norm in norms]
                yield Change("LayerNorm epsilon", f"{epsilon} in place of {epsilon_has}", change)
        if not self.token_types:
            return
        types = model.embeddings.token_type_embeddings.weight
        for row in range(1, len(types)):
            change = [(types, "data", types.data.roll(-row, 0))]
            yield Change("token-type row", f"row {row} of the token types in place of row 0", change)


def pooled_by_one_layer(encoder: EncoderBlueprint) -> str | None:
    """Return the activation of a head of one dense layer on the first token, as poolers of transformers are; or None."""
    if encoder.pooler.value != "first" or len(encoder.dense) != 1:
        return None
    (dense,) = encoder.dense
    return dense.activation if dense.bias and dense.outputs == encoder.hidden_size.value else None


def embedded_width(encoder: EncoderBlueprint) -> int:
    """Return the numbers of a word embedding, before they are projected."""
    return next(item.shape[1] for item in encoder.mapped if item.key == WORD_TABLE)
