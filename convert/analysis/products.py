"""Which axes of a product are summed over, and which stay, whatever the op that writes it."""

from __future__ import annotations

from hub2hf.analysis.settle import PRODUCTS
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.arrays import text_attr
from hub2hf.savedmodel.node import Node


def is_product(node: Node) -> bool:
    """Whether a node is a product that sums over an axis: an Einsum may do no more than multiply."""
    if node.op != "Einsum":
        return node.op in PRODUCTS
    return len(node.inputs) == 2 and bool(contracted(node, 0))


def contracted(node: Node, position: int) -> tuple[int, ...]:
    """Return the axes of an operand that a product sums over, in its order; negative ones count from the end.

    Raises:
        GraphError: the equation of an Einsum is malformed.
    """
    if node.op == "Einsum":
        return _axes(node, position, of_result=False)
    return (-2 if _last_stays(node, position) else -1,)


def free(node: Node, position: int) -> tuple[int, ...]:
    """Return the axes of an operand that the result of a product has and the other operand has not, as `contracted` does."""
    if node.op == "Einsum":
        return _axes(node, position, of_result=True)
    return (-1 if _last_stays(node, position) else -2,)


def last_comes_from(node: Node) -> int:
    """Return the position of the operand that the last axis of the result of a product comes from."""
    if node.op != "Einsum":
        return 1
    terms, result = _equation(node)
    found = [i for i in (0, 1) if result[-1:] in terms[i]]
    if len(found) != 1:
        raise GraphError(f"Node '{node.name}' has no axis that is of one operand, at the end.", REPORT)
    return found[0]


def _axes(node: Node, position: int, *, of_result: bool) -> tuple[int, ...]:
    """Return the axes of an operand of an Einsum that either the result has, or the other operand, and not both."""
    terms, result = _equation(node)
    own, other = terms[position], terms[1 - position]
    return tuple(
        _axis(own, label) for label in _labels(own) if (label in result, label in other) == (of_result, not of_result)
    )


def _last_stays(node: Node, position: int) -> bool:
    """Whether the last axis of an operand of a MatMul is one of the result."""
    names = (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))[position]
    turned = any(node.attr(name, False) for name in names)
    return turned if position == 0 else not turned


def _equation(node: Node) -> tuple[list[str], str]:
    left, arrow, result = text_attr(node, "equation").replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow or len(terms) != 2:
        raise GraphError(f"The equation of node '{node.name}' is not one of two operands and a result.", REPORT)
    return terms, result


def _labels(term: str) -> str:
    return term.replace(".", "")


def _axis(term: str, label: str) -> int:
    at = term.index(label)
    return at - len(term) if "." in term and at > term.index(".") else at
