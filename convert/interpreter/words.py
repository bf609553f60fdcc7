"""Ops of TF.Text's BertTokenizer, after its kernels: folding, normalization, splitting at delimiters, trimming."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from tokenizers import normalizers

from convert.errors import GraphError
from convert.interpreter.registry import Caller, Value, operation
from convert.interpreter.strings import map_strings, text_of
from convert.interpreter.utf import byte_strings
from convert.savedmodel.node import Node
from convert.unicode.delimiters import Delimiters, read_delimiters
from convert.unicode.folding import case_folded

FORMS = {
    "NFC": normalizers.NFC,
    "NFD": normalizers.NFD,
    "NFKC": normalizers.NFKC,
    "NFKD": normalizers.NFKD,
}


@lru_cache(maxsize=16)
def _delimiters(pattern: str, kept: str, evidence: str) -> Delimiters:
    return read_delimiters(pattern, kept, evidence)


@operation("CaseFoldUTF8")
def _case_fold(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    composed = normalizers.NFC()

    def fold(text: bytes) -> bytes:
        return composed.normalize_str("".join(map(case_folded, text.decode()))).encode()

    return (map_strings(fold, inputs[0]),)


@operation("NormalizeUTF8")
def _normalize(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    form = str(node.attr("normalization_form")).upper()
    if form not in FORMS:
        raise GraphError(f"Node '{node.name}' normalizes to {form}.", "Report the model.")
    normalizer = FORMS[form]()
    return (map_strings(lambda text: normalizer.normalize_str(text.decode()).encode(), inputs[0]),)


@operation("RegexSplitWithOffsets")
def _regex_split(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Split at every match of the delimiters; those that match the second pattern stay, as words of their own."""
    delimiters = _delimiters(text_of(inputs[1]), text_of(inputs[2]), node.name)
    words, begins, ends, splits = [], [], [], [0]
    for text in np.ravel(inputs[0]):
        for word, start in delimiters.split(text.decode()):
            at = len(text.decode()[:start].encode())
            words.append(word.encode())
            begins.append(at)
            ends.append(at + len(words[-1]))
        splits.append(len(words))
    offsets = (np.asarray(values, np.int64) for values in (begins, ends, splits))
    return (byte_strings(words), *offsets)


@operation("TFText>RoundRobinTrim")
def _round_robin(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Give each segment of a row one place in turn until the budget is spent."""
    budget, count = int(inputs[0]), int(node.attr("N"))
    values, splits = inputs[1 : 1 + count], inputs[1 + count :]
    kept: list[list[np.ndarray]] = [[] for _ in values]
    for rows in zip(*(list(pairwise(map(int, level))) for level in splits), strict=True):
        quota = _shared([b - a for a, b in rows], budget)
        for segment, value, (a, _), size in zip(kept, values, rows, quota, strict=True):
            segment.append(value[a : a + size])
    trimmed = [np.concatenate([value[:0], *rows]) for value, rows in zip(values, kept, strict=True)]
    lengths = [np.cumsum([0, *map(len, rows)]) for rows in kept]
    return (*trimmed, *(size.astype(level.dtype) for size, level in zip(lengths, splits, strict=True)))


def _shared(sizes: Sequence[int], budget: int) -> list[int]:
    quota = [0] * len(sizes)
    while budget > 0 and any(q < size for q, size in zip(quota, sizes, strict=True)):
        for i, size in enumerate(sizes):
            if quota[i] < size and budget > 0:
                quota[i] += 1
                budget -= 1
    return quota
