"""`mine`: translations are found among the texts of two corpora, or like texts within one, by their stored vectors.

A pair counts by its margin: how similar its texts are, by how similar each is to its nearest neighbours on the other side.
So a text that is like everything is like nothing in particular (Artetxe and Schwenk, Margin-based Parallel Corpus Mining,
ACL 2019). Neighbours are exact ones, by faiss.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.corpora.job import Windows
from hub2hf.corpora.places import pyarrow, shown
from hub2hf.corpora.stored import NO_TEXT
from hub2hf.corpora.vectors import check_vectors, read_vectors, vectors_of, widths_of
from hub2hf.corpora.writing import written
from hub2hf.errors import SourceError
from hub2hf.extras import install
from hub2hf.names import check_numbers, check_paths, check_whole_numbers, present
from hub2hf.notices import Progress
from hub2hf.retrieval.metrics import NEIGHBOURS, margin

WINDOW: Final = 4096  # rows that are read, or looked up, between two reports of progress
BY: Final = {"margin": 1.0, "cosine": 0.0}  # how pairs are scored → the least score by default


@dataclass(frozen=True)
class Mined:
    """What `mine` found.

    Attributes:
        out: the file of pairs.
        pairs: how many there are.
        rows: of the one side and of the other.
        left_out: why a row of either side cannot be in a pair → how many.
        unreadable: file → why it could not be read.
        seconds: how long it took.
    """

    out: str
    pairs: int
    rows: tuple[int, int]
    left_out: Mapping[str, int]
    unreadable: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class _Side:
    """The rows of a corpus that can be in a pair.

    Attributes:
        vectors: of unit length, float32 [rows, hidden].
        numbers: the row of the corpus that each is, int64 [rows]; files follow each other.
        texts: of them, a pyarrow array of strings.
        all_rows: how many rows the corpus has.
    """

    vectors: np.ndarray
    numbers: np.ndarray
    texts: Any
    all_rows: int


@dataclass(frozen=True)
class _Neighbours:
    """The nearest of each row on the other side.

    Attributes:
        at: which they are, the nearest first, int64 [rows, neighbours].
        cosine: with each, float32 [rows, neighbours].
    """

    at: np.ndarray
    cosine: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean cosine with them, float32 [rows]."""
        return np.asarray(self.cosine.mean(axis=1))


def mine(
    one: str | Path,
    other: str | Path,
    out: str | Path,
    *,
    text: str = "text",
    embedding: str = "embedding",
    by: str = "margin",
    threshold: float | None = None,
    neighbours: int = NEIGHBOURS,
    progress: Progress = lambda done, total: None,
) -> Mined:
    """Find translations among the texts of two corpora, each text in one pair at most, the best first.

    Of one corpus, named twice, it finds texts that are alike, each in as many pairs as it has neighbours.

    All vectors are held in memory, 4 bytes a number; the time grows with the product of the numbers of rows.

    Args:
        one, other: Parquet or JSON lines with texts and their vectors, as `embed` writes them: a file, a folder, a glob, or
            a URL that pyarrow's file systems open.
        out: a file of Parquet or JSON lines to write, or such a URL. Of each pair it has `score`, `cosine`, `row_a`,
            `row_b` (from 0, over all files in order), `text_a` and `text_b`.
        text, embedding: columns, of both.
        by: `margin`; or `cosine`, by which texts that are the same find each other however often they are there.
        threshold: the least score; 1 by margin and 0 by cosine by default. Above 1 texts are more alike than neighbours are.
        neighbours: how many of the nearest are looked at.
        progress: called with (rows read and looked up so far, all that are to be).

    Raises:
        SourceError: a column or faiss is missing, the threshold is no number, a file is in both corpora, or there are no
            two vectors to compare.
        ExportError: `out` is there already, or cannot be written.
    """
    start = time.monotonic()
    check_paths(one=one, other=other, out=out)
    check_whole_numbers(neighbours=neighbours)
    check_numbers(**present(threshold=threshold))
    if by not in BY:
        raise SourceError(f"Nothing scores pairs by '{by}'.", f"Choose from: {', '.join(BY)}.")
    if neighbours < 1:
        raise SourceError(f"{neighbours} neighbours tell nothing.", f"Ask for more; {NEIGHBOURS} is usual.")
    if threshold is not None and not math.isfinite(threshold):
        raise SourceError(f"{threshold} is no least score.", "Give a number, such as 1.05.")
    _faiss()
    one, other, out = map(str, (one, other, out))
    least = BY[by] if threshold is None else threshold
    found = [Windows.found(place, text, WINDOW) for place in dict.fromkeys([one, other])]
    found = found[:1] if _one_corpus(found[0][0], found[-1][0]) else found
    for corpus, _ in found:
        _check_column(corpus, embedding)
    _check_alike(*(corpus for corpus, _ in found))
    counted = _Counted(progress, 2 * sum(corpus.all_rows for corpus, _ in found))
    unreadable = {name: why for _, bad in found for name, why in bad.items()}
    left_out: Counter[str] = Counter()
    with written(out) as write:
        sides = [_read(corpus, embedding, left_out, unreadable, counted) for corpus, _ in found]
        if len({side.vectors.shape[1] for side in sides}) > 1:
            widths = " and ".join(str(side.vectors.shape[1]) for side in sides)
            raise SourceError(f"The vectors of A and B have {widths} numbers.", "Embed both with one model.")
        one_side, other_side = sides[0], sides[-1]
        if len(sides) > 1:
            pairs, cosines, scores = _translations(one_side, other_side, neighbours, by, counted)
        else:
            pairs, cosines, scores = _alike(one_side, neighbours, by, counted)
        kept = np.flatnonzero(scores >= least)
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        if len(sides) > 1:
            kept = _each_once(pairs, kept)
        write(_table(one_side, other_side, pairs[kept], cosines[kept], scores[kept]))
    rows = (one_side.all_rows, other_side.all_rows)
    return Mined(shown(out), len(kept), rows, dict(left_out), unreadable, time.monotonic() - start)


class _Counted:
    """Counts rows for `progress`."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def __call__(self, rows: int) -> None:
        self._done += rows
        self._progress(self._done, self._total)


def _faiss() -> Any:
    """Return the library (SourceError: it is not installed)."""
    try:
        return import_module("faiss")
    except ImportError as error:
        raise SourceError(
            "faiss, which finds nearest neighbours, is not installed.", f"Install it: {install('mine')}"
        ) from error


def _one_corpus(one: Windows, other: Windows) -> bool:
    """Whether two are of the same files, however they were named.

    Raises:
        SourceError: some of their files are the same: of the texts in these, each would find itself.
    """
    files, others = (
        {(os.path.realpath(each.path), each.size, each.modified): each.path for each in corpus.files.values()}
        for corpus in (one, other)
    )
    for same in files.keys() & others.keys() if [*files] != [*others] else ():
        raise SourceError(
            f"{shown(files[same])} is in A and in B.", "Name two corpora that share no file, or one corpus twice."
        )
    return [*files] == [*others]


def _check_column(corpus: Windows, embedding: str) -> None:
    """See that a corpus has a column of vectors.

    Raises:
        SourceError: it has no such column, or one of other things.
    """
    if embedding not in corpus.schema.names:
        name = shown(next(iter(corpus.files.values())).path)
        raise SourceError(
            f"{name} has no column '{embedding}'; it has {', '.join(corpus.schema.names)}.",
            "hub2hf embed makes it; or name it: --embedding COLUMN.",
        )
    check_vectors(corpus, embedding)


def _check_alike(*corpora: Windows) -> None:
    """See that vectors which say of what SavedModel they are, as those of `embed` in Parquet, are all of one.

    Raises:
        SourceError: they are not.
    """
    said: dict[str, str] = {}
    for corpus in corpora:
        for number, scan in corpus.scans.items():
            model = json.loads(scan.made_of).get("savedmodel") if scan.made_of else None
            if model:
                said.setdefault(model, corpus.files[number].path)
    if len(said) > 1:
        one, other, *_ = said.values()
        raise SourceError(f"The vectors of {one} and of {other} are of two models.", "Embed both with one.")


def _read(
    corpus: Windows, embedding: str, left_out: Counter[str], unreadable: dict[str, str], counted: _Counted
) -> _Side:
    """Read the vectors of a corpus into memory, of those that are as wide as most.

    Raises:
        SourceError: it has no vector.
    """
    side, why, widths = _read_of(0, corpus, embedding, unreadable, counted)
    most = max(widths, key=widths.__getitem__, default=0)
    if side.vectors.shape[1] != most:  # its first window is not like the rest
        side, why, _ = _read_of(most, corpus, embedding, unreadable, lambda _: None)
    if not len(side.vectors):
        paths = [given.path for given in corpus.files.values()]
        for path in unreadable.keys() & paths:
            raise SourceError(f"{path} cannot be read: {unreadable[path]}.", "Repair it, or name another.")
        raise SourceError(f"{shown(paths[0])}: no row has a text and a vector.", "Check the columns.")
    left_out.update(why)
    counted(side.all_rows - len(side.vectors))  # these are not looked up
    return side


def _read_of(
    hidden: int, corpus: Windows, embedding: str, unreadable: dict[str, str], counted: Callable[[int], None]
) -> tuple[_Side, Counter[str], Counter[int]]:
    """Read the vectors of one width, by default that of most in the first window that has any.

    Returns:
        The rows, why others are left out → how many, and width → how many vectors.
    """
    arrow = pyarrow()
    why: Counter[str] = Counter()
    widths: Counter[int] = Counter()
    vectors, numbers, first = [], [np.zeros(0, np.int64)], 0
    texts = [arrow.array([], arrow.large_string())]
    for chunk, made in corpus.taken(corpus.all_chunks, lambda _: ()):
        rows = corpus.rows(chunk)
        if isinstance(made, str):
            unreadable[corpus.files[chunk.file].path] = made
        elif rows:
            column, given = vectors_of(corpus, chunk.file, made.window.table, embedding), made.window.texts
            widths.update(found := widths_of(column))
            hidden = hidden or max(found, key=found.__getitem__, default=0)
            read = read_vectors(column, hidden or 1)  # where none of them is there, any width will do
            reasons = [each if t and t.strip() else NO_TEXT for each, t in zip(read.why, given, strict=True)]
            at = [i for i, reason in enumerate(reasons) if not reason]
            why.update(filter(None, reasons))
            if hidden:
                there = [not reason for reason, each in zip(reasons, read.why, strict=True) if not each]
                vectors.append(read.unit[there].astype(np.float32))
            numbers.append(first + np.array(at, np.int64))
            texts.append(arrow.array([given[i] for i in at], arrow.large_string()))
        first += rows
        counted(rows)
    held = np.concatenate(vectors) if vectors else np.zeros((0, hidden), np.float32)
    return _Side(held, np.concatenate(numbers), arrow.chunked_array(texts), first), why, widths


def _nearest(texts: np.ndarray, others: np.ndarray, count: int, counted: _Counted) -> _Neighbours:
    """Return the nearest `others` of each text; both of unit length, float32 [rows, hidden]."""
    faiss = _faiss()
    at, cosine = [], []
    for start in range(0, len(texts), WINDOW):
        block = texts[start : start + WINDOW]
        near, which = faiss.knn(block, others, min(count, len(others)), metric=faiss.METRIC_INNER_PRODUCT)
        at.append(which)
        cosine.append(near)
        counted(len(block))
    return _Neighbours(np.concatenate(at), np.concatenate(cosine))


def _translations(
    one: _Side, other: _Side, neighbours: int, by: str, counted: _Counted
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best of each text and the best of each of the others: pairs int64 [n, 2], cosines and scores [n]."""
    there = _nearest(one.vectors, other.vectors, neighbours, counted)
    back = _nearest(other.vectors, one.vectors, neighbours, counted)
    forward = _best(there, back.mean, by)
    backward = _best(back, there.mean, by)
    pairs = np.concatenate([forward[0], backward[0][:, ::-1]])
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    return pairs, np.concatenate([forward[1], backward[1]])[first], np.concatenate([forward[2], backward[2]])[first]


def _best(found: _Neighbours, others_mean: np.ndarray, by: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each row with the neighbour of the best score: pairs int64 [rows, 2], cosines and scores [rows]."""
    scores = _scores(found, others_mean, by)
    column = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    return np.stack([rows, found.at[rows, column]], axis=1), found.cosine[rows, column], scores[rows, column]


def _scores(found: _Neighbours, others_mean: np.ndarray, by: str) -> np.ndarray:
    """Return the scores of neighbours, float32 [rows, neighbours]."""
    if by == "cosine":
        return found.cosine
    return margin(found.cosine, found.mean[:, np.newaxis], others_mean[found.at])


def _alike(side: _Side, neighbours: int, by: str, counted: _Counted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows with their neighbours, each pair once: int64 [n, 2], the former first, cosines and scores [n]."""
    if len(side.vectors) < 2:
        raise SourceError("One text has no other to be like.", "Name a corpus of more, or two of them.")
    found = _without_self(_nearest(side.vectors, side.vectors, neighbours + 1, counted))
    scores = _scores(found, found.mean, by)
    rows = np.repeat(np.arange(len(scores)), scores.shape[1])
    pairs, first = np.unique(np.sort(np.stack([rows, found.at.ravel()], axis=1), axis=1), axis=0, return_index=True)
    return pairs, found.cosine.ravel()[first], scores.ravel()[first]


def _without_self(found: _Neighbours) -> _Neighbours:
    """Return the neighbours of each row but the row itself; but the last, where others as near stand in its place."""
    own = found.at == np.arange(len(found.at))[:, np.newaxis]
    own[~own.any(axis=1), -1] = True
    shape = (len(own), own.shape[1] - 1)
    return _Neighbours(found.at[~own].reshape(shape), found.cosine[~own].reshape(shape))


def _each_once(pairs: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return those of `order` whose texts are in none that comes before."""
    taken: tuple[set[int], set[int]] = set(), set()
    kept = []
    for number in order.tolist():
        one, other = pairs[number].tolist()
        if one not in taken[0] and other not in taken[1]:
            taken[0].add(one)
            taken[1].add(other)
            kept.append(number)
    return np.array(kept, np.int64)


def _table(one: _Side, other: _Side, pairs: np.ndarray, cosines: np.ndarray, scores: np.ndarray) -> Any:
    """Return pairs int64 [n, 2] with their texts, as `mine` writes them."""
    arrow = pyarrow()
    return arrow.table(
        {
            "score": scores.astype(np.float32),
            "cosine": cosines.astype(np.float32),
            "row_a": one.numbers[pairs[:, 0]],
            "row_b": other.numbers[pairs[:, 1]],
            "text_a": one.texts.take(arrow.array(pairs[:, 0])),
            "text_b": other.texts.take(arrow.array(pairs[:, 1])),
        }
    )
