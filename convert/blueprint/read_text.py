"""Read a `TextBlueprint`: the text operations before WordPiece, from the function body they stand in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convert.blueprint.dataflow import Bodies
from convert.blueprint.text import (
    Pack,
    ReplacePattern,
    SplitCharacters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
    WordPiece,
)
from convert.errors import GraphError
from convert.interpreter.arrays import text_attr
from convert.interpreter.registry import OPERATIONS
from convert.interpreter.run import TABLE_OPS, Body, order_of
from convert.savedmodel.node import ARGUMENT_OP, Node, TensorRef
from convert.savedmodel.model import SavedModel

REPLACE = frozenset({"RegexReplace", "StaticRegexReplace"})
FULL_MATCH = frozenset({"RegexFullMatch", "StaticRegexFullMatch"})
WORDPIECE = "WordpieceTokenizeWithOffsets"
SCRIPTS = "UnicodeScriptTokenizeWithOffsets"
TABLE_INITIALISERS = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
UNSUPPORTED = (
    "Only text that is split by script and cut by TF.Text's WordPiece op is supported; report the model and this op."
)

# TextFileIndex of tensorflow/python/ops/lookup_ops.py: the whole line is the key, its number the value.
WHOLE_LINE, LINE_NUMBER = -2, -1


class TextReader:
    """Reads the text side of one SavedModel."""

    def __init__(self, model: SavedModel) -> None:
        self.model = model
        self.bodies = Bodies(model.graph)
        found = self.bodies.find(WORDPIECE)
        if len(found) != 1:
            names = ", ".join(f"'{node.name}'" for _, node in found) or "none"
            raise GraphError(f"The graph should have one {WORDPIECE} node and has {names}.", UNSUPPORTED)
        self.body, self.node = found[0]

    def operations(self) -> tuple[TextOperation, ...]:
        """Return the operations from the raw text to WordPiece, in order.

        Raises:
            GraphError: an op is unknown or is used in a way that is not understood; names the node.
        """
        order = order_of(self.body, self.node.inputs[:1], self._arguments())
        steps: list[TextOperation] = []
        matches = [node for node in order if node.op in FULL_MATCH]
        for node in order:
            if node.op not in OPERATIONS and node.op != "Const":
                raise GraphError(f"Node '{node.name}' has op '{node.op}', which is not understood.", UNSUPPORTED)
            if node.op in REPLACE:
                steps.append(self._replace(node))
            elif node.op == SCRIPTS:
                steps.append(SplitScripts(node.name))
            elif matches and node is matches[-1]:
                patterns = tuple(self._pattern(match) for match in matches)
                steps.append(SplitCharacters(patterns, ", ".join(match.name for match in matches)))
        if sum(isinstance(step, SplitScripts) for step in steps) != 1:
            raise GraphError(f"Node '{self.node.name}' takes words that {SCRIPTS} did not split once.", UNSUPPORTED)
        return (*steps, self._wordpiece())

    def _arguments(self) -> frozenset[TensorRef]:
        return frozenset(TensorRef(node.name) for node in self.body.nodes.values() if node.op == ARGUMENT_OP)

    def _pattern(self, node: Node) -> str:
        if node.op.startswith("Static"):
            return text_attr(node, "pattern")
        return _utf8(self.bodies.constant(self.body, node.inputs[1], node), node)

    def _replace(self, node: Node) -> ReplacePattern:
        if not node.attr("replace_global", True):
            raise GraphError(f"Node '{node.name}' replaces the first match only.", UNSUPPORTED)
        if node.op.startswith("Static"):
            rewrite = text_attr(node, "rewrite")
        else:
            rewrite = _utf8(self.bodies.constant(self.body, node.inputs[2], node), node)
        return ReplacePattern(self._pattern(node), rewrite, node.name)

    def _wordpiece(self) -> WordPiece:
        node = self.node
        if not node.attr("use_unknown_token", True) or node.attr("split_unknown_characters", False):
            raise GraphError(f"Node '{node.name}' keeps unknown words or splits their characters.", UNSUPPORTED)
        if node.attr("max_chars_per_token", 0) > 0:
            raise GraphError(f"Node '{node.name}' bounds the characters of a piece.", UNSUPPORTED)
        return WordPiece(
            text_attr(node, "suffix_indicator"),
            text_attr(node, "unknown_token"),
            int(node.attr("max_bytes_per_word")),
            node.name,
        )

    def vocabulary_node(self) -> tuple[Body, Node]:
        """Return the node that fills the lookup table of the WordPiece op from the vocabulary asset."""
        table = self.bodies.origin(self.body, self.node.inputs[1])
        if table is None or table[1].op not in TABLE_OPS:
            raise GraphError(f"The vocabulary of node '{self.node.name}' is not a plain lookup table.", UNSUPPORTED)
        for body, node in (pair for op in TABLE_INITIALISERS for pair in self.bodies.find(op)):
            filled = self.bodies.origin(body, node.inputs[0])
            if filled is not None and filled[1] is table[1]:
                return body, node
        raise GraphError(f"The lookup table '{table[1].name}' is not filled from a text file.", UNSUPPORTED)

    def vocabulary(self) -> Path:
        """Return the vocabulary asset."""
        body, node = self.vocabulary_node()
        name = self.bodies.origin(body, node.inputs[1])
        if name is None:
            raise GraphError(f"The {node} computes the name of its file.", UNSUPPORTED)
        return self.model.asset(name[1].name)

    def blueprint(self, pack: Pack) -> TextBlueprint:
        """Return the whole blueprint, given how the ids are packed."""
        _, node = self.vocabulary_node()
        if (node.attr("key_index"), node.attr("value_index")) != (WHOLE_LINE, LINE_NUMBER) or node.attr("offset", 0):
            raise GraphError(f"Node '{node.name}' reads the vocabulary in another form than one piece a line.", UNSUPPORTED)
        return TextBlueprint((*self.operations(), pack), self.vocabulary(), node.name)


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


def _utf8(value: np.ndarray, node: Node) -> str:
    try:
        return bytes(value.item()).decode()
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise GraphError(f"A pattern of node '{node.name}' is not text.", "Download the model again.") from error
