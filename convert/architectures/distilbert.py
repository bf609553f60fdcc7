"""DistilBERT (Sanh et al. 2019, arXiv:1910.01108): BERT without token types and without a pooler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hub2hf.architectures.bert.names import FAMILIES, renamed
from hub2hf.architectures.post_norm.architecture import PostNorm
from hub2hf.architectures.post_norm.structure import Structure
from hub2hf.state_dict import Rule

# Part of a layer, as `BertModel` names it → as `DistilBertModel` does, in PyTorch and in TensorFlow.
PARTS = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
LAYER = re.compile(r"encoder\.layer\.(?P<i>\d+|\{i\})\.(?P<part>.+)\.(?P<end>weight|bias)")


def distilbert_key(place: str) -> str:
    """Return the state-dict key of a place that is named as `BertModel` names it."""
    match = LAYER.fullmatch(place)
    return f"transformer.layer.{match['i']}.{PARTS[match['part']]}.{match['end']}" if match else place


def _families() -> Mapping[str, tuple[Rule, ...]]:
    own = {  # transformers 4, models/distilbert/modeling_tf_distilbert.py
        f"encoder/layer_._{{i}}/{part.replace('.', '/')}": f"transformer/layer_._{{i}}/{name.replace('.', '/')}"
        for part, name in PARTS.items()
    }
    tables = {**FAMILIES, "BERT of transformers": renamed(FAMILIES["BERT of transformers"], own)}
    return {
        family.replace("BERT", "DistilBERT"): tuple(
            replace(rule, key=distilbert_key(rule.key))
            for rule in rules
            if "token_type" not in rule.key and "pooler" not in rule.key
        )
        for family, rules in tables.items()
    }


class DistilBert(PostNorm):
    """`transformers.DistilBertModel`: whatever follows the layers is of our model class."""

    name, title, model_class, config_class = "distilbert", "DistilBERT", "DistilBertModel", "DistilBertConfig"
    published = 2019
    families = _families()
    token_types = ""
    inputs = ("input_ids", "attention_mask")
    config_names = MappingProxyType(
        {
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
        }
    )
    fixed = MappingProxyType({"layer_norm_eps": 1e-12})  # models/distilbert/modeling_distilbert.py

    def misfit(self, structure: Structure) -> str:
        """Return what `DistilBertModel` cannot have."""
        if structure.projection is not None:
            return "The embeddings are projected before the first layer, which DistilBertModel cannot."
        if structure.shared:
            return "All layers have the same weights; those of DistilBertModel have their own."
        return ""

    def key(self, place: str) -> str:
        """Return the state-dict key of a place."""
        return distilbert_key(place)

    def inner_activations(self, model: Any) -> list[tuple[Any, str]]:
        """Return where the activation of each layer is."""
        return [(layer.ffn, "activation") for layer in model.transformer.layer]


ARCHITECTURE = DistilBert()
