"""How exporters of BERT name its variables: rules from these names to the state-dict keys of `transformers.BertModel`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hub2hf.architectures.post_norm.mapping import PROJECTION
from hub2hf.state_dict import HEADS, MERGE_HEADS, MERGE_HEADS_TRANSPOSE, TRANSPOSE, Rule


def dense_rules(variable: str, key: str, inputs: str, outputs: str) -> tuple[Rule, Rule]:
    """Return the rules of a kernel and a bias; `inputs` and `outputs` name the dimensions."""
    return (
        Rule(f"{variable}/kernel", f"{key}.weight", (inputs, outputs), TRANSPOSE),
        Rule(f"{variable}/bias", f"{key}.bias", (outputs,)),
    )


def projection_rules(*variables: str) -> tuple[Rule, ...]:
    """Return the rules of the dense layer between embeddings and layers, by the names that exporters give it."""
    rules = (dense_rules(variable, PROJECTION, "embedding_size", "hidden_size") for variable in variables)
    return tuple(rule for pair in rules for rule in pair)


def _layer_norm(variable: str, key: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{variable}/gamma", f"{key}.weight", ("hidden_size",)),
        Rule(f"{variable}/beta", f"{key}.bias", ("hidden_size",)),
    )


_LAYER, _ENCODER = "encoder/layer_{i}", "encoder.layer.{i}"

# The variable names of the original BERT code (google-research/bert, modeling.py), as LEALLA's checkpoints have them.
BERT_TF1: tuple[Rule, ...] = (
    Rule("embeddings/word_embeddings", "embeddings.word_embeddings.weight", ("vocab_size", "hidden_size")),
    Rule(
        "embeddings/token_type_embeddings",
        "embeddings.token_type_embeddings.weight",
        ("type_vocab_size", "hidden_size"),
    ),
    Rule(
        "embeddings/position_embeddings",
        "embeddings.position_embeddings.weight",
        ("max_position_embeddings", "hidden_size"),
    ),
    *_layer_norm("embeddings/LayerNorm", "embeddings.LayerNorm"),
    *dense_rules(f"{_LAYER}/attention/self/query", f"{_ENCODER}.attention.self.query", "hidden_size", "hidden_size"),
    *dense_rules(f"{_LAYER}/attention/self/key", f"{_ENCODER}.attention.self.key", "hidden_size", "hidden_size"),
    *dense_rules(f"{_LAYER}/attention/self/value", f"{_ENCODER}.attention.self.value", "hidden_size", "hidden_size"),
    *dense_rules(
        f"{_LAYER}/attention/output/dense", f"{_ENCODER}.attention.output.dense", "hidden_size", "hidden_size"
    ),
    *_layer_norm(f"{_LAYER}/attention/output/LayerNorm", f"{_ENCODER}.attention.output.LayerNorm"),
    *dense_rules(f"{_LAYER}/intermediate/dense", f"{_ENCODER}.intermediate.dense", "hidden_size", "intermediate_size"),
    *dense_rules(f"{_LAYER}/output/dense", f"{_ENCODER}.output.dense", "intermediate_size", "hidden_size"),
    *_layer_norm(f"{_LAYER}/output/LayerNorm", f"{_ENCODER}.output.LayerNorm"),
    *dense_rules("pooler/dense", "pooler.dense", "hidden_size", "hidden_size"),
)


def _heads(variable: str, key: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{variable}/kernel", f"{key}.weight", ("hidden_size", *HEADS), MERGE_HEADS_TRANSPOSE),
        Rule(f"{variable}/bias", f"{key}.bias", HEADS, MERGE_HEADS),
    )


_BLOCK = "transformer/layer_{i}"

# The variable names of TensorFlow Model Garden (tensorflow/models, official/nlp/modeling: networks/bert_encoder.py and
# layers/transformer_encoder_block.py), which exported LaBSE/2, the BERT collections and their kin.
BERT_TF2: tuple[Rule, ...] = (
    Rule("word_embeddings/embeddings", "embeddings.word_embeddings.weight", ("vocab_size", "hidden_size")),
    Rule("type_embeddings/embeddings", "embeddings.token_type_embeddings.weight", ("type_vocab_size", "hidden_size")),
    Rule(
        "position_embedding/embeddings",
        "embeddings.position_embeddings.weight",
        ("max_position_embeddings", "hidden_size"),
    ),
    *_layer_norm("embeddings/layer_norm", "embeddings.LayerNorm"),
    *_heads(f"{_BLOCK}/self_attention/query", f"{_ENCODER}.attention.self.query"),
    *_heads(f"{_BLOCK}/self_attention/key", f"{_ENCODER}.attention.self.key"),
    *_heads(f"{_BLOCK}/self_attention/value", f"{_ENCODER}.attention.self.value"),
    Rule(
        f"{_BLOCK}/self_attention/attention_output/kernel",
        f"{_ENCODER}.attention.output.dense.weight",
        (*HEADS, "hidden_size"),
        MERGE_HEADS_TRANSPOSE,
    ),
    Rule(f"{_BLOCK}/self_attention/attention_output/bias", f"{_ENCODER}.attention.output.dense.bias", ("hidden_size",)),
    *_layer_norm(f"{_BLOCK}/self_attention_layer_norm", f"{_ENCODER}.attention.output.LayerNorm"),
    *dense_rules(f"{_BLOCK}/intermediate", f"{_ENCODER}.intermediate.dense", "hidden_size", "intermediate_size"),
    *dense_rules(f"{_BLOCK}/output", f"{_ENCODER}.output.dense", "intermediate_size", "hidden_size"),
    *_layer_norm(f"{_BLOCK}/output_layer_norm", f"{_ENCODER}.output.LayerNorm"),
    *dense_rules("pooler_transform", "pooler.dense", "hidden_size", "hidden_size"),
)


def renamed(rules: tuple[Rule, ...], names: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return a table in which the start of each variable's name is another."""
    found = []
    for rule in rules:
        old = max((old for old in names if rule.variable.startswith(old)), key=len, default="")
        found.append(replace(rule, variable=names.get(old, "") + rule.variable[len(old) :]))
    return tuple(found)


# tf-models-official 2.2.0: nlp/modeling/layers/transformer.py has the output of the attention beside it, not in it.
BERT_TF2_2020 = renamed(BERT_TF2, {f"{_BLOCK}/self_attention/attention_output": f"{_BLOCK}/self_attention_output"})

# The Keras code of 2019, as nlp/bert/tf1_checkpoint_converter_lib.py of 2.2.0 (BERT_NAME_REPLACEMENTS) still names it.
BERT_TF2_2019 = renamed(
    BERT_TF2_2020,
    {
        "type_embeddings/embeddings": "embedding_postprocessor/type_embeddings",
        "position_embedding/embeddings": "embedding_postprocessor/position_embeddings",
        "embeddings/layer_norm": "embedding_postprocessor/layer_norm",
        _BLOCK: _LAYER,
    },
)

# transformers 4, models/bert/modeling_tf_bert.py.
_TABLES = {
    "embeddings/word_embeddings": "embeddings/word_embeddings/weight",
    "embeddings/token_type_embeddings": "embeddings/token_type_embeddings/embeddings",
    "embeddings/position_embeddings": "embeddings/position_embeddings/embeddings",
}
BERT_HF = renamed(BERT_TF1, {**_TABLES, _LAYER: "encoder/layer_._{i}"})

FAMILIES: Mapping[str, tuple[Rule, ...]] = {
    "BERT": BERT_TF1,
    "BERT of TensorFlow Model Garden": BERT_TF2,
    "BERT of TensorFlow Model Garden, 2020": BERT_TF2_2020,
    "BERT of TensorFlow's official models, 2019": BERT_TF2_2019,
    "BERT of transformers": BERT_HF,
}
