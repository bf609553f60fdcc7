"""What `make core` and CI run without TensorFlow and PyTorch is whole, and needs neither."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from references import ROOT

LIST = ROOT / "tests" / "core.txt"
# What tests/conftest.py builds with TensorFlow, or loads with PyTorch.
HEAVY = {"build", "build_pair", "converted_tf2", "converted_variant", "pair", "reference", "tf2", "variant", "verified"}
PLUGIN = f"""
import sys

for name in "tensorflow tensorflow_text tensorflow_hub tf_keras torch transformers sentence_transformers".split():
    sys.modules[name] = None  # importing it raises


def pytest_collection_finish(session):
    for item in session.items:
        needed = set(item.fixturenames) & {HEAVY!r}
        if needed:
            print(item.nodeid, "needs", *needed)
    print(len(session.items), "collected")
"""


def collected(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Return pytest's exit code and output when it collects only, in a process that cannot import TensorFlow or PyTorch."""
    (tmp_path / "without_extras.py").write_text(PLUGIN, encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import pytest; sys.exit(pytest.main())",
    ]
    options = ["-p", "without_extras", "-p", "no:cacheprovider", "--collect-only", "-qq"]
    done = subprocess.run([*command, *options, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_tests_of_the_core_need_neither_tensorflow_nor_pytorch(tmp_path: Path) -> None:
    code, said = collected(tmp_path, f"@{LIST.relative_to(ROOT)}")
    assert code == 0, said
    assert " needs " not in said
    (count,) = (int(line.split()[0]) for line in said.splitlines() if line.endswith(" collected"))
    assert count > 750


def test_a_test_that_needs_one_would_be_seen(tmp_path: Path) -> None:
    assert collected(tmp_path, "tests/test_tf2.py", "tests/test_operations.py")[0] != 0
    assert (
        "test_a_member_of_a_known_family_is_one_toml needs pair" in collected(tmp_path, "tests/test_known_models.py")[1]
    )
