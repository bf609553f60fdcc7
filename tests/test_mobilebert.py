"""MobileBERT: exact in all languages as `MobileBertModel`, with padding or without; nothing else is taken for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from references import VOCABULARY, Pair

import hub2hf
from hub2hf.errors import Hub2HFError

WAYS = ("automodel", "sentence-transformers", "onnx-runtime")


@pytest.fixture(scope="module")
def build_mobilebert(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pair]:
    """Return a function from option values to an encoder and its preprocessor."""
    from builders import bert_tf2 as tf2
    from builders import mobilebert

    def make(**changes: Any) -> Pair:
        options, folder = replace(mobilebert.Options(), **changes), tmp_path_factory.mktemp("mobilebert")
        mobilebert.build(folder / "encoder", VOCABULARY, options)
        beside = replace(tf2.SIZES["mini"], max_length=options.max_length)
        tf2.build_preprocessor(folder / "preprocessor", VOCABULARY, beside)
        return Pair(folder / "encoder", folder / "preprocessor", options)

    return make


@pytest.mark.parametrize("pooler", [False, True])
def test_it_is_exact_in_every_language_however_it_is_loaded(
    pooler: bool, build_mobilebert: Callable[..., Pair], tmp_path: Path
) -> None:
    pair, out = build_mobilebert(pooler=pooler, pairs=2 if pooler else 4), tmp_path / "out"
    source = hub2hf.Source.find(pair.encoder, preprocessor=pair.preprocessor)
    encoder = hub2hf.convert(source, out, onnx=True).blueprint.encoder
    assert encoder.architecture == "mobilebert"
    assert all(item.named for item in encoder.mapped) or pooler  # the second of two pairs is named as that of four
    config = json.loads((out / "config.json").read_bytes())
    assert (config["architectures"], config["classifier_activation"]) == (["MobileBertModel"], pooler)
    assert "auto_map" not in config
    assert config["max_position_embeddings"] == pair.options.max_length < pair.options.positions
    report = hub2hf.verify(source, out)
    assert {row.surface for row in report.rows} == set(WAYS)
    assert max(row.difference for row in report.rows) < 2e-6
    assert not any(row.other_ids for row in report.rows)
    assert len({row.language for row in report.rows}) > 109
    assert hub2hf.integrity(out) == {}
    hub2hf.slim(out, tmp_path / "slim", languages=["de"])
    _check_states(pair, out)
    shutil.rmtree(pair.encoder)


def _check_states(pair: Pair, out: Path) -> None:
    """All states of the stock class and of ONNX Runtime, of texts of each length, without padding and with much of it."""
    import onnxruntime
    import tensorflow as tf
    import torch
    from transformers import AutoModel

    serve = tf.saved_model.load(str(pair.encoder)).signatures["serving_default"]
    model = AutoModel.from_pretrained(out).eval()
    assert type(model).__name__ == "MobileBertModel"
    session = onnxruntime.InferenceSession(out / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    longest = pair.options.max_length
    pad = int(model.config.pad_token_id)
    for length in (1, 2, 9, longest - 1, longest):
        ids = np.full((2, longest), pad)
        ids[:, :length] = np.random.default_rng(length).integers(1000, 5000, (2, length))
        mask = (np.arange(longest) < length).astype(np.int64) * np.ones((2, 1), np.int64)
        names = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": 0 * ids}
        made = serve(**{name: tf.constant(value, tf.int32) for name, value in names.items()})["sequence_output"]
        expected = made.numpy()[:, :length]
        for width in (length, (length + longest) // 2, longest):
            given = {
                "input_ids": ids[:, :width],
                "attention_mask": mask[:, :width],
                "token_type_ids": 0 * ids[:, :width],
            }
            with torch.inference_mode():
                states = model(**{name: torch.from_numpy(value) for name, value in given.items()}).last_hidden_state
            for found in (states.numpy(), session.run(["last_hidden_state"], given)[0]):
                assert np.abs(found[:, :length] - expected).max() < 2e-6 * np.abs(expected).max(), (length, width)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"order": "-1 0 1"}, "the stage 'embeddings'.*computes something else"),
        ({"order": "1 0 -2"}, "the stage 'embeddings'.*computes something else"),
        ({"normalised": True}, "have LayerNorm .* for which MobileBertModel has two epsilons at once"),
    ],
)
def test_what_the_class_cannot_hold_is_refused(
    changes: dict[str, Any], said: str, build_mobilebert: Callable[..., Pair], tmp_path: Path
) -> None:
    pair = build_mobilebert(**changes)
    with pytest.raises(Hub2HFError, match=said):
        hub2hf.convert(pair.encoder, tmp_path / "out", preprocessor=pair.preprocessor)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fixed", [True, False])
def test_texts_go_in_where_all_are_padded_to_one_length(fixed: bool, tmp_path: Path) -> None:
    """What becomes of the last token of a text depends on whether padding follows: the length must not be the batch's."""
    import tensorflow as tf
    from builders import bert_tf2 as tf2
    from builders import mobilebert

    options = mobilebert.Options()
    beside = replace(tf2.SIZES["mini"], max_length=options.max_length)
    tf2.build_preprocessor(tmp_path / "preprocessor", VOCABULARY, beside)

    class Sentences(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.side = tf.saved_model.load(str(tmp_path / "preprocessor"))
            self.encoder = mobilebert.Encoder(len(VOCABULARY.read_bytes().splitlines()), options)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def __call__(self, inputs: Any) -> Any:
            found = self.side(inputs)
            width = options.max_length if fixed else tf.reduce_max(tf.reduce_sum(found["input_mask"], 1))
            return {"default": self.encoder({name: value[:, :width] for name, value in found.items()})["default"]}

    module, source, out = Sentences(), tmp_path / "source", tmp_path / "out"
    module(tf.constant(["x"]))
    tf.saved_model.save(module, str(source), signatures={"serving_default": module.__call__})
    if fixed:
        assert hub2hf.convert(source, out).blueprint.encoder.architecture == "mobilebert"
        report = hub2hf.verify(source, out, languages=["de", "ja", "traps"])
        assert max(row.difference for row in report.rows) < 2e-6
    else:
        with pytest.raises(
            Hub2HFError, match=r"padded to the longest of their batch .*: what becomes of a text depends"
        ):
            hub2hf.convert(source, out)
