"""Graph-only files: what they hold, what they lack, and that they are read as the SavedModel itself."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from references import EMBEDDED, VOCABULARY, Pair, Reference

import hub2hf
from hub2hf.errors import CheckpointError, Hub2HFError, SourceError
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.original import Original
from hub2hf.savedmodel.stripped import stripped


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB2HF_CACHE", str(tmp_path_factory.mktemp("cache")))


def facts(source: Path, **beside: Path) -> dict[str, object]:
    found = hub2hf.facts(hub2hf.inspect(source, **beside))
    return {key: value for key, value in found.items() if key != "absent"}


def test_it_is_read_as_the_model_itself(variant: Reference, tmp_path: Path) -> None:
    file = tmp_path / "graph.zip"
    written = hub2hf.graph_only(variant.folder, file)
    assert written["bytes"] == file.stat().st_size < 150_000
    assert facts(file) == facts(variant.folder)
    absent = hub2hf.inspect(file).absent
    assert any(line.startswith("the values of") for line in absent)
    assert any(line.startswith("asset vocab.txt: 5516 lines") for line in absent)


def test_neither_weights_nor_vocabulary_are_in_it(tmp_path: Path) -> None:
    hub2hf.graph_only(EMBEDDED, tmp_path / "graph.zip")
    with zipfile.ZipFile(tmp_path / "graph.zip") as archive:
        whole = b"".join(map(archive.read, archive.namelist()))
        lines = archive.read("assets/vocab.txt").split(b"\n")
    checkpoint = SavedModel.open(EMBEDDED).checkpoint
    for name, variable in checkpoint.variables.items():
        assert variable.nbytes < 8 or checkpoint.read(name).tobytes()[:32] not in whole
    real = VOCABULARY.read_bytes().split(b"\n")
    assert len(lines) == len(real)
    assert {line for line in lines if line} == {b"[PAD]", b"[UNK]", b"[CLS]", b"[SEP]", b"[MASK]", b"A"}
    assert all(line in (b"", same) for line, same in zip(lines, real, strict=True))


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        hub2hf.graph_only(EMBEDDED, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", ["cased", "uncased"])
def test_what_stands_beside_comes_along(name: str, pair: Callable[[str], Pair], tmp_path: Path) -> None:
    encoder, preprocessor = pair(name).encoder, pair(name).preprocessor
    hub2hf.graph_only(encoder, tmp_path / "both.zip", preprocessor=preprocessor)
    assert facts(tmp_path / "both.zip") == facts(encoder, preprocessor=preprocessor)
    hub2hf.graph_only(encoder, tmp_path / "alone.zip")
    assert facts(tmp_path / "alone.zip") == facts(encoder)


def test_a_vocabulary_that_stands_alone_comes_along(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    encoder = pair("listed").encoder
    hub2hf.graph_only(encoder, tmp_path / "graph.zip", vocab=VOCABULARY)
    found, wanted = facts(tmp_path / "graph.zip"), facts(encoder, vocab=VOCABULARY)
    assert found == wanted


def test_no_verb_that_needs_weights_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "graph.zip"
    hub2hf.graph_only(EMBEDDED, file)
    calls: list[Callable[[], object]] = [
        lambda: hub2hf.convert(file, tmp_path / "out"),
        lambda: hub2hf.record(file, tmp_path / "golden"),
        lambda: hub2hf.graph_only(file, tmp_path / "again.zip"),
    ]
    for call in calls:
        with pytest.raises(SourceError, match=r"graph\.zip is a graph-only file: it has no weights"):
            call()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.zip"]


def _constants(*values: np.ndarray) -> tuple[object, list[dict[str, object]]]:
    """Return a MetaGraphDef of constants after what is large was taken out, and what was."""
    import tensorflow as tf

    from hub2hf.savedmodel.stripped import _take_out

    proto = messages.new("MetaGraphDef")
    for i, value in enumerate(values):
        node = proto.graph_def.node.add(name=f"c{i}", op="Const")
        node.attr["value"].tensor.ParseFromString(tf.make_tensor_proto(value).SerializeToString())
    return proto, list(_take_out(proto, frozenset([b"[CLS]"])))


def test_large_constants_are_taken_out_and_told() -> None:
    from hub2hf.savedmodel.attributes import decode_tensor

    weights = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
    mask = np.tril(np.ones((40, 40), np.float32))
    words = np.asarray([b"[CLS]", *(f"piece{i}".encode() for i in range(2000))], object)
    points, short = np.arange(5000, dtype=np.int32), np.asarray([b"[^a]"], object)
    proto, told = _constants(weights, mask, words, points, short)
    assert [(item["node"], item["dtype"], item["shape"]) for item in told] == [
        ("c0", "float32", [20, 8]),
        ("c2", "string", [2001]),
    ]
    found = [decode_tensor(node.attr["value"].tensor, "c") for node in proto.graph_def.node]  # type: ignore[attr-defined]
    assert not found[0].any()
    assert np.array_equal(found[1], mask)
    assert found[2].tolist() == [b"[CLS]"] + [b""] * 2000
    assert np.array_equal(found[3], points)
    assert found[4].tolist() == [b"[^a]"]


DAMAGES: dict[str, tuple[str, bytes]] = {
    "no JSON": ("graph-only.json", b"{"),
    "another format": ("graph-only.json", b'{"format": "9"}'),
    "a list": ("graph-only.json", b"[]"),
    "assets of another kind": (
        "graph-only.json",
        b'{"format": "hub2hf graph only 1", "assets": 3, "constants": [], "variables": 1, "nbytes": 1}',
    ),
    "no numbers": (
        "graph-only.json",
        b'{"format": "hub2hf graph only 1", "assets": {}, "constants": [3], "variables": "x", "nbytes": null}',
    ),
    "deep": ("graph-only.json", b"[" * 100_000),
    "kept is no base64": ("variables/kept.json", b'{"a": "%"}'),
    "kept is a number": ("variables/kept.json", b"7"),
    "kept is nothing": ("variables/kept.json", b""),
    "cut index": ("variables/variables.index", b"abc"),
    "cut graph": ("saved_model.pb", b"abc"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_one_error(name: str, tmp_path: Path) -> None:
    files = stripped(Original(EMBEDDED)).files
    member, data = DAMAGES[name]
    with zipfile.ZipFile(tmp_path / "graph.zip", "w") as archive:
        for each, content in {**files, member: data}.items():
            archive.writestr(each, content)
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.inspect(tmp_path / "graph.zip")
    assert member.rpartition("/")[2] in str(refusal.value)


def test_values_are_not_made_up(tmp_path: Path) -> None:
    hub2hf.graph_only(EMBEDDED, tmp_path / "graph.zip")
    from hub2hf.sources import resolve

    checkpoint = SavedModel.open(resolve(tmp_path / "graph.zip")).checkpoint
    with pytest.raises(CheckpointError, match="graph-only file has no values"):
        checkpoint.read("student_bert/pooler/dense/bias")


def test_what_it_claims_is_bounded(tmp_path: Path) -> None:
    from hub2hf.limits import MAX_CLAIMED_BYTES
    from hub2hf.sources import resolve

    hub2hf.graph_only(EMBEDDED, tmp_path / "graph.zip")
    model = SavedModel.open(resolve(tmp_path / "graph.zip"))
    stored = sum(variable.nbytes for variable in model.checkpoint.variables.values())
    assert stored < stored + model.graph_bytes == model.nbytes < MAX_CLAIMED_BYTES
    huge = {"x": type("V", (), {"nbytes": 1 << 60})()}
    model.checkpoint.variables = huge  # type: ignore[assignment]
    assert model.nbytes == MAX_CLAIMED_BYTES


def test_the_command_writes_it_and_says_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    from hub2hf.cli import main

    for arguments in ([], ["--force", "--json"]):
        sys.argv = ["hub2hf", "inspect", "lealla-mini", "--graph-only", str(tmp_path / "graph.zip"), *arguments]
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
        said = capsys.readouterr().out
        if arguments:
            assert json.loads(said)["model"]["variables"] == 56
        else:
            assert "the values of 56 variables" in said
            assert "graph.zip: " in said.replace("\n", "")
