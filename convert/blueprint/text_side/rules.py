"""What makes ids of a text where no graph says so: a convention of people who published encoders of ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hub2hf.blueprint.text import TextOperation

# From a vocabulary and whether text is lower-cased to what makes the ids of a text, without what is packed around them.
Witness = Callable[[Mapping[str, int], bool], Callable[[str], list[int]]]


@dataclass(frozen=True)
class TextRules:
    """One convention.

    Attributes:
        name: what `--text-rules` calls it.
        origin: where it was published, for inspect, manifest and card.
        operations: from whether text is lower-cased, and where that was read, to the operations up to WordPiece.
        packing: where its way of packing was published.
        witness: makes ids beside TensorFlow, and shares nothing with the tokenizer; None where there is none.
    """

    name: str
    origin: str
    operations: Callable[[bool, str], tuple[TextOperation, ...]]
    packing: str
    witness: Witness | None = None
