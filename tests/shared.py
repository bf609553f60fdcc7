"""What is built once for all the worker processes of a run of pytest, and how many threads each of them may use."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

# Read by NumPy's OpenBLAS, PyTorch, TensorFlow and the tokenizers when they start: one worker for each processor is enough.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def turn() -> int:
    """Return which turn of what is generated this run takes: another one each time, the same in all its workers.

    The suite takes a part of what `make fuzz` takes whole. HUB2HF_TURN, which a run says at its start, takes the same again.
    """
    return int(os.environ.setdefault("HUB2HF_TURN", str(random.randrange(10_000))))


def bound_threads() -> None:
    """Give each worker process, and what it starts, its share of the processors; one process alone has them all."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        for name in THREADS:
            os.environ.setdefault(name, str(max(1, processors // workers)))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder `name` of this run, which `make` filled in the first worker that asked for it.

    It is not to be changed: the others have the same one.
    """
    base = factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    place.mkdir(exist_ok=True)
    folder, done = place / name, place / f"{name}.done"
    with FileLock(place / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
