"""Which key of the checkpoint each variable node is restored from, read from the graph's own restore
operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub2hf.errors import GraphError
from hub2hf.limits import tick
from hub2hf.savedmodel.attributes import UNREADABLE
from hub2hf.savedmodel.graph import Graph, ReadGraph, Scope, parse_tensor_name
from hub2hf.savedmodel.node import ARGUMENT_OP, CALL_OPS, Node, TensorRef
from hub2hf.savedmodel.slices import SliceError, SliceSpec, parse_slice_spec

VARIABLE_OPS: Final = frozenset({"VariableV2", "Variable", "VarHandleOp"})
_PASS_THROUGH: Final = frozenset({"Identity", "ReadVariableOp", "Enter", "Reshape", "EnsureShape", "Cast"})
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


def _source(scope: Scope, ref: TensorRef) -> TensorRef:
    """Follow a tensor back through nodes that only pass it on."""
    seen = set()
    node = scope.producer(ref)
    while node.op in _PASS_THROUGH and node.name not in seen:
        seen.add(node.name)
        tick(str(node))
        ref = node.input(0)
        node = scope.producer(ref)
    return ref


def variable_node(scope: Scope, name: str) -> Node:
    """Follow a node back to the variable it reads: through Identity, ReadVariableOp and the like.

    Raises:
        GraphError: it does not lead to a variable (or, in a function, to an argument).
    """
    node = scope.producer(_source(scope, TensorRef(name)))
    if node.op not in VARIABLE_OPS and node.op != ARGUMENT_OP:
        raise GraphError(f"The {scope.node(name)} does not read a variable: it leads to {node}.", UNREADABLE)
    return node


def joined_parts(graph: Graph, name: str) -> tuple[list[str], int] | None:
    """Read the parts of a partitioned variable that a node joins again.

    Args:
        graph: the main graph.
        name: a node.

    Returns:
        The nodes of the parts, and the axis along which ``ConcatV2`` joins them; None for another node.
    """
    node = graph.producer(_source(graph, TensorRef(name)))
    if node.op != "ConcatV2" or len(node.inputs) < 2:
        return None
    axis = graph.producer(_source(graph, node.inputs[-1]))
    if axis.op != "Const" or axis.value.size != 1 or axis.value.dtype.kind != "i":
        return None
    return [ref.node for ref in node.inputs[:-1]], int(axis.value.reshape(-1)[0])


def join(name: str, bindings: Sequence[Binding], axis: int) -> Binding:
    """Return the whole variable that parts make up when joined along an axis.

    Raises:
        GraphError: they are not all the parts of one variable, in order.
    """
    position = 0
    whole = bindings[0].slice.full_shape if bindings[0].slice else ()
    axis += len(whole) if axis < 0 else 0
    for binding in bindings:
        part = binding.slice
        if part is None or binding.key != bindings[0].key or not 0 <= axis < len(whole):
            break
        expected = tuple(part.shape[axis] if i == axis else size for i, size in enumerate(whole))
        starts = tuple(position if i == axis else 0 for i in range(len(whole)))
        if (part.full_shape, part.shape, part.starts) != (whole, expected, starts):
            break
        position += part.shape[axis]
    else:
        if position == whole[axis]:
            return Binding(bindings[0].key)
    keys = ", ".join(sorted({binding.key for binding in bindings}))
    raise GraphError(f"The node {name} joins parts of {keys}, but not all of one in order.", UNREADABLE)


def restored_variables(graph: ReadGraph, restore_op: str = "") -> dict[str, Binding]:
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

    def __init__(self, graph: ReadGraph) -> None:
        self.graph = graph
        self.bindings: dict[str, Binding] = {}
        self._restores: set[str] = set()  # functions that restore, or call one that does
        for function in graph.functions_bottom_up():
            restores = any(node.op == "RestoreV2" for node in function.nodes.values())
            if restores or not self._restores.isdisjoint(graph.callees(function)):
                self._restores.add(function.name)

    def read(self, scope: Scope, nodes: Iterable[Node], arguments: Mapping[str, str]) -> None:
        work: list[tuple[Scope, Iterable[Node], Mapping[str, str]]] = [(scope, nodes, arguments)]
        calls = 0
        while work:
            scope, nodes, arguments = work.pop()
            for node in nodes:
                tick(str(node))
                if node.op in _ASSIGNS:
                    self._assign(scope, node, arguments)
                elif node.op in CALL_OPS and node.attr("f", "") in self._restores:
                    calls += 1
                    if calls > _MAX_CALLS:
                        raise GraphError(f"The restore functions of {node} call too many others.", UNREADABLE)
                    function = self.graph.function(str(node.attr("f")))
                    bound = self._bind(scope, node, [arg.name for arg in function.arguments], arguments)
                    work.append((function, function.nodes.values(), bound))

    def _bind(self, scope: Scope, call: Node, names: list[str], arguments: Mapping[str, str]) -> dict[str, str]:
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
            raise GraphError(f"The {restore} restores {key} unlike any Saver: {error}.", UNREADABLE) from None
        if self.bindings.setdefault(target, binding) != binding:
            other = self.bindings[target].key
            raise GraphError(f"The variable {target} is restored from {other} and from {key}.", UNREADABLE)

    def _restored(self, scope: Scope, ref: TensorRef) -> tuple[Node, int] | None:
        """Follow a value back to the output of a RestoreV2; None if it comes from elsewhere."""
        ref = _source(scope, ref)
        node = scope.producer(ref)
        return (node, ref.output) if node.op == "RestoreV2" else None

    def _text(self, scope: Scope, restore: Node, position: int, output: int) -> str | None:
        """Return an element of a constant input of a RestoreV2; None when it is not a constant."""
        source = scope.producer(_source(scope, restore.input(position)))
        if source.op != "Const":
            return None
        values: Any = source.value.reshape(-1)
        if not 0 <= output < len(values) or not isinstance(values[output], bytes):
            raise GraphError(f"The {source} has {len(values)} entries, but {restore} restores more.", UNREADABLE)
        try:
            return str(values[output].decode("utf-8"))
        except UnicodeDecodeError:
            raise GraphError(f"An entry of the {source} is not UTF-8.", UNREADABLE) from None
