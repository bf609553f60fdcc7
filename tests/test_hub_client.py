"""What a push would send and what it says of errors, without a Hub: no file too many, and the token nowhere."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import get_session

from hub2hf import patience
from hub2hf.errors import ExportError, HubError
from hub2hf.folder.manifest import MANIFEST, listed, read_manifest
from hub2hf.hub import client
from hub2hf.hub.plan import check_folder, check_names, plan
from hub2hf.hub.push import _additions
from hub2hf.hub.repository import RemoteFile, Repository, card_diff, holds

TOKEN = "hf_" + "NobodyMaySeeThisToken" * 2
NAME = "tester/model"


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(converted, tmp_path / "folder"))


def raising(*errors: Exception, result: str = "done") -> Callable[[], str]:
    waiting = list(errors)

    def action() -> str:
        if waiting:
            raise waiting.pop(0)
        return result

    return action


class TestFiles:
    def test_exactly_those_of_the_manifest_are_sent(self, folder: Path) -> None:
        names = {MANIFEST, *read_manifest(folder).files}
        (folder / "private_notes.txt").write_text("mine")
        (folder / "1_Pooling" / "secret.bin").write_bytes(b"mine")
        ready = check_folder(folder, NAME, allow_unverified=True)
        assert set(ready.contents) == names
        assert {operation.path_in_repo for operation in _additions(ready)} == names
        assert set(ready.files) == names - {MANIFEST}

    def test_what_is_not_proved_is_refused(self, folder: Path) -> None:
        with pytest.raises(ExportError, match="no verification"):
            check_folder(folder, NAME, allow_unverified=False)
        assert not check_folder(folder, NAME, allow_unverified=True).verified

    def test_what_changed_since_it_was_checked_is_not_sent(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hub2hf.hub.plan.LARGE", 100_000)  # the weights are read while they are sent
        ready = check_folder(folder, NAME, allow_unverified=True)
        weights = folder / "model.safetensors"
        assert ready.contents["model.safetensors"] == weights
        weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
        with pytest.raises(ExportError, match="changed since it was checked"):
            _additions(ready)

    def test_a_changed_file_needs_a_word_and_the_token_is_never_sent(self, folder: Path) -> None:
        path = folder / "vocab.txt"
        path.write_bytes(path.read_bytes() + b"\n")
        with pytest.raises(ExportError, match=r"vocab\.txt is not as hub2hf\.json says: it has"):
            check_folder(folder, NAME, allow_unverified=False)
        path.write_bytes(path.read_bytes() + TOKEN.encode())
        with pytest.raises(ExportError, match="holds the token") as told:
            check_folder(folder, NAME, allow_unverified=True)
        assert TOKEN not in str(told.value)


class TestErrors:
    @pytest.mark.parametrize(
        "error",
        [
            ValueError(f"the header was Bearer {TOKEN}"),
            ConnectionError(f"https://hub/api?x={TOKEN} broke"),
            OSError(f"{TOKEN}"),
        ],
    )
    def test_have_no_token_in_them(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
        said: list[str] = []
        with pytest.raises(HubError) as told:
            client.patiently(raising(*[error] * 9), NAME, said.append)
        assert not [text for text in (str(told.value), *said) if TOKEN in text]
        assert told.value.__cause__ is None

    def test_have_no_signed_address_and_no_password_in_them(self) -> None:
        line = client._line("Cannot reach https://me:word@host/a/b?X-Amz-Signature=0123 today.")
        assert line == "Cannot reach https://host/a/b today"

    def test_nor_has_what_the_client_logs(self) -> None:
        record = logging.LogRecord("huggingface_hub", 30, "f", 1, "sent %s", (TOKEN,), None)
        assert client._Redacted().filter(record)
        assert record.getMessage() == "sent hf_…"

    @pytest.mark.parametrize(("status", "again"), [(401, False), (404, False), (409, False), (429, True), (503, True)])
    def test_say_whether_they_may_go_by_themselves(self, status: int, again: bool) -> None:
        response = SimpleNamespace(status_code=status, headers={"Retry-After": "7"})
        error = client._answered(SimpleNamespace(response=response, server_message="No."), NAME)
        assert (error.passing, error.status, error.retry_after) == (again, status, 7.0)
        assert f"answered {status} for {NAME}: No." in error.problem


class TestPatience:
    def test_what_passes_is_tried_again_after_longer_and_longer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        monkeypatch.setattr(patience.time, "sleep", waits.append)
        passing = HubError("Down.", "Push again.", passing=True)
        assert client.patiently(raising(passing, passing, passing), NAME, lambda line: None) == "done"
        assert waits == [1.0, 2.0, 4.0]

    def test_the_hub_is_waited_for_as_long_as_it_asks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        monkeypatch.setattr(patience.time, "sleep", waits.append)
        busy = HubError("Busy.", "Wait.", passing=True, retry_after=9.0)
        assert client.patiently(raising(busy), NAME, lambda line: None) == "done"
        assert waits == [9.0]

    def test_a_no_is_not_asked_again_and_an_end_comes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        monkeypatch.setattr(patience.time, "sleep", waits.append)
        with pytest.raises(HubError, match="No"):
            client.patiently(raising(HubError("No.", "Ask.")), NAME, lambda line: None)
        assert waits == []
        with pytest.raises(HubError, match="Down"):
            client.patiently(raising(*[HubError("Down.", "x", passing=True)] * 9), NAME, lambda line: None)
        assert len(waits) == client.PATIENCE.attempts - 1

    def test_a_name_that_leads_nowhere_is_soon_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        monkeypatch.setattr(patience.time, "sleep", waits.append)

        ask = partial(type(get_session())().get, "http://hub.invalid/")  # no name of .invalid leads anywhere (RFC 6761)
        with pytest.raises(HubError, match="broke"):
            client.patiently(ask, NAME, lambda line: None)
        assert waits == [1.0]

    def test_what_was_carried_out_is_not_done_twice(self) -> None:
        lost = HubError("Lost.", "Push again.", passing=True)
        assert client.patiently(raising(lost), NAME, lambda line: None, lambda: "was done") == "was done"

    def test_a_request_without_an_end_gets_one(self) -> None:
        request = SimpleNamespace(extensions={"timeout": {"read": None, "connect": 5.0}})
        client._limit(request)
        assert request.extensions["timeout"] == {"connect": 5.0, **dict.fromkeys(("read", "write", "pool"), 60.0)}
        client._refuse_long_waits(SimpleNamespace(status_code=200, headers={}))
        with pytest.raises(HubError, match="wait 3600 s"):
            client._refuse_long_waits(SimpleNamespace(status_code=429, headers={"Retry-After": "3600"}))


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class TestComparing:
    @pytest.mark.parametrize("large", [False, True])
    def test_a_file_there_is_told_by_its_hash(self, large: bool, tmp_path: Path) -> None:
        data = b"what is there"
        there = RemoteFile(len(data), hashlib.sha256(data).hexdigest() if large else "", blob(data))
        (tmp_path / "file").write_bytes(data)
        for content, same in ((data, True), (tmp_path / "file", True), (b"what is THERE", False), (data[:-1], False)):
            assert there.holds(content) == same
        assert holds({"a": there, "b": there}, {"a": data})
        assert not holds({"b": there}, {"a": data})

    def test_only_what_was_ours_and_is_as_we_left_it_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = b"old"
        entry = {"bytes": 3, "sha256": hashlib.sha256(data).hexdigest()}
        there = RemoteFile(3, entry["sha256"], "")
        other = RemoteFile(3, "1" * 64, "")
        names = {"gone": there, "edited": other, "foreign": there, ".gitattributes": there, "kept": there}
        target = Repository(NAME, "main", True, False, "1", "1", names)
        texts = {
            MANIFEST: '{"files": {"gone": %s, "edited": %s, "kept": %s}}'.replace("%s", str(entry).replace("'", '"'))
        }
        monkeypatch.setattr("hub2hf.hub.plan.text_of", lambda api, repository, name: texts.get(name, ""))
        contents: dict[str, Any] = {"kept": data, "README.md": b"# Card"}
        found = plan(None, target, contents)  # type: ignore[arg-type]
        assert {change.name: change.change for change in found.changes} == {
            "kept": "unchanged",
            "README.md": "new",
            "gone": "deleted",
        }
        assert found.foreign == ["edited", "foreign"]
        assert not found.unchanged

    def test_a_manifest_that_is_none_lists_nothing(self) -> None:
        for text in ("", "[]", "{}", '{"files": 3}', '{"files": {"a": 1}}', "[" * 100_000):
            assert listed(text) == {}
        assert listed('{"files": {"a": {"bytes": 1}}}') == {}

    def test_a_diff_goes_from_there_to_here(self) -> None:
        assert card_diff("old", "new").splitlines()[3:] == ["-old", "+new"]

    @pytest.mark.parametrize("name", ["nobody", "a/b/c", "a b/c", "/b"])
    def test_names_that_are_none(self, name: str) -> None:
        check_names(NAME, "exact/1")
        with pytest.raises(HubError, match="OWNER/NAME"):
            check_names(name, "main")

    @pytest.mark.parametrize("branch", ["..", "a b", "x.lock", "-x", "a//b", "0" * 40, "a/"])
    def test_branches_that_are_none(self, branch: str) -> None:
        with pytest.raises(HubError, match="branch"):
            check_names(NAME, branch)
