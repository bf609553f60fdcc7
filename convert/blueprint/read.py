"""Read the blueprint of a whole SavedModel, and prove it by running the graph on probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from convert import limits
from convert.blueprint.beside import read_beside
from convert.blueprint.blueprint import Blueprint
from convert.blueprint.encoder import EncoderBlueprint
from convert.blueprint.entry import text_signature
from convert.blueprint.inline import inlined
from convert.blueprint.loops import raised
from convert.blueprint.probe import SPARE_ROWS
from convert.blueprint.probed import ProbedText, probe_set
from convert.blueprint.prove import Feeding
from convert.blueprint.read_encoder import REPORT
from convert.blueprint.read_text import TextReader, TextTrace, read_pack
from convert.blueprint.reference import Probe
from convert.blueprint.side import GATHERS, WORDS, EncoderSide
from convert.errors import GraphError, SourceError
from convert.interpreter import Interpreter
from convert.savedmodel.model import SavedModel, Signature
from convert.savedmodel.node import TensorRef


def read_blueprint(
    model: SavedModel, preprocessor: SavedModel | None = None, vocabulary: Path | None = None
) -> Blueprint:
    """Return the blueprint of `model`.

    Args:
        model: an encoder, of text or of ids.
        preprocessor: the SavedModel that makes ids of text, for an encoder of ids.
        vocabulary: the file of pieces, for an encoder of ids that brings none and has no preprocessor.

    Raises:
        GraphError: something that reaches the output is not understood, or computes something else than was read.
        MappingError: variables and state-dict keys do not pair up.
        SourceError: the text side is given twice, or not at all.
        VocabularyError: the vocabulary is not that of the encoder.
    """
    # The products of a probe are small: threads that wait for each other cost more than they bring.
    with threadpool_limits(limits=1, user_api="blas"), limits.budget(_size(model)):
        found = text_signature(model)
        if found is None:
            return read_beside(model, preprocessor, vocabulary)
        if preprocessor is not None or vocabulary is not None:
            raise SourceError(
                f"{model.folder} takes text (signature '{found[0]}'): it needs no preprocessor and no vocabulary.",
                "Leave them out.",
            )
        return _Reading(model, *found).blueprint()


class _Reading:
    """The steps of reading a SavedModel from text to embedding, each standing on those before it."""

    def __init__(self, model: SavedModel, name: str, signature: Signature) -> None:
        self.signature_name = name
        self.input_name, source = next(iter(signature.inputs.items()))
        self.output_name, target = next(iter(signature.outputs.items()))
        self.source = source.ref
        self.graph = inlined(raised(model.graph), target.ref)
        self.text = TextReader(model, self.graph)
        self.encoder = EncoderSide(model, self.graph, target.ref)
        self.gather = self.encoder.reader.use(WORDS, GATHERS).node

    def blueprint(self) -> Blueprint:
        probes = probe_set(self.text, self._ids, self.encoder.size("max_position_embeddings"))
        pieces = {piece.encode(): number for piece, number in probes.vocabulary.items()}
        trace = TextTrace()
        ids = self._ids(pieces, probes.texts, trace)
        made = self.text.bodies.origin(self.graph, self.gather.inputs[1])
        pack = read_pack(ids[-2], ids[-1], made[1].name if made else self.gather.name)
        text = self.text.blueprint(trace, pack, self.encoder.size("vocab_size"))
        return Blueprint(
            self.signature_name,
            self.input_name,
            self.output_name,
            text,
            self._encoder(pieces, probes.texts, ids, pack.pad_id),
            probes.vocabulary,
            tuple(ProbedText(t, row) for t, row in zip(probes.texts, ids, strict=True)),
            self.encoder.stage_tensors(),
            ids=str(self.gather.inputs[1]),
        )

    def _encoder(
        self, pieces: Mapping[bytes, int], texts: Sequence[str], ids: np.ndarray, pad_id: int
    ) -> EncoderBlueprint:
        lengths = (ids != pad_id).sum(axis=1)
        pick = [int(np.argsort(lengths)[len(texts) // 2])]  # a usual text: some pieces, some padding
        given = Feeding(self._feed([texts[i] for i in pick]), Probe.padded(ids[pick], pad_id))
        rows = _rows(pieces)
        encoder, _ = self.encoder.blueprint(given, self.encoder.substitutes(rows, pieces), rows)
        return encoder

    def _ids(self, pieces: Mapping[bytes, int], texts: Sequence[str], trace: TextTrace | None = None) -> np.ndarray:
        """Return the packed ids [texts, max_length]."""
        substitutes = self.encoder.substitutes(_rows(pieces), pieces)
        interpreter = Interpreter(self.graph, substitutes, trace.observe if trace else None)
        (ids,) = interpreter.run([self.gather.inputs[1]], self._feed(texts))
        if ids.dtype.kind not in "iu" or ids.size % len(texts):
            raise GraphError(f"Node '{self.gather.name}' does not look up one row of ids a text.", REPORT)
        return np.asarray(ids.reshape(len(texts), -1))

    def _feed(self, texts: Sequence[str]) -> dict[TensorRef, Any]:
        values = np.empty(len(texts), dtype=object)
        values[:] = [text.encode() for text in texts]
        return {self.source: values}


def _rows(pieces: Mapping[bytes, int]) -> int:
    """Return how many rows of the word embeddings a probe over `pieces` can ask for."""
    return max(pieces[piece] for piece in pieces) + SPARE_ROWS


def _size(model: SavedModel) -> int:
    """Return the bytes of the variables, to which the time and the memory of understanding the graph are proportional."""
    return sum(variable.nbytes for variable in model.checkpoint.variables.values()) if model.has_checkpoint else 0
