"""More of the facts page, by people who knew neither the reader nor the zoo; and of other rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow_text as text
import zoo_cuts as cuts
import zoo_words as words
from zoo_base import CLS, LENGTH, ROOM, SEP, UNK, World, pieces, v2
from zoo_models import Model, google_encoder
from zoo_pieces import wordpiece, wordpiece_strings
from zoo_text import Text, decide, scripts, table_in_pieces

PLAIN = Text()
Ragged = v2.RaggedTensor
MOST_BYTES = 100


def broadcast(words_: Any, cut: Any) -> Any:
    """A column that says what is cut is joined with ragged rows: they broadcast, and ask how many rows there are."""
    whole = Ragged.from_tensor(v2.expand_dims(words_.values, 1))
    parts = words.characters(words_.values)
    column = v2.expand_dims(cut, 1)
    kept = v2.concat([v2.zeros_like(parts, v2.bool) | column, v2.ones_like(whole, v2.bool) & ~column], 1)
    return cuts.merged(words_, v2.ragged.boolean_mask(v2.concat([parts, whole], 1), kept))


def partitioned(words_: Any, cut: Any) -> Any:
    """Words that are cut and others apart, put back in order by a stable sort."""
    kind = v2.cast(cut, v2.int32)
    whole, parts = v2.dynamic_partition(words_.values, kind, 2)
    rows = v2.concat([Ragged.from_tensor(v2.expand_dims(whole, 1)), words.characters(parts)], 0)
    order = v2.concat(v2.dynamic_partition(v2.range(v2.size(cut)), kind, 2), 0)
    return cuts.merged(words_, v2.gather(rows, v2.argsort(order, stable=True)))


def _too_long(flat: Any) -> Any:
    return v2.strings.length(flat) > MOST_BYTES


def unknown_before(tokens: Any, w: World) -> Any:
    """A word that is too long is said to be unknown before WordPiece, which would take longer ones."""
    flat = v2.where(_too_long(tokens.values), v2.fill(v2.shape(tokens.values), "[UNK]"), tokens.values)
    return wordpiece(tokens.with_values(flat), w, max_bytes_per_word=1000)


def unknown_after(tokens: Any, w: World) -> Any:
    """Its pieces are replaced by one that is unknown."""
    found = text.WordpieceTokenizer(w.table(), max_bytes_per_word=1000, token_out_type=v2.int64).tokenize(tokens.values)
    unknown = v2.fill([found.nrows(), 1], v2.constant(UNK, v2.int64))
    rows = v2.concat([found, Ragged.from_tensor(unknown)], 0)
    count = v2.range(found.nrows())
    return cuts.merged(tokens, v2.gather(rows, count + found.nrows() * v2.cast(_too_long(tokens.values), v2.int64)))


def round_robin(found: Any, w: World) -> Any:
    trimmed = text.RoundRobinTrimmer(ROOM).trim([v2.cast(found, v2.int32)])
    return text.pad_model_inputs(text.combine_segments(trimmed, CLS, SEP)[0], LENGTH)[0]


LATER: dict[str, Callable[..., Any]] = {
    "broadcast": replace(PLAIN, cut=broadcast),
    "partitioned": replace(PLAIN, cut=partitioned, decide=decide(words.han_first)),
    "unknown-before": replace(PLAIN, pieces=unknown_before),
    "unknown-after": replace(PLAIN, pieces=unknown_after, decide=decide(words.han_first)),
    "round-robin": replace(PLAIN, pack=round_robin),
}


def mutable(kind: str) -> Text:
    """Return a text side whose table is filled when the checkpoint is restored."""
    return replace(PLAIN, pieces=table_in_pieces(kind), tables=(kind,))


LATER_FORMS = {
    "v2-mutable": Model(mutable("mutable"), google_encoder, form="v2"),
    "v2-dense": Model(mutable("dense"), google_encoder, form="v2"),
    "column": Model(PLAIN, google_encoder, form="column"),
}


def stop_words(texts: Any, w: World) -> Any:
    """Words that a mutable table holds are dropped: the checkpoint alone tells which."""
    if "stop" not in w.tables:
        with v2.init_scope():
            w.tables["stop"] = v2.lookup.experimental.MutableHashTable(v2.string, v2.int64, 0)
            w.tables["stop"].insert(v2.constant(["dog", "Hund"]), v2.constant([1, 1], v2.int64))
    found = scripts(texts, w)
    kept = v2.ensure_shape(v2.equal(w.tables["stop"].lookup(found.values), 0), [None])
    return v2.ragged.boolean_mask(found, found.with_values(kept))


def _second(w: World, key: Any, keys: Any, values: Any, default: Any) -> Any:
    """Return a table that is looked up after that of the vocabulary, or in its place."""
    if "second" not in w.tables:
        with v2.init_scope():
            made = v2.lookup.KeyValueTensorInitializer(keys, values)
            w.tables["second"] = v2.lookup.StaticHashTable(made, default)
    return w.tables["second"].lookup(key)


def by_number(tokens: Any, w: World) -> Any:
    """Ids go through a table from numbers to numbers, which gives each id itself."""
    found, ids = wordpiece(tokens, w), np.arange(len(pieces()))
    return found.with_values(_second(w, v2.cast(found.values, v2.int64), ids, ids, UNK))


def by_digits(tokens: Any, w: World) -> Any:
    """A table gives the digits of an id, which are read as a number."""
    found = wordpiece_strings(tokens, w)
    digits = [str(i) for i in range(len(pieces()))]
    return found.with_values(v2.strings.to_number(_second(w, found.values, pieces(), digits, str(UNK)), v2.int64))


def by_comparing(tokens: Any, w: World) -> Any:
    """No table: the first of all pieces that is equal."""
    found = wordpiece_strings(tokens, w)
    same = v2.equal(found.values[:, None], v2.constant(pieces())[None])
    return found.with_values(v2.argmax(v2.cast(same, v2.int32), 1))


LATER_FORMS.update(
    {
        name: Model(replace(PLAIN, pieces=pieces_), google_encoder, form="v2")
        for name, pieces_ in {"by-number": by_number, "by-digits": by_digits, "by-comparing": by_comparing}.items()
    }
)
OTHER_LATER = {
    "mutable-stop-words": Model(replace(PLAIN, split=stop_words), google_encoder, form="v2"),
}
