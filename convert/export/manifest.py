"""`hub2hf.json`: what the folder came from, what was read of it, and the SHA-256 of every file in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from convert.errors import ExportError
from convert.export.files import hash_file

MANIFEST = "hub2hf.json"
VERSION = 1
CARD, PROOF, PICTURE = "README.md", "equivalence.json", "equivalence.png"
# What is said about a model may change after the conversion; a proof is of all the other files.
ABOUT = frozenset({CARD, PROOF, PICTURE})


def new_manifest(
    source: dict[str, Any], blueprint: dict[str, Any], model: dict[str, Any] | None, files: dict[str, Any]
) -> dict[str, Any]:
    """Return the manifest of a folder with `files` (name → bytes, sha256), of the known `model` if it is one."""
    return {
        "version": VERSION,
        "converter": {"name": "hub2hf", "version": metadata.version("hub2hf")},
        "versions": {name: metadata.version(name) for name in ("numpy", "protobuf", "tokenizers")},
        "source": source,
        "model": model,
        "blueprint": blueprint,
        "files": files,
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder that hub2hf made.

    Raises:
        ExportError: there is none, or it is not one.
    """
    path = folder / MANIFEST
    again = "Convert the model again: hub2hf convert SOURCE OUT."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        proper = isinstance(content, dict) and all(_is_entry(*item) for item in content["files"].items())
        proper = proper and isinstance(content["source"]["fingerprint"], str)
        proper = proper and all(isinstance(content["blueprint"][key], kind) for key, kind in BLUEPRINT)
        proper = proper and isinstance(content.get("model"), dict | None)
    except FileNotFoundError as error:
        raise ExportError(f"{folder} has no {MANIFEST}: hub2hf did not make it.", again) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ExportError(f"{path} cannot be read: {error!r}.", again) from error
    if not proper or content.get("version") != VERSION:
        raise ExportError(f"{path} is not a manifest of version {VERSION}.", again)
    return dict(content)


BLUEPRINT = (("encoder", dict), ("text", list), ("mapping", list), ("vocabulary", dict))


def _is_entry(name: Any, entry: Any) -> bool:
    """Whether `name` is a path inside the folder and `entry` says its size and hash."""
    parts = name.split("/")
    inside = not set(parts) & {"", ".", ".."} and "\\" not in name and ":" not in name and name != MANIFEST
    return inside and isinstance(entry["bytes"], int) and isinstance(entry["sha256"], str)


def problems(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return name → what is wrong, of the files that are no longer what the manifest says.

    Raises:
        ExportError: a file cannot be read.
    """
    found = {}
    for name, entry in manifest["files"].items():
        path = folder / name
        try:
            if not path.is_file():
                found[name] = "is missing"
            elif path.stat().st_size != entry["bytes"]:
                found[name] = f"has {path.stat().st_size:,} bytes, not {entry['bytes']:,}"
            elif hash_file(path) != entry:
                found[name] = "has other bytes"
        except OSError as error:
            raise ExportError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    return found


def proved_files(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return name → SHA-256 of the files that a proof is of."""
    return {name: entry["sha256"] for name, entry in manifest["files"].items() if name not in ABOUT}
