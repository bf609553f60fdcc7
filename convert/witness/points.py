"""What RE2 knows about every code point: classes, scripts and white space, as TensorFlow's tables have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import cycle, pairwise
from typing import Any, Final

import numpy as np

from .differences import Ranges, class_differences, script_differences, white_space_differences

LAST: Final = 0x10FFFF
SURROGATES: Final = (0xD800, 0xDFFF)
UNKNOWN: Final = "Unknown"

# Within these nothing differs: what UnicodeData.txt writes as a range of ideographs or syllables, from the first to the
# last, and the planes without characters or for private use. Their second code points stand for the others.
UNIFORM: Final[Ranges] = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0x17000, 0x187F7),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B739),
    (0x2B740, 0x2B81D),
    (0x2B820, 0x2CEA1),
    (0x2CEB0, 0x2EBE0),
    (0x2EBF0, 0x2EE5D),
    (0x30000, 0x3134A),
    (0x31350, 0x323AF),
    (0x34000, 0xDFFFD),
    (0xE2000, 0xEFFFD),
    (0xF0000, 0xFFFFD),
    (0x100000, 0x10FFFD),
)
MEMORY: Final = 1 << 26  # of the automaton that knows all scripts; RE2's default is an eighth of it


@cache
def re2() -> Any:
    """Return the library, which only what runs text pays for."""
    import re2

    return re2


def options(**values: object) -> Any:
    """RE2's options, those of TensorFlow but for `values`; nothing is written to stderr."""
    found = re2().Options()
    for name, value in {"log_errors": False, **values}.items():
        setattr(found, name, value)
    return found


def utf8(points: np.ndarray) -> bytes:
    """Code points, without surrogates, as UTF-8."""
    return points.astype("<u4").tobytes().decode("utf-32-le").encode()


def widths(points: np.ndarray) -> np.ndarray:
    """How many bytes each code point takes in UTF-8, int64."""
    return 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)


@cache
def asked() -> np.ndarray:
    """The code points that RE2 is asked about, ascending."""
    asked = np.ones(LAST + 1, bool)
    asked[SURROGATES[0] : SURROGATES[1] + 1] = False
    for low, high in UNIFORM:
        asked[low + 2 : high] = False
    return np.flatnonzero(asked)


@cache
def _text() -> tuple[bytes, np.ndarray]:
    """The code points that are asked about as one text, and where each begins, with the end of the text."""
    return utf8(asked()), np.concatenate([[0], np.cumsum(widths(asked()))])


def _everywhere(answers: np.ndarray) -> np.ndarray:
    """The answers for `asked` as answers for all code points: of those between two, the first tells."""
    return np.repeat(answers, np.diff(np.append(asked(), LAST + 1)))


def _edges(inside: str, outside: str) -> Iterator[int]:
    """Yield where the text enters and leaves the class `inside`, in turn, as indices of `asked`."""
    text, starts = _text()
    at = 0
    for pattern in cycle(re2().compile(f"{one}*", options()) for one in (outside, inside)):
        at = pattern.match(text, at).end()
        yield int(np.searchsorted(starts, at))
        if at == len(text):
            return


def flags(inside: str, outside: str) -> np.ndarray:
    """Whether RE2 has each code point in a class, bool [0x110000], given patterns for it and for all others."""
    edges = np.fromiter(_edges(inside, outside), np.int64)
    turns = np.bincount(edges, minlength=len(asked()) + 1)[:-1]
    return _everywhere(np.cumsum(turns) % 2 == 1)


def ranges(members: np.ndarray) -> Ranges:
    """The code points that are set in `members`, bool [0x110000], without surrogates."""
    kept = np.pad(members, 1)
    kept[SURROGATES[0] + 1 : SURROGATES[1] + 2] = False
    edges = np.flatnonzero(kept[1:] != kept[:-1]).tolist()
    return tuple((low, end - 1) for low, end in zip(edges[::2], edges[1::2], strict=True))


def _flip(members: np.ndarray, flipped: Ranges) -> np.ndarray:
    for low, high in flipped:
        members[low : high + 1] ^= True
    return members


@cache
def code_points(name: str) -> Ranges | None:
    """What `\\p{name}` matches for TensorFlow, without surrogates; None where RE2 has no such class."""
    try:
        members = flags(f"\\p{{{name}}}", f"\\P{{{name}}}")
    except re2().error:
        return None
    return ranges(_flip(members, class_differences(name)))


@cache
def white_space() -> np.ndarray:
    """Whether ICU takes each code point for white space, bool [0x110000].

    The property White_Space is the separators and six control characters (Unicode, PropList.txt).
    """
    return _flip(flags(r"[\pZ\t-\r\x{85}]", r"[^\pZ\t-\r\x{85}]"), white_space_differences())


@cache
def script_names() -> tuple[str, ...]:
    """The scripts by their numbers in `script_numbers`."""
    return (UNKNOWN, *(name for name in script_differences() if name != UNKNOWN))


@cache
def script_numbers() -> np.ndarray:
    """The script of each code point as TensorFlow Text's ICU has it, uint8 [0x110000], by place in `script_names`."""
    text, starts = _text()
    known = [name for name in script_names() if _is_class(name)]
    runs = [f"\\p{{{name}}}+" for name in known]
    none = "".join(f"\\p{{{name}}}" for name in known)
    run = re2().compile("|".join([*runs, f"[^{none}]+"]), options(max_mem=MEMORY))
    edges = [0]
    while edges[-1] < len(text):  # a match is a run of one script
        edges.append(run.match(text, edges[-1]).end())
    told = re2().Set.FullMatchSet(options(max_mem=MEMORY))
    for name in known:
        told.Add(f"\\p{{{name}}}")
    told.Compile()
    places = np.searchsorted(starts, edges)
    firsts = (chr(asked()[place]) for place in places[:-1])
    found = [script_names().index(known[names[0]]) if (names := told.Match(text)) else 0 for text in firsts]
    numbers = _everywhere(np.repeat(np.asarray(found, np.uint8), np.diff(places)))
    for name, differing in script_differences().items():
        for low, high in differing:
            numbers[low : high + 1] = script_names().index(name)
    numbers[SURROGATES[0] : SURROGATES[1] + 1] = 0
    return numbers


@cache
def script_ranges() -> Mapping[str, Ranges]:
    """The code points of each script, without surrogates."""
    numbers = script_numbers().astype(np.int16)
    numbers[SURROGATES[0] : SURROGATES[1] + 1] = -1
    edges = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), LAST + 1]
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in script_names()}
    for (low, end), number in zip(pairwise(edges), numbers[edges[:-1]].tolist(), strict=True):
        if number >= 0:
            found[script_names()[number]].append((low, end - 1))
    return {name: tuple(each) for name, each in found.items()}


def _is_class(name: str) -> bool:
    try:
        re2().compile(f"\\p{{{name}}}", options())
    except re2().error:
        return False
    return True
