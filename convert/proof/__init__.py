"""What was proved of a folder: the record, what it is worth, its words and its file."""

from hub2hf.proof.record import (
    EXACT,
    PARTLY,
    TIGHT,
    TRAPS,
    UNKNOWN,
    Cause,
    Conditions,
    Failure,
    Proof,
    Report,
    Row,
    Way,
    Worth,
    worth,
)

__all__ = [
    "EXACT",
    "PARTLY",
    "TIGHT",
    "TRAPS",
    "UNKNOWN",
    "Cause",
    "Conditions",
    "Failure",
    "Proof",
    "Report",
    "Row",
    "Way",
    "Worth",
    "worth",
]
