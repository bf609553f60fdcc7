"""The core install, from the built package, in a virtual environment with neither TensorFlow nor PyTorch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from references import ROOT


def test_the_core_install_converts(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    # What an earlier build left in the checkout would be packed as well, and hide that a file is missing.
    left_out = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=left_out)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", source], check=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True, text=True).stdout
    installed = {package["name"].lower() for package in json.loads(listed)}
    assert installed.isdisjoint({"tensorflow", "torch", "transformers", "keras"})
    command = [tmp_path / "venv" / "bin" / "hub2hf", "convert", "lealla-mini", tmp_path / "out", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert len(json.loads(done.stdout)["files"]) == len([p for p in (tmp_path / "out").rglob("*") if p.is_file()]) - 1
    for arguments in (["verify", "lealla-mini", "out"], ["record", "lealla-mini", "recording"]):
        command = [tmp_path / "venv" / "bin" / "hub2hf", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, "pip install 'hub2hf[" in done.stderr, done.stderr.count("\n")) == (2, True, 1)
    code = "from convert.equivalence.sentences import demo_sentences; print(len(demo_sentences()))"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert int(done.stdout) >= 17
