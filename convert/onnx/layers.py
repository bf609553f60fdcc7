"""Layers that encoders are made of, and what follows an encoder: pooling, dense layers, unit length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from hub2hf.architectures.head import WrittenHead
from hub2hf.errors import ExportError
from hub2hf.onnx.graph import OnnxGraph

LEAST = 1e-12  # below which a norm is taken for it, as torch.nn.functional.normalize has it


def add_head(graph: OnnxGraph, head: WrittenHead, hidden: str, output: str) -> int | None:
    """Add what follows the encoder, from the last hidden state [batch, length, hidden] to the embedding [batch, size].

    Args:
        graph: to which it is added.
        head: what it is.
        hidden, output: the names of the two.

    Returns:
        The size; None where there is no dense layer: it is that of the hidden state.

    Raises:
        ExportError: the pooling, or an activation, has no writer.
    """
    if head.pooling not in POOLINGS:
        raise ExportError(
            f"The pooling '{head.pooling}' cannot be written as ONNX.",
            f"These can: {', '.join(POOLINGS)}. Please report it.",
        )
    size = None
    x = POOLINGS[head.pooling](graph, hidden)
    for key, name in head.dense:
        size = graph.shape(f"{key}.weight")[0]
        x = activation(graph, dense(graph, x, key), name, key)
    if head.normalised:
        norm = graph.op("ReduceL2", x, graph.constant([-1], "int64"), at="norm", keepdims=1)
        norm = graph.op("Max", norm, graph.constant(LEAST), at="norm")
        graph.op("Div", x, norm, at="norm", output=output)
    else:
        graph.op("Identity", x, at="embedding", output=output)
    return size


def dense(graph: OnnxGraph, x: str, key: str) -> str:
    """Return x [..., inputs] times a weight, [..., outputs], plus a bias where there is one."""
    product = graph.product(x, f"{key}.weight", key)
    bias = f"{key}.bias"
    return graph.op("Add", product, graph.vector(bias), at=key) if graph.has(bias) else product


def layer_norm(graph: OnnxGraph, x: str, key: str, epsilon: float, output: str = "") -> str:
    """Return x with mean 0 and variance 1 along its last axis, scaled and shifted; `output` is what it is to be called.

    ONNX Runtime would make one operator, SkipLayerNormalization, of the sum before it and of this, if it could infer that
    what is added has one shape: on the CPU the whole encoder then takes 1.2 times as long. It cannot, as what `Slice` makes
    of the table of positions has a length that it does not know.
    """
    scale, shift = graph.vector(f"{key}.weight"), graph.vector(f"{key}.bias")
    return graph.op("LayerNormalization", x, scale, shift, at=key, output=output, axis=-1, epsilon=epsilon)


def activation(graph: OnnxGraph, x: str, name: str, at: str) -> str:
    """Return an activation of x.

    Args:
        graph: to which it is added.
        x: what it is of.
        name: as transformers has it.
        at: where in the model it stands.

    Raises:
        ExportError: it is none of `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise ExportError(
            f"The activation '{name}' cannot be written as ONNX.",
            f"These can: {', '.join(ACTIVATIONS)}. Please report it.",
        )
    kind, attributes = ACTIVATIONS[name]
    return graph.op(kind, x, at=at, **attributes) if kind else x


# The names of transformers → operator and attributes.
ACTIVATIONS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = MappingProxyType(
    {
        "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
        "gelu": ("Gelu", {"approximate": "none"}),
        "relu": ("Relu", {}),
        "tanh": ("Tanh", {}),
        "linear": ("", {}),
    }
)


def _first(graph: OnnxGraph, hidden: str) -> str:
    return graph.op("Gather", hidden, graph.constant(0, "int64"), at="pooling", axis=1)


def _attended(graph: OnnxGraph) -> str:
    """Return 1 where attention sees a token and 0 elsewhere, float32 [batch, length, 1]."""
    mask = graph.op("Unsqueeze", "attention_mask", graph.constant([-1], "int64"), at="pooling")
    return graph.cast(mask, "float32", "pooling")


def _sum_and_count(graph: OnnxGraph, hidden: str) -> tuple[str, str]:
    mask, axis = _attended(graph), graph.constant([1], "int64")
    total = graph.op("ReduceSum", graph.op("Mul", hidden, mask, at="pooling"), axis, at="pooling.sum", keepdims=0)
    return total, graph.op("ReduceSum", mask, axis, at="pooling.count", keepdims=0)


def _mean(graph: OnnxGraph, hidden: str) -> str:
    total, count = _sum_and_count(graph, hidden)
    return graph.op("Div", total, graph.op("Max", count, graph.constant(1e-9), at="pooling"), at="pooling")


def _mean_sqrt(graph: OnnxGraph, hidden: str) -> str:
    total, count = _sum_and_count(graph, hidden)
    count = graph.op("Max", count, graph.constant(1e-9), at="pooling")
    return graph.op("Div", total, graph.op("Sqrt", count, at="pooling"), at="pooling")


def _max(graph: OnnxGraph, hidden: str) -> str:
    attended = graph.cast(_attended(graph), "bool", "pooling")
    seen = graph.op("Where", attended, hidden, graph.constant(-1e9), at="pooling")
    return graph.op("ReduceMax", seen, graph.constant([1], "int64"), at="pooling", keepdims=0)


POOLINGS: Final[Mapping[str, Callable[[OnnxGraph, str], str]]] = MappingProxyType(
    {"first": _first, "mean": _mean, "max": _max, "mean_sqrt": _mean_sqrt}
)
