"""`inspect` of a model that is refused: all that was read, everything that was not understood, the one error last."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from foreign_recipes import Recipe, build
from other_kinds import Encoder, Words, save

import hub2hf
from hub2hf.blueprint.refused.diagnosis import Diagnosis
from hub2hf.blueprint.refused.kinds import KNOWN
from hub2hf.errors import Hub2HFError


def diagnosed(folder: Path) -> Diagnosis:
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.inspect(folder)
    return hub2hf.diagnose(refusal.value, folder)


def read(found: Diagnosis, question: str) -> list[str]:
    return [item.value for item in found.read if item.question == question]


def said(found: Diagnosis, question: str) -> str:
    return "\n".join(item.problem for item in found.not_understood if item.question == question)


def test_everything_else_is_read_of_a_text_model(tmp_path: Path) -> None:
    folder = build(tmp_path / "model", Recipe(twists=frozenset(["relative"]), layers=2, hidden=16, epsilon=1e-6)).folder
    found = diagnosed(folder)
    assert read(found, "entry points") == ["default: text string [?] → default float32 [?, 16]"]
    assert read(found, "output") == ["default of default"]
    assert any(r"\\p{Han}+" in value for value in read(found, "text"))
    assert read(found, "vocabulary") == ["vocab.txt: 5,516 lines"]
    assert read(found, "variables") == ["39 reach the output; 39 are named as in BERT"]
    assert read(found, "layers") == ["2"]
    assert read(found, "attention heads") == ["4"]
    assert read(found, "hidden size") == ["16"]
    assert read(found, "LayerNorm epsilon") == ["1e-06"]
    assert read(found, "hidden activation") == ["gelu_tanh"]
    assert read(found, "pooling") == ["the first token; a dense layer follows"]
    assert "distance of tokens" in said(found, "kind")
    assert "stage 'layer 0'" in said(found, "reading")
    assert not said(found, "operations")


def test_each_thing_that_is_not_understood_is_told(tmp_path: Path) -> None:
    found = diagnosed(save(tmp_path / "model", Encoder("albert", "plain_mean", "causal")))
    kinds = said(found, "kind")
    for part in ("embedding projection, from 8 to 16", "one layer, whose weights", "(causal)", "mean pooling"):
        assert part in kinds
    assert read(found, "embeddings") == ["looked up by ids, 8 wide"]
    assert read(found, "variables") == ["25 reach the output; 25 are named as in ELECTRA of TensorFlow Model Garden"]


def test_high_ids_are_rows_of_the_diagnosis_too(tmp_path: Path) -> None:
    found = diagnosed(save(tmp_path / "model", Encoder("high")))
    assert read(found, "layers") == ["2"]
    assert not said(found, "encoder")


def test_a_name_of_no_family_is_told(tmp_path: Path) -> None:
    found = diagnosed(save(tmp_path / "model", Encoder("talking")))
    assert "transformer/layer_0/pre_softmax [4, 4] is named as in no family" in read(found, "variables")


def test_every_operation_that_is_not_understood_is_told_with_its_nodes(tmp_path: Path) -> None:
    from hub2hf.interpreter.registry import OPERATIONS

    kept = {name: OPERATIONS.pop(name) for name in ("Softmax", "Tanh", "StaticRegexReplace")}
    try:
        folder = build(tmp_path / "model", Recipe(layers=1, hidden=16)).folder
        found = diagnosed(folder)
    finally:
        OPERATIONS.update(kept)
    for op, node in (("Softmax", "Softmax"), ("Tanh", "Tanh"), ("StaticRegexReplace", "StaticRegexReplace")):
        assert f"The operation {op} is not understood: node '{node}" in said(found, "operations")
    assert read(found, "vocabulary") == ["vocab.txt: 5,516 lines"]


def test_an_ambiguous_output_does_not_end_the_questions(tmp_path: Path) -> None:
    found = diagnosed(save(tmp_path / "model", Encoder("heads")))
    assert "'passage' [?, 16], 'query' [?, 16]" in said(found, "output")
    assert read(found, "layers") == ["2"]


def test_a_graph_only_file_gives_the_same_diagnosis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB2HF_CACHE", str(tmp_path / "cache"))
    folder = save(tmp_path / "model", Encoder("talking", "no_pooler"))
    hub2hf.graph_only(folder, tmp_path / "graph.zip")
    assert diagnosed(folder).as_json() == diagnosed(tmp_path / "graph.zip").as_json()


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_it_and_ends_with_one_error(as_json: bool, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", Words(deep=False))
    command = [sys.executable, "-m", "hub2hf", "inspect", folder, *(["--json"] if as_json else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"hub2hf: This is no {KNOWN} encoder")
    if as_json:
        found = json.loads(done.stdout)
        assert {"read", "not_understood", "error"} <= found.keys()
        assert f"hub2hf: {found['error']}\n" == done.stderr
        assert found["read"]["variables"][0]["value"].startswith("1 reach the output")
        assert any("no attention" in item["problem"] for item in found["not_understood"])
    else:
        assert "--graph-only" in done.stdout
        assert "not understood" in done.stdout
