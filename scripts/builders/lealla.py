"""Build a reference SavedModel: the computation of a LEALLA module, saved the way TensorFlow 1 saves.

No weights of the real modules are used; they are drawn from a seed at a realistic scale. Everything that a graph may
vary is an option, so that tests can show that the reader reads it rather than knows it.

Run: python scripts/build.py lealla OUT --size mini --vocabulary vocab.txt
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

v1 = tf.compat.v1


@dataclass(frozen=True)
class Options:
    """What a reference SavedModel is made of.

    Sizes are LEALLA's: Mao and Nakagawa 2023, "LEALLA", table 1 (mini is ours).
    `slices` stores the word embeddings in that many row slices; `shards` spreads variables over that many data files.
    """

    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int = 512
    max_length: int = 128
    epsilon: float = 1e-12
    activation: str = "gelu_tanh"
    pooling: str = "first"
    dense_layers: int = 1  # after the pooling, each with the activation `pooler`
    dense_bias: bool = True
    pooler: str = "gelu_tanh"
    normalise: bool = True
    scope: str = "student_bert"
    seed: int = 1
    shards: int = 1
    slices: int = 1
    resource_variables: bool = True  # tensorflow_hub.load lists no others
    attention: str = "reshape"
    layer_norm: str = "moments"
    token_types: str = "one_hot"
    delete_pattern: str = r"\p{Cc}|\p{Cf}"
    cut_patterns: tuple[str, ...] = (
        r"\p{Han}+",
        tf_text.WordShape.HAS_EMOJI.value,
        tf_text.WordShape.IS_PUNCT_OR_SYMBOL.value,
    )
    cut_select: str = "where_v1"
    batched_text: bool = False
    max_bytes_per_word: int = 100
    tags: tuple[str, ...] = ("serve",)
    special: dict[str, int] = field(default_factory=lambda: {"[PAD]": 0, "[CLS]": 101, "[SEP]": 102})


SIZES = {
    "mini": Options(hidden=32, layers=3, heads=4, intermediate=64),
    "small": Options(hidden=128, layers=24, heads=8, intermediate=512),
    "base": Options(hidden=192, layers=24, heads=12, intermediate=768),
    "large": Options(hidden=256, layers=24, heads=8, intermediate=1024),
}


def gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """Return GELU in the tanh form of Hendrycks and Gimpel 2016, as the original BERT code writes it."""
    return x * (0.5 * (1.0 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * tf.pow(x, 3)))))


ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu_tanh": gelu_tanh,
    "gelu_erf": lambda x: x * 0.5 * (1.0 + tf.math.erf(x / np.sqrt(2.0).astype(np.float32))),
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
    "none": lambda x: x,
}


class Variables:
    """Makes the variables of one graph, each with a value drawn from the seed and its own name."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.values: list[tuple[Any, np.ndarray]] = []

    def __call__(self, name: str, shape: tuple[int, ...], scale: float, centre: float = 0.0, slices: int = 1) -> Any:
        """Return variable `name` of `shape`, float32, normal with mean `centre` and deviation `scale`."""
        value = self.value(name, shape, scale, centre)
        partitioner = v1.fixed_size_partitioner(slices, axis=0) if slices > 1 else None
        with tf.device(f"/cpu:{len(self.values) % self.options.shards}"):
            variable = v1.get_variable(
                name,
                shape,
                tf.float32,
                v1.zeros_initializer(),
                use_resource=self.options.resource_variables,
                partitioner=partitioner,
            )
        if slices == 1:
            self.values.append((variable, value))
            return variable
        start = 0
        for part in variable:
            rows = part.shape[0]
            self.values.append((part, value[start : start + rows]))
            start += rows
        return tf.convert_to_tensor(variable)

    def value(self, name: str, shape: tuple[int, ...], scale: float, centre: float) -> np.ndarray:
        """Return what variable `name` holds, float32 of `shape`."""
        rng = np.random.default_rng([self.options.seed, *name.encode()])
        value = rng.standard_normal(shape, dtype=np.float32)
        value *= np.float32(scale)
        value += np.float32(centre)
        return value


# From states [batch, length, hidden] and mask [batch, length, 1] to [batch, hidden].
POOLINGS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "first": lambda x, mask: tf.squeeze(x[:, 0:1, :], axis=1),
    "mean": lambda x, mask: tf.reduce_sum(x * mask, 1) / tf.reduce_sum(mask, 1),
    "max": lambda x, mask: tf.reduce_max(x + (1.0 - mask) * -1e9, 1),
    "mean_sqrt": lambda x, mask: tf.reduce_sum(x * mask, 1) / tf.sqrt(tf.reduce_sum(mask, 1)),
}


def dense(x: tf.Tensor, size: int, make: Variables, scope: str = "dense", *, biased: bool = True) -> tf.Tensor:
    """Return x @ kernel + bias for x [rows, inputs] → [rows, size]."""
    inputs = int(x.shape[-1])
    with v1.variable_scope(scope):
        kernel = make("kernel", (inputs, size), 1.0 / np.sqrt(inputs))
        if not biased:
            return tf.matmul(x, kernel)
        bias = make("bias", (size,), 0.1)
        return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def layer_norm(x: tf.Tensor, make: Variables) -> tf.Tensor:
    """Return LayerNorm over the last axis, in the form that `options.layer_norm` names."""
    size, epsilon = int(x.shape[-1]), make.options.epsilon
    with v1.variable_scope("LayerNorm"):
        beta = make("beta", (size,), 0.1)
        gamma = make("gamma", (size,), 0.1, centre=1.0)
        if make.options.layer_norm == "moments":
            mean, variance = tf.nn.moments(x, [-1], keepdims=True)
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)
        mean = tf.reduce_mean(x, axis=-1, keepdims=True)
        centred = x - mean
        variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
        return centred / tf.sqrt(variance + epsilon) * gamma + beta


def attention(x: tf.Tensor, bias: tf.Tensor, batch: tf.Tensor, make: Variables) -> tf.Tensor:
    """Return self-attention of x [batch * length, hidden] under the additive `bias` [batch, 1, length, length]."""
    o = make.options
    size = o.hidden // o.heads
    query, key, value = (dense(x, o.hidden, make, scope) for scope in ("query", "key", "value"))
    shape = [batch, o.max_length, o.heads, size]
    if o.attention == "einsum":
        query, key, value = (tf.reshape(t, shape) for t in (query, key, value))
        scores = tf.einsum("BTNH,BFNH->BNFT", key, query * (size**-0.5))
        context = tf.einsum("BNFT,BTNH->BFNH", tf.nn.softmax(scores + bias), value)
        return tf.reshape(context, [batch * o.max_length, o.hidden])
    query, key, value = (tf.transpose(tf.reshape(t, shape), [0, 2, 1, 3]) for t in (query, key, value))
    scores = tf.multiply(tf.matmul(query, key, transpose_b=True), 1.0 / np.sqrt(float(size)))
    context = tf.transpose(tf.matmul(tf.nn.softmax(scores + bias), value), [0, 2, 1, 3])
    return tf.reshape(context, [batch * o.max_length, o.hidden])


def encoder_layer(x: tf.Tensor, bias: tf.Tensor, batch: tf.Tensor, make: Variables) -> tf.Tensor:
    """Return one post-LayerNorm transformer layer of x [batch * length, hidden]."""
    o = make.options
    with v1.variable_scope("attention"):
        with v1.variable_scope("self"):
            context = attention(x, bias, batch, make)
        with v1.variable_scope("output"):
            x = layer_norm(dense(context, o.hidden, make) + x, make)
    with v1.variable_scope("intermediate"):
        middle = ACTIVATIONS[o.activation](dense(x, o.intermediate, make))
    with v1.variable_scope("output"):
        return layer_norm(dense(middle, o.hidden, make) + x, make)


def embeddings(ids: tf.Tensor, pieces: int, make: Variables) -> tf.Tensor:
    """Return the normalised embedding sum of ids [batch, length] → [batch, length, hidden]."""
    o = make.options
    with v1.variable_scope("embeddings"):
        words = make("word_embeddings", (pieces, o.hidden), 0.05, slices=o.slices)
        types = make("token_type_embeddings", (2, o.hidden), 0.05)
        make("token_type_embeddings_real", (2, o.hidden), 0.05)
        table = make("position_embeddings", (o.positions, o.hidden), 0.05)
        x = tf.reshape(tf.gather(words, tf.reshape(ids, [-1])), [-1, o.max_length, o.hidden])
        type_ids = tf.zeros_like(ids)
        if o.token_types == "one_hot":
            one_hot = tf.one_hot(tf.reshape(type_ids, [-1]), depth=2)
            x += tf.reshape(tf.matmul(one_hot, types), [-1, o.max_length, o.hidden])
        elif o.token_types == "gather":
            x += tf.gather(types, type_ids)
        else:
            x += types[0]
        x += tf.reshape(tf.slice(table, [0, 0], [o.max_length, -1]), [1, o.max_length, o.hidden])
        return layer_norm(x, make)


def encode(ids: tf.Tensor, pieces: int, make: Variables) -> tf.Tensor:
    """Return the embedding [batch, hidden] of packed ids [batch, max_length] int32."""
    o = make.options
    with v1.variable_scope(o.scope):
        x = embeddings(ids, pieces, make)
        mask = tf.cast(tf.not_equal(ids, o.special["[PAD]"]), tf.float32)
        batch = tf.shape(ids)[0]
        to_mask = tf.ones([batch, o.max_length, 1]) * mask[:, tf.newaxis, :]
        bias = (1.0 - to_mask[:, tf.newaxis]) * -10000.0
        with v1.variable_scope("encoder"):
            x = tf.reshape(x, [-1, o.hidden])
            for i in range(o.layers):
                with v1.variable_scope(f"layer_{i}"):
                    x = encoder_layer(x, bias, batch, make)
            x = tf.reshape(x, [batch, o.max_length, o.hidden])
        with v1.variable_scope("pooler"):
            pooled = POOLINGS[o.pooling](x, mask[:, :, tf.newaxis])
            for i in range(o.dense_layers):
                name = f"dense_{i}" if i else "dense"
                pooled = ACTIVATIONS[o.pooler](dense(pooled, o.hidden, make, name, biased=o.dense_bias))
    return tf.nn.l2_normalize(pooled, axis=-1) if o.normalise else pooled


def cut_words(words: tf.Tensor, o: Options) -> tf.Tensor:
    """Return words [n] with each that a cut pattern matches in full split into characters → [m]."""
    if not o.cut_patterns:
        return words
    cut = tf.strings.regex_full_match(words, o.cut_patterns[0])
    for pattern in o.cut_patterns[1:]:
        cut = tf.logical_or(cut, tf.strings.regex_full_match(words, pattern))
    characters = tf.strings.unicode_split(words, "UTF-8")
    if o.cut_select == "where_v1":
        return v1.where(cut, characters, tf.RaggedTensor.from_tensor(words[:, tf.newaxis])).flat_values
    whole = tf.RaggedTensor.from_row_splits(words, tf.range(tf.size(words, out_type=tf.int64) + 1))
    both = tf.concat([characters, whole], axis=0)
    rows = tf.range(tf.size(words, out_type=tf.int64))
    return tf.gather(both, tf.where(cut, rows, rows + tf.size(words, out_type=tf.int64))).flat_values


def token_ids(texts: tf.Tensor, vocabulary: Path, o: Options) -> tf.Tensor:
    """Return packed ids [batch, max_length] int32 of texts [batch] string."""
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        default_value=100,
    )
    wordpiece = tf_text.WordpieceTokenizer(
        table, max_bytes_per_word=o.max_bytes_per_word, token_out_type=tf.int64, unknown_token="[UNK]"
    )
    scripts = tf_text.UnicodeScriptTokenizer()

    def one(text: tf.Tensor) -> tf.Tensor:
        if o.delete_pattern:
            text = tf.strings.regex_replace(text, o.delete_pattern, "")
        words = scripts.tokenize([text]).flat_values if o.batched_text else scripts.tokenize(text)
        pieces = wordpiece.tokenize(cut_words(words, o)).flat_values
        pieces = tf.cast(pieces, tf.int32)[: o.max_length - 2]
        ids = tf.concat([[o.special["[CLS]"]], pieces, [o.special["[SEP]"]]], axis=0)
        padding = [[0, o.max_length - tf.size(ids)]]
        return tf.ensure_shape(tf.pad(ids, padding, constant_values=o.special["[PAD]"]), [o.max_length])

    return tf.map_fn(one, texts, fn_output_signature=tf.TensorSpec([o.max_length], tf.int32))


def build(
    folder: Path, vocabulary: Path, options: Options, variables: Callable[[Options], Variables] = Variables
) -> None:
    """Write a TF1-style SavedModel of `options` over the pieces of `vocabulary` into the absent `folder`."""
    with vocabulary.open("rb") as lines:
        pieces = sum(1 for _ in lines)
    config = v1.ConfigProto(device_count={"CPU": max(options.shards, 1)})
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        make = variables(options)
        texts = v1.placeholder(tf.string, [None], name="source_raw")
        ids = token_ids(texts, vocabulary, options)
        output = tf.identity(encode(ids, pieces, make), name="embedding")
        session.run(v1.global_variables_initializer())
        for variable, value in make.values:
            variable.load(value, session)
        make.values.clear()
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"source_raw": texts}, {"default": output})
        builder.add_meta_graph_and_variables(
            session,
            list(options.tags),
            {"default": signature},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
            strip_default_attrs=True,
        )
        builder.save()


def _arguments() -> Iterator[tuple[str, Any]]:
    """Yield option name and default for every plain field of `Options` beyond the four sizes."""
    for item in fields(Options)[4:]:
        default = getattr(SIZES["mini"], item.name)
        if isinstance(default, (int, float, str)):
            yield item.name, default


def main(words: Sequence[str]) -> None:
    """Run the command on its arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--force", action="store_true", help="replace OUT")
    for item in fields(Options)[:4]:
        parser.add_argument(f"--{item.name}", type=int, help="instead of the size's own")
    for name, default in _arguments():
        kind = (lambda text: text == "true") if isinstance(default, bool) else type(default)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=f"default: {default}")
    arguments = vars(parser.parse_args(words))
    out, size, vocabulary = (arguments.pop(key) for key in ("out", "size", "vocabulary"))
    if arguments.pop("force"):
        shutil.rmtree(out, ignore_errors=True)
    chosen = {key: value for key, value in arguments.items() if value is not None}
    build(out, vocabulary, Options(**{**SIZES[size].__dict__, **chosen}))
    print(f"wrote {out}")
