"""Fetch the real modules, convert and verify them in all languages, hold them against what was recorded; one verdict.

For a machine with the network. Each model is apart: one that fails does not stop the others. What it fetches stays in the
caches of `hub2hf list`; what it converts is removed. With --out, a report and, of a refused model, the graph without its
weights stay there, to be attached to an issue.

An oracle is what somebody recorded from the real module, in a file named MODEL….json: a list of {"text": …, "ids": […],
"embedding_first_16": […]}, the ids with those of start and end, the last as much of the embedding as was kept, or missing.

Run: python scripts/real.py [--oracle FILE] [--out FOLDER] [--json] [MODEL …]
Exit code: 0 all exact; 1 one is different; 2 none is, but one could not be fetched, converted, verified or compared.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import hub2hf
from hub2hf.equivalence.tolerances import load_tolerances
from hub2hf.errors import Hub2HFError, SourceError
from hub2hf.sources import address_of

MODELS = ("lealla-small", "lealla-base", "lealla-large")
EXACT, DIFFERENT, UNANSWERED = "exact", "different", "unanswered"
SURFACE = "automodel"
ROUNDED = 5e-8  # an oracle has seven decimals
PACKAGES = (
    "hub2hf",
    "numpy",
    "tokenizers",
    "transformers",
    "sentence-transformers",
    "torch",
    "tensorflow",
    "tensorflow-text",
)
AT_TEN_PERCENT = 10
RECORDED = "embedding_first_16"
FORM = f'[{{"text": …, "ids": […], "{RECORDED}": […]}}, …]; the last may be missing'


@dataclass(frozen=True)
class Oracle:
    """What was recorded from a real module: texts with their ids, and the first numbers of some embeddings."""

    file: Path
    texts: list[str]
    ids: list[list[int]]
    embeddings: list[list[float]]

    @classmethod
    def load(cls, path: Path) -> Oracle:
        """Read a list of {"text", "ids", "embedding_first_16"}, the last of which may be missing; it may be longer, too.

        Raises:
            SourceError: it cannot be read, is of another form, or has embeddings under another name.
        """
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            found = cls(
                path,
                [str(entry["text"]) for entry in entries],
                [[int(i) for i in entry["ids"]] for entry in entries],
                [[float(x) for x in entry.get(RECORDED, ())] for entry in entries],
            )
            others = {key for entry in entries for key in entry if "embed" in key.lower() or "vector" in key.lower()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SourceError(f"{path} is not an oracle: {error!r}.", f"Its form is {FORM}.") from None
        if others - {RECORDED}:
            raise SourceError(
                f"{path} has embeddings under another name: {', '.join(sorted(others - {RECORDED}))}.",
                f"Its form is {FORM}.",
            )
        if not found.texts:
            raise SourceError(f"{path} holds no text.", "Record some.")
        return found


@dataclass
class Outcome:
    """What became of one model.

    Attributes:
        stage: where it ended: fetch, convert, verify, oracle.
        said: what was found there.
        fingerprint: of the source, once it is read.
        graph: the file to attach, of a model that was refused.
        compared: with what that was recorded; "" with nothing.
    """

    model: str
    address: str
    verdict: str = UNANSWERED
    stage: str = "fetch"
    said: str = ""
    fingerprint: str = ""
    graph: str = ""
    compared: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


class _Failed(Exception):
    """A command that ended with 2, or died."""


def run(model: str, oracle: Oracle | None, out: Path | None, languages: str) -> Outcome:
    """Return what becomes of `model`, whatever that is."""
    outcome = Outcome(model, "")
    with tempfile.TemporaryDirectory(prefix="hub2hf-real-") as work:
        steps: dict[str, Callable[[], None]] = {
            "fetch": lambda: _fetch(outcome),
            "convert": lambda: _convert(outcome, Path(work) / "converted"),
            "verify": lambda: _verify(outcome, Path(work) / "converted", languages, out),
            "oracle": lambda: _compare(outcome, Path(work) / "converted", oracle),
        }
        for outcome.stage, step in steps.items():
            start = time.monotonic()
            _say(f"{model}: {outcome.stage} …")
            try:
                step()
            except (Hub2HFError, _Failed) as error:
                outcome.verdict, outcome.said = UNANSWERED, str(error)
            except Exception as error:  # a mistake of this program's must not stop the other models
                outcome.verdict, outcome.said = UNANSWERED, f"{type(error).__name__}: {error}"
            outcome.seconds[outcome.stage] = round(time.monotonic() - start, 1)
            if outcome.said:
                break
    if outcome.stage == "convert" and out is not None:
        _keep_graph(outcome, out)
    outcome.verdict = outcome.verdict if outcome.said else EXACT
    _say(f"{model}: {outcome.verdict}" + (f" ({outcome.stage}: {outcome.said})" if outcome.said else ""))
    return outcome


def _fetch(outcome: Outcome) -> None:
    shown = 0

    def progress(done: int, total: int | None) -> None:
        nonlocal shown
        reached = done * 100 // total if total else 0
        if reached >= shown + AT_TEN_PERCENT or reached == 100 > shown:
            shown = reached
            _say(f"{outcome.model}: {shown} % of {total:,} bytes")

    outcome.address = address_of(outcome.model)
    hub2hf.fetch(outcome.model, progress=progress)


def _convert(outcome: Outcome, folder: Path) -> None:
    manifest = _command("convert", outcome.model, folder, "--json")
    outcome.fingerprint = manifest["source"]["fingerprint"]


def _verify(outcome: Outcome, folder: Path, languages: str, out: Path | None) -> None:
    report = ("--report", out / Path(outcome.model).stem, "--force") if out is not None else ()
    found = _command("verify", outcome.model, folder, "--json", "--languages", languages, *report)
    if not found["equivalent"]:
        outcome.verdict, outcome.said = DIFFERENT, found["summary"]


def _compare(outcome: Outcome, folder: Path, oracle: Oracle | None) -> None:
    """Hold the folder, loaded as people load it, against what was recorded from the real module."""
    if oracle is None:
        return
    from hub2hf.surfaces import embed

    size = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    largest = max((i for row in oracle.ids for i in row), default=0)
    if largest >= size:
        raise SourceError(
            f"{oracle.file} was recorded with another vocabulary: it has the id {largest}, the model {size} pieces.",
            "Give the oracle of this model.",
        )
    found = embed(SURFACE, folder, oracle.texts)
    vectors = sum(map(bool, oracle.embeddings))
    outcome.compared = f"{oracle.file.name}: ids of {len(oracle.texts)} texts, embeddings of {vectors or 'none'}"
    for text, ours, theirs in zip(oracle.texts, found.ids, oracle.ids, strict=True):
        if ours != theirs:
            at = next((i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), len(ours))
            outcome.verdict, outcome.said = DIFFERENT, f"other ids than recorded from piece {at} on of {text!r}"
            return
    allowed = load_tolerances().of(SURFACE, "en").tolerance + ROUNDED
    for text, vector, recorded in zip(oracle.texts, found.embeddings, oracle.embeddings, strict=True):
        difference = float(np.abs(vector[: len(recorded)] - recorded).max()) if recorded else 0.0
        if not difference <= allowed:
            outcome.verdict = DIFFERENT
            outcome.said = f"the embedding of {text!r} differs from that recorded by {difference:.1e}"
            return


def _keep_graph(outcome: Outcome, out: Path) -> None:
    """Write the graph of a refused model, without weights and vocabulary, to be attached to an issue."""
    file = out / f"{Path(outcome.model).stem}.graph.pb"
    try:
        _command("inspect", outcome.model, "--graph-only", file)
    except _Failed as error:
        outcome.said += f" And its graph could not be kept: {error}"
    if file.is_file():
        outcome.graph = str(file)


def _command(*words: str | Path) -> Any:
    """Run hub2hf in a process of its own, and return the JSON that it prints; a model may take all the memory there is.

    Raises:
        _Failed: it ended otherwise than with 0 or 1.
    """
    command = [sys.executable, "-m", "hub2hf", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode not in (0, 1):
        said = done.stderr.strip().splitlines()
        raise _Failed(said[-1].removeprefix("hub2hf: ") if said else f"hub2hf ended with {done.returncode}")
    return json.loads(done.stdout) if "--json" in words else None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def versions() -> dict[str, str]:
    """Return what a report must name."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the verdict, and all that somebody who was not there needs."""
    verdicts = {outcome.verdict for outcome in outcomes}
    verdict = next(one for one in (DIFFERENT, UNANSWERED, EXACT) if one in verdicts)
    return {"verdict": verdict, "models": [asdict(outcome) for outcome in outcomes], "versions": versions()}


def text_of(found: dict[str, Any]) -> str:
    """Return the report for people."""
    models = found["models"]
    lines = []
    for one in models:
        mark = f"fingerprint {one['fingerprint'][:16]}" if one["fingerprint"] else one["address"]
        lines.append(f"{one['model']}: {one['verdict'].upper()}, {mark}, {sum(one['seconds'].values()):.0f} s")
        if one["compared"]:
            lines.append(f"  compared with {one['compared']}")
        if one["said"]:
            lines.append(f"  {one['stage']}: {one['said']}")
    exact = sum(one["verdict"] == EXACT for one in models)
    lines.append(f"{found['verdict'].upper()}: {exact} of {len(models)} models are exact")
    if found["verdict"] != EXACT:
        files = [one["graph"] for one in models if one["graph"]]
        lines.append("Please report all of this" + (f", with {', '.join(files)} attached" if files else "") + ".")
    return "\n".join([*lines, ", ".join(f"{name} {version}" for name, version in found["versions"].items())])


def main(words: Sequence[str] | None = None) -> int:
    """Run the command, on the arguments `words` or those of the process, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL", help="a name of hub2hf list, or a TOML")
    parser.add_argument(
        "--oracle", type=Path, action="append", default=[], help="recorded from the model it is named after"
    )
    parser.add_argument("--out", type=Path, help="a folder for the reports and for the graph of a refused model")
    parser.add_argument("--languages", default="", help="only these, as de,ja; all 109 and the traps by default")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(words)
    try:
        oracles = {path: Oracle.load(path) for path in given.oracle}
        of = {model: _oracle_of(model, oracles) for model in given.models}
        if set(oracles) - {oracle.file for oracle in of.values() if oracle is not None}:
            raise SourceError("An oracle is named after none of the models.", "Name it MODEL-….json.")
        if given.out is not None:
            given.out.mkdir(parents=True, exist_ok=True)
    except (Hub2HFError, OSError) as error:
        _say(f"real: {error}")
        return 2
    found = report([run(model, of[model], given.out, given.languages) for model in given.models])
    if given.out is not None:
        (given.out / "real.json").write_text(json.dumps(found, indent=2, ensure_ascii=False), encoding="utf-8")
        (given.out / "real.txt").write_text(text_of(found), encoding="utf-8")
    print(json.dumps(found, indent=2, ensure_ascii=False) if given.json else text_of(found))
    return {EXACT: 0, DIFFERENT: 1, UNANSWERED: 2}[found["verdict"]]


def _oracle_of(model: str, oracles: dict[Path, Oracle]) -> Oracle | None:
    return next((oracle for path, oracle in oracles.items() if path.name.startswith(Path(model).stem)), None)


if __name__ == "__main__":
    sys.exit(main())
