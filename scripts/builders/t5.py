"""Build a reference SavedModel as sentence-T5's: T5's encoder over ids, a mean, a dense layer without bias, unit length.

The variables have the names and shapes of T5X (google-research/t5x, examples/t5/network.py). The computation is written out
here, so that everything a graph may vary is an option. Weights are drawn from a seed.

Run: python scripts/build.py t5 OUT --vocabulary vocab.txt
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from builders.options import run


@dataclass(frozen=True)
class Options:
    """What an encoder is made of.

    Attributes:
        size: numbers of a head; heads need not be as wide together as the hidden state.
        gate: "" or the activation of the gate, whose product by the other inner layer goes on.
        turned: whether the table of relative positions is [heads, buckets], as T5X has it.
        distance: from which on all distances share a bucket.
        scaled: whether scores are divided by the root of `size`, which those of T5 are not.
        shared: whether all layers add the same table.
        embedding: how large word embeddings are: those of T5 are large, and its states larger from layer to layer.
    """

    hidden: int = 32
    layers: int = 2
    heads: int = 4
    size: int = 12
    inner: int = 48
    buckets: int = 32
    gate: str = ""
    turned: bool = True
    distance: int = 128
    epsilon: float = 1e-6
    scaled: bool = False
    shared: bool = True
    embedding: float = 1.0
    max_length: int = 160
    seed: int = 1


ACTIVATIONS: dict[str, Any] = {
    "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "gelu_erf": lambda x: tf.nn.gelu(x, approximate=False),
    "relu": tf.nn.relu,
}


def bucket_of(away: tf.Tensor, o: Options) -> tf.Tensor:
    """Return the bucket of each distance from a query to a key, int32, in the float32 of the graph."""
    half = o.buckets // 2
    exact, far = half // 2, tf.abs(away)
    scaled = tf.math.log(tf.cast(far, tf.float32) / exact + np.finfo(np.float32).eps) / np.log(o.distance / exact)
    logarithmic = tf.minimum(exact + tf.cast(scaled * (half - exact), tf.int32), half - 1)
    return tf.where(far < exact, far, logarithmic) + tf.cast(away > 0, tf.int32) * half


class Encoder(tf.Module):
    """From ids and mask, int32 [batch, length] each, to `default`, the embedding, and `sequence_output`."""

    def __init__(self, pieces: int, options: Options) -> None:
        super().__init__()
        self.o, self.made = options, dict[str, tf.Variable]()
        self.words = self.variable("token_embedder/embedding", (pieces, options.hidden), options.embedding)

    def variable(self, name: str, shape: tuple[int, ...], scale: float, centre: float = 0.0) -> tf.Variable:
        """Return a variable, made at the first call."""
        if name not in self.made:
            source = np.random.default_rng([self.o.seed, *name.encode()])
            value = source.standard_normal(shape) * scale + centre
            with tf.init_scope():
                self.made[name] = tf.Variable(value.astype(np.float32), name=name)
        return self.made[name]

    def dense(self, x: tf.Tensor, name: str, size: int) -> tf.Tensor:
        """Return x times a kernel."""
        inputs = int(x.shape[-1])
        return tf.einsum("...i,io->...o", x, self.variable(f"{name}/kernel", (inputs, size), inputs**-0.5))

    def norm(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Return x by the root of its mean square, scaled."""
        mean = tf.reduce_mean(tf.square(x), -1, keepdims=True)
        return x * tf.math.rsqrt(mean + self.o.epsilon) * self.variable(f"{name}/scale", (self.o.hidden,), 0.1, 1.0)

    def relative(self, length: tf.Tensor, layer: int) -> tf.Tensor:
        """Return what is added to the scores, [1, heads, length, length]."""
        o, name = self.o, "relpos_bias" if self.o.shared else f"layers_{layer}/relpos_bias"
        table = self.variable(
            f"encoder/{name}/rel_embedding", (o.heads, o.buckets) if o.turned else (o.buckets, o.heads), 1.0
        )
        places = bucket_of(tf.range(length)[None, :] - tf.range(length)[:, None], o)
        found = tf.gather(table, places, axis=1) if o.turned else tf.transpose(tf.gather(table, places), [2, 0, 1])
        return found[tf.newaxis]

    def attention(self, x: tf.Tensor, ignored: tf.Tensor, layer: int) -> tf.Tensor:
        """Return what the attention of a layer makes of x [batch, length, hidden]."""
        o, name = self.o, f"encoder/layers_{layer}/attention"
        shape = [tf.shape(x)[0], tf.shape(x)[1], o.heads, o.size]
        query, key, value = (
            tf.reshape(self.dense(x, f"{name}/{part}", o.heads * o.size), shape) for part in ("query", "key", "value")
        )
        scores = tf.einsum("bqhd,bkhd->bhqk", query, key) * (o.size**-0.5 if o.scaled else 1.0)
        shares = tf.nn.softmax(scores + self.relative(tf.shape(x)[1], layer) + ignored)
        context = tf.reshape(tf.einsum("bhqk,bkhd->bqhd", shares, value), [*shape[:2], o.heads * o.size])
        return self.dense(context, f"{name}/out", o.hidden)

    def feed_forward(self, x: tf.Tensor, layer: int) -> tf.Tensor:
        """Return what the second part of a layer makes."""
        o, name = self.o, f"encoder/layers_{layer}/mlp"
        if o.gate:
            x = ACTIVATIONS[o.gate](self.dense(x, f"{name}/wi_0", o.inner)) * self.dense(x, f"{name}/wi_1", o.inner)
        else:
            x = tf.nn.relu(self.dense(x, f"{name}/wi", o.inner))
        return self.dense(x, f"{name}/wo", o.hidden)

    @tf.function(autograph=False)
    def __call__(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return embedding and states."""
        mask = tf.cast(inputs["input_mask"], tf.float32)
        ignored = (1.0 - mask)[:, tf.newaxis, tf.newaxis] * -1e9
        x = tf.gather(self.words, inputs["input_word_ids"])
        for i in range(self.o.layers):
            x += self.attention(self.norm(x, f"encoder/layers_{i}/pre_attention_layer_norm"), ignored, i)
            x += self.feed_forward(self.norm(x, f"encoder/layers_{i}/pre_mlp_layer_norm"), i)
        x = self.norm(x, "encoder/encoder_norm")
        mean = tf.reduce_sum(x * mask[:, :, tf.newaxis], 1) / tf.reduce_sum(mask, 1, keepdims=True)
        made = self.dense(mean, "projection_layer", self.o.hidden)
        return {"default": tf.nn.l2_normalize(made, -1), "sequence_output": x}


def build(folder: Path, vocabulary: Path, options: Options) -> None:
    """Write the encoder of `options` over the pieces of `vocabulary` into the absent `folder`."""
    encoder = Encoder(len(vocabulary.read_bytes().splitlines()), options)
    specs = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in ("input_word_ids", "input_mask")}
    serve = encoder.__call__.get_concrete_function(specs)
    encoder.vocab_file = tf.saved_model.Asset(str(vocabulary))
    tf.saved_model.save(encoder, str(folder), signatures={"serving_default": serve})


def main(words: Sequence[str]) -> None:
    """Run the command on its arguments."""
    run(words, __doc__, Options(), build)
