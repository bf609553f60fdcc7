"""How far each way of loading is from TensorFlow, and whether that is within what is promised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from convert.equivalence.golden import Golden
from convert.equivalence.pytorch_side import Embedded

# Largest absolute difference of unit embeddings that is allowed; None is shown, not judged. The first two differ by float32
# round-off. The snippet of the published card has a tanh pooler and, in transformers 5, other token ids.
TOLERANCES: Mapping[str, float | None] = {"automodel": 2e-6, "sentence-transformers": 2e-6, "bert": None, "card": None}


@dataclass(frozen=True)
class Comparison:
    """One surface in one language.

    Attributes:
        surface, language: which.
        sentences: how many.
        other_ids: sentences whose ids differ from the graph's.
        difference: largest absolute difference of an entry of the unit embeddings.
    """

    surface: str
    language: str
    sentences: int
    other_ids: int
    difference: float


def compare(golden: Golden, found: Mapping[str, Embedded]) -> list[Comparison]:
    """Return the comparison of every surface of `found` with `golden`, by language in the order of the sentences."""
    languages = list(dict.fromkeys(sentence.language for sentence in golden.sentences))
    expected = golden.embeddings / np.linalg.norm(golden.embeddings, axis=-1, keepdims=True)
    rows = []
    for surface, embedded in found.items():
        distance = np.abs(embedded.embeddings - expected).max(axis=-1)
        other = [a != b for a, b in zip(embedded.ids, golden.ids, strict=True)]
        for language in languages:
            at = [i for i, sentence in enumerate(golden.sentences) if sentence.language == language]
            rows.append(Comparison(surface, language, len(at), sum(other[i] for i in at), float(distance[at].max())))
    return rows


def print_comparison(rows: list[Comparison], tolerances: Mapping[str, float | None] = TOLERANCES) -> bool:
    """Print languages × surfaces and a line for each surface; return whether all are within their tolerance."""
    console = Console()
    surfaces = list(dict.fromkeys(row.surface for row in rows))
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title="largest difference of unit embeddings (sentences with other ids)",
    )
    table.add_column("language")
    for surface in surfaces:
        table.add_column(surface, justify="right")
    for language in dict.fromkeys(row.language for row in rows):
        cells = {row.surface: row for row in rows if row.language == language}
        table.add_row(language, *(_cell(cells[surface]) for surface in surfaces))
    console.print(table)
    judged = [
        _print_summary(console, [row for row in rows if row.surface == name], tolerances.get(name)) for name in surfaces
    ]
    return all(judged)


def _cell(row: Comparison) -> str:
    return f"{row.difference:.1e}" + (f" ({row.other_ids} of {row.sentences})" if row.other_ids else "")


def _print_summary(console: Console, rows: list[Comparison], tolerance: float | None) -> bool:
    worst = max(rows, key=lambda row: row.difference)
    text = f"{worst.surface}: at most {worst.difference:.1e} ({worst.language})"
    if tolerance is None:
        console.print(f"{text}; shown for comparison, not promised")
        return True
    good = bool(worst.difference <= tolerance)
    console.print(f"{text}, {'[green]within' if good else '[red]OUTSIDE'} the tolerance of {tolerance:.0e}")
    return good
