"""`hub2hf.json`: what the folder came from, what was read of it, and the SHA-256 of every file in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from hub2hf.errors import ExportError
from hub2hf.export.files import hash_file
from hub2hf.known_models import KnownModel

MANIFEST = "hub2hf.json"
VERSION = 1
CARD, PROOF, PICTURE = "README.md", "equivalence.json", "equivalence.png"
# What is said about a model may change after the conversion; a proof is of all the other files.
ABOUT = frozenset({CARD, PROOF, PICTURE})
MAX_BYTES = 1 << 62  # of a file
SHA256 = re.compile("[0-9a-f]{64}")
PARTS = {"source": dict, "blueprint": dict, "files": dict, "converter": dict, "identity": dict}
BLUEPRINT_PARTS = {"encoder": dict, "text": list, "mapping": list, "vocabulary": dict}


def new_manifest(
    source: dict[str, Any], blueprint: dict[str, Any], identity: dict[str, Any], files: dict[str, Any]
) -> dict[str, Any]:
    """Return the manifest of a folder.

    Args:
        source: its fingerprint, and the address that it was fetched from, if it was.
        blueprint: what was read.
        identity: sizes and vocabulary, by which a known model is recognised.
        files: name → bytes, sha256.
    """
    return {
        "version": VERSION,
        "converter": {"name": "hub2hf", "version": metadata.version("hub2hf")},
        "versions": {name: metadata.version(name) for name in ("numpy", "protobuf", "tokenizers")},
        "source": source,
        "identity": identity,
        "model": None,
        "blueprint": blueprint,
        "files": files,
    }


def name_model(manifest: dict[str, Any], model: KnownModel | None) -> None:
    """Write into the manifest which known model the folder holds, and by what that is known.

    Raises:
        ExportError: it is not that model.
    """
    if model is None:
        manifest["model"] = None
        return
    differences = model.differences(manifest["identity"])
    if differences:
        raise ExportError(
            f"This is not {model.title}: {', '.join(differences)}.", "Leave the model out, or name another."
        )
    evidence = ", ".join(f"{name} {value}" for name, value in model.must_be.items() if value)
    manifest["model"] = {**model.to_json(), "evidence": evidence}


def model_in(manifest: Mapping[str, Any]) -> KnownModel | None:
    """Return the known model that the folder holds, if it does."""
    return KnownModel.from_json(manifest["model"]) if manifest.get("model") else None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder that hub2hf made.

    Raises:
        ExportError: there is none, or it is not one.
    """
    path = folder / MANIFEST
    again = "Convert the model again: hub2hf convert SOURCE OUT."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        wrong = _wrong(content)
    except FileNotFoundError as error:
        raise ExportError(f"{folder} has no {MANIFEST}: hub2hf did not make it.", again) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ExportError(f"{path} cannot be read: {str(error)[:200] or type(error).__name__}.", again) from error
    if wrong:
        raise ExportError(f"{path} is not a manifest of version {VERSION}: {wrong}.", again)
    return dict(content)


def _wrong(content: Any) -> str:
    """Return what is wrong with the form of a manifest; "" if nothing is.

    Raises:
        KeyError, TypeError, ValueError: something in it is not what it should be.
    """
    if not isinstance(content, dict) or content.get("version") != VERSION:
        return "its version is another"
    for parts, where in ((PARTS, content), (BLUEPRINT_PARTS, content["blueprint"])):
        for name, kind in parts.items():
            if not isinstance(where[name], kind):
                return f"'{name}' is of another type"
    if not SHA256.fullmatch(content["source"]["fingerprint"]):
        return "the fingerprint is none"
    for name, entry in content["files"].items():
        if not _is_inside(name):
            return f"'{name[:80]}' is no file of a folder"
        size = entry["bytes"]
        if type(size) is not int or not 0 <= size < MAX_BYTES or not SHA256.fullmatch(entry["sha256"]):
            return f"size or hash of '{name[:80]}' is none"
    model_in(content)
    return ""


def _is_inside(name: str) -> bool:
    """Whether `name` is a plain path inside a folder, and not one that means something else to git or to hub2hf."""
    parts = name.lower().split("/")
    return not (
        set(parts) & {"", ".", "..", ".git", ".cache"} or set(name) & set('\\:\0"*?<>|') or name.lower() == MANIFEST
    )


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


def unknown_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Return the files that the manifest does not list, hidden ones apart: some change how the libraries load a folder."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return sorted(
        name
        for name in names - manifest["files"].keys() - {MANIFEST}
        if not any(part.startswith(".") for part in name.split("/"))
    )


def links(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Return the files that are links, as those of a cached copy are: what stands behind them is not the folder's own."""
    return [name for name in (MANIFEST, *manifest["files"]) if (folder / name).is_symlink()]


def proved_files(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return name → SHA-256 of the files that a proof is of: what is said about a model is not among them, nor ONNX."""
    return {n: e["sha256"] for n, e in manifest["files"].items() if n not in ABOUT and not n.startswith("onnx/")}
