"""`embed` and `verify` with `--engine ray` on a real Ray of two workers; run by `make ray`, in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hub2hf
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.errors import SourceError

pytestmark = pytest.mark.slow
ray: Any = import_module("ray") if find_spec("ray") else None  # only `make ray` has it, and runs what is slow

TEXTS = [sentence.text for sentence in language_sentences()]
WINDOW = 8


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    assert ray is not None, "Ray is not installed: run these by `make ray`"
    for last in (False, False, True):  # Ray gives itself 30 seconds, which a busy machine may not have
        try:
            ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
            break
        except Exception:
            ray.shutdown()
            if last:
                raise
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hub2hf.convert("lealla-mini", tmp_path_factory.mktemp("model") / "lealla-mini", onnx=True).out


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files, one of which has texts that are none."""
    place = tmp_path_factory.mktemp("corpus")
    pq.write_table(pa.table({"n": range(200), "text": [None, *TEXTS[1:200]]}), place / "a.parquet", row_group_size=30)
    (place / "b.txt").write_text("\n".join(TEXTS[200:]), encoding="utf-8")
    pq.write_table(pa.table({"text": TEXTS * 3}), place / "c.parquet")
    return place


def contents(place: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def expected(folder: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return what one machine makes."""
    out = tmp_path_factory.mktemp("expected") / "out"
    hub2hf.embed(folder, corpus, out, window=WINDOW)
    return contents(out)


def test_two_workers_make_what_one_machine_makes(
    folder: Path, corpus: Path, cluster: None, expected: dict[str, bytes], tmp_path: Path
) -> None:
    said: list[tuple[int, int]] = []
    out = tmp_path / "out"
    found = hub2hf.embed(
        folder, corpus, out, window=WINDOW, engine="ray", workers=2, progress=lambda *seen: said.append(seen)
    )
    assert contents(out) == expected
    assert (found.rows, found.failed) == (len(TEXTS) * 4, {"null": 1})
    assert [done for done, _ in said] == sorted({done for done, _ in said})
    assert said[-1] == (found.rows, found.rows)


def workers() -> list[int]:
    """Return the processes that hold our worker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_a_worker_that_is_killed_loses_nothing(
    folder: Path, corpus: Path, cluster: None, expected: dict[str, bytes], tmp_path: Path
) -> None:
    out, killed = tmp_path / "out", []

    def kill() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until and not list(out.glob(".hub2hf/*.arrow")):
            time.sleep(0.01)
        for worker in workers()[:1]:
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)

    thread = threading.Thread(target=kill)
    thread.start()
    hub2hf.embed(folder, corpus, out, window=WINDOW, engine="ray", workers=2)
    thread.join()
    assert len(killed) == 1
    assert contents(out) == expected


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen files, with texts that are none, and one that cannot be read."""
    place = tmp_path_factory.mktemp("sentences")
    for n in range(12):
        some = language_sentences()[n * 30 : n * 30 + 30]
        columns = {"text": [None, *(s.text for s in some)], "lang": [None, *(s.language for s in some)]}
        pq.write_table(pa.table(columns), place / f"{n:02}.parquet")
    (place / "05.parquet").write_bytes(b"no")
    return place


@pytest.fixture(scope="module")
def other(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's port with another activation."""
    place = Path(shutil.copytree(folder, tmp_path_factory.mktemp("other") / "port"))
    (place / "hub2hf.json").unlink()
    config = json.loads((place / "config.json").read_text(encoding="utf-8"))
    (place / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}), encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("name", "way"), [("folder", "onnx"), ("folder", "sentence-transformers"), ("other", "automodel")]
)
def test_two_workers_report_what_one_machine_reports(
    name: str, way: str, sentences: Path, cluster: None, request: pytest.FixtureRequest
) -> None:
    """In all numbers, failures and causes."""
    place = request.getfixturevalue(name)
    asked: dict[str, Any] = {"sentences": sentences, "surfaces": [way]}
    one = hub2hf.verify("lealla-mini", place, **asked)
    two = hub2hf.verify("lealla-mini", place, **asked, engine="ray", workers=2)
    assert replace(two, seconds=0) == replace(one, seconds=0)
    assert sum(row.sentences for row in two.rows) == 330
    assert list(two.unreadable) == [str(sentences / "05.parquet")]
    assert bool(two.causes) == bool(two.failures) == (name == "other")


def test_a_worker_that_is_killed_loses_no_sentence(sentences: Path, folder: Path, cluster: None) -> None:
    killed: list[int] = []

    def kill(done: int, total: int | None) -> None:
        for worker in workers()[:1] if not killed else ():
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)

    asked: dict[str, Any] = {"sentences": sentences, "surfaces": ["onnx"]}
    one = hub2hf.verify("lealla-mini", folder, **asked)
    two = hub2hf.verify("lealla-mini", folder, **asked, engine="ray", workers=2, progress=kill)
    assert len(killed) == 1
    assert replace(two, seconds=0) == replace(one, seconds=0)


def test_what_ray_began_one_machine_ends(
    folder: Path, corpus: Path, cluster: None, expected: dict[str, bytes], tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 300:
            raise Stop

    with pytest.raises((Stop, SourceError)):
        hub2hf.embed(folder, corpus, tmp_path / "out", window=WINDOW, engine="ray", workers=2, progress=stop)
    hub2hf.embed(folder, corpus, tmp_path / "out", window=WINDOW)
    assert contents(tmp_path / "out") == expected


def test_a_cluster_that_is_not_there_is_one_line(folder: Path, corpus: Path, tmp_path: Path) -> None:
    ray.shutdown()
    with pytest.raises(SourceError, match=re.escape("The connection to Ray was lost: ConnectionRefusedError")) as found:
        hub2hf.embed(folder, corpus, tmp_path / "out", engine="ray", address="127.0.0.1:1")
    assert "Run the same command again" in str(found.value)
