"""The small JSON files of a converted folder: `config.json` and the sentence-transformers modules."""

from __future__ import annotations

from typing import Any

from convert.blueprint.activations import ACTIVATIONS
from convert.blueprint.encoder import EncoderBlueprint
from convert.blueprint.text import Pack

MODEL_CLASS = "modeling_hub2hf.HubEncoderModel"
MODEL_FILE = "modeling_hub2hf.py"


def needs_model_class(encoder: EncoderBlueprint) -> bool:
    """Return whether `BertModel.pooler_output` (dense and tanh, not normalised) is not the graph's embedding."""
    return encoder.pooler_activation.value != "tanh" or encoder.normalised.value


def bert_config(encoder: EncoderBlueprint, pack: Pack, dtype: str) -> dict[str, Any]:
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
        "dtype": dtype,
    }
    if needs_model_class(encoder):
        config["pooler_act"] = ACTIVATIONS[encoder.pooler_activation.value].transformers_name or "linear"
        config["pooler_normalize"] = encoder.normalised.value
        config["auto_map"] = {"AutoModel": MODEL_CLASS}
    return config


def sentence_transformers_files(encoder: EncoderBlueprint, pack: Pack) -> dict[str, Any]:
    """Return path → JSON content of the modules: transformer, CLS pooling, dense, and L2 norm where the graph has it."""
    hidden = encoder.hidden_size.value
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    kinds += [("3_Normalize", "Normalize")] if encoder.normalised.value else []
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    return {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": pack.max_length, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": hidden,
            **{f"pooling_mode_{mode}": mode == "cls_token" for mode in modes},
            "include_prompt": True,
        },
        "2_Dense/config.json": {
            "in_features": hidden,
            "out_features": hidden,
            "bias": True,
            "activation_function": ACTIVATIONS[encoder.pooler_activation.value].torch_class,
        },
    }
