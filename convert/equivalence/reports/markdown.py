"""The report as Markdown, for a model card or the summary of a GitHub job."""

from __future__ import annotations

import re

from hub2hf.equivalence.reports.scale import OUTSIDE
from hub2hf.proof import Report, Row
from hub2hf.proof.summary import Grid, explanation, failures_by_turns, grid, verdict
from hub2hf.proof.text import (
    count,
    difference,
    more,
    number,
    printable,
    stage,
    tolerance,
    tolerances,
    where,
)

WORST = 12  # languages of a surface that are shown although they pass; the others are folded away
ROWS = 500  # of a surface at most: GitHub takes a mebibyte
LENGTH = 300  # characters shown of a sentence


def report_markdown(report: Report) -> str:
    """Return the summary, likely causes, failing sentences, and a table for each surface.

    Everything that comes from the outside is escaped or stands in code; nothing of it can become markup.
    """
    table = grid(report)
    mark = "✅" if report.equivalent else "❌"
    parts = [
        f"## {mark} {verdict(report)}",
        _escape(explanation(report)),
        *_causes(report),
        *_failures(report),
        *(_surface(table, name) for name in table.surfaces),
        _provenance(report),
    ]
    return "\n\n".join(parts) + "\n"


def _escape(text: str) -> str:
    """Return `text` so that it stays plain text, in a table too; an address or a name behind @ becomes no link."""
    text = re.sub(r"([\\`*_\[\]<>|~#$])", r"\\\1", printable(text).replace("&", "&amp;"))
    return re.sub(r"@|:(?=//)", lambda found: f"&#{ord(found[0])};", text)


def _code(text: str, limit: int | None = LENGTH, *, cell: bool = False) -> str:
    """Return `text` as code, between more backticks than are in it; in the cell of a table with its pipes escaped."""
    shown = printable(text, limit)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    blank = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{blank}{shown.replace('|', chr(92) + '|') if cell else shown}{blank}{fence}"


def _causes(report: Report) -> list[str]:
    parts = []
    for cause in report.causes:
        lines = [f"- **{_escape(cause.name)}**: {_escape(cause.evidence)}"]
        parts.append("\n".join([*lines, *(f"  - {_code(sentence)}" for sentence in cause.sentences)]))
    return ["### Likely causes", "\n".join(parts)] if parts else []


def _failures(report: Report) -> list[str]:
    items = []
    for failure in failures_by_turns(report):
        head = f"- {_escape(failure.language)}, {_escape(failure.surface)}: differs by **{number(failure.difference)}**"
        lines = [head + (f"; first departs at: {_escape(stage(failure.stage))}" if failure.stage else "")]
        lines.append(f"  - {_code(failure.text)}")
        if failure.detail:
            lines.append(f"  - {_escape(failure.detail)}")
        items.append("\n".join(lines))
    return ["### Failing sentences", "\n".join(items)] if items else []


def _surface(table: Grid, surface: str) -> str:
    """Return the table of a surface, worst first; what passes and is not among the worst is folded away."""
    rows = table.surface(surface)
    failed = [row.language for row in rows if not row.passed]
    languages = [row.language for row in rows]
    head = (
        f"{OUTSIDE}: outside the tolerance in {_escape(where(failed, languages))}."
        if failed
        else f"Within {tolerances(rows)} in {_escape(where(languages, languages))}."
    )
    open_rows = rows[: max(WORST, len(failed))][:ROWS]
    parts = [f"### {_escape(surface)}", head, *_reasons(rows), _rows(open_rows)]
    rest = rows[len(open_rows) :]
    if rest:
        state = ", all within tolerance" if all(row.passed for row in rest) else ""
        parts += [
            f"<details><summary>{_escape(more(row.language for row in rest))}{state}</summary>",
            _rows(rest[:ROWS]),
        ]
        if rest[ROWS:]:
            parts.append(f"The JSON report has the other {len(rest) - ROWS:,}.")
        parts.append("</details>")
    return "\n\n".join(parts)


def _reasons(rows: list[Row]) -> list[str]:
    """Return why the tolerances are what they are, the most frequent first."""
    reasons: dict[tuple[float, str], int] = {}
    for row in rows:
        reasons[row.tolerance, row.reason] = reasons.get((row.tolerance, row.reason), 0) + 1
    ordered = sorted(reasons, key=lambda key: -reasons[key])[:WORST]
    lines = [f"- {tolerance(limit)}: {_escape(reason)}" for limit, reason in ordered if reason]
    return ["\n".join(["Tolerance:\n", *lines])] if lines else []


def _rows(rows: list[Row]) -> str:
    lines = [
        "| language | difference | tolerance | | sentences | other ids | similarity |",
        "|:--|--:|--:|:-:|--:|--:|--:|",
    ]
    for row in rows:
        value = difference(row) if row.passed else f"**{difference(row)}**"
        mark = "" if row.passed else f"**{OUTSIDE}**"
        lines.append(
            f"| {_escape(row.language)} | {value} | {tolerance(row.tolerance)} | {mark} "
            f"| {row.sentences:,} | {row.other_ids:,} | {number(row.similarity)} |"
        )
    return "\n".join(lines)


def _provenance(report: Report) -> str:
    versions = ", ".join(f"{_escape(name)} {_escape(version)}" for name, version in report.versions.items())
    table = grid(report)
    lines = [
        f"- source: {_code(report.source)}, fingerprint {_code(report.fingerprint)}",
        f"- expected values: {_escape(report.witness)}",
        f"- candidate: {_code(report.candidate)}" + (f", loaded by {versions}" if versions else ""),
        f"- {count(table.sentences(), 'sentence')} compared in {report.seconds:,.1f} seconds",
        "- difference: largest absolute difference of an entry of the unit embeddings; similarity: largest absolute "
        "difference of a cosine similarity between two sentences; other ids: sentences with other token ids than the source",
    ]
    return "\n".join(["### What was compared\n", *lines])
