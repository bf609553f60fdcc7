"""Nodes of a graph or function body, and the tensors between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np

from hub2hf.errors import GraphError
from hub2hf.savedmodel.attributes import UNREADABLE, Array, Shape, decode_attribute, decode_shape
from hub2hf.savedmodel.dtypes import DType, graph_dtype

ARGUMENT_OP: Final = "_Arg"  # the op of a function's argument, as TensorFlow has it (function_ops.cc)
CALL_OPS: Final = frozenset({"PartitionedCall", "StatefulPartitionedCall"})  # those whose attribute f names a function
_REQUIRED: Final = object()
_KEEP_BYTES: Final = 1 << 20  # larger constants are decoded anew each time rather than held twice


class TensorRef(NamedTuple):
    """One output of a node: a tuple, as it is what most is looked up by.

    Attributes:
        node: name of the node, in the same graph or function.
        output: flat index of the output.
        out_name: empty, but for a tensor of a function body whose op is not known: then the name of the
            output, and ``output`` counts within that name.
    """

    node: str
    output: int = 0
    out_name: str = ""

    def __str__(self) -> str:
        """Return it as TensorFlow writes it: ``node:0``, or ``node:name:0``."""
        return ":".join(part for part in (self.node, self.out_name, str(self.output)) if part)


def _only_places(attribute: str) -> bool:
    """Whether an attribute tells a resource or a device, and nothing of what is computed."""
    return attribute.startswith("_") or attribute in ("shared_name", "container")


def _told(value: Any) -> object:
    """Return what tells the value of an attribute."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    return str(value.dtype), value.shape, tuple(value.ravel()) if value.dtype.hasobject else value.tobytes()


@dataclass(frozen=True, eq=False)
class Node:
    """A node.

    Attributes:
        name: unique in its graph or function.
        op: name of its operation, or of the function it calls; ``_Arg`` for an argument of a function.
        inputs: the tensors it takes, in order.
        control_inputs: names of the nodes that must run before it.
        function: name of the function it belongs to; empty in the main graph.
    """

    name: str
    op: str
    inputs: tuple[TensorRef, ...]
    control_inputs: tuple[str, ...]
    function: str
    _attrs: Any = field(repr=False)
    _defaults: Mapping[str, Any] = field(repr=False)
    _decoded: dict[str, Any] = field(repr=False, default_factory=dict)

    @classmethod
    def made(
        cls,
        name: str,
        op: str,
        inputs: Iterable[TensorRef] = (),
        *,
        function: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> Node:
        """Return a node that stands in no file; its `attributes` are the Python values that `attr` is to return."""
        return cls(name, op, tuple(inputs), (), function, {}, {}, dict(attributes or {}))

    def __str__(self) -> str:
        """Return the node as messages name it."""
        return f"node {self.name} ({self.op}{f', in function {self.function}' if self.function else ''})"

    def attr(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return an attribute as a Python value.

        Args:
            name: the attribute. One left out because it has its default value is found in the OpDef that the
                SavedModel brings.
            default: what to return when it is in neither.

        Returns:
            See ``decode_attribute``.

        Raises:
            GraphError: no such attribute (and no default given), or malformed.
        """
        if name in self._decoded:
            return self._decoded[name]
        proto = self._attrs[name] if name in self._attrs else self._defaults.get(name)
        if proto is None:
            if default is _REQUIRED:
                raise GraphError(f"The {self} has no attribute {name}.", UNREADABLE)
            return default
        value = decode_attribute(proto, f"attribute {name} of {self}")
        if getattr(value, "nbytes", 0) <= _KEEP_BYTES:
            self._decoded[name] = value
        return value

    def with_attributes(self, **values: Any) -> Node:
        """Return the node with other attributes: the Python values that `attr` is to return."""
        return replace(self, _decoded={**self._decoded, **values})

    @property
    def attr_names(self) -> tuple[str, ...]:
        """Names of the attributes the node itself has, sorted."""
        return tuple(sorted(self._attrs))

    @property
    def form(self) -> tuple[object, ...]:
        """What a node computes, its inputs aside: of the same inputs, nodes of one form make the same.

        What only names or places a node is no part of it.

        Raises:
            GraphError: an attribute is malformed.
        """
        names = sorted({*self._attrs, *self._defaults, *self._decoded})
        return self.op, *((name, _told(self.attr(name))) for name in names if not _only_places(name))

    @property
    def value(self) -> Array:
        """The tensor of a Const, read-only; strings as an object array of bytes.

        Raises:
            GraphError: not a Const, or its tensor is malformed.
        """
        if self.op != "Const":
            raise GraphError(f"The {self} is not a constant.", UNREADABLE)
        value = self.attr("value")
        if not hasattr(value, "dtype") or not hasattr(value, "shape"):
            raise GraphError(f"The value of {self} is not a tensor.", UNREADABLE)
        array: Array = value
        return array

    @property
    def value_form(self) -> tuple[DType, Shape]:
        """The dtype and the shape of the tensor of a Const, without decoding its values; an unknown shape where none."""
        if "value" in self._decoded:
            return self._decoded["value"].dtype, self._decoded["value"].shape
        proto = self._attrs["value"].tensor if "value" in self._attrs else None
        if self.op != "Const" or proto is None:
            raise GraphError(f"The {self} is not a constant.", UNREADABLE)
        return graph_dtype(proto.dtype), decode_shape(proto.tensor_shape, f"value of {self}")

    def input(self, position: int) -> TensorRef:
        """Return an input.

        Raises:
            GraphError: the node has fewer.
        """
        if not 0 <= position < len(self.inputs):
            raise GraphError(f"The {self} has {len(self.inputs)} inputs, not {position + 1}.", UNREADABLE)
        return self.inputs[position]

    @property
    def calls(self) -> Mapping[str, tuple[str, ...]]:
        """Functions its attributes name: attribute -> names (several for a list)."""
        found: dict[str, tuple[str, ...]] = {}
        for key, proto in self._attrs.items():
            kind = proto.WhichOneof("value")
            if kind == "func":
                found[key] = (str(proto.func.name),)
            elif kind == "list" and proto.list.func:
                found[key] = tuple(str(func.name) for func in proto.list.func)
        return {key: names for key, names in found.items() if any(names)}
