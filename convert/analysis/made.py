"""Weights that the graph makes of its variables: halves put together, 1 + delta, a table that is stored turned.

Each becomes a variable of its own, as if it had been stored so. How it is made is not read from the ops: they are run on
variables whose values are the numbers of their elements, and again on others. Where each element is one of a variable, the
variable itself is paired with its key; otherwise the value is what the ops make of the values of the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from hub2hf.analysis.flow import ADDITIONS, GATHERS, MULTIPLICATIONS
from hub2hf.analysis.parts import PASSING, PICKING, Places, view_of, with_variables
from hub2hf.errors import GraphError, MappingError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.values import Computed
from hub2hf.savedmodel.variables import VARIABLE_OPS
from hub2hf.state_dict import COPY, TRANSPOSE, Mapped, tensor_of

NO_VARIABLE = no_variable("takes part in a weight that is made of others")

# What leaves every number of a variable as it is; the rest of the encoder is asked which of them go where.
MOVING = PASSING | {*PICKING, "Cast", "Reshape", "Transpose", "ExpandDims", "Squeeze", "BroadcastTo", "Tile"}
MAX_MADE = 1000  # nodes between variables and a weight


@dataclass(frozen=True)
class Made:
    """A weight that is made of variables.

    Attributes:
        graph: the graph that makes it.
        tensor: the weight.
        leaves: node → the variable that it is, and which part of it, of those that it is made of.
        shapes: of these variables' nodes.
        shape: of the weight.
        numbers: int64, of its shape: which element of the variables, counted over all of them, each of its elements is;
            None where they are made of more than that.
        turned: whether it is one table, stored [columns, rows]; `numbers` is None then.
    """

    graph: Graph
    tensor: TensorRef
    leaves: Places
    shapes: Mapping[str, tuple[int, ...]]
    shape: tuple[int, ...]
    numbers: np.ndarray | None
    turned: bool = False

    @property
    def name(self) -> str:
        """What it goes by."""
        names = ", ".join(dict.fromkeys(leaf for leaf, _ in self.leaves.values()))
        return f"{self.tensor}, made of {names}"

    @property
    def variable(self) -> str:
        """The name of its node in the graph of `with_made`."""
        return f"{self.tensor.node}/hub2hf/made/{self.tensor.output}"

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that it is made of."""
        return tuple(dict.fromkeys(leaf for leaf, _ in self.leaves.values()))

    def of_stored(self, item: Mapped) -> Mapped:
        """Return the pair of a variable as it is stored in place of `item`, that of this weight, where there is one."""
        if self.turned:
            (whole,) = self.variables
            return replace(item, variable=whole, operation=TRANSPOSE) if item.operation == COPY else item
        if self.numbers is None:
            return item
        numbers, start = tensor_of(replace(item, factor=1.0), self.numbers), 0
        for node, (leaf, part) in self.leaves.items():
            inside = numbers - start
            start += prod(self.shapes[node])
            if not part and inside.min() >= 0 and numbers.max() < start:
                try:
                    return view_of(item, inside, leaf, self.shapes[node])
                except MappingError:  # in no regular order
                    return item
        return item

    def computed(self, dtypes: Mapping[str, np.dtype]) -> Computed:
        """Return how its value is computed of those of the variables.

        Args:
            dtypes: variable → its dtype.
        """
        own = {dtypes[name] for name in self.variables}
        dtype = own.pop() if self.numbers is not None and len(own) == 1 else np.dtype(np.float32)
        return Computed(str(self.tensor), self.variables, dtype, self.shape, self.value)

    def value(self, read: Callable[[str], np.ndarray]) -> np.ndarray:
        """Return its value; `read` gives those of variables."""
        if self.turned:
            return read(self.variables[0]).T
        values = {node: read(leaf)[part] for node, (leaf, part) in self.leaves.items()}
        if self.numbers is not None:
            return np.asarray(np.concatenate([value.reshape(-1) for value in values.values()])[self.numbers])
        return _run(self.graph, self.tensor, {node: value.astype(np.float64) for node, value in values.items()})


def made_in(graph: Graph, order: Sequence[Node], leaves: Places, shapes: Mapping[str, tuple[int, ...]]) -> list[Made]:
    """Return the weights that are more than elements of one variable, and tables that are looked up in and stored turned.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        leaves: what nodes are variables.
        shapes: variable → its shape.
    """
    sizes = {node: _shape_of(shapes[leaf], part) for node, (leaf, part) in leaves.items()}
    # Of the words' table alone: relative positions are asked elsewhere which way they are stored.
    most = max(map(prod, sizes.values()), default=0)
    # Nodes that depend on nothing that is fed → whether they hold elements of one variable.
    of = dict.fromkeys(leaves, True)
    inside: dict[str, tuple[str, ...]] = {name: (name,) for name in leaves}
    turned: dict[str, int] = dict.fromkeys(leaves, 0)
    wanted: dict[TensorRef, bool] = {}
    for node in order:
        if node.name in leaves:
            continue
        before = [ref.node for ref in node.inputs]
        if node.op not in VARIABLE_OPS and all(name in of for name in before) and (before or node.op == "Const"):
            inside[node.name] = tuple(dict.fromkeys(leaf for name in before for leaf in inside[name]))
            of[node.name] = not inside[node.name] or _is_plain(graph, node, of, inside)
            turned[node.name] = _turns(node, graph, turned)
            continue
        for position, ref in enumerate(node.inputs):
            if ref.node in of and inside[ref.node]:
                looked_up = node.op in GATHERS and position == 0 and turned[ref.node] % 2 == 1
                looked_up = looked_up and prod(sizes[inside[ref.node][0]]) == most
                if not of[ref.node] or looked_up:
                    wanted[ref] = looked_up and of[ref.node]
    found = (_made(graph, ref, {n: leaves[n] for n in inside[ref.node]}, sizes, table) for ref, table in wanted.items())
    return [made for made in found if made is not None]


def _shape_of(shape: tuple[int, ...], part: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(each.stop - each.start for each in part) or shape


def _is_plain(graph: Graph, node: Node, of: Mapping[str, bool], inside: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a node holds elements of one variable, all perhaps times one number; or of several tables added up."""
    carrying = [ref.node for ref in node.inputs if inside[ref.node]]
    if not all(of[name] for name in carrying):
        return False
    if node.op in ADDITIONS:
        return len(carrying) == len(node.inputs)
    if len(carrying) != 1:
        return False
    if node.op in MULTIPLICATIONS and carrying[0] == node.inputs[0].node:
        other = graph.node(node.inputs[1].node)
        return other.op == "Const" and other.value.size == 1
    if node.op == "Mul":
        other = graph.node(node.inputs[0].node)
        return other.op == "Const" and other.value.size == 1
    return node.op in MOVING


def _turns(node: Node, graph: Graph, turned: Mapping[str, int]) -> int:
    """Return how often the axes of a table are exchanged; 0 where something else is done to it."""
    if not node.inputs or node.inputs[0].node not in turned:
        return 0
    before = turned[node.inputs[0].node]
    if node.op == "Transpose":
        axes = graph.node(node.inputs[1].node)
        if axes.op == "Const" and axes.value.ravel().tolist() == [1, 0]:
            return before + 1
    return before if node.op in PASSING | {"Cast"} else 0


def _made(
    graph: Graph, ref: TensorRef, leaves: Places, sizes: Mapping[str, tuple[int, ...]], table: bool
) -> Made | None:
    """Return a weight; None where it cannot be made."""
    shapes = {node: sizes[node] for node in leaves}
    if table:
        ((_, part),) = leaves.values()
        (shape,) = shapes.values()
        whole = not part and len(shape) == 2
        return Made(graph, ref, leaves, shapes, shape[::-1], None, turned=True) if whole else None
    ends = np.cumsum([prod(shape) for shape in shapes.values()])
    random = np.random.default_rng(3)
    # Large and small ones: some numbers may be cut off, or lose their sign.
    large = 10.0 ** random.uniform(-3.0, 3.0, int(ends[-1]))
    values = [np.arange(float(ends[-1])), large * random.choice([-1.0, 1.0], int(ends[-1]))]
    try:
        found, again = (
            _run(
                graph,
                ref,
                {
                    node: part.reshape(shape)
                    for (node, shape), part in zip(shapes.items(), np.split(value, ends[:-1]), strict=True)
                },
            )
            for value in values
        )
    except GraphError:
        return None
    numbers = np.clip(np.nan_to_num(found), 0, ends[-1] - 1).astype(np.int64)
    same = np.array_equal(numbers, found) and np.array_equal(values[1][numbers], again)
    return Made(graph, ref, leaves, shapes, found.shape, numbers if same else None)


def _run(graph: Graph, ref: TensorRef, values: Mapping[str, np.ndarray]) -> np.ndarray:
    tick(ref.node)
    feeds = {TensorRef(node): value for node, value in values.items()}
    return np.asarray(Interpreter(graph, Substitutes(NO_VARIABLE, {})).run([ref], feeds)[0])


def with_made(graph: Graph, order: Sequence[Node], found: Sequence[Made]) -> Graph:
    """Return `graph` with a variable for each of `found` in place of what makes it."""
    return with_variables(graph, order, {made.tensor: made.variable for made in found})


def without(graph: Graph, found: Sequence[Made]) -> Graph:
    """Return the graph of `with_made` with `found` made by the graph again."""
    made = {each.variable: Node.made(each.variable, "Identity", (each.tensor,)) for each in found}
    return Graph({**graph.nodes, **made}, graph.functions)
