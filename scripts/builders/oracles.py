"""What the fuzz holds the compiled tokenizer against: TensorFlow running the real ops, or a SavedModel.

`RULES` are the text sides of the families that hub2hf converts, each as a blueprint and the TensorFlow that says the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text as tf_text

from hub2hf.blueprint.asked.null import cut_at_null
from hub2hf.blueprint.text import (
    NO_START,
    CaseFold,
    FoldWords,
    LowerCase,
    Normalize,
    Pack,
    ReplacePattern,
    SentencePiece,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    WordPiece,
)
from hub2hf.blueprint.text_side import convention
from hub2hf.blueprint.text_side.full_tokenizer import FULL_TOKENIZER
from hub2hf.interpreter.pieces import Cutter
from hub2hf.opened import Source
from hub2hf.savedmodel.sentencepiece import read_pieces
from hub2hf.tokenizer import Vocabulary, never_in_pieces, read_vocabulary
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


def folding_operations() -> TextBlueprint:
    """Words that are folded by themselves, as keras-hub's are."""
    delimiters = rf"\s|{convention.CONTROLS}|{convention.KEPT}"
    operations = (
        cut_at_null("null"),
        SplitDelimiters(delimiters, convention.KEPT, "delimiters"),
        FoldWords("fold"),
        WordPiece("##", "[UNK]", 100, "wordpiece"),
        Pack(101, 102, 0, 128, "pack"),
    )
    return TextBlueprint(operations, Path("vocab.txt"), "vocabulary")


class FoldingSide:
    """TF.Text's split at delimiters, folding of words and fast WordPiece, as keras-hub calls them."""

    def __init__(self, text: TextBlueprint) -> None:
        """Build the trie."""
        self.split = next(op for op in text.operations if isinstance(op, SplitDelimiters))
        self.pack = text.pack
        self.wordpiece = tf_text.FastWordpieceTokenizer(
            list(read_vocabulary(text.vocabulary).pieces), "##", 100, unknown_token="[UNK]", no_pretokenization=True
        )
        self.run = tf.function(self.packed, input_signature=[tf.TensorSpec([None], tf.string)])

    def packed(self, texts: tf.Tensor) -> tf.Tensor:
        """Ids, int32 [texts, max_length]."""
        pack = self.pack
        words = tf_text.regex_split(texts, self.split.delimiters, self.split.kept)
        rows = self.wordpiece.tokenize(tf_text.case_fold_utf8(words)).merge_dims(1, 2)[:, : pack.max_length - 2]
        packed, _ = tf_text.combine_segments([rows], pack.start_id, pack.end_id)
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


def piece_operations() -> TextBlueprint:
    """A SentencePiece model alone."""
    operations = (SentencePiece("", "pieces"), Pack(NO_START, 1, 0, 512, "pack"))
    return TextBlueprint(operations, Path("spiece.model"), "model")


class PieceSide:
    """TF.Text's SentencepieceTokenizer."""

    def __init__(self, text: TextBlueprint) -> None:
        """Load the model."""
        data = text.vocabulary.read_bytes()
        self.cutter, self.pack = Cutter(read_pieces(data, "model"), "model"), text.pack
        self.tokenizer = tf_text.SentencepieceTokenizer(data, out_type=tf.int32)

    def __call__(self, texts: list[str]) -> Ids:
        """Ids, int32 [texts, max_length]."""
        found = self.tokenizer.tokenize(tf.constant([text.encode() for text in texts]))
        return self._packed(np.split(found.flat_values.numpy(), found.row_splits.numpy()[1:-1]))

    def _packed(self, rows: Sequence[npt.ArrayLike]) -> Ids:
        pack = self.pack
        ids = np.full((len(rows), pack.max_length), pack.pad_id, np.int32)
        for row, found in zip(ids, rows, strict=True):
            kept = np.asarray(found, np.int32)[: pack.max_length - 1]
            row[: len(kept) + 1] = [*kept, pack.end_id]
        return ids

    def rounds(self, text: str, found: Ids) -> bool:
        """Whether ids of a text, int32 [max_length], are those of exact sums, which float32 rounds to those of TF.Text."""
        whole = self.cutter.normalized(text.encode()).decode()
        rounded, exact = self._packed([self.cutter.cut(whole, exact=way) for way in (False, True)])
        return bool((found == exact).all() and (self([text])[0] == rounded).all())


def over(text: TextBlueprint, vocabulary: Path) -> TextBlueprint:
    """Return a text side over a vocabulary, of which it is given the pieces that its rules can follow."""
    never = never_in_pieces(text.operations)
    pieces = [piece for piece in read_vocabulary(vocabulary).pieces if never.isdisjoint(piece)] if never else []
    if pieces and len(pieces) < len(read_vocabulary(vocabulary)):
        vocabulary = vocabulary.with_name(f"followed-{vocabulary.name}")
        vocabulary.write_bytes(Vocabulary.of(pieces, vocabulary).lines)
    return replace(text, vocabulary=vocabulary)


def _rules(
    text: TextBlueprint, side: Callable[[TextBlueprint], Oracle]
) -> Callable[[Path], tuple[TextBlueprint, Oracle]]:
    def made(vocabulary: Path) -> tuple[TextBlueprint, Oracle]:
        whole = over(text, vocabulary)
        return whole, side(whole)

    return made


RULES: dict[str, Callable[[Path], tuple[TextBlueprint, Oracle]]] = {
    "lealla": _rules(standard_operations(), TensorFlowSide),
    "bert-cased": _rules(bert_operations(lower_case=False), BertSide),
    "bert-uncased": _rules(bert_operations(lower_case=True), BertSide),
    "words-uncased": _rules(folding_operations(), FoldingSide),
    "full-cased": _rules(full_operations(lower_case=False), WrittenOut),
    "full-uncased": _rules(full_operations(lower_case=True), WrittenOut),
    "pieces": _rules(piece_operations(), PieceSide),
}


def graph_text(folder: Path) -> TextBlueprint:
    """The text blueprint of a SavedModel."""
    return Source.find(folder).blueprint.text


def graph_ids(folder: Path) -> Oracle:
    """The oracle that runs a SavedModel, text by text as its own loop does."""
    from hub2hf.equivalence.tensorflow_side import ReferenceGraph

    graph = ReferenceGraph(Source.find(folder))
    return lambda texts: np.asarray(graph.token_ids(texts), np.int32)
