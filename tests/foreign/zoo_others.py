"""Text sides that compute another rule than the facts page. A reader must be exact for that rule, or refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import tensorflow_text as text
import zoo_cuts as cuts
import zoo_words as words
from zoo_base import CLS, LENGTH, ROOM, SEP, UNK, World, v1, v2
from zoo_pieces import pack, wordpiece
from zoo_text import Text, decide, google, scripts

PLAIN = Text()
GOOGLE = replace(google, pieces=wordpiece, pack=pack)


def kept(choose: Callable[..., Any], base: Text = PLAIN) -> Text:
    """Return a text side whose ragged pieces go through `choose` before they are packed."""
    return replace(base, pieces=lambda tokens, w: choose(base.pieces(tokens, w)))


def read(change: Callable[..., Any], base: Text = PLAIN) -> Text:
    """Return a text side whose texts go through `change` after deleting."""
    return replace(base, delete=lambda texts: change(base.delete(texts)))


def cutting(change: Callable[..., Any], base: Text = PLAIN) -> Text:
    """Return a text side whose decision is `change(flat words, the decision of the facts page)`."""
    return replace(base, decide=lambda flat: change(flat, base.decide(flat)))


def framed(first: int = CLS, last: int = SEP, room: int = ROOM) -> Text:
    """Return a text side with other special ids or another limit."""

    def other(found: Any, w: World) -> Any:
        ones = v2.ones([found.nrows(), 1], v2.int64)
        parts = [ones * first] * (first >= 0) + [found[:, :room]] + [ones * last] * (last >= 0)
        rows = v2.concat([*parts, v2.zeros([found.nrows(), LENGTH], v2.int64)], axis=1)
        return v2.reshape(v2.cast(rows[:, :LENGTH].to_tensor(), v2.int32), [-1, LENGTH])

    return replace(PLAIN, pack=other)


def length_of(flat: Any) -> Any:
    return v2.strings.length(flat, unit="UTF8_CHAR")


def per_text(change: Callable[..., Any], base: Text = PLAIN) -> Callable[..., Any]:
    """Return a text side whose ids, int32 [128] of one text, go through `change`."""

    def whole(texts: Any, w: World) -> Any:
        return v2.map_fn(change, base(texts, w), dtype=v2.int32)

    return whole


def keep_last(found: Any) -> Any:
    return found[:, -ROOM:]


def long_path(found: Any) -> Any:
    """Of texts of more than 200 pieces, keep the beginning and the end."""
    both = v2.concat([found[:, :63], found[:, -63:]], axis=1)
    return v1.where(v2.greater(found.row_lengths(), 200), both, found)


def long_drops(found: Any) -> Any:
    """Of very long texts, keep nothing."""
    return v1.where(v2.greater(found.row_lengths(), 400), found[:, :0], found)


def without(found: Any, number: int) -> Any:
    return v2.ragged.boolean_mask(found, found.with_values(v2.not_equal(found.values, number)))


def sorted_pieces(single: Any) -> Any:
    count = v2.math.count_nonzero(single, dtype=v2.int32)
    return v2.reshape(v2.concat([single[:1], v2.sort(single[1 : count - 1]), single[count - 1 :]], 0), [LENGTH])


def unique_pieces(single: Any) -> Any:
    count = v2.math.count_nonzero(single, dtype=v2.int32)
    different = v2.unique(single[:count])[0]
    return v2.reshape(v2.pad(different, [[0, LENGTH - v2.size(different)]]), [LENGTH])


def no_repeats(found: Any) -> Any:
    """Drop a piece that repeats the one before it."""
    values = found.values
    same = v2.concat([[False], v2.equal(values[1:], values[:-1])], 0)[: v2.size(values)]
    starts = v2.scatter_nd(
        v2.expand_dims(found.row_splits, 1), v2.ones_like(found.row_splits), [v2.size(values, v2.int64) + 1]
    )
    return v2.ragged.boolean_mask(found, found.with_values(v2.logical_not(same) | v2.greater(starts[:-1], 0)))


def reversed_words(words_: Any, cut: Any) -> Any:
    return v2.reverse(cuts.where_rows(words_, cut), [1])


def first_han_only(words_: Any, cut: Any) -> Any:
    """Of a text's words, only the first four are cut."""
    place = v2.ragged.range(words_.row_lengths())
    return cuts.where_rows(words_, cut & v2.less(place.values, 4))


def beside_han(words_: Any, cut: Any) -> Any:
    """A word is cut if the word before it is Han too."""
    han = v2.concat([[False], words.han_all(words_.values)], 0)[:-1]
    return cuts.where_rows(words_, cut | han)


def numbers_fused(texts: Any) -> Any:
    return v2.strings.regex_replace(texts, r"\p{Nd}", "0")


def of_script(number: int) -> Callable[..., Any]:
    def test(flat: Any, cut: Any) -> Any:
        return cut | v2.equal(v2.strings.unicode_script(words.decoded(flat)[:, :1].values), number)

    return test


def in_plane_0(flat: Any, cut: Any) -> Any:
    """Han beyond the first plane stays whole."""
    return cut & v2.less(v2.reduce_max(words.decoded(flat), axis=1), 0x10000)


def unified_block(flat: Any) -> Any:
    points = words.decoded(flat)[:, :1].values
    return (points >= 0x4E00) & (points <= 0x9FFF)


def batch_cut(texts: Any, w: World) -> Any:
    """The limit is shared by the batch."""
    room = v2.maximum(ROOM // v2.maximum(v2.size(texts), 1), 3)
    return replace(PLAIN, pieces=lambda tokens, w: wordpiece(tokens, w)[:, :room])(texts, w)


def batch_different(texts: Any, w: World) -> Any:
    """A text that the batch held before becomes empty."""
    _, places = v2.unique(texts)
    numbers = v2.range(v2.size(places))
    firsts = v2.math.unsorted_segment_min(numbers, places, v2.size(places))
    return PLAIN(v2.where(numbers > v2.gather(firsts, places), v2.fill(v2.shape(texts), ""), texts), w)


def batch_case(texts: Any, w: World) -> Any:
    """If any text of the batch has capitals, all keep case; otherwise digits are dropped."""
    capitals = v2.reduce_any(v2.strings.regex_full_match(texts, r"(?s).*\p{Lu}.*"))
    return PLAIN(v2.where(capitals, texts, v2.strings.regex_replace(texts, "[0-9]", "")), w)


def batch_order(texts: Any, w: World) -> Any:
    """Every text after the first loses what it shares with the first: its first character."""
    return PLAIN(v2.concat([texts[:1], v2.strings.regex_replace(texts[1:], r"^\p{L}", "")], 0), w)


def split_at_spaces(texts: Any, w: World) -> Any:
    """White space first, then scripts: `3 . 5` is three words."""
    parts = text.WhitespaceTokenizer().tokenize(texts)
    return cuts.merged(parts, scripts(parts.values, w))


def with_white_space(texts: Any, w: World) -> Any:
    return text.UnicodeScriptTokenizer(keep_whitespace=True).tokenize(texts)


def deleted_after(texts: Any, w: World) -> Any:
    """A joiner parts two words and then goes."""
    found = scripts(texts, w)
    left = words.delete_regex(found.values)
    return v2.ragged.boolean_mask(found.with_values(left), found.with_values(v2.not_equal(left, "")))


def upper_words(flat: Any, cut: Any) -> Any:
    return cut | v2.strings.regex_full_match(flat, r"\p{Lu}+")


def emoji_at_end(flat: Any) -> Any:
    return v2.strings.regex_full_match(flat, ".*" + words.emoji_class())


def by_characters(tokens: Any, w: World) -> Any:
    """A word of more than 100 characters, not bytes, is unknown."""
    found = text.WordpieceTokenizer(w.table(), token_out_type=v2.int64, max_bytes_per_word=1000).tokenize(tokens.values)
    unknown = cuts.Ragged.from_tensor(v2.fill([v2.size(tokens.values), 1], v2.constant(UNK, v2.int64)))
    return cuts.merged(tokens, v1.where(v2.greater(length_of(tokens.values), 100), unknown, found))


def lower_if_long(texts: Any) -> Any:
    return v2.where(v2.strings.length(texts) > 300, v2.strings.lower(texts), texts)


def sampled(found: Any) -> Any:
    """Every second piece of texts of more than 126."""
    place = v2.ragged.range(found.row_lengths())
    odd = place.with_values(v2.equal(place.values % 2, 0))
    return v1.where(v2.greater(found.row_lengths(), ROOM), v2.ragged.boolean_mask(found, odd), found)


def han_in_words(flat: Any, cut: Any) -> Any:
    """Han words of more than three characters stay whole."""
    return cut & v2.logical_not(words.han_all(flat) & v2.greater(length_of(flat), 3))


OTHER: dict[str, Callable[..., Any]] = {
    "last-126": kept(keep_last, GOOGLE),
    "last-126-batched": kept(keep_last),
    "long-path": kept(long_path),
    "long-drops": kept(long_drops),
    "long-lower": read(lower_if_long),
    "long-sampled": kept(sampled, GOOGLE),
    "han-up-to-3": cutting(han_in_words),
    "han-plane-0": cutting(in_plane_0),
    "han-unified-block": replace(PLAIN, decide=decide(unified_block)),
    "hiragana-cut": cutting(of_script(20)),
    "katakana-cut": cutting(of_script(22), GOOGLE),
    "thai-cut": cutting(of_script(38)),
    "capitals-cut": cutting(upper_words),
    "digits-cut": cutting(lambda flat, cut: cut | v2.strings.regex_full_match(flat, "[0-9]+")),
    "short-words-cut": cutting(lambda flat, cut: cut | v2.equal(length_of(flat), 2)),
    "emoji-not-cut": replace(PLAIN, decide=lambda flat: words.han_first(flat) | words.punctuation_shape(flat)),
    "emoji-at-end": replace(PLAIN, decide=decide(emoji=emoji_at_end)),
    "punctuation-anywhere": replace(
        PLAIN, decide=decide(punctuation=lambda flat: v2.strings.regex_full_match(flat, r".*[\p{P}\p{S}].*"))
    ),
    "han-not-cut": replace(PLAIN, decide=lambda flat: words.emoji_shape(flat) | words.punctuation_shape(flat)),
    "nothing-cut": replace(PLAIN, decide=lambda flat: v2.zeros_like(flat, v2.bool)),
    "all-cut": replace(PLAIN, decide=lambda flat: v2.ones_like(flat, v2.bool)),
    "beside-han": replace(PLAIN, cut=beside_han),
    "first-four-words": replace(PLAIN, cut=first_han_only),
    "words-reversed": replace(PLAIN, cut=reversed_words),
    "pieces-sorted": per_text(sorted_pieces),
    "pieces-unique": per_text(unique_pieces),
    "no-repeats": kept(no_repeats),
    "unknown-dropped": kept(partial(without, number=UNK)),
    "full-stop-dropped": kept(partial(without, number=117)),
    "stop-word": read(lambda texts: v2.strings.regex_replace(texts, r"\bdog\b", "")),
    "stop-word-rare": read(lambda texts: v2.strings.regex_replace(texts, "Hund\\.", "Hund")),
    "digits-to-zero": read(numbers_fused),
    "first-60-characters": read(lambda texts: v2.strings.substr(texts, 0, 60, unit="UTF8_CHAR")),
    "lower": read(text.case_fold_utf8),
    "lower-ascii": read(v2.strings.lower),
    "nfkc": read(lambda texts: text.normalize_utf8(texts, "NFKC")),
    "nfd": read(lambda texts: text.normalize_utf8(texts, "NFD")),
    "control-to-space": replace(PLAIN, delete=lambda t: v2.strings.regex_replace(t, words.CONTROL, " ")),
    "control-only-cc": replace(PLAIN, delete=lambda t: v2.strings.regex_replace(t, r"\p{Cc}", "")),
    "control-first-only": replace(
        PLAIN, delete=lambda t: v2.strings.regex_replace(t, words.CONTROL, "", replace_global=False)
    ),
    "deleted-after": replace(PLAIN, split=deleted_after, outside=True, delete=lambda t: t),
    "white-space-kept": replace(PLAIN, split=with_white_space),
    "split-at-spaces": replace(PLAIN, split=split_at_spaces),
    "99-bytes": replace(PLAIN, pieces=partial(wordpiece, max_bytes_per_word=99)),
    "100-characters": replace(PLAIN, pieces=by_characters),
    "unknown-characters": replace(
        PLAIN, pieces=partial(wordpiece, kind="file-unk", split_unknown_characters=True), tables=("file-unk",)
    ),
    "other-suffix": replace(PLAIN, pieces=partial(wordpiece, suffix_indicator="")),
    "short-pieces": replace(PLAIN, pieces=partial(wordpiece, max_chars_per_token=2)),
    "other-end": framed(last=103),
    "no-start": framed(first=-1),
    "no-end": framed(last=-1),
    "room-125": framed(room=125),
    "room-40": framed(room=40),
    "batch-cut": batch_cut,
    "batch-different": batch_different,
    "batch-case": batch_case,
    "batch-order": batch_order,
}
