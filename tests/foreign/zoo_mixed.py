"""Mixtures: the rules of the facts page, each step in a way that chance chooses, so that ways meet that nobody put together.

`mixed(seed)` is always the same model. With the name of one of `TWISTS`, one of its steps follows another rule.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import tensorflow as tf
import tensorflow_text as text
import zoo_encoders as z
import zoo_minds as minds
import zoo_more as more
from zoo_base import CLS, ENCODING, HAN, LENGTH, ROOM, SEP, World, v1
from zoo_encoders import Encoder
from zoo_models import Model

GONE = r"\p{Cc}|\p{Cf}"
PIECES = "ids", "numbers", "strings"
PADDED = "[PAD]"


# -- what is deleted: string [...] → string [...]


def _gone(texts: Any) -> Any:
    return tf.strings.regex_replace(texts, GONE, "")


def _gone_runs(texts: Any) -> Any:
    return tf.strings.regex_replace(texts, r"[\p{Cc}\p{Cf}]+", "")


def _gone_in_two(texts: Any) -> Any:
    return tf.strings.regex_replace(tf.strings.regex_replace(texts, r"\p{Cf}", ""), r"[[:cntrl:]]|\p{Cc}", "")


def _gone_by_split(texts: Any) -> Any:
    return tf.strings.reduce_join(text.regex_split(texts, r"[\p{Cc}\p{Cf}]"), axis=-1)


def _gone_by_character(texts: Any) -> Any:
    if texts.shape.rank == 0:
        return tf.squeeze(_gone_by_character(texts[tf.newaxis]), 0)
    characters = tf.strings.unicode_split(texts, ENCODING)
    flat = characters.flat_values
    kept = tf.where(tf.strings.regex_full_match(flat, GONE), tf.fill(tf.shape(flat), ""), flat)
    return tf.strings.reduce_join(characters.with_flat_values(kept), axis=-1)


# -- which words are Han: string [words] → bool [words]


def _scripts(words: Any) -> Any:
    return tf.strings.unicode_script(tf.strings.unicode_decode(words, ENCODING))


def _matches(pattern: str) -> Callable[[Any], Any]:
    return lambda words: tf.strings.regex_full_match(words, pattern)


def _of_character(place: int) -> Callable[[Any], Any]:
    """The script of one character, as a substring of the word."""
    return lambda words: tf.equal(_scripts(tf.strings.substr(words, place, 1, unit="UTF8_CHAR")).flat_values, HAN)


def _of_table(words: Any) -> Any:
    """The script of the first column of a dense table of code points."""
    codes = tf.strings.unicode_decode(words, ENCODING).to_tensor(default_value=-1, shape=[None, 64])
    return tf.equal(tf.strings.unicode_script(codes[:, 0]), HAN)


def _blocks(words: Any) -> Any:
    codes = tf.strings.unicode_decode(words, ENCODING)
    return tf.reduce_all((codes >= 0x4E00) & (codes <= 0x9FFF), axis=1)


# -- which are punctuation and symbols: string [words] → bool [words]


def _nothing_left(words: Any) -> Any:
    return tf.equal(tf.strings.length(tf.strings.regex_replace(words, r"[\p{P}|\p{S}]", "")), 0)


# -- any of the three: bool [words] → bool [words]


def _sum(*answers: Any) -> Any:
    return tf.add_n([tf.cast(answer, tf.int32) for answer in answers]) > 0


def _none_not(first: Any, second: Any, third: Any) -> Any:
    return ~(~first & ~second & ~third)


# -- cutting: string [words], bool [words] → string [words, (parts)]


def _whole(words: Any) -> Any:
    return tf.RaggedTensor.from_tensor(tf.expand_dims(words, 1))


def _cut_where(words: Any, cut: Any) -> Any:
    return v1.where(cut, tf.strings.unicode_split(words, ENCODING), _whole(words))


def _cut_gathered(words: Any, cut: Any) -> Any:
    both = tf.concat([tf.strings.unicode_split(words, ENCODING), _whole(words)], 0)
    places = tf.range(tf.size(words))
    return tf.gather(both, tf.where(cut, places, places + tf.size(words)))


def _cut_parted(words: Any, cut: Any) -> Any:
    whole, parted = tf.dynamic_partition(tf.range(tf.size(words)), tf.cast(cut, tf.int32), 2)
    rows = tf.concat([_whole(tf.gather(words, whole)), tf.strings.unicode_split(tf.gather(words, parted), ENCODING)], 0)
    return tf.gather(rows, tf.argsort(tf.concat([whole, parted], 0)))


def _cut_joined(words: Any, cut: Any) -> Any:
    spaced = tf.strings.reduce_join(tf.strings.unicode_split(words, ENCODING), axis=-1, separator=" ")
    return tf.strings.split(tf.where(cut, spaced, words), sep=" ")


def _cut_spaced(words: Any, cut: Any) -> Any:
    spaced = tf.strings.strip(tf.strings.regex_replace(words, r"(.)", r"\1 "))
    return tf.strings.split(tf.where(cut, spaced, words))


def _cut_encoded(words: Any, cut: Any) -> Any:
    codes = tf.strings.unicode_decode(words, ENCODING)
    characters = tf.strings.unicode_encode(tf.expand_dims(codes.flat_values, 1), ENCODING)
    return v1.where(cut, codes.with_flat_values(characters), _whole(words))


def _cut_mapped(words: Any, cut: Any) -> Any:
    def one(pair: Any) -> Any:
        word, parted = pair
        return tf.cond(parted, lambda: tf.strings.unicode_split(word, ENCODING), lambda: tf.expand_dims(word, 0))

    spec = tf.RaggedTensorSpec([None], tf.string, ragged_rank=0)
    return tf.map_fn(one, (words, cut), fn_output_signature=spec)


STEPS: dict[str, tuple[Any, ...]] = {
    "clean": (_gone, _gone_runs, _gone_in_two, _gone_by_split, _gone_by_character),
    "strip": (lambda texts: texts, tf.strings.strip),
    "han": (
        _matches(r"\p{Han}+"),
        _matches(r"^\p{Han}.*$"),
        lambda words: tf.equal(_scripts(words)[:, :1].values, HAN),
        lambda words: tf.reduce_any(tf.equal(_scripts(words), HAN), axis=1),
        lambda words: tf.reduce_all(tf.equal(_scripts(words), HAN), axis=-1),
        lambda words: tf.equal(tf.reduce_max(tf.cast(tf.equal(_scripts(words), HAN), tf.int32), axis=1), 1),
        _of_character(0),
        _of_table,
    ),
    "punctuation": (
        lambda words: text.wordshape(words, text.WordShape.IS_PUNCT_OR_SYMBOL),
        _matches(r"[\p{P}\p{S}]+"),
        _nothing_left,
    ),
    "any": (
        lambda *answers: tf.reduce_any(tf.stack(answers, axis=-1), axis=-1),
        lambda first, second, third: first | second | third,
        _sum,
        _none_not,
    ),
    "cut": (_cut_where, _cut_gathered, _cut_parted, _cut_joined, _cut_spaced, _cut_encoded, _cut_mapped),
    "table": ("file", "file-unk", "constants", "buckets", "index-from-file"),
    "pieces": PIECES,
    "dtype": (tf.int32, tf.int64),
}


def _after_gone(change: Callable[[Any], Any]) -> dict[str, Any]:
    return {"clean": lambda texts: change(_gone(texts))}


# Name → the steps that follow another rule than the facts page's.
TWISTS: dict[str, dict[str, Any]] = {
    "controls-only": {"clean": lambda texts: tf.strings.regex_replace(texts, r"\p{Cc}", "")},
    "space-for-controls": {"clean": lambda texts: tf.strings.regex_replace(texts, GONE, " ")},
    "first-control": {"clean": lambda texts: tf.strings.regex_replace(texts, GONE, "", replace_global=False)},
    "lower": _after_gone(lambda texts: tf.strings.lower(texts, encoding="utf-8")),
    "lower-ascii": _after_gone(tf.strings.lower),
    "nfkc": _after_gone(lambda texts: text.normalize_utf8(texts, "NFKC")),
    "nfc": _after_gone(lambda texts: text.normalize_utf8(texts, "NFC")),
    "no-marks": {"clean": lambda texts: tf.strings.regex_replace(text.normalize_utf8(texts, "NFD"), r"\p{Mn}", "")},
    "300-bytes": _after_gone(lambda texts: tf.strings.substr(texts, 0, 300)),
    "200-characters": _after_gone(lambda texts: tf.strings.substr(texts, 0, 200, unit="UTF8_CHAR")),
    "no-number-signs": _after_gone(lambda texts: tf.strings.regex_replace(texts, "#", "")),
    "plain-quotes": _after_gone(lambda texts: tf.strings.regex_replace(texts, "[\u201c\u201d]", '"')),
    "no-addresses": _after_gone(lambda texts: tf.strings.regex_replace(texts, "https?://[^ ]+", "")),
    "one-mark-of-many": _after_gone(lambda texts: tf.strings.regex_replace(texts, "!!+", "!")),
    "han-last": {"han": _of_character(-1)},
    "han-and-kana": {"han": _matches(r"[\p{Han}\p{Hiragana}\p{Katakana}]+")},
    "two-han": {"han": _matches(r"\p{Han}{2,}")},
    "short-han": {"han": lambda words: (tf.strings.length(words, unit="UTF8_CHAR") < 5) & _matches(r"\p{Han}+")(words)},
    "unified-ideographs": {"han": _matches("[\u4e00-\u9fff]+")},
    "code-points": {"han": _blocks},
    "one-mark": {"punctuation": _matches(r"[\p{P}|\p{S}]")},
    "any-mark": {"punctuation": _matches(r".*[\p{P}|\p{S}].*")},
    "ascii-marks": {"punctuation": _matches("[[:punct:]]+")},
    "first-mark": {"punctuation": _matches(r"[\p{P}|\p{S}].*")},
    "digits": {"punctuation": _matches(r"[\p{P}\p{S}\p{Nd}]+")},
    "no-punctuation": {"punctuation": lambda words: tf.zeros_like(words, dtype=tf.bool)},
    "han-without-emoji": {"any": lambda han, emoji, marks: (han & ~emoji) | marks},
    "punctuation-only": {"any": lambda han, emoji, marks: marks},
    "no-emoji": {"any": lambda han, emoji, marks: han | marks},
}


# -- packing one text: the pieces of a text [n] → int32 [128]


def _pack_one(pieces: Any, table: Any, padded: bool) -> Any:
    pieces = pieces[:ROOM]
    start, end, nothing = ("[CLS]", "[SEP]", PADDED) if pieces.dtype == tf.string else (CLS, SEP, 0)
    around = [tf.constant([value], pieces.dtype) for value in (start, end)]
    row = tf.concat([around[0], pieces, around[1]], 0)
    left = LENGTH - tf.shape(row)[0]
    filler = tf.constant(nothing, pieces.dtype)
    row = tf.pad(row, [[0, left]], constant_values=filler) if padded else tf.concat([row, tf.fill([left], filler)], 0)
    return tf.ensure_shape(tf.cast(table.lookup(row) if row.dtype == tf.string else row, tf.int32), [LENGTH])


# -- packing a batch: ids [texts, (pieces)] → ids [texts, 128]


def _edges(ids: Any) -> tuple[Any, Any]:
    return tuple(tf.fill([ids.nrows(), 1], tf.constant(value, ids.dtype)) for value in (CLS, SEP))


def _pack_joined(ids: Any) -> Any:
    start, end = _edges(ids)
    return tf.concat([start, ids[:, :ROOM], end], 1).to_tensor(0, shape=[None, LENGTH])


def _pack_combined(ids: Any) -> Any:
    return text.pad_model_inputs(text.combine_segments([ids[:, :ROOM]], CLS, SEP)[0], LENGTH)[0]


def _pack_trimmed(ids: Any) -> Any:
    start, end = (tf.constant(value, ids.dtype) for value in (CLS, SEP))
    return text.combine_segments(text.RoundRobinTrimmer(ROOM).trim([ids]), start, end)[0].to_tensor(
        0, shape=[None, LENGTH]
    )


def _pack_masked(ids: Any) -> Any:
    kept = tf.ragged.boolean_mask(ids, tf.ragged.range(ids.row_lengths()) < ROOM)
    start, end = _edges(ids)
    return tf.concat([start, kept, end], 1).to_tensor(shape=[None, LENGTH])


def _pack_padded(ids: Any) -> Any:
    start, end = _edges(ids)
    rows = tf.concat([start, ids[:, :ROOM], end], 1).to_tensor()
    return tf.pad(rows, [[0, 0], [0, LENGTH - tf.shape(rows)[1]]])


def _pack_chosen(ids: Any) -> Any:
    count = tf.minimum(ids.row_lengths(), ROOM)[:, tf.newaxis]
    rows = tf.pad(ids.to_tensor(shape=[None, ROOM]), [[0, 0], [1, 1]])
    places = tf.range(LENGTH, dtype=tf.int64)[tf.newaxis]
    start, end = (tf.constant(value, ids.dtype) for value in (CLS, SEP))
    return tf.where(tf.equal(places, 0), start, tf.where(tf.equal(places, count + 1), end, rows))


PACKS = (_pack_joined, _pack_combined, _pack_trimmed, _pack_masked, _pack_padded, _pack_chosen)


def _wordpiece(rows: Any, table: Any, kind: str) -> Any:
    dtype = {"ids": tf.int64, "numbers": tf.int32, "strings": tf.string}[kind]
    tokenizer = text.WordpieceTokenizer(table, max_bytes_per_word=100, token_out_type=dtype, unknown_token="[UNK]")
    return tokenizer.tokenize(rows)


def text_side(draw: random.Random, twist: str = "") -> Callable[[Any, World], Any]:
    """Return a text side of steps that `draw` chooses; those of `twist` are another rule's."""
    step = {name: draw.choice(ways) for name, ways in STEPS.items()}
    batch, padded, pack = draw.random() < 0.4, draw.random() < 0.5, draw.choice(PACKS)
    step.update(TWISTS[twist] if twist else {})

    def words_of(texts: Any) -> Any:
        return text.UnicodeScriptTokenizer().tokenize(step["strip"](step["clean"](texts)))

    def parts(words: Any) -> Any:
        words = tf.reshape(words.flat_values if isinstance(words, tf.RaggedTensor) else words, [-1])
        emoji = text.wordshape(words, text.WordShape.HAS_EMOJI)
        answers = (step["han"](words), emoji, step["punctuation"](words))
        return step["cut"](words, step["any"](*(tf.reshape(answer, tf.shape(words)) for answer in answers)))

    def one(each: Any, table: Any) -> Any:
        pieces = _wordpiece(parts(words_of(each)), table, step["pieces"]).flat_values
        return _pack_one(pieces if pieces.dtype == tf.string else tf.cast(pieces, step["dtype"]), table, padded)

    def side(texts: Any, w: World) -> Any:
        table = w.table(step["table"])
        if not batch:
            return tf.map_fn(lambda each: one(each, table), texts, fn_output_signature=tf.int32)
        words = words_of(texts)
        pieces = words.with_values(_wordpiece(parts(words.flat_values), table, step["pieces"])).merge_dims(1, -1)
        if pieces.dtype == tf.string:
            pieces = tf.ragged.map_flat_values(table.lookup, pieces)
        return tf.ensure_shape(tf.cast(pack(tf.cast(pieces, step["dtype"])), tf.int32), [None, LENGTH])

    return side


# The parts of an encoder that can be exchanged one by one.
PARTS: dict[str, tuple[Any, ...]] = {
    "words": (z.words_of, z.words_one_hot, z.words_lookup, more.words_divided, more.words_dealt, more.words_joined),
    "types": (z.types_one_hot, z.types_gathered, z.types_row),
    "positions": (z.positions_sliced, z.positions_gathered, z.positions_counted, z.positions_one_hot),
    "mask": (z.mask_not_equal, z.mask_sign, z.mask_minimum, z.mask_sequence, z.mask_where, minds.mask_billion),
    "norm": (
        z.norm,
        z.norm_by_hand,
        z.norm_difference,
        z.norm_sums,
        z.norm_fused,
        z.norm_fused_moved,
        minds.norm_squares,
        minds.norm_variance,
        more.norm_statistics,
    ),
    "dense": (
        z.dense,
        z.dense_tensordot,
        z.dense_transposed,
        z.dense_einsum,
        z.dense_broadcast,
        z.dense_convolved,
        minds.dense_of_shards,
    ),
    "attention": (
        z.attention,
        z.attention_einsum,
        z.attention_fused,
        z.attention_unstacked,
        z.attention_head_by_head,
        z.attention_folded,
        minds.attention_orders,
        minds.attention_transposed,
        more.attention_logarithms,
        more.attention_summed,
    ),
    "activation": (z.gelu, z.gelu_cube, z.gelu_sigmoid, z.gelu_library, more.gelu_exponential),
    "pooler": (z.gelu, z.gelu_cube, z.gelu_sigmoid, z.gelu_library, more.gelu_exponential),
    "layer": (z.layer, minds.layer_other_way),
    "first": (z.first_slice, z.first_squeezed, z.first_gathered, minds.first_product, minds.first_masked),
    "unit": (z.unit, z.unit_norm, z.unit_by_hand, minds.unit_no_nan),
    "embeddings": (z.embeddings, minds.embeddings_added),
}
WORLDS: tuple[dict[str, Any], ...] = (
    {},
    {"resource": True},
    {"frozen": True},
    {"anonymous": True, "resource": True},
    {"scope": "a/b/"},
)


def mixed(seed: int, twist: str = "") -> Model:
    """Return the model of this seed."""
    draw = random.Random(f"{seed} {twist}")
    form = draw.choice(("v1", "v1", "simple", "hub-like", "v2"))
    world = draw.choice(WORLDS)
    encoder = replace(Encoder(), **{name: draw.choice(ways) for name, ways in PARTS.items()})
    model = Model(text_side(draw, twist), encoder, form=form, world=world, legacy=draw.random() < 0.5)
    return replace(model, legacy=False, world={}) if form == "v2" else model


MIXED = {f"mixed-{seed}": mixed(seed) for seed in range(60)}
MIXED_OTHER = {f"mixed-other-{name}": mixed(0, name) for name in TWISTS}
