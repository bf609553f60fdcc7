"""Reports that pass and that fail, with texts that are hard to show, for the tests of reports."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from hub2hf.equivalence.reports import print_report
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.proof import Cause, Conditions, Failure, Report, Row

LANGUAGES = list(dict.fromkeys(sentence.language for sentence in language_sentences()))
SURFACES = ["sentence-transformers", "automodel", "bertmodel", "berttokenizerfast"]
NASTY = (
    "<script>alert(1)</script> a|b [bold]x[/bold] `c` \u202eabc\u202c \x00 \x1b[31m https://example.com @me ]( \ud83d"
)


def row(surface: str = "automodel", language: str = "de", difference: float = 3.6e-7, **changes: object) -> Row:
    found = Row(surface, language, 4, 0, difference, 3 * difference, 2e-6, "float32 round-off", "hund")
    return replace(found, **changes)  # type: ignore[arg-type]


def report(
    rows: Sequence[Row],
    failures: Sequence[Failure] = (),
    causes: Sequence[Cause] = (),
    held: Sequence[str] = ("automodel", "berttokenizerfast"),
) -> Report:
    """Return a report in which the ways `held` must be exact."""
    versions = {"transformers": "4.57.1", "torch": "2.9.0"}
    conditions = {one.surface: Conditions("2.19.0", held=one.surface in held) for one in rows}
    return Report(
        fingerprint="sha256:0123",
        rows=rows,
        failures=failures,
        causes=causes,
        conditions=conditions | {"automodel": Conditions("2.19.0", versions=versions, held="automodel" in held)},
        source="lealla-mini",
        candidate="port",
        seconds=83.4,
    )


def passing(surfaces: Sequence[str] = SURFACES) -> Report:
    """All 109 languages pass; ko is the worst."""
    return report([row(s, name, 3.6e-7 if name == "ko" else 1e-7) for s in surfaces for name in LANGUAGES])


def failing() -> Report:
    """The surface `berttokenizerfast` fails in ten languages: ug is not a number, ja is the largest number."""
    bad = {name: 10.0**-n for n, name in enumerate(["ja", "zh", "th", "ar"], 1)} | {"ug": math.nan}
    rows = [
        replace(one, difference=bad[one.language], other_ids=2)
        if (one.surface, one.language in bad) == ("berttokenizerfast", True)
        else one
        for one in passing().rows
    ]
    failures = [
        Failure("berttokenizerfast", "ja", NASTY, 0.1, "ids", f"piece 3: {NASTY}"),
        Failure("berttokenizerfast", "he", "גורי כלבים", 0.01, "embeddings", ""),
        Failure("berttokenizerfast", "ug", "ئىت", math.nan, "", ""),
        *(Failure("bertmodel", "en", f"dog {n}", 1e-4, "layer 2", "") for n in range(4)),
    ]
    causes = [Cause(f"cause {NASTY}", f"evidence {NASTY}", [NASTY, "b", "c", "d"]), Cause("pooler", "tanh", [])]
    return report(rows, failures, causes)


def terminal(found: Report, width: int = 80, *, every: bool = False, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding, newline=""), width=width)
    print_report(found, console, every=every)
    console.file.flush()
    return raw.getvalue().decode(encoding)


def no_controls(text: str) -> bool:
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
