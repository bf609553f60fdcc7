"""Time enough for every model of these tests."""

from __future__ import annotations

import pytest

from hub2hf import limits


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound what is computed far more loosely: a busy machine counts two or three seconds for one of a quiet machine.

    Here it is asked whether a model converts. How long one may take at most is asked by tests/test_fuzz.py.
    """
    monkeypatch.setattr(limits, "SECONDS_TO_ASK", 120.0)
    monkeypatch.setattr(limits, "BYTES_A_SECOND", 100_000)
