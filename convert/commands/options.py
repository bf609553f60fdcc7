"""What the verbs of the command line share: their arguments and options, how a source is found, and how they answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

import hub2hf as verbs
from hub2hf.commands.bars import progress_bar
from hub2hf.commands.ending import EXIT_DIFFERENT, EXIT_ERROR, Stopped
from hub2hf.errors import SourceError

__all__ = ["EXIT_DIFFERENT", "EXIT_ERROR", "Stopped"]

PATH: Final = click.Path(path_type=Path)


class Verb(click.Command):
    """Refuses names that are empty, as an unset variable of a shell gives them, and `-`: no stream is read or written."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse and check what was given."""
        given = list(args)  # the parser empties it
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            argument = parameter.param_type_name == "argument"
            name = parameter.human_readable_name if argument else parameter.opts[0]
            values = ctx.params.get(parameter.name or "")
            for value in values if isinstance(values, tuple) else [values]:
                blank = isinstance(value, str) and not (value if argument else value.strip(", "))
                empty = blank or (value == Path() and not {".", f"{name}=."}.intersection(given))
                if empty and is_typed(ctx, parameter):
                    raise SourceError(f"{name} is empty.", f"See {ctx.command_path} --help")
                if str(value) == "-" and (argument or isinstance(value, Path)):
                    step = "Name a file or a folder; ./- is one of that name."
                    raise SourceError(f"{name} is '-', and hub2hf reads and writes no stream.", step)
        return rest

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return what the list of verbs says of it: the first paragraph, whole."""
        return " ".join((self.help or "").split("\n\n")[0].split())


def is_typed(ctx: click.Context, parameter: click.Parameter) -> bool:
    """Whether a person gave a parameter, and be it as its default."""
    return ctx.get_parameter_source(parameter.name or "") == click.core.ParameterSource.COMMANDLINE


verb = partial(click.command, cls=Verb)


def option(*names: str, **given: Any) -> Callable[[Any], Any]:
    """Return `click.option`; a default is shown where it tells something."""
    return click.option(*names, show_default=bool(given.get("default")), **given)


source = click.argument(
    "source",
    metavar="SOURCE",
    help="A SavedModel folder or archive, a name in `hub2hf list`, or an address on tfhub.dev or Kaggle.",
)
folder = click.argument("folder", type=PATH, metavar="FOLDER", help="A folder that hub2hf made.")
replace = option("--force", is_flag=True, help="Replace OUT, if it holds nothing but what hub2hf wrote.")
model = option("--model", help="The model that it is, for the card: a name in `hub2hf list`, or your own TOML file.")
preprocessor = option("--preprocessor", help="The SavedModel that turns text into ids, if SOURCE takes ids.")
vocab = option("--vocab", type=PATH, help="The vocabulary file, if SOURCE takes ids and has no vocabulary.")
text_rules = option(
    "--text-rules",
    default="",
    help="How text becomes ids, if SOURCE takes ids and has no preprocessor: tftext, the default, for the rules of TF "
    "Text's BertTokenizer; fulltokenizer, for those of tokenization.py in google-research/bert.",
)
output = option(
    "--output", default="", help="Which output is the embedding, if several could be: NAME or SIGNATURE:NAME."
)
thorough = option("--thorough", is_flag=True, help="Prove the tokenizer on a hundred times as many words.")
languages = option("--languages", default="", help="Only these languages, such as de,ja.")
corpus = option(
    "--sentences",
    help="Your own sentences: lines of text or of language<TAB>text, or a corpus in Parquet or JSON lines.",
)
sentences = option("--sentences", type=PATH, help="Your own sentences, one to a line: text, or language<TAB>text.")
quiet = option("--quiet", "-q", is_flag=True, help="Print only the answer, in one line: no progress, no advice.")
as_json = option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
text = option("--text", default="text", help="The column of texts.")
engine = option(
    "--engine", default="local", help="local, or ray for Ray Data, on a cluster that reaches all that is named."
)
address = option("--address", help="The address of the Ray cluster; by default one is started here.")
workers = option("--workers", type=int, help="Workers of Ray; by default one for each processor.")
runtime = option("--runtime", help="onnx or torch; by default the faster one that is installed.")
device = option("--device", default="cpu", help="For PyTorch: cpu, cuda or mps.")
precision = option(
    "--precision",
    default="float32",
    help="Precision of the computation with PyTorch: float32, or float16 or bfloat16, which are not exact.",
)


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
        raise click.exceptions.Exit(EXIT_ERROR)


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
