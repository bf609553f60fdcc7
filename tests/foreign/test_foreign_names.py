"""Names of the years of publication, and names that say nothing: the place decides, and names confirm it."""

from __future__ import annotations

from pathlib import Path

import foreign_names
import numpy as np
import pytest
import tensorflow as tf
import torch
from foreign_recipes import VOCABULARY
from transformers import AutoModel

import hub2hf

PIECES = len(VOCABULARY.read_bytes().splitlines())


def batch() -> list[np.ndarray]:
    """Return ids, mask and types of three texts of 30 ids."""
    source = np.random.default_rng(6)
    ids = source.integers(1, PIECES, (3, 30)).astype(np.int32)
    mask = (np.arange(30) < np.asarray([[9], [30], [1]])).astype(np.int32)
    return [ids * mask, mask, source.integers(0, 2, ids.shape).astype(np.int32)]


def converted(out: Path, given: list[np.ndarray]) -> np.ndarray:
    model = AutoModel.from_pretrained(out).eval()
    ids, mask, types = (torch.from_numpy(part.astype(np.int64)) for part in given)
    with torch.no_grad():
        return np.asarray(model(input_ids=ids, attention_mask=mask, token_type_ids=types).pooler_output)


@pytest.mark.parametrize("year", [2020, 2019])
def test_the_names_of_a_year_are_known(year: int, tmp_path: Path) -> None:
    model, given = foreign_names.official(tmp_path / "model", PIECES, year), batch()
    encoder = hub2hf.convert(tmp_path / "model", tmp_path / "out", vocab=VOCABULARY).blueprint.encoder
    assert all(item.named for item in encoder.mapped)
    wanted = model([tf.constant(part) for part in given])[0].numpy()
    assert np.abs(converted(tmp_path / "out", given) - wanted).max() < 2e-6


def test_keras_3_names_nothing(tmp_path: Path) -> None:
    model, given = foreign_names.keras_3(tmp_path / "model", PIECES), batch()
    encoder = hub2hf.convert(tmp_path / "model", tmp_path / "out", vocab=VOCABULARY).blueprint.encoder
    assert not any(item.named for item in encoder.mapped)
    inputs = dict(zip(foreign_names.IDS, map(tf.constant, given), strict=True))
    wanted = model(inputs)["default"].numpy()
    assert np.abs(converted(tmp_path / "out", given) - wanted).max() < 2e-6
