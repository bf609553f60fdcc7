"""Let a TensorFlow class of transformers 4 make a SavedModel, with weights drawn from a seed.

Run in an environment with transformers 4.57 and tf-keras (`make exporters` makes one):
    python scripts/export_transformers.py OUT --vocabulary vocab.txt --model distilbert [--pooling mean]
Nothing of hub2hf is imported.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import transformers

# From states [batch, length, hidden] and the mask [batch, length, 1] to one row a text.
POOLINGS: dict[str, Any] = {
    "first": lambda x, mask: x[:, 0],
    "mean": lambda x, mask: tf.reduce_sum(x * mask, 1) / tf.reduce_sum(mask, 1),
}
CLASSES = {
    "bert": "Bert",
    "distilbert": "DistilBert",
    "electra": "Electra",
    "albert": "Albert",
    "mobilebert": "MobileBert",
    "t5": "T5",
}
NO_TYPES = ("distilbert", "t5")


def configuration(kind: str, pieces: int, projection: str) -> Any:
    """Return a small configuration of a class."""
    sizes: dict[str, Any] = {
        "vocab_size": pieces,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
    if kind == "distilbert":
        sizes = {"vocab_size": pieces, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
        sizes["max_position_embeddings"] = 64
    if kind == "electra":
        sizes["embedding_size"] = 16
    if kind == "albert":
        sizes["embedding_size"] = 8
    if kind == "mobilebert":
        sizes |= {"embedding_size": 16, "intra_bottleneck_size": 16}
    if kind == "t5":
        sizes = {"vocab_size": pieces, "d_model": 32, "num_layers": 2, "num_heads": 4, "d_ff": 64, "d_kv": 12}
        sizes["feed_forward_proj"] = projection
    return getattr(transformers, f"{CLASSES[kind]}Config")(**sizes)


def draw(variables: list[Any]) -> None:
    """Give every variable a value of the scale that a trained one has."""
    source = np.random.default_rng(0)
    for variable in variables:
        value = source.standard_normal(variable.shape).astype(np.float32)
        scale = 0.1 if "kernel" not in variable.name else float(np.prod(variable.shape[:-1])) ** -0.5
        variable.assign(
            scale * value + any(part in variable.name for part in ("gamma", "LayerNorm/weight", "FakeLayerNorm/weight"))
        )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--model", choices=CLASSES, required=True)
    parser.add_argument("--pooling", choices=POOLINGS, default="first")
    parser.add_argument("--projection", default="relu", help="feed_forward_proj of T5")
    parser.add_argument(
        "--dense", action="store_true", help="a dense layer without bias, and unit length, as sentence-T5"
    )
    parser.add_argument("--own", action="store_true", help="its own signature, as save_pretrained(saved_model=True)")
    o = parser.parse_args()
    pieces = len(o.vocabulary.read_bytes().splitlines())
    model = getattr(transformers, f"TF{CLASSES[o.model]}{'Encoder' if o.model == 't5' else ''}Model")(
        configuration(o.model, pieces, o.projection)
    )
    names = ["input_ids", "attention_mask"] + [name for name in ["token_type_ids"] if o.model not in NO_TYPES]
    model({name: tf.ones([2, 4], tf.int32) for name in names})
    draw(model.variables)
    if o.own:
        model.save_pretrained(o.out, saved_model=True)
        return
    if o.dense:
        kernel = np.random.default_rng(1).standard_normal((32, 32)).astype(np.float32) * 32**-0.5
        model.after = tf.Variable(kernel, name="dense/kernel")
    specs = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}

    @tf.function(input_signature=[specs], autograph=False)
    def serve(inputs: dict[str, Any]) -> dict[str, Any]:
        states = model(inputs, training=False).last_hidden_state
        mask = tf.cast(inputs["attention_mask"], tf.float32)[:, :, tf.newaxis]
        pooled = POOLINGS[o.pooling](states, mask)
        if o.dense:
            pooled = tf.nn.l2_normalize(tf.matmul(pooled, model.after), -1)
        return {"default": pooled, "sequence_output": states}

    tf.saved_model.save(model, str(o.out), signatures={"serving_default": serve})


if __name__ == "__main__":
    main()
