"""From what a person names to a SavedModel folder on this machine."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from convert.errors import SourceError

EMBEDDED = ("lealla-mini",)
MODELS = Path(str(resources.files("convert"))) / "models"


def resolve(source: str | Path) -> Path:
    """Return the SavedModel folder that `source` names.

    Args:
        source: a folder, or the name of a model embedded in the package (`lealla-mini`). A folder of that name wins.

    Raises:
        SourceError: there is no such folder or model, or the path cannot be followed.
    """
    folder = Path(source)
    try:
        found, is_file = folder.is_dir(), folder.is_file()
    except OSError as error:  # a folder above it that may not be searched, or a name too long
        raise SourceError(
            f"{source} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    if found:
        return folder
    if str(source) in EMBEDDED:
        return MODELS / str(source)
    if is_file:
        raise SourceError(f"{source} is a file.", "Name the folder that holds saved_model.pb; unpack an archive first.")
    names = ", ".join(EMBEDDED)
    raise SourceError(f"{source} is neither a folder nor a known model ({names}).", "Check the path or the name.")


def recording_of(name: str) -> Path:
    """Return the recording of TensorFlow that is embedded beside the model `name` of `EMBEDDED`."""
    return MODELS / f"{name}.golden.safetensors"
