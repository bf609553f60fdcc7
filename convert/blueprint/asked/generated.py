"""Texts and words to hold what was read of a text side against, made from a seed: the same for every run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby, product
from random import Random

from hub2hf.blueprint.asked.ask import ranges_between, table_edges
from hub2hf.unicode.codepoints import CodePoints
from hub2hf.unicode.tables import OF_TEXT, everywhere, re2_class, script_of, whitespace


def _names(names: str) -> tuple[str, ...]:
    return tuple(names.split())


FEW_PIECES = (1, 2, 3, 10)
LETTERS = "abcdefghiklmnoprstuvwxyz"
LONG_CONSTANTS = (400, 200_000)  # what a graph may compare a length with and no text above reaches
MOST_LONG = 4
FEW_GROUPS = 3  # scripts that words of such lengths are made of
LONG_RANGE = 4_096  # code points
BESIDE = 4  # code points in a word of neighbours
MEMBERS = 2  # characters of each kind
MOST_COMBINED = 600  # words of two or three kinds, of a script
WORDS, TEXTS = 400, 50  # at random; a hundred times as many when asked to be thorough
THOROUGH = 100
TEXT_LENGTH = 60
MOST_TEXTS = 2_000  # of a batch
CATEGORIES = _names("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs")
ASCII = tuple(map(list, (LETTERS.upper(), LETTERS, "0123456789", "!?.,;:-()[]'\"&/", "+=<>$%#@^`|~")))
LONGEST = 12  # characters of a word in them: no word is too long to be known


def words_of(count: int, seed: int = 0) -> str:
    """Return a text of `count` words of two letters, hundreds of them different."""
    pairs = [a + b for a, b in product(LETTERS, LETTERS)]
    Random(seed).shuffle(pairs)
    return " ".join(pairs[i % len(pairs)] for i in range(count))


def length_texts(fits: int, longest: int) -> list[str]:
    """Return texts of every class of length: few pieces, just under, at and above the `fits` that fit, and far beyond.

    For far beyond there is a text of more than `longest` words already, where that is as far.
    """
    counts = sorted({*FEW_PIECES, fits - 1, fits, fits + 1, *((3 * fits,) if longest < 3 * fits else ())})
    return [words_of(count, count) for count in counts if count > 0]


def far_texts(constants: Iterable[int]) -> list[str]:
    """Return texts longer than each of the constants of a graph: beyond one of them, a text may go another way."""
    far = sorted({c for c in constants if LONG_CONSTANTS[0] < c < LONG_CONSTANTS[1]}, reverse=True)[:MOST_LONG]
    return [words_of(c // 3 + 2) for c in far]


def cut_words(
    points: Iterable[str],
    kind_of: Callable[[str], int],
    lengths: Collection[int] = (),
    *,
    count: int = WORDS,
    table: str = OF_TEXT,
) -> list[str]:
    """Return words of one script each, to hold a rule against that says which are cut.

    Args:
        points: characters to make them of.
        kind_of: a number that characters share which the rule does not tell apart.
        lengths: characters, or bytes, of words that are made besides.
        count: how many words are made at random, beside those in which each kind of character stands in each place.
        table: of scripts.
    """
    groups: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    words: dict[str, None] = {}
    for point in points:
        groups[script_of(point, table)][kind_of(point)].append(point)
        words[point + point] = None
    source = Random(0)
    for kinds in groups.values():
        few = [c for members in kinds.values() for c in source.sample(members, min(len(members), MEMBERS))]
        combined = (w for n in (2, 3) if len(few) ** n <= MOST_COMBINED for w in product(few, repeat=n))
        words.update(dict.fromkeys(map("".join, combined)))
    for kinds in sorted(groups.values(), key=len, reverse=True)[:FEW_GROUPS]:
        for first in (members[0] for members in kinds.values()):
            size = len(first.encode())
            words.update((first * n, None) for length in lengths for n in {length, length // size} if n > 1)
    scripts = [[c for members in kinds.values() for c in members] for kinds in groups.values()]
    several = [kinds for kinds in groups.values() if len(kinds) > 1]
    for i in range(count):
        if several and i % 2:  # of kinds as often as of characters
            kinds = source.choice(several)
            members = [source.choice(kinds[kind]) for kind in source.choices(list(kinds), k=3)]
        else:
            members = source.choice(scripts) if scripts else [LETTERS[0]]
        words["".join(source.choices(members, k=source.choice((2, 3, 4, 5, 8, 20))))] = None
    return list(words)


def characters(every: int) -> list[str]:
    """Return all characters; of ranges of thousands that no table parts, one in `every`, from the first on."""
    long = [range(low, high + 1) for low, high in ranges_between(table_edges()) if high - low > LONG_RANGE]
    left_out = {code for codes in long for code in codes if (code - codes.start) % every}
    return [chr(code) for code in everywhere() if code not in left_out]


def neighbours(points: Iterable[str], kind_of: Callable[[str], int], table: str = OF_TEXT) -> Iterator[str]:
    """Yield words in which each of `points` stands with those beside it, as far as they are of one script and kind."""
    for _, group in groupby(points, lambda point: (script_of(point, table), kind_of(point))):
        members = list(group)
        for i in range(0, len(members), BESIDE):
            word = "".join(members[i : i + BESIDE])
            yield word if len(word) > 1 else word * 2


def lengths_near(constants: Iterable[int]) -> list[int]:
    """Return lengths on both sides of each constant of a graph that a length may be compared with."""
    return sorted({c + extra for c in constants if 2 < c < LONG_CONSTANTS[0] for extra in (-1, 0, 1)})


def with_texts(texts: Iterable[str], longest: int) -> Iterator[str]:
    """Yield each of `texts` alone, inside a word, twice, and in capitals, as far as words have at most `longest` bytes."""
    for text in texts:
        forms = (text, f"x{text}x", text + text, text.upper())
        yield from (form for form in forms if len(form.encode()) <= longest)


def mixed_texts(points: Sequence[str], *, count: int = TEXTS) -> Iterator[str]:
    """Yield texts in which characters of `points` stand beside each other, letters, spaces and what is deleted."""
    source = Random(1)
    spaces = [chr(code) for low, high in whitespace().ranges for code in range(low, high + 1)]
    for _ in range(count):
        kinds = source.choices((points, LETTERS, spaces), (5, 2, 2), k=TEXT_LENGTH)
        kinds[:: LONGEST + 1] = [[" "]] * len(kinds[:: LONGEST + 1])
        yield "".join(source.choice(kind) for kind in kinds)


def texts_of_few_kinds(points: Sequence[str], constants: Iterable[int] = (), *, count: int = TEXTS) -> Iterator[str]:
    """Yield short texts of one, two or three kinds of characters: of capitals alone, of digits and signs, of one script.

    A graph may ask something of a whole text, which texts of all kinds answer alike. Kinds are general categories, scripts,
    and those of ASCII. There are more texts than each of the constants of a graph, which may ask how many a batch has.
    """
    count = max(count, *(c // 2 + 1 for c in constants if c < MOST_TEXTS), 0)
    named = ((name, re2_class(name) or CodePoints()) for name in CATEGORIES)
    kinds = [[c for c in points if ord(c) in codes] for _, codes in named]
    scripts: dict[int, list[str]] = defaultdict(list)
    for point in points:
        scripts[script_of(point)].append(point)
    kinds = [*ASCII, *ASCII, *filter(None, kinds), *scripts.values()]
    source = Random(2)
    for i in range(max(count, len(kinds)) + 2 * count):
        chosen = (
            [kinds[i]] if i < len(kinds) else source.sample(kinds[: len(CATEGORIES) * 2], source.choice((1, 2, 2, 3)))
        )
        words = ("".join(source.choices(source.choice(chosen), k=source.randint(1, 6))) for _ in range(i % 3 + 1))
        yield " ".join(words)


def runs(points: Sequence[str], table: str = OF_TEXT) -> list[str]:
    """Return words in which each of `points` stands beside others of its script."""
    groups: dict[int, list[str]] = defaultdict(list)
    for point in points:
        groups[script_of(point, table)].append(point)
    return ["".join(members[i : i + 6]) for members in groups.values() for i in range(0, len(members), 5)]


def joined(items: Iterable[str], size: int) -> Iterator[str]:
    """Yield texts of at most `size` characters that hold all `items`, each of which may have as many."""
    text: list[str] = []
    count = 0
    for item in items:
        if text and count + len(item) > size:
            yield "".join(text)
            text, count = [], 0
        text.append(item)
        count += len(item)
    if text:
        yield "".join(text)


def some_of(items: list[str], count: int) -> list[str]:
    """Return `count` of the items, or all, in their order; the same for every run."""
    if len(items) <= count:
        return items
    return [items[i] for i in sorted(Random(0).sample(range(len(items)), count))]
