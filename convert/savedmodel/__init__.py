"""A TensorFlow SavedModel, read without TensorFlow: its checkpoint, its graph with functions, its assets."""

from __future__ import annotations

from convert.savedmodel.checkpoint import Checkpoint, Variable

__all__ = ["Checkpoint", "Variable"]
