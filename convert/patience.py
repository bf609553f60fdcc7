"""When to try again over a network: which answers may go by themselves, and how long to wait for the next attempt."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})  # RFC 9110 and 6585: may go by themselves


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

    def wait(self, failures: int, asked: float | None = None, *, unresolved: bool = False) -> float | None:
        """Return the seconds until the next attempt, after so many failures; None where there is none.

        Args:
            failures: in a row, at least 1.
            asked: the seconds that the server asks for; it knows better.
            unresolved: whether the name of the host led nowhere.
        """
        if failures >= (self.unresolved_attempts if unresolved else self.attempts) or self.too_long(asked):
            return None
        return min(self.first_wait * 2 ** (failures - 1), self.longest_wait) if asked is None else asked

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
