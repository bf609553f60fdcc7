"""What was measured of retrieval, added to the folder that it was measured of: manifest and card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hub2hf.corpora.encoders import default_runtime, surface_of
from hub2hf.folder.about import changeable, read_proof, write_about
from hub2hf.folder.manifest import Manifest, check_unchanged
from hub2hf.folder.ways import files_read
from hub2hf.retrieval.evaluate import Evaluation


def addable(folder: Path) -> Manifest:
    """Return the manifest of a folder to which an evaluation can be added.

    Raises:
        ExportError: hub2hf did not make the folder, it is not as its manifest says, or its card was edited by hand.
    """
    manifest = changeable(folder)
    check_unchanged(folder, manifest)
    return manifest


def add_evaluation(folder: Path, found: Evaluation, runtime: str | None = None) -> None:
    """Write an evaluation into the manifest of a folder, and its card with it.

    It stands as long as the files do that were read for it; another one of the same pairs takes its place.

    Args:
        folder: made by hub2hf; the one that was measured.
        found: what was measured.
        runtime: what ran it, as for `evaluate`.

    Raises:
        ExportError: as `addable`, or the folder cannot be written to.
    """
    manifest = addable(folder)
    way = surface_of(folder, runtime or default_runtime(folder)).name
    told = {**found.to_json(), "way": way, "files": files_read(manifest, way)}
    del told["model"], told["against"]  # where they lay on a person's machine is nobody's business
    told["languages"] = [
        {name: value for name, value in row.items() if name not in ("against", "changed", "lost")}
        for row in told["languages"]
    ]
    kept = [one for one in manifest.evaluations if one["sha256"] != found.sha256 or one["data"] != found.data]
    write_about(folder, replace(manifest, evaluations=(*kept, told)), read_proof(folder, manifest))
