"""What the verbs of the command line share: their arguments and options, how a source is found, and how they answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import hub2hf as verbs
from hub2hf.commands.bars import progress_bar
from hub2hf.commands.ending import EXIT_DIFFERENT, EXIT_ERROR, Stopped

__all__ = ["EXIT_DIFFERENT", "EXIT_ERROR", "Stopped"]

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A SavedModel folder or archive, a name in `hub2hf list`, or an address on tfhub.dev or Kaggle.",
    ),
]
Model = Annotated[
    str | None, typer.Option(help="The model that it is, for the card: a name in `hub2hf list`, or your own TOML file.")
]
Preprocessor = Annotated[str | None, typer.Option(help="The SavedModel that turns text into ids, if SOURCE takes ids.")]
Vocab = Annotated[Path | None, typer.Option(help="The vocabulary file, if SOURCE takes ids and has no vocabulary.")]
TextRules = Annotated[
    str,
    typer.Option(
        help="How text becomes ids, if SOURCE takes ids and has no preprocessor: tftext, the default, for the rules of TF "
        "Text's BertTokenizer; fulltokenizer, for those of tokenization.py in google-research/bert."
    ),
]
Output = Annotated[
    str, typer.Option(help="Which output is the embedding, if several could be: NAME or SIGNATURE:NAME.")
]
Thorough = Annotated[bool, typer.Option("--thorough", help="Prove the tokenizer on a hundred times as many words.")]
Languages = Annotated[str, typer.Option(help="Only these languages, such as de,ja.")]
Corpus = Annotated[
    str | None,
    typer.Option(
        "--sentences",
        help="Your own sentences: lines of text or of language<TAB>text, or a corpus in Parquet or JSON lines.",
    ),
]
Sentences = Annotated[Path | None, typer.Option(help="Your own sentences, one to a line: text, or language<TAB>text.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only the answer, in one line: no progress, no advice.")
]


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Text = Annotated[str, typer.Option(help="The column of texts.")]
Engine = Annotated[str, typer.Option(help="local, or ray for Ray Data, on a cluster that reaches all that is named.")]
Address = Annotated[str | None, typer.Option(help="The address of the Ray cluster; by default one is started here.")]
Workers = Annotated[int | None, typer.Option(help="Workers of Ray; by default one for each processor.")]
Runtime = Annotated[str | None, typer.Option(help="onnx or torch; by default the faster one that is installed.")]
Device = Annotated[str, typer.Option(help="For PyTorch: cpu, cuda or mps.")]
Precision = Annotated[
    str,
    typer.Option(
        help="Precision of the computation with PyTorch: float32, or float16 or bfloat16, which are not exact."
    ),
]


def name_unreadable(unreadable: Mapping[str, str], rest: str, but: str = "") -> None:
    """Name the files of a corpus that could not be read, if any, and exit with 2.

    Args:
        unreadable: file → why it could not be read.
        rest: what became of the others.
        but: what has to be another in the same command, as what it wrote is there now.
    """
    step = f"repair it and run the same command again{f', with {but}' if but else ''}"
    for name, why in unreadable.items():
        print(f"hub2hf: {name} cannot be read: {why}. {rest}: {step}.", file=sys.stderr)
    if unreadable:
        raise typer.Exit(EXIT_ERROR)


def print_json(content: Any) -> None:
    """Print JSON for programs, in the characters that people read."""
    print(json.dumps(content, indent=2, ensure_ascii=False))


def answer(
    as_json: bool, quiet: bool, *, content: Callable[[], Any], line: str, people: Callable[[], object] | None = None
) -> None:
    """Print the answer in the form that was asked for.

    Args:
        as_json, quiet: the options of these names.
        content: makes what a program gets.
        line: the answer in a line.
        people: prints what a person gets; `line` by default.
    """
    if as_json:
        print_json(content())
    elif quiet or people is None:
        print(line)
    else:
        people()


def find(
    source: str,
    preprocessor: str | None,
    vocab: Path | None,
    output: str,
    *,
    text_rules: str = "",
    thorough: bool = False,
    quiet: bool = False,
) -> verbs.Source:
    """Bring the source here first, with a bar of its own."""
    with progress_bar("fetching", quiet=quiet) as report:
        return verbs.Source.find(
            source,
            preprocessor=preprocessor,
            vocab=vocab,
            text_rules=text_rules,
            output=output,
            thorough=thorough,
            progress=report,
        )
