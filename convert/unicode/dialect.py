r"""How regexes are written for an engine: the same sets, loops and ends, in the syntax that it reads.

A set is always one of explicit code points, in whichever of `[…]`, `[^…]` is shorter, so that no engine has to consult a
Unicode table of its own, which may be of another version.
"""

from __future__ import annotations

from dataclasses import dataclass

from .codepoints import CodePoints


@dataclass(frozen=True)
class Dialect:
    """What differs between engines.

    Attributes:
        point: a code point, for `str.format`.
        everything: any character at all.
        start: the empty string at the start of the text.
        end: the empty string at the end of the text.
        behind: a regex after another one that is not part of the match, for `str.format`.
        beginning: a regex that only what is told of begins, for `str.format`. An engine that tries one alternative after the
            other at each character is told so: then most characters are looked at once.
        loop: what follows `*` and `+` in a loop that never has to give back what it took. It then must not, where the engine
            can be told so; what is compiled is exact either way, as nothing that could come next is in the loop.
    """

    point: str
    everything: str
    start: str
    end: str
    behind: str
    beginning: str
    loop: str

    def one_of(self, codes: CodePoints) -> str:
        """Write a set of code points."""
        if not codes:
            return r"(?!)"
        inverse = ~codes
        if len(inverse.ranges) < len(codes.ranges):
            return f"[^{self._body(inverse)}]" if inverse else self.everything
        return f"[{self._body(codes)}]"

    def after(self, before: str, regex: str) -> str:
        """Write `regex` where `before` stands in front of it; no match may stand in front of another one so."""
        return self.behind.format(before, regex)

    def beginning_with(self, codes: CodePoints, regex: str) -> str:
        """Write `regex`, whose matches, with what stands in front of them as for `after`, all begin with one of `codes`."""
        return self.beginning.format(self.one_of(codes), regex)

    def any_number(self, regex: str) -> str:
        """Write `regex` any number of times, never fewer than there are."""
        return f"{regex}*{self.loop}"

    def at_least_one(self, regex: str) -> str:
        """Write `regex` once or more, never fewer times than it is there."""
        return f"{regex}+{self.loop}"

    def _body(self, codes: CodePoints) -> str:
        return "".join(
            self._point(low) if low == high else f"{self._point(low)}-{self._point(high)}" for low, high in codes.ranges
        )

    def _point(self, code: int) -> str:
        if chr(code).isascii() and (chr(code).isalnum() or chr(code) == " "):
            return chr(code)
        return self.point.format(code)


ONIGURUMA = Dialect(
    point=r"\x{{{:X}}}",
    everything=r"(?m:.)",
    start=r"\A",
    end=r"\z",
    behind=r"{}\K{}",
    beginning="(?={})(?:{})",
    loop="+",
)

# Under the flag `u`. It has no atomic loop; what `^` and `\s` mean is for the library to say that reads the file.
JAVASCRIPT = Dialect(
    point=r"\u{{{:X}}}",
    everything=r"[\u{0}-\u{10FFFF}]",
    start=r"(?<![\u{0}-\u{10FFFF}])",
    end=r"(?![\u{0}-\u{10FFFF}])",
    behind=r"(?<={}){}",
    beginning="{1}",
    loop="",
)
