"""Which characters a folder is to be kept for: those of languages, of scripts, or of a person's own file.

The letters of languages are CLDR's exemplar characters: `alphabets.txt` is written by `scripts/build_alphabets.py`. Every
alphabet also has what texts of all languages share, the scripts Common (digits, punctuation, signs, emoji, white space)
and Inherited (marks).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Final

from hub2hf.errors import ExportError
from hub2hf.unicode.codepoints import CodePoints, union
from hub2hf.unicode.tables import UNLISTED_SCRIPT, scripts

EVERYWHERE: Final = ("Common", "Inherited")
UNNAMED: Final = "From_"  # at the start of what stands for a script without a name


@dataclass(frozen=True)
class Letters:
    """The letters of a language, without Common and Inherited.

    Attributes:
        written: the code points, as `CodePoints.parse` reads them.
        origin: where they are from.
    """

    written: str
    origin: str

    @cached_property
    def codes(self) -> CodePoints:
        """The code points."""
        return CodePoints.parse(self.written)


@cache
def cldr_version() -> str:
    """Return the version of CLDR that the letters are from."""
    return _table()[0]


@cache
def letters() -> dict[str, Letters]:
    """Return language → its letters."""
    return _table()[1]


def _table() -> tuple[str, dict[str, Letters]]:
    text = resources.files("hub2hf.slimming").joinpath("alphabets.txt").read_text(encoding="ascii")
    version, *lines = (line for line in text.splitlines() if not line.startswith("#"))
    rows = (line.split(" ", 2) for line in lines)
    return version.removeprefix("version "), {name: Letters(at, origin) for name, origin, at in rows}


def alphabet_of_languages(languages: Collection[str]) -> CodePoints:
    """Return the characters of languages.

    Args:
        languages: ISO 639 codes, as on LEALLA's card.

    Raises:
        ExportError: a language is not known.
    """
    _check(languages, letters(), "language")
    return _with_common(letters()[name].codes for name in languages)


def alphabet_of_scripts(names: Collection[str]) -> CodePoints:
    """Return the characters of scripts.

    Args:
        names: as Unicode has them: Latin, Old_Italic.

    Raises:
        ExportError: a script is not known.
    """
    known = [name for name in scripts() if name != UNLISTED_SCRIPT and not name.startswith(UNNAMED)]
    _check(names, known, "script")
    return _with_common(scripts()[name] for name in names)


def alphabet_of_file(path: Path) -> CodePoints:
    """Return the characters of a text file.

    Raises:
        ExportError: it cannot be read, is not UTF-8, or holds nothing but white space.
    """
    try:
        found = set(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise ExportError(f"{path} is not UTF-8.", "Save the file as UTF-8.") from error
    if not "".join(found).strip():
        raise ExportError(f"{path} holds no characters.", "Write the characters to keep into it, in any order.")
    return _with_common([CodePoints.of(*((ord(c), ord(c)) for c in found))])


def _with_common(sets: Iterable[CodePoints]) -> CodePoints:
    return union([*sets, *(scripts()[name] for name in EVERYWHERE)])


def _check(names: Collection[str], known: Collection[str], what: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ExportError(f"There is no {what} {', '.join(unknown)}.", f"Choose from: {', '.join(sorted(known))}.")


def characters(codes: CodePoints) -> set[str]:
    """Return the characters of code points, without surrogates."""
    return {chr(code) for low, high in codes.ranges for code in range(low, high + 1) if not 0xD800 <= code < 0xE000}
