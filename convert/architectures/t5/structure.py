"""The pattern of T5's encoder: RMS norms before each part and at the end, no biases, and one table of relative positions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hub2hf.analysis.flow import ADDITIONS, DATA, Attention, Flow, Join, Norm
from hub2hf.architectures.base import Unlike
from hub2hf.errors import REPORT, MappingError
from hub2hf.savedmodel.node import TensorRef

STEPS = 4  # products by weights of a layer, one after another: values, output, inner, outer


@dataclass(frozen=True)
class Layer:
    """One layer: the norms that precede its two parts, its attention, and the products of its feed-forward part.

    Attributes:
        inner: one product, or two of which one is the gate of the other.
    """

    attention_norm: Norm
    attention: Attention
    norm: Norm
    inner: tuple[Join, ...]
    outer: Join


class Structure:
    """The parts of T5's encoder in a graph.

    Attributes:
        words, lookup: the table of the words, and where it is looked up.
        relative: the first place where a bias by relative position is added; its table is the same everywhere.
        layers: the parts, in order.
        norm: the one at the end.
        depth: that of the last layer.

    Raises:
        MappingError: the computation is not that of such an encoder; says where it parts.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.lookup = self._lookup()
        self.words = self.lookup.leaves[0]
        count = self._count()
        self.relative = self._relative()
        self.layers = tuple(self._layer(number) for number in range(count))
        self.depth = STEPS * count
        self.norm = self._norm(self.depth)

    @property
    def table(self) -> str:
        """The variable of the biases by relative position."""
        return self.relative.leaves[0]

    def _lookup(self) -> Join:
        found = sorted(self.flow.lookups(), key=lambda join: -self.flow.shapes[join.leaves[0]][0])
        if len(found) != 1:
            told = self.flow.shown([join.leaves[0] for join in found]) if found else "none"
            raise Unlike(f"T5 looks up words in one table, and nothing else; this graph uses {told}.", REPORT)
        return found[0]

    def _count(self) -> int:
        """Return the number of layers: as many as begin with an attention."""
        flow, count = self.flow, 0
        while STEPS * (count + 1) < len(flow.steps) and flow.operands_meet(STEPS * count + 1):
            wanted = ((1, 2, 3), (1,), (1, 2), (1,))
            for at, numbers in enumerate(wanted, STEPS * count + 1):
                if len(flow.steps[at]) not in numbers:
                    names = flow.shown([leaf for join in flow.steps[at] for leaf in join.leaves])
                    raise MappingError(
                        f"After {at - 1} products by weights, {len(flow.steps[at])} follow side by side ({names}), where "
                        f"a layer of T5 has {' or '.join(map(str, numbers))}.",
                        REPORT,
                    )
            count += 1
        if not count:
            raise MappingError("No products of queries and keys follow the first product by weights.", REPORT)
        return count

    def _relative(self) -> Join:
        """Return where the table of relative positions is added: a table of two dimensions, to scores or to their mask."""
        shapes = self.flow.shapes
        found = [
            join
            for join in self.flow.joins()
            if join.kind == "add" and len(join.leaves) == 1 and sum(size > 1 for size in shapes[join.leaves[0]]) == 2
        ]
        tables = sorted({join.leaves[0] for join in found})
        if len(tables) != 1:
            told = self.flow.shown(tables) if tables else "none"
            raise MappingError(f"T5 adds one table of relative positions to its scores; this graph: {told}.", REPORT)
        return found[0]

    def _norm(self, depth: int) -> Norm:
        """Return the RMS norm at a depth: a gamma and no beta, whose place it has in `Norm`."""
        gammas, shifts = self.flow.scales(depth), self.flow.biases(depth)
        if len({join.leaves for join in gammas}) != 1 or len(gammas[0].leaves) != 1 or shifts:
            told = self.flow.shown([leaf for join in (*gammas, *shifts) for leaf in join.leaves]) if gammas else "none"
            where = f"after {depth} products by weights" if depth else "after the embeddings"
            raise MappingError(
                f"One norm should follow {where}, with a gamma and nothing added; found: {told}.", REPORT
            )
        return Norm(gammas[0], gammas[0])

    def _layer(self, number: int) -> Layer:
        flow, depth = self.flow, STEPS * number + 1
        attention = flow.attention(depth, f"Layer {number}", biased=False)
        return Layer(
            self._norm(depth - 1),
            attention,
            self._norm(depth + 1),
            tuple(flow.steps[depth + 2]),
            flow.steps[depth + 3][0],
        )

    def stream(self, number: int) -> TensorRef:
        """Return the tensor that layer `number` takes, before its norm: the words, or the sum with what a layer makes."""
        depth = STEPS * number
        if not number:
            return TensorRef(self.lookup.node.name)
        for node in self.flow.nodes.values():
            depths = sorted(self.flow.depth[ref.node] for ref in node.inputs if self.flow.kind[ref.node] == DATA)
            if node.op in ADDITIONS and self.flow.depth[node.name] == depth and len(depths) == 2 and depths[0] < depth:
                return TensorRef(node.name)
        raise MappingError(f"Nothing is added to what layer {number - 1} makes.", REPORT)

    def exchange(self) -> None:
        """Take the queries of all layers for their keys, and their keys for the queries."""
        self.layers = tuple(replace(layer, attention=layer.attention.exchanged()) for layer in self.layers)

    def gated_by(self, number: int) -> None:
        """Take the inner product `number` of every layer for the one with the activation: it comes first then."""
        self.layers = tuple(
            replace(layer, inner=(layer.inner[number], *layer.inner[:number], *layer.inner[number + 1 :]))
            for layer in self.layers
        )
