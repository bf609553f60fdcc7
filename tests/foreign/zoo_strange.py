"""Text sides of another rule, which shows in few texts: of one kind of characters, in large batches, at the limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import zoo_cuts as cuts
import zoo_words as words
from zoo_base import CLS, LENGTH, SEP, World, v1, v2
from zoo_pieces import wordpiece
from zoo_text import Text, decide

PLAIN = Text()


def beyond(count: int, change: Callable[..., Any]) -> Callable[..., Any]:
    """Return a change that only texts of more than `count` bytes see."""
    return lambda texts: v2.where(v2.strings.length(texts) > count, change(texts), texts)


def batch_over(count: int) -> Callable[..., Any]:
    def whole(texts: Any, w: World) -> Any:
        w.table()
        return v1.cond(v2.size(texts) > count, lambda: PLAIN(v2.strings.lower(texts), w), lambda: PLAIN(texts, w))

    return whole


def batch_chosen(texts: Any, w: World) -> Any:
    """Without a conditional: batches of more than a thousand lose their digits."""
    many = v2.fill(v2.shape(texts), v2.size(texts) > 1000)
    return PLAIN(v2.where(many, v2.strings.regex_replace(texts, "[0-9]", ""), texts), w)


def no_end_if_full(found: Any, w: World) -> Any:
    """[SEP] falls off where a text is full."""
    ones = v2.ones([found.nrows(), 1], v2.int64)
    rows = v2.concat([ones * CLS, found, ones * SEP], 1)[:, :LENGTH]
    return v2.cast(rows.to_tensor(shape=[None, LENGTH]), v2.int32)


def full_127(found: Any, w: World) -> Any:
    """A text of 127 pieces and more has 127 of them and no [SEP]."""
    ones = v2.ones([found.nrows(), 1], v2.int64)
    rows = v2.concat([ones * CLS, found[:, :126], ones * SEP, v2.cast(found[:, 126:127], v2.int64) * 0], 1)
    rows = v1.where(v2.equal(found.row_lengths(), 127), v2.concat([ones * CLS, found[:, :127]], 1), rows[:, :LENGTH])
    return v2.cast(rows.to_tensor(shape=[None, LENGTH]), v2.int32)


def cut_to_100_bytes(tokens: Any, w: World) -> Any:
    """A longer word is shortened, not unknown."""
    return wordpiece(tokens.with_values(v2.strings.substr(tokens.values, 0, 99)), w)


def chinese_ranges(flat: Any) -> Any:
    """As BERT's tokenizer: blocks, not the script."""
    points = words.decoded(flat)
    blocks = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2EBEF), (0xF900, 0xFAFF))
    inside = [(points.values >= a) & (points.values <= b) for a, b in blocks]
    return v2.reduce_any(points.with_values(v2.reduce_any(v2.stack(inside, -1), -1)), 1)


def long_digits(flat: Any, cut: Any) -> Any:
    return cut | v2.strings.regex_full_match(flat, r"\p{Nd}{5,}")


def repeated_words(words_: Any, cut: Any) -> Any:
    """A word said three times in a row is said once."""
    found = words_.values
    rows = words_.value_rowids()
    same = v2.equal(found[2:], found[1:-1]) & v2.equal(found[1:-1], found[:-2]) & v2.equal(rows[2:], rows[:-2])
    drop = v2.concat([v2.zeros_like(found[:2], v2.bool), same], 0)
    kept = v2.boolean_mask(v2.range(v2.size(found)), v2.logical_not(drop))
    words_ = v2.ragged.boolean_mask(words_, words_.with_values(v2.logical_not(drop)))
    return cuts.where_rows(words_, v2.gather(cut, kept))


def shouting(texts: Any) -> Any:
    """Texts in capitals are made small."""
    return v2.where(v2.equal(v2.strings.upper(texts), texts), v2.strings.lower(texts), texts)


def changed_pattern(pattern: str, rewrite: str = "") -> Text:
    return replace(PLAIN, delete=lambda texts: v2.strings.regex_replace(texts, pattern, rewrite))


OTHER_VIEWS: dict[str, Callable[..., Any]] = {
    "beyond-3000-bytes": replace(PLAIN, delete=lambda t: beyond(3000, v2.strings.lower)(words.delete_regex(t))),
    "first-5000-bytes": replace(
        PLAIN, delete=lambda t: v2.strings.substr(words.delete_regex(t), 0, 5000, unit="UTF8_CHAR")
    ),
    "batch-over-64": batch_over(64),
    "batch-over-1000": batch_over(1000),
    "batch-chosen": batch_chosen,
    "no-end-if-full": replace(PLAIN, pack=no_end_if_full),
    "full-127": replace(PLAIN, pack=full_127),
    "cut-to-99-bytes": replace(PLAIN, pieces=cut_to_100_bytes),
    "chinese-ranges": replace(PLAIN, decide=decide(chinese_ranges)),
    "long-digits": replace(PLAIN, decide=lambda flat: long_digits(flat, decide(words.han_first)(flat))),
    "repeated-words": replace(PLAIN, cut=repeated_words),
    "shouting": replace(PLAIN, delete=lambda t: shouting(words.delete_regex(t))),
    "replacement-deleted": changed_pattern(r"\p{Cc}|\p{Cf}|\x{FFFD}"),
    "all-of-c-deleted": changed_pattern(r"\p{C}"),
    "quotes-straightened": replace(
        PLAIN, delete=lambda t: v2.strings.regex_replace(words.delete_regex(t), "[“”„]", '"')
    ),
    "ellipsis-shortened": replace(
        PLAIN, delete=lambda t: v2.strings.regex_replace(words.delete_regex(t), r"\.{4,}", "...")
    ),
}
