"""What `verify` and `record` ask of TensorFlow, whichever way it runs a SavedModel."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from convert.blueprint import Blueprint
from convert.equivalence.sentences import Sentence
from convert.savedmodel import SavedModel

if TYPE_CHECKING:
    import numpy as np

    from convert.equivalence.recording import Recording


class Reference(AbstractContextManager["Reference"], Protocol):
    """The witness; close it by leaving its context."""

    model: SavedModel
    blueprint: Blueprint

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of `texts`, float32 [texts, hidden]."""

    def token_ids(self, texts: Sequence[str]) -> np.ndarray:
        """Return the packed, padded ids of `texts`, int32 [texts, max_length]."""

    def record(self, sentences: Sequence[Sentence]) -> Recording:
        """Return what TensorFlow makes of `sentences`."""
