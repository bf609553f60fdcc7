"""Draw README's pictures: the table that `hub2hf verify` prints, and the heat map of all languages, on light and dark pages.

What they show is measured now: the embedded model is converted and held against the embeddings recorded from TensorFlow.

Run: python scripts/pictures.py [FOLDER]
"""

from __future__ import annotations

import argparse
import io
import tempfile
from functools import partial
from html import escape
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, NIGHT_OWLISH, TerminalTheme
from rich.text import Text

import hub2hf
from hub2hf.equivalence.reports import print_report, summary
from hub2hf.equivalence.reports.scale import STEPS, WITHIN, step
from hub2hf.proof import Report
from hub2hf.proof.summary import grid, limit
from hub2hf.proof.text import tolerance
from hub2hf.sources import recording_of
from hub2hf.surfaces import title

MODEL = "lealla-mini"
COLUMNS = 120  # of the terminal
# Background and text of a page, as GitHub has them.
PAGES = {"light": ("#ffffff", "#17212b"), "dark": ("#0d1117", "#e6ebf0")}
_ANSI = [tuple[int, int, int](NIGHT_OWLISH.ansi_colors[number]) for number in range(16)]
DARK = TerminalTheme((13, 17, 23), (230, 235, 240), _ANSI[:8], _ANSI[8:])
THEMES = {"light": DEFAULT_TERMINAL_THEME, "dark": DARK}
CELL, LABEL, LINE, TOP = 9, 210, 24, 34  # pixels: a language's width, the room for names, a way's height, the heading


def table(report: Report, page: str) -> str:
    """Return the SVG of a terminal after the command that `main` runs, as a checkout has its files."""
    terminal = partial(Console, width=COLUMNS, force_terminal=True, color_system="truecolor")
    console, said = terminal(file=io.StringIO(), record=True), io.StringIO()
    print_report(report, terminal(file=said))
    recording = f"convert/models/{recording_of(MODEL).name}"
    console.print(f"[bold]$ hub2hf verify --golden {recording} out[/bold]\n", highlight=False)
    console.print(Text.from_ansi(said.getvalue()))  # wraps the verdict, as a terminal does with a line that is too long
    return console.export_svg(title="hub2hf", theme=THEMES[page], unique_id="hub2hf")


def heat_map(report: Report, page: str) -> str:
    """Return the SVG of ways of loading × languages, in the colours of the report."""
    found, (background, ink) = grid(report), PAGES[page]
    names = found.languages
    width, height = LABEL + CELL * len(names) + 10, TOP + LINE * len(found.ways) + 66
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" fill="{ink}"><title>{escape(summary(report))}</title>',
        f'<rect width="{width}" height="{height}" fill="{background}"/>',
        f'<text x="8" y="22" font-size="15" font-weight="600">Largest difference of unit embeddings from TensorFlow\'s, '
        f"in {len(names) - 1} languages and on texts that ports get wrong, the worst first</text>",
        f'<text x="{width - 8}" y="{height - 14}" font-size="12" text-anchor="end">'
        f"exact: identical token ids, and off by at most {tolerance(limit(found.cells.values()))}</text>",
    ]
    used = set()
    for at, way in enumerate(found.ways):
        y = TOP + LINE * at
        parts.append(f'<text x="8" y="{y + 16}" font-size="13">{escape(title(way.surface))}</text>')
        for nth, name in enumerate(names):
            row = found.cells.get((name, way.surface))
            if row is None:
                continue
            used.add(step(row))
            colour = getattr(STEPS[step(row)], page)[0]
            parts.append(
                f'<rect x="{LABEL + CELL * nth}" y="{y}" width="{CELL - 1}" height="{LINE - 3}" fill="{colour}">'
                f"<title>{escape(name)}: {row.difference:.1e}</title></rect>"
            )
    y = TOP + LINE * len(found.ways) + 6
    for nth, name in enumerate(names):
        x = LABEL + CELL * nth + CELL // 2
        parts.append(f'<text transform="translate({x - 2} {y}) rotate(90)" font-size="8">{escape(name)}</text>')
    x = 8
    for nth in sorted(used):
        colour, text = getattr(STEPS[nth], page)
        told = STEPS[nth].label
        label = escape(told if nth not in WITHIN or "exact" in told else f"exact: {told}")
        wide = 16 + round(6.6 * len(label))
        parts.append(f'<rect x="{x}" y="{height - 28}" width="{wide}" height="20" rx="3" fill="{colour}"/>')
        parts.append(f'<text x="{x + 8}" y="{height - 14}" font-size="12" fill="{text}">{label}</text>')
        x += wide + 8
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Write the four pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(".github/pictures"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        hub2hf.convert(MODEL, out)
        report = hub2hf.verify(None, out, golden=recording_of(MODEL))
    for page in PAGES:
        for name, draw in (("table", table), ("heatmap", heat_map)):
            path = folder / f"{name}-{page}.svg"
            path.write_text(draw(report, page), encoding="utf-8")
            print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
