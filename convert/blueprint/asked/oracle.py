"""What the text side of a graph makes of texts: the words that it looks up as WordPieces, asked by running it.

Words are found in one of two ways. Where one node looks them up, that node is replaced while the graph runs: it notes
its words and takes each for one piece, so a text of thousands of words is one question. Where the graph keeps only so
many words, or several nodes look them up, the words are read from the ids that it packs: a vocabulary that gives every
word it is asked for a number of its own tells which they were, a few dozen words at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np

from hub2hf.blueprint.asked.trace import FULL_MATCH, REPLACE, WORDPIECE
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.interpreter.bounds import TooLargeError
from hub2hf.interpreter.registry import Caller, Kernel, Value
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node
from hub2hf.unicode.tables import OF_TEXT, script_of

# Letters of two scripts: whatever stands between two of one is a word, or words, of another script.
LATIN, CYRILLIC = "az", "яю"
CALIBRATING = 600  # words
LOOPED = 12  # words: as many, and one, tell whether there is a loop over them
# Characters of a text: an order of magnitude under any bound; where a loop may copy all words for each; fewer than ids.
LONG, MEDIUM, SHORT = 12_000, 1_500, 90
FIRST_ID = 1 << 24  # of a word that is asked for; no vocabulary is so large


class Following(Protocol):
    """Looks on while a text side runs."""

    def follow(self, value: Any) -> None:
        """Take note of the array of texts that it is given."""

    def observe(self, node: Node, inputs: Sequence[Any], outputs: tuple[Any, ...]) -> None:
        """Take note of one step."""


class Steps:
    """Counts steps, and the texts that patterns are held against."""

    def __init__(self) -> None:
        self.count = self.matched = 0

    def follow(self, value: Any) -> None:
        """Take note of nothing."""

    def observe(self, node: Node, inputs: Sequence[Any], outputs: tuple[Any, ...]) -> None:
        """Count one step."""
        self.count += 1
        if node.op in REPLACE | FULL_MATCH:
            self.matched += np.size(inputs[0])


@dataclass(frozen=True)
class Inquiry:
    """What is asked of a text side.

    Attributes:
        vocabulary: piece → id.
        texts: whose ids are wanted.
        following: looks on.
        instead: operations that are replaced; see `Interpreter`.
    """

    vocabulary: Mapping[bytes, int]
    texts: Sequence[str]
    following: Following | None = None
    instead: Mapping[str, Kernel] | None = None

    def interpreter(self, graph: Graph, substitutes: Substitutes, given: np.ndarray) -> Interpreter:
        """Return what runs `graph` for it, when who looks on knows the array of texts that it is given."""
        if self.following is None:
            return Interpreter(graph, substitutes, instead=self.instead)
        self.following.follow(given)
        return Interpreter(graph, substitutes, self.following.observe, self.instead)


TextSide = Callable[[Inquiry], np.ndarray]  # runs a text side: the ids of the texts, int [texts, length]


def goes_word_by_word(run: TextSide) -> bool:
    """Tell whether a text side takes one word after another: it then takes more steps for a text of more words."""
    counts = []
    for words in (LOOPED, 1):
        steps = Steps()
        run(Inquiry(EveryWord({}), [" ".join([LATIN] * words)], steps))
        counts.append(steps.count)
    return counts[0] - counts[1] >= LOOPED - 1


class InHalves:
    """A text side that is given fewer texts at once where many take too much memory, as they do in matrices of characters.

    Attributes:
        most: how many texts may be given it at once.
    """

    def __init__(self, run: TextSide) -> None:
        self._run, self.most = run, 1 << 30

    def __call__(self, asked: Inquiry) -> np.ndarray:
        """Return the ids of the texts; see `TextSide`."""
        texts = asked.texts
        try:
            if len(texts) <= self.most:
                return self._run(asked)
        except TooLargeError:
            if len(texts) < 2:
                raise
            self.most = len(texts) // 2
        parts = [texts[start : start + self.most] for start in range(0, len(texts), self.most)]
        rows = [self(replace(asked, texts=part)) for part in parts]
        if len({row.shape[1] for row in rows}) > 1:
            raise GraphError(
                "The graph cuts a batch to its longest text, and takes too much memory for all at once.", REPORT
            )
        return np.concatenate(rows)


@dataclass(frozen=True)
class Heard:
    """One text, and the words that the graph looked up for it, in order."""

    text: str
    words: tuple[str, ...]


class EveryWord(Mapping[bytes, int]):
    """A vocabulary that has whatever it is asked for.

    Args:
        known: the pieces with a number already, such as [CLS].
    """

    def __init__(self, known: Mapping[str, int]) -> None:
        self.words: list[bytes] = []
        self._ids = {piece.encode(): number for piece, number in known.items()}

    def __getitem__(self, piece: bytes) -> int:
        if piece not in self._ids:
            self._ids[piece] = FIRST_ID + len(self.words)
            self.words.append(piece)
        return self._ids[piece]

    def __contains__(self, piece: object) -> bool:
        return isinstance(piece, bytes)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


@dataclass
class Oracle:
    """Asks a text side.

    Attributes:
        run: runs it.
        known: the pieces that it packs with → their ids.
        nodes: how many nodes look words up.
        most_bytes: of a word that is not unknown for its length.
        bounded: whether a longer one is already unknown where it is looked up.
        asked: how many words were asked so far.
        table: of the scripts that words are split by.
    """

    run: TextSide
    known: Mapping[str, int]
    nodes: int = 1
    most_bytes: int = 100
    bounded: bool = False
    asked: int = 0
    table: str = OF_TEXT
    _whole: bool | None = field(default=None, repr=False)
    _steps: Steps = field(default_factory=Steps, repr=False)
    _size: int = field(default=LONG, repr=False)

    @property
    def whole(self) -> bool:
        """Whether the words of a long text can be noted where they are looked up."""
        if self._whole is None:
            text = " ".join([LATIN, CYRILLIC] * (CALIBRATING // 2))
            self._whole = self.nodes == 1 and self._noted(text, self._steps) == tuple(text.split())
            if self._steps.count >= CALIBRATING:
                self._size = MEDIUM
            while self._whole and self._size > len(text) and not self._bears(self._size):
                self._size //= 4
        return self._whole

    @property
    def size(self) -> int:
        """How many characters a text may have, of which all words are to be heard."""
        return self._size if self.whole else SHORT

    @property
    def quick(self) -> bool:
        """Whether a hundred thousand words can be asked: no loop goes from word to word."""
        return self.whole and self._steps.count < CALIBRATING

    @property
    def light(self) -> bool:
        """Whether every code point can be asked: `quick`, and no pattern is held against each word."""
        return self.quick and self._steps.matched < CALIBRATING

    def hear(self, texts: Sequence[str]) -> list[Heard]:
        """Return what the graph makes of each text.

        Raises:
            GraphError: it cannot be run on them.
        """
        found = [Heard(text, self._noted(text)) for text in texts] if self.whole else self._packed(texts)
        self.asked += sum(len(heard.words) for heard in found)
        return found

    def hear_alone(self, texts: Sequence[str]) -> list[Heard]:
        """Return what the graph makes of each text of a few words, each a text of its own, all at once."""
        found = self._packed(texts)
        self.asked += sum(len(heard.words) for heard in found)
        return found

    def parts(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Return what becomes of each of `words` among words of other scripts.

        Args:
            words: each of one script, of characters that come through as they are.

        Raises:
            GraphError: their characters do not come through.
        """
        found: dict[str, tuple[str, ...]] = {}
        texts = list(apart(dict.fromkeys(words), self.size, self.table))
        for text, heard in zip(texts, self.hear(["".join(text) for text in texts]), strict=True):
            found.update(zip(text, _parted(text, heard), strict=True))
        return [found[word] for word in words]

    def between(self, items: Sequence[str], boundary: str) -> list[tuple[str, ...]]:
        """Return the words that the graph makes of each of `items` between two of `boundary`; see `parts`."""
        chunks = list(_chunks(items, len(boundary), self.size))
        texts = [boundary + "".join(item + boundary for item in chunk) for chunk in chunks]
        heard = self.hear(texts)
        return [
            parts for chunk, each in zip(chunks, heard, strict=True) for parts in _between(each, boundary, len(chunk))
        ]

    def _bears(self, size: int) -> bool:
        """Tell whether the graph can be run on a text of `size` characters: some make a table of words by characters."""
        words = [LATIN, CYRILLIC * 20, "一" * 20, "."]
        text = "".join(words) * (size // len("".join(words)))
        try:
            return len(self._noted(text)) > 0
        except GraphError:
            return False

    def _noted(self, text: str, following: Following | None = None) -> tuple[str, ...]:
        words: list[bytes] = []

        def note(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
            found = np.ravel(inputs[0])
            words.extend(found)
            sizes = np.asarray([len(word) for word in found], np.int64)
            ones = np.ones(len(found), np.int64)
            if node.attr("output_row_partition_type", "row_lengths") == "row_splits":
                ones = np.arange(len(found) + 1, dtype=np.int64)
            return found, ones, np.zeros_like(sizes), sizes

        known = {piece.encode(): number for piece, number in self.known.items()}
        self.run(Inquiry(known, [text], following, {WORDPIECE: note}))
        return tuple(map(_text, words))

    def _packed(self, texts: Sequence[str]) -> list[Heard]:
        vocabulary = EveryWord(self.known)
        rows = self.run(Inquiry(vocabulary, texts))
        words = [tuple(_text(vocabulary.words[i - FIRST_ID]) for i in row if i >= FIRST_ID) for row in rows.tolist()]
        return [Heard(text, found) for text, found in zip(texts, words, strict=True)]


def _text(word: Any) -> str:
    return bytes(word).decode(errors="replace")


def boundary_of(word: str, table: str = OF_TEXT) -> str:
    """Return letters of another script than `word` begins and ends in."""
    return CYRILLIC if script_of(LATIN[0], table) in (script_of(word[0], table), script_of(word[-1], table)) else LATIN


def apart(words: Iterable[str], size: int = LONG, table: str = OF_TEXT) -> Iterator[list[str]]:
    """Yield texts, word by word, that hold `words`, of one script each, so that neighbours are of two scripts.

    Where one script has more words than all others, letters of another stand between them.

    Args:
        words: none is empty.
        size: characters of a text, at most, as far as words allow.
        table: of scripts.
    """
    groups: dict[int, list[str]] = defaultdict(list)
    for word in words:
        groups[script_of(word[0], table)].append(word)
    text: list[str] = []
    count = 0
    for word in (word for row in zip_longest(*groups.values()) for word in row if word is not None):
        if text and count + len(word) + len(LATIN) > size:
            yield text
            text, count = [], 0
        if text and script_of(text[-1][0], table) == script_of(word[0], table):
            text.append(boundary_of(word, table))
        text.append(word)
        count += len(word) + len(LATIN)
    if text:
        yield text


def _parted(text: Sequence[str], heard: Heard) -> Iterator[tuple[str, ...]]:
    """Yield the words of `heard` that each word of `text` became."""
    left = iter(heard.words)
    for word in text:
        parts: list[str] = []
        size = 0
        while size < len(word):
            part = next(left, "")
            parts.append(part)
            size += len(part)
            if not part or not word.startswith(part, size - len(part)):
                raise GraphError(
                    f"What the graph makes of single words cannot be told: of {word!r} among words of other scripts it "
                    f"makes {' '.join(parts)!r}.",
                    "It changes words by those around them: report the model.",
                )
        yield tuple(parts)


def _chunks(words: Sequence[str], extra: int, size: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    length = 0
    for word in words:
        if chunk and length + len(word) + extra > size:
            yield chunk
            chunk, length = [], 0
        chunk.append(word)
        length += len(word) + extra
    if chunk:
        yield chunk


def _between(heard: Heard, boundary: str, count: int) -> list[tuple[str, ...]]:
    found: list[list[str]] = []
    for word in heard.words:
        if word == boundary:
            found.append([])
        elif found:
            found[-1].append(word)
    if len(found) != count + 1 or found[-1]:
        raise GraphError(
            f"What the graph makes of single words cannot be told: of {heard.text[:40]!r} it makes "
            f"{' '.join(heard.words[:12])!r}.",
            "It changes words by those around them: report the model.",
        )
    return [tuple(parts) for parts in found[:-1]]
