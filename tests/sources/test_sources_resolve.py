"""From one name to a folder: the caches of the libraries people have, offline, Kaggle with and without kagglehub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from forks import Forks
from loopback import Served
from references import EMBEDDED
from sources_fixtures import contents, packed

from hub2hf.errors import SourceError, pasted
from hub2hf.sources import resolve
from hub2hf.sources.address import ArchiveUrl, KaggleHandle, TfhubAddress, parse_address

LARGE = "https://tfhub.dev/google/LEALLA/LEALLA-large/1"
PATH = "/google/LEALLA/LEALLA-large/1?tf-hub-format=compressed"
KAGGLE = KaggleHandle("google", "lealla", "tensorFlow2", "lealla-large", 1)
Server = tuple[str, dict[str, Served]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LARGE, TfhubAddress(LARGE)),
        (f"{LARGE}/?tf-hub-format=compressed", TfhubAddress(LARGE)),
        ("http://www.tfhub.dev/google/LEALLA/LEALLA-large/1", TfhubAddress(LARGE)),
        ("tfhub.dev/google/LEALLA/LEALLA-large/1", TfhubAddress(LARGE)),
        (str(KAGGLE), KAGGLE),
        ("google/lealla/TensorFlow2/lealla-large", KaggleHandle("google", "lealla", "tensorFlow2", "lealla-large")),
        (f"https://www.kaggle.com/models/{KAGGLE}?tfhub-redirect=true", KAGGLE),
        (f"kaggle.com/models/{KAGGLE}", KAGGLE),
        (
            "https://kaggle.com/models/google/lealla/frameworks/tensorFlow2/variations/lealla-large/versions/1",
            KAGGLE,
        ),
        ("https://a.b/m.tar.gz", ArchiveUrl("https://a.b/m.tar.gz")),
        (f"http://a/m.zip#sha256={'A' * 64}", ArchiveUrl("http://a/m.zip", "a" * 64)),
        ("folder/of/mine", None),
        ("google/lealla/tensorFlow2/x/0", None),
        ("../lealla/tensorFlow2/x", None),
    ],
)
def test_addresses(text: str, found: object) -> None:
    assert parse_address(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "ftp://a/b",
        "file:///etc/passwd",
        "https://",
        "https://[::1",
        "https://a:99999999/b",
        "https://me:secret@a/b.zip",
        "https://a/b.zip#md5=0",
        "https://a/b.zip#sha256=0",
        "https://tfhub.dev/",
        "https://www.kaggle.com/models/google/lealla",
        "google/lealla/keras/x",
    ],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(SourceError) as told:
        resolve(text)
    assert "secret" not in str(told.value)


def test_a_name_is_fetched_into_the_cache_of_tensorflow_hub(
    server: Server, tarball: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB2HF_TFHUB_ENDPOINT", server[0])
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    served = server[1][PATH] = Served(b"", [(301, {"Location": "/moved.tar.gz"})])
    server[1]["/moved.tar.gz"] = Served(tarball)
    told: list[int] = []
    found = resolve("lealla-large", progress=lambda done, total: told.append(done))
    assert found == tmp_path / "hub" / hashlib.sha1(LARGE.encode()).hexdigest()
    assert contents(found) == contents(EMBEDDED)
    assert told[-1] == len(tarball)
    assert found.with_name(f"{found.name}.descriptor.txt").read_text().startswith(f"Module: {LARGE}\nDownload Time: ")
    for source in ("lealla-large", LARGE, f"{LARGE}?tf-hub-format=compressed"):
        assert resolve(source) == found
    assert len(served.requests) == 1


def test_tensorflow_hub_finds_what_we_fetched_and_we_what_it_fetched(
    server: Server, tarball: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("tensorflow_hub")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("HUB2HF_TFHUB_ENDPOINT", server[0])
    server[1][PATH] = Served(tarball)
    ours = resolve("lealla-large")
    assert Path(hub.resolve(LARGE)) == ours  # it would have to reach tfhub.dev
    handle = f"{server[0]}/model"
    server[1]["/model?tf-hub-format=compressed"] = Served(tarball)
    theirs = Path(hub.resolve(handle))
    shutil.move(theirs, tmp_path / "hub" / hashlib.sha1(b"https://tfhub.dev/google/x/1").hexdigest())
    assert contents(resolve("https://tfhub.dev/google/x/1")) == contents(EMBEDDED)


def test_offline_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HUB2HF_OFFLINE", "1"), ("HF_HUB_OFFLINE", "true")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            for source in ("lealla-large", LARGE, str(KAGGLE), "https://a/b.zip"):
                with pytest.raises(SourceError, match=f"in no cache on this machine, and {name}={value}") as told:
                    resolve(source)
                step = f"Unset {name}; or, on another machine, run hub2hf fetch {pasted(source)}, copy the folder"
                assert told.value.next_step.startswith(step)
            assert resolve("lealla-mini") == EMBEDDED


def test_a_private_temporary_cache_is_read_and_a_public_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB2HF_OFFLINE", "1")
    folder = tmp_path / "tfhub_modules" / hashlib.sha1(LARGE.encode()).hexdigest()
    shutil.copytree(EMBEDDED, folder)
    assert resolve("lealla-large") == folder
    folder.parent.chmod(0o777)
    with pytest.raises(SourceError):
        resolve("lealla-large")


def test_an_archive_of_the_web_by_address_and_checksum(server: Server, tmp_path: Path) -> None:
    data = packed("model/", "zip")
    server[1]["/m.zip"] = Served(data)
    address = f"{server[0]}/m.zip#sha256={hashlib.sha256(data).hexdigest()}"
    assert contents(resolve(address)) == contents(EMBEDDED)
    assert resolve(address) == resolve(address)
    wrong = f"{server[0]}/m.zip#sha256={'0' * 64}"
    with pytest.raises(SourceError, match="SHA-256"):
        resolve(wrong)


@pytest.mark.parametrize("content", [b"text", packed(form="tar")[:4096]])
def test_an_archive_that_is_none_leaves_nothing(content: bytes, server: Server, own_places: Path) -> None:
    served = server[1]["/m.tar.gz"] = Served(content)
    with pytest.raises(SourceError, match=f"{server[0]}/m.tar.gz"):
        resolve(f"{server[0]}/m.tar.gz")
    served.content = packed()
    assert contents(resolve(f"{server[0]}/m.tar.gz")) == contents(EMBEDDED)
    left = [p.name for p in (own_places / "hub2hf/archives").iterdir() if not p.name.endswith((".lock", ".txt"))]
    assert len(left) == 1


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server[1]["/m.tar.gz"] = Served(packed())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HUB2HF_CACHE", str(tmp_path / "file" / "x"))
    with pytest.raises(SourceError, match="The cache cannot be written"):
        resolve(f"{server[0]}/m.tar.gz")


def test_the_cache_of_kagglehub(own_places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB2HF_OFFLINE", "1")
    place = own_places / "kagglehub/models/google/lealla/tensorFlow2/lealla-large"
    for version in ("2", "10", "11"):
        shutil.copytree(EMBEDDED, place / version)
    for version in ("2", "10"):  # what has no mark is incomplete
        (place / f"{version}.complete").touch()
    assert resolve("google/lealla/TensorFlow2/lealla-large") == place / "10"
    assert resolve("google/lealla/tensorFlow2/lealla-large/2") == place / "2"
    with pytest.raises(SourceError, match="11 is in no cache"):
        resolve("google/lealla/tensorFlow2/lealla-large/11")


class Kaggle(BaseHTTPRequestHandler):
    """What kagglehub asks of Kaggle for a public model: its newest version, its files, each file."""

    asked: list[str]

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        self.asked.append(self.path)
        if request.get("modelSlug") != "lealla":
            self.send(b"{}", 404)
        elif self.path.endswith("GetModelInstance"):
            self.send(json.dumps({"versionNumber": 3}).encode())
        elif self.path.endswith("ListModelInstanceVersionFiles"):
            self.send(json.dumps({"files": [{"name": name} for name in contents(EMBEDDED)]}).encode())
        else:
            self.send(contents(EMBEDDED)[request["path"]])

    def send(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The port is the one that kagglesdk has for its own tests (kaggle_env.py, KaggleEnv.TEST)."""
    pytest.importorskip("kagglehub")
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    handler = type("Handler", (Kaggle,), {"asked": []})
    try:
        server = ThreadingHTTPServer(("127.0.0.1", 7777), handler)
    except OSError:
        pytest.skip("port 7777 is taken")
    with server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield handler.asked  # type: ignore[attr-defined]
        server.shutdown()


ON_KAGGLE = "/api/v1/models/google/lealla/tensorFlow2/lealla-large"


@pytest.fixture
def public(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, Served]:
    """Return the files of a server that stands for Kaggle and for tfhub.dev."""
    monkeypatch.setenv("HUB2HF_KAGGLE_ENDPOINT", server[0])
    monkeypatch.setenv("HUB2HF_TFHUB_ENDPOINT", server[0])
    return server[1]


def test_a_public_model_of_kaggle_needs_no_extra(
    public: dict[str, Served], tarball: bytes, own_places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    public[f"{ON_KAGGLE}/get"] = Served(b'{"versionNumber": 3}')
    public[f"{ON_KAGGLE}/3/download"] = Served(faults=[(302, {"Location": "/signed"})] * 2)
    signed = public["/signed"] = Served(tarball, ["cut"])
    found = resolve("google/lealla/tensorFlow2/lealla-large")
    assert contents(found) == contents(EMBEDDED)
    assert found == own_places / "kagglehub/models/google/lealla/tensorFlow2/lealla-large/3"
    assert found.with_name("3.complete").is_file()
    assert resolve("google/lealla/tensorFlow2/lealla-large/3") == found
    assert [r.get("Range") for r in signed.requests] == [None, "bytes=1000-"]


def test_half_a_model_in_the_cache_of_kagglehub_is_replaced(
    public: dict[str, Served], tarball: bytes, own_places: Path
) -> None:
    half = own_places / f"kagglehub/models/{KAGGLE}"
    half.mkdir(parents=True)
    (half / "saved_model.pb").write_bytes(b"half")
    public[f"{ON_KAGGLE}/1/download"] = Served(tarball)
    assert contents(resolve(str(KAGGLE))) == contents(EMBEDDED)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        *(
            (text, "tells no version")
            for text in (b"{}", b"[]", b"text", b'{"versionNumber": "2"}', b'{"versionNumber": -1}')
        ),
        (b"0" * 2_000_000, "answers more than"),
    ],
)
def test_a_version_that_is_none_is_told(answer: bytes, said: str, public: dict[str, Served]) -> None:
    public[f"{ON_KAGGLE}/get"] = Served(answer)
    with pytest.raises(SourceError, match=f"lealla-large/get {said}") as told:
        resolve("google/lealla/tensorFlow2/lealla-large")
    assert "Name a version" in told.value.next_step


def test_tfhub_that_leads_to_a_page_of_kaggle_is_followed(
    public: dict[str, Served], server: Server, tarball: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub2hf.sources.download.KAGGLE_HOSTS", {"127.0.0.1"})
    monkeypatch.setattr("hub2hf.sources.address.KAGGLE_HOSTS", {"127.0.0.1"})
    page = f"{server[0]}/models/{KAGGLE}?tfhub-redirect=true"
    public[PATH] = Served(faults=[(301, {"Location": page})])
    public[page.removeprefix(server[0])] = Served(b"<html>", headers={"Content-Type": "text/html"})
    public[f"{ON_KAGGLE}/1/download"] = Served(tarball)
    assert contents(resolve(LARGE)) == contents(EMBEDDED)


def test_kagglehub_is_asked_for_what_kaggle_gives_to_users(
    kaggle: list[str], public: dict[str, Served], own_places: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in (f"{ON_KAGGLE}/get", "/api/v1/models/google/other/tensorFlow2/x/1/download"):
        public[path] = Served(faults=[(403, {})])
    found = resolve("google/lealla/tensorFlow2/lealla-large")
    assert contents(found) == contents(EMBEDDED)
    assert found == own_places / "kagglehub/models/google/lealla/tensorFlow2/lealla-large/3"
    before = len(kaggle)
    assert resolve("google/lealla/tensorFlow2/lealla-large/3") == found
    assert (len(kaggle), *capfd.readouterr()) == (before, "", "")
    with pytest.raises(SourceError, match="Kaggle does not give google/other"):
        resolve("google/other/tensorFlow2/x/1")


def test_a_tfhub_address_that_leads_nowhere_is_sought_on_kaggle(public: dict[str, Served], tarball: bytes) -> None:
    public[f"{ON_KAGGLE}/1/download"] = Served(tarball)
    assert contents(resolve("lealla-large")) == contents(EMBEDDED)


def test_without_kagglehub_what_needs_an_account_is_told(
    public: dict[str, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    public[f"{ON_KAGGLE}/1/download"] = Served(faults=[(403, {})])
    with pytest.raises(SourceError, match=r"to its users only, and kagglehub.* not installed.*\[kaggle\]"):
        resolve(str(KAGGLE))


def test_the_command_fetches_converts_and_lists(
    server: Server, tarball: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: Forks
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return forks.run("from hub2hf.cli import main; main()", *arguments, env=os.environ)

    monkeypatch.setenv("HUB2HF_TFHUB_ENDPOINT", server[0])
    server[1][PATH] = Served(tarball)
    server[1]["/m.tgz"] = Served(tarball)
    mine = tmp_path / "mine.toml"
    mine.write_text(f'title = "Mine"\naddress = "{LARGE}"\n')
    done = run("convert", str(mine), str(tmp_path / "out"), "--json")
    assert (done.returncode, done.stderr, "files" in json.loads(done.stdout)) == (0, "", True)
    assert run("convert", f"{server[0]}/m.tgz", str(tmp_path / "other")).returncode == 0
    assert contents(tmp_path / "out").keys() == contents(tmp_path / "other").keys()
    listed = {entry["name"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert listed["lealla-large"]["folder"] == run("fetch", LARGE).stdout.strip()
    assert (listed["lealla-base"]["folder"], listed["lealla-mini"]["folder"]) == (None, str(EMBEDDED))
    assert listed[f"{server[0]}/m.tgz"]["nbytes"] == sum(map(len, contents(EMBEDDED).values()))
    assert "lealla-small" in run("list").stdout
    for name in ("lealla-large", LARGE):  # what came under that name is the embedded model
        done = run("convert", name, str(tmp_path / "wrong"))
        assert (done.returncode, "hidden_size is 32, not 256" in done.stderr) == (2, True)
    done = run("fetch", "https://tfhub.dev/google/none/1")
    assert (done.returncode, done.stderr.count("\n"), "404" in done.stderr) == (2, 1, True)


def test_neither_tensorflow_nor_kagglehub_is_imported_for_tfhub(server: Server, tarball: bytes) -> None:
    server[1]["/m.tgz"] = Served(tarball)
    code = (
        "import sys, hub2hf; hub2hf.fetch(sys.argv[1]);"
        "print([m for m in ('tensorflow', 'tensorflow_hub', 'kagglehub', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{server[0]}/m.tgz"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    code = "import sys, hub2hf.cli; print('requests' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"  # the command starts fast
