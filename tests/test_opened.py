"""A source: found, opened, read and hashed once, by the command and by whoever hands it from verb to verb."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from references import EMBEDDED

import hub2hf
from hub2hf.errors import GraphError, SourceError
from hub2hf.savedmodel.files import states
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.original import Original, _hashed

Run = Callable[..., tuple[int, str, str]]
# What is done to a source, where it is looked up.
DONE = {
    "found": "hub2hf.opened.resolve",
    "archive hashed": "hub2hf.sources.fetching.file_sha256",
    "opened": "hub2hf.savedmodel.model.SavedModel.open",
    "read": "hub2hf.blueprint.refused.refusal.read_blueprint",
    "file hashed": "hub2hf.savedmodel.original.hash_file",
}
FILES = sum(path.is_file() for path in EMBEDDED.rglob("*"))
ONCE = {"found": 1, "archive hashed": 1, "opened": 1}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counter[str]:
    """Count how often each thing is done; there is nothing in the cache."""
    monkeypatch.setenv("HUB2HF_CACHE", str(tmp_path / "cache"))
    counts: Counter[str] = Counter()
    for name, place in DONE.items():
        _count(monkeypatch, counts, name, place)
    return counts


def _count(monkeypatch: pytest.MonkeyPatch, counts: Counter[str], name: str, place: str) -> None:
    owner, _, attribute = place.rpartition(".")
    original = (
        SavedModel.open if owner.endswith("SavedModel") else getattr(__import__(owner, fromlist=["_"]), attribute)
    )

    def counting(*given: Any, **options: Any) -> Any:
        counts[name] += 1
        return original(*given, **options)

    monkeypatch.setattr(place, counting)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as file:
        file.add(EMBEDDED, ".")
    return tmp_path / "model.tar.gz"


@pytest.mark.parametrize(
    ("command", "rest"),
    [
        (("inspect", "SOURCE"), {"read": 1}),
        (("inspect", "SOURCE", "--json"), {"read": 1}),
        (("inspect", "SOURCE", "--graph-only", "GRAPH"), {}),
        (("convert", "SOURCE", "OUT"), {"read": 1, "file hashed": FILES}),
    ],
)
def test_the_command_does_everything_once(
    run_hub2hf: Run,
    counted: Counter[str],
    archive: Path,
    tmp_path: Path,
    command: tuple[str, ...],
    rest: dict[str, int],
) -> None:
    places = {"SOURCE": archive, "GRAPH": tmp_path / "graph.zip", "OUT": tmp_path / "out"}
    assert run_hub2hf(*(places.get(word, word) for word in command))[0] == 0
    assert counted == {**ONCE, **rest}


def test_a_refused_source_is_found_and_opened_once(
    run_hub2hf: Run, counted: Counter[str], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any, **options: Any) -> None:
        raise GraphError("This is refused.", "Report it.")

    monkeypatch.setattr("hub2hf.blueprint.refused.refusal.read_blueprint", refuse)
    code, said, error = run_hub2hf("inspect", archive)
    assert (code, "This is refused." in said, "This is refused." in error) == (2, True, True)
    assert counted == ONCE


def test_a_source_is_handed_from_verb_to_verb(counted: Counter[str], archive: Path, tmp_path: Path) -> None:
    source = hub2hf.Source.find(archive)
    assert counted == {"found": 1, "archive hashed": 1}, "it is opened when something is asked of it"
    blueprint = hub2hf.inspect(source)
    first, second = (hub2hf.convert(source, tmp_path / name) for name in ("a", "b"))
    hub2hf.graph_only(source, tmp_path / "graph.zip")
    assert blueprint is first.blueprint is second.blueprint
    assert first.manifest == second.manifest == hub2hf.convert(EMBEDDED, tmp_path / "c").manifest
    assert counted == {"found": 2, "archive hashed": 1, "opened": 2, "read": 2, "file hashed": 2 * FILES}


def test_verify_reads_the_blueprint_once(run_hub2hf: Run, counted: Counter[str], archive: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    source, few = hub2hf.Source.find(archive), {"languages": ["de"], "surfaces": ["automodel"]}
    out = hub2hf.convert(source, tmp_path / "out").out
    assert hub2hf.verify(source, out, **few).equivalent
    assert counted == {**ONCE, "read": 1, "file hashed": FILES}
    counted.clear()
    assert run_hub2hf("verify", archive, out, "--languages", "de", "--surfaces", "automodel")[0] == 0
    assert counted == {**ONCE, "read": 1, "file hashed": FILES}


def test_what_was_said_when_it_was_found_is_not_said_again(tmp_path: Path) -> None:
    source = hub2hf.Source.find(EMBEDDED)
    with pytest.raises(SourceError, match=r"was found already, without output\. Say it to Source\.find"):
        hub2hf.inspect(source, output="default")
    with pytest.raises(SourceError, match="without preprocessor, vocab"):
        hub2hf.convert(source, tmp_path / "out", preprocessor="p", vocab="v")


def test_it_is_read_for_the_output_of_a_folder_where_the_person_named_none() -> None:
    source = hub2hf.Source.find(EMBEDDED)
    assert source.read_for("") is source
    assert source.read_for("default:another") is source
    told = hub2hf.Source.find(EMBEDDED, output="default")
    assert told.read_for("default:default") is told
    other = source.read_for("default:default")
    assert (other.output, other.original) == ("default:default", source.original)
    assert other.blueprint is source.read_for("default:default").blueprint


def test_the_fingerprint_is_taken_once_by_threads_that_ask_together(counted: Counter[str]) -> None:
    original = Original(EMBEDDED)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: original.fingerprint, range(8)))
    assert all(each is found[0] for each in found)
    assert counted["file hashed"] == FILES


def test_files_that_are_hashed_beside_are_hashed_once_and_those_that_change_again(
    counted: Counter[str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(EMBEDDED, tmp_path / "model"))
    plain, one, other = (Original(folder) for _ in range(3))
    before = plain.fingerprint
    counted.clear()
    with ThreadPoolExecutor(1) as pool, one.hashed_beside(pool), other.hashed_beside(pool):
        assert one.fingerprint == before
        pool.submit(int).result()  # what was begun before has ended
        with (folder / "assets" / "vocab.txt").open("a") as file:
            file.write("more\n")
        found = other.fingerprint
        with one.hashed_beside(pool):
            assert one.fingerprint == before, "it is taken once"
    assert counted["file hashed"] == 2 * FILES + 1
    assert found == Original(folder).fingerprint != before


def test_what_never_ends_is_not_hashed_beside(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EMBEDDED, tmp_path / "model"))
    (folder / "assets" / "endless").symlink_to(os.devnull)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "assets" / "pipe")
    assert states(folder).keys() == {folder / path.relative_to(EMBEDDED) for path in states(EMBEDDED)}


def test_hashing_beside_ends_where_nobody_waits_for_it() -> None:
    stopping = threading.Event()
    assert len(_hashed([EMBEDDED], stopping)) == FILES
    stopping.set()
    assert _hashed([EMBEDDED], stopping) == {}
    begun, release = threading.Event(), threading.Event()
    original = Original(EMBEDDED)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: begun.set() or release.wait())
        with original.hashed_beside(pool):
            begun.wait()
        release.set()
        assert original.fingerprint == Original(EMBEDDED).fingerprint, "what was stopped is hashed when it is asked for"


def test_a_changed_file_gives_another_fingerprint(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EMBEDDED, tmp_path / "model"))
    plain = Original(folder).fingerprint
    alone = Original(folder, vocabulary=folder / "assets" / "vocab.txt").fingerprint
    beside = Original(folder, preprocessor=EMBEDDED).fingerprint
    assert set(alone["files"]) - set(plain["files"]) == {"vocabulary/vocab.txt"}
    assert {f"preprocessor/{name}" for name in plain["files"]} == set(beside["files"]) - set(plain["files"])
    with (folder / "assets" / "vocab.txt").open("a") as file:
        file.write("more\n")
    changed = Original(folder).fingerprint
    assert len({each["fingerprint"] for each in (plain, alone, beside, changed)}) == 4


def test_an_error_calls_a_source_as_the_person_did() -> None:
    with pytest.raises(SourceError, match=r"^lealla-mini takes text"):
        hub2hf.inspect("lealla-mini", vocab="absent.txt")
    with pytest.raises(SourceError, match=f"^{re.escape(str(EMBEDDED))} takes text"):
        hub2hf.inspect(EMBEDDED, vocab="absent.txt")
