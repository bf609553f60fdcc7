"""Checkpoints, bit for bit against TensorFlow's own reader."""

from __future__ import annotations

import tracemalloc
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from builders.bundles import copy_bundle

from hub2hf.errors import CheckpointError
from hub2hf.savedmodel.checkpoint import Checkpoint
from hub2hf.savedmodel.slices import SliceError, SliceSpec, check_tiling, encode_slice_key, parse_slice_spec
from hub2hf.savedmodel.table import read_table

tf1 = tf.compat.v1


def assert_equal_to_tensorflow(prefix: Path) -> Checkpoint:
    ours, theirs = Checkpoint.open(prefix), tf.train.load_checkpoint(str(prefix))
    keys = set(theirs.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    assert {variable.key for variable in ours.variables.values()} == keys
    for name, variable in ours.variables.items():
        got = ours.read(name)
        if variable.is_string and variable.slice_count:  # TensorFlow's reader does not put strings together
            continue
        expected = np.asarray(theirs.get_tensor(variable.key), dtype=object if variable.is_string else None)
        assert variable.name == name
        assert (got.shape, variable.shape) == (expected.shape, expected.shape), name
        assert got.dtype == variable.dtype == expected.dtype, name
        if variable.is_string:
            assert got.reshape(-1).tolist() == expected.reshape(-1).tolist(), name
            assert all(isinstance(text, bytes) for text in got.reshape(-1))
            continue
        assert got.tobytes() == expected.tobytes(), name
        assert variable.nbytes == expected.nbytes
        for size in (1, 13, 4 << 20):
            if expected.nbytes // size < 10_000:
                chunks = [bytes(chunk) for chunk in ours.stream(name, size)]
                assert b"".join(chunks) == expected.tobytes(), name
                assert all(0 < len(chunk) <= size for chunk in chunks)
    return ours


def test_every_dtype(tf1_prefix: Path) -> None:
    checkpoint = assert_equal_to_tensorflow(tf1_prefix)
    assert checkpoint.variables["scope/bfloat16/7x5"].dtype == ml_dtypes.bfloat16
    assert checkpoint.variables["scope/bool/scalar"].dtype == np.bool_
    assert checkpoint.variables["scope/float32/0x3"].nbytes == 0
    assert checkpoint.read("strings")[1, 0] == b"\xff\x00"
    assert not any(variable.slice_count for variable in checkpoint.variables.values())
    assert [path.name for path in checkpoint.fingerprint_files()] == [
        "model.index",
        "model.data-00000-of-00001",
    ]


def test_slices_and_shards(sliced_prefix: Path) -> None:
    checkpoint = assert_equal_to_tensorflow(sliced_prefix)
    counts = {name: variable.slice_count for name, variable in checkpoint.variables.items()}
    assert (counts["rows0"], counts["columns1"], counts["vector2"], counts["whole0"]) == (
        3,
        3,
        4,
        0,
    )
    assert (counts["one_part1"], counts["words1"]) == (0, 2)
    assert checkpoint.read("words1").tolist() == [[b"a", b"bc"], [b"", b"d"], [b"e", b"f" * 300]]
    for name in checkpoint.variables:
        checkpoint.verify(name, 100)
    assert len(checkpoint.fingerprint_files()) == 4


def test_object_graph(tmp_path: Path) -> None:
    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernels = [tf.Variable([float(i)], name="kernel") for i in range(2)]
            self.bias = tf.Variable([1, 2], name="scope/bias")
            self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
            self.clash = tf.Variable(3.0, name="bias/.ATTRIBUTES/VARIABLE_VALUE")

    model = Model()
    model.table.insert(["a", "b"], [1, 2])
    prefix = Path(tf.train.Checkpoint(root=model).write(str(tmp_path / "ckpt")))
    checkpoint = assert_equal_to_tensorflow(prefix)
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert checkpoint.variables["scope/bias"].key == f"bias{suffix}"
    assert checkpoint.variable(f"bias{suffix}").name == "scope/bias"
    assert checkpoint.variables[f"kernels/0{suffix}"].key == f"kernels/0{suffix}"
    assert checkpoint.variables[f"clash{suffix}"].key == f"clash{suffix}"
    assert "kernel" not in checkpoint.variables
    assert sorted(checkpoint.read("table/.ATTRIBUTES/table-keys")) == [b"a", b"b"]


def test_saved_model_of_tensorflow_2(tf2_model: Path) -> None:
    checkpoint = assert_equal_to_tensorflow(tf2_model / "variables" / "variables")
    assert {"steps", "scope/bias"} <= set(checkpoint.variables)
    assert checkpoint.variables["scope/bias"].key == "nested/bias/.ATTRIBUTES/VARIABLE_VALUE"


def test_hundreds_of_long_keys(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        for i, word in product(range(150), ("kernel", "bias", "beta")):
            scope = "student_bert/encoder/" + "deeper/" * (i % 20)
            tf1.get_variable(f"x{i % 9}/{scope}layer_{i}/{word}", initializer=float(i), use_resource=True)
        session.run(tf1.global_variables_initializer())
        prefix = Path(tf1.train.Saver().save(session, str(tmp_path / "model")))
    assert prefix.with_name("model.index").stat().st_size > 3 * 4096
    assert len(assert_equal_to_tensorflow(prefix).variables) == 450


@pytest.mark.parametrize("snappy", [False, True])
def test_another_layout_of_the_index(tmp_path: Path, sliced_prefix: Path, snappy: bool) -> None:
    table = read_table(sliced_prefix.with_name("model.index"))
    prefix = copy_bundle(sliced_prefix, tmp_path / "copy", table, snappy=snappy, per_block=5)
    ours, original = Checkpoint.open(prefix), Checkpoint.open(sliced_prefix)
    assert list(ours.variables) == list(original.variables)
    for name, variable in ours.variables.items():
        assert ours.read(name).tolist() == original.read(name).tolist(), variable


def test_streaming_takes_little_memory(tmp_path: Path) -> None:
    value = np.arange(8 << 20, dtype=np.float32).reshape(-1, 64)
    with tf.Graph().as_default(), tf1.Session() as session:
        holder = tf1.placeholder(tf.float32, value.shape)
        parts = tf1.fixed_size_partitioner(4)
        tf1.get_variable("whole", initializer=holder, use_resource=True, validate_shape=True)
        table = tf1.get_variable("rows", value.shape, partitioner=parts, initializer=tf1.zeros_initializer())
        session.run(tf1.global_variables_initializer(), {holder: value})
        assert len(list(table)) == 4
        prefix = Path(tf1.train.Saver().save(session, str(tmp_path / "model")))
    checkpoint = Checkpoint.open(prefix)
    for name in ("whole", "rows"):
        tracemalloc.start()
        total = sum(len(chunk) for chunk in checkpoint.stream(name, 1 << 20))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == value.nbytes
        assert peak < 3 << 20
    assert np.array_equal(checkpoint.read("whole"), value)


def test_what_is_not_there(tf1_prefix: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(tf1_prefix)
    for call in (checkpoint.read, checkpoint.stream, checkpoint.variable):
        with pytest.raises(CheckpointError, match="no variable nothing"):
            call("nothing")
    with pytest.raises(CheckpointError, match="holds strings"):
        checkpoint.stream("strings")
    with pytest.raises(CheckpointError, match=r"variables\.index is missing"):
        Checkpoint.open(tmp_path / "variables")


def _tile(rng: np.random.Generator, shape: tuple[int, ...]) -> list[SliceSpec]:
    """Cut a shape into boxes, at random, again and again."""
    boxes = [((0,) * len(shape), shape)]
    for _ in range(8):
        starts, sizes = boxes.pop(int(rng.integers(len(boxes))))
        axis = int(rng.integers(len(shape)))
        if sizes[axis] < 2:
            boxes.append((starts, sizes))
            continue
        cut = int(rng.integers(1, sizes[axis]))
        first = tuple(cut if i == axis else size for i, size in enumerate(sizes))
        rest = tuple(sizes[axis] - cut if i == axis else size for i, size in enumerate(sizes))
        moved = tuple(start + cut if i == axis else start for i, start in enumerate(starts))
        boxes += [(starts, first), (moved, rest)]
    return [SliceSpec(shape, starts, sizes) for starts, sizes in boxes]


@pytest.mark.parametrize("seed", range(30))
def test_tiling(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(2, 9, rng.integers(1, 4)))
    pieces = _tile(rng, shape)
    check_tiling(pieces, shape)
    with pytest.raises(SliceError):
        check_tiling(pieces[1:], shape)
    with pytest.raises(SliceError):
        check_tiling([*pieces, pieces[0]], shape)
    covered = np.zeros(shape, dtype=int)
    moved = []
    for piece in pieces:
        room = np.array(shape) - np.array(piece.shape) + 1
        moved.append(SliceSpec(shape, tuple(int(rng.integers(0, n)) for n in room), piece.shape))
    for piece in moved:
        covered[piece.index] += 1
    if not np.all(covered == 1):
        with pytest.raises(SliceError):
            check_tiling(moved, shape)
    assert sum(prod(piece.shape) for piece in pieces) == prod(shape)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", None),
        ("4 6 0,2:-", SliceSpec((4, 6), (0, 0), (2, 6))),
        ("7 3,4", SliceSpec((7,), (3,), (4,))),
    ],
)
def test_slice_specs(spec: str, expected: SliceSpec | None) -> None:
    assert parse_slice_spec(spec) == expected


@pytest.mark.parametrize("spec", ["x", "4 0", "4 0,", "4 0,5", "4 -1,2", "4 6 0,2", "4 0,1:0,1", "4 0,1,2", "4 -5,-1"])
def test_bad_slice_specs(spec: str) -> None:
    with pytest.raises(SliceError):
        parse_slice_spec(spec)


@pytest.mark.parametrize(
    "numbers", [(0, -1), (63, 64), (-64, -65), (8191, 8192), (1 << 20, 1 << 33), (1 << 62, -(1 << 63))]
)
def test_slice_keys_keep_order_and_differ(numbers: tuple[int, int]) -> None:
    low, high = sorted(numbers)
    assert encode_slice_key(b"n", [(low, 1)]) < encode_slice_key(b"n", [(high, 1)])
    assert encode_slice_key(b"a\x00\xffb", []) == b"\x00a\x00\xff\xff\x00b\x00\x01\x00"


def test_every_kind_of_long_slice_key(tmp_path: Path) -> None:
    """Starts and lengths of one to several bytes, as TensorFlow encodes them (see also vector* above)."""
    sizes: list[Any] = [1, 62, 1, 64, 8000, 200, 9000, 2_100_000]
    with tf.Graph().as_default(), tf1.Session() as session:
        save, start, total = [], 0, sum(sizes)
        for size in sizes:
            save.append((f"{total} {start},{size}", tf.cast(tf.range(start, start + size) % 251, tf.uint8)))
            start += size
        specs, tensors = zip(*save, strict=True)
        prefix = str(tmp_path / "model")
        session.run(
            tf1.raw_ops.SaveV2(
                prefix=prefix,
                tensor_names=["n\xff"] * len(specs),
                shape_and_slices=list(specs),
                tensors=list(tensors),
            )
        )
    value = Checkpoint.open(Path(prefix)).read("n\xff")
    assert np.array_equal(value, (np.arange(total) % 251).astype(np.uint8))
