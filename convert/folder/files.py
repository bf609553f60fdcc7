"""Files written whole or not at all, JSON with the same bytes for the same content, and hashes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hub2hf.errors import ExportError
from hub2hf.savedmodel.files import hash_file

__all__ = ["as_text", "check_own", "hash_bytes", "hash_file", "make_folder", "write_json", "write_whole"]

ANOTHER = "Name another file."
HEAD = 1 << 16  # bytes that tell whose a file is
WORTH_A_THREAD = 1 << 18  # bytes that take longer to hash than to hand over
WORTH_A_SYNC = 1 << 26  # bytes that the disk may begin with while more are written


def as_text(content: Any) -> str:
    """Return `content` as indented JSON with a final newline; half a surrogate pair is written as an escape."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode()


def write_json(path: Path, content: Any) -> None:
    """Write `content` as `as_text`; the folder of `path` is made if need be."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(as_text(content), encoding="utf-8", newline="\n")


def hash_bytes(data: bytes) -> dict[str, Any]:
    """Return the size and the SHA-256 of `data`, as `hash_file` does."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def files_in(folder: Path) -> list[str]:
    """Return the files in a folder and below it, as paths inside it, sorted."""
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]


def hash_files(folder: Path, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, dict[str, Any]]:
    """Return name → size and SHA-256 of the files in a folder; `known` has the SHA-256 of those that need no reading."""
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": known[name]}
        if name in known
        else hash_file(folder / name)
        for name in files_in(folder)
    }


def write_pieces(
    path: Path, pieces: Iterable[bytes | memoryview], busy: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Write a new file piece by piece and bring it to the disk; return its size and SHA-256, as `hash_file` does.

    The disk is kept busy from the start: it would take as long again if all were left to the end.

    Args:
        path: the file to create.
        pieces: its bytes.
        busy: asked at each piece whether other work goes on beside this. While none does, pieces that are large enough are
            hashed by a thread of its own: that takes as long as writing.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file, ThreadPoolExecutor(max_workers=2) as others:
        synced, syncing = 0, others.submit(lambda: None)
        for piece in pieces:
            if len(piece) < WORTH_A_THREAD or busy():
                digest.update(piece)
                size += file.write(piece)
            else:
                hashed = others.submit(digest.update, piece)
                size += file.write(piece)
                hashed.result()
            if size - synced >= WORTH_A_SYNC and syncing.done():
                syncing.result()  # a disk says once that it failed
                file.flush()
                synced, syncing = size, others.submit(os.fsync, file.fileno())
        syncing.result()
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": digest.hexdigest()}


def check_own(path: Path, is_ours: Callable[[bytes], bool], next_step: str = ANOTHER, *, force: bool) -> None:
    """See that what is to be written to `path` takes the place of nothing but what this package wrote there before.

    Args:
        path: the file.
        is_ours: tells this by the first bytes of a file, 64 KiB at most.
        next_step: what to do otherwise, as a sentence.
        force: whether that may go; somebody may have added to it.

    Raises:
        ExportError: something else is there, or `force` does not say that it may go, or it cannot be read.
    """
    if not os.path.lexists(path):
        return
    try:
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if is_ours(file.read(HEAD)):
                    if force:
                        return
                    step = f"{next_step.removesuffix('.')}, or replace it with --force (in Python, force=True)."
                    raise ExportError(f"{path} exists already.", step)
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror or error}.", next_step) from error
    raise ExportError(f"{path} exists already, and is not what hub2hf writes there.", next_step)


def write_whole(path: Path, data: bytes, next_step: str = "Name another folder for the reports.") -> None:
    """Write `data` beside `path` and rename it to `path`, so that nobody meets half a file.

    Args:
        path: the file.
        data: its content.
        next_step: what to do when it cannot be written, as a sentence.

    Raises:
        ExportError: it cannot be written.
    """
    work = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            work.write_bytes(data)
            work.replace(path)
        finally:
            work.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror or error}.", next_step) from error


def make_folder(folder: Path) -> None:
    """Make `folder` where it is not there.

    Raises:
        ExportError: it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"The folder {folder} for the reports cannot be made: {error.strerror or error}.", "Name another folder."
        ) from error
