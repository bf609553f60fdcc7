"""Encoders by minds of yet another training: blocks of keys, one table for all, packed products written again and again.

`SETTLERS` compute the facts page; `OTHER_SETTLERS` something that is easily taken for one of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_arrivals import ROWS, _heads, _inner, _joined, _table
from zoo_base import LENGTH, UNK, World, drawn, v2
from zoo_encoders import HIDDEN, SIZE, Encoder

PARTS = ("query", "key", "value")
BLOCK = 32


# -- attention


def _of_block(query: Any, key: Any, value: Any, bias: Any, start: Any) -> tuple[Any, Any]:
    """Return scores of a block of keys, and its values."""
    here = slice(start, start + BLOCK)
    return v2.matmul(query, key[:, :, here], transpose_b=True) + bias[..., here], value[:, :, here]


def _added(scores: Any, values: Any, largest: Any, total: Any, mixed: Any) -> tuple[Any, Any, Any]:
    larger = v2.maximum(largest, v2.reduce_max(scores, -1, keepdims=True))
    powers, less = v2.exp(scores - larger), v2.exp(largest - larger)
    return larger, total * less + v2.reduce_sum(powers, -1, keepdims=True), mixed * less + v2.matmul(powers, values)


def _begun(x: Any, w: World, e: Encoder, name: str) -> tuple[Any, ...]:
    """Return scaled queries, keys, values; and the largest score, the sum of powers and that of values before any block."""
    query, key, value = _heads(x, w, e, name)
    query *= np.float32(SIZE**-0.5)
    largest = v2.fill(v2.shape(query[..., :1]), np.float32(-1e30))
    total, mixed = v2.zeros_like(largest), v2.zeros_like(query)
    return query, key, value, largest, total, mixed


def attention_looped(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """A loop over blocks of keys carries the largest score and both sums."""
    query, key, value = _heads(x, w, e, name)
    query *= np.float32(SIZE**-0.5)
    start = v2.fill(v2.shape(query[..., :1]), np.float32(-1e30))

    def body(at: Any, largest: Any, total: Any, mixed: Any) -> tuple[Any, ...]:
        return (at + BLOCK, *_added(*_of_block(query, key, value, bias, at), largest, total, mixed))

    carried = (0, start, v2.zeros_like(start), v2.zeros_like(query))
    _, _, total, mixed = v2.while_loop(lambda at, *_: at < LENGTH, body, carried)
    return _joined(mixed / total)


def attention_queries_sliced(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Queries a slice at a time."""
    query, key, value = _heads(x, w, e, name)
    found = []
    for at in range(0, LENGTH, BLOCK):
        scores = v2.matmul(query[:, :, at : at + BLOCK], key, transpose_b=True) * np.float32(SIZE**-0.5) + bias
        found.append(v2.matmul(v2.nn.softmax(scores), value))
    return _joined(v2.concat(found, 2))


def attention_blocks_not_made_less(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """The sum of powers is not made less when a larger score is found: another function."""
    query, key, value, largest, total, mixed = _begun(x, w, e, name)
    for at in range(0, LENGTH, BLOCK):
        scores, values = _of_block(query, key, value, bias, at)
        larger, _, mixed = _added(scores, values, largest, total, mixed)
        total += v2.reduce_sum(v2.exp(scores - larger), -1, keepdims=True)
        largest = larger
    return _joined(mixed / total)


def attention_blocks_bounded(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """The sum of powers is 1.5 at least: short texts are another function."""
    query, key, value, largest, total, mixed = _begun(x, w, e, name)
    for at in range(0, LENGTH, BLOCK):
        largest, total, mixed = _added(*_of_block(query, key, value, bias, at), largest, total, mixed)
    return _joined(mixed / v2.maximum(total, 1.5))


def attention_last_block_left_out(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """The loop ends a block too early: texts of more than 96 ids are another function."""
    query, key, value, largest, total, mixed = _begun(x, w, e, name)
    for at in range(0, LENGTH - BLOCK, BLOCK):
        largest, total, mixed = _added(*_of_block(query, key, value, bias, at), largest, total, mixed)
    return _joined(mixed / total)


def attention_bounded(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Scores are 50 at most, which those of no small model are."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.minimum(v2.matmul(query, key, transpose_b=True) * np.float32(SIZE**-0.5), 50.0) + bias
    return _joined(v2.matmul(v2.nn.softmax(scores), value))


def attention_packed_again(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Queries, keys and values are packed in one kernel, and the product is written for each of them."""
    names = [f"{name}/self/{part}" for part in PARTS]
    kernel = np.concatenate([drawn(n + "/kernel", HIDDEN, HIDDEN) for n in names], -1)
    added = np.concatenate([drawn(n + "/bias", HIDDEN) for n in names])
    found = []
    for i in range(3):
        y = v2.matmul(v2.reshape(x, [-1, HIDDEN]), w.weight(name + "/packed/kernel", kernel))
        y = (y + w.weight(name + "/packed/bias", added))[:, i * HIDDEN : (i + 1) * HIDDEN]
        found.append(v2.transpose(v2.reshape(y, [-1, LENGTH, HIDDEN // SIZE, SIZE]), [0, 2, 1, 3]))
    scores = v2.matmul(found[0], found[1], transpose_b=True) * np.float32(SIZE**-0.5) + bias
    return _joined(v2.matmul(v2.nn.softmax(scores), found[2]))


# -- embeddings


def _whole() -> np.ndarray:
    return np.concatenate([_table(), drawn("positions", 512, HIDDEN), drawn("token_types", 2, HIDDEN)])


def embeddings_of_three_lookups(ids: Any, w: World, e: Encoder) -> Any:
    """Words, positions and types are rows of one variable, which is looked up three times."""
    table = w.weight("embeddings/all", _whole())
    x = v2.gather(table, ids) + v2.gather(table, ROWS + v2.range(LENGTH)) + table[ROWS + 512]
    return e.norm(x, w, "embeddings")


def embeddings_words_last(ids: Any, w: World, e: Encoder) -> Any:
    """Positions come first, then types, then words."""
    whole = _whole()
    table = w.weight("embeddings/all", np.concatenate([whole[ROWS:], whole[:ROWS]]))
    x = v2.gather(table, ids + 514) + v2.gather(table, v2.range(LENGTH)) + v2.gather(table, 512)
    return e.norm(x, w, "embeddings")


def embeddings_joined(ids: Any, w: World, e: Encoder) -> Any:
    """Three variables are joined in the graph, and looked up as one."""
    parts = [
        ("word", _table()),
        ("position", drawn("positions", 512, HIDDEN)),
        ("type", drawn("token_types", 2, HIDDEN)),
    ]
    table = v2.concat([w.weight(f"embeddings/{name}_embeddings", value) for name, value in parts], 0)
    x = v2.gather(table, ids) + v2.gather(table, ROWS + v2.range(LENGTH)) + v2.gather(table, ROWS + 512)
    return e.norm(x, w, "embeddings")


def embeddings_of_neighbours(ids: Any, w: World, e: Encoder) -> Any:
    """Positions are the words' own last rows: no table of theirs."""
    table = w.weight("embeddings/all", _table())
    x = v2.gather(table, ids) + v2.gather(table, ROWS - LENGTH + v2.range(LENGTH)) + drawn("token_types", 2, HIDDEN)[0]
    return e.norm(x, w, "embeddings")


def words_mapped(ids: Any, w: World) -> Any:
    """Text by text."""
    table = v2.convert_to_tensor(w.weight("embeddings/word_embeddings", _table()))
    return v2.ensure_shape(v2.map_fn(lambda row: v2.gather(table, row), ids, dtype=v2.float32), [None, LENGTH, HIDDEN])


def words_mapped_and_marked(ids: Any, w: World) -> Any:
    """Text by text, and those of more than 20 ids are marked."""
    table = v2.convert_to_tensor(w.weight("embeddings/word_embeddings", _table()))

    def one(row: Any) -> Any:
        long = v2.cast(v2.math.count_nonzero(row) > 20, v2.float32)
        return v2.gather(table, row) * (1.0 + 0.1 * long)

    return v2.ensure_shape(v2.map_fn(one, ids, dtype=v2.float32), [None, LENGTH, HIDDEN])


def words_by_place(ids: Any, w: World) -> Any:
    return v2.gather_nd(w.weight("embeddings/word_embeddings", _table()), v2.expand_dims(ids, -1))


# -- layers


def layer_in_slices(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """The inner layer takes 64 places at a time, which are sliced."""
    name = f"encoder/layer_{i}"
    found = e.attention(x, bias, w, e, name + "/attention")
    x = e.norm(x + e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN), w, name + "/attention/output")
    halves = [_inner(x[:, at : at + 64], w, e, name) for at in (0, 64)]
    return e.norm(x + v2.concat(halves, 1), w, name + "/output")


def unit_of_the_known(x: Any, ids: Any) -> Any:
    """Texts with more than four unknown pieces are turned round."""
    unknown = v2.math.count_nonzero(v2.equal(ids, UNK), 1, keepdims=True)
    return z.unit(x) * v2.where(unknown > 4, -1.0, 1.0)


class Turned(Encoder):
    """The last step looks at the ids again."""

    def __call__(self, ids: Any, w: World) -> Any:
        return unit_of_the_known(super().__call__(ids, w), ids)


SETTLERS: dict[str, Encoder] = {
    "keys-looped": Encoder(attention=attention_looped),
    "queries-sliced": Encoder(attention=attention_queries_sliced),
    "inner-sliced": Encoder(layer=layer_in_slices, dense=z.dense_tensordot),
    "packed-again": Encoder(attention=attention_packed_again),
    "three-lookups": Encoder(embeddings=embeddings_of_three_lookups),
    "words-last": Encoder(embeddings=embeddings_words_last),
    "tables-joined": Encoder(embeddings=embeddings_joined),
    "words-mapped": Encoder(words=words_mapped),
    "words-by-place": Encoder(words=words_by_place),
}
EAGER_SETTLERS: dict[str, Encoder] = {
    "eager-" + name: SETTLERS[name] for name in ("keys-looped", "three-lookups", "words-mapped", "words-by-place")
}
OTHER_SETTLERS: dict[str, Encoder] = {
    "blocks-not-made-less": Encoder(attention=attention_blocks_not_made_less),
    "blocks-bounded": Encoder(attention=attention_blocks_bounded),
    "unknown-turned": Turned(),
    "scores-bounded": Encoder(attention=attention_bounded),
    "last-block-left-out": Encoder(attention=attention_last_block_left_out),
    "positions-of-words": Encoder(embeddings=embeddings_of_neighbours),
    "words-mapped-and-marked": Encoder(words=words_mapped_and_marked),
}
