"""The report as one self-contained web page: nothing is loaded, nothing runs."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from html import escape

from convert.equivalence.reports.scale import OUTSIDE, STEPS, step
from convert.equivalence.reports.style import style_sheet
from convert.equivalence.reports.summary import (
    Grid,
    explanation,
    failures_by_turns,
    grid,
    ratio,
    verdict,
)
from convert.equivalence.reports.text import (
    count,
    difference,
    language_tag,
    more,
    number,
    pieces,
    printable,
    stage,
    tolerance,
    tolerances,
    where,
)
from convert.equivalence.result import Cause, Failure, Report, Row

LENGTH = 1000  # characters shown of a sentence
TIP_LENGTH = 200  # characters shown of the worst sentence of a cell
LANGUAGES = 1000  # shown at most
FAILURES = 12  # shown at once; the others unfold
COLUMNS = {  # of the ways of loading → class
    "surface": "name",
    "result": "result",
    "worst difference": "n",
    "tolerance": "n",
    "other ids": "n",
    "similarity": "n",
    "why this tolerance": "reason",
}
BLOCK = 15  # more languages than this stand in three tables side by side


def report_html(report: Report) -> str:
    """Return the page.

    Its `Content-Security-Policy` allows its own style sheet, by its hash, and nothing else: no script, picture, font, form
    or address. Everything from the outside is escaped; what cannot be seen in a sentence is shown as an escape.
    """
    sheet = style_sheet()
    table = grid(report)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"{verdict(report)}: {printable(report.candidate, 80)}"
    body = [_banner(report), *_causes(report), _surfaces(table), *_heat_map(table), *_failures(report), _facts(report)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{sheet}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _plain(text: str, limit: int | None = None) -> str:
    return escape(printable(text, limit))


def _sentence(text: str, language: str, tag: str, limit: int = LENGTH) -> str:
    """Return a sentence in an element of its own, in its language and direction."""
    shown, escaped = [], False
    for piece, is_escape in pieces(text, limit):
        if is_escape != escaped:
            shown.append('<span class="esc">' if is_escape else "</span>")
            escaped = is_escape
        shown.append(escape(piece))
    body = "".join(shown) + ("</span>" if escaped else "")
    return f'<{tag} class="text" dir="auto" lang="{escape(language_tag(language))}">{body}</{tag}>'


def _banner(report: Report) -> str:
    state = "good" if report.equivalent else "bad"
    sign = "✓" if report.equivalent else "✗"
    return (
        f"<header>\n<h1>hub2hf verify: {_plain(report.source)} and {_plain(report.candidate)}</h1>\n"
        f'<p class="banner {state}"><strong><span aria-hidden="true">{sign} </span>{verdict(report)}</strong>'
        f" {escape(explanation(report))}</p>\n</header>"
    )


def _causes(report: Report) -> list[str]:
    return ["<h2>Likely causes</h2>", *map(_cause, report.causes)] if report.causes else []


def _cause(cause: Cause) -> str:
    sentences = "".join(f"<li>{_sentence(text, '', 'span')}</li>" for text in cause.sentences)
    shown = f"<ul>{sentences}</ul>" if sentences else ""
    return f'<div class="card cause"><h3>{_plain(cause.name)}</h3><p>{_plain(cause.evidence)}</p>{shown}</div>'


def _surfaces(table: Grid) -> str:
    """Return a table with a line for each surface and tolerance."""
    head = "".join(f'<th scope="col" role="columnheader" class="{kind}">{text}</th>' for text, kind in COLUMNS.items())
    body = "".join(_surface(table, name) for name in table.surfaces)
    note = (
        "Difference: largest absolute difference of an entry of the unit embeddings. Similarity: largest absolute "
        "difference of a cosine similarity between two sentences. Other ids: sentences with other token ids than the source."
    )
    return (
        '<h2 id="surfaces">Ways of loading</h2>\n<div class="wide" tabindex="0" role="region" aria-labelledby="surfaces">'
        f'<table class="facts" role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table></div>\n<p class="soft">{note}</p>'
    )


def _surface(table: Grid, surface: str) -> str:
    rows = table.surface(surface)
    failed, languages = [row.language for row in rows if not row.passed], [row.language for row in rows]
    if failed:
        result = f'<span class="fail">{OUTSIDE}: outside in {escape(where(failed, languages))}</span>'
    else:
        result = f"within, in {escape(where(languages, languages))}"
    similarity = max((row.similarity for row in rows), key=lambda value: (math.isnan(value), value))
    reasons = list(dict.fromkeys(f"{tolerance(row.tolerance)}: {row.reason}" for row in rows if row.reason))
    listed = "<br>".join(_plain(reason) for reason in reasons[:10]) + (f"<br>… {len(reasons)}" if reasons[10:] else "")
    values = [
        result,
        f"{difference(rows[0])} ({_plain(rows[0].language)})",
        tolerances(rows),
        f"{sum(row.other_ids for row in rows):,}",
        number(similarity),
        listed,
    ]
    cells = (
        f'<td role="cell" class="{kind}" data-head="{head}">{value}</td>'
        for (head, kind), value in zip(list(COLUMNS.items())[1:], values, strict=True)
    )
    return f'<tr role="row"><th scope="row" role="rowheader">{_breakable(surface)}</th>{"".join(cells)}</tr>'


def _breakable(surface: str) -> str:
    return _plain(surface).replace("-", "-<wbr>")


def _failures(report: Report) -> list[str]:
    failures = failures_by_turns(report)
    if not failures:
        return []
    parts = ["<h2>Failing sentences</h2>", '<p class="soft">The worst of each way of loading first.</p>']
    parts += map(_failure, failures[:FAILURES])
    if failures[FAILURES:]:
        rest = map(_failure, failures[FAILURES:])
        parts += [f"<details><summary>{len(failures) - FAILURES} more</summary>", *rest, "</details>"]
    return parts


def _failure(failure: Failure) -> str:
    departs = f"First departs at: <strong>{escape(stage(failure.stage))}</strong>" if failure.stage else ""
    detail = "<br>".join(part for part in (departs, _plain(failure.detail) if failure.detail else "") if part)
    return (
        f'<article class="card"><h3>{_plain(failure.language)}, {_plain(failure.surface)}: '
        f'differs by <span class="fail">{number(failure.difference)}</span></h3>\n'
        f"{_sentence(failure.text, failure.language, 'p')}\n<p>{detail}</p></article>"
    )


def _heat_map(table: Grid) -> list[str]:
    if not table.languages:
        return []
    languages = table.languages[:LANGUAGES]
    parts = 1 if len(languages) <= BLOCK else 3
    size = -(-len(languages) // parts)
    blocks = [languages[at : at + size] for at in range(0, len(languages), size)]
    legend = "".join(f'<li class="s{i}">{step.label}</li>' for i, step in enumerate(STEPS))
    rest = table.languages[LANGUAGES:]
    cut = f'<p class="soft">… and {escape(more(rest))}; the JSON report has them.</p>' if rest else ""
    return [
        '<h2 id="map">Every language</h2>',
        f'<p class="soft">Worst first. In each cell the largest difference; {OUTSIDE} marks those outside the tolerance. '
        "Point at a cell, or move to it with the Tab key, for more.</p>",
        '<a class="skip" href="#facts">Skip the heat map</a>',
        f'<ul class="legend" aria-label="Colours: difference in tolerances">{legend}</ul>',
        f'<div class="maps {"some" if parts == 1 else "many"}">',
        *(_block(table, block) for block in blocks),
        f"</div>{cut}",
    ]


def _block(table: Grid, languages: Sequence[str]) -> str:
    heads = "".join(f'<th scope="col">{_breakable(name)}</th>' for name in table.surfaces)
    lines = []
    for language in languages:
        cells = "".join(_cell(table.cells.get((language, name))) for name in table.surfaces)
        lines.append(f'<tr><th scope="row">{_plain(language)}</th>{cells}</tr>')
    caption = f"{_plain(languages[0])} to {_plain(languages[-1])}" if len(languages) > 1 else _plain(languages[0])
    return (
        f'<table class="map"><caption>{caption}</caption><thead><tr><th scope="col" class="code">language</th>{heads}</tr>'
        "</thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody></table>"
    )


def _cell(row: Row | None) -> str:
    if row is None:
        return '<td class="none">not compared</td>'
    mark = "" if row.passed else f"<b>{OUTSIDE}</b>"
    ids = f"<small>{count(row.other_ids, 'id')}</small>" if row.other_ids else ""
    return (
        f'<td class="s{step(row)}"><span class="v s{step(row)}" tabindex="0">{difference(row)}{mark}{ids}'
        f'<span class="tip" role="tooltip">{_tip(row)}</span></span></td>'
    )


def _tip(row: Row) -> str:
    share = ratio(row)
    times = f", {share:,.2g} times the tolerance" if 0 < share < 1e6 else ""
    ids = f"; other token ids in {row.other_ids:,} of {count(row.sentences, 'sentence')}" if row.other_ids else ""
    return (
        f"<strong>{_plain(row.language)}, {_plain(row.surface)}</strong>: "
        f"{'within' if row.passed else 'outside'} the tolerance of {tolerance(row.tolerance)}; "
        f"difference {difference(row)}{times}; similarity differs by {number(row.similarity)}{ids}. "
        f"Largest of {count(row.sentences, 'sentence')}: {_sentence(row.worst, row.language, 'span', TIP_LENGTH)}"
    )


def _facts(report: Report) -> str:
    table = grid(report)
    facts = {
        "source": report.source,
        "fingerprint": report.fingerprint,
        "expected values": report.witness,
        "candidate": report.candidate,
        **report.versions,
        "compared": f"{count(table.sentences(), 'sentence')}, {where(table.languages, table.languages)}",
        "time": f"{report.seconds:,.1f} seconds",
    }
    items = "".join(f"<dt>{_plain(name)}</dt><dd>{_plain(value)}</dd>" for name, value in facts.items())
    return f'<h2 id="facts">What was compared</h2>\n<dl>{items}</dl>'
