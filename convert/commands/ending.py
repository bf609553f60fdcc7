"""How the command ends: its exit codes, and what stops it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

EXIT_DIFFERENT: Final = 1
EXIT_ERROR: Final = 2
EXIT_SIGNAL: Final = 128  # and the number of the signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM


NOTHING_LEFT: Final = "nothing half-written was left behind."
LEFT: Final = {
    **dict.fromkeys(
        ("fetch", "inspect", "convert", "evaluate", "verify", "record"),
        f"{NOTHING_LEFT} A download goes on when it is run again.",
    ),
    "embed": "what is embedded is kept, and the same command goes on with the rest.",
}  # verb → what a stopped one leaves; NOTHING_LEFT of the others


@dataclass
class Asked:
    """What was asked of the whole command, for the answer to an error, and to being stopped."""

    as_json: bool = False
    verb: str = ""


class Stopped(BaseException):
    """Ctrl-C or a polite kill; unwinds everything, so that what was half written is removed.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = EXIT_SIGNAL + number


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped where Ctrl-C or a polite kill comes, while the block lasts."""
    actions: dict[int, Any] = {signal.SIGINT: _stop, signal.SIGTERM: _stop}
    if hasattr(signal, "SIGPIPE"):  # a reader that has gone (`| head`) ends the command as it ends any other
        actions[signal.SIGPIPE] = signal.SIG_DFL
    before = {number: signal.signal(number, action) for number, action in actions.items()}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one would stop the clearing up
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
