"""Measure ways of loading a folder in the environment that has their libraries, and print the table of all of them.

Run: python scripts/runtimes.py FOLDER EXTRA …    # measures the ways of these extras; the results add up in the folder
     python scripts/runtimes.py FOLDER            # prints the table of its card
The folder is of lealla-mini, with ONNX; TensorFlow's embeddings of all languages are the recorded ones. Exit code 1: a way
that must be exact is not, or one was not measured.
"""

from __future__ import annotations

import sys
from pathlib import Path

import hub2hf
from hub2hf.errors import Hub2HFError
from hub2hf.folder.about import read_proof
from hub2hf.folder.manifest import read_manifest
from hub2hf.folder.ways import ways_table
from hub2hf.surfaces import CPU, SURFACES

GOLDEN = Path(__file__).resolve().parents[1] / "convert" / "models" / "lealla-mini.golden.safetensors"


def measure(folder: Path, extras: list[str]) -> bool:
    """Verify the folder in the ways of some extras, each by itself; return whether those that must be exact are."""
    good = True
    for surface in (surface for surface in SURFACES.values() if surface.extra in extras and surface.device == CPU):
        try:
            found = hub2hf.verify(None, folder, golden=GOLDEN, surfaces=[surface.name])
            (way,) = found.worth.ways
            said, same = (
                way.refused or f"{way.difference:.1e}, other ids in {way.other_ids} of {way.sentences}",
                way.same,
            )
        except Hub2HFError as error:
            said, same = str(error), False
        print(f"{surface.name}: {said}", flush=True)
        good = good and (same or not surface.exact)
    return good


def show(folder: Path) -> bool:
    """Print the table of all ways; return whether each was measured, and is exact where it must be."""
    manifest = read_manifest(folder)
    proof = read_proof(folder, manifest)
    print(ways_table(manifest, proof))
    known = {way.surface: way for way in proof.worth.ways} if proof else {}
    wanted = (surface for surface in SURFACES.values() if surface.device == CPU)
    return all(one.name in known and (known[one.name].same or not one.exact) for one in wanted)


if __name__ == "__main__":
    place, wanted = Path(sys.argv[1]), sys.argv[2:]
    sys.exit(0 if (measure(place, wanted) if wanted else show(place)) else 1)
