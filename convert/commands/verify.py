"""`hub2hf verify`: prove that a folder gives a SavedModel's embeddings."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar
from hub2hf.errors import ExportError, SourceError, pasted
from hub2hf.names import listed

if TYPE_CHECKING:
    from hub2hf.proof import Report

REPAIR = (
    "Move files that are not in hub2hf.json elsewhere; copy others again from where they are intact, or make the folder "
    "again: "
    "hub2hf convert SOURCE OUT"
)

# Parameters: of how a result is shown, and all that stored vectors heed.
SHOWN: Final = {"quiet", "as_json"}
STORED: Final = {"source", "golden", "text", "embedding", "again", "device", "tolerances", *SHOWN}


@options.verb()
@click.pass_context
@click.argument(
    "source",
    required=False,
    default="",
    metavar="SOURCE",
    help="The SavedModel, which TensorFlow runs, and that is no sandbox; none with --golden.",
)
@click.argument(
    "candidate",
    required=False,
    default="",
    metavar="FOLDER",
    help="A Hugging Face folder, or OWNER/NAME after hf download.",
)
@options.preprocessor
@options.vocab
@options.text_rules
@options.output
@options.option(
    "--golden", help="Instead of SOURCE and TensorFlow: a recording, or stored vectors in Parquet or JSON lines."
)
@options.languages
@options.corpus
@options.option(
    "--surfaces",
    default="",
    help="Only these ways of loading, as the verdict names them, such as AutoModel; a wrong name lists all.",
)
@options.option(
    "--device", default="cpu", help="Where the folder runs: cpu, cuda or mps; results on a GPU are kept apart."
)
@options.option("--tolerances", type=options.PATH, help="A file in the form of configs/tolerances.toml.")
@options.option(
    "--report", type=options.PATH, help="Write the report, as JSON, Markdown, HTML and PNG, into this folder."
)
@options.option("--force", is_flag=True, help="Replace the report of an earlier run.")
@options.option(
    "--integrity",
    type=options.PATH,
    help="Only check this folder's files against its hub2hf.json; without SOURCE and FOLDER.",
)
@options.option("--text", default="text", help="The column of texts, in stored vectors or a corpus of sentences.")
@options.engine
@options.address
@options.workers
@options.option("--sample", type=int, help="Draw only this many sentences, evenly across languages.")
@options.option("--seed", default=0, help="The seed of the draw.")
@options.option("--embedding", default="embedding", help="The column of stored vectors.")
@options.option(
    "--again", type=options.PATH, help="For stored vectors: list in this file what needs to be embedded again."
)
@options.quiet
@options.as_json
def run(
    ctx: click.Context,
    source: str,
    candidate: str,
    preprocessor: str | None,
    vocab: Path | None,
    text_rules: str,
    output: str,
    golden: str | None,
    languages: str,
    sentences: str | None,
    surfaces: str,
    device: str,
    tolerances: Path | None,
    report: Path | None,
    force: bool,
    integrity: Path | None,
    text: str,
    engine: str,
    address: str | None,
    workers: int | None,
    sample: int | None,
    seed: int,
    embedding: str,
    again: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Prove that a folder gives the embeddings of a SavedModel: exit 0 exact, 1 not exact, 2 could not be compared.

    Of a folder that slim made with coarser numbers, 0 means within the limits that it states. With --tolerances, languages
    may differ as far as the file allows, and the verdict names them.

    With --surfaces, every way of loading that it names must be exact. Without, a folder that hub2hf made must be exact in
    every way that is measured and declared exact, and anyone else's in at least one; ways that need packages of their own
    are measured only when they are named. Where one that must be exact cannot be loaded, and none of the others that must
    be differs, the exit code is 2. If hub2hf made FOLDER, the result on hub2hf's own sentences, and a card that
    states it, are written into it.
    """
    if integrity is not None:
        if _beside(ctx, {"integrity", *SHOWN}):
            raise SourceError("--integrity takes one folder and nothing beside it.", "Leave out the rest.")
        _integrity(integrity, as_json, quiet)
        return
    if not source or bool(golden) == bool(candidate):
        raise SourceError(
            "verify takes SOURCE and FOLDER, or --golden FILE and FOLDER, or --integrity FOLDER alone.",
            "See hub2hf verify --help",
        )
    from hub2hf.corpora.places import is_corpus

    stored = bool(golden and is_corpus(golden))
    beside: dict[str, Any] = {"preprocessor": preprocessor, "vocab": vocab, "text_rules": text_rules, "output": output}
    others = ctx.params.keys() - {"embedding", "again"}
    for option in _beside(ctx, STORED if stored else others):
        why = "Stored vectors are compared whole" if stored else "Without stored vectors"
        raise SourceError(f"{why}: {option} does not apply.", "Leave it out.")
    if golden and stored:
        alone = {"text": text, "embedding": embedding, "again": again, "device": device, "tolerances": tolerances}
        _stored(golden, source, alone, as_json, quiet)
        return
    names, ways = listed(languages), listed(surfaces)
    if report is not None and (place := report.resolve()).is_relative_to(
        Path(source if golden else candidate).resolve()
    ):
        raise SourceError(f"{place} is the folder that is verified, or in it.", "Name another for the report.")
    check(names, sentences, ways, tolerances, report, live=golden is None, device=device, engine=engine, force=force)
    original = None if golden else options.find(source, **beside, quiet=quiet)
    with progress_bar("compared", "sentences", quiet=quiet) as progress:
        found = verbs.verify(
            original,
            source if golden else candidate,
            **(beside if golden else {}),
            golden=golden,
            languages=names,
            sentences=sentences,
            text=text,
            sample=sample,
            seed=seed,
            surfaces=ways,
            device=device,
            engine=engine,
            address=address,
            workers=workers,
            tolerances=tolerances,
            progress=progress,
        )
    tell(found, report, as_json, quiet)
    options.name_unreadable(found.unreadable, "The rest was compared", "--force" if report is not None else "")
    raise click.exceptions.Exit(code(found))


def _beside(ctx: click.Context, names: Collection[str]) -> list[str]:
    """Return the options and arguments that were given, but those of the names."""
    others = [each for each in ctx.command.params if each.name not in names]
    return [each.opts[0] for each in others if options.is_typed(ctx, each)]


def code(found: Report) -> int:
    """Return the exit code of what was found."""
    if found.equivalent:
        return 0
    return options.EXIT_ERROR if found.undecided else options.EXIT_DIFFERENT


def check(
    languages: list[str],
    sentences: str | None,
    surfaces: list[str],
    tolerances: Path | None,
    report: Path | None,
    *,
    live: bool,
    device: str = "cpu",
    engine: str = "local",
    force: bool = False,
) -> None:
    """See that all that was named is there, before anything is fetched or takes time to import.

    Args:
        languages, sentences, surfaces, tolerances, report, device, engine, force: the options of these names.
        live: whether TensorFlow runs the source.

    Raises:
        Hub2HFError: something is not.
    """
    from hub2hf.corpora.sentences import Corpus
    from hub2hf.equivalence import require_tensorflow
    from hub2hf.equivalence.reports import prepare_reports
    from hub2hf.equivalence.sentences import count_sentences
    from hub2hf.equivalence.tolerances import load_tolerances
    from hub2hf.surfaces import chosen

    for way in chosen(surfaces, (), device) if surfaces or device != "cpu" else ():
        way.versions()  # what was asked for is here, or is asked for in vain
    load_tolerances(tolerances)
    if live:
        if sentences is None or Corpus.of(sentences) is None:  # a corpus is read through when TensorFlow is there
            count_sentences(languages, sentences)
        if engine == "local":  # a cluster has it on its machines
            require_tensorflow()
    if report is not None:
        prepare_reports(report, force=force)


def tell(found: Report, report: Path | None, as_json: bool, quiet: bool) -> None:
    """Print what was found, and write the report where it was asked for: if that fails, the answer is not lost."""
    from hub2hf.commands.tables import screen
    from hub2hf.equivalence.reports import print_report, report_json, summary, write_reports

    options.answer(
        as_json,
        quiet,
        content=lambda: report_json(found),
        line=summary(found),
        people=lambda: print_report(found, screen()),
    )
    page = None
    if report is not None:
        try:
            page = next(path for path in write_reports(found, report) if path.suffix == ".html")
        except ExportError as error:
            print(f"hub2hf: {error}", file=sys.stderr)
            raise click.exceptions.Exit(options.EXIT_ERROR) from None
    for note in (found.note, f"The report is {page}." if page is not None else ""):
        if note and not quiet:
            print(note, file=sys.stderr)


def _stored(golden: str, candidate: str, asked: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Hold stored vectors against a folder, and exit with 1 if anything is to be done."""
    with progress_bar("compared", "vectors", quiet=quiet) as progress:
        found = verbs.verify_vectors(golden, candidate, **asked, progress=progress)
    options.answer(
        as_json,
        quiet,
        content=found.to_json,
        line=found.advice,
        people=lambda: print("\n".join(found.lines())),
    )
    options.name_unreadable(
        found.unreadable, "The rest was compared", "another file for --again" if found.listed else ""
    )
    if found.verdict != "keep" or found.again:
        raise click.exceptions.Exit(options.EXIT_DIFFERENT)


def _integrity(folder: Path, as_json: bool, quiet: bool) -> None:
    """Print what in `folder` is not as its manifest says, and exit with 1 if anything."""
    wrong = verbs.integrity(folder)
    lines = [f"{folder / name} {what}" for name, what in wrong.items()] or [f"{folder}: every file is intact"]
    options.answer(
        as_json,
        quiet,
        content=lambda: {"intact": not wrong, "problems": wrong},
        line="\n".join(lines),
        people=lambda: print("\n".join([*lines, *_repair(folder, wrong)])),
    )
    if wrong:
        raise click.exceptions.Exit(options.EXIT_DIFFERENT)


def _repair(folder: Path, wrong: Mapping[str, str]) -> Iterator[str]:
    """Yield what to do about files that are not as the manifest says."""
    from hub2hf.folder.manifest import CARD

    if CARD in wrong:
        again = pasted("hub2hf", "card", folder, "--force")
        yield f"If {folder / CARD} was edited by hand, keep a copy, and write it again: {again}"
    if wrong.keys() - {CARD}:
        yield REPAIR
