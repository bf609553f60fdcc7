"""Plant the faults of tests/mutants in a copy of the product, one at a time: the test that each names must fail.

Tests are known to be green; this asks whether they would be red. A fault is a line that a person could have got wrong:
its file, the old text, the new text and the test, in the TOML file of its room. A fault that its test does not notice has
survived; one whose old text is not in its file once, or whose test does not pass without it, is stale. Both are failures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TABLES = "tests/mutants"
PARTS = ("convert", "configs", "tests", "scripts", "pyproject.toml")
PACKAGE = "hub2hf"  # the name that the code of CODE is imported by
CODE = "convert"
CONFIGS = "config_files"  # what configs/ is called inside the installed package
SECONDS = 120.0  # a test that has not ended by then has not noticed anything
EACH = 12.0  # seconds for each of all the tests, which are run once without any fault

# What the product and pytest import, and the product itself is not among it: loaded once, and forked for each fault.
PRELOADED = (
    *("pytest", "hypothesis", "numpy", "ml_dtypes", "google.protobuf.message_factory", "google_crc32c", "cramjam"),
    *("tokenizers", "re2", "unicodedata2", "idna", "click", "rich.progress", "jinja2", "requests", "filelock"),
    *("huggingface_hub.hf_api", "huggingface_hub.repocard", "safetensors.numpy", "hypothesis.strategies"),
)

KILLED, SURVIVED, STALE = "killed", "survived", "stale"


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    Attributes:
        room: the table that it stands in.
        says: what is wrong with the product that has it.
        file: where it is planted.
        old: the text there; it is there once.
        new: what it becomes.
        test: the test that must fail, as pytest names it.
    """

    room: str
    says: str
    file: str
    old: str
    new: str
    test: str

    def stale(self, root: Path) -> str:
        """Return why it cannot be planted in the tree at `root`; "" where it can."""
        path, (test, *names) = root / self.file, self.test.split("::")
        count = path.read_text(encoding="utf-8").count(self.old) if path.is_file() else 0
        if count != 1 or self.old == self.new:
            return f"its old text is {count} times in {self.file}" if count != 1 else "it changes nothing"
        if not (root / test).is_file() or not names:
            return f"there is no test {self.test}"
        text = (root / test).read_text(encoding="utf-8")
        lost = [
            name for name in names if not re.search(rf"^\s*(def|class) {re.escape(name.split('[')[0])}\b", text, re.M)
        ]
        return f"there is no {lost[0]} in {test}" if lost else ""


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: killed, survived or stale, why, and how long it took in seconds."""

    fault: Fault
    state: str
    why: str = ""
    seconds: float = 0.0


def load_faults(root: Path = ROOT) -> list[Fault]:
    """Return the faults of all tables, room by room."""
    tables = {
        path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted((root / TABLES).glob("*.toml"))
    }
    return [Fault(room=room, **entry) for room, table in tables.items() for entry in table["fault"]]


def copied(root: Path, place: Path) -> Path:
    """Copy the tree to `place`, with its byte code, which stays valid as times are kept."""
    place.mkdir()
    for name in PARTS:
        if (root / name).is_dir():
            shutil.copytree(root / name, place / name, symlinks=True)
        else:
            shutil.copy2(root / name, place / name)
    (place / PACKAGE).symlink_to(CODE)
    configs = place / CODE / CONFIGS
    if not configs.is_symlink():
        configs.symlink_to(Path("..", "configs"))
    return place


@contextmanager
def planted(fault: Fault, copy: Path) -> Iterator[None]:
    """Have the fault in the copy while the block lasts."""
    path = copy / fault.file
    before, times = path.read_bytes(), path.stat()
    text = before.decode("utf-8").replace(fault.old, fault.new)
    try:
        path.write_text(text, encoding="utf-8", newline="")
        os.utime(path, (times.st_atime, times.st_mtime + 60))  # byte code goes by the time, in seconds, and the size
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


class Recorder:
    """A plugin of pytest that keeps the tests that passed and those that did not."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the outcome of a test, the worst of its phases."""
        if report.failed or report.when == "call":
            self.outcomes[report.nodeid] = "failed" if report.failed else report.outcome


def run_here(copy: Path, tests: Sequence[str], log: Path, keep: bool) -> None:
    """Run tests against the copy, in this process, and write what became of them; `keep` byte code where it is right.

    The copy stands before everything on the path, of this process and of those that the tests start.
    """
    sys.dont_write_bytecode = not keep
    output = os.open(log.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(copy)
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]
    before = os.environ.get("PYTHONPATH")
    os.environ |= {
        "PYTHONPATH": os.pathsep.join([str(copy), *([before] if before else [])]),
        "PYTHONDONTWRITEBYTECODE": "" if keep else "1",
    }
    sys.path.insert(0, str(copy))
    assert not any(name.split(".")[0] == PACKAGE for name in sys.modules), "the product was loaded before the copy"
    import pytest

    seen = Recorder()
    options = [
        "-q",
        *(f"-pno:{name}" for name in ("cacheprovider", "anyio", "xdist")),
        f"--rootdir={copy}",
        f"--basetemp={log.with_suffix('.tmp')}",
    ]
    code = int(pytest.main([*options, *tests], plugins=[seen]))
    loaded = sys.modules.get(PACKAGE)
    if loaded is not None and not str(loaded.__file__).startswith(f"{copy}{os.sep}"):
        raise AssertionError(f"{loaded.__file__} was tested, not the copy")
    log.write_text(json.dumps({"code": code, "outcomes": seen.outcomes}), encoding="utf-8")


def run(copy: Path, tests: Sequence[str], log: Path, seconds: float, *, keep: bool = False) -> dict[str, Any]:
    """Run tests in a process of their own; return pytest's exit code and the outcomes, -1 where there was no answer."""
    process = multiprocessing.get_context("forkserver").Process(target=run_here, args=(copy, tests, log, keep))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
    answer = json.loads(log.read_text(encoding="utf-8")) if log.is_file() else {"code": -1, "outcomes": {}}
    log.unlink(missing_ok=True)
    shutil.rmtree(log.with_suffix(".tmp"), ignore_errors=True)
    return dict(answer)


def of_test(outcomes: dict[str, str], test: str) -> list[str]:
    """Return the outcomes of the test, or of all its cases where it has several."""
    return [outcome for name, outcome in outcomes.items() if name == test or name.startswith((f"{test}[", f"{test}::"))]


def outcome(fault: Fault, copy: Path, log: Path) -> Outcome:
    """Plant a fault in the copy, run its test, and take it away again."""
    start = time.monotonic()
    with planted(fault, copy):
        found = run(copy, [fault.test], log, SECONDS)
    seconds = time.monotonic() - start
    if "failed" in of_test(found["outcomes"], fault.test):
        return Outcome(fault, KILLED, "", seconds)
    if found["code"] == 0:
        return Outcome(fault, SURVIVED, f"{fault.test} passes", seconds)
    told = log.with_suffix(".out").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return Outcome(fault, STALE, f"no answer (code {found['code']}): {(told or ['nothing'])[-1]}", seconds)


def outcomes(faults: Sequence[Fault], place: Path, jobs: int, root: Path = ROOT) -> Iterator[Outcome]:
    """Yield what becomes of each fault: first of those that are stale, then of the others in their order.

    Args:
        faults: which.
        place: an empty folder for the copies.
        jobs: how many are run at a time, each in a copy of its own.
        root: the tree.
    """
    reasons = {fault: fault.stale(root) for fault in faults}
    yield from (Outcome(fault, STALE, why) for fault, why in reasons.items() if why)
    ready = [fault for fault, why in reasons.items() if not why]
    if not ready:
        return
    tests = list(dict.fromkeys(fault.test for fault in ready))
    first = copied(root, place / "0")
    green = run(first, tests, place / "green.json", SECONDS + EACH * len(tests), keep=True)["outcomes"]
    free: SimpleQueue[Path] = SimpleQueue()
    for number in range(jobs):
        free.put(copied(first, place / str(number)) if number else first)

    def one(fault: Fault) -> Outcome:
        if set(of_test(green, fault.test)) != {"passed"}:
            return Outcome(fault, STALE, f"{fault.test} does not pass without it")
        copy = free.get()
        try:
            return outcome(fault, copy, place / f"{copy.name}.json")
        finally:
            free.put(copy)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, ready)


def main() -> None:
    """Run all faults, or some; print a line for each and the total; exit with 1 where any survived or is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="only so many, drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument("--only", default="", help="only those of this room, or whose words hold this")
    parser.add_argument("--of", nargs="*", default=[], metavar="FILE", help="only those whose test is in these files")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time; one a processor")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    given = parser.parse_args()
    faults = [fault for fault in load_faults() if given.only in (fault.room, "") or given.only in fault.says]
    faults = [fault for fault in faults if not given.of or fault.test.split("::")[0] in given.of]
    if given.sample is not None:
        faults = random.Random(given.seed).sample(faults, min(given.sample, len(faults)))
    start = time.monotonic()
    os.environ |= {"HF_HUB_OFFLINE": "1"}  # as tests/conftest.py has it; read when the library is loaded
    multiprocessing.set_forkserver_preload(list(PRELOADED))
    found = []
    with tempfile.TemporaryDirectory(prefix="hub2hf-mutants-") as place:
        for each in outcomes(faults, Path(place).resolve(), max(1, min(given.jobs, len(faults)))):
            found.append(each)
            if not given.json:
                told = f"{each.state:8} {each.fault.room}: {each.fault.says} ({each.seconds:.1f} s)"
                print(f"{told}\n         {each.why}" if each.why else told, flush=True)
    totals = {state: sum(each.state == state for each in found) for state in (KILLED, SURVIVED, STALE)}
    seconds = time.monotonic() - start
    if given.json:
        print(json.dumps({**totals, "seconds": seconds, "faults": [asdict(each) for each in found]}, indent=2))
    else:
        print(f"{', '.join(f'{count} {state}' for state, count in totals.items())} in {seconds:.0f} s")
    sys.exit(0 if found and totals[KILLED] == len(found) else 1)


if __name__ == "__main__":
    main()
