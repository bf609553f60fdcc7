"""What the Hub of the tests stores: a repository with its commits, branches, pull requests and LFS objects.

A commit holds its whole tree, which is all that a client can ask for; there is no git behind it. Ids of files are git's
own, since the client compares them with the ids that it computes.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import cached_property
from itertools import pairwise
from typing import Any

REGULAR_LIMIT = 10 * 1024 * 1024  # bytes; the Hub takes larger files by LFS only
LFS_PATTERNS = ("*.bin", "*.h5", "*.model", "*.npy", "*.npz", "*.onnx", "*.pb", "*.pt", "*.safetensors", "*.zip")
GITATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS)


class HubError(Exception):
    """An answer other than success; `code` becomes X-Error-Code, which the client maps to its exceptions."""

    def __init__(self, status: int, message: str, code: str = "", **details: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.details = status, message, code, details


def now() -> str:
    """Return the time as the Hub writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Blob:
    """A file of a commit. With LFS git holds only a pointer to it, and `oid` is the pointer's, as on the Hub."""

    data: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
            self.sha256.encode(),
            len(self.data),
        )

    @cached_property
    def oid(self) -> str:
        stored = self.pointer if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0%s" % (len(stored), stored)).hexdigest()

    @property
    def etag(self) -> str:
        """Return what the client takes as the identity of the content, in downloads and before an upload."""
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """A state of the repository; `parent` is None for the first."""

    oid: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    tree: dict[str, Blob]

    @property
    def files(self) -> dict[str, bytes]:
        return {path: blob.data for path, blob in self.tree.items()}


@dataclass
class PullRequest:
    """A proposal; its commits are at `revision`, and `base` is the branch that it is for."""

    number: int
    title: str
    description: str
    author: str
    base: str
    status: str = "open"
    date: str = field(default_factory=now)

    @property
    def revision(self) -> str:
        return f"refs/pr/{self.number}"


class Repository:
    """A model repository. Like the Hub's, it begins with a commit that holds `.gitattributes` alone."""

    def __init__(self, name: str, author: str, *, private: bool = False) -> None:
        self.name, self.private = name, private
        self.commits: list[Commit] = []  # in the order they were made, whatever their branch
        self.heads: dict[str, str] = {}  # each branch and each pull request: the id of its last commit
        self.objects: dict[str, bytes] = {}  # what was uploaded by LFS, committed or not, by its SHA-256
        self.pull_requests: list[PullRequest] = []
        self._add("main", None, "initial commit", "", author, {".gitattributes": Blob(GITATTRIBUTES.encode())})

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Return the bytes of every file at a branch, a pull request's revision or a commit's id."""
        return self.head(revision).files

    def head(self, revision: str) -> Commit:
        """Return the commit at a branch, a pull request's revision, or of which `revision` is the id, even cut short."""
        oid = self.heads.get(revision, revision)
        found = [commit for commit in self.commits if len(oid) >= 7 and commit.oid.startswith(oid)]
        if not found:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found[0]

    def history(self, revision: str) -> list[Commit]:
        """Return the commit at `revision` and all before it, the last first."""
        commits = [self.head(revision)]
        while parent := commits[-1].parent:
            commits.append(self.head(parent))
        return commits

    def last_change(self, path: str, commit: Commit) -> Commit:
        """Return the commit that gave the file the content it has at `commit`."""
        history = self.history(commit.oid)
        changes = (newer for newer, older in pairwise(history) if older.tree.get(path) != commit.tree[path])
        return next(changes, history[-1])

    def write(self, files: dict[str, bytes], revision: str = "main", author: str = "somebody") -> Commit:
        """Commit files without a client: what is there before a test, or what somebody else does meanwhile."""
        parent = self.head(revision)
        blobs = {path: Blob(data, lfs=not is_text(data)) for path, data in files.items()}
        self.objects |= {blob.sha256: blob.data for blob in blobs.values() if blob.lfs}
        return self._add(revision, parent, "Change files", "", author, parent.tree | blobs)

    def upload_mode(self, path: str, size: int, sample: bytes, revision: str) -> str:
        """Say how a file must come: `regular` only if it is small text that .gitattributes does not give to LFS."""
        attributes = self.files(revision).get(".gitattributes", b"").decode()
        patterns = [line.split()[0] for line in attributes.splitlines() if "filter=lfs" in line]
        by_pattern = any(fnmatch(path, pattern) for pattern in patterns)
        return "regular" if size <= REGULAR_LIMIT and is_text(sample) and not by_pattern else "lfs"

    def commit(
        self, revision: str, body: bytes, author: str, *, pull_request: bool
    ) -> tuple[Commit, PullRequest | None]:
        """Carry out a commit, whole or not at all.

        Args:
            revision: the branch or the pull request's revision to commit to.
            body: a line of JSON for the header and for each operation.
            author: the user's name.
            pull_request: commit to a new pull request instead, for the branch `revision`.
        """
        header, *operations = [json.loads(line) for line in body.splitlines()]
        summary, expected = header["value"]["summary"], header["value"].get("parentCommit")
        if revision not in self.heads:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        parent = self.head(revision)
        if expected and pull_request:
            parent = self.head(expected)
        elif expected and not parent.oid.startswith(expected):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(parent.tree)
        for operation in operations:
            self._apply(tree, operation["key"], operation["value"])
        message, opened = header["value"].get("description", ""), None
        if pull_request:
            opened = self.open_pull_request(summary, message, author, revision, parent)
            revision = opened.revision
        return self._add(revision, parent, summary, message, author, tree), opened

    def open_pull_request(self, title: str, text: str, author: str, base: str, start: Commit) -> PullRequest:
        """Open a pull request that has no change yet."""
        opened = PullRequest(len(self.pull_requests) + 1, title, text, author, base)
        self.pull_requests.append(opened)
        self.heads[opened.revision] = start.oid
        return opened

    def _apply(self, tree: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
        """Change `tree` by one operation of a commit."""
        path = value["path"]
        if key == "file":
            tree[path] = Blob(base64.b64decode(value["content"]))
            if len(tree[path].data) > REGULAR_LIMIT or not is_text(tree[path].data):
                raise HubError(400, f"Your push was rejected: {path} is binary or large and must come by LFS.")
        elif key == "lfsFile":
            if value["oid"] not in self.objects:
                raise HubError(400, f"Your push was rejected: the LFS pointer of {path} points to no file.")
            tree[path] = Blob(self.objects[value["oid"]], lfs=True)
        elif key in ("deletedFile", "deletedFolder"):
            folder = path.rstrip("/") + "/"
            gone = [name for name in tree if (name == path if key == "deletedFile" else name.startswith(folder))]
            if not gone:
                raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            for name in gone:
                del tree[name]
        else:
            raise HubError(400, f"Unknown operation: {key}")

    def _add(
        self, revision: str, parent: Commit | None, title: str, message: str, author: str, tree: dict[str, Blob]
    ) -> Commit:
        before = parent.oid if parent else None
        # With the number of the commit, the same change made twice has two ids.
        content = [self.name, len(self.commits), before, title, {path: blob.oid for path, blob in tree.items()}]
        oid = hashlib.sha1(json.dumps(content).encode()).hexdigest()
        commit = Commit(oid, before, title, message, author, now(), tree)
        self.commits.append(commit)
        self.heads[revision] = oid
        return commit


def is_text(sample: bytes) -> bool:
    """Say whether the beginning of a file is UTF-8; a character cut at its end is no mistake."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return b"\0" not in sample
