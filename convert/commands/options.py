"""What the verbs of the command line share: their arguments and options, JSON, and how a source is found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import hub2hf as verbs
from hub2hf.bars import progress_bar

EXIT_DIFFERENT = 1
EXIT_ERROR = 2
EXIT_STOPPED = 130  # 128 + SIGINT, as shells have it

Source = Annotated[
    str,
    typer.Argument(help="A SavedModel folder or archive, a name of `hub2hf list`, an address on tfhub.dev or Kaggle."),
]
Model = Annotated[str | None, typer.Option(help="What it is, for the card: a name of configs/models/, or your TOML.")]
Preprocessor = Annotated[str | None, typer.Option(help="The SavedModel from text to ids, where SOURCE takes ids.")]
Vocab = Annotated[Path | None, typer.Option(help="The vocabulary file, where SOURCE takes ids and brings none.")]
Output = Annotated[
    str, typer.Option(help="Which output is the embedding, where several could be: NAME or SIGNATURE:NAME.")
]
Thorough = Annotated[bool, typer.Option("--thorough", help="Prove the text side on a hundred times as many words.")]
Languages = Annotated[str, typer.Option(help="Only these languages, as de,ja.")]
Sentences = Annotated[Path | None, typer.Option(help="Your own sentences, one a line: text, or language<TAB>text.")]


@dataclass
class Asked:
    """What was asked of the whole command, for the answer to an error."""

    as_json: bool = False


def _note(context: typer.Context, as_json: bool) -> bool:
    context.ensure_object(Asked).as_json = as_json
    return as_json


AsJson = Annotated[bool, typer.Option("--json", callback=_note, help="Print JSON for programs.")]


class Stopped(BaseException):
    """Ctrl-C or a polite kill; unwinds everything, so that what was half written is removed."""


def split(names: str) -> list[str]:
    """Return the names of a list with commas."""
    return [name.strip() for name in names.split(",") if name.strip()]


def print_json(content: Any) -> None:
    """Print JSON for programs, in the characters that people read."""
    print(json.dumps(content, indent=2, ensure_ascii=False))


def find(
    source: str,
    preprocessor: str | None,
    vocab: Path | None,
    output: str,
    *,
    thorough: bool = False,
    quiet: bool = False,
) -> verbs.Source:
    """Bring the source here first, with a bar of its own."""
    with progress_bar("fetching", enabled=not quiet) as report:
        return verbs.Source.find(
            source, preprocessor=preprocessor, vocab=vocab, output=output, thorough=thorough, progress=report
        )
