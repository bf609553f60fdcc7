"""The report as Markdown, for a model card or the summary of a GitHub job."""

from __future__ import annotations

import re

from hub2hf.equivalence.reports.scale import DIFFERS
from hub2hf.proof import Report, Row, Way
from hub2hf.proof.summary import Grid, differing, explanation, failures_by_turns, felt, grid, losses, verdict
from hub2hf.proof.text import cosine, count, more, number, printable, share, stage, where
from hub2hf.surfaces import title

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
        *_unreadable(report),
        *_causes(report),
        *_failures(report),
        *(_way(table, way) for way in report.worth.ways),
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


def _unreadable(report: Report) -> list[str]:
    lines = [f"- {_code(path)}: {_escape(why)}" for path, why in report.unreadable.items()]
    return ["### Files that could not be read, and are not compared", "\n".join(lines)] if lines else []


def _causes(report: Report) -> list[str]:
    parts = []
    for cause in report.causes:
        lines = [f"- **{_escape(cause.name)}**{share(cause)}: {_escape(cause.evidence)}"]
        parts.append("\n".join([*lines, *(f"  - {_code(sentence)}" for sentence in cause.sentences)]))
    return ["### Likely causes", "\n".join(parts)] if parts else []


def _failures(report: Report) -> list[str]:
    items = []
    for failure in failures_by_turns(report):
        name = _escape(title(failure.surface))
        head = f"- {_escape(failure.language)}, {name}: differs by **{number(failure.difference)}**"
        lines = [head + (f"; first departs at: {_escape(stage(failure.stage))}" if failure.stage else "")]
        lines.append(f"  - {_code(failure.text)}")
        if failure.detail:
            lines.append(f"  - {_escape(failure.detail)}")
        items.append("\n".join(lines))
    return ["### Failing sentences", "\n".join(items)] if items else []


def _way(table: Grid, way: Way) -> str:
    """Return the table of a way of loading, worst first; what is exact and not among the worst is folded away."""
    head = f"### {_escape(title(way.surface))}"
    if way.refused:
        return f"{head}\n\nNot measured: {_escape(way.refused)}"
    rows = table.surface(way.surface)
    differ = [row for row in rows if not row.exact]
    open_rows = rows[: max(WORST, len(differ) if way.same or way.held else 0)][:ROWS]
    parts = [head, _verdict(way, differ), _rows(open_rows)]
    rest = rows[len(open_rows) :]
    if rest:
        state = ", all exact" if all(row.exact for row in rest) else ""
        parts += [
            f"<details><summary>{_escape(more(row.language for row in rest))}{state}</summary>",
            _rows(rest[:ROWS]),
        ]
        if rest[ROWS:]:
            parts.append(f"The JSON report has the other {len(rest) - ROWS:,}.")
        parts.append("</details>")
    return "\n\n".join(parts)


def _verdict(way: Way, differ: list[Row]) -> str:
    """Return in a line or two whether a way is exact, and what a reader can feel where it is not."""
    languages = [row.language for row in way.rows]
    if way.same and way.lossy:
        return f"**Lossy, within its limits**: {_escape(losses(way.rows))}."
    if way.same:
        allowed = f" But {_escape(differing(way))}." if way.allowed else ""
        return f"**Exact** in {_escape(where(set(languages) - {row.language for row in way.allowed}, languages))}.{allowed}"
    told = f"**Not the same** in {_escape(where([row.language for row in differ], languages))}: {felt(way)}."
    return f"{told} {_escape(way.reason[:1].upper() + way.reason[1:])}." if way.reason else told


def _rows(rows: list[Row]) -> str:
    lines = [
        "| language | difference | | sentences | other ids | similarity off by | lowest cosine | other neighbours |",
        "|:--|--:|:-:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        value = number(row.difference) if row.exact else f"**{number(row.difference)}**"
        mark = "" if row.exact else f"**{DIFFERS}**"
        near = "" if row.neighbours is None else f"{row.neighbours:,}"
        lines.append(
            f"| {_escape(row.language)} | {value} | {mark} | {row.sentences:,} | {row.other_ids:,} "
            f"| {number(row.similarity)} | {cosine(row.cosine)} | {near} |"
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
        "- difference: largest absolute difference of an entry of the unit embeddings; similarity off by: largest absolute "
        "difference of a cosine similarity between two sentences; other ids: sentences with different token ids from the "
        "source's; lowest cosine: to the embedding of the source; other neighbours: sentences whose nearest other "
        "sentence changes",
    ]
    return "\n".join(["### What was compared\n", *lines])
