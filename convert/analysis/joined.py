"""Tables that are kept in several variables, as large ones were for training: their rows one after another, or dealt out.

What looks rows up in several variables, or in several steps, becomes a lookup in one, as if it had been stored so. Which
row of which variable an id leads to is not read from the ops between: they are run on every id, and on variables whose
values are the numbers of their rows; and again on the ids of every probe, since a graph may do something else for some.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import prod

import numpy as np

from hub2hf.analysis.flow import GATHERS, SHAPES, SLICES
from hub2hf.analysis.parts import PASSING, Places
from hub2hf.analysis.settle import PRODUCTS
from hub2hf.errors import REPORT, GraphError, MappingError
from hub2hf.interpreter import Interpreter, Substitutes
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.values import Joined, Shard

# What rows that were looked up pass on their way to those of the other variables, and where they may meet.
STITCHES = frozenset({"DynamicStitch", "ParallelDynamicStitch"})
CHOOSING = STITCHES | {"Select", "SelectV2"}
MEETING = CHOOSING | {"Add", "AddV2", "AddN"}  # of rows made 0 where they are not meant
# Of the rows of each place, of which there may be but one.
SUMS = frozenset({"SparseSegmentSum", "SegmentSum", "SparseSegmentMean", "SegmentMean"})
AGAIN = GATHERS | SUMS  # of rows that were looked up, once for each different id
LISTS = frozenset({"TensorListStack", "TensorListConcat", "TensorListConcatV2"})  # what puts together what a loop makes
LOOPS = frozenset({"While", "StatelessWhile"})
CARRYING = MEETING | PASSING | LISTS | LOOPS | {"Reshape", "Cast", "Mul", "ExpandDims", "Squeeze"}
ASKED = 4096  # ids at a time
FIRST = 128  # ids that are asked before all are
PART = re.compile(r"/part_\d+$")  # tensorflow/python/ops/partitioned_variables.py names the parts so
MAX_SOURCES = 4  # tensors that may be the ids of a lookup
NARROW = 2  # columns are enough to tell rows by


@dataclass(frozen=True)
class Lookup:
    """A lookup in several variables.

    Attributes:
        graph: the graph that has it.
        nodes: the nodes of the variables, in the order of their rows.
        forms: of each of them, the axes that count its rows: one of a table, two of one in pages.
        width: of their rows.
        ids, found: the tensor of ids, and that of the rows that are looked up; None and the variables in one, where these
            are joined before.
        numbers: int64, id → number of its row, counted over `nodes`.
        flat: whether `found` has all rows in one axis, whatever the shape of the ids.
    """

    graph: Graph
    nodes: tuple[str, ...]
    forms: tuple[tuple[int, ...], ...]
    width: int
    ids: TensorRef | None
    found: TensorRef
    numbers: np.ndarray
    flat: bool = False

    @property
    def rows(self) -> tuple[int, ...]:
        """How many rows each of the variables has."""
        return tuple(map(prod, self.forms))

    @property
    def node(self) -> str:
        """The name of the node of the joined variable."""
        return f"{self.found.node}/hub2hf/joined"

    def joined(self, leaves: Places) -> Joined:
        """Return how the rows make one table.

        Raises:
            MappingError: they are in no regular order.
        """
        ends = np.cumsum(self.rows)
        owners = np.searchsorted(ends, self.numbers, side="right")
        order = list(dict.fromkeys(owners.tolist()))
        shards = tuple(self._shard(leaves, i) for i in order)
        for is_dealt in (False, True):
            joined = Joined(shards, is_dealt)
            if len(order) == len(self.rows) and all(
                np.array_equal(self.numbers[places], np.arange(ends[i] - self.rows[i], ends[i]))
                for i, places in zip(order, joined.places(), strict=True)
            ):
                return joined
        names = ", ".join(f"'{shard.variable}'" for shard in shards)
        raise MappingError(f"Node '{self.found.node}' looks ids up in {names}, in no regular order.", REPORT)

    def _shard(self, leaves: Places, i: int) -> Shard:
        variable, part = leaves[self.nodes[i]]
        return Shard(variable, part[0].start if part else 0, self.rows[i])

    def check(self, ids: np.ndarray) -> None:
        """See that these ids lead to the rows that each of them leads to.

        Raises:
            GraphError: one does not.
        """
        if self.ids is None or not ids.size:
            return
        inside = (ids >= 0) & (ids < len(self.numbers))
        found = self._asking.rows(ids, self.width) if inside.all() else None
        if found is None or not np.array_equal(found[..., 0].ravel(), self.numbers[ids].ravel()):
            raise GraphError(f"Node '{self.found.node}' does not look every id up in the same row.", REPORT)

    @cached_property
    def _asking(self) -> _Asking:
        assert self.ids is not None
        return _Asking(self.graph, dict(zip(self.nodes, self.forms, strict=True)), self.ids, self.found)


class _Numbered:
    """Variables whose values are the numbers of their rows, in every column, or those of their columns, in every row."""

    def __init__(self, forms: Mapping[str, tuple[int, ...]]) -> None:
        self.forms, self.width, self.columns = forms, 0, False
        starts = np.cumsum([0, *map(prod, forms.values())])
        self.first = dict(zip(forms, starts.tolist(), strict=False))
        self.total = int(starts[-1])
        self._numbers: dict[str, np.ndarray] = {}

    def variable(self, name: str) -> np.ndarray:
        if name not in self.forms:
            raise GraphError(f"Variable '{name}' takes part in a lookup in others.", REPORT)
        form = self.forms[name]
        if self.columns:
            return np.broadcast_to(np.arange(float(self.width)), (*form, self.width))
        if name not in self._numbers:
            self._numbers[name] = np.arange(float(prod(form))).reshape((*form, 1)) + self.first[name]
        return np.broadcast_to(self._numbers[name], (*form, self.width))


class _Asking:
    """Runs the part of a graph between ids and the rows that they are looked up in."""

    def __init__(self, graph: Graph, forms: Mapping[str, tuple[int, ...]], ids: TensorRef, found: TensorRef) -> None:
        self.ids, self.found = ids, found
        self._numbered = _Numbered(forms)
        self.total = self._numbered.total
        self._interpreter = Interpreter(graph, Substitutes(self._numbered.variable, {}))

    def _run(self, ids: np.ndarray, width: int, *, columns: bool) -> np.ndarray:
        self._numbered.width, self._numbered.columns = width, columns
        (value,) = self._interpreter.run([self.found], {self.ids: ids})
        return np.asarray(value)

    def rows(self, ids: np.ndarray, width: int) -> np.ndarray | None:
        """Return the number of the row of each id, in all columns; None where what comes out is something else."""
        found, columns = (self._run(ids, width, columns=columns) for columns in (False, True))
        whole = np.rint(found).astype(np.int64)
        if found.shape[-1:] != (width,) or found.size != ids.size * width or (whole != found).any():
            return None
        # Each number as it is, in every column: nothing is added to it, and it is times nothing.
        same = (whole == whole[..., :1]).all() and (columns == np.arange(width)).all()
        return whole if same and width > 1 else None

    def numbers(self, width: int) -> tuple[np.ndarray, bool] | None:
        """Return id → number of its row, and whether they come out flat; None if this is no lookup."""
        every = np.arange(self.total)
        for rank in (1, 2):
            shape = (FIRST,) if rank == 1 else (1, FIRST)
            try:
                some = self.rows(np.resize(every[:: max(1, self.total // FIRST)], shape), width)
                if some is not None:
                    found = [self._numbers(every[at : at + ASKED], rank, width) for at in range(0, self.total, ASKED)]
                    return np.concatenate(found), some.shape[:-1] != shape
            except GraphError:
                continue  # ids of another rank
        return None

    def _numbers(self, ids: np.ndarray, rank: int, width: int) -> np.ndarray:
        filled = np.resize(ids, (ASKED,) if rank == 1 else (ASKED // FIRST, FIRST))
        try:
            found = self.rows(filled, NARROW)
        except GraphError:  # the width may be written into the graph
            found = self.rows(filled, width)
        if found is None:
            raise GraphError(f"Node '{self.found.node}' does more than look up rows.", REPORT)
        return found[..., 0].ravel()[: len(ids)]


def lookups(graph: Graph, order: Sequence[Node], leaves: Places, shapes: Mapping[str, tuple[int, ...]]) -> list[Lookup]:
    """Return the lookups in several variables, of rows of one width, or in several steps; each variable is in one at most.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        leaves: what nodes are variables.
        shapes: variable → its shape.
    """
    sizes = {node: size for node, (leaf, part) in leaves.items() if (size := _size(part, shapes[leaf])) is not None}
    searching = _Searching(graph, order, leaves, sizes)
    taken: set[str] = set()
    found: list[Lookup] = []
    for node in reversed(order):  # where all of them have met comes after where some have
        if searching.ends(node) and not searching.carried[node.name] & taken:
            lookup = searching.lookup(node)
            if lookup is not None:
                taken |= {*lookup.nodes}
                found.append(lookup)
    return found


def _size(part: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[tuple[int, ...], int] | None:
    """Return the axes that count the rows of a part of a variable, and their width; None where it is no part by rows."""
    if not part:
        return (shape[:-1], shape[-1]) if len(shape) > 1 else None
    if len(shape) != 2:
        return None
    rows, columns = part
    return ((rows.stop - rows.start,), shape[1]) if (columns.start, columns.stop) == (0, shape[1]) else None


class _Searching:
    """Looks for places where rows of several variables meet.

    Attributes:
        carried: node → the nodes of the variables whose rows reach it, perhaps as they are.
    """

    def __init__(
        self, graph: Graph, order: Sequence[Node], leaves: Places, sizes: Mapping[str, tuple[tuple[int, ...], int]]
    ) -> None:
        # Constants that hold weights are asked as variables are.
        asked = {name: Node.made(name, "VariableV2") for name in sizes}
        self.leaves = leaves
        self.graph, self.order, self.sizes = Graph({**graph.nodes, **asked}, graph.functions), order, sizes
        self.at = {node.name: i for i, node in enumerate(order)}
        self.still: dict[str, bool] = {}  # whether a node depends on nothing that is fed
        self.carried: dict[str, frozenset[str]] = {}
        self.changed: set[str] = set()  # the nodes that rows reach as something else
        self.users: dict[TensorRef, list[tuple[Node, int]]] = {}
        for node in order:
            own = node.op == "Const" or node.name in leaves
            self.still[node.name] = own or (bool(node.inputs) and all(self.still[ref.node] for ref in node.inputs))
            self.carried[node.name] = frozenset([node.name]) if node.name in sizes else self._carried(node)
            for position, ref in enumerate(node.inputs):
                self.users.setdefault(ref, []).append((node, position))

    def _carried(self, node: Node) -> frozenset[str]:
        rows = [self.carried[ref.node] for ref in node.inputs]
        together = frozenset[str]().union(*rows)
        # What is made of the rows themselves is no mask for them.
        if not self.changed.isdisjoint(ref.node for ref in node.inputs) or (node.op == "Mul" and all(rows)):
            self.changed.add(node.name)
            return frozenset()
        passes = (
            node.op in CARRYING
            or (node.op in AGAIN and together == rows[0])
            or (node.op == "ConcatV2" and self.still[node.name] and all(rows[:-1]))
        )
        widths = {self.sizes[name][1] for name in together}
        if passes and len(widths) == 1:
            return together
        self.changed |= {node.name} if together and node.op not in SHAPES else set()
        return frozenset()

    def ends(self, node: Node) -> bool:
        """Whether a lookup that is more than an op may end at a node."""
        if node.op in SUMS | LISTS or (node.op in AGAIN and not self.still[node.inputs[0].node]):
            return bool(self.carried[node.name])
        if node.op in GATHERS and not self.still[node.name]:  # one of several axes takes several numbers
            return any(len(self.sizes[name][0]) > 1 for name in self.carried[node.name])
        return node.op in MEETING | {"ConcatV2"} and len(self.carried[node.name]) > 1

    def lookup(self, node: Node) -> Lookup | None:
        """Return the lookup that ends at a node; None if none does."""
        nodes = self.carried[node.name]
        forms = {each.name: self.sizes[each.name][0] for each in self.order if each.name in nodes}
        width, found = self.sizes[min(nodes)][1], TensorRef(node.name)
        if self.still[node.name]:
            names = self._in_turn(node)
            if sorted(names) != sorted(forms) or not (self._only_looked_up(node) or self._one_is_meant(names)):
                return None
            inside = tuple(forms[name] for name in names)
            return Lookup(self.graph, names, inside, width, None, found, np.arange(sum(map(prod, inside))))
        for ids in islice(self._ids(node, nodes), MAX_SOURCES):
            asked = _Asking(self.graph, forms, ids, found).numbers(width)
            if asked:
                return Lookup(self.graph, tuple(forms), tuple(forms.values()), width, ids, found, *asked)
        return None

    def _in_turn(self, node: Node) -> tuple[str, ...]:
        """Return the variables whose rows a node that depends on them alone has one after another; none if it is no such."""
        if node.name in self.sizes:
            return (node.name,)
        if node.op in PASSING:
            return self._in_turn(self.graph.node(node.input(0).node))
        axis = self.graph.node(node.inputs[-1].node) if node.op == "ConcatV2" else node
        if axis.op != "Const" or axis.value.size != 1 or axis.value.item() not in (0, -2):
            return ()
        parts = [self._in_turn(self.graph.node(ref.node)) for ref in node.inputs[:-1]]
        return tuple(name for part in parts for name in part) if all(parts) else ()

    def _one_is_meant(self, names: Sequence[str]) -> bool:
        """Whether names say that these are parts of one variable: kernels of several may be put together, too."""
        stems = {PART.sub("", self.leaves[name][0]) for name in names}
        return len(stems) == 1 and not any(self.leaves[name][0] in stems for name in names)

    def _only_looked_up(self, node: Node) -> bool:
        users = self.users.get(TensorRef(node.name), [])
        return bool(users) and all(
            (user.op in GATHERS | SLICES and position == 0) or (user.op in PASSING and self._only_looked_up(user))
            for user, position in users
        )

    def _ids(self, node: Node, nodes: frozenset[str]) -> Iterator[TensorRef]:
        """Yield the tensors by each of which alone `node` is made of the variables, the nearest first."""
        pending: dict[str, set[TensorRef]] = {}
        missing = set(nodes)
        each = node
        while True:
            for ref in each.inputs:
                if self.still[ref.node]:
                    missing -= self.carried[ref.node]
                else:
                    pending.setdefault(ref.node, set()).add(ref)
            if not pending or each.op in PRODUCTS:
                return
            each = self.order[max(self.at[name] for name in pending)]
            refs = pending.pop(each.name)
            if not pending and not missing and len(refs) == 1:
                yield next(iter(refs))


def joined_in(graph: Graph, found: Iterable[Lookup]) -> Graph:
    """Return `graph` with a lookup in one variable in place of each of those in several."""
    nodes = dict(graph.nodes)
    for lookup in found:
        name, table = lookup.found.node, TensorRef(lookup.node)
        nodes[lookup.node] = Node.made(lookup.node, "VariableV2")
        if lookup.ids is None:
            nodes[name] = replace(nodes[name], op="Identity", inputs=(table,), control_inputs=())
            continue
        ids, zero = lookup.ids, f"{name}/hub2hf/axis"
        nodes[zero] = Node.made(zero, "Const", attributes={"value": np.asarray(0, np.int32)})
        if lookup.flat:
            flat, shape = f"{name}/hub2hf/ids", f"{name}/hub2hf/shape"
            nodes[shape] = Node.made(shape, "Const", attributes={"value": np.asarray([-1], np.int32)})
            nodes[flat] = Node.made(flat, "Reshape", (ids, TensorRef(shape)))
            ids = TensorRef(flat)
        nodes[name] = Node.made(name, "GatherV2", (table, ids, TensorRef(zero)), function=nodes[name].function)
    return Graph(nodes, graph.functions)
