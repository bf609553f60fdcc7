"""The blueprint against the options that each reference was built with."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from references import EMBEDDED, Reference

import hub2hf
from hub2hf.blueprint.blueprint import Blueprint
from hub2hf.blueprint.text import ReplacePattern, SplitCharacters
from hub2hf.errors import GraphError


@cache
def read(folder: Path) -> Blueprint:
    """Return what is read of a reference, once."""
    return hub2hf.inspect(folder)


def test_every_option_is_read(variant: Reference) -> None:
    blueprint, options = read(variant.folder), variant.options
    encoder, text = blueprint.encoder, blueprint.text
    assert encoder.hidden_size.value == options.hidden
    assert encoder.layers.value == options.layers
    assert encoder.heads.value == options.heads
    assert encoder.intermediate_size.value == options.intermediate
    assert encoder.positions.value == options.positions
    assert encoder.hidden_activation.value == options.activation
    assert [layer.activation for layer in encoder.dense] == [options.pooler] * options.dense_layers
    assert all(layer.bias == options.dense_bias for layer in encoder.dense)
    assert encoder.pooler.value == options.pooling
    assert encoder.layer_norm_epsilon.value == options.epsilon
    assert encoder.normalised.value == options.normalise
    assert encoder.token_type_row.value == 0
    assert text.pack.max_length == options.max_length
    assert (text.pack.start_id, text.pack.end_id, text.pack.pad_id) == (101, 102, 0)
    assert text.wordpiece.max_bytes_per_word == options.max_bytes_per_word
    cuts = [op.patterns for op in text.operations if isinstance(op, SplitCharacters)]
    assert cuts == ([options.cut_patterns] if options.cut_patterns else [])
    deleted = [op.pattern for op in text.operations if isinstance(op, ReplacePattern)]
    assert deleted == ([options.delete_pattern] if options.delete_pattern else [])


def test_every_value_has_evidence_in_the_graph_or_the_checkpoint(variant: Reference) -> None:
    facts = hub2hf.facts(read(variant.folder))
    graph = variant.folder.joinpath("saved_model.pb").read_bytes()
    encoder = facts["encoder"]
    assert encoder.pop("architecture") == "bert"
    for value in (*encoder.pop("dense"), *encoder.values()):
        named = value["evidence"].split("'")[1]
        assert named.encode() in graph
    for operation in facts["text"]:
        assert operation["evidence"].split(",")[0].encode() in graph


def test_unused_variables_are_reported(variant: Reference) -> None:
    assert read(variant.folder).encoder.unused == (f"{variant.options.scope}/embeddings/token_type_embeddings_real",)


def test_facts_are_json() -> None:
    facts = hub2hf.facts(hub2hf.inspect(EMBEDDED))
    assert json.loads(json.dumps(facts)) == facts
    assert len(facts["mapping"]) == 5 + 16 * 3 + 2


def test_epsilons_that_differ_are_refused(build: Callable[..., Reference], monkeypatch: pytest.MonkeyPatch) -> None:
    from builders import lealla as reference

    original, calls = reference.layer_norm, []

    def uneven(x: object, make: reference.Variables) -> object:
        calls.append(1)
        if len(calls) == 3:
            make.options.__dict__["epsilon"] = 1e-5
        return original(x, make)

    monkeypatch.setattr(reference, "layer_norm", uneven)
    model = build()
    with pytest.raises(GraphError, match=r"epsilons differ.*1e-12.*1e-05"):
        hub2hf.inspect(model.folder)


def test_an_activation_of_another_kind_is_refused_by_node(
    build: Callable[..., Reference], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf
    from builders import lealla as reference

    monkeypatch.setitem(reference.ACTIVATIONS, "swish", lambda x: x * tf.sigmoid(1.7 * x))
    with pytest.raises(GraphError, match=r"intermediate/dense/BiasAdd.*none of: gelu_tanh"):
        hub2hf.inspect(build(activation="swish").folder)


def test_words_without_a_bound_are_refused(build: Callable[..., Reference]) -> None:
    with pytest.raises(GraphError, match="takes words of 4000 bytes, and no constant bounds those"):
        hub2hf.inspect(build(max_bytes_per_word=4000).folder)


def test_layers_that_differ_are_refused_by_stage(
    build: Callable[..., Reference], monkeypatch: pytest.MonkeyPatch
) -> None:
    from builders import lealla as reference

    original, calls = reference.attention, []

    def uneven(x: object, bias: object, batch: object, make: reference.Variables) -> object:
        calls.append(1)
        return original(x, bias if len(calls) != 2 else bias * 0.0, batch, make)

    monkeypatch.setattr(reference, "attention", uneven)
    with pytest.raises(GraphError, match="stage 'layer 1'"):
        hub2hf.inspect(build().folder)
