"""`Interpreter`: evaluates what a tensor depends on, in order, freeing each value after its last use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convert import limits
from convert.errors import GraphError, Hub2HFError
from convert.interpreter import (  # noqa: F401  (fill OPERATIONS)
    arrays,
    blocks,
    bounds,
    control,
    crosses,
    elementwise,
    hashing,
    lists,
    matrices,
    numerals,
    ragged,
    searching,
    segments,
    shapes,
    sparse,
    special,
    strings,
    tables,
    tensor_arrays,
    texts,
    tokens,
    utf,
    variants,
    words,
)
from convert.interpreter.registry import DEAD, OPERATIONS, Kernel, Value, as_float64
from convert.savedmodel.graph import Function, Graph
from convert.savedmodel.node import Node, TensorRef
from convert.savedmodel.variables import VARIABLE_OPS

# A probe of a 24-layer encoder takes about 10,000 steps, each probe text about 2,000 more.
MAX_STEPS = 2_000_000
MAX_CALL_DEPTH = 50

MERGES = frozenset({"Merge", "RefMerge"})  # the only ops that take a dead value
NO_VALUES = (DEAD,)  # all outputs of a node that takes a dead value
TABLE_OPS = frozenset({"HashTable", "HashTableV2"})
# What the interpreter itself answers, rather than a kernel.
BUILT_IN = frozenset({"Const", "ReadVariableOp"}) | VARIABLE_OPS | TABLE_OPS

Observer = Callable[[Node, Sequence[Value], tuple[Value, ...]], None]
Feeds = Mapping[TensorRef, Value]
Body = Graph | Function


@dataclass(frozen=True)
class Substitutes:
    """What stands in for the contents of the checkpoint and of the vocabulary asset.

    Attributes:
        variable: from the node name of a variable to its value, any float or integer dtype.
        vocabulary: from a piece as UTF-8 bytes to its id.
        tables: name of a lookup table → what it holds, for those that hold something else than the vocabulary.
    """

    variable: Callable[[str], np.ndarray]
    vocabulary: Mapping[bytes, int]
    tables: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)


class Interpreter:
    """Runs one graph.

    Args:
        graph: the main graph, with its functions.
        substitutes: values for variables and vocabulary.
        observe: called after every step, in functions too, with the node, its inputs and its outputs.
        instead: op name → what computes it in place of its own kernel.
    """

    def __init__(
        self,
        graph: Graph,
        substitutes: Substitutes,
        observe: Observer | None = None,
        instead: Mapping[str, Kernel] | None = None,
    ) -> None:
        self.graph = graph
        self.substitutes = substitutes
        self._observe = observe
        self._instead = instead or {}
        self._steps = 0
        self._depth = 0
        self._held = 0  # bytes of the values of all steps that are still to be used
        self._constants: dict[tuple[int, str], Value] = {}
        self._kept = 0  # bytes of the constants
        self._orders: dict[tuple[int, tuple[TensorRef, ...], frozenset[TensorRef]], list[Node]] = {}

    def run(self, fetches: Sequence[TensorRef], feeds: Feeds) -> list[Value]:
        """Return the values of `fetches`, floats as float64, given `feeds`.

        Raises:
            GraphError: an op is unknown, an input is not fed, or a node cannot be computed; names the node.
        """
        self._steps = self._held = 0
        with np.errstate(all="ignore"):
            return self._evaluate(self.graph, tuple(fetches), feeds)

    def call(self, node: Node, name: str, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """Return the outputs of function `name` called by `node` with `arguments`."""
        function = self.graph.function(name)
        if self._depth >= MAX_CALL_DEPTH:
            raise GraphError(f"Function '{name}' is called more than {MAX_CALL_DEPTH} deep.", "The graph is damaged.")
        feeds = {TensorRef(a.name, 0): v for a, v in zip(function.arguments, arguments, strict=True)}
        self._depth += 1
        try:
            return tuple(self._evaluate(function, tuple(function.returns), feeds))
        finally:
            self._depth -= 1

    def _evaluate(self, body: Body, fetches: tuple[TensorRef, ...], feeds: Feeds) -> list[Value]:
        order = self._order(body, fetches, frozenset(feeds))
        uses = Counter(ref.node for node in order for ref in node.inputs)
        uses.update(ref.node for ref in fetches)
        values: dict[str, tuple[Value, ...]] = {}

        def get(ref: TensorRef) -> Value:
            if ref in feeds:
                return feeds[ref]
            outputs = values[ref.node]
            if outputs is NO_VALUES:
                return DEAD
            if ref.output >= len(outputs):
                raise GraphError(f"Node '{ref.node}' has no output {ref.output}.", "The graph is damaged.")
            return outputs[ref.output]

        for node in order:
            inputs = [get(ref) for ref in node.inputs]
            values[node.name] = self._step(body, node, inputs)
            self._hold(node, values[node.name])
            if self._observe:
                self._observe(node, inputs, values[node.name])
            for ref in node.inputs:
                uses[ref.node] -= 1
                if not uses[ref.node] and ref.node in values:
                    self._held -= sum(map(bounds.nbytes, values.pop(ref.node)))
        self._held -= sum(bounds.nbytes(value) for outputs in values.values() for value in outputs)
        return [get(ref) for ref in fetches]

    def _hold(self, node: Node, outputs: tuple[Value, ...]) -> None:
        self._held += sum(map(bounds.nbytes, outputs))
        if self._held > limits.memory():
            raise bounds.too_large(node)

    def _order(self, body: Body, fetches: tuple[TensorRef, ...], fed: frozenset[TensorRef]) -> list[Node]:
        """Return the nodes that `fetches` depend on, inputs first; what is fed is not followed."""
        key = (id(body), fetches, fed)
        if key not in self._orders:
            self._orders[key] = order_of(body, fetches, fed)
        return self._orders[key]

    def _step(self, body: Body, node: Node, inputs: Sequence[Value]) -> tuple[Value, ...]:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise GraphError(f"The graph takes too many steps, at node '{node.name}'.", "It is damaged or hostile.")
        if node.op not in MERGES and any(value is DEAD for value in inputs):
            return NO_VALUES
        if node.op == "Const":
            return (self._constant(body, node),)
        bounds.check(node, inputs)
        if node.op in VARIABLE_OPS:
            return (as_float64(self.substitutes.variable(node.name)),)
        if node.op == "ReadVariableOp":
            return (inputs[0],)
        if node.op in TABLE_OPS:
            return (self.substitutes.tables.get(node.name, self.substitutes.vocabulary),)
        known = OPERATIONS.get(node.op)
        kernel = self._instead.get(node.op) or (known.kernel if known else None)
        if kernel is None:
            raise GraphError(
                f"Node '{node.name}' has op '{node.op}', which is not understood, and reaches the output.",
                "Report the model and this op, so that support can be added.",
            )
        try:
            return tuple(map(_plain, kernel(node, inputs, self)))
        except Hub2HFError:
            raise
        except (
            ValueError,
            LookupError,
            TypeError,
            ArithmeticError,
            AttributeError,
            RuntimeError,
            MemoryError,
        ) as error:
            raise GraphError(
                f"Node '{node.name}' ({node.op}) cannot be computed: {error}.",
                "The graph is damaged, or uses this op in a way that is not supported.",
            ) from error

    def _constant(self, body: Body, node: Node) -> Value:
        key = (id(body), node.name)
        if key not in self._constants:
            value = node.value
            self._kept += 8 * value.size
            if self._kept > limits.memory():
                raise bounds.too_large(node)
            self._constants[key] = as_float64(value)
        return self._constants[key]


def _plain(value: Value) -> Value:
    """Return a NumPy scalar as an array; NumPy takes a text that it is given bare for one padded with zeros."""
    if isinstance(value, bytes):
        boxed = np.empty((), object)
        boxed[()] = value
        return boxed
    if type(value) is list:
        return bounds.Items(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def order_of(body: Body, fetches: Sequence[TensorRef], fed: frozenset[TensorRef] = frozenset()) -> list[Node]:
    """Return the nodes of `body` that `fetches` depend on, each after its inputs; control inputs do not count.

    Raises:
        GraphError: a node is missing, or depends on itself.
    """
    order: list[Node] = []
    state: dict[str, bool] = {}  # False: entered, True: in order
    stack = [ref.node for ref in reversed(fetches) if ref not in fed]
    while stack:
        name = stack[-1]
        if state.get(name):
            stack.pop()
            continue
        node = body.nodes.get(name)
        if node is None:
            raise GraphError(f"The output depends on '{name}', which is not in the graph.", "Download it again.")
        pending = [r.node for r in node.inputs if r not in fed and not state.get(r.node)]
        if name in state and pending:
            raise GraphError(f"Node '{name}' depends on itself.", "TensorFlow 1 loops are not supported.")
        state[name] = not pending
        if pending:
            stack.extend(reversed(pending))
        else:
            stack.pop()
            order.append(node)
    return order
