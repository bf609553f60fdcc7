"""What a SavedModel may cost before it is refused: every bound on hostile input that is not of one format alone.

A SavedModel is a program and its data, made by someone else. What is read of it is held against its file at once: an
offset against the size of the file, a count against the bytes that it would take, a shape against both. The bounds here
are for what small files can make large: each is far above any real text encoder, and the sum of them keeps a SavedModel of
a few megabytes within 10 seconds of computing and 500 MB. A larger one may take more, in proportion to its size.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from hub2hf.errors import GraphError

# Graph. A node takes about 1 kB of memory as an object and may take 10 bytes in the file. LEALLA-large has 6,000.
MAX_NODES: Final = 200_000
MAX_INPUTS: Final = 1_000_000
MAX_ASSETS: Final = 100
# Elements of a constant that stand in no file: those of a tensor that a few values are repeated to fill.
MAX_REPEATED: Final = 1 << 22
# Checkpoint. BERT-large has 400 variables; the partitioners of TensorFlow make a few dozen slices.
MAX_INDEX_BYTES: Final = 1 << 26  # of the file, of what its blocks unpack to, and of its keys
MAX_ENTRIES: Final = 1 << 17
MAX_KEY_BYTES: Final = 4096
MAX_SLICES: Final = 1 << 12  # of a variable: the check for overlaps takes the square of it
MAX_SLICES_IN_ALL: Final = 1 << 14
# Text. The vocabulary of LaBSE has 501,153 lines and 5 MB; max_bytes_per_word is 100 or 200.
MAX_VOCABULARY_BYTES: Final = 1 << 24
MAX_VOCABULARY_LINES: Final = 1 << 20
MAX_LINE_BYTES: Final = 1 << 12
MAX_WORD_BYTES: Final = 1000
MAX_POSITIONS: Final = 1 << 15  # the longest probe has as many words
MAX_PIECE_BYTES: Final = 100  # of the suffix and the unknown piece, which stand in every probe piece
MAX_PATTERN: Final = 50_000  # characters; the one for emoji has 3,000
MAX_WORK: Final = 1 << 27  # of one match: instructions of RE2 times bytes of text, 30 ns each at worst
MAX_GROUPS: Final = 60  # groups in one another
MAX_PATHS: Final = 10_000  # ways in which a backtracking engine may try a pattern at one place
# Computing. The embedded model takes 0.25 s and LEALLA-large 2 s; a slow machine ten times as long.
SECONDS: Final = 4.0
SECONDS_TO_ASK: Final = 6.0  # more, where rules are asked of a graph
# In place of these, where it cuts words into pieces, or texts into words, by itself, or loops from word to word.
SECONDS_BY_HAND: Final = 26.0
SECONDS_IF_THOROUGH: Final = 600.0  # more, where a hundred times as many words are asked for
SECONDS_TO_NAME: Final = 1.0  # more, to see of which kind a model that is refused is
SECONDS_TO_DIAGNOSE: Final = 3.0  # more, for `inspect` to tell all that can be read of it
BYTES_A_SECOND: Final = 10_000_000  # of files: each adds to what may be computed
MEMORY: Final = 128 << 20  # of values that are held at one time while a graph is run
MEMORY_A_BYTE: Final = 4  # of variables: they are held as float64, twice
# Of variables that a graph-only file claims and does not bring; the layers of LaBSE have 340 MB.
MAX_CLAIMED_BYTES: Final = 1 << 29


class OutOfTimeError(GraphError):
    """Reading takes longer than any text encoder would; nothing else is worth trying."""


@dataclass
class _Budget:
    """What may still be spent."""

    until: float  # of this thread's computing time
    memory: int
    looked: float = 0.0  # when that was last asked of the system, which takes longer than most steps
    every: float = 0.02  # seconds between two such looks


_current: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextlib.contextmanager
def budget(nbytes: int, seconds: float = SECONDS) -> Iterator[None]:
    """Bound the computing of this thread in the block, in proportion to the size of the files that are read.

    Computing time is counted, not waiting: a busy machine or a slow disk does not make a good model a bad one.
    """
    until = time.thread_time() + seconds + nbytes / BYTES_A_SECOND
    token = _current.set(_Budget(until, MEMORY + MEMORY_A_BYTE * nbytes))
    try:
        yield
    finally:
        _current.reset(token)


def extend(seconds: float) -> None:
    """Allow this block so many seconds of computing more; see `budget`."""
    spent = _current.get()
    if spent is not None:
        spent.until += seconds


def tick(where: object) -> None:
    """Tell that a step was taken of a loop whose length the file decides, at `where`, which is written out only if needed.

    Raises:
        GraphError: the budget of the block is spent; names `where`.
    """
    spent = _current.get()
    if spent is None or (now := time.perf_counter()) < spent.looked + spent.every:
        return
    spent.looked = now
    if time.thread_time() > spent.until:
        raise OutOfTimeError(f"Reading the graph takes too long, at {where}.", "It is damaged, or made to do so.")


def memory() -> int:
    """Return how many bytes of values may be held at one time."""
    spent = _current.get()
    return MEMORY if spent is None else spent.memory
