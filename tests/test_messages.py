"""What an error or a note tells a person: the problem as it is, and a next step that works as it stands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    """Return a folder that may be changed."""
    return Path(shutil.copytree(converted, tmp_path / "out"))


@pytest.mark.parametrize("verb", ["embed", "verify"])
def test_nobody_is_told_to_load_weights_that_may_run_code(
    run_hub2hf: Run, folder: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder, verb: str
) -> None:
    from references import GOLDEN
    from safetensors.torch import load_file
    from torch import save

    (tmp_path / "texts.txt").write_text("dog\n", encoding="utf-8")
    weights = folder / "model.safetensors"
    save(
        load_file(weights), folder / "pytorch_model.bin", pickle_protocol=4, _use_new_zipfile_serialization=False
    )  # as PyTorch's files were before version 1.6
    weights.unlink()
    asked = {
        "embed": ["embed", folder, tmp_path / "texts.txt", tmp_path / "out.jsonl"],
        "verify": ["verify", "--golden", GOLDEN, folder, "--languages", "de", "--surfaces", "AutoModel"],
    }
    code, _, told = run_hub2hf(*asked[verb])
    assert (code, told.count("\n")) == (2, 1)
    assert "its weights are a pickle that PyTorch does not load safely" in told
    assert "weights_only" not in told
    assert not [warning for warning in recwarn if "pickle" in str(warning.message)]
