"""Text sides as strangers write them: WordPiece and scripts by hand, other ways to pack; and other rules by these means.

`STRANGERS` compute the facts page, `OTHER_STRANGERS` something else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as text
import zoo_cuts as cuts
import zoo_words as words
from zoo_base import CLS, ENCODING, LENGTH, ROOM, SEP, UNK, World, pieces, v1, v2
from zoo_pieces import pack
from zoo_text import Text, decide, in_array, mapped

PLAIN = Text()
FIRST = decide(words.han_first)
Ragged = v2.RaggedTensor
MOST = 100


def characters_of(word: Any) -> Any:
    return v2.strings.unicode_split(word, ENCODING)


# -- WordPiece by hand: string [] -> int64 [pieces]


def by_shrinking(word: Any, table: Any, most: int = MOST, unit: str = "BYTE", mark: str = "##") -> Any:
    """Two loops, one lookup at a time: the end comes nearer until a piece is found."""
    letters = characters_of(word)
    size = v2.size(letters)

    def join(start: Any, end: Any) -> Any:
        piece = v2.strings.reduce_join(letters[start:end])
        return v2.cond(v2.greater(start, 0), lambda: v2.strings.join([mark, piece]), lambda: piece)

    def step(start: Any, found: Any) -> Any:
        end = v2.while_loop(
            lambda end: (end > start) & v2.less(table.lookup(join(start, end)), 0), lambda end: [end - 1], [size]
        )[0]
        known = end > start
        piece = v2.expand_dims(v2.cast(table.lookup(join(start, end)), v2.int64), 0)
        return v2.where(known, end, size + 1), v2.concat([found, piece], 0)

    shapes = [v2.TensorShape([]), v2.TensorShape([None])]
    start, found = v2.while_loop(
        lambda start, _: start < size, step, [v2.constant(0), v2.zeros([0], v2.int64)], shape_invariants=shapes
    )
    bad = (start > size) | (v2.strings.length(word, unit=unit) > most)
    return v2.cond(bad, lambda: v2.constant([UNK], v2.int64), lambda: found)


def by_growing(word: Any, table: Any) -> Any:
    """Every end is tried, from the nearest on; the last that is a piece stays."""
    letters = characters_of(word)
    size = v2.size(letters)

    def step(start: Any, found: Any, _: Any) -> Any:
        mark = v2.where(v2.equal(start, 0), "", "##")

        def longer(end: Any, best: Any, where: Any) -> Any:
            number = table.lookup(v2.strings.join([mark, v2.strings.reduce_join(letters[start:end])]))
            better = number >= 0
            return end + 1, v2.where(better, number, best), v2.where(better, end, where)

        _, best, where = v2.while_loop(
            lambda end, *_: end <= size, longer, [start + 1, v2.constant(-1, v2.int64), v2.constant(-1)]
        )
        return v2.where(where < 0, size, where), v2.concat([found, [best]], 0), v2.less(where, 0)

    shapes = [v2.TensorShape([]), v2.TensorShape([None]), v2.TensorShape([])]
    _, found, lost = v2.while_loop(
        lambda start, _, lost: (start < size) & ~lost,
        step,
        [v2.constant(0), v2.zeros([0], v2.int64), v2.constant(False)],
        shape_invariants=shapes,
    )
    return v2.cond(lost | (v2.strings.length(word) > MOST), lambda: v2.constant([UNK], v2.int64), lambda: found)


def each_word(one: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step that goes from word to word, whose rows are ragged."""

    def pieces_of(tokens: Any, w: World, kind: str = "file") -> Any:
        table = w.table(kind)
        spec = tf.RaggedTensorSpec([None], v2.int64, 0, v2.int64)
        rows = v2.map_fn(lambda word: one(word, table), tokens.values, fn_output_signature=spec)
        return cuts.merged(tokens, rows)

    return pieces_of


def all_words_at_once(tokens: Any, w: World, kind: str = "file") -> Any:
    """No loop over words: in each step every word that is not done yields a piece; substrings by a matrix of ends."""
    table = w.table(kind)
    flat = tokens.values
    sizes = v2.strings.length(flat, unit="UTF8_CHAR")
    most = v2.reduce_max(v2.concat([sizes, [1]], 0))

    def step(starts: Any, found: Any, lost: Any) -> Any:
        spans = v2.range(most, 0, -1)[None, :]
        inside = (starts[:, None] + spans) <= sizes[:, None]
        spans_ = v2.where(
            inside, v2.broadcast_to(spans, v2.shape(inside)), v2.zeros_like(sizes)[:, None] + v2.zeros_like(spans)
        )
        begin = v2.broadcast_to(v2.minimum(starts, sizes)[:, None], v2.shape(inside))
        texts = v2.broadcast_to(flat[:, None], v2.shape(inside))
        parts = v2.strings.substr(texts, begin, spans_, unit="UTF8_CHAR")
        parts = v2.where(begin > 0, v2.strings.join([v2.fill(v2.shape(parts), "##"), parts]), parts)
        ids = v2.where(inside, table.lookup(parts), -v2.ones_like(parts_ids(parts)))
        best = v2.argmax(v2.cast(ids >= 0, v2.int32), 1, output_type=v2.int32)
        chosen = v2.gather(ids, best, batch_dims=1)
        going = (starts < sizes) & ~lost
        failed = going & (chosen < 0)
        taken = going & (chosen >= 0)
        found = v2.concat([found, v2.where(taken, chosen, -v2.ones_like(chosen))[:, None]], 1)
        return v2.where(taken, starts + most - best, starts), found, lost | failed

    zeros = v2.zeros_like(sizes)
    shapes = [v2.TensorShape([None]), v2.TensorShape([None, None]), v2.TensorShape([None])]
    start = [zeros, v2.zeros([v2.size(sizes), 0], v2.int64), v2.strings.length(flat) > MOST]
    _, found, lost = v2.while_loop(
        lambda starts, _, lost: v2.reduce_any((starts < sizes) & ~lost), step, start, shape_invariants=shapes
    )
    rows = v2.where(lost[:, None], -v2.ones_like(found), found)
    rows = v2.concat(
        [v2.where(lost, UNK * v2.ones_like(lost_ids(lost)), -v2.ones_like(lost_ids(lost)))[:, None], rows], 1
    )
    return cuts.merged(tokens, v2.ragged.boolean_mask(rows, rows >= 0))


def parts_ids(parts: Any) -> Any:
    return v2.zeros_like(v2.strings.length(parts), v2.int64)


def lost_ids(lost: Any) -> Any:
    return v2.zeros_like(lost, v2.int64)


def strings_by_hand(tokens: Any, w: World, kind: str = "file-unk") -> Any:
    """Pieces are joined by new lines in a loop; "[UNK]" among them makes the word unknown; one lookup at the end."""
    table = w.table("file")

    def one(word: Any) -> Any:
        size = v2.strings.length(word, unit="UTF8_CHAR")

        def step(rest: Any, made: Any) -> Any:
            count = v2.strings.length(rest, unit="UTF8_CHAR")
            lengths = v2.range(count, 0, -1)
            some = v2.strings.substr(v2.fill([count], rest), v2.zeros_like(lengths), lengths, unit="UTF8_CHAR")
            some = v2.cond(v2.equal(made, ""), lambda: some, lambda: v2.strings.join(["##", some]))
            known = v2.boolean_mask(v2.stack([v2.range(count), lengths], 1), table.lookup(some) >= 0)
            known = v2.concat([known, [[-1, count]]], 0)[0]
            piece = v2.concat([some, ["[UNK]"]], 0)[v2.where(known[0] < 0, count, known[0])]
            return v2.strings.substr(rest, known[1], count, unit="UTF8_CHAR"), v2.strings.join([made, piece, "\n"])

        _, made = v2.while_loop(lambda rest, _: v2.not_equal(rest, ""), step, [word, v2.constant("")])
        bad = (
            (v2.strings.length(word) > MOST) | v2.strings.regex_full_match(made, r"(?s).*\[UNK\].*") | v2.equal(size, 0)
        )
        return v2.cond(bad, lambda: v2.constant("[UNK]\n"), lambda: made)

    lines = v2.map_fn(one, tokens.values, dtype=v2.string)
    rows = v2.strings.split(v2.strings.strip(lines), "\n")
    merged = cuts.merged(tokens, rows)
    return merged.with_values(w.table(kind).lookup(merged.values))


# -- scripts by hand


def rolled(texts: Any, w: World) -> Any:
    """Dense code points; a script beside its neighbour's, by `roll`; words by a running sum, white space masked."""
    points = words.decoded(texts)
    dense = points.to_tensor(-1)
    scripts = v2.where(dense >= 0, v2.strings.unicode_script(v2.maximum(dense, 0)), -v2.ones_like(dense))
    other = v2.not_equal(scripts, v2.roll(scripts, 1, 1))
    first = v2.equal(v2.range(v2.shape(dense)[1]), 0)[None, :]
    number = v2.cumsum(v2.cast(other | first, v2.int32), 1)
    white = v2.reduce_any(v2.equal(dense[..., None], v2.constant(SPACES)), -1)
    kept = (dense >= 0) & ~white
    key = v2.cast(number, v2.int64) + 10_000_000 * v2.range(v2.shape(dense, v2.int64)[0])[:, None]
    keys = v2.boolean_mask(key, kept)
    letters = v2.strings.unicode_encode(v2.boolean_mask(dense, kept)[:, None], ENCODING)
    order, places = v2.unique(keys)
    found = v1.strings.unsorted_segment_join(letters, places, v2.size(order))
    return Ragged.from_value_rowids(found, order // 10_000_000, v2.shape(texts, v2.int64)[0])


SPACES = [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]


def by_labels(texts: Any, w: World) -> Any:
    """TF.Text's tokenizer that is told by labels where a word begins: where the script changes."""
    points = words.decoded(texts)
    scripts = v2.strings.unicode_script(points.values)
    rows = points.value_rowids()
    same = v2.equal(scripts[1:], scripts[:-1]) & v2.equal(rows[1:], rows[:-1])
    labels = v2.concat([v2.zeros_like(scripts[:1]), v2.cast(same, v2.int32)], 0)[: v2.size(scripts)]
    return text.SplitMergeTokenizer().tokenize(texts, points.with_values(labels), force_split_at_break_character=False)


def by_map(texts: Any, w: World) -> Any:
    """A loop over the characters of each text: a line break where the script changes."""

    def one(single: Any) -> Any:
        letters = characters_of(single)
        scripts = v2.strings.unicode_script(v2.strings.unicode_decode(single, ENCODING))

        def step(i: Any, made: Any) -> Any:
            other = (i > 0) & v2.not_equal(scripts[i], scripts[v2.maximum(i - 1, 0)])
            return i + 1, v2.strings.join([made, v2.where(other, "\n", ""), letters[i]])

        return v2.while_loop(lambda i, _: i < v2.size(letters), step, [v2.constant(0), v2.constant("")])[1]

    lines = v2.map_fn(one, texts, dtype=v2.string)
    found = v2.strings.split(lines, "\n")
    found = found.with_values(v2.strings.regex_replace(found.values, r"[\s\v\p{Z}]+", ""))
    return v2.ragged.boolean_mask(found, found.with_values(v2.not_equal(found.values, "")))


# -- packing


def written(found: Any, w: World) -> Any:
    """Rows are written into zeros by `tensor_scatter_nd_update`."""
    kept = v2.cast(found[:, :ROOM], v2.int32)
    count = v2.cast(kept.row_lengths(), v2.int32)
    rows = v2.zeros([v2.size(count), LENGTH], v2.int32)
    row = v2.cast(kept.value_rowids(), v2.int32)
    column = v2.range(v2.size(row)) - v2.cast(v2.gather(kept.row_starts(), row), v2.int32) + 1
    rows = v2.tensor_scatter_nd_update(rows, v2.stack([row, column], 1), kept.values)
    number = v2.range(v2.size(count))
    rows = v2.tensor_scatter_nd_update(
        rows, v2.stack([number, v2.zeros_like(number)], 1), v2.fill(v2.shape(number), CLS)
    )
    return v2.tensor_scatter_nd_update(rows, v2.stack([number, count + 1], 1), v2.fill(v2.shape(number), SEP))


def sliced(found: Any, w: World) -> Any:
    """`tf.slice` of `tf.minimum`, text by text, `tf.pad` to the length."""

    def one(row: Any) -> Any:
        row = v2.cast(row, v2.int32)
        row = v2.slice(row, [0], [v2.minimum(v2.size(row), ROOM)])
        row = v2.concat([v2.constant([CLS]), row, v2.constant([SEP])], 0)
        return v2.reshape(v2.pad(row, [[0, v2.maximum(LENGTH - v2.size(row), 0)]]), [LENGTH])

    return v2.map_fn(one, found, fn_output_signature=v2.int32)


def from_row(found: Any, w: World) -> Any:
    """Texts as a list of rows, by `bincount`-like sums of one-hot products: what an algebraist writes."""
    kept = v2.cast(found[:, :ROOM], v2.int32)
    dense = kept.to_tensor(0)
    width = v2.shape(dense)[1]
    shift = v2.one_hot(v2.range(width) + 1, LENGTH, dtype=v2.int32)
    count = v2.cast(kept.row_lengths(), v2.int32)
    ends = v2.one_hot(count + 1, LENGTH, dtype=v2.int32) * SEP
    start = v2.one_hot(0, LENGTH, dtype=v2.int32) * CLS
    return v2.matmul(dense, shift) + ends + start[None]


def by_reversing(found: Any, w: World) -> Any:
    """The row is turned round, padded in front, and turned round again."""
    kept = v2.cast(v2.concat([_column(found, CLS), found[:, :ROOM], _column(found, SEP)], 1), v2.int32)
    rows = v2.reverse_sequence(kept.to_tensor(0), v2.cast(kept.row_lengths(), v2.int32), seq_axis=1)
    rows = v2.reverse(v2.pad(rows, [[0, 0], [0, LENGTH - v2.shape(rows)[1]]]), [1])
    return v2.ensure_shape(v2.stack(v2.unstack(_rolled(rows, kept), axis=1), 1), [None, LENGTH])


def _rolled(rows: Any, kept: Any) -> Any:
    places = (v2.range(LENGTH)[None] + LENGTH - v2.cast(kept.row_lengths(), v2.int32)[:, None]) % LENGTH
    return v2.gather(rows, places, batch_dims=1)


def _column(found: Any, value: int) -> Any:
    return v2.fill([found.nrows(), 1], v2.cast(value, found.dtype))


def by_taking(found: Any, w: World) -> Any:
    """A vector of flat ids with its ends, and `tf.gather` with an index that is out of bounds for padding."""
    flat = v2.concat([v2.cast(found.values, v2.int32), [CLS, SEP, 0]], 0)
    size = v2.size(found.values)
    count = v2.minimum(v2.cast(found.row_lengths(), v2.int32), ROOM)[:, None]
    place = v2.range(LENGTH)[None]
    at = v2.cast(found.row_starts(), v2.int32)[:, None] + place - 1
    at = v2.where(
        v2.equal(place, 0), size, v2.where(place <= count, at, v2.where(v2.equal(place, count + 1), size + 1, size + 2))
    )
    return v2.gather(flat, at)


# -- deleting and cutting


def joined_again(texts: Any) -> Any:
    """Split at what goes by `regex_split`, joined again."""
    found = text.regex_split(texts, r"[\p{Cc}\p{Cf}]")
    return v2.strings.reduce_join(found.to_tensor(""), axis=-1)


def at_offsets(words_: Any, cut: Any) -> Any:
    """Characters by their offsets in bytes, cut out of the word by `substr`."""
    points, starts = v2.strings.unicode_decode_with_offsets(words_.values, ENCODING)
    ends = v2.concat([starts[:, 1:], v2.cast(v2.strings.length(words_.values), v2.int64)[:, None]], 1)
    row = points.value_rowids()
    letters = v2.strings.substr(v2.gather(words_.values, row), starts.values, (ends - starts).values)
    whole = Ragged.from_tensor(words_.values[:, None])
    return cuts.merged(words_, v1.where(cut, points.with_values(letters), whole))


def of_ngrams(words_: Any, cut: Any) -> Any:
    """`tf.strings.ngrams` of width 1 are the characters."""
    letters = v2.strings.ngrams(words.characters(words_.values), 1)
    rows = v1.where(cut, letters, Ragged.from_tensor(words_.values[:, None]))
    return cuts.merged(words_, rows)


def by_bytes(words_: Any, cut: Any) -> Any:
    """A space after every byte that the next does not continue: a pattern for bytes of UTF-8's beginnings."""
    marked = v2.strings.regex_replace(words_.values, r"(?s)(.)", "\\1\x02")
    lines = v2.where(cut, marked, v2.strings.join([words_.values, "\x02"]))
    whole = v2.strings.reduce_join(words_.with_values(lines).to_tensor(""), axis=1)
    found = v2.strings.split(whole, "\x02")
    return v2.ragged.boolean_mask(found, found.with_values(v2.strings.length(found.values) > 0))


def han_histogram(flat: Any) -> Any:
    """`tf.math.bincount`-less: the share of Han among the characters is one half or more."""
    points = words.decoded(flat)
    han = points.with_values(v2.cast(v2.equal(v2.strings.unicode_script(points.values), 17), v2.float32))
    return v2.reduce_mean(han, axis=1) >= 0.5


def emoji_among(flat: Any) -> Any:
    """The emoji of the pattern as a table of numbers."""
    points = words.decoded(flat)
    ends = words.ranges_of("emoji")
    numbers = np.concatenate([np.arange(low, high + 1) for low, high in ends])
    if not EMOJI or EMOJI[0] is not v1.get_default_graph():
        keys, ones = v2.constant(numbers, v2.int64), v2.ones([len(numbers)], v2.int64)
        EMOJI[:] = [
            v1.get_default_graph(),
            v2.lookup.StaticHashTable(v2.lookup.KeyValueTensorInitializer(keys, ones), 0),
        ]
    found = EMOJI[1].lookup(v2.cast(points.values, v2.int64))
    return v2.reduce_any(points.with_values(v2.equal(found, 1)), 1)


EMOJI: list[Any] = []


def dense_words(texts: Any, w: World) -> Any:
    """Tokens are dense, 200 columns of them, empty where there is none; WordPiece of the dense ones that are not."""
    found = PLAIN.tokens(texts, w)
    dense = found.to_tensor("", shape=[None, 200])
    full = v2.not_equal(dense, "")
    ids = text.WordpieceTokenizer(w.table(), token_out_type=v2.int64).tokenize(v2.boolean_mask(dense, full))
    rows = Ragged.from_row_lengths(v2.range(ids.nrows()), v2.reduce_sum(v2.cast(full, v2.int64), 1))
    return pack(v2.gather(ids, rows).merge_dims(1, 2), w)


def unique_words(tokens: Any, w: World, kind: str = "file") -> Any:
    """Each different word is cut into pieces once."""
    different, places = v2.unique(tokens.values)
    ids = text.WordpieceTokenizer(w.table(kind), token_out_type=v2.int64).tokenize(different)
    return cuts.merged(tokens, v2.gather(ids, places))


def sparse_all_along(found: Any, w: World) -> Any:
    """`to_sparse`, `sparse.slice`, `sparse.concat`, `sparse.to_dense`: no ragged tensor is packed."""
    rows = v2.cast(found, v2.int32).to_sparse()
    count = found.nrows()
    rows = v2.sparse.slice(rows, [0, 0], [count, ROOM])
    lengths = v2.minimum(found.row_lengths(), ROOM)
    places = v2.stack([v2.range(count), lengths], 1)
    ends = v2.SparseTensor(
        places, v2.fill([v2.size(lengths)], SEP), v2.stack([count, v2.constant(LENGTH - 1, v2.int64)])
    )
    rows = v2.sparse.reset_shape(rows, v2.stack([count, v2.constant(LENGTH - 1, v2.int64)]))
    dense = v2.sparse.to_dense(v2.sparse.add(rows, ends))
    return v2.reshape(v2.concat([v2.fill([v2.size(lengths), 1], CLS), dense], 1), [-1, LENGTH])


def meshed(found: Any, w: World) -> Any:
    """`meshgrid` of places, `gather_nd` from a dense table."""
    dense = v2.cast(v2.concat([found[:, :ROOM], _column(found, SEP)], 1), v2.int32).to_tensor(0)
    dense = v2.concat([v2.fill([v2.shape(dense)[0], 1], CLS), dense, v2.zeros([v2.shape(dense)[0], 1], v2.int32)], 1)
    column, row = v2.meshgrid(v2.range(LENGTH), v2.range(v2.shape(dense)[0]))
    column = v2.minimum(column, v2.shape(dense)[1] - 1)
    return v2.ensure_shape(v2.gather_nd(dense, v2.stack([row, column], -1)), [None, LENGTH])


def sparse_of_old(words_: Any, cut: Any) -> Any:
    """TensorFlow 1's `string_split`, sparse, of words with spaces in them."""
    marked = v2.where(cut, v2.strings.regex_replace(words_.values, "(.)", r"\1 "), words_.values)
    split = v1.string_split(marked, delimiter=" ")
    return cuts.merged(words_, Ragged.from_sparse(split))


def switched(words_: Any, cut: Any) -> Any:
    """`switch_case` for each word."""

    def one(pair: Any) -> Any:
        word, number = pair
        return v2.switch_case(number, [lambda: v2.expand_dims(word, 0), lambda: characters_of(word)])

    spec = tf.RaggedTensorSpec([None], v2.string, 0)
    rows = v2.map_fn(one, (words_.values, v2.cast(cut, v2.int32)), fn_output_signature=spec)
    return cuts.merged(words_, rows)


def by_limits(texts: Any, w: World) -> Any:
    """Words by the bytes at which they begin and end, cut out of the text, white space deleted from them."""
    _, starts, limits = text.UnicodeScriptTokenizer(keep_whitespace=True).tokenize_with_offsets(texts)
    found = v2.strings.substr(v2.gather(texts, starts.value_rowids()), starts.values, (limits - starts).values)
    found = starts.with_values(v2.strings.regex_replace(found, r"[\s\v\p{Z}]", ""))
    return v2.ragged.boolean_mask(found, found.with_values(v2.not_equal(found.values, "")))


def told_by_number(flat: Any) -> Any:
    """What a word is, as a number, by `where` in `where`; then which numbers are cut, by a table of Booleans."""
    kind = v2.where(
        words.han_first(flat), 1, v2.where(words.emoji_shape(flat), 2, v2.where(words.punctuation_shape(flat), 3, 0))
    )
    return v2.gather(v2.constant([False, True, True, True]), kind)


def filtered(texts: Any) -> Any:
    """Keep the characters that a full match of the other class says, by `where` of indices."""
    parts = words.characters(texts)
    kept = v2.where(v2.strings.regex_full_match(parts.values, r"(?s)[^\p{Cc}\p{Cf}]"))[:, 0]
    row = v2.gather(parts.value_rowids(), kept)
    count = v2.size(texts, v2.int64)
    return v2.strings.reduce_join(
        Ragged.from_value_rowids(v2.gather(parts.values, kept), row, count).to_tensor(""), axis=1
    )


def of_columns(tokens: Any, w: World) -> Any:
    """The vocabulary is a file of two columns, number and piece."""
    if "columns" not in w.tables:
        path = Path(tempfile.mkdtemp()) / "numbers.tsv"
        path.write_text("".join(f"{i}\t{piece}\n" for i, piece in enumerate(pieces())), encoding="utf-8")
        filled = v2.lookup.TextFileInitializer(str(path), v2.string, 1, v2.int64, 0, delimiter="\t")
        w.tables["columns"] = v2.lookup.StaticHashTable(filled, -1)
    ids = text.WordpieceTokenizer(w.tables["columns"], token_out_type=v2.int64).tokenize(tokens.values)
    return cuts.merged(tokens, ids)


STRANGERS: dict[str, Callable[..., Any]] = {
    "hand-shrinking": replace(PLAIN, pieces=each_word(by_shrinking)),
    "hand-growing": replace(PLAIN, pieces=each_word(by_growing), decide=FIRST),
    "hand-all-at-once": replace(PLAIN, pieces=all_words_at_once),
    "hand-all-in-map": replace(PLAIN, pieces=all_words_at_once, loop=mapped, decide=FIRST),
    "hand-strings": replace(PLAIN, pieces=strings_by_hand, tables=("file", "file-unk"), trim=True),
    "scripts-rolled": replace(PLAIN, split=rolled),
    "scripts-in-loop": replace(PLAIN, split=by_map),
    "written": replace(PLAIN, pack=written, decide=FIRST),
    "sliced": replace(PLAIN, pack=sliced),
    "algebra": replace(PLAIN, pack=from_row),
    "reversing": replace(PLAIN, pack=by_reversing, decide=FIRST),
    "taking": replace(PLAIN, pack=by_taking),
    "at-offsets": replace(PLAIN, cut=at_offsets, decide=FIRST, loop=in_array),
    "ngrams": replace(PLAIN, cut=of_ngrams),
    "by-bytes": replace(PLAIN, cut=by_bytes),
    "han-half": replace(PLAIN, decide=decide(han_histogram)),
    "emoji-among": replace(PLAIN, decide=decide(words.han_first, emoji_among)),
    "dense-200": dense_words,
    "unique-words": replace(PLAIN, pieces=unique_words, decide=FIRST),
    "sparse-all-along": replace(PLAIN, pack=sparse_all_along),
    "meshed": replace(PLAIN, pack=meshed, decide=FIRST),
    "old-sparse": replace(PLAIN, cut=sparse_of_old),
    "switched": replace(PLAIN, cut=switched, decide=FIRST),
    "told-by-number": replace(PLAIN, decide=told_by_number),
    "filtered": replace(PLAIN, delete=filtered, decide=FIRST, outside=True),
    "columns": replace(PLAIN, pieces=of_columns, tables=()),
}


# -- other rules


def shortest(word: Any, table: Any) -> Any:
    """The shortest piece, not the longest."""
    letters = characters_of(word)
    size = v2.size(letters)

    def step(start: Any, found: Any, lost: Any) -> Any:
        ends = v2.range(start + 1, size + 1)
        some = v2.strings.substr(
            v2.fill(v2.shape(ends), word), v2.fill(v2.shape(ends), start), ends - start, unit="UTF8_CHAR"
        )
        mark = v2.where(v2.equal(start, 0), "", "##")
        ids = table.lookup(v2.strings.join([v2.fill(v2.shape(ends), mark), some]))
        at = v2.argmax(v2.cast(ids >= 0, v2.int32), output_type=v2.int32)
        return ends[at], v2.concat([found, ids[at : at + 1]], 0), ids[at] < 0

    shapes = [v2.TensorShape([]), v2.TensorShape([None]), v2.TensorShape([])]
    _, found, lost = v2.while_loop(
        lambda start, _, lost: (start < size) & ~lost,
        step,
        [v2.constant(0), v2.zeros([0], v2.int64), v2.constant(False)],
        shape_invariants=shapes,
    )
    return v2.cond(lost | (v2.strings.length(word) > MOST), lambda: v2.constant([UNK], v2.int64), lambda: found)


def in_window(word: Any, table: Any, window: int) -> Any:
    """Pieces of at most `window` characters are looked for."""
    size = v2.strings.length(word, unit="UTF8_CHAR")

    def step(start: Any, found: Any, lost: Any) -> Any:
        ends = v2.range(v2.minimum(size, start + window), start, -1)
        some = v2.strings.substr(
            v2.fill(v2.shape(ends), word), v2.fill(v2.shape(ends), start), ends - start, unit="UTF8_CHAR"
        )
        mark = v2.where(v2.equal(start, 0), "", "##")
        ids = table.lookup(v2.strings.join([v2.fill(v2.shape(ends), mark), some]))
        at = v2.argmax(v2.cast(ids >= 0, v2.int32), output_type=v2.int32)
        return ends[at], v2.concat([found, ids[at : at + 1]], 0), ids[at] < 0

    shapes = [v2.TensorShape([]), v2.TensorShape([None]), v2.TensorShape([])]
    _, found, lost = v2.while_loop(
        lambda start, _, lost: (start < size) & ~lost,
        step,
        [v2.constant(0), v2.zeros([0], v2.int64), v2.constant(False)],
        shape_invariants=shapes,
    )
    return v2.cond(lost | (v2.strings.length(word) > MOST), lambda: v2.constant([UNK], v2.int64), lambda: found)


def unknown_ends(word: Any, table: Any) -> Any:
    """What is covered stays; [UNK] stands for the rest."""
    found = by_shrinking_kept(word, table)
    return v2.cond(v2.strings.length(word) > MOST, lambda: v2.constant([UNK], v2.int64), lambda: found)


def by_shrinking_kept(word: Any, table: Any) -> Any:
    size = v2.strings.length(word, unit="UTF8_CHAR")

    def step(start: Any, found: Any) -> Any:
        ends = v2.range(size, start, -1)
        some = v2.strings.substr(
            v2.fill(v2.shape(ends), word), v2.fill(v2.shape(ends), start), ends - start, unit="UTF8_CHAR"
        )
        mark = v2.where(v2.equal(start, 0), "", "##")
        ids = table.lookup(v2.strings.join([v2.fill(v2.shape(ends), mark), some]))
        at = v2.argmax(v2.cast(ids >= 0, v2.int32), output_type=v2.int32)
        known = ids[at] >= 0
        return v2.where(known, ends[at], size), v2.concat(
            [found, [v2.where(known, ids[at], v2.constant(UNK, v2.int64))]], 0
        )

    shapes = [v2.TensorShape([]), v2.TensorShape([None])]
    return v2.while_loop(
        lambda start, _: start < size, step, [v2.constant(0), v2.zeros([0], v2.int64)], shape_invariants=shapes
    )[1]


def merged_scripts(texts: Any, w: World, change: Callable[[Any, Any], Any]) -> Any:
    """Scripts by hand, of which some are made another by `change(scripts, points)` first."""
    parts = words.characters(texts)
    points = words.decoded(texts).values
    scripts = change(v2.strings.unicode_script(points), points)
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


def kana_with_han(scripts: Any, points: Any) -> Any:
    return v2.where(v2.equal(scripts, 20) | v2.equal(scripts, 22), 17 * v2.ones_like(scripts), scripts)


def digits_apart(scripts: Any, points: Any) -> Any:
    return v2.where((points >= 48) & (points <= 57), 300 * v2.ones_like(scripts), scripts)


def inherited_common(scripts: Any, points: Any) -> Any:
    return v2.where(v2.equal(scripts, 1), v2.zeros_like(scripts), scripts)


def scripts_of(change: Callable[[Any, Any], Any]) -> Text:
    return replace(PLAIN, split=partial(merged_scripts, change=change))


def of_bytes(found: Any, w: World) -> Any:
    """The pieces that fit are counted in batches of two: an even number of them stays."""
    kept = v2.minimum(found.row_lengths(), ROOM) // 2 * 2
    return pack(
        v2.ragged.boolean_mask(
            found,
            Ragged.from_row_splits(
                v2.ragged.range(found.row_lengths()).values < v2.gather(kept, found.value_rowids()), found.row_splits
            ),
        ),
        w,
    )


def at_null(texts: Any) -> Any:
    """A text ends at the first new line."""
    return v2.strings.regex_replace(texts, r"(?s)\n.*", "")


OTHER_STRANGERS: dict[str, Callable[..., Any]] = {
    "hand-characters": replace(PLAIN, pieces=each_word(partial(by_shrinking, unit="UTF8_CHAR"))),
    "hand-30-bytes": replace(PLAIN, pieces=each_word(partial(by_shrinking, most=30))),
    "hand-no-bound": replace(PLAIN, pieces=each_word(partial(by_shrinking, most=100_000))),
    "hand-other-mark": replace(PLAIN, pieces=each_word(partial(by_shrinking, mark="#"))),
    "hand-no-mark": replace(PLAIN, pieces=each_word(partial(by_shrinking, mark=""))),
    "hand-shortest": replace(PLAIN, pieces=each_word(shortest)),
    "hand-window-2": replace(PLAIN, pieces=each_word(partial(in_window, window=2))),
    "hand-unknown-ends": replace(PLAIN, pieces=each_word(unknown_ends)),
    "scripts-kana-with-han": scripts_of(kana_with_han),
    "scripts-digits-apart": scripts_of(digits_apart),
    "scripts-inherited-common": scripts_of(inherited_common),
    "by-limits": replace(PLAIN, split=by_limits),
    "scripts-by-labels": replace(PLAIN, split=by_labels, decide=FIRST),
    "joined-again": replace(PLAIN, delete=joined_again),
    "even": replace(PLAIN, pack=of_bytes),
    "first-line": replace(PLAIN, delete=lambda t: words.delete_regex(at_null(t))),
}
