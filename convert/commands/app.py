"""The parser of the command line: a verb is imported when it is asked for."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from inspect import getdoc
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from hub2hf.commands import VERBS
from hub2hf.commands.ending import Asked
from hub2hf.errors import SourceError

# -h as well as --help; help and errors of usage are wrapped at the width of the terminal only.
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


def _shown(parameters: list[Any]) -> list[Any]:
    """Return parameters without a type where they are flags: `<bool>` would ask for a value, which they do not take."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class _Verb(TyperCommand):
    """Refuses names that are empty, as an unset variable of a shell gives them, and `-`: no stream is read or written."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options, as they are shown in --help."""
        return _shown(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the line `Usage`: what stands in braces looks as if one could choose."""
        return [piece.removeprefix("{").removesuffix("}") for piece in super().collect_usage_pieces(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)  # the parser empties it
        rest: list[str] = super().parse_args(ctx, args)
        for parameter in self.params:
            argument = parameter.param_type_name == "argument"
            name = parameter.metavar if argument else parameter.opts[0]
            values = ctx.params.get(parameter.name)
            for value in values if isinstance(values, list) else [values]:
                blank = isinstance(value, str) and not (value if argument else value.strip(", "))
                empty = blank or (value == Path() and not {".", f"{name}=."}.intersection(given))
                if empty and ctx.get_parameter_source(parameter.name).name == "COMMANDLINE":
                    raise SourceError(f"{name} is empty.", f"See {ctx.command_path} --help")
                if str(value) == "-" and (argument or isinstance(value, Path)):
                    step = "Name a file or a folder; ./- is one of that name."
                    raise SourceError(f"{name} is '-', and hub2hf reads and writes no stream.", step)
        return rest


class _Verbs(TyperGroup):
    """Finds a verb by its name, and lists all without importing one."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, as they are shown in --help."""
        return _shown(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb of the first word, and note it; where it is none, name the one that is close."""
        word = ctx.ensure_object(Asked).verb = args[0] if args else ""
        meant = get_close_matches(word, VERBS, n=1) if word not in VERBS and not word.startswith("-") else []
        if meant:
            raise SourceError(f"No such command '{word}'.", f"Did you mean {meant[0]}?")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note first whether JSON is asked for: an error in what follows is told in JSON too."""
        ctx.ensure_object(Asked).as_json = "--json" in takewhile(lambda word: word != "--", args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        only = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        run = import_module(f"hub2hf.commands.{cmd_name}").run
        paragraphs = (getdoc(run) or "").split("\n\n")
        told = "\n\n".join(
            " ".join(each.split()) for each in paragraphs
        )  # wrapped where the terminal ends, not as here
        only.command(name=cmd_name, help=told, cls=_Verb, context_settings=SETTINGS)(run)
        return typer.main.get_command(only)


app = typer.Typer(cls=_Verbs, no_args_is_help=True, pretty_exceptions_enable=False, context_settings=SETTINGS)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        print(f"hub2hf {metadata.version('hub2hf')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turn a text encoder published as a TensorFlow SavedModel into an exact Hugging Face folder, and prove it."""
