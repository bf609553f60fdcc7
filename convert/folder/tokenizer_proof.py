"""Hold the compiled tokenizer against what the graph itself made of the probe texts."""

from __future__ import annotations

from tokenizers import Tokenizer

from hub2hf import limits
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.errors import GraphError
from hub2hf.folder.agreement import prove_tables
from hub2hf.folder.piece_proof import prove_pieces
from hub2hf.tokenizer import probe_tokenizer


def prove_tokenizer(blueprint: Blueprint) -> None:
    """Compile the text blueprint over the probe vocabulary and compare ids, text by text.

    Raises:
        GraphError: the graph computes other ids than its text operations, as they were read, give.
    """
    if blueprint.text.by_pieces:
        prove_pieces(blueprint)
        return
    with limits.budget(0):
        prove_tables(blueprint.text)
    tokenizer = probe_tokenizer(blueprint.text, blueprint.probe_vocabulary)
    pad_id = blueprint.text.pack.pad_id
    for probe in blueprint.probes:
        expected = [int(i) for i in probe.ids if i != pad_id]
        found = tokenizer.encode(probe.text).ids
        if found != expected:
            at = next((i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), -1)
            steps = ", ".join(operation.evidence for operation in blueprint.text.operations)
            raise GraphError(
                f"The text operations ({steps}) do not give the ids that the graph computes for {probe.text[:40]!r}: "
                f"they part at piece {at} ({found[at]} for {expected[at]}).",
                "The graph combines its text operations in a way that is not supported: report the model.",
            )
    for heard in blueprint.heard:
        words = words_of(tokenizer, heard.text)
        if words != list(heard.words):
            at = next((i for i, pair in enumerate(zip(words, heard.words, strict=False)) if pair[0] != pair[1]), -1)
            there = " ".join(heard.words[max(0, at - 1) : at + 2])
            here = " ".join(words[max(0, at - 1) : at + 2])
            steps = ", ".join(operation.evidence for operation in blueprint.text.operations)
            raise GraphError(
                f"The text operations ({steps}) do not give the words that the graph looks up: {here!r} ({points(here)}) "
                f"for {there!r} ({points(there)}).",
                "The graph combines its text operations in a way that is not supported: report the model.",
            )


def points(text: str) -> str:
    """Return the code points of a text in figures."""
    return " ".join(f"U+{ord(c):04X}" for c in text if c != " ")


def words_of(tokenizer: Tokenizer, text: str) -> list[str]:
    """Return the words that a tokenizer looks up for a text."""
    normalised = tokenizer.normalizer.normalize_str(text)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalised)]
