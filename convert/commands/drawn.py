"""The bar on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from hub2hf.notices import Progress, Told, listening


class _Amount(ProgressColumn):
    """How much is done, of how much, and how fast."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.told = told

    def render(self, task: Task) -> Text:
        total = None if task.total is None else int(task.total)
        return Text(self.told(int(task.completed), total, task.finished_speed or task.speed))


@contextlib.contextmanager
def drawn(what: str, told: Told) -> Iterator[Progress]:
    """Yield the callback of a bar on standard error, which is gone when the block is left.

    Args:
        what: is done.
        told: puts into words how far it is.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), _Amount(told), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, start=False)

        def report(done: int, total: int | None) -> None:
            if not bar.tasks[0].started:
                bar.start_task(task)
            bar.update(task, description=what, completed=done, total=total)

        with listening(lambda text: bar.update(task, description=text)):
            yield report
