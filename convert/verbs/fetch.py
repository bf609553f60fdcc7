"""The verb `fetch`: a source, brought to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hub2hf.names import check_paths

if TYPE_CHECKING:
    from hub2hf.notices import Progress


def fetch(source: str | Path, *, progress: Progress | None = None) -> Path:
    """Bring a source to this machine, as every other verb does first, and return its SavedModel folder.

    Args:
        source: a folder, an archive, a known model's name, an address or a Kaggle handle; see `hub2hf.sources.resolve`.
        progress: called with (bytes here so far, bytes in all or None) while fetching.

    Raises:
        Hub2HFError: there is no such source, it cannot be fetched, or it holds no SavedModel.
    """
    from hub2hf.sources import resolve

    check_paths(source=source)
    return resolve(source, progress=progress)
