"""How exporters of MobileBERT name its variables: rules from these names to the state-dict keys of `MobileBertModel`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hub2hf.architectures.mobilebert.reference import JOINED, NORM, TABLES
from hub2hf.architectures.mobilebert.structure import pairs
from hub2hf.state_dict import COPY, HEADS, MERGE_HEADS, MERGE_HEADS_TRANSPOSE, TRANSPOSE, Rule

_LAYER = "encoder.layer.{i}"
_PAIRS = 4  # of the published models
_NORMS = {"gamma": "weight", "beta": "bias"}


def _block(variable: str, norm: str, key: str, normed: str) -> Iterator[Rule]:
    yield Rule(f"{variable}/kernel", f"{key}.weight", ("inputs", "outputs"), TRANSPOSE)
    yield Rule(f"{variable}/bias", f"{key}.bias", ("outputs",))
    for name, end in _NORMS.items() if norm else ():
        yield Rule(f"{norm}/{name}", f"{normed}.{end}", ("outputs",))


def _tables(*names: str) -> Iterator[Rule]:
    for name, key in zip(names, TABLES.values(), strict=True):
        yield Rule(name, key, ("rows", "size"), COPY)


def _of_garden() -> Iterator[Rule]:
    """tensorflow/models, official/nlp/modeling/layers/mobile_bert_layers.py."""
    yield from _tables(
        "word_embedding/embeddings",
        "position_embedding/embeddings",
        "type_embedding/embeddings",
    )
    yield from _block("embedding_projection", "embedding_norm", JOINED, f"embeddings.{NORM}")
    layer = "transformer_layer_{i}"
    blocks = {"bottleneck_input": "bottleneck.input", "kq_shared_bottleneck": "bottleneck.attention"}
    for variable, key in (*blocks.items(), ("bottleneck_output", "output.bottleneck")):
        at = f"{layer}/{variable}"
        yield from _block(f"{at}/dense", f"{at}/norm", f"{_LAYER}.{key}.dense", f"{_LAYER}.{key}.{NORM}")
    attention = f"{_LAYER}.attention"
    for part in ("query", "key", "value"):
        key = f"{attention}.self.{part}"
        yield Rule(f"{layer}/attention/{part}/kernel", f"{key}.weight", ("inputs", *HEADS), MERGE_HEADS_TRANSPOSE)
        yield Rule(f"{layer}/attention/{part}/bias", f"{key}.bias", HEADS, MERGE_HEADS)
    out = f"{layer}/attention/attention_output"
    yield Rule(f"{out}/kernel", f"{attention}.output.dense.weight", (*HEADS, "outputs"), MERGE_HEADS_TRANSPOSE)
    yield Rule(f"{out}/bias", f"{attention}.output.dense.bias", ("outputs",))
    for name, end in _NORMS.items():
        yield Rule(f"{layer}/attention/norm/{name}", f"{attention}.output.{NORM}.{end}", ("outputs",))
    for number, (inner, outer) in enumerate(pairs(_PAIRS)):
        at = f"{layer}/ffn_layer_{number}"
        yield from _block(f"{at}/intermediate_dense", "", f"{_LAYER}.{inner}.dense", "")
        yield from _block(f"{at}/output_dense", f"{at}/norm", f"{_LAYER}.{outer}.dense", f"{_LAYER}.{outer}.{NORM}")


FAMILIES: Mapping[str, tuple[Rule, ...]] = {"MobileBERT of TensorFlow Model Garden": tuple(_of_garden())}
