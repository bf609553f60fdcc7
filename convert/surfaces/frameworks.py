"""Frameworks that embed with sentence-transformers: what they do to a text before, and to an embedding after, is theirs."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from hub2hf.surfaces.base import BATCH, Surface
from hub2hf.surfaces.sentence_transformers import Wrapped, described
from hub2hf.surfaces.transformers import LIBRARIES, quiet


def langchain(folder: Path, trusted: bool) -> Wrapped:
    """Load a folder as LangChain does."""
    from langchain_huggingface import HuggingFaceEmbeddings

    quiet()
    embeddings: Any = HuggingFaceEmbeddings(model_name=str(folder), model_kwargs={"device": "cpu"})
    return Wrapped(embeddings._client, embeddings.embed_documents)


def haystack(folder: Path, trusted: bool) -> Wrapped:
    """Load a folder as Haystack does."""
    os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
    from haystack import Document
    from haystack.utils import ComponentDevice
    from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder

    quiet()
    embedder: Any = SentenceTransformersDocumentEmbedder(
        model=str(folder), device=ComponentDevice.from_str("cpu"), batch_size=BATCH, progress_bar=False
    )
    embedder.warm_up()

    def encode(texts: list[str]) -> list[list[float]]:
        documents = [Document(id=str(number), content=text) for number, text in enumerate(texts)]
        return [document.embedding for document in embedder.run(documents)["documents"]]

    return Wrapped(embedder.embedding_backend.model, encode)


def llamaindex(folder: Path, trusted: bool) -> Wrapped:
    """Load a folder as LlamaIndex does."""
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    quiet()
    embedding: Any = HuggingFaceEmbedding(model_name=str(folder), device="cpu", embed_batch_size=BATCH)
    return Wrapped(embedding._model, embedding.get_text_embedding_batch)


_of_frameworks = partial(Surface, exact=True, extra="frameworks", applies=described, by_name=True)
BELOW = ("sentence-transformers", *LIBRARIES)
SURFACES = (
    _of_frameworks(
        title="LangChain",
        code='HuggingFaceEmbeddings(model_name="{id}")',
        load=langchain,
        except_in="texts with line breaks",
        libraries=("langchain-huggingface", *BELOW),
    ),
    _of_frameworks(
        title="Haystack",
        code='SentenceTransformersDocumentEmbedder(model="{id}")',
        load=haystack,
        libraries=("haystack-ai", "sentence-transformers-haystack", *BELOW),
    ),
    _of_frameworks(
        title="LlamaIndex",
        code='HuggingFaceEmbedding(model_name="{id}")',
        load=llamaindex,
        libraries=("llama-index-embeddings-huggingface", *BELOW),
    ),
)
