"""What an error or a note tells a person: the problem as it is, and a next step that works as it stands."""

from __future__ import annotations

import ast
import errno
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from references import GOLDEN, ROOT

import hub2hf
from hub2hf.commands import VERBS
from hub2hf.commands.ending import Stopped
from hub2hf.errors import SourceError
from hub2hf.hub.result import Publication

Run = Callable[..., tuple[int, str, str]]

# A text that ends in a command and a full stop; what is put into it stands in braces, as in the source.
WORDS = r"(?: (?:[A-Z][A-Z/]*|onnx|web|--\S+|\{.*?\}))*"
PASTED_WRONG = re.compile(
    rf"(?:\{{(?:pasted|install)\(.*\}}|\{{again\}}|\{{path\}} --help|(?::|See|then|with) hub2hf (?:{'|'.join(VERBS)}){WORDS}"
    r"|: (?:hf|npm|pip) .*)\.$"
)


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield each text of a module, what is put into it in braces."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (
                str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
                for part in node.values
                if isinstance(part, (ast.Constant, ast.FormattedValue))
            )
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    """Return a folder that may be changed."""
    return Path(shutil.copytree(converted, tmp_path / "out"))


@pytest.mark.parametrize("verb", ["embed", "verify"])
def test_nobody_is_told_to_load_weights_that_may_run_code(
    run_hub2hf: Run, folder: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder, verb: str
) -> None:
    from safetensors.torch import load_file
    from torch import save

    (tmp_path / "texts.txt").write_text("dog\n", encoding="utf-8")
    weights = folder / "model.safetensors"
    save(
        load_file(weights), folder / "pytorch_model.bin", pickle_protocol=4, _use_new_zipfile_serialization=False
    )  # as PyTorch's files were before version 1.6
    weights.unlink()
    asked = {
        "embed": ["embed", folder, tmp_path / "texts.txt", tmp_path / "out.jsonl"],
        "verify": ["verify", "--golden", GOLDEN, folder, "--languages", "de", "--surfaces", "AutoModel"],
    }
    code, _, told = run_hub2hf(*asked[verb])
    assert (code, told.count("\n")) == (2, 1)
    assert "its weights are a pickle that PyTorch does not load safely" in told
    assert "weights_only" not in told
    assert not [warning for warning in recwarn if "pickle" in str(warning.message)]


def test_what_ends_in_a_command_can_be_pasted() -> None:
    wrong = ["See hub2hf verify --help.", "Write one: {pasted('hub2hf', 'card', folder)}.", "Log in: hf auth login."]
    assert all(map(PASTED_WRONG.search, wrong))
    for path in (ROOT / "convert").rglob("*.py"):
        for text in texts(ast.parse(path.read_text(encoding="utf-8"))):
            assert not PASTED_WRONG.search(text), path


def denied(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let nobody open the files of a name; root may open all."""
    opened = Path.open

    def open_(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_)


def test_a_file_that_may_not_be_read_is_no_damaged_one(
    run_hub2hf: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied(monkeypatch, "model.safetensors")
    said = f"hub2hf: {folder / 'model.safetensors'} cannot be read: Permission denied. Check its permissions.\n"
    assert run_hub2hf("export", folder, "onnx") == (2, "", said)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is damaged: it is empty. "),
        ((2).to_bytes(8, "little") + b"[]", "is damaged: its header names no tensors. "),
        ((7).to_bytes(8, "little") + b'{"a":5}', "is damaged: a value in it is of another type. "),
    ],
)
def test_what_is_damaged_is_said_without_the_words_of_a_library(
    run_hub2hf: Run, folder: Path, content: bytes, why: str
) -> None:
    (folder / "model.safetensors").write_bytes(content)
    code, _, told = run_hub2hf("export", folder, "onnx")
    assert (code, f"model.safetensors {why}Convert the model again" in told) == (2, True), told


def test_languages_that_are_a_number_are_named(run_hub2hf: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "Mine"\n[card]\nlanguages = 5\n', encoding="utf-8")
    code, _, told = run_hub2hf("convert", "lealla-mini", tmp_path / "out", "--model", tmp_path / "mine.toml")
    assert (code, "mine.toml: 'languages' is neither a text nor a list of texts. See " in told) == (2, True), told


def test_a_file_of_the_manifest_that_is_missing_is_said_to_be(run_hub2hf: Run, folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    _, _, told = run_hub2hf("push", folder, "owner/name", "--dry-run")
    assert "vocab.txt is not as hub2hf.json says: it is missing. Convert the model again.\n" in told


def test_a_recording_that_is_not_there_is_no_damaged_one(
    run_hub2hf: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = tmp_path / "absent.safetensors"
    code, _, told = run_hub2hf("verify", "--golden", absent, folder)
    assert (code, told) == (2, f"hub2hf: {absent} does not exist. Name a file that hub2hf record wrote.\n")
    denied(monkeypatch, GOLDEN.name)
    code, _, told = run_hub2hf("verify", "--golden", GOLDEN, folder)
    assert (code, f"{GOLDEN} cannot be read: Permission denied." in told) == (2, True), told


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (["--sample", "0"], "own sentences. Leave out --golden, or --sample."),
        (["--vocab", "v.txt", "--text-rules", "tftext"], "own ids. Leave out --golden, or --vocab and --text-rules."),
    ],
)
def test_what_a_recording_brings_is_named_as_it_was_given(
    run_hub2hf: Run, folder: Path, given: list[str], step: str
) -> None:
    code, _, told = run_hub2hf("verify", "--golden", GOLDEN, folder, *given)
    assert (code, told) == (2, f"hub2hf: A recording has its {step}\n")


def test_what_cannot_be_added_is_said_before_anything_is_embedded(
    run_hub2hf: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pairs.tsv").write_text("de\tHund\tdog\n", encoding="utf-8")
    (folder / "hub2hf.json").unlink()
    monkeypatch.setattr("hub2hf.retrieval.evaluate.side_by_side", lambda *arguments, **options: pytest.fail("embedded"))
    code, _, told = run_hub2hf("evaluate", folder, "--pairs", tmp_path / "pairs.tsv", "--add")
    assert (code, "has no hub2hf.json: hub2hf did not make it." in told) == (2, True), told


@pytest.mark.parametrize(
    ("verb", "option"),
    [
        *(("verify", option) for option in ("--languages", "--surfaces", "--output")),
        *(("slim", option) for option in ("--languages", "--scripts")),
        ("record", "--languages"),
    ],
)
@pytest.mark.parametrize("nothing", ["", " , "])
def test_a_list_that_is_empty_is_not_all(run_hub2hf: Run, tmp_path: Path, verb: str, option: str, nothing: str) -> None:
    """As an unset variable of a shell gives it."""
    code, _, told = run_hub2hf(verb, "lealla-mini", tmp_path / "out", option, nothing)
    assert (code, told.startswith(f"hub2hf: {option} is empty. See ")) == (2, True), told


def test_evaluate_asks_for_languages_or_takes_all(run_hub2hf: Run, folder: Path) -> None:
    code, _, told = run_hub2hf("evaluate", folder, "--pairs", folder, "--languages=")
    assert (code, told.startswith("hub2hf: --languages is empty. See ")) == (2, True), told


def test_notes_in_a_folder_are_to_be_moved_and_not_removed(run_hub2hf: Run, folder: Path) -> None:
    (folder / "notes.md").write_text("mine", encoding="utf-8")
    code, out, _ = run_hub2hf("verify", "--integrity", folder)
    assert (code, "Move files that are not in hub2hf.json elsewhere" in out, "emove" in out) == (1, True, False)


@pytest.mark.parametrize(("options", "told"), [(["-q"], ""), ([], "hub2hf: broke\n"), (["--json"], "hub2hf: broke\n")])
def test_quiet_says_nothing_of_what_is_tried_again(
    run_hub2hf: Run, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    def push(*_: Any, say: Callable[[str], None], **__: Any) -> Publication:
        say("broke")
        return Publication("planned", "me/x", "https://huggingface.co/me/x", "main", "", True, [], [], [], "")

    monkeypatch.setattr(hub2hf, "push", push)
    assert run_hub2hf("push", "folder", "me/x", "--dry-run", *options)[::2] == (0, told)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["embed", "folder", "in", "out"], "what is embedded is kept, and the same command goes on with the rest."),
        (["fetch", "x"], "nothing half-written was left behind. A download goes on when it is run again."),
        (["card", "folder"], "nothing half-written was left behind."),
    ],
)
def test_what_is_left_of_a_verb_that_was_stopped_is_said_of_that_verb(
    run_hub2hf: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise Stopped(signal.SIGINT)

    monkeypatch.setattr(hub2hf, words[0], stopped)
    assert run_hub2hf(*words) == (130, "", f"hub2hf: stopped; {said}\n")


def test_a_plot_is_not_written_under_the_name_of_another_kind(run_hub2hf: Run, folder: Path, tmp_path: Path) -> None:
    code, _, told = run_hub2hf("evaluate", folder, "--pairs", folder, "--plot", tmp_path / "x.png")
    assert (code, "x.png is not named as one. Name x.svg." in told, (tmp_path / "x.png").exists()) == (2, True, False)


def test_flags_are_shown_without_a_type_and_arguments_without_braces(run_hub2hf: Run) -> None:
    for verb in VERBS:
        _, out, _ = run_hub2hf(verb, "--help")
        assert not re.search(r"<bool>|list\[|\{[A-Z]", out), verb
    assert "<bool>" not in run_hub2hf("--help")[1]


def test_a_verb_that_is_misspelt_is_named(run_hub2hf: Run) -> None:
    assert run_hub2hf("conver") == (2, "", "hub2hf: No such command 'conver'. Did you mean convert?\n")


def test_a_file_of_text_is_offered_for_vectors_with_what_it_lacks(
    run_hub2hf: Run, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts.txt").write_text("dog\n", encoding="utf-8")
    code, _, told = run_hub2hf("embed", folder, tmp_path / "texts.txt", tmp_path / "out.csv")
    assert (code, ".txt (vectors alone, which mine and verify --golden cannot read)." in told) == (2, True), told


@pytest.mark.parametrize("wrong", [None, 5, b"x"])
@pytest.mark.parametrize(
    ("verb", "arguments", "named"),
    [
        ("card", "?", "folder"),
        ("convert", "lealla-mini ?", "out"),
        ("convert", "? out", "source"),
        ("embed", "folder texts.txt ?", "out"),
        ("embed", "folder ? out", "source"),
        ("evaluate", "? pairs", "model"),
        ("export", "? onnx", "folder"),
        ("fetch", "?", "source"),
        ("graph_only", "lealla-mini ?", "file"),
        ("integrity", "?", "folder"),
        ("mine", "a b ?", "out"),
        ("push", "? me/x", "folder"),
        ("record", "lealla-mini ?", "file"),
        ("slim", "folder ?", "out"),
        ("verify", "lealla-mini ?", "candidate"),
        ("verify_vectors", "? folder", "golden"),
    ],
)
def test_what_is_no_path_is_refused_by_the_name_of_its_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, arguments: str, named: str, wrong: object
) -> None:
    """`embed(folder, "texts.txt", None)` wrote a folder that was called None."""
    monkeypatch.chdir(tmp_path)
    given = [wrong if word == "?" else word for word in arguments.split()]
    with pytest.raises(SourceError, match=f"^{named} is of the type {type(wrong).__name__}, and no path"):
        getattr(hub2hf, verb)(*given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("verb", "arguments", "named"),
    [
        ("card", ("folder",), "force"),
        ("convert", ("lealla-mini", "out"), "force"),
        ("convert", ("lealla-mini", "out"), "onnx"),
        ("export", ("folder", "onnx"), "force"),
        ("graph_only", ("lealla-mini", "file"), "force"),
        ("push", ("folder", "me/x"), "allow_unverified"),
        ("push", ("folder", "me/x"), "dry_run"),
        ("push", ("folder", "me/x"), "private"),
        ("record", ("lealla-mini", "file"), "force"),
        ("slim", ("folder", "out"), "force"),
    ],
)
def test_what_is_neither_true_nor_false_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, arguments: tuple[str, ...], named: str
) -> None:
    """`force="false"` counted as True, and replaced what was there."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=f"^{named} is of the type str, and neither True nor False"):
        getattr(hub2hf, verb)(*arguments, **{named: "false"})
    assert not list(tmp_path.iterdir())
