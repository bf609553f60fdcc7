"""Learn a rule about words from answers to questions: the least automaton that agrees with all of them.

The rule is asked, never read: which words a graph cuts may be computed in any way, and all that counts is the answer.
First the code points that no answer tells apart become one letter each ("classes"). Then the automaton is learned as
Angluin does it ("Learning regular sets from queries and counterexamples", Information and Computation 75, 1987, with the
suffixes of Rivest and Schapire, 1993): a state is what a beginning of a word does to all the ends tried so far.

A learner is a generator that yields words and is sent one answer for each, so that many can be asked in one run.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from hub2hf.limits import tick
from hub2hf.unicode.automaton import TooComplexError

Questions = Generator[Sequence[str], Sequence[bool], "Learned"]

ROUNDS = 30  # each finds a state or an end at least
MOST_STATES = 48  # more would be no rule that somebody wrote
GUESSES, FEW_GUESSES = 48, 16  # random words that a hypothesis is held against
# Random words, and lengths of words of one letter, that a rule of another script is held against.
HINTED, HINTED_LENGTHS = 8, (5, 40)
LENGTHS = (2, 3, 4, 5, 6, 7, 8, 12, 20, 40)
MIXED_LENGTHS = (4, 5, 6, 7, 8, 12, 3, 4, 5, 6, 7, 20, 4, 5, 6, 40)  # the short ones tell most for their price


@dataclass(frozen=True)
class Learned:
    """A rule over the words of one alphabet.

    Attributes:
        classes: the code points of each letter, as texts of one character.
        accepting: the states in which a word is cut; state 0 is the start.
        moves: moves[state][letter] is the next state.
    """

    classes: tuple[tuple[str, ...], ...]
    accepting: frozenset[int]
    moves: tuple[tuple[int, ...], ...]

    def holds(self, letters: Sequence[int]) -> bool:
        """Tell whether the word of these letters is cut."""
        state = 0
        for letter in letters:
            state = self.moves[state][letter]
        return state in self.accepting


def learn(
    points: Sequence[str], longest: int = LENGTHS[-1], guesses: int = GUESSES, hints: Sequence[Learned] = ()
) -> Questions:
    """Ask about words over `points`, characters of one script, and return the rule.

    Args:
        points: the characters.
        longest: characters of a word that may be asked about.
        guesses: random words that a hypothesis is held against.
        hints: rules of other scripts: one that agrees with all short words, and some others, is taken for this one too.

    A word of one character is the same cut or whole: the answer of the doubled character stands for it.

    Raises:
        TooComplexError: no small automaton tells.
    """
    classes = yield from _classes(points)
    letters = [members[0] for members in classes]
    if len(letters) == 1:
        answers = set((yield [letters[0] * length for length in LENGTHS if length <= longest]))
        if len(answers) == 1:
            return Learned(classes, frozenset({0} if True in answers else ()), ((0,),))
    known: dict[str, bool] = {"": False}
    for hint in hints:
        if len(hint.classes) == len(letters):
            tests = _tests(letters, Random(0), HINTED, HINTED_LENGTHS)
            if (yield from _first_wrong(hint, tests, letters, longest, known)) is None:
                return Learned(classes, hint.accepting, hint.moves)
    return (yield from _automaton(classes, letters, longest, guesses, known))


def _classes(points: Sequence[str]) -> Generator[Sequence[str], Sequence[bool], tuple[tuple[str, ...], ...]]:
    """Part `points` by the answers alone and beside one another."""
    answers: dict[str, tuple[bool, ...]] = dict(
        zip(points, ((a,) for a in (yield [c * 2 for c in points])), strict=True)
    )
    tried: set[str] = set()
    while True:
        groups: dict[tuple[bool, ...], list[str]] = {}
        for point in points:
            groups.setdefault(answers[point], []).append(point)
        new = [members[0] for members in groups.values() if members[0] not in tried]
        if not new or len(points) == 1:
            return tuple(tuple(groups[answer]) for answer in sorted(groups))
        for other in new:
            tried.add(other)
            forms = [(point + other, other + point, other + point + other) for point in points]
            found = iter((yield [word for words in forms for word in words]))
            for point in points:
                answers[point] += (next(found), next(found), next(found))


def _automaton(
    classes: tuple[tuple[str, ...], ...], letters: Sequence[str], longest: int, guesses: int, known: dict[str, bool]
) -> Questions:
    states, ends = [""], ["", *letters]
    source = Random(0)
    for _ in range(ROUNDS):
        rows = yield from _closed(states, ends, letters, known)
        number = {rows[state]: i for i, state in enumerate(states)}
        moves = tuple(tuple(number[rows[state + letter]] for letter in letters) for state in states)
        accepting = frozenset(i for i, state in enumerate(states) if known[state])
        learned = Learned(classes, accepting, moves)
        wrong = yield from _first_wrong(learned, _tests(letters, source, guesses), letters, longest, known)
        if wrong is None:
            return learned
        text = "".join(letters[i] for i in wrong)
        ends += [text[i:] for i in range(1, len(text)) if text[i:] not in ends]
    raise TooComplexError("it depends on more than a word can be asked for")


def _first_wrong(
    learned: Learned, tests: Sequence[tuple[int, ...]], letters: Sequence[str], longest: int, known: dict[str, bool]
) -> Generator[Sequence[str], Sequence[bool], tuple[int, ...] | None]:
    """Ask about `tests`, and return the first that a rule is wrong about."""
    words = {word: "".join(letters[i] for i in word) for word in tests if len(word) <= longest}
    yield from _fill(list(words.values()), known)
    return next((word for word, text in words.items() if learned.holds(word) != known[text]), None)


def _closed(
    states: list[str], ends: Sequence[str], letters: Sequence[str], known: dict[str, bool]
) -> Generator[Sequence[str], Sequence[bool], dict[str, tuple[bool, ...]]]:
    """Add states until every state goes on to one; return what each beginning does to the ends."""
    rows: dict[str, tuple[bool, ...]] = {}
    while True:
        beginnings = [*states, *(state + letter for state in states for letter in letters)]
        yield from _fill([begin + end for begin in beginnings for end in ends], known)
        rows = {begin: tuple(known[begin + end] for end in ends) for begin in beginnings}
        seen = {rows[state] for state in states}
        new = next((begin for begin in beginnings if rows[begin] not in seen), None)
        if new is None:
            return rows
        states.append(new)
        if len(states) > MOST_STATES:
            raise TooComplexError("it tells too many words apart")


def _fill(words: Sequence[str], known: dict[str, bool]) -> Generator[Sequence[str], Sequence[bool], None]:
    tick("a rule that is asked")
    asked = [word for word in dict.fromkeys(words) if word not in known]
    if asked:
        found = yield [word * 2 if len(word) == 1 else word for word in asked]
        known.update(zip(asked, found, strict=True))


def _tests(
    letters: Sequence[str], source: Random, guesses: int, alike_lengths: Sequence[int] = LENGTHS
) -> list[tuple[int, ...]]:
    """All short words, those of one letter, and some others."""
    count = len(letters)
    short = [word for length in (1, 2, 3) if count**length <= 600 for word in product(range(count), repeat=length)]
    alike = [(letter,) * length for letter in range(count) for length in alike_lengths]
    lengths = (MIXED_LENGTHS[i % len(MIXED_LENGTHS)] for i in range(guesses))
    return [*short, *alike, *(tuple(source.choices(range(count), k=length)) for length in lengths)]
