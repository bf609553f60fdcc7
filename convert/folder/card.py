"""The model card, rendered from what stands in the folder: its manifest and, once it is verified, its proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from hub2hf.architectures import MODEL_FILE, NOTICE, architecture_of_facts
from hub2hf.architectures.words import head_of_facts, words_of_facts
from hub2hf.errors import ExportError
from hub2hf.folder.evaluated import evaluated_tables, evaluation_results
from hub2hf.folder.lossy import lossy_table, lossy_words
from hub2hf.folder.manifest import MANIFEST, PICTURE, PROOF, Manifest
from hub2hf.folder.sentence_transformers import GELU_APART
from hub2hf.folder.ways import longest, places, plain, template, ways_table
from hub2hf.known_models import CardFacts, KnownModel
from hub2hf.proof import PARTLY, Conditions, Proof, Way
from hub2hf.proof.summary import called, differing, explanation, limit, verdict
from hub2hf.proof.text import OTHERS, join, number, tolerance
from hub2hf.surfaces import SURFACES, title
from hub2hf.surfaces.base import has_weights

TEMPLATE = "card.md.jinja"
TAGS = ("sentence-transformers", "transformers", "sentence_embedding", "sentence-similarity", "hub2hf")
DATASET = "configs/sentences.tsv and configs/traps.tsv of hub2hf"
HOW_TO_VERIFY = (
    "`hub2hf verify SOURCE FOLDER` runs the original graph in TensorFlow beside it, sentence by sentence, and writes what "
    "it finds here."
)


def render_card(manifest: Manifest, proof: Proof | None) -> str:
    """Return README.md: metadata and text.

    Args:
        manifest: of the folder; its `repository` is the OWNER/NAME that the examples name.
        proof: of its files, or None.

    Raises:
        ExportError: the manifest lacks something.
    """
    import jinja2

    try:
        text = template(TEMPLATE).render(_context(manifest, proof))
        return f"---\n{_metadata(proof, manifest)}\n---\n\n{text}"
    except (jinja2.TemplateError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"{MANIFEST} is damaged: {error!r:.200}.", "Convert the model again.") from error


def _metadata(proof: Proof | None, manifest: Manifest) -> str:
    """Return the YAML between the dashes, through the class that the Hub's client has for it."""
    from huggingface_hub import EvalResult, ModelCardData

    model, languages = manifest.model, manifest.languages
    facts = _facts(model)
    kind = architecture_of_facts(manifest.blueprint["encoder"]).name
    tags = [*TAGS, kind, *(["multilingual"] if len(languages) > 1 else []), *facts.tags]
    results = [
        EvalResult(
            task_type="sentence-similarity",
            dataset_type="hub2hf",
            dataset_name=DATASET,
            metric_type="max_abs_difference",
            metric_name=f"largest difference from the original, {called(way)}",
            metric_value=float(number(way.difference)),  # rounded as all of the card
        )
        for way in _ways(proof)
        if math.isfinite(way.difference)
    ] + evaluation_results(manifest)
    data = ModelCardData(
        language=list(languages) or None,
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


def _ways(proof: Proof | None) -> Sequence[Way]:
    return proof.worth.ways if proof else ()


def _context(manifest: Manifest, proof: Proof | None) -> dict[str, Any]:
    """Return what the template names."""
    blueprint, model = manifest.blueprint, manifest.model
    operations = {step["operation"]: step for step in blueprint["text"]}
    return {
        "title": _title(model),
        "status": _status(proof, manifest),
        "uncompared": _uncompared(proof, manifest),
        "home": home(),
        "changed": manifest.changed,
        "slim": manifest.slim,
        "lossy": lossy_words(manifest.lossy),
        "evaluated": evaluated_tables(manifest),
        "lossy_table": lossy_table(manifest.lossy),
        "weights": has_weights(manifest.files),
        "summary": _facts(model).summary or "A text encoder that was published as a TensorFlow SavedModel.",
        "facts": _facts(model),
        "model": model,
        "address": manifest.source.get("address", ""),
        "evidence": manifest.evidence,
        "fingerprint": manifest.fingerprint,
        "version": manifest.converter["version"],
        "text_origin": blueprint.get("text_origin", ""),
        "encoder": {name: entry["value"] for name, entry in blueprint["encoder"].items() if isinstance(entry, dict)},
        "parameters": sum(math.prod(item["shape"]) for item in blueprint["mapping"]),
        "max_length": longest(manifest),
        "word_bytes": operations.get("WordPiece", {}).get("max_bytes_per_word", 0),
        "word_characters": operations.get("WordPieceOfCharacters", {}).get("max_bytes_per_word", 0),
        "by_pieces": "SentencePiece" in operations,
        "undecided": operations.get("SentencePiece", {}).get("undecided", ""),
        "repository": manifest.repository,
        "files": manifest.files,
        "own_class": MODEL_FILE in manifest.files,
        "class_file": MODEL_FILE,
        "notice": NOTICE,
        "inputs": architecture_of_facts(blueprint["encoder"]).inputs,
        "words": words_of_facts(blueprint["encoder"]),
        "gelu_apart": GELU_APART if "gelu_tanh" in head_of_facts(blueprint["encoder"])[1] else 0,
        "proof": proof,
        "proved": bool(proof and proof.equivalent and not manifest.changed and not manifest.lossy),
        "ways_table": ways_table(manifest, proof),
        "ways": [plain(title(way.surface)) for way in _ways(proof)],
        "found": _found(proof) if proof else f"**Nobody has verified this folder yet.** {HOW_TO_VERIFY}",
        "table": _table(proof) if proof else [],
        "picture": PICTURE if proof and proof.picture else None,
        "proof_file": PROOF,
        "manifest_file": MANIFEST,
    }


def home() -> str:
    """Return the address of hub2hf, as its distribution states it; "" where it states none."""
    try:
        stated = metadata.metadata("hub2hf").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    return next((address.strip() for _, _, address in (line.partition(",") for line in stated)), "")


def _status(proof: Proof | None, manifest: Manifest) -> str:
    if proof is None:
        return f"> ⚠️ **Unverified.** {HOW_TO_VERIFY}"
    if proof.worth.lossy:
        mark = "⚖️ **Within its limits.**" if proof.equivalent else "❌ **Beyond its limits.**"
        return f"> {mark} {plain(explanation(proof))}."
    if not proof.equivalent:
        return f"> ❌ **Not the same as the original.** {plain(explanation(proof))}."
    same = [way for way in proof.worth.ways if way.same]
    exact = [row for way in same for row in way.rows if row.exact]
    worst = max(row.difference for row in exact)
    but = "".join(f" But {plain(differing(way))}." for way in same if way.allowed)
    names = join([_exact_with(way, manifest) for way in same])
    part = ", for what it covers" if proof.unanswered else ""
    return (
        f"> ✅ **Exactly the original{part}**: loaded with {names}, no entry of a unit embedding differs by more than "
        f"{number(worst)} ({places(proof)}).{but}\n>\n"
        f"> Exact means: identical token ids, and no entry of a unit embedding off by more than {tolerance(limit(exact))}."
    )


def _exact_with(way: Way, manifest: Manifest) -> str:
    """Return what a way is called, with the argument without which it is not exact."""
    asks = MODEL_FILE in manifest.files and way.surface in SURFACES and "{trust}" in SURFACES[way.surface].code
    return f"{plain(called(way))} (`trust_remote_code=True`)" if asks else plain(called(way))


def _found(proof: Proof) -> str:
    witnesses = join(list(dict.fromkeys(plain(_witness(one)) for one in proof.conditions.values())))
    return (
        f"The original graph, run by {witnesses}, and this folder embedded the same texts ({places(proof)}). "
        f"**{verdict(proof)}**: {plain(explanation(proof))}."
    )


def _witness(one: Conditions) -> str:
    """Return what computed the expected values, for the middle of a sentence."""
    when = " when it was recorded" if one.recorded else ""
    return f"TensorFlow {one.tensorflow}{when}" + (f", ids from {one.ids_from}" if one.ids_from else "")


def _uncompared(proof: Proof | None, manifest: Manifest) -> str:
    """Return the languages of the card in which nothing was compared, the first of them; "" where there are none."""
    left = sorted({*manifest.languages} - proof.languages) if proof else []
    return plain(", ".join(left[:8]) + (f" and {len(left) - 8} more" if left[8:] else ""))


def _table(proof: Proof) -> list[tuple[str, list[str]]]:
    """Return each language with the difference of every way of loading."""
    cells = {(row.language, row.surface): number(row.difference) for row in proof.rows}
    surfaces = [way.surface for way in _ways(proof)]
    ordered = sorted(proof.languages, key=lambda name: (name in OTHERS, name))
    told = {PARTLY: "others, in part"}
    return [
        (plain(told.get(language, language)), [cells.get((language, name), "") for name in surfaces])
        for language in ordered
    ]
