"""A SavedModel folder: its graph, signatures, checkpoint and assets, read without TensorFlow."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.errors import FETCH_AGAIN, CheckpointError, GraphError, SourceError
from hub2hf.limits import MAX_CLAIMED_BYTES, budget
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.assets import read_assets
from hub2hf.savedmodel.attributes import UNREADABLE, Shape, decode_shape
from hub2hf.savedmodel.checkpoint import Checkpoint, Variable
from hub2hf.savedmodel.dtypes import DType, graph_dtype
from hub2hf.savedmodel.files import SAVED_MODEL_FILE, State, is_file, states
from hub2hf.savedmodel.graph import Graph, ReadGraph, parse_tensor_name
from hub2hf.savedmodel.graph_only import GraphOnly
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.objects import ObjectGraph
from hub2hf.savedmodel.variables import Binding, join, joined_parts, restored_variables, variable_node

# tensorflow/cc/saved_model/constants.h and tag_constants.h
VARIABLES_PREFIX: Final = "variables/variables"
SERVE_TAG: Final = "serve"
TOKENIZATION: Final = (
    "tokenization_info"  # google-research/albert, export_to_tfhub.py; bert, run_classifier_with_tfhub.py
)
MAX_BYTES: Final = (1 << 31) - 1  # protobuf messages are no larger
_GIVE_FOLDER: Final = "Give the folder that holds saved_model.pb and variables/."


@dataclass(frozen=True)
class SignatureTensor:
    """An input or output of a signature.

    Attributes:
        ref: the tensor of the main graph.
        dtype: numpy dtype, or ``"string"`` and the like.
        shape: None for an unknown size, or None altogether for an unknown rank.
    """

    ref: TensorRef
    dtype: DType
    shape: Shape

    def of_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return `texts` in UTF-8 as this input takes them: bytes [texts], or a column [texts, 1] as Keras has it."""
        values = np.empty(len(texts), dtype=object)
        values[:] = [text.encode() for text in texts]
        return values[:, None] if self.shape and len(self.shape) == 2 else values


@dataclass(frozen=True)
class Signature:
    """An entry point of the model; its tensors by name. Sparse and composite ones are left out."""

    name: str
    method: str
    inputs: Mapping[str, SignatureTensor]
    outputs: Mapping[str, SignatureTensor]


class SavedModel:
    """A SavedModel folder; use :meth:`open`.

    Attributes:
        folder: where it is.
        tags: those of the MetaGraph in use.
        tensorflow_version: of the TensorFlow that wrote it; may be empty.
        graph: its graph and functions.
        signatures: its entry points, by name.
        assets: its asset files, by the name of the tensor that holds their path (``"Const:0"``).
        objects: what hangs on its root object, where TensorFlow 2 wrote it.
        graph_bytes: the size of the file that the graph was read from.
        graph_only: what is not there, where the folder is that of a graph-only file; else None.
    """

    def __init__(self, folder: Path, meta_graph: Any) -> None:
        """Read one MetaGraphDef of the folder; its checkpoint is opened when asked for."""
        self.folder = folder
        self.tags = tuple(sorted(meta_graph.meta_info_def.tags))
        self.tensorflow_version = str(meta_graph.meta_info_def.tensorflow_version)
        self.graph = ReadGraph(meta_graph.graph_def, meta_graph.meta_info_def.stripped_op_list)
        self.signatures = {
            name: _signature(name, proto, self.graph) for name, proto in sorted(meta_graph.signature_def.items())
        }
        self.assets: dict[str, Path] = read_assets(folder, meta_graph)
        self.objects = ObjectGraph(meta_graph.object_graph_def)
        self._asset_files = [str(proto.tensor_info.name) for proto in meta_graph.asset_file_def]
        self._restore_op = str(meta_graph.saver_def.restore_op_name)
        self.graph_bytes = 0
        self.graph_only = GraphOnly.of(folder)
        self._before: Mapping[Path, State] = {}

    @classmethod
    def open(cls, folder: Path) -> SavedModel:
        """Read ``saved_model.pb`` and find the assets.

        Args:
            folder: the folder that holds it.

        Raises:
            SourceError: not a SavedModel, unreadable or damaged, an asset missing, or no MetaGraph to prefer.
            GraphError: its graph is inconsistent.
        """
        before = states(folder)
        data = _read(folder, folder / SAVED_MODEL_FILE)
        with budget(len(data)):
            proto = _parse(folder, data)
            model = cls(folder, _choose(folder, proto.meta_graphs))
        model.graph_bytes = len(data)
        model._before = before
        return model

    @property
    def nbytes(self) -> int:
        """Bytes of the variables and of the graph, which may hold weights too.

        The time and the memory of understanding the graph are proportional to them. A graph-only file only claims its
        variables: then they are bounded.
        """
        variables = self.checkpoint.variables.values() if self.has_checkpoint else ()
        total = self.graph_bytes + sum(variable.nbytes for variable in variables)
        return total if self.graph_only is None else min(total, MAX_CLAIMED_BYTES)

    def check_unchanged(self) -> None:
        """Check that the files are those that were there when the model was opened: parts of two models are none.

        Raises:
            SourceError: one was changed, replaced or removed since.
        """
        now = states(self.folder)
        for path in self.files:
            if path not in now or now[path] != self._before.get(path):
                raise SourceError(f"{path} was changed while it was read.", "Run it again when the model is complete.")

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The variables (CheckpointError when missing, truncated or damaged)."""
        if self.graph_only is not None:
            return Checkpoint.of_graph_only(self.folder)
        return Checkpoint.open(self.folder / VARIABLES_PREFIX)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is an index of variables; a model without variables has none."""
        return is_file(self.folder / f"{VARIABLES_PREFIX}.index")

    @property
    def files(self) -> list[Path]:
        """All files that make up the model, sorted: saved_model.pb, index, data shards, assets."""
        found = {self.folder / SAVED_MODEL_FILE, *self.assets.values()}
        if self.has_checkpoint:
            found.update(self.checkpoint.fingerprint_files())
        return sorted(found)

    def asset(self, name: str) -> Path:
        """Return an asset by its tensor (``"Const:0"``), the node of that tensor, or its file name.

        Raises:
            SourceError: there is none.
        """
        for tensor, path in self.assets.items():
            if name in (tensor, parse_tensor_name(tensor).node, path.name):
                return path
        known = ", ".join(path.name for path in self.assets.values()) or "none"
        raise SourceError(f"{self.folder} has no asset {name}.", f"Its assets are: {known}.")

    def keep(self, name: str, data: bytes) -> Path:
        """Write what stands in no file of the model into one that lives as long as this object, and return its path."""
        folder = Path(self._kept.name) / str(len(list(Path(self._kept.name).iterdir())))
        folder.mkdir()
        (folder / name).write_bytes(data)
        return folder / name

    @cached_property
    def _kept(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="hub2hf-")

    def told(self, name: str) -> TensorRef | None:
        """Return the tensor that a module of TensorFlow 1 gives as `name` to who makes ids of texts; None for none."""
        signature = self.signatures.get(TOKENIZATION)
        return signature.outputs[name].ref if signature is not None and name in signature.outputs else None

    def root_asset(self, name: str) -> Path | None:
        """Return the asset that hangs on the root object as `name`, or is told by that name; None when there is none."""
        index = self.objects.asset_index(name)
        told = self.told(name)
        if index is None and told is not None:
            return self.assets.get(str(told))
        if index is None:
            return None
        if not 0 <= index < len(self._asset_files):
            raise SourceError(f"{self.folder} has no asset number {index}, which it calls {name}.", FETCH_AGAIN)
        return self.assets[self._asset_files[index]]

    def root_variable(self, name: str) -> Variable | None:
        """Return the variable that hangs on the root object as `name`; None when there is none."""
        at = self.objects.find(name)
        if at is None or self.objects.kind(at) != "variable" or not self.has_checkpoint:
            return None
        return self.checkpoint.of_object([name])

    def captured(self, at: int) -> str | None:
        """Return the node of the main graph that holds variable, constant or resource number `at` of the object graph.

        A resource, as a lookup table is one, is the node that is all that the function is which makes it. None when it is
        something else, or the main graph does not hold it.
        """
        if self.objects.kind(at) == "resource":
            return self._resource(self.objects.creator(at))
        if self.objects.kind(at) == "constant":
            return self.objects.constant(at)
        if self.objects.kind(at) != "variable":
            return None
        variable = self.checkpoint.of_object(self._object_paths[at]) if at in self._object_paths else None
        return self._restored.get(variable.key) if variable is not None else None

    def _resource(self, creator: str | None) -> str | None:
        """Return the first node of the main graph that makes what the function `creator` makes.

        Nodes of one `shared_name` make one and the same resource; without a name, each makes its own.
        """
        if creator is None or creator not in self.graph.function_names:
            return None
        function = self.graph.function(creator)
        made = function.producer(function.returns[0]) if len(function.returns) == 1 else None
        while made is not None and made.op == "Identity":
            made = function.producer(made.input(0))
        found = [node for node in self.graph.nodes.values() if made is not None and _alike(node, made)]
        return found[0].name if found and (len(found) == 1 or found[0].attr("shared_name", "")) else None

    @cached_property
    def _object_paths(self) -> Mapping[int, tuple[str, ...]]:
        return dict(self.objects.paths())

    @cached_property
    def _restored(self) -> Mapping[str, str]:
        """Checkpoint key → the variable node of the main graph that it is restored to."""
        return {binding.key: node for node, binding in self._bindings.items() if binding.slice is None}

    def variable_binding(self, node_name: str) -> Binding:
        """Return the checkpoint key of a variable node, and its slice for a part of a partitioned variable.

        Args:
            node_name: a VariableV2 or VarHandleOp of the main graph, a node that reads one, or one that joins
                the parts of a partitioned variable.

        Raises:
            GraphError: it does not read a variable, or its value comes from nowhere.
            CheckpointError: the checkpoint lacks it, or is damaged.
        """
        parts = joined_parts(self.graph, node_name)
        if parts is not None:
            names, axis = parts
            return join(node_name, [self._part(name) for name in names], axis)
        return self._part(node_name)

    def _part(self, node_name: str) -> Binding:
        node = variable_node(self.graph, node_name)
        if node.name in self._bindings:
            binding = self._bindings[node.name]
            self.checkpoint.variable(binding.key)
            return binding
        # No restore operation tells: the Saver saves a variable under its own name.
        for name in (node.attr("shared_name", ""), node.name):
            if isinstance(name, str) and self.checkpoint.has(name):
                return Binding(self.checkpoint.variable(name).key)
        raise CheckpointError(f"The checkpoint in {self.folder} has no value for the {node}.", FETCH_AGAIN)

    def check_stated(self, node: Node, stored: tuple[int, ...]) -> None:
        """See that a variable can have the shape that its node states: it may be given another, not other numbers.

        Raises:
            CheckpointError: it cannot.
        """
        stated = node.attr("shape", None)
        if stated is not None and None not in stated and prod(stated) != prod(stored):
            raise CheckpointError(
                f"Variable '{node.name}' is {list(stored)} in the checkpoint, and {list(stated)} in the graph.",
                FETCH_AGAIN,
            )

    def variable_key(self, node_name: str) -> str:
        """Return the checkpoint key of a variable node (see :meth:`variable_binding`)."""
        return self.variable_binding(node_name).key

    def variable(self, node_name: str) -> Variable:
        """Return the variable of the checkpoint that a node reads (see :meth:`variable_binding`)."""
        return self.checkpoint.variable(self.variable_key(node_name))

    @cached_property
    def _bindings(self) -> Mapping[str, Binding]:
        return restored_variables(self.graph, self._restore_op)


def _alike(node: Node, other: Node) -> bool:
    """Tell whether two nodes are of one op and have the same attributes, besides those that TensorFlow notes for itself."""
    if node.op != other.op:
        return False
    mine, others = (
        {name: one.attr(name) for name in one.attr_names if not name.startswith("_")} for one in (node, other)
    )
    return mine == others


def read_meta_graph(folder: Path) -> Any:
    """Return the MetaGraphDef of a SavedModel folder that `SavedModel.open` reads, as it stands in the file.

    Raises:
        SourceError: as `SavedModel.open`.
    """
    data = _read(folder, folder / SAVED_MODEL_FILE)
    return _choose(folder, _parse(folder, data).meta_graphs)


def _parse(folder: Path, data: bytes) -> Any:
    path = folder / SAVED_MODEL_FILE
    try:
        proto = messages.parse("SavedModel", data)
    except messages.MalformedMessage as error:
        raise SourceError(f"{path} is not a SavedModel, or damaged: {error}.", FETCH_AGAIN) from None
    if not proto.meta_graphs:
        raise SourceError(f"{path} is not a SavedModel: it holds no MetaGraph.", _GIVE_FOLDER)
    return proto


def _read(folder: Path, path: Path) -> bytes:
    size = -1
    try:
        if path.is_file():
            size = path.stat().st_size
            data = path.read_bytes() if size <= MAX_BYTES else b""
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {error}.", _GIVE_FOLDER) from None
    except MemoryError:
        raise SourceError(f"{path} does not fit in memory.", "Use a machine with more memory.") from None
    if size < 0:
        raise _not_there(folder)
    if not data:
        raise SourceError(f"{path} has {size} bytes, so it is not a SavedModel.", FETCH_AGAIN)
    return data


def _not_there(folder: Path) -> SourceError:
    if not folder.is_dir():
        return SourceError(f"{folder} is not a folder.", _GIVE_FOLDER)
    if is_file(folder / "saved_model.pbtxt"):
        return SourceError(
            f"{folder} holds a SavedModel in text form (saved_model.pbtxt), which is not supported.",
            "Load and save it again with TensorFlow, which writes saved_model.pb.",
        )
    if is_file(folder / "saved_model.cpb"):
        return SourceError(
            f"{folder} holds a SavedModel in chunks (saved_model.cpb), which is not supported.",
            "Save it again with a model of less than 2 GB of graph, which writes saved_model.pb.",
        )
    return SourceError(f"{folder} is not a SavedModel: it has no {SAVED_MODEL_FILE}.", _GIVE_FOLDER)


def _choose(folder: Path, meta_graphs: Any) -> Any:
    """Return the only MetaGraph, the one tagged serve, or (TF Hub modules of TensorFlow 1) the untagged
    one."""
    if len(meta_graphs) == 1:
        return meta_graphs[0]
    tags = [tuple(sorted(set(meta_graph.meta_info_def.tags))) for meta_graph in meta_graphs]
    for wanted in (lambda t: t == (SERVE_TAG,), lambda t: SERVE_TAG in t, lambda t: t == ()):
        chosen = [i for i, tag_set in enumerate(tags) if wanted(tag_set)]
        if len(chosen) == 1:
            return meta_graphs[chosen[0]]
    listed = "; ".join(",".join(tag_set) or "(none)" for tag_set in tags)
    raise SourceError(
        f"{folder} holds {len(tags)} MetaGraphs and not one is tagged {SERVE_TAG} alone: {listed}.",
        "Save the model again with one MetaGraph, tagged serve.",
    )


def _signature(name: str, proto: Any, graph: Graph) -> Signature:
    return Signature(
        name=name,
        method=str(proto.method_name),
        inputs=_signature_tensors(f"signature {name}, input", proto.inputs, graph),
        outputs=_signature_tensors(f"signature {name}, output", proto.outputs, graph),
    )


def _signature_tensors(where: str, infos: Any, graph: Graph) -> dict[str, SignatureTensor]:
    found = {}
    for key, info in sorted(infos.items()):
        if info.WhichOneof("encoding") != "name":
            continue
        ref = parse_tensor_name(info.name)
        if ref.node not in graph.nodes:
            raise GraphError(f"The {where} {key} is {ref}, which the graph does not have.", UNREADABLE)
        shape = decode_shape(info.tensor_shape, f"{where} {key}")
        found[key] = SignatureTensor(ref, graph_dtype(info.dtype), shape)
    return found
