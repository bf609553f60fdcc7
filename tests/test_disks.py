"""A full disk and a read-only folder, for every verb that writes: one line says so, and nothing is lost."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from kill_tests import contents
from references import EMBEDDED, GOLDEN

import hub2hf

Run = Callable[..., tuple[int, str, str]]
PROOF = ("verify", "--golden", GOLDEN, "folder", "--languages", "de", "--surfaces", "sentence-transformers")
# Every verb that writes, run beside `folder`, a converted model; what it makes goes into `made`, or into `folder`.
WRITERS: dict[str, tuple[object, ...]] = {
    "convert": ("convert", "lealla-mini", "made/out"),
    "an archive": ("inspect", "model.zip"),  # which is unpacked into the cache
    "verify": (*PROOF, "--report", "made"),
    "slim": ("slim", "folder", "made/out", "--languages", "de"),
    "export onnx": ("export", "folder", "onnx", "--dtype", "float16"),
    "export web": ("export", "folder", "web", "made/out"),
    "embed": ("embed", "folder", "texts.txt", "made/out.parquet"),
    "graph only": ("inspect", "lealla-mini", "--graph-only", "made/graph.pb"),
    "card": ("card", "folder", "--model", "mine.toml"),
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    start = tmp_path_factory.mktemp("start")
    hub2hf.convert("lealla-mini", start / "folder", onnx=True)
    shutil.make_archive(str(start / "model"), "zip", EMBEDDED)
    (start / "texts.txt").write_text("Hund\n犬\n" * 50, encoding="utf-8")
    (start / "mine.toml").write_text('title = "Mine"\n', encoding="utf-8")
    (start / "made").mkdir()
    return start


@pytest.fixture
def place(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which commands run, with what they need in it."""
    place = Path(shutil.copytree(start, tmp_path / "place"))
    monkeypatch.chdir(place)
    monkeypatch.setenv("HUB2HF_CACHE", str(place / "made" / "cache"))
    return place


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A limit on the size of files stands for a full disk; Python ignores the signal that comes with it.

    Python keeps nothing that it compiles meanwhile: cut byte code stays, and every later process that imports it fails.
    """
    before, kept = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = kept


def test_what_is_imported_on_a_full_disk_is_imported_again_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "long.py").write_text(f"WORD = {'a' * 999!r}")
    command = [sys.executable, "-c", "import long; print(len(long.WORD))"]
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(tmp_path)
    with no_file_larger_than(100):
        import_module("long")
    del sys.modules["long"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"999\n"


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """What permissions are for a user, a mount that is read-only is for root."""
    if os.geteuid():
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)
        return
    for command in (["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("verb", WRITERS)
def test_a_full_disk_is_told_in_one_line(verb: str, place: Path, run_hub2hf: Run) -> None:
    before = contents(place)
    with no_file_larger_than(100):
        code, out, said = run_hub2hf(*WRITERS[verb])
    assert (code, said.count("\n"), said[:8], "File too large" in said) == (2, 1, "hub2hf: ", True), said
    assert ("EXACT: sentence-transformers" in out) == (verb == "verify"), "the answer is not lost with the report"
    goes_on = re.compile(r"made/(\.out\.parquet\.hub2hf/.*|cache/archives/.*\.lock)")
    assert {name: data for name, data in contents(place).items() if not goes_on.fullmatch(name)} == before


@pytest.mark.parametrize("verb", WRITERS)
def test_a_read_only_folder_is_told_in_one_line(verb: str, place: Path, run_hub2hf: Run) -> None:
    before = contents(place)
    within = "folder" if verb in ("export onnx", "card") else "made"
    with read_only(place / within):
        code, out, said = run_hub2hf(*WRITERS[verb])
    assert (code, out, said.count("\n"), said[:8]) == (2, "", 1, "hub2hf: "), said
    assert re.search(r"Read-only file system|Permission denied|cannot be written to", said)
    assert contents(place) == before


def test_a_folder_that_is_read_only_is_verified_all_the_same(place: Path, run_hub2hf: Run) -> None:
    with read_only(place / "folder"):
        code, out, said = run_hub2hf(*PROOF)
    assert (code, "EXACT: sentence-transformers" in out) == (0, True)
    assert re.search(r"The result was not added to folder: .*(Read-only file system|Permission denied)", said)
