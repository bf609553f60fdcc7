"""RE2 as TensorFlow's ops run it: `tf.strings.regex_replace`, `regex_full_match`, and TF.Text's `regex_split`.

RE2 is that of `google-re2`, over bytes. Its classes are those of TensorFlow's RE2 but for a few, and those few are written
into the pattern as code points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.limits import MAX_PATTERN, MAX_WORK, tick

from .differences import Ranges, class_differences, codes, folding_pairs
from .points import code_points, flags, options, re2
from .rewrites import Rewrite
from .syntax import tokens

MOST_PATTERNS: Final = 16  # that are kept: each may take 16 MB in all
MOST_WRITTEN: Final = 1 << 19  # characters of a pattern with ranges for classes; \p{L} has 13,000
WHOLE: Final = 0  # the group of the whole match
LONGEST_CHARACTER: Final = 4  # bytes of UTF-8
MOST_TOLD: Final = (
    1 << 15
)  # characters, of each pattern, whose answers are kept: graphs ask of the same ones text by text


@dataclass(frozen=True)
class Pattern:
    """A pattern that RE2 has compiled.

    Attributes:
        evidence: the node that it was read from.
        written: the pattern as the graph has it.
        parts: compiled, groups and all.
        whole: compiled, with groups that only group: RE2 is much faster where nobody asks for their places.
        groups: how many groups there are.
        size: instructions of RE2's program.
        doubtful: `(?i)` beside code points: `folding_pairs` are not what they are to TensorFlow.
    """

    evidence: str
    written: str
    parts: Any
    whole: Any
    groups: int
    size: int
    doubtful: bool
    _told: dict[bytes, bool] = field(
        default_factory=dict, repr=False, compare=False
    )  # what `matches` said of a character

    def check(self, text: bytes) -> None:
        """Refuse what would take too long, and what would be answered otherwise than TensorFlow does.

        Raises:
            GraphError: the pattern and the text are too large together, or the case of a character is in doubt.
        """
        tick(f"node '{self.evidence}'")
        if self.size * len(text) > MAX_WORK:
            raise _refusal(self.written, self.evidence, f"it is too complex for a text of {len(text)} bytes")
        if self.doubtful and not text.isascii() and (found := folding_pairs() & set(text.decode(errors="ignore"))):
            points = ", ".join(f"U+{ord(character):04X}" for character in sorted(found))
            raise _refusal(
                self.written, self.evidence, f"it ignores case, and google-re2 has another case for {points}"
            )

    def matches(self, text: bytes) -> bool:
        """Whether the pattern matches all of `text`."""
        known = self._told.get(text)
        if known is None:
            self.check(text)
            known = self.whole.fullmatch(text) is not None
            if len(text) <= LONGEST_CHARACTER and len(self._told) < MOST_TOLD:
                self._told[text] = known
        return known

    def replaced(self, text: bytes, rewrite: Rewrite, everywhere: bool) -> bytes:
        """`text` with its matches, or the first of them, rewritten."""
        self.check(text)
        if rewrite.highest > self.groups:  # TensorFlow leaves it as it is
            return text
        if rewrite.highest and self.whole.search(text) is None:
            return text
        pattern = self.parts if rewrite.highest else self.whole
        out, at = [], 0
        for found in self._replaceable(text, pattern):
            start, end = found.span()
            content = rewrite.literal if rewrite.literal is not None else rewrite.content(found)
            if not everywhere:
                return text if rewrite.broken else text[:start] + content + text[end:]
            out += [text[at:start], content]
            at = end
        return b"".join([*out, text[at:]]) if out else text

    def _replaceable(self, text: bytes, pattern: Any) -> Iterator[Any]:
        """Yield the matches from left to right; none is empty where the last one ended."""
        at, last = 0, -1
        for found in pattern.finditer(text):
            if found.start() == found.end():
                break  # from here on RE2 goes from character to character, `finditer` from byte to byte
            yield found
            tick(f"node '{self.evidence}'")
            at = last = found.end()
        else:
            return
        while at <= len(text) and (found := pattern.search(text, at)):
            start, end = found.span(WHOLE)
            if start == end == last:
                at = end + character_at(text, end)
                last = -1
                continue
            yield found
            tick(f"node '{self.evidence}'")
            at = last = end

    def split(self, text: bytes, kept: Pattern | None) -> Iterator[tuple[int, int]]:
        """Yield start and end of each word of `text`, and of each delimiter that `kept` matches in full.

        As TF.Text has it, the delimiter is the first group of the pattern, what stands before it in the match belongs to
        the word before, and what follows is a text of its own, where `^` matches anew. A pattern without groups splits
        nothing.

        Raises:
            GraphError: a delimiter is empty, for which TF.Text never ends, or its group takes no part.
        """
        self.check(text)
        at, word = 0, 0
        while self.groups and (found := self.parts.search(text[at:])):
            (start, end), stop = found.span(1), found.end()
            if start < 0 or stop == 0:
                raise _refusal(self.written, self.evidence, "it finds a delimiter that is nothing")
            start, end = start + at, end + at
            at += stop
            if word < start:
                yield word, start
            if kept is not None and kept.matches(text[start:end]):
                yield start, end
            word = at
            tick(f"node '{self.evidence}'")
        if word < len(text):
            yield word, len(text)


def character_at(text: bytes, at: int) -> int:
    """How many bytes the character at `at` takes: one where there is none, or where it is no UTF-8.

    Surrogates count as characters: RE2 reads them.
    """
    for size in range(2, 5):
        try:
            if len(text[at : at + size].decode("utf-8", "surrogatepass")) == 1:
                return len(text[at : at + size])
        except UnicodeDecodeError:
            continue
    return 1


@lru_cache(maxsize=MOST_PATTERNS)
def compiled(pattern: str, evidence: str) -> Pattern:
    """Compile a pattern of RE2.

    Args:
        pattern: as the graph has it.
        evidence: the node, for messages.

    Raises:
        GraphError: RE2 refuses it, with RE2's reason, or it is too long.
    """
    if len(pattern) > MAX_PATTERN:
        raise _refusal(pattern, evidence, f"it has more than {MAX_PATTERN} characters")
    written = ""
    for part in _with_points(pattern, evidence):
        written += part
        if len(written) > MOST_WRITTEN:
            raise _refusal(pattern, evidence, "its classes have too many ranges")
    try:
        parts = re2().compile(written.encode(), options())
        whole = re2().compile(written.encode(), options(never_capture=True)) if parts.groups else parts
    except re2().error as error:
        told = error.args[0] if error.args else ""
        raise _refusal(pattern, evidence, told.decode() if isinstance(told, bytes) else str(told)) from error
    finally:
        re2().purge()  # its own cache holds 128 patterns, of 8 MB each where a graph is hostile
    points = not pattern.isascii() or "\\x" in pattern
    return Pattern(evidence, pattern, parts, whole, parts.groups, parts.programsize, points and _ignores_case(pattern))


def _refusal(pattern: str, evidence: str, why: str) -> GraphError:
    shown = pattern if len(pattern) <= 200 else f"{pattern[:200]}…"
    return GraphError(f"{evidence}: the pattern {shown!r} cannot be run: {why}.", "The graph is damaged, or report it.")


def _ignores_case(pattern: str) -> bool:
    return any("i" in part.partition(")")[0].partition(":")[0] for part in pattern.split("(?")[1:])


def _with_points(pattern: str, evidence: str) -> Iterator[str]:
    """Yield the pattern with code points in place of the classes that TensorFlow has others for."""
    for token in tokens(pattern):
        differing = class_differences(token.name) if token.name else ()
        if not differing:
            yield token.text
            continue
        points = code_points(token.name) or ()
        if token.negated and any(low <= code <= high for code in codes(differing) for low, high in points):
            raise _refusal(pattern, evidence, f"TensorFlow's class {token.name} holds what google-re2's does not")
        # What a class lacks is added to its negation, which RE2 keeps as it is: `(?i)` folds no code point into that.
        inner = token.text + _written(differing) if token.negated else _written(points)
        yield inner if token.bracketed else f"[{inner}]"


def bracket_points(bracket: str) -> np.ndarray:
    r"""Whether TensorFlow has each code point in a bracket such as `[a-z\p{L}]`, bool [0x110000]."""
    inside = "".join(_with_points(bracket, bracket))
    return flags(inside, f"[{inside[2:]}" if inside.startswith("[^") else f"[^{inside[1:]}")


def _written(ranges: Ranges) -> str:
    return "".join(f"\\x{{{low:X}}}-\\x{{{high:X}}}" for low, high in ranges)
