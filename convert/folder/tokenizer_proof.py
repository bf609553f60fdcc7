"""Hold the compiled tokenizer against what the graph itself made of the probe texts."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer

from hub2hf import limits
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.errors import GraphError
from hub2hf.folder.agreement import prove_tables
from hub2hf.folder.piece_proof import prove_pieces
from hub2hf.tokenizer import never_in_pieces, probe_tokenizer
from hub2hf.unicode.codepoints import LAST

UNKNOWN = chr(LAST)  # the word that such a tokenizer makes of one that no piece covers


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
    never = never_in_pieces(blueprint.text.operations)
    most = blueprint.text.wordpiece.max_bytes_per_word

    def told(words: Iterable[str]) -> list[str]:
        """Words, those alike that are surely unknown where folding may make such."""
        sure = (UNKNOWN if len(word.encode()) > most or not never.isdisjoint(word) else word for word in words)
        return [word for word in sure if word] if never else list(words)

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
        words, wanted = told(words_of(tokenizer, heard.text)), told(heard.words)
        if words != wanted:
            at = next((i for i, pair in enumerate(zip(words, wanted, strict=False)) if pair[0] != pair[1]), -1)
            there = " ".join(wanted[max(0, at - 1) : at + 2])
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
