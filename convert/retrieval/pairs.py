"""Pairs of translations: two files line by line, a TSV, or a folder named as Tatoeba's in LASER."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub2hf.errors import SourceError
from hub2hf.proof.text import count

# github.com/facebookresearch/LASER, data/tatoeba/v1: tatoeba.deu-eng.deu and tatoeba.deu-eng.eng
NAMED: Final = re.compile(r"(?P<set>.+)\.(?P<one>[\w]+)-(?P<other>[\w]+)\.(?P<side>[\w]+)")
FORMS: Final = (
    "Give two files that match line by line, a TSV file (text, text; or language, text, text), or a folder of files such as "
    "tatoeba.deu-eng.deu."
)


HEADERS: Final = (["language", "text", "translation"], ["text", "translation"])


@dataclass(frozen=True)
class Pairs:
    """Sentences of a language, and their translations.

    Attributes:
        language: what the pairs are called: the language, as the data has it.
        texts, translations: as many of each; number i of one is the translation of number i of the other.
    """

    language: str
    texts: Sequence[str]
    translations: Sequence[str]


@dataclass(frozen=True)
class DataSet:
    """All pairs that were named.

    Attributes:
        name: of the file or folder, without what is above it.
        sha256: over the names and contents of its files, in order.
        pairs: a set each language.
    """

    name: str
    sha256: str
    pairs: Sequence[Pairs]


def read_pairs(paths: Sequence[Path], languages: Collection[str] = (), sample: int | None = None) -> DataSet:
    """Read pairs.

    Args:
        paths: a folder, a TSV, or two files of as many lines.
        languages: only these, as the data names them.
        sample: only so many of each language, the first ones.

    Raises:
        SourceError: there are none, one cannot be read, or two sides have different numbers of lines.
    """
    if len(paths) == 2:
        files, found = list(paths), [_pair(paths[0].suffix.lstrip(".") or paths[0].name, *paths)]
    elif len(paths) == 1 and paths[0].is_dir():
        files, found = _folder(paths[0], languages)
    elif len(paths) == 1:
        files, found = [paths[0]], _table(paths[0])
    else:
        raise SourceError(f"{len(paths)} files do not make pairs.", FORMS)
    unknown = sorted(set(languages) - {pairs.language for pairs in found})
    if unknown:
        raise SourceError(f"{paths[0]} has no pairs in {', '.join(unknown)}.", "Name languages as the data does.")
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\n".encode())
        digest.update(file.read_bytes())
    kept = [pairs for pairs in found if not languages or pairs.language in languages]
    name = " and ".join(path.name for path in paths)
    if sample is not None:
        if sample < 1:
            raise SourceError(f"A sample of {sample} pairs measures nothing.", "Ask for more.")
        kept = [Pairs(each.language, each.texts[:sample], each.translations[:sample]) for each in kept]
        name = f"{name}, at most {sample:,} pairs of a language"
    return DataSet(name, digest.hexdigest(), kept)


def _folder(folder: Path, languages: Collection[str]) -> tuple[list[Path], list[Pairs]]:
    files, found = [], []
    for path in sorted(folder.iterdir()):
        named = NAMED.fullmatch(path.name)
        if named is None or named["side"] != named["one"] or (languages and named["one"] not in languages):
            continue
        other = path.with_name(path.name.removesuffix(named["side"]) + named["other"])
        files += [path, other]
        found.append(_pair(named["one"], path, other))
    if not found and not languages:
        raise SourceError(f"{folder} holds no pairs.", FORMS)
    return files, found


def _pair(language: str, one: Path, other: Path) -> Pairs:
    texts, translations = _lines(one), _lines(other)
    if len(texts) != len(translations):
        raise SourceError(
            f"{one} has {len(texts):,} lines, and {other} has {len(translations):,}.",
            "Each line needs its translation.",
        )
    return _checked(Pairs(language, texts, translations), str(one))


def _table(path: Path) -> list[Pairs]:
    rows: dict[str, tuple[list[str], list[str]]] = {}
    columns = 0
    for number, line in enumerate(_lines(path), 1):
        cells = line.split("\t")
        if len(cells) not in (2, 3):
            raise SourceError(f"{path}: line {number} has {count(len(cells), 'column')}.", FORMS)
        if columns and len(cells) != columns:
            raise SourceError(
                f"{path}: line {number} has {count(len(cells), 'column')}, those before have {columns}.",
                "Each line needs its text and its translation.",
            )
        columns = len(cells)
        if cells in HEADERS:
            raise SourceError(f"{path}: line {number} is a header.", "Remove it.")
        texts, translations = rows.setdefault(cells[0] if len(cells) == 3 else path.stem, ([], []))
        texts.append(cells[-2])
        translations.append(cells[-1])
    if not rows:
        raise SourceError(f"{path} is empty.", FORMS)
    return [_checked(Pairs(language, *sides), f"{path} ({language})") for language, sides in rows.items()]


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", FORMS) from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8.", "Save the file as UTF-8.") from error
    return text.removesuffix("\n").split("\n") if text else []


def _checked(pairs: Pairs, where: str) -> Pairs:
    """Return pairs of which no side is empty.

    Raises:
        SourceError: a side is.
    """
    for number, sides in enumerate(zip(pairs.texts, pairs.translations, strict=True), 1):
        if not all(side.strip() for side in sides):
            raise SourceError(f"{where}: pair {number} has an empty side.", "Remove the pair, or complete it.")
    if not pairs.texts:
        raise SourceError(f"{where} is empty.", FORMS)
    return pairs
