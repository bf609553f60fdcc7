"""The report on a terminal, or in a log where there is none."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hub2hf.equivalence.reports.scale import DIFFERS
from hub2hf.proof import Cause, Failure, Report, Row, Way
from hub2hf.proof.summary import Grid, called, differing, failures_by_turns, felt, grid, limit, summary
from hub2hf.proof.text import ASCII, count, more, number, printable, share, stage, tolerance
from hub2hf.surfaces import title

WORST = 12  # languages shown although they pass
MOST = 40  # languages that do not pass; where there are more, only the worst are shown
SHORT = 4  # a rest of so few is shown rather than counted
FAILURES = 5
SENTENCES = 3  # of a cause
LENGTH = 200  # characters shown of a sentence
LAYOUTS = (  # of the table, from wide to narrow
    {"tall_head": False, "tall_cells": False},
    {"tall_head": True, "tall_cells": False},
    {"tall_head": True, "tall_cells": True},
)


def print_report(report: Report, console: Console | None = None, *, every: bool = False) -> None:
    """Print languages × surfaces, likely causes, failing sentences, and last the verdict in one line.

    Args:
        report: what `verify` returned.
        console: where to.
        every: show all languages, not only those that fail, if they are not most, and the 12 worst.
    """
    page = _Page(console or Console())
    if report.rows:
        _print_table(page, grid(report), every=every)
    for way in report.worth.ways:
        _print_way(page, way)
    for cause in report.causes:
        _print_cause(page, cause)
    failures = failures_by_turns(report)
    if failures:
        page.line("failing sentences", "bold")
    for failure in failures[:FAILURES]:
        _print_failure(page, failure)
    if failures[FAILURES:]:
        page.line(f"  … and {len(failures) - FAILURES} more in the report")
        page.line()
    page.line(summary(report), "bold green" if report.equivalent else "bold red", whole=True)


class _Page:
    """Prints texts as they are: no markup, no highlighting, and nothing that the terminal cannot encode."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def text(self, text: str, style: str = "") -> Text:
        encoding = self.console.encoding
        if not encoding.startswith("utf"):
            text = text.translate(ASCII)
        return Text(text.encode(encoding, "backslashreplace").decode(encoding), style)

    def line(self, text: str = "", style: str = "", *, whole: bool = False) -> None:
        """Print `text`; `whole` as one line however narrow the terminal is, so that a log can be searched for it."""
        indent = len(text) - len(text.lstrip(" "))
        line = self.text(text[indent:], style)
        width = max(20, self.console.width - indent)
        for part in [line] if whole else line.wrap(self.console, width):
            part.rstrip()
            self.console.print(Text(" " * indent) + part, soft_wrap=True, highlight=False)


def shown(table: Grid, *, every: bool) -> list[str]:
    """Return the languages to show, worst first: the `WORST` and all in which a way that counts differs."""
    failing = [name for name in table.languages if not table.passed(name)]
    some = failing if len(failing) <= MOST else []
    languages = [name for at, name in enumerate(table.languages) if every or at < WORST or name in some]
    return table.languages if len(table.languages) - len(languages) <= SHORT else languages


def _print_table(page: _Page, table: Grid, *, every: bool) -> None:
    languages = shown(table, every=every)
    page.line("largest difference of unit embeddings, worst first", "bold")
    exact = tolerance(limit(table.cells.values()))
    page.line(f"{DIFFERS} = not exact: off by more than {exact}, or different token ids")
    if any(row.other_ids for language in languages for row in table.language(language)):
        page.line("3 ids = 3 sentences have different token ids from the source's")
    page.line()
    layouts = [_table(page, table, languages, **layout) for layout in LAYOUTS]
    unbounded = page.console.options.update(width=10_000)
    widths = (Measurement.get(page.console, unbounded, view).maximum for view in layouts)
    fitting = (view for view, width in zip(layouts, widths, strict=True) if width <= page.console.width)
    page.console.print(next(fitting, layouts[-1]))
    page.line()
    rest = [name for name in table.languages if name not in set(languages)]
    if rest:
        same, lossy = all(table.passed(name) for name in rest), any(way.lossy for way in table.ways)
        page.line(
            f"… and {more(rest)}, "
            + (
                ("within their limits too" if lossy else "exact in the same ways")
                if same
                else "most of them not exact either"
            )
        )
        page.line()


def _table(page: _Page, table: Grid, languages: list[str], *, tall_head: bool, tall_cells: bool) -> Table:
    """Return the table, with other ids and the parts of long headings on lines of their own where it must be narrow."""
    titles = [f"{called(way)}\n{'exact' if way.exact else 'not exact'}" for way in table.ways]
    if tall_head:
        titles = [name.replace("-", "-\n").replace(" with ", "\nwith ") for name in titles]
    height = max(head.count("\n") for head in titles)
    view = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    view.add_column("\n" * height + "language", overflow="fold")
    for head in titles:
        view.add_column(page.text("\n" * (height - head.count("\n")) + head), justify="right", overflow="fold")
    for language in languages:
        cells = (_cell(page, table.cells.get((language, way.surface)), tall=tall_cells) for way in table.ways)
        view.add_row(page.text(printable(language)), *cells)
    return view


def _cell(page: _Page, row: Row | None, *, tall: bool) -> Text:
    """Return the difference, the mark or a blank in its place, and other ids before or under it."""
    if row is None:
        return page.text("not compared", "dim")
    shown = number(row.difference)
    value = page.text(f"{shown}  ") if row.exact else page.text(f"{shown} {DIFFERS}", "bold red")
    if not row.other_ids:
        return value
    ids = page.text(count(row.other_ids, "id"), "yellow")
    return value + Text("\n") + ids + Text("  ") if tall else ids + Text("  ") + value


def _print_way(page: _Page, way: Way) -> None:
    """Print of a way that is not exact what a reader can feel of it, and why; or that it could not be measured."""
    if way.refused:
        page.line(f"{called(way)} could not be measured", "bold yellow")
        page.line(f"  {printable(way.refused)}")
    elif way.same and way.allowed:
        page.line(f"{differing(way)}", "bold yellow")
    elif not way.same:
        page.line(f"{called(way)} is not the same", "bold yellow")
        page.line(f"  {felt(way)}")
        if way.reason:
            page.line(f"  {printable(way.reason)}")
    else:
        return
    page.line()


def _print_cause(page: _Page, cause: Cause) -> None:
    name = f"{printable(cause.name)}{share(cause)}"
    page.line(f"likely cause: {name}" if cause.likely else name, "bold yellow")
    page.line(f"  {printable(cause.evidence)}")
    for sentence in cause.sentences[:SENTENCES]:
        page.line(f"    {printable(sentence, LENGTH)}")
    if cause.sentences[SENTENCES:]:
        page.line(f"    … and {count(len(cause.sentences) - SENTENCES, 'more sentence')}")
    page.line()


def _print_failure(page: _Page, failure: Failure) -> None:
    """Print a failing sentence; it has lines of its own, where a right-to-left text cannot reorder anything else."""
    name = printable(title(failure.surface))
    head = f"  {printable(failure.language)}, {name}: differs by {number(failure.difference)}"
    page.line(f"{head}; first departs at: {stage(failure.stage)}" if failure.stage else head)
    page.line(f"    {printable(failure.text, LENGTH)}")
    if failure.detail:
        page.line(f"    {printable(failure.detail, 2 * LENGTH)}")
    page.line()
