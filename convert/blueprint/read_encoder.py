"""Read an `EncoderBlueprint` by the structure of the graph, starting from the variables that the rules name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convert.blueprint.activations import ACTIVATIONS
from convert.blueprint.dataflow import Dataflow, Use
from convert.blueprint.encoder import Read
from convert.blueprint.reference import normalise
from convert.errors import GraphError
from convert.interpreter.arrays import text_attr
from convert.savedmodel.node import Node, TensorRef

PRODUCTS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})
ADDITIONS = frozenset({"BiasAdd", "BiasAddV1", "Add", "AddV2"})
ROOTS = frozenset({"Rsqrt", "Sqrt", "Pow"})
BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
MOVES = frozenset({"Reshape", "Transpose", "Identity", "ExpandDims", "Squeeze", "Mul", "RealDiv", "Cast"})
ARITHMETIC = frozenset({"Mul", "RealDiv", "Sub", "Add", "AddV2", "Reshape", "Identity", "Reciprocal", "Cast"})

# The constants of a graph are float32, and its arithmetic is done here in float64: equal forms agree to about 1e-7.
SAME = 1e-6

REPORT = "Report the model, so that support can be added."


@dataclass(frozen=True)
class EncoderReader:
    """Answers single questions about the encoder.

    Attributes:
        flow: the part of the graph that reaches the output.
        node_of: state-dict key → node of its variable (of its first slice).
    """

    flow: Dataflow
    node_of: dict[str, Node]

    def use(self, key: str, ops: frozenset[str]) -> Use:
        """Return the one use of the variable under `key` by an op of `ops`."""
        node = self.node_of[key]
        found = [use for use in self.flow.uses(node.name) if use.node.op in ops]
        if not found:
            raise GraphError(f"Variable '{node.name}' is not used by any of {', '.join(sorted(ops))}.", REPORT)
        return found[0]

    def dense_input(self, key: str) -> tuple[Node, int]:
        """Return the product that the kernel under `key` takes part in, and the position of its other operand."""
        use = self.use(f"{key}.weight", PRODUCTS)
        return use.node, 1 - use.position

    def dense_output(self, key: str) -> Node:
        """Return the node that adds the bias under `key`."""
        return self.use(f"{key}.bias", ADDITIONS).node

    def attention_product(self) -> Node:
        """Return the node that multiplies queries and keys in layer 0."""
        query = self.dense_output("encoder.layer.0.attention.self.query")
        product = self.flow.forward(query, MOVES, PRODUCTS)
        if product is None:
            raise GraphError(f"No product of queries and keys follows node '{query.name}'.", REPORT)
        return product

    def heads(self, product: Node, operands: Sequence[np.ndarray], hidden: int) -> Read[int]:
        """Return the number of attention heads from the shapes of the operands of `product` as it ran."""
        size = _contracted(product, operands)
        if size < 1 or hidden % size:
            raise GraphError(f"Node '{product.name}' contracts {size} of {hidden} numbers.", REPORT)
        return Read(hidden // size, f"node '{product.name}' contracts {size} of {hidden} numbers")

    def epsilon(self, keys: Sequence[str]) -> Read[float]:
        """Return the epsilon of the LayerNorms whose gammas are under `keys`; they must be equal."""
        values = [self._epsilon(key) for key in keys]
        for value in values:
            if value.value != values[0].value:
                raise GraphError(
                    f"LayerNorm epsilons differ: {values[0].value} at {values[0].evidence}, "
                    f"{value.value} at {value.evidence}.",
                    "A BertModel has one epsilon.",
                )
        return values[0]

    def _epsilon(self, key: str) -> Read[float]:
        gamma = self.use(key, ARITHMETIC | BATCH_NORMS).node
        root = self.flow.backward(gamma, ARITHMETIC, ROOTS | BATCH_NORMS)
        if root is not None and root.op in BATCH_NORMS:
            return Read(_shortest(root.attr("epsilon", 1e-4)), f"node '{root.name}'")
        addition = self.flow.nodes[root.inputs[0].node] if root is not None else None
        if addition is not None and addition.op in ADDITIONS:
            for ref in addition.inputs:
                node = self.flow.nodes[ref.node]
                if node.op == "Const" and node.value.size == 1:
                    return Read(_shortest(node.value.item()), f"node '{node.name}'")
        raise GraphError(f"No epsilon is added under the root of the LayerNorm of '{gamma.name}'.", REPORT)


def _shortest(value: float) -> float:
    """Return the shortest decimal number that is the same float32: 1e-12, not 9.99999996e-13."""
    return float(str(np.float32(value)))


def _contracted(product: Node, operands: Sequence[np.ndarray]) -> int:
    a = operands[0]
    if product.op == "Einsum":
        left, right = text_attr(product, "equation").replace(" ", "").split("->")
        first, second = left.split(",")
        summed = [label for label in first if label in second and label not in right]
        return int(np.prod([a.shape[first.index(label)] for label in summed]))
    transposed = product.attr("adj_x", False) or product.attr("transpose_a", False)
    return int(a.shape[-2 if transposed else -1])


def identify_activation(
    evaluate: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], start: Node, end: TensorRef, *, last: bool
) -> tuple[Read[str], Read[bool]]:
    """Return which activation lies between the output of `start` and the tensor `end`, and whether an L2 norm follows.

    Args:
        evaluate: from a value for the output of `start`, of `shape`, to the value of `end` (any shape of that size).
        last: whether an L2 norm over the last axis may follow the activation.
    """
    x = np.linspace(-6.0, 6.0, int(np.prod(shape))).reshape(shape)
    x = np.random.default_rng(0).permuted(x, axis=None)
    y = evaluate(x).reshape(-1, shape[-1])
    where = f"'{start.name}' → '{end.node}'"
    for name, activation in ACTIVATIONS.items():
        plain = activation.function(x).reshape(-1, shape[-1])
        for normal in (False, True) if last else (False,):
            if np.abs((normalise(plain) if normal else plain) - y).max() < SAME:
                return Read(name, f"nodes {where}"), Read(normal, f"nodes {where}")
    known = ", ".join(ACTIVATIONS)
    raise GraphError(f"The function computed by the nodes {where} is none of: {known}.", REPORT)
