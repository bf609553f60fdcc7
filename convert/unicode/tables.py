"""The Unicode tables of TensorFlow (RE2's) and TensorFlow Text (ICU's), read from `unicode_tables.txt`.

The file is written by `scripts/build_unicode_tables.py`, which asks TensorFlow about every code point.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources

from .codepoints import LAST, CodePoints, union

UNLISTED_SCRIPT = "Unknown"
OF_TEXT, OF_TENSORFLOW = "TensorFlow Text", "TensorFlow"  # each has an ICU of its own, and knows other scripts


@cache
def _lines() -> dict[str, dict[str, str]]:
    text = resources.files(__package__).joinpath("unicode_tables.txt").read_text(encoding="ascii")
    kinds: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            kind, name, ranges = line.split(" ", 2)
            kinds.setdefault(kind, {})[name] = ranges
    return kinds


@cache
def re2_class(name: str) -> CodePoints | None:
    """What `\\p{name}` means to RE2: a general category (`Lu`), a group of them (`L`), a script, or `Any`.

    Surrogates (`Cs`) are left out: UTF-8 text has none. None when RE2 has no such class.
    """
    if name == "Any":
        return ~CodePoints()
    lines = _lines()
    if name in lines["re2_script"]:
        return CodePoints.parse(lines["re2_script"][name])
    if name == "Cs":
        return CodePoints()
    categories = [ranges for key, ranges in lines["re2_category"].items() if key in (name, name + key[1:])]
    return union(map(CodePoints.parse, categories)) if categories else None


@cache
def whitespace() -> CodePoints:
    """What `UnicodeScriptTokenizer(keep_whitespace=False)` drops: ICU's `u_isUWhiteSpace`."""
    return CodePoints.parse(_lines()["icu_whitespace"]["-"])


def scripts(table: str = OF_TEXT) -> dict[str, CodePoints]:
    """ICU's Script property as TensorFlow Text has it, or TensorFlow: every code point, white space too, in one script."""
    return _of_tensorflow() if table == OF_TENSORFLOW else _of_text()


@cache
def _of_text() -> dict[str, CodePoints]:
    known = {name: CodePoints.parse(ranges) for name, ranges in _lines()["icu_script"].items()}
    return known | {UNLISTED_SCRIPT: ~union(known.values())}


@cache
def _of_tensorflow() -> dict[str, CodePoints]:
    """The scripts that `tf.strings.unicode_script` tells apart, under the names that most of their code points have."""
    found: dict[str, CodePoints] = {}
    lines = resources.files(__package__).joinpath("script_numbers.txt").read_text(encoding="ascii").splitlines()
    for line in (line for line in lines if not line.startswith("#")):
        codes = union(
            CodePoints.of((int(low, 16), int(high or low, 16)))
            for low, _, high in (each.partition("-") for each in line.split()[1:])
        )
        found[max(scripts(), key=lambda name: len(scripts()[name] & codes))] = codes
    return found | {UNLISTED_SCRIPT: ~union(found.values())}


@cache
def _script_numbers(table: str) -> bytes:
    numbers = bytearray(LAST + 1)
    for number, codes in enumerate(scripts(table).values()):
        for low, high in codes.ranges:
            numbers[low : high + 1] = bytes((number,)) * (high + 1 - low)
    return bytes(numbers)


def script_of(character: str, table: str = OF_TEXT) -> int:
    """The place of a character's script in `scripts(table)`."""
    return _script_numbers(table)[ord(character)]


@cache
def property_edges() -> frozenset[int]:
    """The code points at which a script, a category, a class of RE2 or white space begins, or has ended."""
    tables = [whitespace(), *scripts().values()]
    for kind in ("re2_category", "re2_script"):
        tables += map(CodePoints.parse, _lines()[kind].values())
    return frozenset(edge for codes in tables for low, high in codes.ranges for edge in (low, high + 1))


def everywhere() -> Iterator[int]:
    """Yield every code point that has a script, or lies in the first plane; surrogates apart."""
    unknown = list(scripts()).index(UNLISTED_SCRIPT)
    numbers = _script_numbers(OF_TEXT)
    return (c for c in range(LAST + 1) if (c < 0x10000 and not 0xD800 <= c < 0xE000) or numbers[c] != unknown)
