"""Build a reference SavedModel as MobileBERT's on TensorFlow Hub: an encoder over ids, whose embedding is the first token.

The variables have the names and shapes of TensorFlow Model Garden (official/nlp/modeling/layers/mobile_bert_layers.py). The
computation is written out here, so that everything a graph may vary is an option. Weights are drawn from a seed.

Run: python scripts/build.py mobilebert OUT --vocabulary vocab.txt
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
        hidden, inside: numbers of a token between layers, and within one.
        pairs: inner and outer layers of each layer.
        order: which ids' embeddings stand beside each other, by how far each is from its own: MobileBERT's are 1, 0, -1.
        normalised: whether gamma and beta follow a LayerNorm, as in the models that were trained before the published ones.
        pooler: whether a dense layer with tanh is on the first token.
    """

    embedded: int = 16
    hidden: int = 48
    inside: int = 24
    layers: int = 3
    heads: int = 4
    inner: int = 48
    pairs: int = 4
    order: str = "1 0 -1"
    normalised: bool = False
    pooler: bool = False
    max_length: int = 48
    positions: int = 64
    seed: int = 1


class Encoder(tf.Module):
    """From ids, mask and types, int32 [batch, length] each, to `default`, the embedding, and `sequence_output`."""

    def __init__(self, pieces: int, options: Options) -> None:
        super().__init__()
        self.o, self.made = options, dict[str, tf.Variable]()
        start, o = "mobile_bert_embedding", options
        self.words = self.variable(f"{start}/word_embedding/embeddings", (pieces, o.embedded), 1.0)
        self.places = self.variable(f"{start}/position_embedding/embeddings", (o.positions, o.hidden), 0.3)
        self.types = self.variable(f"{start}/type_embedding/embeddings", (2, o.hidden), 0.3)

    def variable(self, name: str, shape: tuple[int, ...], scale: float, centre: float = 0.0) -> tf.Variable:
        """Return a variable, made at the first call."""
        if name not in self.made:
            source = np.random.default_rng([self.o.seed, *name.encode()])
            value = source.standard_normal(shape) * scale + centre
            with tf.init_scope():
                self.made[name] = tf.Variable(value.astype(np.float32), name=name)
        return self.made[name]

    def dense(self, x: tf.Tensor, name: str, size: int) -> tf.Tensor:
        """Return x times a kernel, plus a bias."""
        inputs = int(x.shape[-1])
        product = tf.einsum("abc,cd->abd", x, self.variable(f"{name}/kernel", (inputs, size), inputs**-0.5))
        return product + self.variable(f"{name}/bias", (size,), 0.1)

    def norm(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Return x scaled and shifted."""
        if self.o.normalised:
            mean, variance = tf.nn.moments(x, [-1], keepdims=True)
            x = (x - mean) * tf.math.rsqrt(variance + 1e-12)
        size = int(x.shape[-1])
        return x * self.variable(f"{name}/gamma", (size,), 0.1, 0.8) + self.variable(f"{name}/beta", (size,), 0.1)

    def beside(self, x: tf.Tensor, away: int) -> tf.Tensor:
        """Return the embeddings of the ids that are so far away, and zeros where there are none."""
        if away == 0:
            return x
        kept, none = (x[:, away:], [0, away]) if away > 0 else (x[:, :away], [-away, 0])
        return tf.pad(kept, [[0, 0], none, [0, 0]])

    def embeddings(self, ids: tf.Tensor, types: tf.Tensor) -> tf.Tensor:
        """Return what the layers take."""
        words, start = tf.gather(self.words, ids), "mobile_bert_embedding"
        x = tf.concat([self.beside(words, int(away)) for away in self.o.order.split()], 2)
        x = self.dense(x, f"{start}/embedding_projection", self.o.hidden)
        x = x + self.places[: tf.shape(ids)[1]] + tf.gather(self.types, types)
        return self.norm(x, f"{start}/embedding_norm")

    def attention(self, shared: tf.Tensor, x: tf.Tensor, ignored: tf.Tensor, name: str) -> tf.Tensor:
        """Return what the attention of a layer makes, [batch, length, inside]."""
        o = self.o
        shape = [tf.shape(x)[0], tf.shape(x)[1], o.heads, o.inside // o.heads]

        def by_heads(given: tf.Tensor, part: str) -> tf.Tensor:
            inputs = int(given.shape[-1])
            kernel = self.variable(f"{name}/{part}/kernel", (inputs, *shape[2:]), inputs**-0.5)
            return tf.einsum("abc,cde->abde", given, kernel) + self.variable(
                f"{name}/{part}/bias", tuple(shape[2:]), 0.1
            )

        query, key, value = by_heads(shared, "query"), by_heads(shared, "key"), by_heads(x, "value")
        scores = tf.einsum("aecd,abcd->acbe", key, query * shape[3] ** -0.5)
        context = tf.einsum("acbe,aecd->abcd", tf.nn.softmax(scores + ignored), value)
        kernel = self.variable(f"{name}/attention_output/kernel", (*shape[2:], o.inside), o.inside**-0.5)
        made = tf.einsum("abcd,cde->abe", context, kernel)
        return made + self.variable(f"{name}/attention_output/bias", (o.inside,), 0.1)

    def layer(self, x: tf.Tensor, ignored: tf.Tensor, number: int) -> tf.Tensor:
        """Return what a layer makes of x [batch, length, hidden]."""
        o, name = self.o, f"transformer_layer_{number}"

        def block(given: tf.Tensor, dense: str, norm: str, size: int, added: Any = 0.0) -> tf.Tensor:
            return self.norm(self.dense(given, f"{name}/{dense}", size) + added, f"{name}/{norm}")

        narrow = block(x, "bottleneck_input/dense", "bottleneck_input/norm", o.inside)
        shared = block(x, "kq_shared_bottleneck/dense", "kq_shared_bottleneck/norm", o.inside)
        narrow = self.norm(self.attention(shared, x, ignored, f"{name}/attention") + narrow, f"{name}/attention/norm")
        for i in range(o.pairs):
            at = f"ffn_layer_{i}"
            middle = tf.nn.relu(self.dense(narrow, f"{name}/{at}/intermediate_dense", o.inner))
            narrow = block(middle, f"{at}/output_dense", f"{at}/norm", o.inside, narrow)
        return block(narrow, "bottleneck_output/dense", "bottleneck_output/norm", o.hidden, x)

    @tf.function(autograph=False)
    def __call__(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return embedding and states."""
        mask = tf.cast(inputs["input_mask"], tf.float32)
        ignored = (1.0 - mask)[:, tf.newaxis, tf.newaxis] * -1e9
        x = self.embeddings(inputs["input_word_ids"], inputs["input_type_ids"])
        for i in range(self.o.layers):
            x = self.layer(x, ignored, i)
        first = x[:, 0]
        if self.o.pooler:
            kernel = self.variable("pooler/kernel", (self.o.hidden, self.o.hidden), self.o.hidden**-0.5)
            first = tf.tanh(first @ kernel + self.variable("pooler/bias", (self.o.hidden,), 0.1))
        return {"default": first, "sequence_output": x}


def build(folder: Path, vocabulary: Path, options: Options) -> None:
    """Write the encoder of `options` over the pieces of `vocabulary` into the absent `folder`."""
    encoder = Encoder(len(vocabulary.read_bytes().splitlines()), options)
    names = ("input_word_ids", "input_mask", "input_type_ids")
    serve = encoder.__call__.get_concrete_function({n: tf.TensorSpec([None, None], tf.int32, name=n) for n in names})
    encoder.vocab_file = tf.saved_model.Asset(str(vocabulary))
    tf.saved_model.save(encoder, str(folder), signatures={"serving_default": serve})


def main(words: Sequence[str]) -> None:
    """Run the command on its arguments."""
    run(words, __doc__, Options(), build)
