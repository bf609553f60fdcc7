"""Corpora: embedded, compared with stored vectors, and proved, at any size."""
