"""The Hub of the tests is a Hub to the real client, and its faults reach the client as faults."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import RemoteDisconnected
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from hub_server import Fault, HubServer

NAME = "tester/model"
LARGE = bytes(range(256)) * 49152  # 12 MiB

# What the client does, in a process of its own. A script fills `told`.
PRELUDE = """
import json
from pathlib import Path
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, snapshot_download

api, name, told = HfApi(), "tester/model", {}
LARGE = bytes(range(256)) * 49152
CARD = b"---\\nlicense: apache-2.0\\nlanguage:\\n- en\\n---\\n# Model\\n"

def commit(files, **options):
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    return api.create_commit(options.pop("name", name), operations, commit_message="Push", **options)

def failure(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except Exception as error:
        return [type(error).__name__, getattr(getattr(error, "response", None), "status_code", None)]

def bytes_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
"""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as hub:
        yield hub


def client(hub: HubServer, folder: Path, script: str) -> dict[str, Any]:
    """Run a script with the real client, and return what it told."""
    code = f"{PRELUDE}\n{dedent(script)}\nprint(json.dumps(told))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment(folder / "cache"),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def statuses(hub: HubServer, part: str, method: str = "POST") -> list[int | None]:
    return [one.status for one in hub.requests if one.method == method and part in one.path]


def fetch(hub: HubServer, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """Ask without the client, with the token."""
    request = Request(hub.url + path, data=body, headers={"Authorization": f"Bearer {hub.token}", **headers})
    with urlopen(request, timeout=30) as response:
        return bytes(response.read())


def test_files_go_up_and_come_back(hub: HubServer, tmp_path: Path) -> None:
    script = """
    told["user"] = api.whoami()["name"]
    told["url"] = api.create_repo(name, private=True)
    told["again"] = api.create_repo(name, exist_ok=True)
    files = {"README.md": CARD, "sub/empty.txt": b"", "model.bin": LARGE}
    told["oid"] = commit(files).oid
    told["unchanged"] = commit(files).oid
    tree = api.list_repo_tree(name, recursive=True, expand=True)
    told["tree"] = {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in tree if hasattr(one, "lfs")}
    told["paths"] = [one.path for one in api.get_paths_info(name, ["sub", "model.bin", "absent"])]
    told["siblings"] = [one.size for one in api.model_info(name, files_metadata=True).siblings]
    came = bytes_of(snapshot_download(name))
    told["came back"] = files | {".gitattributes": came[".gitattributes"]} == came
    commit({"more.txt": b"more"}, parent_commit=told["oid"])
    told["at the commit"] = came == bytes_of(snapshot_download(name, revision=told["oid"]))
    api.create_commit(name, [CommitOperationDelete("sub/"), CommitOperationDelete("more.txt")], commit_message="Delete")
    api.create_branch(name, branch="old", revision=told["oid"])
    told["branches"] = {one.name: one.target_commit for one in api.list_repo_refs(name).branches}
    told["commits"] = [one.title for one in api.list_repo_commits(name)]
    """
    told = client(hub, tmp_path, script)
    repository = hub.repositories[NAME]
    pushed = repository.commits[1]
    assert (told["user"], told["url"], told["again"]) == ("tester", f"{hub.url}/{NAME}", f"{hub.url}/{NAME}")
    assert told["oid"] == told["unchanged"] == pushed.oid
    assert told["tree"] == {path: blob.etag for path, blob in pushed.tree.items()}
    assert (told["paths"], len(told["siblings"])) == (["sub", "model.bin"], 4)
    assert (told["came back"], told["at the commit"]) == (True, True)
    assert told["branches"] == {"main": repository.commits[-1].oid, "old": pushed.oid}
    assert told["commits"] == ["Delete", "Push", "Push", "initial commit"]
    assert repository.private
    assert repository.files("old")["model.bin"] == LARGE
    assert repository.files().keys() == {".gitattributes", "README.md", "model.bin"}
    assert statuses(hub, "/storage/", "PUT") == [200]
    assert 501 not in [one.status for one in hub.requests]


def test_large_objects_come_in_parts(tmp_path: Path) -> None:
    with HubServer(part_size=5_000_000) as hub:
        repository = hub.create(NAME)
        client(hub, tmp_path, 'commit({"model.bin": LARGE})')
        assert repository.files()["model.bin"] == LARGE
        assert statuses(hub, "/storage/", "PUT") == [200, 200, 200]
        assert statuses(hub, "/complete") == [200]


def test_pull_requests(hub: HubServer, tmp_path: Path) -> None:
    """Both ways of opening one, the first in a repository that the user may only read."""
    foreign, own = hub.create("other/model"), hub.create(NAME)
    script = """
    made = commit({"model.bin": LARGE}, name="other/model", create_pr=True)
    told["made"] = [made.pr_num, made.pr_revision, made.pr_url]
    commit({"more.txt": b"more"}, name="other/model", revision=made.pr_revision)
    told["listed"] = [one.git_reference for one in api.get_repo_discussions("other/model", discussion_type="pull_request")]
    told["came back"] = bytes_of(snapshot_download("other/model", revision="refs/pr/1"))["model.bin"] == LARGE
    opened = api.create_pull_request(name, "Add files")
    commit({"a.txt": b"a"}, revision=opened.git_reference)
    told["closed"] = api.change_discussion_status(name, opened.num, "closed").new_status
    """
    told = client(hub, tmp_path, script)
    assert told["made"] == [1, "refs/pr/1", f"{hub.url}/other/model/discussions/1"]
    assert (told["listed"], told["came back"], told["closed"]) == (["refs/pr/1"], True, "closed")
    assert foreign.files("refs/pr/1").keys() == {".gitattributes", "model.bin", "more.txt"}
    assert (list(foreign.files()), foreign.pull_requests[0].status) == ([".gitattributes"], "open")
    assert (own.files("refs/pr/1")["a.txt"], own.pull_requests[0].status) == (b"a", "closed")


def test_what_is_refused(hub: HubServer, tmp_path: Path) -> None:
    own = hub.create(NAME)
    hub.create("other/model")
    hub.create("other/secret", private=True)
    hub.create("tester/secret", private=True)
    script = """
    anonymous, wrong, text = HfApi(token=False), HfApi(token="hf_wrong"), {"a.txt": b"a"}
    told["wrong token"] = failure(wrong.create_repo, "tester/new")
    told["no token"] = failure(anonymous.create_repo, "tester/new")
    told["private"] = failure(anonymous.model_info, "tester/secret")
    told["foreign name"] = failure(api.create_repo, "other/new")
    told["foreign"] = failure(commit, text, name="other/model")
    told["foreign private"] = failure(commit, text, name="other/secret")
    told["exists"] = failure(api.create_repo, name)
    told["no branch"] = failure(commit, text, revision="absent")
    told["stale parent"] = failure(commit, text, parent_commit="0" * 40)
    told["binary as text"] = failure(commit, {"a.txt": b"a" * 600 + b"\\0"})
    told["card"] = failure(commit, {"README.md": b"---\\nlanguage:\\n- no\\n---\\n"})
    several = [CommitOperationAdd("a.txt", b"a"), CommitOperationDelete("absent.txt")]
    told["not whole"] = failure(api.create_commit, name, several, commit_message="Push")
    """
    told = client(hub, tmp_path, script)
    assert told == {
        "wrong token": ["HfHubHTTPError", 401],
        "no token": ["HfHubHTTPError", 401],
        "private": ["RepositoryNotFoundError", 401],
        "foreign name": ["HfHubHTTPError", 403],
        "foreign": ["HfHubHTTPError", 403],
        "foreign private": ["RepositoryNotFoundError", 404],
        "exists": ["HfHubHTTPError", 409],
        "no branch": ["RevisionNotFoundError", 404],
        "stale parent": ["HfHubHTTPError", 412],
        "binary as text": ["BadRequestError", 400],
        "card": ["ValueError", None],
        "not whole": ["RemoteEntryNotFoundError", 404],
    }
    assert (len(own.commits), list(own.files())) == (1, [".gitattributes"])


def test_a_commit_needs_the_objects_it_names(hub: HubServer) -> None:
    repository = hub.create(NAME)
    file = {"key": "file", "value": {"path": "a.txt", "content": "YQ==", "encoding": "base64"}}
    large = {"key": "lfsFile", "value": {"path": "model.bin", "algo": "sha256", "oid": "0" * 64, "size": 1}}
    lines = [json.dumps(one).encode() for one in ({"key": "header", "value": {"summary": "Push"}}, file, large)]
    with pytest.raises(HTTPError, match="400"):
        fetch(hub, f"/api/models/{NAME}/commit/main", b"\n".join(lines))
    with pytest.raises(HTTPError, match="400"):
        fetch(hub, f"/api/models/{NAME}/commit/main", b"nonsense")
    assert len(repository.commits) == 1


def test_what_the_client_tries_again(hub: HubServer, tmp_path: Path) -> None:
    """Among it an upload of which the server took only a part, and one that it took but didn't confirm."""
    repository = hub.create(NAME)
    hub.faults += [
        Fault("/preupload/", "POST", status=429, headers={"Retry-After": "0"}),
        Fault("/objects/batch", "POST", status=500),
        Fault("/storage/", "PUT", after_bytes=4_000_000),
        Fault("/lfs/verify", "POST", after_handling=True),
    ]
    client(hub, tmp_path, 'commit({"model.bin": LARGE})')
    assert repository.files()["model.bin"] == LARGE
    assert (statuses(hub, "/preupload/"), statuses(hub, "/objects/batch")) == ([429, 200], [500, 200])
    assert (statuses(hub, "/storage/", "PUT"), statuses(hub, "/lfs/verify")) == ([None, 200], [None, 200])
    assert [fault.times for fault in hub.faults] == [0, 0, 0, 0]


def test_what_the_client_does_not_try_again(hub: HubServer, tmp_path: Path) -> None:
    """A commit; the last is carried out all the same, and made again it is nothing new."""
    repository = hub.create(NAME)
    hub.faults += [
        Fault("/commit/", status=403),
        Fault("/commit/", status=429, headers={"Retry-After": "0"}),
        Fault("/commit/", status=502, body="<html>Bad gateway</html>"),
        Fault("/commit/", after_bytes=0),
        Fault("/commit/", after_handling=True),
    ]
    script = 'told["failures"] = [failure(commit, {"model.bin": LARGE}) for _ in range(6)]'
    told = client(hub, tmp_path, script)
    answered, cut = [["HfHubHTTPError", status] for status in (403, 429, 502)], ["RemoteProtocolError", None]
    assert told["failures"] == [*answered, cut, cut, None]
    assert statuses(hub, "/commit/") == [403, 429, 502, None, None]
    assert statuses(hub, "/storage/", "PUT") == [200]
    assert (len(repository.commits), repository.files()["model.bin"]) == (2, LARGE)


def test_downloads_go_on_where_they_were_cut(hub: HubServer, tmp_path: Path) -> None:
    hub.create(NAME).write({"model.bin": LARGE})
    address = f"/{NAME}/resolve/main/model.bin"
    assert fetch(hub, address, Range="bytes=3-5") == LARGE[3:6]
    hub.faults.append(Fault("resolve.*model.bin", "GET", after_bytes=11_000_000))
    told = client(hub, tmp_path, 'told["came back"] = bytes_of(snapshot_download(name))["model.bin"] == LARGE')
    assert (told["came back"], statuses(hub, "model.bin", "GET")) == (True, [206, 200, 206])


def test_late_answers_and_a_hub_that_is_gone() -> None:
    with HubServer() as hub:
        hub.faults.append(Fault("whoami", delay=0.3))
        request = Request(f"{hub.url}/api/whoami-v2")
        with pytest.raises(TimeoutError):
            urlopen(request, timeout=0.1)
        hub.faults.append(Fault("whoami"))
        with pytest.raises(RemoteDisconnected):
            urlopen(request, timeout=30)
        assert json.loads(fetch(hub, "/api/whoami-v2"))["name"] == "tester"
    with pytest.raises(URLError, match="refused"):
        urlopen(request, timeout=30)
