"""`hub2hf push`: publish on the Hub."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.report import print_publication


def run(
    folder: Annotated[Path, typer.Argument(help="A folder that hub2hf made.")],
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hub; created if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Create it private.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")] = False,
    revision: Annotated[str | None, typer.Option(help="The branch to commit to; created if it is not there.")] = None,
    message: Annotated[str | None, typer.Option(help="The message of the commit.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be published; touch nothing.")] = False,
    allow_unverified: Annotated[
        bool, typer.Option("--allow-unverified", help="Publish without a passing verification; the card says so.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Publish a verified folder on the Hugging Face Hub, as one commit of the files in its hub2hf.json."""
    if as_json or not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    try:
        found = verbs.push(
            folder,
            repository,
            private=private,
            create_pr=create_pr,
            revision=revision,
            message=message,
            dry_run=dry_run,
            allow_unverified=allow_unverified,
            say=lambda line: print(f"hub2hf: {line}", file=sys.stderr),
        )
    except options.Stopped:
        print("hub2hf: stopped; it may have been published: push again to see.", file=sys.stderr)
        raise typer.Exit(options.EXIT_STOPPED) from None
    if as_json:
        options.print_json(asdict(found))
    else:
        print_publication(found)
