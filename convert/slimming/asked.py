"""What is asked of a smaller folder, and what was made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub2hf.proof.limits import Limits
from hub2hf.unicode.codepoints import CodePoints

if TYPE_CHECKING:
    from hub2hf.onnx.precision import Precision


@dataclass(frozen=True)
class Slim:
    """What `slim` made.

    Attributes:
        out: the folder.
        kept, dropped: how many pieces stayed and went.
        bytes, bytes_before: of all files of the folder, and of the one that it was made from.
        languages: those that it is kept for; none where all pieces stayed.
        alphabet: characters of words in which nothing changes.
        slim, lossy: what its manifest says of the pieces that went, and of coarser numbers; None where there are none.
    """

    out: Path
    kept: int
    dropped: int
    bytes: int
    bytes_before: int
    languages: tuple[str, ...]
    alphabet: CodePoints
    slim: Mapping[str, Any] | None = None
    lossy: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Used:
    """The pieces that a corpus uses.

    Attributes:
        pieces: their ids in the vocabulary of the folder.
        said: what the corpus is, in words.
        languages: those that it says its texts are in.
        facts: what the manifest says of it, JSON data.
    """

    pieces: frozenset[int]
    said: str
    languages: tuple[str, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Loss:
    """Coarser numbers.

    Attributes:
        precision: how they are kept.
        said: the same in words.
        limits: what may be lost.
        texts: on which int8 products are calibrated; none where there are no such products.
        measure: returns what was lost by a folder, for its manifest, JSON data; it may refuse the folder.
    """

    precision: Precision
    said: str
    limits: Limits
    texts: Sequence[str]
    measure: Callable[[Path], Mapping[str, Any]]


@dataclass(frozen=True)
class Kept:
    """What a folder is kept for: characters, pieces, in words, and the languages that are asked for by name."""

    codes: CodePoints
    pieces: frozenset[int]
    said: str
    languages: tuple[str, ...]
