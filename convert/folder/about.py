"""What a folder says about itself: its card, its proof and the picture of that. They may change after the conversion."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from hub2hf.errors import ExportError, pasted
from hub2hf.folder.card import render_card
from hub2hf.folder.files import as_text, hash_bytes, hash_file, write_whole
from hub2hf.folder.manifest import (
    ABOUT,
    CARD,
    MANIFEST,
    MISSING,
    PICTURE,
    PROOF,
    UNREADABLE,
    Manifest,
    check_unchanged,
    links,
    manifest_for_python,
    problems,
    read_manifest,
    unreadable,
)
from hub2hf.folder.staging import alone, half_added
from hub2hf.folder.ways import files_read
from hub2hf.known_models import KnownModel
from hub2hf.proof import Proof
from hub2hf.proof.codec import from_json, to_json

PNG = b"\x89PNG\r\n\x1a\n"
LEFT_BEHIND = 600  # seconds after which the file of a killed run, half written, is cleared away


def read_proof(folder: Path, manifest: Manifest) -> Proof | None:
    """Return what is proved of the folder's files as the manifest has them; None where nothing is.

    Raises:
        ExportError: it was changed since it was written, or cannot be read.
    """
    if PROOF not in manifest.files:
        return None
    path, again = folder / PROOF, f"Verify the folder again: hub2hf verify SOURCE {pasted(folder)}"
    try:
        for name in (PROOF, PICTURE):
            if name in manifest.files and hash_file(folder / name) != manifest.files[name]:
                raise ExportError(f"{folder / name} was changed since the verification.", again)
        proof = _load(path, folder / PICTURE if PICTURE in manifest.files else None)
    except UNREADABLE as error:
        raise unreadable(path, error, again) from error
    return standing(proof, manifest)


def _load(path: Path, picture: Path | None) -> Proof:
    """Return the proof in a file, with its picture.

    Raises:
        UNREADABLE: it is none.
    """
    proof = from_json(json.loads(path.read_text(encoding="utf-8")))
    return replace(proof, picture=picture.read_bytes() if picture is not None else None)


def foreign_about(folder: Path, manifest: Manifest) -> list[str]:
    """Return which of proof and picture are no such, whoever put them there; those of a run killed since are ours."""
    foreign = []
    for name in (PROOF, PICTURE):
        path = folder / name
        if path.is_file() and hash_file(path) != manifest.files.get(name):
            try:
                if name == PROOF:
                    _load(path, None)
                elif not path.read_bytes().startswith(PNG):
                    raise ValueError("no picture")
            except UNREADABLE:
                foreign.append(name)
    return foreign


def standing(proof: Proof, manifest: Manifest) -> Proof | None:
    """Return what of `proof` holds for the files of a manifest; None where nothing does.

    What was proved of a way of loading holds as long as the files that this way reads are the same: files for another one
    may come, and change, without it.
    """
    if proof.fingerprint != manifest.fingerprint:
        return None
    stand = {name for name, one in proof.conditions.items() if one.files == files_read(manifest, name)}
    if stand == proof.conditions.keys():
        return proof
    return of_ways(proof, stand) if stand else None


def of_ways(proof: Proof, ways: Collection[str]) -> Proof:
    """Return what `proof` says of some ways of loading; its picture is of all of them, and its causes too."""
    failures = [failure for failure in proof.failures if failure.surface in ways]
    return replace(
        proof,
        rows=[row for row in proof.rows if row.surface in ways],
        failures=failures,
        causes=proof.causes if failures else [],
        conditions={name: one for name, one in proof.conditions.items() if name in ways},
        picture=None,
    )


def about_files(manifest: Manifest, proof: Proof | None) -> tuple[dict[str, bytes], Manifest]:
    """Return name → content of proof, picture, card and, last, the manifest that lists them; and that manifest.

    Of the proof only what holds for the files of the manifest is taken.
    """
    proof = standing(proof, manifest) if proof else None
    new = {PROOF: as_text(to_json(proof, manifest.converter)).encode()} if proof else {}
    if proof and proof.picture is not None:
        new[PICTURE] = proof.picture
    kept = {name: entry for name, entry in manifest.files.items() if name not in ABOUT}
    listed = replace(manifest, files=kept | {name: hash_bytes(data) for name, data in new.items()})
    new[CARD] = render_card(listed, proof).encode("utf-8", "backslashreplace")
    listed = replace(listed, files=dict(sorted([*listed.files.items(), (CARD, hash_bytes(new[CARD]))])))
    return {**new, MANIFEST: listed.to_bytes()}, listed


def write_about(folder: Path, manifest: Manifest, proof: Proof | None = None) -> Manifest:
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
    manifest = changeable(folder, force=force)
    check_unchanged(folder, manifest, manifest.changed)
    if model is not None:
        manifest = manifest.named(model)
    with alone(folder):
        write_about(folder, manifest, read_proof(folder, manifest))
    return folder / CARD


def changeable(folder: Path, *, force: bool = False) -> Manifest:
    """Return the manifest of a folder that stands and that something is to be added to, with a new card.

    Args:
        folder: made by hub2hf.
        force: whether a card that was edited by hand may be written over.

    Raises:
        ExportError: hub2hf did not make the folder, it is a cached copy, or its card was edited by hand.
    """
    manifest = manifest_for_python(folder)
    if links(folder, manifest):
        raise ExportError(f"{folder} holds links, as a cached copy does.", "Copy the files to a folder of their own.")
    if edited_by_hand(folder, manifest) and not force:
        step = f"Keep a copy of it; {pasted('hub2hf', 'card', folder, '--force')} writes it again."
        raise ExportError(f"{folder / CARD} was edited by hand.", step)
    return manifest


def check_unedited(out: Path) -> None:
    """Refuse to replace a folder of which a person has changed a file; what is missing, or ours to write again, is no such.

    Raises:
        ExportError: names the file.
    """
    if not (out / MANIFEST).is_file():
        return
    manifest = read_manifest(out)
    own = {name: entry for name, entry in manifest.files.items() if name not in ABOUT and not half_added(out, name)}
    wrong = problems(out, replace(manifest, files=own))
    changed = [CARD] * edited_by_hand(out, manifest) + [name for name, what in wrong.items() if what != MISSING]
    if changed:
        raise ExportError(
            f"{out / changed[0]} was changed since hub2hf wrote it. Nothing was touched.",
            "Move the file elsewhere and run this again, or name another folder.",
        )


def edited_by_hand(folder: Path, manifest: Manifest) -> bool:
    """Whether there is a card that hub2hf did not write, as far as the manifest, or a run killed before it, tells."""
    path, proof, picture = folder / CARD, folder / PROOF, folder / PICTURE
    if not path.is_file() or hash_file(path) == manifest.files.get(CARD):
        return False
    try:
        found = _load(proof, picture if picture.is_file() else None) if proof.is_file() else None
        ours = about_files(manifest, found)[0][CARD]
    except (*UNREADABLE, ExportError):
        return True
    return path.read_bytes() != ours
