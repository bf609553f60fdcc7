"""A graph as it is stored, held against the one that is read: variables put together, products made one.

Each change is right by itself, and what the graph that is read computes is proved. That it computes what the stored one
does is seen here by running both: the stored one on random variables, the other on what is made of the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from hub2hf.analysis.read import SAME
from hub2hf.analysis.substitutes import overlapping
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

FromStored = Callable[[Callable[[str], np.ndarray]], np.ndarray]  # from a way to read what is stored to a value
LARGE = 1 << 20  # numbers of a table whose rows overlap: a run looks up few of them


def same_values(found: np.ndarray, expected: np.ndarray) -> bool:
    """Tell whether two graphs made the same of the same."""
    return found.shape == expected.shape and bool(np.abs(found - expected).max() < SAME)


@dataclass(frozen=True)
class AsStored:
    """A graph before anything of it was changed.

    Attributes:
        graph, output: it, and the tensor of the embedding.
        leaves: node → the variable that it is, and which part of it.
        shapes: variable → its shape.
        frozen: constants that may hold weights.
    """

    graph: Graph
    output: TensorRef
    leaves: Mapping[str, tuple[str, tuple[slice, ...]]]
    shapes: Mapping[str, tuple[int, ...]]
    frozen: Mapping[str, Node]

    def check(self, *changed: Any) -> None:
        """See that a changed graph computes the same; takes what `is_same` does.

        Raises:
            GraphError: it does not.
        """
        if not self.is_same(*changed):
            raise GraphError(
                f"Node '{self.output.node}' computes something else once its weights are put together.",
                "Report the model: this is a fault of the conversion.",
            )

    def is_same(
        self,
        changed: tuple[Graph, TensorRef],
        leaves: Mapping[str, tuple[FromStored, tuple[slice, ...]]],
        substitutes: Substitutes,
        feeds: Sequence[Mapping[TensorRef, Any]],
    ) -> bool:
        """Tell whether a changed graph computes the same.

        Args:
            changed: it, and the tensor of the embedding.
            leaves: node → what of the variables as they are stored its value is made of, and which part of that it is.
            substitutes: of a run; its variables are not asked for.
            feeds: what it is run on, one after another, and the stored one at once.
        """

        def made(name: str) -> np.ndarray:
            value, part = leaves[name]
            return value(self._drawn)[part]

        graph, output = changed
        run = Interpreter(graph, replace(substitutes, variable=made)).run
        found = np.concatenate([np.asarray(run([output], each)[0]) for each in feeds])
        together = {ref: np.concatenate([each[ref] for each in feeds]) for ref in feeds[0]}
        (expected,) = self.run(self.graph, [self.output], substitutes, together)
        return same_values(found, expected)

    def run(
        self, graph: Graph, fetches: Sequence[TensorRef], substitutes: Substitutes, feeds: Mapping[TensorRef, Any]
    ) -> list[np.ndarray]:
        """Return the values of tensors of a graph with the same variables, run on random ones."""

        def variable(name: str) -> np.ndarray:
            leaf, part = self.leaves[name]
            return self._drawn(leaf)[part]

        found = Interpreter(graph, replace(substitutes, variable=variable)).run(fetches, feeds)
        return [np.asarray(value) for value in found]

    def _drawn(self, name: str) -> np.ndarray:
        """Return random numbers in place of a variable, the same for each name."""
        if name in self.frozen:
            return np.asarray(self.frozen[name].value, np.float64)
        shape = self.shapes[name]
        count, random = prod(shape), np.random.default_rng(zlib.crc32(name.encode()))
        if count <= LARGE or len(shape) != 2:
            return np.asarray(random.uniform(-1.0, 1.0, shape) / np.sqrt(shape[0] if len(shape) > 1 else 4.0))
        return overlapping(random.uniform(-1.0, 1.0, LARGE), shape)
