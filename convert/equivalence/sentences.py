"""Sentences by language: those of the demonstration."""

from __future__ import annotations

from typing import NamedTuple

from convert.configs import config_file


class Sentence(NamedTuple):
    """A sentence and its language (ISO 639 code, as on the model card)."""

    language: str
    text: str


def sentences() -> list[Sentence]:
    """Return the sentences of `configs/demo_sentences.tsv`, in order."""
    content = config_file("demo_sentences.tsv").read_text(encoding="utf-8")
    lines = [line for line in content.splitlines() if line and not line.startswith("#")]
    return [Sentence(*line.split("\t", 1)) for line in lines]
