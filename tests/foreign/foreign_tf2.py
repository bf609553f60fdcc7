"""Encoders of ids as other people would export them: stock Keras 2 layers, or a plain tf.Module of their own making.

Nothing is shared with the project's own builder but the names of the variables, which are the family's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras as keras

IDS = ("input_word_ids", "input_mask", "input_type_ids")


@dataclass(frozen=True)
class Recipe:
    """One encoder.

    Attributes:
        inputs: "dict" or "list".
        outputs: "dict", "list" (embedding, sequence), or "one".
        head: "tanh", "relu", "none"; `unit`: whether `default` is of unit length.
        twist: a departure that must be refused.
        length: the number of ids, where the inputs are shaped for one only.
    """

    hidden: int = 32
    layers: int = 2
    heads: int = 4
    intermediate: int = 48
    positions: int = 96
    epsilon: float = 1e-12
    activation: str = "gelu"
    approximate: bool = False
    inputs: str = "dict"
    outputs: str = "dict"
    head: str = "tanh"
    unit: bool = False
    dtype: Any = tf.int32
    twist: str = ""
    length: int | None = None


def keras_model(r: Recipe, pieces: int) -> Any:
    """Return a functional model of stock layers: Embedding, MultiHeadAttention, LayerNormalization, Dense."""
    given = {name: keras.Input([r.length], dtype=r.dtype, name=name) for name in IDS}
    ids, mask, types = (given[name] for name in IDS)
    layers = keras.layers
    x = layers.Embedding(pieces, r.hidden, name="word_embeddings")(ids)
    x += layers.Embedding(2, r.hidden, name="type_embeddings")(types)
    x += layers.Embedding(r.positions, r.hidden, name="position_embedding")(tf.range(tf.shape(ids)[1]))
    x = layers.LayerNormalization(epsilon=r.epsilon, name="embeddings/layer_norm")(x)
    attended = tf.cast(mask, tf.bool)[:, tf.newaxis, :]
    seen = []
    for i in range(r.layers):
        name = f"transformer/layer_{i}"
        attention = layers.MultiHeadAttention(r.heads, r.hidden // r.heads, name=f"{name}/self_attention")
        other = attention(x, x, attention_mask=None if r.twist == "blind" else attended)
        x = layers.LayerNormalization(epsilon=r.epsilon, name=f"{name}/self_attention_layer_norm")(x + other)
        middle = layers.Dense(r.intermediate, name=f"{name}/intermediate")(x)
        middle = keras.activations.gelu(middle, r.approximate) if r.activation == "gelu" else tf.nn.relu(middle)
        other = layers.Dense(r.hidden, name=f"{name}/output")(middle)
        x = layers.LayerNormalization(epsilon=r.epsilon, name=f"{name}/output_layer_norm")(x + other)
        seen.append(x)
    first = tf.reduce_mean(x, 1) if r.twist == "mean" else x[:, 0, :]
    pooled = layers.Dense(r.hidden, activation=None if r.head == "none" else r.head, name="pooler_transform")(first)
    default = layers.Lambda(lambda t: tf.nn.l2_normalize(t, -1), name="unit")(pooled) if r.unit else pooled
    outputs = {"default": default, "pooled_output": pooled, "sequence_output": x, "encoder_outputs": seen}
    told = {"dict": outputs, "list": [default, x], "one": default}[r.outputs]
    return keras.Model(given if r.inputs == "dict" else list(given.values()), told)


def draw(model: Any) -> None:
    """Give a model weights from a seed."""
    source = np.random.default_rng(5)
    for variable in model.variables:
        value = source.standard_normal(variable.shape).astype(np.float32)
        scale = float(np.prod(variable.shape[:-1])) ** -0.5 if "kernel" in variable.name else 0.1
        variable.assign(scale * value + ("gamma" in variable.name))


def save_keras(folder: Path, r: Recipe, vocabulary: Path, *, own_vocabulary: bool = True) -> Path:
    """Save the model as Keras 2 saves it, its weights drawn from a seed."""
    model = keras_model(r, len(vocabulary.read_bytes().splitlines()))
    draw(model)
    if own_vocabulary:
        model.vocab_file = tf.saved_model.Asset(str(vocabulary))
        model.do_lower_case = tf.Variable(False, trainable=False)
    model.save(str(folder), include_optimizer=False, save_format="tf")
    return folder
