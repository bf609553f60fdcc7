"""Encoders of other kinds, each a few lines of TensorFlow, under names that say nothing or that say BERT."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

HIDDEN, HEADS, INNER, POSITIONS, PIECES, LAYERS = 16, 4, 24, 40, 5516, 2


class Encoder(tf.Module):
    """An encoder of ids whose twists are of the kinds below; without any it is BERT."""

    def __init__(self, *twists: str) -> None:
        super().__init__()
        self.twists = set(twists)
        self.made: dict[str, tf.Variable] = {}

    def var(self, name: str, *shape: int) -> Any:
        if name not in self.made:
            source = np.random.default_rng(len(self.made))
            value = source.standard_normal(shape).astype(np.float32) * (0.3 if len(shape) > 1 else 0.1)
            with tf.init_scope():
                self.made[name] = tf.Variable(value + name.endswith("gamma"), name=name)
        return self.made[name]

    def dense(self, x: Any, name: str, size: int) -> Any:
        kernel = self.var(f"{name}/kernel", int(x.shape[-1]), size)
        return tf.einsum("...i,io->...o", x, kernel) + self.var(f"{name}/bias", size)

    def norm(self, x: Any, name: str) -> Any:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        scaled = (x - mean) * tf.math.rsqrt(variance + 1e-12)
        return scaled * self.var(f"{name}/gamma", HIDDEN) + self.var(f"{name}/beta", HIDDEN)

    def embedded(self, ids: Any, types: Any) -> Any:
        width = 8 if self.twists & {"projection", "albert", "mobilebert"} else HIDDEN
        ids += 5000 if "high" in self.twists else 0
        x = tf.gather(self.var("word_embeddings/embeddings", PIECES, width), ids)
        if "mobilebert" in self.twists:
            left, right = tf.pad(x[:, 1:], [[0, 0], [0, 1], [0, 0]]), tf.pad(x[:, :-1], [[0, 0], [1, 0], [0, 0]])
            x = self.dense(tf.concat([left, x, right], 2), "embedding_projection", HIDDEN)
        elif width != HIDDEN:
            x = self.dense(x, "embedding_projection", HIDDEN)
        x += tf.gather(self.var("type_embeddings/embeddings", 2, HIDDEN), types)
        if not self.twists & {"t5", "alibi", "rope"}:
            x += self.var("position_embedding/embeddings", POSITIONS, HIDDEN)[: tf.shape(ids)[1]]
        return self.norm(x, "embeddings/layer_norm")

    def bias(self, length: Any) -> Any:
        """Return what is added to the scores beside the mask, [1, heads, length, length]."""
        away = tf.range(length)[None, :] - tf.range(length)[:, None]
        if self.twists & {"t5", "mpnet"}:
            table = self.var("attention/bias/embedding", 2 * POSITIONS, HEADS)
            return tf.transpose(tf.gather(table, away + POSITIONS), [2, 0, 1])[None]
        if "alibi" in self.twists:
            return tf.cast(-tf.abs(away), tf.float32)[None, None] * tf.constant([0.5, 0.25, 0.1, 0.05])[:, None, None]
        if "causal" in self.twists:
            return tf.cast(away > 0, tf.float32)[None, None] * -1e9
        if "window" in self.twists:
            return tf.cast(tf.abs(away) > 2, tf.float32)[None, None] * -1e9
        return None

    def turned(self, x: Any) -> Any:
        """Return queries or keys [batch, length, heads, size] turned by their positions."""
        half = int(x.shape[-1]) // 2
        angles = tf.cast(tf.range(tf.shape(x)[1]), tf.float32)[:, None] / 10.0 ** tf.range(half, dtype=tf.float32)
        cos, sin = tf.cos(angles)[None, :, None], tf.sin(angles)[None, :, None]
        left, right = x[..., :half], x[..., half:]
        return tf.concat([left * cos - right * sin, left * sin + right * cos], -1)

    def disentangled(self, q: Any, name: str) -> Any:
        """Return the scores of queries [batch, length, heads, size] for twelve relative positions, at their places."""
        table = self.norm(self.var("relative/embeddings", 12, HIDDEN), "relative/layer_norm")
        keys = tf.reshape(self.dense(table, f"{name}/relative_key", HIDDEN), [12, HEADS, HIDDEN // HEADS])
        places = tf.range(tf.shape(q)[1])
        away = tf.one_hot(tf.clip_by_value(places[:, None] - places[None] + 6, 0, 11), 12)
        return tf.einsum("bhqr,qkr->bhqk", tf.einsum("bqhd,rhd->bhqr", q, keys), away)

    def crossed(self, x: Any, name: str) -> Any:
        """Return what tokens take from seven rows that are learned."""
        memory = self.var(f"{name}/memory", 7, HIDDEN)
        query = self.dense(x, f"{name}/cross/query", HIDDEN)
        shares = tf.nn.softmax(tf.einsum("bqd,kd->bqk", query, memory))
        return self.dense(tf.einsum("bqk,kd->bqd", shares, memory), f"{name}/cross/output", HIDDEN)

    def layer(self, x: Any, mask: Any, i: int) -> Any:
        name = "transformer/layer_0" if "albert" in self.twists else f"transformer/layer_{i}"
        pre, size = "pre_norm" in self.twists, HIDDEN // HEADS
        taken = self.norm(x, f"{name}/self_attention_layer_norm") if pre else x
        shape = [tf.shape(x)[0], tf.shape(x)[1], HEADS, size]
        q, k, v = (
            tf.reshape(self.dense(taken, f"{name}/self_attention/{part}", HIDDEN), shape)
            for part in ("query", "key", "value")
        )
        q, k = (self.turned(q), self.turned(k)) if "rope" in self.twists else (q, k)
        scores = tf.einsum("bqhd,bkhd->bhqk", q, k) / size**0.5
        if "deberta" in self.twists:
            scores += self.disentangled(q, name)
        if "blind" not in self.twists:
            scores += (1 - mask[:, None, None]) * -1e9
        bias = self.bias(tf.shape(x)[1])
        scores = scores if bias is None else scores + bias
        if "talking" in self.twists:
            scores = tf.einsum("bhqk,hn->bnqk", scores, self.var(f"{name}/pre_softmax", HEADS, HEADS))
        seen = tf.nn.softmax(scores)
        context = tf.reshape(tf.einsum("bhqk,bkhd->bqhd", seen, v), tf.shape(x))
        context = tf.ensure_shape(context, [None, None, HIDDEN])
        x = x * (2.0 if "scaled" in self.twists else 1.0)
        x += self.dense(context, f"{name}/self_attention/attention_output", HIDDEN)
        x = x if pre else self.norm(x, f"{name}/self_attention_layer_norm")
        inner = self.norm(x, f"{name}/output_layer_norm") if pre else x
        if "cross" in self.twists:
            inner = x = self.norm(x + self.crossed(x, name), f"{name}/cross_layer_norm")
        middle = tf.nn.gelu(self.dense(inner, f"{name}/intermediate", INNER))
        middle *= self.dense(inner, f"{name}/gate", INNER) if "glu" in self.twists else 1.0
        inner = self.dense(middle, f"{name}/output", HIDDEN)
        return x + inner if pre else self.norm(x + inner, f"{name}/output_layer_norm")

    def pooled(self, x: Any, mask: Any) -> Any:
        weights = mask[:, :, None]
        if "mean" in self.twists:
            return tf.reduce_sum(x * weights, 1) / tf.reduce_sum(weights, 1)
        if "plain_mean" in self.twists:
            return tf.reduce_mean(x, 1)
        if "max" in self.twists:
            return tf.reduce_max(x, 1)
        return x[:, 0]

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int32, n) for n in ("word_ids", "input_mask", "type_ids")]
    )
    def __call__(self, word_ids: Any, input_mask: Any, type_ids: Any) -> Any:
        mask = tf.cast(input_mask, tf.float32)
        x = self.embedded(word_ids, type_ids)
        for i in range(LAYERS):
            x = self.layer(x, mask, i)
        pooled = self.pooled(x, mask)
        if "no_pooler" in self.twists:
            return {"default": pooled}
        if "heads" in self.twists:
            return {name: tf.tanh(self.dense(pooled, f"{name}_transform", HIDDEN)) for name in ("query", "passage")}
        return {"default": tf.tanh(self.dense(pooled, "pooler_transform", HIDDEN))}


class WithoutAttention(tf.Module):
    """Tokens that are mixed by a convolution over three places, by a Fourier transform, or by an LSTM."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.made = kind, Encoder()

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int32, n) for n in ("word_ids", "input_mask", "type_ids")]
    )
    def __call__(self, word_ids: Any, input_mask: Any, type_ids: Any) -> Any:
        x = self.made.embedded(word_ids, type_ids) * tf.cast(input_mask, tf.float32)[:, :, None]
        if self.kind == "cnn":
            x = tf.nn.relu(tf.nn.conv1d(x, self.made.var("convolution/kernel", 3, HIDDEN, HIDDEN), 1, "SAME"))
            return {"default": tf.reduce_max(x, 1)}
        if self.kind == "fourier":
            x = tf.math.real(tf.signal.fft2d(tf.complex(x, 0.0)))
            return {"default": tf.tanh(x[:, 0] @ self.made.var("output/kernel", HIDDEN, HIDDEN))}
        kernel = self.made.var("lstm/kernel", 2 * HIDDEN, 4 * HIDDEN)
        zeros = tf.zeros([tf.shape(x)[0], HIDDEN])

        def step(i: Any, hidden: Any, cell: Any) -> Any:
            gates = tf.split(tf.matmul(tf.concat([x[:, i], hidden], 1), kernel), 4, 1)
            cell = tf.sigmoid(gates[0]) * cell + tf.sigmoid(gates[1]) * tf.tanh(gates[2])
            return i + 1, tf.sigmoid(gates[3]) * tf.tanh(cell), cell

        start = [tf.constant(0), zeros, zeros]
        return {"default": tf.while_loop(lambda i, *_: i < tf.shape(x)[1], step, start)[1]}


class Words(tf.Module):
    """Text through a table of words: nnlm averages them, the Universal Sentence Encoder's DAN goes on with dense layers."""

    def __init__(self, *, deep: bool) -> None:
        super().__init__()
        source = np.random.default_rng(1)
        self.table = tf.Variable(source.standard_normal((100, HIDDEN)).astype(np.float32), name="embeddings")
        kernel = source.standard_normal((HIDDEN, HIDDEN)).astype(np.float32)
        self.kernel = tf.Variable(kernel, name="kernel") if deep else None

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def __call__(self, text: Any) -> Any:
        words = tf.strings.split(text)
        found = tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, words, num_buckets=100)
        rows = tf.ragged.map_flat_values(lambda ids: tf.gather(self.table, ids), found)
        mean = tf.reduce_sum(rows, 1) / tf.cast(tf.expand_dims(words.row_lengths(), 1), tf.float32)
        return {"default": mean if self.kernel is None else tf.tanh(tf.linalg.matmul(mean, self.kernel))}


class Bytes(tf.Module):
    """Text whose bytes become the letters of byte-level BPE; these are averaged."""

    def __init__(self) -> None:
        super().__init__()
        printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        other = [byte for byte in range(256) if byte not in printed]
        letters = {byte: chr(byte) for byte in printed} | {byte: chr(0x100 + i) for i, byte in enumerate(other)}
        pairs = tf.lookup.KeyValueTensorInitializer([bytes([byte]) for byte in letters], [*letters.values()])
        self.letters = tf.lookup.StaticHashTable(pairs, "")
        self.words = Words(deep=True)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def __call__(self, text: Any) -> Any:
        found = self.letters.lookup(tf.strings.bytes_split(text).to_tensor(" "))
        return self.words(tf.strings.reduce_join(found, axis=1, separator=" "))


def save(folder: Path, module: Any) -> Path:
    """Save a module with its call as its signature."""
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.__call__})
    return folder
