"""The verdict in one line, and the rows in the order in which all show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hub2hf.proof.record import EXACT, Failure, Proof, Row, Way
from hub2hf.proof.text import cosine, count, join, number, printable, share, tolerance, where
from hub2hf.surfaces import title

NOT_MEASURED: Final = "NOT MEASURED"


def ratio(row: Row) -> float:
    """Return difference / tolerance; infinite where that is no number."""
    if not row.difference or math.isnan(row.difference) or not row.tolerance > 0:
        return 0.0 if row.difference == 0 and row.passed else math.inf
    return row.difference / row.tolerance


def _rank(row: Row) -> tuple[bool, float, bool, float]:
    """Return a key that is smallest for the worst row; NaN before everything."""
    no_number = math.isnan(row.difference)
    return bool(row.passed), -ratio(row), not no_number, 0.0 if no_number else -row.difference


def limit(rows: Iterable[Row]) -> float:
    """Return up to which difference `rows` count as exact, where their token ids are the source's."""
    return max(min(row.tolerance, EXACT) for row in rows)


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Return `rows`, those that are not the same first, by their difference in tolerances."""
    return sorted(rows, key=_rank)


@dataclass(frozen=True)
class Grid:
    """Rows by language and way of loading.

    Attributes:
        languages: worst first by the ways that count: those that are the same or must be; where there are none, all.
        ways: those that were measured, in the order of the record.
        cells: (language, surface) → its row; the worst, should there be several.
        counting: the names of the ways that count.
    """

    languages: list[str]
    ways: list[Way]
    cells: dict[tuple[str, str], Row]
    counting: frozenset[str]

    def language(self, language: str) -> list[Row]:
        """Return the rows of a language in the order of the ways."""
        return [self.cells[language, way.surface] for way in self.ways if (language, way.surface) in self.cells]

    def surface(self, surface: str) -> list[Row]:
        """Return the rows of a way, worst first."""
        return worst_first(row for (_, name), row in self.cells.items() if name == surface)

    def passed(self, language: str) -> bool:
        """Whether every way that counts is the same in `language`."""
        return all(row.passed for row in self.language(language) if row.surface in self.counting)

    def sentences(self) -> int:
        """Return how many sentences were compared; each counts once, however many ways it went through."""
        return sum(max(row.sentences for row in self.language(language)) for language in self.languages)


def grid(found: Proof) -> Grid:
    """Return the rows of `found` as languages × ways of loading."""
    ways = [way for way in found.worth.ways if way.rows]
    counting = frozenset(way.surface for way in ways if way.same or way.held) or frozenset(way.surface for way in ways)
    rows = sorted(found.rows, key=lambda row: (row.surface not in counting, _rank(row)))
    cells: dict[tuple[str, str], Row] = {}
    for row in rows:
        cells.setdefault((row.language, row.surface), row)
    return Grid(list(dict.fromkeys(row.language for row in rows)), ways, cells, counting)


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
    """Return EXACT, NOT THE SAME, or NOT MEASURED or NOTHING COMPARED, which prove nothing; of a lossy folder, whether it
    is within its limits.

    Of a slim folder EXACT is what it covers.
    """
    if not found.rows:
        return "NOTHING COMPARED"
    if found.undecided:
        return NOT_MEASURED
    if found.worth.lossy:
        return "LOSSY, WITHIN ITS LIMITS" if found.equivalent else "LOSSY, BEYOND ITS LIMITS"
    if not found.equivalent:
        return "NOT THE SAME"
    return "EXACT FOR WHAT IT COVERS" if found.unanswered else "EXACT"


def summary(found: Proof) -> str:
    """Return the verdict in one line that holds nothing invisible, whatever is in the found."""
    return f"{verdict(found)}: {explanation(found)}"


def explanation(found: Proof) -> str:
    """Return what follows the verdict: the ways that it is about, then the others, then what was compared."""
    if not found.rows:
        return "no sentence went through any way of loading"
    ways, table = found.worth.ways, grid(found)
    same, other = _same(ways), _not_the_same(ways, table, found)
    unmeasured = sorted((way for way in ways if way.refused), key=lambda way: not way.held)
    refused = [f"{called(way)} ({printable(way.refused, 200).rstrip('.')})" for way in unmeasured]
    if found.undecided and not found.worth.undecided:
        refused.insert(0, "files of the corpus")
    good, bad = ("WITHIN", "BEYOND") if found.worth.lossy else ("EXACT", "NOT THE SAME")
    told = {good: same, bad: other, NOT_MEASURED: ", ".join(refused)}
    first = told.pop(NOT_MEASURED if found.undecided else good if found.equivalent else bad)
    parts = [first, *(f"{name}: {part}" for name, part in told.items() if part)]
    compared = f"{count(table.sentences(), 'sentence')}, {where(table.languages, table.languages)}"
    if found.unanswered:
        compared += f"; {count(found.unanswered, 'sentence')} left out, which this slim folder does not cover"
    return ". ".join([*parts, compared])


def called(way: Way) -> str:
    """Return what a way is called."""
    return printable(title(way.surface))


def _same(ways: Sequence[Way]) -> str:
    """Return the ways that are the same, with the worst language of all, and what is allowed to differ."""
    same = [way for way in ways if way.same]
    if not same:
        return ""
    names = ", ".join(map(called, same))
    if any(way.lossy for way in same):
        return f"{names} ({losses([row for way in same for row in way.rows])})"
    exact = worst_first(row for way in same for row in way.rows if row.exact)
    allowed = "".join(f"; but {differing(way)}" for way in same if way.allowed)
    return f"{names} (worst {number(exact[0].difference)}, {printable(exact[0].language)}){allowed}"


def losses(rows: Sequence[Row]) -> str:
    """Return in words what rows of a lossy folder lose: difference, cosine, translations, each where it is worst."""
    far = max(rows, key=lambda row: (math.isnan(row.difference), row.difference))
    least = min(rows, key=lambda row: -1.0 if row.cosine is None or math.isnan(row.cosine) else row.cosine)
    told = [f"differs by {number(far.difference)} in {printable(far.language)}"]
    if least.cosine is not None:
        told.append(f"cosine as low as {cosine(least.cosine)} in {printable(least.language)}")
    measured = [row for row in rows if row.true_hits is not None]
    if measured:
        most = max(measured, key=lambda row: row.lost)
        lost = f"at most {count(most.lost, 'translation')} lost, in {printable(most.language)}"
        told.append(lost if most.lost > 0 else "no translation lost in any language")
    return "; ".join(told)


def differing(way: Way) -> str:
    """Return in words where a way differs and is allowed to, and why: `AutoModel differs by 0.11 in ja, where …`."""
    if way.lossy:
        return f"{called(way)} {losses(way.rows)}"
    reasons: dict[tuple[float, str], list[Row]] = {}
    for row in way.allowed:
        reasons.setdefault((row.tolerance, row.reason), []).append(row)
    parts = []
    for (limit, reason), rows in reasons.items():
        names = join([printable(row.language) for row in rows])
        worst = number(worst_first(rows)[0].difference)
        parts.append(f"by {worst} in {names}, where {tolerance(limit)} is allowed: {printable(reason)}")
    return f"{called(way)} differs {'; '.join(parts)}"


def _not_the_same(ways: Sequence[Way], table: Grid, found: Proof) -> str:
    """Return the ways that are not the same, those that must be first, with the likely causes."""
    other = sorted((way for way in ways if way.rows and not way.same), key=lambda way: not way.held)
    groups: dict[frozenset[str], list[Way]] = {}
    for way in other:
        groups.setdefault(frozenset(row.language for row in way.rows if not row.passed), []).append(way)
    parts = []
    for languages, members in groups.items():
        worst = worst_first(row for way in members for row in way.rows)[0]
        place = f" in {where(languages, table.languages)}" if languages and languages != {*table.languages} else ""
        names = ", ".join(map(called, members))
        off = f"off by up to {number(worst.difference)}, {printable(worst.language)}"
        parts.append(
            f"{names}{place} ({off}{'' if languages else '; its tolerances allow that, but it is exact nowhere'})"
        )
    return f"{'; '.join(parts)}{_causes(found)}" if parts else ""


def felt(way: Way) -> str:
    """Return in words what a reader can feel of a way that is not exact; "" where it was not measured."""
    told = []
    if way.cosine is not None:
        told.append(f"cosine to the true embedding as low as {cosine(way.cosine)}")
    if way.neighbours is not None:
        told.append(f"a different nearest neighbour for {way.neighbours:,} of {count(way.sentences, 'sentence')}")
    if way.other_ids:
        told.append(f"different token ids in {way.other_ids:,}")
    return "; ".join(told)


def _causes(found: Proof) -> str:
    causes = [cause for cause in found.causes if cause.likely]
    if not causes:
        return ""
    names = [printable(cause.name, 80) + share(cause) for cause in causes[:2]]
    more = f"; and {len(causes) - 2} more" if len(causes) > 2 else ""
    return f"; likely cause{'s' if causes[1:] else ''}: {'; '.join(names)}{more}"
