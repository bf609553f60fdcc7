"""A part of the vocabulary, and a promise: the same embedding for every text of the languages that it is kept for."""
