"""Numbers of pieces that a graph makes in another way than by a table of pieces with their numbers.

It may compare a piece with the list of all, look digits up and read them as a number, add an offset to what a table has,
or gather from a constant. How it goes about that is not read: each piece is asked for its number, and a plain table of what
was answered takes the place of what was asked, so that everything else reads the graph as if it had been written so.
"""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import prod
from random import Random
from typing import Any, TypeVar

import numpy as np

from hub2hf import limits
from hub2hf.blueprint.asked.trace import WORDPIECE
from hub2hf.blueprint.dataflow import PASSED_ON, Bodies
from hub2hf.blueprint.vocabulary.lines import lines_in
from hub2hf.blueprint.vocabulary.tables import Filled, Tables
from hub2hf.errors import REPORT, GraphError, VocabularyError
from hub2hf.interpreter import Interpreter, Substitutes, no_variable
from hub2hf.interpreter.arrays import text_attr
from hub2hf.interpreter.catalog import find
from hub2hf.interpreter.plan import Body, order_of
from hub2hf.interpreter.run import TABLE_OPS
from hub2hf.interpreter.utf import byte_strings
from hub2hf.limits import tick
from hub2hf.savedmodel.graph import Function, Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import ARGUMENT_OP, Node, TensorRef
from hub2hf.savedmodel.variables import VARIABLE_OPS

NO_VARIABLE = no_variable("changes the numbers of pieces")
LOOKUPS = frozenset({"LookupTableFind", "LookupTableFindV2"})
LARGE = 1000  # pieces that are a vocabulary, not a list of exceptions
SAMPLE = 16  # pieces that show whether a tensor numbers them
AT_ONCE, COMPARED_AT_ONCE = 20_000, 16  # pieces that are asked together; each is compared with all of them
MOST_COMPARED = 40_000
STRANGE = (b"\xee\x80\x80", b"no piece \xee\x80\x81", b"##\xee\x80\x82", b"")  # in no vocabulary
MOVED = frozenset({"ExpandDims", "Reshape", "StridedSlice", "Identity", "Tile", "BroadcastTo", "Squeeze", "Snapshot"})
FIXED, OF_PIECES = "the same for all pieces", "made of pieces"


@dataclass(frozen=True)
class Plain:
    """A graph that numbers its pieces by plain tables.

    Attributes:
        graph: the graph.
        never: pieces of its vocabulary that stand for rows which no text should lead to: it is seen later that none does.
    """

    graph: Graph
    never: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Numbered:
    """A tensor of numbers in place of which a table can stand.

    Attributes:
        body: where it is.
        pieces: the tensor of strings that it is made of.
        numbers: itself.
        dtype: of the numbers.
        vocabulary: the pieces in order.
        default: the number of what is none.
        never: see `Plain`.
        node: the WordPiece node that makes the pieces, if one does.
    """

    body: Body
    pieces: TensorRef
    numbers: TensorRef
    dtype: np.dtype[Any]
    vocabulary: tuple[bytes, ...]
    default: int
    never: frozenset[str]
    node: Node | None


Read = TypeVar("Read")
Plainly = Callable[[SavedModel, Graph], tuple[Graph, frozenset[str]]]  # `with_plain_numbers`, or nothing


def as_it_is(model: SavedModel, graph: Graph) -> tuple[Graph, frozenset[str]]:
    """Return the graph as it is."""
    return graph, frozenset()


def numbered_plainly(reading: Callable[[Plainly], Read]) -> Read:
    """Return what is read of a graph as it is; or, where that is refused, with plain tables for the numbers of its pieces.

    Args:
        reading: reads it; is given what it is to make of the graph before anything else.

    Raises:
        Hub2HFError: why it was refused the second time; or the first time, where all tables are plain already.
    """
    try:
        return reading(as_it_is)
    except limits.OutOfTimeError:
        raise
    except (GraphError, VocabularyError) as error:
        refused = error

    def plainly(model: SavedModel, graph: Graph) -> tuple[Graph, frozenset[str]]:
        try:
            found = with_plain_numbers(model, graph)
        except GraphError as error:
            problems = dict.fromkeys([refused.problem, error.problem])
            raise GraphError(" ".join(problems), error.next_step) from error
        if found is None:
            raise refused
        return found.graph, found.never

    return reading(plainly)


def with_plain_numbers(model: SavedModel, graph: Graph) -> Plain | None:
    """Return the graph, calls inlined, with plain tables where pieces get their numbers; None where it has no others.

    Raises:
        GraphError: a table is filled in a way that is not understood, or pieces have numbers that no vocabulary gives them.
    """
    unbounded = _unbounded(model, graph)
    bodies = Bodies(unbounded)
    tables = Tables(model, bodies)
    found: list[_Numbered] = []
    for body in _all(bodies):
        asking = _Asking(bodies, body, tables)
        for pieces in asking.strings():
            numbered = asking.numbered(pieces)
            if numbered is not None:
                found.append(numbered)
    if not found:
        return Plain(unbounded) if unbounded is not graph else None
    return Plain(_replaced(bodies, found), frozenset().union(*(each.never for each in found)))


def _unbounded(model: SavedModel, graph: Graph) -> Graph:
    """Return the graph without bounds for the characters of a piece that no piece reaches."""
    bodies = Bodies(graph)
    tables = Tables(model, bodies)
    changed: dict[Body, dict[str, Node]] = {}
    for body, node in bodies.find(WORDPIECE):
        most = int(node.attr("max_chars_per_token", 0))
        table = bodies.origin(body, node.input(1)) if most > 0 else None
        if table is not None and table[1].op in TABLE_OPS:
            pieces = contents(tables.filled(table[1]))
            if all(len(piece.decode(errors="replace")) <= most for piece in pieces):
                nodes = changed.setdefault(body, dict(body.nodes))
                nodes[node.name] = node.with_attributes(max_chars_per_token=0)
    return _with(bodies, changed, {}) if changed else graph


def _all(bodies: Bodies) -> list[Body]:
    return [bodies.graph, *(bodies.graph.functions[name] for name in bodies.callers)]


class _Asking:
    """Asks one body which numbers it makes of pieces.

    What it is called with is not known, but for tables and constants.
    """

    def __init__(self, bodies: Bodies, body: Body, tables: Tables) -> None:
        self.bodies, self.body, self.tables = bodies, body, tables
        nodes = dict(body.nodes)
        for argument in [node for node in nodes.values() if node.op == ARGUMENT_OP]:
            origin = bodies.origin(body, TensorRef(argument.name))
            if origin is not None and origin[1].op in (*TABLE_OPS, "Const"):
                nodes[argument.name] = replace(origin[1], name=argument.name, function="")
        self.graph = Graph(nodes, bodies.graph.functions)

    def strings(self) -> Iterator[TensorRef]:
        """Yield the tensors of strings that are looked up, or compared with many, each once."""
        seen: set[TensorRef] = set()
        for node in self.body.nodes.values():
            ref = None
            if node.op in LOOKUPS and self._holds_strings(node):
                ref = node.input(1)
            elif node.op == "Equal" and str(node.attr("T", "")) in ("string", "object"):
                large = [i for i in (0, 1) if self._list(node.input(i)) is not None]
                ref = node.input(1 - large[0]) if len(large) == 1 else None
            if ref is not None and (ref := self._before(ref, MOVED)) not in seen:
                seen.add(ref)
                yield ref

    def numbered(self, pieces: TensorRef) -> _Numbered | None:
        """Return what numbers the tensor `pieces` of strings; None where a plain table does, or nothing."""
        kinds = self._kinds(pieces)
        made = [name for name, kind in kinds.items() if kind == OF_PIECES]
        maker = self._before(pieces, PASSED_ON)
        cutter = self.body.nodes[maker.node]
        node = cutter if cutter.op == WORDPIECE and maker.output == 0 else None
        plain = self._plain(node)
        keys = list(plain) if plain else self._keys(made)
        if len(keys) < LARGE:
            return None
        some = keys[:: len(keys) // SAMPLE][:SAMPLE]
        for name in reversed(made):
            ref = TensorRef(name)
            numbers = self._numbers(pieces, ref, some)
            if numbers is not None and len({*numbers.tolist()}) > len(some) // 2:
                return None if self._is_plain(ref, pieces, plain) else self._of(pieces, ref, keys, node, plain)
        return None

    def _of(
        self, pieces: TensorRef, ref: TensorRef, keys: Sequence[bytes], node: Node | None, plain: Sequence[bytes]
    ) -> _Numbered | None:
        """Ask for the number of every piece, twice and in another order; return what a table of these would be."""
        compared = any(self._list(inner) is not None for n in self._between(pieces, ref) for inner in n.inputs)
        if compared and len(keys) > MOST_COMPARED:
            return None
        unknown = text_attr(node, "unknown_token").encode() if node is not None else None
        keys = list(dict.fromkeys([*keys, unknown] if unknown is not None else keys))
        size = COMPARED_AT_ONCE if compared else AT_ONCE
        found = [self._numbers(pieces, ref, keys[i : i + size]) for i in range(0, len(keys), size)]
        again = Random(0).sample(keys, min(len(keys), size))
        turned = self._numbers(pieces, ref, again)
        if turned is None or any(part is None for part in found):
            return None
        numbers = dict(zip(keys, np.concatenate(found).tolist(), strict=True))  # type: ignore[arg-type]
        if [numbers[key] for key in again] != turned.tolist():
            return None
        strange = self._numbers(pieces, ref, STRANGE)
        if strange is None or len({*strange.tolist()}) != 1:
            if node is None:
                return None
            default = -1  # what WordPiece makes is a piece, or the unknown one
        else:
            default = int(strange[0])
        written = _vocabulary(numbers, default, unknown, plain, ref.node)
        return _Numbered(self.body, pieces, ref, turned.dtype, *written, node)

    def _numbers(self, pieces: TensorRef, ref: TensorRef, keys: Sequence[bytes]) -> np.ndarray | None:
        """Return the numbers that `ref` has for `keys`, int [keys]; None where it has no such."""
        tick(ref.node)
        try:
            (value,) = self._interpreter.run([ref], {pieces: byte_strings(list(keys))})
        except GraphError:
            return None
        fits = isinstance(value, np.ndarray) and value.shape == (len(keys),) and value.dtype.kind in "iu"
        return value if fits else None

    @cached_property
    def _interpreter(self) -> Interpreter:
        return Interpreter(self.graph, Substitutes(NO_VARIABLE, {}, _Contents(self)))

    def _kinds(self, pieces: TensorRef) -> dict[str, str]:
        """Return of each node that is made of `pieces`, or of constants, which it is, each after what it takes."""
        users: dict[str, list[str]] = defaultdict(list)
        for node in self.graph.nodes.values():
            for ref in node.inputs:
                users[ref.node].append(node.name)
        reached, stack = {pieces.node}, [pieces.node]
        while stack:
            for name in users[stack.pop()]:
                if name not in reached:
                    reached.add(name)
                    stack.append(name)
        kinds: dict[str, str] = {}
        for node in order_of(self.graph, [TensorRef(name) for name in reached]):
            if node.name == pieces.node:
                continue
            if node.op == "Const" or node.op in TABLE_OPS:
                kinds[node.name] = FIXED
            elif node.inputs and node.op not in VARIABLE_OPS and not node.calls and find(node.op) is not None:
                given = {OF_PIECES if ref == pieces else kinds.get(ref.node, "") for ref in node.inputs}
                if "" not in given:
                    kinds[node.name] = OF_PIECES if OF_PIECES in given else FIXED
        return kinds

    def _between(self, pieces: TensorRef, ref: TensorRef) -> list[Node]:
        return order_of(self.graph, [ref], frozenset([pieces]))

    def _before(self, ref: TensorRef, passing: frozenset[str]) -> TensorRef:
        """Return what a tensor was before it was moved about."""
        while (node := self.body.nodes[ref.node]).op in passing and node.inputs:
            ref = node.inputs[0]
        return ref

    def _list(self, ref: TensorRef) -> np.ndarray | None:
        """Return a constant of as many strings as a vocabulary has."""
        node = self.graph.nodes[self._before(ref, MOVED).node]
        if node.op != "Const":
            return None
        dtype, shape = node.value_form
        many = str(dtype) in ("string", "object") and prod(size or 0 for size in shape or ()) >= LARGE
        return np.ravel(node.value) if many else None

    def _table(self, ref: TensorRef) -> Node | None:
        origin = self.bodies.origin(self.body, ref)
        return origin[1] if origin is not None and origin[1].op in TABLE_OPS else None

    def _holds_strings(self, lookup: Node) -> bool:
        table = self._table(lookup.input(0))
        return table is not None and (
            self.tables.filled(table).path is not None
            or isinstance(next(iter(self.tables.filled(table).contents), None), bytes)
        )

    def _keys(self, made: Sequence[str]) -> list[bytes]:
        """Return the pieces that the nodes `made` look up or compare with."""
        keys: dict[bytes, None] = {}
        for node in map(self.graph.node, made):
            if node.op in LOOKUPS and (table := self._table(node.input(0))) is not None:
                keys.update(dict.fromkeys(key for key in contents(self.tables.filled(table)) if isinstance(key, bytes)))
            for ref in node.inputs:
                keys.update(dict.fromkeys(found.tolist() if (found := self._list(ref)) is not None else ()))
        return list(keys)

    def _plain(self, node: Node | None) -> tuple[bytes, ...]:
        """Return the pieces of the table that a WordPiece node has."""
        table = self._table(node.input(1)) if node is not None else None
        return tuple(key for key in contents(self.tables.filled(table)) if key) if table is not None else ()

    def _is_plain(self, ref: TensorRef, pieces: TensorRef, plain: Sequence[bytes]) -> bool:
        """Tell whether `ref` is what a plain table has for pieces, and nothing else is done to them."""
        node = self.graph.node(self._before(ref, PASSED_ON).node)
        if node.op not in LOOKUPS or self._before(node.input(1), MOVED) != pieces:
            return False
        table = self._table(node.input(0))
        filled = self.tables.filled(table) if table is not None else None
        return filled is not None and filled.path is not None and (not plain or tuple(contents(filled)) == tuple(plain))


class _Contents(Mapping[str, Mapping[Any, Any]]):
    """What the tables of a body hold, by the names of their nodes there."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking
        self._known: dict[str, Mapping[Any, Any]] = {}

    def __getitem__(self, name: str) -> Mapping[Any, Any]:
        if name not in self._known:
            table = self._asking._table(TensorRef(name))
            if table is None:
                raise KeyError(name)
            self._known[name] = contents(self._asking.tables.filled(table))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def contents(filled: Filled) -> Mapping[Any, Any]:
    """Return what a table holds, pieces with their numbers too."""
    if filled.path is None:
        return filled.contents
    most = int(filled.filler.attr("vocab_size", -1))
    lines = islice(lines_in(filled.path), None if most < 0 else most)
    return {line: number for number, line in enumerate(lines)}


def _vocabulary(
    numbers: Mapping[bytes, int], default: int, unknown: bytes | None, plain: Sequence[bytes], evidence: str
) -> tuple[tuple[bytes, ...], int, frozenset[str]]:
    """Return the pieces in the order of their numbers, the default, and those that stand for numbers without a piece.

    Raises:
        GraphError: two pieces have one number, or half of the numbers have no piece.
    """
    kept = {key: number for key, number in numbers.items() if number >= 0}
    like_none = [key for key, number in kept.items() if number == default]
    if like_none:  # one of them may be the piece of that number; others have none of their own
        likely = [unknown, *plain[default : default + 1]] if plain else like_none
        own = next((key for key in likely if key in like_none), None)
        kept = {key: number for key, number in kept.items() if number != default or key == own}
    places = {number: key for key, number in kept.items()}
    size = max(places, default=-1) + 1
    shared = next(((key, places[number]) for key, number in kept.items() if places[number] != key), None)
    if shared:
        told = " and ".join(repr(key.decode(errors="replace")) for key in shared)
        raise GraphError(f"Node '{evidence}' gives one number, {kept[shared[0]]}, to {told}.", REPORT)
    if 2 * len(places) < size:
        raise GraphError(f"Node '{evidence}' gives {len(places)} pieces numbers up to {size - 1}.", REPORT)
    if 0 <= default < size:
        places.setdefault(default, b"[UNK]")
    taken = {*places.values()}
    made = set()
    for number in range(size):
        if number not in places:
            own = plain[number] if number < len(plain) and plain[number] not in taken else b"[unused%d]" % number
            if own in taken:
                raise GraphError(f"Node '{evidence}' has a number, {number}, that is no piece's.", REPORT)
            places[number] = own
            made.add(own)
            taken.add(own)
    never = made | {key for key in plain if kept.get(key) != numbers[key]}
    pieces = tuple(places[number] for number in range(size))
    return pieces, default, frozenset(piece.decode(errors="replace") for piece in never)


def _replaced(bodies: Bodies, found: Sequence[_Numbered]) -> Graph:
    """Return the graph with a table in place of what numbers pieces."""
    changed: dict[Body, dict[str, Node]] = {}
    moved: dict[Body, dict[TensorRef, TensorRef]] = defaultdict(dict)
    for each in found:
        nodes = changed.setdefault(each.body, dict(each.body.nodes))
        made, numbers = _made(each)
        nodes.update((node.name, node) for node in made)
        moved[each.body][each.numbers] = numbers
        if each.node is not None:
            own = nodes[each.node.name]
            inputs = (own.inputs[0], TensorRef(made[0].name), *own.inputs[2:])
            nodes[own.name] = replace(own, inputs=inputs)
    for body, nodes in changed.items():
        new = {node.name for each in found if each.body is body for node in _made(each)[0]}
        for name, node in nodes.items():
            if name not in new:
                nodes[name] = replace(node, inputs=tuple(moved[body].get(ref, ref) for ref in node.inputs))
    return _with(bodies, changed, moved)


def _with(
    bodies: Bodies, changed: Mapping[Body, Mapping[str, Node]], moved: Mapping[Body, Mapping[TensorRef, TensorRef]]
) -> Graph:
    """Return the graph with other nodes in some of its bodies, and other tensors in place of some."""
    functions = {}
    for body, nodes in changed.items():
        if isinstance(body, Function):
            own = {name: node for name, node in nodes.items() if node.op != ARGUMENT_OP}
            refs = [moved.get(body, {}).get(ref, ref) for ref in body.returns]
            functions[body.name] = Function(
                body.name, own, body.arguments, list(zip(body.return_names, refs, strict=True))
            )
    main = changed.get(bodies.graph, bodies.graph.nodes)
    return Graph(main, ChainMap(functions, dict(bodies.graph.functions)))


def _made(each: _Numbered) -> tuple[list[Node], TensorRef]:
    """Return the nodes of a table and its lookup, the table first, and the tensor of numbers."""
    made: list[Node] = []

    def add(name: str, op: str, *inputs: TensorRef, **attributes: object) -> TensorRef:
        name = f"{each.numbers.node}/numbered/{name}"
        made.append(Node.made(name, op, inputs, function=getattr(each.body, "name", ""), attributes=attributes))
        return TensorRef(name)

    table = add("table", "HashTableV2", key_dtype="string", value_dtype="int64")
    keys = add("pieces", "Const", value=byte_strings(list(each.vocabulary)), dtype="string")
    numbers = add("numbers", "Const", value=np.arange(len(each.vocabulary)), dtype="int64")
    add("filled", "InitializeTableV2", table, keys, numbers)
    default = add("default", "Const", value=np.asarray(each.default, np.int64), dtype="int64")
    looked_up = add("found", "LookupTableFindV2", table, each.pieces, default, Tout=np.dtype(np.int64))
    return made, add("ids", "Cast", looked_up, SrcT=np.dtype(np.int64), DstT=each.dtype)
