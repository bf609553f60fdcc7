"""What a repository on the Hub holds, and what would change in it."""

from __future__ import annotations

import difflib
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convert.export.files import CHUNK
from convert.export.manifest import CARD, MANIFEST
from convert.hub.result import FileChange

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


@dataclass(frozen=True)
class Repository:
    """A repository at one revision.

    Attributes:
        name: OWNER/NAME.
        revision: a branch.
        exists, private: the repository.
        head: hash of the last commit; "" where the repository or the branch is not there yet.
        files: name → what is there.
        pull_requests: the refs of those that are there.
    """

    name: str
    revision: str
    exists: bool = False
    private: bool = False
    head: str = ""
    files: Mapping[str, RemoteFile] | None = None
    pull_requests: frozenset[str] = frozenset()

    @classmethod
    def read(cls, api: HfApi, name: str, revision: str, *, pull_requests: bool = False) -> Repository:
        """Return what is there."""
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        try:
            known = api.repo_info(name)
        except RepositoryNotFoundError as error:
            if error.response is not None and error.response.status_code == 401:
                raise
            return cls(name, revision)
        refs: frozenset[str] = frozenset()
        if pull_requests:
            refs = frozenset(r.ref for r in api.list_repo_refs(name, include_pull_requests=True).pull_requests or ())
        try:
            head = api.repo_info(name, revision=revision).sha or ""
            files = read_files(api, name, head) if head else {}
        except RevisionNotFoundError:
            head, files = "", {}
        return cls(name, revision, True, bool(known.private), head, files, refs)

    def changes(self, contents: Mapping[str, Content], stale: frozenset[str]) -> list[FileChange]:
        """Return what a commit of `contents` does to every file; those in `stale` go."""
        there = self.files or {}
        found = []
        for name, content in contents.items():
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            if name not in there:
                found.append(FileChange(name, size, "new"))
            else:
                found.append(FileChange(name, size, "unchanged" if same(content, there[name]) else "changed"))
        return [*found, *(FileChange(name, there[name].bytes, "deleted") for name in sorted(stale & there.keys()))]


def read_files(api: HfApi, name: str, revision: str) -> dict[str, RemoteFile]:
    """Return name → file of a revision."""
    from huggingface_hub.hf_api import RepoFile

    return {
        entry.path: RemoteFile(entry.size, entry.lfs.sha256 if entry.lfs else "", entry.blob_id)
        for entry in api.list_repo_tree(name, recursive=True, revision=revision)
        if isinstance(entry, RepoFile)
    }


def same(content: Content, there: RemoteFile) -> bool:
    """Whether `content` is what is there."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size != there.bytes:
        return False
    # A git blob is hashed behind its kind and size: git-scm.com/book, "Git Objects".
    digest = hashlib.sha256() if there.sha256 else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    if isinstance(content, bytes):
        digest.update(content)
    else:
        with content.open("rb") as file:
            while block := file.read(CHUNK):
                digest.update(block)
    return digest.hexdigest() == (there.sha256 or there.blob)


def text_of(api: HfApi, repository: Repository, name: str) -> str:
    """Return the text of a file there; "" where there is none."""
    if name not in (repository.files or {}):
        return ""
    with tempfile.TemporaryDirectory() as folder:
        path = api.hf_hub_download(repository.name, name, revision=repository.head, local_dir=folder)
        return Path(path).read_text(encoding="utf-8", errors="replace")


def card_diff(before: str, after: str) -> str:
    """Return what changes in the card as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"there/{CARD}", f"here/{CARD}", lineterm="")
    return "\n".join(lines)


def files_of_manifest(text: str) -> frozenset[str]:
    """Return the files that a manifest there lists, itself included; none where it is no manifest."""
    try:
        return frozenset({MANIFEST, *map(str, json.loads(text)["files"])})
    except (ValueError, KeyError, TypeError):
        return frozenset()
