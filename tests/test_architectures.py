"""What is known of architectures and poolers: the table, the model class that folders ship, and the words agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references import EMBEDDED

import hub2hf
from hub2hf import architectures
from hub2hf.analysis.read import Read
from hub2hf.analysis.run import Probe
from hub2hf.architectures.bert import ARCHITECTURE as BERT
from hub2hf.architectures.bert.modeling_hub2hf import POOLINGS
from hub2hf.architectures.encoder import DenseRead
from hub2hf.architectures.head import HEAD, HeadRead
from hub2hf.architectures.poolers import POOLERS
from hub2hf.architectures.words import words_of, words_of_facts
from hub2hf.errors import MappingError

STATES = np.asarray([[1.0, -6.0], [4.0, -2.0], [9.0, 9.0]])
ATTENDED = np.asarray([True, True, False])
SHIPPED = Path(__file__).parent / "shipped" / "modeling_hub2hf-0.1.0.txt"


def test_what_each_pooler_makes() -> None:
    made = {name: pooler.function(STATES, ATTENDED).tolist() for name, pooler in POOLERS.items()}
    root = 2**0.5
    assert made == {
        "first": [1, -6],
        "mean": [2.5, -4],
        "max": [4, -2],
        "mean_sqrt": pytest.approx([5 / root, -8 / root]),
    }


def test_the_model_class_pools_as_the_table_says() -> None:
    assert POOLINGS.keys() == POOLERS.keys()
    mask = torch.from_numpy(ATTENDED)[None, :, None].double()
    for name, pooling in POOLINGS.items():
        (found,) = pooling(torch.from_numpy(STATES)[None], mask).numpy()
        np.testing.assert_allclose(found, POOLERS[name].function(STATES, ATTENDED), atol=1e-12, err_msg=name)


def test_dense_layers_follow_the_pooler_each_with_its_own_bias_or_none() -> None:
    draw = np.random.default_rng(0).standard_normal
    held = {"head.0.weight": draw((3, 2)), "head.1.weight": draw((4, 3)), "head.1.bias": draw(4)}
    head = HeadRead(
        Read("mean", ""), (DenseRead(3, False, "relu", ""), DenseRead(4, True, "tanh", "")), Read(False, "")
    )
    probe = Probe(np.asarray([[5, 6, 0]]), ATTENDED[None], np.zeros((1, 3), int))
    found = dict(head.stages(STATES[:2], probe, held.__getitem__))
    first = np.maximum(held["head.0.weight"] @ [2.5, -4], 0)
    np.testing.assert_allclose(found["dense 0"], [first], atol=1e-12)
    expected = np.tanh(held["head.1.weight"] @ first + held["head.1.bias"])
    np.testing.assert_allclose(found["embedding"], [expected], atol=1e-12)


def test_a_refusal_says_what_each_architecture_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(title: str) -> Any:
        class Known:
            def recognise(self, flow: object) -> None:
                raise MappingError(f"It has no {title}.", "Report it.")

        known = Known()
        known.title = title.upper()
        return known

    monkeypatch.setattr(architectures, "ARCHITECTURES", {name: missing(name) for name in ("a", "b")})
    with pytest.raises(MappingError, match=r"no architecture that is known\. A: It has no a\. B: It has no b\."):
        architectures.recognise(None)


def test_a_class_is_ours_or_it_is_not() -> None:
    assert architectures.ships_own_class(BERT.model_code())
    assert architectures.ships_own_class(SHIPPED.read_bytes())
    assert not architectures.ships_own_class(SHIPPED.read_bytes() + b"\n")


def test_what_a_folder_and_a_card_say_of_a_head() -> None:
    encoder = hub2hf.inspect(EMBEDDED).encoder
    assert HEAD not in BERT.config(encoder, 0)
    assert words_of(encoder).head == "dense layer on the first token, gelu_tanh"
    mean = replace(encoder, pooler=Read("mean", ""), dense=(DenseRead(8, False, "none", ""),))
    assert BERT.config(mean, 0)[HEAD] == {
        "pooling": "mean",
        "dense": [{"in_features": 32, "out_features": 8, "bias": False, "activation": "linear"}],
    }
    assert (words_of(mean).head, words_of(mean).embedding_size) == ("the mean over tokens, then a dense layer, none", 8)
    assert [BERT.dense_key(each, 0) for each in (encoder, mean)] == ["pooler.dense", "head.0"]
    of_earlier = {"hidden_size": {"value": 32}, "pooler_activation": {"value": "tanh"}}
    assert words_of_facts(of_earlier).head == "dense layer on the first token, tanh"
