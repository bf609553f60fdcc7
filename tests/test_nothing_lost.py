"""A file that is named for a result takes the place of nothing but an earlier one of its kind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import hub2hf
from hub2hf.errors import ExportError
from hub2hf.folder.files import check_own
from hub2hf.sources import recording_of

Run = Callable[..., tuple[int, str, str]]
GOLDEN = recording_of("lealla-mini")
OWN = b"ten years of work\n"
PAIRS = "de\tDer Hund schl\u00e4ft.\tThe dog sleeps.\nde\tEs regnet.\tIt is raining.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folder") / "out"
    hub2hf.convert("lealla-mini", out)
    return out


def arguments(verb: str, folder: Path, place: Path, tmp_path: Path) -> list[object]:
    """Return the words of a command that writes to `place`."""
    (tmp_path / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    evaluate = ["evaluate", folder, "--pairs", tmp_path / "pairs.tsv"]
    return {
        "recording": ["record", "lealla-mini", place, "--languages", "de"],
        "graph": ["inspect", "lealla-mini", "--graph-only", place],
        "table": [*evaluate, "--report", place],
        "plot": [*evaluate, "--plot", place],
        "report": [
            "verify",
            "lealla-mini",
            folder,
            "--languages",
            "de",
            "--surfaces",
            "automodel",
            "--report",
            place.parent,
        ],
    }[verb]


PLACES = {
    "recording": "thesis.txt",
    "graph": "vocab.txt",
    "table": "notes.md",
    "plot": "drawing.svg",
    "report": "report.html",
}


@pytest.mark.parametrize("verb", PLACES)
def test_what_somebody_wrote_stays(verb: str, folder: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    place = tmp_path / "mine" / PLACES[verb]
    place.parent.mkdir()
    place.write_bytes(OWN)
    code, printed, said = run_hub2hf(*arguments(verb, folder, place, tmp_path))
    assert (code, printed) == (2, "")
    assert f"{place} exists already, and is not what hub2hf writes there." in said
    assert [path.read_bytes() for path in place.parent.iterdir()] == [OWN]


@pytest.mark.parametrize("verb", PLACES)
def test_what_was_written_before_is_written_again(verb: str, folder: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    place = tmp_path / "made" / PLACES[verb]
    place.parent.mkdir()
    asked = arguments(verb, folder, place, tmp_path)
    assert run_hub2hf(*asked)[0] == 0
    first = place.read_bytes()
    with place.open("ab") as file:
        file.write(OWN)  # people annotate reports
    code, _, said = run_hub2hf(*asked)
    assert (
        code,
        "exists already. Name another f" in said,
        "or replace it with --force (in Python, force=True)." in said,
    ) == (2, True, True)
    assert place.read_bytes() == first + OWN
    assert run_hub2hf(*asked, "--force")[0] == 0
    if verb != "report":  # says how long it took
        assert place.read_bytes() == first


def test_an_input_is_not_written_over(folder: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("de\tDer Hund schl\u00e4ft.\n", encoding="utf-8")
    for asked in (
        ["record", "lealla-mini", own, "--sentences", own, "--force"],
        ["evaluate", folder, "--pairs", own, "--report", own, "--force"],
        ["inspect", "lealla-mini", "--graph-only", folder / "vocab.txt", "--force"],
    ):
        code, _, said = run_hub2hf(*asked)
        assert (code, "is not what hub2hf writes there" in said) == (2, True)
    assert own.read_text(encoding="utf-8") == "de\tDer Hund schl\u00e4ft.\n"
    assert hub2hf.integrity(folder) == {}


def test_a_link_and_a_device_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for place in (tmp_path / "link", Path("/dev/null")):
        with pytest.raises(ExportError, match="exists already"):
            check_own(place, lambda head: True, force=True)


def test_a_report_is_not_written_among_the_files_that_it_is_about(folder: Path, run_hub2hf: Run) -> None:
    before = set(folder.rglob("*"))
    for place in (folder, folder / "report"):
        code, _, said = run_hub2hf("verify", "lealla-mini", folder, "--languages", "de", "--report", place)
        assert (code, f"{place} is the folder that is verified, or in it" in said) == (2, True)
    assert set(folder.rglob("*")) == before


@pytest.fixture
def own_folder(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "own"))


@pytest.mark.parametrize("name", ["onnx/model.onnx", "onnx/model_fp16.onnx"])
def test_an_onnx_file_of_another_tool_stays(name: str, own_folder: Path) -> None:
    dtype = "float16" if "fp16" in name else "float32"
    place = own_folder / name
    place.parent.mkdir()
    place.write_bytes(OWN)
    with pytest.raises(ExportError, match=f"{name} is not what hub2hf wrote there"):
        hub2hf.export(own_folder, "onnx", dtype=dtype)
    assert place.read_bytes() == OWN
    place.unlink()
    hub2hf.export(own_folder, "onnx", dtype=dtype)
    hub2hf.export(own_folder, "onnx", dtype=dtype)  # its own is written again
    with place.open("ab") as file:
        file.write(OWN)
    with pytest.raises(ExportError, match=f"{name} is not what hub2hf wrote there"):
        hub2hf.export(own_folder, "onnx", dtype=dtype)


@pytest.mark.parametrize("name", ["equivalence.json", "equivalence.png"])
def test_what_stands_in_the_place_of_a_proof_stays(name: str, own_folder: Path) -> None:
    (own_folder / name).write_bytes(OWN)
    report = hub2hf.verify(None, own_folder, golden=GOLDEN, languages=["de"], surfaces=["automodel"])
    assert report.note.endswith(f"was not added to {own_folder}: {name} is not what hub2hf wrote there.")
    assert (own_folder / name).read_bytes() == OWN
