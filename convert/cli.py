"""The command `hub2hf`: the verbs of the package, their output for people and for programs, and their exit codes."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

import convert as verbs
from convert.errors import Hub2HFError
from convert.report import print_blueprint, print_conversion

EXIT_ERROR = 2
EXIT_STOPPED = 130  # 128 + SIGINT, as shells have it

app = typer.Typer(
    help="Turn a text encoder published as a TensorFlow SavedModel into an exact Hugging Face folder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Source = Annotated[str, typer.Argument(help="A SavedModel folder, or lealla-mini, the embedded model.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


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


@app.command()
def inspect(source: Source, as_json: AsJson = False) -> None:
    """Tell what a SavedModel is, what it will become and what of it is unused, with the evidence for each."""
    blueprint = verbs.inspect(source)
    if as_json:
        _print_json({"source": source, **verbs.facts(blueprint)})
    else:
        print_blueprint(source, blueprint)


@app.command()
def convert(
    source: Source,
    out: Annotated[Path, typer.Argument(help="The folder to make; it must not exist or be empty.")],
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the Hugging Face folder of a SavedModel. Needs neither TensorFlow nor PyTorch."""
    with _progress(enabled=not as_json) as report:
        conversion = verbs.convert(source, out, force=force, progress=report)
    if as_json:
        _print_json({"out": str(out), **conversion.manifest})
    else:
        print_conversion(source, conversion)


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))


@contextlib.contextmanager
def _progress(*, enabled: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for (bytes done, bytes in all) that draws a bar on a terminal's standard error."""
    console = Console(stderr=True)
    columns = (TextColumn("weights"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not (enabled and console.is_terminal)) as bar:
        task = bar.add_task("weights", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Stopped(BaseException):
    """Ctrl-C or a polite kill; unwinds everything, so that what was half written is removed."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def main() -> None:
    """Run the command; an error of the user's is one sentence on standard error and exit code 2."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except Hub2HFError as error:
        _fail(str(error))
    except _Stopped:
        print("hub2hf: stopped; nothing was left behind.", file=sys.stderr)
        sys.exit(EXIT_STOPPED)
    except BrokenPipeError:
        sys.exit(EXIT_ERROR)
    except MemoryError:
        _fail("There is not enough memory. Close other programs, or use a larger machine.")


def _fail(message: str) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"error": message}, ensure_ascii=False))
    print(f"hub2hf: {message}", file=sys.stderr)
    sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
