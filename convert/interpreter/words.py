"""Ops of TF.Text's BertTokenizer, after its kernels: folding, normalization, splitting at delimiters, trimming."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.interpreter.strings import map_strings, text_of
from hub2hf.interpreter.utf import byte_strings
from hub2hf.savedmodel.node import Node
from hub2hf.witness.folding import FORMS, case_folded, normalized
from hub2hf.witness.patterns import compiled


@operation("CaseFoldUTF8")
def _case_fold(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return (map_strings(lambda text: case_folded(text.decode()).encode(), inputs[0]),)


@operation("NormalizeUTF8")
def _normalize(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    form = str(node.attr("normalization_form")).upper()
    if form not in FORMS:
        raise GraphError(f"Node '{node.name}' normalizes to {form}.", REPORT)
    return (map_strings(lambda text: normalized(text.decode(), form).encode(), inputs[0]),)


@operation("RegexSplitWithOffsets")
def _regex_split(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Split at every match of the delimiters; those that match the second pattern stay, as words of their own.

    The op takes a text for a C string: what comes after a null character is lost (measured, TF.Text 2.21).
    """
    delimiters, staying = compiled(text_of(inputs[1]), node.name), text_of(inputs[2])
    kept = compiled(staying, node.name) if staying else None
    texts = [bytes(text).partition(b"\0")[0] for text in np.ravel(inputs[0])]
    rows = [list(delimiters.split(text, kept)) for text in texts]
    words = [text[start:end] for text, row in zip(texts, rows, strict=True) for start, end in row]
    begins, ends = ([span[i] for row in rows for span in row] for i in (0, 1))
    splits = np.cumsum([0, *map(len, rows)])
    return (byte_strings(words), *(np.asarray(values, np.int64) for values in (begins, ends, splits)))


@operation("TFText>RoundRobinTrim")
def _round_robin(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Give each segment of a row one place in turn until the budget is spent."""
    budget, count = int(inputs[0]), int(node.attr("N"))
    values, splits = inputs[1 : 1 + count], inputs[1 + count :]
    kept: list[list[np.ndarray]] = [[] for _ in values]
    for rows in zip(*(list(pairwise(map(int, level))) for level in splits), strict=True):
        quota = shared([b - a for a, b in rows], budget)
        for segment, value, (a, _), size in zip(kept, values, rows, quota, strict=True):
            segment.append(value[a : a + size])
    trimmed = [np.concatenate([value[:0], *rows]) for value, rows in zip(values, kept, strict=True)]
    lengths = [np.cumsum([0, *map(len, rows)]) for rows in kept]
    return (*trimmed, *(size.astype(level.dtype) for size, level in zip(lengths, splits, strict=True)))


def shared(sizes: Sequence[int], budget: int) -> list[int]:
    """Return how many places each of some rows gets of a budget that is dealt out in turn."""
    quota = [0] * len(sizes)
    while budget > 0 and any(q < size for q, size in zip(quota, sizes, strict=True)):
        for i, size in enumerate(sizes):
            if quota[i] < size and budget > 0:
                quota[i] += 1
                budget -= 1
    return quota
