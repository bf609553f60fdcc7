"""Encoders of the facts page by other schools: tutorials, JAX, Tensor2Tensor, Keras, those who came from PyTorch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import LENGTH, World, drawn, pieces, v2
from zoo_encoders import HEADS, HIDDEN, INTERMEDIATE, LAYERS, SIZE, Encoder

PARTS = ("query", "key", "value")


# -- kernels in other places


def dense_left(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The kernel is on the left: transpose(W^T x^T)."""
    flat = v2.reshape(x, [-1, inputs])
    y = v2.transpose(v2.matmul(z.kernel(w, name, inputs, outputs), flat, transpose_a=True, transpose_b=True))
    return v2.reshape(y + z.bias(w, name, outputs), v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_columns(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """As PyTorch keeps them, [outputs, inputs], on the left of columns; the bias is a column."""
    stored = w.weight(name + "/weight", drawn(name + "/kernel", inputs, outputs).T)
    columns = v2.linalg.matrix_transpose(v2.reshape(x, [-1, inputs]))
    y = v2.matmul(stored, columns) + z.bias(w, name, outputs)[:, None]
    return v2.reshape(v2.linalg.matrix_transpose(y), v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_left_batched(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """einsum with the kernel first and the hidden axis before the places."""
    if len(x.shape) == 2:
        return v2.transpose(v2.einsum("io,bi->ob", z.kernel(w, name, inputs, outputs), x)) + z.bias(w, name, outputs)
    y = v2.einsum("io,bli->bol", z.kernel(w, name, inputs, outputs), x)
    return v2.transpose(y, [0, 2, 1]) + z.bias(w, name, outputs)


def dense_transposed_in_graph(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    stored = w.weight(name + "/weight", drawn(name + "/kernel", inputs, outputs).T)
    return v2.tensordot(x, v2.transpose(stored), [[len(x.shape) - 1], [0]]) + z.bias(w, name, outputs)


def dense_bias_row(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The same variable, taken apart."""
    both = np.concatenate([drawn(name + "/kernel", inputs, outputs), drawn(name + "/bias", outputs)[None]])
    kept = w.weight(name + "/kernel_and_bias", both)
    return v2.tensordot(x, kept[:-1], 1) + kept[-1]


def dense_half_stored(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Kernels are rounded to half precision by whoever saved them, and computed with as float32."""
    k = w.weight(name + "/kernel", drawn(name + "/kernel", inputs, outputs).astype(np.float16))
    return v2.tensordot(x, v2.cast(v2.cast(k, v2.float32), v2.float32), 1) + z.bias(w, name, outputs)


# -- norms


def norm_deviation(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    return centred / v2.sqrt(v2.square(v2.math.reduce_std(x, -1, keepdims=True)) + 1e-12) * gamma + beta


def norm_products(x: Any, w: World, name: str) -> Any:
    """Means are products with a vector of 1/n."""
    gamma, beta = z._scales(w, name)
    ones = v2.fill([HIDDEN, 1], 1.0 / HIDDEN)
    mean = v2.tensordot(x, ones, 1)
    variance = v2.tensordot((x - mean) ** 2, ones, 1)
    return v2.math.rsqrt(variance + 1e-12) * (x - mean) * gamma + beta


def norm_of_two(x: Any, w: World, name: str) -> Any:
    """gamma and beta are rows of one variable."""
    gamma, beta = (drawn(f"{name}/LayerNorm/{part}", HIDDEN) for part in ("gamma", "beta"))
    scales = w.weight(name + "/LayerNorm/scales", np.stack([gamma, beta]))
    gamma, beta = v2.unstack(scales)
    mean, variance = v2.nn.moments(x, -1, keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)


# -- activations


def gelu_in_graph(x: Any) -> Any:
    """Constants are computed by the graph."""
    near = v2.sqrt(v2.constant(2.0) / v2.constant(np.pi, v2.float32))
    return v2.multiply(v2.multiply(0.5, x), 1.0 + v2.tanh(near * x * (1.0 + 0.044715 * v2.square(x))))


def gelu_custom(x: Any) -> Any:
    """With a gradient of its own, as swish has it."""

    @v2.custom_gradient
    def function(y: Any) -> Any:
        return z.gelu(y), lambda upstream: upstream

    return function(x)


def gelu_powers(x: Any) -> Any:
    """tanh by exponentials that cannot overflow."""
    u = z.NEAR * (x + 0.044715 * x * x * x)
    e = v2.exp(-2.0 * v2.abs(u))
    return 0.5 * x * (1.0 + v2.sign(u) * (1.0 - e) / (1.0 + e))


# -- embeddings


def words_flat(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    found = v2.gather_nd(table, v2.reshape(ids, [-1, 1]))
    return v2.reshape(found, [-1, v2.shape(ids)[1], HIDDEN])


def words_unique(ids: Any, w: World) -> Any:
    """Each different id is looked up once."""
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    different, places = v2.unique(v2.reshape(ids, [-1]))
    found = v2.gather(v2.gather(table, different), places)
    return v2.reshape(found, [-1, v2.shape(ids)[1], HIDDEN])


def embeddings_by_product(ids: Any, w: World, e: Encoder) -> Any:
    """Everything is one-hot, in a concatenation whose product is the sum."""
    found = v2.einsum("blt,th->blh", v2.one_hot(v2.zeros_like(ids), 2), z._types(w))
    places = v2.einsum("lp,ph->lh", v2.one_hot(v2.range(v2.shape(ids)[1]), 512), z._positions(w))
    return e.norm(v2.expand_dims(places, 0) + found + e.words(ids, w), w, "embeddings")


# -- attention


def attention_tutorial(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """TensorFlow's tutorial on the Transformer: the scale is computed from the shape."""
    batch = v2.shape(x)[0]

    def split_heads(y: Any) -> Any:
        return v2.transpose(v2.reshape(y, (batch, -1, HEADS, SIZE)), perm=[0, 2, 1, 3])

    q, k, value = (split_heads(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN)) for part in PARTS)
    logits = v2.matmul(q, k, transpose_b=True) / v2.math.sqrt(v2.cast(v2.shape(k)[-1], v2.float32))
    logits += v2.cast(v2.less(bias, -1.0), v2.float32) * -1e9
    found = v2.transpose(v2.matmul(v2.nn.softmax(logits, axis=-1), value), perm=[0, 2, 1, 3])
    return v2.reshape(found, (batch, -1, HIDDEN))


def attention_stacked(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Heads by split and stack, joined by unstack and concat."""
    q, k, value = (
        v2.stack(v2.split(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN), HEADS, axis=2), axis=1)
        for part in PARTS
    )
    scores = v2.einsum("nhqd,nhkd->nhqk", q, k) * SIZE**-0.5 + bias
    weights = v2.exp(scores - v2.reduce_logsumexp(scores, -1, keepdims=True))
    return v2.concat(v2.unstack(v2.einsum("nhqk,nhkd->nhqd", weights, value), axis=1), axis=-1)


def attention_query_scaled(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """fairseq's: heads are in the batch, the query is scaled before its bias is... after it, and time comes first."""
    length = v2.shape(x)[1]
    time_first = v2.transpose(x, [1, 0, 2])

    def fold(part: str) -> Any:
        y = e.dense(time_first, w, f"{name}/self/{part}", HIDDEN, HIDDEN)
        y = y * SIZE**-0.5 if part == "query" else y
        return v2.transpose(v2.reshape(y, [length, -1, SIZE]), [1, 0, 2])

    q, k, value = map(fold, PARTS)
    scores = v2.reshape(v2.matmul(q, k, transpose_b=True), [-1, HEADS, length, length]) + bias
    found = v2.matmul(v2.reshape(v2.nn.softmax(scores), [-1, length, length]), value)
    found = v2.reshape(v2.transpose(found, [1, 0, 2]), [length, -1, HIDDEN])
    return v2.transpose(found, [1, 0, 2])


def attention_raw(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """As jax2tf writes it: raw operations, everything broadcast, the maximum stopped."""
    raw = v2.raw_ops

    def heads(part: str) -> Any:
        k, b = z._weights_by_head(w, name, part)
        y = raw.Einsum(inputs=[x, k], equation="bld,dhs->blhs")
        return raw.AddV2(
            x=y, y=raw.BroadcastTo(input=raw.Reshape(tensor=b, shape=[1, 1, HEADS, SIZE]), shape=v2.shape(y))
        )

    query, key, value = map(heads, PARTS)
    query = raw.Mul(x=query, y=raw.BroadcastTo(input=v2.constant(SIZE**-0.5), shape=v2.shape(query)))
    scores = raw.Einsum(inputs=[query, key], equation="bqhs,bkhs->bhqk")
    scores = raw.AddV2(x=scores, y=raw.BroadcastTo(input=bias, shape=v2.shape(scores)))
    most = raw.StopGradient(input=raw.Max(input=scores, axis=[3], keep_dims=False))
    most = raw.Maximum(x=v2.constant(-np.inf), y=most)
    powers = raw.Exp(x=raw.Sub(x=scores, y=raw.ExpandDims(input=most, axis=3)))
    total = raw.Reshape(tensor=raw.Sum(input=powers, axis=[3]), shape=v2.concat([v2.shape(powers)[:3], [1]], 0))
    shares = raw.RealDiv(x=powers, y=raw.BroadcastTo(input=total, shape=v2.shape(powers)))
    found = raw.Einsum(inputs=[value, shares], equation="bkhs,bhqk->bhsq")
    return raw.Reshape(tensor=raw.Transpose(x=found, perm=[0, 3, 1, 2]), shape=v2.shape(x))


def mask_both(ids: Any) -> Any:
    """A place that is padding neither sees nor is seen."""
    kept = v2.cast(v2.not_equal(ids, 0), v2.float32)
    return (1.0 - v2.einsum("bf,bt->bft", kept, kept))[:, None] * -10000.0


def mask_of_lengths(ids: Any) -> Any:
    place = v2.range(v2.shape(ids)[1])[None]
    last = v2.reduce_max(place * v2.cast(v2.not_equal(ids, 0), v2.int32), 1, keepdims=True)
    return v2.where(place > last, -10000.0, v2.zeros([]))[:, None, None]


# -- layers


def layer_without_padding(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """Tensor2Tensor's pad remover: the feed-forward part sees only what is no padding."""
    name = f"encoder/layer_{i}"
    kept = v2.reshape(bias, [-1]) > -1.0
    places = v2.where(kept)
    found = e.dense(
        e.attention(x, bias, w, e, name + "/attention"), w, name + "/attention/output/dense", HIDDEN, HIDDEN
    )
    x = e.norm(x + found, w, name + "/attention/output")
    flat = v2.gather_nd(v2.reshape(x, [-1, HIDDEN]), places)
    middle = e.activation(e.dense(flat, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    back = e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN)
    back = v2.reshape(v2.scatter_nd(places, back, v2.shape(v2.reshape(x, [-1, HIDDEN]), v2.int64)), v2.shape(x))
    return e.norm(x + back, w, name + "/output")


def layers_unstacked(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """Weights of all layers are one variable of each kind, read by numbers."""
    inner = World()

    def weight(i: int, name: str, value: Any) -> Any:
        others = [name.replace("layer_0/", f"layer_{j}/") for j in range(LAYERS)]
        stacked = w.weight(name.replace("layer_0/", "layers/"), np.stack([drawn(o, *value.shape) for o in others]))
        return stacked[i]

    for i in range(LAYERS):
        inner.weight = partial(weight, i)  # type: ignore[method-assign]
        x = e.layer(x, bias, inner, e, 0)
    return x


def layers_compiled(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    for i in range(LAYERS):
        x = v2.function(lambda x, bias, i=i: e.layer(x, bias, w, e, i), jit_compile=True)(x, bias)
    return x


def vectorized(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    def one(pair: Any) -> Any:
        return z.all_layers(pair[0][None], pair[1][None], w, e)[0]

    return v2.vectorized_map(one, (x, bias))


# -- ends


class Ends(Encoder):
    """The pooler sees all tokens; the first of them is taken last."""

    def __call__(self, ids: Any, w: World) -> Any:
        x = self.layers(self.embeddings(ids, w, self), self.mask(ids), w, self)
        return self.first(self.unit(self.pooler(self.dense(x, w, "pooler/dense", HIDDEN, HIDDEN))))


def unit_library(x: Any) -> Any:
    return v2.linalg.normalize(x, axis=-1)[0]


def unit_epsilon_inside(x: Any) -> Any:
    return x / v2.sqrt(v2.einsum("bh,bh->b", x, x)[:, None] + 1e-12)


def unit_clipped(x: Any) -> Any:
    return x / v2.clip_by_value(v2.norm(x, axis=1, keepdims=True), 1e-6, 1e6)


def first_strided(x: Any) -> Any:
    return v2.reshape(v2.strided_slice(x, [0, 0, 0], [0, 1, HIDDEN], [1, 1, 1], begin_mask=5, end_mask=5), [-1, HIDDEN])


def first_unstacked(x: Any) -> Any:
    return v2.unstack(v2.ensure_shape(x, [None, LENGTH, HIDDEN]), axis=1)[0]


def first_nd(x: Any) -> Any:
    rows = v2.range(v2.shape(x)[0])
    return v2.gather_nd(x, v2.stack([rows, v2.zeros_like(rows)], 1))


class LeftPooler(Encoder):
    """matvec: one text's row at a time is a column."""

    def __call__(self, ids: Any, w: World) -> Any:
        x = self.first(self.layers(self.embeddings(ids, w, self), self.mask(ids), w, self))
        y = v2.linalg.matvec(z.kernel(w, "pooler/dense", HIDDEN, HIDDEN), x, transpose_a=True)
        return self.unit(self.pooler(v2.nn.bias_add(y, z.bias(w, "pooler/dense", HIDDEN))))


SCHOOLS: dict[str, Encoder] = {
    "left": Encoder(dense=dense_left),
    "columns": Encoder(dense=dense_columns, first=first_nd),
    "left-batched": Encoder(dense=dense_left_batched),
    "transposed-in-graph": Encoder(dense=dense_transposed_in_graph, words=words_flat),
    "bias-row": Encoder(dense=dense_bias_row),
    "half-stored": Encoder(dense=dense_half_stored),
    "norm-deviation": Encoder(norm=norm_deviation, activation=gelu_in_graph, pooler=gelu_in_graph),
    "unique": Encoder(words=words_unique),
    "norm-products": Encoder(norm=norm_products, unit=unit_library),
    "norm-of-two": Encoder(norm=norm_of_two, unit=unit_epsilon_inside),
    "gelu-custom": Encoder(activation=gelu_custom, pooler=gelu_custom, unit=unit_clipped),
    "gelu-powers": Encoder(activation=gelu_powers, pooler=gelu_powers, first=first_strided),
    "by-product": Encoder(embeddings=embeddings_by_product, words=z.words_one_hot),
    "tutorial": Encoder(attention=attention_tutorial, dense=z.dense_tensordot),
    "stacked": Encoder(attention=attention_stacked, mask=mask_of_lengths),
    "time-first": Encoder(attention=attention_query_scaled, first=first_unstacked),
    "raw": Encoder(attention=attention_raw),
    "mask-both": Encoder(mask=mask_both),
    "without-padding": Encoder(layer=layer_without_padding, dense=z.dense_tensordot),
    "layers-unstacked": Encoder(layers=layers_unstacked),
    "compiled": Encoder(layers=layers_compiled),
    "vectorized": Encoder(layers=vectorized, dense=z.dense_tensordot),
    "pooler-of-all": Ends(),
    "pooler-of-all-google": Ends(mask=z.mask_sign, dense=z.dense_tensordot, pooler=z.gelu_cube, activation=z.gelu_cube),
    "left-pooler": LeftPooler(),
}
