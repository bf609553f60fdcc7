"""How to install an extra of the hub2hf that is running, wherever it came from."""

from __future__ import annotations

import json
import shlex
from importlib import metadata
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME = "hub2hf"


def install(extra: str) -> str:
    """Return the command that installs the extra: of the index, or of the folder, file or repository that pip was given.

    pip keeps that in `direct_url.json` (PEP 610), and keeps nothing for what it took from the index. A checkout on the path
    holds what building it left, which tells nothing either, beside what was installed of it.
    """
    told = (found.read_text("direct_url.json") for found in metadata.distributions(name=NAME))
    return f"pip install {_wanted(extra, next(filter(None, told), None))}"


def _wanted(extra: str, direct: str | None) -> str:
    """Return what pip is given, by the content of `direct_url.json`, or None."""
    name = f"{NAME}[{extra}]"
    if direct is None:
        return shlex.quote(name)
    origin = json.loads(direct)
    url = origin["url"]
    if "dir_info" in origin:
        editable = "--editable " if origin["dir_info"].get("editable") else ""
        return editable + shlex.quote(f"{url2pathname(urlsplit(url).path)}[{extra}]")
    if "vcs_info" in origin:
        url = f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}"
    return shlex.quote(f"{name} @ {url}")
