"""A parser for the RE2 patterns that text graphs hold (syntax: https://github.com/google/re2/wiki/Syntax).

The tree it gives has no Unicode table, no flag and no shorthand left: every class is a set of code points
as TensorFlow's build of RE2 sees it. What is outside the subset below is a GraphError, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import NoReturn

from hub2hf.errors import GraphError
from hub2hf.limits import MAX_GROUPS, MAX_PATTERN

from .codepoints import EVERYTHING, NOTHING, CodePoints, union
from .tables import re2_class


@dataclass(frozen=True)
class Chars:
    """One character of a set."""

    codes: CodePoints


@dataclass(frozen=True)
class Anchor:
    """The empty string, at the `start` or the `end` of the text only."""

    at: str


@dataclass(frozen=True)
class Concat:
    """One part after another; no part is the empty string."""

    parts: tuple[Regex, ...]


@dataclass(frozen=True)
class Alternate:
    """Any of the options, an earlier one preferred."""

    options: tuple[Regex, ...]


@dataclass(frozen=True)
class Repeat:
    """`node` from `low` to `high` times (None: no bound), as many as possible unless `lazy`."""

    node: Regex
    low: int
    high: int | None
    lazy: bool


Regex = Chars | Anchor | Concat | Alternate | Repeat

NEWLINE = CodePoints.single(0x0A)
DIGIT = CodePoints.parse("30-39")
SPACE = CodePoints.parse("9-A C-D 20")  # RE2's \s has no vertical tab
WORD = CodePoints.parse("30-39 41-5A 5F 61-7A")
PERL = {"d": DIGIT, "s": SPACE, "w": WORD}
ESCAPES = {"a": 0x07, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
POSIX = {
    "alnum": CodePoints.parse("30-39 41-5A 61-7A"),
    "alpha": CodePoints.parse("41-5A 61-7A"),
    "ascii": CodePoints.parse("0-7F"),
    "blank": CodePoints.parse("9 20"),
    "cntrl": CodePoints.parse("0-1F 7F"),
    "digit": DIGIT,
    "graph": CodePoints.parse("21-7E"),
    "lower": CodePoints.parse("61-7A"),
    "print": CodePoints.parse("20-7E"),
    "punct": CodePoints.parse("21-2F 3A-40 5B-60 7B-7E"),
    "space": CodePoints.parse("9-D 20"),
    "upper": CodePoints.parse("41-5A"),
    "word": WORD,
    "xdigit": CodePoints.parse("30-39 41-46 61-66"),
}
MOST_REPEATS = 1000  # RE2's own limit (kMaxRepeat)


def parse(pattern: str, evidence: str) -> Regex:
    """The tree of an RE2 pattern.

    Args:
        pattern: RE2 syntax, default options (UTF-8, case sensitive, `.` without newline, `^ $` on the text).
        evidence: the graph node it was read from, for the error.

    Raises:
        GraphError: the pattern is not RE2, or uses something not understood here.
    """
    return _Parser(pattern, evidence).whole()


def unsupported(pattern: str, evidence: str, why: str) -> GraphError:
    """The error for a pattern that cannot be translated exactly."""
    shown = pattern if len(pattern) <= 200 else f"{pattern[:200]}…"
    return GraphError(
        f"{evidence}: the pattern {shown!r} cannot be translated: {why}.",
        "Please report the module; hub2hf converts exactly or not at all.",
    )


class _Parser:
    """Recursive descent over one pattern; `position` is the next character."""

    def __init__(self, pattern: str, evidence: str) -> None:
        self.pattern = pattern
        self.evidence = evidence
        self.position = 0
        self.dot_all = False
        self.ungreedy = False
        self.depth = 0

    def fail(self, why: str) -> NoReturn:
        raise unsupported(self.pattern, self.evidence, f"{why} at character {self.position + 1}")

    def peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.position)

    def accept(self, text: str) -> bool:
        found = self.peek(text)
        self.position += len(text) if found else 0
        return found

    def take(self) -> str:
        if self.position == len(self.pattern):
            self.fail("it ends too early")
        self.position += 1
        return self.pattern[self.position - 1]

    def until(self, end: str) -> str:
        stop = self.pattern.find(end, self.position)
        if stop < 0:
            self.fail(f"no closing {end!r}")
        text, self.position = self.pattern[self.position : stop], stop + len(end)
        return text

    def whole(self) -> Regex:
        if len(self.pattern) > MAX_PATTERN:
            self.fail(f"it has more than {MAX_PATTERN} characters")
        node = self.alternation()
        if self.position != len(self.pattern):
            self.fail("unbalanced ')'")
        return node

    def alternation(self) -> Regex:
        options = [self.concatenation()]
        while self.accept("|"):
            options.append(self.concatenation())
        if all(isinstance(option, Chars) for option in options):
            return Chars(union(option.codes for option in options if isinstance(option, Chars)))
        return Alternate(tuple(options)) if len(options) > 1 else options[0]

    def concatenation(self) -> Regex:
        parts: list[Regex] = []
        while self.position < len(self.pattern) and not (self.peek("|") or self.peek(")")):
            if self.accept(r"\Q"):
                literal = self.until(r"\E") if r"\E" in self.pattern[self.position :] else self.rest()
                parts += [Chars(CodePoints.single(ord(char))) for char in literal]
                continue
            atom = self.atom()
            if atom is not None:
                parts.append(self.quantified(atom))
        return parts[0] if len(parts) == 1 else Concat(tuple(parts))

    def rest(self) -> str:
        text, self.position = self.pattern[self.position :], len(self.pattern)
        return text

    def quantified(self, node: Regex) -> Regex:
        start = self.position
        bounds = self.bounds()
        if bounds is None:
            return node
        low, high = bounds
        if isinstance(node, Anchor):
            self.fail("a repeated anchor")
        if max(low, high or 0) > MOST_REPEATS or (high is not None and high < low):
            self.fail("a bad repetition")
        lazy = self.accept("?") != self.ungreedy
        if self.bounds() is not None:
            self.position = start
            self.fail("a repetition of a repetition")
        return Repeat(node, low, high, lazy)

    def bounds(self) -> tuple[int, int | None] | None:
        for sign, found in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.accept(sign):
                return found
        start = self.position
        if self.accept("{"):
            low, comma, high = self.until("}").partition(",") if "}" in self.pattern[start:] else ("", "", "")
            if low.isascii() and low.isdigit() and (not high or (high.isascii() and high.isdigit())):
                return int(low), int(high) if high else (None if comma else int(low))
        self.position = start  # RE2 takes any other brace as itself
        return None

    def atom(self) -> Regex | None:
        """One atom; None for a flag group such as `(?s)`, which only changes what follows."""
        char = self.take()
        if char == "(":
            return self.group()
        if char == "[":
            return Chars(self.bracket())
        if char == ".":
            return Chars(EVERYTHING if self.dot_all else ~NEWLINE)
        if char in "^$":
            return Anchor("start" if char == "^" else "end")
        if char == "\\":
            return self.escape()
        if char in "*+?":
            self.fail("nothing to repeat")
        return Chars(CodePoints.single(ord(char)))

    def group(self) -> Regex | None:
        flags = self.dot_all, self.ungreedy
        self.depth += 1
        if self.depth > MAX_GROUPS:
            self.fail(f"more than {MAX_GROUPS} groups in one another")
        if self.accept("?P<") or self.accept("?<"):
            if self.peek("=") or self.peek("!"):
                self.fail("look-behind, which RE2 does not have")
            self.until(">")
        elif self.accept("?") and self.flags():
            self.depth -= 1
            return None
        node = self.alternation()
        if not self.accept(")"):
            self.fail("no closing ')'")
        self.dot_all, self.ungreedy = flags
        self.depth -= 1
        return node

    def flags(self) -> bool:
        """Read `s:`, `-s:` or `s)`; True when it was a flag group that closes at once."""
        on = True
        while True:
            char = self.take()
            if char == "-" and on:
                on = False
            elif char == "s":
                self.dot_all = on
            elif char == "U":
                self.ungreedy = on
            elif char in ":)":
                return char == ")"
            else:
                self.fail(f"the flag {char!r}")

    def escape(self) -> Regex:
        char = self.take()
        if char in "Az":
            return Anchor("start" if char == "A" else "end")
        if char == "C":
            self.fail(r"\C (a single byte)")
        if char in "bB":
            self.fail(rf"\{char} (a word boundary)")
        return Chars(self.escaped_set(char))

    def escaped_set(self, char: str) -> CodePoints:
        """What a backslash and `char` stand for, where a set is welcome."""
        if char in "pP":
            return self.property_class(negated=char == "P")
        if char.lower() in PERL:
            found = PERL[char.lower()]
            return ~found if char.isupper() else found
        return CodePoints.single(self.escaped_code(char))

    def escaped_code(self, char: str) -> int:
        if char in ESCAPES:
            return ESCAPES[char]
        if char == "x":
            digits = self.until("}") if self.accept("{") else self.take() + self.take()
            try:
                code = int(digits, 16)
            except ValueError:
                self.fail("bad hexadecimal digits")
            return code if code <= 0x10FFFF else self.fail("a code point above 10FFFF")
        if char.isascii() and not char.isalnum() and char != "_":
            return ord(char)
        return self.fail(rf"the escape \{char}")

    def property_class(self, negated: bool) -> CodePoints:
        name = self.take()
        if name == "{":
            name = self.until("}")
        if name.startswith("^"):
            name, negated = name[1:], not negated
        found = re2_class(name)
        if found is None:
            self.fail(f"the class {name!r}, unknown to this RE2")
        return ~found if negated else found

    def bracket(self) -> CodePoints:
        negated = self.accept("^")
        found: list[CodePoints] = []
        while not found or not self.accept("]"):  # a `]` right after `[` is itself
            found.append(self.bracket_item())
        return ~union(found) if negated else union(found)

    def bracket_item(self) -> CodePoints:
        if self.accept("[:"):
            name = self.until(":]")
            if name.lstrip("^") not in POSIX:
                self.fail(f"the class [:{name}:]")
            return ~POSIX[name[1:]] if name.startswith("^") else POSIX[name]
        low = self.take()
        if low == "\\":
            char = self.take()
            if char in "pPdDsSwW":
                return self.escaped_set(char)
            first = self.escaped_code(char)
        else:
            first = ord(low)
        if not self.peek("-") or self.peek("-]"):
            return CodePoints.single(first)
        self.take()
        high = self.take()
        last = self.escaped_code(self.take()) if high == "\\" else ord(high)
        return CodePoints.of((first, last)) if first <= last else self.fail("a range that runs backwards")


def alphabet(node: Regex) -> CodePoints:
    """Every code point that some class of the pattern could match."""
    if isinstance(node, Chars):
        return node.codes
    if isinstance(node, Anchor):
        return NOTHING
    return union(alphabet(child) for child in children(node))


def children(node: Regex) -> Iterable[Regex]:
    """The nodes one level down."""
    if isinstance(node, Concat):
        return node.parts
    if isinstance(node, Alternate):
        return node.options
    return (node.node,) if isinstance(node, Repeat) else ()


def example(node: Regex, source: Random) -> str:
    """A text that the pattern matches, one of those that `source` draws."""
    if isinstance(node, Chars):
        low, high = source.choice(node.codes.ranges) if node.codes else (0x61, 0x61)
        code = source.choice((low, high, source.randint(low, high)))
        return "" if 0xD800 <= code < 0xE000 else chr(code)
    if isinstance(node, Concat):
        return "".join(example(part, source) for part in node.parts)
    if isinstance(node, Alternate):
        return example(source.choice(node.options), source)
    if isinstance(node, Repeat):
        most = node.low + 2 if node.high is None else min(node.high, node.low + 2)
        return "".join(example(node.node, source) for _ in range(source.randint(node.low, most)))
    return ""
