"""What `embed` costs beside the bare runtime, and whether its memory grows: ratios within one run.

Run: python scripts/bench_embed.py [--texts 10000] [--rows 1000000] [--rounds 3] [--json FILE]
At LEALLA-large's size, whole runs of `embed`, from Parquet to Parquet, are timed in turn with ONNX Runtime alone on the same
texts, tokenised and sorted beforehand over all of them, in the same batches; and on a tenth of them ONNX Runtime with
sentence-transformers, each in batches of 16 and of 32 texts, of which the faster counts. What a billion texts take follows.
lealla-mini embeds 10,000 rows and many more, each in a process of its own, whose peak memory is compared.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq
from bench import CACHE, MEGABYTE, judge, reference_model, run
from bench_onnx import BATCHES
from rich.console import Console

import hub2hf
from hub2hf.corpora.encoders import OnnxEncoder
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.surfaces.onnxruntime import Session

WORK = CACHE / "bench_embed"
FEW = 10_000
BILLION, SECONDS_A_DAY = 10**9, 86_400
RATIOS = {
    "embed / bare ONNX Runtime, sentences per second": ("embed", "bare"),
    "ONNX Runtime / PyTorch, sentences per second": ("ONNX Runtime", "PyTorch"),
}
BARS = {
    "embed / bare ONNX Runtime, sentences per second": ("at least", 0.95),
    "ONNX Runtime / PyTorch, sentences per second": ("at least", 1.8),
    "memory of many rows / of 10,000": ("at most", 1.05),
}


def write_corpus(path: Path, rows: int) -> Path:
    """Write so many sentences of the languages, no two of them the same."""
    texts = itertools.cycle(sentence.text for sentence in language_sentences())
    schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 50_000):
            numbers = range(start, min(start + 50_000, rows))
            writer.write_table(pa.table({"n": numbers, "text": [f"{next(texts)} {n}" for n in numbers]}, schema=schema))
    return path


def rates(folder: Path, count: int, rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Return the sentences a second, of this clock, of every way in every round."""
    from sentence_transformers import SentenceTransformer

    corpus = write_corpus(WORK / "corpus.parquet", count)
    texts = pq.read_table(corpus).column("text").to_pylist()
    encoder, torch_side = OnnxEncoder(folder), SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    prepared = encoder.prepare(texts)
    some = texts[: max(1, count // 10)]
    session = Session(folder)

    def by_onnx(batch: int) -> None:
        session.batch = batch
        session.embed(some)

    def best(embed: Callable[[int], object]) -> float:
        taken = []
        for batch in BATCHES:
            start = clock()
            embed(batch)
            taken.append(clock() - start)
        return len(some) / min(taken)

    found: dict[str, list[float]] = {"bare": [], "embed": [], "ONNX Runtime": [], "PyTorch": []}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        start = clock()
        encoder.embed(prepared)
        found["bare"].append(count / (clock() - start))
        start = clock()
        hub2hf.embed(folder, corpus, WORK / f"out-{number}.parquet")
        found["embed"].append(count / (clock() - start))
        found["ONNX Runtime"].append(best(by_onnx))
        found["PyTorch"].append(best(lambda batch: torch_side.encode(some, batch_size=batch)))
    return found


def memory(rows: int) -> float:
    """Return the peak memory of embedding so many rows with lealla-mini, in bytes."""
    corpus = write_corpus(WORK / f"{rows}.parquet", rows)
    command = Path(sys.executable).with_name("hub2hf")
    _, peak = run([command, "embed", WORK / "mini", corpus, WORK / f"{rows}.out.parquet", "--quiet"])
    return peak


def main() -> int:
    """Run the benchmark; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--computing", action="store_true", help="time of all processors, where others use them too")
    parser.add_argument("--json", type=Path, default=CACHE / "bench-embed.json")
    asked = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    hub2hf.convert("lealla-mini", WORK / "mini", onnx=True)
    ratios = {}
    if asked.rows:
        few, many = memory(FEW), memory(asked.rows)
        print(f"peak memory: {few / MEGABYTE:.0f} MB at {FEW:,} rows, {many / MEGABYTE:.0f} MB at {asked.rows:,}")
        ratios["memory of many rows / of 10,000"] = many / few
    if asked.texts:
        hub2hf.convert(reference_model(), WORK / "large", onnx=True)
        clock = time.process_time if asked.computing else time.perf_counter
        found = rates(WORK / "large", asked.texts, asked.rounds, clock)
        for name, values in found.items():
            print(f"{name}: {median(values):.0f} sentences a second ({min(values):.0f} – {max(values):.0f})")
        days = BILLION / median(found["embed"]) / SECONDS_A_DAY
        print(f"a billion such texts: {days:,.0f} days of this machine; on a Ray cluster that, divided by its machines")
        for ratio, (above, below) in RATIOS.items():  # each round by itself: other programs slow down whole rounds
            ratios[ratio] = median(one / other for one, other in zip(found[above], found[below], strict=True))
    shutil.rmtree(WORK)
    asked.json.write_text(json.dumps(ratios, indent=2) + "\n")
    met = judge(Console(), ratios, {name: bar for name, bar in BARS.items() if name in ratios})
    print(f"written to {asked.json}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
