"""`equivalence.json`: what a verification of the folder found. It is read here, and written behind the verification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from pathlib import Path
from typing import Any

from hub2hf.errors import ExportError
from hub2hf.export.files import hash_file
from hub2hf.export.manifest import PICTURE, PROOF, proved_files

TRAPS = "traps"  # stands in the place of a language, as in configs/traps.tsv


@dataclass(frozen=True)
class Way:
    """One way of loading, over all languages.

    Attributes:
        surface: its name.
        difference: the largest difference, or "NaN".
        other_ids: sentences with other token ids than the graph's.
        passed: whether it is within its tolerance everywhere.
        exact: whether it is so within the tightest tolerance of the proof, with the graph's ids.
        reason: why its tolerance is what it is.
    """

    surface: str
    difference: float | str
    other_ids: int
    passed: bool
    exact: bool
    reason: str


@dataclass(frozen=True)
class Proof:
    """A proof that is whole and about the files that are there; whether it proves anything, its rows tell.

    Attributes:
        data: the content of `equivalence.json`.
        picture: a PNG, or None.
    """

    data: Mapping[str, Any]
    picture: bytes | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every way of loading in every language."""
        return list(self.data["rows"])

    @property
    def equivalent(self) -> bool:
        """Whether all passed, and in each language an exact way was among them."""
        proved = {row["language"] for row in self.rows if row["tolerance"] <= self.data["tight"]}
        return bool(self.rows) and proved == self.languages and all(map(passed, self.rows))

    @property
    def languages(self) -> set[str]:
        """The languages, and "traps"."""
        return {row["language"] for row in self.rows}

    @property
    def covered(self) -> set[tuple[str, str]]:
        """(surface, language) of what was compared."""
        return {(row["surface"], row["language"]) for row in self.rows}

    def ways(self) -> list[Way]:
        """Return every way of loading."""
        tightest = min((row["tolerance"] for row in self.rows), default=0.0)
        found = []
        for surface in dict.fromkeys(row["surface"] for row in self.rows):
            rows = [row for row in self.rows if row["surface"] == surface]
            numbers = [row["difference"] for row in rows if not isinstance(row["difference"], str)]
            worst: float | str = max(numbers) if len(numbers) == len(rows) else "NaN"
            other = sum(row["other_ids"] for row in rows)
            exact = not isinstance(worst, str) and worst <= tightest <= self.data["tight"] and not other
            found.append(Way(surface, worst, other, all(map(passed, rows)), exact, rows[0]["reason"]))
        return found


def passed(row: Mapping[str, Any]) -> bool:
    """Return whether the difference is a number within the tolerance."""
    return not isinstance(row["difference"], str) and row["difference"] <= row["tolerance"]


def shown(difference: float | str) -> str:
    """Return a difference in two digits, never smaller than it is."""
    if isinstance(difference, str):
        return difference
    return f"{float(Context(prec=2, rounding=ROUND_CEILING).create_decimal(repr(difference))):.1e}"


def read_proof(folder: Path, manifest: Mapping[str, Any]) -> Proof | None:
    """Return the proof of the folder's files as the manifest has them; None where there is none.

    Raises:
        ExportError: it was changed since it was written, or cannot be read.
    """
    if PROOF not in manifest["files"]:
        return None
    path, again = folder / PROOF, f"Verify the folder again: hub2hf verify SOURCE {folder}."
    try:
        for name in (PROOF, PICTURE):
            if name in manifest["files"] and hash_file(folder / name) != manifest["files"][name]:
                raise ExportError(f"{folder / name} was changed since the verification.", again)
        proof = _checked(json.loads(path.read_text(encoding="utf-8")))
        picture = (folder / PICTURE).read_bytes() if PICTURE in manifest["files"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ExportError(f"{path} cannot be read: {str(error)[:200] or type(error).__name__}.", again) from error
    about = proof["files"] == proved_files(manifest) and proof["fingerprint"] == manifest["source"]["fingerprint"]
    return Proof(proof, picture) if about else None


TYPES = {"surface": str, "language": str, "difference": float | int | str, "tolerance": float | int, "other_ids": int}


def _checked(proof: Any) -> dict[str, Any]:
    """Return `proof` if it has the form of one.

    Raises:
        ValueError, KeyError, TypeError: it does not.
    """
    texts = (proof["summary"], proof["witness"], proof["fingerprint"], *(row["reason"] for row in proof["rows"]))
    typed = all(isinstance(row[name], kind) for row in proof["rows"] for name, kind in TYPES.items())
    if not typed or not all(isinstance(text, str) for text in texts) or not isinstance(proof["files"], dict):
        raise ValueError("something in it is of another type")
    if not isinstance(proof["tight"], float | int) or not isinstance(proof["sentences"], int):
        raise ValueError("something in it is of another type")  # noqa: TRY004  (as what json raises)
    return dict(proof)
