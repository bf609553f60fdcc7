"""Encoders as houses of the years write them: Google's research, Model Garden, `tf.layers`, Keras, Tensor2Tensor, Sonnet.

`HOUSES` compute the facts page, each in the habits of one code base from the ids to the unit vector; `OTHER_HOUSES` have one
habit that computes something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import LENGTH, UNK, World, drawn, pieces, v1, v2
from zoo_encoders import HEADS, HIDDEN, INTERMEDIATE, LAYERS, SIZE, Encoder

PARTS = ("query", "key", "value")
ROOT = np.float32(SIZE**0.5)
ROWS = len(pieces())


def _table(w: World) -> Any:
    return w.weight("embeddings/word_embeddings", drawn("word_embeddings", ROWS, HIDDEN))


def _split(y: Any) -> Any:
    return v2.transpose(v2.reshape(y, [-1, LENGTH, HEADS, SIZE]), [0, 2, 1, 3])


def _joined(found: Any) -> Any:
    return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [-1, LENGTH, HIDDEN])


def _kept(ids: Any) -> Any:
    return v2.cast(v2.not_equal(ids, 0), v2.float32)


# -- google-research/bert, 2019: matrices all the way, assertions, an explicit input mask


class Research(Encoder):
    """`modeling.py`: states stay [texts * length, hidden] from layer to layer."""

    def __call__(self, ids: Any, w: World) -> Any:
        lengths = v2.reduce_sum(v2.cast(v2.not_equal(ids, 0), v2.int32), 1)
        input_mask = v2.sequence_mask(lengths, LENGTH, dtype=v2.int32)
        segments = v2.zeros(shape=v2.shape(ids), dtype=v2.int32)
        shape = v2.shape(ids)
        batch, length = shape[0], shape[1]
        found = v2.gather(_table(w), v2.reshape(v2.expand_dims(ids, -1), [-1]))
        found = v2.reshape(found, [batch, length, HIDDEN])
        kinds = v2.matmul(v2.one_hot(v2.reshape(segments, [-1]), depth=2), z._types(w))
        found += v2.reshape(kinds, [batch, length, HIDDEN])
        with v1.control_dependencies([v1.assert_less_equal(length, 512)]):
            places = v2.slice(z._positions(w), [0, 0], [length, -1])
            found += v2.reshape(places, [1, length, HIDDEN])
        states = v2.reshape(self.norm(found, w, "embeddings"), [-1, HIDDEN])
        to = v2.cast(v2.reshape(input_mask, [batch, 1, length]), v2.float32)
        square = v2.ones(shape=v2.stack([batch, length, 1]), dtype=v2.float32) * to
        adder = (1.0 - v2.expand_dims(square, axis=[1])) * -10000.0
        for i in range(LAYERS):
            states = self._layer(states, adder, batch, length, w, f"encoder/layer_{i}")
        first = v2.squeeze(v2.reshape(states, [batch, length, HIDDEN])[:, 0:1, :], axis=1)
        return self.unit(self.pooler(self._dense(first, w, "pooler/dense", HIDDEN, HIDDEN)))

    def _dense(self, x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
        return v2.nn.bias_add(v2.matmul(x, z.kernel(w, name, inputs, outputs)), z.bias(w, name, outputs))

    def _layer(self, x: Any, adder: Any, batch: Any, length: Any, w: World, name: str) -> Any:
        def heads(part: str) -> Any:
            y = self._dense(x, w, f"{name}/attention/self/{part}", HIDDEN, HIDDEN)
            return v2.transpose(v2.reshape(y, v2.stack([batch, length, HEADS, SIZE])), [0, 2, 1, 3])

        query, key, value = map(heads, PARTS)
        scores = v2.multiply(v2.matmul(query, key, transpose_b=True), 1.0 / float(ROOT)) + adder
        found = v2.transpose(v2.matmul(v2.nn.softmax(scores), value), [0, 2, 1, 3])
        found = v2.reshape(found, v2.stack([batch * length, HIDDEN]))
        x = self.norm(
            x + self._dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN), w, name + "/attention/output"
        )
        middle = self.activation(self._dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
        return self.norm(self._dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN) + x, w, name + "/output")


# -- Model Garden


def garden_words(ids: Any, w: World) -> Any:
    """`OnDeviceEmbedding`, its scale factor left out."""
    flat = v2.reshape(ids, [-1])
    found = v2.gather(_table(w), flat)
    return v2.reshape(found, v2.concat([v2.shape(ids), [HIDDEN]], axis=0))


def garden_positions(ids: Any, w: World) -> Any:
    """`PositionEmbedding`: a slice of the table, broadcast to the words."""
    places = z._positions(w)[: v2.shape(ids)[1], :]
    return v2.broadcast_to(places, v2.concat([v2.shape(ids), [HIDDEN]], axis=0))


def garden_types(ids: Any, w: World) -> Any:
    """`OnDeviceEmbedding(use_one_hot=True)` of an explicit input of zeros."""
    hot = v2.one_hot(v2.reshape(v2.fill(v2.shape(ids), 0), [-1]), 2, dtype=v2.float32)
    return v2.reshape(v2.matmul(hot, z._types(w)), v2.concat([v2.shape(ids), [HIDDEN]], axis=0))


def garden_mask(ids: Any) -> Any:
    """`SelfAttentionMask` and `MaskedSoftmax`."""
    to = v2.cast(v2.reshape(v2.cast(ids > 0, v2.int32), [v2.shape(ids)[0], 1, v2.shape(ids)[1]]), v2.float32)
    square = v2.ones(shape=[v2.shape(ids)[0], v2.shape(ids)[1], 1], dtype=v2.float32) * to
    return (1.0 - v2.expand_dims(square, axis=-3)) * -1e9


def _garden_attention(from_: Any, to: Any, bias: Any, w: World, name: str) -> Any:
    """`MultiHeadAttention`: EinsumDense with kernels [hidden, heads, size], the output's kernel [heads, size, hidden]."""

    def projected(x: Any, part: str) -> Any:
        k, b = z._weights_by_head(w, name, part)
        return v2.einsum("abc,cde->abde", x, k) + b

    query = v2.multiply(projected(from_, "query"), 1.0 / float(ROOT))
    scores = v2.einsum("aecd,abcd->acbe", projected(to, "key"), query)
    shares = v2.nn.softmax(scores + bias, axis=-1)
    found = v2.einsum("acbe,aecd->abcd", shares, projected(to, "value"))
    out = name + "/output/dense"
    k = w.weight(out + "/kernel", drawn(out + "/kernel", HIDDEN, HIDDEN).reshape(HEADS, SIZE, HIDDEN))
    return v2.einsum("abcd,cde->abe", found, k) + z.bias(w, out, HIDDEN)


def _einsum_dense(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    return v2.einsum("abc,cd->abd", x, z.kernel(w, name, inputs, outputs)) + z.bias(w, name, outputs)


def garden_layer(places: int | None) -> Callable[..., Any]:
    """`TransformerEncoderBlock`; the last of them gives `places` states (output_range), or all."""

    def layer(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
        name = f"encoder/layer_{i}"
        from_, seen = x, bias
        if places and i == LAYERS - 1:
            from_, seen = x[:, 0:places, :], bias[:, :, 0:places, :]
        found = _garden_attention(from_, x, seen, w, name + "/attention")
        x = e.norm(from_ + found, w, name + "/attention/output")
        middle = e.activation(_einsum_dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
        middle = v2.identity(v2.cast(middle, v2.float32))
        return e.norm(
            v2.cast(_einsum_dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), v2.float32) + x,
            w,
            name + "/output",
        )

    return layer


def garden_packed(ids: Any, w: World, e: Encoder) -> Any:
    """Positions and types are normed with the words in one `Add` of three."""
    return e.norm(v2.add_n([e.words(ids, w), e.positions(ids, w), e.types(ids, w)]), w, "embeddings")


# -- tf.layers of TensorFlow 1


def layers_dense(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """`tf.layers.dense`, which makes its own variables."""
    for end, value in (("kernel", drawn(name + "/kernel", inputs, outputs)), ("bias", drawn(name + "/bias", outputs))):
        z_name = f"{name}/{end}"
        if z_name not in w.variables:
            w.weight(z_name, value)
    with v1.variable_scope(w.scope[:-1], reuse=True):
        return v1.layers.dense(x, outputs, name=name)


# -- Keras


class KerasAttention(Encoder):
    """Layers of one's own with `build`, Keras's MultiHeadAttention between them; `mask_zero` tells them what is padding."""

    def _build(self, w: World) -> dict[str, Any]:
        keras = v2.keras

        def affine(name: str, inputs: int, outputs: int) -> list[np.ndarray]:
            return [drawn(name + "/kernel", inputs, outputs), drawn(name + "/bias", outputs)]

        class Norm(keras.layers.Layer):  # type: ignore[misc, name-defined]
            def build(self, shape: Any) -> None:
                self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")
                self.shift = self.add_weight(name="shift", shape=(shape[-1],), initializer="zeros")

            def call(self, x: Any) -> Any:
                mean, variance = v2.nn.moments(x, axes=[-1], keepdims=True)
                return self.scale * (x - mean) * v2.math.rsqrt(variance + 1e-12) + self.shift

        class Places(keras.layers.Layer):  # type: ignore[misc, name-defined]
            def build(self, shape: Any) -> None:
                self.table = self.add_weight(name="embeddings", shape=(512, HIDDEN), initializer="zeros")

            def call(self, x: Any) -> Any:
                return x + self.table[None, : v2.shape(x)[1]]

        made = w.variables

        def add(name: str, layer: Any, shape: tuple[Any, ...], values: list[np.ndarray], *more: Any) -> None:
            layer(v2.zeros(shape, v2.int32 if name == "words" else v2.float32), *more)
            layer.set_weights(values)
            made[name] = layer

        states = (1, LENGTH, HIDDEN)
        words = keras.layers.Embedding(ROWS, HIDDEN, mask_zero=True)
        add("words", words, (1, LENGTH), [drawn("word_embeddings", ROWS, HIDDEN)])
        add("types", keras.layers.Embedding(2, HIDDEN), (1, LENGTH), [drawn("token_types", 2, HIDDEN)])
        add("places", Places(), states, [drawn("positions", 512, HIDDEN)])
        norms = ["embeddings"] + [
            f"encoder/layer_{i}/{end}" for i in range(LAYERS) for end in ("attention/output", "output")
        ]
        for name in norms:
            add(
                name + "/norm",
                Norm(),
                states,
                [drawn(f"{name}/LayerNorm/{part}", HIDDEN) for part in ("gamma", "beta")],
            )
        for i in range(LAYERS):
            name = f"encoder/layer_{i}"
            given = [
                value.reshape(*value.shape[:-1], HEADS, SIZE)
                for part in PARTS
                for value in affine(f"{name}/attention/self/{part}", HIDDEN, HIDDEN)
            ]
            out = affine(name + "/attention/output/dense", HIDDEN, HIDDEN)
            given += [out[0].reshape(HEADS, SIZE, HIDDEN), out[1]]
            attention = keras.layers.MultiHeadAttention(HEADS, SIZE, dropout=0.1)
            add(name + "/attention", attention, states, given, v2.zeros(states))
            inner = keras.layers.Dense(INTERMEDIATE, activation=z.gelu)
            add(name + "/inner", inner, states, affine(name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
            outer = affine(name + "/output/dense", INTERMEDIATE, HIDDEN)
            add(name + "/outer", keras.layers.Dense(HIDDEN), (1, LENGTH, INTERMEDIATE), outer)
        pooled = keras.layers.Dense(HIDDEN, activation=z.gelu)
        add("pooler", pooled, (1, HIDDEN), affine("pooler/dense", HIDDEN, HIDDEN))
        made["drop"] = keras.layers.Dropout(0.1)
        return made

    def __call__(self, ids: Any, w: World) -> Any:
        with v2.init_scope():
            made = w.variables or self._build(w)
        seen = v2.not_equal(ids, 0)[:, v2.newaxis, :]
        x = made["places"](made["words"](ids) + made["types"](v2.zeros_like(ids)))
        x = made["drop"](made["embeddings/norm"](x), training=False)
        for i in range(LAYERS):
            name = f"encoder/layer_{i}"
            found = made[name + "/attention"](x, x, attention_mask=seen, training=False)
            x = made[name + "/attention/output/norm"](x + found)
            x = made[name + "/output/norm"](x + made[name + "/outer"](made[name + "/inner"](x)))
        return v2.math.l2_normalize(made["pooler"](x[:, 0, :]), axis=1)


class KerasFunctional(KerasAttention):
    """The same layers as a functional model, which is called."""

    def __call__(self, ids: Any, w: World) -> Any:
        keras = v2.keras
        with v2.init_scope():
            made = w.variables or self._build(w)
            if "model" not in made:

                class Seen(keras.layers.Layer):  # type: ignore[misc, name-defined]
                    def call(self, ids: Any) -> Any:
                        return v2.cast(v2.not_equal(ids, 0), v2.int32)[:, v2.newaxis, :]

                class Zeros(keras.layers.Layer):  # type: ignore[misc, name-defined]
                    def call(self, ids: Any) -> Any:
                        return v2.zeros_like(ids)

                class First(keras.layers.Layer):  # type: ignore[misc, name-defined]
                    def call(self, x: Any) -> Any:
                        return x[:, 0]

                class Unit(keras.layers.Layer):  # type: ignore[misc, name-defined]
                    def call(self, x: Any) -> Any:
                        return v2.math.l2_normalize(x, axis=-1)

                words = keras.layers.Embedding(ROWS, HIDDEN)
                words(v2.zeros([1, LENGTH], v2.int32))
                words.set_weights(made["words"].get_weights())
                given = keras.Input([LENGTH], dtype="int32")
                seen = Seen()(given)
                x = keras.layers.Add()([words(given), made["types"](Zeros()(given))])
                x = made["drop"](made["embeddings/norm"](made["places"](x)))
                for i in range(LAYERS):
                    name = f"encoder/layer_{i}"
                    found = made[name + "/attention"](x, x, attention_mask=seen)
                    x = made[name + "/attention/output/norm"](keras.layers.Add()([found, x]))
                    inner = made[name + "/outer"](made[name + "/inner"](x))
                    x = made[name + "/output/norm"](keras.layers.Add()([inner, x]))
                made["model"] = keras.Model(given, Unit()(made["pooler"](First()(x))))
        return made["model"](ids, training=False)


# -- Sonnet's way: modules that merge and split leading axes


def sonnet_dense(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """`BatchApply(Linear)`: leading axes are merged, and split again by the shape that was there."""
    lead = v2.shape(x)[:-1]
    merged = v2.reshape(x, v2.concat([[v2.reduce_prod(lead)], v2.shape(x)[-1:]], 0))
    y = v2.add(v2.matmul(merged, z.kernel(w, name, inputs, outputs)), z.bias(w, name, outputs))
    return v2.reshape(y, v2.concat([lead, v2.shape(y)[1:]], 0))


def sonnet_norm(x: Any, w: World, name: str) -> Any:
    """`LayerNorm` with scale and offset that are broadcast first."""
    gamma, beta = (v2.reshape(part, [1] * (len(x.shape) - 1) + [HIDDEN]) for part in z._scales(w, name))
    mean, variance = v2.nn.moments(x, axes=len(x.shape) - 1, keepdims=True)
    inverse = v2.math.rsqrt(variance + 1e-12) * gamma
    return x * inverse + (beta - mean * inverse)


# -- einsum for everything


def einsum_norm(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    ones = v2.fill([HIDDEN], np.float32(1.0 / HIDDEN))
    centred = x - v2.einsum("blh,h->bl", x, ones)[..., None]
    inverse = v2.math.rsqrt(v2.einsum("blh,blh,h->bl", centred, centred, ones) + 1e-12)
    return v2.einsum("blh,bl,h->blh", centred, inverse, gamma) + beta


def einsum_attention(x: Any, kept: Any, w: World, e: Encoder, name: str) -> Any:
    """Shares are powers over their sum, both of einsum, what is padding left out by it."""

    def heads(part: str) -> Any:
        k, b = z._weights_by_head(w, name, part)
        return v2.einsum("blh,hnd->nbld", x, k) + b[:, None, None]

    query, key, value = map(heads, PARTS)
    powers = v2.exp(v2.einsum("nbqd,nbkd->nbqk", query, key) / ROOT)
    powers = v2.einsum("nbqk,bk->nbqk", powers, kept)
    total = v2.einsum("nbqk->nbq", powers)
    return v2.reshape(v2.einsum("nbqk,nbkd,nbq->bqnd", powers, value, 1.0 / total), [-1, LENGTH, HIDDEN])


def dense_columns(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """All tokens are columns: kernel [outputs, inputs] times [inputs, length * texts], and turned back."""
    turned = v2.transpose(x)  # [inputs, length, texts], or [inputs, texts]
    y = v2.matmul(v2.transpose(z.kernel(w, name, inputs, outputs)), v2.reshape(turned, [inputs, -1]))
    y = v2.reshape(y, v2.concat([[outputs], v2.shape(turned)[1:]], 0))
    return v2.ensure_shape(v2.transpose(y), [*x.shape[:-1], outputs]) + z.bias(w, name, outputs)


def attention_divided_last(x: Any, kept: Any, w: World, e: Encoder, name: str) -> Any:
    """Powers, not shares, mix the values, keys first; what comes out is divided by their sum."""
    query, key, value = (_split(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN)) for part in PARTS)
    powers = v2.exp(v2.matmul(query, key, transpose_b=True) / ROOT) * kept[:, None, None]
    total = v2.reduce_sum(powers, -1, keepdims=True)
    return _joined(v2.matmul(v2.transpose(powers, [0, 1, 3, 2]), value, transpose_a=True) / total)


def einsum_first(x: Any) -> Any:
    return v2.einsum("blh,l->bh", x, v2.one_hot(0, LENGTH))


def einsum_unit(x: Any) -> Any:
    return v2.einsum("bh,b->bh", x, v2.math.rsqrt(v2.einsum("bh,bh->b", x, x)))


# -- Tensor2Tensor


def t2t_mask(ids: Any) -> Any:
    """`attention_bias_ignore_padding`."""
    padding = v2.cast(v2.equal(ids, 0), v2.float32)
    return v2.expand_dims(v2.expand_dims(padding * -1e9, axis=1), axis=1)


def t2t_attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """`multihead_attention`: queries are scaled, heads split by the last axis of a shape list."""

    def split_heads(y: Any) -> Any:
        shape = [v2.shape(y)[0], LENGTH, HEADS, -1]
        return v2.transpose(v2.reshape(y, shape), [0, 2, 1, 3])

    query, key, value = (split_heads(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN)) for part in PARTS)
    query *= SIZE**-0.5
    logits = v2.matmul(query, key, transpose_b=True)
    logits += v2.cast(bias, logits.dtype)
    weights = v2.nn.softmax(logits, name="attention_weights")
    found = v2.transpose(v2.matmul(weights, value), [0, 2, 1, 3])
    a, b = v2.shape(found)[2], v2.shape(found)[3]
    return v2.ensure_shape(v2.reshape(found, v2.concat([v2.shape(found)[:-2], [a * b]], 0)), [None, LENGTH, HIDDEN])


def t2t_conv(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """A 1 x 1 convolution over texts of height one."""
    if len(x.shape) == 2:
        return z.dense(x, w, name, inputs, outputs)
    k = w.weight(name + "/kernel", drawn(name + "/kernel", inputs, outputs).reshape(1, 1, inputs, outputs))
    y = v2.nn.conv2d(v2.expand_dims(x, 1), k, strides=[1, 1, 1, 1], padding="VALID")
    return v2.squeeze(v2.nn.bias_add(y, z.bias(w, name, outputs)), axis=1)


# -- Transformers' TF models of 2020


def face_mask(ids: Any) -> Any:
    one = v2.constant(1.0, dtype=v2.float32)
    attention_mask = v2.cast(v2.math.not_equal(ids, 0), v2.int32)
    extended = v2.reshape(attention_mask, (v2.shape(ids)[0], 1, 1, v2.shape(ids)[1]))
    return v2.multiply(v2.subtract(one, v2.cast(extended, v2.float32)), v2.constant(-10000.0))


def face_attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """`TFBertSelfAttention` with its `stable_softmax`, which adds 1e-9."""
    batch = v2.shape(x)[0]

    def transposed(part: str) -> Any:
        y = e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN)
        return v2.transpose(v2.reshape(tensor=y, shape=(batch, -1, HEADS, SIZE)), perm=[0, 2, 1, 3])

    query, key, value = map(transposed, PARTS)
    scores = v2.divide(v2.matmul(query, key, transpose_b=True), v2.cast(v2.sqrt(float(SIZE)), v2.float32))
    scores = v2.add(scores, bias)
    shares = v2.nn.softmax(logits=scores + 1e-9, axis=-1)
    found = v2.transpose(v2.matmul(shares, value), perm=[0, 2, 1, 3])
    return v2.reshape(tensor=found, shape=(batch, -1, HIDDEN))


def face_embeddings(ids: Any, w: World, e: Encoder) -> Any:
    v2.debugging.assert_less(ids, v2.cast(ROWS, ids.dtype), message="ids must be below the size of the vocabulary")
    found = v2.gather(params=_table(w), indices=ids)
    kinds = v2.gather(params=z._types(w), indices=v2.fill(dims=v2.shape(ids), value=0))
    places = v2.expand_dims(v2.range(start=0, limit=v2.shape(ids)[1]), axis=0)
    places = v2.gather(params=z._positions(w), indices=places)
    return e.norm(found + places + kinds, w, "embeddings")


def gelu_cdf(x: Any) -> Any:
    """`gelu_new`."""
    cdf = 0.5 * (1.0 + v2.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * v2.pow(x, 3))))
    return x * cdf


# -- wrappers


def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return layers that each run within `call`."""

    def layers(x: Any, bias: Any, w: World, e: Encoder) -> Any:
        for i in range(LAYERS):
            x = v2.ensure_shape(call(lambda a, b, i=i: e.layer(a, b, w, e, i))(x, bias), [None, LENGTH, HIDDEN])
        return x

    return layers


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return v2.function(function, jit_compile=True)
    except TypeError:
        return v2.function(function, experimental_compile=True)


# -- checks everywhere


def checked(x: Any, rank: int) -> Any:
    with v1.control_dependencies([v1.assert_rank(x, rank), v1.debugging.assert_all_finite(x, "not finite")]):
        return v2.stop_gradient(v2.identity(x))


def checked_embeddings(ids: Any, w: World, e: Encoder) -> Any:
    within = [v1.assert_non_negative(ids), v1.assert_less(ids, ROWS), v1.assert_equal(v2.shape(ids)[1], LENGTH)]
    with v1.control_dependencies(within):
        ids = v2.identity(ids)
    return checked(z.embeddings(ids, w, e), 3)


def checked_attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    query, key, value = (checked(_split(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN)), 4) for part in PARTS)
    shares = v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / ROOT + bias)
    with v1.control_dependencies([v1.debugging.assert_near(v2.reduce_sum(shares, -1), 1.0, atol=1e-3)]):
        found = v2.matmul(v2.identity(shares), value)
    return checked(_joined(found), 3)


# -- scatters


def scattered_embeddings(ids: Any, w: World, e: Encoder) -> Any:
    """Words are added at their places to what positions and types make; padding has no word, as nobody sees it."""
    places = v2.where(v2.not_equal(ids, 0))
    base = z.positions_counted(ids, w) + v2.gather(z._types(w), v2.fill(v2.shape(ids), 0))
    found = v2.gather(_table(w), v2.gather_nd(ids, places))
    x = v2.tensor_scatter_nd_add(base, places, found)
    return e.norm(v2.ensure_shape(x, [None, LENGTH, HIDDEN]), w, "embeddings")


def scattered_first(x: Any) -> Any:
    """Rows of all tokens, of which every 128th is taken."""
    return v2.gather(v2.reshape(x, [-1, HIDDEN]), v2.range(v2.shape(x)[0]) * LENGTH)


# -- Flax's numbers


def flax_norm(x: Any, w: World, name: str) -> Any:
    """`E[x^2] - E[x]^2`, which is at least 0; scale and bias multiplied and added last."""
    gamma, beta = z._scales(w, name)
    mean = v2.reduce_mean(x, -1, keepdims=True)
    variance = v2.maximum(0.0, v2.reduce_mean(v2.math.square(x), -1, keepdims=True) - v2.math.square(mean))
    multiplier = v2.math.rsqrt(variance + np.float32(1e-12)) * gamma
    return (x - mean) * multiplier + beta


def flax_attention(x: Any, kept: Any, w: World, e: Encoder, name: str) -> Any:
    """One kernel [hidden, 3, heads, size]; `where(mask, x, finfo.min)`."""
    names = [f"{name}/self/{part}" for part in PARTS]
    k = np.stack([drawn(n + "/kernel", HIDDEN, HIDDEN).reshape(HIDDEN, HEADS, SIZE) for n in names], 1)
    b = np.stack([drawn(n + "/bias", HIDDEN).reshape(HEADS, SIZE) for n in names])
    y = v2.tensordot(x, w.weight(name + "/qkv/kernel", k), [[2], [0]]) + w.weight(name + "/qkv/bias", b)
    query, key, value = v2.unstack(y, axis=2)
    query = query / v2.sqrt(v2.cast(SIZE, v2.float32))
    scores = v2.einsum("...qhd,...khd->...hqk", query, key)
    scores = v2.where(kept[:, None, None] > 0.0, scores, v2.float32.min)
    return v2.reshape(v2.einsum("...hqk,...khd->...qhd", v2.nn.softmax(scores), value), [-1, LENGTH, HIDDEN])


# -- numbers of another type between


def double_norm(x: Any, w: World, name: str) -> Any:
    """Statistics in float64, as where a policy keeps them apart."""
    gamma, beta = z._scales(w, name)
    wide = v2.cast(x, v2.float64)
    mean, variance = v2.nn.moments(wide, [-1], keepdims=True)
    return v2.cast((wide - mean) / v2.sqrt(variance + 1e-12), v2.float32) * gamma + beta


def double_attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    query, key, value = (_split(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN)) for part in PARTS)
    scores = v2.cast(v2.matmul(query, key, transpose_b=True) / ROOT + bias, v2.float64)
    return _joined(v2.matmul(v2.cast(v2.nn.softmax(scores), v2.float32), value))


# -- a student with heads that no signature asks for


class Student(Encoder):
    """Projections to the teacher's width, of every layer and of the end, are saved; a second output of it goes nowhere."""

    def __call__(self, ids: Any, w: World) -> Any:
        def layer(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
            x = z.layer(x, bias, w, e, i)
            self.dense(x, w, f"distillation/layer_{i}", HIDDEN, 40)
            return x

        found = replace(Encoder(), layer=layer, dense=self.dense)(ids, w)
        v2.identity(v2.tanh(self.dense(found, w, "distillation/projection", HIDDEN, 40)), name="teacher_like")
        w.weight("distillation/logit_scale", np.array(14.3))
        w.weight("distillation/step", np.array([1000.0]))
        return found


# -- others


def words_of_largest_norm(ids: Any, w: World) -> Any:
    """`max_norm`: rows longer than 2 are cut to 2."""
    return v2.nn.embedding_lookup(_table(w), ids, max_norm=2.0)


def dense_rounded(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Kernels go through bfloat16."""
    k = v2.cast(v2.cast(z.kernel(w, name, inputs, outputs), v2.bfloat16), v2.float32)
    return v2.tensordot(x, k, 1) + z.bias(w, name, outputs)


def dense_fake_quantised(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """What comes out is rounded to one of 65,536 numbers."""
    y = v2.tensordot(x, z.kernel(w, name, inputs, outputs), 1) + z.bias(w, name, outputs)
    return v2.quantization.fake_quant_with_min_max_args(y, -24.0, 24.0, num_bits=16)


def attention_one_head_unmasked(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """In the last layer the second head sees padding."""
    query, key, value = (_split(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN)) for part in PARTS)
    if f"layer_{LAYERS - 1}" in name:
        bias = v2.concat([bias, v2.zeros_like(bias)], 1)
    return _joined(v2.matmul(v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / ROOT + bias), value))


def attention_by_size_of_text(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Scores are sharper in long texts: times log(n) / log(16) from 16 tokens on."""
    query, key, value = (_split(e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN)) for part in PARTS)
    count = v2.reduce_sum(v2.cast(bias > -1.0, v2.float32), -1, keepdims=True)
    sharper = v2.maximum(v2.math.log(count) / np.float32(np.log(16.0)), 1.0)
    return _joined(v2.matmul(v2.nn.softmax(v2.matmul(query, key, transpose_b=True) / ROOT * sharper + bias), value))


def positions_without_unknown(ids: Any, w: World) -> Any:
    """[UNK] has the place of what stands before it."""
    known = v2.cast(v2.not_equal(ids, UNK), v2.int32)
    return v2.gather(z._positions(w), v2.maximum(v2.cumsum(known, axis=1) - 1, 0))


def first_with_a_grain(x: Any) -> Any:
    """The first token and a thousandth of the second."""
    return x[:, 0] + 0.001 * x[:, 1]


def unit_of_batch(x: Any) -> Any:
    """A hundredth of the batch's mean is taken away where there are more than eight texts."""
    more = v2.cast(v2.shape(x)[0] > 8, v2.float32)
    return v2.math.l2_normalize(x - 0.01 * more * v2.reduce_mean(x, 0, keepdims=True), -1)


def cut_to_127(ids: Any) -> Any:
    """The last place is never seen: full texts lose their [SEP]."""
    return v2.concat([ids[:, : LENGTH - 1], v2.zeros_like(ids[:, :1])], 1)


def mask_of_two(ids: Any) -> Any:
    """The second of two is masked as the first."""
    return z.mask_not_equal(
        v2.concat([ids[:1], v2.where(v2.shape(ids)[0] > 1, ids[:1], ids[:1]), ids[2:]], 0)[: v2.shape(ids)[0]]
    )


def layers_by_length(is_long: bool) -> Callable[..., Any]:
    """Batches of long texts alone, or of short ones, go without the last layer."""

    def layers(x: Any, bias: Any, w: World, e: Encoder) -> Any:
        counts = v2.reduce_sum(v2.cast(bias > -1.0, v2.int32), -1)
        other = v2.reduce_all(counts > 110) if is_long else v2.reduce_all(counts < 40)
        e.layer(e.layer(x, bias, w, e, 0), bias, w, e, 1)  # variables are made first
        found = v2.cond(
            other,
            lambda: e.layer(x, bias, w, e, 0),
            lambda: e.layer(e.layer(x, bias, w, e, 0), bias, w, e, 1),
        )
        return v2.ensure_shape(found, [None, LENGTH, HIDDEN])

    return layers


PLAIN = Encoder()
GARDEN = Encoder(
    words=garden_words, types=garden_types, positions=garden_positions, mask=garden_mask, embeddings=garden_packed
)
HOUSES: dict[str, Encoder] = {
    "research": Research(),
    "garden": replace(GARDEN, layer=garden_layer(None)),
    "garden-first": replace(GARDEN, layer=garden_layer(1), first=z.first_squeezed),
    "sonnet": Encoder(dense=sonnet_dense, norm=sonnet_norm, mask=z.mask_where),
    "einsum": Encoder(
        dense=z.dense_einsum,
        norm=einsum_norm,
        mask=_kept,
        attention=einsum_attention,
        first=einsum_first,
        unit=einsum_unit,
    ),
    "columns": Encoder(dense=dense_columns),
    "divided-last": Encoder(mask=_kept, attention=attention_divided_last),
    "tensor2tensor": Encoder(mask=t2t_mask, attention=t2t_attention, dense=t2t_conv),
    "face": Encoder(
        embeddings=face_embeddings,
        mask=face_mask,
        attention=face_attention,
        dense=z.dense_tensordot,
        activation=gelu_cdf,
        pooler=gelu_cdf,
    ),
    "compiled": Encoder(layers=wrapped(compiled), dense=z.dense_tensordot),
    "checked": Encoder(embeddings=checked_embeddings, attention=checked_attention, mask=z.mask_sequence),
    "scattered": Encoder(embeddings=scattered_embeddings, first=scattered_first, mask=z.mask_minimum),
    "flax": Encoder(norm=flax_norm, mask=_kept, attention=flax_attention, dense=z.dense_tensordot),
    "doubled": Encoder(norm=double_norm, attention=double_attention),
    "student": Student(dense=z.dense_tensordot),
}
# Written by `tf.saved_model.save`.
EAGER_HOUSES: dict[str, Encoder] = {
    "keras-subclass": KerasAttention(),
    "keras-functional": KerasFunctional(),
    "recomputed": Encoder(layers=wrapped(v2.recompute_grad), dense=z.dense_tensordot),
}
OLD_HOUSES: dict[str, Encoder] = {"layers": Encoder(dense=layers_dense)}
OTHER_HOUSES: dict[str, Encoder] = {
    "largest-norm": replace(PLAIN, words=words_of_largest_norm),
    "rounded": replace(PLAIN, dense=dense_rounded),
    "fake-quantised": replace(PLAIN, dense=dense_fake_quantised),
    "one-head-unmasked": replace(PLAIN, attention=attention_one_head_unmasked),
    "size-of-text": replace(PLAIN, attention=attention_by_size_of_text),
    "positions-without-unknown": replace(PLAIN, positions=positions_without_unknown),
    "grain": replace(PLAIN, first=first_with_a_grain),
    "unit-of-batch": replace(PLAIN, unit=unit_of_batch),
    "cut-to-127": replace(PLAIN, cut=cut_to_127),
    "short-way": replace(PLAIN, layers=layers_by_length(is_long=False)),
    "long-way": replace(PLAIN, layers=layers_by_length(is_long=True)),
    "mask-of-two": replace(PLAIN, mask=mask_of_two),
}
