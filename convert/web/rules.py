"""The text side of a folder, read back from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from hub2hf.blueprint.text import SentencePiece, TextBlueprint, TextOperation
from hub2hf.errors import ExportError
from hub2hf.folder.manifest import MANIFEST

PIECES = SentencePiece.__name__


def check_by_words(folder: Path, blueprint: Mapping[str, Any]) -> None:
    """Refuse a folder whose text is not cut by WordPiece.

    Raises:
        ExportError: a SentencePiece model cuts it.
    """
    if any(isinstance(entry, Mapping) and entry.get("operation") == PIECES for entry in blueprint.get("text") or ()):
        raise ExportError(
            f"{folder} uses a SentencePiece model: it can be neither made slim nor exported for the browser.",
            "Use the whole folder, or its ONNX file: hub2hf export FOLDER onnx",
        )


KINDS = {kind.__name__: kind for kind in get_args(TextOperation)}


def text_of(blueprint: Mapping[str, Any], vocabulary: Path) -> TextBlueprint:
    """Return the text side that the folder was compiled of.

    Args:
        blueprint: what the folder's manifest says was read.
        vocabulary: its `vocab.txt`.

    Raises:
        ExportError: the manifest names an operation that is not known, or not as it is known.
    """
    try:
        operations = tuple(_operation(entry) for entry in blueprint["text"])
        return TextBlueprint(
            operations,
            vocabulary,
            blueprint["vocabulary"]["evidence"],
            blueprint["text_origin"],
            blueprint.get("text_rules", ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ExportError(
            f"The text operations in {MANIFEST} cannot be read: {error!r}.",
            "Convert the model again with this version: hub2hf convert SOURCE OUT",
        ) from error


def _operation(entry: Mapping[str, Any]) -> TextOperation:
    kind = KINDS[entry["operation"]]
    values = {field.name: entry[field.name] for field in fields(kind)}
    if not all(isinstance(value, str | int | list) for value in values.values()):
        raise TypeError(f"{entry['operation']} of {values}")
    operation: TextOperation = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    return operation
