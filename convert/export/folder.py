"""Write the Hugging Face folder of a SavedModel, file by file, each hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, is_dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from convert.blueprint.read import Blueprint
from convert.errors import SourceError
from convert.export.config import MODEL_FILE, bert_config, needs_model_class
from convert.export.json_files import write_json
from convert.export.sentence_transformers import write_modules
from convert.export.staging import staged
from convert.export.weights import write_safetensors
from convert.savedmodel.model import SavedModel
from convert.tokenizer import tokenizer_files

MANIFEST = "hub2hf.json"
WEIGHTS = "model.safetensors"
MANIFEST_VERSION = 1
CHUNK = 1 << 22

Progress = Callable[[int], None]


def write_folder(
    model: SavedModel,
    blueprint: Blueprint,
    source: Future[dict[str, Any]],
    out: Path,
    *,
    force: bool = False,
    progress: Progress = lambda done: None,
) -> dict[str, Any]:
    """Write the folder and return its manifest, the content of `hub2hf.json`.

    Args:
        model: the source.
        blueprint: what was read of it.
        source: its `fingerprint`, perhaps still being taken.
        out: the folder to make.
        force: whether an existing folder is replaced.
        progress: called with the number of weight bytes just written.

    Raises:
        CheckpointError, MappingError, SourceError, VocabularyError: the source is damaged; nothing is left behind.
        ExportError: `out` cannot be written; nothing is left behind.
    """
    with staged(out, force) as work:
        weights = _write_files(model, blueprint, work, progress)
        manifest = _manifest(blueprint, source.result(), work, {WEIGHTS: weights})
        write_json(work / MANIFEST, manifest)
    return manifest


def _write_files(model: SavedModel, blueprint: Blueprint, work: Path, progress: Progress) -> str:
    """Write all but the manifest; return the SHA-256 of the weights."""
    encoder, pack = blueprint.encoder, blueprint.text.pack
    tokenizer_files(blueprint.text, encoder.vocab_size.value, work)
    digest = write_safetensors(work / WEIGHTS, model.checkpoint, encoder.mapped, progress)
    for name in encoder.unused:  # a damaged file is not converted, wherever the damage is
        model.checkpoint.verify(name)
    write_json(work / "config.json", bert_config(encoder, pack))
    write_modules(work, model.checkpoint, encoder, pack)
    if needs_model_class(encoder):
        code = resources.files("convert.export").joinpath(MODEL_FILE).read_bytes()
        (work / MODEL_FILE).write_bytes(code)
    return digest


def _manifest(blueprint: Blueprint, source: dict[str, Any], work: Path, hashed: dict[str, str]) -> dict[str, Any]:
    """Return the manifest of what stands in `work`; `hashed` has the SHA-256 of files that need no second reading."""
    files = {}
    for path in sorted(work.rglob("*")):
        if path.is_file():
            name = path.relative_to(work).as_posix()
            known = hashed.get(name)
            files[name] = {"bytes": path.stat().st_size, "sha256": known} if known else hash_file(path)
    return {
        "version": MANIFEST_VERSION,
        "converter": {"name": "hub2hf", "version": metadata.version("hub2hf")},
        "versions": {name: metadata.version(name) for name in ("numpy", "protobuf", "tokenizers")},
        "source": source,
        "blueprint": as_json(blueprint_facts(blueprint)),
        "files": files,
    }


def blueprint_facts(blueprint: Blueprint) -> dict[str, Any]:
    """Return the blueprint as plain data, each value with its evidence; `operation` names each text operation."""
    encoder = blueprint.encoder
    facts = {k: v for k, v in vars(encoder).items() if k not in ("mapped", "unused")}
    return {
        "signature": {
            "name": blueprint.signature,
            "input": blueprint.input_name,
            "output": blueprint.output_name,
            **({"inputs": dict(blueprint.inputs), "outputs": dict(blueprint.outputs)} if blueprint.inputs else {}),
        },
        "text_origin": blueprint.text.origin,
        "text": [{"operation": type(op).__name__, **vars(op)} for op in blueprint.text.operations],
        "vocabulary": {
            "file": blueprint.text.vocabulary.name,
            "evidence": blueprint.text.vocabulary_evidence,
        },
        "encoder": facts,
        "mapping": [asdict(item) for item in encoder.mapped],
        "unused": list(encoder.unused),
    }


def as_json(value: Any) -> Any:
    """Return `value` with dataclasses, tuples and paths turned into plain JSON data."""
    if is_dataclass(value) and not isinstance(value, type):
        return as_json(vars(value))
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return value.name if isinstance(value, Path) else value


def hash_file(path: Path) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(CHUNK))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return {"bytes": size, "sha256": digest.hexdigest()}


def fingerprint(
    model: SavedModel, preprocessor: SavedModel | None = None, vocabulary: Path | None = None
) -> dict[str, Any]:
    """Return the SHA-256 of every file of the source, and one over all of them.

    Those of a preprocessor, and a vocabulary that stands alone, come under folders of their own.

    Raises:
        SourceError: a file cannot be read.
    """
    try:
        paths = {path.relative_to(model.folder).as_posix(): path for path in model.files}
        if preprocessor is not None:
            for path in preprocessor.files:
                paths[f"preprocessor/{path.relative_to(preprocessor.folder).as_posix()}"] = path
        if vocabulary is not None:
            paths[f"vocabulary/{vocabulary.name}"] = vocabulary
        files = {name: hash_file(path) for name, path in paths.items()}
    except OSError as error:
        raise SourceError(
            f"{error.filename} cannot be read: {error.strerror}.", "Check it, or download it again."
        ) from error
    lines = "".join(f"{entry['sha256']}  {name}\n" for name, entry in sorted(files.items()))
    return {"fingerprint": hashlib.sha256(lines.encode()).hexdigest(), "files": files}
