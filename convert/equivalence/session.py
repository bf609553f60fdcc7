"""TensorFlow running the graph that a SavedModel was read from. Needs the extra `tensorflow`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the text ops)
from tensorflow.python.saved_model.loader_impl import SavedModelLoader

from hub2hf.blueprint.entry import Entry
from hub2hf.equivalence.exposed import expose
from hub2hf.errors import FETCH_AGAIN, SourceError, raised
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node

Tensors = dict[str, np.ndarray]


class GraphSession:
    """The MetaGraph of `model` in a session of its own, loaded as TensorFlow 1 loads one: any that was saved, by its tags.

    Args:
        model: the SavedModel.
        entry: where it is entered. A call of the root object is in no graph, and is added to this one.
        inner: tensors that will be asked for, `node:0`; those inside functions are made outputs first (`exposed`).

    Raises:
        CheckpointError, SourceError: TensorFlow cannot load it; of a damaged file as for a conversion.
    """

    def __init__(self, model: SavedModel, entry: Entry, inner: Iterable[str] = ()) -> None:
        self._model = model
        with _told(model):
            self._load(model, entry, inner)

    def _load(self, model: SavedModel, entry: Entry, inner: Iterable[str]) -> None:
        loader, tags = SavedModelLoader(str(model.folder)), list(model.tags)
        graph_def = loader.get_meta_graph_def_from_tags(tags).graph_def
        for node in entry.graph.nodes.values():
            if node.name not in model.graph.nodes:
                _add(graph_def, node, entry)
        self._tensors: dict[str, str] = expose(graph_def, inner)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        self._cut: dict[str, Any] = {}
        with self._session.graph.as_default():
            saver, _ = loader.load_graph(self._session.graph, tags)
            loader.restore_variables(self._session, saver)
            loader.run_init_ops(self._session, tags)

    def has(self, name: str) -> bool:
        """Whether a tensor of `inner` is in the graph, or in a function that it calls."""
        return name in self._tensors

    def run(self, fetches: Mapping[str, Any], feeds: Mapping[str, Any]) -> Tensors:
        """Return the value of each tensor of `fetches`, given those of `feeds`; both are named as `node:0`.

        Raises:
            CheckpointError, SourceError: TensorFlow cannot run it.
        """
        named = {key: self._tensors.get(name, name) if isinstance(name, str) else name for key, name in fetches.items()}
        with _told(self._model):
            return {key: np.asarray(value) for key, value in self._session.run(named, dict(feeds)).items()}

    def first_tokens(self, names: Collection[str], source: str, size: int) -> dict[str, Any]:
        """Return name → what to fetch for the first token of each text, float32 [texts, size].

        It is cut in the graph: copying all tokens out of it takes its time.

        Args:
            names: tensors of `inner`, [texts * length, size] or [texts, length, size], or the first tokens already.
            source: the tensor of the texts.
            size: numbers of a token.
        """
        graph = self._session.graph
        with graph.as_default():
            texts = tf.size(graph.get_tensor_by_name(source))
            for name in names:
                if name not in self._cut:
                    tensor = graph.get_tensor_by_name(self._tensors[name])
                    self._cut[name] = tf.gather(tf.reshape(tensor, [texts, -1, size]), 0, axis=1)
        return {name: self._cut[name] for name in names}

    def close(self) -> None:
        """Give its memory back."""
        self._session.close()


@contextmanager
def _told(model: SavedModel) -> Iterator[None]:
    """Have what TensorFlow says of a model that it cannot load or run in one line; where a file is damaged, its name."""
    try:
        yield
    except (tf.errors.OpError, ValueError) as error:
        for name in model.checkpoint.variables if model.has_checkpoint else ():
            model.checkpoint.verify(name)
        raise SourceError(f"TensorFlow cannot run {model.folder}: {raised(error)}.", FETCH_AGAIN) from error


def _add(graph: Any, node: Node, entry: Entry) -> None:
    """Add a node of `entry` to a GraphDef: an input, or the call of a function of its library."""
    added = graph.node.add(name=node.name, op=node.op, input=map(str, node.inputs))
    given = {tensor.ref.node: tensor.dtype for tensor in entry.inputs.values()}
    if node.name in given:
        added.attr["dtype"].type = tf.as_dtype(given[node.name]).as_datatype_enum
        return
    name = node.attr("f")
    (signature,) = [one.signature for one in graph.library.function if one.signature.name == name]
    added.attr["f"].func.name = name
    added.attr["Tin"].list.type.extend(argument.type for argument in signature.input_arg)
    added.attr["Tout"].list.type.extend(argument.type for argument in signature.output_arg)
