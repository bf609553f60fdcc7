"""Questions to the file system: one that never raises, and what a file holds."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

# Bytes that are hashed at a time: a thread of Python waits for the others after each piece.
PIECE: Final = 4 << 20
SAVED_MODEL_FILE: Final = "saved_model.pb"  # tensorflow/cc/saved_model/constants.h

State = tuple[int, int, int]  # what tells a file from a later one of its name: inode, size, when it was written


def is_file(path: Path) -> bool:
    """Tell whether a regular file is there; False also when a folder above it may not be searched."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def states(folder: Path) -> dict[Path, State]:
    """Return the files that a SavedModel in a folder may be made of, each with its state; pipes and devices are none."""
    paths = (folder / SAVED_MODEL_FILE, *folder.glob("variables/*"), *folder.glob("assets/**/*"))
    return {path: state for path in paths if (state := state_of(path)) is not None}


def state_of(path: Path) -> State | None:
    """Return the state of a file; None where there is none."""
    with contextlib.suppress(OSError):
        told = path.stat()
        if S_ISREG(told.st_mode):
            return told.st_ino, told.st_size, told.st_mtime_ns
    return None


def hash_file(path: Path, check: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file; `check` is called for each piece of it, and may raise."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(PIECE))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            check()
            digest.update(buffer[:count])
        return {"bytes": file.tell(), "sha256": digest.hexdigest()}
