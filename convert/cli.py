"""The command `hub2hf`: its verbs, what ends it, and its exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from importlib import import_module, metadata
from types import FrameType
from typing import Annotated, Any

import typer

from hub2hf.commands import VERBS
from hub2hf.commands.options import EXIT_ERROR, EXIT_STOPPED, Asked, Stopped
from hub2hf.errors import Hub2HFError

app = typer.Typer(
    help="Turn a text encoder published as a TensorFlow SavedModel into an exact Hugging Face folder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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


for _verb in VERBS:
    app.command(name=_verb)(import_module(f"hub2hf.commands.{_verb}").run)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one would stop the clearing up
        signal.signal(each, signal.SIG_IGN)
    raise Stopped


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
    asked = Asked()
    try:
        try:
            app(obj=asked)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except Hub2HFError as error:
        _fail(str(error), asked)
    except Stopped:
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


def _fail(message: str, asked: Asked) -> None:
    if asked.as_json:
        print(json.dumps({"error": message}, ensure_ascii=False))
    print(f"hub2hf: {message}", file=sys.stderr)
    sys.exit(EXIT_ERROR)
