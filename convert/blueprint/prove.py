"""One run of a whole graph on probes, held against what was read of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convert.blueprint.encoder import Read
from convert.blueprint.probe import Weights
from convert.blueprint.read_encoder import REPORT, SAME, EncoderReader, identify_activation
from convert.blueprint.reference import Hypothesis, Probe, stages
from convert.errors import GraphError
from convert.interpreter import Interpreter, Substitutes
from convert.savedmodel.graph import Graph
from convert.savedmodel.node import Node, TensorRef

TYPES = "embeddings.token_type_embeddings.weight"
EMBEDDING = "embedding"

Feeds = Mapping[TensorRef, Any]


@dataclass(frozen=True)
class Feeding:
    """How a graph is run on a probe: what it is fed, and what it makes of that.

    Attributes:
        feeds: values for its inputs.
        probe: the ids and the mask that these come to, and their token types where the graph is given them.
        types_given: whether the token types are an input; otherwise the graph adds one row to every token.
    """

    feeds: Feeds
    probe: Probe
    types_given: bool = False


class ObservedRun:
    """One run of the whole graph that keeps the input of every dense layer that starts or ends a stage.

    Args:
        graph: the graph, calls inlined.
        output: the tensor of the embedding.
        others: further outputs, by name.

    Attributes:
        named: once proved, which stage each further output is; those that are none are left out.
    """

    def __init__(
        self,
        graph: Graph,
        output: TensorRef,
        reader: EncoderReader,
        layers: int,
        substitutes: Substitutes,
        feeds: Feeds,
        others: Mapping[str, TensorRef] | None = None,
    ) -> None:
        self.graph, self.output, self.substitutes, self.layers = graph, output, substitutes, layers
        self.operands: dict[str, Sequence[np.ndarray]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.at = stage_inputs(reader, layers)
        product = reader.attention_product().name
        self._kept = {node.name for node, _ in self.at.values()} | {product}
        interpreter = Interpreter(graph, substitutes, self._observe)
        self.embedding, *found = interpreter.run([output, *(others or {}).values()], feeds)
        self.named: dict[str, str] = {}
        self.others: dict[str, np.ndarray] = dict(zip(others or {}, found, strict=True))

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

    def prove(self, believed: Hypothesis, given: Feeding, weights: Weights) -> int:
        """Hold every stage of the graph against `believed`; return the token-type row that makes it true.

        Raises:
            GraphError: names the first stage where the graph computes something else.
        """
        departed: tuple[str, str] | None = ("embeddings", TYPES)
        for row in range(1 if given.types_given else weights.shapes[TYPES][0]):
            types = given.probe.types if given.types_given else np.full_like(given.probe.ids, row)
            departed = self._departure(believed, replace(given.probe, types=types), weights)
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

    def _departure(self, believed: Hypothesis, probe: Probe, weights: Weights) -> tuple[str, str] | None:
        self.named.clear()
        for stage, expected in stages(probe, weights, believed):
            for name, value in self.others.items():
                if same(value, expected, probe):
                    self.named[name] = stage  # of two stages that are the same, the later
            if stage in self.at:
                node, position = self.at[stage]
                found, where = self.operands[node.name][position], node.inputs[position].node
            elif stage == EMBEDDING:
                found, where = self.embedding, self.output.node
            else:
                continue
            if not same(found, expected, probe):
                return stage, where
        return None


def same(found: np.ndarray, expected: np.ndarray, probe: Probe) -> bool:
    """Tell whether a stage is what it should be; what becomes of padding is nobody's concern: attention ignores it."""
    if found.size != expected.size:
        return False
    difference = np.abs(found.reshape(expected.shape) - expected)
    if len(expected) == probe.ids.size:
        difference = difference[probe.attended.ravel()]
    return bool(difference.max() < SAME)  # NaN is not the same either


def stage_inputs(reader: EncoderReader, layers: int) -> dict[str, tuple[Node, int]]:
    """Return stage → the node that takes it, and as which of its inputs."""
    at = {}
    for i in range(layers):
        at[f"layer {i - 1}" if i else "embeddings"] = reader.dense_input(f"encoder.layer.{i}.attention.self.query")
    at["first token"] = reader.dense_input("pooler.dense")
    return at
