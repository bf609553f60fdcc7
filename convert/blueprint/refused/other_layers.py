"""Layers that are not those of BERT, told by what one run of them shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hub2hf.analysis.flow import ADDITIONS
from hub2hf.analysis.read import SAME
from hub2hf.analysis.settle import PRODUCTS
from hub2hf.blueprint.refused.observed import Observed
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.variables import VARIABLE_OPS

LOWEST = -1000.0  # what is added to the scores of a token that is not to be seen is less than this
TURNING = frozenset({"Cos", "Sin"})


@dataclass(frozen=True)
class Finding:
    """What sets a model apart from a BERT encoder.

    Attributes:
        what: as the end of "This encoder has".
        where: the node that shows it.
        of_text: whether it is how texts are cut: then nothing of what reading them missed need be said.
    """

    what: str
    where: str
    of_text: bool = False

    def __str__(self) -> str:
        return f"{self.what} ({self.where})"


def hidden_size(seen: Observed) -> int | None:
    """Return the width of the residual stream: that of most sums of tokens."""
    widths = Counter(
        seen.shapes[name][-1]
        for name, node in seen.nodes.items()
        if node.op in ADDITIONS
        and seen.is_tokens(seen.shapes.get(name, ()))
        and all(seen.is_tokens(seen.shapes.get(ref.node, ())) for ref in node.inputs)
    )
    return widths.most_common(1)[0][0] if widths else None


def _pre_norm(seen: Observed) -> Iterator[Finding]:
    """The residual stream of a BERT layer is what its attention takes, perhaps scaled; with LayerNorm before it is not."""
    query = _query(seen)
    if query is None or query.node not in seen.values:
        return
    taken = seen.values[query.node].reshape(-1)
    sums = [
        node for node in seen.nodes.values() if node.op in ADDITIONS and seen.is_tokens(seen.shapes.get(node.name, ()))
    ]
    for node in sums:
        for ref in node.inputs:
            value = seen.values.get(ref.node)
            if value is not None and value.size == taken.size and _is_multiple(value.reshape(-1), taken):
                return
    if sums:
        yield Finding("LayerNorm before its layers, not after them (pre-LayerNorm)", f"node '{query.node}'")


def _is_multiple(value: np.ndarray, of: np.ndarray) -> bool:
    times = float(value @ of) / max(float(of @ of), SAME)
    return times != 0 and bool(np.abs(value - times * of).max() < SAME * max(1.0, abs(times)))


def _query(seen: Observed) -> TensorRef | None:
    """Return what the last product with a variable before the first attention takes."""
    if not seen.attention:
        return None
    before, hidden = seen.behind(seen.attention[0]), hidden_size(seen)
    shapes = ((node, data, seen.shapes.get(data.node, ())) for node, _, data in seen.kernels() if node.name in before)
    found = [data for _, data, shape in shapes if seen.is_tokens(shape) and shape[-1] == hidden]
    return found[-1] if found else None


def _scores(seen: Observed) -> Iterator[Finding]:
    """What is added to the scores of attention beside the mask of padding."""
    if not seen.attention:
        return
    before = seen.behind(seen.attention[0])
    for name in before:
        node = seen.nodes.get(name)
        if node is None or node.op not in ADDITIONS or not seen.is_square(seen.shapes.get(name, ())):
            continue
        for ref in node.inputs:
            shape = seen.shapes.get(ref.node, ())
            if tuple(shape[-2:]) != (seen.length, seen.length):
                continue
            behind = seen.made_of(ref.node)
            if any(each.op in PRODUCTS for each in behind):
                continue  # the scores themselves, or positions that are multiplied
            value = _value(seen, ref.node)
            if value is None or np.ptp(value, axis=-2).max() < SAME:
                continue  # the same for every token that looks: a mask of padding
            yield _of_bias(seen, value, behind, node)
            return


def _padding(seen: Observed) -> Iterator[Finding]:
    """Attention that takes from padding."""
    shares = seen.values.get(seen.attention[0]) if seen.attention else None
    if shares is None or shares.shape[0] != seen.batch or seen.attended.all():
        return
    taken = np.moveaxis(shares, -1, 1)[~seen.attended]
    if taken.min() > SAME:
        yield Finding("attention that sees padding (no mask)", f"node '{seen.attention[0]}'")


def _value(seen: Observed, name: str) -> np.ndarray | None:
    value = seen.values.get(name)
    if value is not None:
        return value
    node = seen.graph.nodes[name]
    return np.asarray(node.value, float) if node.op == "Const" and node.value.dtype.kind == "f" else None


def _of_bias(seen: Observed, value: np.ndarray, behind: list[Node], node: Node) -> Finding:
    variable = next((each for each in behind if each.op in VARIABLE_OPS), None)
    first = value.reshape(-1, seen.length, seen.length)[0]
    if value.min() <= LOWEST:
        attended = seen.attended[0]
        hidden = (first <= LOWEST)[attended][:, attended]
        causal = np.array_equal(hidden, np.triu(np.ones_like(hidden), 1))
        which = "the tokens before (causal)" if causal else "some of the other tokens (as local attention does)"
        return Finding(f"attention that sees only {which}", f"node '{node.name}'")
    if variable is not None:
        return Finding(
            f"relative positions, learned in variable '{variable.name}', as T5 and MPNet have", f"node '{node.name}'"
        )
    falls = np.diff(first[0])
    linear = np.ptp(falls) < SAME < np.abs(falls).max()
    like = ", in proportion to it, as ALiBi has" if linear else ""
    return Finding(f"scores of attention that depend on the distance of tokens{like}", f"node '{node.name}'")


def _talking(seen: Observed) -> Iterator[Finding]:
    """A product of scores, or of shares, with a variable mixes the heads."""
    for node, variable, data in seen.kernels():
        if seen.is_square(seen.shapes.get(data.node, ())) or _is_moved(seen, data.node):
            yield Finding(
                f"talking-heads attention: its heads are mixed by variable '{variable.name}'", f"node '{node.name}'"
            )
            return


def _is_moved(seen: Observed, name: str) -> bool:
    """Whether a value is one number for each pair of tokens and head, the heads last."""
    shape = seen.shapes.get(name, ())
    return len(shape) == 4 and shape[1:3] == (seen.length, seen.length)


def _rotary(seen: Observed) -> Iterator[Finding]:
    """Queries and keys that are turned by the cosine and the sine of their positions."""
    if not seen.attention:
        return
    before = seen.behind(seen.attention[0])
    for node in (seen.nodes[name] for name in before if name in seen.nodes):
        if node.op != "Mul" or any(seen.is_square(seen.shapes.get(ref.node, ())) for ref in node.inputs):
            continue
        made = [seen.made_of(ref.node) for ref in node.inputs]
        if any(_is_turning(seen, behind) for behind in made) and any(map(_has_product, made)):
            yield Finding(
                "queries and keys that are turned by their positions (rotary position embeddings, RoPE)",
                f"node '{node.name}'",
            )
            return


def _has_product(behind: list[Node]) -> bool:
    return any(node.op in PRODUCTS for node in behind)


def _is_turning(seen: Observed, behind: list[Node]) -> bool:
    """Whether a value is made of cosines or sines, of no text and no weights, or of a table of such."""
    if any(node.op in VARIABLE_OPS | PRODUCTS for node in behind):
        return False
    tables = [
        node.value for node in behind if node.op == "Const" and node.value.dtype.kind == "f" and node.value.ndim > 1
    ]
    cosines = (t for t in tables if t.size > t.shape[-1] > 1 and np.abs(t).max() <= 1 and np.ptp(t) > SAME)
    return any(node.op in TURNING for node in behind) or any(
        (t.reshape(-1, t.shape[-1])[0] == 1).all() for t in cosines
    )


def _gated(seen: Observed) -> Iterator[Finding]:
    """Two products of the same tokens that are multiplied number by number."""
    if not seen.attention:
        return
    kernels = {node.name: data for node, _, data in seen.kernels() if seen.is_tokens(seen.shapes.get(node.name, ()))}
    for node in seen.nodes.values():
        if node.op == "Mul" and seen.is_tokens(seen.shapes.get(node.name, ())):
            sides = [_products(seen, ref, kernels) for ref in node.inputs]
            if all(len(side) == 1 for side in sides) and len(sides[0] | sides[1]) == 2:
                one, other = (kernels[min(side)] for side in sides)
                if _source(seen, one) == _source(seen, other):
                    yield Finding(
                        "a gated feed-forward part (GLU): two products of the same tokens are multiplied",
                        f"node '{node.name}'",
                    )
                    return


def _products(seen: Observed, ref: TensorRef, kernels: Mapping[str, TensorRef]) -> set[str]:
    """Return the products with weights that a value is made of, up to the nearest."""
    found: set[str] = set()
    known: set[str] = set()
    stack = [ref.node]
    while stack:
        name = stack.pop()
        if name in kernels:
            found.add(name)
        elif name not in known and name in seen.nodes and seen.is_tokens(seen.shapes.get(name, ())):
            known.add(name)
            stack += [each.node for each in seen.nodes[name].inputs]
    return found


def _source(seen: Observed, ref: TensorRef) -> str:
    """Return the node of a value before it was given another shape."""
    node = seen.nodes[ref.node]
    while node.op in ("Reshape", "Transpose", "Identity", "ExpandDims", "Squeeze"):
        node = seen.nodes[node.inputs[0].node]
    return node.name


def crossed(seen: Observed) -> Iterator[Finding]:
    """Attention between tokens and something else."""
    for name in seen.crossed:
        sizes = seen.shapes[name][-2:]
        others = sizes[0] if sizes[1] == seen.length else sizes[1]
        yield Finding(
            f"attention between tokens and {others} others than those of the text (cross-attention)", f"node '{name}'"
        )


def _disentangled(seen: Observed) -> Iterator[Finding]:
    """Products of tokens with as many positions as there are, other than the tokens' own, before the first attention."""
    if not seen.attention:
        return
    before, kernels = seen.behind(seen.attention[0]), {node.name: data for node, _, data in seen.kernels()}
    fixed = [name for name, data in kernels.items() if name in before and not _of_text(seen, data.node)]
    for name in (name for name in seen.nodes if fixed and name in before):
        sizes = seen.shapes.get(name, ())[-2:]
        if name in kernels or seen.nodes[name].op not in PRODUCTS:
            continue
        if seen.length in sizes and len({*sizes}) == 2 and any(each.name in fixed for each in seen.made_of(name)):
            yield Finding(
                "attention between tokens and relative positions (disentangled attention), as DeBERTa has",
                f"node '{name}'",
            )
            return


def _of_text(seen: Observed, name: str) -> bool:
    return any(node.op == "Placeholder" for node in seen.made_of(name))


QUESTIONS = (_pre_norm, crossed, _rotary, _disentangled, _scores, _padding, _talking, _gated)
