"""Encoders of those who arrived last, whole: means, float64, Keras 3's layers, the parts in `zoo_arrivals`.

All compute the facts page, or the same with an error function or a mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zoo_arrivals as a
import zoo_encoders as z
from zoo_base import LENGTH, World, drawn, v2
from zoo_encoders import HEADS, HIDDEN, INTERMEDIATE, LAYERS, SIZE, Encoder


class Mean(Encoder):
    """The mean over what is no padding, of which `mean` is given states and ids; a dense layer, or none, after it."""

    mean: Any = None
    pooled = True

    def __call__(self, ids: Any, w: World) -> Any:
        ids = self.cut(ids)
        x = type(self).mean(self.layers(self.embeddings(ids, w, self), self.mask(ids), w, self), ids)
        if self.pooled:
            x = self.pooler(self.dense(x, w, "pooler/dense", HIDDEN, HIDDEN))
        return self.unit(x)


def mean_einsum(x: Any, ids: Any) -> Any:
    kept = v2.cast(ids > 0, v2.float32)
    return v2.einsum("blh,bl->bh", x, kept / v2.maximum(v2.reduce_sum(kept, 1, keepdims=True), 1e-9))


def mean_segments(x: Any, ids: Any) -> Any:
    """Of tokens in a row, by the number of their text."""
    places = v2.where(v2.not_equal(ids, 0))
    return v2.math.unsorted_segment_mean(v2.gather_nd(x, places), places[:, 0], v2.shape(ids, v2.int64)[0])


def mean_ragged(x: Any, ids: Any) -> Any:
    return v2.reduce_mean(v2.RaggedTensor.from_tensor(x, v2.math.count_nonzero(ids, 1)), 1)


class MeanEinsum(Mean):
    mean, pooled = staticmethod(mean_einsum), False


class MeanSegments(Mean):
    mean = staticmethod(mean_segments)


class MeanRagged(Mean):
    mean, pooled = staticmethod(mean_ragged), False


class Doubles(Encoder):
    """Everything after the tables is computed in float64."""

    def __call__(self, ids: Any, w: World) -> Any:
        single, double = World(), World()
        single.weight = w.weight  # type: ignore[method-assign]
        double.weight = lambda name, value: v2.cast(w.weight(name, value), v2.float64)  # type: ignore[method-assign]
        x = v2.cast(self.words(ids, single), v2.float64) + self.positions(ids, double) + self.types(ids, double)
        x = self.layers(self.norm(x, double, "embeddings"), v2.cast(self.mask(ids), v2.float64), double, self)
        x = self.pooler(self.dense(self.first(x), double, "pooler/dense", HIDDEN, HIDDEN))
        return v2.cast(self.unit(x), v2.float32)


def dense_of_any_type(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    return v2.tensordot(x, z.kernel(w, name, inputs, outputs), 1) + z.bias(w, name, outputs)


def gelu_of_any_type(x: Any) -> Any:
    return v2.nn.gelu(x, approximate=True)


def attention_of_any_type(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    query, key, value = a._heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / v2.constant(SIZE**0.5, x.dtype) + bias
    return a._joined(v2.matmul(v2.nn.softmax(scores), value))


class Keras(Encoder):
    """Keras 3's own layers: Embedding, MultiHeadAttention with a mask, EinsumDense, UnitNormalization."""

    def _build(self, w: World) -> dict[str, Any]:
        import keras

        made = w.variables

        def layer(kind: str, name: str, shape: list[Any], values: list[np.ndarray], **more: Any) -> None:
            made[name] = getattr(keras.layers, kind)(name=name.replace("/", "_"), **more)
            made[name].build(*shape)
            made[name].set_weights(values)

        def affine(name: str, inputs: int, *heads: int) -> list[np.ndarray]:
            outputs = int(np.prod(heads))
            k, b = drawn(name + "/kernel", inputs, outputs), drawn(name + "/bias", outputs)
            return [k.reshape(inputs, *heads), b.reshape(heads)]

        def norm(name: str) -> None:
            scales = [drawn(f"{name}/LayerNorm/{part}", HIDDEN) for part in ("gamma", "beta")]
            layer("LayerNormalization", name + "/norm", [(None, LENGTH, HIDDEN)], scales, epsilon=1e-12)

        words = a._table() + drawn("token_types", 2, HIDDEN)[0]
        layer("Embedding", "words", [(None, LENGTH)], [words], input_dim=a.ROWS, output_dim=HIDDEN)
        layer(
            "Embedding",
            "places",
            [(LENGTH,)],
            [drawn("positions", 512, HIDDEN)],
            input_dim=512,
            output_dim=HIDDEN,
        )
        norm("embeddings")
        states = (None, LENGTH, HIDDEN)
        for i in range(LAYERS):
            name = f"encoder/layer_{i}"
            given = [v for part in a.PARTS for v in affine(f"{name}/attention/self/{part}", HIDDEN, HEADS, SIZE)]
            out = affine(name + "/attention/output/dense", HIDDEN, HIDDEN)
            given += [out[0].reshape(HEADS, SIZE, HIDDEN), out[1]]
            layer("MultiHeadAttention", name + "/attention", [states, states], given, num_heads=HEADS, key_dim=SIZE)
            norm(name + "/attention/output")
            inner = affine(name + "/intermediate/dense", HIDDEN, INTERMEDIATE)
            layer("Dense", name + "/inner", [states], inner, units=INTERMEDIATE)
            outer = affine(name + "/output/dense", INTERMEDIATE, HIDDEN)
            shape = {"equation": "abc,cd->abd", "output_shape": (None, HIDDEN), "bias_axes": "d"}
            layer("EinsumDense", name + "/outer", [(None, LENGTH, INTERMEDIATE)], outer, **shape)
            norm(name + "/output")
        layer("Dense", "pooler", [(None, HIDDEN)], affine("pooler/dense", HIDDEN, HIDDEN), units=HIDDEN)
        made["unit"] = keras.layers.UnitNormalization()
        return made

    def __call__(self, ids: Any, w: World) -> Any:
        import keras

        with v2.init_scope():
            made = w.variables or self._build(w)
        seen = keras.ops.not_equal(ids, 0)[:, None, :]
        x = made["words"](ids) + made["places"](keras.ops.arange(0, LENGTH))
        x = made["embeddings/norm"](x)
        for i in range(LAYERS):
            name = f"encoder/layer_{i}"
            found = made[name + "/attention"](x, x, attention_mask=seen)
            x = made[name + "/attention/output/norm"](keras.layers.Add()([x, found]))
            middle = keras.activations.gelu(made[name + "/inner"](x), approximate=True)
            x = made[name + "/output/norm"](keras.layers.Add()([x, made[name + "/outer"](middle)]))
        return made["unit"](keras.activations.gelu(made["pooler"](x[:, 0, :]), approximate=True))


ARRIVALS: dict[str, Encoder] = {
    "lettered": Encoder(dense=a.dense_lettered, attention=a.attention_lettered, positions=a.positions_below),
    "adjoint": Encoder(dense=a.dense_adjoint, norm=a.norm_n_less_one, activation=a.gelu_horner, pooler=a.gelu_horner),
    "gpt": Encoder(dense=a.dense_gpt, norm=a.norm_gpt, mask=a.mask_gpt, attention=a.attention_gpt),
    "partitioned": Encoder(dense=a.dense_sliced, words=a.words_divided, unit=a.unit_normalize),
    "blocks": Encoder(dense=a.dense_columns_apart, mask=a.mask_of_bytes),
    "fused-v3": Encoder(norm=a.norm_fused_v3, mask=a.mask_unread),
    "one-table": Encoder(embeddings=a.embeddings_of_one_table, first=a.first_by_product),
    "embeddings-ragged": Encoder(embeddings=a.embeddings_ragged),
    "modulo-shards": Encoder(words=a.words_modulo_shards, positions=a.positions_linear),
    "sparse": Encoder(words=a.words_of_sparse, positions=a.positions_of_grid),
    "pages": Encoder(words=a.words_in_pages, unit=a.unit_gram),
    "query-key-value": Encoder(attention=a.attention_by_head, dense=z.dense_tensordot),
    "list-of-heads": Encoder(attention=a.attention_list, first=a.first_nested),
    "mask-inside": Encoder(attention=a.attention_mask_inside, cut=a.longest_of_eight),
    "queries-in-blocks": Encoder(attention=a.attention_in_blocks, activation=a.gelu_erfc_negative),
    "flash": Encoder(attention=a.attention_flash),
    "chunks": Encoder(layer=a.layer_in_chunks, activation=a.gelu_normal),
    "one-function": Encoder(layers=a.layers_of_one_function, dense=z.dense_tensordot),
    "flat-parameters": Encoder(layers=a.layers_flat),
    "folded": Encoder(layers=a.layers_folded, dense=z.dense_tensordot),
    "switched": Encoder(layers=a.layers_switched),
    "channels-first": Encoder(layers=a.layers_channels_first),
    "mean-einsum": MeanEinsum(dense=z.dense_tensordot, attention=a.attention_by_head),
    "mean-segments": MeanSegments(norm=a.norm_n_less_one),
    "mean-ragged": MeanRagged(activation=a.gelu_erfc_negative),
    "doubles": Doubles(
        types=z.types_gathered,
        dense=dense_of_any_type,
        attention=attention_of_any_type,
        activation=gelu_of_any_type,
        pooler=gelu_of_any_type,
    ),
}
KERAS = Keras()
