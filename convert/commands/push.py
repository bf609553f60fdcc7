"""`hub2hf push`: publish on the Hub."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import hub2hf as verbs
from hub2hf.commands import options

if TYPE_CHECKING:
    from hub2hf.hub import Publication


@options.verb()
@options.folder
@click.argument("repository", metavar="OWNER/NAME", help="OWNER/NAME on the Hub; created if it does not exist.")
@options.option(
    "--private",
    is_flag=True,
    help="Create the repository as private; without it, it is public, unless OWNER's default is private.",
)
@options.option("--create-pr", is_flag=True, help="Open a pull request instead of committing.")
@options.option("--revision", help="The branch to commit to; created if it does not exist.")
@options.option("--message", help="The commit message.")
@options.option("--dry-run", is_flag=True, help="Show what would be published and change nothing; works offline, too.")
@options.option("--allow-unverified", is_flag=True, help="Publish without a passing verification; the card says so.")
@options.quiet
@options.as_json
def run(
    folder: Path,
    repository: str,
    private: bool,
    create_pr: bool,
    revision: str | None,
    message: str | None,
    dry_run: bool,
    allow_unverified: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Publish a verified folder on the Hugging Face Hub, in one commit of the files that its hub2hf.json lists.

    Files of the same names there are replaced, README.md too; unchanged ones of an earlier push that FOLDER no longer has
    are deleted; all others stay. --dry-run shows it.
    """
    from hub2hf.commands.printed import print_publication

    found = publish(
        folder,
        repository,
        quiet=quiet,
        as_json=as_json,
        private=private,
        create_pr=create_pr,
        revision=revision,
        message=message,
        dry_run=dry_run,
        allow_unverified=allow_unverified,
    )
    line = f"{'planned: ' if found.state == 'planned' else ''}{found.url}"
    options.answer(as_json, quiet, content=lambda: asdict(found), line=line, people=lambda: print_publication(found))


def _say(line: str) -> None:
    print(f"hub2hf: {line}", file=sys.stderr)


def check(repository: str) -> None:
    """See that one could publish there, before the minutes of all that comes first.

    Raises:
        HubError: the name is none, nobody is logged in, or nothing is to be asked of a network.
    """
    from hub2hf.hub.client import connect
    from hub2hf.hub.plan import check_names
    from hub2hf.hub.repository import MAIN

    check_names(repository, MAIN)
    connect()


def publish(folder: Path, repository: str, *, quiet: bool, as_json: bool, **given: Any) -> Publication:
    """Return what `hub2hf.push` does with the options `given`; say on standard error what is tried again, if not quiet."""
    if quiet or as_json or not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    try:
        return verbs.push(folder, repository, **given, say=(lambda line: None) if quiet else _say)
    except options.Stopped as stopped:
        print("hub2hf: stopped; it may have been published: push again to see.", file=sys.stderr)
        raise click.exceptions.Exit(stopped.code) from None
