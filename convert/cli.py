"""The command `hub2hf`: the verbs of the package, their output for people and for programs, and their exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

import hub2hf as verbs
from hub2hf.bars import counter, notices, progress_bar
from hub2hf.errors import Hub2HFError, SourceError
from hub2hf.report import (
    print_blueprint,
    print_conversion,
    print_diagnosis,
    print_graph_only,
    print_publication,
    print_sources,
)
from hub2hf.surfaces import SURFACES
from hub2hf.targets import TARGETS

EXIT_DIFFERENT = 1
EXIT_ERROR = 2
EXIT_STOPPED = 130  # 128 + SIGINT, as shells have it

app = typer.Typer(
    help="Turn a text encoder published as a TensorFlow SavedModel into an exact Hugging Face folder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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


@dataclass
class _Asked:
    """What was asked of the whole command, for the answer to an error."""

    as_json: bool = False


def _note(context: typer.Context, as_json: bool) -> bool:
    context.ensure_object(_Asked).as_json = as_json
    return as_json


AsJson = Annotated[bool, typer.Option("--json", callback=_note, help="Print JSON for programs.")]


def _print_version(asked: bool) -> None:
    if asked:
        print(f"hub2hf {metadata.version('hub2hf')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Turn a text encoder published as a TensorFlow SavedModel into an exact Hugging Face folder."""


@app.command()
def inspect(
    source: Source,
    preprocessor: Preprocessor = None,
    vocab: Vocab = None,
    output: Output = "",
    thorough: Thorough = False,
    graph_only: Annotated[
        Path | None,
        typer.Option(
            help="Only write the graph into this file, without weights and vocabulary, to attach to an issue."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a SavedModel is, what it will become and what of it is unused, with the evidence for each."""
    found = _found(source, preprocessor, vocab, output, thorough=thorough, quiet=as_json)
    if graph_only is not None:
        written = verbs.graph_only(found, graph_only)
        if as_json:
            _print_json(written)
        else:
            print_graph_only(source, written)
        return
    try:
        with notices(enabled=not as_json):
            blueprint = verbs.inspect(found)
    except Hub2HFError as error:
        diagnosis = verbs.diagnose(error, found)
        if as_json:
            _print_json({"source": source, **diagnosis.as_json(), "error": str(error)})
        else:
            print_diagnosis(source, diagnosis)
        sys.stdout.flush()
        print(f"hub2hf: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_ERROR) from None
    if as_json:
        _print_json({"source": source, **verbs.facts(blueprint)})
    else:
        print_blueprint(source, blueprint)


@app.command()
def convert(
    source: Source,
    out: Annotated[Path, typer.Argument(help="The folder to make; it must not exist or be empty.")],
    preprocessor: Preprocessor = None,
    vocab: Vocab = None,
    output: Output = "",
    thorough: Thorough = False,
    model: Model = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write onnx/model.onnx too, as `export OUT onnx` does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the Hugging Face folder of a SavedModel. Needs neither TensorFlow nor PyTorch."""
    found = _found(source, preprocessor, vocab, output, thorough=thorough, quiet=as_json)
    with progress_bar(enabled=not as_json) as report:
        conversion = verbs.convert(found, out, model=model, force=force, onnx=onnx, progress=report)
    if as_json:
        _print_json({"out": str(out), **conversion.manifest})
    else:
        print_conversion(found, conversion)


@app.command(
    help=f"Export a converted folder for other runtimes: {'; '.join(f'{name} {t.summary}' for name, t in TARGETS.items())}."
)
def export(
    folder: Annotated[Path, typer.Argument(help="A folder that hub2hf made.")],
    target: Annotated[str, typer.Argument(help=f"One of {', '.join(TARGETS)}.")],
    out: Annotated[Path | None, typer.Argument(help="The folder to make, for a target that makes one.")] = None,
    dtype: Annotated[str, typer.Option(help="How weights are kept: float32, float16.")] = "float32",
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
) -> None:
    """Export a converted folder for other runtimes."""
    print(f"{verbs.export(folder, target, out, dtype=dtype, force=force)}: written")


@app.command()
def fetch(source: Source) -> None:
    """Bring a source into the cache of this machine, and print its folder."""
    with progress_bar("fetching", enabled=True) as report:
        folder = verbs.fetch(source, progress=report)
    print(folder)


@app.command(name="list")
def list_sources(as_json: AsJson = False) -> None:
    """List the models known by name, and what of them and of other archives is on this machine."""
    from hub2hf.sources.listing import listed

    found = list(listed())
    if as_json:
        _print_json([{**vars(source), "folder": source.folder and str(source.folder)} for source in found])
    else:
        print_sources(found)


Languages = Annotated[str, typer.Option(help="Only these languages, as de,ja.")]
Sentences = Annotated[Path | None, typer.Option(help="Your own sentences, one a line: text, or language<TAB>text.")]


@app.command()
def record(
    source: Source,
    file: Path,
    preprocessor: Preprocessor = None,
    vocab: Vocab = None,
    output: Output = "",
    languages: Languages = "",
    sentences: Sentences = None,
) -> None:
    """Record ids, stages and embeddings from TensorFlow once, for `verify --golden` without TensorFlow."""
    found = _found(source, preprocessor, vocab, output)
    with counter("recorded") as report:
        count = verbs.record(found, file, languages=_split(languages), sentences=sentences, progress=report)
    print(f"{file}: {count} sentences of {source} recorded")


@app.command()
def verify(
    source: Annotated[str, typer.Argument(help="The SavedModel; with --golden leave it out.")] = "",
    candidate: Annotated[str, typer.Argument(help="A Hugging Face folder, or OWNER/NAME in the Hub cache.")] = "",
    preprocessor: Preprocessor = None,
    vocab: Vocab = None,
    output: Output = "",
    golden: Annotated[Path | None, typer.Option(help="A recording, in place of SOURCE and TensorFlow.")] = None,
    languages: Languages = "",
    sentences: Sentences = None,
    surfaces: Annotated[str, typer.Option(help=f"{','.join(SURFACES)}; all that apply by default.")] = "",
    tolerances: Annotated[Path | None, typer.Option(help="A file like configs/tolerances.toml.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write JSON, Markdown, HTML and PNG into this folder.")] = None,
    integrity: Annotated[
        Path | None, typer.Option(help="Only check this folder's files against its hub2hf.json; nothing else is given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a Hugging Face folder gives the embeddings of a SavedModel: exit 0 equivalent, 1 not, 2 unanswered.

    The result, and a card that states it, are written into a CANDIDATE that hub2hf made.
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
    original = None if golden else _found(source, **beside, quiet=as_json)
    with counter("compared") as progress:
        found = verbs.verify(
            original,
            source if golden else candidate,
            **(beside if golden else {}),
            golden=golden,
            languages=_split(languages),
            sentences=sentences,
            surfaces=_split(surfaces),
            tolerances=tolerances,
            progress=progress,
        )
    if report is not None:
        write_reports(found, report)
    if as_json:
        _print_json(report_json(found))
    else:
        print_report(found)
    if found.note:
        print(found.note, file=sys.stderr)
    if not found.equivalent:
        raise typer.Exit(EXIT_DIFFERENT)


def _integrity(folder: Path, as_json: bool) -> None:
    """Print what in `folder` is not as its manifest says, and exit with 1 if anything."""
    wrong = verbs.integrity(folder)
    if as_json:
        _print_json({"intact": not wrong, "problems": wrong})
    else:
        print("\n".join(f"{folder / name} {what}" for name, what in wrong.items()) or f"{folder}: every file is intact")
    if wrong:
        raise typer.Exit(EXIT_DIFFERENT)


@app.command()
def card(
    folder: Annotated[Path, typer.Argument(help="A folder that hub2hf made.")],
    model: Model = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a card that was edited by hand.")] = False,
) -> None:
    """Write the model card of a folder again; the weights are not touched."""
    print(f"{verbs.card(folder, model=model, force=force)}: written")


@app.command()
def push(
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
    as_json: AsJson = False,
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
    except _Stopped:
        print("hub2hf: stopped; it may have been published: push again to see.", file=sys.stderr)
        raise typer.Exit(EXIT_STOPPED) from None
    if as_json:
        _print_json(asdict(found))
    else:
        print_publication(found)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))


def _found(
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


class _Stopped(BaseException):
    """Ctrl-C or a polite kill; unwinds everything, so that what was half written is removed."""


def _stop(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one would stop the clearing up
        signal.signal(each, signal.SIG_IGN)
    raise _Stopped


def main() -> None:
    """Run the command; an error of the user's is one sentence on standard error and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by the caller
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    before = {number: signal.signal(number, action) for number, action in _signals().items()}
    try:
        _run()
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _signals() -> dict[int, Any]:
    actions: dict[int, Any] = {signal.SIGINT: _stop, signal.SIGTERM: _stop}
    if hasattr(signal, "SIGPIPE"):  # a reader that has gone (`| head`) ends the command as it ends any other
        actions[signal.SIGPIPE] = signal.SIG_DFL
    return actions


def _run() -> None:
    asked = _Asked()
    try:
        try:
            app(obj=asked)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except Hub2HFError as error:
        _fail(str(error), asked)
    except _Stopped:
        print(
            "hub2hf: stopped; nothing half-written was left. A download goes on from here when it is run again.",
            file=sys.stderr,
        )
        sys.exit(EXIT_STOPPED)
    except MemoryError:
        _fail("There is not enough memory. Close other programs, or use a larger machine.", asked)
    except OSError as error:
        if error.filename is None:
            _drop_output()
        place = error.filename or "The output"
        _fail(
            f"{place} cannot be read or written: {error.strerror or error}. Check the disk and the permissions.", asked
        )
    except Exception as error:  # a mistake of this program's
        if sys.flags.dev_mode:
            raise
        _fail(
            f"{type(error).__name__}: {error}. This is a mistake in hub2hf: please report it, "
            "with what python -X dev -m hub2hf prints for the same arguments.",
            asked,
        )


def _drop_output() -> None:
    """Send what is still to be printed nowhere, once printing has failed."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, asked: _Asked) -> None:
    if asked.as_json:
        print(json.dumps({"error": message}, ensure_ascii=False))
    print(f"hub2hf: {message}", file=sys.stderr)
    sys.exit(EXIT_ERROR)
