"""The witness: TensorFlow running the graph of a SavedModel. Needs the extra `tensorflow`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the text ops)

from convert.blueprint import read_blueprint
from convert.savedmodel import SavedModel


class ReferenceGraph:
    """A TF1-style SavedModel in a session of its own.

    Args:
        folder: the SavedModel.

    Example:
        >>> with ReferenceGraph(folder) as graph:
        ...     graph.embed(["dog"]).shape
        (1, 32)
    """

    def __init__(self, folder: Path) -> None:
        model = SavedModel.open(folder)
        blueprint = read_blueprint(model)
        signature = model.signatures[blueprint.signature]
        self._source = str(signature.inputs[blueprint.input_name].ref)
        self._output = str(signature.outputs[blueprint.output_name].ref)
        self._ids = f"{blueprint.text.pack.evidence}:0"
        self._max_length = blueprint.text.pack.max_length
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            tf.compat.v1.saved_model.load(self._session, list(model.tags), str(folder))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of `texts`, float32 [texts, hidden]."""
        return np.asarray(self._run(self._output, texts), np.float32)

    def token_ids(self, texts: Sequence[str]) -> np.ndarray:
        """Return the packed, padded ids of `texts`, int32 [texts, max_length]."""
        return np.asarray(self._run(self._ids, texts), np.int32).reshape(len(texts), self._max_length)

    def _run(self, tensor: str, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self._session.run(tensor, {self._source: [text.encode() for text in texts]}))

    def __enter__(self) -> ReferenceGraph:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()


def token_ids(folder: Path, texts: Sequence[str]) -> np.ndarray:
    """Return the ids that the graph of `folder` makes of `texts`, int32 [texts, max_length]."""
    with ReferenceGraph(folder) as graph:
        return graph.token_ids(texts)
