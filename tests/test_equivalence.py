"""TensorFlow running the graph against every way of loading the converted folder, on the project's sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from references import EMBEDDED, Reference

import convert
from convert.blueprint.probe import TEXTS
from convert.equivalence.compare import TOLERANCES, compare
from convert.equivalence.golden import Golden
from convert.equivalence.pytorch_side import embed
from convert.equivalence.sentences import demo_sentences, language_sentences, trap_sentences
from convert.equivalence.tensorflow_side import ReferenceGraph

LONG = " ".join(sentence.text for sentence in demo_sentences())


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Every language of the card, every trap, every probe, and a text of far more than 128 pieces."""
    all_sentences = [*demo_sentences(), *language_sentences(), *trap_sentences()]
    return [*(sentence.text for sentence in all_sentences), *TEXTS, "", LONG]


def test_every_surface_agrees_with_tensorflow(variant: Reference, texts: list[str], tmp_path: Path) -> None:
    out = convert.convert(variant.folder, tmp_path / "out").out
    with ReferenceGraph(variant.folder) as graph:
        expected, ids = graph.embed(texts), graph.token_ids(texts)
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    for name in ("automodel", "sentence-transformers"):
        embedded = embed(name, out, texts)
        assert embedded.ids == [[int(i) for i in row if i] for row in ids]
        tolerance = TOLERANCES[name]
        assert tolerance is not None
        assert np.abs(embedded.embeddings - expected).max() <= tolerance


def test_pooler_output_is_the_graphs_own_output(variant: Reference, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    out = convert.convert(variant.folder, tmp_path / "out").out
    texts = [sentence.text for sentence in demo_sentences()]
    with ReferenceGraph(variant.folder) as graph:
        expected = graph.embed(texts)
    inputs = AutoTokenizer.from_pretrained(out)(texts, return_tensors="pt", padding=True, truncation=True)
    with torch.no_grad():
        found = AutoModel.from_pretrained(out, trust_remote_code=True)(**inputs).pooler_output.numpy()
    scale = np.abs(expected).max() if not variant.options.normalise else 1.0
    assert np.abs(found - expected).max() <= 2e-6 * scale


def test_the_recording_is_what_tensorflow_computes_now() -> None:
    golden = Golden.load(EMBEDDED.with_suffix(".golden.json"))
    assert golden.sentences == demo_sentences()
    with ReferenceGraph(EMBEDDED) as graph:
        texts = [sentence.text for sentence in golden.sentences]
        assert np.abs(graph.embed(texts) - golden.embeddings).max() < 1e-6
        assert [[int(i) for i in row if i] for row in graph.token_ids(texts)] == golden.ids


def test_the_recording_belongs_to_the_embedded_model(tmp_path: Path) -> None:
    manifest = convert.convert(EMBEDDED, tmp_path / "out").manifest
    assert manifest["source"]["fingerprint"] == Golden.load(EMBEDDED.with_suffix(".golden.json")).fingerprint


def test_the_published_snippet_runs_and_its_difference_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from convert.equivalence.compare import print_comparison

    out = convert.convert(EMBEDDED, tmp_path / "out").out
    golden = Golden.load(EMBEDDED.with_suffix(".golden.json"))
    embedded = embed("card", out, [sentence.text for sentence in golden.sentences])
    rows = compare(golden, {"card": embedded})
    assert print_comparison(rows)
    worst = max(row.difference for row in rows)
    assert worst > 0.01, "a tanh pooler cannot come near a GELU pooler"
    assert f"card: at most {worst:.1e}" in capsys.readouterr().out


def test_a_fault_is_outside_the_tolerance(tmp_path: Path) -> None:
    """The comparison must be able to fail: the erf GELU, the fault of the best-known port, is planted."""
    import json

    out = convert.convert(EMBEDDED, tmp_path / "out").out
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"}))
    golden = Golden.load(EMBEDDED.with_suffix(".golden.json"))
    embedded = embed("automodel", out, [sentence.text for sentence in golden.sentences])
    tolerance = TOLERANCES["automodel"]
    assert tolerance is not None
    assert min(row.difference for row in compare(golden, {"automodel": embedded})) > tolerance
