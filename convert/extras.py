"""How to install an extra of the hub2hf that is running, and how to call it, as lines that work where they are said."""

from __future__ import annotations

import json
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hub2hf.errors import pasted

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

NAME = "hub2hf"


def known_versions(library: str, extra: str) -> SpecifierSet:
    """Return which versions of a library hub2hf asks for by itself or by an extra: those that it was tested with, or all."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name

    found = SpecifierSet()
    for line in _required():
        wanted = Requirement(line)
        if canonicalize_name(wanted.name) == canonicalize_name(library) and (
            wanted.marker is None or wanted.marker.evaluate({"extra": extra})
        ):
            found &= wanted.specifier
    return found


@cache
def _required() -> list[str]:
    """Return what hub2hf asks for; nothing where it runs without being installed."""
    from importlib import metadata  # only now: it takes a while to import

    try:
        return metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        return []


def install(extra: str) -> str:
    """Return the command that installs the extra: of the folder, file or repository that pip was given, or of the index.

    pip keeps that in `direct_url.json` (PEP 610), and keeps nothing for what it took from the index. A checkout on the path
    holds what building it left, which tells nothing either, beside what was installed of it.
    """
    return pasted(*_pip(), "install", *_wanted(extra, _direct(), _checkout()))


def upgrade() -> str:
    """Return what brings a later hub2hf, as a sentence."""
    direct = _direct()
    where = _folder(direct, _checkout())
    if where:
        again = pasted(*_pip(), "install", *_wanted("", direct, _checkout()))
        return f"Update hub2hf: {pasted('git', '-C', where, 'pull')}; then {again}"
    if direct is not None and "vcs_info" not in json.loads(direct):
        return f"Update hub2hf: install a later one than {json.loads(direct)['url']}."
    whence = " from the index that it was installed from" if direct is None else ""
    return f"Update hub2hf{whence}: {pasted(*_pip(), 'install', '--upgrade', *_wanted('', direct, '', newest=True))}"


def command() -> str:
    """Return what `hub2hf` is called as here: by its path, where the shell would find none, or another."""
    return _called(NAME)


def _pip() -> list[str]:
    """Return what pip of this Python is called as here."""
    called = _called("pip")
    return [called] if called == "pip" else [_called(Path(sys.executable).name), "-m", "pip"]


def _called(name: str) -> str:
    """Return a program of this Python's folder by its name, if that is what the shell finds, and else by its path."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if found is not None and Path(found).parent == own.parent:
        return name
    here = Path.cwd()
    return str(own.relative_to(here) if own.is_relative_to(here) else own)


def _direct() -> str | None:
    """Return the content of `direct_url.json`, if there is one."""
    from importlib import metadata

    return next(filter(None, (d.read_text("direct_url.json") for d in metadata.distributions(name=NAME))), None)


def _checkout() -> str:
    """Return the folder of the checkout that this file is in; "" where it is in none."""
    root = Path(__file__).parents[1]
    return str(root) if (root / "pyproject.toml").is_file() else ""


def _folder(direct: str | None, checkout: str) -> str:
    """Return the folder that hub2hf was installed from, or runs from; "" where it is none."""
    from urllib.request import url2pathname

    if direct is None:
        return checkout
    origin = json.loads(direct)
    return url2pathname(urlsplit(origin["url"]).path) if "dir_info" in origin else ""


def _wanted(extra: str, direct: str | None, checkout: str, *, newest: bool = False) -> list[str]:
    """Return what pip is given.

    Args:
        extra: "" for none.
        direct: the content of `direct_url.json`, or None.
        checkout: the folder of the checkout that runs, or "".
        newest: of a repository, not the commit that is installed but what is there now.
    """
    extras = f"[{extra}]" if extra else ""
    if folder := _folder(direct, checkout):
        editable = direct is not None and json.loads(direct)["dir_info"].get("editable")
        shown = folder if Path(folder) != Path.cwd() else "."
        return [*(["--editable"] if editable else []), f"{shown}{extras}"]
    if direct is None:
        return [f"{NAME}{extras}"]
    origin = json.loads(direct)
    url = origin["url"]
    if "vcs_info" in origin:
        told = origin["vcs_info"]
        wanted = told.get("requested_revision", "") if newest else told["commit_id"]
        url = f"{told['vcs']}+{url}" + (f"@{wanted}" if wanted else "")
    return [f"{NAME}{extras} @ {url}"]
