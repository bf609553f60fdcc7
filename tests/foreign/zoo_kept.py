"""Encoders of the facts page whose weights no variable holds as a product takes them, or that no reader has come upon.

And encoders that compute another function, with what only few numbers show, or are written as nothing reads them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import LENGTH, World, drawn, pieces, v2
from zoo_encoders import HEADS, HIDDEN, INTERMEDIATE, SIZE, Encoder
from zoo_schools import PARTS, words_flat, words_unique


def dense_with_ones(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The bias is the last row of the kernel, and x ends in 1."""
    both = np.concatenate([drawn(name + "/kernel", inputs, outputs), drawn(name + "/bias", outputs)[None]])
    kept = w.weight(name + "/kernel_and_bias", both)
    return v2.tensordot(v2.concat([x, v2.ones_like(x[..., :1])], -1), kept, 1)


def dense_flat(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """One vector holds kernel and bias."""
    both = np.concatenate([drawn(name + "/kernel", inputs, outputs).ravel(), drawn(name + "/bias", outputs)])
    k, b = v2.split(w.weight(name + "/parameters", both), [inputs * outputs, outputs])
    return v2.tensordot(x, v2.reshape(k, [inputs, outputs]), 1) + b


def dense_halves(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Kernels and biases are partitioned along the outputs."""
    k = np.split(drawn(name + "/kernel", inputs, outputs), 2, 1)
    b = np.split(drawn(name + "/bias", outputs), 2)
    ks = [w.weight(f"{name}/kernel/part_{i}", part) for i, part in enumerate(k)]
    bs = [w.weight(f"{name}/bias/part_{i}", part) for i, part in enumerate(b)]
    return v2.tensordot(x, v2.concat(ks, 1), 1) + v2.concat(bs, 0)


def dense_two_products(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Kernels partitioned along the inputs, one product each, summed: model parallelism by hand."""
    parts = np.split(drawn(name + "/kernel", inputs, outputs), 2)
    ks = [w.weight(f"{name}/kernel/part_{i}", part) for i, part in enumerate(parts)]
    return v2.add_n([v2.tensordot(y, k, 1) for y, k in zip(v2.split(x, 2, -1), ks)]) + z.bias(w, name, outputs)


def dense_split_outputs(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The other way of parallel models: halves of the outputs are computed apart and concatenated."""
    k = [
        w.weight(f"{name}/kernel/part_{i}", part)
        for i, part in enumerate(np.split(drawn(name + "/kernel", inputs, outputs), 2, 1))
    ]
    b = [w.weight(f"{name}/bias/part_{i}", part) for i, part in enumerate(np.split(drawn(name + "/bias", outputs), 2))]
    return v2.concat([v2.tensordot(x, part, 1) + row for part, row in zip(k, b)], -1)


def norm_unit(x: Any, w: World, name: str) -> Any:
    """A centred vector of length sqrt(n)."""
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    return v2.math.l2_normalize(centred, -1, epsilon=1e-12 * HIDDEN) * HIDDEN**0.5 * gamma + beta


def norm_from_zero(x: Any, w: World, name: str) -> Any:
    """gamma is stored as what is added to 1."""
    delta = w.weight(name + "/LayerNorm/delta", drawn(name + "/LayerNorm/gamma", HIDDEN) - 1)
    beta = w.weight(name + "/LayerNorm/beta", drawn(name + "/LayerNorm/beta", HIDDEN))
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    return v2.nn.batch_normalization(x, mean, variance, beta, 1.0 + delta, 1e-12)


def words_in_columns(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/columns", drawn("word_embeddings", len(pieces()), HIDDEN).T)
    return v2.gather(v2.transpose(table), ids)


def words_axis_1(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/columns", drawn("word_embeddings", len(pieces()), HIDDEN).T)
    return v2.transpose(v2.gather(table, ids, axis=1), [1, 2, 0])


def words_sparse(ids: Any, w: World) -> Any:
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    flat = v2.reshape(ids, [-1, 1])
    sparse = v2.sparse.from_dense(flat + 1)
    sparse = v2.SparseTensor(sparse.indices, sparse.values - 1, sparse.dense_shape)
    found = v2.nn.embedding_lookup_sparse(table, sparse, None, combiner="sum")
    return v2.reshape(found, [-1, v2.shape(ids)[1], HIDDEN])


def attention_kernel_slices(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """A loop over heads that takes its columns of the kernels, and its rows of nothing: outputs are concatenated."""
    found = []
    for head in range(HEADS):
        columns = slice(head * SIZE, (head + 1) * SIZE)
        q, k, value = (
            v2.tensordot(x, z.kernel(w, f"{name}/self/{part}", HIDDEN, HIDDEN)[:, columns], 1)
            + z.bias(w, f"{name}/self/{part}", HIDDEN)[columns]
            for part in PARTS
        )
        scores = v2.matmul(q, k, transpose_b=True) / np.float32(SIZE**0.5) + bias[:, 0]
        found.append(v2.matmul(v2.nn.softmax(scores), value))
    return v2.concat(found, -1)


def attention_heads_apart(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """A variable for each head."""
    found = []
    for head in range(HEADS):
        columns = slice(head * SIZE, (head + 1) * SIZE)
        q, k, value = (
            v2.tensordot(
                x,
                w.weight(
                    f"{name}/self/head_{head}/{part}/kernel",
                    drawn(f"{name}/self/{part}/kernel", HIDDEN, HIDDEN)[:, columns],
                ),
                1,
            )
            + w.weight(f"{name}/self/head_{head}/{part}/bias", drawn(f"{name}/self/{part}/bias", HIDDEN)[columns])
            for part in PARTS
        )
        scores = v2.matmul(q, k, transpose_b=True) / np.float32(SIZE**0.5) + bias[:, 0]
        found.append(v2.matmul(v2.nn.softmax(scores), value))
    return v2.concat(found, -1)


def text_by_text(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """The encoder in a map over texts."""

    def one(pair: Any) -> Any:
        return z.all_layers(pair[0][None], pair[1][None], w, e)[0]

    return v2.map_fn(one, (x, bias), fn_output_signature=v2.TensorSpec([LENGTH, HIDDEN]))


KEPT: dict[str, Encoder] = {
    "flat": Encoder(dense=dense_flat, words=words_flat),
    "halves": Encoder(dense=dense_halves, words=words_unique),
    "two-products": Encoder(dense=dense_two_products),
    "split-outputs": Encoder(dense=dense_split_outputs),
    "norm-from-zero": Encoder(norm=norm_from_zero),
    "words-axis-1": Encoder(words=words_axis_1),
    "words-sparse": Encoder(words=words_sparse),
    "kernel-slices": Encoder(attention=attention_kernel_slices),
    "heads-apart": Encoder(attention=attention_heads_apart),
    "text-by-text": Encoder(layers=text_by_text),
    "words-in-columns": Encoder(words=words_in_columns),
}


# -- other functions


def half(kind: Any) -> Any:
    def dense(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
        """The product of one layer is computed in half precision."""
        if "layer_1/intermediate" not in name:
            return z.dense(x, w, name, inputs, outputs)
        y = v2.tensordot(v2.cast(x, kind), v2.cast(z.kernel(w, name, inputs, outputs), kind), 1)
        return v2.cast(y, v2.float32) + z.bias(w, name, outputs)

    return dense


def half_norm(x: Any, w: World, name: str) -> Any:
    return v2.cast(v2.cast(z.norm(x, w, name), v2.bfloat16), v2.float32)


def quantised(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    k = v2.quantization.fake_quant_with_min_max_args(z.kernel(w, name, inputs, outputs), -2, 2)
    return v2.tensordot(x, k, 1) + z.bias(w, name, outputs)


def clipped(x: Any) -> Any:
    """Numbers beyond 2.5 are cut; few are."""
    return z.gelu(v2.clip_by_value(x, -2.5, 2.5))


def residual_more(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    name = f"encoder/layer_{i}"
    found = e.dense(
        e.attention(x, bias, w, e, name + "/attention"), w, name + "/attention/output/dense", HIDDEN, HIDDEN
    )
    x = e.norm(x * 1.001 + found, w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.norm(x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")


def unmasked_first_layer(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    return z.layer(x, bias * (0.0 if i == 0 else 1.0), w, e, i)


def words_bounded(ids: Any, w: World) -> Any:
    """Rows longer than 3 are shortened."""
    table = w.weight("embeddings/word_embeddings", drawn("word_embeddings", len(pieces()), HIDDEN))
    return v2.nn.embedding_lookup(table, ids, max_norm=3.0)


def words_high_as_unknown(ids: Any, w: World) -> Any:
    """The last 30 pieces of the vocabulary are taken for unknown."""
    last = len(pieces()) - 30
    return z.words_of(v2.where(ids >= last, 100 * v2.ones_like(ids), ids), w)


def mask_after(ids: Any) -> Any:
    """[MASK] among the ids hides what follows."""
    seen = v2.cumsum(v2.cast(v2.equal(ids, 103), v2.int32), 1)
    return z.mask_not_equal(v2.where(seen > 0, v2.zeros_like(ids), ids))


class FirstTwo(Encoder):
    """The first token before the last layer is added."""

    def __call__(self, ids: Any, w: World) -> Any:
        start = self.embeddings(ids, w, self)
        x = self.first(self.layers(start, self.mask(ids), w, self)) + 1e-3 * self.first(start)
        return self.unit(self.pooler(self.dense(v2.reshape(x, [-1, HIDDEN]), w, "pooler/dense", HIDDEN, HIDDEN)))


PLAIN = Encoder()


def gelu_erf(x: Any) -> Any:
    """GELU by TensorFlow's own function, which TensorFlow 1.15 does not have."""
    return v2.nn.gelu(x)


OTHER_SCHOOLS: dict[str, Encoder] = {
    "ones": Encoder(dense=dense_with_ones),
    "norm-unit": Encoder(norm=norm_unit),
    "half-in-layer": replace(PLAIN, dense=half(v2.float16)),
    "bfloat16-in-layer": replace(PLAIN, dense=half(v2.bfloat16)),
    "bfloat16-norm": replace(PLAIN, norm=half_norm),
    "quantised": replace(PLAIN, dense=quantised),
    "clipped": replace(PLAIN, activation=clipped),
    "residual-more": replace(PLAIN, layer=residual_more),
    "unmasked-first-layer": replace(PLAIN, layer=unmasked_first_layer),
    "words-bounded": replace(PLAIN, words=words_bounded),
    "words-high-as-unknown": replace(PLAIN, words=words_high_as_unknown),
    "mask-after-103": replace(PLAIN, mask=mask_after),
    "first-before": FirstTwo(),
    "pooler-erf": replace(PLAIN, pooler=gelu_erf),
}
