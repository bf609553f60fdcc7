"""The ONNX file: its form by onnx's own checker, its numbers against TensorFlow's and PyTorch's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
from references import GOLDEN

import hub2hf
from hub2hf.architectures import NOTICE
from hub2hf.architectures.activations import ACTIVATIONS as KNOWN
from hub2hf.architectures.head import WrittenHead, written_head
from hub2hf.architectures.poolers import POOLERS
from hub2hf.errors import ExportError
from hub2hf.onnx import messages
from hub2hf.onnx.export import write_onnx
from hub2hf.onnx.graph import OPSET, OnnxGraph
from hub2hf.onnx.layers import ACTIVATIONS, POOLINGS, add_head
from hub2hf.onnx.model import ALIGNMENT, Model, value_info
from hub2hf.onnx.precision import Precision
from hub2hf.onnx.weights import WeightFile
from hub2hf.surfaces import embed

Arrays = list[np.ndarray]
TOLERANCE = 2e-6
RNG = np.random.default_rng(5)


@pytest.fixture
def changed(exported: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function from changes of config.json to such a folder with its ONNX file."""

    def make(**changes: Any) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(exported, folder, ignore=shutil.ignore_patterns("onnx"))
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value != ""}))
        write_onnx(folder)
        return folder

    return make


def batch(*lengths: int, width: int = 0) -> dict[str, np.ndarray]:
    """Return texts of these lengths, padded to the longest, or to `width`."""
    mask = (np.arange(width or max(lengths)) < np.array(lengths)[:, np.newaxis]).astype(np.int64)
    ids = np.where(mask == 1, RNG.integers(200, 5000, mask.shape), 0)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def run(model: Path, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Return the embeddings and the last hidden states."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return list(session.run(["sentence_embedding", "last_hidden_state"], dict(inputs)))


def by_pytorch(folder: Path, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Return the same from PyTorch."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    with torch.inference_mode():
        outputs = model(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    return [outputs.pooler_output.numpy(), outputs.last_hidden_state.numpy()]


def assert_close(found: Arrays, expected: Arrays, mask: np.ndarray) -> None:
    for a, b in zip((found[0], found[1][mask == 1]), (expected[0], expected[1][mask == 1]), strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= TOLERANCE * max(1.0, float(np.abs(b).max()))


def test_the_fields_are_those_of_onnx() -> None:
    places = {"Tensor": onnx.TypeProto.Tensor, "Dimension": onnx.TensorShapeProto.Dimension}
    enum, int32 = 14, 5
    for name in messages.MESSAGES:
        theirs = (places.get(name) or getattr(onnx, name)).DESCRIPTOR
        for field in messages.new(name).DESCRIPTOR.fields:
            other = theirs.fields_by_name[field.name]
            kind = int32 if other.type == enum else other.type
            assert (field.number, field.type, field.is_repeated) == (other.number, kind, other.is_repeated), field.name
            assert field.message_type is None or field.message_type.name == other.message_type.name
    names = {"float32": "FLOAT", "int64": "INT64", "float16": "FLOAT16", "bool": "BOOL", "uint8": "UINT8"}
    names |= {"int8": "INT8", "bfloat16": "BFLOAT16"}
    assert {name: onnx.TensorProto.DataType.Value(theirs) for name, theirs in names.items()} == messages.DATA_TYPES
    kinds = {name: onnx.AttributeProto.AttributeType.Value(name) for name in ("FLOAT", "INT", "STRING", "INTS")}
    assert kinds == {name: getattr(messages, name) for name in kinds}
    assert onnx.TensorProto.DataLocation.Value("EXTERNAL") == messages.EXTERNAL


def test_the_model_is_what_onnx_calls_one(exported: Path) -> None:
    path = exported / "onnx" / "model.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(str(path), full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert [value.name for value in model.graph.output] == ["sentence_embedding", "last_hidden_state"]
    assert [value.name for value in model.graph.input] == ["input_ids", "attention_mask", "token_type_ids"]
    shapes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["batch", "length"]] * 3 + [["batch", 32], ["batch", "length", 32]]
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert {node.domain for node in model.graph.node} == {""}
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)
    assert {"LayerNormalization", "Gelu"} <= {node.op_type for node in model.graph.node}


def test_the_weights_are_those_of_the_folder(exported: Path) -> None:
    from safetensors.numpy import load_file

    weights = load_file(exported / "model.safetensors")
    del weights[NOTICE]
    initializers = {item.name: item for item in onnx.load(exported / "onnx" / "model.onnx").graph.initializer}
    assert weights.keys() <= initializers.keys()
    for key, value in weights.items():
        found = onnx.numpy_helper.to_array(initializers[key])
        turned = value.T if key.endswith("weight") and value.ndim == 2 and "embeddings" not in key else value
        assert np.array_equal(found, turned), key


def test_onnx_runtime_fuses_what_gains_and_no_norm_with_the_sum_before_it(exported: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    onnxruntime.InferenceSession(exported / "onnx" / "model.onnx", options, providers=["CPUExecutionProvider"])
    kinds = {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}
    assert kinds >= {"FastGelu", "FusedMatMul", "LayerNormalization"}
    assert "SkipLayerNormalization" not in kinds


def test_onnx_runtime_agrees_with_tensorflow_in_every_language(exported: Path) -> None:
    report = hub2hf.verify(None, exported, golden=GOLDEN, surfaces=["onnx"], add_proof=False)
    assert report.equivalent
    assert len({row.language for row in report.rows}) == 110
    assert max(row.difference for row in report.rows) <= TOLERANCE
    assert not any(row.other_ids for row in report.rows)


CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "erf": {"hidden_act": "gelu", "pooler_act": "gelu"},
    "relu": {"hidden_act": "relu", "pooler_act": "linear", "pooler_normalize": False},
    "tanh": {"hidden_act": "tanh", "pooler_act": "relu", "layer_norm_eps": 1e-3, "num_attention_heads": 2},
    "BertModel's own pooler": {"auto_map": "", "pooler_act": "", "pooler_normalize": "", "num_hidden_layers": 1},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_every_form_agrees_with_pytorch(changes: dict[str, Any], changed: Callable[..., Path]) -> None:
    folder, inputs = changed(**changes), batch(7, 12, 3)
    inputs["token_type_ids"][1, 5:] = 1
    assert_close(run(folder / "onnx" / "model.onnx", inputs), by_pytorch(folder, inputs), inputs["attention_mask"])


@pytest.mark.parametrize("length", [1, 2, 511, 512])
def test_any_length_that_has_positions(length: int, exported: Path) -> None:
    inputs = batch(length)
    model = exported / "onnx" / "model.onnx"
    assert_close(run(model, inputs), by_pytorch(exported, inputs), inputs["attention_mask"])


def test_more_pieces_than_positions_are_refused(exported: Path) -> None:
    with pytest.raises(Exception, match="512 by 513"):
        run(exported / "onnx" / "model.onnx", batch(513))


def test_padding_changes_nothing(exported: Path) -> None:
    model, inputs = exported / "onnx" / "model.onnx", batch(5, 9)
    wide = {name: np.pad(value, [(0, 0), (0, 40)]) for name, value in inputs.items()}
    wide["input_ids"][:, 20:] = 77
    for a, b in zip(run(model, inputs), run(model, wide), strict=True):
        seen = np.s_[:] if a.ndim == 2 else inputs["attention_mask"] == 1
        assert np.abs(a[seen] - b[: len(a), : a.shape[1]][seen]).max() < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_text_of_which_nothing_is_attended_is_no_nan(dtype: str, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    model = hub2hf.export(folder, "onnx", dtype=dtype)
    inputs = batch(6, 6)
    inputs["attention_mask"][1] = 0
    assert all(np.isfinite(value).all() for value in run(model, inputs))


def test_float16_halves_the_weights_and_is_close(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    half, whole = hub2hf.export(folder, "onnx", dtype="float16"), folder / "onnx" / "model.onnx"
    assert half.name == "model_fp16.onnx"
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    onnx.checker.check_model(str(half), full_check=True)
    inputs = batch(5, 30, 17)
    (exact, _), (close, _) = run(whole, inputs), run(half, inputs)
    assert close.dtype == np.float32
    assert 1e-6 < np.abs(exact - close).max() < 1e-3


def test_a_weight_that_float16_does_not_reach_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a.weight": np.full((2, 2), 1e5, np.float32)}, tmp_path / "model.safetensors")
    graph = OnnxGraph(WeightFile(tmp_path / "model.safetensors"), Precision("float16"))
    graph.matrix("a.weight")
    with pytest.raises(ExportError, match=r"'a.weight' holds a number that float16 does not reach"):
        list(graph.initializers["a.weight"].pieces())


def test_weights_beyond_the_limit_are_a_file_of_their_own(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy", ignore=shutil.ignore_patterns("onnx"))
    assert set(write_onnx(folder, limit=100_000)) == {"onnx/model.onnx", "onnx/model.onnx_data"}
    model, inputs = folder / "onnx" / "model.onnx", batch(9, 4)
    assert model.stat().st_size < 100_000
    onnx.checker.check_model(str(model), full_check=True)
    outside = [item for item in onnx.load(model, load_external_data=False).graph.initializer if item.data_location]
    places = [{entry.key: entry.value for entry in item.external_data} for item in outside]
    assert {place["location"] for place in places} == {"model.onnx_data"}
    assert all(int(place["offset"]) % ALIGNMENT == 0 for place in places)
    assert all(map(np.array_equal, run(model, inputs), run(exported / "onnx" / "model.onnx", inputs)))


def pooled(
    head: WrittenHead, weights: Mapping[str, np.ndarray], hidden: np.ndarray, mask: np.ndarray, folder: Path
) -> np.ndarray:
    """Return what a head makes of hidden states, run by ONNX Runtime."""
    from safetensors.numpy import save_file

    save_file(dict(weights) or {"none": np.zeros(1, np.float32)}, folder / "model.safetensors")
    graph = OnnxGraph(WeightFile(folder / "model.safetensors"), Precision())
    add_head(graph, head, "hidden", "embedding")
    inputs = [
        value_info("hidden", "float32", ["b", "l", hidden.shape[-1]]),
        value_info("attention_mask", "int64", ["b", "l"]),
    ]
    data = b"".join(Model(graph, inputs, [value_info("embedding", "float32", ["b", "h"])], "").model_pieces())
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    given = {"hidden": hidden, "attention_mask": mask}
    (found,) = session.run(None, {item.name: given[item.name] for item in session.get_inputs()})
    return np.asarray(found)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_poolings_are_those_of_sentence_transformers(pooling: str, tmp_path: Path) -> None:
    import torch
    from sentence_transformers.sentence_transformer.modules import Pooling

    modes = {"first": "cls", "mean_sqrt": "mean_sqrt_len_tokens"}
    hidden, mask = RNG.normal(size=(3, 6, 8)).astype(np.float32) - 3, batch(6, 2, 4)["attention_mask"]
    module = Pooling(8, pooling_mode=modes.get(pooling, pooling))
    features = {"token_embeddings": torch.from_numpy(hidden), "attention_mask": torch.from_numpy(mask)}
    expected = module(features)["sentence_embedding"].numpy()
    assert np.abs(pooled(WrittenHead(pooling), {}, hidden, mask, tmp_path) - expected).max() < 1e-6


def test_the_head_is_that_of_the_config() -> None:
    dense = [{"activation": "tanh", "bias": True}, {"activation": "linear", "bias": False}]
    assert written_head({"hub_head": {"pooling": "mean", "dense": dense}, "pooler_normalize": True}) == WrittenHead(
        "mean", [("head.0", "tanh"), ("head.1", "linear")], normalised=True
    )
    assert written_head({"hub_head": {"pooling": "max", "dense": []}}) == WrittenHead("max", [])
    assert written_head({"pooler_act": "relu"}) == WrittenHead("first", [("pooler.dense", "relu")])
    assert written_head({}) == WrittenHead("first", [("pooler.dense", "tanh")])


def test_dense_layers_follow_one_another_and_may_change_the_size(tmp_path: Path) -> None:
    random = np.random.default_rng(2)  # whatever ran before: a row that relu makes 0 has no direction
    weights = {"a.weight": (5, 8), "a.bias": (5,), "b.weight": (3, 5)}  # the second has no bias
    arrays = {key: random.normal(size=shape).astype(np.float32) for key, shape in weights.items()}
    hidden, mask = random.normal(size=(2, 4, 8)).astype(np.float32), np.ones((2, 4), np.int64)
    middle = np.tanh(hidden[:, 0] @ arrays["a.weight"].T + arrays["a.bias"])
    last = np.maximum(middle @ arrays["b.weight"].T, 0)
    head = WrittenHead("first", (("a", "tanh"), ("b", "relu")), normalised=True)
    expected = last / np.linalg.norm(last, axis=-1, keepdims=True)
    assert np.abs(pooled(head, arrays, hidden, mask, tmp_path) - expected).max() < 1e-6
    zero = pooled(WrittenHead("first", normalised=True), {}, np.zeros_like(hidden), mask, tmp_path)
    assert np.array_equal(zero, np.zeros((2, 8)))


def test_every_activation_and_pooling_that_is_read_has_a_writer() -> None:
    assert {known.transformers_name or "linear" for known in KNOWN.values()} <= ACTIVATIONS.keys()
    assert POOLERS.keys() == POOLINGS.keys()


# Adding to a folder


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    """Return a converted folder to add to."""
    return shutil.copytree(converted, tmp_path / "folder")


def contents(folder: Path) -> dict[str, bytes]:
    """Return name → bytes of all files of a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_adding_is_the_same_as_converting_with_it(
    folder: Path, exported: Path, run_hub2hf: Callable[..., tuple[int, str, str]]
) -> None:
    code, said, _ = run_hub2hf("export", folder, "onnx")
    assert (code, said) == (0, f"{folder / 'onnx' / 'model.onnx'}: written\n")
    assert contents(folder) == contents(exported)
    assert hub2hf.integrity(folder) == {}
    hub2hf.export(folder, "onnx")
    assert contents(folder) == contents(exported)
    hub2hf.export(folder, "onnx", dtype="float16")
    assert hub2hf.integrity(folder) == {}
    assert {"onnx/model.onnx", "onnx/model_fp16.onnx"} <= json.loads((folder / "hub2hf.json").read_text())[
        "files"
    ].keys()


def test_a_proof_of_the_other_ways_stays(verified: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(verified, tmp_path / "folder")
    before = json.loads((folder / "equivalence.json").read_text())
    hub2hf.export(folder, "onnx")
    assert json.loads((folder / "equivalence.json").read_text()) == before
    assert "Exactly the original" in (folder / "README.md").read_text(encoding="utf-8")
    assert hub2hf.integrity(folder) == {}


class Killed(BaseException):
    """A kill."""


@pytest.mark.parametrize("moment", ["fsync", "replace", "write_about"])
def test_a_run_that_is_killed_is_completed_by_the_same_call(
    moment: str, folder: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub2hf.onnx import export

    def killed(*args: object, **kwargs: object) -> None:
        raise Killed

    before = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr(
            *{"fsync": (export.os, "fsync"), "replace": (Path, "replace")}.get(moment, (export, moment)), killed
        )
        patch.setattr(Path, "unlink", lambda *a, **k: None)  # a kill clears nothing up
        with pytest.raises(Killed):
            hub2hf.export(folder, "onnx")
    left = contents(folder)
    assert {name: left[name] for name in before} == before
    assert left.keys() > before.keys()
    hub2hf.export(folder, "onnx")
    assert contents(folder) == contents(exported)


def test_a_text_of_more_pieces_than_positions_is_cut_as_everywhere(exported: Path) -> None:
    texts = ["dog " * 2000, "日本語のテキスト。" * 400, "a" * 5000 + " b", "Puppies are nice."]
    found, expected = (embed(name, exported, texts) for name in ("onnx", "automodel"))
    assert found.ids == expected.ids
    assert [len(ids) for ids in found.ids[:2]] == [128, 128]
    assert np.abs(found.embeddings - expected.embeddings).max() < 2e-6


def test_what_cannot_be_added_to_is_refused_and_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    import filelock

    def assert_refused(match: str, target: str = "onnx", out: Path | None = None, dtype: str = "float32") -> None:
        before = contents(folder)
        with pytest.raises(ExportError, match=match):
            hub2hf.export(folder, target, out, dtype=dtype)
        assert contents(folder) == before

    assert_refused(r"There is no target 'tflite'. Choose from: onnx", target="tflite")
    assert_refused(r"cannot be exported as 'int8'. Choose from: float32, float16", dtype="int8")
    assert_refused(r"makes no folder of its own. Leave out OUT", out=tmp_path / "out")
    with filelock.FileLock(folder / ".hub2hf.lock"):
        assert_refused("Another process is adding to")
    (folder / ".hub2hf.lock").unlink(missing_ok=True)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + b"x")
    assert_refused(r"model.safetensors has other bytes. Convert the model again")
    (folder / "model.safetensors").write_bytes(weights[:-1])
    assert_refused(r"model.safetensors is damaged: it is cut short")
    (folder / "model.safetensors").write_bytes(weights)
    card = (folder / "README.md").read_bytes()
    (folder / "README.md").write_bytes(card + b"mine")
    assert_refused(r"README.md was edited by hand")
    (folder / "README.md").write_bytes(card)
    (folder / "hub2hf.json").unlink()
    assert_refused(r"has no hub2hf.json: hub2hf did not make it")


def test_the_card_shows_how_and_it_works(exported: Path) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "onnxruntime" in block)
    done = subprocess.run([sys.executable, "-c", code], cwd=exported, capture_output=True, text=True, check=True)
    similarities = np.array(re.findall(r"-?\d\.\d+", done.stdout), float)
    assert similarities.shape == (9,)
    assert np.abs(similarities[[0, 4, 8]] - 1).max() < 1e-6
    assert "model_fp16" not in card


def test_another_kind_of_model_has_no_writer(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for changes, match in (
        ({"model_type": "xlnet"}, r"A model of the kind 'xlnet' cannot be written as ONNX. These can: bert"),
        ({"hidden_act": "mish"}, r"The activation 'mish' cannot be written as ONNX"),
        ({"hub_head": {"pooling": "last", "dense": []}}, r"The pooling 'last' cannot be written as ONNX"),
        ({"hidden_size": None}, r"config.json lacks something"),
        ({"num_hidden_layers": 4}, r"has no tensor 'encoder.layer.3"),
    ):
        (folder / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(ExportError, match=match):
            write_onnx(folder)
        assert not (folder / "onnx" / "model.onnx").exists()


def test_nothing_but_the_core_is_needed(folder: Path) -> None:
    block = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers', 'tensorflow', 'onnx', 'onnxruntime')));"
    )
    code = f"{block} import hub2hf; print(hub2hf.export({str(folder)!r}, 'onnx'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
