"""WordPiece and packing, by many operations.

A `pieces` function takes tokens, a ragged string tensor [texts, (tokens)], and returns pieces [texts, (pieces)], as ids or
as strings; a `pack` function makes of them ids, int32 [texts, 128].
"""

from __future__ import annotations

from typing import Any

import tensorflow_text as text
from zoo_base import CLS, LENGTH, PAD, ROOM, SEP, UNK, World, pieces, v1, v2
from zoo_cuts import Ragged, merged


def _ids(tokens: Any, w: World, kind: str = "file", **options: Any) -> Any:
    options.setdefault("token_out_type", v2.int64)
    return text.WordpieceTokenizer(w.table(kind), **options).tokenize(tokens)


def wordpiece(tokens: Any, w: World, kind: str = "file", **options: Any) -> Any:
    """Return ids of ragged tokens, two ragged dimensions made one."""
    nested = _ids(tokens, w, kind, **options)
    return merged(tokens, nested.values)


def wordpiece_strings(tokens: Any, w: World, kind: str = "file") -> Any:
    return wordpiece(tokens, w, kind, token_out_type=v2.string)


def wordpiece_unlooked(tokens: Any, w: World, kind: str = "file-unk") -> Any:
    """Look the string pieces up apart."""
    strings = wordpiece_strings(tokens, w, kind)
    return strings.with_values(w.table(kind).lookup(strings.values))


def wordpiece_merge_dims(tokens: Any, w: World, kind: str = "file") -> Any:
    return _ids(tokens, w, kind).merge_dims(-2, -1)


def wordpiece_flat(tokens: Any, w: World, kind: str = "index-from-file") -> Any:
    """Tokenize the flat values; put the rows back by their lengths."""
    rows = _ids(tokens.flat_values, w, kind)
    counts = v2.math.unsorted_segment_sum(rows.row_lengths(), tokens.value_rowids(), tokens.nrows())
    return Ragged.from_row_lengths(rows.flat_values, counts)


def two_calls(tokens: Any, w: World, kind: str = "file") -> Any:
    """One call for single characters, one for words; then in order."""
    flat = tokens.values
    single = v2.equal(v2.strings.length(flat, unit="UTF8_CHAR"), 1)
    choice = v2.cast(single, v2.int32)
    places = v2.dynamic_partition(v2.range(v2.size(flat)), choice, 2)
    long, short = v2.dynamic_partition(flat, choice, 2)
    rows = v2.concat([_ids(long, w, kind), _ids(short, w, kind)], axis=0)
    order = v2.argsort(v2.concat(places, 0))
    return merged(tokens, v2.gather(rows, order))


def characters_looked_up(tokens: Any, w: World, kind: str = "file-unk") -> Any:
    """A single character needs no WordPiece: look it up."""
    flat = tokens.values
    single = v2.equal(v2.strings.length(flat, unit="UTF8_CHAR"), 1)
    direct = Ragged.from_tensor(v2.expand_dims(w.table(kind).lookup(flat), 1))
    return merged(tokens, v1.where(single, direct, _ids(flat, w, kind)))


def fast(tokens: Any, w: World, kind: str = "") -> Any:
    """The WordPiece of 2021: the vocabulary is a trie in a constant."""
    tokenizer = text.FastWordpieceTokenizer(pieces(), no_pretokenization=True, max_bytes_per_word=100)
    return merged(tokens, tokenizer.tokenize(tokens.values))


def by_hand(tokens: Any, w: World, kind: str = "file") -> Any:
    """Greedy longest match by substrings, in loops: what people wrote before TF.Text."""
    table = w.table(kind)

    def longest(word: Any, start: Any) -> Any:
        size = v2.strings.length(word, unit="UTF8_CHAR")
        ends = v2.range(size, start, -1)
        parts = v2.strings.substr(
            v2.fill(v2.shape(ends), word), v2.fill(v2.shape(ends), start), ends - start, "UTF8_CHAR"
        )
        prefix = v2.where(v2.equal(start, 0), "", "##")
        ids = table.lookup(v2.strings.join([v2.fill(v2.shape(ends), prefix), parts]))
        known = v2.concat([v2.boolean_mask(v2.range(v2.size(ids)), ids >= 0), [-1]], 0)[0]
        found = v2.greater_equal(known, 0)
        at = v2.maximum(known, 0)
        return v2.where(found, ids[at], v2.constant(-1, v2.int64)), v2.where(found, ends[at], size)

    def one(word: Any) -> Any:
        size = v2.strings.length(word, unit="UTF8_CHAR")

        def step(start: Any, found: Any) -> Any:
            piece, end = longest(word, start)
            return end, v2.strings.join([found, v2.strings.as_string(piece), " "])

        _, found = v2.while_loop(lambda start, _: start < size, step, [v2.constant(0), v2.constant("")])
        bad = v2.strings.regex_full_match(found, ".*-1.*") | v2.greater(v2.strings.length(word), 100)
        return v2.where(bad, str(UNK), found)

    lines = v2.map_fn(one, tokens.values, dtype=v2.string)
    rows = v2.strings.split(lines)
    return merged(tokens, rows.with_values(v2.strings.to_number(rows.values, v2.int64)))


# -- packing: ragged pieces [texts, (pieces)] -> int32 [texts, 128]


def _column(found: Any, value: Any) -> Any:
    return v2.fill([found.nrows(), 1], v2.cast(value, found.dtype) if found.dtype != v2.string else value)


def _framed(found: Any, first: Any = CLS, last: Any = SEP) -> Any:
    """Return [texts, (1 + pieces + 1)]."""
    return v2.concat([_column(found, first), found[:, :ROOM], _column(found, last)], axis=1)


def pack(found: Any, w: World) -> Any:
    """Frame, make dense, pad."""
    rows = _framed(found).to_tensor(PAD)
    rows = v2.pad(rows, [[0, 0], [0, LENGTH - v2.shape(rows)[1]]])
    rows.set_shape([None, LENGTH])
    return v2.cast(rows, v2.int32)


def pack_to_shape(found: Any, w: World) -> Any:
    return v2.cast(_framed(found).to_tensor(PAD, shape=[None, LENGTH]), v2.int32)


def pack_zeros(found: Any, w: World) -> Any:
    """Concatenate zeros and cut."""
    rows = _framed(v2.cast(found, v2.int32)).to_tensor()
    zeros = v2.zeros([v2.shape(rows)[0], LENGTH], v2.int32)
    return v2.reshape(v2.concat([rows, zeros], 1)[:, :LENGTH], [-1, LENGTH])


def pack_strings(found: Any, w: World, kind: str = "file-unk") -> Any:
    """Special pieces are strings; one lookup at the end."""
    rows = _framed(found, "[CLS]", "[SEP]").to_tensor("[PAD]")
    rows = v2.concat([rows, v2.fill([v2.shape(rows)[0], LENGTH - v2.shape(rows)[1]], "[PAD]")], 1)
    rows.set_shape([None, LENGTH])
    return v2.cast(w.table(kind).lookup(rows), v2.int32)


def pack_strings_ragged(found: Any, w: World, kind: str = "buckets") -> Any:
    """Special pieces are strings; the lookup is ragged, the padding is the default."""
    framed = _framed(found, "[CLS]", "[SEP]")
    ids = v2.ragged.map_flat_values(w.table(kind).lookup, framed)
    return pack_zeros_of(v2.cast(ids, v2.int32))


def pack_zeros_of(ids: Any) -> Any:
    rows = v2.concat([ids, v2.zeros([ids.nrows(), LENGTH], ids.dtype)], axis=1)
    return v2.reshape(rows[:, :LENGTH].to_tensor(), [-1, LENGTH])


def pack_strings_padded(found: Any, w: World, kind: str = "constants") -> Any:
    """`tf.pad` of strings with "[PAD]"."""
    rows = _framed(found, "[CLS]", "[SEP]").to_tensor("[PAD]")
    rows = v2.pad(rows, [[0, 0], [0, LENGTH - v2.shape(rows)[1]]], constant_values="[PAD]")
    return v2.ensure_shape(v2.cast(w.table(kind).lookup(rows), v2.int32), [None, LENGTH])


def pack_gathered(found: Any, w: World) -> Any:
    """Choose the id of each place by comparing places with lengths."""
    counts = v2.expand_dims(v2.minimum(v2.cast(found.row_lengths(), v2.int32), ROOM), 1)
    place = v2.expand_dims(v2.range(LENGTH), 0)
    rows = v2.cast(found[:, :ROOM].to_tensor(), v2.int32)
    rows = v2.pad(rows, [[0, 0], [1, LENGTH - 1 - v2.shape(rows)[1]]])
    middle = v2.where((place > 0) & (place <= counts), rows, v2.zeros_like(rows))
    return v2.where(place < 1, CLS, v2.where(v2.equal(place, counts + 1), SEP, middle))


def pack_scattered(found: Any, w: World) -> Any:
    """Scatter the framed ids into zeros."""
    rows = v2.cast(_framed(found), v2.int32)
    row = rows.value_rowids()
    column = v2.range(v2.size(row, v2.int64)) - v2.gather(rows.row_starts(), row)
    return v2.scatter_nd(
        v2.stack([row, column], 1), rows.values, v2.stack([rows.nrows(), v2.constant(LENGTH, v2.int64)])
    )


def pack_sparse(found: Any, w: World) -> Any:
    rows = v2.cast(_framed(found), v2.int32).to_sparse()
    shape = v2.stack([rows.dense_shape[0], v2.constant(LENGTH, v2.int64)])
    return v2.ensure_shape(v2.sparse.to_dense(v2.SparseTensor(rows.indices, rows.values, shape)), [None, LENGTH])


def pack_each(found: Any, w: World) -> Any:
    """Dense rows of all pieces; each is framed by itself, in a loop."""
    padded = v2.cast(found.to_tensor(), v2.int32)
    counts = v2.minimum(v2.cast(found.row_lengths(), v2.int32), ROOM)

    def one(pair: Any) -> Any:
        row, count = pair
        row = v2.concat([[CLS], row[:count], [SEP], v2.zeros([ROOM - count], v2.int32)], 0)
        row.set_shape([LENGTH])
        return row

    return v2.map_fn(one, (padded, counts), dtype=v2.int32)


def pack_one_hot_end(found: Any, w: World) -> Any:
    """Pad all, then add [SEP] where a one-hot row says."""
    kept = v2.cast(found[:, :ROOM], v2.int32)
    rows = pack_zeros_of(v2.concat([v2.fill([kept.nrows(), 1], CLS), kept], axis=1))
    return rows + SEP * v2.one_hot(v2.cast(kept.row_lengths(), v2.int32) + 1, LENGTH, dtype=v2.int32)


def pack_model_inputs(found: Any, w: World) -> Any:
    """What TF.Text has offered since 2.4."""
    rows, _ = text.combine_segments([found[:, :ROOM]], start_of_sequence_id=CLS, end_of_segment_id=SEP)
    return v2.cast(text.pad_model_inputs(rows, LENGTH)[0], v2.int32)


def pack_trimmed(found: Any, w: World) -> Any:
    """The same with a trimmer."""
    trimmed = text.RoundRobinTrimmer(ROOM).trim([found])
    rows, _ = text.combine_segments(trimmed, start_of_sequence_id=CLS, end_of_segment_id=SEP)
    return v2.cast(text.pad_model_inputs(rows, LENGTH)[0], v2.int32)
