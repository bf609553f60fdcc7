"""OUT of `embed`: a file, or a folder of Parquet files, with what stands beside or in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from hub2hf.corpora.places import (
    FOREIGN,
    MANIFEST,
    PARQUET,
    SUFFIXES,
    TEXT,
    codec_of,
    form_of,
    is_local,
    located,
    shown,
)
from hub2hf.errors import ExportError

NAMES: Final = ", ".join(  # a file of text has no place for the texts: mine and verify --golden read the others
    f"{suffix} (vectors alone, which mine and verify --golden cannot read)" if form == TEXT else suffix
    for suffix, form in SUFFIXES.items()
)


@dataclass(frozen=True)
class Destination:
    """What is written where.

    Attributes:
        files: the file system.
        path: OUT there.
        form: of its files.
        single: whether OUT is one file.
    """

    files: Any
    path: str
    form: str
    single: bool

    @classmethod
    def of(cls, out: str) -> Destination:
        """Return what OUT names: a file where it ends as those of corpora do, or else a folder of Parquet files.

        Raises:
            SourceError: its file system cannot be reached.
            ExportError: its name is that of a compressed file, or of one in a format that is not written.
        """
        files, path = located(out)
        form = form_of(path)
        if codec_of(path):
            raise ExportError(
                f"{shown(out)} asks for compression, which embed does not write.",
                f"Name a file that ends in {NAMES}.",
            )
        if path.lower().endswith(FOREIGN):
            raise ExportError(
                f"{shown(out)} is in a format that embed does not write.",
                f"Name a folder, or a file that ends in {NAMES}.",
            )
        return cls(files, path, form or PARQUET, form is not None)

    @property
    def work(self) -> str:
        """The folder of what is not done yet."""
        place = PurePosixPath(self.path)
        return str(place.with_name(f".{place.name}.hub2hf") if self.single else place / ".hub2hf")

    @property
    def manifest(self) -> str:
        """The file that says what was made of what."""
        return f"{self.path}.{MANIFEST}" if self.single else f"{self.path}/_{MANIFEST}"  # others skip such names

    def shard(self, number: int, count: int) -> str:
        """Return the path of one of so many files."""
        return self.path if self.single else f"{self.path}/part-{number:05}-of-{count:05}.{self.form}"

    def holds(self, files: Any, path: str) -> bool:
        """Whether a file lies in OUT, or is it, by whatever name."""
        name: Callable[[str], str] = os.path.realpath if is_local(files) else str
        return bool(self.files.equals(files)) and PurePosixPath(name(path)).is_relative_to(name(self.path))
