"""Encoders of ids whose variables have the names of their years, or names that say nothing.

`official_2020` computes as tf-models-official 2.2.0 does (nlp/modeling/networks/transformer_encoder.py), `official_2019` as
the Keras code before it, with kernels of two dimensions; `keras_3` is what Keras 3 itself exports of stock layers.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

IDS = ("input_word_ids", "input_mask", "input_type_ids")
HIDDEN, HEADS, INNER, LAYERS, PLACES = 32, 4, 48, 2, 40
SIZE = HIDDEN // HEADS


class Official(tf.Module):
    """A BERT encoder in the words of 2020 (heads apart) or of 2019 (two dimensions), its variables on one list."""

    def __init__(self, pieces: int, year: int) -> None:
        super().__init__()
        self.year, self.made, self.source = year, [], np.random.default_rng(year)
        old = year == 2019
        self.start = "bert_model/" if old else ""
        after = "embedding_postprocessor/" if old else ""
        self.words = self.make("word_embeddings/embeddings", [pieces, HIDDEN], 0.05)
        self.types = self.make(f"{after}type_embeddings" + ("" if old else "/embeddings"), [16, HIDDEN], 0.05)
        places = f"{after}position_embeddings" if old else "position_embedding/embeddings"
        self.places = self.make(places, [PLACES, HIDDEN], 0.05)
        self.norm = self.norm_of(f"{after}layer_norm" if old else "embeddings/layer_norm")
        self.layers = [self.layer(f"{'encoder' if old else 'transformer'}/layer_{i}") for i in range(LAYERS)]
        self.pooler = self.dense("pooler_transform", [HIDDEN], [HIDDEN])

    def make(self, name: str, shape: list[int], deviation: float, mean: float = 0.0) -> Any:
        value = mean + deviation * self.source.standard_normal(shape)
        self.made.append(tf.Variable(value.astype(np.float32), name=self.start + name))
        return self.made[-1]

    def norm_of(self, name: str) -> tuple[Any, Any]:
        return self.make(f"{name}/gamma", [HIDDEN], 0.1, 1.0), self.make(f"{name}/beta", [HIDDEN], 0.1)

    def dense(self, name: str, inputs: list[int], outputs: list[int]) -> tuple[Any, Any]:
        if self.year == 2019:
            inputs, outputs = [math.prod(inputs)], [math.prod(outputs)]
        kernel = self.make(f"{name}/kernel", [*inputs, *outputs], math.prod(inputs) ** -0.5)
        return kernel, self.make(f"{name}/bias", outputs, 0.1)

    def layer(self, name: str) -> dict[str, Any]:
        heads = [HEADS, SIZE]
        parts = {
            part: self.dense(f"{name}/self_attention/{part}", [HIDDEN], heads) for part in ("query", "key", "value")
        }
        return {
            **parts,
            "out": self.dense(f"{name}/self_attention_output", heads, [HIDDEN]),
            "attention_norm": self.norm_of(f"{name}/self_attention_layer_norm"),
            "inner": self.dense(f"{name}/intermediate", [HIDDEN], [INNER]),
            "outer": self.dense(f"{name}/output", [INNER], [HIDDEN]),
            "norm": self.norm_of(f"{name}/output_layer_norm"),
        }

    def heads(self, x: Any, kernel: Any, bias: Any) -> Any:
        """Return [batch, length, heads, size]."""
        if self.year == 2020:
            return tf.einsum("abc,cde->abde", x, kernel) + bias
        shape = tf.shape(x)
        flat = tf.matmul(tf.reshape(x, [-1, HIDDEN]), kernel) + bias
        return tf.reshape(flat, [shape[0], shape[1], HEADS, SIZE])

    def output(self, context: Any, kernel: Any, bias: Any) -> Any:
        if self.year == 2020:
            return tf.einsum("abcd,cde->abe", context, kernel) + bias
        shape = tf.shape(context)
        flat = tf.matmul(tf.reshape(context, [-1, HIDDEN]), kernel) + bias
        return tf.reshape(flat, [shape[0], shape[1], HIDDEN])

    @tf.function(input_signature=[[tf.TensorSpec([None, None], tf.int32, name=name) for name in IDS]], autograph=False)
    def __call__(self, inputs: list[Any]) -> list[Any]:
        """Return the pooled output and the sequence output."""
        ids, mask, types = inputs
        shape = tf.shape(ids)
        rows = tf.matmul(tf.one_hot(tf.reshape(types, [-1]), 16), self.types)
        x = tf.reshape(tf.gather(self.words, tf.reshape(ids, [-1])), [shape[0], shape[1], HIDDEN])
        x = x + tf.expand_dims(tf.slice(self.places, [0, 0], [shape[1], HIDDEN]), 0)
        x = layer_norm(x + tf.reshape(rows, [shape[0], shape[1], HIDDEN]), *self.norm)
        to = tf.cast(tf.reshape(mask, [shape[0], 1, shape[1]]), tf.float32)
        adder = (1.0 - tf.expand_dims(tf.ones([shape[0], shape[1], 1]) * to, 1)) * -10000.0
        for layer in self.layers:
            query, key, value = (self.heads(x, *layer[part]) for part in ("query", "key", "value"))
            scores = tf.multiply(tf.einsum("BTNH,BFNH->BNFT", key, query), 1.0 / math.sqrt(float(SIZE)))
            context = tf.einsum("BNFT,BTNH->BFNH", tf.nn.softmax(scores + adder), value)
            attended = layer_norm(x + self.output(context, *layer["out"]), *layer["attention_norm"])
            middle = tf.einsum("abc,cd->abd", attended, layer["inner"][0]) + layer["inner"][1]
            outer = tf.einsum("abc,cd->abd", gelu(middle), layer["outer"][0]) + layer["outer"][1]
            x = layer_norm(tf.cast(outer, tf.float32) + attended, *layer["norm"])
        first = tf.squeeze(x[:, 0:1, :], axis=1)
        return [tf.tanh(tf.matmul(first, self.pooler[0]) + self.pooler[1]), x]


def gelu(x: Any) -> Any:
    return x * (0.5 * (1.0 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * tf.pow(x, 3)))))


def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)


def official(folder: Path, pieces: int, year: int) -> Any:
    """Save the encoder of a year as it was saved: callable, with one list of inputs; return it."""
    model = Official(pieces, year)
    tf.saved_model.save(model, str(folder))
    return model


def keras_3(folder: Path, pieces: int) -> Any:
    """Export stock layers of Keras 3, whose variables in a SavedModel are numbers; return the model."""
    import keras

    layers = keras.layers
    given = {name: keras.Input([None], dtype="int32", name=name) for name in IDS}
    ids, mask, types = (given[name] for name in IDS)

    def embedded(ids: Any, mask: Any, types: Any) -> Any:
        x = layers.Embedding(pieces, HIDDEN)(ids) + layers.Embedding(2, HIDDEN)(types)
        places = layers.Lambda(lambda t: tf.cumsum(tf.ones_like(t), 1) - 1, output_shape=lambda s: s)(ids)
        return layers.LayerNormalization(epsilon=1e-6)(x + layers.Embedding(PLACES, HIDDEN)(places))

    x = embedded(ids, mask, types)
    attended = layers.Lambda(lambda t: t[:, None, :] > 0, output_shape=lambda s: (s[0], 1, s[1]))(mask)
    for _ in range(LAYERS):
        other = layers.MultiHeadAttention(HEADS, SIZE)(x, x, attention_mask=attended)
        x = layers.LayerNormalization(epsilon=1e-6)(x + other)
        other = layers.Dense(HIDDEN)(layers.Dense(INNER, activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-6)(x + other)
    first = layers.Lambda(lambda t: t[:, 0], output_shape=lambda s: (s[0], s[2]))(x)
    model = keras.Model(given, {"default": layers.Dense(HIDDEN, activation="tanh")(first)})
    source = np.random.default_rng(4)
    model.set_weights([w + 0.1 * source.standard_normal(w.shape).astype(np.float32) for w in model.get_weights()])
    model.export(str(folder), verbose=False)
    return model
