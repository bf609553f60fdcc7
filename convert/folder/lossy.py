"""The part of the card on a lossy folder: what was measured of it when it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub2hf.folder.ways import plain, template
from hub2hf.proof import TRAPS, Row
from hub2hf.proof.codec import read_row
from hub2hf.proof.summary import losses
from hub2hf.proof.text import cosine, number
from hub2hf.surfaces import title

TEMPLATE = "lossy.md.jinja"


def rows_of(lossy: Mapping[str, Any]) -> list[Row]:
    """Return what was measured on the project's own sentences, by language; nothing before it was."""
    return [read_row(row) for row in lossy.get("rows", ())]


def lossy_words(lossy: Mapping[str, Any] | None) -> str:
    """Return the label of a lossy folder, for the head of its card, Markdown; "" of an exact one."""
    if not lossy:
        return ""
    rows, limits = rows_of(lossy), lossy["limits"]
    told = f" Against the exact folder it {plain(losses(rows))}." if rows else ""
    share = f", or {limits['share']:.0%} of them where that is more," if limits["share"] else ""
    return (
        f"> **Lossy**: {lossy['said']}. No way of loading it is exact.{told} It is held to these limits: in no language "
        f"more than {limits['pairs']} searches{share} fail that did not before, and no cosine to the exact embedding is "
        f"below {limits['cosine']}."
    )


def lossy_table(lossy: Mapping[str, Any] | None) -> str:
    """Return the tables of what was lost, by language, Markdown; "" where nothing was measured."""
    rows = rows_of(lossy or {})
    if not lossy or not rows:
        return ""
    text: str = template(TEMPLATE).render(
        way=plain(title(lossy["way"])),
        sizes={name: size / 1e6 for name, size in lossy["bytes"].items()},
        speed=lossy["speed"],
        rows=[_cells(row) for row in _ordered(rows)],
        retrieval=lossy.get("retrieval"),
    )
    return text


def _ordered(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.language == TRAPS, row.language))


def _cells(row: Row) -> list[str]:
    found = ("", "") if row.true_hits is None else (f"{row.true_hits}", f"{row.hits}")
    near = "" if row.neighbours is None else f"{row.neighbours}"
    return [plain(row.language), f"{row.sentences}", number(row.difference), cosine(row.cosine), near, *found]
