"""What is said on standard error while a command works: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from rich.filesize import decimal

from hub2hf.notices import Progress, Told, listening

EVERY: Final = 10.0  # seconds between two lines where there is no terminal
BYTES: Final = "bytes"


@contextlib.contextmanager
def progress_bar(what: str, unit: str = BYTES, *, quiet: bool = False) -> Iterator[Progress]:
    """Yield a callback for (done, in all or None) that tells on standard error how far the work is.

    Until it is called, what the work says of itself is shown.

    Args:
        what: is done, as "writing weights".
        unit: of what is counted: bytes, or a word such as "sentences".
        quiet: say nothing.
    """
    if quiet:
        yield lambda done, total: None
        return
    shown = _lines
    if _can_draw():
        from hub2hf.commands.drawn import drawn as shown  # only now: it takes a while to import

    with shown(what, partial(_amount, unit)) as report:
        yield report


def _can_draw() -> bool:
    """Whether standard error is a terminal on which a line can be drawn anew."""
    stream = sys.stderr
    if stream is None or not stream.isatty() or os.environ.get("TTY_COMPATIBLE") == "0":
        return False
    return os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def _amount(unit: str, done: int, total: int | None, rate: float | None) -> str:
    """Return how much is done, of how much, and how fast, in words."""
    parts = _count(done, unit) if total is None else f"{_count(done, unit)} of {_count(total, unit)}"
    if unit != BYTES:
        parts += f" {unit}"
    return parts if rate is None else f"{parts}, {_count(rate, unit)} a second"


def _count(number: float, unit: str) -> str:
    return str(decimal(int(number))) if unit == BYTES else f"{number:,.0f}"


@contextlib.contextmanager
def _lines(what: str, told: Told) -> Iterator[Progress]:
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
            print(f"hub2hf: {said}: {told(done, total, rate)}", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        with listening(hear):
            yield report
    finally:
        ended.set()
        teller.join()
