"""Let TensorFlow Model Garden's exporter of 2020 (2.2 to 2.4) make an encoder, with weights drawn from a seed.

It exports no preprocessor: a BERT brings its vocabulary, an ALBERT its SentencePiece model. Run in an environment with
tf-models-official of that year and its TensorFlow (`make exporters` makes one):
    python scripts/export_garden_2020.py OUT --vocabulary vocab.txt --encoder bert
writes OUT/encoder. Nothing of hub2hf is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import drawn
import sentencepiece
import tensorflow as tf

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True, help="of an ALBERT, its SentencePiece model")
    parser.add_argument("--encoder", choices=("bert", "albert"), required=True)
    o = parser.parse_args()
    if o.encoder == "bert":
        pieces, width, name = len(o.vocabulary.read_bytes().splitlines()), {}, "export_tfhub"
    else:
        pieces = sentencepiece.SentencePieceProcessor(str(o.vocabulary)).get_piece_size()
        width, name = {"embedding_size": 8}, "export_albert_tfhub"
    exporter = importlib.import_module(f"official.nlp.{o.encoder}.{name}")  # both at once define one option twice
    configuration = getattr(exporter.configs, f"{o.encoder.title()}Config")(vocab_size=pieces, **SIZES, **width)
    _, encoder = getattr(exporter, f"create_{o.encoder}_model")(configuration)
    draw = drawn.source()
    for variable in encoder.variables:
        variable.assign(draw(variable.name, variable.shape))
    with tempfile.TemporaryDirectory() as scratch:
        saved = tf.train.Checkpoint(model=encoder).save(f"{scratch}/checkpoint")
        export = getattr(exporter, f"export_{o.encoder}_tfhub")
        export(configuration, saved, str(o.out / "encoder"), str(o.vocabulary))


if __name__ == "__main__":
    main()
