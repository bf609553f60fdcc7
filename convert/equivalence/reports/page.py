"""The report as one self-contained web page: nothing is loaded, nothing runs."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from hub2hf.equivalence.reports.scale import DIFFERS, STEPS, step
from hub2hf.equivalence.reports.style import style_sheet
from hub2hf.proof import Report, Way, summary, text
from hub2hf.surfaces import title

TEMPLATE = "page.html.jinja"
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
BLOCK = 15  # more languages than this stand in three tables side by side


def report_html(report: Report) -> str:
    """Return the page.

    Its `Content-Security-Policy` allows its own style sheet, by its hash, and nothing else: no script, picture, font, form
    or address. Everything from the outside is escaped; what cannot be seen in a sentence is shown as an escape.
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
    )
    environment.filters.update({function.__name__: function for function in named})
    environment.globals.update(pieces=text.pieces, count=text.count, title=title)
    limits = {"LENGTH": LENGTH, "TIP_LENGTH": TIP_LENGTH, "FAILURES": FAILURES, "DIFFERS": DIFFERS, "STEPS": STEPS}
    template = environment.from_string(resources.files(__package__).joinpath(TEMPLATE).read_text("utf-8"))
    return template.render(_context(report) | limits)


def _context(report: Report) -> dict[str, Any]:
    """Return what the template names."""
    sheet = style_sheet()
    table = summary.grid(report)
    languages = table.languages[:LANGUAGES]
    size = max(1, -(-len(languages) // (1 if len(languages) <= BLOCK else 3)))
    return {
        "report": report,
        "sheet": sheet,
        "digest": base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode(),
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
