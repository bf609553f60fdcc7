"""TensorFlow running the graph against every way of loading the converted folder, on the project's sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shared
from references import EMBEDDED, Reference

import hub2hf
from hub2hf.blueprint.probe import TEXTS
from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.sentences import Sentence, demo_sentences, language_sentences, trap_sentences
from hub2hf.equivalence.tensorflow_side import ReferenceGraph
from hub2hf.equivalence.tolerances import load_tolerances
from hub2hf.folder.manifest import read_manifest
from hub2hf.sources import recording_of
from hub2hf.surfaces import applying, embed

LONG = " ".join(sentence.text for sentence in demo_sentences())


@pytest.fixture(scope="module")
def sentences() -> list[Sentence]:
    """Every language of the card, every trap, every probe, and a text of far more than 128 pieces."""
    all_sentences = [*demo_sentences(), *language_sentences(), *trap_sentences()]
    return [*all_sentences, *(Sentence("en", text) for text in (*TEXTS, "", LONG))]


@pytest.fixture
def recorded(variant: Reference, sentences: list[Sentence], tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """What TensorFlow makes of the sentences."""

    def make(to: Path) -> None:
        with ReferenceGraph(hub2hf.Source.find(variant.folder)) as graph:
            # Of the others a third: languages are a matter of the text side, which is the same in most.
            few = sentences if variant.folder.parent.name.endswith("-plain") else [*demo_sentences(), *sentences[::3]]
            graph.record(few, stages=False).save(to / "recording")

    made = shared.made_once(tmp_path_factory, f"recorded-{variant.folder.parent.name}", make)
    return Recording.load(made / "recording")


def test_every_surface_agrees_with_tensorflow(recorded: Recording, converted_variant: Path) -> None:
    made = recorded
    expected = made.embeddings / np.linalg.norm(made.embeddings, axis=-1, keepdims=True)
    ways = [way.name for way in applying(read_manifest(converted_variant).files) if way.exact]
    assert ways == ["automodel", "onnx-runtime", "sentence-transformers"]
    for name in ways:
        embedded = embed(name, converted_variant, [sentence.text for sentence in made.sentences])
        assert embedded.ids == made.ids
        tolerance = load_tolerances().of(name, "en").tolerance
        assert np.abs(embedded.embeddings - expected).max() <= tolerance


def test_pooler_output_is_the_graphs_own_output(
    variant: Reference, recorded: Recording, converted_variant: Path
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = [sentence.text for sentence in demo_sentences()]
    expected = recorded.embeddings[: len(texts)]
    assert [sentence.text for sentence in recorded.sentences[: len(texts)]] == texts
    inputs = AutoTokenizer.from_pretrained(converted_variant)(texts, return_tensors="pt", padding=True, truncation=True)
    with torch.no_grad():
        found = AutoModel.from_pretrained(converted_variant, trust_remote_code=True)(**inputs).pooler_output.numpy()
    scale = np.abs(expected).max() if not variant.options.normalise else 1.0
    assert np.abs(found - expected).max() <= 2e-6 * scale


def test_a_mean_is_exact_in_all_languages_in_every_way_that_applies(
    reference: Callable[[str], Reference], tmp_path: Path
) -> None:
    folder, out = reference("mean").folder, tmp_path / "out"
    hub2hf.convert(folder, out)
    report = hub2hf.verify(folder, out)
    assert report.equivalent
    assert {row.surface for row in report.rows} == {"automodel", "sentence-transformers"}
    assert len({row.language for row in report.rows} - {"traps"}) == 109
    assert max(row.difference for row in report.rows) <= 2e-6


def test_a_sum_by_the_root_of_the_length_is_exact(build: Callable[..., Reference], tmp_path: Path) -> None:
    folder, out = build(pooling="mean_sqrt", layers=1, pooler="tanh").folder, tmp_path / "out"
    assert hub2hf.convert(folder, out).blueprint.encoder.pooler.value == "mean_sqrt"
    report = hub2hf.verify(folder, out, languages=("de", "ja", "traps"))
    assert report.equivalent
    assert max(row.difference for row in report.rows) <= 2e-6


def test_the_recording_is_what_tensorflow_computes_now(tmp_path: Path) -> None:
    golden = Recording.load(recording_of("lealla-mini"))
    assert golden.sentences == [*demo_sentences(), *language_sentences(), *trap_sentences()]
    with ReferenceGraph(hub2hf.Source.find(EMBEDDED)) as graph:
        now = graph.record(golden.sentences, stages=False)
    assert np.abs(now.embeddings - golden.embeddings).max() < 1e-6
    assert (now.ids, now.fingerprint) == (golden.ids, golden.fingerprint)
    manifest = hub2hf.convert(EMBEDDED, tmp_path / "out").manifest
    assert manifest["source"]["fingerprint"] == golden.fingerprint


def test_a_recording_comes_back_as_it_was(tmp_path: Path) -> None:
    with ReferenceGraph(hub2hf.Source.find(EMBEDDED)) as graph:
        made = graph.record(trap_sentences()[:9])
    made.save(tmp_path / "a")
    made.save(tmp_path / "b")
    found = Recording.load(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (found.sentences, found.ids, list(found.stages)) == (made.sentences, made.ids, list(made.stages))
    assert all(np.array_equal(found.stages[name], value) for name, value in made.stages.items())
    assert list(found.stages) == ["embeddings", "layer 0", "layer 1", "layer 2", "embedding"]
