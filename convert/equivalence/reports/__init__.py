"""What a verification found, for people and programs: terminal, JSON, Markdown, a web page and a picture."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hub2hf.equivalence.reports.data import is_report, report_json
from hub2hf.equivalence.reports.markdown import report_markdown
from hub2hf.equivalence.reports.page import report_html
from hub2hf.equivalence.reports.picture import heat_map, heat_map_png, require_pillow
from hub2hf.equivalence.reports.terminal import print_report
from hub2hf.errors import ExportError
from hub2hf.folder.files import check_own, make_folder, write_whole
from hub2hf.proof import Report
from hub2hf.proof.summary import summary

__all__ = [
    "heat_map",
    "heat_map_png",
    "prepare_reports",
    "print_report",
    "report_html",
    "report_json",
    "report_markdown",
    "summary",
    "write_reports",
]


JSON = "report.json"  # is written first: where it is ours, so are the others
FILES = (JSON, "report.md", "report.html", "heatmap.png")


def prepare_reports(folder: Path, *, force: bool = False) -> None:
    """Make `folder` and see that reports can be written, before the minutes that a verification takes.

    Raises:
        ExportError: the folder cannot be made or written to, has a file of such a name that is no report, or a report and
            `force` does not say that it may go; or Pillow is not installed.
    """
    require_pillow()
    make_folder(folder)
    _check_own(folder, force=force)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ExportError(f"The folder {folder} cannot be written to.", "Name another folder for the reports.")


def write_reports(report: Report, folder: Path) -> list[Path]:
    """Write report.json, report.md, report.html and heatmap.png, each whole or not at all, over those of a run before.

    Args:
        report: what `verify` returned.
        folder: where to; created.

    Returns:
        The four files.

    Raises:
        ExportError: a file cannot be written, or is another's; or Pillow, which draws the picture, is not
            installed: then the other three are there.
    """
    make_folder(folder)
    _check_own(folder, force=True)
    texts = {
        JSON: json.dumps(report_json(report), ensure_ascii=False, allow_nan=False, indent=1) + "\n",
        "report.md": report_markdown(report),
        "report.html": report_html(report),
    }
    for name, text in texts.items():
        # Half a surrogate pair is no UTF-8; as \udc80 it stays valid JSON. The other reports escape it themselves.
        write_whole(folder / name, text.encode("utf-8", "backslashreplace"))
    heat_map_png(report, folder / "heatmap.png")
    return [folder / name for name in FILES]


def _check_own(folder: Path, *, force: bool) -> None:
    """See that the files of a report take the place of nothing but those of an earlier one (ExportError)."""
    earlier = (folder / JSON).exists()
    for name in FILES:
        if name == JSON or not earlier:
            check_own(folder / name, is_report, "Name another folder for the reports.", force=force)
