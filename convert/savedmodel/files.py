"""Questions to the file system: one that never raises, and what a file holds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

# Bytes that are hashed at a time: a thread of Python waits for the others after each piece.
PIECE: Final = 4 << 20


def is_file(path: Path) -> bool:
    """Tell whether a regular file is there; False also when a folder above it may not be searched."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def hash_file(path: Path) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(PIECE))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
        return {"bytes": file.tell(), "sha256": digest.hexdigest()}
