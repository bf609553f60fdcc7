"""What a text becomes depends on no other in its batch, nor on its place: held against the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hub2hf.blueprint.asked.generated import joined
from hub2hf.blueprint.asked.oracle import InHalves, Inquiry
from hub2hf.blueprint.asked.trace import TextTrace
from hub2hf.blueprint.probe import TEXTS
from hub2hf.errors import REPORT, GraphError

PLACES = 4  # of a batch in which each of a few rich texts stands
SHORT = 60  # characters of such a text where no more pieces fit


def hold_batches(
    run: InHalves, texts: Sequence[str], vocabulary: Mapping[bytes, int], ids: np.ndarray, trace: TextTrace
) -> tuple[int, ...]:
    """Run texts again in batches of other sizes and orders; return the sizes.

    No text alone and one word alone are among them: ragged tensors broadcast a single row in a way of its own.

    Args:
        run: runs the graph.
        texts: the probes; the last two are empty and too long to fit.
        vocabulary: piece → id.
        ids: what the graph made of them, int [texts, length].
        trace: which ways of its conditionals were gone.

    Raises:
        GraphError: a text becomes something else, or a conditional has a way that none went.
    """
    count = len(texts)
    alone = [[count - 3], [0], [1], [count - 2]]
    picks = [*alone, [*range(0, count - 2, 5)][::-1], [count - 2, 1, 1, count - 3, 3]]
    pad = ids[-2][-1]
    for pick in picks:
        rows = run(Inquiry(vocabulary, [texts[i] for i in pick], trace))
        trace.forget()
        for i, row in zip(pick, rows, strict=True):
            if row[row != pad].tolist() != ids[i][ids[i] != pad].tolist():
                raise _depends(texts[i], "the other texts in its batch")
    untaken = trace.untaken()
    if untaken:
        raise GraphError(f"Node '{untaken[0]}' takes another branch for texts that no probe reached.", REPORT)
    return tuple(sorted({min(count, run.most), *map(len, picks)}))


def hold_places(run: InHalves, vocabulary: Mapping[bytes, int], full: str, fits: int, pad: int) -> None:
    """Let each of a few texts, which between them have all that a rule may be about, stand in each place of a batch.

    Args:
        run: runs the graph.
        vocabulary: piece → id.
        full: a text that is too long to fit.
        fits: how many pieces fit.
        pad: what rows are padded with; those of a batch perhaps to the longest of it.

    Raises:
        GraphError: a text becomes something else in another place.
    """
    few = [*joined((f"{text} " for text in TEXTS), max(fits, SHORT)), full]
    found: dict[str, list[int]] = {}
    for turn in range(len(few)):
        batch = [few[(turn + place) % len(few)] for place in range(PLACES)]
        for text, row in zip(batch, run(Inquiry(vocabulary, batch)), strict=True):
            ids = np.trim_zeros(row - pad, "b").tolist()
            if found.setdefault(text, ids) != ids:
                raise _depends(text, "its place in a batch")


def _depends(text: str, what: str) -> GraphError:
    return GraphError(f"What the graph makes of {text[:40]!r} depends on {what}.", REPORT)
