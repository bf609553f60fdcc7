"""ELECTRA (Clark et al. 2020, arXiv:2003.10555): BERT whose embeddings are projected to the width of the layers."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from hub2hf.architectures.bert.names import FAMILIES, projection_rules
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.post_norm.architecture import PostNorm, embedded_width
from hub2hf.architectures.post_norm.structure import Structure

# As google-research/electra (model/modeling.py) and TensorFlow Model Garden (networks/bert_encoder.py) name it.
_PROJECTIONS = projection_rules("embeddings_project", "embedding_projection")


class Electra(PostNorm):
    """`transformers.ElectraModel`, which has no pooler: whatever follows the layers is of our model class."""

    name, title, model_class, config_class = "electra", "ELECTRA", "ElectraModel", "ElectraConfig"
    published = 2020
    families = MappingProxyType(
        {name.replace("BERT", "ELECTRA"): (*rules, *_PROJECTIONS) for name, rules in FAMILIES.items()}
    )

    def misfit(self, structure: Structure) -> str:
        """Return what `ElectraModel` cannot have."""
        if structure.projection is None:
            return "The embeddings are not projected before the first layer."
        if structure.shared:
            return "All layers have the same weights; those of ElectraModel have their own."
        words = structure.flow.shapes[structure.tables["words"]]
        if words[-1] == structure.width:
            return f"The embeddings are projected from {words[-1]} numbers to as many, which ElectraModel does not."
        return ""

    def config(self, encoder: EncoderBlueprint, pad_id: int) -> dict[str, Any]:
        """Return `config.json` for `transformers.ElectraConfig`."""
        return {**super().config(encoder, pad_id), "embedding_size": embedded_width(encoder)}

    def inner_activations(self, model: Any) -> list[tuple[Any, str]]:
        """Return where the activation of each layer is."""
        return [(layer.intermediate, "intermediate_act_fn") for layer in model.encoder.layer]


ARCHITECTURE = Electra()
