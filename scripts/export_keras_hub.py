"""Let keras-hub export an encoder with its preprocessor, from texts to embeddings, with weights drawn from a seed.

Run in an environment with keras-hub (`make exporters` makes one):
    python scripts/export_keras_hub.py OUT --vocabulary vocab.txt --model bert [--pooling mean]
`--vocabulary` of ALBERT, FNet, XLM-R and DeBERTa is a SentencePiece model; RoBERTa's pieces are learned of its lines.
Nothing of hub2hf is imported.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from tokenizers import ByteLevelBPETokenizer

LENGTH = 48
SIZES: dict[str, Any] = {"num_layers": 2, "num_heads": 4, "hidden_dim": 32, "intermediate_dim": 64}
POOLINGS: dict[str, Any] = {
    "first": lambda x, mask: x[:, 0],
    "mean": lambda x, mask: tf.reduce_sum(x * mask, 1) / tf.reduce_sum(mask, 1),
}
CLASSES = {
    **{"bert": "Bert", "distilbert": "DistilBert", "electra": "Electra", "albert": "Albert", "fnet": "FNet"},
    **{"roberta": "Roberta", "xlm-roberta": "XLMRoberta", "deberta": "DebertaV3"},
}
BY_PIECES = ("albert", "fnet", "xlm-roberta", "deberta")


def encoder(kind: str, pieces: int) -> Any:
    """Return a small encoder of a class."""
    sizes = {**SIZES, "max_sequence_length": 64}
    if kind == "albert":
        sizes |= {"embedding_dim": 8, "vocabulary_size": pieces}
    elif kind == "electra":
        sizes |= {"embedding_dim": 16, "vocab_size": pieces}
    else:
        sizes |= {"vocabulary_size": pieces}
    return getattr(keras_hub.models, f"{CLASSES[kind]}Backbone")(**sizes)


def preprocessor(kind: str, vocabulary: Path, *, lower: bool) -> tuple[Any, int]:
    """Return what makes ids of texts, and of how many pieces."""
    name = CLASSES[kind]
    if kind in BY_PIECES:
        tokenizer = getattr(keras_hub.models, f"{name}Tokenizer")(str(vocabulary))
    elif kind == "roberta":
        tokenizer = keras_hub.models.RobertaTokenizer(*joined_bytes(vocabulary))
    else:
        lines = vocabulary.read_text(encoding="utf-8").splitlines()
        tokenizer = getattr(keras_hub.models, f"{name}Tokenizer")(vocabulary=lines, lowercase=lower)
    if kind != "electra":
        made = getattr(keras_hub.models, f"{name}TextClassifierPreprocessor")(tokenizer, sequence_length=LENGTH)
        return made, tokenizer.vocabulary_size()
    packer = keras_hub.layers.MultiSegmentPacker(
        start_value=tokenizer.cls_token_id,
        end_value=tokenizer.sep_token_id,
        pad_value=tokenizer.pad_token_id,
        sequence_length=LENGTH,
    )

    def packed(texts: Any) -> dict[str, Any]:
        ids, segments = packer((tokenizer(texts),))
        return {"token_ids": ids, "segment_ids": segments, "padding_mask": ids != tokenizer.pad_token_id}

    return packed, tokenizer.vocabulary_size()


def joined_bytes(vocabulary: Path) -> tuple[dict[str, int], list[str]]:
    """Return the vocabulary and the merges of byte-level BPE, as trained over lines."""
    tokenizer = ByteLevelBPETokenizer()
    lines = vocabulary.read_text(encoding="utf-8").splitlines()
    tokenizer.train_from_iterator(lines, 1000, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return tokenizer.get_vocab(), [pair if isinstance(pair, str) else " ".join(pair) for pair in merges]


def draw(model: Any) -> None:
    """Give every weight a value of the scale that a trained one has."""
    source = np.random.default_rng(0)
    for weight in model.weights:
        value = source.standard_normal(weight.shape).astype(np.float32)
        kernel = len(weight.shape) > 1 and "embedding" not in weight.path
        scale = float(np.prod(weight.shape[:-1])) ** -0.5 if kernel else 0.1
        weight.assign(scale * value + ("gamma" in weight.path))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--model", choices=CLASSES, required=True)
    parser.add_argument("--pooling", choices=POOLINGS, default="first")
    parser.add_argument("--lower", action="store_true")
    o = parser.parse_args()
    packed, pieces = preprocessor(o.model, o.vocabulary, lower=o.lower)
    model = encoder(o.model, pieces)
    draw(model)

    def serve(texts: Any) -> dict[str, Any]:
        given = packed(texts)
        found = model(given)
        states = found["sequence_output"] if isinstance(found, dict) else found
        attended = given.get("padding_mask", given["token_ids"] != 0)  # FNet has no mask
        mask = tf.cast(attended, tf.float32)[:, :, tf.newaxis]
        pooled = found.get("pooled_output") if isinstance(found, dict) else None
        return {"default": POOLINGS[o.pooling](states, mask) if pooled is None else pooled}

    archive = keras.export.ExportArchive()
    archive.track(model)
    if isinstance(packed, keras.layers.Layer):
        packed(tf.constant(["one text builds it"]))
        packed.built = True  # which a preprocessor does not say of itself
        archive.track(packed)  # a SentencePiece model is a resource
    archive.add_endpoint("serve", serve, input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    archive.write_out(str(o.out))


if __name__ == "__main__":
    main()
