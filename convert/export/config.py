"""`config.json`, and whether the folder needs a model class of its own."""

from __future__ import annotations

from typing import Any

from hub2hf.blueprint.activations import ACTIVATIONS
from hub2hf.blueprint.encoder import EncoderBlueprint
from hub2hf.blueprint.text import Pack

MODEL_CLASS = "modeling_hub2hf.HubEncoderModel"
MODEL_FILE = "modeling_hub2hf.py"


def needs_model_class(encoder: EncoderBlueprint) -> bool:
    """Return whether `BertModel.pooler_output` (dense and tanh, not normalised) is not the graph's embedding."""
    return encoder.pooler_activation.value != "tanh" or encoder.normalised.value


def bert_config(encoder: EncoderBlueprint, pack: Pack) -> dict[str, Any]:
    """Return `config.json` for `transformers.BertConfig`; dropout is not in the graph and is left to the default."""
    config: dict[str, Any] = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": encoder.vocab_size.value,
        "hidden_size": encoder.hidden_size.value,
        "num_hidden_layers": encoder.layers.value,
        "num_attention_heads": encoder.heads.value,
        "intermediate_size": encoder.intermediate_size.value,
        "hidden_act": ACTIVATIONS[encoder.hidden_activation.value].transformers_name or "linear",
        "layer_norm_eps": encoder.layer_norm_epsilon.value,
        "max_position_embeddings": encoder.positions.value,
        "type_vocab_size": encoder.type_vocab_size.value,
        "pad_token_id": pack.pad_id,
        "dtype": "float32",  # what the graph computes in, however its variables are stored
    }
    if needs_model_class(encoder):
        config["pooler_act"] = ACTIVATIONS[encoder.pooler_activation.value].transformers_name or "linear"
        config["pooler_normalize"] = encoder.normalised.value
        config["auto_map"] = {"AutoModel": MODEL_CLASS}
    return config
