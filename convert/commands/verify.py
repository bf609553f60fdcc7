"""`hub2hf verify`: prove that a folder gives a SavedModel's embeddings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import hub2hf as verbs
from hub2hf.bars import counter
from hub2hf.commands import options
from hub2hf.errors import SourceError
from hub2hf.surfaces import SURFACES


def run(
    source: Annotated[str, typer.Argument(help="The SavedModel; with --golden leave it out.")] = "",
    candidate: Annotated[str, typer.Argument(help="A Hugging Face folder, or OWNER/NAME in the Hub cache.")] = "",
    preprocessor: options.Preprocessor = None,
    vocab: options.Vocab = None,
    output: options.Output = "",
    golden: Annotated[Path | None, typer.Option(help="A recording, in place of SOURCE and TensorFlow.")] = None,
    languages: options.Languages = "",
    sentences: options.Sentences = None,
    surfaces: Annotated[str, typer.Option(help=f"{','.join(SURFACES)}; all that apply by default.")] = "",
    tolerances: Annotated[Path | None, typer.Option(help="A file like configs/tolerances.toml.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write JSON, Markdown, HTML and PNG into this folder.")] = None,
    integrity: Annotated[
        Path | None, typer.Option(help="Only check this folder's files against its hub2hf.json; nothing else is given.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Prove that a Hugging Face folder gives the embeddings of a SavedModel: exit 0 exact, 1 not, 2 unanswered.

    Exact must be every way of loading that --surfaces names; without, all that hub2hf declares exact of a folder that it
    made, and at least one of anybody else's. The result, and a card that states it, are written into a CANDIDATE that
    hub2hf made.
    """
    from hub2hf.equivalence.reports import prepare_reports, print_report, report_json, write_reports

    if integrity is not None:
        _integrity(integrity, as_json)
        return
    if not source or bool(golden) == bool(candidate):
        raise SourceError(
            "verify takes SOURCE and CANDIDATE, or --golden FILE and CANDIDATE.", "See hub2hf verify --help."
        )
    if report is not None:
        prepare_reports(report)
    beside: dict[str, Any] = {"preprocessor": preprocessor, "vocab": vocab, "output": output}
    original = None if golden else options.find(source, **beside, quiet=as_json)
    with counter("compared") as progress:
        found = verbs.verify(
            original,
            source if golden else candidate,
            **(beside if golden else {}),
            golden=golden,
            languages=options.split(languages),
            sentences=sentences,
            surfaces=options.split(surfaces),
            tolerances=tolerances,
            progress=progress,
        )
    if report is not None:
        write_reports(found, report)
    if as_json:
        options.print_json(report_json(found))
    else:
        print_report(found)
    if found.note:
        print(found.note, file=sys.stderr)
    if not found.equivalent:
        raise typer.Exit(options.EXIT_DIFFERENT)


def _integrity(folder: Path, as_json: bool) -> None:
    """Print what in `folder` is not as its manifest says, and exit with 1 if anything."""
    wrong = verbs.integrity(folder)
    if as_json:
        options.print_json({"intact": not wrong, "problems": wrong})
    else:
        print("\n".join(f"{folder / name} {what}" for name, what in wrong.items()) or f"{folder}: every file is intact")
    if wrong:
        raise typer.Exit(options.EXIT_DIFFERENT)
