"""Ctrl-C and SIGTERM at random moments of a verb: one line, 130 or 143, nothing half-written, nothing of the person's lost.

    python scripts/stop_tests.py                # as make kill runs it
    python scripts/stop_tests.py --stops 200 --verbs slim

After each, what was there is as it was or as the verb leaves it, nothing lies beside it, and the same command then ends well
with the bytes of a run that nobody stopped.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kill_tests import Lost, contents

import hub2hf
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.sources import recording_of

STOPS = 20
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
BEGUN = "import hub2hf.cli; print(flush=True); hub2hf.cli.main()"  # before main begins a signal ends Python itself
STOPPED = "hub2hf: stopped; "


@dataclass(frozen=True)
class Verb:
    """A command, run in a folder that holds `folder`, a converted model, `texts.txt` and `thesis.txt`.

    Attributes:
        words: of the command; "GOLDEN" stands for the recording of the embedded model.
        makes: what it leaves beside them; a name that begins so is of its making.
        within: the files of `folder` that it writes anew.
        goes_on: whether a run that is stopped leaves what the next goes on with.
    """

    words: str
    makes: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    goes_on: bool = False


PROVED = ("README.md", "equivalence.json", "equivalence.png", "hub2hf.json")
VERBS = {
    "convert": Verb("convert lealla-mini out --thorough --force", ("out",)),
    "verify": Verb("verify --golden GOLDEN folder --surfaces automodel --languages de,ja --report report --force",
                   ("report",), PROVED),
    "slim": Verb("slim folder out --languages de,ja", ("out",)),
    "export": Verb("export folder onnx", within=("onnx/model.onnx", "README.md", "hub2hf.json")),
    "embed": Verb("embed folder texts.txt out.parquet", ("out.parquet",), goes_on=True),
}  # fmt: skip


@dataclass
class Trial:
    """Where the verbs are stopped.

    Args:
        place: an empty folder.
        rng: draws verbs, signals and moments.
    """

    place: Path
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.start = self.place / "start"
        hub2hf.convert("lealla-mini", self.start / "folder")
        texts = [sentence.text for sentence in language_sentences()] * 4
        (self.start / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
        (self.start / "thesis.txt").write_text("years\n", encoding="utf-8")
        self.before = contents(self.start)
        self.whole: dict[str, dict[str, bytes]] = {}  # verb → what an undisturbed run leaves
        self.seconds: dict[str, float] = {}

    def begun(self, name: str, work: Path) -> subprocess.Popen[str]:
        """Start a verb in `work`, and return once `main` begins."""
        words = [str(recording_of("lealla-mini")) if word == "GOLDEN" else word for word in VERBS[name].words.split()]
        process = subprocess.Popen(
            [sys.executable, "-c", BEGUN, *words, "-q"], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def measure(self, name: str) -> None:
        """Run a verb undisturbed, once: what it leaves, and how long it takes."""
        if name in self.whole:
            return
        work = Path(shutil.copytree(self.start, self.place / "work"))  # what embed writes names its place
        process, start = self.begun(name, work), time.monotonic()
        said = process.communicate()[1]
        if process.returncode:
            raise Lost(f"{name}: {said}")
        self.seconds[name], self.whole[name] = time.monotonic() - start, contents(work)
        shutil.rmtree(work)

    def stop(self, name: str) -> None:
        """Stop a verb at a random moment, look, and run it again."""
        self.measure(name)
        number = self.rng.choice(list(SIGNALS))
        work = Path(shutil.copytree(self.start, self.place / "work"))
        process = self.begun(name, work)
        time.sleep(self.rng.random() * self.seconds[name])
        process.send_signal(number)
        said = process.communicate(timeout=120)[1]
        after = contents(work)
        if process.returncode == 0:
            self.counts["had ended before"] += 1
            self.check(name, after, whole=True)
        elif process.returncode != SIGNALS[number] or said.count("\n") != 1 or not said.startswith(STOPPED):
            raise Lost(f"{name}, {number.name}: exit code {process.returncode}: {said}")
        else:
            self.counts[f"{name} stopped by {number.name}"] += 1
            self.check(name, after, whole=False)
        again = self.begun(name, work)
        said = again.communicate()[1]
        if again.returncode:
            taken = "not empty" in said and VERBS[name].makes == ("out",)  # it was complete, and nobody forces it
            if not taken:
                raise Lost(f"{name}, run again: {said}")
        self.check(name, contents(work), whole=True)
        shutil.rmtree(work)

    def check(self, name: str, after: dict[str, bytes], *, whole: bool) -> None:
        """Compare what is there with what was before, and with what an undisturbed run leaves."""
        verb, target = VERBS[name], self.whole[name]
        if whole:
            changed = [file for file in {*after, *target} if not same(file, after.get(file), target.get(file))]
            if changed:
                raise Lost(f"{name}: other files than of an undisturbed run: {sorted(changed)}")
            return
        for file, data in self.before.items():
            inside = file.startswith("folder/") and file.removeprefix("folder/") in verb.within
            if after.get(file) != data and not (inside and same(file, after.get(file), target[file])):
                raise Lost(f"{name}: {file} is lost or half-written")
        made = {file: data for file, data in after.items() if file not in self.before}
        if verb.goes_on:  # hidden, or what says what is being made of what
            made = {
                file: data for file, data in made.items() if not (file.startswith(".") or file.endswith(".hub2hf.json"))
            }
        strange = [file for file, data in made.items() if not same(file, data, target.get(file))]
        if strange:
            raise Lost(f"{name}: left half-written or by the way: {sorted(strange)}")
        for top in verb.makes:
            if len({file for file in made if file.split("/")[0] == top}) not in (
                0,
                len({file for file in target if file.split("/")[0] == top}),
            ):
                raise Lost(f"{name}: {top} is not complete")


def same(name: str, found: bytes | None, expected: bytes | None) -> bool:
    """Whether a file is as expected; of a proof and a report, whether it is there: they say when they were made."""
    if name.startswith("report/") or name.removeprefix("folder/") in PROVED:
        return bool(found) == bool(expected)
    return found == expected


def main() -> None:
    """Do all, and print how many of each kind there were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=STOPS)
    parser.add_argument("--verbs", nargs="*", default=list(VERBS), choices=list(VERBS))
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    lost = 0
    with tempfile.TemporaryDirectory() as place:
        trial = Trial(Path(place), random.Random(asked.seed))
        for count in range(asked.stops):
            try:
                trial.stop(asked.verbs[count % len(asked.verbs)])
            except Lost as error:
                lost += 1
                print(f"LOST: {error}", flush=True)
                shutil.rmtree(trial.place / "work", ignore_errors=True)
    for kind, number in sorted(trial.counts.items()):
        print(f"{number:5} {kind}")
    print(f"{asked.stops} stops: {asked.stops - lost} lost nothing, {lost} lost something")
    sys.exit(lost > 0)


if __name__ == "__main__":
    main()
