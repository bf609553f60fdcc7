"""What the command is like to use: it fails at once, says how far it is, stays quiet where asked, and stops when told."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click
import pytest
from references import EMBEDDED, GOLDEN

import hub2hf
from hub2hf.commands import VERBS, bars
from hub2hf.commands.app import app
from hub2hf.equivalence.sentences import count_sentences, language_sentences, trap_sentences
from hub2hf.errors import SourceError, pasted
from hub2hf.surfaces.devices import DEVICES

ABSENT = [device for device, (_, there) in DEVICES.items() if not there()]
Run = Callable[..., tuple[int, str, str]]
HEAVY = ("tensorflow", "tensorflow_text", "torch", "transformers", "sentence_transformers")
# Runs each argument list of the JSON it is given, and prints its exit code and what heavy modules were imported by then.
EACH = f"""
import json, sys
from hub2hf.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["hub2hf", *arguments]
    try:
        main()
    except SystemExit as ended:
        print(json.dumps([ended.code, [name for name in {HEAVY!r} if name in sys.modules]]))
"""


def test_what_is_wrong_is_said_before_anything_heavy_is_imported(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "no-measure.toml").write_text("[surface.automodel]\ntolerance = 1e-6\n", encoding="utf-8")
    (tmp_path / "blank.txt").write_text(" \n\t\n \n", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("Größe\n".encode("latin-1"))
    wrong = {
        "no sentences in xx": ["--languages", "de,xx"],
        "Unknown way of loading: nonsense": ["--surfaces", "nonsense"],
        "absent.toml cannot be read: No such file": ["--tolerances", "absent.toml"],
        "[surface.automodel] lacks 'measured'": ["--tolerances", "no-measure.toml"],
        "absent.txt cannot be read": ["--sentences", "absent.txt"],
        "line 1 is not UTF-8": ["--sentences", "latin.txt"],
        "prove nothing": ["--sentences", "blank.txt"],
        "There is no device 'tpu'": ["--device", "tpu"],
        "Choose from: AutoModel, sentence-transformers": ["--device", "cuda", "--surfaces", "onnx"],
        **{f"There is no {device} device on this machine": ["--device", device] for device in ABSENT},
    }
    # A device that is not here is missed before a source is looked for.
    asked = [
        ["verify", "absent" if options[0] == "--device" else "lealla-mini", str(converted), *options]
        for options in wrong.values()
    ]
    embed = ["embed", str(converted), "latin.txt", "out.parquet"]
    others = {
        "No such command 'frobnicate'. See hub2hf --help": ["frobnicate"],
        "Missing argument 'OUT'. See hub2hf convert --help": ["convert", "lealla-mini"],
        "No such option '--for'. Did you mean '--force'? See hub2hf card --help": ["card", "x", "--for"],
        "onnx computes on the CPU and in float32 only. Leave out --device cuda": [
            *embed,
            "--device",
            "cuda",
            "--runtime",
            "onnx",
        ],
        "There is no device 'tpu'.": [*embed, "--device", "tpu"],
    }
    asked += others.values()
    asked += [["verify", "lealla-mini", "absent"], ["record", "lealla-mini", "file", "--languages", "xx"]]
    asked += [["verify", "--golden", "absent", str(converted)], ["verify", "absent", str(converted)]]
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(asked)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[2, []]] * len(asked)
    said = done.stderr.splitlines()
    assert len(said) == len(asked)
    for line, part in zip(said, (*wrong, *others), strict=False):
        assert part in line


def test_the_command_is_there_at_once() -> None:
    """Ctrl-C is one line from where `main` begins, and the Tab key waits for nothing: neither imports NumPy or rich."""
    code = (
        "import sys; import hub2hf.cli; first = set(sys.modules); from hub2hf.commands.app import app;"
        "print('click' in first, 'numpy' in sys.modules, 'rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False False\n"


@pytest.mark.parametrize("word", ["--help", "list"])
def test_what_is_only_printed_imports_nothing_that_computes(word: str) -> None:
    """The list of verbs has the first line of each, so that a heavy import of one would be waited for by all."""
    code = (
        "import sys; from hub2hf.cli import main; import contextlib; sys.argv = ['hub2hf', sys.argv[1]]\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None): main()\n"
        "print([name for name in ('numpy', 'jinja2', 'huggingface_hub', 'hub2hf.architectures') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_conversion_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """Where there is no terminal, nothing draws; and what is on this machine is not fetched."""
    code = (
        "import sys; from hub2hf.cli import main; import contextlib; sys.argv = ['hub2hf', 'convert', *sys.argv[1:]]\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None): main()\n"
        "print([name for name in ('rich.console', 'hub2hf.sources.download', 'pyarrow') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(EMBEDDED), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert (tmp_path / "out" / "hub2hf.json").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_stops_at_any_moment_with_one_line(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """While modules are imported as while it works. Before `main` begins the signal ends Python itself."""
    for moment in (0.3, 0.9, 1.8):
        command = [sys.executable, "-c", "print(flush=True); from hub2hf.cli import main; main()", "convert"]
        command += ["lealla-mini", str(tmp_path / "out"), "--thorough", "--force"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moment)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        assert (process.returncode, said.count("\n"), said[:16]) == (code, 1, "hub2hf: stopped;"), said
    assert not list(tmp_path.iterdir())


def test_every_verb_can_be_quiet_speak_json_and_help(run_hub2hf: Run) -> None:
    for verb in VERBS:
        code, out, _ = run_hub2hf(verb, "-h")
        assert (code, "--json" in out, "--quiet" in out, "-q" in out) == (0, True, True, True), verb
        usage = next(line for line in out.splitlines() if "Usage:" in line).partition(verb)[2]
        assert usage == usage.upper(), f"{verb}: arguments are called as its help calls them"
    assert run_hub2hf("-h")[0] == 0
    told = " ".join(run_hub2hf("--help")[1].split())
    for verb in VERBS:
        paragraph, *_ = run_hub2hf(verb, "--help")[1].split("\n\n")[1:]
        assert f" {verb} {' '.join(paragraph.split())} " in f"{told} ", "the list tells the first paragraph, whole"


KINDS = {"str": "text", "int": "integer", "float": "float", "bool": "boolean", "Path": "path"}


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_typed_becomes_what_the_verb_takes(verb: str) -> None:
    run = app.get_command(click.Context(app), verb)
    assert run is not None
    takes = run.callback.__annotations__  # type: ignore[union-attr]
    for parameter in run.params:
        said = takes[parameter.name]
        assert parameter.type.name == KINDS[said.removesuffix(" | None").removeprefix("tuple[").removesuffix(", ...]")]
        assert parameter.multiple == said.startswith("tuple["), parameter.name
        given = parameter.required or parameter.multiple or said == "bool"
        absent = not given and parameter.default in (None, click.core.UNSET)
        assert absent == said.endswith(" | None"), parameter.name
    assert takes.keys() - {"ctx", "return"} == {parameter.name for parameter in run.params}


@pytest.mark.parametrize(
    ("words", "completed"),
    [("hub2hf ver", ["verify"]), ("hub2hf fetch --q", ["--quiet"]), ("hub2hf convert --fo", ["--force"])],
)
def test_a_shell_completes_words(words: str, completed: list[str]) -> None:
    asked = {"_HUB2HF_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = Path(sys.executable).with_name("hub2hf")
    done = subprocess.run([command], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == completed
    asked = {"_HUB2HF_COMPLETE": "bash_source"}
    done = subprocess.run([command], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    subprocess.run(["bash", "-c", f"{done.stdout}\ncomplete -p hub2hf"], check=True, capture_output=True)


# Verb, and what is typed after it → names in the JSON that it answers, as a program may read them.
ANSWERS = {
    "list": "name title address kaggle folder nbytes",
    "fetch lealla-mini": "source folder",
    "inspect lealla-mini": "source signature encoder text text_origin vocabulary mapping unused proof",
    "convert lealla-mini out": "out source identity blueprint model files converter version versions",
    "export folder onnx": "written",
    "slim folder slim --languages de": "out kept dropped bytes bytes_before languages alphabet slim lossy",
    "evaluate folder --pairs pairs.tsv": "model data sha256 against languages mean",
    "embed folder texts.txt out.parquet": "out rows failed unreadable files seconds departure",
    "mine out.parquet out.parquet pairs.jsonl --by cosine": "out pairs rows left_out unreadable seconds",
    "verify --golden GOLDEN folder --languages de --surfaces sentence-transformers": (
        "format summary equivalent source candidate witness fingerprint languages sentences ways rows failures causes "
        "versions seconds note"
    ),
    "verify --integrity folder": "intact problems",
    "record lealla-mini file --languages xx": "error",
    "card folder": "card",
    "push folder me/x --dry-run --allow-unverified": (
        "state repository url revision commit created verified files foreign notes card_diff"
    ),
}


def test_every_verb_answers_programs_in_json_of_these_names(
    run_hub2hf: Run, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(converted, tmp_path / "folder")
    (tmp_path / "texts.txt").write_text("Hund\n犬\n", encoding="utf-8")
    (tmp_path / "pairs.tsv").write_text("dog\tHund\ncat\tKatze\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for typed, names in ANSWERS.items():
        code, said, error = run_hub2hf(*(str(GOLDEN) if word == "GOLDEN" else word for word in typed.split()), "--json")
        answer = json.loads(said)  # one document and nothing beside it
        found = answer[0] if isinstance(answer, list) else answer
        assert (code, sorted(found)) == (2 if names == "error" else 0, sorted(names.split())), (typed, error)
    assert {typed.split()[0] for typed in ANSWERS} == set(VERBS)


def test_quiet_is_the_answer_and_nothing_else(run_hub2hf: Run, verified: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_hub2hf("convert", "lealla-mini", out, "-q") == (0, f"{out}\n", "")
    code, said, error = run_hub2hf(
        "verify", "--golden", GOLDEN, verified, "-q", "--languages", "de", "--surfaces", "automodel"
    )
    assert (code, said.count("\n"), said[:7], error) == (0, 1, "EXACT: ", "")
    code, said, error = run_hub2hf("inspect", "lealla-mini", "-q")
    assert (code, said.count("\n"), said[:13], error) == (0, 1, "lealla-mini: ", "")
    code, said, error = run_hub2hf("push", out, "me/x", "--dry-run", "--allow-unverified", "-q")
    assert (code, said, error) == (0, "planned: https://huggingface.co/me/x\n", "")


def test_a_dry_run_without_the_hub_tells_all_that_is_here(run_hub2hf: Run, verified: Path) -> None:
    """HF_HUB_OFFLINE is set in the tests."""
    code, said, error = run_hub2hf("push", verified, "me/model", "--dry-run", "--json")
    found = json.loads(said)
    assert (code, error, found["state"], found["verified"]) == (0, "", "planned", True)
    assert {file["change"] for file in found["files"]} == {"unknown"}
    assert {"README.md", "model.safetensors", "hub2hf.json"} <= {file["name"] for file in found["files"]}
    said = (
        r"the Hub was not asked: .* repeat the dry run without HF_HUB_OFFLINE\. No dry run tells whether you may write "
    )
    said += "to me/model$"
    assert re.search(said, found["notes"][0])
    code, _, error = run_hub2hf("push", verified, "me/model")
    assert (code, "HF_HUB_OFFLINE" in error) == (2, True)


def on_a_terminal(environment: dict[str, str], *arguments: str | Path) -> str:
    """Return what the command says on standard error where that is a terminal."""
    ours, its = os.openpty()
    command = [sys.executable, "-m", "hub2hf", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=its, env={**os.environ, **environment}) as process:
        os.close(its)
        said = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(ours, 1 << 16):
                said += data
        os.close(ours)
    assert process.returncode == 0, said
    return said.decode()


class TestProgress:
    def test_on_a_pipe_it_is_a_line_every_so_often_with_the_whole_and_the_rate(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert bars.EVERY == 10.0
        monkeypatch.setattr(bars, "EVERY", 0.05)
        with bars.progress_bar("compared", "sentences") as report:
            time.sleep(0.12)
            report(100, 547)
            time.sleep(0.12)
        said = capsys.readouterr().err.splitlines()
        assert said[0] == "hub2hf: compared …"
        assert re.fullmatch(r"hub2hf: compared: 100 of 547 sentences, [\d,]+ a second", said[-1])

    def test_on_a_terminal_it_is_a_bar_that_goes(self, tmp_path: Path) -> None:
        """The bar is there at once, with what is being done, and nothing of it stays."""
        said = on_a_terminal({"TERM": "xterm-256color"}, "convert", EMBEDDED, tmp_path / "out")
        assert "reading the model" in said
        assert "━" in said
        assert said.endswith("\x1b[2K")  # the line is cleared
        assert "hub2hf:" not in said

    def test_on_a_terminal_that_draws_nothing_anew_it_is_lines(self, tmp_path: Path) -> None:
        said = on_a_terminal({"TERM": "dumb"}, "convert", EMBEDDED, tmp_path / "out")
        assert said == ""  # the first line comes after ten seconds

    def test_quiet_says_nothing(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(bars, "EVERY", 0.01)
        with bars.progress_bar("compared", "sentences", quiet=True) as report:
            report(1, 2)
            time.sleep(0.05)
        assert capsys.readouterr() == ("", "")

    def test_verify_knows_how_many_sentences_there_are(self, converted: Path) -> None:
        told: list[tuple[int, int | None]] = []
        hub2hf.verify(
            None,
            converted,
            golden=GOLDEN,
            languages=["de"],
            surfaces=["automodel"],
            add_proof=False,
            progress=lambda done, total: told.append((done, total)),
        )
        assert told == [(5, 5)]


def test_sentences_are_counted_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "sentences.tsv"
    file.write_text("de\tHund\nja\t犬\nde\tKatze\n", encoding="utf-8")
    assert (count_sentences([], file), count_sentences(["de"], file)) == (3, 2)
    assert count_sentences([], None) == len(language_sentences()) + len(trap_sentences())
    with pytest.raises(SourceError, match="no sentences in fr"):
        count_sentences(["de", "fr"], file)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert count_sentences([], pipe) is None


def test_lines_are_whole_in_a_pipe(run_hub2hf: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    _, said, _ = run_hub2hf("inspect", "lealla-mini")
    assert [line for line in said.splitlines() if "attention heads" in line and "8 of 32 numbers" in line]
    out = tmp_path / "a folder; with $signs"
    _, said, _ = run_hub2hf("convert", "lealla-mini", out)
    assert max(map(len, said.splitlines())) > 120
    (line,) = [line for line in said.splitlines() if line.startswith("prove it: ")]
    words = shlex.split(line.removeprefix("prove it: "))
    assert words[1:4] == ["verify", "lealla-mini", str(out)]


def test_the_line_that_proves_it_repeats_what_the_source_needs(
    run_hub2hf: Run, pair: Callable[[str], object], tmp_path: Path
) -> None:
    cased = pair("cased")
    beside = {"--preprocessor": cased.preprocessor, "--output": "default"}  # type: ignore[attr-defined]
    given = [word for item in beside.items() for word in map(str, item)]
    code, said, error = run_hub2hf("convert", cased.encoder, tmp_path / "out", *given)  # type: ignore[attr-defined]
    assert code == 0, error
    (line,) = [line for line in said.splitlines() if line.startswith("prove it: ")]
    assert shlex.split(line)[-4:] == given


def test_the_place_of_the_report_is_told(run_hub2hf: Run, verified: Path, tmp_path: Path) -> None:
    options = ("--languages", "de", "--surfaces", "automodel", "--report", tmp_path / "report")
    error = run_hub2hf("verify", "--golden", GOLDEN, verified, *options)[2]
    assert f"The report is {tmp_path / 'report' / 'report.html'}.\n" in error
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.parametrize("words", [["a b"], ["it's", "$HOME", "`x`"], ["-o", "a;b", "*"]])
def test_a_line_to_paste_is_taken_as_it_was_meant(words: list[str]) -> None:
    code = "import sys; print(sys.argv[1:])"
    done = subprocess.run(
        ["sh", "-c", pasted(sys.executable, "-c", code, *words)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{words}\n"


class TestOneCommand:
    """From module to Hub."""

    def test_it_is_refused_at_once_where_it_could_not_end(
        self, run_hub2hf: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "out"
        code, _, error = run_hub2hf("convert", "lealla-mini", out, "--push", "me/model")
        assert (code, "Add --verify" in error) == (2, True)
        code, _, error = run_hub2hf("convert", "lealla-mini", out, "--private")
        assert (code, "Add --push OWNER/NAME" in error) == (2, True)
        for name, said in (("me", "OWNER/NAME"), ("me/model", "HF_HUB_OFFLINE")):
            code, _, error = run_hub2hf("convert", "lealla-mini", out, "--verify", "--push", name)
            assert (code, said in error, error.count("\n")) == (2, True, 1)
        monkeypatch.setattr("hub2hf.equivalence.find_spec", lambda name: None)
        code, _, error = run_hub2hf("convert", "lealla-mini", out, "--verify")
        assert (code, "tensorflow is not installed" in error) == (2, True)
        assert not out.exists()

    def test_it_does_what_the_three_verbs_do(
        self, run_hub2hf: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The Hub is asked by `push` alone, which its own tests hold against a server; TensorFlow was asked before."""
        push = import_module("hub2hf.commands.push")
        given: list[tuple[object, ...]] = []

        def publish(folder: Path, repository: str, **options: object) -> object:
            given.append((folder, repository, options["private"]))
            assert (folder / "equivalence.json").is_file()
            return hub2hf.push(folder, repository, dry_run=True)

        live = hub2hf.verify
        monkeypatch.setattr(hub2hf, "verify", lambda source, out, **options: live(None, out, golden=GOLDEN, **options))
        monkeypatch.setattr(push, "publish", publish)
        monkeypatch.setattr(push, "check", lambda repository: None)
        out = tmp_path / "out"
        code, said, _ = run_hub2hf(
            "convert", "lealla-mini", out, "--verify", "--push", "me/model", "--private", "--json"
        )
        found = json.loads(said)
        assert (code, given) == (0, [(out, "me/model", True)])
        assert (found["out"], found["verification"]["equivalent"]) == (str(out), True)
        assert (found["publication"]["repository"], found["publication"]["verified"]) == ("me/model", True)


def test_nothing_of_the_libraries_is_said_where_both_sides_run(tmp_path: Path) -> None:
    said_by = ("TF_CPP_MIN_LOG_LEVEL", "HF_", "TRANSFORMERS_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(said_by)}
    command = [sys.executable, "-m", "hub2hf", "convert", "lealla-mini", tmp_path / "out", "--verify", "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("hub2hf: ")]
    assert (done.returncode, done.stdout.count("\n"), lines) == (0, 1, [])
    assert (tmp_path / "out" / "equivalence.json").is_file()
