"""The tolerances of `configs/tolerances.toml`, or of a person's own file of that form."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub2hf.configs import config_file
from hub2hf.errors import SourceError

FILE = "tolerances.toml"


@dataclass(frozen=True)
class Tolerance:
    """The largest difference that passes, the one that was measured, and why it is not zero."""

    tolerance: float
    measured: float
    reason: str


@dataclass(frozen=True)
class Tolerances:
    """Tolerances by surface, with exceptions by surface and language."""

    surfaces: Mapping[str, Tolerance]
    exceptions: Mapping[tuple[str, str], Tolerance]

    def of(self, surface: str, language: str) -> Tolerance:
        """Return the tolerance of `surface` in `language`.

        Raises:
            SourceError: the file has none for the surface.
        """
        found = self.exceptions.get((surface, language)) or self.surfaces.get(surface)
        if found is None:
            raise SourceError(f"The tolerances have no [surface.{surface}].", f"Add one; see configs/{FILE}.")
        return found


def load_tolerances(path: Path | None = None) -> Tolerances:
    """Read tolerances from `path`, or the project's own.

    Raises:
        SourceError: the file cannot be read, or an entry is not a positive number with its reason.
    """
    source = path if path is not None else config_file(FILE)
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))["surface"]
        surfaces = {name: _tolerance(table) for name, table in tables.items()}
        exceptions = {
            (name, language): _tolerance(entry)
            for name, table in tables.items()
            for language, entry in table.items()
            if isinstance(entry, dict)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        step = f"See configs/{FILE} for the form."
        raise SourceError(f"{source} is not a file of tolerances: {error!r}.", step) from error
    return Tolerances(surfaces, exceptions)


def _tolerance(table: Mapping[str, Any]) -> Tolerance:
    found = Tolerance(float(table["tolerance"]), float(table["measured"]), str(table["reason"]))
    if not found.tolerance > 0:
        raise ValueError(f"tolerance {found.tolerance} is not positive")
    return found
