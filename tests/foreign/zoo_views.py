"""Text sides of the facts page as people of other schools would write them, each from its first line to its last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import tensorflow_text as text
import zoo_cuts as cuts
import zoo_words as words
from tensorflow.python.ops import lookup_ops
from zoo_base import CLS, ENCODING, HAN, LENGTH, ROOM, SEP, UNK, World, pieces, v1, v2
from zoo_pieces import pack, wordpiece
from zoo_text import Text, decide, mapped, scripts

PLAIN = Text()
Ragged = v2.RaggedTensor


def before(change: Callable[..., Any], base: Text = PLAIN) -> Text:
    """Return a text side whose texts go through `change` first."""
    return replace(base, delete=lambda texts: base.delete(change(texts)))


def spaces_made_one(texts: Any) -> Any:
    return v2.strings.regex_replace(texts, " +", " ")


def never_empty(texts: Any) -> Any:
    return v2.where(v2.equal(texts, ""), v2.fill(v2.shape(texts), " "), texts)


def transcoded(texts: Any) -> Any:
    return v2.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")


def cut_by_splitter(words_: Any, cut: Any) -> Any:
    """`regex_split` at every character, each of which is kept."""
    parts = text.regex_split(words_.values, "(?s).", "(?s).")
    whole = Ragged.from_tensor(v2.expand_dims(words_.values, 1))
    return cuts.merged(words_, v1.where(cut, parts, whole))


def cut_by_tokenizer(words_: Any, cut: Any) -> Any:
    """TF.Text's tokenizer of characters; rows are chosen by gathering from both."""
    points = text.UnicodeCharTokenizer().tokenize(words_.values)
    parts = points.with_values(v2.strings.unicode_encode(v2.expand_dims(points.values, 1), ENCODING))
    both = v2.concat([Ragged.from_tensor(v2.expand_dims(words_.values, 1)), parts], 0)
    count = v2.size(words_.values)
    return cuts.merged(words_, v2.gather(both, v2.range(count) + count * v2.cast(cut, v2.int32)))


def ragged_all_along(texts: Any, w: World) -> Any:
    """Nothing is flat: every step is done by `ragged.map_flat_values`, as a lecturer on ragged tensors would show it."""
    each = v2.ragged.map_flat_values
    found = text.UnicodeScriptTokenizer().tokenize(v2.strings.regex_replace(texts, r"[\p{Cc}\p{Cf}]", ""))
    first = each(v2.strings.substr, found, 0, 1, unit="UTF8_CHAR")
    han = each(lambda x: v2.equal(v2.strings.unicode_script(v2.strings.unicode_decode(x, ENCODING).values), HAN), first)
    other = each(lambda x: words.emoji_shape(x) | words.punctuation_shape(x), found)
    cut = v2.logical_or(han, other)
    split = v2.strings.unicode_split(found, ENCODING)
    tokens = v2.where(cut.values, v2.strings.reduce_join(split.values, axis=-1, separator=" "), found.values)
    tokens = found.with_values(v2.strings.split(tokens)).merge_dims(1, 2)
    ids = text.WordpieceTokenizer(w.table(), token_out_type=v2.int32).tokenize(tokens).merge_dims(1, -1)
    rows = v2.concat([v2.fill([ids.nrows(), 1], CLS), ids[:, :ROOM], v2.fill([ids.nrows(), 1], SEP)], 1)
    return rows.to_tensor(shape=[None, LENGTH])


def in_dense_matrices(texts: Any, w: World) -> Any:
    """One who distrusts ragged tensors: dense [texts, words] and [texts, words, characters] and masks."""
    found = scripts(words.delete_regex(texts), w).to_tensor("")
    flat = v2.reshape(found, [-1])
    parts = v2.strings.unicode_split(flat, ENCODING).to_tensor("")
    cut = decide(words.han_any)(flat) & v2.not_equal(flat, "")
    width = v2.shape(parts)[1]
    alone = v2.one_hot(0, width, on_value=True, off_value=False)
    whole = v2.where(alone[None, :], v2.tile(flat[:, None], [1, width]), v2.zeros_like(parts))
    chosen = v2.where(cut[:, None], parts, whole)
    rows = v2.reshape(chosen, [v2.shape(texts)[0], -1])
    tokens = v2.ragged.boolean_mask(rows, v2.strings.length(rows) > 0)
    ids = text.WordpieceTokenizer(w.table(), token_out_type=v2.int32).tokenize(tokens)
    ids = ids.to_tensor(-1)
    ids = v2.reshape(ids, [v2.shape(texts)[0], -1])
    ids = v2.ragged.boolean_mask(ids, ids >= 0)
    return pack(v2.cast(ids, v2.int64), w)


def scattered_in_order(texts: Any, w: World) -> Any:
    """Positions by cumulative sums; pieces beyond the limit are masked, the rest scattered at their places."""
    found = wordpiece(PLAIN.tokens(texts, w), w)
    counts = v2.minimum(found.row_lengths(), ROOM)
    column = v2.ragged.range(found.row_lengths()).values
    row = found.value_rowids()
    keep = column < ROOM
    places = v2.boolean_mask(v2.stack([row, column + 1], 1), keep)
    shape = v2.stack([found.nrows(), v2.constant(LENGTH, v2.int64)])
    ids = v2.scatter_nd(places, v2.boolean_mask(found.values, keep), shape)
    ends = v2.stack([v2.range(found.nrows()), counts + 1], 1)
    ids = v2.tensor_scatter_nd_update(ids, ends, v2.fill([found.nrows()], v2.constant(SEP, v2.int64)))
    first = v2.fill(v2.stack([found.nrows(), 1]), v2.constant(CLS, v2.int64))
    return v2.cast(v2.concat([first, ids[:, 1:]], 1), v2.int32)


def trimmed_by_mask(found: Any, w: World) -> Any:
    """`sequence_mask` trims; [CLS], [SEP] are added by arithmetic on positions."""
    lengths = v2.minimum(v2.cast(found.row_lengths(), v2.int32), ROOM)
    rows = v2.cast(found.to_tensor(shape=[None, ROOM]), v2.int32)
    rows = rows * v2.sequence_mask(lengths, ROOM, v2.int32)
    rows = v2.pad(rows, [[0, 0], [1, 1]])
    place = v2.range(LENGTH)[None]
    return (
        rows
        + CLS * v2.cast(v2.equal(place, 0), v2.int32)
        + SEP * v2.cast(v2.equal(place, lengths[:, None] + 1), v2.int32)
    )


def trimmed_by_search(found: Any, w: World) -> Any:
    """Rows are read with `gather(batch_dims=1)` at clipped places."""
    framed = v2.concat([v2.fill([found.nrows(), 1], v2.constant(CLS, found.dtype)), found[:, :ROOM]], 1)
    rows = framed.to_tensor()
    lengths = v2.cast(framed.row_lengths(), v2.int32)[:, None]
    place = v2.range(LENGTH)[None] + v2.zeros_like(lengths)
    taken = v2.gather(v2.cast(rows, v2.int32), v2.minimum(place, v2.shape(rows)[1] - 1), batch_dims=1)
    return v2.where(place < lengths, taken, v2.where(v2.equal(place, lengths), SEP, 0))


def shrunk(found: Any, w: World) -> Any:
    trimmed = text.WaterfallTrimmer(ROOM).trim([found])
    rows, _ = text.combine_segments(trimmed, start_of_sequence_id=CLS, end_of_segment_id=SEP)
    return v2.cast(rows.to_tensor(shape=[None, LENGTH]), v2.int32)


def joined_words(texts: Any, w: World) -> Any:
    """All through strings: tokens are joined by spaces, and the line is split again in a map over texts."""
    tokens = PLAIN.tokens(texts, w)
    lines = v2.strings.reduce_join(tokens, separator=" ", axis=-1)

    def one(line: Any) -> Any:
        ids = text.WordpieceTokenizer(w.table(), token_out_type=v2.int64).tokenize(v2.strings.split([line]))
        ids = v2.concat([[CLS], ids.flat_values[:ROOM], [SEP]], 0)
        return v2.ensure_shape(v2.pad(ids, [[0, LENGTH - v2.size(ids)]]), [LENGTH])

    w.table()
    return v2.cast(v2.map_fn(one, lines, fn_output_signature=v2.int64), v2.int32)


def words_in_map(texts: Any, w: World) -> Any:
    """A map over texts whose result is a ragged row of ids; packing is done on the batch."""
    table = w.table()

    def one(single: Any) -> Any:
        return wordpiece(PLAIN.tokens(v2.expand_dims(single, 0), w), w).values

    signature = v2.RaggedTensorSpec([None], v2.int64, ragged_rank=0, row_splits_dtype=v2.int64)
    assert table is not None
    return pack(v2.map_fn(one, texts, fn_output_signature=signature), w)


def while_over_words(texts: Any, w: World) -> Any:
    """TensorFlow 1's way: TensorArrays of a size that is not known, one for each text."""
    table = w.table()

    def one(single: Any) -> Any:
        flat = text.UnicodeScriptTokenizer().tokenize(words.delete_regex(v2.expand_dims(single, 0))).values
        cut = decide(words.han_regex)(flat)
        start = v2.TensorArray(v2.string, size=0, dynamic_size=True, element_shape=[], clear_after_read=False)

        def add(i: Any, at: Any, found: Any) -> Any:
            tokens = v1.cond(
                cut[i], lambda: v2.strings.unicode_split(flat[i], ENCODING), lambda: v2.reshape(flat[i], [1])
            )
            inner = lambda j, array: (j + 1, array.write(at + j, tokens[j]))  # noqa: E731
            _, found = v2.while_loop(lambda j, _: j < v2.size(tokens), inner, [v2.constant(0), found])
            return i + 1, at + v2.size(tokens), found

        _, _, found = v2.while_loop(
            lambda i, at, found: i < v2.size(flat), add, [v2.constant(0), v2.constant(0), start]
        )
        ids = text.WordpieceTokenizer(table, token_out_type=v2.int64).tokenize(found.stack()).flat_values
        ids = v2.concat([[CLS], ids[:ROOM], [SEP], v2.zeros([LENGTH], v2.int64)], 0)[:LENGTH]
        return v2.reshape(ids, [LENGTH])

    return v2.cast(v2.map_fn(one, texts, dtype=v2.int64), v2.int32)


def han_count(flat: Any) -> Any:
    """A bag of scripts."""
    points = words.decoded(flat)
    scripts_of = points.with_values(v2.strings.unicode_script(points.values)).to_tensor(-1)
    return v2.math.count_nonzero(v2.equal(scripts_of, HAN), axis=1) > 0


def han_by_difference(flat: Any) -> Any:
    return v2.logical_not(v2.cast(v2.strings.unicode_script(words.decoded(flat)[:, :1].values) - HAN, v2.bool))


def han_looked_up(flat: Any) -> Any:
    """The number of the script is looked for among those that are cut."""
    first = v2.strings.unicode_script(v2.strings.unicode_decode(flat, ENCODING)[:, :1].flat_values)
    return v2.reduce_any(v2.equal(first[:, None], v2.constant([HAN])[None]), -1)


def han_replaced(flat: Any) -> Any:
    """The first character made a sign."""
    return v2.equal(v2.strings.substr(v2.strings.regex_replace(flat, r"^\p{Han}", "\x02"), 0, 1), "\x02")


def emoji_searched(flat: Any) -> Any:
    return v2.strings.regex_full_match(flat, "(?s).*" + words.emoji_class() + ".*")


def punctuation_categories(flat: Any) -> Any:
    """Each category by name."""
    names = ("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So")
    return v2.strings.regex_full_match(flat, "[" + "".join("\\p{" + name + "}" for name in names) + "]+")


def of_table(make: Callable[[], Any]) -> Callable[..., Any]:
    """Return a WordPiece step over a table of another kind."""

    def step(tokens: Any, w: World) -> Any:
        if "made" not in w.tables:
            if w.eager:
                with v1.init_scope():
                    w.tables["made"] = make()
            else:
                w.tables["made"] = make()
        return cuts.merged(
            tokens, text.WordpieceTokenizer(w.tables["made"], token_out_type=v2.int64).tokenize(tokens.values)
        )

    return step


def shuffled_constants() -> Any:
    """Keys and values in another order than by number."""
    every = pieces()
    order = sorted(range(len(every)), key=lambda i: every[i].encode())
    keys = v2.constant([every[i] for i in order])
    return v2.lookup.StaticHashTable(v2.lookup.KeyValueTensorInitializer(keys, v2.constant(order, v2.int64)), UNK)


def from_tensor_with_buckets() -> Any:
    return lookup_ops.index_table_from_tensor(v2.constant(pieces()), num_oov_buckets=1)


VIEWS: dict[str, Callable[..., Any]] = {
    "stripped": before(v2.strings.strip),
    "stripped-mapped": before(v2.strings.strip, replace(PLAIN, loop=mapped)),
    "spaces-made-one": replace(PLAIN, delete=lambda texts: spaces_made_one(words.delete_regex(texts))),
    "never-empty": before(never_empty),
    "transcoded": before(transcoded),
    "splitter": replace(PLAIN, cut=cut_by_splitter),
    "char-tokenizer": replace(PLAIN, cut=cut_by_tokenizer, decide=decide(words.han_first)),
    "ragged-all-along": ragged_all_along,
    "dense-matrices": in_dense_matrices,
    "scattered-in-order": scattered_in_order,
    "trimmed-by-mask": replace(PLAIN, pack=trimmed_by_mask),
    "trimmed-by-search": replace(PLAIN, pack=trimmed_by_search, decide=decide(words.han_first)),
    "waterfall": replace(PLAIN, pack=shrunk),
    "joined-words": joined_words,
    "words-in-map": words_in_map,
    "while-over-words": while_over_words,
    "han-count": replace(PLAIN, decide=decide(han_count)),
    "han-by-difference": replace(PLAIN, decide=decide(han_by_difference), loop=mapped),
    "han-looked-up": replace(PLAIN, decide=decide(han_looked_up)),
    "han-replaced": replace(PLAIN, decide=decide(han_replaced, emoji_searched, punctuation_categories)),
    "shuffled-constants": replace(PLAIN, pieces=of_table(shuffled_constants), tables=()),
    "tensor-with-buckets": replace(PLAIN, pieces=of_table(from_tensor_with_buckets), tables=()),
}
