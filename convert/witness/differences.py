"""The code points at which TensorFlow differs from the libraries that it is compared with, read from `differences.txt`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

Range = tuple[int, int]
Ranges = tuple[Range, ...]  # inclusive, ascending, neither touching nor overlapping

PACKAGES = ("google-re2", "unicodedata2", "idna")


@cache
def _lines() -> Mapping[str, Mapping[str, str]]:
    text = resources.files(__package__).joinpath("differences.txt").read_text(encoding="ascii")
    kinds: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            kind, name, *rest = line.split(" ", 2)
            kinds.setdefault(kind, {})[name] = "".join(rest)
    return kinds


def parse_ranges(text: str) -> Ranges:
    """Read `41-5A AA B5`, hexadecimal and inclusive."""
    pairs = (item.partition("-") for item in text.split())
    return tuple((int(low, 16), int(high or low, 16)) for low, _, high in pairs)


def codes(ranges: Iterable[Range]) -> Iterable[int]:
    """Every code point of `ranges`, in order."""
    return (code for low, high in ranges for code in range(low, high + 1))


@cache
def class_differences(name: str) -> Ranges:
    """The code points that are in `\\p{name}` for one of TensorFlow's RE2 and `google-re2`, and not for the other."""
    return parse_ranges(_lines()["class"].get(name, ""))


@cache
def script_differences() -> Mapping[str, Ranges]:
    """Every script of TensorFlow Text's ICU, with the code points that `google-re2` has in another, or in none."""
    return {name: parse_ranges(text) for name, text in _lines()["script"].items()}


@cache
def white_space_differences() -> Ranges:
    """The code points that only one of ICU and `google-re2` takes for white space."""
    return parse_ranges(_lines()["white_space"]["-"])


@cache
def folding_pairs() -> frozenset[str]:
    """The characters that `(?i)` of `google-re2` takes for others than that of TensorFlow's RE2."""
    return frozenset(map(chr, codes(parse_ranges(_lines()["case_pairs"]["-"]))))


@cache
def inert() -> frozenset[str]:
    """The characters that `unicodedata2` normalizes and TensorFlow Text, which does not know them, leaves alone."""
    return frozenset(map(chr, codes(parse_ranges(_lines()["inert"]["-"]))))


@cache
def folded() -> Mapping[str, str]:
    """The characters that TensorFlow Text folds otherwise than `idna`, and what they become."""
    lines = _lines()
    found = {chr(code): "" for code in codes(parse_ranges(lines["fold"]["deleted"]))}
    found |= {chr(code): chr(code) for code in codes(parse_ranges(lines["fold"]["kept"]))}
    for item in lines["fold"]["becomes"].split():
        character, _, target = item.partition(":")
        found[chr(int(character, 16))] = "".join(chr(int(code, 16)) for code in target.split("+"))
    return found


def versions() -> str:
    """The installed versions of the libraries, and those that the differences were written for."""
    from importlib import metadata  # slow to load, and for messages only

    told = (f"{name} {metadata.version(name)} (known: {_lines()['version'][name]})" for name in PACKAGES)
    return ", ".join(told)
