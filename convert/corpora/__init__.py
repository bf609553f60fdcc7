"""Corpora: embedded, compared with stored vectors, and proved, at any size."""

from hub2hf.corpora.embed import Embeddings, embed

__all__ = ["Embeddings", "embed"]
