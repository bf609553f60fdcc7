"""SECURITY.md states the bounds that the code has."""

from __future__ import annotations

import re

from references import ROOT

from hub2hf import limits


def test_the_bounds_are_those_of_security_md() -> None:
    stated = dict(
        re.findall(
            r"^\| `([A-Z_]+)` \| (\d+) \|", (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    bounds = {name: f"{value:.0f}" for name, value in vars(limits).items() if name.isupper() and len(name) > 5}
    bounds.pop("TYPE_CHECKING", None)
    assert stated == bounds
