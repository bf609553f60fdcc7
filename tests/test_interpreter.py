"""The interpreter's ops one by one against TensorFlow's, and what it does with graphs that are no good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import interpreter_cases
import interpreter_text_cases
import numpy as np
import pytest
import tensorflow as tf

from convert.errors import GraphError
from convert.interpreter import Interpreter, Substitutes
from convert.interpreter.registry import OPERATIONS
from convert.savedmodel import messages
from convert.savedmodel.graph import Graph
from convert.savedmodel.node import TensorRef

v1 = tf.compat.v1
CASES = interpreter_cases.cases() | interpreter_text_cases.cases()

# Registered under a name that TensorFlow 2 no longer writes, or run with a whole SavedModel in tests/foreign.
ELSEWHERE = {
    "LookupTableFind": "the reference-handle form of LookupTableFindV2",
    "LookupTableSize": "the reference-handle form of LookupTableSizeV2",
    "ResourceGather": "tests/foreign, resource variables",
    "StatefulPartitionedCall": "tests/foreign, wrapped encoder",
}


@dataclass(frozen=True)
class Ran:
    """All cases in one graph, and TensorFlow's values of each."""

    graph: Graph
    fetches: dict[str, list[TensorRef]]
    values: dict[str, list[np.ndarray]]


def read(graph: tf.Graph) -> Graph:
    return Graph(messages.parse("GraphDef", graph.as_graph_def().SerializeToString()))


def interpreter(graph: Graph) -> Interpreter:
    return Interpreter(graph, Substitutes(lambda name: np.zeros(()), interpreter_text_cases.VOCABULARY))


@pytest.fixture(scope="module")
def ran() -> Ran:
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        fetches = {}
        for i, (name, case) in enumerate(CASES.items()):
            with v1.name_scope(f"case_{i}"):
                fetches[name] = tf.nest.flatten(_plain(case()))
        session.run(v1.tables_initializer())
        values = session.run(fetches)
        refs = {name: [TensorRef(t.op.name, t.value_index) for t in tensors] for name, tensors in fetches.items()}
        return Ran(read(graph), refs, values)


def _plain(result: Any) -> list[Any]:
    """A namedtuple or list of tensors, or one tensor."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


@pytest.mark.parametrize("name", CASES)
def test_computes_what_tensorflow_computes(name: str, ran: Ran) -> None:
    found = interpreter(ran.graph).run(ran.fetches[name], {})
    for ours, theirs in zip(found, ran.values[name], strict=True):
        assert np.shape(ours) == np.shape(theirs)
        if np.asarray(theirs).dtype.kind == "f":
            assert np.asarray(ours).dtype == np.float64
            np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6)
        else:
            assert np.asarray(ours).dtype == np.asarray(theirs).dtype
            assert np.asarray(ours).tolist() == np.asarray(theirs).tolist()


def test_every_op_of_the_table_has_a_case(ran: Ran) -> None:
    bodies = [ran.graph, *ran.graph.functions.values()]
    run = {node.op for body in bodies for node in body.nodes.values()}
    assert set(OPERATIONS) - run == set(ELSEWHERE)


def _run(make: Any, feeds: Sequence[Any] = ()) -> list[Any]:
    with tf.Graph().as_default() as graph:
        result = make()
    return interpreter(read(graph)).run([TensorRef(result.op.name)], {})


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: tf.identity(tf.nn.selu(tf.constant(1.0), name="culprit")), "op 'Selu'"),
        (lambda: tf.raw_ops.Fill(dims=tf.constant([1 << 20, 1 << 20]), value=0, name="culprit"), "of shape"),
        (lambda: tf.raw_ops.Range(start=0, limit=tf.constant(1 << 30), delta=1, name="culprit"), "of shape"),
        (lambda: tf.raw_ops.Tile(input=[0], multiples=tf.constant([1 << 30]), name="culprit"), "of shape"),
        (lambda: v1.placeholder(tf.float32, [], name="culprit"), "op 'Placeholder'"),
        (
            lambda: tf.reshape(v1.placeholder_with_default([1, 2], [None]), tf.constant([3]), name="culprit"),
            "Placeholder",
        ),
        (lambda: tf.raw_ops.StringToHashBucketFast(input=["a"], num_buckets=2, name="culprit"), "several buckets"),
    ],
)
def test_what_cannot_be_computed_is_one_error_that_names_the_node(make: Any, culprit: str) -> None:
    with pytest.raises(GraphError, match=culprit) as refusal:
        _run(make)
    assert "culprit" in str(refusal.value) or "Placeholder" in str(refusal.value)


def test_a_loop_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convert.interpreter.control.MAX_ITERATIONS", 50)
    with pytest.raises(GraphError, match="does not end"):
        _run(lambda: tf.while_loop(lambda i: i > -1, lambda i: [tf.abs(i)], [tf.constant(0)])[0])


def test_observers_see_steps_in_functions_too() -> None:
    with tf.Graph().as_default() as graph:
        result = tf.map_fn(tf.square, tf.constant([1.0, 2.0]))
    seen = []
    runner = Interpreter(
        read(graph),
        Substitutes(lambda name: np.zeros(()), {}),
        lambda node, i, o: seen.append((node.op, node.function)),
    )
    runner.run([TensorRef(result.op.name)], {})
    inside = [function for op, function in seen if op == "Square"]
    assert len(inside) == 2
    assert all(inside)
