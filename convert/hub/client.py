"""The Hub's client, with time-outs, patience and errors that say what to do next; its token never shows in them."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

from hub2hf.errors import Hub2HFError, HubError
from hub2hf.patience import PASSING, Passing, Patience, retry_after

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")
TIMEOUT = 60.0  # seconds without a byte; left to itself the client waits for ever
PATIENCE = Patience(attempts=5)
LOGGER = "huggingface_hub"

Say = Callable[[str], None]


def connect(*, anonymous: bool = False) -> HfApi:
    """Return the client, with the person's own login and endpoint; `anonymous` if none is needed.

    Raises:
        HubError: there is no token, or the client was told to stay offline.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise HubError("HF_HUB_OFFLINE is set, so nothing can be published.", "Unset it, and push again.", unasked=True)
    if not (anonymous or token()):
        raise HubError("There is no token for the Hub.", LOG_IN)
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(known, _Redacted) for known in logger.filters):
        for target in (logger, *logger.handlers):
            target.addFilter(_Redacted())
    return HfApi()


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Give the client a time-out and an end to its patience, while the block lasts.

    Raises:
        HubError: the client is of a version that this cannot be asked of.
    """
    try:
        from huggingface_hub import get_session, set_client_factory
    except ImportError:  # before 1.0
        raise HubError(
            f"huggingface_hub {metadata.version('huggingface_hub')} is too old to publish with.",
            "Update it, in another environment if need be: pip install 'huggingface_hub>=1'",
        ) from None
    theirs: Any = get_session()  # of httpx or its successor, whichever the client uses
    made, hooks = type(theirs), theirs.event_hooks
    settings = {"follow_redirects": theirs.follow_redirects, "trust_env": theirs.trust_env}
    ours = {"request": [*hooks["request"], _limit], "response": [*hooks["response"], _refuse_long_waits]}
    set_client_factory(lambda: made(event_hooks=ours, timeout=TIMEOUT, **settings))
    try:
        yield
    finally:
        set_client_factory(lambda: made(event_hooks=hooks, timeout=theirs.timeout, **settings))


def _limit(request: Any) -> None:
    """Give a request a time-out in each part that it has none for."""
    given = request.extensions.get("timeout") or {}
    kinds = ("connect", "read", "write", "pool")
    request.extensions["timeout"] = {kind: given.get(kind) or TIMEOUT for kind in kinds}


def _refuse_long_waits(response: Any) -> None:
    """Raise a HubError where the Hub asks for more than anybody waits for; the client would wait."""
    asked = retry_after(response.headers)
    if response.status_code in PASSING and PATIENCE.too_long(asked):
        raise HubError(f"The Hub answered {response.status_code} and asks to wait {asked:.0f} s.", LATER)


def token() -> str | None:
    """Return the token of the client's login or of HF_TOKEN."""
    from huggingface_hub import get_token

    return get_token()


LATER = "Push again then: what was uploaded is not uploaded again."
LOG_IN = "Log in with hf auth login, or set HF_TOKEN; the token needs write access."


def redacted(text: str) -> str:
    """Return `text` without the token."""
    secret = token()
    return text.replace(secret, "hf_…") if secret else text


class _Redacted(logging.Filter):
    """Takes the token out of what the client logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the message of `record`."""
        record.msg, record.args = redacted(record.getMessage()), None
        return True


def patiently(action: Callable[[], T], place: str, say: Say, done: Callable[[], T | None] = lambda: None) -> T:
    """Return what `action` returns; try again after what may go by itself.

    Args:
        action: a request, or several.
        place: what it is about, for errors.
        say: called with a line before each further attempt.
        done: called after what may go by itself: returns the result if the request was carried out although its answer was
            lost.

    Raises:
        HubError: it cannot be done.
    """

    def attempt() -> T:
        try:
            with _explained(place):
                return action()
        except HubError as error:
            if not error.passing:
                raise
            with contextlib.suppress(HubError), _explained(place):
                found = done()
                if found is not None:
                    return found
            raise _Lost(error) from None

    try:
        return PATIENCE.persist(attempt, lambda lost, wait: say(f"{lost} Trying again in {wait:.0f} s."))
    except _Lost as lost:
        raise lost.error from None


class _Lost(Passing):
    """The Hub did not do it, and may the next time; `error` says so where there is none."""

    def __init__(self, error: HubError) -> None:
        super().__init__(error.problem, error.retry_after, unresolved=error.unresolved)
        self.error = error


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn whatever the client raises into a HubError."""
    try:
        yield
    except Hub2HFError:
        raise
    except Exception as error:  # the client raises those of its HTTP library, which depends on its version
        raise _hub_error(error, place) from None  # the chain may hold headers


def _hub_error(error: Exception, place: str) -> HubError:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for link in chain:
        if isinstance(link, HubError):
            return link
        if isinstance(link, HfHubHTTPError) and getattr(link, "response", None) is not None:
            return _answered(link, place)
    invalid = next((link for link in chain if isinstance(link, HFValidationError)), None)
    if invalid is not None:
        return HubError(f"{place} cannot be the name of a repository: {_line(invalid)}.", "Name it OWNER/NAME.")
    unreadable = next((link for link in chain if isinstance(link, json.JSONDecodeError)), None)
    if unreadable is not None:  # a gateway before the Hub answered, with a page for people
        return HubError(f"The Hub's answer for {place} cannot be read: {_line(unreadable)}.", AGAIN, passing=True)
    broken = next((link for link in chain if _is_network(link)), None)
    if broken is not None:
        lost = any(isinstance(link, socket.gaierror) for link in chain)
        return HubError(
            f"The connection to the Hub for {place} broke: {_line(broken)}.",
            AGAIN,
            passing=True,
            unresolved=lost,
            unasked=True,
        )
    return HubError(f"{place} cannot be published: {_line(error)}.", "Check what it says, and push again.")


AGAIN = "Push again: what was uploaded is not uploaded again."


def _is_network(error: BaseException) -> bool:
    """Whether `error` is of the transport, in httpx or requests, whichever the client uses."""
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return bool(modules & {"httpx", "httpx2", "requests", "urllib3", "httpcore", "httpcore2"}) or isinstance(
        error, ConnectionError | TimeoutError
    )


def _answered(error: Any, place: str) -> HubError:
    """Return the error for an answer of the Hub with an error status."""
    status = error.response.status_code
    said = _line(getattr(error, "server_message", None) or "")
    problem = f"The Hub answered {status} for {place}" + (f": {said}." if said else ".")
    steps = {
        401: LOG_IN,
        403: "Ask its owner for access, or log in with a token that may write there: hf auth login",
        404: "Check OWNER/NAME and the revision, and that the token may see them.",
        409: "Somebody else changed it meanwhile: look at it, and push again.",
        412: "Somebody else changed it meanwhile: look at it, and push again.",
        413: "The Hub does not take a file of this size.",
        429: "Wait as long as it asks, and push again.",
    }
    step = steps.get(status, AGAIN if status >= 500 else "Check what it says, and push again.")
    return HubError(
        problem, step, status=status, passing=status in PASSING, retry_after=retry_after(error.response.headers)
    )


def _bare(address: str) -> str:
    """Return an address without what may be secret in it: a name, a password, the query."""
    scheme, _, rest = address.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _line(error: object) -> str:
    """Return the first line of a message, short and without the token or the query of an address, which may sign it."""
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    words = [_bare(word) if "://" in word else word for word in redacted(first.strip()).split(" ")]
    return " ".join(words)[:200].rstrip(".")
