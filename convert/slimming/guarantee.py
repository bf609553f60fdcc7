"""Which pieces stay, and why the folder then gives the same embedding for every text that it is kept for.

**What is promised.** Let V be the vocabulary, K the pieces that stay, D those that go, and A a set of characters in which no
piece of D is spelled: each holds at least one that is not in A. A text whose words hold only characters of A has the same
pieces with K as with V, and so the same embedding. K holds every piece that is spelled in the characters asked for, so these
are such a set; and with them all that no piece of D holds, for a piece of D holds one that is neither.

**Why.** A word is cut from the left: at each place WordPiece takes the longest piece of V that stands there, and where none
does the whole word is the unknown token. So all that it asks of V is whether a part of the word, as it is or behind the
suffix indicator, is in it. A part of the word is spelled in A, so it is no piece of D, and every such question has the same
answer in V and in K, which is V without D. Hence the same piece is taken at each place, or none in both: by induction over
places the words are cut alike. Nothing else that makes ids of a text asks the vocabulary:

- The changes of characters and the splits into words are the same, step by step; `write` sees to it that what is compiled
  for the new folder is what the old one has.
- A word of too many bytes is unknown because of its bytes. It is a character that is no piece to the tokenizer: it is none
  in V, so it is none in K.
- [CLS], [SEP], padding and the unknown token are always kept; ids are numbered again in the same order, and with each id
  goes the very row of the word embeddings that it had. The encoder sees the same numbers, whatever runs it.

**What it needs of the text rules**, which are read from the folder's manifest: what characters a word may hold, given those
of a text. Case folding and NFD turn each character into others by a table; together they compose nothing. Where words are
folded and composed, all that their characters may compose counts. A replacement brings in the characters of its rewrite.
Splits bring in none. Any other rule is refused.

**What is not promised.** A text with other characters has other ids where it used a piece that went. But pieces of one
character all stay, so that a word each of whose characters has a piece of its own, at its place, is never unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from hub2hf.blueprint.text import (
    CaseFold,
    FoldWords,
    LowerCase,
    Normalize,
    Pack,
    ReplacePattern,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
    WordPiece,
)
from hub2hf.errors import ExportError
from hub2hf.tokenizer import Vocabulary
from hub2hf.unicode.casing import FINAL_SIGMA, SIGMA, lower_case
from hub2hf.unicode.codepoints import LAST, CodePoints
from hub2hf.unicode.folding import case_folded, decomposed, folded_characters

NO_NEW_CHARACTERS: Final = (SplitScripts, SplitDelimiters, SplitAround, SplitCharacters, WordPiece, Pack)


def check_rules(operations: Sequence[TextOperation]) -> None:
    """See that what the text operations make of characters is understood.

    Raises:
        ExportError: one is not; names its node.
    """
    for operation, after in zip(operations, [*operations[1:], None], strict=True):
        known = isinstance(operation, (ReplacePattern, FoldWords, *NO_NEW_CHARACTERS))
        nfd = isinstance(operation, Normalize) and operation.form == "NFD"
        folds = isinstance(operation, CaseFold | LowerCase) and isinstance(
            after, Normalize
        )  # which undoes what folding composes
        if not (known or nfd or folds):
            raise ExportError(
                f"Node '{operation.evidence}': {type(operation).__name__} may produce characters that cannot be foreseen.",
                "Such a folder cannot be made slim with a guarantee: report the model.",
            )


def characters_of_words(characters: Iterable[str], operations: Sequence[TextOperation]) -> set[str]:
    """Return characters among which are all that the words of a text may hold.

    Args:
        characters: those of the text.
        operations: the text operations, as `check_rules` knows them.
    """
    found = set(characters)
    for operation in operations:
        if isinstance(operation, CaseFold):
            found = {c for character in found for c in case_folded(character)}
        elif isinstance(operation, FoldWords):
            found = {c for character in found for folded in case_folded(character) for c in decomposed(folded)}
            found |= {c for c in folded_characters() if case_folded(c) == c and found.issuperset(decomposed(c))}
        elif isinstance(operation, LowerCase):
            found = {c for character in found for c in lower_case(character)} | (
                {FINAL_SIGMA} if SIGMA in found else set()
            )
        elif isinstance(operation, Normalize):
            found = {c for character in found for c in decomposed(character)}
        elif isinstance(operation, ReplacePattern):
            found |= set(operation.rewrite)
    return found


class Spellings:
    """What each piece of a vocabulary is spelled with: of a word, and so without the suffix indicator.

    Args:
        vocabulary: the pieces.
        text: the text side.

    Attributes:
        lengths: of each piece, in characters, int64 [pieces].
    """

    def __init__(self, vocabulary: Vocabulary, text: TextBlueprint) -> None:
        self._vocabulary = vocabulary
        self._codes = np.frombuffer(vocabulary.lines.decode().encode("utf-32-le"), "<u4")
        self._ends = np.flatnonzero(self._codes == ord("\n"))
        starts = np.concatenate([[0], self._ends[:-1] + 1])
        indicator = text.wordpiece.suffix_indicator
        behind = np.ones(len(starts), bool)
        for place, character in enumerate(indicator):  # a shorter line has its newline there
            behind &= self._codes[np.minimum(starts + place, len(self._codes) - 1)] == ord(character)
        self._begins = starts + behind * len(indicator)
        self.lengths = self._ends - self._begins

    def are(self, some: Iterable[str]) -> np.ndarray:
        """Return which pieces are among some, bool [pieces]."""
        found = np.zeros(len(self.lengths), bool)
        found[[number for number in map(self._vocabulary.number, some) if number is not None]] = True
        return found

    def within(self, held: AbstractSet[str]) -> np.ndarray:
        """Return which pieces are spelled in some characters alone, bool [pieces]."""
        strange = np.ones(LAST + 1, bool)
        strange[[ord(character) for character in held]] = False
        before = np.concatenate([[0], np.cumsum(strange[self._codes], dtype=np.int32)])
        return np.asarray(before[self._ends] == before[self._begins])

    def characters(self, some: np.ndarray) -> set[str]:
        """Return all characters that some of the pieces, bool [pieces], are spelled with."""
        some = some & (self.lengths > 0)
        edges = np.zeros(len(self._codes) + 1, np.int8)
        edges[self._begins[some]] = 1
        edges[self._ends[some]] = -1
        inside = np.cumsum(edges[:-1], dtype=np.int8).astype(bool)
        return set(map(chr, np.unique(self._codes[inside]).tolist()))


def kept_pieces(spellings: Spellings, special: Iterable[str], held: AbstractSet[str]) -> np.ndarray:
    """Return which pieces stay, bool [pieces].

    Args:
        spellings: of the vocabulary.
        special: pieces with a role.
        held: the characters that words may hold.
    """
    return np.asarray(spellings.are(special) | (spellings.lengths == 1) | spellings.within(held))


def promised(held: AbstractSet[str], spellings: Spellings, kept: np.ndarray) -> CodePoints:
    """Return the characters in which no dropped piece is spelled: `held`, and all that no dropped piece holds.

    Args:
        held, spellings: as for `kept_pieces`.
        kept: which pieces stay, bool [pieces].
    """
    touched = spellings.characters(~kept)
    return ~CodePoints.of(*((ord(c), ord(c)) for c in touched - held))
