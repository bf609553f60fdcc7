"""Words that are folded by themselves, after the split, as keras-hub's lower case is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from builders import bert_tf2
from builders.oracles import FoldingSide, folding_operations, over
from fuzz_tokenizer import CompiledSide, alphabet_vocabulary, compare
from references import EMBEDDED
from tokenizers import normalizers

import hub2hf
from hub2hf.blueprint.text import SplitDelimiters
from hub2hf.blueprint.text_side import convention
from hub2hf.errors import GraphError, VocabularyError
from hub2hf.slimming.guarantee import characters_of_words, check_rules
from hub2hf.tokenizer import never_in_pieces, probe_tokenizer, tokenizer_files
from hub2hf.unicode.folding import case_folded, decomposed, folded_characters, uncomposed

TEXT = folding_operations()
EMBEDDED_VOCABULARY = EMBEDDED / "assets" / "vocab.txt"
FOLDED = {
    "ÄÖÜ STRASSE": ["äöü", "strasse"],
    "a\u0308 A\u030a e\u0323\u0302 e\u0302\u0323": ["ä", "å", "ệ", "ệ"],  # composed, whatever they were written as
    "ﬁn Ⅷ ½ ㍿": ["fin", "viii", "1\u20442", "株式会社"],  # one word still, whatever is made of it
    "한\u1112\u1161\u11ab": ["한한"],
    "x\ufe0f\u034fy \u3164": ["xy"],  # what folds to nothing; a word of it alone is none
    "ΟΔΟΣ": ["οδοσ"],
    "日本 Ǆ": ["日", "本", "dž"],
}


@pytest.mark.parametrize("text", FOLDED)
def test_words_are_folded_and_composed(text: str) -> None:
    tokenizer = probe_tokenizer(TEXT, {"[UNK]": 100, "a": 7})
    found = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
    assert [word for word, _ in found] == FOLDED[text]
    words = tf_text.regex_split([text], TEXT.operations[1].delimiters, TEXT.operations[1].kept)  # type: ignore[union-attr]
    theirs = [word.decode() for word in tf_text.case_fold_utf8(words).flat_values.numpy()]
    assert [word for word in theirs if word] == FOLDED[text]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[FoldingSide, CompiledSide]:
    """TensorFlow's and the compiled one, over every character."""
    folder = tmp_path_factory.mktemp("sides")
    whole = over(TEXT, alphabet_vocabulary(folder))
    return FoldingSide(whole), CompiledSide(whole, folder)


@pytest.mark.parametrize("text", ["¨", "a¨b", "a\u00a0b", "x\ufdfa", "a\u3000b c"])
def test_a_word_in_which_folding_makes_a_space_is_one_unknown_word(
    text: str, sides: tuple[FoldingSide, CompiledSide]
) -> None:
    theirs, found = (side([text])[0] for side in sides)
    assert found.tolist() == theirs.tolist()
    assert found[1] == 100


def test_pairs_of_letters_and_marks_have_the_ids_of_tensorflow(sides: tuple[FoldingSide, CompiledSide]) -> None:
    composed = [decomposed(c) for c in folded_characters() if len(decomposed(c)) > 1]
    texts = [
        f"{text}{mark} {text[0]}{mark}{text[1:]}" for text in composed[::17] for mark in "\u0301\u0323\u0345\u20d2"
    ]
    count, different = compare(texts, *sides)
    assert count > 2000
    assert not different


@pytest.mark.parametrize("piece", ["a b", "\u09fe", "x\U00011938"])
def test_a_piece_that_the_library_would_not_find_is_refused_by_name(piece: str, tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    lines = ["[PAD]", *map(str, range(1000, 1099)), "[UNK]", "[CLS]", "[SEP]", "a"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer_files(replace(TEXT, vocabulary=path), len(lines), tmp_path)
    path.write_text("\n".join([*lines, piece]) + "\n", encoding="utf-8")
    with pytest.raises(VocabularyError, match=rf"has the piece {piece!a}" if piece.isascii() else "has the piece"):
        tokenizer_files(replace(TEXT, vocabulary=path), len(lines) + 1, tmp_path)


class Preprocessor(tf.Module):
    """As keras-hub's."""

    def __init__(self, side: FoldingSide) -> None:
        super().__init__()
        self.side = side

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")], autograph=False)
    def __call__(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ids, mask and token types."""
        ids = self.side.packed(texts)
        mask = tf.cast(ids != self.side.pack.pad_id, tf.int32)
        return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": tf.zeros_like(ids)}


def test_a_graph_that_folds_words_is_read_and_proved(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text(
        EMBEDDED_VOCABULARY.read_text(encoding="utf-8").replace("\u09fe", "\u09f2").replace("\u0eba", "\u0ec8")
    )
    lines = [*dict.fromkeys(path.read_text(encoding="utf-8").splitlines())]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    tf.saved_model.save(Preprocessor(FoldingSide(replace(TEXT, vocabulary=path))), str(tmp_path / "preprocessor"))
    bert_tf2.build_encoder(
        tmp_path / "encoder", path, replace(bert_tf2.SIZES["mini"], layers=2, lower_case=True, own_vocabulary=False)
    )
    source = hub2hf.Source.find(tmp_path / "encoder", preprocessor=tmp_path / "preprocessor")
    hub2hf.convert(source, tmp_path / "out")
    kinds = [type(operation).__name__ for operation in source.blueprint.text.operations]
    assert kinds == ["ReplacePattern", "SplitDelimiters", "FoldWords", "WordPiece", "Pack"]
    report = hub2hf.verify(
        source, tmp_path / "out", surfaces=["automodel"], languages=["de", "tr", "vi", "el", "traps"]
    )
    assert report.equivalent


def test_words_that_hold_control_characters_are_refused() -> None:
    split = SplitDelimiters(convention.DELIMITERS, convention.KEPT, "delimiters")
    with pytest.raises(GraphError, match=r"'fold' folds words that may hold U\+0001"):
        probe_tokenizer(replace(TEXT, operations=(split, *TEXT.operations[2:])), {"[UNK]": 100})


def test_what_the_library_does_not_compose_is_told() -> None:
    """The table is of the library that is installed; all else that TensorFlow composes, it composes alike."""
    kept = [c for c in folded_characters() if case_folded(c) == c and decomposed(c) != c]
    other = {c for c in kept if normalizers.NFC().normalize_str(decomposed(c)) != c}
    assert other | {decomposed(c)[0] for c in other} == uncomposed()
    assert uncomposed() < never_in_pieces(TEXT.operations)
    whole = [text.decode() for text in tf_text.normalize_utf8([decomposed(c) for c in kept], "NFC").numpy()]
    assert whole == kept


def test_a_slim_vocabulary_keeps_what_folding_may_compose() -> None:
    check_rules(TEXT.operations)
    assert characters_of_words("A\u0301", TEXT.operations) == {"a", "\u0301", "á"}
    given = "ǅ\u0323e\u0302한"
    (folded,) = tf_text.case_fold_utf8(tf.constant([given])).numpy()
    assert characters_of_words(given, TEXT.operations) >= set(folded.decode())
