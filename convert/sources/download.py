"""Fetch one file over HTTP through a bad connection: gone on with where it stopped, retried, checked, never half of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import urlsplit

from hub2hf.errors import SourceError
from hub2hf.notices import Progress, notice
from hub2hf.patience import PASSING, Passing, Patience, retry_after
from hub2hf.sources.address import KAGGLE_HOSTS
from hub2hf.sources.digests import Promised, promised_by

if TYPE_CHECKING:
    import requests

MAX_BYTES: Final = 64 << 30
MAX_ATTEMPTS: Final = 1000  # of a connection that always brings a little
_CHUNK: Final = 1 << 16
GO_ON: Final = "Run the same command again: it goes on where this one stopped."


@dataclass(frozen=True)
class Policy(Patience):
    """How patient a download is; an attempt fails when it brings fewer than `least_bytes`.

    Attributes:
        connect_seconds: to be connected.
        stall_seconds, least_bytes: fewer bytes in this time, and the connection counts as stalled.
    """

    connect_seconds: float = 20
    stall_seconds: float = 30
    least_bytes: int = 1024


POLICY = Policy()


class MovedToKaggle(SourceError):
    """The address leads to a page of Kaggle, `url`."""

    def __init__(self, problem: str, next_step: str, url: str) -> None:
        super().__init__(problem, next_step)
        self.url = url


class NotAllowed(SourceError):
    """The server wants to know who asks."""


def download(
    url: str, part: Path, *, sha256: str = "", progress: Progress | None = None, policy: Policy = POLICY
) -> str:
    """Bring the file at `url` whole to `part`.

    What an earlier attempt or run brought there is gone on with when the server says that it is still the same file (an
    HTTP Range with If-Range). After an error that another run may mend, it stays; otherwise it is removed.

    Args:
        url: http or https; redirects are followed, but not from https to http.
        part: the file to write; beside it `part`.json says what it is a part of.
        sha256: what it must have; with or without it, what the server promises is checked too.
        progress: called with (bytes here so far, bytes in all or None).
        policy: how patient to be.

    Returns:
        Its SHA-256.

    Raises:
        SourceError: not there, not allowed, not what was promised, or the connection does not bear it.
        MovedToKaggle: the address leads to a page of Kaggle.
        NotAllowed: the server wants to know who asks.
        OSError: `part` cannot be written.
    """
    from importlib import metadata  # only now: this and the other take a while to import

    import requests

    transfer = _Transfer(url, part, progress or (lambda done, total: None), policy)
    with requests.Session() as session:
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"hub2hf/{metadata.version('hub2hf')}"})
        promised = transfer.run(session)
    try:
        return promised.check(part, url, sha256)
    except SourceError:
        transfer.discard()
        raise


class _Transfer:
    """One file on its way."""

    def __init__(self, url: str, part: Path, progress: Progress, policy: Policy) -> None:
        self.url, self.part, self.progress, self.policy = url, part, progress, policy
        self.note = part.with_name(f"{part.name}.json")
        self.validator, self.total = "", None  # type: tuple[str, int | None]
        self.answered = False
        known = self._read_note()
        if known.get("url") == url and isinstance(known.get("validator"), str):
            self.validator = known["validator"]

    def run(self, session: requests.Session) -> Promised:
        """Try until all is there."""
        left = iter(range(MAX_ATTEMPTS))

        def attempt() -> Promised:
            if next(left, None) is None:
                raise self._error("the connection broke too often", GO_ON)
            before = self.size()
            try:
                return self._attempt(session)
            except Passing as passing:
                passing.forward = self.size() - before >= self.policy.least_bytes
                passing.unresolved = passing.unresolved and not self.answered
                raise

        try:
            return self.policy.persist(
                attempt, lambda passing, wait: notice(f"{passing}; trying again in {wait:.0f} s")
            )
        except Passing as passing:
            raise self._given_up(passing) from None

    def size(self) -> int:
        """Return how much is here."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def discard(self) -> None:
        """Remove what is here."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _error(self, problem: str, next_step: str) -> SourceError:
        return SourceError(f"{self.url} cannot be fetched: {problem}.", next_step)

    def _given_up(self, passing: Passing) -> SourceError:
        kept = self.size()
        onwards = (
            f"Run the same command again later: the {kept:,} bytes that came are kept."
            if kept
            else "Check the network and run the same command again."
        )
        if passing.asked is not None and self.policy.too_long(passing.asked):
            return self._error(f"{passing}, and the server asks to wait {passing.asked:.0f} seconds", onwards)
        return self._error(f"{passing} ({passing.failures} attempts)", onwards)

    def _attempt(self, session: requests.Session) -> Promised:
        import requests

        have = self.size() if self.validator else 0
        headers = {"Range": f"bytes={have}-", "If-Range": self.validator} if have else {}
        times = (self.policy.connect_seconds, self.policy.stall_seconds)
        try:
            with session.get(self.url, headers=headers, stream=True, timeout=times) as response:
                self.answered = True
                self._check_redirects(response)
                self._check_status(response, have)
                self._begin(response, have)
                self._receive(response)
                return promised_by(response.headers)
        except (requests.exceptions.SSLError, requests.exceptions.TooManyRedirects) as error:
            raise self._error(reason_of(error), "Check the address, the clock and the network.") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            raise Passing(reason_of(error), unresolved=_unresolved(error)) from None
        except requests.exceptions.RequestException as error:
            raise self._error(reason_of(error), "Check the address.") from None

    def _check_redirects(self, response: requests.Response) -> None:
        hops = [urlsplit(r.url) for r in (*response.history, response)]
        if any(a.scheme == "https" and b.scheme != "https" for a, b in pairwise(hops)):
            raise self._error(f"it leads from https to {response.url}", "Do not trust it; ask its owner.")
        kind = response.headers.get("Content-Type", "").lower()
        if (hops[-1].hostname or "") in KAGGLE_HOSTS and hops[-1].path.startswith("/models/"):
            raise MovedToKaggle(f"{self.url} has moved to {response.url}.", "Give that address.", response.url)
        if response.ok and kind.startswith("text/html"):
            raise self._error(
                f"{response.url} is a web page, not an archive", "Find the address of the archive on that page."
            )

    def _check_status(self, response: requests.Response, have: int) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        said = f"the server answers {status} {response.reason}"
        if status == 416 and have:
            self.discard()
            self.validator = ""
            raise Passing("the part that is here does not fit the file any more")
        if status in PASSING:
            raise Passing(said, retry_after(response.headers))
        if status in (404, 410):
            raise self._error(said, "Check the address; the model may have moved.")
        if status in (401, 403):
            raise NotAllowed(
                f"{self.url} cannot be fetched: {said}.",
                "Fetch it yourself, as someone who may, and give the archive or the folder.",
            )
        raise self._error(said, "Check the address.")

    def _begin(self, response: requests.Response, have: int) -> None:
        """Take in what the answer is: the rest of what is here, or the whole anew."""
        if response.status_code == 206:
            start, total = _content_range(response.headers)
            if start != have or _validator(response.headers) not in ("", self.validator):
                self.discard()
                self.validator = ""
                raise Passing("the server sends another part than was asked for")
            self.total = total
        else:
            self.part.parent.mkdir(parents=True, exist_ok=True)
            self.part.write_bytes(b"")
            length = response.headers.get("Content-Length", "")
            self.total = int(length) if length.isascii() and length.isdigit() else None
            self.validator = _validator(response.headers)
            self.note.write_text(json.dumps({"url": self.url, "validator": self.validator, "total": self.total}))
        self._check_room()

    def _check_room(self) -> None:
        missing = (self.total or 0) - self.size()
        free = shutil.disk_usage(self.part.parent).free
        if (self.total or 0) > MAX_BYTES:
            self.discard()
            raise self._error(f"it has {self.total:,} bytes", "No text encoder is as large; check the address.")
        if missing > free:
            raise self._error(
                f"it needs {missing:,} bytes and {self.part.parent} has {free:,}",
                "Free some space, or name another cache folder (HUB2HF_CACHE, TFHUB_CACHE_DIR).",
            )

    def _receive(self, response: requests.Response) -> None:
        done, clock = self.size(), _StallClock(self.policy)
        self.progress(done, self.total)
        with self.part.open("ab") as file:
            while data := self._read(response):
                done += len(data)
                if done > (MAX_BYTES if self.total is None else self.total):
                    self.discard()
                    raise self._error("the server sends more than it said", "Check the address.")
                _write(file, data)
                self.progress(done, self.total)
                clock.came(len(data))
        if self.total is not None and done != self.total:
            raise Passing(f"the connection ended after {done:,} of {self.total:,} bytes")

    @staticmethod
    def _read(response: requests.Response) -> bytes:
        """Read what has come, without waiting for more, as the server sent it (an archive is not unpacked on the way)."""
        from urllib3.exceptions import HTTPError

        try:
            data: bytes = response.raw.read1(_CHUNK, decode_content=False)
        except (HTTPError, OSError, ValueError) as error:
            raise Passing(reason_of(error)) from None
        return data

    def _read_note(self) -> dict[str, Any]:
        try:
            found = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


class _StallClock:
    """Notices a server that sends a byte now and then: each read succeeds, and nothing moves."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.since, self.count = policy, time.monotonic(), 0

    def came(self, count: int) -> None:
        """Count bytes; raise when a period has brought too few."""
        self.count += count
        now = time.monotonic()
        if now - self.since >= self.policy.stall_seconds:
            if self.count < self.policy.least_bytes:
                raise Passing(f"it stalled: {self.count} bytes in {now - self.since:.0f} seconds")
            self.since, self.count = now, 0


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()  # what came is there for the next run, however this one ends


def _validator(headers: Mapping[str, str]) -> str:
    """Return what names this content for If-Range: a strong ETag, or else the date of change; "" when there is neither."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else "" if tag else headers.get("Last-Modified", "")


def _content_range(headers: Mapping[str, str]) -> tuple[int, int | None]:
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not (start.isascii() and start.isdigit()):
        return -1, None
    return int(start), int(total) if total.isascii() and total.isdigit() else None


def _unresolved(error: BaseException) -> bool:
    """Whether the name of the host led to no address."""
    from urllib3.exceptions import NameResolutionError

    return any(isinstance(each, NameResolutionError) for each in _inside(error))


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what the libraries have wrapped in it, the innermost last."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        inner = getattr(seen, "reason", None) or next((a for a in seen.args if isinstance(a, BaseException)), None)
        seen = inner if isinstance(inner, BaseException) and inner is not seen else None


def reason_of(error: BaseException) -> str:
    """Return the innermost reason in one line; the libraries wrap it in their own words three times."""
    *_, seen = _inside(error)
    text = re.sub(r"^.*\[Errno -?\d+\] ", "", " ".join(str(seen).split())).rstrip('.)"')
    if isinstance(seen, OSError) and seen.errno and seen.errno > 0:
        text = os.strerror(seen.errno)
    return text[:200] or type(seen).__name__
