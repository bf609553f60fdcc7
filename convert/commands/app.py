"""The parser of the command line: a verb is imported when it is asked for."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from itertools import takewhile

import click

from hub2hf.commands import VERBS
from hub2hf.commands.ending import Asked
from hub2hf.errors import SourceError


class _Verbs(click.Group):
    """Finds a verb by its name, and lists all without importing one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb of the first word, and note it; where it is none, name the one that is close."""
        word = ctx.ensure_object(Asked).verb = args[0] if args else ""
        meant = get_close_matches(word, VERBS, n=1) if word not in VERBS and not word.startswith("-") else []
        if meant:
            raise SourceError(f"No such command '{word}'.", f"Did you mean {meant[0]}?")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note first whether JSON is asked for: an error in what follows is told in JSON too."""
        ctx.ensure_object(Asked).as_json = "--json" in takewhile(lambda word: word != "--", args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the verbs, in the order in which they are used."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb."""
        found: click.Command | None = import_module(f"hub2hf.commands.{cmd_name}").run if cmd_name in VERBS else None
        return found


@click.group(
    cls=_Verbs,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},  # which every verb takes over
    epilog='To complete words in a shell: eval "$(_HUB2HF_COMPLETE=bash_source hub2hf)" (or zsh_source, fish_source).',
)
@click.version_option(package_name="hub2hf", message="hub2hf %(version)s", help="Print the version and exit.")
def app() -> None:
    """Turn a text encoder published as a TensorFlow SavedModel into an exact Hugging Face folder, and prove it."""
