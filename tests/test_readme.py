"""README says what is so: its commands exist, its files are there, and it is short."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click import Context
from references import ROOT

from hub2hf.commands import VERBS
from hub2hf.commands.app import app
from hub2hf.folder.sentence_transformers import GELU_APART
from hub2hf.known_models import find_model
from hub2hf.proof import EXACT
from hub2hf.surfaces import SURFACES

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURES = ROOT / ".github" / "pictures"


def section(title: str) -> str:
    """Return what stands under a heading."""
    return re.split(r"^## ", TEXT.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]


def test_it_is_short() -> None:
    prose = re.sub(r"<[^>]+>", "", FENCED.sub("", TEXT))
    words = [
        word for line in prose.splitlines() if not line.startswith("|") for word in re.findall(r"\w[\w'.-]*", line)
    ]
    assert 300 < len(words) <= 900


def test_it_says_early_what_it_is_and_that_weights_are_random() -> None:
    head, install, *_ = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    for said in (
        "TensorFlow Hub",
        "Hugging Face",
        "<picture>",
        "**random weights**",
        "not yet been run on published weights",
    ):
        assert said in head, said
    assert install.startswith("Install\n")


def test_it_names_an_address_to_clone_once_there_is_one() -> None:
    """Until then whoever reads it has what to install from, and a placeholder would be pasted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository")
    assert re.findall(r"git clone (\S+)", TEXT) == ([address] if address else [])
    assert "ADDRESS" not in TEXT


def test_one_block_leads_from_the_module_to_the_hub() -> None:
    (block,) = FENCED.findall(section("From TensorFlow Hub to the Hugging Face Hub"))
    steps = ("-m venv", "pip install", "hub2hf convert LEALLA-large", "--verify", ".encode(", "hub2hf push")
    places = [block.index(step) for step in steps]
    assert places == sorted(places)


def test_ways_of_loading_have_the_names_of_the_verdict() -> None:
    rows = [line.strip("| ").split(" | ") for line in section("Load it").splitlines() if line.startswith("| ")][1:]
    told = {name: row[3].startswith("exact") for row in rows for name in row[0].split(", ")}
    known = {way.title: way.exact for way in SURFACES.values()}
    assert {name: known.get(name) for name in told} == told
    assert {name for name, exact in known.items() if exact} <= told.keys()


def test_what_it_says_of_a_push_is_what_push_does() -> None:
    """`plan` and `changes` in `hub/` hold what becomes of files that are there: `tests/test_hub.py`."""
    said = " ".join(section("From TensorFlow Hub to the Hugging Face Hub").split())
    for part in (
        "creates a public repository, unless `--private`",
        "replaces files of the same names",
        "all others stay",
    ):
        assert part in said, part


def test_code_in_the_table_leads_to_the_embedding() -> None:
    automodel = SURFACES["automodel"].code.format(id="out", trust=", trust_remote_code=True")
    onnx = SURFACES["onnx-runtime"].code.replace("onnx/model.onnx", "out/onnx/model.onnx")
    assert [code for code in (automodel, onnx) if f"`{code}`" not in section("Load it")] == []


def test_two_commands_set_up_a_fresh_machine() -> None:
    first = FENCED.findall(section("Install"))[0]
    assert re.findall(r"^make (\w+)", first, flags=re.MULTILINE) == ["demo", "test"]
    assert len(first.splitlines()) == 2


def test_the_extras_that_it_names_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {extra for names in re.findall(r"\.\[([\w,]+)\]", TEXT) for extra in names.split(",")}
    assert {"torch", "tensorflow", "all"} <= named <= extras.keys()


def test_the_commands_that_it_shows_are_those_that_there_are() -> None:
    shown = re.findall(r"^hub2hf (\w+)([^#\n]*)", section("Commands"), flags=re.MULTILINE)
    assert tuple(dict.fromkeys(verb for verb, _ in shown)) == VERBS, "another order than that of --help"
    verbs = {verb: app.get_command(Context(app), verb) for verb in VERBS}
    for verb, rest in shown:
        options = {option for parameter in verbs[verb].params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= options, verb
        arguments = {parameter.metavar for parameter in verbs[verb].params}
        assert set(re.findall(r"\b[A-Z][A-Z/]*\b", rest)) - {"FILE", "DIR"} <= arguments, (
            f"--help of {verb} says otherwise"
        )


def test_the_files_and_targets_that_it_names_are_there() -> None:
    files = set(re.findall(r"\]\(([\w./-]+)\)|src(?:set)?=\"([^\"]+)\"|`(\.github/[\w./-]+)`", TEXT))
    named = {part for parts in files for part in parts if part}
    assert len(named) >= 7
    assert [name for name in named if not (ROOT / name).exists()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`?make ([\w-]+)", TEXT)
    assert len(targets) > 3
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []


@pytest.mark.parametrize("name", ["table", "heatmap"])
def test_the_pictures_are_there_for_light_and_dark_pages_and_show_the_same(name: str) -> None:
    told = []
    for page in ("light", "dark"):
        assert f".github/pictures/{name}-{page}.svg" in TEXT
        root = ElementTree.fromstring((PICTURES / f"{name}-{page}.svg").read_text(encoding="utf-8"))
        texts = root.iter(
            "{http://www.w3.org/2000/svg}text" if name == "table" else "{http://www.w3.org/2000/svg}title"
        )
        told.append(" ".join("".join(text.itertext()) for text in texts))
    assert told[0] == told[1]
    assert "EXACT: " in told[0].replace("\xa0", " ")
    if name == "table":
        assert told[0].replace("\xa0", " ").rstrip().endswith("and the traps (texts that ports get wrong)"), (
            "it is cut off"
        )


def test_the_model_that_configs_shows_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(
        r"^```toml\n(.*?)^```$", (ROOT / "configs/models/README.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
    file = tmp_path / "mine.toml"
    file.write_text(block, encoding="utf-8")
    found = find_model(file)
    assert (found.title, found.card.languages, found.must_be["hidden_size"]) == ("My encoder", ("de", "ja"), 768)


def test_where_an_exact_way_is_not_exact_is_said() -> None:
    said = {f"{way.title} except in {way.except_in}" for way in SURFACES.values() if way.except_in}
    assert said
    assert {each for each in said if each not in section("Load it")} == set()
    assert "more than 2e-06" in section("Load it")
    assert (f"at most {GELU_APART} from it" in section("Load it"), EXACT) == (True, 2e-6)
