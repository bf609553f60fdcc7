"""Which output is the embedding: by the conventions where these tell, by `--output` where they do not, never silently."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from references import EMBEDDED, VOCABULARY

import hub2hf
from hub2hf.errors import GraphError, SourceError
from hub2hf.savedmodel import messages

POOLED, UNIT = "student_bert/pooler/mul_3:0", "embedding:0"


@pytest.fixture
def signed(tmp_path: Path) -> Callable[..., Path]:
    """Return a function from signatures (name → output → tensor) to the embedded model with these."""

    def make(**signatures: Mapping[str, str]) -> Path:
        folder = Path(shutil.copytree(EMBEDDED, tmp_path / "model"))
        proto = messages.parse("SavedModel", (folder / "saved_model.pb").read_bytes())
        (graph,) = proto.meta_graphs
        given = graph.signature_def["default"].inputs["source_raw"]
        shape = graph.signature_def["default"].outputs["default"]
        new = {name: messages.new("SignatureDef") for name in signatures}
        for name, outputs in signatures.items():
            new[name].inputs["source_raw"].CopyFrom(given)
            for output, tensor in outputs.items():
                new[name].outputs[output].CopyFrom(shape)
                new[name].outputs[output].name = tensor
        del graph.signature_def["default"]
        for name, signature in new.items():
            graph.signature_def[name].CopyFrom(signature)
        (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
        return folder

    return make


def test_a_convention_tells_where_the_others_are_stages_of_the_same_encoder(signed: Callable[..., Path]) -> None:
    blueprint = hub2hf.inspect(signed(default={"default": UNIT, "pooled_output": POOLED}))
    assert (blueprint.output_name, blueprint.encoder.normalised.value) == ("default", True)


def test_equally_shaped_outputs_are_listed_and_the_person_says_which(signed: Callable[..., Path]) -> None:
    folder = signed(serving_default={"a": UNIT, "b": POOLED})
    with pytest.raises(GraphError, match=r"'a' \[\?, 32\], 'b' \[\?, 32\].*--output NAME"):
        hub2hf.inspect(folder)
    assert hub2hf.inspect(folder, output="a").encoder.normalised.value is True
    assert hub2hf.inspect(folder, output="b").encoder.normalised.value is False
    assert hub2hf.inspect(folder, output="serving_default:b").output_name == "b"
    there = "There is: serving_default: source_raw string"
    with pytest.raises(SourceError, match=rf"as an output called 'c'\. {there}.*Write --output 'a' or --output 'b'"):
        hub2hf.inspect(folder, output="c")


def test_a_conventional_name_beside_what_is_no_stage_is_not_taken_silently(signed: Callable[..., Path]) -> None:
    folder = signed(default={"default": UNIT, "other": "l2_normalize/Square:0"})
    with pytest.raises(GraphError, match=r"'other' could be the embedding as well.*'default' \[\?, 32\], 'other'"):
        hub2hf.inspect(folder)
    assert hub2hf.inspect(folder, output="default").output_name == "default"


def test_signatures_that_differ_are_listed(signed: Callable[..., Path]) -> None:
    folder = signed(default={"default": UNIT}, serving_default={"default": POOLED})
    with pytest.raises(GraphError, match=r"'default:default' \[\?, 32\], 'serving_default:default' \[\?, 32\]"):
        hub2hf.inspect(folder)
    assert hub2hf.inspect(folder, output="serving_default:default").encoder.normalised.value is False


def test_signatures_of_no_known_name_are_listed(signed: Callable[..., Path]) -> None:
    folder = signed(query={"vector": UNIT}, answer={"vector": POOLED})
    for output in ("", "vector"):
        with pytest.raises(GraphError, match=r"'answer:vector' \[\?, 32\], 'query:vector' \[\?, 32\]"):
            hub2hf.inspect(folder, output=output)
    assert hub2hf.inspect(folder, output="query:vector").signature == "query"


def test_the_same_signature_twice_is_no_question(signed: Callable[..., Path]) -> None:
    assert hub2hf.inspect(signed(default={"x": UNIT}, serving_default={"y": UNIT})).output_name == "x"


def test_a_folder_remembers_its_output(signed: Callable[..., Path], tmp_path: Path) -> None:
    folder, out = signed(serving_default={"a": UNIT, "b": POOLED}), tmp_path / "out"
    hub2hf.convert(folder, out, output="b")
    manifest = json.loads((out / "hub2hf.json").read_text())
    assert manifest["blueprint"]["signature"]["output"] == "b"
    report = hub2hf.verify(folder, out, languages=["de"], surfaces=["automodel"])
    assert report.equivalent
    hub2hf.record(folder, tmp_path / "golden", output="b", languages=["de"])
    assert hub2hf.verify(None, out, golden=tmp_path / "golden", surfaces=["automodel"]).equivalent
    with pytest.raises(GraphError, match="--output NAME"):
        hub2hf.record(folder, tmp_path / "other", languages=["de"])
    with pytest.raises(SourceError, match="its own output"):
        hub2hf.verify(None, out, golden=tmp_path / "golden", output="b")


@pytest.mark.parametrize("chosen", ["first", "second"])
def test_two_equally_shaped_outputs_of_ids(chosen: str, tmp_path: Path) -> None:
    folder = two_heads(tmp_path / "model")
    with pytest.raises(GraphError, match=r"'first' \[\?, 16\], 'second' \[\?, 16\].*--output NAME"):
        hub2hf.inspect(folder)
    hub2hf.convert(folder, tmp_path / "out", output=chosen)
    report = hub2hf.verify(folder, tmp_path / "out", languages=["de"], surfaces=["automodel"])
    assert report.equivalent
    assert max(row.difference for row in report.rows) < 2e-6
    if chosen == "first":
        other = hub2hf.verify(folder, tmp_path / "out", output="second", languages=["de"], surfaces=["automodel"])
        assert not other.equivalent


def two_heads(folder: Path) -> Path:
    """Save an encoder of ids with two poolers, each an output of its own."""
    import tensorflow as tf
    import tf_keras as keras

    layers, pieces = keras.layers, len(VOCABULARY.read_bytes().splitlines())
    given = {
        name: keras.Input([None], dtype=tf.int32, name=f"input_{name}") for name in ("word_ids", "mask", "type_ids")
    }
    ids, mask, types = given.values()
    x = layers.Embedding(pieces, 16, name="word_embeddings")(ids) + layers.Embedding(2, 16, name="type_embeddings")(
        types
    )
    x += layers.Embedding(64, 16, name="position_embedding")(tf.range(tf.shape(ids)[1]))
    x = layers.LayerNormalization(name="embeddings/layer_norm")(x)
    name, keep = "transformer/layer_0", tf.cast(mask, tf.bool)[:, tf.newaxis, :]
    other = layers.MultiHeadAttention(2, 8, name=f"{name}/self_attention")(x, x, attention_mask=keep)
    x = layers.LayerNormalization(name=f"{name}/self_attention_layer_norm")(x + other)
    middle = layers.Dense(24, activation="relu", name=f"{name}/intermediate")(x)
    x = layers.LayerNormalization(name=f"{name}/output_layer_norm")(x + layers.Dense(16, name=f"{name}/output")(middle))
    heads = {
        key: layers.Dense(16, activation="tanh", name=f"{key}/pooler_transform")(x[:, 0, :])
        for key in ("first", "second")
    }
    model = keras.Model(given, heads)
    source = np.random.default_rng(7)
    for variable in model.variables:
        value = source.standard_normal(variable.shape).astype(np.float32)
        variable.assign(value * (0.3 if "kernel" in variable.name else 0.1) + ("gamma" in variable.name))
    model.vocab_file = tf.saved_model.Asset(str(VOCABULARY))
    model.do_lower_case = tf.Variable(False, trainable=False)
    model.save(str(folder), include_optimizer=False, save_format="tf")
    return folder
