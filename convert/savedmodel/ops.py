"""Names and number of the outputs of ops, needed to read function bodies.

A function body names a tensor ``node:output_name:i``, a graph ``node:flat_index``. A SavedModel brings the
OpDef of every op it uses (``meta_info_def.stripped_op_list``); where that was stripped, ``op_outputs.txt`` covers
all ops of TensorFlow and TF.Text. It is generated from their registry by ``scripts/ops.py --write``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from hub2hf.errors import GraphError
from hub2hf.limits import tick
from hub2hf.savedmodel.attributes import UNREADABLE

# An output: its name, and the attribute that tells how many tensors it is ("" when it is one).
Output = tuple[str, str]


def _output(text: str) -> Output:
    name, _, attribute = text.partition("*")
    return name, attribute


@cache
def known_outputs() -> Mapping[str, tuple[Output, ...]]:
    """Return the outputs of every op of TensorFlow and TF.Text, by its name."""
    text = resources.files(__package__).joinpath("op_outputs.txt").read_text(encoding="ascii")
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {op: tuple(map(_output, outputs)) for op, *outputs in lines}


def outputs_of(op_def: Any) -> tuple[Output, ...]:
    """Return the outputs an OpDef declares."""
    return tuple((arg.name, arg.number_attr or arg.type_list_attr) for arg in op_def.output_arg)


class OpRegistry:
    """What is known of ops: from the SavedModel's OpList, its functions, then the table beside this module."""

    def __init__(self, op_list: Any, library: Mapping[str, Any]) -> None:
        """Take in an OpList, and FunctionDefs by name (a function can be called by a node whose op it is)."""
        self._known: dict[str, tuple[Output, ...]] = dict(known_outputs())
        self._defaults: dict[str, Mapping[str, Any]] = {}
        for op_def in op_list.op:
            self._known[op_def.name] = outputs_of(op_def)
            has_default = (attr for attr in op_def.attr if attr.HasField("default_value"))
            self._defaults[op_def.name] = {attr.name: attr.default_value for attr in has_default}
        self._known.update({name: outputs_of(proto.signature) for name, proto in library.items()})

    def knows(self, op: str) -> bool:
        """Tell whether the outputs of an op are known."""
        return op in self._known

    def defaults(self, op: str) -> Mapping[str, Any]:
        """Return the AttrValues that nodes of an op leave out; empty if the SavedModel has no OpDef."""
        return self._defaults.get(op, {})

    def flat_index(self, node_def: Any, out_name: str, index: int, where: str) -> int | None:
        """Return the flat index of output ``out_name:index`` of a node; None when its op is not known.

        Raises:
            GraphError: the op has no such output, or the node does not tell how many it has.
        """
        outputs = self._known.get(node_def.op)
        if outputs is None:
            return None
        flat = 0
        for name, attribute in outputs:
            tick(where)
            count = self._count(node_def, attribute, where) if attribute else 1
            if name == out_name and index < count:
                return flat + index
            flat += count
        raise GraphError(f"The {where} has no output {out_name}:{index} (its op is {node_def.op}).", UNREADABLE)

    def _count(self, node_def: Any, attribute: str, where: str) -> int:
        default = self.defaults(node_def.op).get(attribute)
        proto: Any = node_def.attr.get(attribute, default)
        kind = proto.WhichOneof("value") if proto is not None else None
        if kind == "i" and proto.i >= 0:
            return int(proto.i)
        if kind == "list":
            return len(proto.list.type)
        raise GraphError(f"The {where} does not tell its number of outputs ({attribute}).", UNREADABLE)
