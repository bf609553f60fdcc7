"""The one family of errors: each says what is wrong, where, and what to do next."""

from __future__ import annotations

import os
import shlex
from typing import Any, Final

FETCH_AGAIN: Final = "Fetch or copy the SavedModel again."  # the next step where a file of it is damaged
REPORT: Final = "Report the model, so that support can be added."  # the next step where it is not understood
UNSAFE: Final = "Weights only load failed"  # of PyTorch, which then says how to load, and run, whatever the file holds
MOST_CHARACTERS = 2000  # a hostile graph may have names of any length


def printable(text: str) -> str:
    """Return a text in one line without control characters: it may quote a file, and a terminal obeys what it prints."""
    short = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
    return short if short.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in short)


def raised(error: Exception) -> str:
    """Return the first line of what a library raised, with its kind, as a part of a sentence."""
    kind, line = type(error).__name__, f"{error}".strip().split("\n")[0]
    if UNSAFE in line:
        return f"{kind}: its weights are a pickle that PyTorch does not load safely"
    return " ".join(f"{kind}: {line}".split()).rstrip(".:")


def pasted(*words: object) -> str:
    """Return a command line that the shell of this system takes as these words, whatever is in them."""
    said = [str(word) for word in words]
    if os.name != "nt":
        return shlex.join(said)
    import subprocess  # only now: it takes a while to import

    return subprocess.list2cmdline(said)


class Hub2HFError(Exception):
    """Base of every error a user can cause or meet; the command prints it and exits with 2.

    Args:
        problem: what is wrong, naming the file, node, variable or key at fault.
        next_step: what the reader can do about it, as a sentence.
    """

    def __init__(self, problem: str, next_step: str) -> None:
        self.problem = printable(problem)
        self.next_step = printable(next_step)
        super().__init__(f"{self.problem} {self.next_step}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Go from process to process as what it is."""
        return type(self), (self.problem, self.next_step), vars(self)


class SourceError(Hub2HFError):
    """The source is not there, not a SavedModel, or a file of it is missing or unreadable."""


class CheckpointError(Hub2HFError):
    """The checkpoint (index, data shard, tensor) is truncated, corrupted or of an unsupported form."""


class GraphError(Hub2HFError):
    """The graph holds something that is not understood; never converted approximately."""


class VocabularyError(Hub2HFError):
    """The vocabulary asset is unreadable, ambiguous, or does not fit the word embeddings."""


class MappingError(Hub2HFError):
    """Variables and state-dict keys do not pair up one to one, or a shape is wrong."""


class ExportError(Hub2HFError):
    """The folder cannot be written where it was asked for."""


class HubError(Hub2HFError):
    """The Hub refused something, or could not be reached.

    Attributes:
        status: of HTTP; 0 where there was no answer.
        passing: whether it may go by itself.
        retry_after: seconds that the Hub asks to wait.
        unresolved: whether its name led nowhere.
        unasked: whether it was not asked at all: there is no network, or none is wanted.
    """

    def __init__(
        self,
        problem: str,
        next_step: str,
        *,
        status: int = 0,
        passing: bool = False,
        retry_after: float | None = None,
        unresolved: bool = False,
        unasked: bool = False,
    ) -> None:
        super().__init__(problem, next_step)
        self.status = status
        self.passing = passing
        self.retry_after = retry_after
        self.unresolved = unresolved
        self.unasked = unasked
