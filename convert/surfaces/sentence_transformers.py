"""The way of loading through sentence-transformers, whose modules the folder describes; no code of the folder is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.surfaces.base import BATCH, Embedded, Loaded, Surface, unit
from hub2hf.surfaces.transformers import LIBRARIES, not_a_number, quiet


class Stock(Loaded):
    """A `SentenceTransformer`, without trust_remote_code."""

    def __init__(self, folder: Path, **options: Any) -> None:
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, **options)

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`."""
        tokenize = getattr(self.model, "preprocess", None) or self.model.tokenize  # the name before version 5.5
        features = tokenize(list(texts))
        masks = features["attention_mask"].bool()
        ids = [row[mask].tolist() for row, mask in zip(features["input_ids"], masks, strict=True)]
        return Embedded(ids, unit(np.asarray(self.model.encode(list(texts), batch_size=BATCH), np.float32)))

    def not_a_number(self) -> str | None:
        """Return the name of a parameter that holds NaN or infinity, if there is one."""
        return not_a_number(self.model)


def stock(folder: Path, trusted: bool) -> Stock:
    """Load a folder as `SentenceTransformer` does."""
    quiet()
    return Stock(folder)


SURFACES = (
    Surface(
        name="sentence-transformers",
        label="`SentenceTransformer`",
        code='SentenceTransformer("{id}")',
        load=stock,
        exact=True,
        libraries=(*LIBRARIES, "sentence-transformers"),
        extra="torch",
        applies=lambda files: "modules.json" in files,
    ),
)
