"""The options of a builder's command: one for each field of its dataclass."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any


def add_options(parser: argparse.ArgumentParser, defaults: Any, *, of: str = "") -> None:
    """Add an option for each field of a dataclass.

    Args:
        parser: takes them.
        defaults: the dataclass with its defaults, which tell the types.
        of: what the defaults are those of; then an option that is not given is None.
    """
    for item in fields(defaults):
        default = getattr(defaults, item.name)
        kind = (lambda text: text == "true") if isinstance(default, bool) else type(default)
        said = f"default of {of}: {default}" if of else f"default: {default}"
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=kind, default=None if of else default, help=said)


def run(words: Sequence[str], what: str | None, defaults: Any, build: Callable[[Path, Path, Any], None]) -> None:
    """Run the command of an encoder over ids on its arguments: a folder, a vocabulary, and the options of `defaults`."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True)
    add_options(parser, defaults)
    arguments = vars(parser.parse_args(words))
    out, vocabulary = arguments.pop("out"), arguments.pop("vocabulary")
    build(out, vocabulary, type(defaults)(**arguments))
    print(f"wrote {out}")
