"""T5's encoder as ONNX nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hub2hf.architectures.t5.reference import ATTENTION, FEED_FORWARD, FINAL, RELATIVE, WORDS, block, buckets
from hub2hf.onnx.graph import OnnxGraph
from hub2hf.onnx.layers import activation, dense
from hub2hf.onnx.post_norm import LAST, ignored_scores

GATED = "gated-"
GELU = {"gelu": "gelu_pytorch_tanh"}  # what "gated-gelu" means to T5Config


def t5(graph: OnnxGraph, config: Mapping[str, Any]) -> None:
    """Add the encoder, whose last hidden state, float32 [batch, length, hidden], is called `last_hidden_state`.

    Args:
        graph: has the inputs `input_ids` and `attention_mask`, int64 [batch, length].
        config: the content of `config.json`, by the names of `transformers.BertConfig` where it has them.
    """
    heads, layers = config["num_attention_heads"], config["num_hidden_layers"]
    epsilon, called = float(config["layer_norm_eps"]), str(config["feed_forward_proj"])
    gate = called.removeprefix(GATED)
    function = GELU.get(gate, gate) if called.startswith(GATED) else called
    x = graph.rows(WORDS, "input_ids", "embeddings")
    added = graph.op(
        "Add", _relative(graph, int(config["relative_attention_max_distance"])), ignored_scores(graph), at="bias"
    )
    for i in range(layers):
        at, inner = block(i), f"{block(i)}.{FEED_FORWARD}"
        normal = _norm(graph, x, f"{at}.layer.0.layer_norm.weight", epsilon)
        x = graph.op("Add", x, _attention(graph, normal, added, heads, f"{at}.{ATTENTION}"), at=f"{at}.layer.0")
        normal = _norm(graph, x, f"{at}.layer.1.layer_norm.weight", epsilon)
        if graph.has(f"{inner}.wi.weight"):
            middle = activation(graph, dense(graph, normal, f"{inner}.wi"), function, inner)
        else:
            middle = activation(graph, dense(graph, normal, f"{inner}.wi_0"), function, inner)
            middle = graph.op("Mul", middle, dense(graph, normal, f"{inner}.wi_1"), at=inner)
        x = graph.op("Add", x, dense(graph, middle, f"{inner}.wo"), at=f"{at}.layer.1")
    _norm(graph, x, FINAL, epsilon, LAST)


def _norm(graph: OnnxGraph, x: str, key: str, epsilon: float, output: str = "") -> str:
    """Return x divided by the root of its mean square along the last axis, and scaled."""
    square = graph.op("ReduceMean", graph.op("Mul", x, x, at=key), graph.constant([-1], "int64"), at=key, keepdims=1)
    root = graph.op("Sqrt", graph.op("Add", square, graph.constant(epsilon), at=key), at=key)
    return graph.op("Mul", graph.op("Div", x, root, at=key), graph.vector(key), at=key, output=output)


def _relative(graph: OnnxGraph, far: int) -> str:
    """Return the bias by relative position, [1, heads, length, length]: beyond `far` tokens all distances share one."""
    count, at = graph.shape(RELATIVE)[0], "relative"
    length = graph.op("Squeeze", graph.op("Shape", "input_ids", at=at, start=1, end=2), at=at)
    places = graph.op("Range", graph.constant(0, "int64"), length, graph.constant(1, "int64"), at=at)
    keys, queries = (graph.op("Unsqueeze", places, graph.constant([axis], "int64"), at=at) for axis in (0, 1))
    away = graph.op("Sub", keys, queries, at=at)
    away = graph.op("Clip", away, graph.constant(-far, "int64"), graph.constant(far, "int64"), at=at)
    of_distance = graph.constant(buckets(np.arange(-far, far + 1), count).tolist(), "int64")
    bucket = graph.op("Gather", of_distance, graph.op("Add", away, graph.constant(far, "int64"), at=at), at=at, axis=0)
    bias = graph.rows(RELATIVE, bucket, at)
    bias = graph.op("Transpose", bias, at=at, perm=[2, 0, 1])
    return graph.op("Unsqueeze", bias, graph.constant([0], "int64"), at=at)


def _attention(graph: OnnxGraph, x: str, added: str, heads: int, at: str) -> str:
    """Return what the attention makes, [batch, length, hidden]; its scores are not scaled."""
    wide = graph.shape(f"{at}.q.weight")[0]
    apart = graph.constant([0, 0, heads, wide // heads], "int64")  # 0: the dimension that is there

    def by_heads(name: str, order: list[int]) -> str:
        part = graph.op("Reshape", dense(graph, x, f"{at}.{name}"), apart, at=f"{at}.{name}")
        return graph.op("Transpose", part, at=f"{at}.{name}", perm=order)

    query, key, value = by_heads("q", [0, 2, 1, 3]), by_heads("k", [0, 2, 3, 1]), by_heads("v", [0, 2, 1, 3])
    scores = graph.op("Add", graph.op("MatMul", query, key, at=f"{at}.scores"), added, at=f"{at}.scores")
    shares = graph.op("Softmax", scores, at=f"{at}.scores", axis=-1)
    context = graph.op("MatMul", shares, value, at=f"{at}.context")
    context = graph.op("Transpose", context, at=f"{at}.context", perm=[0, 2, 1, 3])
    context = graph.op("Reshape", context, graph.constant([0, 0, wide], "int64"), at=f"{at}.context")
    return dense(graph, context, f"{at}.o")
