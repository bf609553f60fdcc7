"""The report as plain data."""

from __future__ import annotations

from typing import Any

from hub2hf.proof import Report
from hub2hf.proof.codec import findings, plain

FORMAT = 2  # to be raised when a field changes its meaning or goes


def is_report(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a report as JSON, as `write_reports` writes it."""
    return head.startswith(b'{\n "format": ')


def report_json(report: Report) -> dict[str, Any]:
    """Return everything in `report` as JSON data.

    Returns:
        What is in `equivalence.json` of what was found, and what was compared with what; `format` first.
    """
    about = {
        "source": report.source,
        "witness": report.witness,
        "candidate": report.candidate,
        "versions": plain(report.versions),
        "seconds": float(report.seconds),
        "note": report.note,
        **({"unreadable": dict(report.unreadable)} if report.unreadable else {}),
    }
    return {"format": FORMAT, **findings(report), **about}
