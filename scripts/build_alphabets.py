"""Read the letters of every language of the card from CLDR, and write them down for `hub2hf slim --languages`.

    npm pack cldr-misc-full@48.2.0
    python scripts/build_alphabets.py cldr-misc-full-48.2.0.tgz           # rewrite convert/slimming/alphabets.txt
    python scripts/build_alphabets.py cldr-misc-full-48.2.0.tgz --check   # exit 1 if CLDR and the file differ
    python scripts/build_alphabets.py --coverage                          # how many of the project's sentences each covers

CLDR's exemplar characters (unicode.org/reports/tr35/tr35-general.html#Character_Elements) are what a language is usually
written in: the main set, the auxiliary one of foreign words, punctuation and numbers. Characters of the scripts Common and
Inherited are left out: every alphabet has all of them. Languages that CLDR lacks have the letters of the project's own
sentences, and are marked so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import string
import sys
import tarfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from hub2hf.equivalence.sentences import language_sentences
from hub2hf.slimming.alphabet import EVERYWHERE, alphabet_of_languages
from hub2hf.unicode.codepoints import CodePoints, union
from hub2hf.unicode.tables import scripts

TABLE = Path(__file__).parent.parent / "convert" / "slimming" / "alphabets.txt"
VERSION = "48.2.0"
SHA256 = "c6ba8384d7ea8701cf86935db0461379231ddd970cc41c249f4a33b9857ded3c"  # of cldr-misc-full-48.2.0.tgz
SETS = ("exemplarCharacters", "auxiliary", "punctuation", "punctuation-auxiliary", "numbers", "numbers-auxiliary")
NAMES = {"tl": ["fil"]}  # of the card → in CLDR
BOTH_SCRIPTS = {"zh": ["zh", "zh-Hant"], "sr": ["sr", "sr-Latn"]}  # either may be what a text in it is written in
POINTS = [*range(0xD800), *range(0xE000, 0x110000)]
# A range, a string in braces, an escape or a character of a UnicodeSet (unicode.org/reports/tr35/#Unicode_Sets).
ITEM = re.compile(r"\{[^}]*\}|\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}|\\.|[^\s]", re.DOTALL)


def characters(text: str) -> Iterator[str]:
    """Yield the characters of a UnicodeSet as CLDR writes its exemplars: no set in a set, no property."""
    items = ITEM.findall(text.removeprefix("[").removesuffix("]"))
    while items:
        first = unescaped(items.pop(0))
        if len(items) > 1 and items[0] == "-":
            last = unescaped(items[1])
            del items[:2]
            yield from map(chr, range(ord(first), ord(last) + 1))
        else:
            yield from first


def unescaped(item: str) -> str:
    """Return what an item stands for."""
    if item.startswith("{"):
        return "" if item.startswith("{<") else "".join(unescaped(part) for part in ITEM.findall(item[1:-1]))
    if item.startswith(("\\u", "\\U")):
        return chr(int(item[2:], 16))
    return item.removeprefix("\\")


def spellings(letters: set[str]) -> CodePoints:
    """Return all in which letters may be written: both cases, parts and wholes, forms of another width, and no letters.

    Digits, punctuation and marks of a script are few, and CLDR often has only some of those that texts use.
    """
    cased = {c for letter in letters for c in (letter, *letter.upper(), *letter.lower(), *letter.title())}
    known = cased | {c for letter in cased for c in unicodedata.normalize("NFD", letter)}
    found = {c for c in map(chr, POINTS) if c in known or known.issuperset(unicodedata.normalize("NFKC", c))}
    own = {name for name, codes in scripts().items() if name not in EVERYWHERE and any(ord(c) in codes for c in known)}
    for low, high in union(scripts()[name] for name in own).ranges:
        found |= {c for c in map(chr, range(low, high + 1)) if not unicodedata.category(c).startswith(("L", "C"))}
    return CodePoints.of(*((ord(c), ord(c)) for c in found))


def of_cldr(package: tarfile.TarFile, locale: str) -> set[str]:
    """Return the exemplar characters of a locale."""
    file = package.extractfile(f"package/main/{locale}/characters.json")
    assert file is not None
    known = json.load(file)["main"][locale]["characters"]
    return {c for name in SETS if name in known for c in characters(known[name])}


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of the table."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{path} is not cldr-misc-full {VERSION}: its SHA-256 is another.")
    common = union(scripts()[name] for name in EVERYWHERE)
    sentences = language_sentences()
    yield f"# Written by scripts/build_alphabets.py from CLDR {VERSION} (npm: cldr-misc-full), Unicode License V3."
    yield "# Language, where its letters are from, and the letters, hexadecimal; without the scripts Common and Inherited."
    yield f"version {VERSION}"
    with tarfile.open(path) as package:
        there = set(package.getnames())
        for language in dict.fromkeys(name for name, _ in sentences):
            locales = NAMES.get(language) or BOTH_SCRIPTS.get(language) or [language]
            found, origin = set[str](), "sentences"
            if f"package/main/{locales[0]}/characters.json" in there:
                origin = "+".join(locales)
                found = {c for locale in locales for c in of_cldr(package, locale)}
            if not any(
                map(str.isalpha, found)
            ):  # CLDR has not got it, or not its letters: all such are in Latin script
                origin, found = "sentences", {c for name, text in sentences if name == language for c in text}
                found |= set(string.ascii_letters)
            letters = spellings(found) - common
            spans = (f"{low:X}-{high:X}" if high > low else f"{low:X}" for low, high in letters.ranges)
            yield f"{language} {origin} {' '.join(spans)}"


def coverage() -> Iterator[str]:
    """Yield how many of the project's sentences are written in nothing but the alphabet of their language."""
    sentences = language_sentences()
    whole = 0
    for language in dict.fromkeys(name for name, _ in sentences):
        alphabet, texts = alphabet_of_languages([language]), [text for name, text in sentences if name == language]
        covered = [text for text in texts if all(ord(c) in alphabet for c in text)]
        outside = {c for text in texts for c in text if ord(c) not in alphabet}
        whole += not outside
        told = f"; outside: {' '.join(sorted(outside))}" if outside else ""
        yield f"{language}: {len(covered)} of {len(texts)} sentences{told}"
    yield f"{whole} languages whole"


def main() -> None:
    """Write the table, compare it, or print what it covers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, nargs="?", help="cldr-misc-full as npm packs it")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--coverage", action="store_true", help="print what the table that is there covers")
    arguments = parser.parse_args()
    if arguments.coverage:
        print("\n".join(coverage()))
    elif arguments.package is None:
        parser.error("name the package")
    else:
        text = "\n".join(lines(arguments.package)) + "\n"
        if arguments.check and TABLE.read_text(encoding="ascii") != text:
            sys.exit(f"{TABLE} differs from CLDR {VERSION}")
        TABLE.write_text(text, encoding="ascii")
        print(f"{TABLE}: {len(text)} bytes")


if __name__ == "__main__":
    main()
