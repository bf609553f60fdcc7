"""Read the blueprint of a whole SavedModel, and prove it by running the graph on probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from convert import limits
from convert.blueprint.beside import read_beside
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
from convert.blueprint.text import TextBlueprint
from convert.errors import GraphError, SourceError
from convert.interpreter import Interpreter
from convert.savedmodel.model import SavedModel, Signature
from convert.savedmodel.node import TensorRef


@dataclass(frozen=True)
class Blueprint:
    """What a SavedModel is: its text side, its encoder, and the entry it was read through.

    Attributes:
        signature: the name of the entry: a signature, or "__call__" of the root object.
        input_name: what takes the text, or the ids where the text side stands elsewhere.
        output_name: what gives the embedding.
        probe_vocabulary: piece → id, in place of the real vocabulary while probing.
        probes: what the graph itself made of the probe texts; the compiled tokenizer must make the same. Empty where no
            graph makes ids of texts.
        stages: "embeddings" and "layer i" → the tensor of the graph that holds that stage, [batch * length, hidden] or
            [batch, length, hidden], for the last layer only the first token, [batch, hidden]. Empty where the encoder is a
            function: then `outputs` has what it gives of them.
        inputs: "ids", "mask", "types" → the input of the entry, where it takes these and not text.
        outputs: further outputs of the entry → the stage that each was proved to be.
        preprocessor: the SavedModel of the text side, where that is another one.
    """

    signature: str
    input_name: str
    output_name: str
    text: TextBlueprint
    encoder: EncoderBlueprint
    probe_vocabulary: Mapping[str, int]
    probes: tuple[ProbedText, ...]
    stages: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    preprocessor: SavedModel | None = None


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
            return Blueprint(**vars(read_beside(model, preprocessor, vocabulary)))
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
