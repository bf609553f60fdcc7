"""What a push did, or would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class FileChange:
    """One file: its name in the repository, its size in bytes, and what happens to it there, where the Hub told."""

    name: str
    bytes: int
    change: Literal["new", "changed", "unchanged", "deleted", "unknown"]


@dataclass(frozen=True)
class Publication:
    """The result of `push`.

    Attributes:
        state: "published"; "unchanged", when the repository already has these very files; "planned", by a dry run.
        repository: OWNER/NAME.
        url: of the commit or the pull request; of the repository where there is neither.
        revision: the branch.
        commit: its hash; "" where none was made.
        verified: whether the folder carries a passing verification of its files.
        created: what was, or would be, created before the commit, in words.
        files: every file of the folder, and those of an earlier conversion that go.
        foreign: files in the repository that hub2hf did not put there; they stay.
        notes: what a person should know.
        card_diff: what changes in the card that is there, as a unified diff.
    """

    state: Literal["published", "unchanged", "planned"]
    repository: str
    url: str
    revision: str
    commit: str
    verified: bool
    created: Sequence[str]
    files: Sequence[FileChange]
    foreign: Sequence[str]
    card_diff: str
    notes: Sequence[str] = ()
