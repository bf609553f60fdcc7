"""Encoders of other kinds, told by the names of their variables, so that they are refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from convert.errors import MappingError

ONLY_BERT = "hub2hf converts BERT encoders with a pooler; this model needs another class in Hugging Face."


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Attributes:
        name: what it is called.
        pattern: what the name of one of its variables matches in part, and no variable of a BERT encoder does.
        why: what sets it apart.
    """

    name: str
    pattern: str
    why: str


# Variable names of: google-research/albert (modeling.py) and Model Garden (networks/albert_encoder.py); Model Garden
# (networks/bert_encoder.py) and google-research/electra; Mesh TensorFlow and t5x; google/universal-sentence-encoder.
KINDS: tuple[Kind, ...] = (
    Kind(
        "T5 (or another model with relative positions)",
        r"relative_attention_bias|relpos_bias|rms_norm",
        "relative positions",
    ),
    Kind(
        "an ALBERT encoder",
        r"encoder/transformer/group_\d+|(^|/)transformer/self_attention/|embedding_hidden_mapping_in",
        "one layer shared by all, and embeddings narrower than the layers",
    ),
    Kind(
        "an encoder with an embedding projection, as ELECTRA has",
        r"(^|/)embedding(s)?_project(ion)?(/|$)",
        "embeddings of another width than the layers",
    ),
    Kind(
        "a Universal Sentence Encoder",
        r"EncoderDNN|EncoderTransformer|Embeddings_(words|en|sharded)|Encoder_en/|DNN/(tanh|ResidualHidden)",
        "a network on words or characters, not on WordPiece",
    ),
)


def refuse_other_kinds(names: Iterable[str], error: MappingError) -> MappingError:
    """Return `error`, or a better one when the variables `names` are those of a known model of another kind."""
    listed = sorted(names)
    for kind in KINDS:
        found = next((name for name in listed if re.search(kind.pattern, name)), None)
        if found is not None:
            return MappingError(f"This is {kind.name}: {kind.why} (variable '{found}').", ONLY_BERT)
    return error
