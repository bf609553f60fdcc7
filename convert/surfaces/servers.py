"""Servers that are not run here: what their source says they make of a folder, and which version of it was read.

text-embeddings-inference 1.9.3 (commit 0d124dc): `backends/src/lib.rs` tries ONNX Runtime before Candle where an image has
both, as those for processors do; `backends/ort/src/lib.rs` takes the output `sentence_embedding`; `models/dense.rs` and
`layers/linear.rs` of `backends/candle/src` know the activations; `router/src/lib.rs` reads the pooling.
vLLM 0.33.0: `model_executor/models/adapters.py` reads the dense modules, `transformers_utils/config.py` pooling and
normalisation, `config/model.py` the dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from hub2hf.surfaces.onnxruntime import MODEL


@dataclass(frozen=True)
class Facts:
    """What of a folder decides what a server makes of it.

    Attributes:
        files: paths inside it.
        pooler: a name of `hub2hf.architectures.poolers.POOLERS`.
        hidden_activation, activations: names of `hub2hf.architectures.activations.ACTIVATIONS`; in the encoder, and after
            each dense layer of the pooler.
    """

    files: Collection[str]
    pooler: str
    hidden_activation: str
    activations: Collection[str]


@dataclass(frozen=True)
class Server:
    """A server that is not run here.

    Attributes:
        name: what it is called.
        version: of the source that was read.
        tells: what it makes of a folder, Markdown.
    """

    name: str
    version: str
    tells: Callable[[Facts], str]


def _text_embeddings_inference(facts: Facts) -> str:
    if facts.pooler not in ("first", "mean"):
        return "refuses this folder: it has no such pooling"
    if set(facts.activations) - {"tanh", "none"}:
        candle = (
            "Candle, the backend of its other images, refuses this folder: it knows no such activation of a dense layer"
        )
    elif facts.hidden_activation == "gelu_erf":
        candle = "Candle, the backend of its other images, computes the GELU of the encoder otherwise: close, not exact"
    else:
        candle = "Candle, the backend of its other images, takes every module of this folder"
    if MODEL not in facts.files:
        return f"there is no ONNX file for ONNX Runtime: `hub2hf export . onnx` makes one. {candle}"
    return (
        "its images for processors run `onnx/model.onnx` and take the output `sentence_embedding`, the embedding; with the "
        f"releases that it is built on, tokenizers 0.21 and ONNX Runtime 1.22, that was exact. {candle}"
    )


def _vllm(facts: Facts) -> str:
    if facts.pooler not in ("first", "mean"):
        return "has no such pooling: do not use it with this folder"
    return (
        "takes pooling, dense modules and normalisation as the folder describes them, but computes in half precision unless "
        'it is told `dtype="float32"`'
    )


SERVERS = (
    Server("text-embeddings-inference", "1.9.3", _text_embeddings_inference),
    Server("vLLM", "0.33.0", _vllm),
)
