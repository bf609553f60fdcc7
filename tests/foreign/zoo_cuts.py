"""Cutting the chosen words into characters, by many operations.

Each takes `words`, a ragged string tensor [texts, (words)], and `cut`, bool [all words], and returns a ragged string tensor
[texts, (tokens)].
"""

from __future__ import annotations

from typing import Any

from zoo_base import ENCODING, v1, v2
from zoo_words import characters, decoded

Ragged = v2.RaggedTensor


def merged(words: Any, rows: Any) -> Any:
    """Return [texts, (tokens)] of the rows [all words, (tokens of the word)]."""
    splits = v2.gather(rows.row_splits, words.row_splits)
    return Ragged.from_row_splits(rows.values, splits)


def lengths_of(words: Any, cut: Any) -> Any:
    """Return how many tokens each word becomes, int64 [all words]."""
    count = v2.cast(v2.strings.length(words.values, unit="UTF8_CHAR"), v2.int64)
    return v2.where(cut, count, v2.ones_like(count))


def resplit(words: Any, lengths: Any, tokens: Any) -> Any:
    """Return flat tokens as [texts, (tokens)], given how many each word became."""
    ends = v2.concat([v2.zeros([1], v2.int64), v2.cumsum(lengths)], 0)
    return Ragged.from_row_splits(tokens, v2.gather(ends, words.row_splits))


def where_rows(words: Any, cut: Any) -> Any:
    """As TF.Text's first BasicTokenizer: choose rows, merge them."""
    whole = Ragged.from_tensor(v2.expand_dims(words.values, 1))
    return merged(words, v1.where(cut, characters(words.values), whole))


def where_rows_nested(words: Any, cut: Any) -> Any:
    """The same on a nested ragged tensor whose dimensions are merged."""
    whole = Ragged.from_tensor(v2.expand_dims(words.values, 1))
    nested = words.with_values(v1.where(cut, characters(words.values), whole))
    return nested.merge_dims(1, 2)


def where_row_lengths(words: Any, cut: Any) -> Any:
    """Merge by the sums of row lengths."""
    whole = Ragged.from_row_lengths(words.values, v2.ones_like(words.values, v2.int64))
    rows = v1.where(cut, characters(words.values), whole)
    sums = v2.reduce_sum(words.with_values(rows.row_lengths()), axis=1)
    return Ragged.from_row_lengths(rows.flat_values, sums)


def concat_rows(words: Any, cut: Any) -> Any:
    """Join two ragged tensors of which one has an empty row wherever the other has none."""
    none = v2.zeros_like(words.values, v2.int64)
    kept = v2.boolean_mask(words.values, v2.logical_not(cut))
    whole = Ragged.from_row_lengths(kept, v2.where(cut, none, none + 1))
    parts = characters(words.values)
    chosen = v2.ragged.boolean_mask(parts, parts.with_values(v2.gather(cut, parts.value_rowids())))
    return merged(words, v2.concat([chosen, whole], axis=1))


def stitched(words: Any, cut: Any) -> Any:
    """Partition words, cut one part, stitch the tokens by their places."""
    lengths = lengths_of(words, cut)
    starts = v2.cast(v2.cumsum(lengths, exclusive=True), v2.int32)
    choice = v2.cast(cut, v2.int32)
    whole, chosen = v2.dynamic_partition(words.values, choice, 2)
    at_whole, at_chosen = v2.dynamic_partition(starts, choice, 2)
    parts = characters(chosen)
    row = v2.cast(parts.value_rowids(), v2.int32)
    offset = v2.range(v2.size(row)) - v2.cast(v2.gather(parts.row_starts(), row), v2.int32)
    tokens = v2.dynamic_stitch([at_whole, v2.gather(at_chosen, row) + offset], [whole, parts.values])
    return resplit(words, lengths, tokens)


def sorted_by_place(words: Any, cut: Any) -> Any:
    """Concatenate whole words and characters, then sort them by a key of word and place."""
    parts = characters(words.values)
    rows = parts.value_rowids()
    mask = v2.gather(cut, rows)
    width = v2.cast(v2.reduce_max(v2.concat([parts.row_lengths(), [1]], 0)), v2.int64) + 1
    offset = v2.range(v2.size(rows, v2.int64)) - v2.gather(parts.row_starts(), rows)
    whole = v2.boolean_mask(v2.range(v2.size(cut, v2.int64)), v2.logical_not(cut))
    keys = v2.concat([whole * width, v2.boolean_mask(rows * width + offset, mask)], 0)
    tokens = v2.concat([v2.gather(words.values, whole), v2.boolean_mask(parts.values, mask)], 0)
    return resplit(words, lengths_of(words, cut), v2.gather(tokens, v2.argsort(keys)))


def spaced(words: Any, cut: Any) -> Any:
    """Put a space after every character of a word that is cut, join, split at spaces."""
    marked = v2.where(cut, v2.strings.regex_replace(words.values, "(.)", r"\1 "), words.values)
    lines = v2.strings.reduce_join(words.with_values(marked).to_tensor(""), axis=1, separator=" ")
    return v2.strings.split(lines)


def spaced_words(words: Any, cut: Any) -> Any:
    """Split each word at the spaces put into it."""
    marked = v2.where(cut, v2.strings.regex_replace(words.values, "(.)", r"\1 "), words.values)
    return merged(words, v2.strings.split(marked))


def separated(words: Any, cut: Any) -> Any:
    """Join by a separator that no text holds any more, one word at a time under `cond`, and split again."""

    def one(pair: Any) -> Any:
        word, wanted = pair
        pieces = lambda: v2.strings.reduce_join(v2.strings.unicode_split(word, ENCODING), separator="\x01")  # noqa: E731
        return v1.cond(wanted, pieces, lambda: v2.identity(word))

    joined = v2.map_fn(one, (words.values, cut), dtype=v2.string)
    return merged(words, v2.strings.split(joined, "\x01"))


def gathered(words: Any, cut: Any) -> Any:
    """Gather from a pool of words and characters by computed places."""
    parts = characters(words.values)
    lengths = lengths_of(words, cut)
    row = Ragged.from_row_lengths(v2.zeros([v2.reduce_sum(lengths)], v2.int64), lengths).value_rowids()
    offset = v2.range(v2.reduce_sum(lengths)) - v2.gather(v2.cumsum(lengths, exclusive=True), row)
    pool = v2.concat([words.values, parts.values], 0)
    count = v2.size(words.values, v2.int64)
    place = v2.where(v2.gather(cut, row), count + v2.gather(parts.row_starts(), row) + offset, row)
    return resplit(words, lengths, v2.gather(pool, place))


def gathered_rows(words: Any, cut: Any) -> Any:
    """The same with ragged places."""
    parts = characters(words.values)
    count = v2.size(words.values, v2.int64)
    at = Ragged.from_row_splits(v2.range(v2.size(parts.values, v2.int64)) + count, parts.row_splits)
    whole = Ragged.from_tensor(v2.expand_dims(v2.range(count), 1))
    places = v1.where(cut, at, whole)
    return merged(words, places.with_values(v2.gather(v2.concat([words.values, parts.values], 0), places.values)))


def starts_of(words: Any, cut: Any) -> Any:
    """Return of each character of all words whether a token starts there, bool."""
    rows = characters(words.values)
    first = v2.scatter_nd(
        v2.expand_dims(rows.row_starts(), 1), v2.ones_like(rows.row_starts()), v2.shape(rows.values, v2.int64)
    )
    return v2.greater(first, 0) | v2.repeat(cut, rows.row_lengths())


def joined_by_segment(words: Any, cut: Any) -> Any:
    """Number the tokens by a running sum of starts; join the characters of each."""
    numbers = v2.cumsum(v2.cast(starts_of(words, cut), v2.int64)) - 1
    lengths = lengths_of(words, cut)
    total = v2.reduce_sum(lengths)
    tokens = v1.strings.unsorted_segment_join(characters(words.values).values, numbers, total)
    return resplit(words, lengths, tokens)


def encoded(words: Any, cut: Any) -> Any:
    """Regroup the code points by the starts of tokens and encode them."""
    starts = v2.where(starts_of(words, cut))[:, 0]
    tokens = v2.strings.unicode_encode(Ragged.from_row_starts(decoded(words.values).values, starts), ENCODING)
    return resplit(words, lengths_of(words, cut), tokens)


def by_offsets(words: Any, cut: Any) -> Any:
    """Take substrings at byte offsets."""
    parts, begins = v2.strings.unicode_split_with_offsets(words.values, ENCODING)
    zero = Ragged.from_tensor(v2.expand_dims(v2.zeros_like(words.values, v2.int64), 1))
    begin = v1.where(cut, begins, zero)
    size = v2.strings.length(v1.where(cut, parts, Ragged.from_tensor(v2.expand_dims(words.values, 1))).values)
    source = v2.gather(words.values, begin.value_rowids())
    return merged(words, begin.with_values(v2.strings.substr(source, v2.cast(begin.values, v2.int32), size)))


def dense(words: Any, cut: Any) -> Any:
    """Through dense tensors filled with the empty string."""
    parts = characters(words.values).to_tensor("")
    parts = v2.concat([parts, v2.fill([v2.shape(parts)[0], 1], "")], 1)
    whole = v2.concat([v2.expand_dims(words.values, 1), v2.fill(v2.shape(parts[:, 1:]), "")], 1)
    rows = v2.where(v2.expand_dims(cut, 1), parts, whole)
    kept = v2.not_equal(rows, "")
    counts = v2.reduce_sum(v2.cast(kept, v2.int64), 1)
    return resplit(words, counts, v2.boolean_mask(rows, kept))


def from_tensor_padding(words: Any, cut: Any) -> Any:
    """Through dense tensors again; `from_tensor` drops the padding."""
    parts = characters(words.values).to_tensor("")
    width = v2.maximum(v2.shape(parts)[1], 1)
    whole = v2.pad(v2.expand_dims(words.values, 1), [[0, 0], [0, width - 1]], constant_values="")
    parts = v2.concat([parts, v2.fill([v2.shape(parts)[0], width - v2.shape(parts)[1]], "")], 1)
    return merged(words, Ragged.from_tensor(v2.where(v2.expand_dims(cut, 1), parts, whole), padding=""))


def in_array(words: Any, cut: Any) -> Any:
    """Write the tokens of each word into a TensorArray in a loop; it joins them."""
    count = v2.size(words.values)
    array = v2.TensorArray(v2.string, size=count, infer_shape=False, element_shape=[None])

    def step(i: Any, found: Any) -> Any:
        word = words.values[i]
        tokens = v1.cond(cut[i], lambda: v2.strings.unicode_split(word, ENCODING), lambda: v2.reshape(word, [1]))
        return i + 1, found.write(i, tokens)

    _, array = v2.while_loop(lambda i, _: i < count, step, [v2.constant(0), array])
    return resplit(words, lengths_of(words, cut), array.concat())


def in_loop(words: Any, cut: Any) -> Any:
    """Grow the tokens by concatenation in a loop."""
    count = v2.size(words.values)

    def step(i: Any, found: Any) -> Any:
        word = words.values[i]
        tokens = v1.cond(cut[i], lambda: v2.strings.unicode_split(word, ENCODING), lambda: v2.expand_dims(word, 0))
        return i + 1, v2.concat([found, tokens], 0)

    start = [v2.constant(0), v2.zeros([0], v2.string)]
    shapes = [v2.TensorShape([]), v2.TensorShape([None])]
    _, tokens = v2.while_loop(lambda i, _: i < count, step, start, shape_invariants=shapes)
    return resplit(words, lengths_of(words, cut), tokens)


def ragged_map(words: Any, cut: Any) -> Any:
    """Map each word to a ragged row."""

    def one(pair: Any) -> Any:
        word, wanted = pair
        return v2.cond(wanted, lambda: v2.strings.unicode_split(word, ENCODING), lambda: v2.reshape(word, [1]))

    signature = v2.RaggedTensorSpec([None], v2.string, ragged_rank=0, row_splits_dtype=v2.int64)
    return merged(words, v2.map_fn(one, (words.values, cut), fn_output_signature=signature))


def sparse(words: Any, cut: Any) -> Any:
    """Through sparse tensors of rows, joined by sparse concatenation."""
    parts = characters(words.values)
    chosen = v2.ragged.boolean_mask(parts, parts.with_values(v2.gather(cut, parts.value_rowids())))
    kept = v2.logical_not(cut)
    whole = Ragged.from_row_lengths(v2.boolean_mask(words.values, kept), v2.cast(kept, v2.int64))
    both = v1.sparse_concat(1, [chosen.to_sparse(), whole.to_sparse()])
    return merged(words, Ragged.from_value_rowids(both.values, both.indices[:, 0], nrows=both.dense_shape[0]))
