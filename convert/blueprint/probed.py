"""Texts run through the text side of a graph, on a small vocabulary in place of the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convert.blueprint.lines import lines_of
from convert.blueprint.probe import AskedVocabulary, probe_texts, probe_vocabulary
from convert.blueprint.read_text import TextReader
from convert.blueprint.structure import REPORT
from convert.errors import GraphError, VocabularyError
from convert.limits import MAX_POSITIONS


@dataclass(frozen=True)
class ProbedText:
    """One probe text and the ids that the graph packs for it, int [max_length]."""

    text: str
    ids: np.ndarray


@dataclass(frozen=True)
class ProbeSet:
    """The probe texts, the last two being empty and too long to fit, and a vocabulary for them: piece → id."""

    texts: tuple[str, ...]
    vocabulary: Mapping[str, int]


# From a vocabulary (bytes → id) and texts to packed ids [texts, max_length].
IdsOf = Callable[[Mapping[bytes, int], Sequence[str]], np.ndarray]


def probe_set(text: TextReader, ids_of: IdsOf, longest: int) -> ProbeSet:
    """Return texts and a vocabulary to run a text side on.

    Args:
        text: the reader of the text side.
        ids_of: runs it.
        longest: more pieces than fit.

    Raises:
        GraphError: more than any graph has.
        VocabularyError: the vocabulary lacks a piece that the graph uses.
    """
    if longest > MAX_POSITIONS:
        raise GraphError(f"The encoder has {longest} positions.", REPORT)
    wordpiece = text.wordpiece
    texts = probe_texts(wordpiece.max_bytes_per_word)
    known, packing = _reserved(text, ids_of, wordpiece.unknown_token)
    taken = frozenset(int(i) for i in packing.ravel())
    vocabulary = probe_vocabulary(texts, wordpiece.suffix_indicator, known, taken)
    return ProbeSet((*texts, "", "a " * longest), vocabulary)


def _reserved(text: TextReader, ids_of: IdsOf, unknown: str) -> tuple[dict[str, int], np.ndarray]:
    """Return the pieces that the graph itself looks up, with their real ids, and what it packs for no text."""
    path, _ = text.vocabulary()
    known = lines_of(path, {unknown})
    if unknown not in known:
        raise VocabularyError(f"{path} lacks the piece '{unknown}', which the graph uses.", "Download the model again.")
    while True:
        asked = AskedVocabulary(known)
        packing = ids_of(asked, [""])
        found = lines_of(path, asked.missing) if asked.missing else {}
        if not found:
            return known, packing
        known |= found
