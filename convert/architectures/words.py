"""What cards and reports say of an encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub2hf import architectures
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.poolers import POOLERS

OUTPUT: Final = "pooler_output"  # the attribute that is the embedding, of what a model of transformers returns


@dataclass(frozen=True)
class Words:
    """An encoder in words.

    Attributes:
        title: its architecture.
        model_class: the class of that in transformers.
        head: what becomes of the tokens of the last layer.
        embedding_size: numbers of an embedding.
        class_lines: lines of the model class that a folder may bring.
    """

    title: str
    model_class: str
    head: str
    embedding_size: int
    class_lines: int


def head_in_words(pooler: str, activations: Sequence[str]) -> str:
    """Return a pooler and the activations of the dense layers after it in words."""
    if pooler == "first" and len(activations) == 1:
        return f"dense layer on the first token, {activations[0]}"
    return ", then ".join([POOLERS[pooler].words, *(f"a dense layer, {name}" for name in activations)])


def words_of(encoder: EncoderBlueprint) -> Words:
    """Return the words for an encoder that was read."""
    return _words(encoder.architecture, encoder.pooler.value, encoder.dense, encoder.embedding_size)


def words_of_facts(facts: Mapping[str, Any]) -> Words:
    """Return the words for an encoder as `hub2hf.json` has it; those of version 0.1.0 have a dense layer on the first token.

    Args:
        facts: "encoder" of the blueprint there.
    """
    hidden = facts["hidden_size"]["value"]
    if "pooler" not in facts:
        return _words("bert", "first", [_Layer(hidden, facts["pooler_activation"]["value"])], hidden)
    layers = [_Layer(layer["outputs"], layer["activation"]) for layer in facts["dense"]]
    return _words(facts["architecture"], facts["pooler"]["value"], layers, layers[-1].outputs if layers else hidden)


def head_of_facts(facts: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the name of the pooler and of the activation of every dense layer after it, as `words_of_facts`."""
    if "pooler" not in facts:
        return "first", [facts["pooler_activation"]["value"]]
    return facts["pooler"]["value"], [layer["activation"] for layer in facts["dense"]]


@dataclass(frozen=True)
class _Layer:
    outputs: int
    activation: str


def _words(name: str, pooler: str, dense: Sequence[Any], size: int) -> Words:
    known = architectures.ARCHITECTURES[name]
    lines = known.model_code().count(b"\n")
    return Words(
        known.title, known.model_class, head_in_words(pooler, [each.activation for each in dense]), size, lines
    )
