"""Folders of the caches: made whole under another name and then renamed, by one process at a time."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from hub2hf.errors import SourceError
from hub2hf.locks import held
from hub2hf.notices import Progress
from hub2hf.sources.archive import unpack
from hub2hf.sources.download import download
from hub2hf.sources.here import model_folder

LOCK_SECONDS: Final = 4 * 3600.0  # another process may be fetching a large model over a bad connection


def cached(folder: Path) -> Path | None:
    """Return the SavedModel in a folder of a cache; None when the folder is not there or holds none."""
    return model_folder(folder) if folder.is_dir() else None


def fetched(
    folder: Path, named: str, url: str, sha256: str, progress: Progress | None, *, marker: Path | None = None
) -> Path:
    """Return the SavedModel of the archive at `url`, from `folder` or else fetched and unpacked there.

    Args:
        folder: its place in a cache.
        named: the address as a person gives it; the key of the cache was made of it.
        url: where the archive is.
        sha256: what the archive must have, or "".
        progress: see `download`.
        marker: a file that says of `folder` that it is whole; without it what is there is not, and is replaced.

    Raises:
        MovedToKaggle, NotAllowed: see `download`.
        SourceError: it cannot be fetched, is not what was promised, or is no archive of a SavedModel.
    """

    def fill(work: Path) -> str:
        part = _beside(folder, "part")
        found = download(url, part, sha256=sha256, progress=progress)
        try:
            unpack(part, work)
        except SourceError as error:
            raise SourceError(error.problem.replace(str(part), url), error.next_step) from None
        _remove(part)
        return found

    return _made(folder, named, fill, marker)


def unpacked(folder: Path, archive: Path, sha256: str) -> Path:
    """Return the SavedModel of an archive of this machine, unpacked in `folder`.

    Raises:
        SourceError: it is no archive of a SavedModel.
    """

    def fill(work: Path) -> str:
        unpack(archive, work)
        return sha256

    return _made(folder, str(archive.absolute()), fill)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of one folder of a cache; the operating system gives it back when a process is killed.

    The name is not that of tensorflow_hub's own lock, which is a file that counts by being there.

    Raises:
        SourceError: another process holds it for hours.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = _beside(folder, "lock")
    taken = SourceError(
        f"Another process has been fetching {folder} for {LOCK_SECONDS / 3600:.0f} hours.",
        "End it, and run the same command again.",
    )
    with held(lock, taken, seconds=LOCK_SECONDS):
        yield


def _made(folder: Path, named: str, fill: Callable[[Path], str], marker: Path | None = None) -> Path:
    """Return the SavedModel in `folder`, made by `fill` (which gives the archive's SHA-256) if it is not there yet."""
    try:
        with alone(folder):
            found = cached(folder)
            if found is not None and (marker is None or marker.is_file()):
                return found
            for left in folder.parent.glob(f".{folder.name}.hub2hf-*"):  # of runs that were killed: we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            work = _beside(folder, secrets.token_hex(4))
            work.mkdir()
            try:
                digest = fill(work)
                if model_folder(work) is None:
                    raise SourceError(
                        f"The archive {named} holds no SavedModel: no saved_model.pb in it or one folder down.",
                        "Check that it is the archive of a TensorFlow SavedModel.",
                    )
                _describe(folder, named, digest)
                _sync(work)
                shutil.rmtree(
                    folder, ignore_errors=True
                )  # a folder without a model or half of one: of no use to anyone
                if marker is not None:
                    marker.touch()  # without its folder it says nothing
                work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            return model_folder(folder) or folder
    except OSError as error:
        place = error.filename or folder
        raise SourceError(
            f"The cache cannot be written: {error.strerror or error} ({place}).",
            "Free some space, check the permissions, or name another folder (HUB2HF_CACHE, TFHUB_CACHE_DIR).",
        ) from error


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name}.hub2hf-{ending}" if len(ending) == 8 else f".{folder.name}.{ending}")


def _describe(folder: Path, named: str, sha256: str) -> None:
    """Write the descriptor that tensorflow_hub keeps beside a module (resolver.py), with the archive's SHA-256 as well."""
    now = datetime.datetime.now(datetime.UTC).isoformat(sep=" ", timespec="seconds")
    text = (
        f"Module: {named}\nDownload Time: {now}\nDownloader Hostname: {socket.gethostname()} (PID:{os.getpid()})\n"
        f"SHA-256: {sha256}\n"
    )
    folder.with_name(f"{folder.name}.descriptor.txt").write_text(text, encoding="utf-8")


def described(folder: Path) -> str:
    """Return the address that the descriptor of a folder names; "" when there is none."""
    try:
        first = folder.with_name(f"{folder.name}.descriptor.txt").read_text(encoding="utf-8").splitlines()[:1]
    except (OSError, ValueError):
        return ""
    return first[0].removeprefix("Module: ") if first and first[0].startswith("Module: ") else ""


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Bring the files to the disk before the rename: a power cut must not leave names without contents."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
