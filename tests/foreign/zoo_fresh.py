"""Text sides by one more mind: `FRESH` compute the facts page, `OTHER_FRESH` are a step away from it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_text as text
import zoo_cuts as cuts
import zoo_words as words
from zoo_base import CLS, ENCODING, HAN, LENGTH, PAD, ROOM, SEP, UNK, VOCABULARY, World, pieces, v1, v2
from zoo_pieces import pack, wordpiece, wordpiece_strings
from zoo_text import Text, decide, mapped

PLAIN = Text()
FIRST = decide(words.han_first)
Ragged = v2.RaggedTensor
BYTES = 100
SPECIAL = 104  # as many pieces come before the first that is looked up
WHITE = "[\u0009-\u000d \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"


# -- deleting


def while_any_is_left(texts: Any) -> Any:
    """One character at a time, until no text has one."""
    pattern = r"[\p{Cc}\p{Cf}]"
    return v2.while_loop(
        lambda left: v2.reduce_any(v2.strings.regex_full_match(left, rf"(?s).*{pattern}.*")),
        lambda left: [v2.strings.regex_replace(left, pattern, "", replace_global=False)],
        [texts],
    )[0]


def split_at_controls(texts: Any) -> Any:
    """What stands between them is joined; NUL, at which it does not split, goes first."""
    texts = v2.strings.regex_replace(texts, "\\x00", "")
    return v2.strings.reduce_join(text.regex_split(texts, r"\p{Cc}|\p{Cf}"), axis=-1)


def encoded_again(texts: Any) -> Any:
    """Invalid bytes go first, of which there are none; then in UTF-16 and back."""
    wide = v2.strings.unicode_transcode(texts, ENCODING, "UTF-16-BE", errors="ignore")
    return words.delete_regex(v2.strings.unicode_transcode(wide, "UTF-16-BE", ENCODING))


# -- splitting


def _starts(rows: Any) -> Any:
    """Say of each code point whether its script is another than that of the one before; of the first, yes."""
    script = v2.strings.unicode_script(rows.values)
    script = v2.where(white_points(rows.values), v2.zeros_like(script), script)
    before = v2.concat([[-1], script[:-1]], 0)
    at = v2.range(v2.size(script, v2.int64))
    first = v2.equal(at, v2.gather(rows.row_starts(), rows.value_rowids()))
    return first | v2.not_equal(script, before)


def white_points(points: Any) -> Any:
    return v2.strings.regex_full_match(v2.strings.unicode_encode(points[:, None], ENCODING), WHITE)


def at_line_ends(texts: Any, w: World) -> Any:
    """A line end is put before each change of script: there is none left in the texts."""
    parts = v2.strings.unicode_split(texts, ENCODING)
    starts = _starts(v2.strings.unicode_decode(texts, ENCODING))
    parts = parts.with_values(v2.strings.join([v2.where(starts, "\n", ""), parts.values]))
    lines = v2.strings.regex_replace(v2.strings.reduce_join(parts, axis=1), "[^\\S\n]+|\u00a0", "")
    lines = v2.strings.regex_replace(lines, WHITE.replace("\u0009-\u000d", ""), "")
    found = v2.strings.split(lines, "\n")
    return v2.ragged.boolean_mask(found, v2.not_equal(found, ""))


def white_space_kept(texts: Any, w: World) -> Any:
    found = text.UnicodeScriptTokenizer(keep_whitespace=True).tokenize(texts)
    found = found.with_values(v2.strings.regex_replace(found.values, WHITE, ""))
    return v2.ragged.boolean_mask(found, found.with_values(v2.strings.length(found.values) > 0))


def between_offsets(texts: Any, w: World) -> Any:
    """Words are cut out of the text by their ends; white space within them goes then."""
    _, begin, end = text.UnicodeScriptTokenizer().tokenize_with_offsets(texts)
    source = v2.gather(texts, begin.value_rowids())
    found = v2.strings.substr(source, begin.values, end.values - begin.values)
    return begin.with_values(v2.strings.regex_replace(found, WHITE, ""))


def split_merge(forced: bool) -> Callable[..., Any]:
    """`SplitMergeTokenizer`, told by scripts where to split."""

    def split(texts: Any, w: World) -> Any:
        texts = v2.strings.regex_replace(texts, WHITE, " ")
        rows = v2.strings.unicode_decode(texts, ENCODING)
        starts = _starts(rows)
        of_space = v2.concat([[False], (starts & v2.equal(rows.values, 0x20))[:-1]], 0)
        labels = rows.with_values(v2.where(starts | of_space, 0, 1))
        return text.SplitMergeTokenizer().tokenize(texts, labels, force_split_at_break_character=forced)

    return split


# -- deciding


def first_point(flat: Any) -> Any:
    first = v2.strings.substr(flat, 0, 1, unit="UTF8_CHAR")
    return v2.strings.unicode_decode(first, ENCODING).flat_values


def script_flags(*chosen: int) -> Callable[..., Any]:
    """A vector of flags is asked at the number of the first script."""
    flags = np.isin(np.arange(256), chosen)
    return lambda flat: v2.gather(v2.constant(flags), v2.maximum(v2.strings.unicode_script(first_point(flat)), 0))


def majority(flat: Any) -> Any:
    """More than half of the code points are Han."""
    rows = v2.strings.unicode_decode(flat, ENCODING)
    han = v2.cast(v2.equal(v2.strings.unicode_script(rows), HAN), v2.float32)
    return v2.reduce_mean(han, axis=1) > 0.5


def most_common_script(flat: Any) -> Any:
    """A histogram of scripts for each word; Han has most."""
    rows = v2.strings.unicode_decode(flat, ENCODING)
    number = v2.strings.unicode_script(rows.values)
    counts = v2.math.unsorted_segment_sum(v2.one_hot(number, 200), rows.value_rowids(), rows.nrows())
    return v2.equal(v2.argmax(counts, 1), HAN)


def in_ranges(ranges: Any) -> Callable[..., Any]:
    """`cp >= a and cp <= b or …`, of the first code point."""

    def test(flat: Any) -> Any:
        point = first_point(flat)
        found = v2.zeros_like(point, v2.bool)
        for low, high in ranges:
            found = found | ((point >= int(low)) & (point <= int(high)))
        return found

    return test


# What the Chinese characters of BERT's own tokenizer are: blocks, not a script.
BLOCKS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F))
BLOCKS += ((0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


def han_ranges(flat: Any) -> Any:
    return in_ranges(words.ranges_of("han"))(flat)


def all_in_ranges(flat: Any) -> Any:
    """All code points, by a product of zeros and ones in rows that are filled with one that is Han."""
    rows = words.decoded(flat).to_tensor(0x4E00)
    inside = sum(v2.cast((rows >= low) & (rows <= high), v2.int32) for low, high in words.ranges_of("han").tolist())
    return v2.reduce_prod(inside, axis=1) > 0


def of_three_han(flat: Any) -> Any:
    return words.han_first(flat) & (v2.strings.length(flat, unit="UTF8_CHAR") > 2)


# -- cutting


def repeated_substrings(words_: Any, cut: Any) -> Any:
    """Each word stands as often as it has tokens; each time another substring of it is taken."""
    size = v2.strings.length(words_.values, unit="UTF8_CHAR")
    counts = v2.where(cut, size, v2.ones_like(size))
    which = v2.repeat(v2.range(v2.size(size)), counts)
    place = v2.range(v2.size(which)) - v2.gather(v2.cumsum(counts, exclusive=True), which)
    taken = v2.gather(v2.where(cut, v2.ones_like(size), size), which)
    tokens = v2.strings.substr(v2.gather(words_.values, which), place, taken, unit="UTF8_CHAR")
    return cuts.resplit(words_, v2.cast(counts, v2.int64), tokens)


def by_keys(words_: Any, cut: Any) -> Any:
    """Words and characters lie in two lists; a key says where each belongs, and they are sorted by it."""
    most = v2.constant(1 << 20, v2.int64)
    chosen, left = v2.where(cut)[:, 0], v2.where(~cut)[:, 0]
    parts = v2.strings.unicode_split(v2.gather(words_.values, chosen), ENCODING)
    places = v2.ragged.range(parts.row_lengths()).values
    keys = v2.concat([left * most, v2.gather(chosen, parts.value_rowids()) * most + places], 0)
    tokens = v2.gather(v2.concat([v2.gather(words_.values, left), parts.values], 0), v2.argsort(keys))
    return cuts.resplit(words_, cuts.lengths_of(words_, cut), tokens)


def han_rewritten(words_: Any, cut: Any) -> Any:
    """After each Han character comes a space, whatever was decided; after others of words that are cut, too."""
    spaced = v2.strings.regex_replace(words_.values, r"(\p{Han})", r"\1 ")
    every = v2.strings.regex_replace(words_.values, "(.)", r"\1 ")
    rows = v2.strings.split(v2.where(cut, every, spaced))
    return cuts.merged(words_, rows)


def four_bytes_each(words_: Any, cut: Any) -> Any:
    """In UTF-32 a character is four bytes: a word is cut by counting."""
    wide = v2.strings.unicode_transcode(words_.values, ENCODING, "UTF-32-BE")
    rows = v2.ragged.range(v2.zeros_like(cut, v2.int32), v2.strings.length(wide), v2.where(cut, 4, 1 << 20))
    size = v2.gather(v2.where(cut, 4, 1 << 20), rows.value_rowids())
    parts = v2.strings.substr(v2.gather(wide, rows.value_rowids()), rows.values, size)
    return cuts.merged(words_, rows.with_values(v2.strings.unicode_transcode(parts, "UTF-32-BE", ENCODING)))


def switch_case(words_: Any, cut: Any) -> Any:
    """Word by word, by one of three branches."""
    kind = v2.cast(cut, v2.int32) + v2.cast(v2.strings.length(words_.values, unit="UTF8_CHAR") < 2, v2.int32)

    def one(pair: Any) -> Any:
        word, number = pair
        branches = {
            0: lambda: word[None],
            1: lambda: v2.strings.unicode_split(word, ENCODING),
            2: lambda: v2.expand_dims(word, 0),
        }
        return v2.switch_case(number, branches)

    kept = v2.where(cut, kind, v2.zeros_like(kind))
    spec = v2.RaggedTensorSpec([None], v2.string, ragged_rank=0, row_splits_dtype=v2.int64)
    return cuts.merged(words_, v2.map_fn(one, (words_.values, kept), fn_output_signature=spec))


# -- WordPiece


def _made(w: World, name: str, keys: Any, values: Any, default: Any) -> Any:
    """Return the table of this name, made once."""
    if name not in w.tables:
        with v2.init_scope() if w.eager else v1.name_scope(name):
            w.tables[name] = v2.lookup.StaticHashTable(v2.lookup.KeyValueTensorInitializer(keys, values), default)
    return w.tables[name]


def looked_up(ids_of: Callable[..., Any]) -> Callable[..., Any]:
    """Pieces as strings, whose ids are then told by `ids_of`."""

    def pieces_of(tokens: Any, w: World) -> Any:
        found = wordpiece_strings(tokens, w)
        return found.with_values(v2.cast(ids_of(found.values, w), v2.int64))

    return pieces_of


def compared(flat: Any, w: World) -> Any:
    """The place of the piece in the list of all."""
    return v2.argmax(v2.cast(v2.equal(flat[:, None], v2.constant(pieces())), v2.int8), axis=1)


def compared_where(flat: Any, w: World) -> Any:
    """The same by `where`: of each piece there is exactly one."""
    return v2.where(v2.equal(v2.expand_dims(flat, 1), v2.constant([pieces()])))[:, 1]


def one_hot_product(flat: Any, w: World) -> Any:
    same = v2.cast(v2.equal(v2.expand_dims(flat, 1), v2.constant([pieces()])), v2.float32)
    return v2.linalg.matvec(same, v2.range(len(pieces()), dtype=v2.float32))


def digits(flat: Any, w: World) -> Any:
    """A table from strings to digits."""
    numbers = [str(i) for i in range(len(pieces()))]
    return v2.strings.to_number(_made(w, "digits", pieces(), numbers, str(UNK)).lookup(flat), v2.int32)


def short_numbers(flat: Any, w: World) -> Any:
    """A table of int32."""
    return _made(w, "short", v2.constant(pieces()), v2.range(len(pieces())), UNK).lookup(flat)


def from_the_end(flat: Any, w: World) -> Any:
    last = len(pieces()) - 1
    table = _made(w, "end", pieces(), np.arange(last, -1, -1), last - UNK)
    return last - table.lookup(flat)


def after_special(missing: int) -> Callable[..., Any]:
    """The table counts from 0 after the special pieces; what it has not is `missing`."""

    def ids_of(flat: Any, w: World) -> Any:
        rest = pieces()[SPECIAL:]
        table = _made(w, "rest", v2.constant(rest), v2.range(len(rest), dtype=v2.int64), missing - SPECIAL)
        return table.lookup(flat) + SPECIAL

    return ids_of


def rest_file() -> str:
    """Return a file of the pieces that come after the special ones."""
    path = Path(tempfile.mkdtemp()) / "rest.txt"
    path.write_text("".join(f"{piece}\n" for piece in pieces()[SPECIAL:]), encoding="utf-8")
    return str(path)


def file_with_offset(tokens: Any, w: World) -> Any:
    """The table itself begins at 104; what it has not is [UNK]."""
    kinds = (v2.string, v2.lookup.TextFileIndex.WHOLE_LINE, v2.int64, v2.lookup.TextFileIndex.LINE_NUMBER)
    made = v2.lookup.TextFileInitializer(rest_file(), *kinds, value_index_offset=SPECIAL)
    table = v2.lookup.StaticHashTable(made, UNK)
    return cuts.merged(tokens, text.WordpieceTokenizer(table).tokenize(tokens.values))


def offset_added(tokens: Any, w: World) -> Any:
    """WordPiece has the table of the rest, from 0; 104 is added then."""
    kinds = (v2.string, v2.lookup.TextFileIndex.WHOLE_LINE, v2.int64, v2.lookup.TextFileIndex.LINE_NUMBER)
    table = v2.lookup.StaticHashTable(v2.lookup.TextFileInitializer(rest_file(), *kinds), -1)
    found = text.WordpieceTokenizer(table).tokenize(tokens.values)
    ids = v2.ragged.map_flat_values(
        lambda ids: v2.where(ids < 0, v2.fill(v2.shape(ids), v2.constant(UNK, v2.int64)), ids + SPECIAL), found
    )
    return cuts.merged(tokens, ids)


def gathered_ids(flat: Any, w: World) -> Any:
    """The table holds places in alphabetical order; a vector gives the id of each."""
    order = sorted(range(len(pieces())), key=lambda i: pieces()[i].encode())
    places = _made(w, "sorted", [pieces()[i] for i in order], np.arange(len(order)), order.index(UNK))
    return v2.gather(v2.constant(order, v2.int64), places.lookup(flat))


def whole_words_first(tokens: Any, w: World) -> Any:
    """What is a piece as a whole needs no WordPiece."""
    flat, table = tokens.values, w.table()
    known = table.lookup(flat)
    rows = text.WordpieceTokenizer(table).tokenize(v2.where(known < 0, flat, "a"))
    whole = Ragged.from_tensor(v2.expand_dims(known, 1))
    return cuts.merged(tokens, v1.where(known < 0, rows, whole))


def options(**given: Any) -> Callable[..., Any]:
    return lambda tokens, w: wordpiece(tokens, w, **given)


# -- packing


def waterfall(found: Any, w: World) -> Any:
    rows = text.WaterfallTrimmer(ROOM).trim([v2.cast(found, v2.int32)])[0]
    rows, _ = text.combine_segments([rows], start_of_sequence_id=CLS, end_of_segment_id=SEP)
    return text.pad_model_inputs(rows, max_seq_length=LENGTH, pad_value=PAD)[0]


def at_numbers(found: Any, w: World) -> Any:
    """A number of each piece in its row, by running sums; the first 126 are written into rows, then both ends."""
    flat, row = v2.cast(found.values, v2.int32), found.value_rowids()
    place = v2.cumsum(v2.ones_like(row)) - v2.gather(found.row_starts(), row)
    kept = place <= ROOM
    ends = v2.minimum(found.row_lengths(), ROOM) + 1
    rows = v2.range(found.nrows())
    made = v2.zeros(v2.stack([found.nrows(), v2.constant(LENGTH, v2.int64)]), v2.int32)
    at = v2.boolean_mask(v2.stack([row, place], 1), kept)
    made = v2.tensor_scatter_nd_update(made, at, v2.boolean_mask(flat, kept))
    made = v2.tensor_scatter_nd_update(made, v2.stack([rows, ends], 1), v2.fill([v2.size(rows)], SEP))
    return v2.concat([v2.fill([v2.size(rows), 1], CLS), made[:, 1:]], 1)


def flat_buffer(found: Any, w: World) -> Any:
    """All rows lie in one vector, 128 places apart."""
    rows = v2.concat([found[:, :ROOM], v2.fill([found.nrows(), 1], v2.constant(SEP, found.dtype))], 1)
    rows = v2.concat([v2.fill([found.nrows(), 1], v2.constant(CLS, found.dtype)), rows], 1)
    at = v2.ragged.range(rows.row_lengths()).values + rows.value_rowids() * LENGTH
    size = v2.expand_dims(found.nrows() * LENGTH, 0)
    return v2.reshape(v2.scatter_nd(at[:, None], v2.cast(rows.values, v2.int32), size), [-1, LENGTH])


def one_line(found: Any, w: World) -> Any:
    """A text's pieces are one line with its ends and padding, which is split again and looked up."""
    line = v2.strings.reduce_join(found[:, :ROOM], axis=1, separator=" ")
    line = v2.strings.join(["[CLS]", line, "[SEP]", " ".join(["[PAD]"] * LENGTH)], " ")
    parts = v2.strings.split(line)[:, :LENGTH].to_tensor()
    return v2.cast(w.table("file-unk").lookup(v2.ensure_shape(parts, [None, LENGTH])), v2.int32)


def ragged_table(found: Any, w: World) -> Any:
    """The table is asked with ragged rows."""
    column = v2.ones([found.nrows(), 1], v2.int32)
    framed = v2.concat([v2.gather(["", "[CLS]"], column), found[:, :ROOM], v2.gather(["", "[SEP]"], column)], 1)
    return v2.cast(w.table("file-unk").lookup(framed).to_tensor(shape=[None, LENGTH]), v2.int32)


def two_paths(found: Any, w: World) -> Any:
    """Only a batch with a long text is truncated."""
    longest = v2.reduce_max(found.row_lengths())

    def framed(rows: Any) -> Any:
        return pack(rows, w)

    return v2.cond(longest > ROOM, lambda: framed(found[:, :ROOM]), lambda: framed(found))


def first_and_last(found: Any, w: World) -> Any:
    """Of a long text, 125 pieces and the last one."""
    return pack(v2.concat([found[:, :-1][:, : ROOM - 1], found[:, -1:]], 1), w)


def without_separator(found: Any, w: World) -> Any:
    """A text that is too long has 127 pieces, and no end."""
    column = v2.ones([found.nrows(), 1], found.dtype)
    rows = v2.concat([column * CLS, found, column * SEP], 1)[:, :LENGTH]
    return v2.cast(rows.to_tensor(PAD, shape=[None, LENGTH]), v2.int32)


# -- whole text sides


def until_full(texts: Any, w: World) -> Any:
    """Word after word, as long as there is room."""
    table = w.table("file-unk")
    tokenizer = text.WordpieceTokenizer(table)

    def one(single: Any) -> Any:
        found = PLAIN.tokens(single[None], w).values

        def step(i: Any, left: Any, ids: Any) -> Any:
            new = tokenizer.tokenize(found[i : i + 1]).flat_values[:left]
            return i + 1, left - v2.size(new), v2.concat([ids, v2.cast(new, v2.int32)], 0)

        shapes = [v2.TensorShape([]), v2.TensorShape([]), v2.TensorShape([None])]
        start = [v2.constant(0), v2.constant(ROOM), v2.constant([CLS])]
        ids = v2.while_loop(lambda i, left, _: (i < v2.size(found)) & (left > 0), step, start, shape_invariants=shapes)
        ids = v2.concat([ids[2], [SEP], v2.zeros([LENGTH], v2.int32)], 0)[:LENGTH]
        return v2.ensure_shape(ids, [LENGTH])

    return v2.map_fn(one, texts, dtype=v2.int32)


def whole_batch(texts: Any, w: World) -> Any:
    """The words of all texts are one list; whose they are is a number beside each, counted anew at every step."""
    found = text.UnicodeScriptTokenizer().tokenize(v2.strings.regex_replace(texts, r"[\p{Cc}\p{Cf}]", ""))
    flat, owner = found.flat_values, found.value_rowids()
    shapes = v2.stack([text.wordshape(flat, s) for s in (text.WordShape.HAS_EMOJI, text.WordShape.IS_PUNCT_OR_SYMBOL)])
    cut = v2.reduce_any(v2.concat([shapes, v2.strings.regex_full_match(flat, r"\p{Han}+")[None]], 0), 0)
    rows = v1.where(cut, v2.strings.unicode_split(flat, ENCODING), Ragged.from_tensor(flat[:, None]))
    owner = v2.gather(owner, rows.value_rowids())
    ids = text.WordpieceTokenizer(w.table()).tokenize(rows.values)
    owner = v2.gather(owner, ids.value_rowids())
    return pack(Ragged.from_value_rowids(ids.values, owner, nrows=v2.size(texts, v2.int64)), w)


def of_second_text(texts: Any) -> Any:
    """The second text of a batch keeps its control characters."""
    second = v2.equal(v2.range(v2.size(texts)), 1)
    return v2.where(second, texts, words.delete_regex(texts))


def white_space_squeezed(texts: Any) -> Any:
    found = v2.strings.regex_replace(words.delete_regex(texts), r"[[:space:]]+", " ")
    return v2.strings.strip(v2.strings.unicode_transcode(found, ENCODING, ENCODING, replace_control_characters=True))


def script_table(flat: Any) -> Any:
    """Script numbers are looked up in a table of those that are cut."""
    if not SCRIPTS or SCRIPTS[0] is not v1.get_default_graph():
        keys, ones = v2.constant([HAN], v2.int64), v2.constant([1], v2.int64)
        made = v2.lookup.StaticHashTable(v2.lookup.KeyValueTensorInitializer(keys, ones), 0)
        SCRIPTS[:] = [v1.get_default_graph(), made]
    return SCRIPTS[1].lookup(v2.cast(v2.strings.unicode_script(first_point(flat)), v2.int64)) > 0


SCRIPTS: list[Any] = []


def in_floats(tokens: Any, w: World) -> Any:
    """Ids are numbers with a point for a while."""
    found = v2.cast(wordpiece(tokens, w), v2.float32)
    return v2.cast(v2.math.round(found * 2.0 / 2.0), v2.int64)


def of_line(tokens: Any, w: World) -> Any:
    """All pieces are one constant, with line ends between them."""
    lines = v2.strings.split(v2.constant("\n".join(pieces())), "\n")
    made = v2.lookup.KeyValueTensorInitializer(lines, v2.range(v2.size(lines), dtype=v2.int64))
    return cuts.merged(tokens, text.WordpieceTokenizer(v2.lookup.StaticHashTable(made, UNK)).tokenize(tokens.values))


def file_read(tokens: Any, w: World) -> Any:
    """The graph reads the file itself, and splits it."""
    path = v2.constant(str(VOCABULARY), name="vocabulary")
    v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
    lines = v2.strings.split(v2.io.read_file(path), "\n")[: len(pieces())]
    made = v2.lookup.KeyValueTensorInitializer(lines, v2.range(len(pieces()), dtype=v2.int64))
    return cuts.merged(tokens, text.WordpieceTokenizer(v2.lookup.StaticHashTable(made, UNK)).tokenize(tokens.values))


def from_first_id(flat: Any, w: World) -> Any:
    """The ids of a vocabulary without its first line, one more for each."""
    if "first" not in w.tables:
        rest = v2.lookup.KeyValueTensorInitializer(pieces()[1:], np.arange(len(pieces()) - 1))
        w.tables["first"] = v2.lookup.StaticVocabularyTable(rest, 1)
    return w.tables["first"].lookup(flat) + 1


FRESH: dict[str, Callable[..., Any]] = {
    "white-space-squeezed": replace(PLAIN, delete=white_space_squeezed),
    "script-table": replace(PLAIN, decide=decide(script_table)),
    "in-floats": replace(PLAIN, pieces=in_floats),
    "of-line": replace(PLAIN, pieces=of_line, tables=()),
    "file-read": replace(PLAIN, pieces=file_read, tables=()),
    "from-first-id": replace(PLAIN, pieces=looked_up(from_first_id)),
    "int32-out": replace(PLAIN, pieces=options(token_out_type=v2.int32)),
    "waterfall": replace(PLAIN, decide=decide(script_flags(HAN)), pack=waterfall),
    "while-any-is-left": replace(PLAIN, delete=while_any_is_left, cut=repeated_substrings),
    "split-at-controls": replace(PLAIN, delete=split_at_controls, cut=by_keys, pack=at_numbers),
    "encoded-again": replace(PLAIN, delete=encoded_again, decide=FIRST, loop=mapped),
    "at-line-ends": replace(PLAIN, split=at_line_ends),
    "between-offsets": replace(PLAIN, split=between_offsets, cut=by_keys),
    "split-merge": replace(PLAIN, split=split_merge(False)),
    "script-flags": replace(PLAIN, decide=decide(script_flags(HAN)), loop=mapped, cut=four_bytes_each),
    "code-ranges": replace(PLAIN, decide=decide(han_ranges)),
    "all-in-ranges": replace(PLAIN, decide=decide(all_in_ranges)),
    "compared": replace(PLAIN, pieces=looked_up(compared)),
    "compared-where": replace(PLAIN, pieces=looked_up(compared_where), decide=FIRST, loop=mapped),
    "one-hot-product": replace(PLAIN, pieces=looked_up(one_hot_product)),
    "digits": replace(PLAIN, pieces=looked_up(digits), tables=("file",)),
    "short-numbers": replace(PLAIN, pieces=looked_up(short_numbers)),
    "from-the-end": replace(PLAIN, pieces=looked_up(from_the_end)),
    "after-special": replace(PLAIN, pieces=looked_up(after_special(UNK))),
    "file-with-offset": replace(PLAIN, pieces=file_with_offset, tables=()),
    "offset-added": replace(PLAIN, pieces=offset_added, decide=FIRST, tables=()),
    "gathered-ids": replace(PLAIN, pieces=looked_up(gathered_ids)),
    "whole-words-first": replace(PLAIN, pieces=whole_words_first),
    "switch-case": replace(PLAIN, cut=switch_case, decide=FIRST),
    "flat-buffer": replace(PLAIN, pack=flat_buffer, decide=FIRST, cut=four_bytes_each),
    "one-line": replace(PLAIN, pieces=wordpiece_strings, pack=one_line, tables=("file", "file-unk")),
    "ragged-table": replace(PLAIN, pieces=wordpiece_strings, pack=ragged_table, tables=("file", "file-unk")),
    "two-paths": replace(PLAIN, pack=two_paths, decide=FIRST),
    "long-pieces": replace(PLAIN, pieces=options(max_chars_per_token=BYTES), decide=FIRST),
    "until-full": until_full,
    "whole-batch": whole_batch,
}


def digits_but(**changed: str) -> Callable[..., Any]:
    """Return a table of digits in which some pieces have others."""

    def ids_of(flat: Any, w: World) -> Any:
        numbers = [changed.get(piece, str(i)) for i, piece in enumerate(pieces())]
        return v2.strings.to_number(_made(w, "digits", pieces(), numbers, str(UNK)).lookup(flat), v2.int32)

    return ids_of


DOG = pieces().index("dog")
digits_shared = digits_but(dog=str(DOG + 1))
dog_unknown = digits_but(dog=str(UNK), **{pieces()[DOG + 1]: str(DOG)})


OTHER_FRESH: dict[str, Callable[..., Any]] = {
    # The facts page, but for characters that are Han in a newer Unicode alone.
    "han-rewritten": replace(PLAIN, decide=decide(lambda flat: v2.zeros_like(flat, v2.bool)), cut=han_rewritten),
    "most-common-script": replace(PLAIN, decide=decide(most_common_script), loop=mapped),
    "majority": replace(PLAIN, decide=decide(majority)),
    "dog-unknown": replace(PLAIN, pieces=looked_up(dog_unknown)),
    "digits-shared": replace(PLAIN, pieces=looked_up(digits_shared), tables=("file",)),
    "first-and-last": replace(PLAIN, pack=first_and_last),
    "bytes-101": replace(PLAIN, pieces=options(max_bytes_per_word=BYTES + 1)),
    "bytes-99": replace(PLAIN, pieces=options(max_bytes_per_word=BYTES - 1)),
    "second-text": replace(PLAIN, delete=of_second_text),
    "of-three-han": replace(PLAIN, decide=decide(of_three_han)),
    "blocks": replace(PLAIN, decide=decide(in_ranges(BLOCKS))),
    "without-separator": replace(PLAIN, pack=without_separator),
    "split-at-space": replace(PLAIN, split=split_merge(True)),
    "white-space-kept": replace(PLAIN, split=white_space_kept, decide=FIRST),
    "after-special-off-by-one": replace(PLAIN, pieces=looked_up(after_special(UNK + 1))),
    "short-pieces": replace(PLAIN, pieces=options(max_chars_per_token=2)),
    "flags-with-kana": replace(PLAIN, decide=decide(script_flags(HAN, 20))),
    "sixty-four-words": replace(PLAIN, cut=lambda words_, cut: cuts.where_rows(words_, cut)[:, :64]),
    "unknown-characters": replace(
        PLAIN, pieces=options(kind="file-unk", split_unknown_characters=True), tables=("file-unk",)
    ),
}
