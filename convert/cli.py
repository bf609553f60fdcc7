"""The command `hub2hf`: what ends it, and its exit codes. What takes time to import is imported when that is settled."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import Any

from hub2hf.commands.ending import EXIT_ERROR, LEFT, NOTHING_LEFT, Asked, Stopped, stoppable
from hub2hf.errors import Hub2HFError


def main() -> None:
    """Run the command; an error of the user's is one sentence on standard error and exit code 2."""
    gc.set_threshold(20_000, 20, 50)  # graphs are many small objects that stay: looking for garbage at 700 is slow
    with stoppable(), contextlib.ExitStack() as ending:
        ending.callback(gc.freeze)  # the process ends: what a last look for garbage would find goes with it
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # closed by the caller
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        _run()


def _run() -> None:
    asked = Asked()
    try:
        from hub2hf.commands.app import app

        try:
            # A pattern is the verb's own to read: on Windows the parser would make several arguments of IN.
            code = app(obj=asked, standalone_mode=False, windows_expand_args=False)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
        sys.exit(code)
    except Hub2HFError as error:
        _fail(str(error), asked)
    except Stopped as stopped:
        print(f"hub2hf: stopped; {LEFT.get(asked.verb, NOTHING_LEFT)}", file=sys.stderr)
        sys.exit(stopped.code)
    except MemoryError:
        _fail("There is not enough memory. Close other programs, or use a machine with more.", asked)
    except OSError as error:
        if error.filename is None:
            _drop_output()
        place = error.filename or "The output"
        _fail(
            f"{place} cannot be read or written: {error.strerror or error}. Check the disk and the permissions.", asked
        )
    except Exception as error:
        if hasattr(
            error, "format_message"
        ):  # of the parser's, whose classes are called otherwise in each of its versions
            _misused(error, asked)
        if sys.flags.dev_mode:
            raise
        _fail(
            f"{type(error).__name__}: {error}. This is a mistake in hub2hf: please report it, "
            "with what python -X dev -m hub2hf prints for the same arguments.",
            asked,
        )


def _misused(error: Any, asked: Asked) -> None:
    """End after arguments that the command does not have: with its help where it has got none at all."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(EXIT_ERROR)
    path = error.ctx.command_path if error.ctx is not None else "hub2hf"
    said = error.format_message().rstrip(".")
    _fail(f"{said}{'' if said.endswith('?') else '.'} See {path} --help", asked)


def _drop_output() -> None:
    """Send what is still to be printed nowhere, once printing has failed."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, asked: Asked) -> None:
    if asked.as_json:
        import json

        print(json.dumps({"error": message}, ensure_ascii=False))
    print(f"hub2hf: {message}", file=sys.stderr)
    sys.exit(EXIT_ERROR)
