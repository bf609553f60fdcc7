"""The report as one self-contained web page: nothing is loaded, and what runs orders and searches it."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from hub2hf.equivalence.reports.languages import language_name
from hub2hf.equivalence.reports.scale import DIFFERS, STEPS, step
from hub2hf.equivalence.reports.style import style_sheet
from hub2hf.proof import Report, Way, summary, text
from hub2hf.surfaces import title

TEMPLATE, SCRIPT = "page.html.jinja", "page.js"
LENGTH = 1000  # characters shown of a sentence
TIP_LENGTH = 200  # characters shown of the worst sentence of a cell
LANGUAGES = 1000  # shown at most
FAILURES = 12  # shown at once; the others unfold
COLUMNS = {  # of the ways of loading → class
    "loaded with": "name",
    "result": "result",
    "worst difference": "n",
    "smallest cosine": "n",
    "other neighbours": "n",
    "other ids": "n",
    "why": "reason",
}
ROWS = 15  # languages of a table at least; more stand in tables side by side
SIDE_BY_SIDE = ((2, 3), (5, 2))  # ways of loading at most → tables; of more ways there is one


def report_html(report: Report) -> str:
    """Return the page.

    Its `Content-Security-Policy` allows its own style sheet and its own script, each by its hash, and nothing else: no
    picture, font, form or address. Where scripts do not run, the page shows the same, worst first. Everything from the
    outside is escaped; what cannot be seen in a sentence is shown as an escape.
    """
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=True)
    named = (
        text.language_tag,
        text.printable,
        text.number,
        text.stage,
        text.tolerance,
        text.cosine,
        text.share,
        summary.ratio,
        step,
        language_name,
        digest,
    )
    environment.filters.update({function.__name__: function for function in named})
    environment.globals.update(pieces=text.pieces, count=text.count, title=title)
    limits = {
        "LENGTH": LENGTH,
        "TIP_LENGTH": TIP_LENGTH,
        "FAILURES": FAILURES,
        "DIFFERS": DIFFERS,
        "STEPS": STEPS,
        "ROWS": ROWS,
    }
    template = environment.from_string(_read(TEMPLATE))
    return template.render(_context(report) | limits)


def digest(text: str) -> str:
    """Return the hash of an inline script or style sheet, as a Content-Security-Policy names it (CSP 3, section 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _context(report: Report) -> dict[str, Any]:
    """Return what the template names."""
    table = summary.grid(report)
    languages = table.languages[:LANGUAGES]
    tables = next((tables for ways, tables in SIDE_BY_SIDE if len(table.ways) <= ways), 1)
    size = max(ROWS, -(-len(languages) // tables))
    return {
        "report": report,
        "sheet": style_sheet(),
        "script": _read(SCRIPT),
        "verdict": summary.verdict(report),
        "explanation": summary.explanation(report),
        "columns": list(COLUMNS.items()),
        "table": table,
        "ways": [_way(way) for way in report.worth.ways],
        "blocks": [languages[at : at + size] for at in range(0, len(languages), size)],
        "rest": text.more(table.languages[LANGUAGES:]) if table.languages[LANGUAGES:] else "",
        "failures": summary.failures_by_turns(report),
        "facts": _facts(report, table),
    }


def _way(way: Way) -> dict[str, Any]:
    """Return the line of one way of loading."""
    line = {"surface": way.surface, "refused": way.refused, "exact": way.exact, "numbers": dict.fromkeys(COLUMNS, "")}
    if way.refused:
        return {**line, "reason": way.refused, "differs": ""}
    languages = [row.language for row in way.rows]
    return {
        **line,
        "reason": summary.differing(way) if way.allowed and way.same else way.reason,
        "differs": text.where([row.language for row in way.rows if not row.exact], languages),
        "languages": text.where(languages, languages),
        "numbers": {
            "worst difference": f"{text.number(way.difference)} ({text.printable(way.worst.language)})",
            "smallest cosine": text.cosine(way.cosine),
            "other neighbours": "" if way.neighbours is None else f"{way.neighbours:,} of {way.sentences:,}",
            "other ids": f"{way.other_ids:,}",
        },
    }


def _facts(report: Report, table: summary.Grid) -> dict[str, str]:
    return {
        "source": report.source,
        "fingerprint": report.fingerprint,
        "expected values": report.witness,
        "candidate": report.candidate,
        **report.versions,
        "compared": f"{text.count(table.sentences(), 'sentence')}, {text.where(table.languages, table.languages)}",
        "time": f"{report.seconds:,.1f} seconds",
    }
