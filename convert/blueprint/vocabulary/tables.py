"""What fills the lookup tables of a graph: a text file of pieces, or constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.blueprint.asked.trace import UNSUPPORTED
from hub2hf.blueprint.dataflow import Bodies
from hub2hf.blueprint.vocabulary.lines import lines_in
from hub2hf.errors import GraphError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.interpreter.arrays import text_attr
from hub2hf.interpreter.plan import Body, order_of
from hub2hf.interpreter.run import TABLE_OPS
from hub2hf.interpreter.tables import MUTABLE
from hub2hf.interpreter.utf import byte_strings
from hub2hf.savedmodel.assets import check_vocabulary
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.variables import VARIABLE_OPS

NO_VARIABLE = no_variable("decides what a lookup table holds", UNSUPPORTED)
FROM_FILE = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
FROM_TENSORS = frozenset({"InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2"})
# TextFileIndex of tensorflow/python/ops/lookup_ops.py: the whole line is the key, its number the value.
WHOLE_LINE, LINE_NUMBER = -2, -1
RESTORE, READ_FILE = "RestoreV2", "ReadFile"


@dataclass(frozen=True)
class Filled:
    """What a table holds.

    Attributes:
        filler: the node that fills it.
        path: the file of pieces, one a line, whose numbers are the values; None where the table holds something else.
        contents: what it holds, where constants tell and it is not pieces with their numbers.
    """

    filler: Node
    path: Path | None
    contents: Mapping[Any, Any]


class Tables:
    """The tables of one graph.

    Args:
        model: the SavedModel.
        bodies: its graph, calls inlined.
    """

    def __init__(self, model: SavedModel, bodies: Bodies) -> None:
        self.model, self.bodies = model, bodies
        self._filled: dict[str, Filled] = {}

    def filled(self, table: Node) -> Filled:
        """Return what `table` holds.

        Raises:
            GraphError: nothing fills it, or in a form that is not understood.
        """
        if table.name not in self._filled:
            self._filled[table.name] = self._find(table)
        return self._filled[table.name]

    def others(self) -> dict[str, Mapping[Any, Any]]:
        """Return table → what it holds, of those that hold something else than pieces with their numbers."""
        nodes = [node for op in TABLE_OPS for _, node in self.bodies.find(op)]
        filled = {node.name: self._others(node) for node in nodes}
        return {name: contents for name, contents in filled.items() if contents is not None}

    def _others(self, table: Node) -> Mapping[Any, Any] | None:
        """Return what fills a table; None where that is pieces with their numbers, or is not understood."""
        fillers = [
            pair for op in (*FROM_FILE, *FROM_TENSORS) for pair in self.bodies.find(op) if self._fills(*pair, table)
        ]
        if not fillers or (fillers[0][1].op in FROM_FILE and _is_list(fillers[0][1])):
            return None
        found = self.filled(table)
        return found.contents if found.path is None else None

    def _fills(self, body: Body, filler: Node, table: Node) -> bool:
        filled = self.bodies.origin(body, filler.input(0))
        return filled is not None and filled[1].name == table.name

    def _find(self, table: Node) -> Filled:
        for op in (*FROM_FILE, *FROM_TENSORS):
            for body, node in self.bodies.find(op):
                if self._fills(body, node, table):
                    return self._from_file(body, node) if op in FROM_FILE else self._from_tensors(body, node, table)
        raise GraphError(f"Nothing in the graph fills the lookup table '{table.name}'.", UNSUPPORTED)

    def _from_file(self, body: Body, node: Node) -> Filled:
        name = self.bodies.origin(body, node.input(1))
        if name is None:
            raise GraphError(f"The {node} computes the name of its file.", UNSUPPORTED)
        path = self.model.asset(self._assigned(name[1]).name)
        if _is_list(node):
            return Filled(node, path, {})
        keys, values = _columns(node, path)
        return self._of_pairs(node, keys, values)

    def _assigned(self, node: Node) -> Node:
        """Return what gives an asset's file name: where TensorFlow 2 keeps that in a variable, what is assigned to it."""
        if node.op not in VARIABLE_OPS:
            return node
        for body, assign in self.bodies.find("AssignVariableOp"):
            variable, value = (self.bodies.origin(body, assign.input(i)) for i in (0, 1))
            if variable is not None and value is not None and variable[1].name == node.name:
                return value[1]
        return node

    def _from_tensors(self, body: Body, node: Node, table: Node) -> Filled:
        """Return what constants fill a table with."""
        keys, values = (self._value(body, node.input(i)).ravel() for i in (1, 2))
        keys, values = self._without_marks(table, keys, values)
        if len(keys) != len(values):
            raise GraphError(
                f"Node '{node.name}' fills a table with {len(keys)} keys and {len(values)} values.", UNSUPPORTED
            )
        return self._of_pairs(node, keys, values)

    def _of_pairs(self, node: Node, keys: np.ndarray, values: np.ndarray) -> Filled:
        """Pieces with their numbers are written to a file, as a vocabulary asset has them."""
        order = np.argsort(values, kind="stable") if values.dtype.kind in "iu" else np.arange(len(values))
        if keys.dtype == object and len(keys) and np.array_equal(values[order], np.arange(len(values))):
            keys = keys[order]
            if any(b"\n" in key or b"\r" in key or not key for key in keys):
                raise GraphError(
                    f"Node '{node.name}' has pieces that no line of a vocabulary file can hold.", UNSUPPORTED
                )
            return Filled(node, self.model.keep("vocab.txt", b"".join(key + b"\n" for key in keys)), {})
        return Filled(node, None, dict(zip(keys.tolist(), values.tolist(), strict=True)))

    def _value(self, body: Body, ref: TensorRef) -> np.ndarray:
        """Return a tensor that depends on constants alone."""
        made = self.bodies.source(body, ref)
        node = made[0].node(made[1].node) if made is not None else None
        if node is not None and node.op == "Const":
            return np.asarray(node.value)
        if made is not None and node is not None and node.op == RESTORE:
            return self._restored(made[0], node, made[1].output)
        if not isinstance(body, Graph):
            raise GraphError(f"The {body.node(ref.node)} fills a table with what a function computes.", UNSUPPORTED)
        (value,) = Interpreter(self._with_files(body, ref), Substitutes(NO_VARIABLE, {})).run([ref], {})
        return np.asarray(value)

    def _with_files(self, body: Graph, ref: TensorRef) -> Graph:
        """Return a graph that reads no assets on the way to `ref`: what they hold stands in it."""
        read = [node for node in order_of(body, [ref]) if node.op == READ_FILE]
        made = {}
        for node in read:
            path = self.model.asset(self._assigned(body.node(node.input(0).node)).name)
            check_vocabulary(path)
            value = byte_strings([path.read_bytes()], ())
            made[node.name] = Node.made(node.name, "Const", attributes={"value": value, "dtype": "string"})
        return Graph({**body.nodes, **made}, body.functions) if made else body

    def _restored(self, body: Body, node: Node, at: int) -> np.ndarray:
        """Return a tensor that is read from the checkpoint, as what a mutable table holds is."""
        names = self._value(body, node.input(1)).ravel()
        if at >= len(names):
            raise GraphError(
                f"Node '{node.name}' restores {len(names)} tensors, and another one is taken.", UNSUPPORTED
            )
        return self.model.checkpoint.read(names[at].decode())

    def _without_marks(self, table: Node, keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Leave out the keys that a dense table marks its free places with: they are inputs of the table."""
        marks = [self._value(self.bodies.graph, ref).item() for ref in table.inputs]
        if not marks or len(keys) != len(values):
            return keys, values
        kept = [key not in marks for key in keys.tolist()]
        return keys[kept], values[kept]


def with_plain_tables(graph: Graph) -> Graph:
    """Return the graph, calls inlined, with a plain table for each mutable one that loading the model fills.

    One that nothing fills is empty at first. What a graph puts into a table while it embeds texts is not followed.
    """
    bodies = Bodies(graph)
    fillers = [bodies.origin(body, node.input(0)) for op in FROM_TENSORS for body, node in bodies.find(op)]
    filled = {at[1].name: at[1] for at in fillers if at is not None and at[0] is graph and at[1].op in MUTABLE}
    if not filled:
        return graph
    plain = {name: replace(table, op="HashTableV2") for name, table in filled.items()}
    return Graph({**graph.nodes, **plain}, graph.functions)


def _is_list(filler: Node) -> bool:
    """Tell whether a table is filled from a file of pieces, one a line, with the numbers of their lines."""
    return (filler.attr("key_index"), filler.attr("value_index"), filler.attr("offset", 0)) == (
        WHOLE_LINE,
        LINE_NUMBER,
        0,
    )


def _columns(node: Node, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return keys and values of a file that has them in columns: bytes in an array of objects, int64.

    Raises:
        GraphError: a line lacks one, or a value is no number.
    """
    delimiter = text_attr(node, "delimiter").encode() or b"\t"
    indices = [int(node.attr(name)) for name in ("key_index", "value_index")]
    most, offset = int(node.attr("vocab_size", -1)), int(node.attr("offset", 0))
    keys: list[bytes] = []
    values: list[int] = []
    for number, line in enumerate(islice(lines_in(path), None if most < 0 else most)):
        parts = {WHOLE_LINE: line, LINE_NUMBER: b"%d" % (number + offset), **dict(enumerate(line.split(delimiter)))}
        try:
            keys.append(parts[indices[0]])
            values.append(int(parts[indices[1]]))
        except (KeyError, ValueError) as error:
            raise GraphError(
                f"{path}, line {number + 1}, has no key and number for node '{node.name}'.", UNSUPPORTED
            ) from error
    array = np.empty(len(keys), object)
    array[:] = keys
    return array, np.asarray(values, np.int64)


def told_apart(contents: Mapping[Any, Any]) -> set[int]:
    """Return the integers, and the characters of texts, that a table tells from those beside them.

    Of keys in a row that all lead to one value, as those of a class of code points do, these are the first and the last.
    """
    found: set[int] = set()
    values: dict[int, Any] = {}
    for key, value in contents.items():
        codes = [key] if isinstance(key, int) else [ord(c) for c in key.decode(errors="ignore")]
        if len(codes) == 1:
            values[codes[0]] = value
        else:
            found.update(codes)
    ends = (key for key in values if not values.get(key - 1) == values[key] == values.get(key + 1))
    return found.union(ends)
