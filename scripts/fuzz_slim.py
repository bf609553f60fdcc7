"""Compare the ids of slim folders with those of the whole one, on strings in the characters that they are made for.

    python scripts/fuzz_slim.py [--strings 10000000] [--processes N]

The vocabulary is the real one of LEALLA and LaBSE, the text rules are those of both families, and the folders are what
`hub2hf slim` makes. Strings are runs of letters, of pieces that stayed, of all that texts share, and of white space, so that
greedy cutting meets every end of a piece. Prints strings and differences for each folder; exits with 1 on any difference.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from fetch_vocabulary import fetch_vocabulary
from tokenizers import Tokenizer

import hub2hf
from hub2hf.folder.manifest import read_manifest
from hub2hf.slimming.alphabet import alphabet_of_languages, characters, letters
from hub2hf.slimming.scope import SlimScope

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are enough

STRINGS = 10_000_000
BATCH = 20_000
SHOWN = 5
SEED = 20260131
KEPT = ("en", "de,en", "de,en,fr,es,it,pt", "ja,en", "ru,el,tr", "th,hi,ta", "zh,ko,vi", "ar,he,am")
LONGEST = 24  # parts of a string
# How often a part of a string is one of a kind.
SHARES = {"piece": 0.45, "letter": 0.2, "shared": 0.1, "space": 0.25}


def parts(folder: Path) -> dict[str, list[str]]:
    """Return kind → what strings are made of, all of it in the characters that a slim folder is made for."""
    manifest = read_manifest(folder)
    scope = SlimScope.of(folder, manifest)
    assert scope is not None
    assert manifest.slim is not None
    kept = manifest.slim["languages"]
    own = sorted(chain.from_iterable(characters(letters()[name].codes) for name in kept))
    shared = sorted(characters(alphabet_of_languages(kept)).difference(own))
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    found = {
        "piece": [piece.removeprefix(scope.text.wordpiece.suffix_indicator) for piece in vocabulary],
        "letter": [case for letter in own for case in dict.fromkeys((letter, letter.upper(), letter.lower()))],
        "shared": shared,
        "space": [" "],
    }
    return {kind: [text for text in texts if scope.covers(text)] for kind, texts in found.items()}


def strings(pools: dict[str, list[str]], count: int, seed: int) -> list[str]:
    """Return strings of up to `LONGEST` parts."""
    randomly = np.random.default_rng((SEED, seed))
    lengths = randomly.integers(1, LONGEST + 1, count)
    total = int(lengths.sum())
    kinds = randomly.choice(len(SHARES), total, p=list(SHARES.values()))
    drawn = np.empty(total, object)
    for kind, name in enumerate(SHARES):
        at = np.flatnonzero(kinds == kind)
        drawn[at] = np.array(pools[name], object)[randomly.integers(len(pools[name]), size=len(at))]
    ends = np.cumsum(lengths)
    listed = drawn.tolist()
    return ["".join(listed[end - length : end]) for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]


@lru_cache(maxsize=1)
def tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@lru_cache(maxsize=1)
def slim_side(folder: Path) -> tuple[Tokenizer, np.ndarray, dict[str, list[str]]]:
    """Return the tokenizer of a slim folder, the original ids of its pieces, and what strings are made of."""
    original = np.array((folder / "original_ids.txt").read_text(encoding="ascii").split(), np.int64)
    return Tokenizer.from_file(str(folder / "tokenizer.json")), original, parts(folder)


def differences(whole: Path, slim: Path, count: int, seed: int) -> list[str]:
    """Return the strings, of `count`, of which a slim folder has other pieces than the whole one."""
    before, (after, original, pools) = tokenizer(whole), slim_side(slim)
    texts = strings(pools, count, seed)
    rows = [[encoding.ids for encoding in side.encode_batch_fast(texts)] for side in (before, after)]
    lengths = [np.array([len(ids) for ids in each]) for each in rows]
    flat = [
        np.fromiter(chain.from_iterable(each), np.int64, int(size.sum()))
        for each, size in zip(rows, lengths, strict=True)
    ]
    if np.array_equal(lengths[0], lengths[1]) and np.array_equal(flat[0], original[flat[1]]):
        return []
    return [text for text, ids, own in zip(texts, *rows, strict=True) if ids != original[own].tolist()]


def _one(task: tuple[Path, Path, int, int]) -> list[str]:
    return differences(*task)


def compare(whole: Path, slims: Sequence[Path], count: int, processes: int) -> int:
    """Compare all folders on `count` strings in all; print a line for each, and return how many differ."""
    wrong = 0
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for folder in slims:
            start = time.monotonic()
            sizes = list(_sizes(count // len(slims)))
            found = list(
                chain.from_iterable(pool.map(_one, [(whole, folder, size, i) for i, size in enumerate(sizes)]))
            )
            wrong += len(found)
            seconds = time.monotonic() - start
            print(f"{folder.name:32} {sum(sizes):10,} strings {len(found):6,} differences {seconds:6.1f} s", flush=True)
            for text in found[:SHOWN]:
                print("    " + " ".join(f"{ord(char):04X}" for char in text), ascii(text))
    return wrong


def _sizes(count: int) -> Iterator[int]:
    for at in range(0, count, BATCH):
        yield min(BATCH, count - at)


def folders(work: Path, rules: str) -> tuple[Path, list[Path]]:
    """Return a folder of the real vocabulary with text rules of `RULES`, and what is made slim of it."""
    whole = work / rules
    RULES[rules](work, fetch_vocabulary(), whole)
    made = [work / f"{rules} {names}" for names in KEPT]
    for folder, names in zip(made, KEPT, strict=True):
        hub2hf.slim(whole, folder, languages=names.split(","))
    return whole, made


def _lealla(work: Path, vocabulary: Path, out: Path) -> None:
    from builders import lealla

    lealla.build(work / "lealla model", vocabulary, lealla.SIZES["mini"])
    hub2hf.convert(work / "lealla model", out)


def _uncased(work: Path, vocabulary: Path, out: Path) -> None:
    from builders import bert_tf2 as tf2

    options = replace(tf2.SIZES["mini"], lower_case=True)
    tf2.build_encoder(work / "encoder", vocabulary, options)
    tf2.build_preprocessor(work / "preprocessor", vocabulary, options)
    hub2hf.convert(work / "encoder", out, preprocessor=work / "preprocessor")


RULES: dict[str, Callable[[Path, Path, Path], None]] = {"lealla": _lealla, "bert-uncased": _uncased}


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strings", type=int, default=STRINGS, help="in all")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        for rules in RULES:
            whole, made = folders(Path(scratch), rules)
            wrong += compare(whole, made, arguments.strings // len(RULES), arguments.processes)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
