"""The interpreter's ops one by one against TensorFlow's, and what it does with graphs that are no good."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import interpreter_cases
import interpreter_state_cases
import interpreter_text_cases
import numpy as np
import pytest
import tensorflow as tf
from cases import CASES as OPERATION_CASES

from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.interpreter.catalog import operations
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.graph import Graph, ReadGraph
from hub2hf.savedmodel.node import Node, TensorRef

v1 = tf.compat.v1
CASES = interpreter_cases.cases() | interpreter_text_cases.cases() | interpreter_state_cases.cases()

# Registered under a name that TensorFlow 2 no longer writes, or run with a whole SavedModel in tests/foreign.
ELSEWHERE = {
    **dict.fromkeys(
        (f"LookupTable{name}" for name in ("Find", "Size", "Export", "Import", "Insert")),
        "the reference-handle form of its V2, whose kernel it has",
    ),
    **dict.fromkeys(
        (name for name in operations() if "Table" in name and name not in ("LookupTableFindV2", "LookupTableSizeV2")),
        "test_tables_are_filled_and_asked_as_tensorflow_does",
    ),
    **dict.fromkeys(
        (name for name in operations() if name.startswith("TensorArray") and not name.endswith("V3")),
        "an older name for the kernel of its V3, see test_older_names_have_the_same_kernel",
    ),
    **dict.fromkeys(
        (name for name in operations() if name.startswith("Sentencepiece")),
        "tests/test_sentencepiece.py, whose models they need",
    ),
    "TensorArrayCloseV3": "has no output",
    "CompositeTensorVariantFromComponents": "test_composites_are_taken_apart_as_they_were_made",
    "CompositeTensorVariantToComponents": "test_composites_are_taken_apart_as_they_were_made",
    "VarIsInitializedOp": "tests/foreign, resource variables",
    "VariableShape": "tests/foreign, resource variables",
    "ResourceGatherNd": "the kernel of GatherNd, on a variable",
    "RefIdentity": "the kernel of Identity, of a reference variable",
    "RefSwitch": "the kernel of Switch",
    "RefMerge": "the kernel of Merge",
    "TopK": "TopKV2 with k as an attribute, which TensorFlow 2 runs no more",
    "Empty": "gives memory as it is found, or zeros",
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
    return ReadGraph(messages.parse("GraphDef", graph.as_graph_def().SerializeToString()))


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
    assert set(operations()) - run - set(OPERATION_CASES) <= set(ELSEWHERE)


def _run(make: Any, feeds: Sequence[Any] = ()) -> list[Any]:
    with tf.Graph().as_default() as graph:
        result = make()
    return interpreter(read(graph)).run([TensorRef(result.op.name)], {})


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: tf.raw_ops.RandomUniform(shape=[2], dtype=tf.float32, name="culprit"), "op 'RandomUniform'"),
        (lambda: tf.raw_ops.Fill(dims=tf.constant([1 << 20, 1 << 20]), value=0, name="culprit"), "of shape"),
        (lambda: tf.raw_ops.Range(start=0, limit=tf.constant(1 << 30), delta=1, name="culprit"), "of shape"),
        (lambda: tf.raw_ops.Tile(input=[0], multiples=tf.constant([1 << 30]), name="culprit"), "of shape"),
        (lambda: v1.placeholder(tf.float32, [], name="culprit"), "op 'Placeholder'"),
        (
            lambda: tf.reshape(v1.placeholder_with_default([1, 2], [None]), tf.constant([3]), name="culprit"),
            "cannot be computed",
        ),
    ],
)
def test_what_cannot_be_computed_is_one_error_that_names_the_node(make: Any, culprit: str) -> None:
    with pytest.raises(GraphError, match=culprit) as refusal:
        _run(make)
    assert "culprit" in str(refusal.value) or "Placeholder" in str(refusal.value)


def test_a_loop_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub2hf.interpreter.control.MAX_ITERATIONS", 50)
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


def test_an_interpreter_that_nobody_holds_is_freed_at_once() -> None:
    """Reading a graph makes many, each with its constants: none may wait for the garbage collector."""
    with tf.Graph().as_default() as graph:
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([b"a"], [1]), 0)
        variable = v1.get_variable("v", [], use_resource=True)
        result = variable.read_value() + tf.cast(table.lookup(tf.constant(b"a")), tf.float32) + tf.constant(1.0)
    runner = Interpreter(read(graph), Substitutes(lambda name: np.ones(()), {b"a": 1}))
    assert runner.run([TensorRef(result.op.name)], {}) == [3.0]
    gone = weakref.ref(runner)
    gc.disable()
    try:
        del runner
        assert gone() is None
    finally:
        gc.enable()


def test_one_that_may_hold_no_more_gives_its_constants_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub2hf.limits.MEMORY", 100)
    with tf.Graph().as_default() as graph:
        result = tf.constant([1.0] * 10) + tf.constant([2.0] * 10)
    runner = interpreter(read(graph))
    with pytest.raises(GraphError, match="would take more than") as refusal:
        runner.run([TensorRef(result.op.name)], {})
    assert not runner._constants, refusal


def test_older_names_have_the_same_kernel() -> None:
    for name in operations():
        if name.startswith("TensorArray") and not name.endswith("V3"):
            newer = {"TensorArrayPack": "TensorArrayGatherV3", "TensorArrayUnpack": "TensorArrayScatterV3"}.get(
                name, name.removesuffix("V2") + "V3"
            )
            assert operations()[name] is operations()[newer], name
    for one, other in (("RefSwitch", "Switch"), ("RefMerge", "Merge"), ("ResourceGatherNd", "GatherNd")):
        assert operations()[one] is operations()[other]


def _kernel(op: str, *inputs: Any, **attrs: Any) -> tuple[Any, ...]:
    node = Node(op, op, (), (), "", {}, {}, dict(attrs))
    return operations()[op].kernel(
        node, [np.asarray(x) if not isinstance(x, (dict, tuple)) else x for x in inputs], None
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ([b"a", b"b", b"a\0"], [1, 2, 3]),
        ([b"a", b"b", b"a\0"], [1.5, 2.5, 3.5]),
        ([b"a", b"b", b"a\0"], [[1, 2], [3, 4], [5, 6]]),
        ([3, -1, 1 << 40], [b"x", b"y", b"z"]),
        ([3, -1, 1 << 40], [[1, 2], [3, 4], [5, 6]]),
    ],
)
def test_tables_are_filled_and_asked_as_tensorflow_does(keys: list[Any], values: list[Any]) -> None:
    k, v = (np.asarray(items, object if isinstance(items[0], bytes) else None) for items in (keys, values))
    default = np.asarray(b"?", object) if v.dtype == object else np.full(v.shape[1:], -1, v.dtype)
    theirs = tf.lookup.experimental.MutableHashTable(
        tf.as_dtype(k.dtype) if k.dtype != object else tf.string,
        tf.as_dtype(v.dtype) if v.dtype != object else tf.string,
        default,
    )
    (ours,) = _kernel("MutableHashTableV2")
    theirs.insert(k[:2], v[:2])
    _kernel("LookupTableInsertV2", ours, k[:2], v[:2])
    asked = k[[2, 0, 1, 1]]

    def same() -> None:
        assert int(theirs.size()) == int(_kernel("LookupTableSizeV2", ours)[0])
        (found,) = _kernel("LookupTableFindV2", ours, asked, default)
        assert found.tolist() == theirs.lookup(asked).numpy().tolist()

    same()
    theirs.remove(k[:1])
    _kernel("LookupTableRemoveV2", ours, k[:1])
    same()
    tf.raw_ops.LookupTableImportV2(table_handle=theirs.resource_handle, keys=k, values=v)
    _kernel("LookupTableImportV2", ours, k, v)
    same()
    kinds = {"Tkeys": "string" if k.dtype == object else k.dtype, "Tvalues": "string" if v.dtype == object else v.dtype}
    exported = _kernel("LookupTableExportV2", ours, **kinds)
    right = [part.numpy().tolist() for part in theirs.export()]
    assert sorted(zip(*(part.tolist() for part in exported), strict=True)) == sorted(zip(*right, strict=True))


def test_composites_are_taken_apart_as_they_were_made() -> None:
    (made,) = _kernel("CompositeTensorVariantFromComponents", np.asarray(1), np.asarray(2.0))
    assert [int(part) for part in _kernel("CompositeTensorVariantToComponents", made)] == [1, 2]


def test_a_bare_text_with_a_zero_at_its_end_is_kept_whole() -> None:
    with tf.Graph().as_default() as graph:
        picked = tf.gather(tf.constant(["a\0", "b"]), 0)
        result = tf.strings.length(picked)
    assert interpreter(read(graph)).run([TensorRef(result.op.name)], {})[0] == 2
