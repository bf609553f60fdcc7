"""TF.Text's fast WordPiece: its trie read back, and its words held against those of the one that has a table."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as text
from foreign_recipes import VOCABULARY
from tensorflow_text.core.pybinds import pywrap_fast_wordpiece_tokenizer_model_builder as builder

from hub2hf.blueprint.vocabulary.fast_wordpiece import read_model
from hub2hf.errors import GraphError

PIECES = [
    "[PAD]",
    "[UNK]",
    "a",
    "ab",
    "##c",
    "##cd",
    "##",
    "abcdx",
    "犬",
    "##犬",
    "é",
    "##é",
    "x##",
    "##d",
    "d",
    "\u0301",
]


def model(pieces: list[str], *, splits: bool = False, longest: int = 100, names: bool = False) -> bytes:
    return bytes(builder.build_fast_wordpiece_model(pieces, longest, "##", "[UNK]", not splits, names))


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("pieces", [PIECES, VOCABULARY.read_text("utf-8").splitlines()])
def test_the_vocabulary_of_a_trie(pieces: list[str], names: bool) -> None:
    found = read_model(model(pieces, longest=33, names=names), "node 'x'")
    assert [piece.decode() for piece in found.pieces] == pieces
    assert (found.suffix, found.unknown, found.most_bytes) == (b"##", b"[UNK]", 33)


def test_both_cut_words_alike() -> None:
    source, letters = Random(0), "abcdx#犬é\u0301e"
    words = ["".join(source.choices(letters, k=source.randint(1, 9))) for _ in range(4000)]
    words += [*PIECES, *VOCABULARY.read_text("utf-8").split()[::9], "", "a" * 100, "a" * 101, "犬" * 33, "犬" * 34]
    for pieces in (PIECES, VOCABULARY.read_text("utf-8").splitlines()):
        numbers = tf.lookup.KeyValueTensorInitializer(pieces, tf.range(len(pieces), dtype=tf.int64))
        plain = text.WordpieceTokenizer(tf.lookup.StaticHashTable(numbers, -1), token_out_type=tf.int64)
        fast = text.FastWordpieceTokenizer(model_buffer=model(pieces), token_out_type=tf.int64)
        some = [word for word in words if word]
        assert plain.tokenize(some).to_list() == fast.tokenize(some).to_list()


def test_one_that_splits_texts_itself_is_refused() -> None:
    with pytest.raises(GraphError, match="splits texts at white space and punctuation itself"):
        read_model(model(PIECES, splits=True), "node 'x'")


def test_a_damaged_model_is_refused() -> None:
    whole = model(PIECES)
    source = np.random.default_rng(0)
    for size in (0, 3, 40, 100, len(whole) // 2, len(whole) - 900):
        with pytest.raises(GraphError):
            read_model(whole[:size], "node 'x'")
    for _ in range(200):
        damaged = bytearray(whole)
        for at in source.integers(0, len(whole), 20):
            damaged[at] = source.integers(0, 256)
        try:
            read_model(bytes(damaged), "node 'x'")
        except GraphError:
            continue
