"""The command: exit codes, JSON, and one clear sentence for every bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from references import EMBEDDED

import hub2hf
from hub2hf.sources import recording_of


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EMBEDDED, tmp_path / "model"))


Run = Callable[..., tuple[int, str, str]]


def test_inspect_tells_people_and_programs(run_hub2hf: Run) -> None:
    code, out, _ = run_hub2hf("inspect", "lealla-mini")
    assert code == 0
    for said in (
        "gelu_tanh",
        "token_type_embeddings_real",
        "attention heads",
        r"\p{Cc}|\p{Cf}",
        "126 pieces",
    ):
        assert said in out
    code, out, _ = run_hub2hf("inspect", "lealla-mini", "--json")
    assert (code, json.loads(out)["encoder"]["heads"]["value"]) == (0, 4)


def test_convert_tells_people_and_programs(run_hub2hf: Run, tmp_path: Path) -> None:
    code, out, _ = run_hub2hf("convert", "lealla-mini", tmp_path / "a")
    assert code == 0
    assert "AutoModel" in out
    code, out, _ = run_hub2hf("convert", "lealla-mini", tmp_path / "b", "--json")
    assert (code, json.loads(out)["files"]["config.json"]["bytes"] > 0) == (0, True)


def test_the_version_is_told(run_hub2hf: Run) -> None:
    from importlib.metadata import version

    assert run_hub2hf("--version")[:2] == (0, f"hub2hf {version('hub2hf')}\n")


def test_usage_errors_have_code_2(run_hub2hf: Run) -> None:
    assert run_hub2hf("convert", "lealla-mini")[0] == 2
    assert run_hub2hf("inspect", "lealla-mini", "--nonsense")[0] == 2


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def cut(name: str, share: float) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return change


def flip(name: str, share: float) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[int(len(data) * share)] ^= 0x10
        (folder / name).write_bytes(data)

    return change


def shorter_vocabulary(folder: Path) -> None:
    path = folder / "assets/vocab.txt"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def repeated_piece(folder: Path) -> None:
    path = folder / "assets/vocab.txt"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], lines[-2]]))


INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no graph": (remove("saved_model.pb"), "saved_model.pb"),
    "no index": (remove(INDEX), "variables.index"),
    "no data": (remove(DATA), "variables.data"),
    "no vocabulary": (remove("assets/vocab.txt"), "vocab.txt"),
    "cut graph": (cut("saved_model.pb", 0.7), "saved_model.pb"),
    "cut index": (cut(INDEX, 0.9), "variables.index"),
    "cut data": (cut(DATA, 0.99), "variables.data"),
    "empty data": (cut(DATA, 0.0), "variables.data"),
    "flip in the index": (flip(INDEX, 0.4), "variables.index"),
    "flip in the data": (flip(DATA, 0.5), "student_bert/"),
    "vocabulary shorter than the embedding": (shorter_vocabulary, "5515"),
    "repeated piece": (repeated_piece, "repeats"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(run_hub2hf: Run, model: Path, tmp_path: Path, name: str) -> None:
    damage, said = BAD[name]
    damage(model)
    code, out, error = run_hub2hf("convert", model, tmp_path / "out")
    assert (code, out) == (2, "")
    assert said in error
    assert error.startswith("hub2hf: ")
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_every_part_of_the_data_is_guarded(run_hub2hf: Run, model: Path, tmp_path: Path) -> None:
    """A flip in any variable, converted or not, is found; which one is told."""
    whole = (model / DATA).read_bytes()
    for share in (0.0, 0.03, 0.2, 0.5, 0.8, 0.999):
        flip(DATA, share)(model)
        code, _, error = run_hub2hf("convert", model, tmp_path / "out")
        assert (code, "student_bert/" in error) == (2, True)
        (model / DATA).write_bytes(whole)


def test_a_folder_without_model_and_an_unknown_name(run_hub2hf: Run, tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "absent", "lealla-giant"):
        code, _, error = run_hub2hf("inspect", source)
        assert (code, str(source) in error) == (2, True)


def test_verify_answers_with_its_exit_code(run_hub2hf: Run, tmp_path: Path) -> None:
    out, golden = tmp_path / "out", recording_of("lealla-mini")
    assert run_hub2hf("convert", "lealla-mini", out)[0] == 0
    surfaces = ("--surfaces", "automodel", "--languages", "de,ja")
    code, said, _ = run_hub2hf("verify", "--golden", golden, out, *surfaces, "--report", tmp_path / "report")
    assert (code, said.splitlines()[-1].split(":")[0]) == (0, "EXACT")
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "report.json",
        "report.md",
        "report.html",
        "heatmap.png",
    }
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    code, said, _ = run_hub2hf("verify", "--golden", golden, out, *surfaces, "--json")
    assert (code, json.loads(said)["equivalent"]) == (1, False)
    code, _, error = run_hub2hf("verify", "--golden", golden, tmp_path / "absent")
    assert (code, error.count("\n")) == (2, 1)
    assert run_hub2hf("verify", "lealla-mini")[0] == 2


def test_paths_that_cannot_be_followed_are_one_sentence(run_hub2hf: Run, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    long = tmp_path / ("a" * 300)
    for path in (loop, loop / "x", long):
        for arguments in (("inspect", path), ("convert", "lealla-mini", path)):
            code, _, error = run_hub2hf(*arguments)
            assert (code, error.count("\n"), error[:8]) == (2, 1, "hub2hf: ")
    assert list(tmp_path.iterdir()) == [loop]


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_output_that_nobody_takes_is_no_traceback(json_option: list[str]) -> None:
    """A reader that has gone ends the command by SIGPIPE, never with code 1, which means "not equivalent"."""
    command = [sys.executable, "-m", "hub2hf", "inspect", "lealla-mini", *json_option]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")
    with Path("/dev/full").open("w") as full:  # -q: no line of progress, however slow the machine is
        done = subprocess.run([*command, "-q"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inspect", ""), "SOURCE is empty. See "),
        (("convert", "lealla-mini", ""), "OUT is empty."),
        (("convert", "lealla-mini", "out", "--model", ""), "--model is empty."),
        (("inspect", "lealla-mini", "--graph-only="), "--graph-only is empty."),
        (("evaluate", "out", "--pairs", "."), ". holds no pairs."),
        (("evaluate", "out", "--pairs", ""), "--pairs is empty."),
        (("convert", "lealla-mini", "-"), "OUT is '-', and hub2hf reads and writes no stream."),
        (("embed", "out", "-", "v.jsonl"), "IN is '-', and"),
        (("verify", "--integrity", ".", "lealla-mini", "out"), "--integrity takes one folder and nothing beside it."),
        (("card", "absent"), "absent does not exist. Name a folder that hub2hf made"),
        (("card", "file"), "file is a file. Name a folder that hub2hf made"),
        (("verify", "--golden", "empty", "out"), "empty holds no file of a corpus."),
        (("convert", "file", "new"), "file is neither a SavedModel folder nor a .tar.gz, .tar or .zip archive."),
    ],
)
def test_names_that_name_nothing(
    run_hub2hf: Run, arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an unset variable of a shell gives them; nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (tmp_path / "out" / name).write_text("{}")
    code, out, error = run_hub2hf(*arguments)
    assert (code, out, error[:8], error.count("\n")) == (2, "", "hub2hf: ", 1)
    assert said in error
    code, out, _ = run_hub2hf(*arguments, "--json")
    assert (code, said in json.loads(out)["error"]) == (2, True)
    assert sorted(os.listdir(tmp_path)) == ["empty", "file", "out"]


def test_a_mistake_of_the_program_is_no_traceback(run_hub2hf: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: object) -> None:
        raise KeyError(source)

    monkeypatch.setattr(hub2hf, "inspect", broken)
    code, _, error = run_hub2hf("inspect", "lealla-mini")
    assert (code, "report it" in error, error.count("\n")) == (2, True, 1)


def test_errors_are_json_for_programs(run_hub2hf: Run, tmp_path: Path) -> None:
    code, out, _ = run_hub2hf("inspect", tmp_path, "--json")
    assert (code, "saved_model.pb" in json.loads(out)["error"]) == (2, True)


def test_neither_tensorflow_nor_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, hub2hf; hub2hf.inspect('lealla-mini'); hub2hf.convert('lealla-mini', sys.argv[1]);"
        "import hub2hf.cli; print([m for m in ('tensorflow', 'torch', 'transformers', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "out"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_functions_of_the_package_are_typed_and_documented() -> None:
    for name in hub2hf.__all__:
        assert getattr(hub2hf, name).__doc__
