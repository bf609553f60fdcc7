"""TF.Text's fast WordPiece: a model that holds its vocabulary in a trie, read back into the WordPiece that has a table.

Both cut words alike (the op's documentation says so for words that were split before), so a node of the one is replaced by
nodes of the other, and everything else reads the graph as if it had been written so.
"""

from __future__ import annotations

import struct
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hub2hf.blueprint.dataflow import Bodies
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.plan import Body
from hub2hf.limits import MAX_WORD_BYTES, tick
from hub2hf.savedmodel.graph import Function, Graph
from hub2hf.savedmodel.node import ARGUMENT_OP, Node, TensorRef

FAST = frozenset({"FastWordpieceTokenizeWithOffsets", "TFText>FastWordpieceTokenizeWithOffsets"})
WORDS_ONLY = "Only TF.Text's fast WordPiece of words that were split before is supported; report the model."
# Fields of the root table (tensorflow_text, fast_wordpiece_tokenizer_model.fbs), as FlatBuffers numbers them.
TRIE, MOST_BYTES, SUFFIX, UNKNOWN, UNKNOWN_ID, OF_SUFFIX, END_TO_END = 0, 4, 5, 6, 7, 8, 10
# A value of the trie (fast_wordpiece_tokenizer_utils.h): the id above eight bits of length, one bit for a continuation.
ID_SHIFT, ID_MASK = 8, (1 << 22) - 1
# A unit of the trie (darts-clone, `Details::DoubleArrayUnit`).
HAS_LEAF, LABELS, LEAF_VALUE = 1 << 8, (1 << 31) | 0xFF, (1 << 31) - 1
MAX_UNITS = 1 << 25


@dataclass(frozen=True)
class FastModel:
    """What the buffer of a node says.

    Attributes:
        pieces: the vocabulary, in order.
        suffix, unknown: as `WordPiece` has them, in UTF-8.
        most_bytes: of a word that is not unknown for its length.
    """

    pieces: tuple[bytes, ...]
    suffix: bytes
    unknown: bytes
    most_bytes: int


def read_model(buffer: bytes, where: str) -> FastModel:
    """Read the model of fast WordPiece.

    Args:
        buffer: as TF.Text builds it, a FlatBuffer.
        where: the node, for messages.

    Raises:
        GraphError: it is damaged, splits texts into words itself, or lacks numbers between its pieces.
    """
    try:
        table = _Table(buffer)
        if table.number(END_TO_END, "<B"):
            raise GraphError(f"The {where} splits texts at white space and punctuation itself.", WORDS_ONLY)
        found = dict(_keys(table.vector(TRIE)))
        alone = table.vector(OF_SUFFIX)
        if len(alone) == 1:  # a piece that is what continuations begin with is none of the trie
            found.setdefault(int(alone[0]) >> ID_SHIFT & ID_MASK, table.string(SUFFIX))
        model = FastModel(
            tuple(found[i] for i in range(len(found))),
            table.string(SUFFIX),
            table.string(UNKNOWN),
            table.number(MOST_BYTES, "<i"),
        )
        unknown_id = table.number(UNKNOWN_ID, "<i")
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise GraphError(f"The model of {where} is damaged, or lacks pieces.", "Download the model again.") from error
    known = 0 <= unknown_id < len(model.pieces) and model.pieces[unknown_id] == model.unknown
    if not known or not 0 < model.most_bytes <= MAX_WORD_BYTES:
        raise GraphError(f"The model of {where} says of unknown words what its pieces do not.", REPORT)
    return model


@dataclass(frozen=True)
class _Table:
    """The root table of a FlatBuffer."""

    buffer: bytes

    def _field(self, field: int) -> int:
        """Return where a field is; 0 where it has its default."""
        (root,) = struct.unpack_from("<I", self.buffer, 0)
        (back,) = struct.unpack_from("<i", self.buffer, root)
        entries = root - back
        (size,) = struct.unpack_from("<H", self.buffer, entries)
        if 4 + 2 * field + 2 > size:
            return 0
        (offset,) = struct.unpack_from("<H", self.buffer, entries + 4 + 2 * field)
        return root + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        at = self._field(field)
        return int(struct.unpack_from(form, self.buffer, at)[0]) if at else 0

    def _long(self, field: int) -> tuple[int, int]:
        """Return where the elements of a vector begin, and how many they are."""
        at = self._field(field)
        if not at:
            return 0, 0
        at += struct.unpack_from("<I", self.buffer, at)[0]
        return at + 4, struct.unpack_from("<I", self.buffer, at)[0]

    def string(self, field: int) -> bytes:
        at, size = self._long(field)
        if at + size > len(self.buffer):
            raise ValueError("a string beyond the end")
        return self.buffer[at : at + size]

    def vector(self, field: int) -> np.ndarray:
        """Return a vector of numbers, uint32."""
        at, size = self._long(field)
        return np.frombuffer(self.buffer, "<u4", size, at)


def _keys(units: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """Yield (id, piece) of all keys of a trie, level by level.

    The children of a node stand where its offset, combined with their labels, points: so each unit tells whose child it is.

    Raises:
        ValueError: it has no end.
    """
    units = units.astype(np.int64)
    if not 0 < len(units) <= MAX_UNITS:
        raise ValueError("no trie")
    labels = units & LABELS
    named = np.flatnonzero((labels > 0) & (labels < 256))
    parents = named ^ labels[named]
    order = np.argsort(parents, kind="stable")
    named, parents = named[order], parents[order]
    nodes, keys = np.zeros(1, np.int64), [b""]
    seen = 0
    while len(nodes):
        tick("the trie of a vocabulary")
        seen += len(nodes)
        if seen > len(units):
            raise ValueError("a trie without end")
        bases = nodes ^ _offsets(units[nodes])
        for row in np.flatnonzero(units[nodes] & HAS_LEAF).tolist():
            yield int(units[bases[row]] & LEAF_VALUE) >> ID_SHIFT & ID_MASK, keys[row]
        first, end = np.searchsorted(parents, bases), np.searchsorted(parents, bases, "right")
        counts = end - first
        rows = np.repeat(np.arange(len(nodes)), counts)
        nodes = named[np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + first[rows]]
        keys = [keys[row] + bytes([mark]) for row, mark in zip(rows.tolist(), labels[nodes].tolist(), strict=True)]


def _offsets(units: np.ndarray) -> np.ndarray:
    """Return how far the children of nodes are: eight more bits where a flag says so."""
    return (units >> 10) << ((units & (1 << 9)) >> 6)


def with_tables(graph: Graph) -> Graph:
    """Return the graph, calls inlined, with WordPiece that has a table in place of each fast one.

    Raises:
        GraphError: the model of a fast one is no constant, or none that can be read.
    """
    bodies = Bodies(graph)
    moved: dict[Body, dict[TensorRef, TensorRef]] = {}
    new: dict[Body, list[Node]] = {}
    models: dict[bytes, FastModel] = {}
    for body, fast in (pair for op in FAST for pair in bodies.find(op)):
        source = bodies.origin(body, fast.input(1))
        if source is None or source[1].op != "Const":
            raise GraphError(f"The model of the {fast} is no constant.", WORDS_ONLY)
        buffer = np.asarray(source[1].value, np.uint8).tobytes()
        if buffer not in models:
            models[buffer] = read_model(buffer, str(fast))
        made, outputs = _made(fast, models[buffer])
        new.setdefault(body, []).extend(made)
        moved.setdefault(body, {}).update((TensorRef(fast.name, i), ref) for i, ref in enumerate(outputs))
    if not new:
        return graph
    nodes = {body: _replaced(body, new[body], moved[body]) for body in new}
    functions = {body.name: _function(body, nodes[body], moved[body]) for body in new if isinstance(body, Function)}
    return Graph(nodes.get(graph, graph.nodes), ChainMap(functions, dict(graph.functions)))


def _replaced(body: Body, new: Iterable[Node], moved: Mapping[TensorRef, TensorRef]) -> dict[str, Node]:
    kept = (node for node in body.nodes.values() if node.op not in FAST)
    found = [replace(node, inputs=tuple(moved.get(ref, ref) for ref in node.inputs)) for node in kept]
    return {node.name: node for node in (*found, *new)}


def _function(body: Function, nodes: Mapping[str, Node], moved: Mapping[TensorRef, TensorRef]) -> Function:
    returns = [(name, moved.get(ref, ref)) for name, ref in zip(body.return_names, body.returns, strict=True)]
    own = {name: node for name, node in nodes.items() if node.op != ARGUMENT_OP}
    return Function(body.name, own, body.arguments, returns)


def _made(fast: Node, model: FastModel) -> tuple[list[Node], list[TensorRef]]:
    """Return the nodes that stand for a fast one, and the tensors that stand for its outputs."""
    made: list[Node] = []

    def add(name: str, op: str, *inputs: TensorRef, **attributes: object) -> TensorRef:
        name = f"{fast.name}/{name}"
        made.append(Node.made(name, op, inputs, function=fast.function, attributes=attributes))
        return TensorRef(name)

    pieces = np.empty(len(model.pieces), object)
    pieces[:] = model.pieces
    table = add("table", "HashTableV2", key_dtype="string", value_dtype="int64")
    keys = add("pieces", "Const", value=pieces, dtype="string")
    numbers = add("numbers", "Const", value=np.arange(len(pieces), dtype=np.int64), dtype="int64")
    add("filled", "InitializeTableV2", table, keys, numbers)
    words = add(
        "words",
        "WordpieceTokenizeWithOffsets",
        fast.input(0),
        table,
        suffix_indicator=model.suffix.decode(),
        unknown_token=model.unknown.decode(),
        max_bytes_per_word=model.most_bytes,
        max_chars_per_token=0,
        use_unknown_token=True,
        split_unknown_characters=False,
        output_row_partition_type="row_splits",
    )
    unknown = add("unknown", "Const", value=np.asarray(model.pieces.index(model.unknown), np.int64), dtype="int64")
    found = add("found", "LookupTableFindV2", table, words, unknown, Tout=np.dtype(np.int64))
    ids = add("ids", "Cast", found, SrcT=np.dtype(np.int64), DstT=np.dtype(np.int32))
    starts, ends = (
        add(name, "Cast", TensorRef(words.node, i), SrcT=np.dtype(np.int64), DstT=np.dtype(np.int32))
        for name, i in (("starts", 2), ("ends", 3))
    )
    return made, [words, ids, TensorRef(words.node, 1), starts, ends]
