"""Hold the Unicode tables that the tokenizer is compiled from against those that the graph was run with, code point by code point.

Probes are texts, and see a fault where a text touches it. Tables can be compared whole: what `convert.unicode` knows,
against `convert.witness`, which shares nothing with it. This is also where another version of a library is found out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from convert.blueprint.text import (
    CaseFold,
    Normalize,
    ReplacePattern,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
)
from convert.errors import GraphError
from convert.unicode import folding as ours
from convert.unicode.codepoints import CodePoints
from convert.unicode.tables import re2_class, scripts, whitespace
from convert.witness import folding as theirs
from convert.witness import points
from convert.witness.differences import Ranges, versions
from convert.witness.syntax import classes

SURROGATES: Final = CodePoints.of(points.SURROGATES)
EVERYTHING: Final = "Any"


def prove_tables(text: TextBlueprint) -> None:
    """Compare every table that the operations of `text` need.

    Raises:
        GraphError: they differ; names the first code point, the table and the versions of the libraries.
    """
    for operation in text.operations:
        for what, known, witnessed in _tables(operation):
            differing = (known - witnessed) | (witnessed - known)
            if differing:
                _refuse(what, differing.ranges[0][0], operation)
        if isinstance(operation, CaseFold | Normalize):
            _prove_characters(operation)


def patterns_of(operation: TextOperation) -> tuple[str, ...]:
    """Return the RE2 patterns of an operation."""
    if isinstance(operation, ReplacePattern):
        return (operation.pattern,)
    if isinstance(operation, SplitDelimiters):
        return (operation.delimiters, operation.kept)
    return operation.patterns if isinstance(operation, SplitCharacters) else ()


def _tables(operation: TextOperation) -> Iterator[tuple[str, CodePoints, CodePoints]]:
    """Yield a name, the set of the tokenizer and the set of the witness, without surrogates."""
    for name in dict.fromkeys(name for pattern in patterns_of(operation) for name in classes(pattern)):
        if name != EVERYTHING:
            yield rf"\p{{{name}}}", _set(re2_class(name)), _set(points.code_points(name))
    if isinstance(operation, SplitScripts):
        yield "white space", _set(whitespace()), _set(points.ranges(points.white_space()))
        for name in points.script_names():
            yield f"the script {name}", _set(scripts().get(name)), _set(points.script_ranges(name))


def _set(found: CodePoints | Ranges | None) -> CodePoints:
    codes = found if isinstance(found, CodePoints) else CodePoints(found or ())
    return codes - SURROGATES


def _prove_characters(operation: CaseFold | Normalize) -> None:
    """Compare what becomes of every single character; of normalizations only NFD is compiled."""
    folds = isinstance(operation, CaseFold)
    known, witnessed = (ours.case_folded, theirs.folded_character) if folds else (ours.decomposed, theirs.decomposed)
    for point in points.asked().tolist():
        if known(chr(point)) != witnessed(chr(point)):
            _refuse("case folding" if folds else "NFD", point, operation)
    places = {number: place for place, number in enumerate(sorted(set(theirs.marks().values())))}
    marks = {mark: places[number] for mark, number in theirs.marks().items()}
    differing = dict(marks.items() ^ ours.mark_classes().items())
    if differing and not folds:
        _refuse("the combining class", ord(min(differing)), operation)


def _refuse(what: str, point: int, operation: TextOperation) -> None:
    raise GraphError(
        f"Node '{operation.evidence}': U+{point:04X} is another thing in {what} to the tables of hub2hf than to the libraries "
        f"that it proves them with: {versions()}.",
        "Install the versions that are known; where they are installed, report it.",
    )
