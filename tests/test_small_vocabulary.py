"""A vocabulary may have fewer pieces than a text has positions, and than a probe could ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from references import VOCABULARY

import hub2hf

PIECES = 300  # of 512 positions; [UNK], [CLS] and [SEP] are 100 to 102


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "few.txt"
    path.write_bytes(b"".join(VOCABULARY.read_bytes().splitlines(keepends=True)[:PIECES]))
    return path


def assert_exact(folder: Path, source: Path, **beside: Path) -> None:
    assert hub2hf.convert(source, folder, **beside).blueprint.encoder.vocab_size.value == PIECES
    found = hub2hf.verify(source, folder, languages=["de", "ja", "traps"], surfaces=["automodel"], **beside)
    assert [(way.surface, way.exact) for way in found.worth.ways] == [("automodel", True)]


def test_of_a_module_of_text(vocabulary: Path, tmp_path: Path) -> None:
    from builders import lealla

    lealla.build(tmp_path / "model", vocabulary, lealla.SIZES["mini"])
    assert_exact(tmp_path / "out", tmp_path / "model")


@pytest.mark.parametrize("types", [2, 16])
def test_of_a_module_of_ids(vocabulary: Path, tmp_path: Path, types: int) -> None:
    from builders import bert_tf2

    options = replace(bert_tf2.SIZES["mini"], types=types)
    bert_tf2.build_encoder(tmp_path / "encoder", vocabulary, options)
    bert_tf2.build_preprocessor(tmp_path / "preprocessor", vocabulary, options)
    assert_exact(tmp_path / "out", tmp_path / "encoder", preprocessor=tmp_path / "preprocessor")
