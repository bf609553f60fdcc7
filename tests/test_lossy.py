"""Coarser numbers: what they are, what they lose, and that a folder which loses more than it may is not written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import shared
import torch
from onnx import numpy_helper
from references import GOLDEN
from safetensors.numpy import load_file, save_file
from transformers import AutoTokenizer, BertModel

import hub2hf
from hub2hf.architectures.base import Architecture
from hub2hf.equivalence.sentences import Sentence, language_sentences
from hub2hf.equivalence.translations import translations_found
from hub2hf.errors import ExportError
from hub2hf.folder.manifest import problems, read_manifest
from hub2hf.hub.plan import unproved
from hub2hf.onnx.export import write_onnx
from hub2hf.onnx.graph import OnnxGraph
from hub2hf.onnx.layers import activation, layer_norm
from hub2hf.onnx.model import Model, value_info
from hub2hf.onnx.precision import Precision
from hub2hf.onnx.reach import reaches
from hub2hf.onnx.weights import WeightFile
from hub2hf.proof.limits import Limits
from hub2hf.proof.summary import summary
from hub2hf.retrieval import slim as slimming
from hub2hf.surfaces import embed

KINDS = {
    "float16": {"dtype": "float16"},
    "bfloat16": {"dtype": "bfloat16"},
    "rows": {"embeddings": "int8"},
    "int8": {"int8": True},
    "int8-de-ja": {"int8": True, "languages": ["de", "ja"]},
}
TEXTS = [text for _, text in language_sentences()][:64]


@pytest.fixture(scope="module")
def exact(exported: Path) -> Path:
    """Return the embedded model, converted with its ONNX file; not to be changed."""
    return exported


@pytest.fixture(scope="module")
def lossy(exact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a folder of each kind; not to be changed."""

    def make(folder: Path) -> None:
        for name, asked in KINDS.items():
            hub2hf.slim(exact, folder / name, **asked)  # type: ignore[arg-type]

    return shared.made_once(tmp_path_factory, "lossy", make)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_within_its_limits_and_can_be_published(lossy: Path, kind: str, tmp_path: Path) -> None:
    folder = shutil.copytree(lossy / kind, tmp_path / kind)
    manifest = read_manifest(folder)
    assert manifest.lossy is not None
    assert len({row["language"] for row in manifest.lossy["rows"]}) > 30
    assert all(row["difference"] > 1e-6 for row in manifest.lossy["rows"])
    assert manifest.lossy["bytes"]["here"] < 0.65 * manifest.lossy["bytes"]["whole"]
    assert "no verification" in unproved(manifest, None)
    report = hub2hf.verify(None, folder, golden=GOLDEN)
    assert report.equivalent
    assert summary(report).startswith("LOSSY, WITHIN ITS LIMITS: ")
    assert not any(row.exact for row in report.rows)
    assert unproved(manifest, report) == ""
    assert problems(folder, read_manifest(folder)) == {}
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"> **Lossy**: {manifest.lossy['said']}" in card
    assert "Within its limits" in card
    assert "## What was lost" in card
    assert "Exactly the original" not in card
    assert "it is the same function" not in card


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_the_weights_rounded_and_stock_classes_load_them(exact: Path, lossy: Path, dtype: str) -> None:
    numbers = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[dtype]
    before, after = (WeightFile(folder / "model.safetensors") for folder in (exact, lossy / dtype))
    assert list(before) == list(after)
    for key in (key for key in before if np.prod(before.shape(key))):  # the notice holds no numbers
        assert np.array_equal(after.read(key), before.read(key).astype(numbers)), key
    ways = [embed(way, lossy / dtype, TEXTS).embeddings for way in ("automodel", "sentence-transformers", "onnx")]
    assert np.abs(ways[0] - ways[2]).max() < 2e-6  # all compute in float32
    assert (
        np.abs(ways[0] - ways[1]).max() < {"float16": 2e-3, "bfloat16": 2e-2}[dtype]
    )  # whose dense modules stay whole


def test_rows_in_int8_are_those_of_a_table_that_was_rounded(exact: Path, lossy: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(exact / name, tmp_path / name)
    weights = load_file(exact / "model.safetensors")
    table = weights[Architecture.word_table]
    parts = table.reshape(-1, 16)
    scale = np.abs(parts).max(axis=1, keepdims=True) / np.float32(127)
    scale[scale == 0] = 1
    weights[Architecture.word_table] = (np.rint(parts / scale).astype(np.int8) * scale).reshape(table.shape)
    save_file(weights, tmp_path / "model.safetensors")
    write_onnx(tmp_path)
    found, expected = (embed("onnx", folder, TEXTS).embeddings for folder in (lossy / "rows", tmp_path))
    assert np.abs(found - expected).max() < 2e-6
    assert not (lossy / "rows" / "model.safetensors").exists()
    assert "auto_map" not in json.loads((lossy / "rows" / "config.json").read_text())


@pytest.mark.parametrize("kind", ["Identity", "LayerNormalization", "Gelu"])
@pytest.mark.parametrize("calibrated", [False, True])
def test_a_product_in_int8_is_that_of_rounded_numbers(tmp_path: Path, kind: str, calibrated: bool) -> None:
    rng = np.random.default_rng(3)
    given, weight = rng.normal(0, 3, (2, 5, 48)).astype(np.float32), rng.normal(0, 1, (32, 48)).astype(np.float32)
    given[0, 0], weight[3] = 0, 0
    scale, shift = rng.uniform(0.5, 2, 48).astype(np.float32), rng.normal(0, 0.5, 48).astype(np.float32)
    scale[7], shift[7], shift[9] = 15, -30, 40
    save_file({"a.weight": weight, "n.weight": scale, "n.bias": shift}, tmp_path / "model.safetensors")
    normal = (given - given.mean(-1, keepdims=True)) / np.sqrt(given.var(-1, keepdims=True) + 1e-12)
    gelu = 0.5 * given * (1 + np.tanh(np.sqrt(2 / np.pi) * (given + 0.044715 * given**3)))
    x = {"Identity": given, "LayerNormalization": normal * scale + shift, "Gelu": gelu}[kind].astype(np.float32)
    lowest, highest, mean = met = np.stack([reduce(x, (0, 1)) for reduce in (np.min, np.max, np.mean)])
    name = "x" if kind == "Identity" else f"n/{kind}"
    weights = WeightFile(tmp_path / "model.safetensors")
    graph = OnnxGraph(weights, Precision(matrices=True), reaches={name: met} if calibrated else {})
    if kind == "LayerNormalization":
        layer_norm(graph, "x", "n", 1e-12)
    elif kind == "Gelu":
        activation(graph, "x", "gelu_pytorch_tanh", "n")
    graph.op("Identity", graph.product(name, "a.weight", "a"), at="out", output="y")
    inputs, outputs = [value_info("x", "float32", ["b", "l", 48])], [value_info("y", "float32", ["b", "l", 32])]
    data = b"".join(Model(graph, inputs, outputs, "").model_pieces())
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    (found,) = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": given})

    base, even, steps = np.float32(0), np.ones(48, np.float32), 127
    if calibrated and kind == "LayerNormalization":
        even = np.sqrt((highest - lowest) / 2)
        base, even = (lowest + highest) / 2, even / even.mean()
    elif calibrated and kind == "Gelu":
        base, steps = np.float32(-0.1701), 255
    rounded, taken = (x - base) / even, weight * even
    by_row, by_token = (np.maximum(np.abs(a).max(-1, keepdims=True), 1e-30) for a in (taken, rounded))
    by_row, by_token = by_row / np.float32(63), by_token / np.float32(steps)
    kept = np.rint(taken / by_row) * by_row
    expected = (np.rint(rounded / by_token) * by_token) @ kept.T
    if calibrated:
        expected += mean @ weight.T - ((mean - base) / even) @ kept.T
    exact = x @ weight.T
    noise = np.abs(expected - exact).mean() / np.abs(exact).mean()
    assert np.abs(found - expected).max() < 5e-6 * np.abs(exact).mean()
    assert (noise < 0.004) == (calibrated and kind == "LayerNormalization")


def test_what_products_meet_is_measured_on_texts(lossy: Path, exact: Path, tmp_path: Path) -> None:
    """With PyTorch as the witness; and the int8 file is made with it."""
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copyfile(exact / name, tmp_path / name)
    texts = [text for _, text in language_sentences()]
    measured = reaches(tmp_path, texts)
    tokenizer, model = AutoTokenizer.from_pretrained(exact), BertModel.from_pretrained(exact)
    first = model.encoder.layer[1].output.LayerNorm
    met: list[np.ndarray] = []
    first.register_forward_hook(lambda module, given, made: met.append(made[0].detach().numpy()))
    with torch.inference_mode():
        for text in texts:
            model(**tokenizer(text, return_tensors="pt", truncation=True))
    lowest, highest, mean = measured["encoder.layer.1.output.LayerNorm/LayerNormalization"]
    assert np.abs(lowest - np.min([tokens.min(0) for tokens in met], 0)).max() < 1e-4
    assert np.abs(highest - np.max([tokens.max(0) for tokens in met], 0)).max() < 1e-4
    assert np.abs(mean - np.mean([tokens.mean(0) for tokens in met], 0)).max() < 1e-4
    kept = {each.name: each for each in onnx.load(lossy / "int8" / "onnx" / "model.onnx").graph.initializer}
    base = {name.removesuffix(".Sub") for name in kept if name.endswith(".Sub")}
    assert len(base) == 9  # of three layers: what comes before attention, before the intermediate layer, and after that
    moved = numpy_helper.to_array(kept["encoder.layer.1.output.LayerNorm/LayerNormalization.Sub"])
    assert np.abs(moved - (lowest + highest) / 2).max() < 1e-5


def test_layers_that_share_a_weight_have_it_rounded_each_for_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    weight = rng.normal(0, 1, (8, 16)).astype(np.float32)
    save_file(
        {"a.weight": weight, "n.weight": np.ones(16, np.float32), "n.bias": np.zeros(16, np.float32)}, tmp_path / "m"
    )
    scale = rng.uniform(1, 30, 16).astype(np.float32)
    met = {
        name: np.stack([-reach, reach, np.zeros(16, np.float32)])
        for name, reach in (("n/LayerNormalization", scale), ("n/LayerNormalization.2", scale[::-1]))
    }
    graph = OnnxGraph(WeightFile(tmp_path / "m"), Precision(matrices=True), reaches=met)
    made = [graph.product(layer_norm(graph, "x", "n", 1e-12), "a.weight", "a") for _ in met]
    graph.op("Concat", *made, at="out", output="y", axis=0)
    inputs, outputs = [value_info("x", "float32", ["b", 16])], [value_info("y", "float32", ["c", 8])]
    data = b"".join(Model(graph, inputs, outputs, "").model_pieces())
    x = rng.normal(0, 1, (4, 16)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    normal = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    expected = np.concatenate([normal @ weight.T] * 2)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).mean()


def test_the_int8_file_is_what_onnx_calls_a_model(lossy: Path) -> None:
    path = lossy / "int8" / "onnx" / "model.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(str(path), full_check=True)
    large = [
        i for i in model.graph.initializer if np.prod(i.dims) > 64 * 64 and not re.search("position|scale", i.name)
    ]
    assert {onnx.TensorProto.DataType.Name(item.data_type) for item in large} == {"INT8"}


def test_a_folder_that_loses_more_than_it_may_is_not_written(
    exact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slimming, "COARSE", Limits(pairs=1, share=0, cosine=0.9999999))
    with pytest.raises(ExportError, match=r"loses more than it may: in af cosine as low as") as refused:
        hub2hf.slim(exact, tmp_path / "out", embeddings="int8")
    assert "--beyond-limits" in refused.value.next_step
    assert list(tmp_path.iterdir()) == []
    hub2hf.slim(exact, tmp_path / "out", embeddings="int8", beyond_limits=True)
    report = hub2hf.verify(None, tmp_path / "out", golden=GOLDEN)
    assert not report.equivalent
    assert summary(report).startswith("LOSSY, BEYOND ITS LIMITS")
    assert "not the same" in unproved(read_manifest(tmp_path / "out"), report)


def test_pairs_are_measured_too(exact: Path, tmp_path: Path) -> None:
    texts: dict[str, list[str]] = {}
    for name, text in language_sentences():
        texts.setdefault(name, []).append(text)
    rows = (f"{name}\t{a}\t{b}\n" for name in ("de", "fr") for a, b in zip(texts[name][:4], texts["en"], strict=True))
    (tmp_path / "own.tsv").write_text("".join(rows), encoding="utf-8")
    made = hub2hf.slim(exact, tmp_path / "out", embeddings="int8", pairs=tmp_path / "own.tsv")
    assert made.lossy is not None
    assert [row["language"] for row in made.lossy["retrieval"]["languages"]] == ["de", "fr"]
    assert "Retrieval on own.tsv" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_translations_are_found_in_other_languages() -> None:
    own = [s for s in language_sentences() if s.language in ("de", "en")]
    at = np.array([i for name in ("de", "en") for i in range(len([s for s in own if s.language == name]))])
    alike = np.eye(len(own), dtype=np.float32)[at]
    assert set(translations_found(own, alike).values()) == {True}
    beside = alike.copy()
    beside[2:4] = 0.6 * beside[2:4]
    beside[2:4, -1] = 0.8  # nearer to each other than to their translations
    assert set(translations_found(own, beside).values()) == {True}
    alike[0] = alike[1]
    found = translations_found([*own, Sentence("de", "not the project's")], np.concatenate([alike, alike[:1]]))
    assert not found[0]
    assert len(own) not in found
    assert translations_found(own[:3], alike[:3]) == {}


def test_limits_are_the_larger_of_pairs_and_share() -> None:
    assert [Limits(2, 0.01, 0.9).may_lose(searches) for searches in (4, 200, 399, 1000)] == [2, 2, 3, 10]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"dtype": "float8"}, "no dtype 'float8'"),
        ({"embeddings": "int4"}, "no kind of embeddings 'int4'"),
        (
            {"int8": True, "dtype": "float16"},
            "int8 keeps weights in 8 bits, float16 keeps them in 16: .* Leave out one",
        ),
        ({"languages": ["de"], "pairs": "own.tsv"}, "none were asked for"),
    ],
)
def test_what_cannot_be_asked_for(exact: Path, tmp_path: Path, asked: dict[str, str], told: str) -> None:
    with pytest.raises(ExportError, match=told):
        hub2hf.slim(exact, tmp_path / "out", **asked)  # type: ignore[arg-type]


def test_a_lossy_folder_is_the_end(
    run_hub2hf: Callable[..., tuple[int, str, str]], lossy: Path, tmp_path: Path
) -> None:
    code, _, said = run_hub2hf("slim", lossy / "rows", tmp_path / "out", "--int8")
    assert (code, "is lossy already: word embeddings in int8" in said) == (2, True)
