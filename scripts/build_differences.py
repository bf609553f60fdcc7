"""Ask TensorFlow about every code point, and write down where google-re2, unicodedata2 and idna answer otherwise.

    python scripts/build_differences.py           # rewrite convert/witness/differences.txt
    python scripts/build_differences.py --check   # exit 1 if TensorFlow, the libraries and the file do not fit together

The scripts of ICU are taken from convert/unicode/unicode_tables.txt, which TensorFlow was asked for in the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import idna
import numpy as np
import re2
import tensorflow as tf
import tensorflow_text as tf_text
import unicodedata2
from build_unicode_tables import CATEGORIES, CODES, SCRIPT_NAMES, TEXTS, ranges, re2_class, words, write_or_compare

from hub2hf.unicode.tables import scripts

TABLES = Path(__file__).parent.parent / "convert" / "witness" / "differences.txt"
CLASSES = (*CATEGORIES.split(), *dict.fromkeys(name[0] for name in CATEGORIES.split()), *SCRIPT_NAMES.split())
WHITE_SPACE = r"[\pZ\t-\r\x{85}]"
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_text = "".join(TEXTS).encode()
_starts = np.cumsum([0, *(len(text.encode()) for text in TEXTS)])
_encoded = tf.constant([text.encode() for text in TEXTS])


def matched(pattern: str) -> set[int]:
    """The code points that google-re2 matches, of all in one text."""
    runs = re2.compile(f"{pattern}+").finditer(_text)
    places = np.searchsorted(_starts, np.array([run.span() for run in runs], np.int64).reshape(-1, 2))
    return {code for first, last in places for code in CODES[first:last].tolist()}


def of_tensorflow(name: str) -> set[int] | None:
    """The code points that TensorFlow's RE2 has in a class; None where it has no such class."""
    try:
        return set(re2_class(name).tolist())
    except tf.errors.InvalidArgumentError:
        return None


def of_re2(name: str) -> set[int]:
    """The code points that google-re2 has in a class; none where it has no such class."""
    try:
        return matched(rf"\p{{{name}}}")
    except re2.error:
        return set()


def class_lines(found: dict[str, set[int]]) -> Iterator[str]:
    """Yield the classes of TensorFlow's RE2 that google-re2 has others for; adds the latter's scripts to `found`."""
    for name in CLASSES:
        theirs, ours = of_tensorflow(name), of_re2(name)
        found[name] = ours
        if theirs is not None and theirs ^ ours:
            yield line("class", name, theirs ^ ours)


def script_lines(found: dict[str, set[int]]) -> Iterator[str]:
    """Yield each script of ICU with the code points that google-re2 has in another or in none."""
    surrogates = set(range(0xD800, 0xE000))
    known = set().union(*(found[name] for name in SCRIPT_NAMES.split()))
    for name, codes in scripts().items():
        theirs = {code for low, high in codes.ranges for code in range(low, high + 1)} - surrogates
        ours = found[name] if name in found else set(CODES.tolist()) - known if name == "Unknown" else set()
        yield line("script", name, theirs - ours)


def case_pairs() -> set[int]:
    """The code points that TensorFlow's `(?i)` and that of google-re2 take for different others.

    Any that is equal to another has a case, for Python's Unicode or for that of unicodedata2.
    """
    cased = [text for text in TEXTS if unicodedata2.category(text) in ("Lu", "Ll", "Lt", "Mn", "Nl", "So")]
    cased = [text for text in cased if {text.lower(), text.upper(), text.casefold(), text.title()} != {text}]
    tensor = tf.constant([text.encode() for text in cased])
    found = set()
    for text in cased:
        match = re2.compile(rf"(?i)\x{{{ord(text):X}}}").fullmatch
        ours = [match(other.encode()) is not None for other in cased]
        theirs = tf.strings.regex_full_match(tensor, rf"(?i)\x{{{ord(text):X}}}").numpy()
        found |= {ord(text)} if theirs.tolist() != ours else set()
    return found


def inert() -> set[int]:
    """The code points that unicodedata2 normalizes, alone or among marks, and TensorFlow Text does not.

    Raises:
        AssertionError: it is another difference, which no stand-in mends.
    """
    found = set()
    for before, after in (("", ""), ("x\u0301", ""), ("x", "\u0334")):
        texts = [f"{before}{text}{after}" for text in TEXTS]
        for form in FORMS:
            theirs = tf_text.normalize_utf8([text.encode() for text in texts], form).numpy()
            for code, text, other in zip(CODES.tolist(), texts, theirs, strict=True):
                if unicodedata2.normalize(form, text) != other.decode():
                    if other.decode() != unicodedata2.normalize(form, before) + chr(code) + after:
                        raise AssertionError(f"U+{code:04X} is not inert to TensorFlow")
                    found.add(code)
    return found


def fold_lines() -> Iterator[str]:
    """Yield the code points that TensorFlow Text folds otherwise than idna."""
    theirs = [text.decode() for text in tf_text.case_fold_utf8(_encoded).numpy()]
    differing = [pair for pair in zip(TEXTS, theirs, strict=True) if pair[1] != of_idna(pair[0])]
    yield line("fold", "deleted", (ord(text) for text, other in differing if not other))
    yield line("fold", "kept", (ord(text) for text, other in differing if other == text))
    others = (
        f"{ord(text):X}:{'+'.join(f'{ord(c):X}' for c in other)}"
        for text, other in differing
        if other not in ("", text)
    )
    yield " ".join(["fold becomes", *others])


def of_idna(text: str) -> str:
    """What idna maps a character to; itself where it may stand in no name."""
    try:
        return idna.uts46_remap(text, std3_rules=False)
    except idna.IDNAError:
        return text


def line(kind: str, name: str, codes: Iterable[int]) -> str:
    """A line of the file."""
    return " ".join([kind, name, *ranges(codes)])


def build() -> str:
    """The whole file, as text."""
    found: dict[str, set[int]] = {}
    spaces = set(CODES[np.asarray(words(TEXTS)) == 0].tolist())
    lines = [
        "# Where TensorFlow's Unicode differs from the libraries that the interpreter runs text with;",
        "# written by scripts/build_differences.py, not by hand. Kind, name, inclusive ranges in hexadecimal.",
        "# class, white_space: in it for one of the two only. script: in it for TensorFlow Text only.",
        "# case_pairs: equal to others under (?i). inert: not normalized by TensorFlow Text. fold: what its folding gives.",
    ]
    lines += [f"version {name} {metadata.version(name)}" for name in ("google-re2", "unicodedata2", "idna")]
    lines += class_lines(found)
    lines += script_lines(found)
    lines += [line("white_space", "-", spaces ^ matched(WHITE_SPACE)), line("case_pairs", "-", case_pairs())]
    lines += [line("inert", "-", inert()), *fold_lines()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_compare(TABLES, build, __doc__))
