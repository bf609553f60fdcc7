"""Convert one SavedModel of the zoo and say how it compares with what TensorFlow made of the texts."""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from zoo_witness import Witness

import hub2hf
from hub2hf.errors import Hub2HFError
from hub2hf.surfaces import embed

TOLERANCE = 2e-6
UNIT = 1e-4  # TensorFlow Hub's modules add something to the norm
EXACT, REFUSED, WRONG = "exact", "refused", "WRONG"


def _rows(ids: np.ndarray) -> list[list[int]]:
    """Return the ids without the zeros at the end."""
    return [row[: np.flatnonzero(row)[-1] + 1].tolist() if row.any() else [] for row in ids]


def _surfaces(out: Path) -> list[str]:
    return ["automodel", "sentence-transformers"] if (out / "modules.json").exists() else ["automodel"]


def _is_unit(out: Path) -> bool:
    return json.loads((out / "hub2hf.json").read_text())["blueprint"]["encoder"]["normalised"]["value"]


def _differences(out: Path, witness: Witness, texts: Sequence[str], surface: str) -> str:
    found = embed(surface, out, texts)
    for ids, embeddings, places in (
        (witness.ids, witness.embeddings, np.arange(len(texts))),
        (witness.ids_again, witness.embeddings_again, witness.again),
    ):
        rows = _rows(ids)
        differing = [i for i, row in zip(places, rows, strict=True) if found.ids[i] != row]
        if differing:
            return f"{surface}: other ids of {len(differing)} of {len(rows)} texts, {texts[differing[0]][:40]!r}"
        unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
        far = float(np.abs(found.embeddings[places] - unit).max())
        if not far <= TOLERANCE:
            return f"{surface}: embeddings differ by {far:.1e}"
    return ""


def verdict(folder: Path, out: Path, witness: Witness, texts: Sequence[str], output: str = "") -> tuple[str, str]:
    """Return EXACT, REFUSED or WRONG, and why; `output` names the output that is the embedding."""
    shutil.rmtree(out, ignore_errors=True)
    try:
        hub2hf.convert(folder, out, output=output)
    except Hub2HFError as error:
        return (WRONG, "refused, but left the folder") if out.exists() else (REFUSED, str(error))
    except Exception as error:
        return WRONG, "a traceback: " + "".join(traceback.format_exception(error))[-400:].replace("\n", " ")
    problems = [problem for surface in _surfaces(out) if (problem := _differences(out, witness, texts, surface))]
    length = np.linalg.norm(witness.embeddings, axis=-1)
    if _is_unit(out) and not np.abs(length - 1).max() < UNIT:  # what `embed` gives is of unit length anyway
        problems.append(f"said to be of unit length, and as short as {length.min():.3f}")
    return (WRONG, "; ".join(problems)) if problems else (EXACT, "")
