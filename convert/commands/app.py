"""The parser of the command line: a verb is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from itertools import takewhile
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hub2hf.commands import VERBS
from hub2hf.commands.ending import Asked

# -h as well as --help; help and errors of usage are wrapped at the width of the terminal only.
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class _Verbs(TyperGroup):
    """Finds a verb by its name, and lists all without importing one."""

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
        only.command(name=cmd_name, context_settings=SETTINGS)(import_module(f"hub2hf.commands.{cmd_name}").run)
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
