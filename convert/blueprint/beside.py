"""Read an encoder that takes ids, and its text side, which stands beside it: a preprocessor, or a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hub2hf.analysis.flow import DATA
from hub2hf.analysis.inline import inlined, resolved
from hub2hf.analysis.run import Feeding, Probe
from hub2hf.analysis.settle import settled
from hub2hf.architectures import architecture_of
from hub2hf.architectures.base import layer_stage
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.head import EMBEDDING, POOLING
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.dataflow import Bodies
from hub2hf.blueprint.encoder.side import EncoderSide
from hub2hf.blueprint.entry import Chosen, ids_entry, within
from hub2hf.blueprint.probe import marked_ids
from hub2hf.blueprint.text_side.convention import conventional_text
from hub2hf.blueprint.text_side.preprocessor import read_preprocessor
from hub2hf.blueprint.text_side.probed import ProbedSide
from hub2hf.errors import REPORT, GraphError, SourceError
from hub2hf.interpreter import Interpreter
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import TensorRef
from hub2hf.savedmodel.original import Original

MANY = 64  # texts, to see what becomes of ids
LENGTH = 12  # ids of a probe of several texts
SAMPLE = 3  # texts of such
LAST_ROW = 512  # a probe's largest id: its word embeddings are cut to so many rows


def read_beside(
    original: Original, output: str, *, thorough: bool, recognised: Callable[[EncoderSide], object]
) -> Blueprint:
    """Return the blueprint of an encoder of ids, and of its text side; see `read_blueprint`."""
    model, preprocessor, vocabulary = original.model, original.preprocessor, original.vocabulary
    if preprocessor is not None and vocabulary is not None:
        raise SourceError("There is a preprocessor and a vocabulary besides.", "Give one: a preprocessor has its own.")
    if preprocessor is not None and original.text_rules:
        raise SourceError(
            "There is a preprocessor and text rules besides.", "Give one: a preprocessor is its own rules."
        )
    reading = _EncoderOfIds(ids_entry(model, output), model)
    recognised(reading.side)
    pieces, positions = reading.side.size("vocab_size"), reading.side.size("max_position_embeddings")
    if preprocessor is not None:
        text, side = read_preprocessor(preprocessor, model, pieces, positions, thorough=thorough)
        elsewhere: tuple[str, ...] = ()
    else:
        longest = reading.length or positions
        text, elsewhere = conventional_text(model, vocabulary, pieces, longest, original.text_rules)
        side = ProbedSide((), {}, {}, (), ())
    if reading.length not in (None, text.pack.max_length):
        raise GraphError(
            f"The encoder takes {reading.length} ids per text, as its inputs are shaped; {text.origin} packs "
            f"{text.pack.max_length}.",
            "Give the preprocessor that was published for this encoder.",
        )
    length = min(text.pack.max_length, positions)
    encoder, outputs = reading.read(elsewhere, length)
    encoder = architecture_of(encoder).packed(encoder, text.pack.pad_id, length)
    return Blueprint(
        reading.entry.name,
        ", ".join(reading.inputs.values()),
        reading.output,
        text,
        encoder,
        side.vocabulary,
        side.probes,
        {},
        reading.inputs,
        outputs,
        side.heard,
        side.seen,
    )


class _EncoderOfIds:
    """The steps of reading an encoder that takes ids, mask and token types."""

    def __init__(self, chosen: Chosen, model: SavedModel) -> None:
        self.chosen, self.entry, self.output = chosen, chosen.entry, chosen.output
        graph = self.entry.flat(self.output)
        for tensor in self.entry.outputs.values():
            graph = inlined(graph, tensor.ref)
        self.outputs = {name: resolved(graph, tensor.ref) for name, tensor in self.entry.outputs.items()}
        given = {tensor.ref.node for tensor in self.entry.inputs.values()}
        graph = settled(graph, list(self.outputs.values()), given)
        self.side = EncoderSide(model, graph, self.outputs[self.output], sample=self._sample)
        self.graph = self.side.graph
        self.inputs = self._roles()
        shapes = [tensor.shape for tensor in self.entry.inputs.values() if tensor.shape is not None]
        self.batch: int | None = next((shape[0] for shape in shapes if shape[0] is not None), None)
        self.length: int | None = next((shape[1] for shape in shapes if shape[1] is not None), None)

    def _sample(self) -> tuple[dict[TensorRef, Any], dict[str, Any]]:
        """Return what the graph may be run on, to see the shapes of values, and its lookup tables, of which it has none."""
        feeds: dict[TensorRef, Any] = {}
        for tensor in self.entry.inputs.values():
            batch, length = tensor.shape or (None, None)
            feeds[tensor.ref] = np.ones((batch or SAMPLE, length or LENGTH), tensor.dtype)
        return feeds, {}

    def _roles(self) -> dict[str, str]:
        """Return "ids", "mask", "types" → the input of the entry, by what each of them reaches."""
        names = {tensor.ref.node: name for name, tensor in self.entry.inputs.items()}
        flow, (types, _) = self.side.flow, self.side.encoder.types
        roles = {"ids": self._only(self.side.ids, names, f"the ids '{self.side.ids}' that are looked up")}
        for join in flow.joins():
            for position, ref in enumerate(join.node.inputs if types in join.leaves else ()):
                looked_up = position != join.position and flow.kind[ref.node] == DATA
                reached = self._reached(ref, names) - {roles["ids"]} if looked_up else set()
                if len(reached) == 1:
                    roles["types"] = reached.pop()
        left = {names[node] for node in flow.nodes if node in names} - set(roles.values())
        if len(left) != 1:
            told = ", ".join(f"'{name}'" for name in sorted(left)) or "none"
            raise GraphError(f"Besides ids and token types the encoder should take one mask; it takes {told}.", REPORT)
        roles["mask"] = left.pop()
        return {role: roles[role] for role in ("ids", "mask", "types") if role in roles}

    def _reached(self, ref: TensorRef, names: Mapping[str, str]) -> set[str]:
        return {names[node.name] for node in order_of(self.graph, [ref]) if node.name in names}

    def _only(self, ref: TensorRef, names: Mapping[str, str], what: str) -> str:
        found = self._reached(ref, names)
        if len(found) != 1:
            told = ", ".join(f"'{name}'" for name in sorted(found)) or "none"
            raise GraphError(f"One input should give {what}; it is {told}.", REPORT)
        return found.pop()

    def read(self, elsewhere: Sequence[str], longest: int) -> tuple[EncoderBlueprint, dict[str, str]]:
        """Return the encoder, and output → stage for the outputs that were proved to be one.

        Raises:
            GraphError: something is not understood, or the graph computes something else than was read.
        """
        self._check_ids()
        probes = self._probes(longest)
        given = [Feeding(self._feeds(probe), probe, types_given="types" in self.inputs) for probe in probes]
        rows = max(int(probe.ids.max()) for probe in probes) + 1
        encoder, outputs = self.side.blueprint(
            given, self.side.substitutes(rows, {}), rows, others=self._others(), elsewhere=elsewhere
        )
        return encoder, self._checked(outputs)

    def _check_ids(self) -> None:
        """See that ids reach the word embeddings unchanged up to the last row: those of the probes are low."""
        last = self.side.size("vocab_size") - 1
        shape = (self.batch or MANY, self.length or LENGTH)
        ids = np.random.default_rng(1).integers(0, last + 1, shape)
        ids.flat[0], ids.flat[-1] = last, 0
        feeds = self._feeds(Probe(ids, np.ones(shape, bool), np.zeros(shape, np.int32)))
        (found,) = Interpreter(self.graph, self.side.substitutes(0, {})).run([self.side.ids], feeds)
        if not np.array_equal(np.ravel(found), ids.ravel()):
            raise GraphError(f"Node '{self.side.ids.node}' changes ids before they are looked up.", REPORT)

    def _feeds(self, probe: Probe) -> dict[TensorRef, Any]:
        values = {"ids": probe.ids, "mask": probe.attended.astype(np.int32), "types": probe.types}
        feeds: dict[TensorRef, Any] = {}
        for name, tensor in self.entry.inputs.items():
            role = next((role for role, given in self.inputs.items() if given == name), "types")
            feeds[tensor.ref] = values[role].astype(tensor.dtype)
        return feeds

    def _probes(self, longest: int) -> list[Probe]:
        """Return texts of ids: several at once, in no order of length, the last nearly empty; and one that fills `longest`.

        Their token types are of each kind. Where the inputs are shaped for one batch or length, it is that.
        """
        short, long = self.length or min(LENGTH, longest), self.length or longest
        return [self._probe((max(1, short * 2 // 3), short, 1), short), self._probe((long,), long)]

    def _probe(self, attended: Sequence[int], length: int) -> Probe:
        """Return texts of `attended` ids each, padded to `length`: so many, or as many as the inputs are shaped for."""
        texts = self.batch or len(attended)
        source = np.random.default_rng(length)
        count = self.side.size("vocab_size")
        ids = source.integers(0, min(LAST_ROW, count), (texts, length)).astype(np.int32)
        marked = marked_ids(Bodies(self.graph).integers(), (), count)[: length // 2]
        ids[0, : len(marked)] = marked
        counts = np.resize(attended, texts)[:, np.newaxis]
        kinds = self.side.size("type_vocab_size") if "types" in self.inputs else 1
        types = source.integers(0, kinds, ids.shape).astype(np.int32)
        return Probe(ids, np.arange(length) < counts, types)

    def _others(self) -> dict[str, TensorRef]:
        """Return the float outputs that need no more variables than the embedding does."""
        floats = {
            name: self.outputs[name]
            for name, tensor in self.entry.outputs.items()
            if str(tensor.dtype) == "float32" and name != self.output
        }
        return within(self.graph, floats, self.side.keys)

    def _checked(self, outputs: dict[str, str]) -> dict[str, str]:
        """Refuse outputs that carry a known name and are something else."""
        last = layer_stage(self.side.encoder.layers - 1)
        # Model Garden's `output_range` of 1: the last layer is of the first token alone.
        if outputs.get("sequence_output", last) not in (last, POOLING):
            raise GraphError(f"The output 'sequence_output' is not that of {last}.", REPORT)
        if "sequence_output" in self._others() and "sequence_output" not in outputs:
            raise GraphError("The output 'sequence_output' is not a stage of the encoder that was read.", REPORT)
        self.chosen.settle(outputs)
        return outputs | {self.output: EMBEDDING}
