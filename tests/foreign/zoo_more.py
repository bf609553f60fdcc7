"""More of the facts page, by operations that a reader is not likely to expect: text sides and encoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import zoo_cuts as cuts
import zoo_encoders as z
import zoo_words as words
from zoo_base import ENCODING, HAN, LENGTH, ROOM, World, drawn, pieces, v1, v2
from zoo_encoders import HIDDEN, LAYERS, Encoder
from zoo_pieces import pack, wordpiece
from zoo_text import Text, decide, google, mapped

PLAIN = Text()
Ragged = v2.RaggedTensor


def scripts_by_hand(texts: Any, w: World) -> Any:
    """Split where the script of the next character is another; white space has one and then goes."""
    parts = words.characters(texts)
    scripts = v2.strings.unicode_script(words.decoded(texts).values)
    rows = parts.value_rowids()
    other = v2.not_equal(scripts[1:], scripts[:-1]) | v2.not_equal(rows[1:], rows[:-1])
    starts = v2.concat([v2.ones_like(scripts[:1], v2.bool), other], 0)
    black = v2.logical_not(v2.strings.regex_full_match(parts.values, r"[\s\v\p{Z}]"))
    numbers = v2.boolean_mask(v2.cumsum(v2.cast(starts, v2.int64)) - 1, black)
    _, numbers = v2.unique(numbers, v2.int64)
    count = v2.reduce_max(v2.concat([numbers, [-1]], 0)) + 1
    found = v1.strings.unsorted_segment_join(v2.boolean_mask(parts.values, black), numbers, count)
    row = v2.math.unsorted_segment_max(v2.boolean_mask(rows, black), numbers, count)
    return Ragged.from_value_rowids(found, row, nrows=parts.nrows())


def by_case(words_: Any, cut: Any) -> Any:
    """`tf.case` for each word, in a loop."""

    def one(word: Any) -> Any:
        flat = v2.expand_dims(word, 0)
        parts = lambda: v2.strings.reduce_join(v2.strings.unicode_split(word, ENCODING), separator=" ")  # noqa: E731
        whole = lambda: v2.identity(word)  # noqa: E731
        tests = [words.han_regex(flat)[0], words.emoji_shape(flat)[0], words.punctuation_shape(flat)[0]]
        return v1.case([(test, parts) for test in tests], default=whole)

    return cuts.merged(words_, v2.strings.split(v2.map_fn(one, words_.values, dtype=v2.string)))


def stacked_partitions(words_: Any, cut: Any) -> Any:
    """Partition words with their places, cut, put back in order by sorting places."""
    numbers = v2.range(v2.size(cut))
    groups = v2.ragged.stack_dynamic_partitions(numbers, v2.cast(cut, v2.int32), 2)
    whole = Ragged.from_tensor(v2.expand_dims(v2.gather(words_.values, groups[0]), 1))
    rows = v2.concat([whole, words.characters(v2.gather(words_.values, groups[1]))], axis=0)
    return cuts.merged(words_, v2.gather(rows, v2.math.invert_permutation(groups.values)))


def updated(words_: Any, cut: Any) -> Any:
    """Words are written over their first characters, the other characters of them are dropped."""
    parts = words.characters(words_.values)
    kept = v2.logical_not(cut)
    places = v2.boolean_mask(parts.row_starts(), kept)
    tokens = v2.tensor_scatter_nd_update(parts.values, v2.expand_dims(places, 1), v2.boolean_mask(words_.values, kept))
    return cuts.resplit(words_, cuts.lengths_of(words_, cut), v2.boolean_mask(tokens, cuts.starts_of(words_, cut)))


def punctuation_table(flat: Any) -> Any:
    """A table of all punctuation and symbols; a character that it lacks is neither."""
    parts = words.characters(flat)
    found = PUNCTUATION[-1].lookup(parts.values)
    return v2.reduce_all(parts.with_values(v2.greater(found, 0)), axis=1)


PUNCTUATION: list[Any] = []


def with_punctuation_table(texts: Any, w: World) -> Any:
    ends = words.ranges_of("punctuation")
    characters = [chr(c) for low, high in ends for c in range(low, high + 1)]
    keys, values = v2.constant(characters), v2.ones([len(characters)], v2.int64)
    PUNCTUATION.append(v2.lookup.StaticHashTable(v2.lookup.KeyValueTensorInitializer(keys, values), 0))
    return replace(PLAIN, decide=decide(punctuation=punctuation_table))(texts, w)


def asserted(texts: Any, w: World) -> Any:
    """What careful people write: checks all the way."""
    ids = replace(PLAIN, decide=decide(words.han_first))(texts, w)
    checks = [
        v1.assert_equal(v2.shape(ids)[1], LENGTH),
        v1.assert_less(ids, len(pieces()) + 1),
        v1.assert_non_negative(ids),
        v1.Assert(v2.equal(v2.rank(texts), 1), ["texts have another rank", v2.shape(texts)]),
    ]
    with v1.control_dependencies([check for check in checks if check is not None]):
        return v2.identity(ids)


def columns(texts: Any, w: World) -> Any:
    """The texts as one column of a matrix, and as what remains of it."""
    return PLAIN(v2.squeeze(v2.expand_dims(texts, -1), [1]), w)


def ordered_by_length(texts: Any, w: World) -> Any:
    """Texts are sorted by length, and their ids put back in order."""
    order = v2.argsort(v2.strings.length(texts))
    return v2.gather(PLAIN(v2.gather(texts, order), w), v2.argsort(order))


def script_of_word(flat: Any) -> Any:
    """The commonest script is told from a one-hot sum."""
    points = words.decoded(flat)
    counts = v2.math.unsorted_segment_sum(
        v2.one_hot(v2.strings.unicode_script(points.values), 210), points.value_rowids(), points.nrows()
    )
    return v2.equal(v2.argmax(counts, axis=1), HAN)


def trimmed_loop(texts: Any, w: World) -> Any:
    """Pieces are taken in a loop until 126 are there."""

    def one(single: Any) -> Any:
        found = wordpiece(PLAIN.tokens(v2.expand_dims(single, 0), w), w)[0]

        def step(i: Any, row: Any) -> Any:
            here = v2.one_hot(i + 1, LENGTH, on_value=v2.cast(found[i], v2.int32), off_value=0, dtype=v2.int32)
            return i + 1, row + here

        start = [v2.constant(0), v2.one_hot(0, LENGTH, on_value=101, off_value=0, dtype=v2.int32)]
        count, row = v2.while_loop(lambda i, _: (i < v2.size(found)) & (i < ROOM), step, start)
        return row + v2.one_hot(count + 1, LENGTH, on_value=102, off_value=0, dtype=v2.int32)

    w.table()
    return v2.map_fn(one, texts, dtype=v2.int32)


def group_of_han(texts: Any, w: World) -> Any:
    """Everything by rewriting: Han by a group, other cuts by a group, one split."""

    def cut(words_: Any, cut: Any) -> Any:
        rewritten = v2.strings.regex_replace(words_.values, r"(\p{Han})", r" \1 ")
        rewritten = v2.where(cut, v2.strings.regex_replace(words_.values, "(?s)(.)", r" \1 "), rewritten)
        return cuts.merged(words_, v2.strings.split(v2.strings.strip(rewritten)))

    other = replace(PLAIN, decide=lambda flat: words.emoji_shape(flat) | words.punctuation_regex(flat), cut=cut)
    return other(texts, w)


MORE_TEXTS: dict[str, Callable[..., Any]] = {
    "scripts-by-hand": replace(PLAIN, split=scripts_by_hand),
    "case": replace(PLAIN, cut=by_case, loop=mapped),
    "stacked-partitions": replace(PLAIN, cut=stacked_partitions, decide=decide(words.han_all)),
    "updated": replace(PLAIN, cut=updated, decide=decide(words.han_starts)),
    "punctuation-table": with_punctuation_table,
    "asserted": asserted,
    "columns": columns,
    "ordered-by-length": ordered_by_length,
    "script-of-word": replace(PLAIN, decide=decide(script_of_word)),
    "trimmed-loop": trimmed_loop,
    "group-of-han": group_of_han,
    "google-ids": replace(google, pieces=wordpiece, pack=pack, decide=decide(words.han_last), trim=True),
}


# -- encoders


def gelu_exponential(x: Any) -> Any:
    """tanh u = 1 - 2 / (exp(2 u) + 1)."""
    return 0.5 * x * (2.0 - 2.0 / (v2.exp(2.0 * z.NEAR * (x + 0.044715 * x**3)) + 1.0))


def _shards(w: World, strategy: str) -> list[Any]:
    table = drawn("word_embeddings", len(pieces()), HIDDEN)
    half = -(-len(table) // 2)
    parts = [table[:half], table[half:]] if strategy == "div" else [table[::2], table[1::2]]
    return [w.weight(f"embeddings/word_embeddings/part_{i}", part) for i, part in enumerate(parts)]


def words_divided(ids: Any, w: World) -> Any:
    """Two shards, one after the other, as sharded training jobs of TensorFlow 1 kept them."""
    return v1.nn.embedding_lookup(_shards(w, "div"), ids, partition_strategy="div")


def words_dealt(ids: Any, w: World) -> Any:
    """Two shards, dealt like cards."""
    return v1.nn.embedding_lookup(_shards(w, "mod"), ids, partition_strategy="mod")


def words_joined(ids: Any, w: World) -> Any:
    return v2.gather(v2.concat(_shards(w, "div"), 0), ids)


def stacked_layers(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """One while loop over the layers, whose weights are stacked."""
    plain = World(frozen=True)
    plain.weight = plain.values.setdefault  # type: ignore[method-assign]
    x0 = np.zeros([1, 1, HIDDEN], np.float32)
    with v1.Graph().as_default():
        for i in range(LAYERS):
            e.layer(v2.constant(x0), v2.zeros([1, 1, 1, 1]), plain, e, i)
    stacks = {}
    for name in plain.values:
        if "layer_0/" in name:
            value = np.stack([plain.values[name.replace("layer_0/", f"layer_{i}/")] for i in range(LAYERS)])
            stacks[name] = w.weight(name.replace("layer_0/", "layers/"), value)
    inner = World()

    def step(i: Any, x: Any) -> Any:
        inner.weight = lambda name, value: v2.gather(stacks[name], i)  # type: ignore[method-assign]
        return i + 1, e.layer(x, bias, inner, e, 0)

    shapes = [v2.TensorShape([]), v2.TensorShape([None, None, HIDDEN])]
    return v2.while_loop(lambda i, _: i < LAYERS, step, [v2.constant(0), x], shape_invariants=shapes)[1]


def attention_logarithms(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """exp(log_softmax), with places before heads."""
    query, key, value = (
        v2.reshape(
            e.dense(x, w, f"{name}/self/{part}", HIDDEN, HIDDEN), [v2.shape(x)[0], v2.shape(x)[1], z.HEADS, z.SIZE]
        )
        for part in ("query", "key", "value")
    )
    scores = v2.einsum("bqhs,bkhs->bhqk", query, key) / np.float32(z.SIZE**0.5) + bias
    found = v2.einsum("bhqk,bkhs->bqhs", v2.exp(v2.nn.log_softmax(scores)), value)
    return v2.reshape(found, v2.shape(x))


def attention_summed(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Products by broadcasting and sums; the scale goes into the key."""
    query, key, value = (
        v2.transpose(
            v2.reshape(e.dense(x, w, f"{name}/self/{p}", HIDDEN, HIDDEN), [-1, LENGTH, z.HEADS, z.SIZE]), [0, 2, 1, 3]
        )
        for p in ("query", "key", "value")
    )
    scores = v2.matmul(query, v2.multiply(key, 1.0 / z.SIZE**0.5), adjoint_b=True) + bias
    found = v2.transpose(v2.matmul(v2.nn.softmax(scores), value), [0, 2, 1, 3])
    return v2.reshape(found, [-1, LENGTH, HIDDEN])


def norm_statistics(x: Any, w: World, name: str) -> Any:
    """`sufficient_statistics` and `normalize_moments`."""
    gamma, beta = z._scales(w, name)
    count, mean, square, shift = v1.nn.sufficient_statistics(x, [-1], keepdims=True)
    mean, variance = v1.nn.normalize_moments(count, mean, square, shift)
    return (x - mean) * (gamma * v2.math.rsqrt(variance + 1e-12)) + beta


MORE_ENCODERS: dict[str, Encoder] = {
    "gelu-exponential": Encoder(activation=gelu_exponential, pooler=gelu_exponential),
    "divided": Encoder(words=words_divided),
    "dealt": Encoder(words=words_dealt),
    "joined": Encoder(words=words_joined),
    "stacked-layers": Encoder(layers=stacked_layers),
    "logarithms": Encoder(attention=attention_logarithms),
    "summed": Encoder(attention=attention_summed, norm=norm_statistics),
}
