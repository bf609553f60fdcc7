"""Encoders of ids that others could have built: the good ones convert exactly, the hopeless ones are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from foreign_recipes import VOCABULARY
from foreign_tf2 import Recipe, save_keras

import hub2hf
from hub2hf.errors import GraphError

GOOD = {
    "plain": Recipe(),
    "unit": Recipe(unit=True, approximate=True, epsilon=1e-6, heads=2),
    "listed": Recipe(inputs="list", outputs="list", activation="relu", epsilon=1e-3, head="none"),
    "one output": Recipe(outputs="one", head="relu", dtype=tf.int64, layers=1),
    "one length": Recipe(length=48, layers=1),
}
BAD = {
    "a mean over tokens": (Recipe(twist="mean"), "first token"),
    "no mask": (Recipe(twist="blind"), "takes none"),
}


@pytest.mark.parametrize("name", GOOD)
def test_stock_keras_layers_convert_exactly(name: str, tmp_path: Path) -> None:
    recipe = GOOD[name]
    encoder = save_keras(tmp_path / "encoder", recipe, VOCABULARY)
    found = hub2hf.convert(encoder, tmp_path / "out").blueprint.encoder
    assert found.heads.value == recipe.heads
    assert found.layer_norm_epsilon.value == recipe.epsilon
    assert [layer.activation for layer in found.dense] == [recipe.head]
    assert found.normalised.value == recipe.unit
    report = hub2hf.verify(encoder, tmp_path / "out", languages=["de", "ja", "th", "ar", "traps"])
    exact = [row for row in report.rows if row.surface in ("automodel", "sentence-transformers")]
    assert report.equivalent
    assert max(row.difference for row in exact) < 2e-6


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_bert_is_refused(name: str, tmp_path: Path) -> None:
    recipe, said = BAD[name]
    encoder = save_keras(tmp_path / "encoder", recipe, VOCABULARY)
    with pytest.raises(GraphError, match=said):
        hub2hf.convert(encoder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
