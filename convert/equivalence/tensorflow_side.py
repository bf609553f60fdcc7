"""The witness: TensorFlow running a SavedModel, whatever its form. Needs the extra `tensorflow`.

A model of text, and each part of a model of ids, runs in a session of the MetaGraph that it was read from. Only where it is
entered by calling its root object, which is in no graph, TensorFlow loads that object and calls it for the embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import TracebackType

import numpy as np
import tensorflow as tf

from hub2hf.architectures.base import layer_of
from hub2hf.architectures.head import EMBEDDING
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.entry import ids_entry, text_entry
from hub2hf.blueprint.text import LowerCase, TextBlueprint
from hub2hf.blueprint.text_side.convention import witness_of
from hub2hf.blueprint.text_side.preprocessor import output_roles, preprocessor_entry
from hub2hf.equivalence.called import called_object
from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.sentences import Sentence
from hub2hf.equivalence.session import GraphSession, Tensors
from hub2hf.errors import REPORT, GraphError
from hub2hf.notices import notice
from hub2hf.opened import Source
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.objects import CALL
from hub2hf.tokenizer import probe_tokenizer, read_vocabulary

# Every text is padded to the same length: a larger batch takes more memory and no less time.
BATCH = 32
IDS, MASK = "ids", "mask"
RULES_WITNESS = "the text rules written out in plain Python: the encoder has no preprocessor"
OUR_TOKENIZER = "the exported tokenizer: the encoder has no preprocessor"

# From texts to int [texts, length] by role: "ids", "mask" (1 for each id, 0 for padding), "types".
Packing = Callable[[Sequence[str]], Tensors]


class ReferenceGraph:
    """What TensorFlow makes of texts; close it by leaving its context.

    Args:
        source: what it runs. An encoder of ids that has no preprocessor gets its ids from the witness of its text rules, or
            from the compiled tokenizer where they have none.

    Raises:
        Hub2HFError: it is not understood.

    Example:
        >>> with ReferenceGraph(Source.find("lealla-mini")) as graph:
        ...     graph.embed(["dog"]).shape
        (1, 32)
    """

    def __init__(self, source: Source) -> None:
        self.source, self.model, self.blueprint = source, source.model, source.blueprint
        side = _IdsSide if self.blueprint.inputs else _TextSide
        self._side = side(self.model, self.blueprint, source.original.preprocessor)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of `texts`, float32 [texts, hidden]."""
        return self._run([EMBEDDING], texts)[EMBEDDING]

    def token_ids(self, texts: Sequence[str]) -> np.ndarray:
        """Return the packed, padded ids of `texts`, int32 [texts, max_length]."""
        return self._run([IDS], texts)[IDS].astype(np.int32)

    def outputs(self, texts: Sequence[str]) -> Tensors:
        """Return the stages that an encoder of ids gives, the ids and the mask, [texts, max_length, …] each."""
        return self._run([IDS, MASK, *self.blueprint.outputs.values()], texts)

    def record(self, sentences: Sequence[Sentence], *, stages: bool = True) -> Recording:
        """Return what TensorFlow makes of `sentences`; `stages` as well, as far as there are such in the graph."""
        names = self._side.stages if stages else ()
        found = self._run([IDS, *names, EMBEDDING], [sentence.text for sentence in sentences], first=True)
        pack = self.blueprint.text.pack
        ids = [[int(i) for i in row if i != pack.pad_id] for row in found.pop(IDS)]
        return Recording(
            tf.__version__,
            str(self.source.fingerprint["fingerprint"]),
            pack.max_length,
            list(sentences),
            ids,
            found,
            self._ids_from(),
        )

    def _ids_from(self) -> str:
        """Return what makes the ids, where TensorFlow does not."""
        if not self.blueprint.inputs or self.source.original.preprocessor is not None:
            return ""
        return OUR_TOKENIZER if witness_of(self.blueprint.text) is None else RULES_WITNESS

    def _run(self, names: Sequence[str], texts: Sequence[str], *, first: bool = False) -> Tensors:
        """Return ids, mask, stages and embedding by name; `first`: of stages only the first token of each text."""
        parts = []
        for at in range(0, len(texts), BATCH):
            notice(f"TensorFlow embeds {len(texts):,} sentences, {at:,} done")
            parts.append(self._side.run(names, texts[at : at + BATCH], first=first))
        return {name: self._joined(name, [part[name] for part in parts]) for name in dict.fromkeys(names)}

    def _joined(self, name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the batches as one; a model may cut each batch to its longest text."""
        pack = self.blueprint.text.pack
        if parts and (name in (IDS, MASK) or parts[0].ndim == 3):
            pad = pack.pad_id if name == IDS else 0
            parts = [_widened(part, pack.max_length, pad) for part in parts]
        return np.concatenate(parts)

    def __enter__(self) -> ReferenceGraph:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._side.close()


class _TextSide:
    """A model of text: one graph makes ids, stages and embedding."""

    def __init__(self, model: SavedModel, blueprint: Blueprint, preprocessor: SavedModel | None) -> None:
        chosen = text_entry(model, f"{blueprint.signature}:{blueprint.output_name}")
        assert chosen is not None  # it was read from there
        self._input = chosen.entry.inputs[blueprint.input_name]
        self._source = str(self._input.ref)
        self._size = blueprint.encoder.hidden_size.value
        self._graph = GraphSession(model, chosen.entry, [blueprint.ids, *blueprint.stages.values()])
        if not self._graph.has(blueprint.ids):
            raise GraphError(f"The ids, '{blueprint.ids}', are no tensor that TensorFlow can fetch.", REPORT)
        self._stages = {name: tensor for name, tensor in blueprint.stages.items() if self._graph.has(tensor)}
        self._tensors = {IDS: blueprint.ids, EMBEDDING: str(chosen.tensor.ref)}
        self._names = (blueprint.input_name, blueprint.output_name)
        self._called = called_object(model, chosen.entry) if chosen.entry.name == CALL else None
        self.stages = tuple(self._stages)

    def run(self, names: Collection[str], texts: Sequence[str], *, first: bool) -> Tensors:
        """Return what `names` says of a batch; of stages the first tokens, which are what there is of the last one."""
        itself = self._embedding(texts) if EMBEDDING in names else {}
        wanted = {name: self._tensors[name] for name in names if name in self._tensors and name not in itself}
        cut = self._graph.first_tokens([self._stages[n] for n in names if n in self._stages], self._source, self._size)
        wanted |= {name: cut[self._stages[name]] for name in names if name in self._stages}
        found = itself | self._graph.run(wanted, {self._source: self._input.of_texts(texts)})
        return {name: value.reshape(len(texts), -1) for name, value in found.items()}

    def _embedding(self, texts: Sequence[str]) -> Tensors:
        """Return what TensorFlow itself makes of a call of the root object; nothing where a signature is entered."""
        if self._called is None:
            return {}
        source, output = self._names
        return {EMBEDDING: self._called([output], {source: self._input.of_texts(texts)})[output]}

    def close(self) -> None:
        self._graph.close()
        self._called = None


class _IdsSide:
    """A model of ids, and what makes ids for it."""

    def __init__(self, model: SavedModel, blueprint: Blueprint, preprocessor: SavedModel | None) -> None:
        self._pack, self._sessions = _packing(blueprint, preprocessor)
        entry = ids_entry(model, f"{blueprint.signature}:{blueprint.output_name}").entry
        self._roles = dict.fromkeys(entry.inputs, "types") | {name: role for role, name in blueprint.inputs.items()}
        self._dtypes = {name: np.dtype(tensor.dtype) for name, tensor in entry.inputs.items()}
        # The last output of a stage that is named: the embedding is the output of that name.
        self._outputs = {stage: name for name, stage in blueprint.outputs.items()} | {EMBEDDING: blueprint.output_name}
        self.stages = tuple(sorted((stage for stage in self._outputs if layer_of(stage) >= 0), key=layer_of))
        self._encode: Callable[[Collection[str], Tensors], Tensors]
        if entry.name == CALL:
            self._encode = called_object(model, entry)
        else:
            graph = GraphSession(model, entry)
            self._sessions.append(graph)
            refs = {name: str(tensor.ref) for name, tensor in (*entry.inputs.items(), *entry.outputs.items())}
            self._encode = lambda names, given: graph.run(
                {name: refs[name] for name in names}, {refs[name]: value for name, value in given.items()}
            )

    def run(self, names: Collection[str], texts: Sequence[str], *, first: bool) -> Tensors:
        """Return what `names` says of a batch; of stages the first tokens, or all."""
        packed = self._pack(texts)
        wanted = {name: self._outputs[name] for name in names if name not in packed}
        if not wanted:
            return packed
        given = {name: packed[role].astype(self._dtypes[name]) for name, role in self._roles.items()}
        found = self._encode(set(wanted.values()), given)
        made = {name: found[output] for name, output in wanted.items()}
        return packed | {
            name: value.take(0, axis=1) if first and value.ndim == 3 else value for name, value in made.items()
        }

    def close(self) -> None:
        for graph in self._sessions:
            graph.close()
        del self._encode, self._pack


def _packing(blueprint: Blueprint, preprocessor: SavedModel | None) -> tuple[Packing, list[GraphSession]]:
    """Return what makes ids of texts, and the sessions that it holds open."""
    if preprocessor is None:
        return _tokenizer(blueprint), []
    entry = preprocessor_entry(preprocessor)
    graph = GraphSession(preprocessor, entry)
    ((_, source),) = entry.inputs.items()
    refs = {name: str(tensor.ref) for name, tensor in entry.outputs.items()}

    def run(texts: Sequence[str]) -> Tensors:
        found = graph.run(refs, {str(source.ref): source.of_texts(texts)})
        packed = {role: found[name] for role, name in output_roles(found).items()}
        return {"types": np.zeros_like(packed[IDS]), **packed}

    return run, [graph]


def _tokenizer(blueprint: Blueprint) -> Packing:
    """Return the function from texts to packed ids that the witness of the text rules is, or the exported tokenizer."""
    encode, pack = _encoding(blueprint.text), blueprint.text.pack

    def run(texts: Sequence[str]) -> Tensors:
        ids = np.full((len(texts), pack.max_length), pack.pad_id, np.int32)
        mask = np.zeros_like(ids)
        for i, found in enumerate(encode(texts)):
            ids[i, : len(found)] = found
            mask[i, : len(found)] = 1
        return {IDS: ids, MASK: mask, "types": np.zeros_like(ids)}

    return run


def _encoding(text: TextBlueprint) -> Callable[[Sequence[str]], list[list[int]]]:
    """Return the function from texts to ids, with the ends and without padding."""
    vocabulary, pack, witness = read_vocabulary(text.vocabulary).ids, text.pack, witness_of(text)
    if witness is None:
        tokenizer = probe_tokenizer(text, vocabulary)
        return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
    pieces = witness(vocabulary, any(isinstance(op, LowerCase) for op in text.operations))
    return lambda texts: [[pack.start_id, *pieces(each)[: pack.max_length - 2], pack.end_id] for each in texts]


def _widened(value: np.ndarray, width: int, pad: int) -> np.ndarray:
    """Return [texts, length, …] with `pad` behind it up to `width`."""
    missing = [(0, 0), (0, max(0, width - value.shape[1])), *[(0, 0)] * (value.ndim - 2)]
    return np.pad(value, missing, constant_values=pad)
