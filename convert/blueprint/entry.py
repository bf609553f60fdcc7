"""Where a SavedModel is entered: a signature, or the function of its root object that a call of it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from convert.blueprint.inline import CALL_OPS, FlatGraph, inlined
from convert.blueprint.loops import raised
from convert.errors import GraphError
from convert.savedmodel.graph import Graph
from convert.savedmodel.model import SavedModel, Signature, SignatureTensor
from convert.savedmodel.node import Node, TensorRef
from convert.savedmodel.objects import CALL, ConcreteFunction, Leaf

# The names of https://www.tensorflow.org/hub/common_saved_model_apis/text, best first.
EMBEDDINGS = ("default", "pooled_output")
SIGNATURES = ("default", "serving_default")


@dataclass(frozen=True)
class Entry:
    """One way into a SavedModel.

    Attributes:
        name: of the signature; "__call__" for the root object called.
        graph: the main graph, where `inputs` and `outputs` are.
        inputs, outputs: its tensors by name.
        paths: input or output → the keys and positions that lead to it in a call of the root object; empty for a signature.
    """

    name: str
    graph: Graph
    inputs: Mapping[str, SignatureTensor]
    outputs: Mapping[str, SignatureTensor]
    paths: Mapping[str, tuple[str, ...]]

    def flat(self, output: str) -> Graph:
        """Return the graph with the calls and loops that `output` depends on made flat."""
        return inlined(raised(self.graph), self.outputs[output].ref)


def text_signature(model: SavedModel) -> tuple[str, Signature] | None:
    """Return the signature from one string tensor to one float tensor, if there is one.

    Raises:
        GraphError: there are several and none is called default.
    """

    def fits(signature: Signature) -> bool:
        ends = [list(side.values()) for side in (signature.inputs, signature.outputs)]
        if [len(side) for side in ends] != [1, 1]:
            return False
        return str(ends[0][0].dtype) == "string" and str(ends[1][0].dtype) == "float32"

    fitting = {name: signature for name, signature in model.signatures.items() if fits(signature)}
    for name in (*SIGNATURES, *(fitting if len(fitting) == 1 else ())):
        if name in fitting:
            return name, fitting[name]
    if fitting:
        raise GraphError(
            f"Several signatures take text and give an embedding ({', '.join(fitting)}), and none is called default.",
            "Save the model again with one of them.",
        )
    return None


def ids_entry(model: SavedModel) -> Entry:
    """Return the way from ids, mask and token types to an embedding.

    A signature counts when its outputs say which is the embedding. Keras names the outputs of a signature after layers;
    then the root object's own function tells.

    Raises:
        GraphError: there is none.
    """
    entries = list(_entries(model))
    for entry in entries:
        if takes_ids(entry) and embedding_output(entry) is not None:
            return entry
    names = ", ".join(dict.fromkeys(entry.name for entry in entries)) or "none"
    raise GraphError(
        "No signature takes one string tensor and gives one float32 tensor, and none takes int32 tensors of ids, mask "
        f"and token types and tells which output [batch, hidden] is the embedding (entry points: {names}).",
        "Only encoders that take text or these three are supported.",
    )


def takes_ids(entry: Entry) -> bool:
    """Tell whether all inputs are integers of a batch of texts."""
    kinds = [tensor.dtype in (np.dtype(np.int32), np.dtype(np.int64)) for tensor in entry.inputs.values()]
    ranks = {len(tensor.shape) if tensor.shape is not None else 2 for tensor in entry.inputs.values()}
    return 0 < len(kinds) <= 3 and all(kinds) and ranks == {2}


def embedding_output(entry: Entry) -> str | None:
    """Return the name of the output that is the embedding: a known name, or the only one of its form."""
    floats = {name: t for name, t in entry.outputs.items() if str(t.dtype) == "float32"}
    pooled = [name for name, t in floats.items() if t.shape is not None and len(t.shape) == 2]
    for name in EMBEDDINGS:
        if name in floats and (name in pooled or floats[name].shape is None):
            return name
    return pooled[0] if len(pooled) == 1 else None


def _entries(model: SavedModel) -> Iterator[Entry]:
    for name in sorted(model.signatures, key=lambda name: (name not in SIGNATURES, name)):
        signature = model.signatures[name]
        if signature.inputs:
            yield Entry(name, model.graph, signature.inputs, signature.outputs, {})
    for form in model.objects.functions(CALL):
        entry = _called(model, form)
        if entry is not None:
            yield entry


def _called(model: SavedModel, form: ConcreteFunction) -> Entry | None:
    """Return the entry of a function of the root object, by adding a call of it to the main graph.

    None when it is a form for training, or captures something that the main graph does not hold.
    """
    captured = [model.captured(at) for at in form.captures]
    if form.training or None in captured or form.name not in model.graph.function_names:
        return None
    call = next(name for i in range(len(model.graph.nodes) + 1) if (name := CALL + "_" * i) not in model.graph.nodes)
    inputs = {name: (leaf, f"{call}/{name}") for name, leaf in _named(form.inputs).items()}
    nodes = {node: Node(node, "Placeholder", (), (), "", {}, {}) for _, node in inputs.values()}
    refs = (*(TensorRef(node) for _, node in inputs.values()), *(TensorRef(str(node)) for node in captured))
    op = sorted(CALL_OPS)[0]
    nodes[call] = Node(call, op, refs, (), "", {}, {}, {"f": form.name})
    outputs = _named(form.outputs)
    return Entry(
        CALL,
        FlatGraph({**model.graph.nodes, **nodes}, model.graph.functions),
        {name: SignatureTensor(TensorRef(node), leaf.dtype, leaf.shape) for name, (leaf, node) in inputs.items()},
        {
            name: SignatureTensor(TensorRef(call, i), leaf.dtype, leaf.shape)
            for i, (name, leaf) in enumerate(outputs.items())
        },
        {name: leaf.path for name, (leaf, _) in inputs.items()} | {name: leaf.path for name, leaf in outputs.items()},
    )


def _named(leaves: tuple[Leaf, ...]) -> dict[str, Leaf]:
    """Return the leaves by the end of their path that is not a mere position, where that tells them apart."""
    long = {"/".join(leaf.path) or "output": leaf for leaf in leaves}
    short = {re.sub(r"^(\d+/)+(?=\D)", "", name): leaf for name, leaf in long.items()}
    return short if len(short) == len(long) else long
