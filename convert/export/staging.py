"""A folder that appears complete or not at all: written beside its place under another name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: leftovers of a killed run are then left to the user
    fcntl = None  # type: ignore[assignment]

from convert.errors import ExportError

LOCK = ".lock"


def check_free(out: Path, force: bool, source: Path | None = None) -> None:
    """Refuse an `out` that would lose something.

    Raises:
        ExportError: `out` is a file, or a folder that is not empty and `force` is not given, or holds `source`.
    """
    for kept in (Path.cwd(), *(() if source is None else (source.resolve(),))):
        if out.resolve() in (kept, *kept.parents):
            raise ExportError(f"{out} is or holds {kept}, which is in use.", "Name another folder.")
    if out.is_symlink() and not out.exists():
        raise ExportError(f"{out} is a broken link.", "Remove it, or name another folder.")
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out} is a file.", "Name a folder that does not exist yet.")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise ExportError(f"{out} exists and is not empty.", "Name another folder, or pass --force to replace it.")


@contextlib.contextmanager
def staged(out: Path, force: bool) -> Iterator[Path]:
    """Yield an empty folder beside `out`; rename it to `out` when the block ends well, remove it when it fails.

    What a killed run left behind is removed first. With `force`, what `out` held is kept until the new folder is complete.

    Raises:
        ExportError: the place cannot be written, is full, or is taken.
    """
    out = Path(os.path.realpath(out))
    check_free(out, force)
    prefix = f".{out.name}.hub2hf-"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out.parent, prefix)
        work = out.parent / f"{prefix}{secrets.token_hex(4)}"
        work.mkdir()
    except OSError as error:
        raise _explained(error, out) from error
    try:
        with _held(work):
            yield work
            _sync(work)
        _replace(work, out, force)
    except OSError as error:
        raise _explained(error, out) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _explained(error: OSError, out: Path) -> ExportError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    step = "Free some space and run it again." if full else "Check the folder and its permissions."
    place = error.filename or out
    return ExportError(f"{out} cannot be written: {error.strerror or error} ({place}).", step)


@contextlib.contextmanager
def _held(work: Path) -> Iterator[None]:
    """Mark `work` as in use by a living process, which the operating system forgets when it dies."""
    with (work / LOCK).open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    (work / LOCK).unlink()


def _remove_leftovers(parent: Path, prefix: str) -> None:
    for left in parent.glob(f"{_escaped(prefix)}*"):
        if fcntl is None or not left.is_dir():
            continue
        with contextlib.suppress(OSError), (left / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)


def _escaped(text: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _sync(work: Path) -> None:
    """Bring every file to the disk before the rename, so that a power cut cannot leave names without contents."""
    for path in sorted(work.rglob("*")):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _replace(work: Path, out: Path, force: bool) -> None:
    check_free(out, force)
    if not out.is_dir() or not any(out.iterdir()):
        if out.is_dir():
            out.rmdir()
        work.rename(out)
        return
    old = out.parent / f"{work.name}-old"
    out.rename(old)
    try:
        work.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
