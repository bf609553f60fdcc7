"""What the Hub of the tests answers at each address: functions of a call, without HTTP. Uploads are in hub_uploads.py.

The addresses and fields are those that huggingface_hub 0.36 and 2.4 ask for; any other address is answered with 501, so
that a test that needs one fails and says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.message import Message
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from hub_repository import Blob, Commit, HubError, Repository

TEXT_FIELDS = ("license", "library_name", "pipeline_tag")
LIST_FIELDS = ("language", "tags", "datasets", "metrics", "base_model")


@dataclass
class Upload:
    """An LFS object on its way to a repository. The id of an upload is its own permission, as in a signed address."""

    repository: Repository
    oid: str
    size: int
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Hub:
    """What there is on the server: a user with organizations, and repositories of anyone."""

    token: str
    user: str
    organizations: tuple[str, ...] = ()
    part_size: int | None = None  # larger LFS objects are asked for in parts of so many bytes
    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def create(self, name: str, *, private: bool = False) -> Repository:
        """Create a repository, in any namespace."""
        self.repositories[name] = Repository(name, name.partition("/")[0], private=private)
        return self.repositories[name]

    def owns(self, name: str) -> bool:
        """Say whether the user may write to the namespace of `name`."""
        return name.partition("/")[0] in (self.user, *self.organizations)


@dataclass
class Answer:
    """What goes back; a header without value is left out."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Answer:
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=utf-8"})

    @classmethod
    def failure(cls, error: HubError) -> Answer:
        answer = cls.of({"error": error.message, **error.details}, error.status)
        answer.headers |= {"X-Error-Message": error.message, "X-Error-Code": error.code}
        return answer


@dataclass
class Call:
    """A request, and who makes it."""

    hub: Hub
    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return {key: values[-1] for key, values in parse_qs(urlsplit(self.target).query).items()}

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    @property
    def anonymous(self) -> bool:
        """Say whether no token was sent; a wrong one is refused everywhere."""
        sent = self.headers.get("Authorization")
        if sent not in (None, f"Bearer {self.hub.token}"):
            raise HubError(401, "Invalid credentials in Authorization header")
        return sent is None

    def user(self) -> str:
        """Return the user's name."""
        if self.anonymous:
            # The Hub gives no code; the client takes 401 from such an address for a missing repository, but only where
            # the address begins with https. With the code it raises the same exception here.
            of_repository = self.target.startswith("/api/models/")
            raise HubError(401, "Invalid username or password.", "RepoNotFound" if of_repository else "")
        return self.hub.user

    def readable(self, name: str) -> Repository:
        """Return the repository; a private one of others is as good as missing."""
        found = self.hub.repositories.get(name)
        if self.anonymous and (found is None or found.private):
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        if found is None or (found.private and not self.hub.owns(name)):
            raise HubError(404, "Repository not found", "RepoNotFound")
        return found

    def writable(self, name: str, revision: str | None = None) -> Repository:
        """Return the repository to change: who may read it may open pull requests and add to their own."""
        user, found = self.user(), self.readable(name)
        own_request = any((one.revision, one.author) == (revision, user) for one in found.pull_requests)
        if not (self.hub.owns(name) or own_request or self.query.get("create_pr") == "1"):
            raise HubError(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")
        return found


Route = Callable[..., Any]
ROUTES: list[tuple[str, re.Pattern[str], Route]] = []


def route(method: str, address: str) -> Callable[[Route], Route]:
    """Declare what answers at an address, where {name} is a repository's, {path} may hold slashes, others may not."""
    shapes = {"name": "[^/]+/[^/]+", "path": ".+"}
    pattern = re.sub(
        r"\\{(\w+)\\}", lambda found: f"(?P<{found[1]}>{shapes.get(found[1], '[^/]+')})", re.escape(address)
    )

    def declare(function: Route) -> Route:
        ROUTES.append((method, re.compile(pattern), function))
        return function

    return declare


def answer(call: Call) -> Answer:
    """Return what the Hub answers."""
    path = urlsplit(call.target).path
    method = "GET" if call.method == "HEAD" else call.method
    for known, pattern, function in ROUTES:
        if known == method and (found := pattern.fullmatch(path)):
            try:
                value = function(call, **{key: unquote(part) for key, part in found.groupdict().items()})
            except HubError as error:
                return Answer.failure(error)
            except (KeyError, TypeError, ValueError) as error:
                return Answer.failure(HubError(400, f"Malformed request: {error!r}"))
            return value if isinstance(value, Answer) else Answer.of(value)
    return Answer.failure(HubError(501, f"The Hub of the tests does not know {call.method} {path}"))


@route("GET", "/api/whoami-v2")
def whoami(call: Call) -> Any:
    organizations = [{"type": "org", "name": name, "roleInOrg": "admin"} for name in call.hub.organizations]
    token = {"type": "access_token", "accessToken": {"displayName": "test", "role": "write"}}
    return {"type": "user", "name": call.user(), "fullname": call.hub.user, "orgs": organizations, "auth": token}


@route("POST", "/api/repos/create")
def create(call: Call) -> Any:
    user, asked = call.user(), call.json()
    name = f"{asked.get('organization') or user}/{asked['name']}"
    url = f"{call.hub.url}/{name}"
    if asked.get("type", "model") != "model":
        raise HubError(400, "The Hub of the tests has only models")
    if not call.hub.owns(name):
        raise HubError(
            403, f"You don't have the rights to create a model under the namespace {name.partition('/')[0]!r}."
        )
    if name in call.hub.repositories:
        raise HubError(409, "You already created this model repo", url=url)
    call.hub.create(name, private=asked.get("private") is True or asked.get("visibility") == "private")
    return {"url": url, "name": name}


@route("POST", "/api/validate-yaml")
def validate_yaml(call: Call) -> Any:
    """Check a card. Stricter than the Hub in one way: YAML 1.1 reads the language `no` as false, and so would Python."""
    found = re.match(r"\s*---\r?\n(.*?)\r?\n---(\r?\n|$)", call.json()["content"], re.DOTALL)
    if found is None:
        return {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
    try:
        metadata = yaml.safe_load(found[1])
        keys = [key.value for key, _ in yaml.compose(found[1]).value] if isinstance(metadata, dict) else []
    except yaml.YAMLError as error:
        return Answer.of({"errors": [{"message": str(error)}], "warnings": []}, 400)
    errors = [f'duplicated mapping key "{key}"' for key in set(keys) if keys.count(key) > 1]
    if not isinstance(metadata, dict):
        metadata, errors = {}, ["the metadata must be a mapping"]
    errors += [f'"{key}" must be a string' for key in TEXT_FIELDS if not isinstance(metadata.get(key, ""), str)]
    for key in LIST_FIELDS:
        values = metadata.get(key, [])
        values = values if isinstance(values, list) else [values]
        errors += [f'"{key}[{n}]" must be a string' for n, value in enumerate(values) if not isinstance(value, str)]
    return Answer.of({"errors": [{"message": said} for said in errors], "warnings": []}, 400 if errors else 200)


@route("GET", "/api/models/{name}/auth-check")
def may_read(call: Call, name: str) -> Any:
    return {"name": call.readable(name).name}


@route("GET", "/api/models/{name}/auth-check/write")
def may_write(call: Call, name: str) -> Any:
    return {"name": call.writable(name).name}


@route("GET", "/api/models/{name}")
@route("GET", "/api/models/{name}/revision/{revision}")
def info(call: Call, name: str, revision: str = "main") -> Any:
    repository = call.readable(name)
    commit = repository.head(revision)
    siblings = []
    for path, blob in sorted(commit.tree.items()):
        sibling: dict[str, Any] = {"rfilename": path}
        if "blobs" in call.query:
            sibling |= {"size": len(blob.data), "blobId": blob.oid}
            sibling |= {"lfs": {"sha256": blob.sha256, **lfs_sizes(blob)}} if blob.lfs else {}
        siblings.append(sibling)
    return {
        **{"_id": name, "id": name, "modelId": name, "author": name.partition("/")[0], "sha": commit.oid},
        **{"private": repository.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []},
        **{"createdAt": repository.commits[0].date, "lastModified": commit.date, "siblings": siblings},
    }


def lfs_sizes(blob: Blob) -> dict[str, int]:
    return {"size": len(blob.data), "pointerSize": len(blob.pointer)}


def entry(repository: Repository, commit: Commit, path: str, *, expand: bool) -> dict[str, Any]:
    """Describe a file, or the folder of which `path` is the name."""
    if path not in commit.tree:
        return {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}
    blob = commit.tree[path]
    described: dict[str, Any] = {"type": "file", "oid": blob.oid, "size": len(blob.data), "path": path}
    if blob.lfs:
        described["lfs"] = {"oid": blob.sha256, **lfs_sizes(blob)}
    if expand:
        last = repository.last_change(path, commit)
        described["lastCommit"] = {"id": last.oid, "title": last.title, "date": last.date}
    return described


def with_folders(paths: Iterable[str]) -> set[str]:
    """Return the files and every folder above them."""
    return {str(one) for path in paths for one in (path, *PurePosixPath(path).parents)} - {"."}


@route("GET", "/api/models/{name}/tree/{revision}")
@route("GET", "/api/models/{name}/tree/{revision}/{path}")
def tree(call: Call, name: str, revision: str, path: str = "") -> Any:
    repository = call.readable(name)
    commit = repository.head(revision)
    above = f"{path}/" if path else ""
    inside = {one for one in with_folders(commit.tree) if one.startswith(above)}
    if path and not inside:
        raise HubError(404, f"{path} does not exist on {revision!r}", "EntryNotFound")
    recursive, expand = (call.query.get(key, "").lower() == "true" for key in ("recursive", "expand"))
    shown = sorted(one for one in inside if recursive or "/" not in one[len(above) :])
    return [entry(repository, commit, one, expand=expand) for one in shown]


@route("POST", "/api/models/{name}/paths-info/{revision}")
def paths_info(call: Call, name: str, revision: str) -> Any:
    repository = call.readable(name)
    commit, form = repository.head(revision), parse_qs(call.body.decode())
    there, expand = with_folders(commit.tree), form.get("expand", [""])[-1].lower() == "true"
    return [entry(repository, commit, one, expand=expand) for one in form.get("paths", []) if one in there]


@route("GET", "/api/models/{name}/refs")
def refs(call: Call, name: str) -> Any:
    heads = call.readable(name).heads.items()
    requests = [{"name": one, "ref": one, "targetCommit": oid} for one, oid in heads if one.startswith("refs/pr/")]
    branches = [
        {"name": one, "ref": f"refs/heads/{one}", "targetCommit": oid}
        for one, oid in heads
        if not one.startswith("refs/pr/")
    ]
    return {"branches": branches, "tags": [], "converts": [], "pullRequests": requests}


@route("GET", "/api/models/{name}/commits/{revision}")
def commits(call: Call, name: str, revision: str) -> Any:
    return [
        {"id": one.oid, "title": one.title, "message": one.message, "authors": [{"user": one.author}], "date": one.date}
        for one in call.readable(name).history(revision)
    ]


@route("POST", "/api/models/{name}/branch/{branch}")
def create_branch(call: Call, name: str, branch: str) -> Any:
    repository = call.writable(name)
    if branch in repository.heads:
        raise HubError(409, f"Reference already exists: {branch}")
    repository.heads[branch] = repository.head(call.json().get("startingPoint", "main")).oid
    return {}


@route("GET", "/{name}/resolve/{revision}/{path}")
def download(call: Call, name: str, revision: str, path: str) -> Any:
    commit = call.readable(name).head(revision)
    if path not in commit.tree:
        raise HubError(404, "Entry not found", "EntryNotFound")
    blob = commit.tree[path]
    size = len(blob.data)
    headers = {"ETag": f'"{blob.etag}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    if blob.lfs:
        headers |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(size)}
    if not (asked := re.fullmatch(r"bytes=(\d+)-(\d*)", call.headers.get("Range", ""))):
        return Answer(200, blob.data, headers)
    first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
    if first >= size:
        return Answer(416, b"", {"Content-Range": f"bytes */{size}"})
    return Answer(206, blob.data[first : last + 1], headers | {"Content-Range": f"bytes {first}-{last}/{size}"})
