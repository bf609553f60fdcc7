"""Which texts a folder answers for, and what its ids were before it was made slim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from hub2hf.blueprint.text import TextBlueprint
from hub2hf.errors import ExportError
from hub2hf.folder.manifest import Manifest
from hub2hf.slimming.guarantee import characters_of_words
from hub2hf.unicode.codepoints import CodePoints
from hub2hf.web.rules import text_of

ORIGINAL_IDS: Final = "original_ids.txt"


@dataclass(frozen=True)
class SlimScope:
    """What a slim folder says of itself.

    Attributes:
        alphabet: characters of words in which nothing changes.
        original_ids: the id that each piece has in the vocabulary of the SavedModel, by its id here.
        text: its text operations.
    """

    alphabet: CodePoints
    original_ids: Sequence[int]
    text: TextBlueprint

    @classmethod
    def of(cls, folder: Path, manifest: Manifest) -> SlimScope | None:
        """Return that of a folder; None of one with a whole vocabulary.

        Raises:
            ExportError: it cannot be read.
        """
        if not manifest.slim:
            return None
        path = folder / ORIGINAL_IDS
        try:
            ids = [int(line) for line in path.read_text(encoding="ascii").split()]
            alphabet = CodePoints.parse(manifest.slim["alphabet"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ExportError(f"{path} or the manifest cannot be read: {error!r}.", "Make the folder again.") from error
        return cls(alphabet, ids, text_of(manifest.blueprint, folder / "vocab.txt"))

    @cached_property
    def own_ids(self) -> Mapping[int, int]:
        """Id in the original vocabulary → id here."""
        return {original: own for own, original in enumerate(self.original_ids)}

    def covers(self, text: str) -> bool:
        """Whether a text is written in characters for which nothing changes."""
        return all(ord(c) in self.alphabet for c in characters_of_words(set(text), self.text.operations))

    def answers(self, text: str, ids: Sequence[int]) -> bool:
        """Whether the embedding of a text must be the original's.

        Args:
            text: the text.
            ids: what the original makes of it.
        """
        return self.covers(text) or self.own_ids.keys() >= set(ids)
