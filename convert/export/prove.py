"""Hold the compiled tokenizer against what the graph itself made of the probe texts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tokenizers import Tokenizer

from convert.blueprint.read import Blueprint
from convert.errors import GraphError
from convert.tokenizer import Vocabulary, write_tokenizer_json


def prove_tokenizer(blueprint: Blueprint) -> None:
    """Compile the text blueprint over the probe vocabulary and compare ids, text by text.

    Raises:
        GraphError: the graph computes other ids than its text operations, as they were read, give.
    """
    tokenizer = _probe_tokenizer(blueprint)
    pad_id = blueprint.text.pack.pad_id
    for probe in blueprint.probes:
        expected = [int(i) for i in probe.ids if i != pad_id]
        found = tokenizer.encode(probe.text).ids
        if found != expected:
            at = next((i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), -1)
            raise GraphError(
                f"The text operations do not give the ids that the graph computes for {probe.text[:40]!r}: they part at "
                f"piece {at} ({found[at]} for {expected[at]}).",
                "The graph combines its text operations in a way that is not supported: report the model.",
            )


def _probe_tokenizer(blueprint: Blueprint) -> Tokenizer:
    """Return the compiled tokenizer over the probe vocabulary; ids without a piece get one that no text can hold."""
    pieces = {number: piece for piece, number in blueprint.probe_vocabulary.items()}
    pack = blueprint.text.pack
    size = max(*pieces, pack.start_id, pack.end_id, pack.pad_id) + 1
    names = tuple(pieces.get(number, f"[none{number}]") for number in range(size))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        write_tokenizer_json(blueprint.text, Vocabulary(names, blueprint.text.vocabulary), path)
        return Tokenizer.from_file(str(path))
