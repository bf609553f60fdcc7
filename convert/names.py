"""Names as people list them: one, several with commas, or a list of Python's."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: str | Iterable[str]) -> list[str]:
    """Return the names of a list; of a text, what stands between its commas."""
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names)
