"""A TensorFlow SavedModel, read without TensorFlow: its checkpoint, its graph with functions, its assets."""

from __future__ import annotations

from convert.savedmodel.checkpoint import Checkpoint, Variable
from convert.savedmodel.graph import Argument, Function, Graph, Scope, parse_tensor_name
from convert.savedmodel.model import SavedModel, Signature, SignatureTensor
from convert.savedmodel.node import Node, TensorRef
from convert.savedmodel.slices import SliceSpec
from convert.savedmodel.stripped import Stripped, stripped
from convert.savedmodel.variables import Binding

__all__ = [
    "Argument",
    "Binding",
    "Checkpoint",
    "Function",
    "Graph",
    "Node",
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
