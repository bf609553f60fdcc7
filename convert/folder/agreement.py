"""Hold the Unicode tables that the tokenizer is compiled from against those that the graph was run with, in full.

Probes are texts, and see a fault where a text touches it. Tables can be compared whole, and patterns at all the ends of
their classes: what `hub2hf.unicode` makes of them, against `hub2hf.witness`, which shares nothing with it. This is also
where another version of a library is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from hub2hf.blueprint.text import (
    CaseFold,
    FoldWords,
    LowerCase,
    Normalize,
    ReplacePattern,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
)
from hub2hf.errors import GraphError
from hub2hf.unicode import folding as ours
from hub2hf.unicode.automaton import TooComplexError, full_match
from hub2hf.unicode.casing import lower_case
from hub2hf.unicode.codepoints import EVERYTHING as EVERY_POINT
from hub2hf.unicode.codepoints import CodePoints
from hub2hf.unicode.re2 import parse
from hub2hf.unicode.tables import OF_TENSORFLOW, UNLISTED_SCRIPT, re2_class, scripts, whitespace
from hub2hf.witness import folding as theirs
from hub2hf.witness import points
from hub2hf.witness.boundaries import boundary_points
from hub2hf.witness.differences import Ranges, versions
from hub2hf.witness.patterns import compiled
from hub2hf.witness.syntax import classes

SURROGATES: Final = CodePoints.of(points.SURROGATES)
MOVED: Final = CodePoints.of((0x16FE2, 0x16FE3))  # Common to the ICU of TensorFlow, Han since Unicode 14
ANY: Final = "Any"
ASSIGNED: Final = CodePoints.of(*(pair for name in "LMNPSZC" for pair in (re2_class(name) or CodePoints()).ranges))


def prove_tables(text: TextBlueprint) -> None:
    """Compare every table that the operations of `text` need.

    Raises:
        GraphError: they differ; names the first code point, the table and the versions of the libraries.
    """
    for operation in text.operations:
        for pattern in filter(None, patterns_of(operation)):
            _prove_pattern(pattern, operation)
        for what, known, witnessed in _tables(operation):
            if known != witnessed:
                differing = (known - witnessed) | (witnessed - known)
                _refuse(what, differing.ranges[0][0], operation)
        if isinstance(operation, CaseFold | FoldWords | LowerCase | Normalize):
            _prove_characters(operation)
        if isinstance(operation, FoldWords):  # is compiled as folding, NFD, and the NFC of the library
            _prove_characters(Normalize("NFD", operation.evidence))


def _prove_pattern(pattern: str, operation: TextOperation) -> None:
    """Compare which single characters a pattern matches for the tokenizer and for RE2.

    Sets are the same where they agree at all their ends: so those of both are asked.
    """
    try:
        automaton = full_match((parse(pattern, operation.evidence),), EVERY_POINT)
    except TooComplexError:
        return  # no such pattern becomes a tokenizer
    edges = {edge for row in automaton.edges for known in row.values() for pair in known.ranges for edge in pair}
    near = {point + step for point in edges for step in (-1, 0, 1) if 0 <= point + step <= points.LAST}
    witness = compiled(pattern, operation.evidence)
    for point in sorted(near.union(boundary_points([pattern]))):
        if point in SURROGATES:
            continue
        if automaton.accepts(chr(point)) != witness.matches(chr(point).encode()):
            _refuse(f"the pattern {pattern[:60]!r}", point, operation)


def patterns_of(operation: TextOperation) -> tuple[str, ...]:
    """Return the RE2 patterns of an operation."""
    if isinstance(operation, ReplacePattern):
        return (operation.pattern,)
    if isinstance(operation, SplitDelimiters):
        return (operation.delimiters, operation.kept)
    if isinstance(operation, SplitAround):
        return (operation.characters,)
    return operation.patterns if isinstance(operation, SplitCharacters) else ()


def _tables(operation: TextOperation) -> Iterator[tuple[str, CodePoints, CodePoints]]:
    """Yield a name, the set of the tokenizer and the set of the witness, without surrogates."""
    for name in dict.fromkeys(name for pattern in patterns_of(operation) for name in classes(pattern)):
        if name != ANY:
            yield rf"\p{{{name}}}", _set(re2_class(name)), _set(points.code_points(name))
    if isinstance(operation, SplitScripts):
        yield "white space", _set(whitespace()), _set(points.ranges(points.white_space()))
        known = scripts(operation.table)
        newer = known[UNLISTED_SCRIPT] | MOVED if operation.table == OF_TENSORFLOW else CodePoints()
        for name, ranges in points.script_ranges().items():
            yield f"the script {name}", _set(known.get(name)) - newer, _set(ranges) - newer


def _set(found: CodePoints | Ranges | None) -> CodePoints:
    codes = found if isinstance(found, CodePoints) else CodePoints(found or ())
    return codes - SURROGATES if points.SURROGATES[0] in codes else codes


def _prove_characters(operation: CaseFold | FoldWords | LowerCase | Normalize) -> None:
    """Compare what becomes of every single character; of normalizations only NFD is compiled."""
    what, known, witnessed = CHARACTERS[type(operation)]
    for point in points.asked().tolist():
        if known(chr(point)) != witnessed(chr(point)):
            _refuse(what, point, operation)
    if not isinstance(operation, Normalize):
        return
    places = {number: place for place, number in enumerate(sorted(set(theirs.marks().values())))}
    marks = {mark: places[number] for mark, number in theirs.marks().items()}
    differing = dict(marks.items() ^ ours.mark_classes().items())
    if differing:
        _refuse("the combining class", ord(min(differing)), operation)


def _lowered(character: str) -> str:
    """Python's lower case, of what hub2hf's tables know too: a newer Python has newer letters."""
    return character.lower() if ord(character) in ASSIGNED else character


# Name, what the tokenizer is compiled from, and what it is held against.
CHARACTERS: Final[Mapping[type, tuple[str, Callable[[str], str], Callable[[str], str]]]] = MappingProxyType(
    {
        CaseFold: ("case folding", ours.case_folded, theirs.folded_character),
        FoldWords: ("case folding", ours.case_folded, theirs.folded_character),
        LowerCase: ("lower case", lower_case, _lowered),
        Normalize: ("NFD", ours.decomposed, theirs.decomposed),
    }
)


def _refuse(what: str, point: int, operation: TextOperation) -> None:
    raise GraphError(
        f"Node '{operation.evidence}': U+{point:04X} is one thing to hub2hf's tables and another to the libraries "
        f"that prove them, in {what}: {versions()}.",
        "Install the tested versions; if you have them, report it.",
    )
