"""The TF2 family at the sizes of LaBSE and of smaller-LaBSE (15 languages): whole, in bounded memory, exact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from references import ROOT

import hub2hf

pytestmark = pytest.mark.slow

LABSE, SMALLER = 501_153, 173_347  # pieces
MOST_MEMORY = 300e6  # the bar of scripts/bench.py


@pytest.mark.parametrize("pieces", [SMALLER, LABSE])
def test_converts_at_full_size(pieces: int, tmp_path: Path) -> None:
    from bench import run
    from fetch_vocabulary import fetch_vocabulary

    vocabulary, encoder, preprocessor = (tmp_path / name for name in ("vocab.txt", "encoder", "preprocessor"))
    lines = fetch_vocabulary().read_bytes().splitlines(keepends=True)
    vocabulary.write_bytes(b"".join(lines[:pieces]))
    builder = [sys.executable, ROOT / "scripts" / "build.py", "bert-tf2", encoder]
    subprocess.run(
        [*builder, "--size", "labse", "--vocabulary", vocabulary, "--preprocessor", preprocessor], check=True
    )
    command = [
        sys.executable,
        "-m",
        "hub2hf",
        "convert",
        encoder,
        tmp_path / "out",
        "--preprocessor",
        preprocessor,
    ]
    _, peak = run(command)
    assert peak < MOST_MEMORY
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]) == (pieces, 768, 12)
    weights = (tmp_path / "out" / "model.safetensors").stat().st_size
    assert weights > 4 * (pieces * 768 + 12 * 12 * 768 * 768)  # a layer has 12 hidden² weights
    if pieces == SMALLER:
        report = hub2hf.verify(encoder, tmp_path / "out", preprocessor=preprocessor, languages=["de", "ja", "traps"])
        assert report.equivalent
