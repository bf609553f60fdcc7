"""A cache of its own for each test, the network allowed, an impatient download, archives of the embedded model."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Served, serving
from references import EMBEDDED

from hub2hf.sources import download, kaggle, store

IMPATIENT = download.Policy(
    connect_seconds=2, stall_seconds=0.4, least_bytes=100, attempts=3, first_wait=0.01, longest_wait=1.5
)


ENDPOINTS = ("HUB2HF_TFHUB_ENDPOINT", "HUB2HF_KAGGLE_ENDPOINT")


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that holds every cache of the test."""
    for name in ("HF_HUB_OFFLINE", "HUB2HF_OFFLINE", "TFHUB_CACHE_DIR", "KAGGLEHUB_CACHE", *ENDPOINTS):
        monkeypatch.delenv(name, raising=False)
    caches = tmp_path / "caches"
    monkeypatch.setenv("HUB2HF_CACHE", str(caches / "hub2hf"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(caches / "kagglehub"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(download, "POLICY", IMPATIENT)
    for module in (store, kaggle):
        monkeypatch.setattr(module, "download", lambda *a, **k: download.download(*a, **{"policy": IMPATIENT, **k}))
    return caches


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, Served]]]:
    with serving() as started:
        yield started


def packed(prefix: str = "", form: str = "tar.gz", folder: Path = EMBEDDED) -> bytes:
    """Return an archive of a SavedModel, its names after `prefix`."""
    files = {f"{prefix}{p.relative_to(folder).as_posix()}": p for p in sorted(folder.rglob("*")) if p.is_file()}
    out = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in files.items():
                archive.write(path, name)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz" if form == "tar.gz" else "w") as tar:
        if prefix in ("", "./"):
            tar.add(folder, "./", recursive=False)
        for path in (
            sorted(folder.rglob("*")) if prefix != "model/" else files.values()
        ):  # with its folders, and without
            tar.add(path, f"{prefix}{path.relative_to(folder).as_posix()}", recursive=False)
    return out.getvalue()


@pytest.fixture(scope="session")
def tarball() -> bytes:
    return packed()


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
