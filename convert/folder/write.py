"""Write the Hugging Face folder of a SavedModel, file by file, each hashed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from hub2hf.architectures import MODEL_FILE, architecture_of
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.folder.ahead import WeightsAhead
from hub2hf.folder.files import hash_file, hash_files, write_json
from hub2hf.folder.manifest import Manifest
from hub2hf.folder.sentence_transformers import write_modules
from hub2hf.folder.staging import staged
from hub2hf.folder.tokenizer_proof import prove_tokenizer
from hub2hf.folder.weights import WEIGHTS
from hub2hf.interpreter.independence import NOT_INDEPENDENT
from hub2hf.known_models import KnownModel, recognised
from hub2hf.notices import Progress
from hub2hf.opened import Source
from hub2hf.savedmodel.model import SavedModel
from hub2hf.tokenizer import tokenizer_files

SIZES = ("vocab_size", "hidden_size", "layers", "heads", "intermediate_size", "positions")

Addition = Callable[[Path], Mapping[str, Mapping[str, Any]]]  # of files to a folder; name → size and SHA-256 of each


def write_folder(
    source: Source,
    out: Path,
    beside: Executor,
    *,
    named: KnownModel | None = None,
    force: bool = False,
    also: Iterable[Addition] = (),
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Write the folder and return its manifest, the content of `hub2hf.json`.

    Args:
        source: what is converted.
        out: the folder to make.
        beside: what writes the weights while all else is read, proved and written.
        named: the known model that the person says it is; without, it is what the source's name stands for, or is
            recognised by its sizes and vocabulary.
        force: whether an existing folder is replaced.
        also: what adds files to the folder once its own stand.
        progress: called with (bytes of weights written so far, bytes in all).

    Raises:
        CheckpointError, GraphError, MappingError, SourceError, VocabularyError: the source is damaged or not understood, or
            the tokenizer gives other ids than the graph; nothing is left behind.
        ExportError: `out` cannot be written; nothing is left behind.
    """
    with staged(out, force) as work, WeightsAhead(source.model, work / WEIGHTS, beside, progress) as weights:
        blueprint = source.read(weights.begin)
        prove_tokenizer(blueprint)
        _write_files(source.model, blueprint, work)
        from hub2hf.folder.about import write_about  # only now: beside the proof it would add to the memory at its peak

        origin = {**source.fingerprint, "address": source.address}
        identity = _identity(blueprint)
        facts = as_json(blueprint_facts(blueprint))
        known = named or source.known or recognised(identity)
        hashed = {WEIGHTS: weights.finish(blueprint.encoder)}
        for addition in also:
            hashed |= {name: entry["sha256"] for name, entry in addition(work).items()}
        manifest = Manifest.new(origin, facts, identity, hash_files(work, hashed))
        manifest = write_about(work, manifest.named(known))
        source.original.check_unchanged()
    return manifest.to_json()


def _write_files(model: SavedModel, blueprint: Blueprint, work: Path) -> None:
    """Write all but the weights and the manifest."""
    encoder, pack = blueprint.encoder, blueprint.text.pack
    architecture = architecture_of(encoder)
    tokenizer_files(blueprint.text, encoder.vocab_size.value, work, architecture.inputs)
    for name in encoder.unused:  # a damaged file is not converted, wherever the damage is
        model.checkpoint.verify(name)
    write_json(work / "config.json", architecture.config(encoder, pack.pad_id))
    write_modules(work, encoder.values(model), encoder, pack)
    if architecture.needs_model_class(encoder):
        (work / MODEL_FILE).write_bytes(architecture.model_code())


def _identity(blueprint: Blueprint) -> dict[str, int | str]:
    """Return the sizes and the SHA-256 of the vocabulary file, by which a known model is recognised."""
    sizes: dict[str, int | str] = {name: getattr(blueprint.encoder, name).value for name in SIZES}
    return {**sizes, "vocabulary_sha256": hash_file(blueprint.text.vocabulary)["sha256"]}


def blueprint_facts(blueprint: Blueprint) -> dict[str, Any]:
    """Return the blueprint as plain data, each value with its evidence; `operation` names each text operation."""
    encoder = blueprint.encoder
    facts = {k: v for k, v in vars(encoder).items() if k not in ("mapped", "unused", "frozen", "made")}
    return {
        "signature": {
            "name": blueprint.signature,
            "input": blueprint.input_name,
            "output": blueprint.output_name,
            **({"inputs": dict(blueprint.inputs), "outputs": dict(blueprint.outputs)} if blueprint.inputs else {}),
        },
        "text_origin": blueprint.text.origin,
        **({"text_rules": blueprint.text.rules} if blueprint.text.rules else {}),
        "text": [{"operation": type(op).__name__, **vars(op)} for op in blueprint.text.operations],
        "vocabulary": {
            "file": blueprint.text.vocabulary.name,
            "evidence": blueprint.text.vocabulary_evidence,
        },
        "encoder": facts,
        "mapping": [asdict(item) for item in encoder.mapped],
        **({"joined": {name: each.facts() for name, each in encoder.made.items()}} if encoder.made else {}),
        "unused": list(encoder.unused),
        "proof": {**vars(blueprint.seen), "rests_on": list(NOT_INDEPENDENT)},
        **({"absent": list(blueprint.absent)} if blueprint.absent else {}),
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
