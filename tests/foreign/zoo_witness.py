"""What TensorFlow made of the texts, as arrays that every version of Python reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Of several outputs that could each be the embedding, the one that is asked for.
NAMED = {"form-two-unlike": "default"}


@dataclass(frozen=True)
class Witness:
    """What TensorFlow made of the texts: all in one batch; the first ones again in small batches, in another order.

    Attributes:
        ids: int32 [texts, 128].
        embeddings: float32 [texts, hidden].
        again: the texts that were run again, as places, int64 [some].
        ids_again, embeddings_again: the same of these.
    """

    ids: np.ndarray
    embeddings: np.ndarray
    again: np.ndarray
    ids_again: np.ndarray
    embeddings_again: np.ndarray


def load(file: Path) -> Witness:
    """Read what run_zoo.py or old_tensorflow.py has kept."""
    with np.load(file) as arrays:
        return Witness(**arrays)
