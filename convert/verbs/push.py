"""The verb `push`: a folder is published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hub2hf.names import check_flags, check_paths

if TYPE_CHECKING:
    from hub2hf.hub import Publication


def push(
    folder: str | Path,
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
    """Publish a verified folder on the Hugging Face Hub: one commit of exactly the files in its manifest.

    The token is that of the Hub's own client: its login, or HF_TOKEN. The card is written again first, for `repository`.

    Args:
        folder: made by `convert`, with the result of `verify` in it.
        repository: OWNER/NAME; created where it is not there.
        private: create it private.
        create_pr: open a pull request instead of committing.
        revision: the branch, created where it is not there; main by default.
        message: of the commit.
        dry_run: only tell what would be done; nothing is touched, here or there.
        allow_unverified: publish without a passing verification, or files changed since the conversion; the card says so.
        say: called with a line when something is tried again.

    Raises:
        ExportError: the folder is not what its manifest says, or not verified.
        HubError: the Hub refused, or could not be reached.
    """
    from hub2hf.hub import push as publish

    check_paths(folder=folder)
    check_flags(private=private, create_pr=create_pr, dry_run=dry_run, allow_unverified=allow_unverified)
    return publish(
        Path(folder),
        repository,
        private=private,
        create_pr=create_pr,
        revision=revision,
        message=message,
        dry_run=dry_run,
        allow_unverified=allow_unverified,
        say=say,
    )
