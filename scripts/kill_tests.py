"""Nothing is lost: kill conversions at random moments, fill the disk, change files underneath, run two into one folder.

    python scripts/kill_tests.py                # as make kill runs it
    python scripts/kill_tests.py --kills 1000

After every fault OUT is absent or complete, an old OUT is intact under --force, and the next run leaves nothing but OUT.
Prints how many faults of each kind there were; exits with 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hub2hf
from hub2hf.errors import Hub2HFError
from hub2hf.sources import resolve

BASE = resolve("lealla-mini")
KILLS, OTHERS = 200, 15
ENDED = "killed before they had ended by themselves"
COMMAND = [sys.executable, "-m", "hub2hf", "convert"]
DIRECT = "import sys, hub2hf; hub2hf.convert(sys.argv[1], sys.argv[2], force='--force' in sys.argv)"


class Lost(AssertionError):
    """The promise was broken."""


def contents(folder: Path) -> dict[str, bytes]:
    """Return name → bytes of all files below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def converted(source: Path, out: Path, *options: str, limit: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command; `limit` is the most bytes a file may have."""

    def bound() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [*COMMAND, str(source), str(out), *options]
    before = bound if limit else None
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # of what is compiled under the limit, cut files would stay
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=before, env=env)


def told(done: subprocess.CompletedProcess[str]) -> None:
    """Check that a failure is one sentence and exit code 2."""
    if done.returncode != 2 or done.stderr.count("\n") != 1 or "Traceback" in done.stderr:
        raise Lost(f"exit code {done.returncode}: {done.stderr[-500:]}")


def only(place: Path, *names: str) -> None:
    """Check that a folder holds these names and nothing else."""
    found = sorted(path.name for path in place.iterdir())
    if found != sorted(names):
        raise Lost(f"{place} holds {found}, not {sorted(names)}")


class Trial:
    """A place to convert into, and what the conversions of two sources are."""

    def __init__(self, place: Path, rng: random.Random) -> None:
        self.place, self.rng = place, rng
        self.other = place / "sources" / "other"
        self._make_other()
        self.complete = [self._converted(source) for source in (BASE, self.other)]
        self.seconds = self._time()
        self.counts: Counter[str] = Counter()

    def _make_other(self) -> None:
        """A source whose folder differs: the same model with another word in its vocabulary."""
        shutil.copytree(BASE, self.other)
        path = self.other / "assets" / "vocab.txt"
        lines = path.read_bytes().split(b"\n")
        lines[-2] += b"zz"
        path.write_bytes(b"\n".join(lines))

    def _converted(self, source: Path) -> dict[str, bytes]:
        out = self.place / "complete"
        done = converted(source, out)
        if done.returncode:
            raise Lost(done.stderr)
        found = contents(out)
        shutil.rmtree(out)
        return found

    def _time(self) -> float:
        out = self.place / "timed"
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", DIRECT, str(BASE), str(out)], check=True)
        shutil.rmtree(out)
        return time.monotonic() - start

    @contextmanager
    def folder(self, kind: str) -> Iterator[Path]:
        """Yield an empty folder for one fault, and count it when all was well."""
        with tempfile.TemporaryDirectory(dir=self.place) as work:
            yield Path(work)
        self.counts[kind] += 1

    def kill(self) -> None:
        """Kill a conversion at a random moment; OUT is absent or complete, and the next run clears what is left."""
        force = self.rng.random() < 0.5
        with self.folder(f"killed with {'--force over an old OUT' if force else 'no OUT'}") as work:
            out = work / "out"
            if force:
                _write(out, self.complete[1])
            arguments = [str(BASE), str(out), *(["--force"] if force else [])]
            process = subprocess.Popen([sys.executable, "-c", DIRECT, *arguments], stderr=subprocess.DEVNULL)
            self._wait_for_work(process, work)
            process.kill()
            killed = process.wait() != 0
            self.counts[ENDED] += killed
            self.seconds *= 1.02 if killed else 0.9  # other programs make conversions longer and shorter
            self._check(out, old=self.complete[1] if force else None)
            hub2hf.convert(BASE, out, force=True)
            if contents(out) != self.complete[0]:
                raise Lost("the run after a kill did not convert")
            only(work, "out")

    def _wait_for_work(self, process: subprocess.Popen[bytes], work: Path) -> None:
        """Half of the kills are spread over the whole run, half over the time from the first file to the end."""
        until = time.monotonic() + self.rng.random() * self.seconds
        if self.rng.random() < 0.5:
            while process.poll() is None and not any(p.name.startswith(".out.") for p in work.iterdir()):
                time.sleep(0.0005)
            until = time.monotonic() + self.rng.random() * self.seconds * 0.25
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.0005)

    def _check(self, out: Path, old: dict[str, bytes] | None) -> None:
        """OUT is absent, the old one, or the new one; an old one may stand beside it between two renames."""
        if out.exists():
            if contents(out) not in (self.complete[0], old):
                raise Lost(f"{out} is neither the old nor the new folder")
            return
        kept = [contents(p) for p in out.parent.glob(f".{out.name}.hub2hf-*-old")]
        if old is not None and old not in kept:
            raise Lost("the old OUT is gone")

    def full_disk(self) -> None:
        """A disk that is full after some bytes: a limit on the size of files, at a random place."""
        with self.folder("disk full (a limit on files)") as work:
            _write(work / "out", self.complete[1])
            most = max(map(len, self.complete[0].values())) - 1
            done = converted(BASE, work / "out", "--force", limit=self.rng.randrange(1, most))
            told(done)
            only(work, "out")
            self._same(work / "out", self.complete[1])

    def full_file_system(self) -> None:
        """A real file system that is full, where this user may mount one."""
        with self.folder("disk full (a file system of its own)") as work, _mounted(work, "size=900k") as place:
            told(converted(BASE, place / "out"))
            only(place)

    def read_only(self) -> None:
        """A file system that cannot be written, where this user may mount one; else a folder that may not."""
        with self.folder("read-only target") as work, _mounted(work, "size=4m,ro") as place:
            told(converted(BASE, place / "out"))
            told(converted(BASE, place / "sub" / "out"))

    def changing(self) -> None:
        """A source whose file is cut, changed or replaced while it is read: an error, or the folder of one of the two."""
        with self.folder("file changing underneath") as work:
            source, out = work / "model", work / "out"
            shutil.copytree(BASE, source)
            name = self.rng.choice(["saved_model.pb", "variables/variables.data-00000-of-00001", "assets/vocab.txt"])
            changer = threading.Timer(self.rng.random() * self.seconds, _change, (source / name, self.rng))
            changer.start()
            done = converted(source, out)
            changer.join()
            if done.returncode:
                told(done)
                only(work, "model")
            elif contents(out) != self.complete[0] and contents(out) != self._again(source, work / "again"):
                raise Lost("a folder was made of two states of a file")

    def _again(self, source: Path, out: Path) -> dict[str, bytes]:
        """Return what the changed source gives, where it was changed before it was opened."""
        return contents(out) if converted(source, out).returncode == 0 else {}

    def together(self) -> None:
        """Two conversions of two sources into one OUT: one of the two is there, whole, and nothing else."""
        with self.folder("two conversions into one OUT") as work:
            out = work / "out"
            running = [
                subprocess.Popen(
                    [*COMMAND, str(source), str(out), "--force"], stderr=subprocess.PIPE, stdout=subprocess.PIPE
                )
                for source in (BASE, self.other)
            ]
            said = [process.communicate()[1].decode() for process in running]
            if not any(process.returncode == 0 for process in running):
                raise Lost(f"neither of two conversions converted: {said}")
            if any("Traceback" in text for text in said) or contents(out) not in self.complete:
                raise Lost("two conversions into one folder mixed")
            only(work, "out")

    def _same(self, out: Path, expected: dict[str, bytes]) -> None:
        if contents(out) != expected:
            raise Lost(f"{out} was changed")


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _change(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    match rng.randrange(3):
        case 0:
            os.truncate(path, rng.randrange(len(data)))
        case 1:
            data[rng.randrange(len(data))] ^= 1
            path.write_bytes(data)
        case _:
            path.unlink()


@contextmanager
def _mounted(work: Path, options: str) -> Iterator[Path]:
    """Yield a small file system in memory; where it may not be mounted, raise Unable."""
    place = work / "mounted"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        raise Unable
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


class Unable(Exception):
    """This user may not mount a file system."""


def main() -> None:
    """Do all faults and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--others", type=int, default=OTHERS, help="of each other fault")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        trial = Trial(Path(place), random.Random(asked.seed))
        others: list[Callable[[], None]] = [
            trial.full_disk,
            trial.full_file_system,
            trial.read_only,
            trial.changing,
            trial.together,
        ]
        lost = 0
        while trial.counts[ENDED] < asked.kills and not lost:
            try:
                trial.kill()
            except (Lost, Hub2HFError) as error:
                lost += 1
                print(f"LOST in a kill: {error}", flush=True)
        for fault in others:
            for _ in range(asked.others):
                try:
                    fault()
                except Unable:
                    print(f"{fault.__name__}: skipped, this user may not mount a file system")
                    break
                except Lost as error:
                    lost += 1
                    print(f"LOST in {fault.__name__}: {error}", flush=True)
    for kind, count in trial.counts.items():
        print(f"{count:5} {kind}")
    total = sum(count for kind, count in trial.counts.items() if kind != ENDED)
    print(f"{total + lost} faults: {total} lost nothing, {lost} lost something")
    sys.exit(lost > 0)


if __name__ == "__main__":
    main()
