"""The tolerances of `configs/tolerances.toml`, or of a person's own file of that form."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub2hf.configs import config_file
from hub2hf.errors import SourceError
from hub2hf.surfaces import SURFACES

FILE = "tolerances.toml"


@dataclass(frozen=True)
class Tolerance:
    """The largest difference that passes, the one that was measured, and why it is not zero."""

    tolerance: float
    measured: float
    reason: str


@dataclass(frozen=True)
class Tolerances:
    """Tolerances by surface, with exceptions by surface and language.

    Each was measured, so a surface without one has no default: that would be a guess.
    """

    surfaces: Mapping[str, Tolerance]
    exceptions: Mapping[tuple[str, str], Tolerance]

    def check(self, surfaces: Iterable[str]) -> None:
        """See that there is a tolerance for each of `surfaces`, before anything is loaded.

        Raises:
            SourceError: there is none for some.
        """
        missing = [name for name in surfaces if name not in self.surfaces]
        if missing:
            raise SourceError(f"The tolerances have no [surface.{missing[0]}].", f"Add one; see configs/{FILE}.")

    def of(self, surface: str, language: str) -> Tolerance:
        """Return the tolerance of `surface` in `language`.

        Raises:
            SourceError: the file has none for the surface.
        """
        self.check([surface])
        return self.exceptions.get((surface, language)) or self.surfaces[surface]


def load_tolerances(path: Path | None = None) -> Tolerances:
    """Read tolerances from `path`, or the project's own.

    Raises:
        SourceError: the file cannot be read, names a surface that does not exist, or an entry is not a positive number with
            its reason.
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
    unknown = sorted(surfaces.keys() - SURFACES.keys())
    if unknown:
        raise SourceError(
            f"{source} has a tolerance for {', '.join(unknown)}, which is no way of loading.",
            f"Known are: {', '.join(SURFACES)}.",
        )
    return Tolerances(surfaces, exceptions)


def _tolerance(table: Mapping[str, Any]) -> Tolerance:
    found = Tolerance(float(table["tolerance"]), float(table["measured"]), str(table["reason"]))
    if not found.tolerance > 0:
        raise ValueError(f"tolerance {found.tolerance} is not positive")
    return found
