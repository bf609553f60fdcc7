"""The asset files of a SavedModel, found without leaving its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.errors import FETCH_AGAIN, SourceError, VocabularyError
from hub2hf.limits import MAX_ASSETS, MAX_LINE_BYTES, MAX_VOCABULARY_BYTES, MAX_VOCABULARY_LINES
from hub2hf.savedmodel import messages

ASSETS_FOLDER: Final = "assets"  # kSavedModelAssetsDirectory, tensorflow/cc/saved_model/constants.h
ASSETS_COLLECTION: Final = "saved_model_assets"  # kSavedModelAssetsKey, ibid.; TF Hub v1 modules list them here


def read_assets(folder: Path, meta_graph: Any) -> dict[str, Path]:
    """Find the asset files that a MetaGraphDef names.

    Returns:
        Paths of existing files below ``folder/assets``, by the name of the tensor that holds them
        (``"Const:0"``).

    Raises:
        SourceError: a file is missing, or its name leads out of the folder; a tensor has two files.
    """
    assets: dict[str, Path] = {}
    for count, proto in enumerate(_declared(folder, meta_graph)):
        if count == MAX_ASSETS:
            raise SourceError(f"{folder} names more than {MAX_ASSETS} assets.", FETCH_AGAIN)
        tensor = str(proto.tensor_info.name)
        path = _asset_path(folder, str(proto.filename))
        if assets.setdefault(tensor, path) != path:
            raise SourceError(f"{folder} gives the tensor {tensor} two assets.", FETCH_AGAIN)
    return assets


def check_vocabulary(path: Path) -> None:
    """Look at a vocabulary before it is read into memory.

    Raises:
        VocabularyError: it is too large, or has too long a line.
    """
    try:
        size = path.stat().st_size
        if size > MAX_VOCABULARY_BYTES:
            raise VocabularyError(f"{path} has {size} bytes, too many for a vocabulary.", FETCH_AGAIN)
        with path.open("rb") as file:
            content = file.read(MAX_VOCABULARY_BYTES + 1)
    except OSError as error:
        raise VocabularyError(f"{path} cannot be read: {error.strerror}.", FETCH_AGAIN) from None
    if np.count_nonzero(np.frombuffer(content, np.uint8) == ord("\n")) > MAX_VOCABULARY_LINES:
        raise VocabularyError(f"{path} has more than {MAX_VOCABULARY_LINES} lines.", FETCH_AGAIN)
    start = 0  # of a line; from the last end of a line within reach of it the next look goes on
    while len(content) - start >= MAX_LINE_BYTES:
        end = content.rfind(b"\n", start, start + MAX_LINE_BYTES)
        if end < 0:
            number = content.count(b"\n", 0, start) + 1
            raise VocabularyError(f"{path}: line {number} is longer than any piece.", FETCH_AGAIN)
        start = end + 1


def _declared(folder: Path, meta_graph: Any) -> Iterator[Any]:
    yield from meta_graph.asset_file_def
    collection = meta_graph.collection_def.get(ASSETS_COLLECTION)
    for item in collection.any_list.value if collection is not None else ():
        try:
            yield messages.parse("AssetFileDef", item.value)
        except messages.MalformedMessage as error:
            raise SourceError(f"The list of assets of {folder} is malformed: {error}.", FETCH_AGAIN) from None


def _asset_path(folder: Path, filename: str) -> Path:
    parts = filename.replace("\\", "/").split("/")
    if not filename.isprintable() or ":" in filename or any(part in ("", ".", "..") for part in parts):
        raise SourceError(f"{folder} names the asset {filename!r}, which is not among its assets.", FETCH_AGAIN)
    path = folder / ASSETS_FOLDER / filename
    try:
        resolved, inside = path.resolve(), (folder / ASSETS_FOLDER).resolve()
        found = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise SourceError(f"The asset {path} cannot be read: {error}.", FETCH_AGAIN) from None
    if not resolved.is_relative_to(inside):
        raise SourceError(f"The asset {path} is a link to {resolved}, outside of {inside}.", FETCH_AGAIN)
    if not found:
        raise SourceError(f"The asset {path} is missing.", FETCH_AGAIN)
    return path
