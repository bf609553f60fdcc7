"""A proof as JSON data and back: the content of `equivalence.json`, and most of what `verify --json` prints.

Numbers that JSON does not have are the strings "NaN", "Infinity" and "-Infinity": with those, `difference <= tolerance` is
false in JavaScript and jq, which it would not be with null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, replace
from numbers import Integral, Real
from typing import Any, TypeVar

from hub2hf.proof.record import EXACT, TIGHT, Cause, Conditions, Failure, Proof, Row, Way
from hub2hf.proof.summary import grid, summary
from hub2hf.surfaces import named, reads, title

Record = TypeVar("Record", Row, Failure, Cause, Conditions)

FORMAT = 3  # of equivalence.json
NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
# What `Conditions` was in format 1, a line of text.
WITNESS = re.compile(
    r"TensorFlow (?P<tensorflow>[^,]+)(?P<recorded>, recorded)?(?:, ids from (?P<ids_from>.+))?", re.DOTALL
)


def findings(proof: Proof) -> dict[str, Any]:
    """Return what was found as JSON data: verdict, summary, counts and ways, which follow from the rows, and the rows."""
    table = grid(proof)
    return {
        "equivalent": proof.equivalent,
        "summary": summary(proof),
        "languages": len(table.languages),
        "sentences": int(table.sentences()),
        **({"unanswered": int(proof.unanswered)} if proof.unanswered else {}),
        "fingerprint": proof.fingerprint,
        "ways": [_way(way) for way in proof.worth.ways],
        "rows": [{**plain(asdict(row)), "exact": bool(row.exact), "allowed": bool(row.allowed)} for row in proof.rows],
        "failures": [plain(asdict(failure)) for failure in proof.failures],
        "causes": [plain(asdict(cause)) for cause in proof.causes],
    }


def _way(way: Way) -> dict[str, Any]:
    """Return a way of loading as JSON data; where it was refused, only that it was."""
    about = {"surface": way.surface, "title": title(way.surface), "held": way.held, "exact": bool(way.exact)}
    if way.refused:
        return {**about, "refused": way.refused}
    measured = {
        "same": way.same,
        "difference": way.difference,
        "language": way.worst.language,
        "sentences": way.sentences,
        "other_ids": way.other_ids,
        "cosine": way.cosine,
        "neighbours": way.neighbours,
        "allowed": [row.language for row in way.allowed],
    }
    return {**about, **{name: plain(value) for name, value in measured.items()}}


def to_json(proof: Proof, converter: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of `equivalence.json`.

    Args:
        proof: of a folder.
        converter: name and version of what made the folder.
    """
    conditions = {name: plain(asdict(one)) for name, one in proof.conditions.items()}
    return {"format": FORMAT, "converter": dict(converter), **findings(proof), "conditions": conditions}


def from_json(data: Any) -> Proof:
    """Return the proof that `to_json` gave, now or in the formats before; what follows from the rows is not read.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is no such data.
    """
    number = data["format"]
    if number not in (1, 2, FORMAT):
        raise ValueError(f"its format is {number!r}: another version of hub2hf wrote it")
    rows = [_read(Row, row) for row in data["rows"]]
    failures = [_read(Failure, failure) for failure in data["failures"]]
    rows = [replace(row, surface=named(row.surface)) for row in rows]
    failures = [replace(one, surface=named(one.surface)) for one in failures]
    if number == 1:
        conditions = {name: _conditions_of_format_1(data, name) for name in dict.fromkeys(row.surface for row in rows)}
    else:
        conditions = {named(name): _read(Conditions, one) for name, one in data["conditions"].items()}
    if number != FORMAT:
        rows, conditions = _without_wide_tolerances(rows, conditions)
    return Proof(
        fingerprint=_text(data["fingerprint"]),
        rows=rows,
        failures=failures,
        causes=[_read(Cause, cause) for cause in data["causes"]],
        conditions=conditions,
        unanswered=_whole(data.get("unanswered", 0)),
    )


def plain(value: Any) -> Any:
    """Return `value` with NumPy's numbers, tuples and what JSON has no number for turned into plain JSON data."""
    match value:
        case str() | bool() | None:
            return value
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case Sequence():
            return [plain(item) for item in value]
        case Integral():
            return int(value)
        case Real():
            return _real(float(value))
    return str(value)


def _real(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r:.40} is not a whole number")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) and value not in NUMBERS:
        raise TypeError(f"{value!r:.40} is not a number")
    return NUMBERS[value] if isinstance(value, str) else float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is neither true nor false")
    return value


# The fields of a record by their annotation → how they are read.
READERS: Mapping[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "float | None": lambda value: None if value is None else _number(value),
    "int | None": lambda value: None if value is None else _whole(value),
    "bool": _truth,
    "Sequence[str]": lambda value: [_text(item) for item in value],
    "Mapping[str, str]": lambda value: {_text(key): _text(item) for key, item in value.items()},
}


def read_row(data: Mapping[str, Any]) -> Row:
    """Return a row that `plain` made JSON data of.

    Raises:
        KeyError, TypeError, AttributeError: it is none.
    """
    return _read(Row, data)


def _read(kind: type[Record], data: Mapping[str, Any]) -> Record:
    """Return the record of `kind` that `data` holds; what else `data` says follows from it.

    A field with a default may be missing: later versions of hub2hf added some.

    Raises:
        KeyError, TypeError, AttributeError: a field is not there, or of another type.
    """
    there = (each for each in fields(kind) if each.name in data or each.default is MISSING)
    return kind(**{each.name: READERS[str(each.type)](data[each.name]) for each in there})


def _without_wide_tolerances(
    rows: Sequence[Row], conditions: Mapping[str, Conditions]
) -> tuple[list[Row], dict[str, Conditions]]:
    """Return rows and conditions of a format before 3, in which a way that was not exact had a tolerance of its own.

    There the ways with a tight tolerance are those that had to be exact.
    """
    held = {row.surface for row in rows if row.tolerance <= TIGHT}
    return (
        [row if row.surface in held else replace(row, tolerance=EXACT) for row in rows],
        {name: replace(one, held=name in held) for name, one in conditions.items()},
    )


def _conditions_of_format_1(data: Mapping[str, Any], surface: str) -> Conditions:
    """Return the conditions of a way, which version 0.1.0 said once for all of them."""
    told = WITNESS.fullmatch(_text(data["witness"]))
    if told is None:
        raise ValueError(f"{data['witness']!r:.80} is not a witness")
    files = READERS["Mapping[str, str]"](data["files"])
    return Conditions(
        tensorflow=told["tensorflow"],
        recorded=bool(told["recorded"]),
        ids_from=told["ids_from"] or "",
        versions=READERS["Mapping[str, str]"](data["versions"]),
        files={name: digest for name, digest in files.items() if reads(surface, name)},
    )
