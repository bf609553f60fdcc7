"""A text side read and proved: run on texts, its rules read from what it did or asked of it, held against what it does."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from random import Random

import numpy as np

from hub2hf import limits
from hub2hf.blueprint.asked.ask import MOST_COUNTED, ask, check_counting, classes_of, edges_of, ranges_between
from hub2hf.blueprint.asked.batches import hold_batches, hold_places
from hub2hf.blueprint.asked.cuts import Cuts, by_groups, check_rewrites, deleted, without_needless
from hub2hf.blueprint.asked.generated import (
    TEXTS,
    THOROUGH,
    WORDS,
    characters,
    cut_words,
    far_texts,
    joined,
    length_texts,
    lengths_near,
    mixed_texts,
    neighbours,
    runs,
    some_of,
    texts_of_few_kinds,
    with_texts,
    words_of,
)
from hub2hf.blueprint.asked.learn import Learned
from hub2hf.blueprint.asked.null import NULL, cut_at_null, ends_at_null, shown
from hub2hf.blueprint.asked.oracle import (
    FIRST_ID,
    LATIN,
    EveryWord,
    Heard,
    InHalves,
    Inquiry,
    Oracle,
    TextSide,
    apart,
    boundary_of,
    goes_word_by_word,
)
from hub2hf.blueprint.asked.trace import UNSUPPORTED, TextTrace
from hub2hf.blueprint.probe import SPARE_ROWS, marked_ids, probe_texts, probe_vocabulary
from hub2hf.blueprint.text import (
    ReplacePattern,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    SplitScriptsByHand,
    TextOperation,
    WordPieceOfCharacters,
)
from hub2hf.blueprint.text_side import by_hand
from hub2hf.blueprint.text_side.read_text import TextReader, split_by_hand
from hub2hf.blueprint.text_side.reserved import reserved
from hub2hf.blueprint.vocabulary.tables import told_apart
from hub2hf.errors import REPORT, GraphError
from hub2hf.notices import notice
from hub2hf.savedmodel.node import Node
from hub2hf.unicode.automaton import re2_set
from hub2hf.unicode.codepoints import CodePoints, union
from hub2hf.unicode.re2 import example, parse
from hub2hf.unicode.tables import property_edges, re2_class, scripts

# Texts that a pattern matches; characters of such, and how many.
EXAMPLES, MOST_STRING, MOST_STRINGS = 6, 60, 200
RICH = "?! 犬 [UNK] 3,5%"
UNKNOWN = "? ? a "  # of a text that is mostly of no piece of a probe
# Where all rules could be read, whole tables are compared besides (`export.agreement`): characters, words, mixed texts.
SOME, SOME_WORDS, SOME_TEXTS = 500, 200, 25
SPARSE = 8  # of ranges of thousands one code point in so many, where each takes long
FEW_BYTES = 12  # of a word
FEW_SCRIPTS = 40  # those of most code points
FEW, FEW_MIXED, FEW_TEXTS = 400, 150, 15  # of what a graph is asked about that loops from word to word


@dataclass(frozen=True)
class ProbedText:
    """One probe text and the ids that the graph packs for it, int [max_length]."""

    text: str
    ids: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What the proof of a text side has seen.

    Attributes:
        texts: texts whose ids were compared.
        longest: pieces of the longest of them.
        batches: sizes of the batches that they were run in.
        words: words whose cutting was compared.
        code_points: code points that stood in them.
        asked: how many words were asked of the graph to learn a rule; 0 where all rules could be read.
        ways: conditionals that depend on the text; each was gone through in every way.
        pieced: words whose pieces were held against greedy longest match; 0 where an operation of TF.Text makes them.
    """

    texts: int = 0
    longest: int = 0
    batches: tuple[int, ...] = ()
    words: int = 0
    code_points: int = 0
    asked: int = 0
    ways: int = 0
    pieced: int = 0


@dataclass(frozen=True)
class ProbedSide:
    """A text side as far as it goes without its vocabulary.

    Attributes:
        operations: what is done to texts, up to WordPiece.
        tables: the lookup tables that were read.
        vocabulary: piece → id, in place of the real one while probing.
        probes: texts with their ids; the last two are empty and too long to fit.
        heard: texts with the words that were looked up.
        seen: what all that comes to.
    """

    operations: tuple[TextOperation, ...]
    tables: Mapping[str, Node]
    vocabulary: Mapping[str, int]
    probes: tuple[ProbedText, ...]
    heard: tuple[Heard, ...]
    seen: Seen = field(default_factory=Seen)

    @property
    def ids(self) -> np.ndarray:
        """The ids of all probes, int [texts, length]."""
        return np.stack([probe.ids for probe in self.probes])


def read_probed(
    text: TextReader,
    run: TextSide,
    pieces: int,
    longest: int,
    *,
    never: Collection[str] = (),
    thorough: bool = False,
) -> ProbedSide:
    """Read a text side by running it.

    Args:
        text: what was read of it already.
        run: runs it.
        pieces: of its vocabulary.
        longest: more pieces than fit.
        never: pieces of the vocabulary that should be made of no text.
        thorough: hold it against a hundred times as many words.

    Raises:
        GraphError: it does something that cannot be expressed, or what it makes of a text depends on others.
        VocabularyError: the vocabulary lacks a piece that the graph uses.
    """
    if longest > limits.MAX_POSITIONS:
        raise GraphError(f"The encoder has {longest} positions.", REPORT)
    probing = _Probing(text, run, pieces, longest, thorough)
    found = probing.side()
    probing.hold_never(never)
    return found


class _Probing:
    """The steps of reading a text side, each standing on those before it."""

    def __init__(self, text: TextReader, run: TextSide, pieces: int, longest: int, thorough: bool) -> None:
        self.text, self.run, self.pieces, self.longest = text, InHalves(run), pieces, longest
        self.more = THOROUGH if thorough else 1
        if thorough:
            limits.extend(limits.SECONDS_IF_THOROUGH)
            notice("holding the text side against a hundred times as many words")
        self.split = split_by_hand(text) or SplitScripts(text.node.name)
        self._longer = False
        self.word_by_word = goes_word_by_word(self.run)
        if self.word_by_word:
            self._take_time()
        self.known, self.packing = reserved(text, self.run, longest)
        if not text.nodes:
            self._take_time()
            notice("asking the graph how it cuts words into pieces")
            text.wordpiece, number = by_hand.asked(text, self.run, self.known, self.packing)
            self.known[text.wordpiece.unknown_token] = number
        self.fits = self.packing.shape[1] - 2
        self.trace = TextTrace()
        self.too_long: dict[str, int] = {}  # a piece that is never one: words are bounded
        self.read = True  # whether all rules could be read
        self.learned: tuple[Learned, ...] = ()  # those that were asked
        self.oracle = Oracle(
            self.run, self.known, text.nodes, text.wordpiece.max_bytes_per_word, table=self.split.table
        )

    def side(self) -> ProbedSide:
        """Return all that was read, once it has been held against the graph."""
        if not self.oracle.quick:
            self._take_time()
        texts, vocabulary, ids = self._probe()
        pieced = 0 if self.text.nodes else by_hand.hold(self.text, self.run, self.known, int(ids[-2][-1]), self.more)
        pieces = encoded(vocabulary)
        batches = hold_batches(self.run, texts, pieces, ids, self.trace)
        hold_places(self.run, pieces, texts[-1], self.fits, int(ids[-2][-1]))
        operations, cuts, asked = self._operations()
        heard = [*cuts, *self.oracle.hear(list(self._mixed(operations)))]
        if not self.read:  # nothing else can ask something of a whole text
            heard += self.oracle.hear_alone(self._few(list(texts_of_few_kinds(self._points(), self.trace.sizes))))
        seen = Seen(
            len(texts),
            int((ids != ids[-2][-1]).sum(axis=1).max()),
            batches,
            sum(len(each.words) for each in heard),
            len({c for each in heard for c in each.text}),
            asked,
            len(self.trace.ways),
            pieced,
        )
        probes = tuple(map(ProbedText, texts, ids))
        return ProbedSide(operations, self.trace.tables, vocabulary, probes, tuple(heard), seen)

    def hold_never(self, pieces: Collection[str]) -> None:
        """See that the graph makes none of `pieces` of a text: it cuts each into several words."""
        texts = [piece.removeprefix(self.text.wordpiece.suffix_indicator) for piece in pieces]
        for piece, heard in zip(pieces, self.oracle.hear(texts) if texts else (), strict=True):
            if len(heard.words) == 1:
                raise GraphError(
                    f"The vocabulary has no piece, or another number, for {piece!r}, and the graph takes it for a word.",
                    REPORT,
                )

    def _probe(self) -> tuple[list[str], dict[str, int], np.ndarray]:
        """Run the probe texts, and longer ones where the graph holds a constant that a length may be compared with."""
        self._traced([RICH, ""])  # a short run shows most constants
        self._measure()
        fits = max(self.fits, 1)
        # The first fills all places, with what is unknown in it and with the ids that the graph itself names.
        rich = f"{RICH} {words_of(fits)}"
        most = self.text.wordpiece.max_bytes_per_word
        if not self.text.nodes and not self.oracle.bounded:
            raise GraphError(
                f"Node '{self.text.node.name}' looks pieces up, and no constant bounds the words that it does so for.",
                REPORT,
            )
        if most > limits.MAX_WORD_BYTES:
            raise GraphError(
                f"Node '{self.text.node.name}' takes words of {most} bytes, and no constant bounds those that it is given.",
                UNSUPPORTED,
            )
        if not self.text.nodes:  # many pieces of a word take long: `by_hand.hold` sees to words as long as that
            self.too_long, most = {"a" * (most + 1): min(SPARE_ROWS, self.pieces) - 1}, FEW_BYTES
        unknown = UNKNOWN * (fits // 4)
        texts = [rich, unknown, *self.too_long, *probe_texts(most), *length_texts(fits, self.longest)]
        ends = ["", words_of(self.longest + 1)]
        far: list[str] | None = None
        while far != (seen := [text for text in far_texts(self.trace.sizes) if len(text) > len(ends[1])]):
            far = seen
            vocabulary, ids = self._traced([*texts, *far, *ends])
        return [*texts, *far, *ends], vocabulary, ids

    def _measure(self) -> None:
        """See whether a length that the graph compares with makes words unknown before its node for WordPiece does."""
        most = self.text.wordpiece.max_bytes_per_word
        lengths = [n for n in lengths_near(self.trace.sizes) if n < most]
        if not lengths:
            return
        rows = self.run(Inquiry(EveryWord(self.known), ["a" * n for n in lengths]))
        known = [n for n, row in zip(lengths, rows, strict=True) if (row >= FIRST_ID).any()]
        if 0 < len(known) < len(lengths) and known == lengths[: len(known)]:
            self.text.wordpiece = replace(self.text.wordpiece, max_bytes_per_word=max(known, default=1))
            self.text.wordpiece = by_hand.in_its_unit(self.text.wordpiece, self.run, self.known)
            if self.text.nodes and isinstance(self.text.wordpiece, WordPieceOfCharacters):
                raise GraphError(
                    f"Before node '{self.text.node.name}' the graph bounds words by their characters, as well as by bytes.",
                    UNSUPPORTED,
                )
            self.oracle.most_bytes, self.oracle.bounded = self.text.wordpiece.max_bytes_per_word, True

    def _traced(self, texts: list[str]) -> tuple[dict[str, int], np.ndarray]:
        taken = frozenset(int(i) for i in self.packing.ravel())
        ids = marked_ids(self.text.bodies.integers(), taken.union(self.known.values()), self.pieces)
        words = words_of(len(ids)).split() if ids else []
        marked = {
            word: number for word, number in zip(words, ids, strict=True) if word not in self.known
        } | self.too_long
        suffix = self.text.wordpiece.suffix_indicator
        vocabulary = probe_vocabulary(tuple(texts), suffix, self.known, taken, self.pieces, marked)
        found = self.run(Inquiry(encoded(vocabulary), texts, self.trace))
        self.trace.forget()
        return vocabulary, found

    @cached_property
    def _never(self) -> CodePoints:
        """The characters that words are asked without."""
        return CodePoints.single(NULL) if self.trace.delimited and ends_at_null(self.oracle) else CodePoints()

    def _operations(self) -> tuple[tuple[TextOperation, ...], list[Heard], int]:
        """Return the operations, what the graph makes of words that show its cuts, and how many words it was asked."""
        operations, heard, asked = self._of_words()
        if self._never:
            operations = (cut_at_null(self.trace.delimited[0].name), *operations)
            heard += shown(self.oracle)
        return operations, heard, asked

    def _of_words(self) -> tuple[tuple[TextOperation, ...], list[Heard], int]:
        """Return the same of texts without what `_never` holds."""
        trace = self.trace
        try:
            operations = without_needless((*trace.operations()[:-1], self.text.wordpiece))
            check_rewrites(operations)
            return operations, self._cut(operations), 0
        except GraphError as error:
            if any(isinstance(step, SplitDelimiters) for step in trace.steps):
                raise
            self._take_time()
            notice("asking the graph which words it cuts into characters")
            self.read = False
            operations, asked = self._asked(error)
        try:
            heard = self._cut(operations)
        except GraphError:
            check_counting(self.oracle, self.learned)
            raise
        if self.oracle.quick:
            self._cut(operations, characters(every=1 if self.oracle.light else SPARSE))
        return operations, heard, self.oracle.asked if asked else 0

    def _cut(self, operations: Iterable[TextOperation], points: Sequence[str] = ()) -> list[Heard]:
        """Hold what was read of the cuts against words of `points`, or of the ends of all ranges, and return them.

        Raises:
            GraphError: the graph cuts other words.
        """
        cuts = Cuts.of(operations)
        if not cuts.by_script:
            return []
        inked = [c for c in points or self._points() if ord(c) not in cuts.gone | self._never]
        longest = self.text.wordpiece.max_bytes_per_word
        packing = {*self.packing.ravel().tolist(), *self.known.values(), *range(self.fits, self.fits + 4)}
        lengths = lengths_near(self.trace.sizes - packing)
        made = (
            neighbours(inked, cuts.kind_of, self.split.table)
            if points
            else cut_words(
                inked,
                cuts.kind_of,
                lengths,
                count=self.more * (SOME_WORDS if self.read else WORDS),
                table=self.split.table,
            )
        )
        # A longer word would be an unknown one, unless it is cut.
        words = [
            word
            for word in made
            if len(word.encode()) <= longest or all(len(part.encode()) <= longest for part in cuts.parts(word))
        ]
        words = [word for word in words if len(word) + 2 * len(LATIN) <= self.oracle.size]
        texts = list(apart(self._few(words), self.oracle.size, self.split.table))
        heard = self.oracle.hear(["".join(text) for text in texts])
        for text, each in zip(texts, heard, strict=True):
            expected = [part for word in text for part in cuts.parts(word)]
            if expected != list(each.words):
                at = next(i for i, pair in enumerate(zip_longest(expected, each.words)) if pair[0] != pair[1])
                here, there = (" ".join(found[at : at + 3]) for found in (expected, each.words))
                raise GraphError(
                    f"The graph cuts other words than its patterns say: it has {there!r} for {here!r}.", REPORT
                )
        return heard

    def _mixed(self, operations: Iterable[TextOperation]) -> Iterator[str]:
        """Yield texts in which characters of all kinds stand beside each other."""
        by_script = any(isinstance(op, SplitScripts) for op in operations)
        points = self._points()
        table = self.split.table
        few = self._few(runs(points, table), FEW_MIXED)
        items = [run + boundary_of(run, table) if by_script else f"x{run}x " for run in few]
        longest = self.text.wordpiece.max_bytes_per_word
        count = FEW_TEXTS if not self.oracle.quick else SOME_TEXTS if self.read else TEXTS
        strings = self._few(list(with_texts(self._strings(), longest)), FEW_MIXED)
        texts = [*mixed_texts(points, count=self.more * count), *strings]
        yield from joined([*items, *(f"{text} {LATIN} " for text in texts)], self.oracle.size)

    def _points(self) -> list[str]:
        """Return characters to make words of: the ends of ranges that a table or a pattern parts from others.

        Where all patterns were read, some of them: `export.agreement` holds whole tables against each other.
        """
        return some_of(self._all_ends, self.more * SOME) if self.read else self._all_ends

    @cached_property
    def _all_ends(self) -> list[str]:
        """The first and the last character of every range that a table or a pattern parts from others."""
        edges = property_edges().union(*map(edges_of, self._classes))
        return sorted({chr(end) for pair in ranges_between(edges) for end in pair if end not in self._never})

    def _strings(self) -> list[str]:
        """Return the short strings that the graph holds, and some that its patterns match."""
        found = {text for text in self.trace.strings if 0 < len(text) <= MOST_STRING}
        source = Random(0)
        for pattern, evidence in self.trace.patterns.items():
            with contextlib.suppress(GraphError):
                node = parse(pattern, evidence)
                found.update(example(node, source)[:MOST_STRING] for _ in range(EXAMPLES * self.more))
        strings = sorted(text for text in found if text and not any(ord(c) in self._never for c in text))
        return strings if len(strings) <= MOST_STRINGS * self.more else source.sample(strings, MOST_STRINGS * self.more)

    def _take_time(self) -> None:
        """Allow more time, once: for a rule that must be asked, or a graph that goes from word to word, or by hand."""
        by_hand = self.word_by_word or not self.text.nodes or isinstance(self.split, SplitScriptsByHand)
        if not self._longer:
            limits.extend(limits.SECONDS_BY_HAND if by_hand else limits.SECONDS_TO_ASK)
        self._longer = True

    def _few(self, words: list[str], count: int = FEW) -> list[str]:
        """Return all words; of a graph that takes word after word, `count` of them."""
        return words if self.oracle.quick else some_of(words, self.more * count)

    @cached_property
    def _classes(self) -> list[CodePoints]:
        """The classes of the patterns; a pattern that is not understood has none."""
        classes: dict[CodePoints, None] = {}
        for pattern, evidence in self.trace.patterns.items():
            with contextlib.suppress(GraphError):
                classes.update(dict.fromkeys(classes_of(parse(pattern, evidence))))
        return list(classes)

    def _keys(self) -> set[int]:
        """Return the integers, and the characters, that lookup tables tell from others."""
        return set().union(*map(told_apart, self.text.tables.others().values()))

    def _parted(self) -> None:
        """See that the graph parts every script from every other, where operations on their numbers do that.

        Raises:
            GraphError: it does not.
        """
        inked = ~union(re2_class(name) or CodePoints() for name in "CZ")
        known = sorted((codes & inked for codes in scripts(self.split.table).values()), key=len, reverse=True)
        firsts = [chr(codes.ranges[0][0]) for codes in known[: None if self.oracle.quick else FEW_SCRIPTS] if codes]
        pairs = (first + other for i, first in enumerate(firsts) for other in firsts[i + 1 :])
        for heard in self.oracle.hear(list(joined(pairs, self.oracle.size))):
            if list(heard.words) != list(heard.text):
                at = next(i for i, pair in enumerate(zip_longest(heard.words, heard.text)) if pair[0] != pair[1])
                raise GraphError(
                    f"Node '{self.split.evidence}' looks scripts up, and the graph does not split texts where they change: "
                    f"of {heard.text[at : at + 2]!r} it makes {' '.join(heard.words[at : at + 1])!r}.",
                    REPORT,
                )

    def _asked(self, reason: GraphError) -> tuple[tuple[TextOperation, ...], int]:
        """Return the operations as the graph itself tells them when it is asked.

        Raises:
            GraphError: it cannot be told either; says why it had to be asked.
        """
        trace, evidence = self.trace, self.text.node.name
        if isinstance(self.split, SplitScriptsByHand):
            self._parted()
        for pattern, node in trace.patterns.items():
            parse(pattern, node)  # what a pattern tells apart must be known to be asked
        before = trace.before_split()
        gone = None if trace.looked_early else deleted(before)
        try:
            found = ask(self.oracle, self._classes, trace.constants | self._keys(), gone, self._never)
        except GraphError as error:
            steps = ", ".join(f"'{step.evidence}'" for step in trace.steps)
            raise GraphError(
                f"{reason.problem} So the graph was asked (its text operations are {steps}). {error.problem}",
                error.next_step,
            ) from error
        self.learned = found.learned
        check_counting(self.oracle, (rule for rule in found.learned if len(rule.moves) > MOST_COUNTED))
        split = next((step for step in trace.steps if isinstance(step, SplitScripts)), self.split)
        if trace.looked_early or not before or any(map(by_groups, before)):
            before = [ReplacePattern(re2_set(found.deleted), "", evidence)] if found.deleted else []
        around = (SplitAround(re2_set(found.alone), evidence),) if found.alone else ()
        cuts = (SplitCharacters(found.patterns, evidence),) if found.patterns else ()
        return (*before, split, *around, *cuts, self.text.wordpiece), found.words


def encoded(vocabulary: Mapping[str, int]) -> dict[bytes, int]:
    """Return a vocabulary by its pieces as UTF-8 bytes."""
    return {piece.encode(): number for piece, number in vocabulary.items()}
