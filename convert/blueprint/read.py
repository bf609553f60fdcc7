"""Read the blueprint of a whole SavedModel, and prove it by running the graph on probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from hub2hf import limits
from hub2hf.analysis.grown import grown
from hub2hf.analysis.inline import inlined
from hub2hf.analysis.loops import raised
from hub2hf.analysis.run import Feeding
from hub2hf.analysis.settle import loops_over_texts, settled
from hub2hf.architectures import architecture_of
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.blueprint.asked.oracle import Inquiry
from hub2hf.blueprint.beside import read_beside
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.encoder.side import EncoderSide
from hub2hf.blueprint.entry import Chosen, leading_to, text_entry, within
from hub2hf.blueprint.probe import SPARE_ROWS
from hub2hf.blueprint.text import Pack, TextBlueprint
from hub2hf.blueprint.text_side.pieces import LOW_TEXTS, PieceReader, cuts_by_pieces
from hub2hf.blueprint.text_side.probed import ProbedSide, encoded, read_probed
from hub2hf.blueprint.text_side.read_text import TextReader, read_pack
from hub2hf.blueprint.vocabulary.fast_wordpiece import with_tables
from hub2hf.blueprint.vocabulary.numbered import Plainly, numbered_plainly
from hub2hf.blueprint.vocabulary.tables import with_plain_tables
from hub2hf.errors import REPORT, GraphError, SourceError
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import TensorRef
from hub2hf.savedmodel.original import Original

HIGH = 3  # texts whose pieces are given high ids
SAMPLE = ("a dog", "one two three " * 50)  # texts to see the shapes of values: a short one, and one too long


def read_blueprint(
    original: Original,
    output: str = "",
    *,
    thorough: bool = False,
    recognised: Callable[[EncoderSide], object] = lambda side: None,
) -> Blueprint:
    """Return the blueprint of an encoder, of text or of ids.

    Args:
        original: its SavedModel, and what stands beside it.
        output: the output that is the embedding, NAME or SIGNATURE:NAME; "" where the conventions of TensorFlow Hub tell.
        thorough: hold the text side against a hundred times as many generated words and texts.
        recognised: called with the encoder when its parts are found in the graph, before anything of it is read or proved.

    Raises:
        GraphError: something that reaches the output is not understood, or computes something else than was read.
        MappingError: variables and state-dict keys do not pair up.
        SourceError: the text side is given twice, or not at all.
        VocabularyError: the vocabulary is not that of the encoder.
    """
    # The products of a probe are small: threads that wait for each other cost more than they bring.
    with threadpool_limits(limits=1, user_api="blas"), limits.budget(original.model.nbytes):
        found = text_entry(original.model, output)
        if found is None:
            blueprint = read_beside(original, output, thorough=thorough, recognised=recognised)
        elif original.preprocessor is not None or original.vocabulary is not None or original.text_rules:
            raise SourceError(
                f"{original.name} takes text (signature '{found.entry.name}'): it has its own text side.",
                "Leave out preprocessor, vocabulary and text rules.",
            )
        else:
            waiting = [recognised]

            def once(side: EncoderSide) -> None:
                while waiting:
                    waiting.pop()(side)

            blueprint = numbered_plainly(
                lambda plainly: _Reading(original.model, found, plainly).blueprint(once, thorough=thorough)
            )
        return replace(blueprint, absent=original.absent)


class _Reading:
    """The steps of reading a SavedModel from text to embedding, each standing on those before it."""

    def __init__(self, model: SavedModel, chosen: Chosen, plainly: Plainly) -> None:
        self.chosen = chosen
        self.input_name, source = next(iter(chosen.entry.inputs.items()))
        self.source, target = source.ref, chosen.tensor
        given = frozenset([source.ref.node])
        outputs = [target.ref, *chosen.rivals().values()]
        graph = grown(raised(chosen.entry.graph))
        for ref in outputs:
            graph = inlined(graph, ref)
        graph, never = plainly(model, with_plain_tables(with_tables(leading_to(model, graph, outputs))))
        self.graph = settled(graph, outputs, given)
        self.text = (PieceReader if cuts_by_pieces(self.graph) else TextReader)(model, self.graph)
        self.never = never
        looping = self.graph if loops_over_texts(self.graph, outputs, given) else None
        alone = settled(graph, outputs, given, one_text=True) if looping else self.graph
        self.tables = self.text.tables.others()
        texts = SAMPLE[:1] if looping else SAMPLE
        self.encoder = EncoderSide(model, alone, target.ref, looping, sample=lambda: (self._feed(texts), self.tables))

    @property
    def ids(self) -> TensorRef:
        """The tensor that the word embeddings are looked up by."""
        return self.encoder.ids

    def blueprint(self, recognised: Callable[[EncoderSide], object], *, thorough: bool) -> Blueprint:
        """Return the whole blueprint; see `read_blueprint`."""
        recognised(self.encoder)
        text, side = self._by_pieces() if isinstance(self.text, PieceReader) else self._by_words(self.text, thorough)
        probes = side.probes[-LOW_TEXTS:] if text.by_pieces else side.probes
        texts, ids = [probe.text for probe in probes], np.stack([probe.ids for probe in probes])
        encoder = self._encoder(encoded(side.vocabulary), texts, ids, text.pack.pad_id)
        return Blueprint(
            self.chosen.entry.name,
            self.input_name,
            self.chosen.output,
            text,
            self._packed(encoder, text.pack, encoded(side.vocabulary)),
            side.vocabulary,
            side.probes,
            self.encoder.stage_tensors(),
            ids=str(self.ids),
            heard=side.heard,
            seen=side.seen,
        )

    def _packed(self, encoder: EncoderBlueprint, pack: Pack, pieces: Mapping[bytes, int]) -> EncoderBlueprint:
        """Return an encoder as its class is to compute texts that the graph packs."""
        known = architecture_of(encoder)
        if known.sees_padding and self._ids(Inquiry(pieces, [""])).shape[1] != pack.max_length:
            raise GraphError(
                f"The last token of a text sees the padding behind it, as in every {known.title}, and texts are padded to "
                f"the longest of their batch (node '{self.ids.node}'): what becomes of a text depends on the others.",
                "Export it with texts padded to one length.",
            )
        return known.packed(encoder, pack.pad_id, pack.max_length)

    def _by_words(self, reader: TextReader, thorough: bool) -> tuple[TextBlueprint, ProbedSide]:
        """Read a text side of words that are cut by WordPiece."""
        longest, count = (self.encoder.size(name) for name in ("max_position_embeddings", "vocab_size"))
        never = self.never.union(reader.fill(count))
        side = read_probed(reader, self._ids, count, longest, never=never, thorough=thorough)
        ids = side.ids
        made = reader.bodies.origin(self.graph, self.ids)
        pack = read_pack(ids[-2], ids[-1], made[1].name if made else self.ids.node)
        text = reader.blueprint(side.operations, side.tables, pack, count)
        unknown = reader.wordpiece.unknown_token.encode()
        self._check_high_ids(encoded(side.vocabulary), unknown, [probe.text for probe in side.probes], ids)
        return text, side

    def _by_pieces(self) -> tuple[TextBlueprint, ProbedSide]:
        """Read a text side that a SentencePiece model cuts: its ids are the real ones."""
        assert isinstance(self.text, PieceReader)
        return self.text.read(self._ids, self.encoder.size("max_position_embeddings"))

    def _check_high_ids(
        self, pieces: Mapping[bytes, int], unknown: bytes, texts: Sequence[str], ids: np.ndarray
    ) -> None:
        """See that ids reach the word embeddings unchanged up to the last row: those of a probe are low."""
        last = self.encoder.size("vocab_size") - 1
        kept = {*map(int, ids[-2]), pieces[unknown]}
        moved = {number: last - number for number in set(pieces.values()) if not kept & {number, last - number}}
        moved = {number: high for number, high in moved.items() if high > number}
        some = sorted(range(len(texts)), key=lambda i: -len({*ids[i].tolist()}))[:HIGH]
        high = {piece: moved.get(number, number) for piece, number in pieces.items()}
        found = self._ids(Inquiry(high, [texts[i] for i in some]))
        wanted = [[moved.get(int(number), int(number)) for number in ids[i]] for i in some]
        if not np.array_equal(found, np.asarray(wanted)[:, : found.shape[1]]):
            raise GraphError(f"Node '{self.ids.node}' does not give high ids as the vocabulary has them.", REPORT)

    def _encoder(
        self, pieces: Mapping[bytes, int], texts: Sequence[str], ids: np.ndarray, pad_id: int
    ) -> EncoderBlueprint:
        lengths = (ids != pad_id).sum(axis=1)
        usual = int(np.argsort(lengths)[len(texts) // 2])  # some pieces, some padding
        full, empty = int(np.argmax(lengths)), int(np.argmin(lengths))
        repeated = int(np.argmax([np.bincount(row[row != pad_id], minlength=1).max() for row in ids]))
        several, one, alike = (
            self._feed([texts[i] for i in picked]) for picked in ([full, empty], [usual], [repeated])
        )
        # That a text is alone shows in the first layer.
        given = [Feeding(several, pad_id), Feeding(one, pad_id, whole=False), Feeding(alike, pad_id)]
        if self.encoder.looping:
            given = [Feeding(self._feed([texts[i]]), pad_id, whole=i == full) for i in (full, empty, repeated, usual)]
        rows = max([*pieces.values(), int(ids.max())]) + SPARE_ROWS  # of the word embeddings that a probe can ask for
        substitutes = replace(self.encoder.substitutes(rows, pieces), tables=self.tables)
        seen = {side for each in given for side in self.encoder.sides(each.feeds, substitutes)}
        for text in texts if self.encoder.decisions else ():
            more = Feeding(self._feed([text]), pad_id, whole=False)
            sides = self.encoder.sides(more.feeds, substitutes)
            given += [more] if sides - seen else []
            seen |= sides
        rivals = within(self.encoder.graph, self.chosen.rivals(), self.encoder.keys)
        encoder, proved = self.encoder.blueprint(given, substitutes, rows, others=rivals)
        self.chosen.settle(proved)
        return encoder

    def _ids(self, asked: Inquiry) -> np.ndarray:
        """Return the packed ids [texts, max_length]; see `TextSide`."""
        substitutes = replace(self.encoder.substitutes(SPARE_ROWS, asked.vocabulary), tables=self.tables)
        feeds = self._feed(asked.texts)
        interpreter = asked.interpreter(self.encoder.graph, substitutes, feeds[self.source])
        (ids,) = interpreter.run([self.ids], feeds)
        if ids.shape[:1] != (len(asked.texts),) and self.encoder.takes_ids_before():
            return self._ids(asked)
        if ids.dtype.kind not in "iu" or ids.size % len(asked.texts):
            raise GraphError(f"Node '{self.ids.node}' does not make one row of ids per text.", REPORT)
        return np.asarray(ids.reshape(len(asked.texts), -1))

    def _feed(self, texts: Sequence[str]) -> dict[TensorRef, Any]:
        return {self.source: self.chosen.entry.inputs[self.input_name].of_texts(texts)}
