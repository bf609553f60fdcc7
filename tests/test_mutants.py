"""The planted faults still fit the product, and ten of them are noticed; `make mutants` plants them all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import KILLED, STALE, SURVIVED, Fault, load_faults, outcomes, planted
from references import ROOT

FAULTS = load_faults()
ROOMS = {"architectures", "blueprint", "command", "corpora", "equivalence", "folder", "hub", "interpreter"} | {
    *(
        "onnx",
        "opened",
        "retrieval",
        "savedmodel",
        "slimming",
        "sources",
        "surfaces",
        "tokenizer",
        "unicode",
        "web",
        "witness",
    )
}


# Tests that start at once, as they import neither TensorFlow nor PyTorch: faults of them are planted here.
LIGHT = [f"tests/test_{name}.py" for name in ("characters", "checkpoint_bytes", "kernels", "proof", "stored")]


def test_there_are_faults_in_every_room() -> None:
    assert {fault.room for fault in FAULTS} == ROOMS
    assert len(FAULTS) >= 72
    assert len({(fault.room, fault.says) for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_each_can_be_planted(room: str) -> None:
    """Its old text stands in its file once, and its test is there."""
    assert [f"{fault.says}: {fault.stale(ROOT)}" for fault in FAULTS if fault.room == room and fault.stale(ROOT)] == []


def test_a_sample_is_noticed() -> None:
    assert sum(fault.test.split("::")[0] in LIGHT for fault in FAULTS) > 99
    sample = ["--sample", "10", "--seed", "7", "--of", *LIGHT]
    command = [sys.executable, ROOT / "scripts" / "mutants.py", *sample, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    unnoticed = [(each["fault"]["says"], each["why"]) for each in found["faults"] if each["state"] != KILLED]
    assert (done.returncode, unnoticed, found[KILLED]) == (0, [], 10), done.stderr


def fault(**changes: str) -> Fault:
    facts = {"file": "convert/a.py", "old": "1", "new": "2", "test": "tests/test_a.py::test_a"}
    return Fault("a", "a fault", **{**facts, **changes})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A product of one line, and tests that notice little of it."""
    for folder in ("convert", "configs", "tests", "scripts"):
        (tmp_path / "tree" / folder).mkdir(parents=True)
    (tmp_path / "tree" / "pyproject.toml").write_text("")
    (tmp_path / "tree" / "convert" / "__init__.py").write_text("")
    (tmp_path / "tree" / "convert" / "a.py").write_text("value = 1\nother = 3 - 3\n")
    (tmp_path / "tree" / "tests" / "test_a.py").write_text(
        "from hub2hf.a import value\n\ndef test_a():\n    assert value == 1\n\ndef test_b():\n    assert value == 5\n"
    )
    return tmp_path / "tree"


def test_what_does_not_fit_is_stale(tree: Path) -> None:
    assert fault().stale(tree) == ""
    for changes in ({"old": "3"}, {"old": "4"}, {"new": "1"}, {"file": "convert/b.py"}):
        assert fault(**changes).stale(tree)
    assert "test_c" in fault(test="tests/test_a.py::test_c").stale(tree)


def test_each_is_killed_survives_or_is_stale(tree: Path, tmp_path: Path) -> None:
    """The copy is run, not the package that is installed, and the tree stays as it is."""
    planned = [
        fault(),
        fault(new="2 - 1"),
        fault(test="tests/test_a.py::test_b"),
        fault(new="("),
    ]
    before = (tree / "convert" / "a.py").read_bytes()
    (tmp_path / "place").mkdir()
    found = list(outcomes(planned, tmp_path / "place", 1, tree))
    assert [each.state for each in found] == [KILLED, SURVIVED, STALE, STALE]
    assert "does not pass without it" in found[2].why
    assert "no answer" in found[3].why
    assert (tree / "convert" / "a.py").read_bytes() == before


def test_a_fault_goes_as_it_came(tree: Path) -> None:
    path = tree / "convert" / "a.py"
    before, time = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(KeyboardInterrupt), planted(fault(), tree):
        assert path.read_text().startswith("value = 2")
        raise KeyboardInterrupt
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, time)
