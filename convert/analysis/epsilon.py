"""Read what weights do not tell: the epsilon of a LayerNorm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hub2hf.analysis.flow import ADDITIONS, BATCH_NORMS
from hub2hf.analysis.read import Read
from hub2hf.errors import REPORT, GraphError
from hub2hf.savedmodel.node import Node, TensorRef

ROOTS = frozenset({"Rsqrt", "Sqrt", "Pow"})
MOVES = frozenset(
    {"Reshape", "Transpose", "Identity", "ExpandDims", "Squeeze", "Cast", "BroadcastTo", "Tile", "EnsureShape"}
)
ARITHMETIC = MOVES | {"Einsum", "Mul", "RealDiv", "Sub", "Add", "AddV2", "Reciprocal"}


def read_epsilon(nodes: Mapping[str, Node], betas: Sequence[Node]) -> Read[float]:
    """Return the epsilon of the LayerNorms.

    Args:
        nodes: those that reach the output.
        betas: the node of each LayerNorm that takes beta, its last: gamma may be taken before the root, or after it.

    Raises:
        GraphError: none is found, or they differ.
    """
    values = [_epsilon(nodes, beta) for beta in betas]
    for value in values:
        if value.value != values[0].value:
            raise GraphError(
                f"LayerNorm epsilons differ: {values[0].value} at {values[0].evidence}, "
                f"{value.value} at {value.evidence}.",
                "One epsilon for all is expected.",
            )
    return values[0]


def _epsilon(nodes: Mapping[str, Node], beta: Node) -> Read[float]:
    root = _nearest_root(nodes, beta)
    if root is not None and root.op in BATCH_NORMS:
        return Read(_shortest(root.attr("epsilon", 1e-4)), f"node '{root.name}'")
    addition = _moved(nodes, root.inputs[0]) if root is not None else None
    if addition is not None and addition.op in ADDITIONS - {"Sub"}:
        for ref in addition.inputs:
            node = _moved(nodes, ref)
            node = _moved(nodes, node.inputs[1]) if node.op == "Fill" else node
            if node.op == "Const" and node.value.size == 1:
                return Read(_shortest(node.value.item()), f"node '{node.name}'")
    raise GraphError(f"No epsilon is added under the root of the LayerNorm of '{beta.name}'.", REPORT)


def _moved(nodes: Mapping[str, Node], ref: TensorRef) -> Node:
    """Return the node that makes a value, before it is moved."""
    node = nodes[ref.node]
    while node.op in MOVES:
        node = nodes[node.inputs[0].node]
    return node


def _nearest_root(nodes: Mapping[str, Node], start: Node) -> Node | None:
    """Return the nearest root, or batch norm, that `start` depends on by arithmetic; `start` itself if it is one."""
    seen, level = {start.name}, [start]
    while level:
        for node in level:
            if node.op in ROOTS | BATCH_NORMS:
                return node
        found = [nodes[ref.node] for node in level if node.op in ARITHMETIC for ref in node.inputs]
        level = []
        for node in found:
            if node.name not in seen:
                seen.add(node.name)
                level.append(node)
    return None


def _shortest(value: float) -> float:
    """Return the shortest decimal number that is the same float32: 1e-12, not 9.99999996e-13."""
    return float(str(np.float32(value)))
