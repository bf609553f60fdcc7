"""Names as their owners write them, and models that are no SavedModel: each leads to the next step."""

from __future__ import annotations

from pathlib import Path

import pytest
from references import EMBEDDED

import hub2hf
from hub2hf.errors import SourceError
from hub2hf.sources import model_of
from hub2hf.sources.fetching import addresses_of


def test_a_name_may_be_written_as_its_owners_write_it() -> None:
    assert hub2hf.fetch("LEALLA-mini") == EMBEDDED
    assert addresses_of("LEALLA-large") == addresses_of("lealla-large")
    found = model_of("LaBSE")
    assert found is not None
    assert found.name == "labse"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("google/LaBSE", "labse"),
        ("setu4993/LEALLA-large", "lealla-large"),
        ("lealla_large", "lealla-large"),
        ("sentence-transformers/LaBSE", "labse"),
        ("smaller_LaBSE", "smaller-labse"),
    ],
)
def test_a_name_close_to_one_is_asked_after(name: str, meant: str) -> None:
    for verb in (hub2hf.fetch, lambda name: hub2hf.convert(EMBEDDED, "never", model=name)):
        with pytest.raises(SourceError, match=rf"Did you mean {meant}\?$"):
            verb(name)
    assert not Path("never").exists()


def test_a_name_close_to_none_is_told_where_they_are() -> None:
    with pytest.raises(SourceError, match=r"Check the path or the name: hub2hf list names the known models\.$"):
        hub2hf.fetch("bert-base-uncased")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("model.safetensors", "a Hugging Face model.*hub2hf verify SOURCE "),
        ("pytorch_model-00001-of-00002.bin", "a Hugging Face model"),
        ("model.keras", "Keras's own.*model.export"),
        ("weights.H5", "Keras's own"),
        ("model-q4_0.gguf", "a GGUF file.*give the SavedModel"),
        ("model.onnx", "an ONNX file"),
        ("model.tflite", "a TensorFlow Lite file"),
        ("bert_model.ckpt.index", "a checkpoint without a graph"),
        ("model.ckpt-1000.data-00000-of-00001", "a checkpoint without a graph"),
    ],
)
def test_another_kind_of_model_is_recognised(file: str, said: str, tmp_path: Path) -> None:
    """In its folder, and alone: .keras and .bin files are zip archives, which must not be unpacked."""
    (tmp_path / file).write_bytes(b"PK\x03\x04")
    (tmp_path / "config.json").write_text("{}")
    for source in (tmp_path, tmp_path / file):
        with pytest.raises(SourceError, match=f"{said}") as refusal:
            hub2hf.inspect(source)
        assert str(source) in str(refusal.value)
        assert "not a SavedModel" in str(refusal.value)


def test_what_hub2hf_made_is_no_source(tmp_path: Path) -> None:
    out = hub2hf.convert(EMBEDDED, tmp_path / "out").out
    with pytest.raises(SourceError, match=r"a Hugging Face model \(model.safetensors\)"):
        hub2hf.inspect(out)


def test_a_part_of_a_savedmodel_leads_to_the_whole() -> None:
    for part in ("variables", "saved_model.pb", "assets/vocab.txt"):
        with pytest.raises(SourceError, match=rf"part of a SavedModel. Give its folder: {EMBEDDED}\.$"):
            hub2hf.inspect(EMBEDDED / part)
