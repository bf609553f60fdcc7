"""MobileBERT as ONNX nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub2hf.architectures.mobilebert.reference import JOINED, NORM, TABLES, layer_key
from hub2hf.architectures.mobilebert.structure import pairs
from hub2hf.onnx.graph import OnnxGraph
from hub2hf.onnx.layers import activation, dense
from hub2hf.onnx.post_norm import LAST, by_heads, contexts, ignored_scores, positions


def mobilebert(graph: OnnxGraph, config: Mapping[str, Any]) -> None:
    """Add the encoder, whose last hidden state, float32 [batch, length, hidden], is called `last_hidden_state`.

    Args:
        graph: has the inputs `input_ids`, `attention_mask` and `token_type_ids`, int64 [batch, length].
        config: the content of `config.json`.
    """
    layers, heads, inside = (
        config[name] for name in ("num_hidden_layers", "num_attention_heads", "intra_bottleneck_size")
    )
    x, ignored = _embeddings(graph), ignored_scores(graph)
    for i in range(layers):
        at = layer_key(i)
        shared, own = _block(graph, x, f"{at}.bottleneck.attention"), f"{at}.attention.self"
        query, key, value = (
            by_heads(graph, given, f"{own}.{name}", heads, inside)
            for name, given in (("query", shared), ("key", shared), ("value", x))
        )
        context = contexts(graph, query, key, value, ignored, heads, inside, own)
        narrow = _block(graph, context, f"{at}.attention.output", _block(graph, x, f"{at}.bottleneck.input"))
        for inner, outer in pairs(config["num_feedforward_networks"]):
            middle = dense(graph, narrow, f"{at}.{inner}.dense")
            middle = activation(graph, middle, config["hidden_act"], f"{at}.{inner}")
            narrow = _block(graph, middle, f"{at}.{outer}", narrow)
        x = _block(graph, narrow, f"{at}.output.bottleneck", x, LAST if i == layers - 1 else "")


def _embeddings(graph: OnnxGraph) -> str:
    """Return what the embeddings of each id and its neighbours become, [batch, length, hidden]."""
    at = "embeddings"
    words = graph.rows(TABLES["words"], "input_ids", f"{at}.word")
    size = graph.shape(TABLES["words"])[1]
    batch = graph.op("Shape", "input_ids", at=at, start=0, end=1)
    shape = graph.op("Concat", batch, graph.constant([1, size], "int64"), at=at, axis=0)
    none = graph.op("Expand", graph.constant(0.0), shape, at=f"{at}.none")
    # One place of zeros at each end: three windows over it are the id after, the id itself, the id before.
    padded = graph.op("Concat", none, words, none, at=f"{at}.padded", axis=1)
    length = graph.op("Shape", "input_ids", at=at, start=1, end=2)
    windows = []
    for start in (2, 1, 0):
        begin = graph.constant([start], "int64")
        end = graph.op("Add", length, begin, at=at)
        windows.append(graph.op("Slice", padded, begin, end, graph.constant([1], "int64"), at=f"{at}.beside"))
    x = dense(graph, graph.op("Concat", *windows, at=f"{at}.beside", axis=2), JOINED)
    types = graph.rows(TABLES["types"], "token_type_ids", f"{at}.token_type")
    for other in (positions(graph, TABLES["positions"], at), types):
        x = graph.op("Add", x, other, at=at)
    return _scaled(graph, x, f"{at}.{NORM}")


def _block(graph: OnnxGraph, x: str, key: str, added: str = "", output: str = "") -> str:
    """Return a dense layer on x, what is added to it, and both scaled and shifted."""
    x = dense(graph, x, f"{key}.dense")
    return _scaled(graph, graph.op("Add", x, added, at=key) if added else x, f"{key}.{NORM}", output)


def _scaled(graph: OnnxGraph, x: str, key: str, output: str = "") -> str:
    x = graph.op("Mul", x, graph.vector(f"{key}.weight"), at=key)
    return graph.op("Add", x, graph.vector(f"{key}.bias"), at=key, output=output)
