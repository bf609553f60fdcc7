"""Read how TensorFlow Text folds case, decomposes each character and sorts marks, and write it down.

`CaseFoldUTF8` is ICU's NFKC_Casefold and `NormalizeUTF8` its NFD, both of the copy of ICU that TensorFlow Text carries; no
Python or Rust library follows the same Unicode version. So both are observed, code point by code point, and so is which
marks the NFD of `tokenizers` leaves unsorted.

    python scripts/build_folding_tables.py           # rewrite convert/unicode/folding_tables.txt
    python scripts/build_folding_tables.py --check   # exit 1 if TensorFlow and the file differ
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import tensorflow as tf
import tensorflow_text as tf_text
from build_unicode_tables import write_or_compare
from tokenizers import normalizers

from hub2hf.unicode.codepoints import CodePoints

TABLES = Path(__file__).parent.parent / "convert" / "unicode" / "folding_tables.txt"
HANGUL = range(0xAC00, 0xD7A4)  # the syllables, which the Unicode standard, section 3.12, decomposes by arithmetic
CODES = [*range(0xD800), *range(0xE000, 0x110000)]
TEXTS = [chr(code) for code in CODES]

Change = tuple[int, str]


def changes(outputs: tf.Tensor) -> Iterator[Change]:
    """Yield the code points that an operation changes, and what they become."""
    for code, text, output in zip(CODES, TEXTS, outputs.numpy(), strict=True):
        if output.decode() != text and code not in HANGUL:
            yield code, output.decode()


def runs(found: Iterable[Change]) -> Iterator[str]:
    """Yield `LOW[-HIGH[/STEP]]:TARGET`: each code point STEP later becomes the one STEP after the last one's target."""
    run: list[Change] = []
    for change in found:
        if run and not _continues(run, change):
            yield _written(run)
            run = []
        run.append(change)
    if run:
        yield _written(run)


def _continues(run: list[Change], change: Change) -> bool:
    (last, target), (code, text) = run[-1], change
    step = run[1][0] - run[0][0] if len(run) > 1 else code - last
    if len(target) != 1 or len(text) != 1 or step > 2:
        return False
    return code - last == step and ord(text) - ord(target) == step


def _written(run: list[Change]) -> str:
    (low, target), high = run[0], run[-1][0]
    step = run[1][0] - low if len(run) > 1 else 1
    span = "" if len(run) == 1 else f"-{high:X}" + (f"/{step}" if step > 1 else "")
    return f"{low:X}{span}:{'+'.join(f'{ord(c):X}' for c in target)}"


def nfd(texts: Iterable[str]) -> list[str]:
    """What TensorFlow Text makes of each text in the form NFD."""
    return [text.decode() for text in tf_text.normalize_utf8([text.encode() for text in texts], "NFD").numpy()]


def marks() -> list[str]:
    """The characters that NFD moves, sorted as it sorts them: all of them as the marks of one letter.

    Of any two of different classes, one order is changed; U+0334 is of the first class, U+0301 of one of the last.
    """
    frames = [f"x\u0301{text}" for text in TEXTS] + [f"x{text}\u0334" for text in TEXTS]
    moved = [out != frame for out, frame in zip(nfd(frames), frames, strict=True)]
    alone = [out == text for out, text in zip(nfd(TEXTS), TEXTS, strict=True)]
    found = zip(TEXTS, alone, moved[: len(TEXTS)], moved[len(TEXTS) :], strict=True)
    return list(nfd(["".join(text for text, whole, left, right in found if whole and (left or right))])[0])


def classes(ordered: list[str]) -> Iterator[str]:
    """Yield the marks of each combining class, as ranges: a class ends where the next mark would go after."""
    group = ordered[:1]
    swapped = nfd(b + a for a, b in pairwise(ordered))
    for (before, after), text in zip(pairwise(ordered), swapped, strict=True):
        if text == before + after:
            yield ranges(group)
            group = []
        group.append(after)
    yield ranges(group)


def unsorted(ordered: list[str]) -> str:
    """The marks that the NFD of `tokenizers` takes for letters, as ranges."""
    stock = normalizers.NFD().normalize_str
    return ranges(c for c in ordered if stock(f"\u0301{c}") == f"\u0301{c}" and stock(f"{c}\u0334") == f"{c}\u0334")


def uncomposed(folded: Iterable[tuple[str, str]]) -> str:
    """The characters that folding composes and the NFC of `tokenizers` does not, and what they begin with decomposed."""
    stock = normalizers.NFC().normalize_str
    kept = [text for text, target in folded if text == target]
    parts = zip(kept, nfd(kept), strict=True)
    return ranges({c for whole, apart in parts if stock(apart) != whole for c in whole + apart[0]})


def ranges(characters: Iterable[str]) -> str:
    """The characters as `CodePoints.parse` reads them."""
    codes = CodePoints.of(*((ord(c), ord(c)) for c in characters))
    return " ".join(f"{low:X}" if low == high else f"{low:X}-{high:X}" for low, high in codes.ranges)


def build() -> str:
    """The whole file, as text."""
    encoded = tf.constant([text.encode() for text in TEXTS])
    ordered = marks()
    tables = {"casefold": tf_text.case_fold_utf8(encoded), "nfd": tf_text.normalize_utf8(encoded, "NFD")}
    lines = [
        "# What TensorFlow Text makes of single characters; written by scripts/build_folding_tables.py, not by hand.",
        "# LOW[-HIGH[/STEP]]:TARGET+TARGET, hexadecimal; in a run the target moves with the code point; no target deletes.",
        "# Hangul syllables are left out of both: they fold to themselves, and decompose by arithmetic.",
        "# marks: what NFD sorts, a line for each combining class, the lowest first.",
        "# unsorted: those of them that the NFD of the tokenizers library does not sort.",
        "# uncomposed: what folding composes and the NFC of the tokenizers library does not, and with what it begins.",
    ]
    for name, outputs in tables.items():
        lines += [f"[{name}]", *runs(changes(outputs))]
    lines += ["[marks]", *classes(ordered), "[unsorted]", unsorted(ordered)]
    folded = (target.decode() for target in tables["casefold"].numpy())
    lines += ["[uncomposed]", uncomposed(zip(TEXTS, folded, strict=True))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_compare(TABLES, build, __doc__))
