"""Tensors inside the functions of a graph, made outputs of the calls that lead to them, so that a session can fetch them.

TensorFlow 2 saves traced functions: its main graph holds little but a call. A tensor of the function that node `c` calls is
named `c/NODE:0` here, and of a call in that function `c/d/NODE:0`, as TensorFlow's own inliner names what it copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tensorflow.python.framework import op_def_registry

from hub2hf.savedmodel.node import CALL_OPS


def expose(graph: Any, names: Iterable[str]) -> dict[str, str]:
    """Change a GraphDef so that each tensor of `names` can be fetched, and return its name → what to fetch.

    What a function computes stays what it was; it gives more of it. A name that leads to nothing is left out.

    Args:
        graph: the GraphDef, changed in place.
        names: tensors, as `node:0`.
    """
    exposing, found = _Exposing(graph), {}
    for name in dict.fromkeys(names):
        path, _, output = name.rpartition(":")
        tensor = exposing.tensor(graph.node, path, int(output)) if output.isdigit() else None
        if tensor is not None:
            found[name] = f"{tensor.node}:{tensor.output}"
    return found


@dataclass(frozen=True)
class _Tensor:
    """An output of a node; `endpoint` is what the body of a function calls it."""

    node: str
    output: int
    endpoint: str
    dtype: int


class _Exposing:
    """One GraphDef on its way to giving more."""

    def __init__(self, graph: Any) -> None:
        self.library = graph.library
        self.functions = {function.signature.name: function for function in graph.library.function}
        self._own: set[str] = set()
        self._done: dict[tuple[str, str, int], _Tensor] = {}

    def tensor(self, nodes: Any, path: str, output: int, where: str = "") -> _Tensor | None:
        """Return output number `output` of the node that `path` leads to from `nodes`, the body of the function `where`."""
        known = self._done.get((where, path, output))
        if known is not None:
            return known
        for node in nodes:
            found = None
            if node.name == path:
                found = self._output(node, output)
            elif path.startswith(f"{node.name}/") and self._called(node) is not None:
                found = self._through(node, path.removeprefix(f"{node.name}/"), output)
            if found is not None:
                self._done[where, path, output] = found
                return found
        return None

    def _called(self, node: Any) -> Any:
        """Return the function that a node calls; None when it calls none."""
        return self.functions.get(node.attr["f"].func.name if node.op in CALL_OPS else node.op)

    def _through(self, call: Any, path: str, output: int) -> _Tensor | None:
        """Return the result of `call` that the tensor at `path` in its function is made to be."""
        function = self._called(call)
        if function.signature.name not in self._own:  # other calls of it stay as they are
            function = self._copy(function)
        inner = self.tensor(function.node_def, path, output, function.signature.name)
        if inner is None:
            return None
        result = f"exposed_{len(function.signature.output_arg)}"
        function.signature.output_arg.add(name=result, type=inner.dtype)
        function.ret[result] = inner.endpoint
        call.attr.pop("_output_shapes", None)  # of one output too few
        if call.op in CALL_OPS:
            call.attr["f"].func.name = function.signature.name
            call.attr["Tout"].list.type.append(inner.dtype)
        else:
            call.op = function.signature.name
        return self._output(call, len(function.signature.output_arg) - 1)

    def _copy(self, function: Any) -> Any:
        copy = self.library.function.add()
        copy.CopyFrom(function)
        copy.signature.name = f"{function.signature.name}_exposed_{len(self._own)}"
        self._own.add(copy.signature.name)
        self.functions[copy.signature.name] = copy
        return copy

    def _output(self, node: Any, output: int) -> _Tensor | None:
        """Return an output of a node, by its number among all of them (OpDef.ArgDef in TensorFlow's op_def.proto)."""
        called = self.functions.get(node.op)
        signature = called.signature if called is not None else op_def_registry.get(node.op)
        left = output
        for argument in signature.output_arg if signature is not None else ():
            types = _types(argument, node)
            if left < len(types):
                return _Tensor(node.name, output, f"{node.name}:{argument.name}:{left}", types[left])
            left -= len(types)
        return None


def _types(argument: Any, node: Any) -> list[int]:
    """Return the DataType of each tensor of an output, which may be a list."""
    if argument.type_list_attr:
        return list(node.attr[argument.type_list_attr].list.type)
    dtype = argument.type or node.attr[argument.type_attr].type
    return [dtype] * (node.attr[argument.number_attr].i if argument.number_attr else 1)
