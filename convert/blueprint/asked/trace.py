"""What a run of a text side did: its operations, what it looked at, which ways it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hub2hf.analysis.settle import CONDITIONALS, IFS
from hub2hf.blueprint.text import (
    CaseFold,
    FoldWords,
    Normalize,
    ReplacePattern,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextOperation,
    WordPiece,
)
from hub2hf.errors import GraphError
from hub2hf.interpreter.arrays import text_attr
from hub2hf.interpreter.registry import DEAD
from hub2hf.interpreter.run import TABLE_OPS
from hub2hf.limits import MAX_PIECE_BYTES
from hub2hf.savedmodel.node import Node


def _ops(names: str) -> frozenset[str]:
    return frozenset(names.split())


REPLACE = frozenset({"RegexReplace", "StaticRegexReplace"})
FULL_MATCH = frozenset({"RegexFullMatch", "StaticRegexFullMatch"})
WORDPIECE = "WordpieceTokenizeWithOffsets"
PIECES = "SentencepieceTokenizeOp"
SCRIPTS = "UnicodeScriptTokenizeWithOffsets"
DELIMITERS = "RegexSplitWithOffsets"
FOLD, NORMALIZE = "CaseFoldUTF8", "NormalizeUTF8"
TEXT_OPS = REPLACE | FULL_MATCH | {WORDPIECE, SCRIPTS, DELIMITERS, FOLD, NORMALIZE}
DYNAMIC = frozenset({"RegexReplace", "RegexFullMatch", DELIMITERS})  # the pattern and the rewrite are inputs
UNSUPPORTED = (
    "Only text that is split by script or at delimiters, and cut by TF.Text's WordPiece op, is supported; report the model "
    "and this op."
)

DECODES = frozenset({"UnicodeDecode", "UnicodeDecodeWithOffsets"})
# Ops that put code points elsewhere and take nothing else that depends on the text but places, and those that compare them.
POINTS = _ops("Identity Cast Reshape ExpandDims Squeeze StridedSlice GatherV2 GatherNd RaggedTensorToTensor Tile")
COMPARES = _ops("Equal NotEqual Less LessEqual Greater GreaterEqual")
# Op → the outputs that hold the characters it was given, in another form.
CARRIES = {
    **dict.fromkeys(REPLACE | {FOLD, NORMALIZE, DELIMITERS, SCRIPTS, "UnicodeEncode"}, (0,)),
    **dict.fromkeys(DECODES, (1,)),
    **dict.fromkeys(("RaggedGather", "RaggedTensorFromVariant"), (-1,)),  # after the places where rows begin
}
# Ops that ask nothing of the characters they are given.
BLIND = _ops(
    """Shape ShapeN Size Rank ZerosLike OnesLike RegexFullMatch StaticRegexFullMatch WordpieceTokenizeWithOffsets
    SentencepieceTokenizeOp LookupTableFind LookupTableFindV2 TensorListLength TensorArraySizeV3 While StatelessWhile If
    StatelessIf Case StatelessCase PartitionedCall StatefulPartitionedCall"""
)
# Ops that put the elements they are given elsewhere, and do not look at them.
MOVES = _ops(
    """Identity IdentityN StopGradient Snapshot PreventGradient EnsureShape Placeholder PlaceholderWithDefault Reshape
    ExpandDims Squeeze Transpose Concat ConcatV2 Pack Unpack Split SplitV Slice StridedSlice Gather GatherV2
    GatherNd Tile Fill BroadcastTo Pad PadV2 ReverseV2 Select SelectV2 Switch Merge RaggedTensorToTensor
    RaggedTensorToVariant DynamicPartition DynamicStitch ParallelDynamicStitch TensorListFromTensor
    TensorListReserve EmptyTensorList TensorListGetItem TensorListSetItem TensorListPushBack TensorListStack
    TensorListConcat TensorListConcatV2 TensorArrayV3 TensorArrayScatterV3 TensorArrayReadV3 TensorArrayWriteV3
    TensorArrayGatherV3 TensorScatterUpdate"""
)
CHOOSING = CONDITIONALS | {"Switch"}
MOST_SIZES = 4  # elements of a constant that a length may be compared with
MOST_CONSTANTS = 20_000  # elements of one that is looked into


@dataclass(frozen=True)
class _Asked:
    """The numbers that a conditional of the function `function` compared, each time; `otherwise` runs where they differ."""

    function: str
    otherwise: str
    pairs: list[tuple[int, ...]] = field(default_factory=list)


class TextTrace:
    """What a run did to texts: give `observe` to the interpreter.

    Values are followed by what they are, not by their names: a value goes into functions and out of them as it is.

    Attributes:
        steps: the text operations in the order they were first done; each pattern that a node was given is one.
        tables: the lookup tables that were read.
        looked: nodes that look at characters in a way that no operation of `steps` tells; `looked_early`: those of them
            that did so before the text was split into words.
        delimited: the nodes that split at delimiters.
        constants: the integers, and the characters, that the nodes of the run hold.
        sizes: those of the integers that a length may be compared with.
        strings: the texts that they hold.
        patterns: each pattern, with a node that it was read from.
        taken: node of a conditional → the ways it took.
        ways: node of a conditional whose answer depends on the text → how many ways there are.
    """

    def __init__(self) -> None:
        self.steps: list[TextOperation] = []
        self.tables: dict[str, Node] = {}
        self.looked: dict[str, Node] = {}
        self.looked_early: dict[str, Node] = {}
        self.constants: set[int] = set()
        self.sizes: set[int] = set()
        self.strings: set[str] = set()
        self.patterns: dict[str, str] = {}
        self.taken: dict[str, set[int]] = {}
        self.ways: dict[str, int] = {}
        self._asked: dict[str, _Asked] = {}
        self._compared: dict[int, tuple[Any, tuple[int, ...]]] = {}  # answers, by what they are → the two numbers
        self._seen: set[tuple[str, ...]] = set()
        self._constant_nodes: set[tuple[str, str]] = set()
        self._texts: dict[int, Any] = {}  # values that hold characters of the text, by what they are
        self._points: dict[int, Any] = {}  # those of them that are code points
        # Integers of constants that so far are compared with code points alone, by node; and the values of these.
        self._small: dict[tuple[str, str], set[int]] = {}
        self._unused: dict[int, tuple[Any, tuple[str, str]]] = {}
        self._derived: dict[int, Any] = {}  # values that depend on the text
        self._split = False
        self.delimited: list[Node] = []

    def follow(self, value: Any) -> None:
        """Follow a value that holds texts."""
        self._texts[id(value)] = self._derived[id(value)] = value

    def observe(self, node: Node, inputs: Sequence[Any], outputs: tuple[Any, ...]) -> None:
        """Take note of one step of a run."""
        if node.op == "Const":
            self._constant(node, outputs)
            return
        if node.op != "Merge" and any(value is DEAD for value in inputs):
            return  # on the side of a conditional that is not taken
        if self._unused:
            self._use(node, inputs)
        if node.op in TABLE_OPS:
            self.tables[node.name] = node
        elif node.op in TEXT_OPS:
            self._operation(node, inputs)
        derived = any(id(value) in self._derived for value in inputs)
        if node.op in CHOOSING:
            self._conditional(node, inputs)
        if not derived:
            return
        outputs = tuple(value for value in outputs if value is not DEAD)
        self._derived.update((id(value), value) for value in outputs)
        if node.op == "Equal" and all(np.ndim(value) == 0 and value.dtype.kind in "iu" for value in inputs):
            self._compared[id(outputs[0])] = outputs[0], tuple(int(value) for value in inputs)
        if node.op in IFS and id(inputs[0]) in self._compared:
            asked = self._asked.setdefault(_name(node), _Asked(node.function, str(node.attr("else_branch"))))
            asked.pairs.append(self._compared[id(inputs[0])][1])
        self._characters(node, inputs, outputs)

    def _use(self, node: Node, inputs: Sequence[Any]) -> None:
        """Count a constant among the sizes once it is used for something else than to be compared with code points."""
        if node.op in COMPARES and any(id(value) in self._points for value in inputs):
            return
        for value in inputs:
            if id(value) in self._unused:
                self.sizes |= self._small.pop(self._unused.pop(id(value))[1], set())

    def _conditional(self, node: Node, inputs: Sequence[Any]) -> None:
        """Note the way that was taken; one of a loop may depend on the text from the second time on."""
        answer = inputs[1 if node.op == "Switch" else 0]
        self.taken.setdefault(_name(node), set()).add(int(np.ravel(answer)[0]))
        if id(answer) in self._derived:
            self.ways[_name(node)] = len(node.attr("branches")) if "Case" in node.op else 2

    def _characters(self, node: Node, inputs: Sequence[Any], outputs: tuple[Any, ...]) -> None:
        """Follow the characters, and note who looks at them."""
        if not any(id(value) in self._texts for value in inputs):
            return
        if node.op in DECODES:
            self._points[id(outputs[1])] = outputs[1]
        elif node.op in POINTS and any(id(value) in self._points for value in inputs):
            self._points.update((id(value), value) for value in outputs)
        if node.op in MOVES:
            self._texts.update((id(value), value) for value in outputs)
        elif node.op in CARRIES:
            self._texts.update((id(outputs[i]), outputs[i]) for i in CARRIES[node.op] if i < len(outputs))
        elif node.op not in BLIND:
            self._look(node)
            self._texts.update((id(value), value) for value in outputs)

    def _operation(self, node: Node, inputs: Sequence[Any]) -> None:
        dynamic = tuple(_utf8(value, node) for value in inputs[1:]) if node.op in DYNAMIC else ()
        identity = (node.function, node.name, *dynamic)
        if identity in self._seen:
            return
        self._seen.add(identity)
        if node.op in REPLACE | FULL_MATCH:
            self.patterns[dynamic[0] if dynamic else text_attr(node, "pattern")] = node.name
        if node.op == FOLD and self.delimited:
            self.steps.append(FoldWords(node.name))
            return
        if node.op in (FULL_MATCH if not self._split else REPLACE | {FOLD, NORMALIZE, DELIMITERS}):
            self._look(node)  # a question about a whole text, or a change of words
            return
        if node.op == SCRIPTS:
            self._early()
        self.steps.append(_step(node, dynamic))
        if node.op == DELIMITERS:
            self.delimited.append(node)
        self._split = self._split or node.op in (SCRIPTS, DELIMITERS)

    def _early(self) -> None:
        """Take splits at delimiters that were before scripts for what they were: no words yet, but a look at the text."""
        if not self.delimited:
            return
        splits = [step for step in self.steps if isinstance(step, SplitDelimiters)]
        self.patterns.update((step.delimiters, step.evidence) for step in splits)
        self.steps = [step for step in self.steps if step not in splits]
        self.looked.update((_name(node), node) for node in self.delimited)
        self.looked_early.update(self.looked)

    def _look(self, node: Node) -> None:
        self.looked[_name(node)] = node
        if not self._split:
            self.looked_early[_name(node)] = node

    def _constant(self, node: Node, outputs: tuple[Any, ...]) -> None:
        name = (node.function, node.name)
        if name in self._small:
            self._unused[id(outputs[0])] = outputs[0], name
        if name in self._constant_nodes:
            return
        self._constant_nodes.add(name)
        value = np.asarray(outputs[0])
        if value.size > MOST_CONSTANTS:
            return
        if value.dtype.kind in "iu":
            self.constants.update(int(item) for item in value.flat)
            if value.size <= MOST_SIZES:
                self._small[name] = {int(item) for item in value.flat}
                self._unused[id(outputs[0])] = outputs[0], name
        elif value.dtype == object:
            texts = {item.decode(errors="ignore")[:MOST_CONSTANTS] for item in value.flat if isinstance(item, bytes)}
            self.constants.update(ord(c) for text in texts for c in text)
            self.strings.update(texts)

    def forget(self) -> None:
        """Let go of the values that were followed."""
        self._texts.clear()
        self._points.clear()
        self._unused.clear()
        self._derived.clear()
        self._compared.clear()

    def untaken(self) -> list[str]:
        """Return the conditionals of which the run did not take every way that there is."""
        return [name for name, ways in self.ways.items() if len(self.taken[name]) < ways and not self._answered(name)]

    def _answered(self, name: str) -> bool:
        """Tell whether a conditional asks again what one around it has answered: whether a number is equal to another.

        Ragged tensors that broadcast ask so of the rows of both: "has the one a single row? If not, has the other?" The
        numbers were the same in every run, so that the second question has one answer only.
        """
        inner = self._asked.get(name)
        outer = next((a for a in self._asked.values() if inner is not None and a.otherwise == inner.function), None)
        return (
            inner is not None
            and outer is not None
            and len({pair == pair[::-1] for pair in outer.pairs}) == 2  # both answers were given
            and inner.pairs == [pair for pair in outer.pairs if pair != pair[::-1]]
        )

    def operations(self) -> tuple[TextOperation, ...]:
        """Return the operations from the raw text to WordPiece, in order, questions about words as one.

        Raises:
            GraphError: a node does something else to characters, words are not split once, or text is changed after
                WordPiece.
        """
        if self.looked:
            names = ", ".join(f"'{name}' ({node.op})" for name, node in list(self.looked.items())[:3])
            raise GraphError(f"The graph looks at characters by {names}.", UNSUPPORTED)
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
        several = [f"'{step.evidence}'" for step in steps if isinstance(step, WordPiece)]
        if len(several) > 1:
            raise GraphError(f"Words go to one of several nodes for {WORDPIECE} ({', '.join(several)}).", UNSUPPORTED)
        if sum(isinstance(step, SplitScripts | SplitDelimiters) for step in steps) != 1:
            raise GraphError(
                f"Node '{steps[-1].evidence}' takes words that {SCRIPTS} or {DELIMITERS} did not split once.",
                UNSUPPORTED,
            )
        return tuple(steps)

    def before_split(self) -> list[TextOperation]:
        """Return the operations on whole texts."""
        cut = (i for i, step in enumerate(self.steps) if not isinstance(step, CaseFold | Normalize | ReplacePattern))
        return self.steps[: next(cut, len(self.steps))]


def _name(node: Node) -> str:
    return f"{node.function}/{node.name}" if node.function else node.name


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
    if longest <= 0 or max(len(suffix.encode()), len(unknown.encode())) > MAX_PIECE_BYTES:
        raise GraphError(f"Node '{node.name}' takes words of {longest} bytes, or has a long suffix.", UNSUPPORTED)
    return WordPiece(suffix, unknown, longest, node.name)


def _utf8(value: Any, node: Node) -> str:
    try:
        return bytes(np.asarray(value).item()).decode()
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise GraphError(f"A pattern of node '{node.name}' is not text.", "Download the model again.") from error
