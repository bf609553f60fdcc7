"""Kernels of the interpreter on inputs whose answers can be worked out by hand; TensorFlow's own are in test_interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from hub2hf import limits
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.interpreter.bounds import Items, nbytes
from hub2hf.interpreter.catalog import find
from hub2hf.interpreter.words import shared
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.graph import Graph, ReadGraph
from hub2hf.savedmodel.node import Node, TensorRef

X = np.arange(6.0).reshape(2, 3)


def kernel(op: str, *inputs: Any, run: Any = None, **attrs: Any) -> tuple[Any, ...]:
    known = find(op)
    assert known is not None
    node = Node("n", op, (), (), "", {}, {}, attrs)
    given = [np.asarray(x, object if isinstance(x, bytes) else None) if not callable(x) else x for x in inputs]
    return known.kernel(node, given, run)


def texts(*values: bytes) -> np.ndarray:
    return np.asarray(values, object)


CASES: dict[str, tuple[Callable[[], tuple[Any, ...]], Any]] = {
    "division of whole numbers cuts": (lambda: kernel("Div", [-7, 7], [2, 2]), [-3, 3]),
    "floor division goes down": (lambda: kernel("FloorDiv", [-7, 7], [2, 2]), [-4, 3]),
    "the remainder has the sign of the divisor": (lambda: kernel("FloorMod", [-7, 7], [3, -3]), [2, -2]),
    "the other has that of the dividend": (lambda: kernel("Mod", [-7, 7], [3, -3]), [-1, 1]),
    "nothing divided by nothing": (lambda: kernel("DivNoNan", [1.0, 4.0], [0.0, 2.0]), [0, 2]),
    "halves go to the even neighbour": (lambda: kernel("Round", [0.5, 1.5, 2.5]), [0, 2, 2]),
    "the root": (lambda: kernel("Rsqrt", [4.0]), [0.5]),
    "a product": (lambda: kernel("MatMul", X, X, transpose_b=True), [[5, 14], [14, 50]]),
    "a product of rows alike": (lambda: kernel("MatMul", X[[1, 1, 1]], X, transpose_b=True), [[14, 50]] * 3),
    "a product whose ends are alike": (
        lambda: kernel("MatMul", X[[1, 0, 1]], X, transpose_b=True),
        [[14, 50], [5, 14], [14, 50]],
    ),
    "a product turned": (lambda: kernel("MatMul", X, X, transpose_a=True), (X.T @ X).tolist()),
    "of batches": (lambda: kernel("BatchMatMulV2", X[None], X[None], adj_y=True), [[[5, 14], [14, 50]]]),
    "an einsum": (lambda: kernel("Einsum", X, X, equation="ab,cb->ac"), [[5, 14], [14, 50]]),
    "the mean of a row": (lambda: kernel("Mean", X, [1]), [1, 4]),
    "a sum keeps its axis": (lambda: kernel("Sum", X, -1, keep_dims=True), [[3], [12]]),
    "the largest": (lambda: kernel("Max", X, 0), [3, 4, 5]),
    "the largest of nothing": (lambda: kernel("Max", np.zeros((0, 1), np.int8), 0), [-128]),
    "one hot": (lambda: kernel("OneHot", [1, 5], 3, 2.0, 0.5), [[0.5, 2, 0.5], [0.5, 0.5, 0.5]]),
    "softmax of large numbers": (lambda: kernel("Softmax", [[1000.0, 1000.0]]), [[0.5, 0.5]]),
    "the relu": (lambda: kernel("Relu", [-1.0, 2.0]), [0, 2]),
    "a bias": (lambda: kernel("BiasAdd", X, [1.0, 2.0, 3.0]), [[1, 3, 5], [4, 6, 8]]),
    "a selection": (lambda: kernel("Select", [True, False], X, -X), [[0, 1, 2], [-3, -4, -5]]),
    "a transposition": (lambda: kernel("Transpose", X, [1, 0]), X.T.tolist()),
    "a slice to the end": (lambda: kernel("Slice", X, [0, 1], [1, -1]), [[1, 2]]),
    "a strided slice": (
        lambda: kernel("StridedSlice", X, [0, 1], [1, 3], [1, 1], shrink_axis_mask=1),
        [1, 2],
    ),
    "a slice without an end": (lambda: kernel("StridedSlice", X, [1, 1], [0, 2], [1, 1], end_mask=1), [[4]]),
    "a slice without a start": (lambda: kernel("StridedSlice", X, [1], [2], [1], begin_mask=1), X.tolist()),
    "a gather along an axis": (lambda: kernel("GatherV2", X, [2, 0], 1), [[2, 0], [5, 3]]),
    "a gather in batches": (lambda: kernel("GatherV2", X, [[2], [0]], 1, batch_dims=1), [[2], [3]]),
    "a gather in no batch": (
        lambda: (kernel("GatherV2", X[:0], np.zeros((0, 2), int), 1, batch_dims=1)[0].shape,),
        [0, 2],
    ),
    "a gather of entries": (lambda: kernel("GatherNd", X, [[1, 2], [0, 0]]), [5, 0]),
    "open sizes": (lambda: kernel("Reshape", X, [3, -1]), [[0, 1], [2, 3], [4, 5]]),
    "a split by sizes": (lambda: kernel("SplitV", X, [1, -1], 1)[1:], [[1, 2], [4, 5]]),
    "padding": (lambda: kernel("PadV2", [1, 2], [[1, 2]], 9), [9, 1, 2, 9, 9]),
    "a mirror": (lambda: kernel("MirrorPad", [1, 2, 3], [[1, 1]], mode="SYMMETRIC"), [1, 1, 2, 3, 3]),
    "a range": (lambda: kernel("Range", 1, 7, 2), [1, 3, 5]),
    "stitches, the last wins": (lambda: kernel("DynamicStitch", [0, 2], [2, 1], [1, 2], [3, 4]), [1, 4, 3]),
    "parts": (lambda: kernel("DynamicPartition", [1, 2, 3], [1, 0, 1], num_partitions=2)[1:], [1, 3]),
    "a sum at places": (lambda: kernel("ScatterNd", [[0], [2], [0]], [1, 2, 3], [4]), [4, 0, 2, 0]),
    "numbers that are cut": (lambda: kernel("Cast", [-1.7, 1.7], DstT=np.dtype(np.int64)), [-1, 1]),
    "sums by segment": (lambda: kernel("SegmentSum", [1, 2, 4], [0, 0, 2]), [3, 0, 4]),
    "means by segment": (lambda: kernel("SegmentMean", [1.0, 2.0, 4.0], [0, 0, 2]), [1.5, 0, 4]),
    "sums by unsorted segment": (lambda: kernel("UnsortedSegmentSum", [1, 2, 4], [1, -1, 1], 3), [0, 5, 0]),
    "running sums": (lambda: kernel("Cumsum", [1, 2, 3], 0, exclusive=True), [0, 1, 3]),
    "running sums from the end": (lambda: kernel("Cumsum", [1, 2, 3], 0, reverse=True), [6, 5, 3]),
    "the last branch, of an index that is none": (
        lambda: kernel("Case", 7, run=Caller(), branches=["a", "b", "c"]),
        ["c"],
    ),
    "the side that is not taken": (lambda: kernel("If", False, run=Caller(), then_branch="a", else_branch="b"), ["b"]),
    "letters that fold": (lambda: kernel("CaseFoldUTF8", texts("Straße".encode())), [b"strasse"]),
    "a decomposition": (
        lambda: kernel("NormalizeUTF8", texts("é".encode()), normalization_form="NFD"),
        ["e\u0301".encode()],
    ),
    "words between delimiters": (
        lambda: kernel("RegexSplitWithOffsets", texts(b"a, b"), rb"(\s|,)", b","),
        [b"a", b",", b"b"],
    ),
}


class Caller:
    """Tells which function was called."""

    def call(self, node: Node, name: str, arguments: Sequence[Any]) -> tuple[Any, ...]:
        return (np.asarray([name]),)


@pytest.mark.parametrize("name", CASES)
def test_computes(name: str) -> None:
    make, expected = CASES[name]
    assert np.asarray(make()[0]).tolist() == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: kernel("GatherV2", X, [-1], 0),
        lambda: kernel("GatherV2", X, [2], 0),
        lambda: kernel("GatherNd", X, [[0, 3]]),
        lambda: kernel("FloorDiv", [1], [0]),
        lambda: kernel("BiasAdd", X, [1.0]),
        lambda: kernel("Cast", texts(b"1"), DstT=np.dtype(np.int32)),
        lambda: kernel("TensorScatterUpdate", X, [[0]], [1.0]),
    ],
)
def test_refuses_what_tensorflow_refuses(make: Callable[[], Any]) -> None:
    with pytest.raises((LookupError, ValueError, ArithmeticError, TypeError)):
        make()


def test_a_table_gives_its_default_for_what_it_has_not() -> None:
    table: dict[Any, Any] = {b"a": 1}
    node = Node("n", "LookupTableFindV2", (), (), "", {}, {}, {})
    found = find("LookupTableFindV2")
    assert found is not None
    assert found.kernel(node, [table, texts(b"a", b"b"), np.asarray(-1)], None)[0].tolist() == [1, -1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "budget", "given"), [([5, 1], 4, [3, 1]), ([2, 2], 3, [2, 1]), ([0, 9], 4, [0, 4]), ([1, 1], 9, [1, 1])]
)
def test_a_budget_is_dealt_out_in_turn(sizes: list[int], budget: int, given: list[int]) -> None:
    assert shared(sizes, budget) == given


def test_a_list_knows_what_it_holds_when_it_changes() -> None:
    items = Items([np.zeros(3), np.zeros(5)])
    assert nbytes(items) == nbytes(Items(items))
    changed = items.changed(1, np.zeros(100)).changed(2, np.zeros(7))
    assert len(changed) == 3
    assert nbytes(changed) == nbytes(Items(changed))


def graph(*nodes: tuple[str, str, tuple[str, ...], dict[str, Any]]) -> Graph:
    """Return a graph of (name, op, inputs, attributes): numbers are constants, names of dtypes are types."""
    proto = messages.new("GraphDef")
    for name, op, inputs, attrs in nodes:
        node = proto.node.add(name=name, op=op, input=inputs)
        for key, value in attrs.items():
            if key == "value":
                node.attr[key].tensor.dtype = 1
                for size in np.shape(value):
                    node.attr[key].tensor.tensor_shape.dim.add().size = size
                node.attr[key].tensor.float_val.extend(np.ravel(value).tolist())
            else:
                node.attr[key].type = value
    return ReadGraph(proto)


def interpreter(of: Graph, **given: Any) -> Interpreter:
    return Interpreter(of, Substitutes(lambda name: np.full(2, 7.0), {}), **given)


SUM = graph(
    ("a", "Placeholder", (), {"dtype": 1}),
    ("b", "Const", (), {"value": [1.0, 2.0], "dtype": 1}),
    ("c", "AddV2", ("a", "b"), {"T": 1}),
    ("d", "Mul", ("c", "c"), {"T": 1}),
)


class TestRuns:
    def test_what_is_fed_goes_through_what_depends_on_it(self) -> None:
        seen: list[str] = []
        runner = interpreter(SUM, observe=lambda node, inputs, outputs: seen.append(node.name))
        for x, y in ((1.0, [4.0, 9.0]), (2.0, [9.0, 16.0])):
            assert runner.run([TensorRef("d")], {TensorRef("a"): np.full(2, x)})[0].tolist() == y
        assert [name for name in seen if name != "b"] == ["c", "d"] * 2

    def test_a_value_may_be_fed_in_the_middle(self) -> None:
        found = interpreter(SUM).run([TensorRef("d"), TensorRef("c")], {TensorRef("c"): np.asarray([3.0])})
        assert [value.tolist() for value in found] == [[9.0], [3.0]]

    def test_what_is_missing_or_unknown_is_named(self) -> None:
        with pytest.raises(GraphError, match="'a'"):
            interpreter(SUM).run([TensorRef("d")], {})
        odd = graph(("odd", "NoSuchOp", (), {}))
        with pytest.raises(GraphError, match="'odd' has op 'NoSuchOp'"):
            interpreter(odd).run([TensorRef("odd")], {})

    def test_what_would_take_too_much_memory_is_refused(self) -> None:
        many = graph(("a", "Placeholder", (), {"dtype": 1}), ("c", "AddV2", ("a", "a"), {"T": 1}))
        value = np.zeros(limits.MEMORY // 16)
        with pytest.raises(GraphError, match=r"'c' .* more than 128 MB"):
            interpreter(many).run([TensorRef("c")], {TensorRef("a"): value})
        assert interpreter(many).run([TensorRef("c")], {TensorRef("a"): value[: len(value) // 4]})

    def test_values_are_forgotten_after_their_last_use(self) -> None:
        """Forty values of a sixteenth of what may be held go by, one after the other."""
        chain = [(f"n{i}", "Neg", (f"n{i - 1}" if i else "a",), {"T": 1}) for i in range(40)]
        long = graph(("a", "Placeholder", (), {"dtype": 1}), *chain)
        value = np.zeros(limits.MEMORY // 128)
        assert interpreter(long).run([TensorRef("n39")], {TensorRef("a"): value})[0].shape == value.shape
