"""The tolerances of `configs/tolerances.toml`, or of a person's own file of that form."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub2hf.configs import config_file
from hub2hf.errors import SourceError
from hub2hf.proof import EXACT, TIGHT
from hub2hf.surfaces import SURFACES, named

FILE = "tolerances.toml"


@dataclass(frozen=True)
class Tolerance:
    """The largest difference that passes, the one that was measured (None: nobody has), and why it is not zero."""

    tolerance: float
    measured: float | None
    reason: str


@dataclass(frozen=True)
class Tolerances:
    """Tolerances by surface, with exceptions by surface and language."""

    surfaces: Mapping[str, Tolerance]
    exceptions: Mapping[tuple[str, str], Tolerance]

    def of(self, surface: str, language: str) -> Tolerance:
        """Return the tolerance of `surface` in `language`; without one, what is exact anywhere, and why it may not be."""
        declared = self.exceptions.get((surface, language)) or self.surfaces.get(surface)
        return declared or Tolerance(EXACT, None, SURFACES[surface].differs)


def load_tolerances(path: Path | None = None) -> Tolerances:
    """Read tolerances from `path`, or the project's own.

    Raises:
        SourceError: the file cannot be read, names a surface that does not exist, an entry is not a positive number with its
            reason, or a way has one that would let anything pass.
    """
    source = path if path is not None else config_file(FILE)
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))["surface"]
        tables = {named(name): table for name, table in tables.items()}
        surfaces = {name: _tolerance(name, table) for name, table in tables.items()}
        exceptions = {
            (name, language): _tolerance(f"{name}.{language}", entry)
            for name, table in tables.items()
            for language, entry in table.items()
            if isinstance(entry, dict)
        }
    except OSError as error:
        raise SourceError(
            f"{source} cannot be read: {error.strerror or type(error).__name__}.", "Check its path."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        step = f"See configs/{FILE} for the form."
        raise SourceError(f"{source} is not a file of tolerances: {_why(error)}.", step) from error
    unknown = sorted(surfaces.keys() - SURFACES.keys())
    if unknown:
        raise SourceError(
            f"{source} has a tolerance for {', '.join(unknown)}, which is not a way of loading.",
            f"Choose from: {', '.join(SURFACES)}.",
        )
    wide = [name for name, allowed in surfaces.items() if allowed.tolerance > TIGHT]
    if wide:
        raise SourceError(
            f"{source} allows {wide[0]} a difference of {surfaces[wide[0]].tolerance:g} in every language, which is "
            f"too much to call equal: the most is {TIGHT:g}.",
            "Leave it out: a way that is not exact is measured, and has no tolerance.",
        )
    return Tolerances(surfaces, exceptions)


def _why(error: Exception) -> str:
    """Return what is wrong with a file, in words."""
    match error:
        case KeyError():
            return f"'{error.args[0]}' is missing in it"
        case ValueError():
            return str(error)
    return "an entry has another form"


def _tolerance(name: str, table: Mapping[str, Any]) -> Tolerance:
    if missing := [key for key in ("tolerance", "measured", "reason") if key not in table]:
        raise ValueError(f"[surface.{name}] lacks '{missing[0]}'")
    found = Tolerance(float(table["tolerance"]), float(table["measured"]), str(table["reason"]))
    if not found.tolerance > 0:
        raise ValueError(f"tolerance {found.tolerance} is not positive")
    return found
