"""What a push would do: the folder checked, what is there looked at, and the two compared. Nothing is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hub2hf.equivalence.sentences import language_sentences
from hub2hf.errors import ExportError, HubError, pasted
from hub2hf.folder.about import about_files, read_proof
from hub2hf.folder.files import hash_bytes, hash_file
from hub2hf.folder.manifest import (
    ABOUT,
    CARD,
    MANIFEST,
    MISSING,
    Manifest,
    links,
    listed,
    manifest_for_python,
    problems,
)
from hub2hf.hub.client import token
from hub2hf.hub.repository import Content, Repository, card_diff, text_of
from hub2hf.hub.result import FileChange
from hub2hf.proof import TRAPS, Proof
from hub2hf.surfaces import applying, title

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LARGE = 64 << 20  # bytes; smaller files are read at once, so that what is published is what was checked
# git-check-ref-format, without what the Hub's addresses cannot hold; pull requests are refs of the Hub's own.
BRANCH = re.compile(r"(?!.*(\.\.|//|\.lock$|[./]$))(?![0-9a-f]{40}$)[A-Za-z0-9_][A-Za-z0-9._/-]*")
NAME = re.compile(r"[^/\s]+/[^/\s]+")


@dataclass(frozen=True)
class Ready:
    """A folder that may be published.

    Attributes:
        folder: where it is.
        contents: name → content of exactly the files of the manifest, and the manifest; small ones in memory.
        files: name → SHA-256 of every file but the manifest.
        about: name → content of what is new, with the card for this repository.
        verified: whether it carries a passing verification.
        notes: what a person should know.
    """

    folder: Path
    contents: Mapping[str, Content]
    files: Mapping[str, str]
    about: Mapping[str, bytes]
    verified: bool
    notes: list[str]


@dataclass(frozen=True)
class PushPlan:
    """What a push does to a repository.

    Attributes:
        changes: every file of the folder, and those of an earlier conversion that go.
        foreign: files there that hub2hf did not write; they stay.
        diff: what changes in the card.
        notes: what a person should know.
    """

    changes: list[FileChange]
    foreign: list[str]
    diff: str
    notes: list[str]

    @property
    def unchanged(self) -> bool:
        """Whether there is nothing to do."""
        return all(change.change == "unchanged" for change in self.changes)


def check_names(repository: str, revision: str) -> None:
    """Refuse what cannot be a repository or a branch.

    Raises:
        HubError: it cannot.
    """
    if not NAME.fullmatch(repository):
        raise HubError(f"'{repository}' is not the name of a repository.", "Name it OWNER/NAME.")
    if not BRANCH.fullmatch(revision):
        raise HubError(f"'{revision}' cannot be the name of a branch.", "Name a branch, such as main.")


def check_folder(folder: Path, repository: str, *, allow_unverified: bool) -> Ready:
    """Return the folder with its card for `repository`, if it may be published.

    Raises:
        ExportError: a file is not what the manifest says, or there is no passing verification of these very files.
    """
    manifest = manifest_for_python(folder)
    if linked := links(folder, manifest):
        raise ExportError(f"{folder / linked[0]} is a link.", "Copy the files to a folder of their own, and push that.")
    wrong = problems(folder, manifest)
    for name, what in wrong.items():
        if what == MISSING or name in ABOUT or not allow_unverified:
            raise ExportError(f"{folder / name} is not as {MANIFEST} says: it {what}.", _repair(folder, name))
    if wrong:  # and published all the same, deliberately
        manifest = replace(
            manifest,
            files={**manifest.files, **{name: hash_file(folder / name) for name in wrong}},
            changed=tuple(sorted({*manifest.changed, *wrong})),
        )
    manifest = replace(manifest, repository=repository)
    proof = read_proof(folder, manifest)
    reason = unproved(manifest, proof)
    if reason and not allow_unverified:
        raise ExportError(
            f"{folder} is not proved: {reason}.",
            f"Run hub2hf verify SOURCE {pasted(folder)}; or publish it as it is with --allow-unverified: "
            "its card will say so.",
        )
    about, manifest = about_files(manifest, proof)
    contents = {name: about.get(name) or _content(folder, name, manifest) for name in (*manifest.files, MANIFEST)}
    files = {name: entry["sha256"] for name, entry in manifest.files.items()}
    notes = [f"changed by hand, which the card says: {', '.join(manifest.changed)}"] if manifest.changed else []
    return Ready(folder, contents, files, about, verified=not reason, notes=notes)


def _repair(folder: Path, name: str) -> str:
    if name == CARD:
        return (
            f"push publishes the card that hub2hf wrote: keep a copy of yours, write it again by "
            f"{pasted('hub2hf', 'card', folder, '--force')}, and edit it on the Hub after the push."
        )
    return "Verify the folder again." if name in ABOUT else "Convert the model again."


def _content(folder: Path, name: str, manifest: Manifest) -> Content:
    """Return a file, in memory if it is small; a large one is held against its hash when it is uploaded.

    Raises:
        ExportError: it changed meanwhile, or holds the token.
    """
    path, entry = folder / name, manifest.files[name]
    if entry["bytes"] > LARGE:
        return path
    data = path.read_bytes()
    if hash_bytes(data) != entry:
        raise ExportError(f"{path} changed while it was read.", "Push again when nothing writes there.")
    secret = token()
    if secret and secret.encode() in data:
        raise ExportError(f"{path} holds the token for the Hub.", "Take it out, and make a new token.")
    return data


def unproved(manifest: Manifest, proof: Proof | None) -> str:
    """Return why the folder is not proved; "" where it is.

    A proof has every way of loading that should be exact and applies to the folder: exact in every language that its card
    claims and the project has sentences in (all 109 where there is none), and on the traps; of a lossy folder, within its
    limits there.
    """
    if proof is None:
        return "no verification of its files is in it"
    if proof.worth.undecided:
        return "its verification could not load it in every way that must be exact"
    if not proof.equivalent:
        return "its verification says that it is not the same as the original"
    proved = proof.worth.proved
    known = {sentence.language for sentence in language_sentences()}
    claimed = known.intersection(manifest.languages) or known
    ways = [surface.name for surface in applying(manifest.files) if surface.exact]
    if not ways:
        return "nothing in it can be loaded"
    for way in ways:
        missing = sorted(language for language in {*claimed, TRAPS} if (way, language) not in proved)
        if missing:
            names = ", ".join(missing[:5]) + (", …" if missing[5:] else "")
            count = len(claimed - set(missing))
            return f"its verification covers {count} of its {len(claimed)} languages as {title(way)}, without {names}"
    return ""


def plan(api: HfApi, target: Repository, contents: Mapping[str, Content]) -> PushPlan:
    """Return what a commit of `contents` does to `target`."""
    earlier, card = listed(text_of(api, target, MANIFEST)), text_of(api, target, CARD)
    there = target.files
    stale = {n for n, entry in earlier.items() if n in there and n not in contents and there[n].is_entry(entry)}
    changes = target.changes(contents, stale)
    new_card = contents[CARD]
    assert isinstance(new_card, bytes)
    notes = []
    if card and not (CARD in earlier and there[CARD].is_entry(earlier[CARD])):
        notes.append("the card there was not written by hub2hf, or edited since: this one replaces it")
    foreign = sorted(there.keys() - {change.name for change in changes} - {".gitattributes"})  # that is the Hub's
    return PushPlan(changes, foreign, card_diff(card, new_card.decode()) if card else "", notes)
