"""One table of words, positions and token types, as a table for each: rows from one number to the next.

Where a run shows that each place at which rows are looked up has rows of its own, each looks them up in these alone. What is
proved of the encoder then holds for them, and whether the words have as many rows as pieces is seen elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from hub2hf.analysis.flow import GATHERS, SLICES
from hub2hf.analysis.parts import made_by
from hub2hf.analysis.settle import constant
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.node import Node, TensorRef

Shape = tuple[int, ...]
# The values of tensors of a graph, in a run of several texts, of which others are fed.
Run = Callable[[Graph, Sequence[TensorRef], Mapping[TensorRef, np.ndarray]], list[np.ndarray]]
LOOKUPS = GATHERS - {"GatherNd", "ResourceGatherNd"}


def summed_apart(graph: Graph, order: Sequence[Node], tables: Mapping[str, Shape], run: Run) -> Graph:
    """Return `graph` with a sum of lookups in place of the lookup of several ids in one table whose rows are added up.

    Args:
        graph: a main graph, `settled`.
        order: its nodes, each after its inputs.
        tables: nodes that are variables of two dimensions → their shapes.
        run: runs a graph like it.
    """
    changed: dict[str, Node] = {}
    for node in order:
        found = made_by(graph, node.input(0)) if node.op == "Sum" and not node.attr("keep_dims", False) else None
        if found is None or not _is_lookup(graph, found) or made_by(graph, found.input(0)).name not in tables:
            continue
        packed, axis = made_by(graph, found.input(1)), graph.node(node.input(1).node)
        if packed.op != "Pack" or axis.op != "Const" or axis.value.size != 1:
            continue
        rank = run(graph, [TensorRef(packed.name)], {})[0].ndim
        if int(axis.value.ravel()[0]) % (rank + 1) != int(packed.attr("axis", 0)) % rank:
            continue
        zero = constant(f"{node.name}/hub2hf/axis", np.asarray(0, np.int32))
        lookups = [
            Node.made(f"{node.name}/hub2hf/{i}", "GatherV2", (found.input(0), ids, TensorRef(zero.name)))
            for i, ids in enumerate(packed.inputs)
        ]
        refs = tuple(TensorRef(each.name) for each in lookups)
        total = Node.made(node.name, "AddN", refs, function=node.function)
        changed |= {each.name: each for each in (zero, *lookups, total)}
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def _is_lookup(graph: Graph, node: Node) -> bool:
    """Whether a node looks rows up by their numbers."""
    if node.op != "GatherV2":
        return node.op in LOOKUPS
    axis = graph.node(node.input(2).node)
    return axis.op == "Const" and not axis.value.any() and not node.attr("batch_dims", 0)


def tables_apart(graph: Graph, order: Sequence[Node], tables: Mapping[str, Shape], run: Run) -> Graph:
    """Return `graph` with lookups in parts of a table in place of those of rows that no other place looks up.

    Args:
        graph, order, tables, run: see `summed_apart`.
    """
    sites: dict[str, list[Node]] = {}
    still: set[str] = set()  # nodes that depend on nothing that is fed
    for node in order:
        if node.op == "Const" or node.name in tables or (node.inputs and all(ref.node in still for ref in node.inputs)):
            still.add(node.name)
        if (node.op in SLICES or _is_lookup(graph, node)) and (table := made_by(graph, node.input(0)).name) in tables:
            sites.setdefault(table, []).append(node)
    changed: dict[str, Node] = {}
    for table, places in sites.items():
        if len(places) > 1 and any(node.name not in still for node in places):
            changed |= _apart(graph, table, tables[table], places, run)
    return Graph({**graph.nodes, **changed}, graph.functions) if changed else graph


def _apart(graph: Graph, table: str, shape: Shape, places: Sequence[Node], run: Run) -> dict[str, Node]:
    """Return the nodes that look rows up in parts of a table; none where two places look up rows of the same part."""
    numbers = np.broadcast_to(np.arange(float(shape[0]))[:, np.newaxis], shape)
    rows = run(graph, [TensorRef(node.name) for node in places], {TensorRef(table): numbers})
    if not all(value.size and value.shape[-1:] == shape[1:] for value in rows):
        return {}
    first, last = ([int(end(value)) for value in rows] for end in (np.min, np.max))
    starts = [0, *sorted({*first} - {min(first)})]
    ends = [*starts[1:], shape[0]]
    part = [int(np.searchsorted(starts, number, side="right")) - 1 for number in first]
    if len(starts) < 2 or any(high >= ends[i] for i, high in zip(part, last, strict=True)):
        return {}
    made = _cut(table, places[0].input(0), [*starts, shape[0]])
    for i, node in zip(part, places, strict=True):
        if node.op in LOOKUPS:
            ids = _less(graph, node.input(1), starts[i])
            if ids is None:
                less = Node.made(
                    f"{node.name}/hub2hf/ids", "Sub", (node.input(1), TensorRef(f"{_part(table, i)}/first"))
                )
                made[less.name], ids = less, TensorRef(less.name)
            looked_up = TensorRef(_part(table, i)), ids, TensorRef(f"{table}/hub2hf/axis")
            made[node.name] = Node.made(node.name, "GatherV2", looked_up, function=node.function)
    return made


def _part(table: str, i: int) -> str:
    """Return the name of the node of a part of a table."""
    return f"{table}/hub2hf/rows/{i}"


def _cut(table: str, source: TensorRef, ends: Sequence[int]) -> dict[str, Node]:
    """Return the nodes that cut a table into parts, and the first number of each; `ends` are those of all."""
    made = [constant(f"{table}/hub2hf/axis", np.asarray(0, np.int32))]
    for i, (start, end) in enumerate(pairwise(ends)):
        name = _part(table, i)
        first = constant(f"{name}/first", np.asarray(start, np.int32))
        at = constant(f"{name}/at", np.asarray([start, 0], np.int32))
        size = constant(f"{name}/size", np.asarray([end - start, -1], np.int32))
        made += [first, at, size, Node.made(name, "Slice", (source, TensorRef(at.name), TensorRef(size.name)))]
    return {node.name: node for node in made}


def _less(graph: Graph, ids: TensorRef, start: int) -> TensorRef | None:
    """Return the tensor that `ids` are by `start` more than; None where the graph has none."""
    if not start:
        return ids
    node = made_by(graph, ids)
    for i in (0, 1) if node.op in ("Add", "AddV2") else ():
        more = made_by(graph, node.input(1 - i))
        if more.op == "Const" and more.value.size == 1 and int(more.value.ravel()[0]) == start:
            return node.input(i)
    return None
