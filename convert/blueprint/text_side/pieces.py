"""Read a text side that a SentencePiece model cuts: the model in the graph, what is done to texts before, how it packs.

The model is run as it stands in the graph: its pieces have the ids that they have. What the graph packs for a text is held
against the pieces that its own node gave for it, so start, end and truncation are seen, not assumed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from hub2hf import limits
from hub2hf.blueprint.asked.generated import LETTERS, characters, joined, length_texts, mixed_texts
from hub2hf.blueprint.asked.oracle import Heard, Inquiry, TextSide
from hub2hf.blueprint.asked.trace import PIECES, TextTrace
from hub2hf.blueprint.dataflow import Bodies
from hub2hf.blueprint.probe import probe_texts
from hub2hf.blueprint.text import (
    INSIDE,
    NO_START,
    CaseFold,
    Normalize,
    Pack,
    ReplacePattern,
    SentencePiece,
    TextBlueprint,
)
from hub2hf.blueprint.text_side.probed import ProbedSide, ProbedText, Seen
from hub2hf.blueprint.vocabulary.tables import Tables
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.pieces import cutter
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node
from hub2hf.savedmodel.sentencepiece import NORMAL, SPACE, UNKNOWN, PieceModel

MODEL = "SentencepieceOp"
FILE = "spiece.model"  # as ALBERT and T5 call it, and transformers after them
UNSUPPORTED = (
    "Only texts that are normalized, changed by patterns or folded, and then cut, are supported: report the model."
)
LOW = 1024  # ids of the texts that an encoder is proved with, whose rows of word embeddings must fit in memory
LOW_TEXTS = 4  # how many there are
LONG = 1500  # characters of a text that many others stand in
BYTES = 100  # near lengths that probes look at; SentencePiece has no limit
EVERY = 8  # of ranges of thousands of code points one in so many
RUNS, DOUBLED, BEFORE, RANDOM = (
    9,
    12,
    12,
    300,
)  # texts of one letter behind words, and of random letters, that may be undecided
TEXTS = 400  # at random


class PieceReader:
    """Reads such a text side of one SavedModel, whose graph is given with its calls inlined.

    Attributes:
        cutter: its SentencePiece model.
        node: a node that cuts texts.
    """

    def __init__(self, model: SavedModel, graph: Graph) -> None:
        self.model = model
        self.bodies = Bodies(graph)
        self.tables = Tables(model, self.bodies)
        found = self.bodies.find(PIECES)
        made = [self.bodies.origin(body, node.input(0)) for body, node in found]
        holders = {at[1].name: at[1] for at in made if at is not None and at[1].op == MODEL}
        if len(found) != 1 or len(holders) != 1:
            names = ", ".join(f"'{node.name}'" for _, node in found)
            raise GraphError(
                f"The graph should cut texts by one SentencePiece model, once; it does in {names}.", UNSUPPORTED
            )
        self.node, self.holder = found[0][1], next(iter(holders.values()))
        self.data = self._data()
        self.cutter = cutter(self.data, self.holder.name)

    def _data(self) -> bytes:
        data: Any = self.holder.attr("model", b"")
        data = data.encode() if isinstance(data, str) else data
        if not data and self.holder.inputs:
            made = self.bodies.origin(self.bodies.graph, self.holder.input(0))
            if made is not None and made[1].op == "Const":
                data = np.asarray(made[1].value, object).item()
        if not data:
            raise GraphError(f"The {self.holder} brings no SentencePiece model.", REPORT)
        return bytes(data)

    @property
    def pieces(self) -> PieceModel:
        """The model."""
        return self.cutter.model

    def vocabulary(self) -> tuple[Path, Node]:
        """Return a file of the model, and the node that holds it."""
        return self._file, self.holder

    @cached_property
    def _file(self) -> Path:
        return self.model.keep(FILE, self.data)

    def read(self, run: TextSide, longest: int, origin: str = INSIDE) -> tuple[TextBlueprint, ProbedSide]:
        """Return the text blueprint, and what it was read from: of `probes` the last two are empty and too long to fit.

        Args:
            run: runs the text side.
            longest: more pieces than fit.
            origin: see `TextBlueprint`.

        Raises:
            GraphError: something else is done to texts, or ids are packed in a way that is not understood.
        """
        limits.extend(limits.SECONDS_TO_ASK)
        texts = [*self._probes(longest), *self.low(longest)]
        trace = TextTrace()
        watch = _Watching(trace, self.node)
        ids = run(Inquiry({}, texts, watch))
        operations = self._operations(trace)
        trace.forget()
        pack = read_pack(ids, watch.rows(), self.holder.name)
        self._check_alone(run, texts, ids, pack.pad_id)
        heard = self._heard(run, watch)
        cut = SentencePiece(self._undecided(), self.node.name)
        path, holder = self.vocabulary()
        text = TextBlueprint((*operations, cut, pack), path, holder.name, origin)
        seen = Seen(len(texts), int((ids != pack.pad_id).sum(1).max()), (len(texts),), code_points=_points(heard))
        return text, ProbedSide(operations, trace.tables, {}, tuple(map(ProbedText, texts, ids)), heard, seen)

    @staticmethod
    def _check_alone(run: TextSide, texts: Sequence[str], ids: np.ndarray, pad: int) -> None:
        """See that what a text becomes does not depend on those beside it."""
        for i in (0, len(texts) // 2, len(texts) - 2):
            (row,) = run(Inquiry({}, [texts[i]]))
            if row[row != pad].tolist() != ids[i][ids[i] != pad].tolist():
                raise GraphError(
                    f"What the graph makes of {texts[i][:40]!r} depends on the other texts in its batch.", UNSUPPORTED
                )

    def _probes(self, longest: int) -> list[str]:
        return [*probe_texts(BYTES), *length_texts(longest, longest), *_odd_texts(self.pieces)]

    def low(self, longest: int) -> list[str]:
        """Return texts whose ids are all low, those that the graph names among them; the last two are empty and too long."""
        some = [
            piece.text[1:]
            for piece in self.pieces.pieces[:LOW]
            if piece.kind == NORMAL and piece.text[0] == SPACE and piece.text[1:].isascii() and piece.text[1:].isalpha()
        ]
        words = [word for word in some if max(self.cutter.ids(word.encode()), default=0) < LOW] or [LETTERS[0]]
        Random(0).shuffle(words)
        many = [words[i % len(words)] for i in range(longest + 1)]
        return [" ".join(many[: longest // 2]), " ".join(many[:3]), "", " ".join(many)]

    def _operations(self, trace: TextTrace) -> tuple[CaseFold | Normalize | ReplacePattern, ...]:
        if trace.looked:
            names = ", ".join(f"'{name}' ({node.op})" for name, node in list(trace.looked.items())[:3])
            raise GraphError(f"The graph looks at characters by {names}.", UNSUPPORTED)
        if trace.untaken():
            raise GraphError(
                f"Node '{trace.untaken()[0]}' takes another branch for texts that no probe reached.", UNSUPPORTED
            )
        steps = [step for step in trace.steps if isinstance(step, CaseFold | Normalize | ReplacePattern)]
        other = next((step for step in trace.steps if step not in steps), None)
        if other is not None:
            raise GraphError(f"Node '{other.evidence}' splits texts before they are cut into pieces.", UNSUPPORTED)
        return tuple(steps)

    def _heard(self, run: TextSide, watch: _Watching) -> tuple[Heard, ...]:
        """Return many texts with all the pieces, as ids, that the graph's own node made of them."""
        source = Random(2)
        pieces = [piece.text.replace(SPACE, " ") for piece in self.pieces.pieces if piece.kind == NORMAL]
        points = characters(every=EVERY)
        texts = [
            *joined((f"a{point}b " for point in points), LONG),
            *mixed_texts(points, count=TEXTS),
            *("".join(source.choices(pieces, k=source.randint(1, 12))) for _ in range(TEXTS)),
            *("".join(source.choices(_TOUCHY, k=source.randint(2, 14))) for _ in range(TEXTS)),
        ]
        run(Inquiry({}, texts, watch))
        return tuple(Heard(text, tuple(map(str, row))) for text, row in zip(texts, watch.rows(), strict=True))

    def _undecided(self) -> str:
        """Return a text whose cut the round-off of float32 sums decides; "" where none is found."""
        source, normal = Random(3), [piece.text for piece in self.pieces.pieces if piece.kind == NORMAL]
        doubled = [text[0] for text in normal if len(text) == 2 and text[0] == text[1]][:DOUBLED]
        before = ["", *(text[1:] for text in normal if text[0] == SPACE and len(text) > 2)][:BEFORE]
        texts = [f"{word} {c * length}" for length in range(2, RUNS) for word in before for c in doubled]
        texts += ["".join(source.choices(f"{LETTERS}{LETTERS.upper()}0123456789", k=30)) for _ in range(RANDOM)]
        for text in texts:
            whole = self.cutter.normalized(text.encode()).decode()
            if self.cutter.cut(whole) != self.cutter.cut(whole, exact=True):
                return text.strip()
        return ""


# Characters that normalizers get wrong beside each other.
_TOUCHY = (
    "ae \u0301\u0323\u0345\u1100\u1161\u11a8한각é\u200b\u200d\ufeff\u00ad\x01\x02\x00▁ｶﾞﬁ①²\u3000\u0e33\u0bd7\u0bc6İß"
)


def _odd_texts(model: PieceModel) -> list[str]:
    """Return texts that hold the names of pieces which no text is cut into, and runs of spaces."""
    names = [piece.text for piece in model.pieces if piece.kind not in (NORMAL, UNKNOWN)][:20]
    return [*(f"a {name} b{name}{name[1:]}" for name in [*names, model.pieces[model.unknown].text]), "  a   b  ", "▁a▁"]


class _Watching:
    """Follows a run, and keeps the pieces that one node gave."""

    def __init__(self, trace: TextTrace, node: Node) -> None:
        self.trace, self.node = trace, node
        self._given: list[tuple[Any, Any]] = []

    def follow(self, value: Any) -> None:
        """Follow a value that holds texts."""
        self.trace.follow(value)

    def observe(self, node: Node, inputs: Sequence[Any], outputs: tuple[Any, ...]) -> None:
        """Take note of one step of a run."""
        self.trace.observe(node, inputs, outputs)
        if node.name == self.node.name and node.function == self.node.function:
            self._given.append((outputs[0], outputs[1]))

    def rows(self) -> list[list[int]]:
        """Return the pieces of each text since the last time, as ids: the node is run once, or once for each text.

        Raises:
            GraphError: it gives pieces as texts.
        """
        given, self._given = self._given, []
        if any(values.dtype.kind not in "iu" for values, _ in given):
            raise GraphError(f"Node '{self.node.name}' gives no ids of pieces.", UNSUPPORTED)
        return [part.tolist() for values, splits in given for part in np.split(values, splits[1:-1])]


def read_pack(ids: np.ndarray, rows: Sequence[Sequence[int]], evidence: str) -> Pack:
    """Read how ids are packed.

    Args:
        ids: int [texts, length], what the graph makes of texts; the last two are empty and too long.
        rows: the pieces of each.
        evidence: the node that holds the model.

    Raises:
        GraphError: it is not perhaps a start id, pieces, an end id, padding, with the end kept where pieces do not fit.
    """
    length, empty, full = ids.shape[1], ids[-2].tolist(), ids[-1].tolist()
    pad, most = empty[-1], rows[-1]
    start = NO_START if full[: length - 1] == list(most[: length - 1]) else full[0]
    end = full[-1]
    head = [] if start == NO_START else [start]
    room = length - len(head) - 1
    if len(rows) != len(ids):
        raise GraphError(f"The graph cuts {len(rows)} texts where it is given {len(ids)}.", UNSUPPORTED)
    for row, pieces in zip(ids.tolist(), rows, strict=True):
        wanted = [*head, *pieces[:room], end]
        other = next((pair for pair in zip(pieces[:room], row[len(head) :], strict=False) if pair[0] != pair[1]), None)
        if other is not None and _moves(ids.tolist(), rows):
            raise GraphError(
                f"The graph gives the pieces of the SentencePiece model of node '{evidence}' other ids than the model "
                f"has, as XLM-R's (of fairseq) are: {other[0]} becomes {other[1]}.",
                "Export it with a SentencePiece model that has the ids of the word embeddings.",
            )
        if row != wanted + [pad] * (length - len(wanted)) and rows[-2]:
            raise GraphError(
                f"The SentencePiece model of node '{evidence}' adds {', '.join(map(str, rows[-2]))} to each text by itself "
                "(add_bos, add_eos), and texts are cut to length after that: a long one loses its end.",
                "Export it with these ids added once texts are cut.",
            )
        if row != wanted + [pad] * (length - len(wanted)):
            raise GraphError(
                f"The graph does not pack the pieces of the SentencePiece model of node '{evidence}' as a start id, as "
                f"many as fit, an end id and padding: of the pieces {list(pieces[:6])}… it makes {row[:8]}….",
                REPORT,
            )
    return Pack(start, end, pad, length, evidence)


def _moves(ids: Sequence[Sequence[int]], rows: Sequence[Sequence[int]]) -> bool:
    """Tell whether each piece of texts that fit becomes one id, always the same, behind a start id."""
    found: dict[int, set[int]] = defaultdict(set)
    for row, pieces in zip(ids, rows, strict=True):
        for piece, number in zip(pieces, row[1:-1], strict=False):
            found[piece].add(number)
    return all(len(numbers) == 1 for numbers in found.values())


def _points(heard: Sequence[Heard]) -> int:
    return len({c for each in heard for c in each.text})


def cuts_by_pieces(graph: Graph) -> bool:
    """Tell whether a graph cuts texts by a SentencePiece model."""
    return bool(Bodies(graph).find(PIECES))
