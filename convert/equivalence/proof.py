"""What a verification found, put into the folder it was about: `equivalence.json`, a picture, the card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.reports import heat_map, report_json
from hub2hf.equivalence.result import TIGHT, Report
from hub2hf.equivalence.sentences import Sentence, demo_sentences, language_sentences, trap_sentences
from hub2hf.errors import ExportError
from hub2hf.export.card import edited_by_hand, write_about
from hub2hf.export.manifest import (
    ABOUT,
    CARD,
    MANIFEST,
    links,
    problems,
    proved_files,
    read_manifest,
    unknown_files,
)
from hub2hf.export.proof import Proof, read_proof

# Where things lay on the machine of the person who verified, and how long it took, is nobody's business.
PRIVATE = ("source", "candidate", "seconds", "note")


def publishable(sentences: Iterable[Sentence]) -> bool:
    """Whether all of `sentences` are the project's own: a person's own may be private, and prove what they like."""
    own = {*demo_sentences(), *language_sentences(), *trap_sentences()}
    return own.issuperset(sentences)


def add_proof(folder: Path, report: Report) -> str:
    """Write `report` into `folder` and return in a sentence what was done; "" for a folder that hub2hf did not make.

    A folder that is no longer what its manifest says, a cached copy, a card that was edited by hand, and a proof that covers
    more, are left as they are; and so is a folder that cannot be written to: the answer of a verification is never lost.
    """
    if not (folder / MANIFEST).is_file():
        return ""
    try:
        manifest = read_manifest(folder)
        reason = next(_reasons_against(folder, manifest, report), "")
        if not reason:
            write_about(folder, manifest, _proof(report, manifest))
            return f"The result was added to {folder}."
    except ExportError as error:
        reason = str(error).rstrip(".")
    return f"The result was not added to {folder}: {reason}."


def _reasons_against(folder: Path, manifest: Mapping[str, Any], report: Report) -> Iterator[str]:
    """Yield why the folder is to stay as it is."""
    if report.fingerprint != manifest["source"]["fingerprint"]:
        yield "it is about another SavedModel than the folder was made from"
    if links(folder, manifest):
        yield "the folder is a cached copy"
    for name, what in problems(folder, manifest).items():
        if name not in ABOUT:
            yield f"{name} {what}, so it is no longer what hub2hf made"
    for name in unknown_files(folder, manifest):
        if name not in ABOUT:  # proof and picture of a killed run are ours
            yield f"{name} is there, which hub2hf did not make"
    if edited_by_hand(folder, manifest):
        yield f"its {CARD} was edited by hand; hub2hf card {folder} --force writes it again"
    if all(row.passed for row in report.rows) and not _covers(report, _before(folder, manifest)):
        yield "the one that is there covers more"


def _before(folder: Path, manifest: Mapping[str, Any]) -> Proof | None:
    """Return the proof that is there, if it is whole."""
    try:
        return read_proof(folder, manifest)
    except ExportError:
        return None


def _covers(report: Report, before: Proof | None) -> bool:
    """Whether `report` covers at least what the passing proof `before` covers."""
    if before is None or not before.equivalent:
        return True
    return {(row.surface, row.language) for row in report.rows} >= before.covered


def _proof(report: Report, manifest: Mapping[str, Any]) -> Proof:
    """Return the report without what is private, with name → SHA-256 of the files that it is about, and its picture."""
    data = {name: value for name, value in report_json(report).items() if name not in PRIVATE}
    about = {"tight": TIGHT, "converter": manifest["converter"], "files": proved_files(manifest)}
    title = (manifest["model"] or {}).get("title", "this folder")
    try:
        picture = heat_map(replace(report, candidate=title, source="the original"))
    except ExportError:  # Pillow is not installed
        picture = None
    return Proof({**data, **about}, picture)


def of_own_sentences(recording: Recording | None, sentences: object) -> bool:
    """Whether what was compared are the project's own sentences, live or recorded."""
    return publishable(recording.sentences) if recording is not None else sentences is None
