"""Hold a compiled tokenizer against the pieces that the graph's own SentencePiece node made of many texts."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.text import NO_START, Pack
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.pieces import Cutter
from hub2hf.tokenizer import piece_tokenizer, read_model


def prove_pieces(blueprint: Blueprint) -> None:
    """Compare ids, text by text: packed, of the probes, and whole.

    Raises:
        GraphError: they differ, and not by the round-off of float32 sums alone; names the text.
    """
    text = blueprint.text
    model = read_model(text)
    tokenizer = piece_tokenizer(text, model)
    pad = text.pack.pad_id
    whole = Tokenizer.from_str(tokenizer.to_str())
    whole.no_truncation()
    rounding = _Rounding(Cutter(model, text.vocabulary_evidence), whole, text.pack)
    compared = [
        (each.text, found.ids, [int(piece) for piece in each.words])
        for each, found in zip(
            blueprint.heard,
            whole.encode_batch_fast([each.text for each in blueprint.heard], add_special_tokens=False),
            strict=True,
        )
    ]
    compared += [
        (probe.text, tokenizer.encode(probe.text).ids, [int(i) for i in probe.ids if i != pad])
        for probe in blueprint.probes
    ]
    for given, found, expected in compared:
        if found == expected or rounding.explains(given, found, expected):
            continue
        at = next((i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), -1)
        here, there = (" ".join(model.pieces[i].text for i in ids[at : at + 3]) for ids in (found, expected))
        raise GraphError(
            f"The compiled SentencePiece model of node '{text.vocabulary_evidence}' cuts {given[:40]!r} otherwise than "
            f"the graph: piece {at} begins {here!r} in place of {there!r}.",
            REPORT,
        )


@dataclass(frozen=True)
class _Rounding:
    """Tells whether ids differ by the round-off of float32 sums alone: both are those of the same normalized text."""

    cutter: Cutter
    tokenizer: Tokenizer
    pack: Pack

    def explains(self, text: str, found: list[int], expected: list[int]) -> bool:
        normalized = self.tokenizer.normalizer.normalize_str(text)
        rounded, exact = (self.cutter.cut(normalized, exact=way) for way in (False, True))
        both = ((rounded, exact), (self._packed(rounded), self._packed(exact)))
        return (expected, found) in both

    def _packed(self, ids: list[int]) -> list[int]:
        head = [] if self.pack.start_id == NO_START else [self.pack.start_id]
        return [*head, *ids[: self.pack.max_length - len(head) - 1], self.pack.end_id]
