"""The text side: every rule of the facts page, put together in many ways. All must give the same ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import tensorflow_text as text
import zoo_cuts as cuts
import zoo_words as words
from zoo_base import CLS, ENCODING, LENGTH, ROOM, SEP, World, v1, v2
from zoo_pieces import (
    by_hand,
    characters_looked_up,
    fast,
    pack,
    pack_each,
    pack_gathered,
    pack_model_inputs,
    pack_one_hot_end,
    pack_scattered,
    pack_sparse,
    pack_strings,
    pack_strings_padded,
    pack_strings_ragged,
    pack_to_shape,
    pack_trimmed,
    pack_zeros,
    two_calls,
    wordpiece,
    wordpiece_flat,
    wordpiece_merge_dims,
    wordpiece_strings,
    wordpiece_unlooked,
)


def decide(
    han: Callable[..., Any] = words.han_regex,
    emoji: Callable[..., Any] = words.emoji_shape,
    punctuation: Callable[..., Any] = words.punctuation_shape,
    join: Callable[..., Any] = words.either,
) -> Callable[..., Any]:
    """Return the decision that joins the three rules."""
    return lambda flat: join(han(flat), emoji(flat), punctuation(flat))


def scripts(texts: Any, w: World) -> Any:
    """Split at changes of script."""
    return text.UnicodeScriptTokenizer().tokenize(texts)


def scripts_with_offsets(texts: Any, w: World) -> Any:
    return text.UnicodeScriptTokenizer().tokenize_with_offsets(texts)[0]


PLAIN = decide()


@dataclass(frozen=True)
class Text:
    """One text side, called with string [texts]; returns int32 [texts, 128].

    Attributes:
        delete, split, decide, cut, pieces, pack: the steps in order.
        loop: how texts are gone through.
        outside: whether deleting happens before the loop.
        tables: the tables that are used; they live outside loops.
        trim: whether tokens are cut to 126 before WordPiece too (each is at least one piece).
    """

    delete: Callable[..., Any] = words.delete_regex
    split: Callable[..., Any] = scripts
    decide: Callable[..., Any] = PLAIN
    cut: Callable[..., Any] = cuts.where_rows
    pieces: Callable[..., Any] = wordpiece
    pack: Callable[..., Any] = pack
    loop: Callable[..., Any] = lambda one, texts: one(texts)
    outside: bool = False
    trim: bool = False
    tables: tuple[str, ...] = ("file",)

    def tokens(self, texts: Any, w: World) -> Any:
        found = self.split(texts if self.outside else self.delete(texts), w)
        found = self.cut(found, self.decide(found.values))
        return found[:, :ROOM] if self.trim else found

    def batch(self, texts: Any, w: World) -> Any:
        return self.pack(self.pieces(self.tokens(texts, w), w), w)

    def __call__(self, texts: Any, w: World) -> Any:
        for kind in self.tables:
            w.table(kind)
        texts = self.delete(texts) if self.outside else texts
        ids = self.loop(lambda some: self.batch(some, w), texts)
        return v2.ensure_shape(v2.cast(ids, v2.int32), [None, LENGTH])


def mapped(one: Callable[..., Any], texts: Any) -> Any:
    """`map_fn`, a batch of one at a time."""
    return v2.map_fn(lambda single: one(v2.expand_dims(single, 0))[0], texts, dtype=v2.int32)


def mapped_serially(one: Callable[..., Any], texts: Any) -> Any:
    return v1.map_fn(
        lambda single: v2.squeeze(one(v2.reshape(single, [1])), [0]),
        texts,
        dtype=v2.int32,
        parallel_iterations=1,
        back_prop=False,
    )


def in_array(one: Callable[..., Any], texts: Any) -> Any:
    """A while loop that writes rows into a TensorArray."""
    count = v2.size(texts)
    array = v2.TensorArray(v2.int32, size=count, element_shape=[LENGTH])

    def step(i: Any, found: Any) -> Any:
        return i + 1, found.write(i, one(v2.gather(texts, [i]))[0])

    return v2.while_loop(lambda i, _: v2.less(i, count), step, [v2.constant(0), array])[1].stack()


def in_rows(one: Callable[..., Any], texts: Any) -> Any:
    """A while loop that grows the result by concatenation."""
    start = [v2.constant(0), v2.zeros([0, LENGTH], v2.int32)]
    shapes = [v2.TensorShape([]), v2.TensorShape([None, LENGTH])]

    def step(i: Any, found: Any) -> Any:
        return i + 1, v2.concat([found, one(texts[i : i + 1])], 0)

    return v2.while_loop(lambda i, _: i < v2.size(texts), step, start, shape_invariants=shapes)[1]


def scanned(one: Callable[..., Any], texts: Any) -> Any:
    start = v2.zeros([LENGTH], v2.int32)
    return v2.scan(lambda _, single: one(v2.expand_dims(single, 0))[0], texts, initializer=start)


def unique_first(one: Callable[..., Any], texts: Any) -> Any:
    """Tokenize each different text once."""
    different, places = v2.unique(texts)
    return v2.gather(one(different), places)


def flat_text(single: Any, w: World) -> Any:
    """One text by plain tensors, with nothing ragged but what the tokenizers return."""
    single = v2.strings.regex_replace(single, words.CONTROL, "")
    flat = v2.reshape(text.UnicodeScriptTokenizer().tokenize([single]).values, [-1])
    cut = decide(words.han_any, words.emoji_regex, words.punctuation_regex)(flat)
    rows = v2.where(cut, v2.strings.regex_replace(flat, "(.)", "\\1\n"), flat)
    tokens = v2.strings.split([v2.strings.reduce_join(rows, separator="\n")], "\n").values
    tokens = v2.boolean_mask(tokens, v2.not_equal(tokens, ""))
    ids = text.WordpieceTokenizer(w.table(), token_out_type=v2.int64).tokenize(tokens).values[:ROOM]
    ids = v2.concat([[CLS], v2.cast(ids, v2.int32), [SEP]], 0)
    ids = v2.pad(ids, [[0, LENGTH - v2.size(ids)]])
    return v2.reshape(ids, [LENGTH])


def flat_in_map(texts: Any, w: World) -> Any:
    w.table()
    return v2.map_fn(lambda single: flat_text(single, w), texts, dtype=v2.int32)


def word_by_word(texts: Any, w: World) -> Any:
    """Two loops: over texts, then over words, each with its own `cond` on what to do."""
    table = w.table("file-unk")
    tokenizer = text.WordpieceTokenizer(table, token_out_type=v2.int64)

    def of_word(word: Any) -> Any:
        cut = decide(words.han_substr)(v2.expand_dims(word, 0))[0]
        whole = lambda: tokenizer.tokenize(v2.expand_dims(word, 0)).values  # noqa: E731
        return v1.cond(cut, lambda: table.lookup(v2.strings.unicode_split(word, ENCODING)), whole)

    def of_text(single: Any) -> Any:
        flat = text.UnicodeScriptTokenizer().tokenize(words.delete_regex(v2.expand_dims(single, 0))).values

        def step(i: Any, ids: Any) -> Any:
            return i + 1, v2.concat([ids, of_word(flat[i])], 0)

        start = [v2.constant(0), v2.constant([CLS], v2.int64)]
        shapes = [v2.TensorShape([]), v2.TensorShape([None])]
        _, ids = v2.while_loop(
            lambda i, ids: (i < v2.size(flat)) & (v2.size(ids) <= ROOM), step, start, shape_invariants=shapes
        )
        ids = v2.concat([ids[: ROOM + 1], [SEP]], 0)
        return v2.reshape(v2.concat([ids, v2.zeros([LENGTH - v2.size(ids)], v2.int64)], 0), [LENGTH])

    return v2.cast(v2.map_fn(of_text, texts, dtype=v2.int64), v2.int32)


def spaces_first(texts: Any, w: World) -> Any:
    """Put a space around every Han character before the split: Han never joins Common, so nothing else changes."""
    texts = v2.strings.regex_replace(words.delete_regex(texts), r"(\p{Han})", r" \1 ")
    found = text.UnicodeScriptTokenizer().tokenize(texts)
    found = cuts.where_rows(found, words.han_any(found.values) | decide()(found.values))
    return pack(wordpiece(found, w), w)


def table_in_pieces(kind: str, pieces: Callable[..., Any] = wordpiece) -> Callable[..., Any]:
    return lambda tokens, w: pieces(tokens, w, kind)


google = Text(
    decide=decide(words.han_first),
    cut=cuts.where_rows,
    pieces=wordpiece_strings,
    pack=pack_strings,
    loop=mapped,
    tables=("file", "file-unk"),
)

RULE: dict[str, Callable[..., Any]] = {
    "google": google,
    "google-scripts": replace(google, decide=decide(words.han_first_of_scripts), outside=True),
    "google-batched": replace(google, loop=Text.loop, cut=cuts.where_row_lengths),
    "google-nested": Text(decide=decide(words.han_first), cut=cuts.where_rows_nested, pieces=wordpiece_merge_dims),
    "plain": Text(),
    "plain-mapped": Text(loop=mapped),
    "any-joined": Text(decide=decide(words.han_any, join=words.any_of_stack), cut=cuts.joined_by_segment),
    "all-in-array": Text(decide=decide(words.han_all, words.emoji_replaced), cut=cuts.in_array, loop=mapped),
    "extremes": Text(decide=decide(words.han_extremes, join=words.added), cut=cuts.concat_rows, pack=pack_zeros),
    "sum-stitched": Text(decide=decide(words.han_sum), cut=cuts.stitched, pack=pack_scattered),
    "nothing-left": Text(
        delete=words.delete_runs,
        decide=decide(words.han_nothing_left, punctuation=words.punctuation_nothing_left),
        cut=cuts.spaced,
        loop=mapped_serially,
    ),
    "something-left": Text(decide=decide(words.han_something_left, join=words.selected), cut=cuts.spaced_words),
    "dense": Text(delete=words.delete_masked, decide=decide(words.han_dense), cut=cuts.dense, pack=pack_each),
    "starts": Text(decide=decide(words.han_starts, words.emoji_ranges), cut=cuts.gathered, pack=pack_gathered),
    "segments": Text(delete=words.delete_segments, decide=decide(words.han_segments), cut=cuts.sorted_by_place),
    "ranges": Text(delete=words.delete_points, decide=decide(words.han_ranges), cut=cuts.encoded),
    "search": Text(
        decide=decide(words.han_search, words.emoji_ranges, words.punctuation_ranges),
        cut=cuts.by_offsets,
        loop=in_array,
    ),
    "substr": Text(delete=words.delete_twice, decide=decide(words.han_substr), cut=cuts.separated, loop=in_rows),
    "last": Text(decide=decide(words.han_last, words.emoji_every_character), cut=cuts.gathered_rows, pack=pack_sparse),
    "each": Text(decide=decide(words.han_each), cut=cuts.in_loop, loop=mapped),
    "one-regex": Text(decide=words.one_regex, cut=cuts.where_rows, pack=pack_to_shape),
    "shapes-at-once": Text(decide=words.shapes_at_once, cut=cuts.concat_rows, loop=scanned),
    "every-character": Text(
        delete=words.delete_by_group,
        decide=decide(words.han_all, punctuation=words.punctuation_every_character, join=words.none_lacks),
        cut=cuts.sparse,
    ),
    "no-other": Text(decide=decide(punctuation=words.punctuation_no_other), split=scripts_with_offsets, trim=True),
    "blanked": Text(delete=words.delete_blanked, outside=True, loop=mapped, pack=pack_one_hot_end),
    "split-deleted": Text(delete=words.delete_split, decide=decide(words.han_first), cut=cuts.spaced, trim=True),
    "strings-padded": Text(
        delete=words.delete_runs, cut=cuts.from_tensor_padding, pack=pack_strings_padded, pieces=wordpiece_strings
    ),
    "two-calls": Text(decide=decide(words.han_first), pieces=two_calls),
    "characters-looked-up": Text(
        decide=decide(words.han_any), pieces=characters_looked_up, loop=mapped, tables=("file-unk",)
    ),
    "by-hand": Text(pieces=by_hand),
    "fast": Text(pieces=fast, tables=(), decide=decide(words.han_first)),
    "ragged-map": Text(cut=cuts.ragged_map, decide=decide(words.han_all)),
    "unique": Text(loop=unique_first, decide=decide(words.han_first)),
    "strings-ragged": Text(pieces=wordpiece_strings, pack=pack_strings_ragged, decide=decide(words.han_starts)),
    "unlooked": Text(pieces=wordpiece_unlooked, pack=pack_gathered, loop=mapped, tables=("file-unk",)),
    "flat-rows": Text(tables=("index-from-file",), pieces=wordpiece_flat, cut=cuts.where_row_lengths),
    "constants": Text(pieces=table_in_pieces("constants"), tables=("constants",), decide=decide(words.han_first)),
    "buckets": Text(pieces=table_in_pieces("buckets"), tables=("buckets",), loop=mapped, outside=True),
    "buckets-of-constants": Text(
        pieces=table_in_pieces("buckets-of-constants"), tables=("buckets-of-constants",), pack=pack_zeros
    ),
    "index-from-file": replace(
        google,
        pieces=table_in_pieces("index-from-file", wordpiece_strings),
        tables=("index-from-file",),
        pack=partial(pack_strings, kind="index-from-file"),
        loop=mapped_serially,
    ),
    "index-from-file-sized": Text(pieces=table_in_pieces("index-from-file-sized"), tables=("index-from-file-sized",)),
    "index-from-tensor": Text(
        pieces=table_in_pieces("index-from-tensor"),
        tables=("index-from-tensor",),
        decide=decide(words.han_all),
        loop=mapped,
    ),
    "v1-table": Text(pieces=table_in_pieces("v1"), tables=("v1",), loop=mapped),
    "model-inputs": Text(pack=pack_model_inputs, decide=decide(words.han_any)),
    "trimmed": Text(pack=pack_trimmed, cut=cuts.joined_by_segment),
    "flat-in-map": flat_in_map,
    "word-by-word": word_by_word,
    "spaces-first": spaces_first,
}
