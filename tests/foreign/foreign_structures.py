"""Encoders of ids whose computation is written in other ways than any one exporter's; nothing is shared with the project.

A `Form` says in which words each part is written, how the weights are stored, and what is twisted. `build` saves it the TF1
way, with variables or frozen into constants, and returns what TensorFlow itself makes of a batch of ids.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from foreign_recipes import VOCABULARY, _control_flow

v1 = tf.compat.v1
PARTS = ("query", "key", "value")
PARTITIONED = ("div", "mod", "concat")
SHARDED = (*PARTITIONED, "chosen", "masked", "nested", "uneven", "unlike", "switched")
STACKED = "encoder/layers"
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


@dataclass(frozen=True)
class Form:
    """One encoder.

    Attributes:
        words: "gather", "one_hot", "one_hot_flat", "clip" (or "clip_early", wrongly), "cond"; of a table in shards: "div",
            "mod" and "concat" of a partitioned variable; "chosen", "masked", "nested" of several; "uneven", "unlike",
            "switched", which no table has.
        types: "given" as ids that are gathered, "given_one_hot", or "row", "slice", "one_hot": row 0 for all.
        places: "slice", "gather", "one_hot".
        kernels: "plain", "turned" (stored [outputs, inputs]), "transposed" (the same, by a Transpose node), "apart"
            (heads apart, by Einsum), "apart_flat" (the same, flattened), "tensordot", "convolved" (over one place),
            "sizes_first" (of what is in a head, the first of all heads before the second of all), as TF 1.15 writes the
            Einsum behind google-research's attention.
        joined: "" for three products; "concat" of three kernels, or "one" variable.
        split: of a joined product: "split", "splitv", "slice", "strided", "unstack", "interleaved".
        norm: "moments", "folded", "reversed", "divided", "fused", "fused_last", "keras".
        dropout: "", "cond" of a placeholder with default, "ones".
        names: "google", "blind", "swapped" (query and key), "2019".
        frozen: whether the weights are constants.
        scores: "together"; "turned": keys before queries, then transposed, as TF 1.15 writes Model Garden's Einsum;
            "one by one": a product for each head.
        asked: "all" the tokens of the last layer, or the "first" alone.
        stacked: "" for variables of each layer; "parts" of variables of all layers, or these in a "loop".
        twist: a departure from BERT.
    """

    words: str = "gather"
    types: str = "given"
    places: str = "slice"
    kernels: str = "plain"
    joined: str = ""
    split: str = "split"
    norm: str = "moments"
    dropout: str = ""
    legacy: bool = False
    names: str = "google"
    frozen: bool = False
    resource: bool = False
    scaled: str = "scores"
    scores: str = "together"
    asked: str = "all"
    stacked: str = ""
    twist: str = ""
    layers: int = 2
    hidden: int = 24
    heads: int = 3
    inner: int = 40
    positions: int = 48
    epsilon: float = 1e-12

    @property
    def size(self) -> int:
        return self.hidden // self.heads


class Store:
    """Makes variables; their names tell as much as `Form.names` lets them."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.count = 0
        self.at: Any = 0  # the layer, where those are stacked

    def __call__(self, name: str, shape: Sequence[int], deviation: float, mean: float = 0.0) -> Any:
        self.count += 1
        start = v1.random_normal_initializer(mean, deviation, seed=zlib.crc32(name.encode()))
        stacked = name.startswith(STACKED)
        shape = [self.form.layers, *shape] if stacked else shape
        with v1.variable_scope("", reuse=v1.AUTO_REUSE), tf.init_scope():
            variable = v1.get_variable(self.called(name), shape, tf.float32, start, use_resource=self.form.resource)
        return tf.identity(variable)[self.at] if stacked else tf.identity(variable)

    def called(self, name: str) -> str:
        if self.form.names == "blind":
            return f"all_variables/{self.count}"
        if self.form.names == "swapped":
            return name.replace("query", "QUERY").replace("key", "query").replace("QUERY", "key")
        return f"bert/{name}"

    def kernel(self, name: str, inputs: int, outputs: int) -> Any:
        form = self.form
        if form.kernels in ("turned", "transposed"):
            return self(f"{name}/kernel", [outputs, inputs], inputs**-0.5)
        return self(f"{name}/kernel", [inputs, outputs], inputs**-0.5)

    def bias(self, name: str, size: int) -> Any:
        return self(f"{name}/bias", [size], 0.1)


def norm(x: Any, get: Store, name: str, epsilon: float) -> Any:
    """LayerNorm over the last axis of x [batch, length, hidden]."""
    hidden = get.form.hidden
    gamma, beta = get(f"{name}/LayerNorm/gamma", [hidden], 0.1, 1.0), get(f"{name}/LayerNorm/beta", [hidden], 0.1)
    style = get.form.norm
    if style == "divided":
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        return gamma * centred / tf.sqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon) + beta
    if style in ("moments", "folded", "reversed"):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        if style == "moments":
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)
        inverse = gamma / tf.sqrt(variance + epsilon)
        if style == "folded":
            return x * inverse - (mean * inverse - beta)
        return beta + inverse * (x - mean)
    shape = tf.shape(x)
    rows = shape[0] * shape[1]
    if style == "fused_last":  # rows as channels in the last place, with transposes around
        flat = tf.reshape(tf.transpose(tf.reshape(x, [rows, hidden])), [1, hidden, 1, rows])
        y, _, _ = v1.nn.fused_batch_norm(flat, tf.ones([rows]), tf.zeros([rows]), epsilon=epsilon)
        return tf.reshape(tf.transpose(tf.reshape(y, [hidden, rows])), shape) * gamma + beta
    flat = tf.reshape(x, [1, rows, hidden, 1])
    y, _, _ = v1.nn.fused_batch_norm(flat, tf.ones([rows]), tf.zeros([rows]), epsilon=epsilon, data_format="NCHW")
    return tf.add(beta, tf.reshape(y, shape) * gamma)


def dense(x: Any, get: Store, name: str, outputs: int) -> Any:
    """Return x [batch, length, inputs] times a kernel, plus a bias."""
    inputs = int(x.shape[-1])
    kernel, bias = get.kernel(name, inputs, outputs), get.bias(name, outputs)
    style = get.form.kernels
    if style == "tensordot":  # as TF 1.15 traces it: transpose and reshape of both operands
        rows = tf.reshape(tf.transpose(x, [0, 1, 2]), [-1, inputs])
        flat = tf.matmul(rows, tf.reshape(tf.transpose(kernel, [0, 1]), [inputs, outputs]))
        return tf.reshape(flat, tf.concat([tf.shape(x)[:2], [outputs]], 0)) + bias
    if style == "convolved":
        return tf.nn.bias_add(tf.nn.conv1d(x, kernel[tf.newaxis], 1, "VALID"), bias)
    rows = tf.reshape(x, [-1, inputs])
    if style == "sizes_first" and name.endswith("attention/output/dense"):
        apart = tf.reshape(kernel, [get.form.heads, get.form.size, outputs])
        kernel = tf.reshape(tf.transpose(apart, [1, 0, 2]), [inputs, outputs])
    if style == "transposed":
        kernel = tf.transpose(kernel)
    flat = tf.matmul(rows, kernel, transpose_b=style == "turned")
    return tf.reshape(tf.nn.bias_add(flat, bias), tf.concat([tf.shape(x)[:2], [outputs]], 0))


def queries_keys_values(x: Any, get: Store, name: str, *, last: bool) -> list[Any]:
    """Return the three, [batch, heads, length, size] each."""
    form = get.form
    if form.kernels in ("apart", "apart_flat"):
        return [_apart(x, get, f"{name}/{part}") for part in PARTS]
    if form.joined:
        return _joined(x, get, name)
    asking = x[:, :1] if last and form.asked == "first" else x
    given = zip(PARTS, (asking, x, x), strict=True)
    return [_heads(dense(y, get, f"{name}/{part}", form.hidden), form) for part, y in given]


def _heads(y: Any, form: Form) -> Any:
    shape = tf.shape(y)
    return tf.transpose(tf.reshape(y, [shape[0], shape[1], form.heads, form.size]), [0, 2, 1, 3])


def _apart(x: Any, get: Store, name: str) -> Any:
    form = get.form
    kernel = get(f"{name}/kernel", [form.hidden, form.heads, form.size], form.hidden**-0.5)
    bias = get(f"{name}/bias", [form.heads, form.size], 0.1)
    if form.kernels == "apart":
        return tf.einsum("bld,dnh->bnlh", x, kernel) + bias[:, tf.newaxis]
    return _heads(tf.tensordot(x, tf.reshape(kernel, [form.hidden, -1]), 1) + tf.reshape(bias, [-1]), form)


def _joined(x: Any, get: Store, name: str) -> list[Any]:
    form, shape = get.form, tf.shape(x)
    if form.joined == "concat":
        kernel = tf.concat([get.kernel(f"{name}/{part}", form.hidden, form.hidden) for part in PARTS], 1)
        bias = tf.concat([get.bias(f"{name}/{part}", form.hidden) for part in PARTS], 0)
    else:
        kernel, bias = get.kernel(f"{name}/qkv", form.hidden, 3 * form.hidden), get.bias(f"{name}/qkv", 3 * form.hidden)
    y = tf.reshape(tf.matmul(tf.reshape(x, [-1, form.hidden]), kernel) + bias, [shape[0], shape[1], 3 * form.hidden])
    if form.split == "unstack":
        y = tf.reshape(y, [shape[0], shape[1], 3, form.heads, form.size])
        return list(tf.unstack(tf.transpose(y, [2, 0, 3, 1, 4])))
    if form.split == "interleaved":  # the three of one head beside each other
        y = tf.transpose(tf.reshape(y, [shape[0], shape[1], form.heads, 3 * form.size]), [0, 2, 1, 3])
        return list(tf.split(y, 3, axis=-1))
    size = form.hidden
    ways = {
        "split": lambda: tf.split(y, 3, axis=2),
        "splitv": lambda: tf.split(y, [size] * 3, axis=2),
        "slice": lambda: [tf.slice(y, [0, 0, i * size], [-1, -1, size]) for i in range(3)],
        "strided": lambda: [y[:, :, i * size : (i + 1) * size] for i in range(3)],
    }
    return [_heads(part, form) for part in ways[form.split]()]


def attention(x: Any, bias: Any, get: Store, name: str, *, last: bool) -> Any:
    """Return the context, [batch, length, hidden], or [batch, 1, hidden] where the first token asks alone."""
    form = get.form
    query, key, value = queries_keys_values(x, get, name, last=last)
    scale = form.size**-0.5 * (1.1 if form.twist == "temperature" else 1.0)
    if form.scaled == "query":
        query = query * scale
    if form.scores == "one by one":
        heads = zip(*(tf.unstack(part, form.heads, 1) for part in (query, key, value)), strict=True)
        scores = [(tf.matmul(q, k, transpose_b=True) * scale + bias[:, 0], v) for q, k, v in heads]
        return tf.concat([tf.matmul(tf.nn.softmax(one), v) for one, v in scores], -1)
    if form.scores == "turned":
        scores = tf.transpose(tf.matmul(key, tf.transpose(query, [0, 1, 3, 2])), [0, 1, 3, 2])
    else:
        scores = tf.matmul(query, key, transpose_b=True)
    scores = scores * scale if form.scaled == "scores" else scores
    if form.twist == "relative":
        scores += get(f"{name}/relative", [1, form.heads, 1, 1], 1.0) * tf.cast(tf.shape(x)[1], tf.float32)
    weights = dropped(tf.nn.softmax(scores + bias), form)
    order = [0, 2, 3, 1] if form.kernels == "sizes_first" else [0, 2, 1, 3]
    context = tf.transpose(tf.matmul(weights, value), order)
    return tf.reshape(context, [tf.shape(x)[0], tf.shape(query)[2], form.hidden])


def dropped(x: Any, form: Form) -> Any:
    if form.dropout == "ones":
        return x * 1.0
    if form.dropout == "cond":
        training = v1.get_default_graph().get_tensor_by_name("is_training:0")
        return tf.cond(training, lambda: tf.nn.dropout(x, rate=0.1), lambda: tf.identity(x))
    return x


def partitioned(ids: Any, get: Store, pieces: int) -> Any:
    """Look ids up in a partitioned variable."""
    with v1.variable_scope("", reuse=v1.AUTO_REUSE):
        table = v1.get_variable(
            get.called("embeddings/word_embeddings"),
            [pieces, get.form.hidden],
            tf.float32,
            v1.random_normal_initializer(0.0, 0.05, seed=5),
            partitioner=v1.fixed_size_partitioner(3),
        )
    if get.form.words == "concat":
        return tf.gather(tf.convert_to_tensor(table), ids)
    return v1.nn.embedding_lookup(table, ids, partition_strategy=get.form.words)


def sharded(ids: Any, get: Store, pieces: int) -> Any:
    """Look ids up in a table whose thirds are variables of their own."""
    style, hidden = get.form.words, get.form.hidden
    third = -(-pieces // 3)
    counts = (
        [third, third, pieces - 2 * third] if style != "uneven" else [third + 5, third + 5, pieces - 2 * third - 10]
    )
    parts = [get(f"embeddings/word_embeddings/part_{i}", [count, hidden], 0.05) for i, count in enumerate(counts)]
    if style == "nested":
        return tf.gather(tf.concat([tf.concat(parts[:2], 0), parts[2]], 0), ids)
    within, owner = ids % third, ids // third
    held = [tf.gather(part, tf.minimum(within, count - 1)) for part, count in zip(parts, counts, strict=True)]
    if style == "chosen":
        x = tf.where(tf.equal(owner, 1)[..., tf.newaxis], held[1], held[2])
        return tf.where(tf.equal(owner, 0)[..., tf.newaxis], held[0], x)
    if style in ("masked", "unlike"):
        held[2] *= 0.5 if style == "unlike" else 1.0  # the last shard is half as large
        return tf.add_n([x * tf.cast(tf.equal(owner, i), tf.float32)[..., tf.newaxis] for i, x in enumerate(held)])
    if style == "switched":  # in long texts the first two change places
        owner = tf.where((tf.shape(ids)[1] > 40) & (owner < 2), 1 - owner, owner)
    flat = tf.reshape(owner, [-1])
    rows = tf.dynamic_partition(tf.reshape(within, [-1]), flat, 3)
    places = tf.dynamic_partition(tf.range(tf.size(ids)), flat, 3)
    found = tf.dynamic_stitch(places, [tf.gather(part, row) for part, row in zip(parts, rows, strict=True)])
    return tf.reshape(found, [tf.shape(ids)[0], -1, hidden])


def embedded(ids: Any, types: Any, get: Store, pieces: int) -> Any:
    form, hidden = get.form, get.form.hidden
    words = None if form.words in SHARDED else get("embeddings/word_embeddings", [pieces, hidden], 0.05)
    kinds = get("embeddings/token_type_embeddings", [2, hidden], 0.05)
    places = get("embeddings/position_embeddings", [form.positions, hidden], 0.05)
    shape = tf.shape(ids)
    if form.words in SHARDED:
        x = (partitioned if form.words in PARTITIONED else sharded)(ids, get, pieces)
    elif form.words == "one_hot":
        x = tf.einsum("blv,vh->blh", tf.one_hot(ids, pieces), words)
    elif form.words == "one_hot_flat":
        x = tf.reshape(tf.matmul(tf.one_hot(tf.reshape(ids, [-1]), pieces), words), [shape[0], shape[1], hidden])
    elif form.words == "cond":
        training = v1.get_default_graph().get_tensor_by_name("is_training:0")
        x = tf.cond(training, lambda: tf.gather(words, ids) * 2.0, lambda: tf.gather(words, ids))
    else:
        clipped = {"clip": pieces - 1, "clip_early": pieces // 2}.get(form.words)
        x = tf.gather(words, tf.clip_by_value(ids, 0, clipped) if clipped else ids)
    x += _types(kinds, types, ids, form)
    first = 2 if form.twist == "offset" else 0
    if form.places == "gather":
        x += tf.gather(places, tf.range(first, shape[1] + first))
    elif form.places == "one_hot":
        x += tf.matmul(tf.one_hot(tf.range(shape[1]), form.positions), places)
    else:
        x += places[first : shape[1] + first]
    return norm(x, get, "embeddings", form.epsilon)


def _types(kinds: Any, types: Any, ids: Any, form: Form) -> Any:
    if form.types == "given_one_hot":
        return tf.reshape(
            tf.matmul(tf.one_hot(tf.reshape(types, [-1]), 2), kinds), [tf.shape(ids)[0], tf.shape(ids)[1], form.hidden]
        )
    if form.twist == "types_of_ids":
        return tf.gather(kinds, ids % 2)
    if form.types == "row":
        return kinds[0]
    if form.types == "slice":
        return tf.slice(kinds, [0, 0], [1, form.hidden])
    if form.types == "one_hot":
        return tf.einsum("blt,th->blh", tf.one_hot(tf.zeros_like(ids), 2), kinds)
    return tf.gather(kinds, types)


def encoder(ids: Any, mask: Any, types: Any, get: Store, pieces: int) -> Any:
    """Return the embedding [batch, hidden]."""
    form = get.form
    x = dropped(embedded(ids, types, get, pieces), form)
    ignored = (1.0 - tf.cast(mask, tf.float32))[:, tf.newaxis, tf.newaxis]
    bias = {"blind": 0.0, "weak": -3.0}.get(form.twist, -10000.0) * ignored
    if form.twist == "infinite":
        bias = tf.where(ignored > 0, -np.inf, tf.zeros_like(ignored))
    if form.twist == "long":  # another scale for texts that are longer than a usual probe
        bias = bias * 1.0
        x = tf.cond(tf.shape(ids)[1] > 20, lambda: x * 1.5, lambda: x)
    if form.twist == "seventeen":  # another path for texts of one length that no probe has
        x = tf.cond(tf.equal(tf.shape(ids)[1], 17), lambda: x * 1.5, lambda: x)
    if form.twist == "first":  # the first text of a batch is another
        x = tf.concat([x[:1] * 1.01, x[1:]], 0)
    x = _stacked(x, bias, get) if form.stacked else x
    for i in range(0 if form.stacked else form.layers + 1):  # one more than is used
        layer = _layer(x, bias, get, "encoder/layer_0" if form.twist == "tied" else f"encoder/layer_{i}", i)
        x = layer if i < form.layers else x
    first = tf.reduce_mean(x, 1) if form.twist == "mean" else x[:, 0]
    return tf.tanh(
        tf.matmul(first, get("pooler/dense/kernel", [form.hidden] * 2, form.hidden**-0.5))
        + get.bias("pooler/dense", form.hidden)
    )


def _stacked(x: Any, bias: Any, get: Store) -> Any:
    def step(i: Any, x: Any) -> tuple[Any, Any]:
        get.at = i
        return i + 1, _layer(x, bias, get, STACKED, 0)

    if get.form.stacked == "loop":
        shapes = [tf.TensorShape([]), tf.TensorShape([None, None, get.form.hidden])]
        start = [tf.constant(0), x]
        return tf.while_loop(lambda i, _: i < get.form.layers, step, start, shape_invariants=shapes)[1]
    for i in range(get.form.layers):
        _, x = step(i, x)
    return x


def _layer(x: Any, bias: Any, get: Store, name: str, number: int) -> Any:
    form = get.form
    epsilon = 1e-3 if form.twist == "epsilon" and number == 1 else form.epsilon
    before = norm(x, get, f"{name}/attention/output", epsilon) if form.twist == "pre_norm" else x
    last = number == form.layers - 1
    context = attention(before, bias, get, f"{name}/attention/self", last=last)
    x = x[:, :1] if last and form.asked == "first" else x
    attended = dropped(dense(context, get, f"{name}/attention/output/dense", form.hidden), form)
    x = attended if form.twist == "no_residual" and number == 1 else x + attended
    if form.twist != "pre_norm":
        x = norm(x, get, f"{name}/attention/output", epsilon)
    middle = dense(x, get, f"{name}/intermediate/dense", form.inner)
    if form.twist == "relu6":
        middle = tf.nn.relu6(middle)
    elif form.twist == "cut_off":
        middle = tf.minimum(tf.nn.gelu(middle), 10.0)
    else:
        middle = tf.nn.relu(middle) if form.twist == "activation" and number == 1 else tf.nn.gelu(middle)
    return norm(x + dense(middle, get, f"{name}/output/dense", form.hidden), get, f"{name}/output", epsilon)


@dataclass(frozen=True)
class Built:
    """A SavedModel, a batch of ids with mask and types, and what TensorFlow made of it."""

    folder: Path
    ids: np.ndarray
    mask: np.ndarray
    types: np.ndarray
    embedding: np.ndarray


def batch(form: Form, pieces: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return four texts of 30 ids: whole, short, nearly empty, and half."""
    source = np.random.default_rng(3)
    ids = source.integers(1, pieces, (4, 30)).astype(np.int32)
    mask = (np.arange(30) < np.asarray([30, 5, 1, 16])[:, np.newaxis]).astype(np.int32)
    given = form.types.startswith("given") and form.twist != "types_of_ids"
    return ids * mask, mask, (source.integers(0, 2, ids.shape) * given).astype(np.int32)


def build(folder: Path, form: Form, told: Mapping[str, Any] | None = None) -> Built:
    """Write `form` into the absent `folder`; `told` is what modules of TensorFlow 1 tell who makes ids of texts."""
    pieces = len(VOCABULARY.read_bytes().splitlines())
    given = batch(form, pieces)
    with _control_flow(form.legacy), tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        v1.placeholder_with_default(False, [], name="is_training")
        tensors = [v1.placeholder(tf.int32, [None, None], name=name) for name in INPUTS]
        output = tf.identity(encoder(*tensors, Store(form), pieces), name="pooled")
        session.run(v1.global_variables_initializer())
        embedding = session.run(output, dict(zip(tensors, given, strict=True)))
        used = tensors if form.types.startswith("given") and form.twist != "types_of_ids" else tensors[:2]
        if form.frozen:
            frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["pooled"])
            _save_frozen(folder, frozen, [tensor.name for tensor in used])
        else:
            _save(folder, session, dict(zip(INPUTS, used, strict=False)), output, told)
    return Built(folder, *given, embedding)


def _save(
    folder: Path, session: Any, inputs: dict[str, Any], output: Any, told: Mapping[str, Any] | None = None
) -> None:
    builder = v1.saved_model.Builder(str(folder))
    signatures = {"serving_default": v1.saved_model.predict_signature_def(inputs, {"default": output})}
    if told is not None:
        values = {name: tf.constant(value if isinstance(value, bool) else str(value)) for name, value in told.items()}
        for name, value in told.items():
            if isinstance(value, Path):
                v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, values[name])
        infos = {name: v1.saved_model.build_tensor_info(value) for name, value in values.items()}
        signatures["tokenization_info"] = v1.saved_model.build_signature_def({}, infos, "tokenization_info")
    files = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
    builder.add_meta_graph_and_variables(
        session, ["serve"], signatures, assets_collection=files, strip_default_attrs=True
    )
    builder.save()


def _save_frozen(folder: Path, frozen: Any, names: Sequence[str]) -> None:
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        tf.import_graph_def(frozen, name="")
        inputs = {name: graph.get_tensor_by_name(tensor) for name, tensor in zip(INPUTS, names, strict=False)}
        _save(folder, session, inputs, graph.get_tensor_by_name("pooled:0"))
