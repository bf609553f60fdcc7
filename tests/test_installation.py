"""The core install, from the built package, in a virtual environment with neither TensorFlow nor PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from references import ROOT


def test_the_core_install_converts(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", ROOT], check=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True, text=True).stdout
    installed = {package["name"].lower() for package in json.loads(listed)}
    assert installed.isdisjoint({"tensorflow", "torch", "transformers", "keras"})
    command = [tmp_path / "venv" / "bin" / "hub2hf", "convert", "lealla-mini", tmp_path / "out", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert len(json.loads(done.stdout)["files"]) == len([p for p in (tmp_path / "out").rglob("*") if p.is_file()]) - 1
    code = "from convert.equivalence.sentences import demo_sentences; print(len(demo_sentences()))"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert int(done.stdout) >= 17
