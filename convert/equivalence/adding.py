"""What a verification found, added to the folder it was about: `equivalence.json`, a picture, the card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.reports import heat_map
from hub2hf.equivalence.sentences import Sentence, demo_sentences, language_sentences, trap_sentences
from hub2hf.errors import ExportError
from hub2hf.folder.about import changeable, foreign_about, of_ways, read_proof, write_about
from hub2hf.folder.manifest import (
    ABOUT,
    MANIFEST,
    Manifest,
    check_unchanged,
    unknown_files,
)
from hub2hf.folder.staging import alone
from hub2hf.folder.ways import files_read
from hub2hf.proof import Proof, Report
from hub2hf.surfaces import SURFACES


def publishable(sentences: Iterable[Sentence]) -> bool:
    """Whether all of `sentences` are the project's own: a person's own may be private, and prove what they like."""
    own = {*demo_sentences(), *language_sentences(), *trap_sentences()}
    return own.issuperset(sentences)


def of_own_sentences(recording: Recording | None, sentences: object) -> bool:
    """Whether what was compared are the project's own sentences, live or recorded."""
    return publishable(recording.sentences) if recording is not None else sentences is None


def add_proof(folder: Path, report: Report) -> str:
    """Write `report` into `folder` and return in a sentence what was done; "" for a folder that hub2hf did not make.

    A folder that is no longer what its manifest says, a cached copy, a card that was edited by hand, and a proof that covers
    more, are left as they are; and so is a folder that cannot be written to: the answer of a verification is never lost.
    """
    if not (folder / MANIFEST).is_file():
        return ""
    try:
        manifest = changeable(folder)
        check_unchanged(folder, manifest)
        reason = next(_reasons_against(folder, manifest, report), "")
        proof = None if reason else joined(_before(folder, manifest), _vouched(report, manifest))
        if proof is not None:
            with alone(folder):
                write_about(folder, manifest, replace(proof, picture=_picture(proof, manifest)))
            return f"The result was added to {folder}."
        reason = reason or "the one that is there covers more"
    except ExportError as error:
        reason = str(error).rstrip(".")
    return not_added(folder, reason)


def not_added(folder: Path, reason: str) -> str:
    """Return in a sentence why a result was not added to a folder; "" for one that hub2hf did not make."""
    return f"The result was not added to {folder}: {reason}." if (folder / MANIFEST).is_file() else ""


def _reasons_against(folder: Path, manifest: Manifest, report: Report) -> Iterator[str]:
    """Yield why the folder is to stay as it is."""
    if report.fingerprint != manifest.fingerprint:
        yield "it is about another SavedModel than the folder was made from"
    for name in unknown_files(folder, manifest):
        if name not in ABOUT:
            yield f"{name} is there, which hub2hf did not make"
    for name in foreign_about(folder, manifest):
        yield f"{name} is not what hub2hf wrote there"


def _before(folder: Path, manifest: Manifest) -> Proof | None:
    """Return the proof that is there, if it is whole."""
    try:
        return read_proof(folder, manifest)
    except ExportError:
        return None


def _vouched(report: Report, manifest: Manifest) -> Proof:
    """Return the report as a proof of the files that the manifest lists, with what hub2hf declares exact held to that.

    Where things lay on the machine of the person who verified, what was not installed there, what was asked for by name and
    how long it took, is nobody's business.
    """
    conditions = {
        name: replace(one, files=files_read(manifest, name), held=name in SURFACES and SURFACES[name].exact)
        for name, one in report.conditions.items()
        if not one.refused
    }
    return Proof(
        fingerprint=report.fingerprint,
        rows=report.rows,
        failures=report.failures,
        causes=report.causes,
        conditions=conditions,
        unanswered=report.unanswered,
    )


def joined(before: Proof | None, new: Proof) -> Proof | None:
    """Return the proof of what either says; None where `new` adds nothing.

    Each way of loading is proved by itself: what is new of one replaces what was there, unless that covers more and the new
    does not refute it; and what was there of the others stays.
    """
    if before is None:
        return new
    kept = {way.surface for way in before.worth.ways if not _replaces(new, before, way.surface)}
    taken = new.conditions.keys() - kept
    if not taken:
        return None
    old, own = of_ways(before, kept), of_ways(new, taken)
    order = [*SURFACES, *old.conditions, *own.conditions]
    conditions = {**old.conditions, **own.conditions}
    return replace(
        own,
        rows=sorted([*old.rows, *own.rows], key=lambda row: order.index(row.surface)),
        failures=[*own.failures, *old.failures],
        causes=[*own.causes, *(cause for cause in old.causes if cause not in own.causes)],
        conditions={name: conditions[name] for name in sorted(conditions, key=order.index)},
    )


def _replaces(new: Proof, before: Proof, surface: str) -> bool:
    """Whether what `new` says of a way of loading is to stand in place of what `before` says."""
    now, then = ({way.surface: way for way in proof.worth.ways}.get(surface) for proof in (new, before))
    if now is None or then is None:
        return then is None
    if now.held and not (now.same and then.same):
        return True
    covered = {language for name, language in before.worth.covered if name == surface}
    return covered <= {language for name, language in new.worth.covered if name == surface}


def _picture(proof: Proof, manifest: Manifest) -> bytes | None:
    """Return the heat map of a proof; None where Pillow is not installed."""
    title = manifest.model.title if manifest.model else "this folder"
    shown = Report(
        fingerprint=proof.fingerprint,
        rows=proof.rows,
        conditions=proof.conditions,
        source="the original",
        candidate=title,
    )
    try:
        return heat_map(shown)
    except ExportError:
        return None
