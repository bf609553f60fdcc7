"""Which key of the checkpoint each variable node is restored from, read from the graph's own restore
operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from convert.errors import GraphError
from convert.savedmodel.attributes import REPORT
from convert.savedmodel.graph import Graph, Scope, parse_tensor_name
from convert.savedmodel.node import ARGUMENT_OP, Node, TensorRef
from convert.savedmodel.slices import SliceError, SliceSpec, parse_slice_spec

VARIABLE_OPS: Final = frozenset({"VariableV2", "Variable", "VarHandleOp"})
_PASS_THROUGH: Final = frozenset({"Identity", "ReadVariableOp", "Enter", "Reshape", "EnsureShape", "Cast"})
_CALLS: Final = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_ASSIGNS: Final = frozenset({"Assign", "AssignVariableOp"})
_MAX_CALLS: Final = 10_000  # restore functions are called once each; bounds the time for a hostile graph


@dataclass(frozen=True)
class Binding:
    """Where the value of a variable node comes from.

    Attributes:
        key: key in the checkpoint.
        slice: the piece of that tensor that the node holds, for a part of a partitioned variable; else None.
    """

    key: str
    slice: SliceSpec | None = None


def variable_node(scope: Scope, name: str) -> Node:
    """Follow a node back to the variable it reads: through Identity, ReadVariableOp and the like.

    Raises:
        GraphError: it does not lead to a variable (or, in a function, to an argument).
    """
    node, seen = scope.node(name), set()
    while node.op not in VARIABLE_OPS and node.op != ARGUMENT_OP:
        if node.op not in _PASS_THROUGH or node.name in seen:
            raise GraphError(f"The {scope.node(name)} does not read a variable: it leads to {node}.", REPORT)
        seen.add(node.name)
        node = scope.producer(node.input(0))
    return node


def restored_variables(graph: Graph, restore_op: str = "") -> dict[str, Binding]:
    """Read which checkpoint key each variable node of the main graph is restored from.

    TF1 graphs assign the outputs of ``RestoreV2`` nodes to variables; TF2 graphs do so in a function, to its
    arguments, which the call in the main graph binds to the variables.

    Args:
        graph: the graph.
        restore_op: the operation that the SaverDef names; without it every restore operation counts.

    Returns:
        Bindings by name of the variable node (VariableV2 or VarHandleOp).

    Raises:
        GraphError: malformed restore operations, or two that disagree about a variable.
    """
    start = parse_tensor_name(restore_op).node
    nodes: Iterable[Node] = graph.nodes.values()
    if start in graph.nodes:
        nodes = list(graph.upstream([start], control=True))
    reader = _RestoreReader(graph)
    reader.read(graph, nodes, {})
    return reader.bindings


class _RestoreReader:
    """Walks the main graph and the functions that restore, each with its arguments bound to variable
    nodes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.bindings: dict[str, Binding] = {}
        self._restores: dict[str, bool] = {}

    def read(self, scope: Scope, nodes: Iterable[Node], arguments: Mapping[str, str]) -> None:
        work: list[tuple[Scope, Iterable[Node], Mapping[str, str]]] = [(scope, nodes, arguments)]
        calls = 0
        while work:
            scope, nodes, arguments = work.pop()
            for node in nodes:
                if node.op in _ASSIGNS:
                    self._assign(scope, node, arguments)
                elif node.op in _CALLS and self._can_restore(str(node.attr("f"))):
                    calls += 1
                    if calls > _MAX_CALLS:
                        raise GraphError(f"The restore functions of {node} call too many others.", REPORT)
                    function = self.graph.function(str(node.attr("f")))
                    bound = self._bind(scope, node, [arg.name for arg in function.arguments], arguments)
                    work.append((function, function.nodes.values(), bound))

    def _can_restore(self, name: str) -> bool:
        """Whether a function, or one that it calls, restores from a checkpoint."""
        order, stack = [], [name]
        while stack:
            current = stack.pop()
            if current not in self._restores:
                self._restores[current] = any(
                    node.op == "RestoreV2" for node in self.graph.function(current).nodes.values()
                )
                order.append(current)
                stack.extend(self.graph.callees(self.graph.function(current)))
        changed = True
        while changed:  # the calls have no cycles, so this ends
            changed = False
            for current in order:
                callees = self.graph.callees(self.graph.function(current))
                if not self._restores[current] and any(self._restores.get(callee) for callee in callees):
                    self._restores[current] = changed = True
        return self._restores[name]

    def _bind(
        self, scope: Scope, call: Node, names: list[str], arguments: Mapping[str, str]
    ) -> dict[str, str]:
        bound = {}
        for name, ref in zip(names, call.inputs, strict=False):
            target = self._target(scope, ref, arguments)
            if target is not None:
                bound[name] = target
        return bound

    def _target(self, scope: Scope, ref: TensorRef, arguments: Mapping[str, str]) -> str | None:
        """Return the variable node of the main graph behind a tensor; None if it is something else."""
        try:
            node = variable_node(scope, ref.node)
        except GraphError:
            return None
        if node.op == ARGUMENT_OP:
            return arguments.get(node.name)
        return node.name if scope is self.graph else None

    def _assign(self, scope: Scope, assign: Node, arguments: Mapping[str, str]) -> None:
        restored = self._restored(scope, assign.input(1))
        target = self._target(scope, assign.input(0), arguments)
        if restored is None or target is None:
            return
        restore, output = restored
        key = self._text(scope, restore, 1, output)
        spec = self._text(scope, restore, 2, output)
        if key is None or spec is None:
            return
        try:
            binding = Binding(key, parse_slice_spec(spec))
        except SliceError as error:
            raise GraphError(f"The {restore} restores {key} unlike any Saver: {error}.", REPORT) from None
        if self.bindings.setdefault(target, binding) != binding:
            other = self.bindings[target].key
            raise GraphError(f"The variable {target} is restored from {other} and from {key}.", REPORT)

    def _restored(self, scope: Scope, ref: TensorRef) -> tuple[Node, int] | None:
        """Follow a value back to the output of a RestoreV2; None if it comes from elsewhere."""
        seen = set()
        node = scope.producer(ref)
        while node.op in _PASS_THROUGH and node.name not in seen:
            seen.add(node.name)
            ref = node.input(0)
            node = scope.producer(ref)
        return (node, ref.output) if node.op == "RestoreV2" else None

    def _text(self, scope: Scope, restore: Node, position: int, output: int) -> str | None:
        """Return an element of a constant input of a RestoreV2; None when it is not a constant."""
        source = scope.producer(restore.input(position))
        while source.op == "Identity":
            source = scope.producer(source.input(0))
        if source.op != "Const":
            return None
        values: Any = source.value.reshape(-1)
        if not 0 <= output < len(values) or not isinstance(values[output], bytes):
            raise GraphError(f"The {source} has {len(values)} entries, but {restore} restores more.", REPORT)
        try:
            return str(values[output].decode("utf-8"))
        except UnicodeDecodeError:
            raise GraphError(f"An entry of the {source} is not UTF-8.", REPORT) from None
