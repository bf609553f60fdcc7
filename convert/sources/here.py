"""Where in a folder of this machine a SavedModel is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hub2hf.errors import SourceError

SAVED_MODEL_FILE: Final = "saved_model.pb"


def model_folder(folder: Path) -> Path | None:
    """Return where the SavedModel is: the folder itself, or the one folder in it that holds one; None if there is none.

    Raises:
        SourceError: there are several.
    """
    if (folder / SAVED_MODEL_FILE).is_file():
        return folder
    found = sorted(path.parent for path in folder.glob(f"*/{SAVED_MODEL_FILE}") if path.is_file())
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:5])
        raise SourceError(f"{folder} holds {len(found)} SavedModels: {names}.", "Name the folder of one of them.")
    return found[0] if found else None
