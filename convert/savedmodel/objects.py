"""The object graph of a SavedModel as TensorFlow 2 writes it: what hangs on the root object, by name.

TensorFlow 2 saves a tree of Python objects beside the graph (tensorflow/core/protobuf/saved_object_graph.proto): assets,
variables, and functions with the variables that each captures. A SavedModel of TensorFlow 1 has none; then all is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub2hf.errors import GraphError
from hub2hf.savedmodel.attributes import UNREADABLE, Shape, decode_shape
from hub2hf.savedmodel.dtypes import DType, graph_dtype

CALL: Final = "__call__"
TRAINING: Final = "training"  # as TensorFlow Hub and Keras call the argument

Value = bool | int | float | str


@dataclass(frozen=True)
class Leaf:
    """A tensor in the arguments or the results of a function.

    Attributes:
        path: the keys and positions that lead to it: ``("encoder_outputs", "0")``.
        name: the name its specification has; may be empty.
        dtype: numpy dtype, or ``"string"`` and the like.
        shape: None for an unknown size, or None altogether for an unknown rank.
    """

    path: tuple[str, ...]
    name: str
    dtype: DType
    shape: Shape


@dataclass(frozen=True)
class ConcreteFunction:
    """One traced form of a function of an object.

    Attributes:
        name: of the function in the graph's library. It takes `inputs`, then what it captures.
        inputs, outputs: the tensors it takes and gives, in the order of the function.
        captures: the nodes of the object graph whose resources it takes after its inputs.
        settings: argument → value, of the arguments that are no tensors and not None; without the one that tells training.
        training: whether it was traced for training.
    """

    name: str
    inputs: tuple[Leaf, ...]
    outputs: tuple[Leaf, ...]
    captures: tuple[int, ...]
    settings: Mapping[str, Value]
    training: bool


class ObjectGraph:
    """The objects of one MetaGraph.

    Args:
        proto: the SavedObjectGraph; empty for TensorFlow 1.
    """

    def __init__(self, proto: Any) -> None:
        self._nodes = proto.nodes
        self._functions = proto.concrete_functions

    def find(self, *path: str) -> int | None:
        """Return the node that the names `path` lead to from the root; None when there is none."""
        at: int | None = 0 if self._nodes else None
        for name in path:
            if at is None or not 0 <= at < len(self._nodes):
                return None
            at = next((int(c.node_id) for c in self._nodes[at].children if c.local_name == name), None)
        return at if at is not None and 0 <= at < len(self._nodes) else None

    def asset_index(self, *path: str) -> int | None:
        """Return the number of the asset file at `path`; None when it is no asset."""
        at = self.find(*path)
        if at is None or self.kind(at) != "asset":
            return None
        return int(self._nodes[at].asset.asset_file_def_index)

    def kind(self, at: int) -> str:
        """Return what node `at` is: ``"asset"``, ``"variable"``, ``"function"``, ``"constant"``, ``"resource"``, or ``""``
        for all else."""
        return str(self._nodes[at].WhichOneof("kind") or "") if 0 <= at < len(self._nodes) else ""

    def creator(self, at: int) -> str | None:
        """Return the function that makes the resource `at`, as a lookup table is one; None when none is told."""
        names = {str(child.local_name): int(child.node_id) for child in self._nodes[at].children}
        made_by = names.get("_create_resource", -1)
        if self.kind(made_by) != "function" or len(self._nodes[made_by].function.concrete_functions) != 1:
            return None
        return str(self._nodes[made_by].function.concrete_functions[0])

    def constant(self, at: int) -> str:
        """Return the node of the main graph that holds the constant `at`."""
        return str(self._nodes[at].constant.operation)

    def paths(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield each node with the shortest names that lead to it from the root."""
        seen: set[int] = set()
        level: list[tuple[int, tuple[str, ...]]] = [(0, ())] if self._nodes else []
        while level:
            following = []
            for at, path in level:
                if at in seen or not 0 <= at < len(self._nodes):
                    continue
                seen.add(at)
                yield at, path
                following += [(int(c.node_id), (*path, str(c.local_name))) for c in self._nodes[at].children]
            level = following

    def functions(self, *path: str) -> list[ConcreteFunction]:
        """Return the traced forms of the function at `path`, those for training last; empty when it is no function.

        A form with an argument or result that is not a plain tensor is left out.

        Raises:
            GraphError: a form that the function names is missing.
        """
        at = self.find(*path)
        if at is None or self.kind(at) != "function":
            return []
        function, forms = self._nodes[at].function, []
        names = _arguments(function.function_spec)
        for name in function.concrete_functions:
            if name not in self._functions:
                raise GraphError(f"The object graph has no function {name}.", UNREADABLE)
            form = _concrete(str(name), self._functions[name], names)
            forms += [form] if form else []
        return sorted(forms, key=lambda form: form.training)


def _arguments(spec: Any) -> list[str]:
    """Return the names of a Python function's arguments, in order, without `self`."""
    parts = {str(pair.key): pair.value for pair in spec.fullargspec.named_tuple_value.values}
    names = [str(item.string_value) for item in parts["args"].list_value.values] if "args" in parts else []
    return names[1:] if spec.is_method and names[:1] == ["self"] else names


def _concrete(name: str, proto: Any, arguments: Sequence[str]) -> ConcreteFunction | None:
    found: dict[tuple[str, ...], Value] = {}
    inputs, outputs = (
        list(_leaves(value, (), name, settings))
        for value, settings in ((proto.canonicalized_input_signature, found), (proto.output_signature, {}))
    )
    if None in inputs or None in outputs:
        return None
    settings = {_argument(path, arguments): value for path, value in found.items()}
    training = bool(settings.pop(TRAINING, False))
    plain_in, plain_out = (tuple(leaf for leaf in leaves if leaf) for leaves in (inputs, outputs))
    return ConcreteFunction(name, plain_in, plain_out, tuple(map(int, proto.bound_inputs)), settings, training)


def _argument(path: tuple[str, ...], arguments: Sequence[str]) -> str:
    """Return the argument that `path` leads to: of a pair of positional ones and those by keyword."""
    kind, *rest = path or ("",)
    if kind == "0" and rest and rest[0].isdigit() and int(rest[0]) < len(arguments):
        return "/".join((arguments[int(rest[0])], *rest[1:]))
    return "/".join(rest)


def _leaves(
    value: Any, path: tuple[str, ...], where: str, settings: dict[tuple[str, ...], Value]
) -> Iterator[Leaf | None]:
    """Yield the tensors of a structure in the order of `tf.nest.flatten`; None for one of another kind.

    Args:
        settings: what the structure holds of plain Python values is added to it, by path.
    """
    kind = value.WhichOneof("kind")
    if kind == "tensor_spec_value":
        spec = value.tensor_spec_value
        shape = decode_shape(spec.shape, f"signature of {where}")
        yield Leaf(path, str(spec.name), graph_dtype(spec.dtype), shape)
    elif kind == "type_spec_value":
        yield None
    elif kind in ("bool_value", "int64_value", "float64_value", "string_value"):
        settings[path] = getattr(value, kind)
    elif kind in ("list_value", "tuple_value"):
        for i, item in enumerate(getattr(value, kind).values):
            yield from _leaves(item, (*path, str(i)), where, settings)
    elif kind == "dict_value":
        for key, item in sorted(value.dict_value.fields.items()):
            yield from _leaves(item, (*path, str(key)), where, settings)
