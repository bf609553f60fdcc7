"""What the fuzz holds the compiled tokenizer against: TensorFlow running the real ops, or a SavedModel.

`RULES` are the text sides of the families that hub2hf converts, each as a blueprint and the TensorFlow that says the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text as tf_text

from hub2hf.blueprint import convention
from hub2hf.blueprint.full_tokenizer import FULL_TOKENIZER
from hub2hf.blueprint.text import (
    CaseFold,
    LowerCase,
    Normalize,
    Pack,
    ReplacePattern,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    WordPiece,
)
from hub2hf.opened import Source
from hub2hf.tokenizer import read_vocabulary
from hub2hf.witness.full_tokenizer import full_tokenizer

Ids = npt.NDArray[np.int32]
Oracle = Callable[[list[str]], Ids]


def standard_operations(max_bytes: int = 100) -> TextBlueprint:
    """The text side of the LEALLA modules, without a graph."""
    shapes = tf_text.WordShape
    cut = (r"\p{Han}+", shapes.HAS_EMOJI.value, shapes.IS_PUNCT_OR_SYMBOL.value)
    operations = (
        ReplacePattern(r"\p{Cc}|\p{Cf}", "", "delete"),
        SplitScripts("scripts"),
        SplitCharacters(cut, "characters"),
        WordPiece("##", "[UNK]", max_bytes, "wordpiece"),
        Pack(101, 102, 0, 128, "pack"),
    )
    return TextBlueprint(operations, Path("vocab.txt"), "vocabulary")


class TensorFlowSide:
    """A blueprint's operations, run by the real ops: the oracle when there is no SavedModel."""

    def __init__(self, text: TextBlueprint) -> None:
        """Load the vocabulary into a TensorFlow table, as a graph does."""
        self.text = text
        rows = tf.lookup.TextFileIndex
        source = tf.lookup.TextFileInitializer(
            str(text.vocabulary), tf.string, rows.WHOLE_LINE, tf.int64, rows.LINE_NUMBER
        )
        self.table = tf.lookup.StaticVocabularyTable(source, 1)
        self.scripts = tf_text.UnicodeScriptTokenizer(keep_whitespace=False)
        model = text.wordpiece
        self.wordpiece = tf_text.WordpieceTokenizer(
            self.table,
            suffix_indicator=model.suffix_indicator,
            max_bytes_per_word=model.max_bytes_per_word,
            unknown_token=model.unknown_token,
        )
        self.run = tf.function(self._ids, input_signature=[tf.TensorSpec([None], tf.string)])

    def _ids(self, texts: tf.Tensor) -> tf.Tensor:
        operations = self.text.operations
        for operation in operations:
            if isinstance(operation, ReplacePattern):
                texts = tf.strings.regex_replace(texts, operation.pattern, operation.rewrite)
        words = self.scripts.tokenize(texts)
        for operation in operations:
            if isinstance(operation, SplitAround):
                parted = tf.strings.regex_replace(words.flat_values, f"({operation.characters})", r" \1 ")
                words = words.with_flat_values(tf.strings.split(tf.strings.strip(parted))).merge_dims(1, 2)
        flat = words.flat_values
        cut = tf.zeros_like(flat, tf.bool)
        for operation in operations:
            for pattern in operation.patterns if isinstance(operation, SplitCharacters) else ():
                cut = tf.logical_or(cut, tf.strings.regex_full_match(flat, pattern))
        characters = tf.strings.unicode_split(tf.where(cut, flat, ""), "UTF-8")
        uncut = tf.logical_not(cut)
        whole = tf.RaggedTensor.from_row_lengths(tf.boolean_mask(flat, uncut), tf.cast(uncut, tf.int64))
        pieces = self.wordpiece.tokenize(tf.concat([characters, whole], 1)).merge_dims(1, 2)
        rows = words.with_flat_values(pieces).merge_dims(1, 2)
        pack = self.text.pack
        rows = tf.cast(rows[:, : pack.max_length - 2], tf.int32)
        ends = tf.ones([rows.nrows(), 1], tf.int32)
        packed = tf.concat([ends * pack.start_id, rows, ends * pack.end_id], 1)
        return packed.to_tensor(pack.pad_id, shape=[None, pack.max_length])

    def __call__(self, texts: list[str]) -> Ids:
        """Ids, int32 [texts, max_length]."""
        return np.asarray(self.run(tf.constant([text.encode() for text in texts])).numpy())


def bert_operations(lower_case: bool, max_bytes: int = 100) -> TextBlueprint:
    """The text side of Model Garden's preprocessors, without a graph."""
    folding = (CaseFold("fold"), Normalize("NFD", "nfd"), ReplacePattern(convention.MARKS, "", "marks"))
    operations = (
        *(folding if lower_case else ()),
        ReplacePattern(convention.CONTROLS, " ", "controls"),
        SplitDelimiters(convention.DELIMITERS, convention.KEPT, "delimiters"),
        WordPiece("##", "[UNK]", max_bytes, "wordpiece"),
        Pack(101, 102, 0, 128, "pack"),
    )
    return TextBlueprint(operations, Path("vocab.txt"), "vocabulary")


class BertSide:
    """TF.Text's BertTokenizer and its packing, as Model Garden calls them."""

    def __init__(self, text: TextBlueprint) -> None:
        """Load the vocabulary as a preprocessor does."""
        lower_case = any(isinstance(operation, CaseFold) for operation in text.operations)
        self.tokenizer = tf_text.BertTokenizer(
            str(text.vocabulary), lower_case=lower_case, max_bytes_per_word=text.wordpiece.max_bytes_per_word
        )
        self.pack = text.pack
        self.run = tf.function(self._ids, input_signature=[tf.TensorSpec([None], tf.string)])

    def _ids(self, texts: tf.Tensor) -> tf.Tensor:
        pack = self.pack
        rows = tf.cast(self.tokenizer.tokenize(texts).merge_dims(1, 2), tf.int32)
        rows = tf_text.RoundRobinTrimmer(pack.max_length - 2).trim([rows])
        packed, _ = tf_text.combine_segments(rows, pack.start_id, pack.end_id)
        return tf_text.pad_model_inputs(packed, pack.max_length, pack.pad_id)[0]

    def __call__(self, texts: list[str]) -> Ids:
        """Ids, int32 [texts, max_length]."""
        return np.asarray(self.run(tf.constant([text.encode() for text in texts])).numpy())


def full_operations(lower_case: bool) -> TextBlueprint:
    """BERT's FullTokenizer."""
    operations = (*FULL_TOKENIZER.operations(lower_case, "rules"), Pack(101, 102, 0, 128, "pack"))
    return TextBlueprint(operations, Path("vocab.txt"), "vocabulary")


class WrittenOut:
    """BERT's FullTokenizer in plain Python."""

    def __init__(self, text: TextBlueprint) -> None:
        """Load the vocabulary."""
        lower_case = any(isinstance(operation, LowerCase) for operation in text.operations)
        self.pieces, self.pack = full_tokenizer(read_vocabulary(text.vocabulary).ids, lower_case), text.pack

    def __call__(self, texts: list[str]) -> Ids:
        """Ids, int32 [texts, max_length]."""
        pack = self.pack
        ids = np.full((len(texts), pack.max_length), pack.pad_id, np.int32)
        for row, text in zip(ids, texts, strict=True):
            found = [pack.start_id, *self.pieces(text)[: pack.max_length - 2], pack.end_id]
            row[: len(found)] = found
        return ids


def _rules(
    text: TextBlueprint, side: Callable[[TextBlueprint], Oracle]
) -> Callable[[Path], tuple[TextBlueprint, Oracle]]:
    def over(vocabulary: Path) -> tuple[TextBlueprint, Oracle]:
        whole = replace(text, vocabulary=vocabulary)
        return whole, side(whole)

    return over


RULES: dict[str, Callable[[Path], tuple[TextBlueprint, Oracle]]] = {
    "lealla": _rules(standard_operations(), TensorFlowSide),
    "bert-cased": _rules(bert_operations(lower_case=False), BertSide),
    "bert-uncased": _rules(bert_operations(lower_case=True), BertSide),
    "full-cased": _rules(full_operations(lower_case=False), WrittenOut),
    "full-uncased": _rules(full_operations(lower_case=True), WrittenOut),
}


def graph_text(folder: Path) -> TextBlueprint:
    """The text blueprint of a SavedModel."""
    return Source.find(folder).blueprint.text


def graph_ids(folder: Path) -> Oracle:
    """The oracle that runs a SavedModel, text by text as its own loop does."""
    from hub2hf.equivalence.tensorflow_side import ReferenceGraph

    graph = ReferenceGraph(Source.find(folder))
    return lambda texts: np.asarray(graph.token_ids(texts), np.int32)
