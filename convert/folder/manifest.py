"""`hub2hf.json`: what the folder came from, what was read of it, and the SHA-256 of every file in it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from hub2hf.errors import ExportError
from hub2hf.extras import upgrade
from hub2hf.folder.files import as_text, files_in, hash_file
from hub2hf.known_models import KnownModel

MANIFEST = "hub2hf.json"
VERSION = 2  # 1 was that of hub2hf 0.1.0; it is read, and becomes 2 when card or proof are written again
CARD, PROOF, PICTURE = "README.md", "equivalence.json", "equivalence.png"
# What is said about a model may change after the conversion; a proof is of all the other files.
ABOUT = frozenset({CARD, PROOF, PICTURE})
MISSING = "is missing"
BROWSER = "hub2hf.mjs"  # a file of folders that were written for the browser, and of no others
MAX_BYTES = 1 << 62  # of a file
SHA256 = re.compile("[0-9a-f]{64}")
PARTS = {"source": dict, "blueprint": dict, "files": dict, "converter": dict, "identity": dict}
BLUEPRINT_PARTS = {"encoder": dict, "text": list, "mapping": list, "vocabulary": dict}
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
CHECK_PERMISSIONS = "Check its permissions."
AGAIN = "Convert the model again: hub2hf convert SOURCE OUT"

FileEntry = dict[str, Any]  # bytes: int; sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of `hub2hf.json`.

    Attributes:
        converter: name and version of what made the folder.
        versions: name → version of the libraries that it was made with.
        source: the fingerprint, name → bytes and SHA-256 of the files that it is of, and the address that the source was
            fetched from, if it was.
        identity: sizes and vocabulary, by which a known model is recognised.
        model: the known model that the folder holds, if it does.
        evidence: by what that is known.
        blueprint: what was read, each value with its evidence, as JSON data.
        files: name → bytes and SHA-256 of every file of the folder but this one.
        changed: those that were changed by hand since, and published all the same.
        slim: of a folder with a part of the vocabulary: the whole one, the rules, what went; None of a whole one.
        lossy: of a folder with coarser numbers: how they are kept, its limits, what was measured; None of an exact one.
        evaluations: what was measured of retrieval, each with the files that it is of.
        repository: OWNER/NAME that the folder was last published as; "" where it was not.
    """

    source: Mapping[str, Any]
    blueprint: Mapping[str, Any]
    identity: Mapping[str, Any]
    files: Mapping[str, FileEntry]
    converter: Mapping[str, str]
    versions: Mapping[str, str]
    model: KnownModel | None = None
    evidence: str = ""
    changed: tuple[str, ...] = ()
    repository: str = ""
    slim: Mapping[str, Any] | None = None
    lossy: Mapping[str, Any] | None = None
    evaluations: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def new(
        cls,
        source: Mapping[str, Any],
        blueprint: Mapping[str, Any],
        identity: Mapping[str, Any],
        files: Mapping[str, FileEntry],
    ) -> Manifest:
        """Return the manifest of a folder that this version makes, of no known model yet."""
        converter = {"name": "hub2hf", "version": metadata.version("hub2hf")}
        versions = {name: metadata.version(name) for name in ("numpy", "protobuf", "tokenizers")}
        return cls(source, blueprint, identity, files, converter, versions)

    @property
    def fingerprint(self) -> str:
        """That of the SavedModel that the folder was made from."""
        return str(self.source["fingerprint"])

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that it is for, as far as is known: of a slim folder those that it was kept for."""
        if self.slim:
            return tuple(self.slim["languages"])
        return self.model.card.languages if self.model else ()

    @property
    def made_from(self) -> str:
        """The output of the SavedModel that it was made from, as SIGNATURE:NAME."""
        told = self.blueprint["signature"]
        return f"{told['name']}:{told['output']}"

    @property
    def text_rules(self) -> str:
        """The text rules that were asked for; "" for the usual ones, and where a graph has its own."""
        return str(self.blueprint.get("text_rules", ""))

    def named(self, model: KnownModel | None) -> Manifest:
        """Return it as that of a known model, with the evidence.

        Raises:
            ExportError: it is not that model.
        """
        if model is None:
            return replace(self, model=None, evidence="")
        differences = model.differences(self.identity)
        if differences:
            raise ExportError(
                f"This is not {model.title}: {', '.join(differences)}.", "Leave the model out, or name another."
            )
        return replace(
            self, model=model, evidence=", ".join(f"{name} {value}" for name, value in model.must_be.items() if value)
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "version": VERSION,
            "converter": dict(self.converter),
            "versions": dict(self.versions),
            "source": dict(self.source),
            "identity": dict(self.identity),
            "model": {**self.model.to_json(), "evidence": self.evidence} if self.model else None,
            "blueprint": dict(self.blueprint),
            "files": dict(self.files),
            **({"slim": dict(self.slim)} if self.slim else {}),
            **({"lossy": dict(self.lossy)} if self.lossy else {}),
            **({"evaluations": list(self.evaluations)} if self.evaluations else {}),
            **({"changed": list(self.changed)} if self.changed else {}),
            **({"repository": self.repository} if self.repository else {}),
        }

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return as_text(self.to_json()).encode()

    @classmethod
    def from_json(cls, content: Any) -> Manifest:
        """Return what `to_json` gave, here or in version 0.1.0 of hub2hf.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is not that; says why where it can.
        """
        wrong = _wrong(content)
        if wrong:
            raise ValueError(wrong)
        model = content.get("model")
        return cls(
            source=content["source"],
            blueprint=content["blueprint"],
            identity=content["identity"],
            files=content["files"],
            converter=content["converter"],
            versions=content.get("versions", {}),
            model=KnownModel.from_json(model) if model else None,
            evidence=model["evidence"] if model else "",
            changed=tuple(map(str, content.get("changed", ()))),
            repository=content.get("repository") or "",
            slim=content.get("slim") or None,
            lossy=content.get("lossy") or None,
            evaluations=tuple(content.get("evaluations") or ()),
        )


def check_for_python(folder: Path) -> None:
    """Refuse a folder that was written for the browser: no library of Python can read its `tokenizer.json`.

    Raises:
        ExportError: it was.
    """
    if (folder / BROWSER).is_file():
        raise ExportError(
            f"{folder} was written for the browser, and its tokenizer.json is for JavaScript alone.",
            "Name the folder that it was made from.",
        )


def manifest_for_python(folder: Path) -> Manifest:
    """Return the manifest of a folder that hub2hf made, and that Python's libraries load.

    Raises:
        ExportError: as `check_for_python` and `read_manifest`.
    """
    check_for_python(folder)
    return read_manifest(folder)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder that hub2hf made.

    Raises:
        ExportError: there is none, it is not one, or a later version of hub2hf wrote it.
    """
    path = folder / MANIFEST
    step = "Name a folder that hub2hf made, or make one: hub2hf convert SOURCE OUT"
    try:
        if not folder.is_dir():
            raise ExportError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}.", step)
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and _is_later(content.get("version")):
            raise ExportError(
                f"{path} has the format version {content['version']}, and this hub2hf reads versions up to {VERSION}.",
                upgrade(),
            )
        return Manifest.from_json(content)
    except FileNotFoundError as error:
        raise ExportError(f"{folder} has no {MANIFEST}: hub2hf did not make it.", step) from error
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception, step: str = AGAIN) -> ExportError:
    """Return the error of a file of a folder that raised one of UNREADABLE; `step` mends it where it is damaged."""
    denied = isinstance(error, PermissionError)
    return ExportError(f"{path} {what_is_wrong(error)}.", CHECK_PERMISSIONS if denied else step)


def what_is_wrong(error: Exception) -> str:
    """Return what one of UNREADABLE says of the file that raised it, as the rest of a sentence about that file."""
    match error:
        case OSError():
            return f"cannot be read: {error.strerror}"
        case UnicodeDecodeError():
            why = "it is not UTF-8"
        case json.JSONDecodeError(doc=text) if not text.strip():
            why = "it is empty"
        case json.JSONDecodeError(lineno=line, colno=column):
            why = f"it is no JSON, at line {line}, column {column}"
        case KeyError():
            why = f"it has no {error}"
        case TypeError() | AttributeError() if "object" in str(error):  # in Python's words, not in ours
            why = "a value in it is of another type"
        case _:
            why = str(error)[:200] or type(error).__name__
    return f"is damaged: {why}"


def _is_later(version: Any) -> bool:
    return type(version) is int and version > VERSION


def listed(text: str) -> dict[str, FileEntry]:
    """Return name → bytes and SHA-256 of the files that a manifest of any version lists; nothing where it is no manifest."""
    try:
        files = json.loads(text)["files"]
        return {name: entry for name, entry in files.items() if {"bytes", "sha256"} <= entry.keys()}
    except UNREADABLE:
        return {}


def _wrong(content: Any) -> str:
    """Return what is wrong with the form of a manifest; "" if nothing is.

    Raises:
        KeyError, TypeError, ValueError: something in it is not what it should be.
    """
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is not int or not 1 <= version <= VERSION:
        return "it says no format version that there is"
    for parts, where in ((PARTS, content), (BLUEPRINT_PARTS, content["blueprint"])):
        for name, kind in parts.items():
            if not isinstance(where[name], kind):
                return f"'{name}' is of another type"
    if not SHA256.fullmatch(content["source"]["fingerprint"]):
        return "the fingerprint is not a SHA-256"
    return next(filter(None, (_wrong_file(name, entry) for name, entry in content["files"].items())), "")


def _wrong_file(name: str, entry: FileEntry) -> str:
    if not _is_inside(name):
        return f"'{name[:80]}' is not a file inside the folder"
    size = entry["bytes"]
    if type(size) is not int or not 0 <= size < MAX_BYTES or not SHA256.fullmatch(entry["sha256"]):
        return f"the size or hash of '{name[:80]}' is malformed"
    return ""


def _is_inside(name: str) -> bool:
    """Whether `name` is a plain path inside a folder, and not one that means something else to git or to hub2hf."""
    parts = name.lower().split("/")
    return not (
        set(parts) & {"", ".", "..", ".git", ".cache"} or set(name) & set('\\:\0"*?<>|') or name.lower() == MANIFEST
    )


def problems(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Return name → what is wrong, of the files that are no longer what the manifest says.

    Raises:
        ExportError: a file cannot be read.
    """
    found = {}
    for name, entry in manifest.files.items():
        path = folder / name
        try:
            if not path.is_file():
                found[name] = MISSING
            elif path.stat().st_size != entry["bytes"]:
                found[name] = f"has {path.stat().st_size:,} bytes, not {entry['bytes']:,}"
            elif hash_file(path) != entry:
                found[name] = "has other bytes"
        except OSError as error:
            raise ExportError(f"{path} cannot be read: {error.strerror}.", CHECK_PERMISSIONS) from error
    return found


def check_unchanged(folder: Path, manifest: Manifest, but: Collection[str] = ()) -> None:
    """Refuse a folder whose files are no longer what its manifest says; what is said about the model may change.

    Args:
        folder, manifest: of it.
        but: the names of files that do not matter either.

    Raises:
        ExportError: names the first file that is not, or cannot be read.
    """
    files = {name: entry for name, entry in manifest.files.items() if name not in ABOUT and name not in but}
    for name, what in problems(folder, replace(manifest, files=files)).items():
        raise ExportError(f"{folder / name} {what}.", AGAIN)


def unknown_files(folder: Path, manifest: Manifest) -> list[str]:
    """Return the files that the manifest does not list, hidden ones apart: some change how the libraries load a folder."""
    return sorted(
        name
        for name in {*files_in(folder)} - manifest.files.keys() - {MANIFEST}
        if not any(part.startswith(".") for part in name.split("/"))
    )


def links(folder: Path, manifest: Manifest) -> list[str]:
    """Return the files that are links, as those of a cached copy are: what stands behind them is not the folder's own."""
    return [name for name in (MANIFEST, *manifest.files) if (folder / name).is_symlink()]
