"""Encoders of other kinds, told by what they compute, so that a refusal calls them what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hub2hf.analysis.read import SAME
from hub2hf.architectures import ARCHITECTURES
from hub2hf.architectures.poolers import OTHERS, POOLERS
from hub2hf.blueprint.dataflow import Bodies
from hub2hf.blueprint.entry import Chosen, ids_entry, takes_text, text_entry
from hub2hf.blueprint.refused.observed import Observed, flat_graph, observe
from hub2hf.blueprint.refused.other_layers import QUESTIONS, Finding, hidden_size
from hub2hf.blueprint.vocabulary.tables import Tables, with_plain_tables
from hub2hf.errors import GraphError, Hub2HFError, MappingError
from hub2hf.interpreter.plan import order_of
from hub2hf.savedmodel.graph import Graph
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.node import Node
from hub2hf.savedmodel.variables import VARIABLE_OPS

_TITLES = [known.title for known in ARCHITECTURES.values()]
KNOWN = f"{', '.join(_TITLES[:-1])} or {_TITLES[-1]}"
ONLY_KNOWN = f"hub2hf converts {KNOWN} encoders; this model needs another class in Hugging Face."
KNOWN_POOLERS = ", or ".join(pooler.words for pooler in POOLERS.values())
ATTENTION = frozenset({"Softmax", "Exp", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})
CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv"})
FOURIER = frozenset({"FFT", "FFT2D", "FFTND", "RFFT", "RFFT2D", "RFFTND"})
RECURRENT = frozenset(
    {"BlockLSTM", "BlockLSTMV2", "LSTMBlockCell", "GRUBlockCell", "CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"}
)
BYTES, BYTE_SPACE = 256, "\u0120".encode()  # of byte-level BPE: a table from bytes to letters, and that of a space
GATES = frozenset({"Sigmoid", "Tanh"})
# Op → how a text is cut where these stand.
CUTS = {
    "SentencepieceTokenizeWithOffsetsOp": "a SentencePiece model, as T5 and XLM-R have",
    "StringToHashBucketFast": "words hashed into buckets, as the Universal Sentence Encoder has",
    "StringSplit": "words between spaces, as nnlm and the Universal Sentence Encoder have",
    "StringSplitV2": "words between spaces, as nnlm and the Universal Sentence Encoder have",
}


def called_what_it_is(error: Hub2HFError, model: SavedModel, output: str = "") -> Hub2HFError:
    """Return `error`, or a better one where the model is seen to be of another kind.

    Args:
        error: why the model could not be read.
        model: an encoder, of text or of ids.
        output: as for `read_blueprint`.
    """
    try:
        chosen = text_entry(model, output) or ids_entry(model, output)
        found = findings(model, chosen)
    except Hub2HFError:
        return error
    if not found:
        return error
    kind = GraphError if isinstance(error, GraphError) else MappingError
    told = "; ".join(map(str, found))
    missed = "" if any(finding.of_text for finding in found) else f" {error.problem}"
    return kind(f"This is no {KNOWN} encoder as hub2hf reads them: it has {told}.{missed}", ONLY_KNOWN)


def findings(model: SavedModel, chosen: Chosen) -> list[Finding]:
    """Return what sets the encoder behind an output apart from BERT; nothing where it is like one, or cannot be run.

    Raises:
        GraphError: the graph is damaged.
    """
    text = takes_text(chosen.entry)
    nodes = reached(flat_graph(chosen), chosen)
    found = list(_without_attention(nodes)) + (list(_cuts(model, chosen, nodes)) if text else [])
    if found:
        return found
    try:
        seen = observe(model, chosen, text=text)
    except Hub2HFError:
        return found
    if not seen.attention:
        found += _instead(nodes)
    for question in (_widths, _shared, *QUESTIONS, _pooling):
        found += question(seen)
    return found


def reached(graph: Graph, chosen: Chosen) -> list[Node]:
    """Return all nodes that the output depends on, and those of the functions that these call."""
    nodes = order_of(graph, [chosen.tensor.ref])
    names, seen = _called(nodes), set[str]()
    while names - seen:
        name = (names - seen).pop()
        seen.add(name)
        if name in graph.functions:
            function = graph.functions[name]
            body = order_of(function, function.returns)
            nodes += body
            names |= _called(body)
    return nodes


def _called(nodes: list[Node]) -> set[str]:
    """Return the functions that nodes call; what was a call before it was made flat calls no more."""
    return {name for node in nodes if node.op != "IdentityN" for called in node.calls.values() for name in called}


def _without_attention(nodes: list[Node]) -> Iterator[Finding]:
    if any(node.op in ATTENTION for node in nodes):
        return
    instead = list(_instead(nodes))
    if instead:
        yield from instead
        return
    variable = next((node for node in nodes if node.op in VARIABLE_OPS), None)
    where = f"variable '{variable.name}'" if variable else "no variables"
    if any(node.op == "MatMul" for node in nodes):
        yield Finding(
            "no attention: embeddings of words are summed and go through dense layers, as in the Universal Sentence "
            "Encoder's DAN",
            where,
        )
    else:
        yield Finding("no attention: embeddings of words are summed or averaged, as in nnlm", where)


def _instead(nodes: list[Node]) -> Iterator[Finding]:
    """What an encoder has that mixes tokens otherwise than attention does."""
    convolution = next((node for node in nodes if node.op in CONVOLUTIONS), None)
    if convolution is not None:
        yield Finding("no attention: neighbouring tokens go through convolutions (a CNN)", _where(convolution))
    fourier = next((node for node in nodes if node.op in FOURIER), None)
    if fourier is not None:
        yield Finding("no attention: tokens are mixed by a Fourier transform, as FNet's are", _where(fourier))
    loops = {node.function for node in nodes if node.function and node.op == "MatMul"}
    recurrent = next(
        (node for node in nodes if node.op in RECURRENT or (node.function in loops and node.op in GATES)), None
    )
    if recurrent is not None:
        yield Finding(
            "no attention: one token after another goes through a recurrent network (as LSTM or GRU)", _where(recurrent)
        )


def _where(node: Node) -> str:
    return f"node '{node.name}'" + (f" of function '{node.function}'" if node.function else "")


def _cuts(model: SavedModel, chosen: Chosen, nodes: list[Node]) -> Iterator[Finding]:
    if any("Wordpiece" in node.op for node in nodes):
        return
    for name, contents in Tables(model, Bodies(with_plain_tables(flat_graph(chosen)))).others().items():
        if len(contents) == BYTES and BYTE_SPACE in contents.values():
            yield Finding(
                "no WordPiece, but bytes that are joined by the ranks of pairs (byte-level BPE), as RoBERTa and GPT-2 have",
                f"node '{name}'",
                of_text=True,
            )
            return
    for op, what in CUTS.items():
        node = next((node for node in nodes if node.op == op), None)
        if node is not None:
            yield Finding(f"no WordPiece, but {what}", f"node '{node.name}', {op}", of_text=True)
            return


def _widths(seen: Observed) -> Iterator[Finding]:
    """Word embeddings of another width than the layers."""
    if seen.table is None or not seen.attention:
        return
    width, hidden = seen.shapes[seen.table.name][-1], hidden_size(seen)
    if hidden is None or width == hidden:
        return
    where = f"variable '{seen.table.name}'"
    before = seen.behind(seen.attention[0])
    triple = next(
        (
            node
            for node, _, data in seen.kernels()
            if node.name in before and seen.shapes.get(data.node, (0,))[-1:] == (3 * width,)
        ),
        None,
    )
    if triple is not None:
        yield Finding(
            f"each word embedding of {width} numbers joined with its two neighbours and projected to {hidden}, as "
            "MobileBERT has",
            f"node '{triple.name}'",
        )
    else:
        yield Finding(
            f"an embedding projection, from {width} to {hidden} numbers, as ALBERT and small ELECTRAs have", where
        )


def _shared(seen: Observed) -> Iterator[Finding]:
    """One set of weights for all layers."""
    uses = Counter(
        variable.name for _, variable, data in seen.kernels() if seen.is_tokens(seen.shapes.get(data.node, ()))
    )
    shared = [name for name, count in uses.items() if count > 1]
    if len(seen.attention) > 1 and len(shared) >= 6:
        yield Finding(
            f"one layer, whose weights are used {uses[shared[0]]} times, as ALBERT has", f"variable '{shared[0]}'"
        )


@dataclass(frozen=True)
class Pooling:
    """How tokens become one row a text, in words, the node of the row, whether a dense layer follows, and whether it is
    one of `POOLERS`."""

    name: str
    where: str
    dense: bool
    known: bool


def pooling(seen: Observed) -> Pooling | None:
    """Return how the last tokens become one row a text; None when it is in no known way."""
    tokens = [name for name in seen.values if seen.is_tokens(seen.shapes[name])][-40:]
    rows = [name for name in seen.nodes if name in seen.values and seen.is_texts(seen.shapes[name])]
    dense = any(seen.is_texts(seen.shapes.get(data.node, ())) for _, _, data in seen.kernels())
    ways = [(pooler.words, pooler.function, True) for pooler in POOLERS.values()]
    ways += [(words, function, False) for words, function in OTHERS.items()]
    for row in reversed(rows):  # a mean is a sum first
        found = seen.values[row].reshape(seen.batch, -1)
        for name in reversed(tokens):
            value = seen.values[name].reshape(seen.batch, seen.length, -1)
            if value.shape[-1] == found.shape[-1]:
                for how, function, known in ways:
                    made = [function(states, attended) for states, attended in zip(value, seen.attended, strict=True)]
                    if np.abs(np.stack(made) - found).max() < SAME:
                        return Pooling(how, row, dense, known)
    return None


def _pooling(seen: Observed) -> Iterator[Finding]:
    found = pooling(seen)
    if found is not None and seen.attention and not found.known:
        yield Finding(f"{found.name} where a pooler that is known takes {KNOWN_POOLERS}", f"node '{found.where}'")
