"""How long is waited before another attempt, and what a server may ask for."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import ModuleType

import pytest

from hub2hf.errors import HubError
from hub2hf.hub import client
from hub2hf.patience import PASSING, Passing, Patience, retry_after


def waits(patience: Patience, *failed: Passing) -> tuple[list[float], int | None]:
    """Return the seconds between attempts that fail so, and how many failed in a row when it was given up, if it was."""
    waited: list[float] = []
    left = iter(failed)

    def attempt() -> None:
        for passing in left:
            raise passing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hub2hf.patience.time.sleep", waited.append)
        said: list[float] = []
        try:
            patience.persist(attempt, lambda passing, wait: said.append(wait))
        except Passing as passing:
            return waited, passing.failures
        assert said == waited
    return waited, None


def broken(count: int, asked: float | None = None, **facts: bool) -> list[Passing]:
    return [Passing("broke", asked, **facts) for _ in range(count)]


def test_a_name_that_leads_nowhere_is_soon_given_up() -> None:
    assert waits(Patience(), *broken(9, unresolved=True)) == ([1], 2)


def test_waits_double_up_to_the_longest_and_end_with_the_attempts() -> None:
    patience = Patience(attempts=6, first_wait=1, longest_wait=5)
    assert waits(patience, *broken(9)) == ([1, 2, 4, 5, 5], 6)
    assert waits(patience, *broken(5)) == ([1, 2, 4, 5, 5], None)


def test_what_brings_something_is_no_failure_in_a_row() -> None:
    patience = Patience(attempts=3, first_wait=1, longest_wait=5)
    assert waits(patience, *broken(2), *broken(9, forward=True), *broken(2)) == ([1, 2, *[1] * 9, 2], 3)


def test_what_the_server_asks_for_counts_unless_it_is_too_long() -> None:
    patience = Patience(attempts=9, first_wait=1, longest_wait=5)
    failed = [Passing("busy", asked) for asked in (0, 0.5, 5, 5.1)]
    assert waits(patience, *failed) == ([0, 0.5, 5], 4)
    assert [patience.too_long(asked) for asked in (None, 5, 5.1)] == [False, False, True]
    assert waits(Patience(attempts=3), *broken(9, 0)) == ([0, 0], 3)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), (" 7 ", 7), ("", None), ("soon", None), ("-1", None), ("٣", None), ("1" * 30, 111111111)],
)
def test_seconds_that_are_asked_for(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


def test_a_date_that_is_asked_for() -> None:
    later = retry_after({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)})
    assert later is not None
    assert 55 < later <= 60
    assert retry_after({"Retry-After": "Thu, 01 Jan 2015 00:00:00 GMT"}) == 0
    assert retry_after({}) is None


def test_what_may_go_by_itself() -> None:
    assert {429, 503} <= PASSING
    assert not PASSING & {200, 401, 404, 501}


def test_a_client_that_cannot_be_bounded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", ModuleType("huggingface_hub"))  # without what version 1 brought
    with pytest.raises(HubError, match="is too old to publish with"), client.bounded():
        raise AssertionError("entered")


def test_the_client_is_bounded_while_the_block_lasts_and_as_it_was_after_it() -> None:
    from huggingface_hub import get_session

    before = get_session()
    with client.bounded():
        within = get_session()
        assert type(within) is type(before)
        assert within.timeout.read == client.TIMEOUT
        assert [*before.event_hooks["request"], client._limit] == within.event_hooks["request"]
    after = get_session()
    assert (after.timeout, after.event_hooks) == (before.timeout, before.event_hooks)
    assert after.follow_redirects is before.follow_redirects
