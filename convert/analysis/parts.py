"""Variables that are used a part at a time: the layers stacked in one, or queries, keys and values.

Each part becomes a variable of its own, as if it had been stored so. Which numbers of the whole it holds is not read from
the ops that pick it: they are run on a variable whose values are the numbers of its elements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from hub2hf.errors import REPORT, GraphError, MappingError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.state_dict import SWAP_ROWS, Mapped, mapped_vector, mapped_view, steps_of, tensor_of

NO_VARIABLE = no_variable("takes part in picking from another")
PASSING = frozenset({"Identity", "ReadVariableOp", "StopGradient", "EnsureShape"})
# op → the input that is picked from; all others must be constant.
PICKING = {
    **dict.fromkeys(("Gather", "GatherV2", "ResourceGather", "StridedSlice", "Slice", "Unpack", "SplitV"), 0),
    "Split": 1,
}
Places = dict[str, tuple[str, tuple[slice, ...]]]  # node → the variable that it is, and which part of it
MOVES = PASSING | {"Reshape", "Transpose", "ExpandDims", "Squeeze"}


def made_by(graph: Graph, ref: TensorRef) -> Node:
    """Return the node that makes a tensor, however it is passed on."""
    node = graph.node(ref.node)
    while node.op in PASSING:
        node = graph.node(node.input(0).node)
    return node


@dataclass(frozen=True)
class Part:
    """A part of a variable.

    Attributes:
        whole: the variable.
        node, tensor: the node of that variable, and the tensor that is the part.
        numbers: int64, of the shape of the part: the flat number of each of its elements in the whole.
    """

    whole: str
    node: str
    tensor: TensorRef
    numbers: np.ndarray

    @property
    def name(self) -> str:
        """What the part goes by."""
        return f"{self.whole}, part of {self.tensor}"

    @property
    def variable(self) -> str:
        """The name of its node in the graph of `apart`."""
        return f"{self.tensor.node}/hub2hf/part/{self.tensor.output}"

    def of_whole(self, item: Mapped, shape: tuple[int, ...]) -> Mapped:
        """Return the pair of the whole variable, of `shape`, in place of `item`, that of this part.

        Raises:
            MappingError: the elements are in no regular order in the whole.
        """
        if item.operation == SWAP_ROWS:
            raise MappingError(f"'{item.key}' is a part of variable '{self.whole}'.", REPORT)
        return view_of(item, tensor_of(replace(item, factor=1.0), self.numbers), self.whole, shape)


def view_of(item: Mapped, numbers: np.ndarray, whole: str, shape: tuple[int, ...]) -> Mapped:
    """Return the pair of a variable of `shape` for a tensor of its elements `numbers`, in place of `item`.

    Raises:
        MappingError: the elements are in no regular order in the whole.
    """
    start = int(numbers.flat[0])
    if numbers.ndim == 1:
        vector = mapped_vector(item.key, whole, shape, start, steps_of(numbers))
        return replace(vector, named=item.named, factor=item.factor)
    if not np.array_equal(numbers, numbers[:, :1] + numbers[:1] - start):
        raise MappingError(f"'{item.key}' is in no regular order in variable '{whole}'.", REPORT)
    view = mapped_view(item.key, whole, shape, start, steps_of(numbers[..., 0]), steps_of(numbers[0]))
    return replace(view, named=item.named, factor=item.factor)


def parts_of(
    graph: Graph, order: Sequence[Node], variables: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> list[Part]:
    """Return the parts of the variables that are used by parts alone, two at least.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        variables: node → the whole variable that it is.
        shapes: variable → its shape.
    """
    source = {node: node for node in variables}  # a node that passes a variable on → the node of the variable
    picking: dict[str, str] = {}  # a node that picks from a variable, or from a part of it → the node of the variable
    moved: dict[str, TensorRef] = {}  # a node that moves a part → the part
    constant: set[str] = set()
    whole: set[str] = set()  # the nodes of variables that are used as they are, too
    used: set[TensorRef] = set()
    further: set[TensorRef] = set()  # parts that others are picked from
    for node in order:
        before = [ref.node for ref in node.inputs]
        taken = [i for i, name in enumerate(before) if name in source]
        parts = {i: moved.get(ref.node, ref) for i, ref in enumerate(node.inputs) if ref.node in picking.keys() | moved}
        plain = sum(name in constant for name in before) == len(before) - 1
        if node.name in variables:
            continue
        if not before:
            constant |= {node.name} if node.op == "Const" else set()
        elif all(name in constant for name in before):
            constant.add(node.name)
        elif node.op in PASSING and taken == [0]:
            source[node.name] = source[before[0]]
        elif plain and taken == [PICKING.get(node.op)]:
            picking[node.name] = source[before[taken[0]]]
        elif plain and [*parts] == [PICKING.get(node.op)]:
            (part,) = parts.values()
            further.add(part)
            picking[node.name] = picking[part.node]
        elif plain and node.op in MOVES and [*parts] == [0]:
            moved[node.name] = parts[0]
        else:
            whole |= {source[before[i]] for i in taken}
            used |= {*parts.values()}
    whole |= {picking[part.node] for part in used & further}
    picked: dict[str, list[TensorRef]] = defaultdict(list)
    places = {name: i for i, name in enumerate(picking)}
    for part in sorted(used, key=lambda part: (places[part.node], part.output)):
        picked[picking[part.node]].append(part)
    found: list[Part] = []
    for name, refs in picked.items():
        variable = variables[name]
        if name not in whole and list(variables.values()).count(variable) == 1:
            found += _disjoint(graph, variable, name, refs, shapes[variable])
    return found


def _disjoint(graph: Graph, variable: str, name: str, refs: Sequence[TensorRef], shape: tuple[int, ...]) -> list[Part]:
    """Return the parts that `refs` are of a variable; none where there is one alone, or they share elements."""
    numbers = np.arange(prod(shape)).reshape(shape)
    try:
        values = Interpreter(graph, Substitutes(NO_VARIABLE, {})).run(refs, {TensorRef(name): numbers})
    except GraphError:
        return []
    together = np.concatenate([np.ravel(value) for value in values])
    if len(values) < 2 or not all(np.size(value) for value in values) or len(np.unique(together)) < len(together):
        return []
    return [Part(variable, name, ref, np.asarray(value)) for ref, value in zip(refs, values, strict=True)]


def apart(graph: Graph, order: Sequence[Node], parts: Sequence[Part]) -> Graph:
    """Return `graph` with a variable for each of `parts` in place of what picks it."""
    return with_variables(graph, order, {part.tensor: part.variable for part in parts})


def with_variables(graph: Graph, order: Sequence[Node], variables: Mapping[TensorRef, str]) -> Graph:
    """Return `graph` with variables in place of tensors.

    Args:
        graph: a main graph.
        order: its nodes, each after its inputs.
        variables: tensor → the name of the variable's node.
    """
    instead = {tensor: TensorRef(name) for tensor, name in variables.items()}
    nodes = dict(graph.nodes)
    for node in order:
        inputs = tuple(instead.get(ref, ref) for ref in node.inputs)
        if inputs != node.inputs:
            nodes[node.name] = replace(node, inputs=inputs)
    made = {name: Node.made(name, "VariableV2") for name in variables.values()}
    return Graph({**nodes, **made}, graph.functions)
