"""What is drawn on a terminal while a command works."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from hub2hf.notices import listening


@contextlib.contextmanager
def counter(done: str) -> Iterator[Callable[[int], None]]:
    """Yield a callback for a number of sentences, which counts them on a terminal's standard error."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed:.0f} sentences " + done), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(done, total=None)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def row_bar(what: str, *, enabled: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for (rows done, rows in all) that draws a bar with the time left on a terminal's standard error."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + what), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (enabled and console.is_terminal)) as bar:
        task = bar.add_task(what, total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def notices(*, enabled: bool) -> Iterator[None]:
    """Show on a terminal's standard error what reading a model says of itself, while it is read."""
    console = Console(stderr=True)
    if not (enabled and console.is_terminal):
        yield
        return
    with console.status("reading the model") as status, listening(status.update):
        yield


@contextlib.contextmanager
def progress_bar(what: str = "weights", *, enabled: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callback for (bytes done, bytes in all) that draws a bar on a terminal's standard error.

    Until there are bytes, it shows what reading the model says of itself.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not (enabled and console.is_terminal)) as bar:
        task = bar.add_task(what, total=None)
        with listening(lambda text: bar.update(task, description=text)):
            yield lambda done, total: bar.update(task, completed=done, total=total, description=what)
