"""ALBERT (Lan et al. 2019, arXiv:1909.11942): projected embeddings, and one layer that is run again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hub2hf.architectures.bert.names import FAMILIES, projection_rules, renamed
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.head import dense_key
from hub2hf.architectures.post_norm.architecture import PostNorm, embedded_width, pooled_by_one_layer
from hub2hf.architectures.post_norm.mapping import PROJECTION, layer_key
from hub2hf.architectures.post_norm.structure import Structure
from hub2hf.state_dict import Rule

LAYER = "encoder.albert_layer_groups.0.albert_layers.0"
# Start of a place, as `BertModel` names it → as `AlbertModel` does. The longest that fits counts.
KEYS = {
    PROJECTION: "encoder.embedding_hidden_mapping_in",
    f"{layer_key(0)}.attention.self": f"{LAYER}.attention",
    f"{layer_key(0)}.attention.output": f"{LAYER}.attention",
    f"{layer_key(0)}.intermediate.dense": f"{LAYER}.ffn",
    f"{layer_key(0)}.output.dense": f"{LAYER}.ffn_output",
    f"{layer_key(0)}.output.LayerNorm": f"{LAYER}.full_layer_layer_norm",
    "pooler.dense": "pooler",
}


_GROUP = "encoder/transformer/group_0/inner_group_0"  # google-research/albert, modeling.py, transformer_model
_VARIABLES = {
    "BERT": {
        "encoder/layer_{i}/attention": f"{_GROUP}/attention_1",
        "encoder/layer_{i}/attention/output/LayerNorm": f"{_GROUP}/LayerNorm",
        "encoder/layer_{i}/intermediate": f"{_GROUP}/ffn_1/intermediate",
        "encoder/layer_{i}/output": f"{_GROUP}/ffn_1/intermediate/output",
        "encoder/layer_{i}/output/LayerNorm": f"{_GROUP}/LayerNorm_1",
    },
    "BERT of TensorFlow Model Garden": {"transformer/layer_{i}": "transformer"},  # networks/albert_encoder.py
}
_PROJECTIONS = projection_rules("encoder/embedding_hidden_mapping_in", "embedding_projection")


def albert_key(place: str) -> str:
    """Return the state-dict key of a place that is named as `BertModel` names it, `{i}` for any layer."""
    place = place.replace("{i}", "0")
    start = max((start for start in KEYS if place.startswith(f"{start}.")), key=len, default="")
    return KEYS.get(start, "") + place[len(start) :]


def _families() -> Mapping[str, tuple[Rule, ...]]:
    tables = {family: (*renamed(FAMILIES[family], names), *_PROJECTIONS) for family, names in _VARIABLES.items()}
    return {
        family.replace("BERT", "ALBERT"): tuple(replace(rule, key=albert_key(rule.key)) for rule in rules)
        for family, rules in tables.items()
    }


class Albert(PostNorm):
    """`transformers.AlbertModel` with one group of one layer."""

    name, title, model_class, config_class = "albert", "ALBERT", "AlbertModel", "AlbertConfig"
    published = 2019
    families = _families()

    def misfit(self, structure: Structure) -> str:
        """Return what `AlbertModel` cannot have."""
        if structure.projection is None:
            return "The embeddings are not projected before the first layer."
        if not structure.shared and len(structure.layers) > 1:
            return "The layers have weights of their own; those of AlbertModel have the same."
        return ""

    def key(self, place: str) -> str:
        """Return the state-dict key of a place."""
        return albert_key(place)

    def dense_key(self, encoder: EncoderBlueprint, number: int) -> str:
        """Return the start of the keys of a dense layer: that of the pooler of `AlbertModel`, where the head is like it."""
        return dense_key(number) if self.stock_activation(encoder) is None else KEYS["pooler.dense"]

    def stock_activation(self, encoder: EncoderBlueprint) -> str | None:
        """Return "tanh", the only activation that the pooler of `AlbertModel` can have, where the head is like it."""
        return "tanh" if pooled_by_one_layer(encoder) == "tanh" else None

    def config(self, encoder: EncoderBlueprint, pad_id: int) -> dict[str, Any]:
        """Return `config.json` for `transformers.AlbertConfig`."""
        one = {"num_hidden_groups": 1, "inner_group_num": 1}
        return {**super().config(encoder, pad_id), "embedding_size": embedded_width(encoder), **one}

    def inner_activations(self, model: Any) -> list[tuple[Any, str]]:
        """Return where the activation of the layer is."""
        return [(layer, "activation") for group in model.encoder.albert_layer_groups for layer in group.albert_layers]


ARCHITECTURE = Albert()
