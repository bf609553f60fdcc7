"""Time and memory of making a folder of LEALLA-large's size slim, as ratios within one run.

Run: python scripts/bench_slim.py [--rounds 3] [--json FILE]
A SavedModel of that size, with the full vocabulary, is converted once. Making it slim is timed as a whole process, for one
language and for six, in turn with its floor, `cp` and `sync` of the weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from statistics import median

from bench import CACHE, MEGABYTE, judge, reference_model, run
from rich.console import Console

import hub2hf

WORK = CACHE / "bench_slim"
KEPT = ("en", "de,en,fr,es,it,pt")
BARS = {
    **{f"slim to {names} / cp+sync": ("at most", 4.0) for names in KEPT},
    **{f"slim to {names}, peak memory, MB": ("at most", 300.0) for names in KEPT},
}


def measured(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of the floor, and of each way its seconds and bytes of peak memory, of every round."""
    weights, out = folder / "model.safetensors", WORK / "out"
    command = Path(sys.executable).with_name("hub2hf")
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr)
        taken = {"cp+sync": run(["sh", "-c", f"cp '{weights}' '{out}' && sync '{out}'"])}
        out.unlink()
        for names in KEPT:
            taken[names] = run([command, "slim", folder, out, "--languages", names])
            shutil.rmtree(out)
        for name, (seconds, peak) in taken.items() if number else ():  # the first round warms the disk cache
            found.setdefault(name, []).append(seconds)
            found.setdefault(f"{name}, memory", []).append(peak)
    return found


def main() -> int:
    """Run the benchmark; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=CACHE / "bench-slim.json")
    arguments = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    hub2hf.convert(reference_model(), WORK / "folder")
    found = measured(WORK / "folder", arguments.rounds)
    shutil.rmtree(WORK)
    middle = {name: median(values) for name, values in found.items()}
    ratios = {}
    for names in KEPT:
        ratios[f"slim to {names} / cp+sync"] = middle[names] / middle["cp+sync"]
        ratios[f"slim to {names}, peak memory, MB"] = middle[f"{names}, memory"] / MEGABYTE
    arguments.json.write_text(json.dumps({"measured": found, "ratios": ratios}, indent=2) + "\n", encoding="utf-8")
    met = judge(Console(), ratios, BARS)
    print(f"written to {arguments.json}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
