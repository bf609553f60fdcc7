"""WordPiece by hand: what is asked of a graph, and that no other way to cut words passes for greedy longest match."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hub2hf.blueprint.asked.oracle import Inquiry
from hub2hf.blueprint.text import WordPiece, WordPieceOfCharacters
from hub2hf.blueprint.text_side.by_hand import asked, hold, in_its_unit
from hub2hf.errors import GraphError

PAD, UNK, CLS, SEP = range(4)  # as PIECES has them
LENGTH, MOST = 128, 100
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "##ing", "longest-of-all")
Pieces = Callable[[str, Mapping[bytes, int]], list[int]]


def greedy(
    word: str,
    vocabulary: Mapping[bytes, int],
    *,
    mark: str = "##",
    window: int = 1000,
    most: int = MOST,
    size: Callable[[str], int] = lambda word: len(word.encode()),
    first: Callable[[list[int]], int] = lambda ends: ends[0],
    lost: Callable[[list[int]], list[int]] = lambda found: [UNK],
) -> list[int]:
    """Return the pieces as a graph might have them; what is given says how it differs."""
    if size(word) > most:
        return [UNK]
    found: list[int] = []
    start = 0
    while start < len(word):
        ids = {end: vocabulary.get(_name(word, start, end, mark), -1) for end in range(len(word), start, -1)}
        ends = [end for end, number in ids.items() if number >= 0 and end - start <= window]
        if not ends:
            return lost(found)
        end = first(ends)
        found.append(ids[end])
        start = end
    return found


def _name(word: str, start: int, end: int, mark: str) -> bytes:
    return ((mark if start else "") + word[start:end]).encode()


def running(pieces: Pieces) -> Callable[[Inquiry], np.ndarray]:
    """Return a text side: words between spaces, packed."""

    def rows(asking: Inquiry) -> Iterator[list[int]]:
        for text in asking.texts:
            ids = [number for word in text.split() for number in pieces(word, asking.vocabulary)]
            row = [CLS, *ids[: LENGTH - 2], SEP]
            yield row + [PAD] * (LENGTH - len(row))

    return lambda asking: np.array(list(rows(asking)))


@pytest.fixture
def reader(tmp_path: Path) -> Any:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(PIECES))
    believed = WordPiece("##", "[UNK]", MOST, "lookup")
    return SimpleNamespace(vocabulary=lambda: (path, None), wordpiece=believed, node=SimpleNamespace(name="lookup"))


def held(reader: Any, pieces: Pieces) -> int:
    return hold(reader, running(pieces), {"[UNK]": UNK}, PAD)


def test_greedy_longest_match_passes(reader: Any) -> None:
    assert held(reader, greedy) > 300


OTHERS: dict[str, dict[str, Any]] = {
    "shortest": {"first": lambda ends: ends[-1]},
    "second longest": {"first": lambda ends: ends[min(1, len(ends) - 1)]},
    "a window as long as the longest piece but one": {"window": len(PIECES[-1]) - 1},
    "what was found before it was lost": {"lost": lambda found: [*found, UNK]},
    "nothing where it was lost": {"lost": lambda found: []},
    "another mark": {"mark": "#"},
    "no mark": {"mark": ""},
    "one byte less": {"most": MOST - 1},
    "one byte more": {"most": MOST + 1},
    "no bound": {"most": 10_000},
    "characters": {"size": len},
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_way_to_cut_is_refused(other: str, reader: Any) -> None:
    with pytest.raises(GraphError, match="does not cut words by greedy longest match"):
        held(reader, lambda word, vocabulary: greedy(word, vocabulary, **OTHERS[other]))


def test_fewest_pieces_are_another_way(reader: Any) -> None:
    """The fewest pieces that cover a word: where greedy match fails, they may not."""

    def fewest(word: str, vocabulary: Mapping[bytes, int]) -> list[int]:
        best: dict[int, list[int]] = {0: []}
        for end in range(1, len(word) + 1):
            known = [start for start in range(end) if start in best and _name(word, start, end, "##") in vocabulary]
            if known:
                start = min(known, key=lambda at: len(best[at]))
                best[end] = [*best[start], vocabulary[_name(word, start, end, "##")]]
        return best.get(len(word), [UNK]) if len(word.encode()) <= MOST else [UNK]

    with pytest.raises(GraphError, match="with the pieces"):
        held(reader, fewest)


def test_mark_and_unknown_piece_are_asked(reader: Any) -> None:
    for mark in ("##", "@@", "\u2581"):
        run = running(lambda word, vocabulary, mark=mark: greedy(word, vocabulary, mark=mark))
        found, number = asked(reader, run, {}, run(Inquiry({}, ["", "\ue000"])))
        assert (found.suffix_indicator, found.unknown_token, number) == (mark, "[UNK]", UNK)


def test_a_graph_that_looks_whole_words_up_is_refused(reader: Any) -> None:
    run = running(lambda word, vocabulary: [vocabulary.get(word.encode(), UNK)])
    with pytest.raises(GraphError, match="not one piece that goes on with a word"):
        asked(reader, run, {}, run(Inquiry({}, ["", "\ue000"])))


@pytest.mark.parametrize(("size", "kind"), [(len, WordPieceOfCharacters), (lambda word: len(word.encode()), WordPiece)])
def test_bytes_are_told_from_characters(size: Callable[[str], int], kind: type, reader: Any) -> None:
    run = running(lambda word, vocabulary: greedy(word, vocabulary, size=size))
    assert type(in_its_unit(reader.wordpiece, run, {"[UNK]": UNK})) is kind
