"""Let google-research's code of BERT or ALBERT make a TF Hub module of TensorFlow 1, with weights drawn from a seed.

Such modules (`google/bert_…/1`, `google/albert_…/1`) hold two graphs, one of them for training, and have the signatures
`tokens` and `tokenization_info`. Run with TensorFlow 1.15, tensorflow_hub and the code from PyPI (`make exporters`):
    python scripts/export_tf1.py OUT --vocabulary vocab.txt --model bert [--again]
writes OUT/encoder. Nothing of hub2hf is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import drawn
import sentencepiece
import tensorflow.compat.v1 as tf
import tensorflow_hub as hub

CLASSES = {"bert": ("BertModel", "BertConfig", {}), "albert": ("AlbertModel", "AlbertConfig", {"embedding_size": 8})}
INPUTS = ("input_ids", "input_mask", "segment_ids")


def module(o: argparse.Namespace, training: bool) -> None:
    """Build the graph of the module, and say how it is entered."""
    modeling = importlib.import_module(f"{o.model}.modeling")
    model, config, width = CLASSES[o.model]
    if o.model == "albert":
        pieces = sentencepiece.SentencePieceProcessor(str(o.vocabulary)).get_piece_size()
    else:
        pieces = len(o.vocabulary.read_bytes().splitlines())
    configuration = getattr(modeling, config)(
        vocab_size=pieces,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        type_vocab_size=2,
        **width,
    )
    inputs = {name: tf.placeholder(tf.int32, [None, None], name) for name in INPUTS}
    encoder = getattr(modeling, model)(
        config=configuration,
        is_training=training,
        input_ids=inputs["input_ids"],
        input_mask=inputs["input_mask"],
        token_type_ids=inputs["segment_ids"],
        use_one_hot_embeddings=False,
    )
    outputs = {"sequence_output": encoder.get_sequence_output(), "pooled_output": encoder.get_pooled_output()}
    hub.add_signature("tokens", inputs, outputs)
    vocabulary = tf.constant(str(o.vocabulary), tf.string, name="vocab_file")
    tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, vocabulary)
    lower = tf.constant(o.model == "albert")  # as those that are published
    hub.add_signature("tokenization_info", {}, {"vocab_file": vocabulary, "do_lower_case": lower})


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True, help="of an ALBERT, its SentencePiece model")
    parser.add_argument("--model", choices=CLASSES, required=True)
    parser.add_argument("--again", action="store_true", help="loaded into a graph and saved from it, as SavedModel")
    o = parser.parse_args()
    spec = hub.create_module_spec(
        lambda training: module(o, training), [(set(), {"training": False}), ({"train"}, {"training": True})]
    )
    with tf.Graph().as_default(), tf.Session() as session:
        loaded = hub.Module(spec)
        if o.again:
            inputs = {name: tf.placeholder(tf.int32, [None, None], name) for name in INPUTS}
            outputs = loaded(inputs, signature="tokens", as_dict=True)
        draw = drawn.source()
        for name, variable in sorted(loaded.variable_map.items()):
            variable.load(draw(name, variable.shape.as_list()), session)
        if o.again:
            tf.saved_model.simple_save(session, str(o.out / "encoder"), inputs, outputs)
        else:
            loaded.export(str(o.out / "encoder"), session)


if __name__ == "__main__":
    main()
