"""What an error or a note tells a person: the problem as it is, and a next step that works as it stands."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from references import ROOT

from hub2hf.commands import VERBS

Run = Callable[..., tuple[int, str, str]]

# A text that ends in a command and a full stop; what is put into it stands in braces, as in the source.
WORDS = r"(?: (?:[A-Z][A-Z/]*|onnx|web|--\S+|\{.*?\}))*"
PASTED_WRONG = re.compile(
    rf"(?:\{{(?:pasted|install)\(.*\}}|\{{again\}}|\{{path\}} --help|(?::|See|then|with) hub2hf (?:{'|'.join(VERBS)}){WORDS}"
    r"|: (?:hf|npm|pip) .*)\.$"
)


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield each text of a module, what is put into it in braces."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (
                str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
                for part in node.values
                if isinstance(part, (ast.Constant, ast.FormattedValue))
            )
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


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


def test_what_ends_in_a_command_can_be_pasted() -> None:
    wrong = ["See hub2hf verify --help.", "Write one: {pasted('hub2hf', 'card', folder)}.", "Log in: hf auth login."]
    assert all(map(PASTED_WRONG.search, wrong))
    for path in (ROOT / "convert").rglob("*.py"):
        for text in texts(ast.parse(path.read_text(encoding="utf-8"))):
            assert not PASTED_WRONG.search(text), path
