"""Read an encoder that takes ids, and its text side, which stands beside it: a preprocessor, or a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.blueprint.blueprint import Blueprint
from convert.blueprint.convention import conventional_text
from convert.blueprint.encoder import EncoderBlueprint
from convert.blueprint.entry import Entry, embedding_output, ids_entry
from convert.blueprint.inline import inlined, resolved
from convert.blueprint.preprocessor import read_preprocessor
from convert.blueprint.probed import ProbedSide
from convert.blueprint.prove import EMBEDDING, TYPES, Feeding
from convert.blueprint.read_encoder import REPORT
from convert.blueprint.reference import Probe
from convert.blueprint.side import GATHERS, WORDS, EncoderSide
from convert.errors import GraphError, SourceError
from convert.interpreter.run import order_of
from convert.savedmodel.model import SavedModel
from convert.savedmodel.node import TensorRef
from convert.savedmodel.variables import VARIABLE_OPS as VARIABLES

LENGTH = 12  # ids of a probe, as far as there are positions
LAST_ROW = 512  # a probe's largest id: its word embeddings are cut to so many rows


def read_beside(
    model: SavedModel, preprocessor: SavedModel | None, vocabulary: Path | None, *, thorough: bool = False
) -> Blueprint:
    """Return the blueprint of an encoder of ids, and of its text side; see `read_blueprint`."""
    if preprocessor is not None and vocabulary is not None:
        raise SourceError("There is a preprocessor and a vocabulary besides.", "Give one: a preprocessor has its own.")
    reading = _EncoderOfIds(model)
    pieces, positions = reading.side.size("vocab_size"), reading.side.size("max_position_embeddings")
    if preprocessor is not None:
        text, side = read_preprocessor(preprocessor, model, pieces, positions, thorough=thorough)
        elsewhere: tuple[str, ...] = ()
    else:
        text, elsewhere = conventional_text(model, vocabulary, pieces, reading.length or positions)
        side = ProbedSide((), {}, {}, (), ())
    if reading.length not in (None, text.pack.max_length):
        raise GraphError(
            f"The encoder takes {reading.length} ids a text, as its inputs are shaped; {text.origin} packs "
            f"{text.pack.max_length}.",
            "Give the preprocessor that was published for this encoder.",
        )
    encoder, outputs = reading.read(elsewhere)
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
        preprocessor,
        side.heard,
        side.seen,
    )


class _EncoderOfIds:
    """The steps of reading an encoder that takes ids, mask and token types."""

    def __init__(self, model: SavedModel) -> None:
        self.entry: Entry = ids_entry(model)
        output = embedding_output(self.entry)
        assert output is not None
        self.output = output
        self.graph = self.entry.flat(output)
        for tensor in self.entry.outputs.values():
            self.graph = inlined(self.graph, tensor.ref)
        self.outputs = {name: resolved(self.graph, tensor.ref) for name, tensor in self.entry.outputs.items()}
        self.side = EncoderSide(model, self.graph, self.outputs[output])
        self.inputs = self._roles()
        shapes = [tensor.shape for tensor in self.entry.inputs.values() if tensor.shape is not None]
        self.batch: int | None = next((shape[0] for shape in shapes if shape[0] is not None), None)
        self.length: int | None = next((shape[1] for shape in shapes if shape[1] is not None), None)

    def _roles(self) -> dict[str, str]:
        """Return "ids", "mask", "types" → the input of the entry, by what each of them reaches."""
        names = {tensor.ref.node: name for name, tensor in self.entry.inputs.items()}
        gather = self.side.reader.use(WORDS, GATHERS).node
        roles = {"ids": self._only(gather.input(1), names, f"the ids of node '{gather.name}'")}
        for use in self.side.flow.uses(self.side.reader.node_of[TYPES].name):
            for position, ref in enumerate(use.node.inputs):
                reached = self._reached(ref, names) - {roles["ids"]} if position != use.position else set()
                if len(reached) == 1:
                    roles["types"] = reached.pop()
        flow = {names[node] for node in self.side.flow.nodes if node in names}
        left = flow - set(roles.values())
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

    def read(self, elsewhere: Sequence[str]) -> tuple[EncoderBlueprint, dict[str, str]]:
        """Return the encoder, and output → stage for the outputs that were proved to be one.

        Raises:
            GraphError: something is not understood, or the graph computes something else than was read.
        """
        probe = self._probe()
        values = {"ids": probe.ids, "mask": probe.attended.astype(np.int32), "types": probe.types}
        feeds: dict[TensorRef, Any] = {}
        for name, tensor in self.entry.inputs.items():
            role = next((role for role, given in self.inputs.items() if given == name), "types")
            feeds[tensor.ref] = values[role].astype(tensor.dtype)
        rows = int(probe.ids.max()) + 1
        encoder, outputs = self.side.blueprint(
            Feeding(feeds, probe, types_given="types" in self.inputs),
            self.side.substitutes(rows, {}),
            rows,
            others=self._others(),
            elsewhere=elsewhere,
        )
        return encoder, self._checked(outputs)

    def _probe(self) -> Probe:
        """Two texts of ids, or as many as fit: the last with padding, with token types of each kind."""
        length = self.length or min(LENGTH, self.side.size("max_position_embeddings"))
        source = np.random.default_rng(0)
        rows = min(LAST_ROW, self.side.size("vocab_size"))
        ids = source.integers(0, rows, (self.batch or 2, length)).astype(np.int32)
        attended = np.ones_like(ids, bool)
        attended[-1, max(1, length // 2) :] = False
        kinds = self.side.size("type_vocab_size") if "types" in self.inputs else 1
        return Probe(ids, attended, source.integers(0, kinds, ids.shape).astype(np.int32))

    def _others(self) -> dict[str, TensorRef]:
        """Return the float outputs that need no more variables than the embedding does."""
        known = {node.name for node in self.side.flow.variables()}
        found = {}
        for name, tensor in self.entry.outputs.items():
            if str(tensor.dtype) == "float32" and name != self.output:
                nodes = order_of(self.graph, [self.outputs[name]])
                if all(node.op not in VARIABLES or node.name in known for node in nodes):
                    found[name] = self.outputs[name]
        return found

    def _checked(self, outputs: dict[str, str]) -> dict[str, str]:
        """Refuse outputs that carry a known name and are something else."""
        last = f"layer {self.side.layers - 1}"
        if outputs.get("sequence_output", last) != last:
            raise GraphError(f"The output 'sequence_output' is not that of {last}.", REPORT)
        if "sequence_output" in self._others() and "sequence_output" not in outputs:
            raise GraphError("The output 'sequence_output' is no stage of the encoder that was read.", REPORT)
        return outputs | {self.output: EMBEDDING}
