"""WordPiece that a graph computes by hand, of substrings that it looks up in a table: asked, and held against the rule.

How it goes about that is not read: a graph that is given a vocabulary says what it looks for, and what it makes of words.
What is believed of it is greedy longest match; `hold` has it cut words over vocabularies in which every other way to cut
them shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from random import Random

import numpy as np

from hub2hf.blueprint.asked.oracle import FIRST_ID, EveryWord, Inquiry, TextSide
from hub2hf.blueprint.probe import AskedVocabulary
from hub2hf.blueprint.text import WordPiece, WordPieceOfCharacters
from hub2hf.blueprint.text_side.read_text import TextReader
from hub2hf.blueprint.vocabulary.lines import lines_in
from hub2hf.errors import REPORT, GraphError, VocabularyError

LETTERS = "abcdé"  # of one script, with two lengths in UTF-8; the last but one begins no piece
VOCABULARIES, WORDS, PIECES = 5, 25, 30  # at random; words three times as many
LONGEST = 6  # letters of a piece of these, so that there are words of several
NEAR = (-1, 0, 1)


def asked(text: TextReader, run: TextSide, known: Mapping[str, int], packing: np.ndarray) -> tuple[WordPiece, int]:
    """Return what a graph believes of pieces, without a bound for words, and the id of what is unknown.

    Args:
        text: names the vocabulary.
        run: runs the graph.
        known: the pieces that it packs with.
        packing: what it packs for no text, and for a text of unknown words.

    Raises:
        GraphError: it looks for no pieces that go on with a word.
        VocabularyError: the vocabulary lacks what an unknown word becomes.
    """
    path, _ = text.vocabulary()
    number = int(packing[-1][1])
    line = next(islice(lines_in(path), number, None), None) if number >= 0 else None
    if line is None:
        raise VocabularyError(f"{path} has no piece {number}, which is what an unknown word becomes.", REPORT)
    vocabulary = AskedVocabulary({**known, "a": FIRST_ID})
    run(Inquiry(vocabulary, ["ab"]))
    found = {piece[:-1] for piece in vocabulary.missing if piece.endswith("b")} - {"", "a"}
    if len(found) != 1:
        raise GraphError(
            f"Of 'ab', with a piece 'a', node '{text.node.name}' looks up {sorted(vocabulary.missing)[:4]}: not one piece "
            "that goes on with a word.",
            REPORT,
        )
    return replace(text.wordpiece, suffix_indicator=found.pop(), unknown_token=line.decode(errors="replace")), number


def in_its_unit(wordpiece: WordPiece, run: TextSide, known: Mapping[str, int]) -> WordPiece:
    """Return what bounds characters where it is seen that bytes are not what counts."""
    (row,) = run(Inquiry(EveryWord(known), [LETTERS[-1] * (wordpiece.max_bytes_per_word // 2 + 1)]))
    return WordPieceOfCharacters(**vars(wordpiece)) if (row >= FIRST_ID).any() else wordpiece


def hold(text: TextReader, run: TextSide, known: Mapping[str, int], pad: int, more: int = 1) -> int:
    """Hold the pieces of words, each a text of its own, against greedy longest match; return how many words.

    Args:
        text: names the vocabulary; its `wordpiece` is what is believed.
        run: runs the graph.
        known: the pieces that it packs with, and the unknown one.
        pad: the id that fills rows.
        more: how many times as many vocabularies.

    Raises:
        GraphError: it cuts words in another way.
    """
    path, _ = text.vocabulary()
    count = 0
    for pieces, words in _cases(
        text.wordpiece, max(len(line.decode(errors="replace")) for line in lines_in(path)), more
    ):
        vocabulary = {**known, **{piece: FIRST_ID + i for i, piece in enumerate(pieces)}}
        names = {number: piece for piece, number in vocabulary.items()}
        for word, row in zip(words, run(Inquiry(_encoded(vocabulary), words)), strict=True):
            found = [names.get(int(i), "?") for i in row[row != pad][1:-1]]
            wanted = list(_cut(word, vocabulary, text.wordpiece))[: len(row) - 2]
            if found != wanted:
                some = " ".join(
                    piece for piece in pieces if piece.removeprefix(text.wordpiece.suffix_indicator) in word
                )
                raise GraphError(
                    f"Node '{text.node.name}' looks pieces up, and the graph does not cut words by greedy longest match: of "
                    f"{word[:40]!r} it makes {' '.join(found)[:80]!r}, not {' '.join(wanted)[:80]!r}, with the pieces "
                    f"{some[:200]}.",
                    REPORT,
                )
        count += len(words)
    return count


def _cases(wordpiece: WordPiece, longest: int, more: int) -> Iterator[tuple[list[str], list[str]]]:
    """Yield pieces, and words that are made of them: any; of every length that a piece may have; as long as words may be."""
    go_on, most = wordpiece.suffix_indicator, wordpiece.max_bytes_per_word
    source = Random(0)
    for _ in range(VOCABULARIES * more):
        stems = ["".join(source.choices(LETTERS, k=source.randint(1, LONGEST))) for _ in range(PIECES)]
        pieces = [stem if i % 2 else go_on + stem for i, stem in enumerate(stems)]
        pieces += [mark + letter for letter in LETTERS for mark in ("", go_on) if source.random() < 0.7]
        joined = ["".join(source.sample(stems, source.randint(1, 4))) for _ in range(WORDS)]
        any_ = ["".join(source.choices(LETTERS, k=source.randint(1, 12))) for _ in range(WORDS)]
        near = [
            word[:at] + source.choice(LETTERS) + word[at:]
            for word in joined
            if (at := source.randint(0, len(word))) + 1
        ]
        yield list(dict.fromkeys(pieces)), list(dict.fromkeys([*joined, *any_, *near]))
    lengths = range(1, min(longest, most - 1) + 1)
    runs = ["a" * length for length in lengths]
    yield ["b", *runs, *(go_on + run for run in runs)], [*runs, *("b" + run for run in runs)]
    letters = [LETTERS[0], LETTERS[-1], "ж", "ก"]
    sizes = sorted(
        {n + step for letter in letters for n in (most, most // len(letter.encode())) for step in NEAR} - {0}
    )
    bounded = [letter * size for letter in letters for size in sizes]
    yield bounded, bounded
    yield ["a", go_on + "a"], ["a" * most]  # as many pieces as a word can have


def _cut(word: str, vocabulary: Mapping[str, int], wordpiece: WordPiece) -> Sequence[str]:
    """Return the pieces of a word by greedy longest match."""
    size = len(word) if isinstance(wordpiece, WordPieceOfCharacters) else len(word.encode())
    pieces: list[str] = []
    start = 0
    while start < len(word) and size <= wordpiece.max_bytes_per_word:
        mark = wordpiece.suffix_indicator if start else ""
        end = next((end for end in range(len(word), start, -1) if mark + word[start:end] in vocabulary), start)
        if end == start:
            return [wordpiece.unknown_token]
        pieces.append(mark + word[start:end])
        start = end
    return pieces or [wordpiece.unknown_token]


def _encoded(vocabulary: Mapping[str, int]) -> dict[bytes, int]:
    return {piece.encode(): number for piece, number in vocabulary.items()}
