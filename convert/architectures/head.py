"""What becomes of the tokens of the last layer, in any architecture: a pooler, dense layers, and perhaps unit length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from hub2hf.analysis.flow import Flow, Join
from hub2hf.analysis.read import SAME, Read
from hub2hf.analysis.run import ObservedRun, Probe
from hub2hf.architectures.activations import (
    ACTIVATIONS,
    FAR,
    NEAR,
    check_unit,
    identify_activation,
    normalise,
    transformers_name,
)
from hub2hf.architectures.encoder import DenseRead, EncoderBlueprint
from hub2hf.architectures.poolers import POOLERS
from hub2hf.errors import REPORT, GraphError, MappingError
from hub2hf.savedmodel.node import Node, TensorRef

POOLING, POOLED, EMBEDDING = "pooling", "pooled", "embedding"  # stages

HEAD = "hub_head"  # in `config.json`, where the head is not that of the stock class

TensorOf = Callable[[str], np.ndarray]  # from a state-dict key to its tensor, as Hugging Face has it


def dense_key(number: int) -> str:
    """Return the start of the keys of a dense layer after the pooler, as our model classes have it."""
    return f"head.{number}"


@dataclass(frozen=True)
class HeadLayer:
    """A dense layer after the pooler, as it stands in the graph: its product by weights, and the addition of its bias."""

    product: Join
    bias: Join | None

    @property
    def last(self) -> Node:
        """The node that ends it, before its activation."""
        return (self.bias or self.product).node


class Head:
    """The end of the graph of an encoder.

    Args:
        flow: the graph.
        depth: that of the last layer: what is deeper belongs to the head.
        last: the tensor that the last layer ends with, where there is one.

    Attributes:
        layers: the dense layers, in order.
        pooled: the tensor that the pooler makes; without dense layers it may be of unit length already.

    Raises:
        MappingError: products by weights after the layers of the encoder are no chain of dense layers.
    """

    def __init__(self, flow: Flow, depth: int, last: TensorRef | None) -> None:
        self.flow, self._last = flow, last
        self.layers = tuple(self._layer(flow, at) for at in range(depth + 1, len(flow.steps)))
        self.pooled = self.layers[0].product.data if self.layers else flow.output

    def _layer(self, flow: Flow, depth: int) -> HeadLayer:
        products, additions = flow.steps[depth], flow.biases(depth)
        single = all(len(join.leaves) == 1 for join in (*products, *additions))
        if len(products) != 1 or len(additions) > 1 or not single:
            names = flow.shown([leaf for join in (*products, *additions) for leaf in join.leaves])
            raise MappingError(
                f"After {depth - 1} products by weights, past the layers of the encoder, {len(products)} follow side by "
                f"side, and {len(additions)} biases ({names}): what comes after the pooler should be a chain of dense "
                "layers, each with one kernel and at most one bias.",
                REPORT,
            )
        return HeadLayer(products[0], additions[0] if additions else None)

    def watched(self) -> frozenset[TensorRef]:
        """Return the tensors whose values a run must keep for `read`."""
        if self._last is None:
            return frozenset({self.pooled})
        return frozenset({self.pooled, self._last, *self._beside(self._last)})

    def _beside(self, last: TensorRef) -> set[TensorRef]:
        """Return what the pooler takes besides the states: the mask."""
        return self.flow.entering(self.flow.nodes[last.node], self.pooled)

    def states(self, run: ObservedRun) -> TensorRef | None:
        """Return the tensor of what the last layer makes of all tokens; None where it is of some of them alone."""
        if self._last is None:
            return None
        return self._last if prod(run.shape(self._last)[:-1]) == run.probe.ids.size else None

    def of_tokens(self, run: ObservedRun) -> bool:
        """Tell whether the dense layers take all tokens, of which one is taken afterwards."""
        return bool(self.layers) and prod(run.shape(self.pooled)[:-1]) == run.probe.ids.size > len(run.probe.ids)

    def read(self, run: ObservedRun, states: np.ndarray) -> HeadRead:
        """Return what the head computes, told by a run of the whole graph.

        Args:
            run: the run.
            states: what the last layer makes of its probe, [rows of `Probe.counted`, hidden].

        Raises:
            GraphError: the pooler, an activation, or what is done at the end is none that is known.
        """
        if self.of_tokens(run):  # of the first, as the end of the proof will show
            pooler, unit = Read("first", f"node '{run.output.node}'"), False
        else:
            pooler, unit = self._pooler(run.value(self.pooled), states, run.probe)
            self._check_far(run, states, pooler.value, unit=unit)
        if not self.layers:
            return HeadRead(pooler, (), Read(unit, f"node '{self.pooled.node}'"))
        ends = [*(layer.product.data for layer in self.layers[1:]), run.output]
        dense, normalised = [], Read(False, "")
        for number, (layer, end) in enumerate(zip(self.layers, ends, strict=True)):
            activation, normalised = activation_between(run, layer.last, end, last=number == len(ends) - 1)
            outputs = run.shape(TensorRef(layer.last.name))[-2 if _turned(run, layer.last, end) else -1]
            dense.append(DenseRead(outputs, layer.bias is not None, activation.value, activation.evidence))
        return HeadRead(pooler, tuple(dense), normalised)

    def _pooler(self, found: np.ndarray, states: np.ndarray, probe: Probe) -> tuple[Read[str], bool]:
        """Return the pooler that makes `found`, and whether it is brought to unit length; dense layers take it as it is."""
        where = f"node '{self.pooled.node}'"
        for name in POOLERS:
            row = pooled(name, states, probe)
            for unit in (False,) if self.layers else (False, True):
                expected = normalise(row) if unit else row
                if found.size == expected.size and np.abs(found.reshape(expected.shape) - expected).max() < SAME:
                    return Read(name, where), unit
        known = "; ".join(pooler.words for pooler in POOLERS.values())
        unit_too = "" if self.layers else ", nor that of unit length"
        raise GraphError(
            f"What {where} makes of the tokens of the last layer is none of the poolers that are known ({known}){unit_too}.",
            REPORT,
        )

    def _check_far(self, run: ObservedRun, states: np.ndarray, pooler: str, *, unit: bool) -> None:
        """See that the pooler is that of large states, too: some are cut off far out. The mask is that of the run."""
        last = self.states(run)
        if last is None:
            return
        shape, probe = run.shape(last), run.probe
        far = np.random.default_rng(2).standard_normal(shape) * FAR[1]
        beside = {ref: run.value(ref) for ref in self._beside(last)}
        (found,) = run.part([self.pooled], {**beside, last: far})
        rows = far.reshape(-1, shape[-1])
        if _by_place(run.value(last), states, probe):
            rows = rows.reshape(*probe.ids.shape[::-1], -1).swapaxes(0, 1).reshape(rows.shape)
        row = pooled(pooler, rows[probe.counted.ravel()], probe)
        expected = normalise(row) if unit else row
        if not np.abs(found.reshape(expected.shape) - expected).max() < SAME * FAR[1]:
            raise GraphError(
                f"Node '{self.pooled.node}' takes {POOLERS[pooler].words} of usual states, and something else of large "
                "states.",
                REPORT,
            )
        if unit:
            (short,) = run.part([self.pooled], {**beside, last: far / FAR[1] * NEAR})
            check_unit(short.reshape(row.shape), row, self.pooled)


def pooling_mode(encoder: EncoderBlueprint) -> str:
    """Return the mode of the pooling in sentence-transformers."""
    return POOLERS[encoder.pooler.value].sentence_transformers


def head_config(encoder: EncoderBlueprint) -> dict[str, Any]:
    """Return the entry of `config.json` under `HEAD`, which our model classes make their head by."""
    inputs = [encoder.hidden_size.value, *(layer.outputs for layer in encoder.dense)]
    dense = [
        {
            "in_features": width,
            "out_features": layer.outputs,
            "bias": layer.bias,
            "activation": transformers_name(layer.activation),
        }
        for width, layer in zip(inputs[:-1], encoder.dense, strict=True)
    ]
    return {"pooling": encoder.pooler.value, "dense": dense}


@dataclass(frozen=True)
class WrittenHead:
    """What follows an encoder, as `config.json` has it.

    Attributes:
        pooling: a name of `POOLERS`.
        dense: state-dict key (without `.weight`) and activation, as transformers calls it, of each dense layer in turn.
        normalised: whether the embedding is divided by its L2 norm.
    """

    pooling: str = "first"
    dense: Sequence[tuple[str, str]] = ()
    normalised: bool = False


def written_head(config: Mapping[str, Any]) -> WrittenHead:
    """Return the head that is described, or else that of `BertModel` with the activation that is named.

    `classifier_activation` is of MobileBERT, whose pooler takes the first token as it is where that is false.

    Raises:
        KeyError, TypeError: something is missing in the description.
    """
    normalised = bool(config.get("pooler_normalize", False))
    if HEAD not in config and not config.get("classifier_activation", True):
        return WrittenHead("first", (), normalised)
    if HEAD not in config:
        return WrittenHead("first", [("pooler.dense", config.get("pooler_act", "tanh"))], normalised)
    dense = [(dense_key(number), layer["activation"]) for number, layer in enumerate(config[HEAD]["dense"])]
    return WrittenHead(config[HEAD]["pooling"], dense, normalised)


@dataclass(frozen=True)
class HeadRead:
    """What was read of a head; see `EncoderBlueprint`."""

    pooler: Read[str]
    dense: tuple[DenseRead, ...]
    normalised: Read[bool]

    @property
    def takes_first_tokens(self) -> bool:
        """Whether what the pooler makes are the first tokens of the last layer."""
        return self.pooler.value == "first"

    def stages(self, states: np.ndarray, probe: Probe, weights: TensorOf) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, value) of each stage after the last layer, [batch, …].

        Yields:
            "pooling", what the pooler makes; "dense i" of all dense layers but the last; "pooled", what the last makes, or
            the pooler where there is none; "embedding".
        """
        x = pooled(self.pooler.value, states, probe)
        yield POOLING, x
        for number, layer in enumerate(self.dense):
            x = x @ weights(f"{dense_key(number)}.weight").T
            if layer.bias:
                x = x + weights(f"{dense_key(number)}.bias")
            x = ACTIVATIONS[layer.activation].function(x)
            if number < len(self.dense) - 1:
                yield f"dense {number}", x
        yield POOLED, x
        yield EMBEDDING, normalise(x) if self.normalised.value else x


def texts_of(probe: Probe) -> list[slice]:
    """Return the rows of `Probe.counted` that belong to each text."""
    ends = np.cumsum(probe.counted.sum(axis=1))
    return [slice(int(start), int(end)) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def pooled(name: str, states: np.ndarray, probe: Probe) -> np.ndarray:
    """Return what a pooler makes of states [rows of `Probe.counted`, hidden]: [batch, hidden]."""
    attended = probe.attended[probe.counted]
    function = POOLERS[name].function
    return np.stack([function(states[at], attended[at]) for at in texts_of(probe)])


def _by_place(found: np.ndarray, states: np.ndarray, probe: Probe) -> bool:
    """Whether the tensor of `states` keeps the places of all texts together, and not those of one."""
    rows = found.reshape(-1, states.shape[-1])[probe.counted.ravel()]
    return not np.abs(rows - states).max() < SAME


def activation_between(run: ObservedRun, start: Node, end: TensorRef, *, last: bool) -> tuple[Read[str], Read[bool]]:
    """Identify the activation between the output of `start` and the tensor `end`; `last`: an L2 norm may follow."""
    begin, turned = TensorRef(start.name), last and _turned(run, start, end)
    # Where all tokens come that far, and one of each text goes on, what the others are makes no difference.
    tokens = last and not turned and prod(run.shape(begin)[:-1]) == run.probe.ids.size > prod(run.shape(end)[:-1])

    def between(x: np.ndarray) -> np.ndarray:
        if tokens:
            all_of_them = np.zeros((len(run.probe.ids), *run.probe.ids.shape[1:], x.shape[-1]))
            all_of_them[:, 0] = x
            x = all_of_them.reshape(run.shape(begin))
        return run.part([end], {begin: np.swapaxes(x, -1, -2) if turned else x})[0]

    return identify_activation(between, run.shape(end if turned or tokens else begin), start, end, last=last)


def _turned(run: ObservedRun, start: Node, end: TensorRef) -> bool:
    """Whether the rows of `end` are columns of `start`, as where a bias is added to W^T x^T."""
    first, last = run.shape(TensorRef(start.name)), run.shape(end)
    return first != last and len(first) > 1 and last == (*first[:-2], first[-1], first[-2])
