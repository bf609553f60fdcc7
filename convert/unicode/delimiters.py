"""The two patterns of TF.Text's `RegexSplitWithOffsets`: where text is split, and which of the delimiters stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .codepoints import NOTHING, CodePoints, union
from .re2 import Alternate, Chars, Concat, Regex, Repeat, parse, unsupported


@dataclass(frozen=True)
class Delimiters:
    """Single characters that end a word.

    Attributes:
        dropped: these go.
        kept: each of these is a word of its own.
    """

    dropped: CodePoints
    kept: CodePoints

    def split(self, text: str) -> Iterator[tuple[str, int]]:
        """Yield each word of `text` with the character it starts at."""
        start = 0
        for at, character in enumerate(text):
            kept = ord(character) in self.kept
            if kept or ord(character) in self.dropped:
                if start < at:
                    yield text[start:at], start
                if kept:
                    yield character, at
                start = at + 1
        if start < len(text):
            yield text[start:], start


def read_delimiters(pattern: str, kept: str, evidence: str) -> Delimiters:
    """Read the two patterns of a split.

    Args:
        pattern: what splits; characters, and runs of characters that do not stay.
        kept: what stays, of that.
        evidence: the node, for messages.

    Raises:
        GraphError: a delimiter is more than one character, or a run of delimiters stays.
    """
    singles, runs = _characters(pattern, parse(pattern, evidence), evidence)
    staying, staying_runs = _characters(kept, parse(kept, evidence), evidence) if kept else (NOTHING, NOTHING)
    if (runs & (staying | staying_runs)) or (runs & singles):
        raise unsupported(pattern, evidence, "a run of delimiters stays as one word")
    stays = singles & (staying | staying_runs)
    return Delimiters((singles | runs) - stays, stays)


def _characters(pattern: str, node: Regex, evidence: str) -> tuple[CodePoints, CodePoints]:
    """Return the characters that `pattern` matches one by one, and those that it matches in runs."""
    if isinstance(node, Chars):
        return node.codes, NOTHING
    if (
        isinstance(node, Repeat)
        and isinstance(node.node, Chars)
        and (node.low, node.high, node.lazy) == (1, None, False)
    ):
        return NOTHING, node.node.codes
    if isinstance(node, Concat) and not node.parts:  # TF.Text writes no pattern as ()
        return NOTHING, NOTHING
    if isinstance(node, Alternate):
        found = [_characters(pattern, option, evidence) for option in node.options]
        return union(one for one, _ in found), union(run for _, run in found)
    raise unsupported(pattern, evidence, "it splits at more than single characters")
