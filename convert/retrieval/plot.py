"""A plot of an evaluation: accuracy in every language with its interval, and that of the other model beside it. SVG."""

from __future__ import annotations

from html import escape

from hub2hf.retrieval.evaluate import Evaluation

LEFT, RIGHT, ROW, TOP = 120, 40, 18, 56  # pixels
WIDTH = 480  # of 100 %
STYLE = (
    "text{font:12px sans-serif;fill:#1c1c1c}.bar{fill:#79b4e0}.span{stroke:#06182a;stroke-width:2}"
    ".other{fill:none;stroke:#9c3300;stroke-width:2}.grid{stroke:#d9d9d9}.page{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#f2f2f2}.bar{fill:#2a6ca3}.span{stroke:#e3f0fb}"
    ".other{stroke:#ffc98c}.grid{stroke:#4a4a4a}.page{fill:#111}}"
)


def is_plot(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a plot that `plot` made."""
    return head.startswith(b"<svg ") and STYLE.encode() in head


def plot(found: Evaluation) -> str:
    """Return an SVG: bars are accuracies forward, lines their 95 % intervals, rings the other model's."""
    rows = sorted(found.languages, key=lambda row: -row.own.forward)
    height = TOP + ROW * len(rows) + 12
    parts = [_title(found), *(_grid(share, height) for share in (0, 0.25, 0.5, 0.75, 1))]
    for at, row in enumerate(rows):
        y = TOP + ROW * at
        low, high = row.interval
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(row.language)} ({row.pairs:,})</text>'
        )
        parts.append(f'<rect class="bar" x="{LEFT}" y="{y + 3}" width="{WIDTH * row.own.forward:.1f}" height="11"/>')
        parts.append(f'<line class="span" x1="{_x(low)}" x2="{_x(high)}" y1="{y + 8.5}" y2="{y + 8.5}"/>')
        if row.other is not None:
            parts.append(f'<circle class="other" cx="{_x(row.other.forward)}" cy="{y + 8.5}" r="5"/>')
    size = f'width="{LEFT + WIDTH + RIGHT}" height="{height}"'
    page = f'<rect class="page" {size}/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>{page}{"".join(parts)}</svg>\n'


def _x(share: float) -> str:
    return f"{LEFT + WIDTH * share:.1f}"


def _grid(share: float, height: int) -> str:
    line = f'<line class="grid" x1="{_x(share)}" x2="{_x(share)}" y1="{TOP - 6}" y2="{height - 8}"/>'
    return f'{line}<text x="{_x(share)}" y="{TOP - 10}" text-anchor="middle">{share:.0%}</text>'


def _title(found: Evaluation) -> str:
    against = f"; rings: {found.against}" if found.against else ""
    return f'<text x="8" y="20">{escape(f"{found.model}: translations of {found.data} that are found{against}")}</text>'
