"""What is said on standard error while a command works: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

import rich.progress
from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hub2hf.notices import Progress, listening

EVERY: Final = 10.0  # seconds between two lines where there is no terminal
WIDE: Final = 10_000  # columns where there is no terminal: what is printed may be searched, and is never wrapped
BYTES: Final = "bytes"


def screen() -> Console:
    """Return the standard output, which wraps lines on a terminal, or where COLUMNS says so."""
    found = Console()
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(width=WIDE)


def table(*headers: str) -> Table:
    """Return an empty table, whose cells are folded where they are too wide."""
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        found.add_column(header, overflow="fold")
    return found


def _amount(done: int, total: int | None, rate: float | None, unit: str) -> str:
    """Return how much is done, of how much, and how fast, in words."""
    parts = _count(done, unit) if total is None else f"{_count(done, unit)} of {_count(total, unit)}"
    if unit != BYTES:
        parts += f" {unit}"
    return parts if rate is None else f"{parts}, {_count(rate, unit)} a second"


def _count(number: float, unit: str) -> str:
    return str(decimal(int(number))) if unit == BYTES else f"{number:,.0f}"


class _Amount(ProgressColumn):
    """How much is done, of how much, and how fast."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        total = None if task.total is None else int(task.total)
        return Text(_amount(int(task.completed), total, task.finished_speed or task.speed, self.unit))


@contextlib.contextmanager
def progress_bar(what: str, unit: str = BYTES, *, quiet: bool = False) -> Iterator[Progress]:
    """Yield a callback for (done, in all or None) that tells on standard error how far the work is.

    Until it is called, what the work says of itself is shown.

    Args:
        what: is done, as "writing weights".
        unit: of what is counted: bytes, or a word such as "sentences".
        quiet: say nothing.
    """
    beside = Console(stderr=True)
    if quiet:
        yield lambda done, total: None
    elif beside.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), _Amount(unit), TimeRemainingColumn())
        with rich.progress.Progress(*columns, console=beside, transient=True) as bar:
            task = bar.add_task(what, total=None, start=False)
            with listening(lambda text: bar.update(task, description=text)):
                yield lambda done, total: _update(bar, what, done, total)
    else:
        with _lines(what, unit) as report:
            yield report


def _update(bar: rich.progress.Progress, what: str, done: int, total: int | None) -> None:
    (task,) = bar.tasks
    if not task.started:
        bar.start_task(task.id)
    bar.update(task.id, description=what, completed=done, total=total)


@contextlib.contextmanager
def _lines(what: str, unit: str) -> Iterator[Progress]:
    """Yield the callback of a bar where there is no terminal: a line each time that `EVERY` seconds have gone."""
    state: tuple[str, int, int | None, float] = ("", 0, None, 0.0)
    ended = threading.Event()

    def hear(text: str) -> None:
        nonlocal state
        state = (text, 0, None, 0.0)

    def report(done: int, total: int | None) -> None:
        nonlocal state
        began = state[3] or time.monotonic()
        state = (what, done, total, began)

    def tell() -> None:
        while not ended.wait(EVERY):
            said, done, total, began = state
            if not began:
                print(f"hub2hf: {said or what} …", file=sys.stderr, flush=True)
                continue
            rate = done / max(time.monotonic() - began, 1e-9)
            print(f"hub2hf: {said}: {_amount(done, total, rate, unit)}", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        with listening(hear):
            yield report
    finally:
        ended.set()
        teller.join()
