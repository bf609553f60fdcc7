"""Time and memory of writing an ONNX file, and sentences a second in ONNX Runtime, as ratios within one run.

Run: python scripts/bench_onnx.py [--rounds 3] [--json FILE]
A SavedModel of LEALLA-large's size is converted once. Exporting is timed as a whole process, in turn with its floor (`cp`
and `sync` of the weights), both to names that are free: an old file that goes would count for one side alone. Then the
sentences of the 109 languages are embedded by `SentenceTransformer` in PyTorch and by ONNX Runtime from float32 and from
float16 weights, in turn, each on all processors, in batches of like length of 16 and of 32 texts; the faster size counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench import CACHE, MEGABYTE, judge, reference_model, run
from rich import box
from rich.console import Console
from rich.table import Table

import hub2hf
from hub2hf.equivalence.sentences import language_sentences

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
WORK = CACHE / "bench_onnx"
BATCHES = (16, 32)  # texts

BARS = {
    "export / cp+sync": ("at most", 4.0),
    "export peak memory, MB": ("at most", 300.0),
    "ONNX Runtime / PyTorch, sentences per second": ("at least", 1.8),
    "ONNX Runtime - PyTorch, unit embeddings": ("at most", 2e-6),
}
FLOAT16 = "float16 weights - float32, unit embeddings"  # printed, without a bar


def writing(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of the floor and of exporting, and the bytes of the latter's peak memory, of every round."""
    weights, copy = folder / "model.safetensors", WORK / "copy"
    hub2hf_command = Path(sys.executable).with_name("hub2hf")
    found: dict[str, list[float]] = {"cp+sync": [], "export": [], "memory": []}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}: writing", file=sys.stderr)
        floor, _ = run(["sh", "-c", f"cp '{weights}' '{copy}' && sync '{copy}'"])
        (folder / "onnx" / "model.onnx").unlink(missing_ok=True)
        taken, peak = run([hub2hf_command, "export", folder, "onnx"])
        copy.unlink()
        if number:  # the first round warms the disk cache
            for name, value in zip(found, (floor, taken, peak), strict=True):
                found[name].append(value)
    return found


def running(folder: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return sentences per second of every way in every round, and how far apart their embeddings are."""
    import numpy as np
    from sentence_transformers import SentenceTransformer

    from hub2hf.surfaces.onnxruntime import Session

    texts = [sentence.text for sentence in language_sentences()]
    torch_side = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    half = WORK / "half"  # the same folder with the other file in the place of the exact one
    (half / "onnx").mkdir(parents=True)
    shutil.copy(folder / "tokenizer.json", half)
    shutil.move(hub2hf.export(folder, "onnx", dtype="float16"), half / "onnx" / "model.onnx")
    exact_session, half_session = Session(folder), Session(half)

    def by_onnx(session: Session, batch: int) -> Any:
        session.batch = batch
        return session.embed(texts).embeddings

    ways: dict[str, Callable[[int], Any]] = {
        "PyTorch": lambda batch: torch_side.encode(texts, batch_size=batch),
        "ONNX Runtime": partial(by_onnx, exact_session),
        "ONNX Runtime, float16 weights": partial(by_onnx, half_session),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    made: dict[str, Any] = {}
    for number in range(rounds + 1):
        for name, embed in ways.items():
            print(f"round {number} of {rounds}: {name}", file=sys.stderr)
            taken = []
            for batch in BATCHES:
                start = time.perf_counter()
                made[name] = embed(batch)
                taken.append(time.perf_counter() - start)
            if number:
                rates[name].append(len(texts) / min(taken))
    torch_made, exact, close = made.values()
    apart = {
        "ONNX Runtime - PyTorch, unit embeddings": float(np.abs(exact - torch_made).max()),
        FLOAT16: float(np.abs(close - exact).max()),
    }
    return rates, apart


def main() -> int:
    """Run the benchmark; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=CACHE / "bench-onnx.json")
    arguments = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    folder = WORK / "folder"
    hub2hf.convert(reference_model(), folder)
    written = writing(folder, arguments.rounds)
    rates, apart = running(folder, arguments.rounds)
    shutil.rmtree(WORK)
    ratios = {
        "export / cp+sync": median(written["export"]) / median(written["cp+sync"]),
        "export peak memory, MB": median(written["memory"]) / MEGABYTE,
        "ONNX Runtime / PyTorch, sentences per second": median(rates["ONNX Runtime"]) / median(rates["PyTorch"]),
        **apart,
    }
    arguments.json.write_text(json.dumps({"writing": written, "rates": rates, "ratios": ratios}, indent=2) + "\n")
    console = Console()
    table = Table("way", "sentences per second", "min – max", box=box.SIMPLE_HEAD)
    for name, values in rates.items():
        table.add_row(name, f"{median(values):.0f}", f"{min(values):.0f} – {max(values):.0f}")
    console.print(table)
    met = judge(console, ratios, BARS)
    print(f"written to {arguments.json}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
