"""Which words a graph cuts into characters, asked of the graph and not read from it.

Scripts part words before they are cut, so the rule is learned script by script. The code points of a script that no table
and no constant of the graph tells apart make a range; the two ends of each range are asked, all of them beside each other
(`learn`). Of a graph that takes one word after another so many would take too long: ranges of one script that none of its
own patterns and constants tells apart are asked as one. What was learned is written as one pattern, which stands where the
patterns of a graph stand that can be read; `prove` then holds it against the graph on words that it was not learned from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise, permutations

import numpy as np

from hub2hf.blueprint.asked.learn import FEW_GUESSES, GUESSES, Learned, Questions, learn
from hub2hf.blueprint.asked.oracle import CYRILLIC, Oracle
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.utf import script_numbers
from hub2hf.unicode.automaton import Automaton, TooComplexError, re2_set, to_pattern
from hub2hf.unicode.codepoints import LAST, CodePoints, union
from hub2hf.unicode.re2 import Chars, Regex, children
from hub2hf.unicode.tables import property_edges, re2_class, script_of, whitespace

ROUNDS = 3
FIRST_SCRIPTS = 10  # whose rules are hints for others
MOST_LETTERS = 40  # of a word that is asked about
MOST_PLAIN = 8  # letters of a rule that is told by sets of them
COUNTS = ((3, 2), (2, 3), (5, 4), (4, 5), (7, 6), (6, 7))  # of two letters
MOST_COUNTED = 8  # states of a rule that is none of counting
MOST_INSIDE = 20_000  # code points of ranges whose ends are not alike


@dataclass(frozen=True)
class AskedRules:
    """The rules that were asked of a graph.

    Attributes:
        deleted: code points that go, so that their neighbours stand together.
        alone: code points that are cut off whatever the word, and leave what stands on either side of them whole.
        patterns: the words that full matches of these RE2 patterns are, are cut.
        points: how many code points were asked.
        words: how many words were asked.
        learned: the rule of each script.
    """

    deleted: CodePoints
    alone: CodePoints
    patterns: tuple[str, ...]
    points: int
    words: int
    learned: tuple[Learned, ...]


def ask(
    oracle: Oracle,
    classes: Sequence[CodePoints],
    constants: Iterable[int],
    gone: CodePoints | None,
    never: CodePoints | None = None,
) -> AskedRules:
    """Ask a graph that splits text by script which characters it deletes and which words it cuts.

    Args:
        oracle: runs it.
        classes: the characters that its patterns tell from others.
        constants: the integers of the graph, from each of which on something may be different.
        gone: the characters that it deletes, where that is known.
        never: the characters that no word has, and that are not asked.

    Raises:
        GraphError: it does something else than delete characters, split at scripts, and cut whole words.
    """
    near = sorted({edge for c in constants for edge in (c, c + 1)})
    ranges = ranges_between({*near, *table_edges(), *(edge for codes in classes for edge in edges_of(codes))})
    groups = [CodePoints.of(pair) for pair in ranges] if oracle.light else _alike(ranges, classes, near)
    guesses = GUESSES if oracle.light else FEW_GUESSES
    parts_of: dict[str, tuple[str, ...]] = {}  # each word is asked once, however often a rule is learned anew
    for _ in range(ROUNDS):
        ends = {end: group for group in groups for end in _ends(group)[: 2 if oracle.quick else 1]}
        ends = {end: group for end, group in ends.items() if end not in never} if never else ends
        deleted, kept = _sorted(oracle, list(map(chr, sorted(ends))), gone)
        of_script: dict[int, list[str]] = {}
        for point in kept:
            of_script.setdefault(script_of(point, oracle.table), []).append(point)
        alone, learned = _learned(oracle, of_script, guesses, parts_of)
        places = {**_places(deleted, learned), **dict.fromkeys(alone, (-2, 0))}
        parted = {group for group in groups if len({places.get(chr(end)) for end in _ends(group) if end in ends}) > 1}
        if not parted:
            group_of = {chr(end): group for end, group in ends.items()}
            return AskedRules(
                union(group_of[point] for point in deleted),
                union(group_of[point] for point in alone),
                tuple(_patterns(learned, group_of)),
                len(ends),
                oracle.asked,
                tuple(learned),
            )
        if sum(len(group) for group in parted if len(group.ranges) == 1) > MOST_INSIDE:
            break
        groups = [part for group in groups for part in (_divided(group) if group in parted else [group])]
    raise GraphError("The graph tells characters apart that no Unicode table and none of its constants does.", REPORT)


def _ends(group: CodePoints) -> tuple[int, int]:
    """Return the first and the last of a group, which are asked for all of it; the first alone where each takes long."""
    return group.ranges[0][0], group.ranges[-1][1]


def _divided(group: CodePoints) -> list[CodePoints]:
    """Return the ranges of a group that is not alike; of a single range its code points."""
    if len(group.ranges) > 1:
        return [CodePoints.of(pair) for pair in group.ranges]
    ((low, high),) = group.ranges
    return [CodePoints.single(code) for code in range(low, high + 1)]


def _alike(
    ranges: Sequence[tuple[int, int]], classes: Sequence[CodePoints], constants: Sequence[int]
) -> list[CodePoints]:
    """Put ranges together that are of one script, to both tables, in the same classes, and between the same constants.

    Letters of two cases, and characters of other lengths in UTF-8, stay apart: operations without a pattern tell them.
    """
    numbers, cases = script_numbers(), [re2_class(name) or CodePoints() for name in ("Lu", "Ll")]
    groups: dict[Hashable, list[CodePoints]] = {}
    for low, high in ranges:
        known = (script_of(chr(low)), int(numbers[low]), len(chr(low).encode()), bisect_right(constants, low))
        key = (*known, *(low in codes for codes in (whitespace(), *cases, *classes)))
        groups.setdefault(key, []).append(CodePoints.of((low, high)))
    return [union(group) for group in groups.values()]


def _learned(
    oracle: Oracle, of_script: dict[int, list[str]], guesses: int, parts_of: dict[str, tuple[str, ...]]
) -> tuple[list[str], list[Learned]]:
    """Return the characters that stand alone in any word, and the rule of each script for the others.

    Raises:
        GraphError: words are cut in another way.
    """
    alone: list[str] = []
    left = dict(of_script)
    while True:
        # Where words take long, the rules of some scripts are hints for the others: most scripts share one.
        order = sorted(filter(None, left.values()), key=len, reverse=True)
        first = len(order) if oracle.light else FIRST_SCRIPTS
        try:
            hints: list[Learned] = []
            for some in (order[:first], order[first:]):
                rules = [learn(points, _longest(oracle, points), guesses, _forms(hints)) for points in some]
                hints += _answered(oracle, rules, parts_of)
        except PartlyCutError as error:
            script = script_of(error.word[0], oracle.table)
            found = _alone(oracle, left[script], error)
            alone += found
            left[script] = [point for point in left[script] if point not in found]
        else:
            return alone, hints


def _forms(rules: Iterable[Learned]) -> list[Learned]:
    """Return one rule of each form."""
    return list({(len(rule.classes), rule.accepting, rule.moves): rule for rule in rules}.values())


def _alone(oracle: Oracle, points: Sequence[str], error: PartlyCutError) -> set[str]:
    """Return those of `points` that are cut off from a word that is else kept.

    Raises:
        PartlyCutError: there are none: the word is cut in another way.
    """
    kept = next((part[:2] for part in error.parts if len(part) > 1), "")
    words = [kept + point + kept for point in points]
    found = {point for point, parts in zip(points, oracle.parts(words), strict=True) if parts == (kept, point, kept)}
    if not kept or not found or set(kept) & found:
        raise error
    return found


def _longest(oracle: Oracle, points: Sequence[str]) -> int:
    """Return how long a word of `points` may be: where words are told by their ids, too long a one is unknown."""
    return (
        MOST_LETTERS
        if oracle.whole and not oracle.bounded
        else oracle.most_bytes // max(len(point.encode()) for point in points)
    )


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


def classes_of(node: Regex) -> Iterator[CodePoints]:
    """Yield the classes of a pattern."""
    if isinstance(node, Chars):
        yield node.codes
    for child in children(node):
        yield from classes_of(child)


def edges_of(codes: CodePoints) -> Iterator[int]:
    """Yield where the ranges of a set begin, and where they have ended."""
    for low, high in codes.ranges:
        yield low
        yield high + 1


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
                "is neither deleting them nor splitting words.",
                REPORT,
            )
    return deleted, kept


def _answered(oracle: Oracle, asking: Sequence[Questions], parts_of: dict[str, tuple[str, ...]]) -> list[Learned]:
    """Run all learners side by side, each step of all of them as one question; what was answered is kept in `parts_of`."""
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
        words = dict.fromkeys(word for asked in waiting.values() for word in asked)
        new = [word for word in words if word not in parts_of]
        parts_of.update(zip(new, oracle.parts(new), strict=True))
        cut = {word: is_cut(word, parts_of[word]) for word in words}
        for i, asked in list(waiting.items()):
            answers = [cut[word] for word in asked]
            advance(i, lambda i=i, answers=answers: asking[i].send(answers))  # type: ignore[misc]
    return [result for result in results if result is not None]


def check_counting(oracle: Oracle, learned: Iterable[Learned]) -> None:
    """See that no word is cut for what most of its characters are: automata count to a few at most, patterns not at all.

    Where scripts part words by one table and are asked of another, characters of two scripts stand in one word.

    Raises:
        GraphError: words are cut so; shows two.
    """
    for rule in learned:
        letters = [members[0] for members in rule.classes]
        for most, other in permutations(letters, 2):
            pairs = [(most * a + other * b, a > b) for a, b in COUNTS]
            try:
                parts = oracle.parts([word for word, _ in pairs])
                cut = [is_cut(word, found) for (word, _), found in zip(pairs, parts, strict=True)]
            except GraphError:
                continue
            if cut == [more for _, more in pairs]:
                raise GraphError(
                    f"The graph cuts a word where most of its characters are of one kind: {pairs[0][0]!r}, and not "
                    f"{pairs[1][0]!r}. No pattern counts them.",
                    "Export it with a rule about one or all characters of a word.",
                )


def _inexpressible(error: TooComplexError) -> GraphError:
    return GraphError(f"The words that the graph cuts follow a rule that cannot be expressed: {error}.", REPORT)


class PartlyCutError(GraphError):
    """A word was neither cut into its characters nor kept; `word` and `parts` tell which."""

    def __init__(self, word: str, parts: tuple[str, ...]) -> None:
        found = " ".join(parts)
        super().__init__(
            f"Of the word {word!r} the graph makes {found!r}: neither the word nor its characters.", REPORT
        )
        self.word, self.parts = word, parts


def is_cut(word: str, parts: tuple[str, ...]) -> bool:
    """Tell whether `word` was cut into its characters, from what became of it.

    Raises:
        PartlyCutError: it was neither cut nor kept.
    """
    if parts == (word,):
        return False
    if parts == tuple(word):
        return True
    raise PartlyCutError(word, parts)


def _plain(accepting: Set[int], moves: Sequence[Sequence[int]]) -> tuple[list[int], list[set[int]]] | None:
    """Return the letters that have any word cut in which they stand, and sets of letters of which whole words are cut.

    None where the rule is another than these tell. They make a shorter pattern than its automaton, and one that can be read.
    """
    count = len(moves[0])
    if count > MOST_PLAIN:
        return None
    ever = [state for state in range(len(moves)) if state in accepting and {*moves[state]} == {state}]
    anywhere = [letter for letter in range(count) if all(row[letter] in ever for row in moves)]
    others = [letter for letter in range(count) if letter not in anywhere]
    subsets = (set(some) for size in range(len(others), 0, -1) for some in combinations(others, size))
    only: list[set[int]] = []
    for some in subsets:
        if not any(some <= known for known in only) and _reached(moves, some) <= accepting:
            only.append(some)
    seen, left = set(), [(0, frozenset(range(len(only))), False)]
    while left:
        state, alive, found = left.pop()
        for letter in range(count):
            row = moves[state][letter], frozenset(i for i in alive if letter in only[i]), found or letter in anywhere
            if (row[0] in accepting) != (row[2] or bool(row[1])):
                return None
            if row not in seen:
                seen.add(row)
                left.append(row)
    return anywhere, only


def _reached(moves: Sequence[Sequence[int]], letters: Set[int]) -> set[int]:
    """Return the states that words of some letters lead to, the empty one apart."""
    found: set[int] = set()
    left = [0]
    while left:
        state = left.pop()
        new = {moves[state][letter] for letter in letters} - found
        found |= new
        left += new
    return found


def _patterns(learned: Sequence[Learned], group_of: dict[str, CodePoints]) -> Iterator[str]:
    """Yield a pattern for each form of rule; scripts with rules of one form share it, as no word has two scripts."""
    forms: dict[tuple[frozenset[int], tuple[tuple[int, ...], ...]], list[Learned]] = {}
    for rule in learned:
        forms.setdefault((rule.accepting, rule.moves), []).append(rule)
    for (accepting, moves), rules in forms.items():
        letters = [
            union(group_of[point] for rule in rules for point in rule.classes[letter])
            for letter in range(len(moves[0]))
        ]
        plain = _plain(accepting, moves)
        if plain is not None:
            anywhere, only = plain
            if anywhere:
                yield f"(?s).*{re2_set(union(letters[letter] for letter in anywhere))}.*"
            yield from (f"{re2_set(union(letters[letter] for letter in some))}+" for some in only)
            continue
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
