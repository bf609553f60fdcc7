"""Trying again over a network: which answers may go by themselves, how long to wait, and when to give it up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

T = TypeVar("T")

PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})  # RFC 9110 and 6585: may go by themselves


class Passing(Exception):
    """An attempt failed in a way that the next may not.

    Args:
        problem: what happened.
        asked: the seconds that the server asks to wait; it knows better.
        unresolved: whether the name of the host led nowhere.
        forward: whether the attempt brought something all the same: failures are counted from it anew.
    """

    def __init__(
        self, problem: str, asked: float | None = None, *, unresolved: bool = False, forward: bool = False
    ) -> None:
        super().__init__(problem)
        self.asked, self.unresolved, self.forward = asked, unresolved, forward
        self.failures = 0  # in a row, with this one


@dataclass(frozen=True)
class Patience:
    """How often and how long one waits.

    Attributes:
        attempts: that fail in a row, before it is given up.
        unresolved_attempts: the same of a host whose name leads nowhere: there is no network, or the name is wrong.
        first_wait: seconds before the second attempt, doubled each time.
        longest_wait: seconds; a server that asks for more is told to the person instead.
    """

    attempts: int = 6
    unresolved_attempts: int = 2
    first_wait: float = 1
    longest_wait: float = 120

    def persist(self, attempt: Callable[[], T], say: Callable[[Passing, float], None]) -> T:
        """Return what `attempt` returns, after as many attempts as it takes.

        Args:
            attempt: raises Passing where the next attempt may do better.
            say: called before each wait with what happened, and the seconds.

        Raises:
            Passing: it is given up; the last one, with its `failures`.
        """
        failures = 0
        while True:
            try:
                return attempt()
            except Passing as passing:
                failures = passing.failures = 1 if passing.forward else failures + 1
                wait = self.wait(passing)
                if wait is None:
                    raise
                say(passing, wait)
            time.sleep(wait)

    def wait(self, passing: Passing) -> float | None:
        """Return the seconds until the next attempt; None where there is none."""
        most = self.unresolved_attempts if passing.unresolved else self.attempts
        if passing.failures >= most or self.too_long(passing.asked):
            return None
        doubled = min(self.first_wait * 2 ** (passing.failures - 1), self.longest_wait)
        return doubled if passing.asked is None else passing.asked

    def too_long(self, asked: float | None) -> bool:
        """Whether the server asks for more than anybody waits for."""
        return asked is not None and asked > self.longest_wait


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the header Retry-After asks for, in seconds or as a date (RFC 9110, section 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
