"""Ops that call functions: loops, conditionals, calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.interpreter.registry import DEAD, Caller, Value, operation
from hub2hf.savedmodel.node import Node

# A loop runs once a text or once a word, and the longest probe has a few thousand words.
MAX_ITERATIONS = 20_000


@operation("While", "StatelessWhile")
def _while(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    condition, body = node.attr("cond"), node.attr("body")
    state = tuple(inputs)
    for _ in range(MAX_ITERATIONS):
        if not run.call(node, condition, state)[0].all():
            return state
        state = run.call(node, body, state)
    raise GraphError(f"The loop '{node.name}' does not end.", "The graph is damaged or hostile.")


@operation("If", "StatelessIf")
def _if(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    branch = "then_branch" if bool(np.all(inputs[0])) else "else_branch"
    return run.call(node, node.attr(branch), inputs[1:])


@operation("Case", "StatelessCase")
def _case(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """An index outside the branches takes the last of them."""
    branches, index = node.attr("branches"), int(inputs[0])
    return run.call(node, branches[index if 0 <= index < len(branches) else -1], inputs[1:])


@operation("For")
def _for(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Run the body with each number from start to limit and the state, which it gives anew."""
    start, limit, delta = (int(value) for value in inputs[:3])
    state = tuple(inputs[3:])
    if delta == 0 or (limit - start) * delta < 0:
        raise ValueError(f"a loop from {start} to {limit} by {delta}")
    if (limit - start) // delta > MAX_ITERATIONS:
        raise GraphError(f"The loop '{node.name}' is too long.", "The graph is damaged or hostile.")
    for number in range(start, limit, delta):
        state = run.call(node, node.attr("body"), (np.asarray(number, np.int32), *state))
    return state


@operation("Switch", "RefSwitch")
def _switch(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """The conditionals of TensorFlow 1: the side that is not taken gets no value, nor does what depends on it."""
    value, taken = inputs[0], bool(np.asarray(inputs[1]).all())
    return (DEAD, value) if taken else (value, DEAD)


@operation("Merge", "RefMerge")
def _merge(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    for index, value in enumerate(inputs):
        if value is not DEAD:
            return (value, np.asarray(index, np.int32))
    return (DEAD, DEAD)


@operation("PartitionedCall", "StatefulPartitionedCall")
def _call(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    return run.call(node, node.attr("f"), inputs)
