"""The report as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from numbers import Integral, Real
from typing import Any

from hub2hf.equivalence.reports.summary import grid, summary
from hub2hf.equivalence.result import Report

FORMAT = 1  # to be raised when a field changes its meaning or goes


def report_json(report: Report) -> dict[str, Any]:
    """Return everything in `report` as JSON data.

    Numbers that JSON does not have are the strings "NaN", "Infinity" and "-Infinity": with those, `difference <= tolerance`
    is false in JavaScript and jq, which it would not be with null.

    Returns:
        The fields of `Report`, each row with `passed`, the counts of `languages` and `sentences`, `equivalent`, `summary`
        and `format`.
    """
    data = _plain(asdict(report))
    for row, found in zip(data["rows"], report.rows, strict=True):
        row["passed"] = bool(found.passed)
    table = grid(report)
    return {
        "format": FORMAT,
        "equivalent": report.equivalent,
        "summary": summary(report),
        "languages": len(table.languages),
        "sentences": int(table.sentences()),
        **data,
    }


def _plain(value: Any) -> Any:
    match value:
        case str() | bool() | None:
            return value
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case Sequence():
            return [_plain(item) for item in value]
        case Integral():
            return int(value)
        case Real():
            return _real(float(value))
    return str(value)


def _real(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
