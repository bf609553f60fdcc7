"""What a module of TensorFlow 1 tells who makes ids of texts: its vocabulary, and whether it is of lower-cased text."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import pieces
from foreign_recipes import VOCABULARY
from foreign_structures import Form, build

import hub2hf
from hub2hf.errors import SourceError

SMALL = Form(layers=1)


@pytest.mark.parametrize("lower", [True, False])
def test_it_needs_no_vocabulary_beside_it(lower: bool, tmp_path: Path) -> None:
    told = {"vocab_file": VOCABULARY, "do_lower_case": lower}
    read = hub2hf.inspect(build(tmp_path / "model", SMALL, told).folder)
    assert f"'do_lower_case' of signature 'tokenization_info' is {str(lower).lower()}" in read.text.origin
    assert any(type(step).__name__ == "CaseFold" for step in read.text.operations) is lower
    assert read.text.vocabulary.read_bytes() == VOCABULARY.read_bytes()


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_bytes(VOCABULARY.read_bytes().replace(b"\ndog\n", b"\ndogs\n"))
    model = build(tmp_path / "model", SMALL, {"vocab_file": VOCABULARY}).folder
    with pytest.raises(SourceError, match=r"brings another vocabulary, vocab\.txt"):
        hub2hf.inspect(model, vocab=other)


def test_a_sentencepiece_model_in_its_place_asks_for_the_preprocessor(tmp_path: Path) -> None:
    file = tmp_path / "pieces.model"
    file.write_bytes(pieces.trained(pieces.Options()))
    model = build(tmp_path / "model", SMALL, {"vocab_file": file, "do_lower_case": True}).folder
    with pytest.raises(SourceError, match=r"of a SentencePiece model, pieces\.model.*--preprocessor"):
        hub2hf.inspect(model)
