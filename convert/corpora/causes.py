"""Why a stored vector is not the one that a folder gives: what else could have been done to the text, tried one by one."""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.corpora.encoders import Encoder
from hub2hf.corpora.vectors import Vectors, beyond

LENGTHS: Final = (16, 32, 64, 128, 256, 512)  # that people cut at
VARIANTS: Final[dict[str, Callable[[str], str]]] = {
    "without the blanks around it": str.strip,
    "with single blanks": lambda text: " ".join(text.split()),
    "in lower case": str.lower,
    "in NFC": partial(unicodedata.normalize, "NFC"),
    "in NFKC": partial(unicodedata.normalize, "NFKC"),
    "without HTML escapes": html.unescape,
}
Rows = Sequence[Sequence[int]]


class Causes:
    """Asks a folder what it would give if the text had been treated otherwise.

    Args:
        folder: the folder.
        encoder: loaded from it.
    """

    UNEXPLAINED = "another module, or another text"

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self.folder, self.encoder = folder, encoder

    def of(self, texts: Sequence[str], stored: Vectors, window: np.ndarray, tolerance: float) -> list[str]:
        """Return why each differs; "" where nothing that is tried gives the vector.

        Args:
            texts: whose vectors differ.
            stored: those vectors.
            window: float64 [rows, hidden], what the folder gives for the rows around them, of unit length.
            tolerance: the largest difference of an entry that passes.
        """

        named = [""] * len(texts)

        def part(at: list[int]) -> Vectors:
            return Vectors([], stored.unit[at], [stored.rounding[i] for i in at], stored.steps[at])

        for name, rows in self._tries(texts):
            at = [i for i, row in enumerate(rows) if row is not None and not named[i]]
            if at:
                found = self.encoder.embed(self.encoder.ids([rows[i] or [] for i in at])).astype(np.float64)
                found /= np.linalg.norm(found, axis=1, keepdims=True)
                for i, difference in zip(at, beyond(part(at), found), strict=True):
                    named[i] = name if difference <= tolerance else ""
        rest = [i for i, name in enumerate(named) if not name]
        nearest = window[(stored.unit[rest] @ window.T).argmax(axis=1)] if rest else window[:0]
        for i, difference in zip(rest, beyond(part(rest), nearest), strict=True):
            named[i] = "another text: that of another row" if difference <= tolerance else ""
        return named

    def _tries(self, texts: Sequence[str]) -> Iterator[tuple[str, list[list[int] | None]]]:
        """Yield what may have been done, and the ids that it makes of each text; None where they are the folder's own."""
        own = self._cut(texts, self._length)
        for name, change in VARIANTS.items():
            ids = self._cut([change(text) for text in texts], self._length)
            yield f"another text: {name}", _unlike(ids, own)
        for length in sorted({*LENGTHS, self._positions} - {self._length}):
            if length <= self._positions:
                longer = "not cut before" if length > self._length else "cut at"
                yield f"{longer} {length} pieces", _unlike(self._cut(texts, length), own)
        for name, tokenizer in self._others.items():
            tokenizer.enable_truncation(self._length)
            yield (
                f"other ids: those of BertTokenizer, {name}",
                _unlike([encoding.ids for encoding in tokenizer.encode_batch(list(texts))], own),
            )

    def _cut(self, texts: Sequence[str], length: int) -> list[list[int]]:
        """Return the ids of texts as the folder makes them, cut at another length."""
        self._tokenizer.enable_truncation(length)
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.encode_special_tokens = True
        return tokenizer

    @cached_property
    def _length(self) -> int:
        """At how many pieces the folder cuts."""
        told = json.loads((self.folder / "tokenizer.json").read_text(encoding="utf-8")).get("truncation") or {}
        return int(told.get("max_length", self._positions))

    @cached_property
    def _positions(self) -> int:
        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return int(config.get("max_position_embeddings", LENGTHS[-1]))

    @cached_property
    def _others(self) -> dict[str, Any]:
        """BERT's own tokenizers over the same vocabulary, which ports take."""
        from tokenizers.implementations import BertWordPieceTokenizer

        vocabulary = self.folder / "vocab.txt"
        if not vocabulary.is_file():
            return {}
        return {
            "cased": BertWordPieceTokenizer(str(vocabulary), lowercase=False, strip_accents=False),
            "uncased": BertWordPieceTokenizer(str(vocabulary), lowercase=True),
        }


def _unlike(rows: Rows, own: Rows) -> list[list[int] | None]:
    return [None if list(row) == list(mine) else list(row) for row, mine in zip(rows, own, strict=True)]
