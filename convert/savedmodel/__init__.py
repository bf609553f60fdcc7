"""A TensorFlow SavedModel, read without TensorFlow: its checkpoint, its graph with functions, its assets."""

from __future__ import annotations

from hub2hf.savedmodel.checkpoint import Checkpoint, Variable
from hub2hf.savedmodel.graph import Argument, Function, Graph, ReadGraph, Scope, parse_tensor_name
from hub2hf.savedmodel.model import SavedModel, Signature, SignatureTensor
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.original import Original
from hub2hf.savedmodel.slices import SliceSpec
from hub2hf.savedmodel.stripped import Stripped, stripped
from hub2hf.savedmodel.variables import Binding

__all__ = [
    "Argument",
    "Binding",
    "Checkpoint",
    "Function",
    "Graph",
    "Node",
    "Original",
    "ReadGraph",
    "SavedModel",
    "Scope",
    "Signature",
    "SignatureTensor",
    "SliceSpec",
    "Stripped",
    "TensorRef",
    "Variable",
    "parse_tensor_name",
    "stripped",
]
