"""Calls of functions in the main graph, replaced by the bodies of those functions.

An exporter that traced its encoder as a function leaves one call node in the main graph. Questions about the structure
of an encoder are asked of one flat graph, so the bodies are copied into it; loops and conditionals stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hub2hf.errors import GraphError
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Function, Graph
from hub2hf.savedmodel.node import ARGUMENT_OP, CALL_OPS, Node, TensorRef

# 24 layers of 200 nodes take 5,000; calls of calls of calls must not fill the memory.
MAX_NODES = 100_000


def inlined(graph: Graph, output: TensorRef) -> Graph:
    """Return `graph` with the calls that `output` depends on replaced by what they call; itself when there are none.

    The node `n` of the function that `c` called is then named `c/n`, and `c` itself is left as an IdentityN of the results.

    Raises:
        GraphError: a call does not fit its function, or the result would be too large.
    """
    names = frozenset(graph.functions)
    while True:
        called = [node for node in order_of(graph, [output]) if node.op in CALL_OPS or node.op in names]
        if not called:
            return graph
        graph = Graph(_Inlining(graph, called).nodes(), graph.functions)


def resolved(graph: Graph, ref: TensorRef) -> TensorRef:
    """Return the tensor that `ref` is, where `ref` is a result of a call that was inlined, and that tensor itself."""
    while graph.node(ref.node).op == "IdentityN":
        ref = graph.node(ref.node).input(ref.output)
    return ref


class _Inlining:
    """One level of calls of the main graph, on its way to being replaced."""

    def __init__(self, graph: Graph, called: Iterable[Node]) -> None:
        self.graph = graph
        self.callees = {node.name: self._callee(node) for node in called}

    def _callee(self, call: Node) -> Function:
        function = self.graph.function(str(call.attr("f")) if call.op in CALL_OPS else call.op)
        if len(function.arguments) != len(call.inputs):
            raise GraphError(
                f"Node '{call.name}' gives {len(call.inputs)} inputs to function '{function.name}', which takes "
                f"{len(function.arguments)}.",
                "The graph is damaged.",
            )
        return function

    def nodes(self) -> dict[str, Node]:
        """Return the nodes of the new main graph."""
        nodes: dict[str, Node] = {}
        for name, node in self.graph.nodes.items():
            if name not in self.callees:
                nodes[name] = replace(node, inputs=tuple(map(self._outer, node.inputs)))
                continue
            for copy in self._copies(name):
                if copy.name in self.graph.nodes or len(nodes) >= MAX_NODES:
                    raise GraphError(f"The call '{name}' cannot be replaced by what it calls.", "The graph is damaged.")
                nodes[copy.name] = copy
            results = tuple(self._inner(name, ref) for ref in self.callees[name].returns)
            nodes[name] = replace(node, op="IdentityN", inputs=results, control_inputs=())
        return nodes

    def _copies(self, call: str) -> Iterator[Node]:
        for node in self.callees[call].nodes.values():
            if node.op != ARGUMENT_OP:
                inputs = tuple(self._inner(call, ref) for ref in node.inputs)
                yield replace(node, name=f"{call}/{node.name}", inputs=inputs, control_inputs=(), function="")

    def _outer(self, ref: TensorRef) -> TensorRef:
        """Return what the tensor `ref` of the main graph becomes."""
        return self._resolved(None, ref)

    def _inner(self, call: str, ref: TensorRef) -> TensorRef:
        """Return what the tensor `ref` of the body that `call` calls becomes."""
        return self._resolved(call, ref)

    def _resolved(self, call: str | None, ref: TensorRef) -> TensorRef:
        """A result of a call is a tensor of the copied body; an argument is what the call was given."""
        while True:
            if call is None:
                if ref.node not in self.callees:
                    return ref
                returns = self.callees[ref.node].returns
                if ref.output >= len(returns):
                    raise GraphError(f"Node '{ref.node}' has no output {ref.output}.", "The graph is damaged.")
                inside, ref = ref.node, returns[ref.output]
            else:
                inside = call
            function = self.callees[inside]
            if function.nodes[ref.node].op != ARGUMENT_OP:
                return ref._replace(node=f"{inside}/{ref.node}")
            position = [argument.name for argument in function.arguments].index(ref.node)
            call, ref = None, self.graph.nodes[inside].inputs[position]
