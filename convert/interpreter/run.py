"""`Interpreter`: evaluates what a tensor depends on, as `plan` says, freeing each value after its last use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hub2hf import limits
from hub2hf.errors import REPORT, GraphError, Hub2HFError
from hub2hf.interpreter import bounds
from hub2hf.interpreter.catalog import find
from hub2hf.interpreter.plan import MERGES, Body, Plan, Step, plan
from hub2hf.interpreter.registry import DEAD, Kernel, Operation, Value, as_float64
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.variables import VARIABLE_OPS

# A probe of a 24-layer encoder takes about 10,000 steps, each probe text about 2,000 more.
MAX_STEPS = 2_000_000
MAX_CALL_DEPTH = 50

NO_VALUES = (DEAD,)  # all outputs of a node that takes a dead value
TABLE_OPS = frozenset({"HashTable", "HashTableV2"})
# What the interpreter itself answers, rather than a kernel.
BUILT_IN = frozenset({"Const", "ReadVariableOp"}) | VARIABLE_OPS | TABLE_OPS

Observer = Callable[[Node, Sequence[Value], tuple[Value, ...]], None]
Feeds = Mapping[TensorRef, Value]


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


def no_variable(why: str, next_step: str = REPORT) -> Callable[[str], np.ndarray]:
    """Return a `Substitutes.variable` for what no variable should be in: the one that is asked for is an error.

    Args:
        why: what is wrong with that, as the rest of a sentence about the variable.
        next_step: as for `GraphError`.
    """

    def refuse(name: str) -> np.ndarray:
        raise GraphError(f"Variable '{name}' {why}.", next_step)

    return refuse


@dataclass(frozen=True, slots=True)
class _Ready:
    """A plan and the values that it begins with: its constants, in their places."""

    how: Plan
    values: list[tuple[Value, ...]]


class Interpreter:
    """Runs one graph.

    Args:
        graph: the main graph, with its functions.
        substitutes: values for variables and vocabulary.
        observe: called after every step, in functions too, with the node, its inputs and its outputs; once for a constant.
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
        self._plans: dict[tuple[tuple[TensorRef, ...], tuple[TensorRef, ...]], _Ready] = {}
        self._calls: dict[str, _Ready] = {}

    def run(self, fetches: Sequence[TensorRef], feeds: Feeds) -> list[Value]:
        """Return the values of `fetches`, floats as float64, given `feeds`.

        Raises:
            GraphError: an op is unknown, an input is not fed, or a node cannot be computed; names the node.
        """
        self._steps = self._held = 0
        key = (tuple(fetches), tuple(feeds))
        if key not in self._plans:
            self._plans[key] = self._ready(self.graph, *key)
        with np.errstate(all="ignore"):
            return self._evaluate(self._plans[key], list(feeds.values()))

    def call(self, node: Node, name: str, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """Return the outputs of function `name` called by `node` with `arguments`."""
        ready = self._calls.get(name)
        if ready is None:
            function = self.graph.function(name)
            fed = tuple(TensorRef(argument.name) for argument in function.arguments)
            ready = self._calls[name] = self._ready(function, tuple(function.returns), fed)
        if self._depth >= MAX_CALL_DEPTH:
            raise GraphError(f"Function '{name}' is called more than {MAX_CALL_DEPTH} deep.", "The graph is damaged.")
        if len(arguments) != ready.how.fed:
            raise ValueError(f"function '{name}' takes {ready.how.fed} values, not {len(arguments)}")
        self._depth += 1
        try:
            return tuple(self._evaluate(ready, arguments))
        finally:
            self._depth -= 1

    def _ready(self, body: Body, fetches: tuple[TensorRef, ...], fed: tuple[TensorRef, ...]) -> _Ready:
        how = plan(body, fetches, fed, self._known, whole=self._observe is not None)
        values: list[tuple[Value, ...]] = [()] * how.places
        for place, node in how.constants:
            values[place] = (self._constant(body, node),)
            if self._observe:
                self._observe(node, (), values[place])
        return _Ready(how, values)

    def _evaluate(self, ready: _Ready, given: Sequence[Value]) -> list[Value]:
        how, values = ready.how, ready.values.copy()
        for place, value in enumerate(given):
            values[place] = (value,)
        sizes = [0] * len(values)
        observe, most, dead = self._observe, limits.memory(), id(DEAD)
        for step in how.steps:
            try:
                inputs = [values[place][output] for place, output in step.inputs]
            except IndexError:
                inputs = [_output(values, place, output) for place, output in step.inputs]
            if how.conditional and dead in map(id, inputs) and step.node.op not in MERGES:
                outputs: tuple[Value, ...] = NO_VALUES
            else:
                outputs = self._step(step, inputs)
            values[step.place] = outputs
            size = 0
            for value in outputs:
                plain = type(value) is np.ndarray and not value.dtype.hasobject
                size += value.nbytes if plain else bounds.nbytes(value)
            sizes[step.place] = size
            self._held += size
            if self._held > most:
                raise bounds.too_large(step.node)
            if observe:
                observe(step.node, inputs, outputs)
            for place in step.last:
                values[place] = ()
                self._held -= sizes[place]
                sizes[place] = 0
        self._held -= sum(sizes)
        return [_output(values, place, output) for place, output in how.results]

    def _step(self, step: Step, inputs: Sequence[Value]) -> tuple[Value, ...]:
        node = step.node
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise GraphError(f"The graph takes too many steps, at node '{node.name}'.", "It is damaged or hostile.")
        bounds.check(node, step.cost, inputs)
        if step.kernel is None:
            raise GraphError(
                f"Node '{node.name}' has op '{node.op}', which is not understood, and reaches the output.",
                "Report the model and this op, so that support can be added.",
            )
        try:
            outputs = step.kernel(node, inputs, self)
            return outputs if all(type(value) is np.ndarray for value in outputs) else tuple(map(_plain, outputs))
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

    def _known(self, node: Node) -> Operation | None:
        """Return what computes a node: something in its place, what the interpreter itself knows, or its op's kernel."""
        if node.op in VARIABLE_OPS:
            variable = self.substitutes.variable  # not self: what a plan holds must not hold who holds the plan
            return Operation(lambda node, inputs, run: (as_float64(variable(node.name)),))
        if node.op == "ReadVariableOp":
            return Operation(lambda node, inputs, run: (inputs[0],))
        if node.op in TABLE_OPS:
            tables, vocabulary = self.substitutes.tables, self.substitutes.vocabulary
            return Operation(lambda node, inputs, run: (tables.get(node.name, vocabulary),))
        known = find(node.op)
        kernel = self._instead.get(node.op)
        return Operation(kernel, known.cost if known else None) if kernel else known

    def _constant(self, body: Body, node: Node) -> Value:
        key = (id(body), node.name)
        if key not in self._constants:
            value = node.value
            self._kept += 8 * value.size
            if self._kept > limits.memory():
                self._constants.clear()  # who is told of it may keep this interpreter alive, and asks another one
                raise bounds.too_large(node)
            self._constants[key] = as_float64(value)
        return self._constants[key]


def _output(values: Sequence[tuple[Value, ...]], place: int, output: int) -> Value:
    outputs = values[place]
    if output < len(outputs):
        return outputs[output]
    if outputs is NO_VALUES:
        return DEAD
    raise GraphError(
        f"A node has {len(outputs)} outputs, and another one takes output {output}.", "The graph is damaged."
    )


def _plain(value: Value) -> Value:
    """Return a NumPy scalar as an array; NumPy takes a text that it is given bare for one padded with zeros."""
    if isinstance(value, bytes):
        boxed = np.empty((), object)
        boxed[()] = value
        return boxed
    if type(value) is list:
        return bounds.Items(value)
    return np.asarray(value) if isinstance(value, np.generic) else value
