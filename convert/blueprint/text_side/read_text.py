"""Read a `TextBlueprint`: the WordPiece op, the vocabulary behind it, and how ids are packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hub2hf.blueprint.asked.trace import DELIMITERS, SCRIPTS, UNSUPPORTED, WORDPIECE, read_wordpiece
from hub2hf.blueprint.dataflow import Bodies
from hub2hf.blueprint.text import (
    INSIDE,
    Pack,
    SplitScripts,
    SplitScriptsByHand,
    TextBlueprint,
    TextOperation,
    WordPiece,
)
from hub2hf.blueprint.vocabulary.lines import count_lines, lines_in
from hub2hf.blueprint.vocabulary.tables import Tables
from hub2hf.errors import GraphError
from hub2hf.interpreter.plan import Body
from hub2hf.interpreter.run import TABLE_OPS
from hub2hf.limits import MAX_WORD_BYTES
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node

OTHER_TOKENIZERS = {
    "TFText>FastBertNormalize": "FastBertTokenizer",
    "FastBertNormalize": "FastBertTokenizer",
    "SentencepieceTokenizeWithOffsetsOp": "SentencepieceTokenizer",
    "TFText>FastSentencepieceTokenize": "FastSentencepieceTokenizer",
    "StringSplit": "white-space splitting",
    "StringSplitV2": "white-space splitting",
}
LOOKUPS = ("LookupTableFind", "LookupTableFindV2")
EVEN = 8  # divides the rows of a table that was made longer
UNASKED = WordPiece("", "", MAX_WORD_BYTES, "")


class TextReader:
    """Reads the text side of one SavedModel, whose graph is given with its calls inlined.

    Attributes:
        node, wordpiece: a node that looks words up as WordPieces, and what it does.
        nodes: how many such nodes there are; all do the same. 0 where the graph cuts words by hand: then `node` looks pieces
            up, and `wordpiece` is still to be asked (`by_hand`).
        spare: names for the rows of word embeddings that no piece has.
    """

    def __init__(self, model: SavedModel, graph: Graph) -> None:
        self.model = model
        self.bodies = Bodies(graph)
        self.tables = Tables(model, self.bodies)
        self.spare: tuple[str, ...] = ()
        found = self.bodies.find(WORDPIECE)
        self.nodes = len(found)
        read = {replace(read_wordpiece(node), evidence="") for _, node in found}
        if not found and (lookups := self._lookups()):
            self.body, self.node = lookups[0]
            self.wordpiece = replace(UNASKED, evidence=self.node.name)
            return
        if len(read) != 1:
            names = ", ".join(f"'{node.name}'" for _, node in found) or "none"
            others = [(kind, node) for op, kind in OTHER_TOKENIZERS.items() for _, node in self.bodies.find(op)]
            told = f" Its text goes through {others[0][0]} (node '{others[0][1].name}')." if others else ""
            raise GraphError(f"The graph should have one kind of {WORDPIECE} node and has {names}.{told}", UNSUPPORTED)
        self.body, self.node = found[0]
        self.wordpiece = read_wordpiece(self.node)

    def _lookups(self) -> list[tuple[Body, Node]]:
        """Return the nodes that look something up in a table of pieces with their numbers."""
        found = [
            (body, node, self.bodies.origin(body, node.input(0)))
            for op in LOOKUPS
            for body, node in self.bodies.find(op)
        ]
        return [
            (body, node)
            for body, node, table in found
            if table is not None and table[1].op in TABLE_OPS and self.tables.filled(table[1]).path is not None
        ]

    def vocabulary(self) -> tuple[Path, Node]:
        """Return the vocabulary asset, and the node that fills the lookup table of the WordPiece op from it.

        Raises:
            GraphError: the table is filled in another way than one piece a line.
        """
        table = self.bodies.origin(self.body, self.node.input(0 if self.node.op in LOOKUPS else 1))
        if table is None or table[1].op not in TABLE_OPS:
            raise GraphError(f"The vocabulary of node '{self.node.name}' is not a plain lookup table.", UNSUPPORTED)
        filled = self.tables.filled(table[1])
        if filled.path is None:
            raise GraphError(
                f"The lookup table '{table[1].name}' holds other things than pieces with their numbers.", UNSUPPORTED
            )
        return filled.path, filled.filler

    def fill(self, rows: int) -> tuple[str, ...]:
        """Name the rows of word embeddings that no piece has, and return the names: no text should lead to them.

        Tables are made longer so that a high power of two divides their rows; where more rows are left than that explains,
        the vocabulary is another one, or incomplete.
        """
        power = rows & -rows
        if power < EVEN:
            return ()
        path, _ = self.vocabulary()
        count = count_lines(path)
        if 0 < rows - count < power:
            self.spare = tuple(f"[unused{number}]" for number in range(count, rows))
        return self.spare

    def blueprint(
        self,
        operations: Sequence[TextOperation],
        tables: Mapping[str, Node],
        pack: Pack,
        pieces: int,
        origin: str = INSIDE,
    ) -> TextBlueprint:
        """Return the whole blueprint.

        Args:
            operations: what is done to texts, up to WordPiece.
            tables: the lookup tables that were read meanwhile.
            pack: how ids are packed.
            pieces: how many there are, `spare` among them.
            origin: see `TextBlueprint`.

        Raises:
            GraphError: a lookup table holds something else than the vocabulary.
        """
        path, evidence = self.vocabulary()
        own = pieces - len(self.spare)
        for table in tables.values():
            filled = self.tables.filled(table)
            if filled.path is None:  # run with what it holds
                continue
            count = filled.filler.attr("vocab_size", -1)
            if (filled.path != path and filled.path.read_bytes() != path.read_bytes()) or count not in (-1, own):
                held = f"{count} lines of {filled.path.name}" if count != -1 else filled.path.name
                wanted = f"the {own} pieces of {path.name}"
                raise GraphError(f"The lookup table '{table.name}' holds {held}, not {wanted}.", UNSUPPORTED)
        if self.spare:
            lines = [*lines_in(path), *(name.encode() for name in self.spare)]
            path = self.model.keep("vocab.txt", b"".join(line + b"\n" for line in lines))
        return TextBlueprint((*operations, pack), path, evidence.name, origin)


def split_by_hand(text: TextReader) -> SplitScripts | None:
    """Return what splits texts where no operation does, and scripts are looked up: operations on their numbers."""
    if any(text.bodies.find(op) for op in (SCRIPTS, DELIMITERS)):
        return None
    found = text.bodies.find("UnicodeScript")
    return SplitScriptsByHand(found[0][1].name) if found else None


def read_pack(empty: np.ndarray, full: np.ndarray, evidence: str) -> Pack:
    """Read how ids are packed from what the graph makes of two texts.

    Args:
        empty: int [max_length], the ids of the empty text.
        full: int [max_length], the ids of a text with more pieces than fit.
        evidence: the node that makes them.

    Raises:
        GraphError: it is not start id, pieces, end id, padding.
    """
    length = len(empty)
    if length < 3:
        raise GraphError(f"Node '{evidence}' packs texts into {length} ids.", UNSUPPORTED)
    start, end, pad = (int(i) for i in empty[:3])
    if full[0] != start or full[-1] != end or (empty[2:] != pad).any() or pad in full:
        raise GraphError(f"Node '{evidence}' does not pack texts as start id, pieces, end id, padding.", UNSUPPORTED)
    return Pack(start, end, pad, length, evidence)
