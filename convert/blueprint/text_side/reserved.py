"""The pieces that a text side itself looks up, such as [CLS], and how it packs no text."""

from __future__ import annotations

import numpy as np

from hub2hf.blueprint.asked.oracle import Inquiry, TextSide
from hub2hf.blueprint.probe import AskedVocabulary
from hub2hf.blueprint.text_side.read_text import TextReader
from hub2hf.blueprint.vocabulary.lines import lines_of
from hub2hf.errors import VocabularyError

STRANGE = "\ue000"  # of private use: a word of no vocabulary


def reserved(text: TextReader, run: TextSide, longest: int) -> tuple[dict[str, int], np.ndarray]:
    """Return the pieces that the graph itself looks up, with their real ids, and what it packs for no text.

    That stands beside a text of `longest` unknown words: a batch that is cut to its longest has padding only so.
    """
    unknowns = " ".join([STRANGE] * longest)
    path, _ = text.vocabulary()
    unknown = text.wordpiece.unknown_token
    known = lines_of(path, {unknown}) if text.nodes else {}
    if text.nodes and unknown not in known:
        raise VocabularyError(f"{path} lacks the piece '{unknown}', which the graph uses.", "Download the model again.")
    texts = [""]
    while True:
        asked = AskedVocabulary(known)
        packing = run(Inquiry(asked, texts))
        found = lines_of(path, asked.missing) if asked.missing else {}
        known |= found
        if not found and unknowns in texts:
            return known, packing
        if not found:
            texts.append(unknowns)
