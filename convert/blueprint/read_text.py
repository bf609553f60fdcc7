"""Read a `TextBlueprint`: the text operations of a run over probes, and the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.blueprint.dataflow import Bodies
from convert.blueprint.text import (
    INSIDE,
    CaseFold,
    Normalize,
    Pack,
    ReplacePattern,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
    WordPiece,
)
from convert.errors import GraphError
from convert.interpreter.arrays import text_attr
from convert.interpreter.run import TABLE_OPS
from convert.limits import MAX_PIECE_BYTES, MAX_WORD_BYTES
from convert.savedmodel.graph import Graph
from convert.savedmodel.model import SavedModel
from convert.savedmodel.node import Node
from convert.savedmodel.variables import VARIABLE_OPS

REPLACE = frozenset({"RegexReplace", "StaticRegexReplace"})
FULL_MATCH = frozenset({"RegexFullMatch", "StaticRegexFullMatch"})
WORDPIECE = "WordpieceTokenizeWithOffsets"
SCRIPTS = "UnicodeScriptTokenizeWithOffsets"
DELIMITERS = "RegexSplitWithOffsets"
FOLD, NORMALIZE = "CaseFoldUTF8", "NormalizeUTF8"
TEXT_OPS = REPLACE | FULL_MATCH | {WORDPIECE, SCRIPTS, DELIMITERS, FOLD, NORMALIZE}
DYNAMIC = frozenset({"RegexReplace", "RegexFullMatch", DELIMITERS})  # the pattern and the rewrite are inputs
OTHER_TOKENIZERS = {
    "TFText>FastBertNormalize": "FastBertTokenizer",
    "TFText>FastWordpieceTokenizeWithOffsets": "FastWordpieceTokenizer",
    "FastBertNormalize": "FastBertTokenizer",
    "FastWordpieceTokenizeWithOffsets": "FastWordpieceTokenizer",
    "SentencepieceTokenizeOp": "SentencepieceTokenizer",
    "SentencepieceTokenizeWithOffsetsOp": "SentencepieceTokenizer",
    "TFText>FastSentencepieceTokenize": "FastSentencepieceTokenizer",
    "StringSplit": "white-space splitting",
    "StringSplitV2": "white-space splitting",
}
TABLE_INITIALISERS = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
UNSUPPORTED = (
    "Only text that is split by script or at delimiters, and cut by TF.Text's WordPiece op, is supported; report the model "
    "and this op."
)

# TextFileIndex of tensorflow/python/ops/lookup_ops.py: the whole line is the key, its number the value.
WHOLE_LINE, LINE_NUMBER = -2, -1


class TextTrace:
    """What a run did to texts: give `observe` to the interpreter.

    Attributes:
        steps: the text operations in the order they were first done; each pattern that a node was given is one.
        tables: the lookup tables that were read.
    """

    def __init__(self) -> None:
        self.steps: list[TextOperation] = []
        self.tables: dict[str, Node] = {}
        self._seen: set[tuple[str, ...]] = set()

    def observe(self, node: Node, inputs: Sequence[Any], outputs: tuple[Any, ...]) -> None:
        """Take note of one step of a run."""
        if node.op in TABLE_OPS:
            self.tables[node.name] = node
        elif node.op in TEXT_OPS:
            dynamic = tuple(_utf8(value, node) for value in inputs[1:]) if node.op in DYNAMIC else ()
            identity = (node.function, node.name, *dynamic)
            if identity not in self._seen:
                self._seen.add(identity)
                self.steps.append(_step(node, dynamic))

    def operations(self) -> tuple[TextOperation, ...]:
        """Return the operations from the raw text to WordPiece, in order, questions about words as one.

        Raises:
            GraphError: words are not split by script once, or text is changed after WordPiece.
        """
        steps = list(self.steps)
        cuts = [step for step in steps if isinstance(step, SplitCharacters)]
        if cuts:
            patterns = tuple(pattern for step in cuts for pattern in step.patterns)
            evidence = ", ".join(dict.fromkeys(step.evidence for step in cuts))
            at = steps.index(cuts[-1])
            kept = [step for step in steps[:at] if not isinstance(step, SplitCharacters)]
            steps = [*kept, SplitCharacters(patterns, evidence), *steps[at + 1 :]]
        if not steps or not isinstance(steps[-1], WordPiece):
            where = steps[-1].evidence if steps else "none"
            raise GraphError(f"The last text operation of the graph is not {WORDPIECE} (node '{where}').", UNSUPPORTED)
        if sum(isinstance(step, SplitScripts | SplitDelimiters) for step in steps) != 1:
            raise GraphError(
                f"Node '{steps[-1].evidence}' takes words that {SCRIPTS} or {DELIMITERS} did not split once.",
                UNSUPPORTED,
            )
        return tuple(steps)


def _step(node: Node, dynamic: tuple[str, ...]) -> TextOperation:
    """Return the operation of a node of TEXT_OPS, given the values of its pattern inputs if it has such."""
    plain: dict[str, Callable[[], TextOperation]] = {
        WORDPIECE: lambda: read_wordpiece(node),
        SCRIPTS: lambda: SplitScripts(node.name),
        FOLD: lambda: CaseFold(node.name),
        NORMALIZE: lambda: Normalize(text_attr(node, "normalization_form").upper(), node.name),
        DELIMITERS: lambda: SplitDelimiters(dynamic[0], dynamic[1], node.name),
    }
    if node.op in plain:
        return plain[node.op]()
    pattern = dynamic[0] if dynamic else text_attr(node, "pattern")
    if node.op in FULL_MATCH:
        return SplitCharacters((pattern,), node.name)
    if not node.attr("replace_global", True):
        raise GraphError(f"Node '{node.name}' replaces the first match only.", UNSUPPORTED)
    return ReplacePattern(pattern, dynamic[1] if dynamic else text_attr(node, "rewrite"), node.name)


def read_wordpiece(node: Node) -> WordPiece:
    """Return the operation of a WordPiece node.

    Raises:
        GraphError: it does something that a plain WordPiece model does not.
    """
    if not node.attr("use_unknown_token", True) or node.attr("split_unknown_characters", False):
        raise GraphError(f"Node '{node.name}' keeps unknown words or splits their characters.", UNSUPPORTED)
    if node.attr("max_chars_per_token", 0) > 0:
        raise GraphError(f"Node '{node.name}' bounds the characters of a piece.", UNSUPPORTED)
    suffix, unknown = text_attr(node, "suffix_indicator"), text_attr(node, "unknown_token")
    longest = int(node.attr("max_bytes_per_word"))
    if not 0 < longest <= MAX_WORD_BYTES or max(len(suffix.encode()), len(unknown.encode())) > MAX_PIECE_BYTES:
        raise GraphError(f"Node '{node.name}' takes words of {longest} bytes, or has a long suffix.", UNSUPPORTED)
    return WordPiece(suffix, unknown, longest, node.name)


class TextReader:
    """Reads the text side of one SavedModel, whose graph is given with its calls inlined."""

    def __init__(self, model: SavedModel, graph: Graph) -> None:
        self.model = model
        self.bodies = Bodies(graph)
        found = self.bodies.find(WORDPIECE)
        if len(found) != 1:
            names = ", ".join(f"'{node.name}'" for _, node in found) or "none"
            others = [(kind, node) for op, kind in OTHER_TOKENIZERS.items() for _, node in self.bodies.find(op)]
            told = f" Its text goes through {others[0][0]} (node '{others[0][1].name}')." if others else ""
            raise GraphError(f"The graph should have one {WORDPIECE} node and has {names}.{told}", UNSUPPORTED)
        self.body, self.node = found[0]
        self.wordpiece = read_wordpiece(self.node)

    def vocabulary(self) -> tuple[Path, Node]:
        """Return the vocabulary asset, and the node that fills the lookup table of the WordPiece op from it.

        Raises:
            GraphError: the table is filled in another way than one piece a line.
        """
        table = self.bodies.origin(self.body, self.node.inputs[1])
        if table is None or table[1].op not in TABLE_OPS:
            raise GraphError(f"The vocabulary of node '{self.node.name}' is not a plain lookup table.", UNSUPPORTED)
        return self._filled_from(table[1])

    def _filled_from(self, table: Node) -> tuple[Path, Node]:
        for body, node in (pair for op in TABLE_INITIALISERS for pair in self.bodies.find(op)):
            filled = self.bodies.origin(body, node.inputs[0])
            if filled is None or filled[1].name != table.name:
                continue
            form = (node.attr("key_index"), node.attr("value_index"), node.attr("offset", 0))
            if form != (WHOLE_LINE, LINE_NUMBER, 0):
                raise GraphError(
                    f"Node '{node.name}' reads the vocabulary in another form than one piece a line.", UNSUPPORTED
                )
            name = self.bodies.origin(body, node.inputs[1])
            if name is None:
                raise GraphError(f"The {node} computes the name of its file.", UNSUPPORTED)
            return self.model.asset(self._assigned(name[1]).name), node
        raise GraphError(f"The lookup table '{table.name}' is not filled from a text file.", UNSUPPORTED)

    def _assigned(self, node: Node) -> Node:
        """Return what gives an asset's file name: where TensorFlow 2 keeps that in a variable, what is assigned to it."""
        if node.op not in VARIABLE_OPS:
            return node
        for body, assign in self.bodies.find("AssignVariableOp"):
            variable, value = (self.bodies.origin(body, assign.input(i)) for i in (0, 1))
            if variable is not None and value is not None and variable[1].name == node.name:
                return value[1]
        return node

    def blueprint(self, trace: TextTrace, pack: Pack, pieces: int, origin: str = INSIDE) -> TextBlueprint:
        """Return the whole blueprint, given what a run did to texts, how it packed ids, and how many pieces there are.

        Raises:
            GraphError: a text operation is not understood, or a lookup table holds something else than the vocabulary.
        """
        path, evidence = self.vocabulary()
        for table in trace.tables.values():
            other, filler = self._filled_from(table)
            count = filler.attr("vocab_size", -1)
            if other != path or count not in (-1, pieces):
                held = f"{count} lines of {other.name}" if count != -1 else other.name
                wanted = f"the {pieces} pieces of {path.name}"
                raise GraphError(f"The lookup table '{table.name}' holds {held}, not {wanted}.", UNSUPPORTED)
        return TextBlueprint((*trace.operations(), pack), path, evidence.name, origin)


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


def _utf8(value: Any, node: Node) -> str:
    try:
        return bytes(np.asarray(value).item()).decode()
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise GraphError(f"A pattern of node '{node.name}' is not text.", "Download the model again.") from error
