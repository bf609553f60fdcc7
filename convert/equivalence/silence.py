"""Keeps from standard error what C++ libraries print there while they are loaded, which no setting of theirs does."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

STANDARD_ERROR = 2


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Send what is written to the file of standard error nowhere, while the block lasts; what Python writes gets there.

    TensorFlow says at each start, before its own log level counts, that there is no graphics card.
    """
    try:
        saved = os.dup(STANDARD_ERROR)
    except OSError:  # closed by the caller
        yield
        return
    python = sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STANDARD_ERROR)
    if python is not None and python is sys.__stderr__:
        sys.stderr = os.fdopen(os.dup(saved), "w", buffering=1, encoding="utf-8", errors="replace")
    try:
        yield
    finally:
        if sys.stderr is not python:
            sys.stderr.close()
            sys.stderr = python
        os.dup2(saved, STANDARD_ERROR)
        os.close(saved)
        os.close(nowhere)
