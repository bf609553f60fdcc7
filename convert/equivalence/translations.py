"""Whether the project's own sentences find their translations: each language has the same ones in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from hub2hf.equivalence.sentences import Sentence, language_sentences

TIE = 2e-6  # similarities closer than that are one: float32 round-off orders them


@cache
def _numbers() -> Mapping[Sentence, int]:
    """Return the number that a sentence has in its language."""
    count: dict[str, int] = {}
    found = {}
    for sentence in language_sentences():
        found[sentence] = count[sentence.language] = count.get(sentence.language, -1) + 1
    return found


def translations_found(sentences: Sequence[Sentence], embeddings: np.ndarray) -> dict[int, bool]:
    """Return the place of each of the project's own sentences → whether the nearest one in another language translates it.

    Where no other language is among them, there is nothing to find, and nothing is returned.

    Args:
        sentences: any.
        embeddings: of unit length, float32 [sentences, hidden].
    """
    numbers = _numbers()
    at = [i for i, sentence in enumerate(sentences) if sentence in numbers]
    if len({sentences[i].language for i in at}) < 2:
        return {}
    likeness = embeddings[at] @ embeddings[at].T
    languages = np.array([sentences[i].language for i in at])
    likeness[languages[:, np.newaxis] == languages] = -np.inf
    number = np.array([numbers[sentences[i]] for i in at])
    right = np.where(number[:, np.newaxis] == number, likeness, -np.inf).max(axis=1)
    found = right >= likeness.max(axis=1) - TIE
    return dict(zip(at, found.tolist(), strict=True))
