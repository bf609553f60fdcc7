"""Read the blueprint of a whole SavedModel, and prove it by running the graph on probes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from convert import limits
from convert.blueprint.dataflow import Dataflow
from convert.blueprint.encoder import EncoderBlueprint, Read
from convert.blueprint.inline import inlined
from convert.blueprint.loops import raised
from convert.blueprint.probe import AskedVocabulary, Weights, by_node, probe_texts, probe_vocabulary
from convert.blueprint.read_encoder import REPORT, SAME, EncoderReader, identify_activation
from convert.blueprint.read_text import TextReader, TextTrace, read_pack
from convert.blueprint.reference import Hypothesis, stages
from convert.blueprint.text import TextBlueprint
from convert.errors import GraphError, VocabularyError
from convert.interpreter import Interpreter, Substitutes
from convert.savedmodel.assets import check_vocabulary
from convert.savedmodel.model import SavedModel, Signature
from convert.savedmodel.node import Node, TensorRef
from convert.savedmodel.variables import Binding
from convert.state_dict import COPY, SWAP_ROWS, Mapped, Pairing, pair

GATHERS = frozenset({"Gather", "GatherV2", "ResourceGather"})
WORDS = "embeddings.word_embeddings.weight"
PART = re.compile(r"/part_\d+$")  # tensorflow/python/ops/partitioned_variables.py names the slices so
TYPES = "embeddings.token_type_embeddings.weight"


@dataclass(frozen=True)
class ProbedText:
    """One probe text and the ids that the graph packs for it, int [max_length]."""

    text: str
    ids: np.ndarray


@dataclass(frozen=True)
class Blueprint:
    """What a SavedModel is: its text side, its encoder, and the signature it was read through.

    Attributes:
        probe_vocabulary: piece → id, in place of the real vocabulary while probing.
        probes: what the graph itself made of the probe texts; the compiled tokenizer must make the same.
        stages: "embeddings" and "layer i" → the tensor of the graph that holds that stage, [batch * length, hidden] or
            [batch, length, hidden], for the last layer only the first token, [batch, hidden].
    """

    signature: str
    input_name: str
    output_name: str
    text: TextBlueprint
    encoder: EncoderBlueprint
    probe_vocabulary: Mapping[str, int]
    probes: tuple[ProbedText, ...]
    stages: Mapping[str, str]


def read_blueprint(model: SavedModel) -> Blueprint:
    """Return the blueprint of `model`.

    Raises:
        GraphError: something that reaches the output is not understood, or computes something else than was read.
        MappingError: variables and state-dict keys do not pair up.
    """
    # The products of a probe are small: threads that wait for each other cost more than they bring.
    with threadpool_limits(limits=1, user_api="blas"), limits.budget(_size(model)):
        return _Reading(model).blueprint()


class _Reading:
    """The steps of reading one SavedModel, each standing on those before it."""

    def __init__(self, model: SavedModel) -> None:
        self.model = model
        self.signature_name, self.signature = _text_signature(model)
        self.input_name, source = next(iter(self.signature.inputs.items()))
        self.output_name, target = next(iter(self.signature.outputs.items()))
        self.source, self.output = source.ref, target.ref
        self.graph = inlined(raised(model.graph), self.output)
        self.flow = Dataflow(self.graph, self.output)
        self.text = TextReader(model, self.graph)
        self.keys, self.pairing = self._pair()
        nodes = {key: self.flow.nodes[name] for name, (key, _) in reversed(self.keys.items())}
        self.reader = EncoderReader(self.flow, nodes)

    def _pair(self) -> tuple[dict[str, tuple[str, tuple[slice, ...]]], Pairing]:
        """Return variable node → (state-dict key, part of the whole variable), and the pairing."""
        bindings = {node.name: self.model.variable_binding(node.name) for node in self.flow.variables()}
        variables = {name: self.model.checkpoint.variable(binding.key) for name, binding in bindings.items()}
        called = {variable.name: PART.sub("", node) for node, variable in variables.items()}
        pairing = pair({variable.name: variable.shape for variable in variables.values()}, also_called=called)
        key_of = {item.variable: item.key for item in pairing.mapped}
        return {name: (key_of[variables[name].name], _part(bindings[name])) for name in bindings}, pairing

    def blueprint(self) -> Blueprint:
        texts, vocabulary = self._probe_vocabulary()
        trace = TextTrace()
        ids, gather = self._ids(Interpreter(self.graph, self._substitutes(vocabulary), trace.observe), texts)
        made = self.text.bodies.origin(self.graph, gather.inputs[1])
        pack = read_pack(ids[-2], ids[-1], made[1].name if made else gather.name)
        text = self.text.blueprint(trace, pack, self.pairing.sizes["vocab_size"].value)
        encoder = self._encoder(vocabulary, texts, ids, pack.pad_id)
        probes = tuple(ProbedText(t, row) for t, row in zip(texts, ids, strict=True))
        return Blueprint(
            self.signature_name,
            self.input_name,
            self.output_name,
            text,
            encoder,
            vocabulary,
            probes,
            self._stages(encoder.layers.value),
        )

    def _stages(self, layers: int) -> dict[str, str]:
        at = _stage_inputs(self.reader, layers)
        tensors = {stage: str(node.inputs[position]) for stage, (node, position) in at.items()}
        tensors[f"layer {layers - 1}"] = tensors.pop("first token")
        return tensors

    def _probe_vocabulary(self) -> tuple[tuple[str, ...], dict[str, int]]:
        """Return the probe texts, the last two being empty and too long to fit, and a vocabulary for them."""
        wordpiece = self.text.wordpiece
        texts = probe_texts(wordpiece.max_bytes_per_word)
        known, packing = self._reserved(wordpiece.unknown_token)
        taken = frozenset(int(i) for i in packing.ravel())
        vocabulary = probe_vocabulary(texts, wordpiece.suffix_indicator, known, taken)
        longest = self.pairing.sizes["max_position_embeddings"].value
        if longest > limits.MAX_POSITIONS:
            raise GraphError(f"The encoder has {longest} positions.", REPORT)
        return (*texts, "", "a " * longest), vocabulary

    def _reserved(self, unknown: str) -> tuple[dict[str, int], np.ndarray]:
        """Return the pieces that the graph itself looks up, with their real ids, and what it packs for no text."""
        path, _ = self.text.vocabulary()
        known = lines_of(path, {unknown})
        if unknown not in known:
            raise VocabularyError(
                f"{path} lacks the piece '{unknown}', which the graph uses.", "Download the model again."
            )
        while True:
            asked = AskedVocabulary(known)
            substitutes = replace(self._substitutes(known), vocabulary=asked)
            packing, _ = self._ids(Interpreter(self.graph, substitutes), [""])
            found = lines_of(path, asked.missing) if asked.missing else {}
            if not found:
                return known, packing
            known |= found

    def _substitutes(self, vocabulary: Mapping[str, int]) -> Substitutes:
        pieces = {piece.encode(): number for piece, number in vocabulary.items()}
        return Substitutes(by_node(self._weights(vocabulary), self.keys), pieces)

    def _weights(self, vocabulary: Mapping[str, int]) -> Weights:
        shapes = {item.key: self.model.checkpoint.variables[item.variable].shape for item in self.pairing.mapped}
        return Weights(shapes, max(vocabulary.values()) + 2048)

    def _ids(self, interpreter: Interpreter, texts: Sequence[str]) -> tuple[np.ndarray, Node]:
        """Return the packed ids [texts, max_length] and the node that looks them up."""
        gather = self.reader.use(WORDS, GATHERS).node
        (ids,) = interpreter.run([gather.inputs[1]], self._feed(texts))
        if ids.dtype.kind not in "iu" or ids.size % len(texts):
            raise GraphError(f"Node '{gather.name}' does not look up one row of ids a text.", REPORT)
        return ids.reshape(len(texts), -1), gather

    def _feed(self, texts: Sequence[str]) -> dict[TensorRef, Any]:
        values = np.empty(len(texts), dtype=object)
        values[:] = [text.encode() for text in texts]
        return {self.source: values}

    def _encoder(
        self, vocabulary: Mapping[str, int], texts: Sequence[str], ids: np.ndarray, pad_id: int
    ) -> EncoderBlueprint:
        pieces = (ids != pad_id).sum(axis=1)
        pick = [int(np.argsort(pieces)[len(texts) // 2])]  # a usual text: some pieces, some padding
        run = _ObservedRun(self, [texts[i] for i in pick], self._substitutes(vocabulary))
        sizes = {name: Read(size.value, f"variable '{size.variable}'") for name, size in self.pairing.sizes.items()}
        reader, hidden = self.reader, sizes["hidden_size"].value
        product = reader.attention_product()
        heads = reader.heads(product, run.operands[product.name], hidden)
        activation, _ = run.activation(
            reader.dense_output("encoder.layer.0.intermediate.dense"),
            _operand(reader, "encoder.layer.0.output.dense"),
            last=False,
        )
        pooler, normalised = run.activation(reader.dense_output("pooler.dense"), self.output, last=True)
        gammas = [item.key for item in self.pairing.mapped if item.key.endswith("LayerNorm.weight")]
        epsilon = reader.epsilon(gammas)
        layers = sizes["num_hidden_layers"].value
        believed = Hypothesis(layers, heads.value, 0, activation.value, pooler.value, epsilon.value, normalised.value)
        row = run.prove(believed, ids[pick], pad_id, self._weights(vocabulary))
        mapped = tuple(_with_row(item, row) for item in self.pairing.mapped)
        used = {item.variable for item in mapped}
        types = self.reader.node_of[TYPES]
        use = next(self.flow.uses(types.name), None)
        return EncoderBlueprint(
            vocab_size=sizes["vocab_size"],
            hidden_size=sizes["hidden_size"],
            layers=sizes["num_hidden_layers"],
            heads=heads,
            intermediate_size=sizes["intermediate_size"],
            positions=sizes["max_position_embeddings"],
            type_vocab_size=sizes["type_vocab_size"],
            token_type_row=Read(row, f"node '{use.node.name if use else types.name}'"),
            hidden_activation=activation,
            pooler_activation=pooler,
            layer_norm_epsilon=epsilon,
            normalised=normalised,
            mapped=mapped,
            unused=tuple(sorted(set(self.model.checkpoint.variables) - used)),
        )


class _ObservedRun:
    """One run of the whole graph that keeps the input of every dense layer that starts or ends a stage."""

    def __init__(self, reading: _Reading, texts: Sequence[str], substitutes: Substitutes) -> None:
        self.graph, self.output, reader = reading.graph, reading.output, reading.reader
        self.substitutes = substitutes
        self.layers = reading.pairing.sizes["num_hidden_layers"].value
        self.operands: dict[str, Sequence[np.ndarray]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.at = _stage_inputs(reader, self.layers)
        product = reader.attention_product().name
        self._kept = {node.name for node, _ in self.at.values()} | {product}
        interpreter = Interpreter(self.graph, substitutes, self._observe)
        (self.embedding,) = interpreter.run([self.output], reading._feed(texts))

    def _observe(self, node: Node, inputs: Sequence[Any], outputs: tuple[Any, ...]) -> None:
        if node.function:
            return
        self.shapes[node.name] = np.shape(outputs[0]) if outputs else ()
        if node.name in self._kept:
            self.operands[node.name] = tuple(inputs)

    def activation(self, start: Node, end: TensorRef, *, last: bool) -> tuple[Read[str], Read[bool]]:
        """Identify the activation between the output of `start` and the tensor `end`."""

        def evaluate(x: np.ndarray) -> np.ndarray:
            (y,) = Interpreter(self.graph, self.substitutes).run([end], {TensorRef(start.name, 0): x})
            return np.asarray(y)

        return identify_activation(evaluate, self.shapes[start.name], start, end, last=last)

    def prove(self, believed: Hypothesis, ids: np.ndarray, pad_id: int, weights: Weights) -> int:
        """Hold every stage of the graph against `believed`; return the token-type row that makes it true.

        Raises:
            GraphError: names the first stage where the graph computes something else.
        """
        departed: tuple[str, str] | None = ("embeddings", TYPES)
        for row in range(weights.shapes[TYPES][0]):
            departed = self._departure(replace(believed, token_type_row=row), ids, pad_id, weights)
            if departed is None:
                return row
            if departed[0] != "embeddings":
                break
        stage, where = departed or ("", "")
        stage = f"layer {self.layers - 1} and its first token" if stage == "first token" else stage
        raise GraphError(
            f"What was read of the encoder does not hold: the stage '{stage}', which ends at node '{where}', computes "
            "something else.",
            REPORT,
        )

    def _departure(
        self, believed: Hypothesis, ids: np.ndarray, pad_id: int, weights: Weights
    ) -> tuple[str, str] | None:
        for stage, expected in stages(ids, pad_id, weights, believed):
            if stage in self.at:
                node, position = self.at[stage]
                found, where = self.operands[node.name][position], node.inputs[position].node
            elif stage == "embedding":
                found, where = self.embedding, self.output.node
            else:
                continue
            if found.size != expected.size:
                return stage, where
            difference = np.abs(found.reshape(expected.shape) - expected)
            if len(expected) == ids.size:  # what becomes of padding is nobody's concern: attention ignores it
                difference = difference[ids.ravel() != pad_id]
            if not difference.max() < SAME:  # NaN is not the same either
                return stage, where
        return None


def _stage_inputs(reader: EncoderReader, layers: int) -> dict[str, tuple[Node, int]]:
    """Return stage → the node that takes it, and as which of its inputs."""
    at = {}
    for i in range(layers):
        at[f"layer {i - 1}" if i else "embeddings"] = reader.dense_input(f"encoder.layer.{i}.attention.self.query")
    at["first token"] = reader.dense_input("pooler.dense")
    return at


def _part(binding: Binding) -> tuple[slice, ...]:
    """Return the part of the whole variable that a node of a partitioned variable holds."""
    return () if binding.slice is None else binding.slice.index


def _operand(reader: EncoderReader, key: str) -> TensorRef:
    node, position = reader.dense_input(key)
    return node.inputs[position]


def _with_row(item: Mapped, row: int) -> Mapped:
    """Bring the token-type row that the graph adds to the front, where Hugging Face looks by default."""
    if item.key != TYPES or row == 0:
        return item
    return replace(item, operation=SWAP_ROWS if item.operation == COPY else item.operation, row=row)


def _text_signature(model: SavedModel) -> tuple[str, Signature]:
    """Return the signature from one string tensor to one float tensor.

    Raises:
        GraphError: there is none, or several and none is called default.
    """

    def fits(signature: Signature) -> bool:
        ends = [list(side.values()) for side in (signature.inputs, signature.outputs)]
        if [len(side) for side in ends] != [1, 1]:
            return False
        return str(ends[0][0].dtype) == "string" and str(ends[1][0].dtype) == "float32"

    fitting = {name: signature for name, signature in model.signatures.items() if fits(signature)}
    for name in ("default", "serving_default", *(fitting if len(fitting) == 1 else ())):
        if name in fitting:
            return name, fitting[name]
    names = ", ".join(model.signatures) or "none"
    raise GraphError(
        f"No signature takes one string tensor and gives one float32 tensor (signatures: {names}).",
        "Only encoders that take text are supported so far.",
    )


def _size(model: SavedModel) -> int:
    """Return the bytes of the variables, to which the time and the memory of understanding the graph are proportional."""
    return sum(variable.nbytes for variable in model.checkpoint.variables.values()) if model.has_checkpoint else 0


def lines_of(path: Path, pieces: Collection[str]) -> dict[str, int]:
    """Return the line number, from 0, of each of `pieces` that the vocabulary file has.

    Raises:
        VocabularyError: the file cannot be read.
    """
    check_vocabulary(path)
    wanted = {piece.encode(): piece for piece in pieces}
    found: dict[str, int] = {}
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                piece = wanted.get(line.rstrip(b"\r\n"))
                if piece is not None:
                    found.setdefault(piece, number)
                    if len(found) == len(wanted):
                        break
    except OSError as error:
        raise VocabularyError(f"{path} cannot be read: {error.strerror}.", "Download the model again.") from error
    return found
