"""`hub2hf slim`: a part of the vocabulary."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar


@options.verb()
@options.folder
@click.argument("out", type=options.PATH, metavar="OUT", help="The folder to make.")
@options.option("--languages", default="", help="Keep what these languages are written in, such as de,ja.")
@options.option("--scripts", default="", help="Keep these scripts, such as Latin,Han.")
@options.option("--alphabet", type=options.PATH, help="Keep the characters of this text file.")
@options.option(
    "--corpus", help="Keep the pieces that these texts use: Parquet, JSON lines, or lines, language<TAB>text."
)
@options.option("--text", default="text", help="The column of texts, if the corpus has columns.")
@options.option("--dtype", default="float32", help="Store weights as float16 or bfloat16: not exact.")
@options.option(
    "--embeddings",
    default="float32",
    help="int8: store word embeddings in 8 bits, with a scale per 16 numbers, as ONNX.",
)
@options.option(
    "--int8", is_flag=True, help="Store the whole encoder in 8 bits, as ONNX: smaller and faster; not with --dtype."
)
@options.option(
    "--pairs",
    multiple=True,
    type=options.PATH,
    help="Translations, as for evaluate, to measure what less precise numbers lose.",
)
@options.option("--beyond-limits", is_flag=True, help="Write the folder even if it loses more than the limits allow.")
@options.replace
@options.quiet
@options.as_json
def run(
    folder: Path,
    out: Path,
    languages: str,
    scripts: str,
    alphabet: Path | None,
    corpus: str | None,
    text: str,
    dtype: str,
    embeddings: str,
    int8: bool,
    pairs: tuple[Path, ...],
    beyond_limits: bool,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make a smaller folder: with part of the vocabulary, with less precise numbers, or both.

    With part of the vocabulary, the folder is exact for every text in the languages or characters named; other texts may get
    other ids and embeddings. With less precise numbers it is exact for none: the loss is measured in every language, and
    must stay within limits. `hub2hf verify SOURCE OUT` checks either promise.
    """
    with progress_bar("writing weights", quiet=quiet) as report:
        made = verbs.slim(
            folder,
            out,
            languages=languages,
            scripts=scripts,
            alphabet=alphabet,
            corpus=corpus,
            text=text,
            dtype=dtype,
            embeddings=embeddings,
            int8=int8,
            pairs=pairs,
            beyond_limits=beyond_limits,
            force=force,
            progress=report,
        )
    told = {**asdict(made), "out": str(made.out), "alphabet": len(made.alphabet)}
    options.answer(as_json, quiet, content=lambda: told, line=str(made.out), people=lambda: _print(made))


def _print(made: verbs.Slim) -> None:
    from hub2hf.folder.lossy import rows_of
    from hub2hf.proof.summary import losses

    pieces = made.kept + made.dropped
    print(f"{made.out}: {made.kept:,} of {pieces:,} pieces; {made.bytes:,} bytes of {made.bytes_before:,}")
    if made.slim and "corpus" in made.slim:
        print("texts that were held out, and how many of them use a piece that the others do not:")
        for name, one in made.slim["corpus"]["held_out"].items():
            print(f"  {name}: {one['other_ids']:,} of {one['texts']:,}")
    if made.lossy:
        told = losses(rows_of(made.lossy))
        print(f"{made.lossy['said']}: not exact; on the project's own sentences it {told}")
    elif made.languages:
        print(f"exact for {', '.join([*made.languages, 'digits, punctuation, signs and emoji'])}")
