"""The poolers: how the tokens of a text become one row. Which of them a graph has is told by what it computes.

A pooler of one's own is one value here; `sentence_transformers` must name a mode of its `Pooling` module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# From the states of one text [length, hidden] and which of them are attended to, bool [length], to its row [hidden].
Pooling = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pooler:
    """One pooler.

    Attributes:
        function: in NumPy, float64 in and out.
        sentence_transformers: its mode in `sentence_transformers.models.Pooling`, without "pooling_mode_".
        words: as the card and messages call it.
    """

    function: Pooling
    sentence_transformers: str
    words: str


POOLERS: dict[str, Pooler] = {
    "first": Pooler(lambda states, attended: states[0], "cls_token", "the first token"),
    "mean": Pooler(lambda states, attended: states[attended].mean(0), "mean_tokens", "the mean over tokens"),
    "max": Pooler(lambda states, attended: states[attended].max(0), "max_tokens", "the largest over tokens"),
    "mean_sqrt": Pooler(
        lambda states, attended: states[attended].sum(0) / np.sqrt(attended.sum()),
        "mean_sqrt_len_tokens",
        "the sum over tokens, divided by the root of their number",
    ),
}

# What is told in a refusal: none of these has its equal in the libraries, or it reads what is only padding.
OTHERS: dict[str, Pooling] = {
    "the last token": lambda states, attended: states[-1],
    "the last token that is no padding": lambda states, attended: states[np.flatnonzero(attended)[-1]],
    "the mean over all tokens (mean pooling)": lambda states, attended: states.mean(0),
    "the sum over all tokens": lambda states, attended: states.sum(0),
    "the sum over tokens": lambda states, attended: states[attended].sum(0),
    "the largest over all tokens (max pooling)": lambda states, attended: states.max(0),
}
