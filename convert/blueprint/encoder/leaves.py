"""The weights of a graph: which nodes hold them, and how these are made of what the SavedModel stores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

from hub2hf.analysis.affine import with_biases
from hub2hf.analysis.as_stored import AsStored, FromStored
from hub2hf.analysis.beside import as_one
from hub2hf.analysis.inline import resolved
from hub2hf.analysis.joined import PART, Lookup, joined_in, lookups
from hub2hf.analysis.made import Made, made_in, with_made, without
from hub2hf.analysis.one_table import summed_apart, tables_apart
from hub2hf.analysis.parts import Part, Places, apart, parts_of, with_variables
from hub2hf.analysis.rows import in_another_shape, in_rows, looked_up_in_rows, rows_added, side_by_side
from hub2hf.analysis.run import Feeds
from hub2hf.analysis.summed import as_products, sums_of_products
from hub2hf.blueprint.probe import EveryPiece
from hub2hf.errors import REPORT, GraphError, MappingError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.dtypes import FLOATS
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.values import Computed, Joined, Values
from hub2hf.savedmodel.variables import VARIABLE_OPS, Binding
from hub2hf.state_dict import Mapped

Sample = Callable[[], tuple[Feeds, Mapping[str, Any]]]  # what a graph may be run on, and its lookup tables
NO_VARIABLE = no_variable("tells which rows are looked up")
# Each takes a graph, its nodes in order, and node of a variable → its shape.
REWRITES = (side_by_side, with_biases, as_one)


class Leaves:
    """The weights that lead to one tensor of a graph; they end what is followed upwards, as the ids of texts do.

    A weight may be a variable, a part of one, several together, a constant, or what the graph makes of these before any text
    comes in. `find` takes another graph, which computes the same, in which each is one variable.

    Args:
        model: the SavedModel.
        graph: its main graph, calls inlined, `settled`.
        output: the tensor of the embedding.
        looping: the graph of which `graph` is what it does for one text, where it loops over texts.

    Attributes:
        graph, output: that are run.
        of: node → the variable that it is, and which part of that.
        shapes: variable → its shape.
        names: variable → what may tell of its place.
        frozen: name → the constant that holds a weight.
        lookups: of tables whose rows several variables hold.
        joined, made, parts: variable → how it is made of others: of several, by the graph, as a part.
        rewritten: whether the graph that is run is another than the one that was given.
        as_stored: the graph as it was given, to hold the other against.
    """

    def __init__(self, model: SavedModel, graph: Graph, output: TensorRef, looping: Graph | None) -> None:
        self.model, self.graph, self.output = model, graph, resolved(graph, output)
        self.lookups: Sequence[Lookup] = ()
        self.joined: dict[str, Joined] = {}
        self.made: dict[str, Made] = {}
        self.parts: dict[str, Part] = {}
        self.rewritten = False
        self._order = order_of(self.graph, [self.output])
        self.of = self._stored(self._order)
        whole = looping or graph
        self.as_stored = AsStored(whole, resolved(whole, output), dict(self.of), dict(self.shapes), dict(self.frozen))

    def find(self, sample: Sample) -> None:
        """Make each weight one variable.

        Args:
            sample: returns what the graph may be run on, and its lookup tables, to see the shapes of values.

        Raises:
            MappingError: a table is looked up in no regular order, or its rows are of several dtypes.
        """
        order = self._multiplied(self._order, sample)
        order = self._in_rows_of_lookups(order)
        order = self._together(order)
        order = self._by_table(order, sample)
        order = self._apart(self._made(order))
        self.graph = in_rows(self.graph, order, self.of)

    def _stored(self, nodes: Sequence[Node]) -> Places:
        """Return node → (variable, part of the whole variable) of what may be weights."""
        bindings = {node.name: self.model.variable_binding(node.name) for node in nodes if node.op in VARIABLE_OPS}
        variables = {name: self.model.checkpoint.variable(binding.key) for name, binding in bindings.items()}
        for name, binding in bindings.items():
            stored = variables[name].shape if binding.slice is None else binding.slice.shape
            self.model.check_stated(self.graph.node(name), tuple(stored))
        self.shapes = {v.name: tuple(v.shape) for v in variables.values()}
        self.names: dict[str, Sequence[str]] = {v.name: (v.name, PART.sub("", n)) for n, v in variables.items()}
        self.frozen: dict[str, Node] = {}
        leaves: Places = {name: (variables[name].name, _part(binding)) for name, binding in bindings.items()}
        rows = None
        if any(len(shape) > 1 for shape in self.shapes.values()):  # else all weights are constants
            rows = rows_added(self.graph, nodes, leaves)
        for node in nodes:
            if node.op == "Const" and str((form := node.value_form)[0]) in FLOATS and form[1] is not None:
                shape = tuple(size or 0 for size in form[1])
                if prod(shape) > 1 and (rows is None or node.name in rows):
                    self.frozen[node.name], self.shapes[node.name] = node, shape
        return (leaves if rows is not None else {}) | {name: (name, ()) for name in self.frozen}

    def _rewrite(self, graph: Graph, order: list[Node]) -> list[Node]:
        """Do as `_take` with a graph that should compute the same in another way."""
        self.rewritten = self.rewritten or graph is not self.graph
        return self._take(graph, order)

    def _take(self, graph: Graph, order: list[Node]) -> list[Node]:
        """Take a graph for the one that is run, whose nodes are `order`; return its own nodes in order."""
        if graph is self.graph:
            return order
        self.graph = graph
        return order_of(graph, [self.output])

    def _multiplied(self, order: list[Node], sample: Sample) -> list[Node]:
        """Make products of what is multiplied number by number and added up; return the order of nodes as it is then."""
        sums = sums_of_products(self.graph, order)
        if not sums:
            return order
        shapes: dict[str, tuple[int, ...]] = {}
        feeds, tables = sample()
        zeros = {node: np.broadcast_to(0.0, self._shape_of(leaf, part)) for node, (leaf, part) in self.of.items()}
        substitutes = Substitutes(zeros.__getitem__, EveryPiece(), tables)

        def take(node: Node, inputs: Any, outputs: tuple[Any, ...]) -> None:
            if not node.function and outputs:
                shapes[node.name] = np.shape(outputs[0])

        try:
            Interpreter(self.graph, substitutes, take).run([self.output], feeds)
        except GraphError:
            return order  # whoever reads the graph says why
        return self._rewrite(as_products(self.graph, sums, shapes), order)

    def _by_table(self, order: list[Node], sample: Sample) -> list[Node]:
        """Make tables of the rows of one that are looked up at several places; return the order of nodes as it is then."""
        forms = {node: self.shapes[leaf] for node, (leaf, part) in self.of.items() if not part}
        tables = {node: shape for node, shape in forms.items() if len(shape) == 2 and shape[0] > 1}

        def run(graph: Graph, refs: Sequence[TensorRef], fed: Mapping[TensorRef, np.ndarray]) -> list[np.ndarray]:
            feeds, filled = sample()
            values = Interpreter(graph, Substitutes(NO_VARIABLE, EveryPiece(), filled)).run(refs, {**feeds, **fed})
            return [np.asarray(value) for value in values]

        for rewrite in (summed_apart, tables_apart):
            with suppress(GraphError):  # whoever reads the graph says why
                order = self._rewrite(rewrite(self.graph, order, tables, run), order)
        return order

    def _in_rows_of_lookups(self, order: list[Node]) -> list[Node]:
        """Give tables the rows that are looked up in them; return the order of nodes as it is then."""
        leaves = self.of
        wholes = {node: self.shapes[leaf] for node, (leaf, part) in leaves.items() if not part}
        found = in_another_shape(self.graph, order, wholes)
        if not found:
            return order
        for table, shape in found.values():
            self.shapes[leaves[table][0]] = shape
        graph = with_variables(self.graph, order, {TensorRef(node): f"{node}/hub2hf/rows" for node in found})
        given = {f"{node}/hub2hf/rows": leaves[table] for node, (table, _) in found.items()}
        tables = {table for table, _ in found.values()}
        self.of = {node: leaf for node, leaf in leaves.items() if node not in tables} | given
        return self._rewrite(graph, order)

    def _together(self, order: list[Node]) -> list[Node]:
        """Make one variable of those that hold the rows of one table; return the order of nodes as it is then."""
        leaves = self.of
        self.lookups = lookups(self.graph, order, leaves, self.shapes)
        if not self.lookups:
            return order
        graph = joined_in(self.graph, self.lookups)
        inside = {node for lookup in self.lookups for node in lookup.nodes}
        kept = {node: leaf for node, leaf in leaves.items() if node not in inside}
        values = Values(self.model.checkpoint if self.model.has_checkpoint else None, self.frozen)
        for lookup in self.lookups:
            joined = lookup.joined(leaves)
            names = [shard.variable for shard in joined.shards]
            if len({values.stored(name).dtype for name in names}) > 1:
                raise MappingError(f"{', '.join(names)} make one table, and have several dtypes.", REPORT)
            if len({*names}) > 1 or joined.dealt or joined.rows != self.shapes[names[0]][0]:
                name = f"{names[0]} and {len(names) - 1} more"
                self.joined[name] = joined
                self.shapes[name] = (joined.rows, lookup.width)
                self.names[name] = tuple(PART.sub("", other) for other in self.names.get(names[0], (names[0],)))
                names = [name]
            kept[lookup.node] = (names[0], ())
        self.of = kept
        return self._take(graph, order)

    def _made(self, order: list[Node]) -> list[Node]:
        """Make variables of the weights that the graph makes of those; return the order of nodes as it is then."""
        leaves = self.of
        most = max((prod(self.shapes[leaf]) for leaf, _ in leaves.values()), default=0)  # those of the words' table
        tables = {n for n, (leaf, part) in leaves.items() if not part and len(self.shapes[leaf]) == 2}
        tables = {n for n in tables if prod(self.shapes[leaves[n][0]]) == most}
        order = self._take(looked_up_in_rows(self.graph, order, tables), order)
        shapes = {node: self._shape_of(leaf, part) for node, (leaf, part) in leaves.items()}
        for rewrite in REWRITES:
            order = self._rewrite(rewrite(self.graph, order, shapes), order)
        found = made_in(self.graph, order, leaves, self.shapes)
        self.made = {made.name: made for made in found}
        if not found:
            return order
        order = self._take(with_made(self.graph, order, found), order)
        self.shapes |= {made.name: made.shape for made in found}
        for made in found:
            self.names[made.name] = self.names.get(made.variables[0], ()) if len(made.variables) == 1 else ()
        reached = {node.name for node in order}
        kept = {node: leaf for node, leaf in leaves.items() if node in reached}
        self.of = kept | {made.variable: (made.name, ()) for made in found}
        return order

    def _shape_of(self, leaf: str, part: tuple[slice, ...]) -> tuple[int, ...]:
        return tuple(each.stop - each.start for each in part) or self.shapes[leaf]

    def _apart(self, order: list[Node]) -> list[Node]:
        """Make variables of the parts of those that are used by parts; return the order of nodes as it is then."""
        wholes = {node: leaf for node, (leaf, part) in self.of.items() if not part}
        parts = parts_of(self.graph, order, wholes, self.shapes)
        self.parts = {part.name: part for part in parts}
        if not parts:
            return order
        self.shapes |= {part.name: part.numbers.shape for part in parts}
        divided = {part.node for part in parts}
        kept = {node: leaf for node, leaf in self.of.items() if node not in divided}
        self.of = kept | {part.variable: (part.name, ()) for part in parts}
        return self._take(apart(self.graph, order, parts), order)

    @property
    def are_made(self) -> bool:
        """Whether some weight is no variable as it is stored."""
        return bool(self.frozen or self.joined or self.made or self.parts)

    @property
    def inside(self) -> set[str]:
        """Names of the variables of which others are made."""
        found = {shard.variable for joined in self.joined.values() for shard in joined.shards}
        return found | {name for made in self.made.values() for name in made.variables}

    def thaw(self, used: Collection[str]) -> None:
        """Make variables of the constants that hold weights: they are run on substitutes too.

        Args:
            used: names of the variables that have a place in the encoder.
        """
        divided = {part.whole for part in self.parts.values() if part.name in used}
        divided |= {shard.variable for joined in self.joined.values() for shard in joined.shards}
        divided |= {name for made in self.made.values() if made.name in used for name in made.variables}
        self.graph = without(self.graph, [made for name, made in self.made.items() if name not in used])
        self.made = {name: made for name, made in self.made.items() if name in used}
        self.frozen = {name: node for name, node in self.frozen.items() if name in used or name in divided}
        if self.frozen:
            thawed = {name: Node.made(name, "VariableV2") for name in self.frozen}
            self.graph = Graph({**self.graph.nodes, **thawed}, self.graph.functions)

    def made_of(self, leaf: str) -> FromStored:
        """Return what a variable of the graph that is run is made of: from a way to read what is stored to its value."""
        if leaf in self.made:
            value, of = self.made[leaf].value, self.made_of
            return lambda read: value(lambda name: of(name)(read))
        if leaf in self.parts:
            part = self.parts[leaf]
            whole = self.made_of(part.whole)
            return lambda read: whole(read).reshape(-1)[part.numbers]
        if leaf in self.joined:
            return self.joined[leaf].of
        return lambda read: read(leaf).reshape(self.shapes[leaf])

    def of_whole(self, item: Mapped) -> Mapped:
        """Return the pair of a variable as it is stored."""
        part = self.parts.get(item.variable)
        item = item if part is None else part.of_whole(item, self.shapes[part.whole])
        made = self.made.get(item.variable)
        return item if made is None else made.of_stored(item)

    def of_several(self, mapped: Sequence[Mapped]) -> dict[str, Joined | Computed]:
        """Return how what is paired with a key, and no variable, is made of those."""
        values = Values(self.model.checkpoint if self.model.has_checkpoint else None, self.frozen, self.joined)
        names = {item.variable for item in mapped} & self.made.keys()
        made = {name: self.made[name] for name in sorted(names)}
        dtypes = {name: values.stored(name).dtype for each in made.values() for name in each.variables}
        return {**self.joined, **{name: each.computed(dtypes) for name, each in made.items()}}


def _part(binding: Binding) -> tuple[slice, ...]:
    """Return the part of the whole variable that a node of a partitioned variable holds."""
    return () if binding.slice is None else binding.slice.index
