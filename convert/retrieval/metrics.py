"""What is measured of unit embeddings of texts and their translations."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from hub2hf.equivalence.translations import TIE

BLOCK: Final = 1024  # rows of the similarities that are held at once
NEIGHBOURS: Final = 4  # of the margin, as in Artetxe and Schwenk, Margin-based Parallel Corpus Mining (ACL 2019)
NORMAL: Final = 1.959963985  # standard deviations about the mean in which a normal variable lies 95 times in 100


@dataclass(frozen=True)
class Nearest:
    """What texts find among translations.

    Attributes:
        nearest: int64 [texts], the most similar translation of each.
        similarity: float32 [texts], how similar it is.
        right: bool [texts], whether it is the text's own, or no less similar than that but for a tie.
    """

    nearest: np.ndarray
    similarity: np.ndarray
    right: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of texts that find their translation."""
        return float(self.right.mean())


def search(texts: np.ndarray, translations: np.ndarray) -> Nearest:
    """Look for the most similar translation of each text, by cosine.

    Args:
        texts, translations: unit embeddings, float32 [count, hidden].
    """
    nearest, similarity, own = [], [], []
    for at in range(0, len(texts), BLOCK):
        block = texts[at : at + BLOCK] @ translations.T
        rows = np.arange(len(block))
        nearest.append(block.argmax(axis=1))
        similarity.append(block.max(axis=1))
        own.append(block[rows, at + rows])
    best = np.concatenate(similarity)
    return Nearest(np.concatenate(nearest), best, np.concatenate(own) >= best - TIE)


def changed(texts: np.ndarray, translations: np.ndarray, mine: Nearest, theirs: Nearest) -> int:
    """Return how many texts find another translation in one model than in another; ties apart.

    Args:
        texts, translations: unit embeddings of the first.
        mine, theirs: what `search` finds of the first and of the other.
    """
    there = np.einsum("ij,ij->i", texts, translations[theirs.nearest])
    return int((mine.similarity - there > TIE).sum())


def mining(texts: np.ndarray, translations: np.ndarray) -> float:
    """Return the best F1 with which pairs are mined, when nothing tells that there is one of each.

    Candidates are the best of each text and the best of each translation by the ratio margin: the cosine by the mean cosine
    of both with their neighbours. Of all thresholds the one with the best F1 is taken, as in the BUCC task.
    """
    count = min(NEIGHBOURS, len(texts))
    forward, backward = _mean_of_neighbours(texts, translations, count), _mean_of_neighbours(translations, texts, count)
    best: dict[tuple[int, int], float] = {}
    sides = ((texts, translations, forward, backward, False), (translations, texts, backward, forward, True))
    for left, right, own, other, turned in sides:
        for at in range(0, len(left), BLOCK):
            scores = margin(left[at : at + BLOCK] @ right.T, own[at : at + BLOCK, np.newaxis], other)
            for row, column in enumerate(scores.argmax(axis=1).tolist()):
                pair = (column, at + row) if turned else (at + row, column)
                best[pair] = float(scores[row, column])
    right_ones = np.cumsum([pair[0] == pair[1] for pair in sorted(best, key=lambda pair: -best[pair])])
    taken = np.arange(1, len(right_ones) + 1)
    return float((2 * right_ones / (taken + len(texts))).max())


def margin(cosine: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the ratio margin: a cosine by the mean cosine of both with their neighbours; -inf unless that mean is positive.

    Args:
        cosine: of pairs, float.
        own, other: the mean cosine of each of a pair with its nearest neighbours on the other side; of the shape of
            `cosine`, or to be broadcast to it.
    """
    mean = np.broadcast_to((own + other) / 2, cosine.shape)
    found: np.ndarray = np.divide(cosine, mean, out=np.full_like(cosine, -np.inf), where=mean > 0)
    return found


def _mean_of_neighbours(texts: np.ndarray, translations: np.ndarray, count: int) -> np.ndarray:
    blocks = (texts[at : at + BLOCK] @ translations.T for at in range(0, len(texts), BLOCK))
    return np.concatenate([np.partition(block, -count, axis=1)[:, -count:].mean(axis=1) for block in blocks])


def interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `count` (Wilson, Probable Inference, 1927)."""
    square = NORMAL**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = NORMAL / (1 + square / count) * sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)
