"""Which words a graph cuts into characters, asked of the graph and not read from it.

Scripts part words before they are cut, so the rule is learned script by script. The code points of a script that no table
and no constant of the graph tells apart make a range; the two ends of each range are asked, all of them beside each other
(`learn`). What was learned is written as one pattern, which stands where the patterns of a graph stand that can be read;
`prove` then holds it against the graph on words that it was not learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from convert.blueprint.learn import Asking, Learned, learn
from convert.blueprint.oracle import CYRILLIC, Oracle
from convert.errors import GraphError
from convert.interpreter.utf import script_numbers
from convert.unicode.automaton import Automaton, TooComplexError, to_pattern
from convert.unicode.codepoints import LAST, CodePoints, union
from convert.unicode.re2 import Chars, Node, children
from convert.unicode.tables import property_edges, script_of, whitespace

CONTINUE = "Report the model, so that support can be added."
ROUNDS = 3
MOST_LETTERS = 40  # of a word that is asked about
MOST_INSIDE = 20_000  # code points of ranges whose ends are not alike


@dataclass(frozen=True)
class Found:
    """The rules that were asked of a graph.

    Attributes:
        deleted: code points that go, so that their neighbours stand together.
        patterns: the words that full matches of these RE2 patterns are, are cut.
        points: how many code points were asked.
        words: how many words were asked.
    """

    deleted: CodePoints
    patterns: tuple[str, ...]
    points: int
    words: int


def ask(oracle: Oracle, edges: Iterable[int], gone: CodePoints | None) -> Found:
    """Ask a graph that splits text by script which characters it deletes and which words it cuts.

    Args:
        oracle: runs it.
        edges: code points at which something in the graph may begin to be different, such as its constants.
        gone: the characters that it deletes, where that is known.

    Raises:
        GraphError: it does something else than delete characters, split at scripts, and cut whole words.
    """
    known = set(edges)
    for _ in range(ROUNDS):
        ranges = ranges_between(known | table_edges())
        ends = {end for pair in ranges for end in (pair if oracle.quick else pair[:1])}
        deleted, kept = _sorted(oracle, list(map(chr, sorted(ends))), gone)
        of_script: dict[int, list[str]] = {}
        for point in kept:
            of_script.setdefault(script_of(point), []).append(point)
        learned = _answered(oracle, [learn(points, _longest(oracle, points)) for points in of_script.values()])
        places = _places(deleted, learned)
        parted = [pair for pair in ranges if pair[1] in ends and places.get(chr(pair[0])) != places.get(chr(pair[1]))]
        if not parted:
            range_of = {chr(end): CodePoints.of(pair) for pair in ranges for end in pair}
            return Found(
                union(range_of[point] for point in deleted),
                tuple(_patterns(learned, range_of)),
                len(ends),
                oracle.asked,
            )
        inside = sum(high - low for low, high in parted)
        if inside > MOST_INSIDE:
            break
        known |= {code for low, high in parted for code in range(low, high + 1)}
    raise GraphError("The graph tells characters apart that no Unicode table and none of its constants does.", CONTINUE)


def _longest(oracle: Oracle, points: Sequence[str]) -> int:
    """Return how long a word of `points` may be: where words are told by their ids, too long a one is unknown."""
    return MOST_LETTERS if oracle.whole else oracle.most_bytes // max(len(point.encode()) for point in points)


def _places(deleted: Sequence[str], learned: Sequence[Learned]) -> dict[str, tuple[int, int]]:
    """Return the rule and the letter that each character belongs to."""
    places = dict.fromkeys(deleted, (-1, 0))
    for number, rule in enumerate(learned):
        for letter, members in enumerate(rule.classes):
            places |= dict.fromkeys(members, (number, letter))
    return places


@cache
def table_edges() -> frozenset[int]:
    """The code points at which a property begins, or has ended, in any of the tables that TensorFlow has."""
    numbers = script_numbers()
    return property_edges() | frozenset((np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist())


def ranges_between(edges: Iterable[int]) -> list[tuple[int, int]]:
    """Return the ranges of code points that `edges` part, inclusive; surrogates are in none."""
    starts = sorted({0, 0xD800, 0xE000, LAST + 1, *(edge for edge in edges if 0 <= edge <= LAST)})
    pairs = ((low, high - 1) for low, high in pairwise(starts))
    return [pair for pair in pairs if not 0xD800 <= pair[0] < 0xE000]


def pattern_edges(node: Node) -> Iterator[int]:
    """Yield where the classes of a pattern begin, and where they have ended."""
    if isinstance(node, Chars):
        for low, high in node.codes.ranges:
            yield low
            yield high + 1
    for child in children(node):
        yield from pattern_edges(child)


def _sorted(oracle: Oracle, points: Sequence[str], gone: CodePoints | None) -> tuple[list[str], list[str]]:
    """Return the characters that go and glue their neighbours, and those that come through.

    White space is in neither: it goes and does not glue.

    Raises:
        GraphError: a character becomes another.
    """
    if gone is not None:
        white = whitespace()
        return [c for c in points if ord(c) in gone], [c for c in points if ord(c) not in gone and ord(c) not in white]
    deleted, kept = [], []
    heard = oracle.between([f"x{point}x" for point in points], CYRILLIC)
    for point, parts in zip(points, heard, strict=True):
        if parts == ("xx",):
            deleted.append(point)
        elif parts in (("x", point, "x"), (f"x{point}x",)):
            kept.append(point)
        elif parts != ("x", "x"):
            raise GraphError(
                f"Of 'x', U+{ord(point):04X}, 'x' the graph makes {' '.join(parts)!r}: it changes characters in a way that "
                "is neither deleting them nor parting words.",
                CONTINUE,
            )
    return deleted, kept


def _answered(oracle: Oracle, asking: Sequence[Asking]) -> list[Learned]:
    """Run all learners side by side, each step of all of them as one question."""
    results: list[Learned | None] = [None] * len(asking)
    waiting: dict[int, Sequence[str]] = {}

    def advance(i: int, step: Callable[[], Sequence[str]]) -> None:
        try:
            waiting[i] = step()
        except StopIteration as stop:
            results[i] = stop.value
            waiting.pop(i, None)
        except TooComplexError as error:
            raise _inexpressible(error) from error

    for i, each in enumerate(asking):
        advance(i, lambda each=each: next(each))  # type: ignore[misc]
    while waiting:
        words = list(dict.fromkeys(word for asked in waiting.values() for word in asked))
        cut = {word: is_cut(word, parts) for word, parts in zip(words, oracle.parts(words), strict=True)}
        for i, asked in list(waiting.items()):
            answers = [cut[word] for word in asked]
            advance(i, lambda i=i, answers=answers: asking[i].send(answers))  # type: ignore[misc]
    return [result for result in results if result is not None]


def _inexpressible(error: TooComplexError) -> GraphError:
    return GraphError(f"The words that the graph cuts follow a rule that cannot be expressed: {error}.", CONTINUE)


def is_cut(word: str, parts: tuple[str, ...]) -> bool:
    """Tell whether `word` was cut into its characters, from what became of it.

    Raises:
        GraphError: it was neither cut nor kept.
    """
    if parts == (word,):
        return False
    if parts == tuple(word):
        return True
    raise GraphError(
        f"Of the word {word!r} the graph makes {' '.join(parts)!r}: neither the word nor its characters.", CONTINUE
    )


def _patterns(learned: Sequence[Learned], range_of: dict[str, CodePoints]) -> Iterator[str]:
    """Yield a pattern for each form of rule; scripts with rules of one form share it, as no word has two scripts."""
    forms: dict[tuple[frozenset[int], tuple[tuple[int, ...], ...]], list[Learned]] = {}
    for rule in learned:
        forms.setdefault((rule.accepting, rule.moves), []).append(rule)
    for (accepting, moves), rules in forms.items():
        letters = [
            union(range_of[point] for rule in rules for point in rule.classes[letter])
            for letter in range(len(moves[0]))
        ]
        edges: list[dict[int, CodePoints]] = []
        for row in moves:
            targets: dict[int, list[CodePoints]] = {}
            for letter, target in enumerate(row):
                targets.setdefault(target, []).append(letters[letter])
            edges.append({target: union(codes) for target, codes in targets.items()})
        try:
            pattern = to_pattern(Automaton(0, accepting, tuple(edges)))
        except TooComplexError as error:
            raise _inexpressible(error) from error
        if pattern is not None:
            yield pattern
