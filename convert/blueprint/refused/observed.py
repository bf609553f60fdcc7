"""What one run of a whole graph shows of an encoder that may be of any kind: nothing of it is believed to be BERT.

The variables are random, the texts or ids a probe. Values are told apart by their shapes: the batch and the length of the
probe are numbers that nothing else is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from hub2hf.analysis.inline import inlined
from hub2hf.analysis.loops import raised
from hub2hf.analysis.read import SAME
from hub2hf.analysis.settle import PRODUCTS
from hub2hf.analysis.substitutes import POOL, overlapping
from hub2hf.blueprint.dataflow import Bodies
from hub2hf.blueprint.entry import Chosen
from hub2hf.blueprint.probe import EveryPiece
from hub2hf.blueprint.vocabulary.tables import Tables
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.dtypes import FLOATS
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.stripped import MAX_FLOATS, is_large
from hub2hf.savedmodel.variables import VARIABLE_OPS

BATCH, LENGTH = 3, 13
ROWS = 4096  # the rows of a table of more overlap
TEXTS = ("a dog", "the quick brown fox jumps over the lazy dog", "one two three four")
LOOKUPS = frozenset({"Gather", "GatherV2", "ResourceGather"})
OF_SHAPE = frozenset({"Shape", "ShapeN", "Size", "Rank"})
MAX_DRAWN = 1 << 24  # numbers of a variable
LAST = 60  # values of tokens that are kept at the end of the run


@dataclass
class Observed:
    """A run.

    Attributes:
        graph: flat.
        nodes: what the output depends on, in order.
        ids: the ids of the probe, int [batch, length]; None where no table was looked up by such.
        table: the node of the variable that these looked up.
        shapes: node → shape of its first output.
        values: node → its first output, of those that are kept.
        attention: nodes whose values are the shares of attention, [.., length, length], each but once.
        crossed: the first node whose value is shares of tokens in something else, or of that in tokens.
    """

    graph: Graph
    nodes: dict[str, Node]
    ids: np.ndarray | None = None
    table: Node | None = None
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    attention: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    _late: list[str] = field(default_factory=list)

    @property
    def batch(self) -> int:
        """Texts of the probe."""
        return len(self.ids) if self.ids is not None else 0

    @property
    def length(self) -> int:
        """Ids of each."""
        return self.ids.shape[1] if self.ids is not None else 0

    @property
    def attended(self) -> np.ndarray:
        """Which ids are no padding, bool [batch, length]: the id that some text has most of at its end is padding."""
        if self.ids is None:
            return np.zeros((0, 0), bool)
        last = self.ids[:, -1:]
        tails = np.logical_and.accumulate(self.ids[:, ::-1] == last, axis=1).sum(1)
        return np.asarray(self.ids != last[tails.argmax()]) if tails.max() > 1 else self.ids != 0

    def take(self, node: Node, inputs: Sequence[Any], outputs: tuple[Any, ...]) -> None:
        """Take note of one step of the run."""
        value = outputs[0] if outputs else None
        if node.function or not isinstance(value, np.ndarray):
            return
        self.shapes[node.name] = value.shape
        if node.op in LOOKUPS and self.ids is None:
            self._look(node, inputs)
        if self.ids is None or value.dtype.kind != "f":
            return
        if value.shape == (self.length, self.length) and len(self.attention) < 2:
            self.values[node.name] = value  # of one text, or of all alike
        elif self.is_square(value.shape):
            if _is_share(value) and not self._follows(node):
                self.attention.append(node.name)
            if len(self.attention) < 2:
                self.values[node.name] = value
        elif not self.crossed and self._is_crossed(value):
            self.crossed.append(node.name)
        elif self.is_tokens(value.shape):
            self.values[node.name] = value
            if len(self.attention) >= 2:
                self._late.append(node.name)
                if len(self._late) > LAST:
                    self.values.pop(self._late.pop(0), None)
        elif value.size <= 4 * self.batch * max(value.shape[-1:], default=1):
            self.values[node.name] = value

    def _look(self, node: Node, inputs: Sequence[Any]) -> None:
        """See whether a lookup is that of the words: by ids of a batch of texts that are not all small."""
        table, ids = self.variable(node.input(0)), np.asarray(inputs[1])
        if table is None or ids.dtype.kind not in "iu" or ids.size < BATCH * 2 or ids.max(initial=0) < 32:
            return
        if ids.ndim != 2:  # of a model that makes them flat
            if ids.size % BATCH:
                return
            ids = ids.reshape(BATCH, -1)
        self.ids, self.table = ids, table

    def _follows(self, node: Node) -> bool:
        """Whether a node only passes on shares that were seen, as dropout does."""
        return any(ref.node in self.attention for ref in node.inputs)

    def is_square(self, shape: Sequence[int]) -> bool:
        """Tell whether a value is one number for each pair of tokens."""
        return len(shape) >= 3 and tuple(shape[-2:]) == (self.length, self.length)

    def _is_crossed(self, value: np.ndarray) -> bool:
        """Whether a value is the shares of several things in several others, of which the one or the other are tokens."""
        sizes = value.shape[-2:]
        if value.ndim < 3 or min(sizes) < 2 or (sizes[0] == self.length) == (sizes[1] == self.length):
            return False
        return bool(value.size) and value.max() < 1 and _is_share(value)

    def is_tokens(self, shape: Sequence[int]) -> bool:
        """Tell whether a value is a row for each token."""
        return 2 <= len(shape) <= 3 and shape[-1] > 1 and prod(shape[:-1]) == self.batch * self.length

    def is_texts(self, shape: Sequence[int]) -> bool:
        """Tell whether a value is a row for each text."""
        return len(shape) >= 2 and shape[0] == self.batch and prod(shape[1:]) == shape[-1] > 1

    def variable(self, ref: TensorRef) -> Node | None:
        """Return the variable that a tensor is the value of, moved or not; None when it is anything else."""
        node = self.graph.nodes.get(ref.node)
        for _ in range(20):
            if node is None or node.op in VARIABLE_OPS or not node.inputs:
                return node if node is not None and node.op in VARIABLE_OPS else None
            if node.op not in ("Identity", "ReadVariableOp", "Cast", "Reshape", "Transpose", "ConcatV2", "Snapshot"):
                return None
            node = self.graph.nodes.get(node.inputs[0].node)
        return None

    def kernels(self) -> Iterator[tuple[Node, Node, TensorRef]]:
        """Yield each product with a variable: the product, the variable, and the other operand."""
        for node in self.nodes.values():
            if node.op in PRODUCTS and len(node.inputs) == 2:
                for at in (1, 0):
                    variable = self.variable(node.inputs[at])
                    if variable is not None and self.variable(node.inputs[1 - at]) is None:
                        yield node, variable, node.inputs[1 - at]
                        break

    def behind(self, name: str) -> set[str]:
        """Return the nodes that a node depends on."""
        return {node.name for node in order_of(self.graph, [TensorRef(name)])}

    def made_of(self, name: str) -> list[Node]:
        """Return the nodes that the values of a node come from; what only gives it its shape does not count."""
        found: dict[str, Node] = {}
        stack = [name]
        while stack:
            node = self.graph.node(stack.pop())
            if node.name not in found:
                found[node.name] = node
                stack += [ref.node for ref in node.inputs if node.op not in OF_SHAPE]
        return list(found.values())


def _is_share(value: np.ndarray) -> bool:
    return bool((value >= 0).all() and np.abs(value.sum(-1) - 1).max() < SAME)


def flat_graph(chosen: Chosen) -> Graph:
    """Return the graph that leads to the output, calls and loops made flat."""
    return inlined(raised(chosen.entry.graph), chosen.tensor.ref)


def observe(model: SavedModel, chosen: Chosen, *, text: bool) -> Observed:
    """Run the graph once on a probe.

    Args:
        model: the SavedModel.
        chosen: its output.
        text: whether it takes text; otherwise ids, mask and token types.

    Raises:
        GraphError: an operation is not understood, or the graph cannot be run so.
    """
    graph, frozen = _thawed(flat_graph(chosen), chosen, model)
    found = Observed(graph, {node.name: node for node in order_of(graph, [chosen.tensor.ref])})
    feeds = _texts(chosen) if text else _ids(chosen, found)
    tables = Tables(model, Bodies(graph)).others() if text else {}
    substitutes = Substitutes(_Variables(model, frozen), EveryPiece(), tables)
    Interpreter(graph, substitutes, found.take).run([chosen.tensor.ref], feeds)
    return found


def _texts(chosen: Chosen) -> dict[TensorRef, Any]:
    return {tensor.ref: tensor.of_texts(TEXTS) for tensor in chosen.entry.inputs.values()}


def _ids(chosen: Chosen, found: Observed) -> dict[TensorRef, Any]:
    """Return feeds: ids for what looks up the largest table, and a mask for all else; token types may be such as well."""
    looked_up = [node for node in found.nodes.values() if node.op in LOOKUPS and found.variable(node.input(0))]
    reached = [found.behind(node.input(1).node) for node in looked_up]
    shapes = [tensor.shape for tensor in chosen.entry.inputs.values() if tensor.shape]
    batch = next((shape[0] for shape in shapes if shape[0]), BATCH)
    length = next((shape[1] for shape in shapes if shape[1]), LENGTH)
    ids = np.random.default_rng(0).integers(1, 500, (batch, length))
    ids[-1, max(1, length // 2) :] = 0
    inputs = chosen.entry.inputs
    words = next(
        (n for n, t in inputs.items() if any(t.ref.node in r for r in reached) and _is_ids(n)), next(iter(inputs))
    )
    return {
        tensor.ref: (ids if name == words else np.minimum(ids, 1)).astype(tensor.dtype)
        for name, tensor in inputs.items()
    }


def _is_ids(name: str) -> bool:
    return not any(part in name for part in ("mask", "type", "segment"))


def _thawed(graph: Graph, chosen: Chosen, model: SavedModel) -> tuple[Graph, dict[str, tuple[int, ...]]]:
    """Return the graph with variables in place of the constants that hold weights, and the shapes of these.

    In a graph-only file such constants are zeros.
    """
    nodes = {node.name: node for node in order_of(graph, [chosen.tensor.ref])}
    multiplied = {ref.node for node in nodes.values() if node.op in PRODUCTS for ref in node.inputs}
    multiplied |= {nodes[name].inputs[0].node for name in multiplied if nodes[name].op == "Identity"}
    shapes = {}
    for node in nodes.values():
        if node.op == "Const" and str(node.value_form[0]) in FLOATS:
            value = node.value
            emptied = model.graph_only is not None and value.size > MAX_FLOATS and not value.any()
            if emptied or is_large(value) or (node.name in multiplied and value.ndim > 1):
                shapes[node.name] = value.shape
    new = {name: Node.made(name, "VariableV2") for name in shapes}
    return (Graph({**graph.nodes, **new}, graph.functions) if new else graph), shapes


class _Variables:
    """Random values by the node of a variable, the same for every run.

    Args:
        model: the SavedModel.
        frozen: the shapes of those that are constants of the graph.
    """

    def __init__(self, model: SavedModel, frozen: Mapping[str, tuple[int, ...]]) -> None:
        self._model, self._frozen = model, frozen

    def __call__(self, name: str) -> np.ndarray:
        if name in self._frozen:
            return self._drawn(name, self._frozen[name])
        binding = self._model.variable_binding(name)
        variable = self._model.checkpoint.variable(binding.key)
        shape = tuple(variable.shape) if binding.slice is None else binding.slice.shape
        if variable.dtype.kind in "OSU":
            raise GraphError(f"Variable '{variable.name}' holds texts.", REPORT)
        if variable.dtype.kind in "iub":
            return np.zeros(shape, variable.dtype)
        return self._drawn(name, shape)

    def _drawn(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        random = np.random.default_rng(zlib.crc32(name.encode()))
        if len(shape) == 2 and shape[0] > ROWS and shape[1] < ROWS:
            return overlapping(random.standard_normal(POOL) / np.sqrt(ROWS), shape)
        if prod(shape) > MAX_DRAWN:
            raise GraphError(f"The variable of node '{name}' is too large to be tried.", REPORT)
        value = random.standard_normal(shape)
        return np.asarray(value / np.sqrt(shape[0]) if len(shape) > 1 else 1 + 0.1 * value)
