"""`hub2hf convert`: write the Hugging Face folder of a SavedModel; and, where asked, prove and publish it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import hub2hf as verbs
from hub2hf.commands import options, push
from hub2hf.commands import verify as proving
from hub2hf.commands.bars import progress_bar
from hub2hf.errors import SourceError
from hub2hf.notices import notice


def run(
    source: options.Source,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The folder to make: one that does not exist yet, or is empty.")
    ],
    preprocessor: options.Preprocessor = None,
    vocab: options.Vocab = None,
    text_rules: options.TextRules = "",
    output: options.Output = "",
    thorough: options.Thorough = False,
    model: options.Model = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUT, if it holds nothing but what hub2hf wrote.")
    ] = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write onnx/model.onnx too, as `export OUT onnx` does.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Then prove it, as `verify SOURCE OUT` does.")] = False,
    repository: Annotated[
        str | None,
        typer.Option(
            "--push",
            metavar="OWNER/NAME",
            help="Then publish it as `push OUT OWNER/NAME` does; publicly, unless --private or OWNER's default forbids it.",
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Publish it as private, as `push` does.")] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Convert a SavedModel into a Hugging Face folder. Needs neither TensorFlow nor PyTorch; --verify needs both."""
    if private and repository is None:
        raise SourceError("--private says how to publish.", "Add --push OWNER/NAME, or leave it out.")
    if repository is not None:
        if not verify:
            raise SourceError("--push publishes only what was proved.", "Add --verify.")
        push.check(repository)
    if verify:
        proving.check([], None, [], None, None, live=True)
    beside = {"preprocessor": preprocessor, "vocab": vocab, "text-rules": text_rules, "output": output}
    found = options.find(source, preprocessor, vocab, output, text_rules=text_rules, thorough=thorough, quiet=quiet)
    with progress_bar("writing weights", quiet=quiet) as report:
        notice("reading the model")
        conversion = verbs.convert(found, out, model=model, force=force, onnx=onnx, progress=report)
    told: dict[str, Any] = {"out": str(out), **conversion.manifest}
    line, people = str(out), not (as_json or quiet)
    from hub2hf.commands.printed import (  # only now: it takes a while to import
        print_conversion,
        print_next,
        print_publication,
    )

    if people:
        print_conversion(found, conversion)
    if people and not verify:
        print_next(source, out, [word for name, value in beside.items() if value for word in (f"--{name}", str(value))])
    code = 0
    if verify:
        told["verification"], line, code = _prove(found, out, people, quiet)
    if repository is not None and not code:
        publication = push.publish(out, repository, quiet=quiet, as_json=as_json, private=private)
        told["publication"], line = asdict(publication), publication.url
        if people:
            print_publication(publication)
    options.answer(as_json, quiet, content=lambda: told, line=line, people=lambda: None)
    raise typer.Exit(code)


def _prove(source: verbs.Source, out: Path, people: bool, quiet: bool) -> tuple[dict[str, Any], str, int]:
    """Return what `verify` gives a program, its line, and its exit code; print it for people."""
    from hub2hf.equivalence.reports import report_json, summary

    with progress_bar("compared", "sentences", quiet=quiet) as progress:
        found = verbs.verify(source, out, progress=progress)
    if people:
        print()
        proving.tell(found, None, as_json=False, quiet=False)
    return report_json(found), summary(found), proving.code(found)
