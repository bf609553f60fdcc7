"""The model card, rendered from what stands in the folder: its manifest and, once it is verified, its proof."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from importlib import resources
from math import prod
from pathlib import Path
from typing import Any

from hub2hf.architectures import MODEL_FILE
from hub2hf.architectures.words import words_of_facts
from hub2hf.errors import ExportError
from hub2hf.export.files import as_text, hash_bytes, hash_file, write_whole
from hub2hf.export.manifest import ABOUT, CARD, MANIFEST, PICTURE, PROOF, links, model_in, name_model, read_manifest
from hub2hf.export.proof import TRAPS, Proof, read_proof, shown
from hub2hf.known_models import CardFacts, KnownModel
from hub2hf.surfaces import SURFACES, label

TEMPLATE = "card.md.jinja"
TAGS = ("sentence-transformers", "transformers", "bert", "sentence_embedding", "sentence-similarity", "hub2hf")
DATASET = "configs/sentences.tsv and configs/traps.tsv of hub2hf"
UNVERIFIED = (
    "**Nobody has verified this folder yet.** `hub2hf verify SOURCE FOLDER` runs the original graph in TensorFlow beside "
    "it, sentence by sentence, and writes what it finds here."
)
LEFT_BEHIND = 600  # seconds after which the file of a killed run, half written, is cleared away


def render_card(manifest: Mapping[str, Any], proof: Proof | None) -> str:
    """Return README.md: metadata and text.

    Args:
        manifest: the content of `hub2hf.json`; `repository` in it is the OWNER/NAME that the examples name.
        proof: of its files, or None.

    Raises:
        ExportError: the manifest lacks something.
    """
    import jinja2

    try:
        model = model_in(manifest)
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
        environment.filters["shown"] = shown
        template = environment.from_string(resources.files("hub2hf.export").joinpath(TEMPLATE).read_text("utf-8"))
        text = template.render(_context(manifest, proof, model))
        return f"---\n{_metadata(proof, model)}\n---\n\n{text}"
    except (jinja2.TemplateError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"{MANIFEST} is damaged: {error!r:.200}.", "Convert the model again.") from error


def about_files(manifest: Mapping[str, Any], proof: Proof | None) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return name → content of proof, picture, card and, last, the manifest that lists them; and that manifest."""
    new = {PROOF: as_text(proof.data).encode()} if proof else {}
    if proof and proof.picture is not None:
        new[PICTURE] = proof.picture
    kept = {name: entry for name, entry in manifest["files"].items() if name not in ABOUT}
    listed = {**manifest, "files": kept | {name: hash_bytes(data) for name, data in new.items()}}
    new[CARD] = render_card(listed, proof).encode("utf-8", "backslashreplace")
    listed["files"] = dict(sorted([*listed["files"].items(), (CARD, hash_bytes(new[CARD]))]))
    return {**new, MANIFEST: as_text(listed).encode()}, listed


def write_about(folder: Path, manifest: Mapping[str, Any], proof: Proof | None = None) -> dict[str, Any]:
    """Write the proof where there is one, the card, and last the manifest with their hashes; return the manifest.

    Args:
        folder: a folder whose other files stand.
        manifest: its manifest so far.
        proof: of its files, or None.

    Raises:
        ExportError: a file cannot be written, or the manifest lacks something.
    """
    new, listed = about_files(manifest, proof)
    store_about(folder, new)
    return listed


def store_about(folder: Path, new: Mapping[str, bytes]) -> None:
    """Write what `about_files` made, in its order, and remove what it made no more.

    Raises:
        ExportError: a file cannot be written.
    """
    try:
        for name in sorted(ABOUT - new.keys()):
            (folder / name).unlink(missing_ok=True)
        for name, data in new.items():
            if not ((folder / name).is_file() and (folder / name).read_bytes() == data):
                write_whole(folder / name, data, "Check the folder and its permissions.")
            for left in folder.glob(f".{name}.*"):
                if left.stat().st_mtime < time.time() - LEFT_BEHIND:
                    left.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"{folder} cannot be written to: {error.strerror}.", "Check its permissions.") from error


def write_card(folder: Path, model: KnownModel | None = None, *, force: bool = False) -> Path:
    """Write README.md again from manifest and proof, and the manifest with its hash; return its path.

    Raises:
        ExportError: there is no manifest, it is not `model`, the proof was changed, the card was edited by hand and `force`
            is not given, or the folder is a cached copy.
    """
    manifest, path = read_manifest(folder), folder / CARD
    if links(folder, manifest):
        raise ExportError(f"{folder} holds links, as a cached copy does.", "Copy the files to a folder of their own.")
    if edited_by_hand(folder, manifest) and not force:
        raise ExportError(f"{path} was edited by hand.", "Keep a copy of it, and pass --force to write it again.")
    if model is not None:
        name_model(manifest, model)
    write_about(folder, manifest, read_proof(folder, manifest))
    return path


def edited_by_hand(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether there is a card that hub2hf did not write, as far as the manifest, or a run killed before it, tells."""
    path = folder / CARD
    if not path.is_file() or hash_file(path) == manifest["files"].get(CARD):
        return False
    proof = None
    try:
        if (folder / PROOF).is_file():
            picture = (folder / PICTURE).read_bytes() if (folder / PICTURE).is_file() else None
            proof = Proof(json.loads((folder / PROOF).read_text(encoding="utf-8")), picture)
        ours = about_files(manifest, proof)[0][CARD]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ExportError):
        return True
    return path.read_bytes() != ours


def _metadata(proof: Proof | None, model: KnownModel | None) -> str:
    """Return the YAML between the dashes, through the class that the Hub's client has for it."""
    from huggingface_hub import EvalResult, ModelCardData

    facts = _facts(model)
    tags = [*TAGS, *(["multilingual"] if len(facts.languages) > 1 else []), *facts.tags]
    results = [
        EvalResult(
            task_type="sentence-similarity",
            dataset_type="hub2hf",
            dataset_name=DATASET,
            metric_type="max_abs_difference",
            metric_name=f"largest difference from the original, {way.surface}",
            metric_value=way.difference,
        )
        for way in (proof.ways() if proof else [])
    ]
    data = ModelCardData(
        language=list(facts.languages) or None,
        license=facts.license or None,
        library_name="sentence-transformers",
        pipeline_tag=facts.pipeline_tag,
        tags=list(dict.fromkeys(tags)),
        datasets=list(facts.datasets) or None,
        base_model=facts.base_model or None,
        model_name=_title(model) if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml()).strip()


def _facts(model: KnownModel | None) -> CardFacts:
    return model.card if model else CardFacts()


def _title(model: KnownModel | None) -> str:
    return model.title if model else "Sentence encoder from TensorFlow Hub"


def _context(manifest: Mapping[str, Any], proof: Proof | None, model: KnownModel | None) -> dict[str, Any]:
    """Return what the template names."""
    blueprint = manifest["blueprint"]
    operations = {step["operation"]: step for step in blueprint["text"]}
    changed = manifest.get("changed", [])
    return {
        "title": _title(model),
        "status": _status(proof),
        "changed": changed,
        "summary": _facts(model).summary
        or "A text encoder that was published as a TensorFlow SavedModel, as a BERT model.",
        "facts": _facts(model),
        "model": model,
        "address": manifest["source"].get("address", ""),
        "evidence": manifest["model"]["evidence"] if model else "",
        "fingerprint": manifest["source"]["fingerprint"],
        "version": manifest["converter"]["version"],
        "text_origin": blueprint.get("text_origin", ""),
        "encoder": {name: entry["value"] for name, entry in blueprint["encoder"].items() if isinstance(entry, dict)},
        "parameters": sum(prod(item["shape"]) for item in blueprint["mapping"]),
        "max_length": operations["Pack"]["max_length"],
        "word_bytes": operations["WordPiece"]["max_bytes_per_word"],
        "repository": manifest.get("repository"),
        "files": manifest["files"],
        "own_class": MODEL_FILE in manifest["files"],
        "class_file": MODEL_FILE,
        "words": words_of_facts(blueprint["encoder"]),
        "proof": proof,
        "proved": bool(proof and proof.equivalent and not changed),
        "ways": [(label(way.surface), _code(way.surface, manifest), way) for way in proof.ways()] if proof else [],
        "places": _places(proof) if proof else "",
        "found": _found(proof) if proof else UNVERIFIED,
        "table": _table(proof) if proof else [],
        "picture": PICTURE if proof and proof.picture else None,
        "proof_file": PROOF,
        "manifest_file": MANIFEST,
    }


def _code(surface: str, manifest: Mapping[str, Any]) -> str:
    """Return the line of Python that loads the folder so, Markdown; "" for a way that is not known here."""
    known = SURFACES.get(surface)
    trust = ", trust_remote_code=True" if MODEL_FILE in manifest["files"] else ""
    return f"`{known.code.format(id=manifest.get('repository') or '.', trust=trust)}`" if known else ""


def _status(proof: Proof | None) -> str:
    if proof is None:
        return f"> ⚠️ **Unverified.** {UNVERIFIED.partition('** ')[2]}"
    if not proof.equivalent:
        return f"> ❌ **Not equivalent to the original.** {_details(proof)}."
    exact = [way for way in proof.ways() if way.exact]
    worst = max((way.difference for way in exact if not isinstance(way.difference, str)), default=0.0)
    names = " and ".join(label(way.surface) for way in exact)
    return (
        f"> ✅ **Equivalent to the original**: loaded with {names}, no entry of a unit embedding differs by more than "
        f"{shown(worst)} in {_places(proof)} ({proof.data['sentences']:,} sentences)."
    )


def _plain(text: str) -> str:
    """Return `text` without what Markdown would read as markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#$" else c for c in text)


def _details(proof: Proof) -> str:
    return _plain(proof.data["summary"].partition(": ")[2])


def _places(proof: Proof) -> str:
    count = len(proof.languages - {TRAPS})
    traps = " and a set of traps" if TRAPS in proof.languages else ""
    return f"{count} language{'s' if count != 1 else ''}{traps}"


def _found(proof: Proof) -> str:
    witness = _plain(proof.data["witness"].replace(", recorded", " when it was recorded"))
    verdict = "They are equivalent" if proof.equivalent else "**They are not equivalent**"
    return (
        f"The original graph, run by {witness}, and this folder embedded the same {proof.data['sentences']:,} sentences in "
        f"{_places(proof)}. {verdict}: {_details(proof)}."
    )


def _table(proof: Proof) -> list[tuple[str, list[str]]]:
    """Return each language with the difference of every way of loading."""
    cells = {(row["language"], row["surface"]): shown(row["difference"]) for row in proof.rows}
    surfaces = [way.surface for way in proof.ways()]
    ordered = sorted(proof.languages, key=lambda name: (name == TRAPS, name))
    return [(_plain(language), [cells.get((language, name), "") for name in surfaces]) for language in ordered]
