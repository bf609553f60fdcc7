"""How files come to the Hub of the tests: what is asked before, LFS objects, commits and pull requests."""

from __future__ import annotations

import base64
import hashlib
import secrets
from fnmatch import fnmatch
from math import ceil
from typing import Any

from hub_repository import HubError, PullRequest, Repository, now
from hub_routes import Answer, Call, Upload, route


@route("POST", "/api/models/{name}/preupload/{revision}")
def preupload(call: Call, name: str, revision: str) -> Any:
    """Say for each file how it must come, and the identity of what is there, so that the client can leave it out."""
    repository, asked = call.writable(name, revision), call.json()
    there = repository.head(revision).tree
    rules = asked.get("gitIgnore") or repository.files(revision).get(".gitignore", b"").decode()
    ignored = [line for line in rules.splitlines() if line and not line.startswith("#")]
    files = []
    for file in asked["files"]:
        path, sample = file["path"], base64.b64decode(file["sample"])
        described = {
            "path": path,
            "uploadMode": repository.upload_mode(path, file["size"], sample, revision),
            "shouldIgnore": any(fnmatch(path, rule) for rule in ignored),
        }
        files.append(described | ({"oid": there[path].etag} if path in there else {}))
    return {"files": files}


@route("POST", "/{name}.git/info/lfs/objects/batch")
def lfs_batch(call: Call, name: str) -> Any:
    """Say where to put each object. A call for a new pull request names no branch, and needs no right to write."""
    asked = call.json()
    call.user()
    repository = call.writable(name, asked["ref"]["name"]) if "ref" in asked else call.readable(name)
    objects = []
    for one in asked["objects"]:
        if one["oid"] not in repository.objects:
            one["actions"] = lfs_actions(call, repository, one["oid"], one["size"])
        objects.append(one)
    return {"objects": objects}


def lfs_actions(call: Call, repository: Repository, oid: str, size: int) -> dict[str, Any]:
    """Begin an upload; the addresses must do without the token, which the client doesn't send to storage."""
    key, part_size = secrets.token_hex(16), call.hub.part_size
    call.hub.uploads[key] = Upload(repository, oid, size)
    href = f"{call.hub.url}/storage/{key}"
    verify = {"href": f"{call.hub.url}/{repository.name}.git/info/lfs/verify"}
    if part_size is None or size <= part_size:
        return {"upload": {"href": href}, "verify": verify}
    header = {f"{part:05}": f"{href}/{part}" for part in range(1, ceil(size / part_size) + 1)}
    return {"upload": {"href": f"{href}/complete", "header": {"chunk_size": str(part_size)} | header}, "verify": verify}


def upload_of(call: Call, key: str) -> Upload:
    if key not in call.hub.uploads:
        raise HubError(403, "The address of this upload has expired")
    return call.hub.uploads[key]


def store(upload: Upload, data: bytes) -> None:
    """Keep an object, if it is what was announced."""
    if (len(data), hashlib.sha256(data).hexdigest()) != (upload.size, upload.oid):
        raise HubError(400, f"{len(data)} bytes came that are not the {upload.size} bytes of {upload.oid}")
    upload.repository.objects[upload.oid] = data


@route("PUT", "/storage/{key}")
def put_object(call: Call, key: str) -> Any:
    store(upload_of(call, key), call.body)
    return Answer(200)


@route("PUT", "/storage/{key}/{part}")
def put_part(call: Call, key: str, part: str) -> Any:
    upload_of(call, key).parts[int(part)] = call.body
    return Answer(200, headers={"ETag": part_etag(call.body)})


def part_etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


@route("POST", "/storage/{key}/complete")
def complete(call: Call, key: str) -> Any:
    upload = upload_of(call, key)
    named = [(one["partNumber"], one["etag"]) for one in call.json()["parts"]]
    if named != [(number, part_etag(data)) for number, data in sorted(upload.parts.items())]:
        raise HubError(400, "The parts named are not those that came")
    store(upload, b"".join(data for _, data in sorted(upload.parts.items())))
    return {}


@route("POST", "/{name}.git/info/lfs/verify")
def verify(call: Call, name: str) -> Any:
    call.user()
    asked, objects = call.json(), call.readable(name).objects
    if len(objects.get(asked["oid"], b"")) != asked["size"]:
        raise HubError(404, f"No object {asked['oid']} of {asked['size']} bytes")
    return {}


@route("POST", "/api/models/{name}/commit/{revision}")
def commit(call: Call, name: str, revision: str) -> Any:
    repository, new_request = call.writable(name, revision), call.query.get("create_pr") == "1"
    made, opened = repository.commit(revision, call.body, call.user(), pull_request=new_request)
    url = f"{call.hub.url}/{name}"
    said = {"success": True, "commitOid": made.oid, "commitUrl": f"{url}/commit/{made.oid}", "hookOutput": ""}
    return said | ({"pullRequestUrl": f"{url}/discussions/{opened.number}"} if opened else {})


@route("GET", "/api/models/{name}/discussions")
def discussions(call: Call, name: str) -> Any:
    """List the pull requests, on one page; there are no other discussions here."""
    asked = call.query
    found = [
        described(one, name)
        for one in reversed(call.readable(name).pull_requests)
        if asked.get("type", "pull_request") in ("pull_request", "all")
        and asked.get("author", one.author) == one.author
        and asked.get("status", "all") in ("all", "open" if one.status in ("open", "draft") else "closed")
    ]
    return {"discussions": found, "count": len(found), "start": 0}


@route("POST", "/api/models/{name}/discussions")
def open_pull_request(call: Call, name: str) -> Any:
    """Open a pull request without changes, a draft as on the Hub; commits to its revision come after."""
    user, repository, asked = call.user(), call.readable(name), call.json()
    if not asked.get("pullRequest"):
        raise HubError(400, "The Hub of the tests has no discussions but pull requests")
    start = repository.head("main")
    opened = repository.open_pull_request(asked["title"], asked["description"], user, "main", start)
    opened.status = "draft"
    return described(opened, name)


@route("GET", "/api/models/{name}/discussions/{number}")
def discussion(call: Call, name: str, number: str) -> Any:
    found = pull_request(call.readable(name), number)
    changes = {"base": f"refs/heads/{found.base}", "mergeCommitId": None}
    return described(found, name) | {"changes": changes, "filesWithConflicts": [], "events": [], "diff": ""}


@route("POST", "/api/models/{name}/discussions/{number}/status")
def change_status(call: Call, name: str, number: str) -> Any:
    found = pull_request(call.writable(name, f"refs/pr/{number}"), number)
    found.status = call.json()["status"]
    event = {"id": secrets.token_hex(8), "type": "status-change", "createdAt": now(), "data": {"status": found.status}}
    return {"newStatus": event | {"author": {"name": call.user()}}}


def pull_request(repository: Repository, number: str) -> PullRequest:
    found = [one for one in repository.pull_requests if str(one.number) == number]
    if not found:
        raise HubError(404, f"No discussion {number}")
    return found[0]


def described(one: PullRequest, name: str) -> dict[str, Any]:
    return {
        **{"num": one.number, "title": one.title, "status": one.status, "createdAt": one.date},
        **{"author": {"name": one.author}, "repo": {"name": name, "type": "model"}, "isPullRequest": True},
    }
