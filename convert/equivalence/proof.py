"""What a verification found, put into the folder it was about: `equivalence.json`, a picture, the card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from convert.equivalence.recording import Recording
from convert.equivalence.reports import heat_map, report_json
from convert.equivalence.result import TIGHT, Report
from convert.equivalence.sentences import Sentence, demo_sentences, language_sentences, trap_sentences
from convert.errors import ExportError
from convert.export.card import read_proof, write_about
from convert.export.manifest import ABOUT, CARD, MANIFEST, problems, proved_files, read_manifest

# Where things lay on the machine of the person who verified, and how long it took, is nobody's business.
PRIVATE = ("source", "candidate", "seconds", "note")


def publishable(sentences: Iterable[Sentence]) -> bool:
    """Whether all of `sentences` are the project's own: a person's own may be private, and prove what they like."""
    own = {*demo_sentences(), *language_sentences(), *trap_sentences()}
    return own.issuperset(sentences)


def add_proof(folder: Path, report: Report) -> str:
    """Write `report` into `folder` and return in a sentence what was done; "" for a folder that hub2hf did not make.

    A folder that is no longer what its manifest says, a cached copy, a card that was edited by hand, and a proof that covers
    more, are left as they are.

    Raises:
        ExportError: the manifest is damaged, or a file cannot be written.
    """
    if not (folder / MANIFEST).is_file():
        return ""
    manifest = read_manifest(folder)
    reason = _kept_as_it_is(folder, manifest, report)
    if reason:
        return f"The result was not added to {folder}: {reason}."
    write_about(folder, manifest, proof_of(report, manifest), picture_of(report, manifest))
    return f"The result was added to {folder}."


def _kept_as_it_is(folder: Path, manifest: Mapping[str, Any], report: Report) -> str:
    """Return why the folder is to stay as it is; "" where it need not."""
    if report.fingerprint != manifest["source"]["fingerprint"]:
        return "it is about another SavedModel than the folder was made from"
    if any((folder / name).is_symlink() for name in (MANIFEST, *manifest["files"])):
        return "the folder is a cached copy"
    wrong = problems(folder, manifest)
    changed = next((name for name in wrong if name not in ABOUT), None)
    if changed:
        return f"{changed} {wrong[changed]}, so it is no longer what hub2hf made"
    if CARD in wrong and (folder / CARD).is_file():
        return f"its {CARD} was edited by hand; hub2hf card {folder} --force writes it again"
    before, _ = read_proof(folder, manifest)
    if before and before["equivalent"] and report.equivalent and not _covered(report.rows) >= _covered_json(before):
        return "the one that is there covers more"
    return ""


def _covered(rows: Iterable[Any]) -> set[tuple[str, str]]:
    return {(row.surface, row.language) for row in rows}


def _covered_json(proof: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(row["surface"], row["language"]) for row in proof["rows"]}


def proof_of(report: Report, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `equivalence.json`: the report, and name → SHA-256 of the files that it is a proof of."""
    data = {name: value for name, value in report_json(report).items() if name not in PRIVATE}
    return {**data, "tight": TIGHT, "converter": manifest["converter"], "files": proved_files(manifest)}


def picture_of(report: Report, manifest: Mapping[str, Any]) -> bytes | None:
    """Return the heat map as a PNG; None where Pillow is not installed."""
    title = (manifest.get("model") or {}).get("title", "this folder")
    try:
        return heat_map(replace(report, candidate=title, source="the original"))
    except ExportError:
        return None


def of_own_sentences(recording: Recording | None, sentences: object) -> bool:
    """Whether what was compared are the project's own sentences, live or recorded."""
    return publishable(recording.sentences) if recording is not None else sentences is None
