"""The model card, rendered from what stands in the folder: its manifest and, once it is verified, its proof."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from math import prod
from pathlib import Path
from typing import Any

from convert.errors import ExportError
from convert.export.config import MODEL_FILE
from convert.export.files import as_text, hash_bytes, hash_file, write_whole
from convert.export.manifest import ABOUT, CARD, MANIFEST, PICTURE, PROOF, proved_files, read_manifest
from convert.known_models import CardFacts, KnownModel

TEMPLATE = "card.md.jinja"
TAGS = ("sentence-transformers", "transformers", "bert", "sentence_embedding", "sentence-similarity", "hub2hf")
# What a reader calls the ways of loading that `verify` goes through.
WAYS = {
    "sentence-transformers": "`SentenceTransformer`",
    "automodel": "`AutoTokenizer` + `AutoModel`",
    "bert": "`AutoTokenizer` + `BertModel`",
    "card": "`BertTokenizerFast` + `BertModel`",
}
TRAPS = "traps"  # stands in the place of a language, as in configs/traps.tsv
DATASET = "configs/sentences.tsv and configs/traps.tsv of hub2hf"


def render_card(manifest: Mapping[str, Any], proof: Mapping[str, Any] | None) -> str:
    """Return README.md: metadata and text.

    Args:
        manifest: the content of `hub2hf.json`; `card.repository` in it is the OWNER/NAME that the examples name.
        proof: the content of `equivalence.json`, or None.

    Raises:
        ExportError: manifest or proof lack something.
    """
    import jinja2

    try:
        model = KnownModel.from_json(manifest["model"]) if manifest.get("model") else None
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
        template = environment.from_string(resources.files("convert.export").joinpath(TEMPLATE).read_text("utf-8"))
        text = template.render(_context(manifest, proof, model))
        return f"---\n{_metadata(manifest, proof, model)}\n---\n\n{text}"
    except (jinja2.TemplateError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"{MANIFEST} or {PROOF} is damaged: {error!r}.", "Convert the model again.") from error


def write_about(
    folder: Path, manifest: dict[str, Any], proof: Mapping[str, Any] | None = None, picture: bytes | None = None
) -> None:
    """Write the card, the proof where there is one, and last the manifest with their hashes.

    Args:
        folder: a folder whose other files stand.
        manifest: its manifest; gets the entries of what is written.
        proof, picture: content of `equivalence.json`, and a PNG.

    Raises:
        ExportError: a file cannot be written, or manifest or proof lack something.
    """
    new = about_files(manifest, proof, picture)
    for name in sorted(ABOUT - new.keys()):
        (folder / name).unlink(missing_ok=True)
    for name, data in new.items():
        write_whole(folder / name, data, "Check the folder and its permissions.")


def about_files(manifest: dict[str, Any], proof: Mapping[str, Any] | None, picture: bytes | None) -> dict[str, bytes]:
    """Return name → content of proof, picture, card and, last, the manifest, which gets the entries of the others."""
    new = {PROOF: as_text(proof).encode()} if proof else {}
    if picture is not None:
        new[PICTURE] = picture
    kept = {name: entry for name, entry in manifest["files"].items() if name not in ABOUT}
    manifest["files"] = kept | {name: hash_bytes(data) for name, data in new.items()}
    new[CARD] = render_card(manifest, proof).encode("utf-8", "backslashreplace")
    manifest["files"] = dict(sorted([*manifest["files"].items(), (CARD, hash_bytes(new[CARD]))]))
    return {**new, MANIFEST: as_text(manifest).encode()}


def write_card(folder: Path, model: KnownModel | None = None, *, force: bool = False) -> Path:
    """Write README.md again from manifest and proof, and the manifest with its hash; return its path.

    Raises:
        ExportError: there is no manifest, the card was edited by hand and `force` is not given, or a file is damaged.
    """
    manifest, path = read_manifest(folder), folder / CARD
    edited = path.is_file() and hash_file(path) != manifest["files"].get(CARD)
    if edited and not force:
        raise ExportError(f"{path} was edited by hand.", "Keep a copy of it, and pass --force to write it again.")
    if model is not None:
        manifest["model"] = {**model.to_json(), "evidence": "named when the card was written"}
    write_about(folder, manifest, *read_proof(folder, manifest))
    return path


def read_proof(folder: Path, manifest: Mapping[str, Any]) -> tuple[dict[str, Any] | None, bytes | None]:
    """Return the proof of the folder's files as they are in the manifest, and its picture; None where there is none.

    Raises:
        ExportError: it cannot be read.
    """
    path = folder / PROOF
    try:
        if PROOF not in manifest["files"] or not path.is_file():
            return None, None
        proof = json.loads(path.read_text(encoding="utf-8"))
        picture = (folder / PICTURE).read_bytes() if (folder / PICTURE).is_file() else None
        return (proof, picture) if proof["files"] == proved_files(manifest) else (None, None)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ExportError(f"{path} cannot be read: {error!r}.", "Verify the folder again.") from error


def _metadata(manifest: Mapping[str, Any], proof: Mapping[str, Any] | None, model: KnownModel | None) -> str:
    """Return the YAML between the dashes, through the class that the Hub's client has for it."""
    from huggingface_hub import EvalResult, ModelCardData

    facts, title = _facts(model), _title(model)
    tags = [*TAGS, *(["multilingual"] if len(facts.languages) > 1 else []), *facts.tags]
    results = [
        EvalResult(
            task_type="sentence-similarity",
            dataset_type="hub2hf",
            dataset_name=DATASET,
            metric_type="max_abs_difference",
            metric_name=f"largest difference from the original, {way['surface']}",
            metric_value=way["difference"],
        )
        for way in (_ways(proof) if proof else [])
    ]
    data = ModelCardData(
        language=list(facts.languages) or None,
        license=facts.license or None,
        library_name="sentence-transformers",
        pipeline_tag=facts.pipeline_tag,
        tags=list(dict.fromkeys(tags)),
        datasets=list(facts.datasets) or None,
        base_model=facts.base_model or None,
        model_name=title if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml()).strip()


def _facts(model: KnownModel | None) -> CardFacts:
    return model.card if model else CardFacts()


def _title(model: KnownModel | None) -> str:
    return model.title if model else "Sentence encoder from TensorFlow Hub"


def _context(manifest: Mapping[str, Any], proof: Mapping[str, Any] | None, model: KnownModel | None) -> dict[str, Any]:
    """Return what the template names."""
    blueprint, facts = manifest["blueprint"], _facts(model)
    operations = {step["operation"]: step for step in blueprint["text"]}
    own_class = MODEL_FILE in manifest["files"]
    code = resources.files("convert.export").joinpath(MODEL_FILE).read_text("utf-8")
    return {
        "title": _title(model),
        "status": _status(proof),
        "changed": manifest.get("changed", []),
        "summary": facts.summary or "A text encoder that was published as a TensorFlow SavedModel, as a BERT model.",
        "facts": facts,
        "model": model,
        "manifest": manifest,
        "encoder": blueprint["encoder"],
        "parameters": sum(prod(item["shape"]) for item in blueprint["mapping"]),
        "max_length": operations["Pack"]["max_length"],
        "word_bytes": operations["WordPiece"]["max_bytes_per_word"],
        "repository": manifest.get("repository"),
        "own_class": own_class,
        "class_file": MODEL_FILE,
        "class_lines": code.count("\n"),
        "recognised_by": manifest["model"]["evidence"] if model else "",
        "proof": proof,
        "picture": PICTURE if PICTURE in manifest["files"] else None,
        "proof_file": PROOF,
        "manifest_file": MANIFEST,
        **(_proof_context(proof) if proof else {"equivalence": UNVERIFIED}),
    }


UNVERIFIED = (
    "**Nobody has verified this folder yet.** `hub2hf verify SOURCE FOLDER` runs the original graph in TensorFlow beside "
    "it, sentence by sentence, and writes what it finds here."
)


def _status(proof: Mapping[str, Any] | None) -> str:
    if proof is None:
        return f"> ⚠️ **Unverified.** {UNVERIFIED.partition('** ')[2]}"
    if proof["equivalent"]:
        exact = [way for way in _ways(proof) if way["exact"]]
        worst = max(way["difference"] for way in exact)
        names = " and ".join(WAYS.get(way["surface"], way["surface"]) for way in exact)
        return (
            f"> ✅ **Equivalent to the original**: loaded with {names}, no entry of a unit embedding differs by more than "
            f"{worst:.1e} in {_places(proof)} ({proof['sentences']:,} sentences)."
        )
    return f"> ❌ **Not equivalent to the original.** {_plain(proof['summary'].partition(': ')[2])}."


def _plain(text: str) -> str:
    """Return `text` without what Markdown would read as markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#$" else c for c in text)


def _places(proof: Mapping[str, Any]) -> str:
    languages = {row["language"] for row in proof["rows"]}
    count = len(languages - {TRAPS})
    traps = " and a set of traps" if TRAPS in languages else ""
    return f"{count} language{'s' if count != 1 else ''}{traps}"


def _ways(proof: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every way of loading with its worst difference, the count of other ids, and whether it is exact."""
    ways = []
    for surface in dict.fromkeys(row["surface"] for row in proof["rows"]):
        rows = [row for row in proof["rows"] if row["surface"] == surface]
        broken = [row["difference"] for row in rows if isinstance(row["difference"], str)]  # "NaN"
        passed = all(row["passed"] for row in rows)
        exact = passed and all(row["tolerance"] <= proof["tight"] for row in rows)
        ways.append(
            {
                "surface": surface,
                "name": WAYS.get(surface, surface),
                "difference": broken[0] if broken else max(row["difference"] for row in rows),
                "other_ids": sum(row["other_ids"] for row in rows),
                "exact": exact,
                "verdict": "exact" if exact else "another function" if passed else "outside its tolerance",
                "reason": rows[0]["reason"],
            }
        )
    return ways


def _proof_context(proof: Mapping[str, Any]) -> dict[str, Any]:
    ways, rows = _ways(proof), proof["rows"]
    cells = {(row["language"], row["surface"]): row["difference"] for row in rows}
    table = [
        {
            "language": language,
            "cells": [_number(cells.get((language, way["surface"]), "")) for way in ways],
        }
        for language in sorted({row["language"] for row in rows}, key=lambda name: (name == TRAPS, name))
    ]
    verdict = "They are equivalent" if proof["equivalent"] else "**They are not equivalent**"
    witness = _plain(proof["witness"].replace(", recorded", " when it was recorded"))
    details = _plain(proof["summary"].partition(": ")[2])
    return {
        "ways": ways,
        "proof_ways": [way["surface"] for way in ways],
        "reasons": [f"{way['surface']}: {_plain(way['reason'])}." for way in ways if way["reason"]],
        "places": _places(proof),
        "table": table,
        "equivalence": (
            f"The original graph, run by {witness}, and this folder embedded the same {proof['sentences']:,} sentences in "
            f"{_places(proof)}. {verdict}: {details}."
        ),
    }


def _number(value: Any) -> str:
    return f"{value:.1e}" if isinstance(value, float | int) else str(value)
