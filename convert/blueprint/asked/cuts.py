"""What the operations of a text side make of single words: which characters go, which words are cut, and into what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from hub2hf.blueprint.text import (
    Normalize,
    ReplacePattern,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextOperation,
)
from hub2hf.errors import REPORT, GraphError
from hub2hf.unicode.automaton import Automaton, words_matching
from hub2hf.unicode.codepoints import CodePoints, union
from hub2hf.unicode.delimiters import read_delimiters
from hub2hf.unicode.folding import decomposed
from hub2hf.unicode.re2 import Chars, Repeat, parse
from hub2hf.unicode.tables import whitespace

AROUND = r" \0 "  # what a match becomes that spaces are put around


@dataclass(frozen=True)
class Cuts:
    """What becomes of words of one script.

    Attributes:
        gone: the characters that no word has: white space, and what is deleted or replaced one by one.
        alone: the characters that are words of their own, also inside another.
        rule: accepts the words that are cut into characters; None where none is.
        by_script: whether words are split by script at all.
    """

    gone: CodePoints
    alone: CodePoints
    rule: Automaton | None
    by_script: bool

    @classmethod
    def of(cls, operations: Iterable[TextOperation]) -> Cuts:
        """Return what `operations` say.

        Raises:
            GraphError: a pattern is not understood.
        """
        operations = list(operations)
        cuts = [op for op in operations if isinstance(op, SplitCharacters)]
        patterns = tuple(pattern for op in cuts for pattern in op.patterns)
        alone = (parse(op.characters, op.evidence) for op in operations if isinstance(op, SplitAround))
        replaced = (codes for op in operations if isinstance(op, ReplacePattern) for codes in characters_of(op))
        return cls(
            whitespace() | union(replaced),
            union(node.codes for node in alone if isinstance(node, Chars)),
            words_matching(patterns, cuts[0].evidence) if cuts else None,
            any(isinstance(op, SplitScripts) for op in operations),
        )

    def kind_of(self, character: str) -> int:
        """Return a number that all characters have which are treated alike."""
        return -1 if ord(character) in self.alone else self.rule.letter(character) if self.rule else 0

    def parts(self, word: str) -> Iterator[str]:
        """Yield what `word` becomes."""
        for alone, members in groupby(word, lambda character: ord(character) in self.alone):
            part = "".join(members)
            if alone or (self.rule is not None and self.rule.accepts(part)):
                yield from part
            else:
                yield part


def by_groups(operation: TextOperation) -> bool:
    """Tell whether an operation puts groups of what it matched back: what it deletes must be asked."""
    return isinstance(operation, ReplacePattern) and re.search(r"\\\d", operation.rewrite) is not None


def without_needless(operations: Sequence[TextOperation]) -> tuple[TextOperation, ...]:
    """Return operations without those that only put spaces around characters which are split off later anyway.

    As keras-hub does for Chinese characters. In between, characters may be decomposed, and deleted.
    """
    kept: list[TextOperation] = []
    for number, op in enumerate(operations):
        later = list(operations[number + 1 :])
        split = next((each for each in later if isinstance(each, SplitDelimiters)), None)
        if isinstance(op, ReplacePattern) and op.rewrite == AROUND and split is not None:
            between = later[: later.index(split)]
            found = read_delimiters(split.delimiters, split.kept, split.evidence)
            node = parse(op.pattern, op.evidence)
            if (
                isinstance(node, Chars)
                and all(_decomposes(each) or _deletes(each) for each in between)
                and ord(" ") in found.dropped
                and not _images(node.codes, between) - found.kept
            ):
                continue
        kept.append(op)
    return tuple(kept)


def _images(codes: CodePoints, between: Sequence[TextOperation]) -> CodePoints:
    """Return what characters are once they are decomposed, where they are."""
    if not any(isinstance(each, Normalize) for each in between):
        return codes
    every = (chr(code) for low, high in codes.ranges for code in range(low, high + 1))
    return CodePoints.of(*((ord(c), ord(c)) for character in every for c in decomposed(character)))


def _decomposes(operation: TextOperation) -> bool:
    return isinstance(operation, Normalize) and operation.form == "NFD"


def _deletes(operation: TextOperation) -> bool:
    """Whether an operation deletes characters, one by one, whatever is beside them."""
    return isinstance(operation, ReplacePattern) and not operation.rewrite and any(characters_of(operation))


def check_rewrites(operations: Iterable[TextOperation]) -> None:
    """Raise a GraphError where one of the operations puts groups back."""
    for op in operations:
        if by_groups(op):
            raise GraphError(f"Node '{op.evidence}' rewrites what it matches by its groups.", REPORT)


def characters_of(operation: ReplacePattern) -> Iterator[CodePoints]:
    """Yield the characters that a replacement of single characters matches."""
    node = parse(operation.pattern, operation.evidence)
    if isinstance(node, Repeat) and (node.low, node.high) == (1, None):  # a run of them, at once
        node = node.node
    if isinstance(node, Chars):
        yield node.codes


def deleted(operations: Iterable[TextOperation]) -> CodePoints | None:
    """Return the characters that the operations on whole texts delete, where they do nothing else; None otherwise."""
    found = []
    for op in operations:
        codes = list(characters_of(op)) if isinstance(op, ReplacePattern) and not op.rewrite else []
        if not codes:
            return None
        found += codes
    return union(found)
