"""Text sides by a crowd of engineers, each with a school of their own: `CROWD` compute the facts page, `OTHER_CROWD` are a
step away from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as text
from zoo_base import CLS, ENCODING, HAN, LENGTH, PAD, ROOM, SEP, UNK, World, pieces, quick, v1, v2

strings, Ragged = v2.strings, v2.RaggedTensor
REMOVED = r"\p{Cc}|\p{Cf}"
SHAPES = text.WordShape
HIRAGANA = 20
INHERITED = 1
Side = Any  # a function of texts and the world; TensorFlow 1.15 runs in Python 3.7, which has no such types at run time


def strip(texts: Any) -> Any:
    return strings.regex_replace(texts, REMOVED, "")


def shaped(flat: Any) -> Any:
    return text.wordshape(flat, SHAPES.HAS_EMOJI) | text.wordshape(flat, SHAPES.IS_PUNCT_OR_SYMBOL)


def cut_up(flat: Any) -> Any:
    """Which words are cut into characters: bool of string [words], by TF.Text's own shapes and the script of the first."""
    script = strings.unicode_script(strings.unicode_decode(flat, ENCODING)[:, :1].values)
    return shaped(flat) | v2.equal(script, HAN)


def whole_or_cut(words: Any, chosen: Callable[[Any], Any] = cut_up) -> Any:
    """Ragged string [texts, words] to [texts, tokens]."""
    flat = words.values
    characters = strings.unicode_split(flat, ENCODING)
    kept = v1.where(chosen(flat), characters, Ragged.from_tensor(v2.expand_dims(flat, 1)))
    return words.with_values(kept).merge_dims(1, 2)


def words_of(texts: Any) -> Any:
    return text.UnicodeScriptTokenizer().tokenize(texts)


def wordpiece(tokens: Any, w: World, kind: str = "file", **options: Any) -> Any:
    """Ragged string [texts, tokens] to int64 [texts, pieces]."""
    tokenizer = text.WordpieceTokenizer(w.table(kind), unknown_token="[UNK]", **options)
    return tokenizer.tokenize(tokens).merge_dims(-2, -1)


def pack(ids: Any, room: int = ROOM) -> Any:
    ids = ids[:, :room]
    count = ids.nrows()
    first, last = (v2.fill([count, 1], v2.cast(i, ids.dtype)) for i in (CLS, SEP))
    return v2.concat([first, ids, last], axis=1).to_tensor(PAD, shape=[None, LENGTH])


def ends(ids: Any) -> Any:
    return v2.ensure_shape(v2.cast(ids, v2.int32), [None, LENGTH])


# -- 1: TF.Text's own classes for all of it


class Preprocessor:
    """As a Google engineer of 2021 would have it: trimmer, combiner and padder of TF.Text."""

    def __call__(self, texts: Any, w: World) -> Any:
        tokens = wordpiece(whole_or_cut(words_of(strip(texts))), w)
        trimmed = text.WaterfallTrimmer(max_seq_length=ROOM).trim([tokens])
        combined, _ = text.combine_segments(trimmed, start_of_sequence_id=CLS, end_of_segment_id=SEP)
        padded, _ = text.pad_model_inputs(combined, max_seq_length=LENGTH, pad_value=PAD)
        return ends(padded)


def round_robin(texts: Any, w: World) -> Any:
    """Round robin, 128 less two special ones, and a selector of the first."""
    tokens = wordpiece(whole_or_cut(words_of(strip(texts))), w)
    trimmer = text.RoundRobinTrimmer(LENGTH - 2)
    (trimmed,) = trimmer.trim([tokens])
    combined, types = text.combine_segments([trimmed], CLS, SEP)
    padded, mask = text.pad_model_inputs(combined, LENGTH)
    return ends(padded * v2.cast(mask, padded.dtype) + v2.cast(types.to_tensor(shape=[None, LENGTH]), padded.dtype))


# -- 2: Keras's StringLookup behind layers of one's own


def keras_lookup(texts: Any, w: World) -> Any:
    """Pieces as strings, the specials added as strings, all looked up by Keras's own layer, which counts from 1."""
    with tf.init_scope():
        if "keras" not in w.tables:
            layer = v2.keras.layers.StringLookup(vocabulary=pieces(), mask_token=None, oov_token="<oov>")
            w.tables["keras"] = layer.lookup_table
    tokenizer = text.WordpieceTokenizer(w.table("file"), token_out_type=v2.string)
    tokens = tokenizer.tokenize(whole_or_cut(words_of(strip(texts)))).merge_dims(-2, -1)[:, :ROOM]
    rows = v2.ones_like(tokens[:, :1].to_tensor("", shape=[None, 1]), v2.bool)
    first, last = v2.where(rows, "[CLS]", ""), v2.where(rows, "[SEP]", "")
    dense = v2.concat([first, tokens, last], 1).to_tensor("[PAD]", shape=[None, LENGTH])
    return ends(w.tables["keras"].lookup(dense) - 1)


# -- 3: strings alone: a separator where the script changes


SEPARATOR = "\x1f"  # a control, which no text has after deleting


def by_separator(texts: Any, w: World) -> Any:
    """Every character gets the separator before it where its script is not that of the one before."""
    clean = strings.regex_replace(strip(texts), "\u1680", " ")
    characters = strings.unicode_split(clean, ENCODING)
    scripts = strings.unicode_script(strings.unicode_decode(clean, ENCODING).values)
    before = v2.concat([[-1], scripts[:-1]], 0)
    begins = v2.scatter_nd(
        v2.cast(characters.row_starts()[:, None], v2.int32),
        v2.ones_like(characters.row_starts()),
        [v2.size(scripts) + 1],
    )[:-1]
    marked = strings.join([v2.where(v2.not_equal(scripts, before) | (begins > 0), SEPARATOR, ""), characters.values])
    joined = strings.reduce_join(characters.with_values(marked).to_tensor(""), axis=1)
    parts = strings.split(joined, SEPARATOR)
    bare = v2.ragged.map_flat_values(
        lambda flat: strings.regex_replace(flat, "[ \u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]", ""), parts
    )
    words = v2.ragged.boolean_mask(bare, v2.ragged.map_flat_values(lambda flat: strings.length(flat) > 0, bare))
    return ends(pack(wordpiece(whole_or_cut(words), w)))


# -- 4: ragged map_flat_values with a rewrite that spaces characters out


def spaced_out(texts: Any, w: World) -> Any:
    def one(flat: Any) -> Any:
        han = strings.regex_full_match(flat, r"\p{Han}+")
        marks = v2.equal(strings.regex_replace(flat, r"[\p{P}\p{S}]", ""), "")
        emoji = strings.regex_full_match(flat, SHAPES.HAS_EMOJI.value)
        return v2.where(han | marks | emoji, strings.regex_replace(flat, "(.)", r"\1 "), flat)

    spaced = v2.ragged.map_flat_values(one, words_of(v2.ragged.map_flat_values(strip, texts)))
    tokens = strings.split(spaced).merge_dims(-2, -1)
    return ends(pack(wordpiece(tokens, w, "index-from-file")))


# -- 5: loops


def until_full(texts: Any, w: World) -> Any:
    """Word after word of one text, until 126 pieces are there."""
    tokenizer = text.WordpieceTokenizer(w.table("file"))

    def one(single: Any) -> Any:
        words = words_of(strip(single[None])).values
        cut = cut_up(words)

        def more(i: Any, found: Any) -> Any:
            return (i < v2.size(words)) & (v2.size(found) < ROOM)

        def step(i: Any, found: Any) -> Any:
            word = words[i]
            parts = v1.cond(cut[i], lambda: strings.unicode_split(word, ENCODING), lambda: word[None])
            return i + 1, v2.concat([found, tokenizer.tokenize(parts).values], 0)

        _, found = v2.while_loop(
            more,
            step,
            [v2.constant(0), v2.zeros([0], v2.int64)],
            shape_invariants=[v2.TensorShape([]), v2.TensorShape([None])],
        )
        found = found[:ROOM]
        return v2.pad(v2.concat([[CLS], found, [SEP]], 0), [[0, ROOM - v2.size(found)]])

    return ends(v2.map_fn(one, texts, dtype=v2.int64))


def scattered(texts: Any, w: World) -> Any:
    """A fold over words that writes into a row of 128 numbers."""
    tokenizer = text.WordpieceTokenizer(w.table("file"))

    def one(single: Any) -> Any:
        tokens = whole_or_cut(words_of(strip(single[None])))[0]

        def step(carried: Any, token: Any) -> Any:
            row, place = carried
            found = tokenizer.tokenize(token[None])[0]
            found = found[: v2.maximum(LENGTH - 1 - place, 0)]
            places = place + v2.range(v2.size(found))
            return v2.tensor_scatter_nd_update(row, places[:, None], v2.cast(found, v2.int32)), place + v2.size(found)

        start = v2.one_hot(0, LENGTH, CLS, PAD, dtype=v2.int32)
        row, place = v2.foldl(step, tokens, (start, v2.constant(1)))
        return v2.tensor_scatter_nd_update(row, [[place]], [SEP])

    return ends(v2.map_fn(one, texts, dtype=v2.int32))


# -- 6: tables of code points


@lru_cache(maxsize=None)
def classes() -> tuple[np.ndarray, np.ndarray]:
    """Return code points and what they are: 1 Han, 2 punctuation or symbol, 4 emoji, added; as TensorFlow has it."""
    points = np.r_[0x20:0xD800, 0xE000:0x110000].astype(np.int32)
    with v1.Graph().as_default(), v1.Session(config=quick()) as session:
        flat = v2.constant(points)
        single = strings.unicode_encode(flat[:, None], ENCODING)
        made = v2.cast(v2.equal(strings.unicode_script(flat), HAN), v2.int64)
        made += 2 * v2.cast(strings.regex_full_match(single, r"[\p{P}|\p{S}]"), v2.int64)
        made += 4 * v2.cast(text.wordshape(single, SHAPES.HAS_EMOJI), v2.int64)
        found = session.run(made)
    return points[found > 0].astype(np.int64), found[found > 0]


def code_table(w: World) -> Any:
    def make() -> Any:
        keys, values = classes()
        return v2.lookup.StaticHashTable(v2.lookup.KeyValueTensorInitializer(v2.constant(keys), v2.constant(values)), 0)

    if "classes" not in w.tables:
        if w.eager:
            with tf.init_scope():
                w.tables["classes"] = make()
        else:
            w.tables["classes"] = make()
    return w.tables["classes"]


def by_code_table(texts: Any, w: World) -> Any:
    table = code_table(w)

    def chosen(flat: Any) -> Any:
        points = strings.unicode_decode(flat, ENCODING)
        kinds = points.with_values(table.lookup(v2.cast(points.values, v2.int64)))
        emoji = v2.reduce_any(kinds >= 4, axis=1)
        marks = v2.reduce_all(v2.cast(v2.bitwise.bitwise_and(kinds, 2), v2.bool), axis=1)
        return emoji | marks | v2.cast(v2.reduce_max(v2.bitwise.bitwise_and(kinds, 1), axis=1), v2.bool)

    return ends(pack(wordpiece(whole_or_cut(words_of(strip(texts)), chosen), w, "buckets")))


# -- 7: code points, masks and segment joins


@lru_cache(maxsize=None)
def controls() -> tuple[tuple[int, int], ...]:
    """Return the ranges of what is deleted."""
    points = np.r_[0:0xD800, 0xE000:0x110000].astype(np.int32)
    with v1.Graph().as_default(), v1.Session(config=quick()) as session:
        single = strings.unicode_encode(v2.constant(points)[:, None], ENCODING)
        gone = points[session.run(strings.regex_full_match(single, REMOVED))]
    starts = np.flatnonzero(np.diff(gone, prepend=-9) > 1)
    return tuple((int(gone[a]), int(gone[b - 1])) for a, b in zip(starts, [*starts[1:], len(gone)]))


SPACES = (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)


def by_segments(texts: Any, w: World) -> Any:
    """Everything on code points: what is kept, where words begin, what is joined."""
    points = strings.unicode_decode(texts, ENCODING)
    flat, rows = points.values, points.value_rowids()
    gone = v2.zeros_like(flat, v2.bool)
    for low, high in controls():
        gone |= (flat >= low) & (flat <= high)
    flat, rows = v2.boolean_mask(flat, ~gone), v2.boolean_mask(rows, ~gone)
    white = v2.reduce_any(v2.equal(flat[:, None], v2.constant(SPACES)), axis=1)
    script = v2.where(white, 0, strings.unicode_script(flat))
    new = v2.not_equal(script[1:], script[:-1]) | v2.not_equal(rows[1:], rows[:-1])
    word = v2.cumsum(v2.cast(v2.concat([v2.ones_like(script[:1], v2.bool), new], 0), v2.int32)) - 1
    flat, rows, word = (v2.boolean_mask(x, ~white) for x in (flat, rows, word))
    numbers, word = v2.unique(word)
    count = v2.size(numbers)
    letters = strings.unicode_encode(flat[:, None], ENCODING)
    joined = strings.unsorted_segment_join(letters, word, count)
    row_of = v2.math.unsorted_segment_max(rows, word, count)
    words = Ragged.from_value_rowids(joined, row_of, nrows=points.nrows())
    return ends(pack(wordpiece(whole_or_cut(words), w)))


# -- 8: nested functions and a condition on emptiness


def nested(texts: Any, w: World) -> Any:
    for kind in ("file",):
        w.table(kind)

    @v2.function
    def clean(some: Any) -> Any:
        return strip(some)

    @v2.function
    def tokens(some: Any) -> Any:
        return whole_or_cut(words_of(clean(some)))

    @v2.function
    def one(single: Any) -> Any:
        def filled() -> Any:
            return pack(wordpiece(tokens(single[None]), w))[0]

        def bare() -> Any:
            return v2.constant([CLS, SEP] + [PAD] * (LENGTH - 2), v2.int64)

        return v1.cond(v2.equal(strings.length(clean(single)), 0), bare, filled)

    return ends(v2.map_fn(one, texts, dtype=v2.int64))


# -- 9: sparse tensors and strings to the end


def sparse_strings(texts: Any, w: World) -> Any:
    tokenizer = text.WordpieceTokenizer(w.table("index-from-file"), token_out_type=v2.string)
    tokens = tokenizer.tokenize(whole_or_cut(words_of(strip(texts)))).merge_dims(1, 2)[:, :ROOM]
    sparse = tokens.to_sparse()
    wide = v2.sparse.reset_shape(sparse, [v2.cast(v2.size(texts), v2.int64), ROOM])
    dense = v2.sparse.to_dense(wide, default_value="[PAD]")
    counts = tokens.row_lengths()
    grid = v2.pad(dense, [[0, 0], [1, 1]], constant_values="[PAD]")
    place = v2.range(LENGTH, dtype=v2.int64)[None]
    grid = v2.where(v2.equal(place, 0), "[CLS]", v2.where(v2.equal(place, counts[:, None] + 1), "[SEP]", grid))
    return ends(w.table("index-from-file").lookup(grid))


# -- 10: substrings by offsets


def by_substr(texts: Any, w: World) -> Any:
    """Words by byte offsets; characters by substr over a grid."""
    clean = strip(texts)
    _, begins, stops = text.UnicodeScriptTokenizer().tokenize_with_offsets(clean)
    source = v2.gather(clean, begins.value_rowids())
    raw = strings.substr(source, begins.values, stops.values - begins.values)
    flat = strings.regex_replace(raw, "[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+", "")
    count = v2.where(cut_up(flat), strings.length(flat, unit="UTF8_CHAR"), 1)
    rows = v2.repeat(begins.value_rowids(), count)
    word = v2.repeat(v2.range(v2.size(flat)), count)
    place = v2.range(v2.size(word)) - v2.gather(v2.cumsum(count, exclusive=True), word)
    length = v2.where(v2.gather(cut_up(flat), word), 1, 1 << 20)
    made = strings.substr(v2.gather(flat, word), place, length, unit="UTF8_CHAR")
    tokens = Ragged.from_value_rowids(made, rows, nrows=v2.size(texts, v2.int64))
    return ends(pack(wordpiece(tokens, w)))


# -- 11: the specials by arithmetic


def arithmetic(texts: Any, w: World) -> Any:
    """Where a place is compared with the number of pieces."""
    ids = wordpiece(whole_or_cut(words_of(strip(texts))), w)
    count = v2.minimum(ids.row_lengths(), ROOM)[:, None]
    dense = v2.pad(ids.to_tensor(0), [[0, 0], [1, LENGTH]])[:, :LENGTH]
    place = v2.range(LENGTH, dtype=v2.int64)[None]
    inside = v2.cast((place >= 1) & (place <= count), v2.int64)
    return ends(
        dense * inside + CLS * v2.cast(place < 1, v2.int64) + SEP * v2.cast(v2.equal(place, count + 1), v2.int64)
    )


def one_by_one(texts: Any, w: World) -> Any:
    """The row reversed, truncated at its end, reversed again; the specials written into it."""
    ids = v2.cast(wordpiece(whole_or_cut(words_of(strip(texts))), w)[:, :ROOM], v2.int32)
    count = v2.cast(ids.row_lengths(), v2.int32)
    dense = ids.to_tensor(PAD, shape=[None, ROOM])
    n = v2.size(texts)
    row = v2.concat([v2.fill([n, 1], CLS), dense, v2.zeros([n, 1], v2.int32)], 1)
    where = v2.stack([v2.range(n), count + 1], 1)
    return ends(v2.tensor_scatter_nd_add(row, where, v2.fill([n], SEP)))


# -- 12: the byte rule by hand


def bytes_by_hand(texts: Any, w: World) -> Any:
    tokens = whole_or_cut(words_of(strip(texts)))
    flat = v2.where(strings.length(tokens.values) > 100, "[UNK]", tokens.values)
    return ends(pack(wordpiece(tokens.with_values(flat), w, max_bytes_per_word=4000)))


# -- 13: characters by joining and splitting whole rows


def rows_joined(texts: Any, w: World) -> Any:
    """The words of a text with a separator between them, its parts cut by a rewrite, then split once."""
    words = words_of(strip(texts))
    flat = words.values
    apart = strings.regex_replace(
        strings.reduce_join(strings.unicode_split(flat, ENCODING), 1, separator="\t"), "^", ""
    )
    chosen = v2.where(cut_up(flat), apart, flat)
    lines = strings.reduce_join(words.with_values(chosen), axis=1, separator="\t")
    tokens = strings.split(lines, "\t")
    tokens = v2.ragged.boolean_mask(tokens, v2.not_equal(tokens, ""))
    return ends(pack(wordpiece(tokens, w)))


# -- 14: rows of a ragged tensor mapped


def rows_mapped(texts: Any, w: World) -> Any:
    """map_fn over ragged rows of words, each giving a ragged row of ids."""
    tokenizer = text.WordpieceTokenizer(w.table("file"), token_out_type=v2.int32)

    def row(words: Any) -> Any:
        cut = cut_up(words)
        characters = strings.unicode_split(words, ENCODING)
        parts = v1.where(cut, characters, Ragged.from_tensor(words[:, None]))
        return tokenizer.tokenize(parts.values).values[:ROOM]

    ids = v2.map_fn(row, words_of(strip(texts)), fn_output_signature=v2.RaggedTensorSpec([None], v2.int32))
    return ends(pack(ids))


def structured(texts: Any, w: World) -> Any:
    """map_fn that gives a dictionary: ids, how many, a mask that is multiplied in."""
    w.table("file")

    def one(single: Any) -> dict[str, Any]:
        ids = wordpiece(whole_or_cut(words_of(strip(single[None]))), w)[0][:ROOM]
        count = v2.size(ids)
        return {
            "ids": v2.pad(v2.concat([[CLS], ids, [SEP]], 0), [[0, ROOM - count]]),
            "mask": v2.sequence_mask(count + 2, LENGTH, v2.int64),
        }

    spec = {"ids": v2.TensorSpec([LENGTH], v2.int64), "mask": v2.TensorSpec([LENGTH], v2.int64)}
    found = v2.map_fn(one, texts, fn_output_signature=spec)
    return ends(found["ids"] * found["mask"])


# -- 15: deleting by characters that are kept


def kept_characters(texts: Any, w: World) -> Any:
    characters = strings.unicode_split(texts, ENCODING)
    keep = v2.logical_not(strings.regex_full_match(characters.values, REMOVED))
    clean = strings.reduce_join(v2.ragged.boolean_mask(characters, characters.with_values(keep)), axis=1)
    return ends(pack(wordpiece(whole_or_cut(words_of(clean)), w)))


def encoded_again(texts: Any, w: World) -> Any:
    """Characters as code points in rows of one, encoded; words as rows of all their code points, encoded."""
    words = words_of(strip(texts))
    points = strings.unicode_decode(words.values, ENCODING)
    chosen = v2.where(cut_up(words.values), points.row_lengths(), v2.ones_like(points.row_lengths()))
    width = v2.where(cut_up(words.values), v2.ones_like(points.row_lengths()), points.row_lengths())
    sizes = v2.repeat(width, chosen)
    parts = strings.unicode_encode(Ragged.from_row_lengths(points.values, sizes), ENCODING)
    tokens = words.with_values(Ragged.from_row_lengths(parts, chosen)).merge_dims(1, 2)
    return ends(pack(wordpiece(tokens, w)))


# -- 16: only what differs


def distinct(texts: Any, w: World) -> Any:
    """Distinct words of the batch are cut into pieces once, and gathered."""
    words = words_of(strip(texts))
    unique, place = v2.unique(words.values)
    characters = strings.unicode_split(unique, ENCODING)
    parts = v1.where(cut_up(unique), characters, Ragged.from_tensor(unique[:, None]))
    found = text.WordpieceTokenizer(w.table("file")).tokenize(parts).merge_dims(1, 2)
    ids = words.with_values(v2.gather(found, place)).merge_dims(1, 2)
    return ends(pack(ids))


def known_first(texts: Any, w: World) -> Any:
    """A word that is a piece is looked up; only others are cut by WordPiece."""
    table = w.table("file")
    tokens = whole_or_cut(words_of(strip(texts)))
    flat = tokens.values
    short = strings.length(flat) <= 100
    whole = v2.where(short, table.lookup(flat), -1)
    places = v2.cast(v2.where(whole < 0)[:, 0], v2.int32)
    rest = text.WordpieceTokenizer(table).tokenize(v2.gather(flat, places))
    lengths = v2.tensor_scatter_nd_update(v2.ones_like(flat, v2.int64), places[:, None], rest.row_lengths())
    starts = v2.cumsum(lengths, exclusive=True)
    total = v2.reduce_sum(lengths)
    known = v2.cast(v2.where(whole >= 0)[:, 0], v2.int32)
    ids = v2.scatter_nd(v2.gather(starts, known)[:, None], v2.gather(whole, known), total[None])
    inner = v2.repeat(v2.gather(starts, places), rest.row_lengths())
    inner += v2.range(v2.size(rest.values, v2.int64)) - v2.repeat(rest.row_starts(), rest.row_lengths())
    ids = v2.tensor_scatter_nd_update(ids, inner[:, None], rest.values)
    made = tokens.with_values(Ragged.from_row_lengths(ids, lengths)).merge_dims(1, 2)
    return ends(pack(made))


# -- 17: WordPiece of one's own


def longest_match(texts: Any, w: World) -> Any:
    """Greedy matching over all words of the batch at once: the longest prefix that is a piece, while anything is left."""
    table = w.table("file")
    tokens = whole_or_cut(words_of(strip(texts)))
    flat = tokens.values
    total = v2.size(flat)

    def longest(rest: Any, prefix: Any) -> tuple[Any, Any]:
        length = v2.reduce_max(v2.concat([[0], strings.length(rest, unit="UTF8_CHAR")], 0))
        sizes = v2.range(length, 0, -1)
        tried = strings.substr(
            v2.repeat(rest[:, None], v2.size(sizes), 1),
            v2.zeros_like(sizes)[None] + v2.zeros([v2.size(rest), 1], v2.int32),
            v2.broadcast_to(sizes[None], [v2.size(rest), v2.size(sizes)]),
            unit="UTF8_CHAR",
        )
        found = table.lookup(prefix[:, None] + tried)
        fits = (found >= 0) & (sizes[None] <= strings.length(rest, unit="UTF8_CHAR")[:, None])
        at = v2.argmax(v2.pad(v2.cast(fits, v2.int32), [[0, 0], [0, 1]], constant_values=1), 1, v2.int32)
        ids = v2.gather(v2.pad(found, [[0, 0], [0, 1]], constant_values=-1), at, batch_dims=1)
        return ids, v2.gather(v2.pad(sizes, [[0, 1]]), at)

    def step(rest: Any, first: Any, ids: Any) -> Any:
        found, size = longest(rest, v2.fill([total], "" if first else "##"))
        active = strings.length(rest) > 0
        found = v2.where(active, found, -2)
        left = v2.where(
            active & (found >= 0),
            strings.substr(
                rest,
                v2.minimum(size, strings.length(rest, unit="UTF8_CHAR")),
                v2.fill([total], 1 << 20),
                unit="UTF8_CHAR",
            ),
            "",
        )
        return left, v2.concat([ids, found[:, None]], 1)

    left, ids = step(flat, True, v2.zeros([total, 0], v2.int64))
    left, ids = v2.while_loop(
        lambda left, ids: v2.reduce_any(strings.length(left) > 0),
        lambda left, ids: step(left, False, ids),
        [left, ids],
        shape_invariants=[v2.TensorShape([None]), v2.TensorShape([None, None])],
    )
    bad = v2.reduce_any(v2.equal(ids, -1), 1) | (strings.length(flat) > 100)
    rows = Ragged.from_tensor(ids)
    rows = v2.ragged.boolean_mask(rows, ids >= 0)
    made = v1.where(bad, Ragged.from_tensor(v2.fill([total, 1], v2.constant(UNK, v2.int64))), rows)
    return ends(pack(tokens.with_values(made).merge_dims(1, 2)))


# -- 18: kinds by number


def numbered_kinds(texts: Any, w: World) -> Any:
    """Each word has a kind, and each kind is cut in its own way: dynamic_partition and dynamic_stitch."""
    words = words_of(strip(texts))
    flat = words.values
    kind = v2.cast(cut_up(flat), v2.int32)
    whole, cut = v2.dynamic_partition(flat, kind, 2)
    places = v2.dynamic_partition(v2.range(v2.size(flat)), kind, 2)
    tokenizer = text.WordpieceTokenizer(w.table("constants"))
    of_cut = tokenizer.tokenize(strings.unicode_split(cut, ENCODING)).merge_dims(1, 2)
    both = v2.concat([tokenizer.tokenize(whole), of_cut], 0)
    order = v2.argsort(v2.concat(places, 0))
    return ends(pack(words.with_values(v2.gather(both, order)).merge_dims(1, 2)))


# -- 19: early and late


def early(texts: Any, w: World) -> Any:
    """No more than 126 words, then 126 tokens, then 126 pieces."""
    words = words_of(strip(texts))[:, :ROOM]
    tokens = whole_or_cut(words)[:, :ROOM]
    return ends(pack(wordpiece(tokens, w)))


def late(texts: Any, w: World) -> Any:
    """[CLS] and [SEP] go about all pieces; then rows are cut, and what stands last is made [SEP] where there are more."""
    ids = v2.cast(wordpiece(whole_or_cut(words_of(strip(texts))), w), v2.int32)
    n = ids.nrows()
    row = v2.concat([v2.fill([n, 1], CLS), ids, v2.fill([n, 1], SEP)], 1)
    over = row.row_lengths() > LENGTH
    dense = row.to_tensor(PAD, shape=[None, LENGTH])
    last = v2.where(over, SEP, dense[:, -1])
    return ends(v2.concat([dense[:, :-1], last[:, None]], 1))


# -- 20: one string a text, through the ops of TensorFlow 1


def of_2018(texts: Any, w: World) -> Any:
    """string_split, sparse tensors and boolean_mask, as before there were ragged tensors everywhere."""

    def one(single: Any) -> Any:
        words = words_of(v1.regex_replace(v1.reshape(single, [1]), REMOVED, "")).values
        script = strings.unicode_script(
            v1.strings.unicode_decode(v1.strings.substr(words, 0, 1, unit="UTF8_CHAR"), ENCODING).values
        )
        marks = v1.strings.regex_full_match(words, r"[\p{P}|\p{S}]+")
        emoji = text.wordshape(words, SHAPES.HAS_EMOJI)
        cut = v1.logical_or(v1.equal(script, HAN), v1.logical_or(marks, emoji))
        spaced = v1.where(cut, v1.regex_replace(words, r"(.)", " \\1"), words)
        tokens = v1.string_split(v1.reshape(v1.strings.reduce_join(spaced, separator=" "), [1]), " ").values
        ids = text.WordpieceTokenizer(w.table("index-from-file"), token_out_type=v1.int64).tokenize(tokens).values
        ids = v1.concat([[CLS], ids[:ROOM], [SEP]], 0)
        return v1.to_int32(v1.pad(ids, [[0, LENGTH - v1.size(ids)]]))

    w.table("index-from-file")
    return ends(v1.map_fn(one, texts, dtype=v1.int32, back_prop=False, parallel_iterations=10))


# -- 21: Python classes of one's own over scripts by runs


def by_runs(texts: Any, w: World) -> Any:
    """Scripts by code point, runs by a cumulative sum, words by a ragged tensor of ragged code points, encoded."""
    points = strings.unicode_decode(strip(texts), ENCODING)
    white = v2.reduce_any(v2.equal(points.values[:, None], v2.constant(SPACES)[None]), axis=1)
    script = strings.unicode_script(points.values) * v2.cast(~white, v2.int32)
    codes = v2.cast(points.value_rowids(), v2.int32) * 1000 + script
    starts = v2.concat([v2.ones_like(codes[:1], v2.bool), v2.not_equal(codes[1:], codes[:-1])], 0)
    first = v2.where(starts)[:, 0]
    words = Ragged.from_row_starts(points.values, first)
    rows = v2.gather(points.value_rowids(), first)
    words = v2.ragged.boolean_mask(words, words.with_values(~white))
    some = words.row_lengths() > 0
    words, rows = v2.ragged.boolean_mask(words, some), v2.boolean_mask(rows, some)
    made = Ragged.from_value_rowids(strings.unicode_encode(words, ENCODING), rows, nrows=points.nrows())
    return ends(pack(wordpiece(whole_or_cut(made), w)))


# -- 22: two regexes for what is Han, by alternatives


def three_masks(texts: Any, w: World) -> Any:
    """Three masks in integers, added and compared; a switch case by case."""
    words = words_of(strip(texts))
    flat = words.values
    points = strings.unicode_decode(flat, ENCODING)
    scripts = points.with_values(strings.unicode_script(points.values))
    han = v2.cast(v2.reduce_all(v2.equal(scripts, HAN), axis=1), v2.int32)
    marks = v2.cast(text.wordshape(flat, SHAPES.IS_PUNCT_OR_SYMBOL), v2.int32)
    emoji = v2.cast(text.wordshape(flat, SHAPES.HAS_EMOJI), v2.int32)
    return ends(pack(wordpiece(whole_or_cut(words, lambda flat: han + marks + emoji >= 1), w, "v1")))


def by_max(texts: Any, w: World) -> Any:
    """The scripts of a word as a segment maximum and minimum."""

    def chosen(flat: Any) -> Any:
        points = strings.unicode_decode(flat, ENCODING)
        scripts, word = strings.unicode_script(points.values), points.value_rowids()
        high = v2.math.segment_max(scripts, word)
        low = v2.math.segment_min(scripts, word)
        return (v2.equal(high, HAN) & v2.equal(low, HAN)) | shaped(flat)

    return ends(pack(wordpiece(whole_or_cut(words_of(strip(texts)), chosen), w)))


def most_are_han(texts: Any, w: World) -> Any:
    """A word is Han if at least half of its characters are: a word has one script, so all are or none."""

    def chosen(flat: Any) -> Any:
        points = strings.unicode_decode(flat, ENCODING)
        han = points.with_values(v2.cast(v2.equal(strings.unicode_script(points.values), HAN), v2.float32))
        return (v2.reduce_mean(han, axis=1) >= 0.5) | shaped(flat)

    return ends(pack(wordpiece(whole_or_cut(words_of(strip(texts)), chosen), w)))


def last_is_han(texts: Any, w: World) -> Any:
    """The script of the last character, and a case statement over it."""

    def chosen(flat: Any) -> Any:
        last = strings.substr(flat, -1, 1, unit="UTF8_CHAR")
        script = strings.unicode_script(strings.unicode_decode(last, ENCODING).values)
        return v2.equal(script, HAN) | shaped(flat)

    return ends(pack(wordpiece(whole_or_cut(words_of(strip(texts)), chosen), w)))


# -- 23: doubled deletes, normal forms that do nothing


def belt_and_braces(texts: Any, w: World) -> Any:
    """Transcoded, stripped, deleted twice, words deleted once more, empty ones masked."""
    clean = strings.unicode_transcode(texts, ENCODING, ENCODING)
    clean = strings.regex_replace(strings.regex_replace(clean, r"\p{Cc}", ""), r"\p{Cf}+", "")
    clean = strings.strip(clean)
    words = v2.ragged.map_flat_values(lambda flat: strings.regex_replace(flat, r"\s+", ""), words_of(clean))
    words = v2.ragged.boolean_mask(words, v2.not_equal(words, ""))
    return ends(pack(wordpiece(whole_or_cut(words), w, "buckets-of-constants")))


def by_position(texts: Any, w: World) -> Any:
    """The place of each piece in its row by range over lengths; scattered into a matrix."""
    ids = v2.cast(wordpiece(whole_or_cut(words_of(strip(texts))), w), v2.int32)
    places = v2.ragged.range(ids.row_lengths()).values
    rows = ids.value_rowids()
    fits = places < ROOM
    index = v2.boolean_mask(v2.stack([rows, places + 1], 1), fits)
    n = ids.nrows()
    grid = v2.scatter_nd(index, v2.boolean_mask(ids.values, fits), v2.stack([n, LENGTH]))
    count = v2.minimum(ids.row_lengths(), ROOM)
    grid += CLS * v2.one_hot(v2.zeros_like(count), LENGTH, dtype=v2.int32)
    return ends(grid + SEP * v2.one_hot(count + 1, LENGTH, dtype=v2.int32))


CROWD: dict[str, Side] = {
    "preprocessor": Preprocessor(),
    "round-robin-trimmed": round_robin,
    "by-separator": by_separator,
    "spaced-out": spaced_out,
    "words-until-full": until_full,
    "scattered": scattered,
    "by-code-table": by_code_table,
    "by-segments": by_segments,
    "nested": nested,
    "sparse-strings": sparse_strings,
    "by-substr": by_substr,
    "arithmetic": arithmetic,
    "one-by-one": one_by_one,
    "bytes-by-hand": bytes_by_hand,
    "rows-joined": rows_joined,
    "rows-mapped": rows_mapped,
    "structured": structured,
    "kept-characters": kept_characters,
    "rows-encoded": encoded_again,
    "distinct": distinct,
    "known-first": known_first,
    "longest-match": longest_match,
    "numbered-kinds": numbered_kinds,
    "early": early,
    "late": late,
    "of-2018": of_2018,
    "by-runs": by_runs,
    "three-masks": three_masks,
    "by-max": by_max,
    "most-are-han": most_are_han,
    "last-is-han": last_is_han,
    "belt-and-braces": belt_and_braces,
    "by-position": by_position,
}


# -- of another rule


def simply(
    texts: Any, w: World, clean: Callable[..., Any] = strip, chosen: Any = cut_up, room: int = ROOM, **options: Any
) -> Any:
    return ends(pack(wordpiece(whole_or_cut(words_of(clean(texts)), chosen), w, **options), room))


def without_last(texts: Any, w: World) -> Any:
    """A text that is too long loses its [SEP]."""
    ids = wordpiece(whole_or_cut(words_of(strip(texts))), w)
    n = ids.nrows()
    first, last = (v2.fill([n, 1], v2.cast(i, ids.dtype)) for i in (CLS, SEP))
    return ends(v2.concat([first, ids, last], 1).to_tensor(PAD, shape=[None, LENGTH]))


def characters_100(texts: Any, w: World) -> Any:
    """100 characters, not bytes."""
    tokens = whole_or_cut(words_of(strip(texts)))
    flat = v2.where(strings.length(tokens.values, unit="UTF8_CHAR") > 100, "[UNK]", tokens.values)
    return ends(pack(wordpiece(tokens.with_values(flat), w, max_bytes_per_word=4000)))


def kana_cut(flat: Any) -> Any:
    script = strings.unicode_script(strings.unicode_decode(flat, ENCODING)[:, :1].values)
    return cut_up(flat) | v2.equal(script, HIRAGANA)


def lone_marks_dropped(texts: Any, w: World) -> Any:
    """Words of the script Inherited are left out."""
    words = words_of(strip(texts))
    script = strings.unicode_script(strings.unicode_decode(words.values, ENCODING)[:, :1].values)
    words = v2.ragged.boolean_mask(words, words.with_values(v2.not_equal(script, INHERITED)))
    return ends(pack(wordpiece(whole_or_cut(words), w)))


def unknown_dropped(texts: Any, w: World) -> Any:
    """Words beyond 100 bytes vanish."""
    tokens = whole_or_cut(words_of(strip(texts)))
    tokens = v2.ragged.boolean_mask(tokens, tokens.with_values(strings.length(tokens.values) <= 100))
    return ends(pack(wordpiece(tokens, w)))


def spaces_for_controls(texts: Any) -> Any:
    return strings.regex_replace(strings.regex_replace(texts, r"\p{Cc}", " "), r"\p{Cf}", "")


def empty_is_empty(texts: Any, w: World) -> Any:
    """A text without pieces is padding alone."""
    ids = wordpiece(whole_or_cut(words_of(strip(texts))), w)
    some = v2.cast(ids.row_lengths() > 0, v2.int64)[:, None]
    return ends(pack(ids) * some)


def no_repeats(texts: Any, w: World) -> Any:
    """A piece that equals the one before it in its row is left out."""
    ids = wordpiece(whole_or_cut(words_of(strip(texts))), w)
    flat, rows = ids.values, ids.value_rowids()
    same = v2.concat(
        [v2.zeros_like(flat[:1], v2.bool), v2.equal(flat[1:], flat[:-1]) & v2.equal(rows[1:], rows[:-1])], 0
    )
    return ends(pack(v2.ragged.boolean_mask(ids, ids.with_values(~same))))


def only_punctuation(flat: Any) -> Any:
    script = strings.unicode_script(strings.unicode_decode(flat, ENCODING)[:, :1].values)
    return strings.regex_full_match(flat, r"\p{P}+") | text.wordshape(flat, SHAPES.HAS_EMOJI) | v2.equal(script, HAN)


def han_beyond(texts: Any, w: World) -> Any:
    """Not more than 20 characters of a Han word."""
    words = words_of(strip(texts))
    flat = v2.where(cut_up(words.values), strings.substr(words.values, 0, 20, unit="UTF8_CHAR"), words.values)
    return ends(pack(wordpiece(whole_or_cut(words.with_values(flat)), w)))


def words_126_of_cut(texts: Any, w: World) -> Any:
    """125 words at most, before they are cut into characters."""
    words = words_of(strip(texts))[:, : ROOM - 1]
    return ends(pack(wordpiece(whole_or_cut(words), w)))


def before_scripts(texts: Any, w: World) -> Any:
    """Split at white space first: `n. 286` is three words."""
    parts = strings.split(strip(texts))
    words = words_of(parts.values)
    words = parts.with_values(words).merge_dims(1, 2)
    return ends(pack(wordpiece(whole_or_cut(words), w)))


def mixed_majority(texts: Any, w: World) -> Any:
    """Words of which more than half are punctuation or symbols are cut."""

    def chosen(flat: Any) -> Any:
        characters = strings.unicode_split(flat, ENCODING)
        marks = characters.with_values(
            v2.cast(strings.regex_full_match(characters.values, r"[\p{P}\p{S}]"), v2.float32)
        )
        return cut_up(flat) | (v2.reduce_mean(marks, axis=1) > 0.5)

    return simply(texts, w, chosen=chosen)


OTHER_CROWD: dict[str, Side] = {
    "without-last": without_last,
    "characters-100": characters_100,
    "kana-cut": partial(simply, chosen=kana_cut),
    "ascii-lower": partial(simply, clean=lambda texts: strings.lower(strip(texts))),
    "lone-marks-dropped": lone_marks_dropped,
    "long-dropped": unknown_dropped,
    "spaces-for-controls": partial(simply, clean=spaces_for_controls),
    "empty-is-empty": empty_is_empty,
    "once-in-a-row": no_repeats,
    "only-punctuation": partial(simply, chosen=only_punctuation),
    "han-beyond": han_beyond,
    "words-125": words_126_of_cut,
    "before-scripts": before_scripts,
    "majority-of-marks": mixed_majority,
    "one-less": partial(simply, room=ROOM - 1),
    "300-characters": partial(simply, clean=lambda texts: strings.substr(strip(texts), 0, 300, unit="UTF8_CHAR")),
    "one-hash": partial(simply, suffix_indicator="#"),
}
