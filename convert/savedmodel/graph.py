"""A graph and its functions: nodes with their inputs resolved, checked once, and walked without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hub2hf.errors import GraphError
from hub2hf.limits import MAX_INPUTS, MAX_NODES, tick
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.attributes import UNREADABLE
from hub2hf.savedmodel.dtypes import DType, graph_dtype
from hub2hf.savedmodel.node import ARGUMENT_OP, Node, TensorRef
from hub2hf.savedmodel.ops import OpRegistry

Consumers = Mapping[TensorRef, list[tuple[Node, int]]]


class Scope:
    """Nodes that refer to each other: the main graph, or the body of a function.

    Attributes:
        name: of the function; empty for the main graph.
        nodes: by name, in the order of the file; in a function, its arguments come first.
    """

    def __init__(self, name: str, nodes: Mapping[str, Node]) -> None:
        """Check that every input is there.

        Raises:
            GraphError: a node names an input that does not exist.
        """
        self.name = name
        self.nodes = nodes
        for node in nodes.values():
            for ref in node.inputs:
                if ref.node not in nodes:
                    raise _no_input(node, ref.node)
            for source in node.control_inputs:
                if source not in nodes:
                    raise _no_input(node, source)

    def node(self, name: str) -> Node:
        """Return a node by name.

        Raises:
            GraphError: there is none.
        """
        if name not in self.nodes:
            place = f"function {self.name}" if self.name else "graph"
            raise GraphError(f"The {place} has no node {name}.", UNREADABLE)
        return self.nodes[name]

    def producer(self, ref: TensorRef) -> Node:
        """Return the node that gives a tensor (GraphError if there is none)."""
        return self.node(ref.node)

    @cached_property
    def by_op(self) -> Mapping[str, Sequence[Node]]:
        """The nodes of each op, in the order of the file."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes.values():
            found.setdefault(node.op, []).append(node)
        return found

    @cached_property
    def consumers(self) -> Consumers:
        """Who takes each tensor: the nodes, with the position of their input."""
        found: dict[TensorRef, list[tuple[Node, int]]] = {}
        for node in self.nodes.values():
            for position, ref in enumerate(node.inputs):
                found.setdefault(ref, []).append((node, position))
        return found

    def upstream(self, names: Iterable[str], *, control: bool = False) -> Iterator[Node]:
        """Yield the named nodes and all that they depend on, each once.

        Args:
            names: where to begin.
            control: whether to follow control inputs too.
        """
        stack, seen = list(names), set()
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                node = self.node(name)
                yield node
                stack.extend(ref.node for ref in node.inputs)
                stack.extend(node.control_inputs if control else ())


def _no_input(node: Node, source: str) -> GraphError:
    return GraphError(f"The {node} has the input {source}, which does not exist.", UNREADABLE)


@dataclass(frozen=True)
class Argument:
    """An argument of a function: its name, and its dtype where that is fixed (else ``"invalid"``)."""

    name: str
    dtype: DType


class Function(Scope):
    """A function of the graph's library.

    Attributes:
        arguments: in the order of the call. Each is also a node of the op ``_Arg``, without inputs.
        returns: the tensors it returns, in the order of the call.
        return_names: their names.
    """

    def __init__(
        self,
        name: str,
        nodes: Mapping[str, Node],
        arguments: Sequence[Argument],
        returns: Sequence[tuple[str, TensorRef]],
    ) -> None:
        """Check that every input is there.

        Args:
            name, nodes, arguments: the attributes; the nodes of the arguments are added.
            returns: (name, tensor) of each.

        Raises:
            GraphError: an input or a tensor that is returned does not exist.
        """
        given = {argument.name: Node.made(argument.name, ARGUMENT_OP, function=name) for argument in arguments}
        super().__init__(name, {**given, **nodes})
        self.arguments = tuple(arguments)
        self.return_names = tuple(called for called, _ in returns)
        self.returns = tuple(ref for _, ref in returns)
        for ref in self.returns:
            if ref.node not in self.nodes:
                raise GraphError(f"The function {name} returns {ref}, which does not exist.", UNREADABLE)


def read_function(proto: Any, outputs: OpRegistry) -> Function:
    """Read a FunctionDef.

    Raises:
        GraphError: duplicate names, inputs or returns that do not exist.
    """
    name = str(proto.signature.name)
    _check_size(name, proto.node_def)
    arguments = [Argument(arg.name, graph_dtype(arg.type)) for arg in proto.signature.input_arg]
    nodes: dict[str, Node] = {}
    for argument in arguments:
        _add(nodes, Node.made(argument.name, ARGUMENT_OP, function=name))
    resolve = _FunctionRefs(name, set(nodes), proto.node_def, outputs)
    for node_def in proto.node_def:
        _add(nodes, _node(node_def, name, resolve, outputs))
    returned = [str(arg.name) for arg in proto.signature.output_arg]
    for key in returned:
        if key not in proto.ret:
            raise GraphError(f"The function {name} does not tell what it returns as {key}.", UNREADABLE)
    return Function(name, nodes, arguments, [(key, resolve(proto.ret[key])) for key in returned])


class Graph(Scope):
    """A main graph, with its functions.

    Attributes:
        functions: by name.
    """

    def __init__(self, nodes: Mapping[str, Node], functions: Mapping[str, Function]) -> None:
        """Check that every input is there (GraphError if one is not)."""
        super().__init__("", nodes)
        self.functions = functions

    def function(self, name: str) -> Function:
        """Return a function by name.

        Raises:
            GraphError: there is none, or it, or one that it calls, is malformed or calls itself.
        """
        if name not in self.functions:
            raise GraphError(f"The graph has no function {name}.", UNREADABLE)
        return self.functions[name]


class ReadGraph(Graph):
    """The main graph of a SavedModel. Functions that it reaches are read and checked at once, others when asked for."""

    def __init__(self, graph_def: Any, op_list: Any = None) -> None:
        """Read a GraphDef.

        Args:
            graph_def: the message.
            op_list: the OpList that the SavedModel brings; empty if None.

        Raises:
            GraphError: duplicate names, inputs or functions that do not exist, or a cycle of calls.
        """
        self._library = _library(graph_def.library)
        _check_size("", graph_def.node)
        self._nodes = len(graph_def.node)
        self._outputs = OpRegistry(op_list or messages.new("OpList"), self._library)
        self._read: dict[str, Function] = {}
        self._callees: dict[str, list[str]] = {}
        self._checked: dict[str, None] = {}  # functions below which there is no cycle, callees first
        nodes: dict[str, Node] = {}
        for node_def in graph_def.node:
            _add(nodes, _node(node_def, "", _graph_ref, self._outputs))
        super().__init__(nodes, _Functions(self))
        self._check_calls(self)

    def function(self, name: str) -> Function:
        """Return a function by name; see `Graph.function`."""
        function = self._read_function(name)
        if name not in self._checked:
            self._check_calls(function)
        return function

    def callees(self, scope: Scope) -> list[str]:
        """Return the names of the functions that the nodes of a scope call, each once.

        Raises:
            GraphError: one of them does not exist.
        """
        if scope.name in self._callees:
            return self._callees[scope.name]
        found: dict[str, None] = {}
        for node in scope.nodes.values():
            if node.op in self._library:
                found[node.op] = None
            for name in (name for names in node.calls.values() for name in names if name):
                if name in self._library:
                    found[name] = None
                elif not self._outputs.knows(name):
                    raise GraphError(f"The {node} calls the function {name}, which does not exist.", UNREADABLE)
        return self._callees.setdefault(scope.name, list(found))

    def functions_bottom_up(self) -> list[Function]:
        """Return the functions the main graph reaches, and others read so far, each after those it calls."""
        return [self._read[name] for name in self._checked if name]

    def _read_function(self, name: str) -> Function:
        if name not in self._library:
            raise GraphError(f"The graph has no function {name}.", UNREADABLE)
        if name not in self._read:
            self._nodes += len(self._library[name].node_def)
            if self._nodes > MAX_NODES:
                raise GraphError(f"The graph has more than {MAX_NODES} nodes with its functions.", UNREADABLE)
            self._read[name] = read_function(self._library[name], self._outputs)
        return self._read[name]

    def _check_calls(self, scope: Scope) -> None:
        """Read all functions below a scope, depth first, and refuse a cycle."""
        path = {scope.name: iter(self.callees(scope))}  # the calls we are in, in order
        while path:
            caller = next(reversed(path))
            callee = next(path[caller], None)
            if callee is None:
                del path[caller]
                self._checked[caller] = None
            elif callee in path:
                raise GraphError(f"The function {callee} calls itself (through {caller}).", UNREADABLE)
            elif callee not in self._checked:
                path[callee] = iter(self.callees(self._read_function(callee)))

    @property
    def function_names(self) -> tuple[str, ...]:
        """Names of all functions of the library."""
        return tuple(self._library)


class _Functions(Mapping[str, Function]):
    """The functions of a graph as a mapping that reads each when it is asked for."""

    def __init__(self, graph: ReadGraph) -> None:
        self._graph = graph

    def __getitem__(self, name: str) -> Function:
        if name not in self._graph.function_names:
            raise KeyError(name)
        return self._graph.function(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._graph.function_names)

    def __len__(self) -> int:
        return len(self._graph.function_names)


class _FunctionRefs:
    """Reads the inputs of a function body: ``argument``, ``argument:i``, ``node:output``,
    ``node:output:i``."""

    def __init__(self, function: str, arguments: set[str], node_defs: Any, outputs: OpRegistry) -> None:
        self._function, self._arguments, self._outputs = function, arguments, outputs
        self._nodes = {node_def.name: node_def for node_def in node_defs}

    def __call__(self, text: str) -> TensorRef:
        name, *rest = text.split(":")
        if name in self._arguments and len(rest) <= 1:
            return TensorRef(name, _index(rest[0], text) if rest else 0)
        where = f"function {self._function}: node {name}"
        if name not in self._nodes:
            raise GraphError(f"The {where} does not exist, but {text} is an input.", UNREADABLE)
        if not 1 <= len(rest) <= 2:
            raise GraphError(f"The {where} is referred to as {text}, which names no output.", UNREADABLE)
        index = _index(rest[1], text) if len(rest) == 2 else 0
        flat = self._outputs.flat_index(self._nodes[name], rest[0], index, where)
        return TensorRef(name, index, rest[0]) if flat is None else TensorRef(name, flat)


def _graph_ref(text: str) -> TensorRef:
    name, colon, index = text.partition(":")
    return TensorRef(name, _index(index, text) if colon else 0)


def parse_tensor_name(text: str) -> TensorRef:
    """Read the name of a tensor of the main graph: ``node:1``, or ``node`` for its first output.

    Raises:
        GraphError: the output is not a number.
    """
    return _graph_ref(text)


def _index(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise GraphError(f"The input {whole} does not name an output by number.", UNREADABLE)
    return int(text)


def _library(proto: Any) -> dict[str, Any]:
    library: dict[str, Any] = {}
    for function in proto.function:
        name = str(function.signature.name)
        if not name or (name in library and library[name] != function):
            raise GraphError(f"The graph has two functions named {name!r}.", UNREADABLE)
        library[name] = function
    return library


def _check_size(function: str, node_defs: Any) -> None:
    """Refuse more than the memory holds: a node in the file may take 10 bytes, an input 3."""
    place = f"function {function}" if function else "graph"
    if len(node_defs) > MAX_NODES or sum(len(node_def.input) for node_def in node_defs) > MAX_INPUTS:
        raise GraphError(f"The {place} has more than {MAX_NODES} nodes or {MAX_INPUTS} inputs.", UNREADABLE)


def _add(nodes: dict[str, Node], node: Node) -> None:
    tick(node.name)
    if not (node.name.isprintable() and node.op.isprintable()):
        raise GraphError(f"The name {node.name[:50]!r} or the operation of a node cannot be printed.", UNREADABLE)
    if not node.name or node.name in nodes:
        raise GraphError(f"The {node} has a name that is empty or that another has too.", UNREADABLE)
    nodes[node.name] = node


def _node(proto: Any, function: str, resolve: Any, outputs: OpRegistry) -> Node:
    inputs: list[TensorRef] = []
    controls: list[str] = []
    for text in proto.input:
        if text.startswith("^"):
            controls.append(text[1:])
        else:
            inputs.append(resolve(text))
    defaults = outputs.defaults(proto.op)
    return Node(proto.name, proto.op, tuple(inputs), tuple(controls), function, proto.attr, defaults)
