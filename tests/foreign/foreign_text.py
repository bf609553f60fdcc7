"""Text styles: each cuts one string into words and characters, makes pieces of them and packs the ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

v1 = tf.compat.v1
CUT = (r"\p{Han}+", tf_text.WordShape.HAS_EMOJI.value, tf_text.WordShape.IS_PUNCT_OR_SYMBOL.value)
LINES = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)


def packed(texts: Any, vocabulary: str, r: Any) -> tuple[Any, Any]:
    """Return ids [batch, max_length] and a mask of the same shape (None where the encoder makes its own)."""
    initializer = tf.lookup.TextFileInitializer(vocabulary, *LINES)
    if "oov" in r.twists:
        table: Any = tf.lookup.StaticVocabularyTable(initializer, num_oov_buckets=1)
    else:
        table = tf.lookup.StaticHashTable(initializer, -1 if "minus_one" in r.twists else 100)
    if r.text == "batched":
        return batched(texts, table, r), None
    if "replace_outside" in r.twists:
        texts = v1.strings.regex_replace(texts, r.delete, "")
    cut = STYLES[r.text]
    pack = PACKERS.get(r.text, pack_pad)

    @tf.autograph.experimental.do_not_convert
    def one(text: Any) -> Any:
        ids = tf.cast(pack(pieces(cut(prepared(text, r), r), table, r), table, r), r.ids_dtype)
        ids = tf.ensure_shape(ids, [r.max_length])
        return (ids, tf.cast(tf.not_equal(ids, 0), tf.int32)) if r.mask == "carried" else ids

    if r.mask == "carried":
        spec = (r.ids_dtype, tf.int32)
        ids, mask = v1.map_fn(one, texts, dtype=spec)
        return ids, mask
    return v1.map_fn(one, texts, dtype=r.ids_dtype, parallel_iterations=1), None


def prepared(text: Any, r: Any) -> Any:
    """Return the text without what is deleted from it."""
    if "string_lower" in r.twists:
        text = tf.strings.lower(text, encoding="utf-8")
    if "normalize" in r.twists:
        text = tf_text.normalize_utf8(text, "NFKC")
    if "replace_outside" in r.twists:
        return text
    if r.text in ("decoded", "word_loop"):  # patterns as tensors: the op that is not static
        return tf.raw_ops.RegexReplace(input=text, pattern=tf.constant(r.delete), rewrite="")
    return tf.strings.regex_replace(text, r.delete, "")


def pieces(words: Any, table: Any, r: Any) -> Any:
    """Return the ids of the pieces of words [n], flat."""
    if "lookup_after" in r.twists:
        tokenizer = tf_text.WordpieceTokenizer(table, token_out_type=tf.string, max_bytes_per_word=100)
        return table.lookup(tokenizer.tokenize(words).values)
    tokenizer = tf_text.WordpieceTokenizer(table, token_out_type=tf.int64, max_bytes_per_word=100)
    return tokenizer.tokenize(words).flat_values


def _cuts(words: Any, r: Any) -> Any:
    matches = [tf.strings.regex_full_match(words, pattern) for pattern in CUT]
    for i, j, k in ((0, 1, 2), (1, 2, 0), (0, 2, 1)):
        if f"and_{i}_{j}" in r.twists:
            return tf.logical_or(tf.logical_and(matches[i], matches[j]), matches[k])
    if "and_patterns" in r.twists:
        return tf.logical_and(tf.logical_or(matches[0], matches[1]), matches[2])
    return tf.reduce_any(tf.stack(matches), axis=0) if r.text == "masked" else matches[0] | matches[1] | matches[2]


def plain(text: Any, r: Any) -> Any:
    """Words as rows of one word, chosen row by row against rows of characters."""
    words = tf_text.UnicodeScriptTokenizer().tokenize(text)
    characters = tf.strings.unicode_split(words, "UTF-8")
    return v1.where(
        _cuts(words, r), characters, tf.RaggedTensor.from_row_lengths(words, tf.ones_like(words, tf.int64))
    ).values


def masked(text: Any, r: Any) -> Any:
    """Each row holds the characters and then the word; a ragged mask keeps the one or the other."""
    words = tf_text.UnicodeScriptTokenizer().tokenize(tf.expand_dims(text, 0)).merge_dims(0, 1)
    cut = _cuts(words, r)
    characters = tf.strings.unicode_split(words, "UTF-8")
    rows = tf.concat([characters, tf.expand_dims(words, 1)], axis=1)
    per_character = tf.ragged.map_flat_values(tf.gather, cut, characters.with_values(characters.value_rowids()))
    keep = tf.concat([per_character, tf.expand_dims(~cut, 1)], axis=1)
    return tf.ragged.boolean_mask(rows, keep).flat_values


def decoded(text: Any, r: Any) -> Any:
    """Code points encoded again one by one; where v2 broadcasts the choice over offsets into one long vector."""
    words = tf_text.UnicodeScriptTokenizer().tokenize([text])[0]
    cut = tf.zeros_like(words, tf.bool)
    for pattern in CUT:
        cut = tf.logical_or(cut, tf.raw_ops.RegexFullMatch(input=words, pattern=tf.constant(pattern)))
    points = tf.strings.unicode_decode(words, "UTF-8")
    characters = tf.strings.unicode_encode(tf.expand_dims(points.flat_values, -1), "UTF-8")
    lengths = tf.where(cut, points.row_lengths(), 1)
    base = tf.where(
        cut, points.row_starts() + tf.size(words, out_type=tf.int64), tf.range(tf.size(words, out_type=tf.int64))
    )
    steps = tf.ragged.range(base, base + lengths)
    return tf.gather(tf.concat([words, characters], 0), steps.flat_values)


def word_loop(text: Any, r: Any) -> Any:
    """A loop over words that appends to a growing vector, with a conditional for each word."""
    words = tf_text.UnicodeScriptTokenizer().tokenize(text)

    def step(i: Any, done: Any) -> Any:
        word = words[i]
        cut = tf.logical_or(tf.strings.regex_full_match(word, CUT[0]), tf.strings.regex_full_match(word, CUT[1]))
        cut = tf.logical_or(cut, tf.strings.regex_full_match(word, CUT[2]))
        parts = tf.cond(cut, lambda: tf.strings.unicode_split(word, "UTF-8"), lambda: word[tf.newaxis])
        return [i + 1, tf.concat([done, parts], 0)]

    start = [tf.constant(0), tf.constant([], tf.string)]
    shapes = [tf.TensorShape([]), tf.TensorShape([None])]
    return v1.while_loop(lambda i, done: i < tf.size(words), step, start, shape_invariants=shapes)[1]


def word_map(text: Any, r: Any) -> Any:
    """An inner map_fn with a ragged result, which travels as variants."""
    words = tf_text.UnicodeScriptTokenizer().tokenize(text)

    def parts(word: Any) -> Any:
        whole = tf.reshape(word, [1])
        cut = tf.reduce_any([tf.strings.regex_full_match(word, pattern) for pattern in CUT])
        return tf.cond(cut, lambda: tf.strings.unicode_split(word, "UTF-8"), lambda: whole)

    spec = tf.RaggedTensorSpec([None], tf.string, ragged_rank=0)
    return tf.map_fn(parts, words, fn_output_signature=spec).flat_values


def called(text: Any, r: Any) -> Any:
    """One traced function asks about each pattern, given as an argument."""

    @tf.function(autograph=False)
    def matches(words: Any, pattern: Any) -> Any:
        return tf.raw_ops.RegexFullMatch(input=words, pattern=pattern)

    words = tf_text.UnicodeScriptTokenizer().tokenize(text)
    first, second, third = (matches(words, tf.constant(pattern)) for pattern in CUT)
    cut = tf.logical_or(first, tf.logical_or(second, third))
    characters = tf.strings.unicode_split(words, "UTF-8")
    lengths = tf.where(cut, characters.row_lengths(), tf.ones_like(characters.row_lengths()))
    owner = tf.repeat(tf.range(tf.size(words)), tf.cast(lengths, tf.int32))
    inside = tf.ragged.range(lengths).flat_values
    at = tf.gather(characters.row_starts(), owner) + inside
    return tf.where(tf.gather(cut, owner), tf.gather(characters.flat_values, at), tf.gather(words, owner))


def pack_pad(found: Any, table: Any, r: Any) -> Any:
    """Slices and tf.pad; the special ids are constants."""
    found = tf.cast(found, tf.int32)[: r.max_length - 2]
    ids = tf.concat([[101], found, [102]], 0)
    return tf.pad(ids, [[0, r.max_length - tf.shape(ids)[0]]])


def pack_zeros(found: Any, table: Any, r: Any) -> Any:
    """tf.minimum, tf.slice and a tail of zeros; the special ids are looked up."""
    count = tf.minimum(tf.size(found), r.max_length - 2)
    start, end = table.lookup(tf.constant(["[CLS]"])), table.lookup(tf.constant(["[SEP]"]))
    tail = tf.zeros([r.max_length - 2 - count], tf.int64)
    return tf.concat([start, tf.slice(found, [0], [count]), end, tail], 0)


def pack_tensor(found: Any, table: Any, r: Any) -> Any:
    """A ragged row made dense, padded with a looked-up id."""
    ids = tf.concat(
        [[table.lookup(tf.constant("[CLS]"))], found[: r.max_length - 2], [table.lookup(tf.constant("[SEP]"))]], 0
    )
    row = tf.RaggedTensor.from_row_lengths(ids, [tf.size(ids, out_type=tf.int64)])
    pad = table.lookup(tf.constant("[PAD]"))
    return tf.squeeze(row.to_tensor(default_value=pad, shape=[None, r.max_length]), 0)


def batched(texts: Any, table: Any, r: Any) -> Any:
    """No loop at all: the whole batch in ragged tensors."""
    words = tf_text.UnicodeScriptTokenizer().tokenize(tf.strings.regex_replace(texts, r.delete, ""))
    characters = tf.strings.unicode_split(words.values, "UTF-8")
    whole = tf.RaggedTensor.from_tensor(words.values[:, tf.newaxis])
    parts = v1.where(_cuts(words.values, r), characters, whole)
    tokenizer = tf_text.WordpieceTokenizer(table, token_out_type=tf.int64, max_bytes_per_word=100)
    rows = tokenizer.tokenize(words.with_values(parts).merge_dims(1, 2)).merge_dims(1, 2)[:, : r.max_length - 2]
    batch = tf.ones([rows.nrows(), 1], tf.int64)
    ids = tf.concat([batch * 101, rows, batch * 102], axis=1)
    return tf.cast(ids.to_tensor(0, shape=[None, r.max_length]), r.ids_dtype)


STYLES: dict[str, Callable[[Any, Any], Any]] = {
    "plain": plain,
    "masked": masked,
    "decoded": decoded,
    "word_loop": word_loop,
    "word_map": word_map,
    "called": called,
}
PACKERS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "masked": pack_zeros,
    "decoded": pack_tensor,
    "called": pack_zeros,
    "word_loop": pack_tensor,
}
