"""Encoders with LayerNorm after each part, BERT and its kin, as ONNX nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub2hf.architectures.post_norm.mapping import PROJECTION, layer_key
from hub2hf.onnx.graph import OnnxGraph
from hub2hf.onnx.layers import activation, dense, layer_norm

# Added to the score of what attention ignores: far below where exp gives 0, and finite in every dtype that a runtime may
# choose to compute in (it is the least float16), so that a row of which nothing is attended becomes no NaN.
IGNORED = -65504.0
LAST = "last_hidden_state"


def post_norm(graph: OnnxGraph, config: Mapping[str, Any]) -> None:
    """Add the encoder, whose last hidden state, float32 [batch, length, hidden], is called `last_hidden_state`.

    Args:
        graph: has the inputs `input_ids`, `attention_mask` and, where there are token types, `token_type_ids`, int64
            [batch, length].
        config: the content of `config.json`, by the names of `transformers.BertConfig`.
    """
    epsilon, layers = float(config["layer_norm_eps"]), config["num_hidden_layers"]
    shared = "num_hidden_groups" in config  # of ALBERT
    x = _embeddings(graph, epsilon)
    if graph.has(f"{PROJECTION}.weight"):
        x = dense(graph, x, PROJECTION)
    ignored = ignored_scores(graph)
    for i in range(layers):
        at = layer_key(0 if shared else i)
        context = _attention(graph, x, ignored, config["num_attention_heads"], config["hidden_size"], at)
        context = dense(graph, context, f"{at}.attention.output.dense")
        x = graph.op("Add", context, x, at=f"{at}.attention.output")
        x = layer_norm(graph, x, f"{at}.attention.output.LayerNorm", epsilon)
        middle = dense(graph, x, f"{at}.intermediate.dense")
        middle = activation(graph, middle, config["hidden_act"], f"{at}.intermediate")
        x = graph.op("Add", dense(graph, middle, f"{at}.output.dense"), x, at=f"{at}.output")
        x = layer_norm(graph, x, f"{at}.output.LayerNorm", epsilon, LAST if i == layers - 1 else "")


def _embeddings(graph: OnnxGraph, epsilon: float) -> str:
    at = "embeddings"
    places = positions(graph, f"{at}.position_embeddings.weight", at)
    x, *others = (
        graph.rows(f"{at}.{name}_embeddings.weight", ids, f"{at}.{name}")
        for name, ids in (("word", "input_ids"), ("token_type", "token_type_ids"))
        if graph.has(f"{at}.{name}_embeddings.weight")
    )
    for other in (*others, places):
        x = graph.op("Add", x, other, at=at)
    return layer_norm(graph, x, f"{at}.LayerNorm", epsilon)


def positions(graph: OnnxGraph, table: str, at: str) -> str:
    """Return the rows of the table of positions that the texts have, [length, size]."""
    length = graph.op("Shape", "input_ids", at=at, start=1, end=2)
    rows = graph.table(table)
    start = graph.constant([0], "int64")
    return graph.as_float32(graph.op("Slice", rows, start, length, start, at=f"{at}.positions"), at)


def ignored_scores(graph: OnnxGraph) -> str:
    """Return what is added to the scores, [batch, 1, 1, length]: 0 or `IGNORED`."""
    at = "attention_mask"
    mask = graph.op("Unsqueeze", at, graph.constant([1, 2], "int64"), at=at)
    mask = graph.cast(mask, "float32", at)
    absent = graph.op("Sub", graph.constant(1.0), mask, at=at)
    return graph.op("Mul", absent, graph.constant(IGNORED), at=at)


def _attention(graph: OnnxGraph, x: str, ignored: str, heads: int, hidden: int, at: str) -> str:
    """Return the context [batch, length, hidden]."""
    at = f"{at}.attention.self"
    query, key, value = (by_heads(graph, x, f"{at}.{name}", heads, hidden) for name in ("query", "key", "value"))
    return contexts(graph, query, key, value, ignored, heads, hidden, at)


def by_heads(graph: OnnxGraph, x: str, key: str, heads: int, hidden: int) -> str:
    """Return a dense layer on x, [batch, heads, length, size]; of keys [batch, heads, size, length]."""
    apart = graph.constant([0, 0, heads, hidden // heads], "int64")  # 0: the dimension that is there
    part = graph.op("Reshape", dense(graph, x, key), apart, at=key)
    return graph.op("Transpose", part, at=key, perm=[0, 2, 3, 1] if key.endswith("key") else [0, 2, 1, 3])


def contexts(graph: OnnxGraph, query: str, key: str, value: str, ignored: str, heads: int, hidden: int, at: str) -> str:
    """Return the values by the attention of the queries to the keys, [batch, length, hidden]."""
    scores = graph.op("MatMul", query, key, at=f"{at}.scores")
    scores = graph.op("Div", scores, graph.constant((hidden // heads) ** 0.5), at=f"{at}.scores")
    shares = graph.op("Softmax", graph.op("Add", scores, ignored, at=f"{at}.scores"), at=f"{at}.scores", axis=-1)
    context = graph.op("MatMul", shares, value, at=f"{at}.context")
    context = graph.op("Transpose", context, at=f"{at}.context", perm=[0, 2, 1, 3])
    return graph.op("Reshape", context, graph.constant([0, 0, hidden], "int64"), at=f"{at}.context")
