"""Locks on files, which the operating system forgets with the process that holds them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from hub2hf.errors import Hub2HFError


@contextlib.contextmanager
def held(file: Path, taken: Hub2HFError, *, seconds: float = 0.0, remove: bool = False) -> Iterator[None]:
    """Hold a lock; on a network file system that has none, nothing is held.

    Args:
        file: made where it is not.
        taken: what is raised where another process holds it.
        seconds: how long to wait for that process.
        remove: whether the file is removed at the end.

    Raises:
        Hub2HFError: `taken`.
        OSError: the file cannot be made.
    """
    lock = filelock.FileLock(file)
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        if not file.exists():  # as in a folder like /proc, where nothing can be made
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file)) from None
        raise taken from None
    except NotImplementedError:
        yield
        return
    except BaseException:  # a signal, when the file was made and not yet held
        if remove:
            with contextlib.suppress(OSError, filelock.Timeout):
                lock.acquire(timeout=0)
                file.unlink(missing_ok=True)
        lock.release(force=True)
        raise
    try:
        yield
    finally:
        if remove:
            with contextlib.suppress(OSError):  # where another process looks at it right now, it removes it
                file.unlink(missing_ok=True)
        lock.release()
