"""SavedModel folders: signatures, assets, variables through the restore graph, and folders that are none."""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from hub2hf.errors import CheckpointError, GraphError, Hub2HFError, SourceError
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import TensorRef
from hub2hf.savedmodel.slices import SliceSpec

tf1 = tf.compat.v1


def edit(source: Path, target: Path, change: Any) -> Path:
    """Copy a model with its SavedModel message changed."""
    shutil.copytree(source, target)
    proto = saved_model_pb2.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    change(proto)
    (target / "saved_model.pb").write_bytes(proto.SerializeToString())
    return target


def variables(model: SavedModel) -> dict[str, Any]:
    ops = ("VariableV2", "VarHandleOp")
    return {node.name: model.variable_binding(node.name) for node in model.graph.nodes.values() if node.op in ops}


def test_tensorflow_1(tf1_model: Path) -> None:
    model = SavedModel.open(tf1_model)
    assert model.tags == ("serve",)
    assert model.tensorflow_version == tf.__version__
    signature = model.signatures["default"]
    assert signature.method == "tensorflow/serving/predict"
    texts, output = signature.inputs["texts"], signature.outputs["default"]
    assert (texts.ref, texts.dtype, texts.shape) == (TensorRef("source_raw"), "string", (None,))
    assert (output.ref, output.dtype, output.shape) == (TensorRef("embedding"), np.float32, (None, 4))
    assert model.assets == {"asset:0": tf1_model / "assets" / "vocab.txt"}
    for name in ("asset:0", "asset", "vocab.txt"):
        assert model.asset(name) == tf1_model / "assets" / "vocab.txt"
    with pytest.raises(SourceError, match=r"no asset other.*vocab\.txt"):
        model.asset("other")
    assert [path.relative_to(tf1_model).as_posix() for path in model.files] == [
        "assets/vocab.txt",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    loop = next(node for node in model.graph.nodes.values() if "While" in node.op)
    body = model.graph.functions[loop.attr("body")]
    assert any(node.op == "UnicodeDecode" for node in body.nodes.values())
    assert not any(ref.out_name for node in body.nodes.values() for ref in node.inputs)


def test_variables_of_tensorflow_1(tf1_model: Path) -> None:
    model = SavedModel.open(tf1_model)
    bindings = variables(model)
    assert bindings["table/part_1"].key == "table"
    assert bindings["table/part_1"].slice == SliceSpec((11, 6), (4, 0), (4, 6))
    assert (bindings["dense/kernel"].key, bindings["dense/kernel"].slice) == ("dense/kernel", None)
    matmul = model.graph.node("embedding")
    assert model.variable_key(matmul.input(1).node) == "dense/kernel"
    assert model.variable(matmul.input(1).node).shape == (6, 4)
    whole = model.variable_binding("whole_table")
    assert (whole.key, whole.slice) == ("table", None)
    with pytest.raises(GraphError, match="does not read a variable"):
        model.variable_key("source_raw")
    with pytest.raises(GraphError, match="no node nothing"):
        model.variable_key("nothing")


def test_tensorflow_2(tf2_model: Path) -> None:
    model = SavedModel.open(tf2_model)
    signature = model.signatures["serving_default"]
    assert set(signature.outputs) == {"file", "sum"}
    assert signature.outputs["sum"].shape == (None, 3, 4)
    assert [path.name for path in model.assets.values()] == ["vocab.txt"]
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    original = tf.saved_model.load(str(tf2_model))
    for name, variable in (("first", original.first), ("second", original.second), ("steps", original.steps)):
        assert np.array_equal(model.checkpoint.read(name + suffix), variable.numpy(), equal_nan=True)
    call = model.graph.producer(signature.outputs["sum"].ref)
    resources = [ref.node for ref in call.inputs if model.graph.producer(ref).op == "VarHandleOp"]
    keys = {model.variable_key(node) for node in resources}
    assert keys == {f"first{suffix}", f"second{suffix}"}


def test_restore_graph_decides_not_the_name(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        first = tf1.get_variable("first", initializer=[1.0, 2.0])
        second = tf1.get_variable("second", initializer=[3.0, 4.0], use_resource=True)
        output = tf.add(first, second, name="output")
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(str(tmp_path / "model"))
        saver = tf1.train.Saver({"second": first, "elsewhere/third": second}, sharded=True)
        builder.add_meta_graph_and_variables(session, [], saver=saver)
        builder.save()
        assert output.shape == (2,)
    model = SavedModel.open(tmp_path / "model")
    assert model.tags == ()
    assert model.variable_key("first") == "second"
    assert model.checkpoint.read(model.variable_key("second")).tolist() == [3.0, 4.0]

    def strip(proto: Any) -> None:
        graph = proto.meta_graphs[0].graph_def
        kept = [node for node in graph.node if not node.name.startswith("save/")]
        del graph.node[:]
        graph.node.extend(kept)

    stripped = SavedModel.open(edit(tmp_path / "model", tmp_path / "stripped", strip))
    assert stripped.variable_key("second") == "second"  # its own name is all there is to go by
    with pytest.raises(CheckpointError, match="no value for the node first"):
        stripped.variable_key("first")


def _swap_parts(proto: Any) -> None:
    for node in proto.meta_graphs[0].graph_def.node:
        if node.op == "ConcatV2" and any("part_" in name or "table" in name for name in node.input):
            node.input[0], node.input[1] = node.input[1], node.input[0]


def test_parts_out_of_order(tf1_model: Path, tmp_path: Path) -> None:
    model = SavedModel.open(edit(tf1_model, tmp_path / "model", _swap_parts))
    with pytest.raises(GraphError, match="joins parts of table"):
        model.variable_binding("whole_table")


def test_choice_of_the_meta_graph(tf2_model: Path, tmp_path: Path) -> None:
    def tags(*tag_sets: list[str]) -> Path:
        def change(proto: Any) -> None:
            for _ in tag_sets[1:]:
                proto.meta_graphs.add().CopyFrom(proto.meta_graphs[0])
            for meta_graph, tag_set in zip(proto.meta_graphs, tag_sets, strict=True):
                meta_graph.meta_info_def.tags[:] = tag_set

        shutil.rmtree(tmp_path / "m", ignore_errors=True)
        return edit(tf2_model, tmp_path / "m", change)

    assert SavedModel.open(tags([])).tags == ()
    assert SavedModel.open(tags(["other"])).tags == ("other",)
    assert SavedModel.open(tags(["train"], ["serve"])).tags == ("serve",)
    assert SavedModel.open(tags(["tpu", "serve"], ["serve"])).tags == ("serve",)
    assert SavedModel.open(tags(["tpu", "serve"], ["train"])).tags == ("serve", "tpu")
    assert SavedModel.open(tags(["train"], [])).tags == ()
    with pytest.raises(SourceError, match="a,b; c"):
        SavedModel.open(tags(["b", "a"], ["c"]))


def test_not_a_saved_model(tf2_model: Path, tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(SourceError, match=message):
            SavedModel.open(tmp_path)

    with pytest.raises(SourceError, match="not a folder"):
        SavedModel.open(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="not a folder"):
        SavedModel.open(tf2_model / "saved_model.pb")
    refused("has no saved_model.pb")
    (tmp_path / "saved_model.pbtxt").write_text("saved_model_schema_version: 1")
    refused("text form")
    file = tmp_path / "saved_model.pb"
    for content, message in (
        (b"", "0 bytes"),
        (b"\x08\x01", "no MetaGraph"),
        (b"PK\x03\x04", "not a SavedModel"),
    ):
        file.write_bytes(content)
        refused(message)
    file.unlink()
    file.mkdir()
    refused("text form")


def _asset(name: str) -> Any:
    return lambda proto: setattr(proto.meta_graphs[0].asset_file_def[0], "filename", name)


@pytest.mark.parametrize(
    "name",
    [
        "../saved_model.pb",
        "/etc/passwd",
        "",
        ".",
        "..",
        "a/../../b",
        "..\\x",
        "c:\\x",
        "a//b",
        "a\0b",
        "x" * 300,
    ],
)
def test_assets_that_lead_elsewhere(tf2_model: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="asset"):
        SavedModel.open(edit(tf2_model, tmp_path / "m", _asset(name)))


def test_assets_missing_or_linked(tf2_model: Path, tmp_path: Path) -> None:
    copy = edit(tf2_model, tmp_path / "m", lambda proto: None)
    path = copy / "assets" / "vocab.txt"
    path.unlink()
    with pytest.raises(SourceError, match=r"vocab\.txt is missing"):
        SavedModel.open(copy)
    (tmp_path / "secret").write_text("x")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match="outside"):
        SavedModel.open(copy)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(SourceError, match="vocab"):
        SavedModel.open(copy)
    path.unlink()
    (copy / "assets" / "inner.txt").write_text("x")
    path.symlink_to("inner.txt")
    assert SavedModel.open(copy).asset("vocab.txt") == path


def test_signature_of_nothing(tf2_model: Path, tmp_path: Path) -> None:
    def change(proto: Any) -> None:
        proto.meta_graphs[0].signature_def["serving_default"].outputs["sum"].name = "nowhere:0"

    with pytest.raises(GraphError, match="signature serving_default, output sum"):
        SavedModel.open(edit(tf2_model, tmp_path / "m", change))


def test_without_variables(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        tf.constant(1.0, name="one")
        builder = tf1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
    model = SavedModel.open(tmp_path / "model")
    assert not model.has_checkpoint
    assert [path.name for path in model.files] == ["saved_model.pb"]
    with pytest.raises(CheckpointError, match=r"variables\.index is missing"):
        _ = model.checkpoint


def walk(folder: Path) -> None:
    """Ask a model everything."""
    model = SavedModel.open(folder)
    for scope in (model.graph, *model.graph.functions.values()):
        for node in scope.nodes.values():
            for name in node.attr_names:
                node.attr(name, None)
            if node.op == "Const":
                _ = node.value
            if node.op in ("VariableV2", "VarHandleOp", "ReadVariableOp", "ConcatV2", "Identity") and not scope.name:
                with contextlib.suppress(Hub2HFError):
                    model.variable(node.name)
        _ = scope.consumers
    _ = model.files


def test_damaged_graphs_never_raise_anything_else(tf1_model: Path, tf2_model: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    for source in (tf1_model, tf2_model):
        copy = tmp_path / source.parent.name
        shutil.copytree(source, copy)
        data = (source / "saved_model.pb").read_bytes()
        walk(copy)
        for i in range(400):
            changed = bytearray(data)
            for _ in range(rng.randint(1, 3)):
                changed[rng.randrange(len(data))] ^= rng.choice([1, 2, 0x80, 0xFF])
            (copy / "saved_model.pb").write_bytes(changed if i % 5 else changed[: rng.randrange(len(data))])
            try:
                walk(copy)
            except Hub2HFError as error:
                assert error.problem and error.next_step
