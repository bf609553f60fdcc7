"""What is said of an extra that is missing is a command that works: pip itself takes it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from references import ROOT

from hub2hf import extras
from hub2hf.extras import _wanted, command, install, upgrade

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        (None, ["hub2hf[torch]"]),
        (
            {"url": "file:///home/me/my%20hub2hf", "dir_info": {"editable": True}},
            ["--editable", "/home/me/my hub2hf[torch]"],
        ),
        ({"url": "file:///home/me/hub2hf", "dir_info": {}}, ["/home/me/hub2hf[torch]"]),
        (
            {"url": "https://example.org/hub2hf", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            [f"hub2hf[torch] @ git+https://example.org/hub2hf@{COMMIT}"],
        ),
        ({"url": "file:///tmp/hub2hf.whl", "archive_info": {}}, ["hub2hf[torch] @ file:///tmp/hub2hf.whl"]),
    ],
    ids=["index", "editable", "folder", "repository", "wheel"],
)
def test_it_is_installed_from_where_hub2hf_came_from(origin: dict[str, object] | None, wanted: list[str]) -> None:
    direct = None if origin is None else json.dumps(origin)
    assert _wanted("torch", direct, "") == wanted


def test_a_checkout_on_the_path_is_installed_from_its_folder_and_not_from_an_index() -> None:
    """hub2hf is on no index, so that a name alone would find nothing."""
    assert _wanted("torch", None, "/home/me/hub2hf") == ["/home/me/hub2hf[torch]"]


def test_it_is_called_by_its_path_where_the_shell_finds_another_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(folder))
    assert (command(), shlex.split(install("kaggle"))[:2]) == ("hub2hf", ["pip", "install"])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(folder.parent)
    assert command() == "bin/hub2hf"
    assert shlex.split(install("kaggle"))[:4] == [f"bin/{Path(sys.executable).name}", "-m", "pip", "install"]


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (None, "Update hub2hf from the index that it was installed from: pip install --upgrade hub2hf"),
        (
            {"url": "file:///home/me/hub2hf-1.0.whl", "archive_info": {}},
            "install a later one than file:///home/me/hub2hf-1.0.whl.",
        ),
        ({"url": "file:///home/me/hub2hf", "dir_info": {}}, "git -C /home/me/hub2hf pull; then "),
        (
            {
                "url": "https://example.org/hub2hf",
                "vcs_info": {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"},
            },
            "pip install --upgrade 'hub2hf @ git+https://example.org/hub2hf@main'",
        ),
    ],
    ids=["index", "archive", "folder", "repository"],
)
def test_a_later_one_is_had_from_where_it_came_from(
    origin: dict[str, object] | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_direct", lambda: None if origin is None else json.dumps(origin))
    monkeypatch.setattr(extras, "_checkout", lambda: "")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert said in upgrade()


def test_pip_takes_what_is_said_here() -> None:
    """Of this checkout; nothing is installed."""
    said = shlex.split(install("kaggle"))
    assert f"{ROOT}[kaggle]" in said or ".[kaggle]" in said
    options = ["--dry-run", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", *said[said.index("pip") :], *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_other_place_says_it() -> None:
    files = [path for path in (ROOT / "convert").rglob("*.py") if path != ROOT / "convert" / "extras.py"]
    assert [path for path in files if "pip install 'hub2hf" in path.read_text(encoding="utf-8")] == []


def test_a_path_is_one_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = json.dumps({"url": (tmp_path / "a; b").as_uri(), "dir_info": {}})
    monkeypatch.setattr(extras, "_direct", lambda: direct)
    assert shlex.split(install("torch"))[-1] == f"{tmp_path}/a; b[torch]"
