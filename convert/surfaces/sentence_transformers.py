"""The way of loading through sentence-transformers, whose modules the folder describes; no code of the folder is run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.surfaces.base import BATCH, Embedded, Loaded, Surface, has_weights, unit
from hub2hf.surfaces.transformers import LIBRARIES, not_a_number, quiet


def described(files: Collection[str]) -> bool:
    """Whether the folder describes modules of sentence-transformers, and has their weights."""
    return "modules.json" in files and has_weights(files)


class Wrapped(Loaded):
    """A `SentenceTransformer` that somebody embeds with.

    Args:
        model: the `SentenceTransformer`.
        encode: gives the embeddings [texts, hidden].
    """

    def __init__(self, model: Any, encode: Callable[[list[str]], Any]) -> None:
        self.model, self.encode = model, encode

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`."""
        tokenize = getattr(self.model, "preprocess", None) or self.model.tokenize  # the name before version 5.5
        features = tokenize(list(texts))
        masks = features["attention_mask"].bool()
        ids = [row[mask].tolist() for row, mask in zip(features["input_ids"], masks, strict=True)]
        return Embedded(ids, unit(np.asarray(self.encode(list(texts)), np.float32)))

    def not_a_number(self) -> str | None:
        """Return the name of a parameter that holds NaN or infinity, if there is one."""
        return not_a_number(self.model)


class Stock(Wrapped):
    """A `SentenceTransformer`, without trust_remote_code."""

    def __init__(self, folder: Path, device: str = "cpu", **options: Any) -> None:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(folder), device=device, local_files_only=True, **options)
        super().__init__(model, partial(model.encode, batch_size=BATCH))


def stock(folder: Path, trusted: bool, device: str = "cpu") -> Stock:
    """Load a folder as `SentenceTransformer` does."""
    quiet()
    return Stock(folder, device)


SURFACES = (
    Surface(
        title="sentence-transformers",
        code='SentenceTransformer("{id}")',
        load=stock,
        exact=True,
        libraries=(*LIBRARIES, "sentence-transformers"),
        extra="torch",
        applies=described,
    ),
)
