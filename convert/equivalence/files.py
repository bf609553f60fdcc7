"""Files of reports and recordings, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from convert.errors import ExportError


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
