"""A part of the vocabulary, and a promise: the same embedding for every text of the languages that it is kept for."""

from hub2hf.slimming.folder import Slim, slim

__all__ = ["Slim", "slim"]
