"""Deleting, and telling which words are cut into characters: each rule of the facts page by many operations.

`Words` are flat string tensors [words] of words that are not empty; a decision is bool [words].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow_text as text
from zoo_base import ENCODING, HAN, quick, v1, v2

CONTROL = r"\p{Cc}|\p{Cf}"


def decoded(words: Any) -> Any:
    """Return the code points, a ragged int32 [words, (characters)]."""
    return v2.strings.unicode_decode(words, ENCODING)


def characters(words: Any) -> Any:
    """Return a ragged string tensor [words, (characters)]."""
    return v2.strings.unicode_split(words, ENCODING)


RANGES: dict[str, np.ndarray] = {}


def ranges_of(kind: str) -> np.ndarray:
    """Return the code points that TensorFlow itself counts among `kind`, as int32 [ranges, 2], ends included."""
    if kind not in RANGES:
        RANGES[kind] = _ranges(kind)
    return RANGES[kind]


def _ranges(kind: str) -> np.ndarray:
    with v1.Graph().as_default(), v1.Session(config=quick()) as session:
        points = np.array([c for c in range(0x110000) if not 0xD800 <= c < 0xE000], np.int32)
        texts = v2.strings.unicode_encode(v2.expand_dims(points, 1), ENCODING)
        tests = {
            "han": lambda: v2.equal(v2.strings.unicode_script(points), HAN),
            "emoji": lambda: text.wordshape(texts, text.WordShape.HAS_EMOJI),
            "punctuation": lambda: v2.strings.regex_full_match(texts, r"[\p{P}\p{S}]"),
            "control": lambda: v2.strings.regex_full_match(texts, CONTROL),
        }
        chosen = points[session.run(tests[kind]())]
    breaks = np.flatnonzero(np.diff(chosen) > 1)
    return np.stack([chosen[np.r_[0, breaks + 1]], chosen[np.r_[breaks, len(chosen) - 1]]], 1)


def among(points: Any, kind: str) -> Any:
    """Return whether flat code points are among `kind`, by comparing each with the ends of all ranges."""
    ends = ranges_of(kind)
    column = v2.expand_dims(points, 1)
    return v2.reduce_any((column >= ends[:, 0]) & (column <= ends[:, 1]), axis=1)


def among_by_search(points: Any, kind: str) -> Any:
    """The same by bisection: an odd number of boundaries lies at or below a member."""
    boundaries = np.add(ranges_of(kind), [0, 1]).reshape(-1).astype(np.int32)
    return v2.equal(v2.searchsorted(v2.constant(boundaries), points, side="right") % 2, 1)


# -- deleting control and format characters: string [texts] -> string [texts]


def delete_regex(texts: Any) -> Any:
    return v2.strings.regex_replace(texts, CONTROL, "")


def delete_runs(texts: Any) -> Any:
    return v2.strings.regex_replace(texts, r"[\p{Cc}\p{Cf}]+", "")


def delete_twice(texts: Any) -> Any:
    return v2.strings.regex_replace(v2.strings.regex_replace(texts, r"\p{Cc}", ""), r"\p{Cf}", "")


def delete_by_group(texts: Any) -> Any:
    return v2.strings.regex_replace(texts, r"([^\p{Cc}\p{Cf}]*)[\p{Cc}\p{Cf}]", r"\1")


def delete_masked(texts: Any) -> Any:
    parts = characters(texts)
    kept = parts.with_values(v2.logical_not(v2.strings.regex_full_match(parts.values, CONTROL)))
    return v2.strings.reduce_join(v2.ragged.boolean_mask(parts, kept).to_tensor(""), axis=1)


def delete_blanked(texts: Any) -> Any:
    parts = characters(texts)
    bad = v2.strings.regex_full_match(parts.values, CONTROL)
    kept = v2.where(bad, v2.fill(v2.shape(bad), ""), parts.values)
    return v2.strings.reduce_join(parts.with_values(kept).to_tensor(""), axis=1)


def delete_points(texts: Any) -> Any:
    points = decoded(texts)
    kept = points.with_values(v2.logical_not(among_by_search(points.values, "control")))
    return v2.strings.unicode_encode(v2.ragged.boolean_mask(points, kept), ENCODING)


def delete_split(texts: Any) -> Any:
    marked = v2.strings.regex_replace(texts, CONTROL, "\x00")
    return v2.strings.reduce_join(v2.strings.split(marked, "\x00").to_tensor(""), axis=1)


def delete_segments(texts: Any) -> Any:
    """Keep by boolean_mask, join by segment."""
    parts = characters(texts)
    kept = v2.logical_not(v2.strings.regex_full_match(parts.values, r"[\p{Cc}\p{Cf}]"))
    rows = v2.boolean_mask(parts.value_rowids(), kept)
    return v1.strings.unsorted_segment_join(v2.boolean_mask(parts.values, kept), rows, v2.shape(texts)[0])


# -- Han: string [words] -> bool [words]. A word is of one script: any, all, first and last character agree.


def han_regex(words: Any) -> Any:
    return v2.strings.regex_full_match(words, r"\p{Han}+")


def han_first(words: Any) -> Any:
    return v2.equal(v2.strings.unicode_script(decoded(words)[:, :1].values), HAN)


def han_first_of_scripts(words: Any) -> Any:
    points = decoded(words)
    scripts = points.with_values(v2.strings.unicode_script(points.values))
    return v2.equal(scripts[:, :1].values, HAN)


def han_any(words: Any) -> Any:
    points = decoded(words)
    return v2.reduce_any(points.with_values(v2.equal(v2.strings.unicode_script(points.values), HAN)), axis=1)


def han_all(words: Any) -> Any:
    points = decoded(words)
    return v2.reduce_all(points.with_values(v2.equal(v2.strings.unicode_script(points.values), HAN)), axis=1)


def han_extremes(words: Any) -> Any:
    points = decoded(words)
    scripts = points.with_values(v2.strings.unicode_script(points.values))
    return v2.equal(v2.reduce_max(scripts, axis=1), HAN) & v2.equal(v2.reduce_min(scripts, axis=1), HAN)


def han_sum(words: Any) -> Any:
    points = decoded(words)
    count = v2.reduce_sum(
        points.with_values(v2.cast(v2.equal(v2.strings.unicode_script(points.values), HAN), v2.int64)), 1
    )
    return v2.equal(count, v2.cast(points.row_lengths(), v2.int64))


def han_nothing_left(words: Any) -> Any:
    return v2.equal(v2.strings.regex_replace(words, r"\p{Han}+", ""), "")


def han_something_left(words: Any) -> Any:
    return v2.greater(v2.strings.length(v2.strings.regex_replace(words, r"\P{Han}", "")), 0)


def han_dense(words: Any) -> Any:
    first = decoded(words).to_tensor(0)
    first = v2.concat([first, v2.zeros([v2.shape(first)[0], 1], v2.int32)], 1)[:, 0]
    return v2.equal(v2.strings.unicode_script(first), HAN)


def han_starts(words: Any) -> Any:
    points = decoded(words)
    return v2.equal(v2.strings.unicode_script(v2.gather(points.values, points.row_starts())), HAN)


def han_segments(words: Any) -> Any:
    points = decoded(words)
    scripts = v2.strings.unicode_script(points.values)
    return v2.equal(v2.math.segment_max(scripts, points.value_rowids()), HAN)


def han_ranges(words: Any) -> Any:
    points = decoded(words)
    return v2.reduce_any(points.with_values(among(points.values, "han")), axis=1)


def han_search(words: Any) -> Any:
    return among_by_search(decoded(words)[:, :1].values, "han")


def han_substr(words: Any) -> Any:
    return v2.strings.regex_full_match(v2.strings.substr(words, 0, 1, unit="UTF8_CHAR"), r"\p{Han}")


def han_last(words: Any) -> Any:
    points = decoded(words)
    return v2.equal(v2.strings.unicode_script(v2.gather(points.values, points.row_limits() - 1)), HAN)


def han_each(words: Any) -> Any:
    """One word at a time."""

    def one(word: Any) -> Any:
        return v2.reduce_all(v2.equal(v2.strings.unicode_script(v2.strings.unicode_decode(word, ENCODING)), HAN))

    return v2.map_fn(one, words, dtype=v2.bool)


# -- emoji anywhere in a word


def emoji_shape(words: Any) -> Any:
    return text.wordshape(words, text.WordShape.HAS_EMOJI)


def emoji_pattern() -> str:
    """Return the pattern of HAS_EMOJI, `.*(.*[…].*)$`, which differs from version to version."""
    pattern = text.WordShape.HAS_EMOJI.value
    return pattern.decode() if isinstance(pattern, bytes) else pattern


def emoji_class() -> str:
    """Return the `[…]` of the pattern."""
    return emoji_pattern()[emoji_pattern().index("[") : emoji_pattern().index("]") + 1]


def emoji_regex(words: Any) -> Any:
    return v2.strings.regex_full_match(words, emoji_pattern())


def emoji_ranges(words: Any) -> Any:
    points = decoded(words)
    return v2.reduce_any(points.with_values(among_by_search(points.values, "emoji")), axis=1)


def emoji_every_character(words: Any) -> Any:
    parts = characters(words)
    return v2.reduce_any(parts.with_values(text.wordshape(parts.values, text.WordShape.HAS_EMOJI)), axis=1)


def emoji_replaced(words: Any) -> Any:
    """A word that replacing changes has one."""
    return v2.not_equal(v2.strings.regex_replace(words, emoji_class(), ""), words)


# -- only punctuation and symbols


def punctuation_regex(words: Any) -> Any:
    return v2.strings.regex_full_match(words, r"[\p{P}|\p{S}]+")


def punctuation_shape(words: Any) -> Any:
    return text.wordshape(words, text.WordShape.IS_PUNCT_OR_SYMBOL)


def punctuation_nothing_left(words: Any) -> Any:
    return v2.equal(v2.strings.length(v2.strings.regex_replace(words, r"[\p{P}\p{S}]", "")), 0)


def punctuation_every_character(words: Any) -> Any:
    parts = characters(words)
    return v2.reduce_all(parts.with_values(v2.strings.regex_full_match(parts.values, r"\p{P}|\p{S}")), axis=1)


def punctuation_no_other(words: Any) -> Any:
    return v2.logical_not(v2.strings.regex_full_match(words, r".*[^\p{P}\p{S}].*"))


def punctuation_ranges(words: Any) -> Any:
    points = decoded(words)
    others = points.with_values(v2.cast(v2.logical_not(among_by_search(points.values, "punctuation")), v2.int32))
    return v2.equal(v2.reduce_max(others, axis=1), 0)


# -- the three joined


def either(a: Any, b: Any, c: Any) -> Any:
    return a | b | c


def any_of_stack(a: Any, b: Any, c: Any) -> Any:
    return v2.reduce_any(v2.stack([a, b, c], axis=-1), axis=-1)


def added(a: Any, b: Any, c: Any) -> Any:
    return v2.greater(v2.add_n([v2.cast(x, v2.int32) for x in (a, b, c)]), 0)


def selected(a: Any, b: Any, c: Any) -> Any:
    return v2.where(a, v2.ones_like(a), v2.where(b, v2.ones_like(b), c))


def none_lacks(a: Any, b: Any, c: Any) -> Any:
    return v2.logical_not(v2.logical_and(v2.logical_not(a), v2.logical_not(v2.logical_or(b, c))))


def one_regex(words: Any) -> Any:
    """All three rules in one pattern."""
    return v2.strings.regex_full_match(words, r"\p{Han}+|[\p{P}\p{S}]+|.*" + emoji_class() + ".*")


def shapes_at_once(words: Any) -> Any:
    shapes = [text.wordshape(words, s) for s in (text.WordShape.HAS_EMOJI, text.WordShape.IS_PUNCT_OR_SYMBOL)]
    return v2.reduce_any(v2.stack([*shapes, han_first(words)], axis=-1), axis=-1)
