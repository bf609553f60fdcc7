"""Downloads over real HTTP from a server that misbehaves: whole and checked, or one sentence, and what came is kept."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import google_crc32c
import pytest
from loopback import Served
from references import EMBEDDED
from sources_fixtures import IMPATIENT, contents

from hub2hf.errors import SourceError
from hub2hf.sources.download import MovedToKaggle, Policy, download

DATA = bytes(range(256)) * 40  # 10,240 bytes
SHA = hashlib.sha256(DATA).hexdigest()
Server = tuple[str, dict[str, Served]]


def fetch(server: Server, folder: Path, **options: object) -> Path:
    part = folder / "part"
    download(f"{server[0]}/file", part, policy=IMPATIENT, **options)  # type: ignore[arg-type]
    return part


def test_a_download_tells_its_progress(server: Server, tmp_path: Path) -> None:
    server[1]["/file"] = Served(DATA)
    told: list[tuple[int, int | None]] = []
    part = fetch(server, tmp_path, sha256=SHA, progress=lambda done, total: told.append((done, total)))
    assert part.read_bytes() == DATA
    assert told[0] == (0, len(DATA)) and told[-1] == (len(DATA), len(DATA))


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_broken_connection_is_gone_on_with(server: Server, tmp_path: Path, fault: str) -> None:
    served = server[1]["/file"] = Served(DATA, [fault] * 4)
    assert fetch(server, tmp_path, sha256=SHA).read_bytes() == DATA
    assert [r.get("Range") for r in served.requests] == [None, *(f"bytes={n}000-" for n in (1, 2, 3, 4))]
    assert all(r["Accept-Encoding"] == "identity" for r in served.requests)


def test_a_name_that_leads_nowhere_is_soon_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But a connection that has answered is waited for, whatever becomes of the name of its host."""
    waits: list[float] = []
    monkeypatch.setattr("hub2hf.patience.time.sleep", waits.append)
    with pytest.raises(SourceError, match=r"cannot be fetched: .* \(2 attempts\)"):
        download("http://hub.invalid/file", tmp_path / "part")  # no name of .invalid leads anywhere (RFC 6761)
    assert waits == [1.0]


def test_another_run_goes_on_where_one_gave_up(server: Server, tmp_path: Path) -> None:
    served = server[1]["/file"] = Served(DATA, ["cut", *[(503, {})] * 3])
    with pytest.raises(SourceError, match=r"503 Service Unavailable \(3 attempts\).* 1,000 bytes that came are kept"):
        fetch(server, tmp_path)
    assert fetch(server, tmp_path, sha256=SHA).read_bytes() == DATA
    assert served.requests[-1]["Range"] == "bytes=1000-"


def test_a_file_that_changed_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server[1]["/file"] = Served(b"old" * 5000, ["cut", *[(500, {})] * 3])
    with pytest.raises(SourceError, match="500"):
        fetch(server, tmp_path)
    served = server[1]["/file"] = Served(DATA)
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert "Range" in served.requests[0]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_name_nothing_is_spliced(server: Server, tmp_path: Path, etag: str | None) -> None:
    served = server[1]["/file"] = Served(DATA, ["cut"], etag=etag)
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert all("Range" not in r for r in served.requests)


@pytest.mark.parametrize("fault", ["wrong part", "no range"])
def test_a_server_that_sends_another_part(server: Server, tmp_path: Path, fault: str) -> None:
    server[1]["/file"] = Served(DATA, ["cut", fault])
    assert fetch(server, tmp_path, sha256=SHA).read_bytes() == DATA


def test_a_part_that_is_longer_than_the_file(server: Server, tmp_path: Path) -> None:
    served = server[1]["/file"] = Served(DATA, ["cut", *[(500, {})] * 3])
    with pytest.raises(SourceError):
        fetch(server, tmp_path)
    with (tmp_path / "part").open("ab") as file:
        file.write(bytes(20_000))
    assert fetch(server, tmp_path, sha256=SHA).read_bytes() == DATA
    assert len(served.requests) == 6


@pytest.mark.parametrize("fault", ["stall", "drip"])
def test_a_server_that_stalls_is_given_up(server: Server, tmp_path: Path, fault: str) -> None:
    server[1]["/file"] = Served(DATA, [fault] * 9, cut_at=0)
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"stalled|timed out"):
        fetch(server, tmp_path)
    assert time.monotonic() - start < 6


def test_what_was_promised_is_held_against_it(server: Server, tmp_path: Path) -> None:
    crc = base64.b64encode(google_crc32c.Checksum(DATA).digest()).decode()
    md5 = base64.b64encode(hashlib.md5(DATA).digest()).decode()
    sha = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    wrong = base64.b64encode(bytes(32)).decode()
    for headers in ({"X-Goog-Hash": f"crc32c={crc},md5={md5}"}, {"Repr-Digest": f"sha-256=:{sha}:"}):
        server[1]["/file"] = Served(DATA, headers=headers)
        assert fetch(server, tmp_path).read_bytes() == DATA
    for headers in (
        {"X-Goog-Hash": f"crc32c={wrong}"},
        {"Repr-Digest": f"sha-256=:{wrong}:"},
        {"Digest": f"md5={wrong}"},
    ):
        server[1]["/file"] = Served(DATA, headers=headers)
        with pytest.raises(SourceError, match="discarded"):
            fetch(server, tmp_path)
    server[1]["/file"] = Served(DATA)
    with pytest.raises(SourceError, match=f"SHA-256 {SHA}, not {'0' * 64}"):
        fetch(server, tmp_path, sha256="0" * 64)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_no_is_a_no(server: Server, tmp_path: Path, status: int) -> None:
    served = server[1]["/file"] = Served(DATA, [(status, {})])
    with pytest.raises(SourceError, match=str(status)) as told:
        fetch(server, tmp_path)
    assert (len(served.requests), told.value.next_step.count(".")) == (1, 1)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_later_is_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    served = server[1]["/file"] = Served(DATA, [(status, {"Retry_After": "1"}), (status, {})])
    start = time.monotonic()
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert (len(served.requests), time.monotonic() - start >= 1) == (3, True)


def test_a_long_wait_is_left_to_the_person(server: Server, tmp_path: Path) -> None:
    for wait in ("3600", "Wed, 21 Oct 2099 07:28:00 GMT"):
        served = server[1]["/file"] = Served(DATA, [(429, {"Retry_After": wait})])
        with pytest.raises(SourceError, match=r"asks to wait \d{4,} seconds"):
            fetch(server, tmp_path)
        assert len(served.requests) == 1


def test_redirects(server: Server, tmp_path: Path) -> None:
    server[1]["/file"] = Served(DATA, [(302, {"Location": "/a"})] * 4)
    server[1]["/a"] = Served(b"", [(307, {"Location": f"{server[0]}/b"})] * 4)
    server[1]["/b"] = Served(DATA, ["cut"])
    assert fetch(server, tmp_path, sha256=SHA).read_bytes() == DATA
    server[1]["/a"] = Served(b"", [(301, {"Location": "/file"})] * 99)
    server[1]["/file"] = Served(b"", [(301, {"Location": "/a"})] * 99)
    with pytest.raises(SourceError, match="redirect"):
        fetch(server, tmp_path)


def test_a_web_page_is_no_archive(server: Server, tmp_path: Path) -> None:
    server[1]["/file"] = Served(b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(SourceError, match="a web page"):
        fetch(server, tmp_path)


def test_https_that_leads_to_http_and_to_kaggle() -> None:
    """Servers with certificates of theirs are out of reach of a test: the answers are made by hand here."""
    import requests

    from hub2hf.sources.download import _Transfer

    def answer(*urls: str) -> requests.Response:
        responses = [requests.Response() for _ in urls]
        for response, url in zip(responses, urls, strict=True):
            response.url, response.status_code = url, 200
        responses[-1].history = responses[:-1]
        return responses[-1]

    transfer = _Transfer("https://a/x", Path("part"), lambda done, total: None, Policy())
    with pytest.raises(SourceError, match="from https to http://c"):
        transfer._check_redirects(answer("https://a/x", "https://b/x", "http://c/x"))
    with pytest.raises(MovedToKaggle, match="Give that address"):
        transfer._check_redirects(answer("https://tfhub.dev/x", "https://www.kaggle.com/models/google/x"))


def test_no_server_and_no_room(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="Connection refused"):
        download("http://127.0.0.1:9/x", tmp_path / "part", policy=IMPATIENT)
    with pytest.raises(SourceError, match=r"resolve|Name or service"):
        download("http://name.invalid/x", tmp_path / "part", policy=IMPATIENT)
    served = server[1]["/file"] = Served(DATA)
    served.headers["Content-Length"] = str(1 << 60)
    with pytest.raises(SourceError, match="No text encoder is as large"):
        fetch(server, tmp_path)


def test_two_processes_at_once_share_one_download(server: Server, tarball: bytes, own_places: Path) -> None:
    served = server[1]["/m.tar.gz"] = Served(tarball, slow=0.002)
    command = [sys.executable, "-m", "hub2hf", "fetch", f"{server[0]}/m.tar.gz"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate()[0].strip() for process in running}
    assert ([p.returncode for p in running], len(said), len(served.requests)) == ([0, 0, 0], 1, 1)
    assert contents(Path(said.pop())) == contents(EMBEDDED)
    left = [p.name for p in (own_places / "hub2hf" / "archives").iterdir() if not p.name.endswith((".lock", ".txt"))]
    assert len(left) == 1


def test_a_killed_download_is_gone_on_with(server: Server, tarball: bytes, own_places: Path) -> None:
    served = server[1]["/m.tar.gz"] = Served(tarball, slow=0.02)
    command = [sys.executable, "-m", "hub2hf", "fetch", f"{server[0]}/m.tar.gz"]
    process = subprocess.Popen(command)
    while sum(path.stat().st_size for path in own_places.rglob("*.part")) < 20_000:
        time.sleep(0.01)
    process.kill()
    process.wait()
    served.slow = 0
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert contents(Path(done.stdout.strip())) == contents(EMBEDDED)
    assert int(served.requests[1]["Range"].removeprefix("bytes=").removesuffix("-")) >= 20_000
    assert not list(own_places.rglob("*.part*"))
