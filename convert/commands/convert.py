"""`hub2hf convert`: write the Hugging Face folder of a SavedModel; and, where asked, prove and publish it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

import hub2hf as verbs
from hub2hf.commands import options, push
from hub2hf.commands import verify as proving
from hub2hf.commands.bars import progress_bar
from hub2hf.errors import SourceError
from hub2hf.notices import notice


@options.verb()
@options.source
@click.argument(
    "out", type=options.PATH, metavar="OUT", help="The folder to make: one that does not exist yet, or is empty."
)
@options.preprocessor
@options.vocab
@options.text_rules
@options.output
@options.thorough
@options.model
@options.replace
@options.option("--onnx", is_flag=True, help="Write onnx/model.onnx too, as `export OUT onnx` does.")
@options.option("--verify", is_flag=True, help="Then prove it, as `verify SOURCE OUT` does.")
@options.option(
    "--push",
    "repository",
    metavar="OWNER/NAME",
    help="Then publish it as `push OUT OWNER/NAME` does; publicly, unless --private or OWNER's default forbids it.",
)
@options.option("--private", is_flag=True, help="Publish it as private, as `push` does.")
@options.quiet
@options.as_json
def run(
    source: str,
    out: Path,
    preprocessor: str | None,
    vocab: Path | None,
    text_rules: str,
    output: str,
    thorough: bool,
    model: str | None,
    force: bool,
    onnx: bool,
    verify: bool,
    repository: str | None,
    private: bool,
    quiet: bool,
    as_json: bool,
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
    if people:
        from hub2hf.commands.converted import print_conversion, print_next  # only now: it takes a while to import

        print_conversion(found, conversion)
        if not verify:
            given = [word for name, value in beside.items() if value for word in (f"--{name}", str(value))]
            print_next(source, out, given)
    code = 0
    if verify:
        told["verification"], line, code = _prove(found, out, people, quiet)
    if repository is not None and not code:
        publication = push.publish(out, repository, quiet=quiet, as_json=as_json, private=private)
        told["publication"], line = asdict(publication), publication.url
        if people:
            from hub2hf.commands.printed import print_publication

            print_publication(publication)
    options.answer(as_json, quiet, content=lambda: told, line=line, people=lambda: None)
    raise click.exceptions.Exit(code)


def _prove(source: verbs.Source, out: Path, people: bool, quiet: bool) -> tuple[dict[str, Any], str, int]:
    """Return what `verify` gives a program, its line, and its exit code; print it for people."""
    from hub2hf.equivalence.reports import report_json, summary

    with progress_bar("compared", "sentences", quiet=quiet) as progress:
        found = verbs.verify(source, out, progress=progress)
    if people:
        print()
        proving.tell(found, None, as_json=False, quiet=False)
    return report_json(found), summary(found), proving.code(found)
