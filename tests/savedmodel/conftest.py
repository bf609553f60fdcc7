"""Checkpoints and SavedModels written by TensorFlow, once a session: it is the oracle too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tensorflow as tf
from savedmodel_values import DTYPES, values_of

tf1 = tf.compat.v1


@pytest.fixture(scope="session")
def tf1_prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain names, every dtype, scalars, empty tensors, strings; a Saver with one data shard."""
    folder = tmp_path_factory.mktemp("tf1")
    with tf.Graph().as_default(), tf1.Session() as session:
        for i, dtype in enumerate(DTYPES):
            for shape in ((), (0, 3), (7, 5), (2, 1, 3)):
                name = f"scope/{dtype}/{'x'.join(map(str, shape)) or 'scalar'}"
                value = tf.constant(values_of(dtype, shape, i))
                tf1.get_variable(name, initializer=value, use_resource=True)
        strings = [
            [b"", b"a", "\N{LATIN SMALL LETTER SHARP S}".encode()],
            [b"\xff\x00", b"word" * 100, b"\0"],
        ]
        tf1.get_variable("strings", initializer=tf.constant(strings), use_resource=True)
        tf1.get_variable("string", initializer=tf.constant("one"), use_resource=True)
        tf1.get_variable("no_strings", initializer=tf.constant([], tf.string), use_resource=True)
        session.run(tf1.global_variables_initializer())
        return Path(tf1.train.Saver().save(session, str(folder / "model")))


@pytest.fixture(scope="session")
def sliced_prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Partitioned variables along axes 0 and 1 (and one over 200 columns), several data shards."""
    folder = tmp_path_factory.mktemp("sliced")
    parts = tf1.fixed_size_partitioner
    with tf.Graph().as_default():
        for i, device in enumerate(("/cpu:0", "/cpu:1", "/cpu:2")):
            with tf.device(device):
                tf1.get_variable(f"rows{i}", (11, 6), partitioner=parts(3))
                tf1.get_variable(f"columns{i}", (4, 400), partitioner=parts(3, axis=1))
                tf1.get_variable(f"vector{i}", (70000,), partitioner=parts(4))
                tf1.get_variable(f"one_part{i}", (3, 2), partitioner=parts(1))
                tf1.get_variable(f"whole{i}", (3, 2))
                words = tf.constant([["a", "bc"], ["", "d"], ["e", "f" * 300]])
                with tf1.variable_scope("", partitioner=parts(2, axis=1)):
                    tf1.get_variable(f"words{i}", (3, 2), tf.string, initializer=Columns(words))
        config = tf1.ConfigProto(device_count={"CPU": 3})
        with tf1.Session(config=config) as session:
            session.run(tf1.global_variables_initializer())
            return Path(tf1.train.Saver(sharded=True).save(session, str(folder / "model")))


class Columns:
    """An initializer that gives each part its columns."""

    def __init__(self, whole: tf.Tensor) -> None:
        self.whole = whole

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> tf.Tensor:
        offset = partition_info.var_offset[1]
        return self.whole[:, offset : offset + shape[1]]


class Encoder(tf.Module):
    """A TF2 model: two variables share a name, one is a counter, one is nested."""

    def __init__(self, vocabulary: str) -> None:
        super().__init__()
        self.first = tf.Variable(values_of("float32", (3, 4), 1), name="kernel")
        self.second = tf.Variable(values_of("float32", (3, 4), 2), name="kernel")
        self.steps = tf.Variable(7, name="steps")
        self.nested = {"bias": tf.Variable(values_of("bfloat16", (5,), 3), name="scope/bias")}
        self.vocabulary = tf.saved_model.Asset(vocabulary)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = tf.cast(tf.strings.length(texts), tf.float32)[:, None, None]
        return {
            "sum": lengths * self.first + self.second,
            "file": tf.io.read_file(self.vocabulary.asset_path),
        }


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("assets") / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\na\n")
    return path


@pytest.fixture(scope="session")
def tf2_model(tmp_path_factory: pytest.TempPathFactory, vocabulary: Path) -> Path:
    folder = tmp_path_factory.mktemp("tf2") / "model"
    tf.saved_model.save(Encoder(str(vocabulary)), str(folder))
    return folder


@pytest.fixture(scope="session", params=["ref", "resource"])
def tf1_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vocabulary: Path) -> Path:
    """A TF1-style SavedModel: text ops in a While body, a partitioned embedding, an asset."""
    folder = tmp_path_factory.mktemp(f"tf1_{request.param}") / "model"
    with tf.Graph().as_default():
        tf1.enable_control_flow_v2()
        resource = request.param == "resource"
        get = tf1.get_variable
        table = get("table", (11, 6), partitioner=tf1.fixed_size_partitioner(3), use_resource=resource)
        kernel = get("dense/kernel", (6, 4), use_resource=resource)
        get("dense/bias", (4,), use_resource=resource)
        texts = tf1.placeholder(tf.string, [None], name="source_raw")
        asset = tf.constant(str(vocabulary), name="asset")
        tf1.add_to_collection(tf1.GraphKeys.ASSET_FILEPATHS, asset)

        def first_count(text: tf.Tensor) -> tf.Tensor:
            codes = tf.strings.unicode_decode(text, "UTF-8")
            return tf.unique_with_counts(codes)[2][0] + tf.split(codes, 1)[0][0] % 3

        ids = tf.map_fn(first_count, texts, fn_output_signature=tf.int32)
        whole = tf.identity(table.as_tensor(), name="whole_table")
        output = tf.matmul(tf.gather(whole, ids), kernel, name="embedding")
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            builder = tf1.saved_model.Builder(str(folder))
            signature = tf1.saved_model.predict_signature_def({"texts": texts}, {"default": output})
            builder.add_meta_graph_and_variables(
                session,
                ["serve"],
                signature_def_map={"default": signature},
                assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
                strip_default_attrs=True,
            )
            builder.save()
    return folder
