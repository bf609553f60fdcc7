"""Let TensorFlow Model Garden's real exporter make an encoder and its preprocessor, with weights drawn from a seed.

Run in an environment with tf-models-official (tests/test_garden.py tells how to make one):
    python scripts/export_garden.py OUT --vocabulary vocab.txt [--encoder v2] [--mlm] [--lower-case] …
writes OUT/encoder and OUT/preprocessor. Nothing of hub2hf is imported.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import drawn
import tensorflow as tf
from official.nlp.configs import encoders
from official.nlp.tools import export_tfhub_lib as exporter

configs = exporter.configs  # official.nlp.bert before 2.9, official.legacy.bert since


def configuration(o: argparse.Namespace, pieces: int) -> dict[str, Any]:
    """Return the configuration of the encoder as the exporter takes it: the old form, or the new one."""
    sizes = {
        "vocab_size": pieces,
        "hidden_size": o.hidden,
        "num_attention_heads": o.heads,
        "intermediate_size": o.intermediate,
        "max_position_embeddings": o.positions,
        "type_vocab_size": 2,
    }
    if o.encoder == "v1":
        return {"bert_config": configs.BertConfig(num_hidden_layers=o.layers, hidden_act=o.activation, **sizes)}
    if o.encoder == "albert":
        albert = encoders.AlbertEncoderConfig(num_layers=o.layers, embedding_width=8, **sizes)
        return {"encoder_config": encoders.EncoderConfig(type="albert", albert=albert)}
    if o.encoder == "mobilebert":
        del sizes["vocab_size"]
        narrow = {"word_vocab_size": pieces, "word_embed_size": 16, "intra_bottleneck_size": 24, "num_blocks": o.layers}
        narrow |= {
            "normalization_type": "no_norm",
            "key_query_shared_bottleneck": True,
            "hidden_activation": "relu",
        }  # as published
        narrow["max_sequence_length"] = sizes.pop("max_position_embeddings")
        mobile = encoders.MobileBertEncoderConfig(**sizes, **narrow)
        return {"encoder_config": encoders.EncoderConfig(type="mobilebert", mobilebert=mobile)}
    width = {"embedding_size": 8} if o.encoder == "electra" else {}
    twists = {"norm_first": o.norm_first, "output_range": o.output_range}
    bert = encoders.BertEncoderConfig(num_layers=o.layers, hidden_activation=o.activation, **sizes, **width, **twists)
    return {"encoder_config": encoders.EncoderConfig(type="bert", bert=bert)}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--encoder", choices=("v1", "v2", "electra", "albert", "mobilebert"), default="v1")
    parser.add_argument("--activation", default="gelu")
    for name, default in (("hidden", 32), ("layers", 2), ("heads", 4), ("intermediate", 64), ("positions", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--mlm", action="store_true")
    parser.add_argument("--norm-first", action="store_true", help="LayerNorm before each part")
    parser.add_argument("--output-range", type=int, help="how many tokens the last layer is of")
    parser.add_argument("--lower-case", action="store_true")
    o = parser.parse_args()
    kind = configuration(o, len(o.vocabulary.read_bytes().splitlines()))
    _, trained = exporter._create_model(**kind, with_mlm=o.mlm)
    draw = drawn.source()
    for variable in trained.variables:
        if variable.dtype.is_floating:
            variable.assign(draw(variable.name, variable.shape))
    items = trained.checkpoint_items if o.mlm else {"model": trained, "encoder": trained}
    text = {"vocab_file": str(o.vocabulary), "do_lower_case": o.lower_case}
    with tempfile.TemporaryDirectory() as scratch:
        saved = tf.train.Checkpoint(**items).save(f"{scratch}/checkpoint")
        exporter.export_model(str(o.out / "encoder"), model_checkpoint_path=saved, with_mlm=o.mlm, **kind, **text)
    exporter.export_preprocessing(
        str(o.out / "preprocessor"), tokenize_with_offsets=True, default_seq_length=o.length, **text
    )


if __name__ == "__main__":
    main()
