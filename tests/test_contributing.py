"""CONTRIBUTING.md: its recipes work when they are followed to the letter, and its picture is that of the imports."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest
from references import ROOT

TEXT = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = {title.strip(): body for title, body in re.findall(r"^### (.+)\n((?:(?!^#{1,3} ).*\n)+)", TEXT, re.MULTILINE)}
FOLLOWED = [title for title in RECIPES if title.endswith("✓")]
HEAVY = (
    "A text operation",
    "An activation",
    "A pooler",
    "A way of loading",
)  # start TensorFlow or PyTorch twice: make recipes
GROUND = {"errors", "extras", "limits", "locks", "names", "notices", "configs", "patience", "protobuf", "threads"}
ROOF = {"cli", "commands", "verbs", "__init__", "__main__"}
HANDED_ON = {("sources", "savedmodel")}  # by `opened`, which gives one room what the other made


def blocks(text: str, kind: str) -> list[str]:
    """Return the code blocks of that kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_there_is_a_recipe_for_everything_that_comes_in_kinds() -> None:
    assert [title.removesuffix(" ✓") for title in RECIPES] == [
        "A text operation",
        "An activation",
        "A pooler",
        "An architecture",
        "A way of loading",
        "A language",
        "A known model",
        "A card field",
    ]
    assert len(FOLLOWED) >= 3
    assert all(len(blocks(body, "sh")) == 1 for body in RECIPES.values())
    assert all(bool(blocks(body, "diff")) == (title in FOLLOWED) for title, body in RECIPES.items())


@pytest.mark.parametrize(
    "title", [pytest.param(t, marks=[pytest.mark.slow] if t.startswith(HEAVY) else []) for t in FOLLOWED]
)
def test_a_recipe_works_to_the_letter(title: str, tmp_path: Path) -> None:
    """The command fails before the change, and works after it."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv*", ".cache", "build", "*.egg-info"))
    (tree / ".cache").mkdir()
    (tree / ".venv").symlink_to(sys.prefix)
    (tree / "hub2hf").symlink_to("convert")  # found before the tree that is installed
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(tree), "HUB2HF_OFFLINE": "1"}
    (change,), (commands,) = blocks(RECIPES[title], "diff"), blocks(RECIPES[title], "sh")
    steps = ["bash", "-eo", "pipefail", "-c", commands]
    if title.startswith(
        "A language"
    ):  # the test of the sentences is content without it; it must be the change that is counted
        assert "\nnn\t" not in (tree / "configs" / "sentences.tsv").read_text(encoding="utf-8")
    else:
        before = subprocess.run(steps, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        assert before.returncode != 0, before.stdout
    subprocess.run(
        ["git", "apply", "-"], cwd=tree, input=change, text=True, check=True, env=environment | {"GIT_DIR": "/"}
    )
    done = subprocess.run(steps, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_that_it_names_exist() -> None:
    prose = re.sub(r"^```(diff|sh)\n.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"(?:convert|tests|scripts|configs)/[\w./-]*\w", prose))
    named |= {f"convert/{path}" for path in re.findall(r"→ (\w+/\w+\.py|\w+/\w+/)", prose)}
    assert len(named) > 25
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def room(module: str) -> str:
    """Return the room of a module of the package, "" for the package itself."""
    return [*module.split("."), ""][1]


def imports() -> set[tuple[str, str]]:
    """Return (room, room that it imports from) of all imports in the code, those inside functions too."""
    found = set()
    package = ROOT / "convert"
    for file in package.rglob("*.py"):
        own = file.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                parts = [f"{node.module}.{alias.name}" for alias in node.names]
                names = parts if node.module == "hub2hf" else [node.module]
            found |= {(own, room(name)) for name in names if name.split(".")[0] == "hub2hf"}
    return {(own, other or "__init__") for own, other in found if own != other}


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and for types count, too."""
    package = ROOT / "convert"
    files = {
        ".".join(("hub2hf", *path.relative_to(package).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
    }
    known: dict[str, set[str]] = {}
    for name, path in files.items():
        own = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level < 2, path
                base = ".".join(filter(None, [own if node.level else "", node.module]))
                found |= {each if (each := f"{base}.{alias.name}") in files else base for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        known[name] = found & files.keys()
    assert len(list(TopologicalSorter(known).static_order())) == len(files)  # or it raises, with the circle


def test_no_room_imports_from_one_that_comes_after_it() -> None:
    (picture,) = blocks(TEXT, "mermaid")
    lines = [[name.strip() for name in line.split("-->")] for line in picture.splitlines()[1:]]
    arrows = {pair for line in lines for pair in pairwise(line)}
    known: dict[str, set[str]] = defaultdict(set)  # room → what stands before it
    for _ in arrows:
        for before, after in arrows:
            known[after] |= {before} | known[before]
    assert not [name for name, before in known.items() if name in before], "a circle"
    rooms = {name for pair in arrows for name in pair}
    in_code = {
        path.stem for path in (ROOT / "convert").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert rooms | GROUND | ROOF == in_code
    told = set(re.findall(r"^\| `(\w+)(?:/|\.py)` \|", TEXT, flags=re.MULTILINE))
    assert rooms <= told, "a room that the table does not tell of"
    found = imports()
    assert {(own, other) for own, other in found if own in GROUND and other not in GROUND} == set()
    assert {(own, other) for own, other in found if own in rooms and other in ROOF} == set()
    between = {(own, other) for own, other in found if own in rooms and other in rooms}
    assert {(own, other) for own, other in between if other not in known[own]} == set(), "an arrow back"
    assert {(a, b) for a, b in arrows if (b, a) not in between} == HANDED_ON


def test_words_of_one_architecture_stand_in_few_files_outside_its_room() -> None:
    shaped = re.compile(r'pooler|"layer |\[:, 0\]|BertModel')
    package = ROOT / "convert"
    found = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if shaped.search(path.read_text(encoding="utf-8"))
    ]
    assert len([path for path in found if not path.startswith(("architectures/", "surfaces/"))]) < 5, found
