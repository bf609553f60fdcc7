"""Push, with the Hub's real client against a Hub on loopback: everything published, or an error and nothing published."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from forks import Forks
from hub_server import Fault, HubServer
from references import GOLDEN

import hub2hf
from hub2hf.folder.about import read_proof, write_about
from hub2hf.folder.card import render_card
from hub2hf.folder.manifest import MANIFEST, read_manifest
from hub2hf.hub.plan import unproved
from hub2hf.known_models import CardFacts, KnownModel

TOKEN = "hf_" + "NobodyMaySeeThisToken" * 2
NAME = "tester/lealla"
IMPATIENT = "import sys, hub2hf.hub.client as c, hub2hf.cli; c.TIMEOUT = 1.0; hub2hf.cli.main()"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(token=TOKEN) as hub:
        yield hub


@pytest.fixture
def folder(verified: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(verified, tmp_path / "folder"))


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Push:
    """Runs the command in a process of its own, and sees that the token shows nowhere."""

    def __init__(self, hub: HubServer, folder: Path, cache: Path, forks: Forks) -> None:
        self.hub, self.folder, self.cache, self.forks = hub, folder, cache, forks

    def __call__(
        self, *options: str, name: str = NAME, code: str = "import hub2hf.cli; hub2hf.cli.main()", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {**self.hub.environment(self.cache), **environment}
        done = self.forks.run(code, "push", str(self.folder), name, *options, env=environment)
        published = [data for repository in self.hub.repositories.values() for data in repository.files().values()]
        for place in (done.stdout.encode(), done.stderr.encode(), *contents(self.folder).values(), *published):
            assert TOKEN.encode() not in place
        assert "Traceback" not in done.stderr
        return done

    @property
    def published(self) -> dict[str, bytes]:
        """What is on the branch main, without what the Hub itself puts there."""
        repository = self.hub.repositories.get(NAME)
        return {k: v for k, v in (repository.files() if repository else {}).items() if k != ".gitattributes"}

    def commits(self) -> int:
        return sum(request.path.startswith(f"/api/models/{NAME}/commit/") for request in self.hub.requests)


@pytest.fixture
def push(hub: HubServer, folder: Path, tmp_path: Path, forks: Forks) -> Push:
    return Push(hub, folder, tmp_path / "cache", forks)


def assert_refused(done: subprocess.CompletedProcess[str], *says: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.strip().count("\n") <= done.stderr.count("Trying again") + done.stderr.count("HTTP Error") * 2
    for text in says:
        assert text in done.stderr


class TestPublishing:
    def test_there_and_back_again(self, push: Push, tmp_path: Path) -> None:
        done = push()
        assert done.returncode == 0, done.stderr
        assert push.commits() == 1
        assert push.published == contents(push.folder)
        code = (
            "import sys; from huggingface_hub import snapshot_download; "
            f"snapshot_download('{NAME}'); print(snapshot_download('{NAME}', local_dir=sys.argv[1]))"
        )
        environment = push.hub.environment(push.cache)
        target = tmp_path / "downloaded"
        subprocess.run([sys.executable, "-c", code, target], env=environment, check=True, capture_output=True)
        assert {name: (target / name).read_bytes() for name in push.published} == push.published
        assert hub2hf.integrity(target) == {}
        report = hub2hf.verify(None, target, golden=GOLDEN)
        assert report.equivalent
        assert contents(push.folder).items() <= contents(target).items()
        verify = [sys.executable, "-m", "hub2hf", "verify", "--golden", str(GOLDEN), NAME, "--languages", "ja,th"]
        cached = subprocess.run(
            verify, env={**environment, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False
        )
        assert cached.returncode == 0, cached.stderr
        assert "EXACT: AutoModel, sentence-transformers" in cached.stdout
        assert "cached copy" in cached.stderr

    def test_the_examples_of_the_published_card_run(self, push: Push, tmp_path: Path) -> None:
        from test_card import run_each, snippets

        assert push().returncode == 0
        code = snippets(push.published["README.md"].decode())
        assert all(f'"{NAME}"' in snippet for snippet in code)
        assert len(run_each(code[:2], tmp_path, push.hub.environment(push.cache))) == 2

    def test_again_is_a_no_op_that_says_so(self, push: Push) -> None:
        push()
        done = push("--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["state"] == "unchanged"
        assert "nothing to do" in push().stdout
        assert push.commits() == 1

    def test_only_what_changed_is_committed_and_what_was_ours_goes(self, push: Push) -> None:
        push()
        repository = push.hub.repositories[NAME]
        manifest = json.loads(push.published[MANIFEST])
        manifest["files"]["4_Dense/config.json"] = {"bytes": 2, "sha256": "0"}
        manifest["files"]["notes.txt"] = {"bytes": 2, "sha256": "0"}  # but it was edited since
        foreign = {"notes.txt": b"theirs"}
        repository.write({MANIFEST: json.dumps(manifest).encode(), "4_Dense/config.json": b"{}", **foreign})
        found = json.loads(push("--json").stdout)
        changed = {file["name"]: file["change"] for file in found["files"] if file["change"] != "unchanged"}
        assert changed == {MANIFEST: "changed", "4_Dense/config.json": "deleted"}
        assert found["foreign"] == ["notes.txt"]
        assert push.published == contents(push.folder) | foreign

    def test_private(self, push: Push) -> None:
        assert push("--private").returncode == 0
        assert push.hub.repositories[NAME].private

    def test_private_into_a_public_repository_is_refused(self, push: Push) -> None:
        push.hub.create(NAME, private=False)
        assert_refused(push("--private"), "public")
        assert not push.published

    def test_a_pull_request(self, push: Push) -> None:
        push.hub.create("other/model", private=False)
        found = json.loads(push("--create-pr", "--json", "--message", "Exact", name="other/model").stdout)
        repository = push.hub.repositories["other/model"]
        assert [request.title for request in repository.pull_requests] == ["Exact"]
        assert found["url"].endswith("other/model/discussions/1")
        assert contents(push.folder).items() <= repository.files("refs/pr/1").items()
        assert not contents(push.folder).items() & repository.files("main").items()

    def test_the_same_pull_request_is_not_opened_again(self, push: Push) -> None:
        push.hub.create(NAME, private=False)
        first = json.loads(push("--create-pr", "--json").stdout)
        again = json.loads(push("--create-pr", "--json").stdout)
        assert (again["state"], again["url"]) == ("unchanged", first["url"])
        assert len(push.hub.repositories[NAME].pull_requests) == 1

    def test_a_card_edited_on_the_hub_is_told(self, push: Push) -> None:
        push()
        push.hub.repositories[NAME].write({"README.md": b"---\nlicense: mit\n---\nedited"})
        assert "edited since" in json.loads(push("--json").stdout)["notes"][0]

    def test_a_new_branch_of_what_is_there(self, push: Push) -> None:
        push()
        done = json.loads(push("--revision", "exact", "--json").stdout)
        assert done["created"] == ["branch exact"]
        assert {file["change"] for file in done["files"]} == {"unchanged"}
        assert push.hub.repositories[NAME].files("exact") == push.hub.repositories[NAME].files("main")

    @pytest.mark.parametrize("revision", ["..", "a b", "refs/pr/7", "0" * 40, "x.lock", "-x"])
    def test_no_branch(self, push: Push, revision: str) -> None:
        assert_refused(push(f"--revision={revision}"), revision)
        assert not push.hub.repositories

    def test_a_branch(self, push: Push) -> None:
        assert push("--revision", "exact").returncode == 0
        assert contents(push.folder).items() <= push.hub.repositories[NAME].files("exact").items()
        assert not push.published
        assert_refused(push("--revision", "exact", "--create-pr"), "main")

    def test_a_dry_run_touches_nothing(self, push: Push) -> None:
        before = contents(push.folder)
        done = push("--dry-run", "--private")
        assert done.returncode == 0
        assert f"to be created: private repository {NAME}" in done.stdout
        assert "model.safetensors" in done.stdout
        assert contents(push.folder) == before
        assert not push.hub.repositories
        assert {request.method for request in push.hub.requests} <= {"GET", "HEAD"}

    def test_a_dry_run_shows_what_changes_in_the_card(self, push: Push) -> None:
        push()
        push.hub.repositories[NAME].write({"README.md": b"---\nlicense: mit\n---\n# Old words\n"})
        out = push("--dry-run").stdout
        assert "-# Old words" in out
        assert "+# lealla-mini" in out


class TestProof:
    def test_an_unverified_folder_is_refused(self, push: Push) -> None:
        shutil.rmtree(push.folder)
        hub2hf.convert("lealla-mini", push.folder)
        assert_refused(push(), "no verification", "hub2hf verify SOURCE", "--allow-unverified")
        assert not push.hub.requests
        assert push("--allow-unverified").returncode == 0
        assert "**Unverified.**" in push.published["README.md"].decode()

    def test_a_verification_of_a_few_languages_is_none(self, push: Push) -> None:
        shutil.rmtree(push.folder)
        hub2hf.convert("lealla-mini", push.folder)
        assert hub2hf.verify(None, push.folder, golden=GOLDEN, languages=["de", "ja"]).equivalent
        assert_refused(push(), "covers 2 of its 109 languages")

    def test_a_failed_verification_is_none(self, push: Push) -> None:
        manifest = read_manifest(push.folder)
        proof = read_proof(push.folder, manifest)
        assert proof is not None
        rows = [replace(row, difference=0.9) for row in proof.rows]
        write_about(push.folder, manifest, replace(proof, rows=rows))
        assert_refused(push(), "not the same")

    def test_a_verification_of_one_way_of_loading_is_none(self, push: Push) -> None:
        shutil.rmtree(push.folder)
        hub2hf.convert("lealla-mini", push.folder)
        assert hub2hf.verify(None, push.folder, golden=GOLDEN, surfaces=["automodel"]).equivalent
        assert_refused(push(), "covers 0 of its 109 languages as sentence-transformers")

    def test_a_model_that_claims_no_language_is_proved_in_all(self, push: Push) -> None:
        manifest = read_manifest(push.folder)
        proof = read_proof(push.folder, manifest)
        assert proof is not None
        manifest = manifest.named(None)
        assert unproved(manifest, proof) == ""
        rows = [row for row in proof.rows if row.language in ("de", "traps")]
        assert "covers 1 of its 109 languages" in unproved(manifest, replace(proof, rows=rows))

    def test_a_language_without_sentences_is_not_asked_for(self, push: Push) -> None:
        """Push takes the proof of the languages that the project has, and the card says of the others that there is none."""
        manifest = read_manifest(push.folder)
        proof = read_proof(push.folder, manifest)
        assert proof is not None
        manifest = replace(manifest, model=KnownModel("own", "Own", card=CardFacts(languages=("de", "qu"))))
        rows = [row for row in proof.rows if row.language in ("de", "traps")]
        assert unproved(manifest, replace(proof, rows=rows)) == ""
        assert "Nothing was compared in qu," in render_card(manifest, replace(proof, rows=rows))
        assert "without de" in unproved(manifest, replace(proof, rows=[row for row in rows if row.language != "de"]))

    def test_a_link_is_refused(self, push: Push, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes((push.folder / "vocab.txt").read_bytes())
        (push.folder / "vocab.txt").unlink()
        (push.folder / "vocab.txt").symlink_to(tmp_path / "secret")
        assert_refused(push("--allow-unverified"), "vocab.txt is a link")

    def test_a_file_with_the_token_is_refused(self, push: Push) -> None:
        path = push.folder / "vocab.txt"
        kept = path.read_bytes()
        path.write_bytes(kept + TOKEN.encode())
        done = subprocess.run(
            [sys.executable, "-m", "hub2hf", "push", str(push.folder), NAME, "--allow-unverified"],
            env=push.hub.environment(push.cache),
            capture_output=True,
            text=True,
            check=False,
        )
        path.write_bytes(kept)
        assert_refused(done, "vocab.txt holds the token")
        assert TOKEN not in done.stderr
        assert not push.hub.repositories

    @pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "equivalence.json", "README.md"])
    def test_a_file_changed_since_is_refused(self, push: Push, name: str) -> None:
        with (push.folder / name).open("ab") as file:
            file.write(b" ")
        assert_refused(push(), name)
        assert not push.hub.requests

    def test_a_changed_file_may_be_published_deliberately(self, push: Push) -> None:
        with (push.folder / "config.json").open("ab") as file:
            file.write(b" ")
        assert "changed by hand, which the card says: config.json" in push("--allow-unverified", "--dry-run").stdout
        assert push("--allow-unverified").returncode == 0
        card = push.published["README.md"].decode()
        assert "**Unverified.**" in card
        assert "**Changed by hand since the conversion**: config.json" in card
        assert hub2hf.integrity(push.folder) == {}

    def test_a_missing_file_is_refused_always(self, push: Push) -> None:
        (push.folder / "vocab.txt").unlink()
        assert_refused(push("--allow-unverified"), "vocab.txt is not as hub2hf.json says: it is missing")


class TestFaults:
    @pytest.mark.parametrize(
        ("name", "environment", "says"),
        [
            (NAME, {"HF_TOKEN": "hf_wrong"}, "401"),
            ("stranger/lealla", {}, "403"),
            ("no such name", {}, "OWNER/NAME"),
            ("nobody", {}, "OWNER/NAME"),
            (NAME, {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
            (NAME, {"HF_ENDPOINT": "http://127.0.0.1:9"}, "connection to the Hub"),
        ],
    )
    def test_no_access(self, push: Push, name: str, environment: dict[str, str], says: str) -> None:
        assert_refused(push(name=name, **environment), says)
        assert not push.published

    def test_no_token(self, push: Push, tmp_path: Path) -> None:
        assert_refused(push(HF_TOKEN="", HF_HOME=str(tmp_path / "nobody")), "hf auth login")

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/commit/", 401),
            ("/commit/", 403),
            ("/commit/", 409),
            ("/commit/", 412),
            ("/preupload/", 403),
            ("/create", 403),
        ],
    )
    def test_an_answer_that_will_not_change(self, push: Push, path: str, status: int) -> None:
        push.hub.faults.append(Fault(path, "POST", status=status, times=math.inf))
        assert_refused(push(), str(status))
        assert not push.published

    @pytest.mark.parametrize(
        "fault",
        [
            Fault("/commit/", "POST", status=429, headers={"Retry-After": "0"}),
            Fault("/commit/", "POST", status=503),
            Fault("/commit/", "POST"),
            Fault("/commit/", "POST", after_handling=True),
            Fault("/commit/", "POST", status=504, after_handling=True),
            Fault("/create", "POST", after_handling=True),
            Fault("/storage/", "PUT", after_bytes=20_000),
            Fault("/storage/", "PUT", status=500),
            Fault("objects/batch", "POST", status=502, body="<html>"),
            Fault("validate-yaml", "POST", status=502, body="<html>"),
            Fault("/preupload/", "POST", status=429, headers={"Retry-After": "1"}),
            Fault("/tree/", "GET", status=500),
            Fault("/commit/", "POST", delay=3),
        ],
        ids=str,
    )
    def test_what_goes_by_itself(self, push: Push, fault: Fault) -> None:
        push.hub.faults.append(fault)
        done = push()
        assert done.returncode == 0, done.stderr
        assert fault.times == 0
        assert push.published == contents(push.folder)
        assert len(push.hub.repositories[NAME].commits) == 2  # that of the Hub, and one of ours

    def test_a_pull_request_is_not_opened_twice(self, push: Push) -> None:
        push.hub.create(NAME, private=False)
        push.hub.faults.append(Fault("/commit/", "POST", after_handling=True))
        found = json.loads(push("--create-pr", "--json").stdout)
        assert found["url"].endswith("/discussions/1")
        assert len(push.hub.repositories[NAME].pull_requests) == 1

    def test_a_failed_push_leaves_the_folder_as_it_was(self, push: Push) -> None:
        before = contents(push.folder)
        assert_refused(push(name="stranger/lealla"), "403")
        assert contents(push.folder) == before

    def test_weights_that_change_meanwhile_are_not_published(self, push: Push) -> None:
        weights = push.folder / "model.safetensors"
        changed = weights.read_bytes()[:-8] + b"\0" * 8
        push.hub.faults.append(Fault("/create", "POST", delay=0.1, meanwhile=lambda: weights.write_bytes(changed)))
        small = "import hub2hf.hub.plan as p, hub2hf.cli; p.LARGE = 0; hub2hf.cli.main()"
        push(code=small)
        assert changed not in push.published.values()

    def test_somebody_elses_commit_is_not_overwritten(self, push: Push) -> None:
        repository = push.hub.create(NAME, private=False)
        theirs = {"README.md": b"theirs"}
        push.hub.faults.append(Fault("/preupload/", "POST", delay=0.1, meanwhile=lambda: repository.write(theirs)))
        assert_refused(push(), "412", "Somebody else")
        assert push.published == theirs

    def test_a_server_down_for_good_is_an_error(self, push: Push) -> None:
        push.hub.faults.append(Fault("/commit/", "POST", status=503, times=math.inf))
        assert_refused(push(), "503", "Push again", "Trying again in 1 s")
        assert not push.published

    def test_a_server_that_asks_for_an_hour_is_an_error(self, push: Push) -> None:
        push.hub.faults.append(
            Fault("/preupload/", "POST", status=429, headers={"Retry-After": "3600"}, times=math.inf)
        )
        assert_refused(push(), "asks to wait 3600 s")

    @pytest.mark.parametrize("path", ["/api/models/", "/tree/", "/commit/"])
    def test_a_silent_server_is_an_error_or_waited_for(self, push: Push, path: str) -> None:
        push.hub.faults.append(Fault(path, delay=2.5))
        done = push(code=IMPATIENT)
        assert done.returncode == 0, done.stderr
        assert push.published == contents(push.folder)
        assert len(push.hub.repositories[NAME].commits) == 2

    def test_what_was_uploaded_before_a_failure_is_not_uploaded_again(self, push: Push) -> None:
        push.hub.faults.append(Fault("/commit/", "POST", status=403))
        assert_refused(push(), "403")
        uploads = sum(request.method == "PUT" for request in push.hub.requests)
        assert uploads > 0
        assert push().returncode == 0
        assert sum(request.method == "PUT" for request in push.hub.requests) == uploads
        assert push.published == contents(push.folder)
