"""What long work says of itself while it goes on: whoever listens in this thread hears it, and nobody needs to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

Progress = Callable[[int, int | None], None]  # what is done so far, and what there is in all, where that is known
Told = Callable[[int, int | None, float | None], str]  # the words for these two and for how much is done in a second

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def listening(hear: Callable[[str], None]) -> Iterator[None]:
    """Call `hear` with each notice that is given in the block."""
    token = _listener.set(hear)
    try:
        yield
    finally:
        _listener.reset(token)


def notice(text: str) -> None:
    """Say what is being done now, if it may take seconds."""
    hear = _listener.get()
    if hear is not None:
        hear(text)
