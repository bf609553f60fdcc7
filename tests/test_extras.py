"""What is said of an extra that is missing is a command that works: pip itself takes it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from references import ROOT

from hub2hf.extras import _wanted, install

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
    assert shlex.split(_wanted("torch", direct)) == wanted


def test_pip_takes_what_is_said_here() -> None:
    """Of this checkout; nothing is installed."""
    command = install("kaggle")
    assert str(ROOT) in command
    options = ["--dry-run", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_other_place_says_it() -> None:
    files = [path for path in (ROOT / "convert").rglob("*.py") if path != ROOT / "convert" / "extras.py"]
    assert [path for path in files if "pip install 'hub2hf" in path.read_text(encoding="utf-8")] == []


def test_a_path_is_one_argument(tmp_path: Path) -> None:
    direct = json.dumps({"url": (tmp_path / "a; b").as_uri(), "dir_info": {}})
    assert shlex.split(_wanted("torch", direct)) == [f"{tmp_path}/a; b[torch]"]
