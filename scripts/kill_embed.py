"""Kill `hub2hf embed` at random moments and run it again until it ends: the same bytes as an undisturbed run, every time.

    python scripts/kill_embed.py                # as make kill runs it
    python scripts/kill_embed.py --kills 1000

Corpora of Parquet, JSON lines and text, with texts that fail, go into a file, a folder, JSON lines and three files, in
windows of 16 rows. Each run is a process of its own, forked from this one, which has imported everything and begun nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import onnxruntime  # noqa: F401  (imported once, for all that are forked)
import pyarrow as pa
import pyarrow.parquet as pq

import hub2hf
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.sources import resolve

KILLS = 200
WINDOW = 16
OUTS: dict[str, dict[str, Any]] = {
    "vectors.parquet": {},
    "vectors.jsonl": {},
    "folder": {},
    "three": {"shards": 3, "dtype": "float16"},
}


def write_corpus(place: Path) -> None:
    """Write a file of each form: the sentences of the languages, and a text here and there that is none."""
    place.mkdir()
    texts: list[str | None] = [sentence.text for sentence in language_sentences()]
    texts[::50] = [None] * len(texts[::50])
    first, second, third = texts[:150], texts[150:300], texts[300:]
    pq.write_table(pa.table({"n": range(len(first)), "text": first}), place / "a.parquet", row_group_size=37)
    lines = [json.dumps({"text": text, "n": n}) for n, text in enumerate(second)]
    (place / "b.jsonl").write_text("\n".join([*lines, '{"text": 5}']), encoding="utf-8")
    (place / "c.txt").write_bytes(
        b"".join((text or "\udcff").encode("utf-8", "surrogateescape") + b"\n" for text in third)
    )


def contents(place: Path) -> dict[str, bytes]:
    """Return name → bytes of all files in and below a folder."""
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


def started(folder: Path, corpus: Path, out: Path) -> int:
    """Start embedding in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        hub2hf.embed(folder, corpus, out, window=WINDOW, **OUTS[out.name])
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def ended(child: int, wait: float | None) -> bool | None:
    """Return whether a run ended well; None where it was killed, after so many seconds."""
    if wait is not None:
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if code == -signal.SIGKILL else code == 0


def main() -> int:
    """Kill as often as asked; return 1 if a row was lost, came twice, or differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder, corpus, whole = place / "folder", place / "corpus", place / "whole"
        hub2hf.convert(resolve("lealla-mini"), folder, onnx=True)
        write_corpus(corpus)
        expected, seconds = {}, {}
        for out in OUTS:
            start = time.monotonic()
            if not ended(started(folder, corpus, whole / out), None):
                return 1
            seconds[out] = time.monotonic() - start
            expected[out] = contents(whole)
            shutil.rmtree(whole)
        counts: Counter[str] = Counter()
        while counts["kills"] < asked.kills:
            out = rng.choice(list(OUTS))
            while True:
                last = counts["kills"] >= asked.kills
                good = ended(
                    started(folder, corpus, place / "killed" / out), None if last else rng.random() * seconds[out] * 1.1
                )
                counts["kills"] += good is None
                if good is not None:
                    break
            found = contents(place / "killed")
            if not good or found != expected[out]:
                names = sorted(n for n in {*found, *expected[out]} if found.get(n) != expected[out].get(n))
                print(f"LOST: {out} differs from an undisturbed run in {', '.join(names)}")
                return 1
            counts["runs"] += 1
            shutil.rmtree(place / "killed")
    print(f"{counts['kills']} kills in {counts['runs']} runs: the bytes of an undisturbed run, every time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
