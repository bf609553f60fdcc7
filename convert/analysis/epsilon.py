"""Read what weights do not tell: the epsilon of a LayerNorm.

It is the constant that is added under the nearest root. Where there is none, the norm is asked: what it makes of rows of
ever smaller variance tells what stands beside that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from hub2hf.analysis.flow import ADDITIONS, BATCH_NORMS, Norm
from hub2hf.analysis.places import Asking
from hub2hf.analysis.read import SAME, Read
from hub2hf.errors import REPORT, GraphError
from hub2hf.savedmodel.node import Node, TensorRef

ROOTS = frozenset({"Rsqrt", "Sqrt", "Pow"})
MOVES = frozenset(
    {"Reshape", "Transpose", "Identity", "ExpandDims", "Squeeze", "Cast", "BroadcastTo", "Tile", "EnsureShape"}
)
ARITHMETIC = MOVES | {"Einsum", "Mul", "RealDiv", "Sub", "Add", "AddV2", "Reciprocal"}
DEVIATIONS = np.logspace(-9, 3, 13)  # of the rows that a norm is asked with
SMALL = 1e-4  # no deviation of hidden states is as small: what is done to such is of no concern
USUAL = 1e-12  # that of BERT, for norms that do nothing to deviations beyond SMALL
NONE = 1e-20  # an epsilon that is none, but round-off


def read_epsilon(
    nodes: Mapping[str, Node], norms: Sequence[Norm], ask: Callable[[Norm], Read[float]] | None = None
) -> Read[float]:
    """Return the epsilon of the LayerNorms.

    Args:
        nodes: those that reach the output.
        norms: where they take gamma and beta: gamma may be taken before the root, or after it.
        ask: returns the epsilon of one that no constant under a root tells.

    Raises:
        GraphError: none is found, or they differ.
    """
    values = [_epsilon(nodes, norm, ask) for norm in norms]
    for value in values:
        if value.value != values[0].value:
            raise GraphError(
                f"LayerNorm epsilons differ: {values[0].value} at {values[0].evidence}, "
                f"{value.value} at {value.evidence}.",
                "One epsilon for all is expected.",
            )
    return values[0]


def asked_epsilon(asking: Asking, norm: Norm) -> Read[float]:
    """Return the epsilon of a LayerNorm by what it makes of rows of ever smaller deviation.

    Raises:
        GraphError: it does not divide each row by the root of its variance and an epsilon.
    """
    end = norm.beta.node
    row = np.linspace(-1.0, 1.0, prod(asking.flow.shapes[norm.gamma.leaves[0]]))
    row /= row.std()
    out = asking.normed(norm, row, DEVIATIONS)
    ratio = out @ row / len(row)
    if np.abs(out - ratio[:, np.newaxis] * row).max() < SAME and (ratio > 0).all():
        epsilon = float(np.square(DEVIATIONS[0] / ratio[0]) - np.square(DEVIATIONS[0]))
        if epsilon > NONE and np.abs(ratio * np.sqrt(1 + epsilon / np.square(DEVIATIONS)) - 1).max() < SAME:
            return Read(_shortest(epsilon), f"node '{end.name}', asked")
        if np.abs(ratio[DEVIATIONS >= SMALL] - 1).max() < SAME:
            return Read(USUAL, f"node '{end.name}', to which smaller variances are of no concern")
    raise GraphError(
        f"The LayerNorm that ends at node '{end.name}' does not divide by the root of the variance and an epsilon.",
        REPORT,
    )


def _epsilon(nodes: Mapping[str, Node], norm: Norm, ask: Callable[[Norm], Read[float]] | None) -> Read[float]:
    beta = norm.beta.node
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
    if ask is not None:
        return ask(norm)
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
