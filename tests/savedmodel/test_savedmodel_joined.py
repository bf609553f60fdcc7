"""A table that is kept in several variables is put together as TensorFlow's two partition strategies have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf

from hub2hf.savedmodel import values
from hub2hf.savedmodel.node import Node
from hub2hf.savedmodel.values import Joined, Shard, Values

WIDTH = 3
COUNTS = {"dealt": (4, 4, 3), "in turn": (2, 7, 1), "one": (5,), "dealt, more than a chunk": (40, 40, 39, 39)}


def kept(counts: Sequence[int], dealt: bool) -> tuple[Values, list[np.ndarray]]:
    """Return "table", whose shards lie one row deep in constants, and the shards."""
    shards = [np.random.default_rng(i).random((count, WIDTH), np.float32) for i, count in enumerate(counts)]
    padded = {f"c{i}": np.pad(shard, ((1, 2), (0, 0))) for i, shard in enumerate(shards)}
    frozen = {name: Node.made(name, "Const", attributes={"value": value}) for name, value in padded.items()}
    joined = Joined(tuple(Shard(f"c{i}", 1, count) for i, count in enumerate(counts)), dealt)
    return Values(None, frozen, {"table": joined}), shards


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("chunk", [8, 100, 1 << 20])
def test_rows_are_those_that_tensorflow_looks_up(name: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "CHUNK", chunk)
    dealt = name.startswith("dealt")
    found, shards = kept(COUNTS[name], dealt)
    if dealt or len(shards) == 1:
        rows = np.arange(sum(COUNTS[name]))
        strategy = "mod" if dealt else "div"
        expected = tf.compat.v1.nn.embedding_lookup(shards, rows, partition_strategy=strategy).numpy()
    else:
        expected = tf.concat(shards, 0).numpy()
    assert found.stored("table") == values.Stored(expected.dtype, expected.shape, expected.nbytes)
    np.testing.assert_array_equal(found.read("table"), expected)
    assert b"".join(found.stream("table")) == expected.tobytes()


def test_a_table_is_streamed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "CHUNK", 200)
    found, _ = kept(COUNTS["dealt, more than a chunk"], dealt=True)
    assert max(map(len, found.stream("table"))) <= 200
