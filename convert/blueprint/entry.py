"""Where a SavedModel is entered: a signature, or the function of its root object that a call of it runs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hub2hf.analysis.inline import inlined, resolved
from hub2hf.analysis.loops import raised
from hub2hf.errors import GraphError, Hub2HFError, SourceError
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel, SignatureTensor
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.objects import CALL, ConcreteFunction, Leaf
from hub2hf.savedmodel.variables import VARIABLE_OPS

# The names of https://www.tensorflow.org/hub/common_saved_model_apis/text, best first.
EMBEDDINGS = ("default", "pooled_output")
SIGNATURES = ("default", "serving_default")
CALLED, CALL_OP = "called", "StatefulPartitionedCall"  # the node that calls the root object's function


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


@dataclass(frozen=True)
class Chosen:
    """The output that is the embedding, and the entry that gives it.

    Attributes:
        entry: the way into the model.
        output: the name of its output.
        told: whether the person named it; otherwise a convention did, or there was no other.
    """

    entry: Entry
    output: str
    told: bool = False

    @property
    def tensor(self) -> SignatureTensor:
        """The output itself."""
        return self.entry.outputs[self.output]

    def rivals(self) -> dict[str, TensorRef]:
        """Return the other outputs that could be the embedding as well; none where the person named it.

        An output of another width is none: it is no embedding of this encoder's size. A shape that is not stated may be any.
        """
        if self.told:
            return {}
        size = _size(self.tensor)
        return {
            name: tensor.ref
            for name, tensor in embeddings(self.entry).items()
            if name != self.output and (size is None or _size(tensor) in (size, None))
        }

    def settle(self, proved: Mapping[str, str]) -> None:
        """Refuse when one of the rivals was not proved to be a stage of the same encoder.

        Args:
            proved: output → stage, of those that were.

        Raises:
            GraphError: lists the outputs.
        """
        left = [name for name in self.rivals() if name not in proved]
        if left:
            raise ambiguous(
                [self.entry],
                f"The output '{self.output}' is called as embeddings are, but {_listed(left)} could be the embedding "
                "as well and is not a stage of the same encoder",
            )


def text_entry(model: SavedModel, output: str = "") -> Chosen | None:
    """Return the way from one string tensor to an embedding, if there is one: a signature, or else the root object's call.

    Args:
        model: the SavedModel.
        output: the name of the output that is the embedding, or SIGNATURE:NAME; "" to go by the conventions.

    Raises:
        GraphError: several outputs, or several signatures, could be meant, and no convention tells.
    """
    fitting = [entry for entry in _signatures(model) if takes_text(entry) and embeddings(entry)]
    called = sorted((entry for entry in _calls(model) if _takes_texts(entry) and embeddings(entry)), key=_columns)
    if output:
        return _told(fitting + called[:1], output)
    if not fitting:
        return _call_of(called)
    called = [entry for entry in fitting if entry.name in SIGNATURES]
    if not called and len(fitting) > 1:
        raise ambiguous(fitting, "Several signatures take text and give an embedding, and none is called default")
    usable = called or fitting
    if not usable:
        return None
    name = embedding_output(usable[0])
    if name is None:
        raise ambiguous(usable[:1], f"Several outputs of signature '{usable[0].name}' could be the embedding")
    for other in usable[1:]:
        second = embedding_output(other)
        if second is None or other.outputs[second].ref != usable[0].outputs[name].ref:
            raise ambiguous(usable, "Two signatures take text and give an embedding, and they are not the same")
    return Chosen(usable[0], name)


def ids_entry(model: SavedModel, output: str = "") -> Chosen:
    """Return the way from ids, mask and token types to an embedding.

    A signature counts when its outputs say which is the embedding. Keras names the outputs of a signature after layers;
    then the root object's own function tells.

    Args:
        model: the SavedModel.
        output: as for `text_entry`.

    Raises:
        GraphError: there is none, or several outputs could be meant, and no convention tells.
        SourceError: no output is called `output`.
    """
    every = list(entries(model))
    fitting = [entry for entry in every if takes_ids(entry) and embeddings(entry)]
    if output:
        found = _told(fitting, output)
        if found is None:
            raise _no_such_output(every, output)
        return found
    for entry in fitting:
        name = embedding_output(entry)
        if name is not None:
            return Chosen(entry, name)
    if fitting:
        raise ambiguous(fitting, "Several outputs could be the embedding, and none is called as embeddings are")
    raise GraphError(
        f"No entry point of {model.folder} takes one string tensor, or int32 tensors of ids, mask and token types, and "
        f"gives one float32 row per text, [batch, hidden]: {'; '.join(map(described, every)) or 'it has none'}.",
        "Only encoders that take text or these three are supported.",
    )


def _call_of(called: Sequence[Entry]) -> Chosen | None:
    """Return the output of the first of the forms of a call; None when there is no form."""
    if not called:
        return None
    name = embedding_output(called[0])
    if name is None:
        raise ambiguous(called[:1], f"Several outputs of '{CALL}' could be the embedding")
    return Chosen(called[0], name)


def within(graph: Graph, refs: Mapping[str, TensorRef], variables: Collection[str]) -> dict[str, TensorRef]:
    """Return those of the tensors `refs` of a flat graph that depend on no other variables than `variables`, by name."""
    found = {name: resolved(graph, ref) for name, ref in refs.items()}
    return {
        name: ref
        for name, ref in found.items()
        if all(node.op not in VARIABLE_OPS or node.name in variables for node in order_of(graph, [ref]))
    }


def leading_to(model: SavedModel, graph: Graph, outputs: Sequence[TensorRef]) -> Graph:
    """Return a graph of a model without what is made of the inputs of signatures and leads to none of `outputs`.

    It belongs to another signature: often the same text side once more.
    """
    takers: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes.values():
        for ref in node.inputs:
            takers[ref.node].append(node.name)
    stack = [tensor.ref.node for signature in model.signatures.values() for tensor in signature.inputs.values()]
    made: set[str] = set()
    while stack:
        name = stack.pop()
        if name not in made:
            made.add(name)
            stack += takers[name]
    other = made - {node.name for node in order_of(graph, outputs)}
    kept = [node for name, node in graph.nodes.items() if name not in other]
    return Graph({node.name: _without_controls(node, other) for node in kept}, graph.functions)


def _without_controls(node: Node, other: Collection[str]) -> Node:
    """Return a node that waits for none of `other`: an assertion about a text may be one of them."""
    left = tuple(name for name in node.control_inputs if name not in other)
    return node if left == node.control_inputs else replace(node, control_inputs=left)


def gives(model: SavedModel, output: str) -> bool:
    """Tell whether `output`, as for `text_entry`, names an output of `model` that could be the embedding."""
    try:
        return text_entry(model, output) is not None or bool(ids_entry(model, output))
    except Hub2HFError:
        return False


def takes_text(entry: Entry) -> bool:
    """Tell whether the only input is a string tensor."""
    return [str(tensor.dtype) for tensor in entry.inputs.values()] == ["string"]


def _takes_texts(entry: Entry) -> bool:
    """Tell whether the only input is texts, any number of them: a call has a form for each shape it was traced with."""
    shapes = [tensor.shape for tensor in entry.inputs.values()]
    return takes_text(entry) and shapes[0] in (None, (None,), (None, 1))


def _columns(entry: Entry) -> int:
    """Return how many dimensions its only input has: 1 for texts as TensorFlow Hub gives them, 2 for a column."""
    (tensor,) = entry.inputs.values()
    return 3 if tensor.shape is None else len(tensor.shape)


def takes_ids(entry: Entry) -> bool:
    """Tell whether all inputs are integers of a batch of texts."""
    kinds = [tensor.dtype in (np.dtype(np.int32), np.dtype(np.int64)) for tensor in entry.inputs.values()]
    ranks = {len(tensor.shape) if tensor.shape is not None else 2 for tensor in entry.inputs.values()}
    return 0 < len(kinds) <= 3 and all(kinds) and ranks == {2}


def embeddings(entry: Entry) -> dict[str, SignatureTensor]:
    """Return the outputs that could be the embedding: float32, one row a text, or of a shape that is not stated."""
    return {
        name: tensor
        for name, tensor in entry.outputs.items()
        if str(tensor.dtype) == "float32" and (tensor.shape is None or len(tensor.shape) == 2)
    }


def embedding_output(entry: Entry) -> str | None:
    """Return the name of the output that is the embedding: a known name, or the only one of its form."""
    found = embeddings(entry)
    stated = [name for name, tensor in found.items() if tensor.shape is not None] or list(found)
    return next((name for name in EMBEDDINGS if name in found), stated[0] if len(stated) == 1 else None)


def ambiguous(entries: Iterable[Entry], problem: str) -> GraphError:
    """Return the error that `problem`, which is no whole sentence, asks for: it lists what could be meant."""
    listed = list(entries)
    told = [set(embeddings(entry)) for entry in listed if entry.name != CALL]
    several = [entry for entry in listed if entry.name != CALL or set(embeddings(entry)) not in told]
    options = [
        f"{_quoted(entry, name, several)} {_shape(tensor)}"
        for entry in several
        for name, tensor in embeddings(entry).items()
    ]
    return GraphError(f"{problem}: {', '.join(options)}.", "Say which one is the embedding, with --output NAME.")


def _told(entries: Sequence[Entry], output: str) -> Chosen | None:
    """Return the output called `output`; None when there is none.

    Raises:
        GraphError: several signatures have one of that name, and none is called default.
    """
    found = [
        Chosen(entry, name, told=True)
        for entry in entries
        for name in embeddings(entry)
        if output in (name, f"{entry.name}:{name}")
    ]
    signatures = [chosen.entry for chosen in found if chosen.entry.name != CALL]
    if len(signatures) > 1 and signatures[0].name not in SIGNATURES:
        raise ambiguous(signatures, f"Several signatures have an output called '{output}'")
    return found[0] if found else None


def _no_such_output(entries: Sequence[Entry], output: str) -> SourceError:
    told = "; ".join(map(described, entries)) or "nothing"
    fitting = [entry for entry in entries if takes_text(entry) or takes_ids(entry)]
    fitting = [entry for entry in fitting if entry.name != CALL] or fitting
    names = dict.fromkeys(_quoted(entry, name, fitting) for entry in fitting for name in embeddings(entry))
    choice = " or ".join(f"--output {name}" for name in names)
    return SourceError(
        f"No entry point takes text, or ids, and gives one float32 row per text as an output called '{output}'. "
        f"There is: {told}.",
        f"Write {choice}, or leave it out." if names else "Leave out --output.",
    )


def described(entry: Entry) -> str:
    """Return an entry with the types and shapes of its inputs and outputs."""
    inputs, outputs = (
        ", ".join(f"{name} {tensor.dtype} {_shape(tensor)}" for name, tensor in side.items()) or "nothing"
        for side in (entry.inputs, entry.outputs)
    )
    return f"{entry.name}: {inputs} → {outputs}"


def _quoted(entry: Entry, name: str, several: Sequence[Entry]) -> str:
    """Return what a person gives for --output."""
    shared = len({other.name for other in several if name in embeddings(other)}) > 1
    return f"'{entry.name}:{name}'" if shared else f"'{name}'"


def _shape(tensor: SignatureTensor) -> str:
    if tensor.shape is None:
        return "[…]"
    return f"[{', '.join('?' if size is None else str(size) for size in tensor.shape)}]"


def _size(tensor: SignatureTensor) -> int | None:
    return tensor.shape[-1] if tensor.shape else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _signatures(model: SavedModel) -> Iterator[Entry]:
    for name in sorted(model.signatures, key=lambda name: (name not in SIGNATURES, name)):
        signature = model.signatures[name]
        if signature.inputs:
            yield Entry(name, model.graph, signature.inputs, signature.outputs, {})


def entries(model: SavedModel) -> Iterator[Entry]:
    """Yield every way into a model: its signatures, those of known names first, and the call of its root object.

    Raises:
        GraphError: a function of the root object is missing.
    """
    yield from _signatures(model)
    yield from _calls(model)


def _calls(model: SavedModel) -> Iterator[Entry]:
    """Yield the forms of the root object's call that are not for training.

    Raises:
        GraphError: two forms take the same tensors and differ in another argument: what a call computes is not told.
    """
    seen: dict[tuple[object, ...], ConcreteFunction] = {}
    for form in model.objects.functions(CALL):
        entry = None if form.training else _called(model, form)
        if entry is None:
            continue
        first = seen.setdefault(tuple((leaf.path, str(leaf.dtype), leaf.shape) for leaf in form.inputs), form)
        if first.settings != form.settings:
            told = " and ".join(
                ", ".join(f"{name}={value!r}" for name, value in some.settings.items()) or "none of them"
                for some in (first, form)
            )
            raise GraphError(
                f"The root object's '{CALL}' was traced with other arguments than tensors: {told}.",
                "Save the model with a signature for the one that is meant.",
            )
        yield entry


def _called(model: SavedModel, form: ConcreteFunction) -> Entry | None:
    """Return the entry of a function of the root object, by adding a call of it to the main graph.

    None when it captures something that the main graph does not hold.
    """
    captured = [model.captured(at) for at in form.captures]
    if None in captured or form.name not in model.graph.function_names:
        return None
    call = next(name for i in range(len(model.graph.nodes) + 1) if (name := CALLED + "_" * i) not in model.graph.nodes)
    inputs = {name: (leaf, f"{call}/{name}") for name, leaf in _named(form.inputs).items()}
    nodes = {node: Node.made(node, "Placeholder") for _, node in inputs.values()}
    refs = (*(TensorRef(node) for _, node in inputs.values()), *(TensorRef(str(node)) for node in captured))
    nodes[call] = Node.made(call, CALL_OP, refs, attributes={"f": form.name})
    outputs = _named(form.outputs)
    return Entry(
        CALL,
        Graph({**model.graph.nodes, **nodes}, model.graph.functions),
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
