"""The witness: TensorFlow running the graph of a SavedModel. Needs the extra `tensorflow`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the text ops)

from convert.blueprint import Blueprint, read_blueprint
from convert.equivalence.recording import EMBEDDING, Recording
from convert.equivalence.sentences import Sentence
from convert.errors import GraphError
from convert.export import fingerprint
from convert.savedmodel import SavedModel

# Every text is padded to the same length: a larger batch takes more memory and no less time.
BATCH = 32


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
        self.model = SavedModel.open(folder)
        self.blueprint: Blueprint = read_blueprint(self.model)
        signature = self.model.signatures[self.blueprint.signature]
        self._source = str(signature.inputs[self.blueprint.input_name].ref)
        self._output = str(signature.outputs[self.blueprint.output_name].ref)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            tf.compat.v1.saved_model.load(self._session, list(self.model.tags), str(folder))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of `texts`, float32 [texts, hidden]."""
        return self._run({EMBEDDING: self._output}, texts)[EMBEDDING]

    def token_ids(self, texts: Sequence[str]) -> np.ndarray:
        """Return the packed, padded ids of `texts`, int32 [texts, max_length].

        Raises:
            GraphError: the ids are made inside a traced function, where TensorFlow does not let them be fetched.
        """
        tensor = f"{self.blueprint.text.pack.evidence}:0"
        if not self._has(tensor):
            raise GraphError(
                f"The ids, '{tensor}', are inside a function and cannot be fetched.", "Compare embeddings."
            )
        return self._run({"ids": tensor}, texts)["ids"].astype(np.int32).reshape(len(texts), -1)

    def record(self, sentences: Sequence[Sentence], *, stages: bool = True) -> Recording:
        """Return what the graph makes of `sentences`; `stages` as well, where the graph lets them be fetched."""
        fetches: dict[str, Any] = {EMBEDDING: self._output, "ids": f"{self.blueprint.text.pack.evidence}:0"}
        if stages:
            fetches |= self._first_tokens
        found = self._run(fetches, [sentence.text for sentence in sentences])
        pad_id = self.blueprint.text.pack.pad_id
        ids = found.pop("ids").reshape(len(sentences), -1)
        embedding = found.pop(EMBEDDING)
        return Recording(
            tf.__version__,
            self.fingerprint,
            self.blueprint.text.pack.max_length,
            list(sentences),
            [[int(i) for i in row if i != pad_id] for row in ids],
            {name: found[name] for name in self.blueprint.stages if name in found} | {EMBEDDING: embedding},
        )

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the SavedModel, as in `hub2hf.json`."""
        return str(fingerprint(self.model)["fingerprint"])

    @cached_property
    def _first_tokens(self) -> dict[str, Any]:
        """Name → first token of each text at that stage, cut in the graph: copying all tokens out of it takes its time."""
        graph, size = self._session.graph, self.blueprint.encoder.hidden_size.value
        with graph.as_default():
            texts = tf.size(graph.get_tensor_by_name(self._source))
            return {
                name: tf.reshape(graph.get_tensor_by_name(tensor), [texts, -1, size])[:, 0]
                for name, tensor in self.blueprint.stages.items()
                if self._has(tensor)
            }

    def _has(self, tensor: str) -> bool:
        try:
            self._session.graph.get_tensor_by_name(tensor)
        except (KeyError, ValueError):
            return False
        return True

    def _run(self, fetches: Mapping[str, Any], texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Return each fetched tensor, float32 or integer, [texts, …]."""
        parts: dict[str, list[np.ndarray]] = {name: [] for name in fetches}
        for start in range(0, len(texts), BATCH):
            batch = [text.encode() for text in texts[start : start + BATCH]]
            for name, value in self._session.run(fetches, {self._source: batch}).items():
                parts[name].append(np.asarray(value).reshape(len(batch), -1))
        return {name: np.concatenate(values) for name, values in parts.items()}

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
