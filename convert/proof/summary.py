"""The verdict in one line, and the rows in the order in which all show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub2hf.proof.record import TIGHT, Failure, Proof, Row
from hub2hf.proof.text import count, difference, join, printable, tolerances, where


def ratio(row: Row) -> float:
    """Return difference / tolerance; infinite where that is no number."""
    if not row.difference or math.isnan(row.difference) or not row.tolerance > 0:
        return 0.0 if row.difference == 0 and row.passed else math.inf
    return row.difference / row.tolerance


def _rank(row: Row) -> tuple[bool, float, bool, float]:
    """Return a key that is smallest for the worst row; NaN before everything."""
    no_number = math.isnan(row.difference)
    return bool(row.passed), -ratio(row), not no_number, 0.0 if no_number else -row.difference


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Return `rows`, those outside their tolerance first, by their difference in tolerances."""
    return sorted(rows, key=_rank)


@dataclass(frozen=True)
class Grid:
    """Rows by language and surface.

    Attributes:
        languages: worst first.
        surfaces: in the order of the found.
        cells: (language, surface) → its row; the worst, should there be several.
    """

    languages: list[str]
    surfaces: list[str]
    cells: dict[tuple[str, str], Row]

    def language(self, language: str) -> list[Row]:
        """Return the rows of a language in the order of the surfaces."""
        return [self.cells[language, name] for name in self.surfaces if (language, name) in self.cells]

    def surface(self, surface: str) -> list[Row]:
        """Return the rows of a surface, worst first."""
        return worst_first(row for (_, name), row in self.cells.items() if name == surface)

    def passed(self, language: str) -> bool:
        """Whether every surface is within its tolerance in `language`."""
        return all(row.passed for row in self.language(language))

    def sentences(self) -> int:
        """Return how many sentences were compared; each counts once, however many surfaces it went through."""
        return sum(max(row.sentences for row in self.language(language)) for language in self.languages)


def grid(found: Proof) -> Grid:
    """Return the rows of `found` as languages × surfaces."""
    rows = worst_first(found.rows)
    cells: dict[tuple[str, str], Row] = {}
    for row in rows:
        cells.setdefault((row.language, row.surface), row)
    return Grid(
        list(dict.fromkeys(row.language for row in rows)),
        list(dict.fromkeys(row.surface for row in found.rows)),
        cells,
    )


def failures_by_turns(found: Proof) -> list[Failure]:
    """Return the failures, the worst of each surface first, then the second of each, NaN before numbers."""
    key = {id(item): -math.inf if math.isnan(item.difference) else -item.difference for item in found.failures}
    seen: dict[str, int] = {}
    turns = []
    for failure in sorted(found.failures, key=lambda item: key[id(item)]):
        seen[failure.surface] = turn = seen.get(failure.surface, -1) + 1
        turns.append((turn, failure))
    return [failure for _, failure in sorted(turns, key=lambda item: (item[0], key[id(item[1])]))]


def verdict(found: Proof) -> str:
    """Return EQUIVALENT, NOT EQUIVALENT, or NOTHING COMPARED, which is no proof of anything."""
    if not found.rows:
        return "NOTHING COMPARED"
    return "EQUIVALENT" if found.equivalent else "NOT EQUIVALENT"


def summary(found: Proof) -> str:
    """Return the verdict in one line that holds nothing invisible, whatever is in the found."""
    return f"{verdict(found)}: {explanation(found)}"


def explanation(found: Proof) -> str:
    """Return what follows the verdict."""
    if not found.rows:
        return "no sentence went through any way of loading"
    table = grid(found)
    if all(row.passed for row in found.rows):
        unproved = "" if found.equivalent else "; a wide tolerance proves nothing: compare an exact way of loading too"
        return f"{_passed(table)}{unproved}"
    return _failed(table, found)


def _worst(rows: Sequence[Row]) -> str:
    row = worst_first(rows)[0]
    return f"worst {difference(row)}, {printable(row.language)}"


def _passed(table: Grid) -> str:
    groups: dict[tuple[str, frozenset[str]], list[str]] = {}
    for surface in table.surfaces:
        rows = table.surface(surface)
        groups.setdefault((tolerances(rows), frozenset(row.language for row in rows)), []).append(surface)
    everywhere = len({languages for _, languages in groups}) == 1
    parts = []
    for (limit, languages), surfaces in groups.items():
        place = "" if everywhere else f" in {where(languages, table.languages)}"
        worst = _worst([row for name in surfaces for row in table.surface(name)]) if len(groups) > 1 else ""
        rows = [row for name in surfaces for row in table.surface(name)]
        loose = max(row.tolerance for row in rows) > TIGHT
        held = f"differing, as the tolerance of {limit} allows" if loose else f"within {limit}"
        parts.append(f"{join(list(map(printable, surfaces)))} {held}{place}" + (f" ({worst})" if worst else ""))
    place = f" in {where(table.languages, table.languages)}" if everywhere else ""
    worst = f", {_worst(list(table.cells.values()))}" if len(groups) == 1 else ""
    return f"{', '.join(parts)}{place} ({count(table.sentences(), 'sentence')}{worst}){_other_ids(table)}"


def _other_ids(table: Grid) -> str:
    numbers = {name: sum(row.other_ids for row in table.surface(name)) for name in table.surfaces}
    parts = [f"{count(n, 'sentence')} of {printable(name)}" for name, n in numbers.items() if n]
    return f"; but other token ids in {join(parts)}" if parts else ""


def _failed(table: Grid, found: Proof) -> str:
    groups: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    for surface in table.surfaces:
        rows = table.surface(surface)
        failed = frozenset(row.language for row in rows if not row.passed)
        if failed:
            groups.setdefault((failed, frozenset(row.language for row in rows)), []).append(surface)
    parts = []
    for (failed, languages), surfaces in groups.items():
        worst = _worst([row for name in surfaces for row in table.surface(name)])
        names, their = join(list(map(printable, surfaces))), "its" if len(surfaces) == 1 else "their"
        parts.append(f"{names} outside {their} tolerance in {where(failed, languages)} ({worst})")
    return f"{', '.join(parts)}{_causes(found)}"


def _causes(found: Proof) -> str:
    if not found.causes:
        return ""
    names = [printable(cause.name, 80) for cause in found.causes[:2]]
    more = f"; and {len(found.causes) - 2} more" if len(found.causes) > 2 else ""
    return f"; likely cause{'s' if found.causes[1:] else ''}: {'; '.join(names)}{more}"
