"""Weights that a graph makes of its variables, products side by side, and the graph as it is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from hub2hf.analysis.as_stored import AsStored
from hub2hf.analysis.beside import as_one
from hub2hf.analysis.made import Made, made_in, with_made
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.state_dict import COPY, TRANSPOSE, VIEW, Axis, Mapped

OUT = TensorRef("out")
X = np.random.default_rng(0).standard_normal((3, 4))


def graph(*nodes: Node) -> Graph:
    return Graph({node.name: node for node in nodes}, {})


def node(name: str, op: str, *inputs: str, **attributes: object) -> Node:
    refs = [TensorRef(each.split(":")[0], int(each.partition(":")[2] or 0)) for each in inputs]
    return Node.made(name, op, refs, attributes=attributes)


def number(name: str, value: object) -> Node:
    return node(name, "Const", value=np.asarray(value))


def variables(**shapes: tuple[int, ...]) -> tuple[list[Node], dict[str, np.ndarray], dict[str, tuple[int, ...]]]:
    values = {
        n: np.random.default_rng(len(n)).standard_normal(shape) * (i + 1) for i, (n, shape) in enumerate(shapes.items())
    }
    return [node(name, "VariableV2") for name in shapes], values, shapes


def made_of(of: Graph, shapes: Mapping[str, tuple[int, ...]]) -> Made:
    leaves = {name: (name, ()) for name in shapes}
    (made,) = made_in(of, order_of(of, [OUT]), leaves, shapes)
    return made


def product(weights: str, *before: Node) -> list[Node]:
    return [node("x", "Placeholder"), *before, node("out", "MatMul", "x", weights)]


def test_halves_are_put_together_bit_for_bit() -> None:
    nodes, values, shapes = variables(k0=(4, 2), k01=(4, 3))
    made = made_of(graph(*nodes, number("axis", 1), *product("k", node("k", "ConcatV2", "k0", "k01", "axis"))), shapes)
    np.testing.assert_array_equal(made.value(values.__getitem__), np.concatenate([*values.values()], 1))
    assert made.of_stored(Mapped(made.name, "weight", TRANSPOSE, (5, 4))).variable == made.name
    assert made.computed(dict.fromkeys(shapes, np.dtype(np.float16))).dtype == np.float16


def test_what_comes_of_one_of_them_is_paired_with_that() -> None:
    nodes, _, shapes = variables(k0=(4, 2), k01=(4, 3))
    made = made_of(graph(*nodes, number("axis", 1), *product("k", node("k", "ConcatV2", "k0", "k01", "axis"))), shapes)
    assert made.numbers is not None
    second = Mapped(made.name, "weight", VIEW, (3, 4), start=2, axes=made_axes())
    assert made.of_stored(second) == Mapped("k01", "weight", TRANSPOSE, (3, 4))


def made_axes() -> tuple[Axis, Axis]:

    return Axis(3, 1), Axis(4, 5)


@pytest.mark.parametrize(("op", "function"), [("AddV2", np.add), ("Sub", np.subtract), ("Maximum", np.maximum)])
def test_what_a_constant_is_added_to_is_computed(op: str, function: Callable[..., np.ndarray]) -> None:
    nodes, values, shapes = variables(delta=(4,))
    made = made_of(graph(*nodes, number("c", 1.0), node("gamma", op, "delta", "c"), *scaled("gamma")), shapes)
    assert made.numbers is None
    np.testing.assert_array_equal(made.value(values.__getitem__), function(values["delta"], 1.0))
    assert made.of_stored(Mapped(made.name, "gamma", COPY, (4,))).variable == made.name


@pytest.mark.parametrize("op", ["Abs", "Relu", "Relu6"])
def test_what_few_numbers_show_is_computed_too(op: str) -> None:
    nodes, _, shapes = variables(k=(40, 4))
    assert made_of(graph(*nodes, node("kept", op, "k"), *scaled("kept")), shapes).numbers is None


def scaled(by: str) -> list[Node]:
    return [node("x", "Placeholder"), node("out", "Mul", "x", by)]


def test_a_whole_table_that_is_turned_is_the_variable_turned() -> None:
    nodes, values, shapes = variables(table=(4, 9))
    looked_up = [node("x", "Placeholder"), number("zero", 0), number("axes", [1, 0])]
    rows = [node("rows", "Transpose", "table", "axes"), node("out", "GatherV2", "rows", "x", "zero")]
    made = made_of(graph(*nodes, *looked_up, *rows), shapes)
    assert (made.shape, made.turned) == ((9, 4), True)
    assert made.of_stored(Mapped(made.name, "words", COPY, (9, 4))) == Mapped("table", "words", TRANSPOSE, (9, 4))
    np.testing.assert_array_equal(made.value(values.__getitem__), values["table"].T)


def test_a_variable_times_a_number_and_tables_that_are_added_up_stay_as_they_are() -> None:
    nodes, _, shapes = variables(k=(4, 4), a=(4,), b=(4,))
    more = [number("c", 2.0), node("twice", "Mul", "k", "c"), node("both", "AddV2", "a", "b")]
    of = graph(
        *nodes, node("x", "Placeholder"), *more, node("y", "MatMul", "x", "twice"), node("out", "AddV2", "y", "both")
    )
    assert made_in(of, order_of(of, [OUT]), {name: (name, ()) for name in shapes}, shapes) == []


def side_by_side(last: Node) -> tuple[Graph, dict[str, np.ndarray], dict[str, tuple[int, ...]]]:
    nodes, values, shapes = variables(k0=(4, 2), k01=(4, 3), b0=(2,), b01=(3,))
    halves = [node(f"y{i}", "MatMul", "x", f"k{i}") for i in ("0", "01")]
    biased = [node(f"z{i}", "AddV2", f"y{i}", f"b{i}") for i in ("0", "01")]
    return graph(*nodes, node("x", "Placeholder"), number("axis", -1), *halves, *biased, last), values, shapes


def run(of: Graph, values: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.asarray(Interpreter(of, Substitutes(values.__getitem__, {})).run([OUT], {TensorRef("x"): X})[0])


def test_halves_of_outputs_become_one_product_and_one_bias() -> None:
    of, values, shapes = side_by_side(node("out", "ConcatV2", "z0", "z01", "axis"))
    one = as_one(of, order_of(of, [OUT]), shapes)
    ops = [each.op for each in order_of(one, [OUT])]
    assert (ops.count("MatMul"), ops.count("AddV2")) == (1, 1)
    np.testing.assert_allclose(run(one, values), run(of, values), rtol=1e-14)


def test_two_products_that_do_not_meet_stay() -> None:
    of, _, shapes = side_by_side(node("out", "Pack", "z0", "z01"))
    assert as_one(of, order_of(of, [OUT]), shapes) is of


def test_products_that_are_added_up_become_one() -> None:
    nodes, values, shapes = variables(k0=(4, 5), k01=(4, 5))
    other = node("x2", "Tanh", "x")
    products = [node("y0", "MatMul", "x", "k0"), node("y1", "MatMul", "x2", "k01")]
    of = graph(*nodes, node("x", "Placeholder"), other, *products, node("out", "AddN", "y0", "y1"))
    one = as_one(of, order_of(of, [OUT]), shapes)
    assert [each.op for each in order_of(one, [OUT])].count("MatMul") == 1
    np.testing.assert_allclose(run(one, values), run(of, values), rtol=1e-14)


@pytest.mark.parametrize("right", [True, False])
def test_what_is_read_is_held_against_what_is_stored(right: bool) -> None:
    nodes, _, shapes = variables(k0=(4, 2), k01=(4, 3))
    of = graph(*nodes, number("axis", 1), *product("k", node("k", "ConcatV2", "k0", "k01", "axis")))
    made = made_of(of, shapes)
    changed = with_made(of, order_of(of, [OUT]), [made])
    names = list(shapes) if right else list(shapes)[::-1]
    value = lambda read: np.concatenate([read(name) for name in names], 1)  # noqa: E731
    stored = AsStored(of, OUT, {name: (name, ()) for name in shapes}, shapes, {})
    feeds = [{TensorRef("x"): X}]
    if right:
        stored.check((changed, OUT), {made.variable: (value, ())}, Substitutes(lambda name: X, {}), feeds)
        return
    with pytest.raises(GraphError, match="Node 'out' computes something else"):
        stored.check((changed, OUT), {made.variable: (value, ())}, Substitutes(lambda name: X, {}), feeds)
