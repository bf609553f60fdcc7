"""Loops as TensorFlow 1 wrote them, made into the While nodes that TensorFlow 2 writes.

A loop of TensorFlow 1 is a cycle in the graph, in a frame of its own: values come in through Enter, Merge takes the
first of them and then those of NextIteration, Switch sends them to the body or to Exit ("Dynamic control flow in
large-scale machine learning", Yu et al. 2018, section 4). Each frame becomes one While with two functions, the
innermost first.
"""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hub2hf.errors import REPORT, GraphError
from hub2hf.savedmodel.graph import Argument, Function, Graph
from hub2hf.savedmodel.node import Node, TensorRef


def _function(name: str, nodes: Mapping[str, Node], arguments: Sequence[str], returns: Sequence[TensorRef]) -> Function:
    """Return the condition or the body of a loop."""
    given = [Argument(argument, "invalid") for argument in arguments]
    return Function(name, nodes, given, [(str(ref), ref) for ref in returns])


@dataclass(frozen=True)
class _Variable:
    """A loop variable: the nodes that its value passes."""

    enter: Node
    merge: Node
    switch: Node
    following: Node


@dataclass(frozen=True)
class _Loop:
    frame: str
    variables: tuple[_Variable, ...]
    constants: tuple[Node, ...]  # Enter nodes of values that the loop does not change
    condition: TensorRef


def raised(graph: Graph) -> Graph:
    """Return `graph` with the loops of TensorFlow 1 in its main graph as While nodes; itself when it has none.

    Raises:
        GraphError: a frame is not a loop as TensorFlow writes it.
    """
    frames: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes.values():
        if node.op == "Enter":
            frames[str(node.attr("frame_name"))].append(node)
    return _Raising(graph, frames).graph() if frames else graph


class _Raising:
    """The main graph while its frames are replaced one by one."""

    def __init__(self, graph: Graph, frames: Mapping[str, Sequence[Node]]) -> None:
        self.original = graph
        self.nodes = dict(graph.nodes)
        self.functions: dict[str, Function] = {}
        self._frames = dict(frames)

    def graph(self) -> Graph:
        """Return the new graph."""
        while self._frames:
            for frame, enters in self._frames.items():
                if self._raise(self._loop(frame, enters)):
                    del self._frames[frame]
                    break
            else:
                frame = next(iter(self._frames))
                raise GraphError(f"The loops '{frame}' and those in it are not understood.", REPORT)
        self._drop_dangling()
        return Graph(self.nodes, ChainMap(self.functions, self.original.functions))  # type: ignore[arg-type]

    def _loop(self, frame: str, enters: Iterable[Node]) -> _Loop:
        found, constants, conditions = [], [], set()
        for enter in enters:
            merge = self._user(TensorRef(enter.name), "Merge")
            if merge is None:
                constants.append(enter)
                continue
            switch = self._user(TensorRef(merge.name), "Switch", of_loop=True)
            following = self.nodes.get(merge.input(1).node)
            if switch is None or following is None or following.op != "NextIteration":
                raise GraphError(f"Node '{merge.name}' is not that of a loop.", REPORT)
            conditions.add(switch.input(1).node)
            found.append(_Variable(enter, merge, switch, following))
        condition = self.nodes.get(conditions.pop()) if len(conditions) == 1 else None
        if condition is None:
            raise GraphError(f"The loop '{frame}' has no condition, or several.", REPORT)
        return _Loop(frame, tuple(found), tuple(constants), condition.input(0))

    def _user(self, ref: TensorRef, op: str, *, of_loop: bool = False) -> Node | None:
        """Return the node with `op` that takes `ref` first; `of_loop`: the Switch of a loop, not of a conditional."""
        for node, position in self.original.consumers.get(ref, ()):
            fits = node.op == op and position == 0
            if fits and (not of_loop or self.original.node(node.input(1).node).op == "LoopCond"):
                return self.nodes.get(node.name)
        return None

    def _raise(self, loop: _Loop) -> bool:
        """Replace a loop; return False, and change nothing, when there is another one in it."""
        names = [f"{variable.enter.name}/variable" for variable in loop.variables]
        names += [f"{enter.name}/constant" for enter in loop.constants]
        count = len(loop.variables)
        kept = {
            TensorRef(enter.name): TensorRef(name) for enter, name in zip(loop.constants, names[count:], strict=True)
        }
        before = {
            TensorRef(v.merge.name): TensorRef(name) for v, name in zip(loop.variables, names[:count], strict=True)
        } | kept
        inside = {
            TensorRef(v.switch.name, 1): TensorRef(name) for v, name in zip(loop.variables, names[:count], strict=True)
        } | kept
        condition = self._copy(f"{loop.frame}/cond", [loop.condition], before)
        body = self._copy(f"{loop.frame}/body", [v.following.input(0) for v in loop.variables], inside)
        if condition is None or body is None:
            return False
        returns = [inside.get(v.following.input(0), v.following.input(0)) for v in loop.variables]
        stated = [before.get(loop.condition, loop.condition)]
        self._add(_function(f"{loop.frame}/cond", condition, names, stated))
        self._add(_function(f"{loop.frame}/body", body, names, [*returns, *kept.values()]))
        self._replace(loop, {*condition, *body})
        return True

    def _add(self, function: Function) -> None:
        if function.name in self.functions or function.name in self.original.functions:
            raise GraphError(f"The graph has two loops or functions named '{function.name}'.", REPORT)
        self.functions[function.name] = function

    def _copy(
        self, name: str, wanted: Sequence[TensorRef], given: Mapping[TensorRef, TensorRef]
    ) -> dict[str, Node] | None:
        """Return the nodes that `wanted` depend on up to what is `given`; None when another loop is among them."""
        copies: dict[str, Node] = {}
        stack = [ref for ref in wanted if ref not in given]
        while stack:
            node = self.nodes.get(stack.pop().node)
            if node is None or node.op in ("Enter", "Exit", "NextIteration", "LoopCond"):
                return None
            if node.name not in copies:
                inputs = tuple(given.get(ref, ref) for ref in node.inputs)
                copies[node.name] = replace(node, inputs=inputs, control_inputs=(), function=name)
                stack.extend(ref for ref in node.inputs if ref not in given)
        return copies

    def _replace(self, loop: _Loop, inside: Iterable[str]) -> None:
        """Take a loop out of the graph, put a While in, and let every Exit take its result from that."""
        name = f"{loop.frame}/While"
        if name in self.nodes:
            raise GraphError(f"The graph has two nodes named '{name}'.", REPORT)
        for variable in loop.variables:
            for node in (variable.enter, variable.merge, variable.following):
                self.nodes.pop(node.name, None)
        for removed in (*inside, *(enter.name for enter in loop.constants)):
            self.nodes.pop(removed, None)
        inputs = [node.input(0) for node in (*(v.enter for v in loop.variables), *loop.constants)]
        functions = {"cond": f"{loop.frame}/cond", "body": f"{loop.frame}/body"}
        self.nodes[name] = Node.made(name, "While", inputs, attributes=functions)
        for i, variable in enumerate(loop.variables):
            self.nodes.pop(variable.switch.name, None)
            for node, _ in self.original.consumers.get(TensorRef(variable.switch.name), ()):
                if node.op == "Exit":
                    self.nodes[node.name] = replace(
                        node, op="Identity", inputs=(TensorRef(name, i),), control_inputs=()
                    )

    def _drop_dangling(self) -> None:
        """Drop what took part in a loop without a result, such as assertions."""
        while dropped := [
            name for name, node in self.nodes.items() if any(ref.node not in self.nodes for ref in node.inputs)
        ]:
            for name in dropped:
                del self.nodes[name]
        for name, node in self.nodes.items():
            controls = tuple(control for control in node.control_inputs if control in self.nodes)
            if controls != node.control_inputs:
                self.nodes[name] = replace(node, control_inputs=controls)
