"""How exporters of T5 name its variables: rules from these names to the state-dict keys of `T5EncoderModel`."""

from __future__ import annotations

from collections.abc import Mapping

from hub2hf.architectures.t5.reference import ATTENTION, FEED_FORWARD, FINAL, RELATIVE, WORDS
from hub2hf.state_dict import COPY, TRANSPOSE, Rule

_BLOCK = "encoder.block.{i}"
_INNER = ("wi", "wi_0", "wi_1", "wo")


def _kernel(variable: str, key: str) -> Rule:
    return Rule(f"{variable}/kernel", f"{_BLOCK}.{key}.weight", ("inputs", "outputs"), TRANSPOSE)


def _vector(variable: str, key: str) -> Rule:
    return Rule(variable, key, ("hidden_size",))


# google-research/t5x, t5x/examples/t5/network.py: of which the published modules were trained.
T5X: tuple[Rule, ...] = (
    Rule("token_embedder/embedding", WORDS, ("vocab_size", "hidden_size")),
    Rule("relpos_bias/rel_embedding", RELATIVE, ("heads", "buckets"), TRANSPOSE),
    *(
        _kernel(f"encoder/layers_{{i}}/attention/{name}", f"{ATTENTION}.{key}")
        for name, key in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "o"))
    ),
    *(_kernel(f"encoder/layers_{{i}}/mlp/{name}", f"{FEED_FORWARD}.{name}") for name in _INNER),
    _vector("encoder/layers_{i}/pre_attention_layer_norm/scale", f"{_BLOCK}.layer.0.layer_norm.weight"),
    _vector("encoder/layers_{i}/pre_mlp_layer_norm/scale", f"{_BLOCK}.layer.1.layer_norm.weight"),
    _vector("encoder/encoder_norm/scale", FINAL),
)

# transformers 4, models/t5/modeling_tf_t5.py.
TRANSFORMERS: tuple[Rule, ...] = (
    Rule("shared/weight", WORDS, ("vocab_size", "hidden_size"), COPY),
    Rule("SelfAttention/relative_attention_bias/embeddings", RELATIVE, ("buckets", "heads"), COPY),
    *(
        _kernel(f"block_._{{i}}/layer_._{part.removeprefix('layer.').replace('.', '/')}/{key}", f"{part}.{key}")
        for part, keys in ((ATTENTION, "qkvo"), (FEED_FORWARD, _INNER))
        for key in keys
    ),
    *(
        _vector(f"block_._{{i}}/layer_._{at}/layer_norm/weight", f"{_BLOCK}.layer.{at}.layer_norm.weight")
        for at in (0, 1)
    ),
    _vector("final_layer_norm/weight", FINAL),
)

FAMILIES: Mapping[str, tuple[Rule, ...]] = {"T5X": T5X, "T5 of transformers": TRANSFORMERS}
