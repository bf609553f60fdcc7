"""What TensorFlow Model Garden's real exporter makes, converted and held against TensorFlow.

It needs an environment of its own: `make garden` builds one and runs these tests with HUB2HF_GARDEN naming its Python.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from references import ROOT, VOCABULARY

import hub2hf

GARDEN = os.environ.get("HUB2HF_GARDEN", "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not GARDEN, reason="HUB2HF_GARDEN names no Python: make garden")]


def exported(out: Path, *options: str) -> tuple[Path, Path]:
    """Return the encoder and the preprocessor that the exporter made in its own environment."""
    command = [GARDEN, ROOT / "scripts" / "export_garden.py", out, "--vocabulary", VOCABULARY, *options]
    subprocess.run(command, check=True, capture_output=True)
    return out / "encoder", out / "preprocessor"


@pytest.mark.parametrize(
    ("options", "activation"),
    [
        (("--encoder", "v1"), "gelu_tanh"),
        (("--encoder", "v1", "--mlm", "--lower-case", "--activation", "relu"), "relu"),
        (("--encoder", "v2", "--lower-case", "--hidden", "48", "--heads", "6", "--length", "32"), "gelu_tanh"),
        (("--encoder", "v2", "--mlm", "--layers", "1"), "gelu_tanh"),
    ],
)
def test_what_the_exporter_makes_is_exact(options: tuple[str, ...], activation: str, tmp_path: Path) -> None:
    encoder, preprocessor = exported(tmp_path / "garden", *options)
    conversion = hub2hf.convert(encoder, tmp_path / "out", preprocessor=preprocessor)
    assert conversion.blueprint.encoder.hidden_activation.value == activation
    assert conversion.blueprint.encoder.layer_norm_epsilon.value == 1e-12
    assert conversion.blueprint.outputs["sequence_output"].startswith("layer")
    report = hub2hf.verify(encoder, tmp_path / "out", preprocessor=preprocessor)
    exact = [row for row in report.rows if row.surface in ("automodel", "sentence-transformers")]
    assert report.equivalent
    assert max(row.difference for row in exact) < 2e-6
    assert not any(row.other_ids for row in exact)
    hub2hf.convert(encoder, tmp_path / "alone")
    assert hub2hf.verify(encoder, tmp_path / "alone", languages=["de", "ja"]).equivalent


@pytest.mark.parametrize("kind", ["albert", "electra", "mobilebert"])
def test_its_other_encoders_are_exact_as_their_own_classes(kind: str, tmp_path: Path) -> None:
    encoder, preprocessor = exported(tmp_path / "garden", "--encoder", kind)
    source = hub2hf.Source.find(encoder, preprocessor=preprocessor)
    assert hub2hf.convert(source, tmp_path / "out").blueprint.encoder.architecture == kind
    report = hub2hf.verify(source, tmp_path / "out")
    assert report.equivalent
    assert max(row.difference for row in report.rows if row.surface in ("automodel", "sentence-transformers")) < 2e-6
