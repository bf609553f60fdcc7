"""Run the zoo without pytest: `python tests/foreign/run_zoo.py [--reuse] [beginnings of names]`.

Prints name, verdict, seconds (to build, to convert and compare) and why. What TensorFlow wrote is kept in .cache/zoo and
taken again while the sources of the zoo are the same; `--reuse` takes it even if they are not. Exits with 1 if one is
WRONG or one that computes the facts page is refused.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / ".cache/zoo"

import judging
import numpy as np
import zoo_texts
from zoo_witness import NAMED, Witness, load


def _digest() -> str:
    sources = sorted(HERE.glob("zoo*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def built(name: str, texts: list[str], reuse: bool) -> tuple[Path, Witness]:
    """Return the SavedModel of this name and its witness, as kept or as built now."""
    place = KEPT / name
    stamp = place / "digest"
    if stamp.exists() and (reuse or stamp.read_text() == _digest()):
        return place / "model", load(place / "witness.npz")
    import zoo
    import zoo_models

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    witness = zoo_models.write(place / "model", zoo.ALL[name], texts)
    np.savez(place / "witness.npz", **vars(witness))
    stamp.write_text(_digest())
    return place / "model", load(place / "witness.npz")


def names() -> list[str]:
    """Return the names of all models, in order, kept beside them so that they are known without TensorFlow."""
    listed = KEPT / "names.txt"
    if not listed.exists() or listed.stat().st_mtime < max(path.stat().st_mtime for path in HERE.glob("zoo*.py")):
        import zoo

        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text(
            "\n".join([f"{name}\tright" for name in zoo.RIGHT] + [f"{name}\twrong" for name in zoo.WRONG])
        )
    return listed.read_text().split("\n")


def main(wanted: list[str]) -> int:
    """Print the table of the models that are wanted, all if none is named."""
    reuse = "--reuse" in wanted
    wanted = [word for word in wanted if not word.startswith("--")]
    texts = zoo_texts.texts()
    bad = counted = 0
    for line in names():
        name, kind = line.split("\t")
        if wanted and not any(name.startswith(beginning) for beginning in wanted):
            continue
        start = time.time()
        try:
            folder, witness = built(name, texts, reuse)
        except Exception as error:
            bad += 1
            print(f"{kind:5} {name:32} not built: {type(error).__name__} {str(error)[-300:]!r}", flush=True)
            continue
        middle = time.time()
        found, why = judging.verdict(folder, folder.parent / "out", witness, texts, NAMED.get(name, ""))
        shutil.rmtree(folder.parent / "out", ignore_errors=True)
        bad += found == judging.WRONG or (found == judging.REFUSED and kind == "right")
        counted += 1
        seconds = f"{middle - start:.0f}+{time.time() - middle:.0f} s"
        print(f"{kind:5} {name:32} {found:8} {seconds:9} {why[:700]}", flush=True)
    print(f"{counted} models, {bad} not as they must be")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
