"""What ways of loading have in common that take ids and give one row a text: batches of like length, padded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.surfaces.base import BATCH, Embedded, Loaded, unit

Inputs = dict[str, np.ndarray]  # name → int64 [texts, longest]


def padded(rows: Sequence[Sequence[int] | np.ndarray]) -> Inputs:
    """Return the ids of some texts as models take them, int64 [texts, longest] each: not every model takes all of these."""
    lengths = np.array([len(row) for row in rows])
    mask = (np.arange(lengths.max()) < lengths[:, np.newaxis]).astype(np.int64)
    ids = np.zeros_like(mask)
    ids[mask == 1] = np.concatenate(rows)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


class Padded(Loaded):
    """A tokenizer, and a model that takes its ids.

    Attributes:
        batch: how many texts of like length the model gets at once.
    """

    batch: int = BATCH

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`."""
        rows = self.ids(texts)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        batches = [order[start : start + self.batch] for start in range(0, len(order), self.batch)]
        found = np.concatenate([self.run(padded([rows[i] for i in batch])) for batch in batches])
        return Embedded(rows, unit(found[np.argsort(order)]))

    @abstractmethod
    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, without padding."""

    @abstractmethod
    def run(self, inputs: Inputs) -> np.ndarray:
        """Return the embeddings of what `padded` made as the model gives them, float32 [texts, hidden]."""


class WithTokenizer(Padded):
    """The folder's own tokenizer, with neither PyTorch nor transformers, and a model that takes its ids.

    Attributes:
        tokenizer: cuts at the length that the folder states.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text, as tokenizer_config.json says

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, without padding."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
