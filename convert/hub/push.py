"""Publish a folder: check it, compare it with what is there, and commit all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.errors import ExportError, HubError
from convert.export.card import about_files, read_proof, write_about
from convert.export.files import hash_file
from convert.export.manifest import ABOUT, CARD, MANIFEST, problems, read_manifest
from convert.hub.client import connect, patiently
from convert.hub.repository import (
    MAIN,
    Content,
    Repository,
    card_diff,
    files_of_manifest,
    read_files,
    same,
    text_of,
)
from convert.hub.result import FileChange, Publication

if TYPE_CHECKING:
    from huggingface_hub import HfApi

OF_THE_HUB = {".gitattributes"}  # written by the Hub itself into every new repository


@dataclass(frozen=True)
class _Ready:
    """A folder that may be published: its manifest, proof and picture, and whether the proof is a passing one."""

    folder: Path
    manifest: dict[str, Any]
    proof: dict[str, Any] | None
    picture: bytes | None
    verified: bool

    def contents(self) -> dict[str, Content]:
        """Return name → content of exactly the files of the manifest, and the manifest."""
        about = about_files(self.manifest, self.proof, self.picture)
        return {name: about.get(name, self.folder / name) for name in (*self.manifest["files"], MANIFEST)}


def push(
    folder: Path,
    repository: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    revision: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
    allow_unverified: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Publication:
    """Publish `folder`, as `convert.push` says it.

    Raises:
        ExportError: the folder is not what its manifest says, or not verified.
        HubError: the Hub refused, or could not be reached.
    """
    ready = check(folder, repository, allow_unverified=allow_unverified)
    if create_pr and revision not in (None, MAIN):
        raise HubError("A pull request goes to the branch main.", "Leave out either --create-pr or --revision.")
    api, branch = connect(anonymous=dry_run), revision or MAIN
    target = patiently(lambda: Repository.read(api, repository, branch, pull_requests=create_pr), repository, say)
    if private and target.exists and not target.private:
        raise HubError(f"{repository} is there already, and public.", "Make it private on the Hub, or name another.")
    contents = ready.contents()
    earlier, card = patiently(lambda: (text_of(api, target, MANIFEST), text_of(api, target, CARD)), repository, say)
    changes = target.changes(contents, files_of_manifest(earlier) - contents.keys())
    new_card, created = contents[CARD], _created(target, private)
    assert isinstance(new_card, bytes)

    def publication(state: Any, url: str = "", commit: str = "") -> Publication:
        return Publication(
            state=state,
            repository=repository,
            url=url or f"{api.endpoint}/{repository}",
            revision=branch,
            commit=commit,
            verified=ready.verified,
            created=created,
            files=changes,
            foreign=sorted((target.files or {}).keys() - {c.name for c in changes} - OF_THE_HUB),
            card_diff=card_diff(card, new_card.decode()) if card else "",
        )

    if target.head and all(change.change == "unchanged" for change in changes):
        return publication("unchanged", commit=target.head)
    if dry_run:
        return publication("planned")
    write_about(folder, ready.manifest, ready.proof, ready.picture)
    target = _prepare(api, target, private, say)
    url, commit = _commit(api, target, contents, changes, message, create_pr, say)
    return publication("published", url, commit)


def check(folder: Path, repository: str, *, allow_unverified: bool) -> _Ready:
    """Return the folder with its card for `repository`, if it may be published.

    Raises:
        ExportError: a file is not what the manifest says, or there is no passing verification of these very files.
    """
    manifest = read_manifest(folder)
    wrong = problems(folder, manifest)
    changed = [name for name in wrong if name not in ABOUT]
    for name, what in wrong.items():
        if what == "is missing" or name in ABOUT or not allow_unverified:
            step = f"Write it again with hub2hf card {folder} --force." if name == CARD else "Convert the model again."
            raise ExportError(f"{folder / name} {what}, by {MANIFEST}.", step)
    if changed:  # and published all the same, deliberately
        manifest["files"] |= {name: hash_file(folder / name) for name in changed}
        manifest["changed"] = sorted({*manifest.get("changed", ()), *changed})
    manifest["repository"] = repository
    proof, picture = read_proof(folder, manifest)
    reason = unproved(folder, manifest, proof)
    if reason and not allow_unverified:
        raise ExportError(
            f"{folder} is not proved: {reason}.",
            f"Run hub2hf verify SOURCE {folder}; or publish it as it is with --allow-unverified, which its card will say.",
        )
    return _Ready(folder, manifest, proof, picture, verified=not reason)


def unproved(folder: Path, manifest: Mapping[str, Any], proof: Mapping[str, Any] | None) -> str:
    """Return why the folder is not proved; "" where it is.

    Raises:
        ExportError: the proof is damaged.
    """
    if proof is None:
        return "no verification of its files is in it"
    try:
        if not proof["equivalent"]:
            return "its verification says that it is not equivalent to the original"
        wanted = set(((manifest.get("model") or {}).get("card") or {}).get("languages", ()))
        missing = wanted - {row["language"] for row in proof["rows"]}
    except (KeyError, TypeError) as error:
        raise ExportError(f"The verification in {folder} is damaged: {error!r}.", "Verify the folder again.") from error
    if missing:
        names = ", ".join(sorted(missing)[:5])
        return f"its verification covers {len(wanted) - len(missing)} of its {len(wanted)} languages, without {names}"
    return ""


def _created(target: Repository, private: bool) -> list[str]:
    """Return in words what has to be created for `target` before a commit."""
    if not target.exists:
        branch = [f"branch {target.revision}"] if target.revision != MAIN else []
        return [f"{'private' if private else 'public'} repository {target.name}", *branch]
    return [] if target.head else [f"branch {target.revision}"]


def _prepare(api: HfApi, target: Repository, private: bool, say: Callable[[str], None]) -> Repository:
    """Create the repository and the branch where they are not there yet; return what is there then."""
    if target.head:
        return target

    def create() -> Repository:
        if not target.exists:
            api.create_repo(target.name, private=private, exist_ok=True)
        if target.revision != MAIN:
            api.create_branch(target.name, branch=target.revision, exist_ok=True)
        return Repository.read(api, target.name, target.revision, pull_requests=True)

    return patiently(create, target.name, say)


def _commit(
    api: HfApi,
    target: Repository,
    contents: Mapping[str, Content],
    changes: list[FileChange],
    message: str | None,
    create_pr: bool,
    say: Callable[[str], None],
) -> tuple[str, str]:
    """Commit all changes at once; return the address and the hash."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    gone = [change.name for change in changes if change.change == "deleted"]
    summary = message or f"hub2hf: {'update' if target.files and MANIFEST in target.files else 'publish'} the model"

    def commit() -> tuple[str, str]:
        operations: list[Any] = [
            *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in contents.items()),
            *(CommitOperationDelete(path_in_repo=name) for name in gone),
        ]
        made = api.create_commit(
            target.name,
            operations,
            commit_message=summary,
            revision=target.revision,
            create_pr=create_pr,
            parent_commit=target.head or None,
        )
        return str(made.pr_url or made.commit_url), str(made.oid)

    def carried_out() -> tuple[str, str] | None:
        """Return the commit if it was made although its answer was lost."""
        now = Repository.read(api, target.name, target.revision, pull_requests=create_pr)
        for ref in sorted(now.pull_requests - target.pull_requests) if create_pr else [now.head]:
            there = read_files(api, target.name, ref) if ref else {}
            if all(name in there and same(content, there[name]) for name, content in contents.items()):
                place = f"discussions/{ref.rpartition('/')[2]}" if create_pr else f"commit/{ref}"
                return f"{api.endpoint}/{target.name}/{place}", str(api.repo_info(target.name, revision=ref).sha)
        return None

    return patiently(commit, target.name, say, carried_out)
