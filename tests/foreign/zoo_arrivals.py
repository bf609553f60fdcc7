"""Parts of encoders by those who arrived last: other layouts of weights and states, layers in loops, attention in blocks.

`zoo_wholes` puts them together; what departs from the facts page is in `zoo_departures`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import LENGTH, World, drawn, pieces, v1, v2
from zoo_encoders import HEADS, HIDDEN, INTERMEDIATE, LAYERS, SIZE, Encoder

PARTS = ("query", "key", "value")
ROWS = len(pieces())


def _table() -> np.ndarray:
    return drawn("word_embeddings", ROWS, HIDDEN)


def _heads(x: Any, w: World, e: Encoder, name: str) -> list[Any]:
    ys = [e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN) for part in PARTS]
    return [v2.transpose(v2.reshape(y, [-1, v2.shape(x)[1], HEADS, SIZE]), [0, 2, 1, 3]) for y in ys]


def _joined(found: Any) -> Any:
    return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [v2.shape(found)[0], -1, HIDDEN])


def _inner(x: Any, w: World, e: Encoder, name: str) -> Any:
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN)


# -- products


def dense_lettered(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Capitals, an ellipsis in the middle of nothing, and the kernel's letters the other way round."""
    stored = w.weight(name + "/w", drawn(name + "/kernel", inputs, outputs).T)
    return v2.einsum("Z...Q,RQ->Z...R", x, stored) + w.weight(name + "/b", drawn(name + "/bias", outputs))


def dense_adjoint(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Both sides are taken turned, and the product is turned back."""
    stored = w.weight(name + "/kernel", drawn(name + "/kernel", inputs, outputs))
    rows = v2.reshape(x, [-1, inputs])
    y = v2.linalg.adjoint(v2.matmul(stored, rows, adjoint_a=True, adjoint_b=True))
    return v2.reshape(y, v2.concat([v2.shape(x)[:-1], [outputs]], 0)) + z.bias(w, name, outputs)


def dense_gpt(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """GPT-2's conv1d: `w` has an axis for the place, which is one."""
    k = w.weight(name + "/w", drawn(name + "/kernel", inputs, outputs)[None])
    y = v2.matmul(v2.reshape(x, [-1, inputs]), v2.reshape(k, [-1, outputs]))
    y = y + w.weight(name + "/b", drawn(name + "/bias", outputs))
    return v2.reshape(y, v2.concat([v2.shape(x)[:-1], [outputs]], 0))


def dense_sliced(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """A kernel in variable slices, as a partitioner stores it."""
    whole = drawn(name + "/kernel", inputs, outputs)
    if name not in w.tables:
        partitioner = v1.fixed_size_partitioner(2, axis=1)
        w.tables[name] = v1.get_variable(
            w.scope + name + "/kernel", whole.shape, partitioner=partitioner, initializer=v1.zeros_initializer()
        )
        for i, (variable, value) in enumerate(zip(w.tables[name], np.split(whole, 2, 1))):
            w.variables[f"{name}/part_{i}"], w.values[f"{name}/part_{i}"] = variable, value
    return v2.tensordot(x, v2.convert_to_tensor(w.tables[name]), 1) + z.bias(w, name, outputs)


def dense_columns_apart(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """Outputs in two parts, each from inputs in two parts."""
    k = drawn(name + "/kernel", inputs, outputs)
    found = []
    for j, right in enumerate(np.split(k, 2, 1)):
        ys = [
            v2.tensordot(part, w.weight(f"{name}/block_{i}_{j}", block), 1)
            for i, (part, block) in enumerate(zip(v2.split(x, 2, -1), np.split(right, 2, 0)))
        ]
        found.append(v2.add_n(ys))
    return v2.concat(found, -1) + z.bias(w, name, outputs)


# -- norms


def norm_n_less_one(x: Any, w: World, name: str) -> Any:
    """The variance over n - 1, brought back to n."""
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    variance = v2.reduce_sum(centred * centred, -1, keepdims=True) / (HIDDEN - 1.0)
    return centred / v2.sqrt(variance * ((HIDDEN - 1.0) / HIDDEN) + 1e-12) * gamma + beta


def norm_gpt(x: Any, w: World, name: str) -> Any:
    """GPT-2's names, a row of two for gain and bias."""
    gb = np.stack([drawn(f"{name}/LayerNorm/{part}", HIDDEN) for part in ("gamma", "beta")], 1)
    both = w.weight(name + "/ln/gb", gb)
    u = v2.reduce_mean(x, axis=-1, keepdims=True)
    s = v2.reduce_mean(v2.square(x - u), axis=-1, keepdims=True)
    return (x - u) * v2.math.rsqrt(s + 1e-12) * both[:, 0] + both[:, 1]


def norm_fused_v3(x: Any, w: World, name: str) -> Any:
    """FusedBatchNormV3 itself on [1, hidden, 1, rows], the places being channels."""
    gamma, beta = z._scales(w, name)
    turned = v2.transpose(v2.reshape(x, [-1, HIDDEN]))[None, :, None, :]
    count = v2.shape(turned)[-1:]
    y = v2.raw_ops.FusedBatchNormV3(
        x=turned, scale=v2.ones(count), offset=v2.zeros(count), mean=[], variance=[], epsilon=1e-12
    )[0]
    return v2.reshape(v2.transpose(y[0, :, 0]), v2.shape(x)) * gamma + beta


def norm_channels(x: Any, w: World, name: str) -> Any:
    """Of states [texts, hidden, length]: the sums go along axis 1."""
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [1], keepdims=True)
    y = (x - mean) / v2.sqrt(variance + 1e-12)
    return y * gamma[:, None] + beta[:, None]


# -- activations


def gelu_horner(x: Any) -> Any:
    square = x * x
    u = x * (np.float32(z.NEAR) + np.float32(z.NEAR * 0.044715) * square)
    return x - x / (1.0 + v2.exp(u + u))


def gelu_erfc_negative(x: Any) -> Any:
    return v2.multiply(x, 1.0 - 0.5 * v2.math.erfc(v2.multiply(x, np.float32(2**-0.5))))


def gelu_normal(x: Any) -> Any:
    """By the distribution function of the normal law, as `ndtr` has it."""
    u = x * np.float32(0.5**0.5)
    near = 1.0 + v2.math.erf(u)
    far = v2.where(u > 0.0, 2.0 - v2.math.erfc(v2.abs(u)), v2.math.erfc(v2.abs(u)))
    return x * 0.5 * v2.where(v2.abs(u) < np.float32(0.5**0.5), near, far)


# -- embeddings


def embeddings_of_one_table(ids: Any, w: World, e: Encoder) -> Any:
    """Words, positions and types are rows of one variable, looked up at once."""
    table = np.concatenate([_table(), drawn("positions", 512, HIDDEN), drawn("token_types", 2, HIDDEN)])
    places = v2.zeros_like(ids) + v2.range(v2.shape(ids)[1])
    rows = v2.stack([ids, places + ROWS, v2.fill(v2.shape(ids), ROWS + 512)], 2)
    return e.norm(v2.reduce_sum(v2.gather(w.weight("embeddings/all", table), rows), 2), w, "embeddings")


def embeddings_ragged(ids: Any, w: World, e: Encoder) -> Any:
    """Nothing is looked up for padding, whose places are filled after the norm."""
    ragged = v2.RaggedTensor.from_tensor(ids, v2.math.count_nonzero(ids, 1))
    words = v2.gather(w.weight("embeddings/word_embeddings", _table()), v2.cast(ragged.flat_values, v2.int64))
    places = v2.gather(z._positions(w), v2.ragged.range(ragged.row_lengths()).flat_values)
    x = ragged.with_flat_values(e.norm(words + places + z._types(w)[0], w, "embeddings"))
    return v2.ensure_shape(x.to_tensor(shape=[None, LENGTH, HIDDEN]), [None, LENGTH, HIDDEN])


def words_modulo_shards(ids: Any, w: World) -> Any:
    """Three shards; row i is in shard i modulo 3."""
    shards = [w.weight(f"embeddings/word_embeddings/shard_{i}", _table()[i::3]) for i in range(3)]
    return v1.nn.embedding_lookup(shards, ids, partition_strategy="mod")


def words_divided(ids: Any, w: World) -> Any:
    """Four slices of a partitioner, in turn."""
    if "words" not in w.tables:
        w.tables["words"] = v1.get_variable(
            w.scope + "embeddings/word_embeddings",
            [ROWS, HIDDEN],
            partitioner=v1.fixed_size_partitioner(4),
            initializer=v1.zeros_initializer(),
        )
        start = 0
        for i, variable in enumerate(w.tables["words"]):
            rows = int(variable.shape[0])
            w.variables[f"words_{i}"], w.values[f"words_{i}"] = variable, _table()[start : start + rows]
            start += rows
    return v1.nn.embedding_lookup(w.tables["words"], ids, partition_strategy="div")


def one_id_each(ids: Any) -> Any:
    """Return a sparse tensor with a row for each token, of the one id that it has."""
    flat = v2.reshape(v2.cast(ids, v2.int64), [-1])
    count = v2.size(flat, v2.int64)
    places = v2.stack([v2.range(count), v2.zeros_like(flat)], 1)
    return v2.SparseTensor(places, flat, v2.stack([count, v2.constant(1, v2.int64)]))


def words_of_sparse(ids: Any, w: World) -> Any:
    """A sum over the one id that each token has."""
    sparse = one_id_each(ids)
    table = w.weight("embeddings/word_embeddings", _table())
    found = v2.nn.embedding_lookup_sparse(table, sparse, None, combiner="sum")
    return v2.reshape(found, v2.concat([v2.shape(ids), [HIDDEN]], 0))


def words_in_pages(ids: Any, w: World) -> Any:
    """An id is a row of a page: [pages, 28, hidden]."""
    table = w.weight("embeddings/pages", _table().reshape(-1, 28, HIDDEN))
    return v2.gather_nd(table, v2.stack([ids // 28, ids % 28], -1))


def positions_linear(ids: Any, w: World) -> Any:
    return v2.gather(z._positions(w), v2.cast(v2.linspace(0.0, LENGTH - 1.0, LENGTH), v2.int32))


def positions_of_grid(ids: Any, w: World) -> Any:
    """As `meshgrid` numbers them, cut at the last that there is."""
    _, places = v2.meshgrid(v2.range(v2.shape(ids)[0]), v2.range(v2.shape(ids)[1]), indexing="ij")
    return v2.nn.embedding_lookup(z._positions(w), v2.minimum(v2.maximum(places, 0), 511))


def positions_below(ids: Any, w: World) -> Any:
    """How many places stand before: a triangle's rows, added up and made one-hot."""
    ones = v2.ones([LENGTH, LENGTH])
    before = v2.cast(v2.reduce_sum(v2.linalg.band_part(ones, -1, 0) - v2.eye(LENGTH), 1), v2.int32)
    return v2.einsum("lp,ph->lh", v2.one_hot(before, 512), z._positions(w))[None]


# -- masks


def mask_gpt(ids: Any) -> Any:
    """1 where it is seen; `attention_gpt` multiplies by it."""
    return v2.cast(v2.cast(ids, v2.bool), v2.float32)[:, None, None]


def mask_of_bytes(ids: Any) -> Any:
    """Through uint8, int64 and an exclusive or."""
    bits = v2.bitwise.bitwise_xor(v2.cast(v2.not_equal(ids, 0), v2.uint8), v2.constant(1, v2.uint8))
    return v2.cast(v2.cast(bits, v2.int64), v2.float32)[:, None, None] * -1e9


def mask_unread(ids: Any) -> Any:
    """By places beyond the last that is no padding."""
    last = v2.reduce_max(v2.where(v2.not_equal(ids, 0), v2.range(v2.shape(ids)[1])[None] + 1, 0), 1, keepdims=True)
    beyond = v2.greater_equal(v2.range(v2.shape(ids)[1])[None], last)
    return v2.expand_dims(v2.expand_dims(v2.cast(beyond, v2.float32), 1), 1) * v2.constant(-3.0e38)


# -- attention


def attention_lettered(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Kernels [heads, hidden, size] of an einsum with letters of its own in every place."""
    found = []
    for part in PARTS:
        full = f"{name}/self/{part}"
        k = drawn(full + "/kernel", HIDDEN, HIDDEN).reshape(HIDDEN, HEADS, SIZE).transpose(1, 0, 2)
        b = drawn(full + "/bias", HIDDEN).reshape(HEADS, 1, SIZE)
        found.append(v2.einsum("pqr,urv->puqv", x, w.weight(full + "/w", k)) + w.weight(full + "/b", b))
    query, key, value = found
    scores = v2.einsum("mhxd,mhyd->myhx", query, key) * v2.constant(SIZE**-0.5)
    shares = v2.nn.softmax(scores + v2.transpose(bias, [0, 3, 1, 2]), axis=1)
    return v2.reshape(v2.einsum("myhx,mhyd->mxhd", shares, value), [-1, LENGTH, HIDDEN])


def attention_by_head(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Query, key and value of a head stand side by side in the fused kernel: [hidden, heads, 3, size]."""
    k, b = (
        np.stack(
            [drawn(f"{name}/self/{part}/{kind}", *shape).reshape(*shape[:-1], HEADS, SIZE) for part in PARTS], -2
        ).reshape(*shape[:-1], 3 * HIDDEN)
        for kind, shape in (("kernel", (HIDDEN, HIDDEN)), ("bias", (HIDDEN,)))
    )
    y = v2.matmul(x, w.weight(name + "/query_key_value/kernel", k)) + w.weight(name + "/query_key_value/bias", b)
    y = v2.reshape(y, [v2.shape(x)[0], -1, HEADS, 3 * SIZE])
    query, key, value = v2.split(v2.transpose(y, [0, 2, 1, 3]), 3, -1)
    scores = v2.matmul(query, key, adjoint_b=True) / v2.sqrt(v2.cast(v2.shape(key)[-1], v2.float32))
    return _joined(v2.matmul(v2.nn.softmax(scores + bias), value))


def attention_list(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Every head has its own three variables."""
    found = []
    for head in range(HEADS):
        part_of = slice(head * SIZE, (head + 1) * SIZE)
        query, key, value = (
            v2.nn.bias_add(
                v2.tensordot(
                    x,
                    w.weight(f"{name}/head_{head}/{p}/w", drawn(f"{name}/self/{p}/kernel", HIDDEN, HIDDEN)[:, part_of]),
                    1,
                ),
                w.weight(f"{name}/head_{head}/{p}/b", drawn(f"{name}/self/{p}/bias", HIDDEN)[part_of]),
            )
            for p in PARTS
        )
        scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias[:, 0]
        found.append(v2.matmul(v2.nn.softmax(scores), value))
    return v2.concat(found, 2)


def attention_gpt(x: Any, seen: Any, w: World, e: Encoder, name: str) -> Any:
    """`w * b - 1e10 * (1 - b)`."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True)
    scores = scores * v2.math.rsqrt(v2.cast(v2.shape(value)[-1], v2.float32))
    scores = scores * seen - v2.cast(1e10, v2.float32) * (1 - seen)
    powers = v2.exp(scores - v2.reduce_max(scores, axis=-1, keepdims=True))
    return _joined(v2.matmul(powers / v2.reduce_sum(powers, axis=-1, keepdims=True), value))


def attention_mask_inside(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """The mask is added before scores are divided by the root."""
    query, key, value = _heads(x, w, e, name)
    scores = (v2.matmul(query, key, transpose_b=True) + bias * 10.0) / np.float32(SIZE**0.5)
    return _joined(v2.matmul(v2.nn.softmax(scores), value))


def attention_in_blocks(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Queries 32 at a time."""
    query, key, value = _heads(x, w, e, name)
    found = []
    for block in v2.split(v2.ensure_shape(query, [None, HEADS, LENGTH, SIZE]), LENGTH // 32, 2):
        scores = v2.matmul(block * np.float32(SIZE**-0.5), key, transpose_b=True) + bias
        found.append(v2.matmul(v2.nn.softmax(scores), value))
    return _joined(v2.concat(found, 2))


def attention_flash(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Keys 32 at a time, with the largest score and the sum so far."""
    query, key, value = _heads(x, w, e, name)
    largest = v2.fill(v2.shape(query[..., :1]), np.float32(-1e30))
    total, mixed = v2.zeros_like(query[..., :1]), v2.zeros_like(query)
    for start in range(0, LENGTH, 32):
        here = slice(start, start + 32)
        scores = v2.matmul(query, key[:, :, here], transpose_b=True) * np.float32(SIZE**-0.5) + bias[..., here]
        larger = v2.maximum(largest, v2.reduce_max(scores, -1, keepdims=True))
        powers, less = v2.exp(scores - larger), v2.exp(largest - larger)
        total = total * less + v2.reduce_sum(powers, -1, keepdims=True)
        mixed = mixed * less + v2.matmul(powers, value[:, :, here])
        largest = larger
    return _joined(mixed / total)


# -- layers


def layer_in_chunks(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """The inner layer takes 64 places at a time; `add_n` for residuals."""
    name = f"encoder/layer_{i}"
    found = e.dense(
        e.attention(x, bias, w, e, name + "/attention"), w, name + "/attention/output/dense", HIDDEN, HIDDEN
    )
    x = e.norm(v2.add_n([found, x]), w, name + "/attention/output")
    chunks = [_inner(part, w, e, name) for part in v2.split(v2.ensure_shape(x, [None, LENGTH, HIDDEN]), 2, 1)]
    return e.norm(v2.add_n([v2.concat(chunks, 1), x]), w, name + "/output")


def _step(x: Any, bias: Any, names: list[str], given: list[Any], e: Encoder) -> Any:
    """Run the first layer's code on weights that are given."""
    inner, found = World(frozen=True), dict(zip(names, given))
    inner.weight = lambda name, value: found[name]  # type: ignore[method-assign]
    return e.layer(x, bias, inner, e, 0)


def _weights(e: Encoder) -> list[dict[str, np.ndarray]]:
    """Return every layer's weights by the names of the first."""
    names: dict[str, np.ndarray] = {}
    spy = World(frozen=True)
    spy.weight = names.setdefault  # type: ignore[method-assign]
    with v1.Graph().as_default():
        e.layer(v2.zeros([1, LENGTH, HIDDEN]), v2.zeros([1, 1, 1, 1]), spy, e, 0)
    return [
        {n: drawn(n.replace("layer_0/", f"layer_{i}/"), *value.shape) for n, value in names.items()}
        for i in range(LAYERS)
    ]


def layers_of_one_function(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """One function, to which each layer gives its weights."""
    each = _weights(e)
    names = list(each[0])
    block = v2.function(lambda x, bias, *given: _step(x, bias, names, list(given), e))
    for i, values in enumerate(each):
        held = [v2.convert_to_tensor(w.weight(n.replace("layer_0/", f"layer_{i}/"), values[n])) for n in names]
        x = v2.ensure_shape(block(x, bias, *held), [None, LENGTH, HIDDEN])
    return x


def layers_flat(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """All weights of a layer are one row of numbers."""
    each = _weights(e)
    names, shapes = list(each[0]), [value.shape for value in each[0].values()]
    rows = w.weight("encoder/parameters", np.stack([np.concatenate([v[n].ravel() for n in names]) for v in each]))
    for i in range(LAYERS):
        parts = v2.split(rows[i], [int(np.prod(shape)) for shape in shapes])
        given = [v2.reshape(part, shape) for part, shape in zip(parts, shapes)]
        x = _step(x, bias, names, given, e)
    return x


def layers_folded(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """`foldl` over rows of numbers, a slice for each weight."""
    each = _weights(e)
    names, shapes = list(each[0]), [value.shape for value in each[0].values()]
    rows = w.weight("encoder/parameters", np.stack([np.concatenate([v[n].ravel() for n in names]) for v in each]))
    ends = np.cumsum([0] + [int(np.prod(shape)) for shape in shapes])

    def step(state: Any, row: Any) -> Any:
        given = [v2.reshape(row[ends[j] : ends[j + 1]], shape) for j, shape in enumerate(shapes)]
        return v2.ensure_shape(_step(state, bias, names, given, e), x.shape)

    return v2.foldl(step, v2.convert_to_tensor(rows), x)


def layers_switched(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """A loop whose body is one of the layers, by number."""
    for i in range(LAYERS):
        e.layer(x, bias, w, e, i)  # variables are made first

    def body(i: Any, state: Any) -> Any:
        branches = [lambda j=j: e.layer(state, bias, w, e, j) for j in range(LAYERS)]
        return i + 1, v2.ensure_shape(v2.switch_case(i, branches), x.shape)

    return v2.while_loop(lambda i, _: i < LAYERS, body, [v2.constant(0), x])[1]


def layers_channels_first(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """States [texts, hidden, length] from the embeddings to the end, as engines of phones like them."""

    def product(y: Any, name: str, inputs: int, outputs: int) -> Any:
        k = w.weight(name + "/weight", drawn(name + "/kernel", inputs, outputs).T[:, :, None])
        return v2.einsum("oix,bil->bol", k, y) + w.weight(name + "/bias", drawn(name + "/bias", outputs)[:, None])

    x = v2.transpose(x, [0, 2, 1])
    for i in range(LAYERS):
        name = f"encoder/layer_{i}"
        query, key, value = (product(x, f"{name}/attention/self/{part}", HIDDEN, HIDDEN) for part in PARTS)
        found = []
        for q, k, v in zip(*(v2.split(y, HEADS, 1) for y in (query, key, value))):
            scores = v2.einsum("bcq,bck->bkq", q, k) * np.float32(SIZE**-0.5) + v2.transpose(bias[:, 0], [0, 2, 1])
            found.append(v2.einsum("bkq,bck->bcq", v2.nn.softmax(scores, axis=1), v))
        x += product(v2.concat(found, 1), name + "/attention/output/dense", HIDDEN, HIDDEN)
        x = norm_channels(x, w, name + "/attention/output")
        middle = e.activation(product(x, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
        x = norm_channels(x + product(middle, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")
    return v2.transpose(x, [0, 2, 1])


def longest_of_eight(ids: Any) -> Any:
    """Columns that are padding in every text are left out."""
    return v2.boolean_mask(ids, v2.reduce_any(v2.not_equal(ids, 0), 0), axis=1)


# -- ends


def first_by_product(x: Any) -> Any:
    """A row of a triangle picks it."""
    return v2.linalg.matvec(x, v2.eye(LENGTH)[0], transpose_a=True)


def first_nested(x: Any) -> Any:
    return v2.strided_slice(v2.transpose(x, [1, 0, 2]), [0], [1], shrink_axis_mask=1)


def unit_normalize(x: Any) -> Any:
    return v2.linalg.normalize(x, axis=-1)[0]


def unit_gram(x: Any) -> Any:
    """By the diagonal of all products, with an epsilon."""
    return v2.transpose(v2.transpose(x) * v2.pow(v2.linalg.diag_part(v2.matmul(x, x, transpose_b=True)) + 1e-12, -0.5))
