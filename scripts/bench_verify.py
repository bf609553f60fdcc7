"""Speed and memory of verifying, as ratios within one run.

Run: python scripts/bench_verify.py [--rounds 3] [--many 100000] [--json FILE]
Speed is measured on the sentences of the 109 languages with a SavedModel of LEALLA-large's size: PyTorch's side in turn
with the usual way of a test (every sentence padded to 512 pieces), TensorFlow's side in turn with the same graph fed all
its sentences as one batch. Each framework has a process of its own. Memory is the peak of a whole `hub2hf verify` of the
embedded model with TensorFlow running, at 1,000 sentences and at many.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from bench import CACHE, MEGABYTE, judge, reference_model, run
from rich import box
from rich.console import Console
from rich.table import Table

import hub2hf
from hub2hf.equivalence.sentences import Sentence, language_sentences

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
WORK = CACHE / "bench_verify"
EMBEDDED = "lealla-mini"

# The usual way: batches of this many sentences, each padded to this many pieces, which is what BERT's configuration allows.
USUAL_BATCH, USUAL_LENGTH = 32, 512
# Sentences, evenly from all languages, for the ways that are slow.
SAMPLE = 128
FEW = 1_000

# What the project promises. One large batch and batches of 32 cost TensorFlow the same: 5 % between them are noise.
BARS = {
    "PyTorch side / usual way, sentences per second": ("at least", 20.0),
    "PyTorch side - usual way, unit embeddings": ("at most", 1e-6),
    "TensorFlow side / one large batch, sentences per second": ("at least", 0.95),
    "peak memory, many sentences / few": ("at most", 1.15),
}

Rates = dict[str, list[float]]


def in_turn(ways: dict[str, tuple[int, Callable[[], object]]], rounds: int) -> Rates:
    """Time every way, sentences and what embeds them, once a round; return sentences per second. Round 0 warms up."""
    rates: Rates = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (sentences, embed) in ways.items():
            print(f"round {number} of {rounds}: {name}", file=sys.stderr)
            start = time.perf_counter()
            embed()
            if number:
                rates[name].append(sentences / (time.perf_counter() - start))
    return rates


def evenly(count: int) -> list[Sentence]:
    """Return `count` of the project's sentences, evenly from all languages."""
    own = language_sentences()
    return [own[i * len(own) // count] for i in range(count)]


def pytorch(model: Path, rounds: int) -> tuple[Rates, float]:
    """Return rates of PyTorch's side and of the usual way, and how far apart their unit embeddings are."""
    import numpy as np
    import torch

    from hub2hf.surfaces.transformers import automodel

    loaded = automodel(model, True)
    texts = [sentence.text for sentence in language_sentences()]
    sample = [sentence.text for sentence in evenly(USUAL_BATCH)]

    def usual() -> Any:
        options = {"padding": "max_length", "max_length": USUAL_LENGTH, "truncation": True, "return_tensors": "pt"}
        with torch.no_grad():
            return loaded.model(**loaded.tokenizer(sample, **options)).pooler_output

    rates = in_turn(
        {"PyTorch side": (len(texts), lambda: loaded.embed(texts)), "usual way": (len(sample), usual)}, rounds
    )
    expected = torch.nn.functional.normalize(usual()).numpy()
    return rates, float(np.abs(loaded.embed(sample).embeddings - expected).max())


def tensorflow(source: Path, rounds: int) -> Rates:
    """Return rates of TensorFlow's side, which records ids and stages as well, and of one large batch."""
    from hub2hf.equivalence import tensorflow_side

    sentences = evenly(SAMPLE)
    texts, batch = [sentence.text for sentence in sentences], tensorflow_side.BATCH
    with tensorflow_side.ReferenceGraph(hub2hf.Source.find(source)) as graph:

        def one_batch() -> None:
            tensorflow_side.BATCH = len(texts)
            graph.embed(texts)
            tensorflow_side.BATCH = batch

        ways: dict[str, tuple[int, Callable[[], object]]] = {
            "TensorFlow side": (len(texts), lambda: graph.record(sentences)),
            "one large batch": (len(texts), one_batch),
        }
        return in_turn(ways, rounds)


def memory(many: int) -> dict[int, tuple[float, float]]:
    """Return sentences → seconds and peak bytes of verifying so many, no two alike."""
    command_line = Path(sys.executable).with_name("hub2hf")
    out, file = WORK / EMBEDDED, WORK / "sentences.tsv"
    hub2hf.convert(EMBEDDED, out)
    found = {}
    for count in (FEW, many):
        print(f"verifying {count} sentences", file=sys.stderr)
        with file.open("w", encoding="utf-8") as lines:
            for number, (language, text) in enumerate(islice(cycle(language_sentences()), count)):
                lines.write(f"{language}\t{text} {number}\n")
        command: list[str | Path] = [
            command_line,
            "verify",
            EMBEDDED,
            out,
            "--sentences",
            file,
            "--surfaces",
            "automodel",
        ]
        found[count] = run(command)
    return found


def measure(rounds: int, many: int) -> dict[str, Any]:
    """Return every figure and the ratios that `BARS` judges."""
    shutil.rmtree(WORK, ignore_errors=True)
    source, model = reference_model(), WORK / "model"
    hub2hf.convert(source, model)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as alone:
        rates, apart = alone.submit(pytorch, model, rounds).result()
        rates |= alone.submit(tensorflow, source, rounds).result()
    peaks = memory(many)
    shutil.rmtree(WORK)
    rate = {name: median(values) for name, values in rates.items()}
    values = (
        rate["PyTorch side"] / rate["usual way"],
        apart,
        rate["TensorFlow side"] / rate["one large batch"],
        peaks[many][1] / peaks[FEW][1],
    )
    return {"rates": rates, "memory": peaks, "ratios": dict(zip(BARS, values, strict=True))}


def show(result: dict[str, Any]) -> bool:
    """Print the tables; return whether every bar is met."""
    console = Console()
    rates = Table("sentences per second", "median", "min – max", box=box.SIMPLE_HEAD)
    for name, values in result["rates"].items():
        rates.add_row(name, f"{median(values):.1f}", f"{min(values):.1f} – {max(values):.1f}")
    console.print(rates)
    peaks = Table("hub2hf verify", "s", "peak MB", box=box.SIMPLE_HEAD)
    for count, (seconds, peak) in result["memory"].items():
        peaks.add_row(f"{count:,} sentences", f"{seconds:.0f}", f"{peak / MEGABYTE:.0f}")
    console.print(peaks)
    return judge(console, result["ratios"], BARS)


def main() -> int:
    """Run the benchmark; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=100_000, help="sentences to verify at most")
    parser.add_argument("--json", type=Path, default=CACHE / "bench_verify.json")
    arguments = parser.parse_args()
    result = measure(arguments.rounds, arguments.many)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    met = show(result)
    print(f"written to {arguments.json}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
