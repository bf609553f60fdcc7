"""Publish a folder: check it, compare it with what is there, and commit all of it at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub2hf.errors import ExportError, HubError
from hub2hf.folder.about import store_about
from hub2hf.folder.manifest import MANIFEST
from hub2hf.hub.client import Say, bounded, connect, patiently
from hub2hf.hub.plan import PushPlan, Ready, check_folder, check_names, plan
from hub2hf.hub.repository import MAIN, Repository, holds, read_files, size_of
from hub2hf.hub.result import FileChange, Publication

if TYPE_CHECKING:
    from huggingface_hub import HfApi


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
    say: Say = lambda line: None,
) -> Publication:
    """Publish `folder`, as `hub2hf.push` says it.

    Raises:
        ExportError: the folder is not what its manifest says, or not verified.
        HubError: the Hub refused, or could not be reached.
    """
    branch = revision or MAIN
    check_names(repository, branch)
    if create_pr and branch != MAIN:
        raise HubError("A pull request goes to the branch main.", "Leave out either --create-pr or --revision.")
    ready = check_folder(folder, repository, allow_unverified=allow_unverified)
    try:
        found = _push(ready, repository, branch, private, create_pr, message, dry_run, say)
    except HubError as error:
        if not (dry_run and error.unasked):
            raise
        return _unasked(ready, repository, branch, error)
    return found if dry_run else _kept(found, ready)


def _push(
    ready: Ready,
    repository: str,
    branch: str,
    private: bool,
    create_pr: bool,
    message: str | None,
    dry_run: bool,
    say: Say,
) -> Publication:
    """Compare `ready` with what is there, and commit it unless this is a dry run."""
    with bounded():
        api = connect(anonymous=dry_run)
        target = patiently(
            lambda: Repository.read(api, repository, branch, pull_requests=create_pr, anonymous=dry_run),
            repository,
            say,
        )
        _check_target(target, private, create_pr)
        planned = patiently(lambda: plan(api, target, ready.contents), repository, say)
        found = _publication(api, target, ready, planned, private)
        if dry_run:
            return found
        if target.head and planned.unchanged:
            return replace(found, state="unchanged", commit=target.head)
        if create_pr:
            url = patiently(lambda: _open_request(api, target, ready), repository, say)
            if url:
                return replace(found, state="unchanged", url=url)
        there = _prepare(api, target, private, say)
        url, commit = _commit(api, there, ready, planned, message, create_pr, say)
        # A repository is private or public as its owner's settings made it.
        created = _created(target, "private " if there.private else "public ")
        return replace(found, state="published", url=url, commit=commit, created=created)


def _unasked(ready: Ready, repository: str, branch: str, error: HubError) -> Publication:
    """Return what a dry run can tell without the Hub: the folder was checked, and its files are these."""
    from huggingface_hub import constants

    return Publication(
        state="planned",
        repository=repository,
        url=f"{constants.ENDPOINT}/{repository}",
        revision=branch,
        commit="",
        verified=ready.verified,
        created=[],
        files=[FileChange(name, size_of(content), "unknown") for name, content in ready.contents.items()],
        foreign=[],
        card_diff="",
        notes=[
            *ready.notes,
            f"the Hub was not asked: {error.problem} To see which of these files are new there, repeat the dry run "
            f"{'without HF_HUB_OFFLINE' if constants.HF_HUB_OFFLINE else 'when the Hub can be reached'}. "
            f"No dry run tells whether you may write to {repository}",
        ],
    )


def _check_target(target: Repository, private: bool, create_pr: bool) -> None:
    """Refuse a repository that cannot take it.

    Raises:
        HubError: it cannot.
    """
    if private and target.exists and not target.private:
        raise HubError(f"{target.name} exists already, and is public.", "Make it private on the Hub, or name another.")
    if target.revision.startswith("refs/") and not target.head:
        raise HubError(f"{target.name} has no branch {target.revision}.", "Open a pull request with --create-pr.")
    if create_pr and not target.exists:
        raise HubError(
            f"{target.name} does not exist, so no pull request can be opened there.", "Leave out --create-pr."
        )


def _publication(api: HfApi, target: Repository, ready: Ready, planned: PushPlan, private: bool) -> Publication:
    return Publication(
        state="planned",
        repository=target.name,
        url=f"{api.endpoint}/{target.name}",
        revision=target.revision,
        commit="",
        verified=ready.verified,
        created=_created(target, "private " if private else ""),
        files=planned.changes,
        foreign=planned.foreign,
        card_diff=planned.diff,
        notes=[*ready.notes, *planned.notes],
    )


def _created(before: Repository, kind: str) -> list[str]:
    """Return, in words, what is created of what was not there `before`; `kind` says of what kind a repository is."""
    branch = [f"branch {before.revision}"] if not before.head and before.revision != MAIN else []
    return branch if before.exists else [f"{kind}repository {before.name}", *branch]


def _open_request(api: HfApi, target: Repository, ready: Ready) -> str:
    """Return the address of an open pull request that brings these very files; "" where there is none."""
    for request in api.get_repo_discussions(target.name, discussion_type="pull_request", discussion_status="open"):
        ref = f"refs/pr/{request.num}"
        if ref in target.pull_requests and holds(read_files(api, target.name, ref), ready.contents):
            return f"{api.endpoint}/{target.name}/discussions/{request.num}"
    return ""


def _prepare(api: HfApi, target: Repository, private: bool, say: Say) -> Repository:
    """Create the repository and the branch where they are not there yet; return what is there then."""
    if target.head:
        return target

    def read() -> Repository:
        return Repository.read(api, target.name, target.revision, pull_requests=True)

    def create() -> Repository:
        if not target.exists:
            try:
                api.create_repo(target.name, private=private or None, exist_ok=True)
            except Exception:  # carried out all the same, or by somebody else meanwhile
                if not read().exists:
                    raise
        if target.revision != MAIN:
            api.create_branch(target.name, branch=target.revision, exist_ok=True)
        return read()

    return patiently(create, target.name, say)


def _commit(
    api: HfApi, target: Repository, ready: Ready, planned: PushPlan, message: str | None, create_pr: bool, say: Say
) -> tuple[str, str]:
    """Commit all changes at once; return the address and the hash."""
    from huggingface_hub import CommitOperationDelete

    summary = message or f"hub2hf: {'update' if MANIFEST in target.files else 'publish'} the model"

    def commit() -> tuple[str, str]:
        gone = [CommitOperationDelete(change.name) for change in planned.changes if change.change == "deleted"]
        made = api.create_commit(
            target.name,
            [*_additions(ready), *gone],
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
            if ref and holds(read_files(api, target.name, ref), ready.contents):
                place = f"discussions/{ref.rpartition('/')[2]}" if create_pr else f"commit/{ref}"
                return f"{api.endpoint}/{target.name}/{place}", str(api.repo_info(target.name, revision=ref).sha)
        return None

    return patiently(commit, target.name, say, carried_out)


def _additions(ready: Ready) -> list[Any]:
    """Return the files as the client wants them; the server holds what it gets against the hashes taken here.

    Raises:
        ExportError: a file changed since it was checked.
    """
    from huggingface_hub import CommitOperationAdd

    added = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=c) for name, c in ready.contents.items()]
    for operation in added:
        expected = ready.files.get(operation.path_in_repo)
        if expected is not None and operation.upload_info.sha256.hex() != expected:
            path = ready.folder / operation.path_in_repo
            raise ExportError(f"{path} changed since it was checked.", "Push again when nothing writes there.")
    return added


def _kept(found: Publication, ready: Ready) -> Publication:
    """Write the card as it was published into the folder; a folder that cannot be written to stays as it was."""
    try:
        store_about(ready.folder, ready.about)
    except ExportError:
        return replace(found, notes=[*found.notes, f"{ready.folder} cannot be written to: its card is as it was"])
    return found
