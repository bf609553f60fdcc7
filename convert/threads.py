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
    """Yield two threads for what waits and hashes; at the end of the block they are waited for."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        with ThreadPoolExecutor(max_workers=2) as beside:
            yield beside
    finally:
        sys.setswitchinterval(usual)
