"""RE2 full matches as deterministic automata, written back as regexes that never look at a character twice.

A graph's `.*(.*[E].*)$` is harmless to RE2, which runs automata, and exponential to a backtracking engine
such as Oniguruma. So the patterns become one minimal automaton, and that becomes possessive classes: in a
deterministic automaton the classes that leave a state are disjoint, so possessive matching loses nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, reduce
from itertools import count
from operator import or_

import numpy as np

from hub2hf.limits import tick

from .codepoints import CodePoints, union
from .dialect import ONIGURUMA, Dialect
from .re2 import Alternate, Anchor, Chars, Concat, Regex, Repeat, parse, unsupported
from .tables import whitespace

MOST_STATES = 4000
MOST_LINKS = 200  # states in a row: each is a call within a call
MOST_VISITS = 20_000  # of states, in all: one in many loops is written once for each
MOST_CHARACTERS = 200_000  # of regex; a bigger one means the automaton is no chain of loops


class TooComplexError(ValueError):
    """The patterns need an automaton this module does not write as a regex; the message says why."""


@dataclass
class _Nfa:
    """Thompson's construction: `empty[s]` lists (target, anchor or None), `step[s]` is (set, target)."""

    empty: list[list[tuple[int, str | None]]] = field(default_factory=list)
    step: list[tuple[CodePoints, int] | None] = field(default_factory=list)

    def state(self) -> int:
        if len(self.step) >= MOST_STATES:
            raise TooComplexError("it is too long")
        self.empty.append([])
        self.step.append(None)
        return len(self.step) - 1

    def add(self, node: Regex, start: int) -> int:
        """Add `node` from `start`; returns the state it ends in."""
        if isinstance(node, Concat):
            for part in node.parts:
                start = self.add(part, start)
            return start
        if isinstance(node, Repeat):
            return self.repeat(node, start)
        end = self.state()
        if isinstance(node, Chars):
            self.step[start] = (node.codes, end)
            if self.empty[start]:
                raise AssertionError("a state has either a character or empty edges")
        elif isinstance(node, Anchor):
            self.empty[start].append((end, node.at))
        else:
            self.alternate(node, start, end)
        return end

    def alternate(self, node: Alternate, start: int, end: int) -> None:
        for option in node.options:
            first = self.state()
            self.empty[start].append((first, None))
            self.empty[self.add(option, first)].append((end, None))

    def repeat(self, node: Repeat, start: int) -> int:
        for _ in range(node.low):
            start = self.add(node.node, start)
        end = self.state()
        if node.high is None:
            loop, first = self.state(), self.state()
            self.empty[start].append((loop, None))
            self.empty[loop] += [(first, None), (end, None)]
            self.empty[self.add(node.node, first)].append((loop, None))
            return end
        for _ in range(node.high - node.low):
            first = self.state()
            self.empty[start] += [(first, None), (end, None)]
            start = self.add(node.node, first)
        self.empty[start].append((end, None))
        return end

    def closure(self, states: set[int], anchors: set[str]) -> frozenset[int]:
        """Every state reachable without a character, passing only the anchors that hold here."""
        found, todo = set(states), list(states)
        while todo:
            for target, anchor in self.empty[todo.pop()]:
                if (anchor is None or anchor in anchors) and target not in found:
                    found.add(target)
                    todo.append(target)
        return frozenset(found)


@dataclass(frozen=True)
class Automaton:
    """A minimal deterministic automaton; `edges[state]` maps each target to the set that leads there."""

    start: int
    accepting: frozenset[int]
    edges: tuple[dict[int, CodePoints], ...]

    @property
    def needed(self) -> CodePoints:
        """Characters of which every word that it accepts has one, but for the empty one."""
        return union(
            codes
            for state, targets in enumerate(self.edges)
            for target, codes in targets.items()
            if target in self.accepting and (state == self.start or state not in self.accepting)
        )

    @cached_property
    def _letters(self) -> tuple[list[int], list[int], list[list[int]]]:
        """Where ranges begin, the number of each, and where each number leads from each state; -1 is nowhere."""
        sets = [codes for targets in self.edges for codes in targets.values()]
        starts = sorted({0, *(edge for codes in sets for low, high in codes.ranges for edge in (low, high + 1))})
        rows = []
        for targets in self.edges:
            row = np.full(len(starts), -1)
            for target, codes in targets.items():
                for low, high in codes.ranges:
                    row[bisect_left(starts, low) : bisect_left(starts, high + 1)] = target
            rows.append(row)
        columns, numbers = np.unique(np.stack(rows), axis=1, return_inverse=True)
        return starts, numbers.ravel().tolist(), columns.tolist()

    def letter(self, character: str) -> int:
        """Return a number that all characters have which the automaton does not tell apart."""
        starts, numbers, _ = self._letters
        return numbers[bisect_right(starts, ord(character)) - 1]

    def accepts(self, word: str) -> bool:
        """Tell whether it accepts `word`."""
        starts, numbers, moves = self._letters
        state = self.start
        for character in word:
            state = moves[state][numbers[bisect_right(starts, ord(character)) - 1]]
            if state < 0:
                return False
        return state in self.accepting


@lru_cache(maxsize=8)
def words_matching(patterns: tuple[str, ...], evidence: str) -> Automaton:
    """The automaton of the words, without white space, that any of the RE2 `patterns` matches in full.

    Raises:
        GraphError: a pattern is not understood, or the automaton would be too large.
    """
    try:
        return full_match(tuple(parse(pattern, evidence) for pattern in patterns), ~whitespace())
    except TooComplexError as error:
        raise unsupported(" | ".join(patterns), evidence, str(error)) from error


def full_match(patterns: tuple[Regex, ...], alphabet: CodePoints) -> Automaton:
    """The automaton of the words over `alphabet` that any of the patterns matches from end to end.

    Raises:
        TooComplexError: it would have too many states.
    """
    nfa = _Nfa()
    first = nfa.state()
    last = nfa.add(Alternate(patterns), first)
    parts = _partition([step[0] for step in nfa.step if step], alphabet)
    keys = {(True, frozenset({first})): 0}
    table: list[list[int]] = []
    accepting: set[int] = set()
    todo = list(keys)
    for initial, states in todo:  # `todo` grows while it is read
        tick("a pattern")
        here = {"start"} if initial else set()
        if last in nfa.closure(set(states), here | {"end"}):
            accepting.add(len(table))
        reach = nfa.closure(set(states), here)
        row = []
        for part in parts:
            tick("a pattern")
            codes = part.ranges[0][0]
            moved = {step[1] for state in reach if (step := nfa.step[state]) and codes in step[0]}
            key = (False, frozenset(moved))
            if key not in keys:
                keys[key] = len(keys)
                todo.append(key)
            row.append(keys[key])
        table.append(row)
        if len(table) > MOST_STATES:
            raise TooComplexError("its automaton is too large")
    return _minimal(table, accepting, parts)


def _partition(sets: list[CodePoints], alphabet: CodePoints) -> list[CodePoints]:
    """The alphabet cut into parts that no set tells apart within."""
    parts = [alphabet]
    for codes in set(sets):
        tick("a pattern")
        parts = [piece for part in parts for piece in (part & codes, part - codes) if piece]
    return sorted(parts, key=lambda part: part.ranges)


def _minimal(table: list[list[int]], accepting: set[int], parts: list[CodePoints]) -> Automaton:
    """Moore's algorithm: states stay together until a character sends them to different groups."""
    group = [int(state in accepting) for state in range(len(table))]
    while True:
        tick("a pattern")
        keys: dict[tuple[int, ...], int] = {}
        rows = [(group[state], *(group[target] for target in row)) for state, row in enumerate(table)]
        finer = [keys.setdefault(row, len(keys)) for row in rows]
        if len(keys) == len(set(group)):
            break
        group = finer
    edges: list[dict[int, CodePoints]] = [{} for _ in keys]
    for state in range(len(table)):
        if not edges[finer[state]]:
            for part, target in zip(parts, table[state], strict=True):
                known = edges[finer[state]].get(finer[target], CodePoints())
                edges[finer[state]][finer[target]] = known | part
    return Automaton(finer[0], frozenset(finer[state] for state in accepting), tuple(edges))


def to_regex(automaton: Automaton, end: str, dialect: Dialect = ONIGURUMA) -> str | None:
    """A linear-time regex for what `automaton` accepts, None if that is nothing.

    Args:
        automaton: over an alphabet without white space.
        end: a regex for the end of a word.
        dialect: of the engine that is to read it.

    Raises:
        TooComplexError: the regex would be too long.
    """
    return _Writer(automaton, dialect.one_of, dialect.any_number(""), end, whole=False).words(automaton.start, None, ())


def to_pattern(automaton: Automaton) -> str | None:
    """An RE2 pattern whose full matches are the words that `automaton` accepts; None if there are none.

    Raises:
        TooComplexError: the pattern would be too long.
    """
    return _Writer(automaton, re2_set, "*", "", whole=True).words(automaton.start, None, ())


@dataclass(frozen=True)
class _Writer:
    """Writes the words of a deterministic automaton as a regex.

    From a state one first goes round: back to it, any number of times; and then away, never to return. What goes round
    once is no beginning of another way round, so going round as often as possible is right and never taken back.

    Attributes:
        automaton: the automaton.
        set_of: writes a set of code points.
        often: what follows something that comes any number of times.
        end: a regex for the end of a word.
        whole: whether a match is to reach the end of the word, even where the answer is known before.
    """

    automaton: Automaton
    set_of: Callable[[CodePoints], str]
    often: str
    end: str
    whole: bool
    visits: Iterator[int] = field(default_factory=count)

    @cached_property
    def reached(self) -> list[int]:
        """The states that each state leads to, as bits: without them every way on would be tried for a way back."""
        found = [sum(1 << target for target in edges) for edges in self.automaton.edges]
        before: list[int] = []
        while found != before:
            tick("a pattern")
            before = found.copy()
            for state in reversed(range(len(found))):  # most lead to states of higher numbers
                found[state] = reduce(or_, (found[target] for target in self.automaton.edges[state]), found[state])
        return found

    def words(self, state: int, goal: int | None, left: tuple[int, ...]) -> str | None:
        """Write the words that lead from `state` to `goal`, or to acceptance, without a state of `left`; None if none do."""
        tick("a pattern")
        if len(left) > MOST_LINKS or next(self.visits) > MOST_VISITS:
            raise TooComplexError("it is too long, or repeats in too many ways")
        edges = self.automaton.edges[state]
        accepts = goal is None and state in self.automaton.accepting
        if set(edges) == {state} and goal is None and not self.whole:
            return "" if accepts else None  # whatever follows, the answer is known
        left = (*left, state)
        round_, away = [], []
        for target in sorted(edges):
            if target == state:
                round_.append(self.set_of(edges[target]))
            elif target == goal:
                away.append(self.set_of(edges[target]))
            elif target not in left:
                for way, to in ((round_, state), (away, goal)):
                    back = to is None or self.reached[target] >> to & 1
                    rest = self.words(target, to, left) if back else None
                    if rest is not None:
                        way.append(self.set_of(edges[target]) + rest)
        away += [self.end] if accepts else []
        if not away:
            return None
        one = state in edges and len(round_) == 1  # one set needs no group
        loop = (round_[0] if one else f"(?:{'|'.join(round_)})") + self.often if round_ else ""
        regex = loop + (away[0] if len(away) == 1 else f"(?:{'|'.join(away)})")
        if len(regex) > MOST_CHARACTERS:
            raise TooComplexError("its regex is too long")
        return regex


def re2_set(codes: CodePoints) -> str:
    """The set as an RE2 class of explicit code points."""
    ranges = (f"\\x{{{low:X}}}" + (f"-\\x{{{high:X}}}" if high > low else "") for low, high in codes.ranges)
    return f"[{''.join(ranges)}]"
