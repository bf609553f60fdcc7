"""Reading, hashing and writing beside what Python computes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

# Seconds that a thread which has read or hashed a piece waits for one that computes; Python's own 0.005 are as long as that.
TURN: Final = 0.0002


@contextmanager
def worker() -> Iterator[Executor]:
    """Yield a thread for what reads, hashes and writes; at the end of the block it is waited for.

    It is one, so that two processors are enough: a second one would take from what Python computes as long as both work.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        with ThreadPoolExecutor(max_workers=1) as beside:
            yield beside
    finally:
        sys.setswitchinterval(usual)
