"""Questions to the file system that never raise."""

from __future__ import annotations

from pathlib import Path


def is_file(path: Path) -> bool:
    """Tell whether a regular file is there; False also when a folder above it may not be searched."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
