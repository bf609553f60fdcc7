"""`make real` against a server that stands for tfhub.dev and for Kaggle: one verdict, whatever comes of each model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import real
from loopback import Served, serving
from references import EMBEDDED, GOLDEN
from sources_fixtures import packed

from hub2hf.equivalence.recording import Recording

Files = dict[str, Served]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """The files of one server that stands for both."""
    with serving() as (address, files):
        monkeypatch.setenv("HUB2HF_TFHUB_ENDPOINT", address)
        monkeypatch.setenv("HUB2HF_KAGGLE_ENDPOINT", address)
        yield files


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], str]:
    """Return a function from a name to a model of that name, as configs/models has them."""

    def make(name: str) -> str:
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f'title = "{name}"\naddress = "https://tfhub.dev/me/{name}/1"\nkaggle = "me/{name}/tensorFlow2/{name}/1"\n'
        )
        return str(path)

    return make


@pytest.fixture
def oracle(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an oracle of the embedded model, its entries changed by `change`."""

    def make(name: str, change: Callable[[dict[str, Any]], object] = lambda entry: None) -> Path:
        golden = Recording.load(GOLDEN)
        rows = zip(golden.sentences[:5], golden.ids, golden.embeddings, strict=False)
        entries = [{"text": s.text, "ids": ids, "embedding_first_16": v[:16].tolist()} for s, ids, v in rows]
        del entries[-1]["embedding_first_16"]
        change(entries[0])
        path = tmp_path / f"{name}-recorded.json"
        path.write_text(json.dumps(entries))
        return path

    return make


def on_tfhub(name: str) -> str:
    return f"/me/{name}/1?tf-hub-format=compressed"


def on_kaggle(name: str) -> str:
    return f"/api/v1/models/me/{name}/tensorFlow2/{name}/1/download"


def spoiled(old: bytes, new: bytes, tmp_path: Path) -> bytes:
    """Return an archive of the embedded model whose graph has an op of another name."""
    import shutil

    folder = Path(shutil.copytree(EMBEDDED, tmp_path / "spoiled"))
    graph = (folder / "saved_model.pb").read_bytes()
    assert old in graph
    (folder / "saved_model.pb").write_bytes(graph.replace(old, new))
    return packed(folder=folder)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, the JSON and what was said on the way."""
    code = real.main([*map(str, words), "--json", "--languages", "de"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out or "{}"), printed.err


def test_what_is_exact_is_exact_wherever_it_comes_from(
    network: Files,
    toml: Callable[[str], str],
    oracle: Callable[..., Path],
    tarball: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verified, verify = [], real._verify

    def first(outcome: real.Outcome, *given: Any) -> None:
        """Both have the same fingerprint: one is verified."""
        verified.append(outcome.model)
        if len(verified) == 1:
            verify(outcome, *given)
        else:
            (given[-1] / "two").mkdir()

    monkeypatch.setattr(real, "_verify", first)
    network[on_tfhub("one")] = Served(faults=[(302, {"Location": "/storage/one.tar.gz"})])
    network["/storage/one.tar.gz"] = Served(tarball)
    network[on_kaggle("two")] = Served(tarball)
    code, found, said = run(capsys, toml("one"), toml("two"), "--oracle", oracle("one"), "--out", tmp_path / "out")
    assert (code, found["verdict"]) == (0, "exact"), found
    assert [one["verdict"] for one in found["models"]] == ["exact", "exact"]
    assert [one["compared"] for one in found["models"]] == ["one-recorded.json: ids of 5 texts, embeddings of 4", ""]
    assert "  compared with one-recorded.json: ids of 5 texts" in (tmp_path / "out" / "real.txt").read_text()
    assert len({one["fingerprint"] for one in found["models"]}) == 1
    assert found["versions"]["tensorflow"] != "not installed"
    assert "fetch …" in said and "100 % of" in said
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept == {"one", "two", "real.json", "real.txt"}
    assert not list(tmp_path.glob("hub2hf-real-*")), "what was converted is removed"


def test_each_failure_is_told_and_stops_no_other(
    network: Files,
    toml: Callable[[str], str],
    tarball: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(real, "_verify", lambda *given: None)  # the other tests have it
    network[on_tfhub("cut")] = Served(tarball[: len(tarball) // 2])
    network[on_tfhub("refused")] = Served(spoiled(b"StaticRegexReplace", b"StaticRegexReplacX", tmp_path))
    network[on_tfhub("whole")] = Served(tarball)
    models = [toml(name) for name in ("absent", "cut", "refused", "whole")]
    code, found, _ = run(capsys, *models, "--out", tmp_path / "out")
    absent, cut, refused, whole = found["models"]
    assert (code, found["verdict"], whole["verdict"]) == (2, "unanswered", "exact")
    assert (absent["stage"], cut["stage"], refused["stage"]) == ("fetch", "fetch", "convert")
    assert "404" in absent["said"] and on_kaggle("absent") in absent["said"]
    assert "refused" in cut["said"] or "ends" in cut["said"] or "damaged" in cut["said"]
    assert "StaticRegexReplacX" in refused["said"]
    assert refused["graph"] == str(tmp_path / "out" / "refused.graph.pb")
    text = (tmp_path / "out" / "real.txt").read_text()
    assert "UNANSWERED: 1 of 4 models are exact" in text
    assert "refused.graph.pb attached" in text


def other_id(entry: dict[str, Any]) -> None:
    entry["ids"][1] += 1


def other_number(entry: dict[str, Any]) -> None:
    entry["embedding_first_16"][3] += 5e-6


def another_name(entry: dict[str, Any]) -> None:
    entry["embedding"] = entry.pop("embedding_first_16")


def test_embeddings_that_nobody_would_read_are_refused(
    oracle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert real.main(["one", "--oracle", str(oracle("one", another_name))]) == 2
    assert "has embeddings under another name: embedding. Its form is [" in capsys.readouterr().err


def other_vocabulary(entry: dict[str, Any]) -> None:
    entry["ids"][1] = 486_845


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (other_id, 1, "other ids than recorded from piece 1 on"),
        (other_number, 1, "differs from that recorded by 5."),
        (other_vocabulary, 2, "another vocabulary: it has the id 486845"),
    ],
)
def test_an_oracle_that_disagrees(
    change: Callable[[dict[str, Any]], None],
    code: int,
    said: str,
    network: Files,
    toml: Callable[[str], str],
    oracle: Callable[..., Path],
    tarball: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(real, "_verify", lambda *given: None)  # the other tests have it
    network[on_tfhub("one")] = Served(tarball)
    found = run(capsys, toml("one"), "--oracle", oracle("one", change))
    (one,) = found[1]["models"]
    assert (found[0], one["stage"]) == (code, "oracle")
    assert said in one["said"]


def test_what_is_different_is_different(
    network: Files,
    toml: Callable[[str], str],
    tarball: bytes,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder that is spoiled between its conversion and its verification."""
    network[on_tfhub("one")] = Served(tarball)
    honest = real._convert

    def careless(outcome: real.Outcome, folder: Path) -> None:
        honest(outcome, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))

    monkeypatch.setattr(real, "_convert", careless)
    code, found, _ = run(capsys, toml("one"))
    assert (code, found["verdict"], found["models"][0]["stage"]) == (1, "different", "verify")
    assert "NOT THE SAME: AutoModel, sentence-transformers" in found["models"][0]["said"]


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1]", '[{"text": "a"}]', '[{"text": "a", "ids": ["x"]}]'])
def test_an_oracle_that_is_none_is_told_before_anything_is_fetched(
    content: str, toml: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.json").write_text(content)
    assert run(capsys, toml("one"), "--oracle", tmp_path / "one.json")[0] == 2


def test_an_oracle_of_no_model_is_told(
    toml: Callable[[str], str], oracle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = run(capsys, toml("one"), "--oracle", oracle("another"))
    assert (code, "named after none" in said) == (2, True)
