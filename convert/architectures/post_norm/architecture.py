"""What the classes of transformers for encoders with LayerNorm after each part have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from hub2hf.analysis.flow import Flow
from hub2hf.architectures.activations import ACTIVATIONS, transformers_name
from hub2hf.architectures.base import Architecture, Change, Recognised
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.post_norm.mapping import TYPES, WORD_TABLE
from hub2hf.architectures.post_norm.recognised import RecognisedPostNorm
from hub2hf.architectures.post_norm.structure import Structure
from hub2hf.errors import REPORT, MappingError

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

    def config(self, encoder: EncoderBlueprint, pad_id: int) -> dict[str, Any]:
        """Return `config.json` for the configuration class."""
        own = {
            "hidden_act": transformers_name(encoder.hidden_activation.value),
            "layer_norm_eps": encoder.layer_norm_epsilon.value,
            "max_position_embeddings": encoder.positions.value,
            **({"type_vocab_size": encoder.type_vocab_size.value} if self.token_types else {}),
        }
        return self.common_config(encoder, pad_id, own)

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
