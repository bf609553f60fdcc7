"""Convert SavedModels that lie: each must end in our error or a whole folder, in 10 seconds and 500 MB.

    python scripts/fuzz_savedmodel.py                  # as make fuzz runs it
    python scripts/fuzz_savedmodel.py --cases 5000     # of each family
    python scripts/fuzz_savedmodel.py --case "graph" 17

Each case runs in a process of its own, forked with everything imported, its memory and its computing time limited by the
operating system (waiting does not count: other programs may keep a machine busy). What ends otherwise is printed with its
number, which makes it again, and the exit code is 1. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from builders.crafted import CRAFTED
from builders.crafted import make as make_crafted
from builders.hostile import BASE, FAMILIES, make

import hub2hf
from hub2hf.errors import Hub2HFError

PATIENCE = float(os.environ.get("HUB2HF_PATIENCE", "1"))  # a busy machine counts more seconds for the same work
SECONDS, BYTES = 10.0 * PATIENCE, 500 << 20
HUNG_SECONDS = 90.0 * PATIENCE  # by the clock on the wall
CASES = 300


@dataclass(frozen=True)
class Outcome:
    """How one case ended.

    Attributes:
        kind: "converted", or the name of the error, or what must not be: "escaped", "hung", "crashed".
        said: the message, or the traceback.
        seconds, bytes: of computing, of all threads; the most that were resident.
    """

    kind: str
    said: str
    seconds: float
    bytes: int

    @property
    def bad(self) -> bool:
        """Whether it broke the promise."""
        return (
            self.kind in ("escaped", "hung", "crashed", "half", "unmade")
            or self.bytes > BYTES
            or self.seconds > SECONDS
        )


def attempt(folder: Path) -> tuple[str, str]:
    """Convert a model; return the kind and the message of the outcome."""
    out = folder.parent / "out"
    try:
        hub2hf.convert(folder, out)
    except Hub2HFError as error:
        if [p.name for p in folder.parent.iterdir()] != [folder.name]:
            return "half", f"left {sorted(p.name for p in folder.parent.iterdir())}"
        return type(error).__name__, str(error)
    except BaseException:
        return "escaped", traceback.format_exc()
    return "converted", _departures(out)


def _departures(out: Path) -> str:
    """Return which files of a conversion are not those of the embedded model itself."""
    expected = getattr(_departures, "expected", None)
    if expected is None:
        return ""
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    return ",".join(sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)))


def run(work: Callable[[Path], None], attempt: Callable[[Path], tuple[str, str]] = attempt) -> Outcome:
    """Make a case and convert it in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        reader, writer = os.pipe()
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _child(Path(place) / "model", work, attempt, reader, writer)
        os.close(writer)
        said = _read(reader, start + HUNG_SECONDS)
        os.close(reader)
        seconds = time.monotonic() - start
        if said is None:
            os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
    if said is None:
        return Outcome("hung", "", seconds, used.ru_maxrss << 10)
    try:
        kind, message, seconds, peak = json.loads(said)
    except ValueError:
        return Outcome("crashed", f"status {status}", seconds, used.ru_maxrss << 10)
    return Outcome(kind, message, seconds, peak)


def _child(
    folder: Path,
    work: Callable[[Path], None],
    attempt: Callable[[Path], tuple[str, str]],
    reader: int,
    writer: int,
) -> None:
    try:
        os.close(reader)
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        _made(work, folder, writer)
        Path("/proc/self/clear_refs").write_text("5")  # making the case is not the case: begin to count anew
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, size + BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + SECONDS) + 5,) * 2)
        start = time.process_time()
        kind, said = attempt(folder)
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        answer = [kind, said[-3000:], time.process_time() - start, int(peak.split()[1]) << 10]
        os.write(writer, json.dumps(answer).encode())
    finally:
        os._exit(0)


def _made(work: Callable[[Path], None], folder: Path, writer: int) -> None:
    """Make the case; a mistake in making it is not an outcome of converting it."""
    try:
        work(folder)
    except BaseException:
        os.write(writer, json.dumps(["unmade", traceback.format_exc(), 0, 0]).encode())
        raise


def _read(reader: int, until: float) -> bytes | None:
    parts = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        part = os.read(reader, 1 << 16)
        if not part:
            return parts
        parts += part


def cases(names: list[str], count: int) -> Iterator[tuple[str, int]]:
    """Yield (family, number) of every case, the families in turn."""
    for number in range(count):
        for family in names:
            yield family, number


def work_of(family: str, number: int) -> Callable[[Path], None]:
    """Return what makes a case."""
    if family == "crafted":
        return lambda folder: make_crafted(list(CRAFTED)[number], folder)
    return lambda folder: make(family, number, folder)


def prepare() -> None:
    """Convert the embedded model once: what is converted from a changed one is held against it."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        hub2hf.convert(BASE, out)
        files = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    _departures.expected = files  # type: ignore[attr-defined]


def campaign(chosen: list[tuple[str, int]]) -> int:
    """Run cases, print what they came to, return how many broke the promise."""
    prepare()
    kinds: dict[str, Counter[str]] = {}
    slowest, largest, bad = 0.0, 0, 0
    for family, number in chosen:
        outcome = run(work_of(family, number))
        kinds.setdefault(family, Counter())[outcome.kind] += 1
        slowest, largest = max(slowest, outcome.seconds), max(largest, outcome.bytes)
        if outcome.bad:
            bad += 1
            name = list(CRAFTED)[number] if family == "crafted" else number
            print(f"BAD {family} {name}: {outcome.kind}, {outcome.seconds:.1f} s, {outcome.bytes >> 20} MB", flush=True)
            print("    " + "\n    ".join(outcome.said.strip().splitlines()[-4:]), flush=True)
    for family, found in kinds.items():
        told = ", ".join(f"{name} {count}" for name, count in found.most_common())
        print(f"{family}: {found.total()} cases; {told}")
    total = sum(found.total() for found in kinds.values())
    print(
        f"{total} SavedModels that lie: {total - bad} ended in one error or a whole folder, {bad} did not; "
        f"at most {slowest:.1f} s and {largest >> 20} MB, where {SECONDS:.0f} s and {BYTES >> 20} MB are allowed"
    )
    return bad


def main() -> None:
    """Run the families asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES, help="of each family")
    parser.add_argument("--start", type=int, default=0, help="number of the first case; which of EVERY")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--crafted", action="store_true", help="only the crafted ones")
    parser.add_argument("--every", type=int, default=1, help="only one in so many of the crafted ones")
    parser.add_argument("--random", action="store_true", help="only the others")
    parser.add_argument("--case", nargs=2, metavar=("FAMILY", "NUMBER"), help="one case, told in full")
    asked = parser.parse_args()
    if asked.case:
        prepare()
        family, number = asked.case
        found = list(CRAFTED).index(number) if family == "crafted" and not number.isdigit() else int(number)
        outcome = run(work_of(family, found))
        print(f"{outcome.kind}, {outcome.seconds:.2f} s, {outcome.bytes >> 20} MB\n{outcome.said}")
        sys.exit(outcome.bad)
    crafted = [("crafted", number) for number in range(asked.start % asked.every, len(CRAFTED), asked.every)]
    rest = [(f, n + asked.start) for f, n in cases(asked.families, asked.cases)]
    sys.exit(campaign([*(() if asked.random else crafted), *(() if asked.crafted else rest)]) > 0)


if __name__ == "__main__":
    main()
