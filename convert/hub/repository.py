"""What a repository on the Hub holds, and what would change in it."""

from __future__ import annotations

import difflib
import hashlib
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub2hf.folder.manifest import CARD
from hub2hf.hub.result import FileChange

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAIN = "main"

Content = Path | bytes


@dataclass(frozen=True)
class RemoteFile:
    """A file there: its size, and its hash: SHA-256 where it is stored as a large file, else that of the git blob."""

    bytes: int
    sha256: str
    blob: str

    def is_entry(self, entry: Mapping[str, Any]) -> bool:
        """Whether it may be the file of a manifest's entry; a git blob is told by its size only."""
        return bool(self.bytes == entry["bytes"] and self.sha256 in ("", entry["sha256"]))

    def holds(self, content: Content) -> bool:
        """Whether it is `content`."""
        if size_of(content) != self.bytes:
            return False
        # A git blob is hashed behind its kind and size: git-scm.com/book, "Git Objects".
        digest = hashlib.sha256() if self.sha256 else hashlib.sha1(b"blob %d\0" % self.bytes, usedforsecurity=False)
        if isinstance(content, bytes):
            digest.update(content)
        else:
            with content.open("rb", buffering=0) as file:
                hashlib.file_digest(file, lambda: digest)
        return digest.hexdigest() == (self.sha256 or self.blob)


def size_of(content: Content) -> int:
    """Return its size in bytes."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


@dataclass(frozen=True)
class Repository:
    """A repository at one revision.

    Attributes:
        name: OWNER/NAME.
        revision: a branch.
        exists, private: the repository.
        head: hash of the last commit of the branch; "" where the repository or the branch is not there yet.
        base: the revision that `files` are of: `head`, or that of main, from which a new branch starts.
        files: name → what is there.
        pull_requests: the refs of those that are there.
    """

    name: str
    revision: str
    exists: bool = False
    private: bool = False
    head: str = ""
    base: str = ""
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    pull_requests: frozenset[str] = frozenset()

    @classmethod
    def read(
        cls, api: HfApi, name: str, revision: str, *, pull_requests: bool = False, anonymous: bool = False
    ) -> Repository:
        """Return what is there; to somebody `anonymous` the Hub does not say whether there is anything."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            known = api.repo_info(name)
        except RepositoryNotFoundError as error:
            if not anonymous and error.response is not None and error.response.status_code == 401:
                raise
            return cls(name, revision)
        refs: frozenset[str] = frozenset()
        if pull_requests:
            refs = frozenset(r.ref for r in api.list_repo_refs(name, include_pull_requests=True).pull_requests or ())
        head = _head(api, name, revision)
        base = head or _head(api, name, MAIN)
        files = read_files(api, name, base) if base else {}
        return cls(name, revision, True, bool(known.private), head, base, files, refs)

    def changes(self, contents: Mapping[str, Content], stale: Collection[str]) -> list[FileChange]:
        """Return what a commit of `contents` does to every file; those in `stale` go."""
        found = []
        for name, content in contents.items():
            there = self.files.get(name)
            if there is None:
                found.append(FileChange(name, size_of(content), "new"))
            else:
                found.append(FileChange(name, size_of(content), "unchanged" if there.holds(content) else "changed"))
        return [*found, *(FileChange(name, self.files[name].bytes, "deleted") for name in sorted(stale))]


def _head(api: HfApi, name: str, revision: str) -> str:
    from huggingface_hub.errors import RevisionNotFoundError

    try:
        return api.repo_info(name, revision=revision).sha or ""
    except RevisionNotFoundError:
        return ""


def read_files(api: HfApi, name: str, revision: str) -> dict[str, RemoteFile]:
    """Return name → file of a revision."""
    from huggingface_hub.hf_api import RepoFile

    return {
        entry.path: RemoteFile(entry.size, entry.lfs.sha256 if entry.lfs else "", entry.blob_id)
        for entry in api.list_repo_tree(name, recursive=True, revision=revision)
        if isinstance(entry, RepoFile)
    }


def holds(there: Mapping[str, RemoteFile], contents: Mapping[str, Content]) -> bool:
    """Whether all of `contents` are there."""
    return all(name in there and there[name].holds(content) for name, content in contents.items())


def text_of(api: HfApi, repository: Repository, name: str) -> str:
    """Return the text of a file there; "" where there is none."""
    if name not in repository.files:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        path = api.hf_hub_download(repository.name, name, revision=repository.base, local_dir=folder)
        return Path(path).read_text(encoding="utf-8", errors="replace")


def card_diff(before: str, after: str) -> str:
    """Return what changes in the card as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"there/{CARD}", f"here/{CARD}", lineterm="")
    return "\n".join(lines)
