"""The ways people load a converted folder, each from texts to ids and unit embeddings. Needs the extra `torch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, BertModel, BertTokenizerFast


@dataclass(frozen=True)
class Embedded:
    """What one way of loading makes of some texts.

    Attributes:
        ids: the ids of each text, without padding.
        embeddings: float32 [texts, hidden], of unit length.
    """

    ids: list[list[int]]
    embeddings: np.ndarray


def _pooled(tokenizer: object, model: object, texts: Sequence[str]) -> Embedded:
    """Tokenise at most 128 pieces (as the folder says), take `pooler_output`, divide by the L2 norm."""
    inputs = tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True)  # type: ignore[operator]
    with torch.no_grad():
        pooled = model.eval()(**inputs).pooler_output  # type: ignore[attr-defined]
    ids = [row[mask.bool()].tolist() for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    return Embedded(ids, torch.nn.functional.normalize(pooled, p=2, dim=-1).numpy())


def automodel(folder: Path, texts: Sequence[str]) -> Embedded:
    """Embed through `AutoTokenizer` and `AutoModel` with the model class that the folder ships."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return _pooled(tokenizer, AutoModel.from_pretrained(folder, trust_remote_code=True), texts)


def card(folder: Path, texts: Sequence[str]) -> Embedded:
    """Embed through `BertTokenizerFast` and `BertModel.pooler_output`, the snippet of the published card."""
    return _pooled(BertTokenizerFast.from_pretrained(folder), BertModel.from_pretrained(folder), texts)


def sentence_transformers(folder: Path, texts: Sequence[str]) -> Embedded:
    """Embed through sentence-transformers, without trust_remote_code."""
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    features = model.preprocess(list(texts)) if hasattr(model, "preprocess") else model.tokenize(list(texts))
    ids = [
        row[mask.bool()].tolist() for row, mask in zip(features["input_ids"], features["attention_mask"], strict=True)
    ]
    embeddings = np.asarray(model.encode(list(texts), normalize_embeddings=True), np.float32)
    return Embedded(ids, embeddings)


SURFACES: dict[str, Callable[[Path, Sequence[str]], Embedded]] = {
    "automodel": automodel,
    "sentence-transformers": sentence_transformers,
    "card": card,
}
