"""A folder that appears complete or not at all: written beside its place under another name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock

from hub2hf.errors import ExportError
from hub2hf.folder.manifest import ABOUT, MANIFEST, read_manifest
from hub2hf.locks import held

OLD, LOCK = "-old", ".lock"
HALF_WRITTEN = re.compile(r"(.*/)?\.([^/]+)\.\d+")  # what is left where writing is killed
ADDING = ".hub2hf.lock"  # held while something is added to a folder, and left there where that is killed
ADDED = re.compile(r"onnx/model(_fp16)?\.onnx(_data)?")  # what then stands there already, and is not listed yet


def check_free(out: Path, force: bool, source: Path | None = None) -> None:
    """Refuse an `out` that would lose something.

    Raises:
        ExportError: `out` is a file, or a folder that is not empty and `force` is not given, or with it holds anything but
            what hub2hf wrote there; it holds `source`, or lies in it; or its path cannot be followed.
    """
    try:
        _check_free(out, force, source)
    except OSError as error:  # a folder above it that may not be searched, a name too long, no working directory
        raise _explained(error, out) from error


def _check_free(out: Path, force: bool, source: Path | None) -> None:
    place = Path(os.path.realpath(out))
    for what, kept in _in_use(source):
        if place in (kept, *kept.parents):
            raise ExportError(f"{out} is {what} itself, or contains it: {kept}.", "Name another folder.")
    if source is not None and Path(os.path.realpath(source)) in place.parents:
        raise ExportError(f"{out} is inside {source}, the source.", "Name a folder beside it.")
    if out.is_symlink() and not out.exists():
        raise ExportError(f"{out} is a broken link.", "Remove it, or name another folder.")
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out} is a file.", "Name a folder that does not exist yet.")
    if out.is_dir() and (others := sorted(_not_ours(out))):
        names = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if others[3:] else "")
        raise ExportError(
            f"{out} holds files that hub2hf did not write: {names}. Nothing was touched.",
            "Move them elsewhere, or name another folder: --force replaces only what hub2hf wrote.",
        )
    if out.is_dir() and any(out.iterdir()) and not force:
        raise ExportError(
            f"{out} exists and is not empty.",
            "Name another folder, or pass --force to replace it (in Python, force=True).",
        )


def _not_ours(out: Path) -> Iterator[str]:
    """Yield the files that the manifest does not list, and that no killed run of ours left; all where there is none."""
    manifest = read_manifest(out) if (out / MANIFEST).is_file() else None
    ours = {MANIFEST, *ABOUT, *manifest.files} if manifest else set()

    def written(name: str) -> bool:
        return name in ours or (manifest is not None and (name == ADDING or half_added(out, name)))

    for above, folders, files in os.walk(out):
        links = [name for name in folders if Path(above, name).is_symlink()]
        for name in (*files, *links):
            path = Path(above, name).relative_to(out).as_posix()
            half = HALF_WRITTEN.fullmatch(path)
            if not written(path) and not (half and written(f"{half[1] or ''}{half[2]}")):
                yield path


def half_added(out: Path, name: str) -> bool:
    """Whether a file is one that a run, killed since, was adding to a folder: its manifest does not tell of it yet."""
    return ADDED.fullmatch(name) is not None and (out / ADDING).is_file()


def _in_use(source: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield the source and the working directory, where there still is one, each with what it is."""
    if source is not None:
        yield "the source", Path(os.path.realpath(source))
    with contextlib.suppress(FileNotFoundError):
        yield "the working directory", Path.cwd()


@contextlib.contextmanager
def staged(out: Path, force: bool) -> Iterator[Path]:
    """Yield an empty folder beside `out`; rename it to `out` when the block ends well, remove it when it fails.

    What a killed run left behind is cleared first. With `force`, what `out` held is kept until the new folder is complete.

    Raises:
        ExportError: the place cannot be written, is full, or is taken.
    """
    out = Path(os.path.realpath(out))
    prefix = f".{out.name}.hub2hf-"
    work = out.parent / f"{prefix}{secrets.token_hex(4)}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(out, prefix)
        check_free(out, force)
        lock = work.with_name(f"{work.name}{LOCK}")  # marks it, under whatever name, as of a living process
        with held(lock, ExportError(f"{work} is taken.", "Run it again."), remove=True):
            work.mkdir()
            yield work
            _sync(work)
            _replace(work, out, force)
    except OSError as error:
        raise _explained(error, out) from error
    finally:  # from before the folder is made: a signal may come at any moment
        shutil.rmtree(work, ignore_errors=True)


def _explained(error: OSError, out: Path) -> ExportError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    step = "Free some space and run it again." if full else "Check the folder and its permissions."
    place = error.filename or out
    return ExportError(f"{out} cannot be written: {error.strerror or error} ({place}).", step)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from adding to `folder`, which stands, meanwhile.

    Raises:
        ExportError: another process is adding to it, or it cannot be written to.
    """
    with contextlib.ExitStack() as block:
        taken = ExportError(f"Another process is adding to {folder}.", "Wait for it, and run this again.")
        try:
            block.enter_context(held(folder / ADDING, taken, remove=True))
        except OSError as error:
            raise ExportError(f"{folder} cannot be written to: {error.strerror}.", "Check its permissions.") from error
        yield


def _clear_leftovers(out: Path, prefix: str) -> None:
    """Remove what killed runs left; if one was killed while it replaced `out`, bring back what `out` held."""
    found = [path.name for path in out.parent.glob(f"{_escaped(prefix)}*")]
    for name in sorted({name.removesuffix(LOCK).removesuffix(OLD) for name in found}):
        work, old = out.with_name(name), out.with_name(f"{name}{OLD}")
        lock = out.with_name(f"{name}{LOCK}")
        with contextlib.suppress(OSError, NotImplementedError), filelock.FileLock(lock, timeout=0):
            if old.is_dir() and not out.exists():
                old.rename(out)
            for left in (work, old):
                shutil.rmtree(left, ignore_errors=True)
            lock.unlink(missing_ok=True)


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
    old = out.parent / f"{work.name}{OLD}"
    try:
        out.rename(old)
        work.rename(out)
    finally:  # also when it is stopped between the two
        if old.is_dir() and not out.exists():
            old.rename(out)
        shutil.rmtree(old, ignore_errors=True)
