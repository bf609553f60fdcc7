"""T5's encoder, as sentence-T5 and GTR have it: exact in all languages as `T5EncoderModel`; nothing else taken for it."""

from __future__ import annotations

import json
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
FORMS: dict[str, dict[str, Any]] = {
    "first": {},  # T5 of 2019, of which sentence-T5 is made
    "gated": {
        "gate": "gelu_tanh",
        "heads": 8,
        "buckets": 8,
        "turned": False,
        "size": 4,
    },  # which is which, if both are 8?
}


@pytest.fixture(scope="module")
def build_t5(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pair]:
    """Return a function from option values to an encoder and its preprocessor."""
    from builders import bert_tf2 as tf2
    from builders import t5

    def make(**changes: Any) -> Pair:
        options, folder = replace(t5.Options(), **changes), tmp_path_factory.mktemp("t5")
        t5.build(folder / "encoder", VOCABULARY, options)
        beside = replace(tf2.SIZES["mini"], types=0, max_length=options.max_length)
        tf2.build_preprocessor(folder / "preprocessor", VOCABULARY, beside)
        return Pair(folder / "encoder", folder / "preprocessor", options)

    return make


@pytest.mark.parametrize("form", FORMS)
def test_it_is_exact_in_every_language_however_it_is_loaded(
    form: str, build_t5: Callable[..., Pair], tmp_path: Path
) -> None:
    pair, out = build_t5(**FORMS[form]), tmp_path / "out"
    source = hub2hf.Source.find(pair.encoder, preprocessor=pair.preprocessor)
    encoder = hub2hf.convert(source, out, onnx=True).blueprint.encoder
    assert encoder.architecture == "t5"
    assert all(item.named for item in encoder.mapped if not item.key.startswith("head."))
    config = json.loads((out / "config.json").read_bytes())
    assert (config["model_type"], config["architectures"]) == ("t5", ["T5EncoderModel"])
    assert config["feed_forward_proj"] == ("gated-gelu" if form == "gated" else "relu")
    assert (config["d_kv"], config["num_heads"]) == (pair.options.size, pair.options.heads)
    assert [module["path"] for module in json.loads((out / "modules.json").read_bytes())] == [
        "",
        "1_Pooling",
        "2_Dense",
        "3_Normalize",
    ]
    report = hub2hf.verify(source, out)
    assert {row.surface for row in report.rows} == set(WAYS)
    assert max(row.difference for row in report.rows) < 2e-6
    assert not any(row.other_ids for row in report.rows)
    assert len({row.language for row in report.rows}) > 109
    _check_far_states(pair, out)


def _check_far_states(pair: Pair, out: Path) -> None:
    """The class of transformers and ONNX Runtime over more tokens than have distances of their own."""
    import onnxruntime
    import tensorflow as tf
    import torch
    from transformers import T5EncoderModel

    ids = np.random.default_rng(5).integers(1000, 5000, (2, 150))
    given = {"input_ids": ids, "attention_mask": (np.arange(150) < np.asarray([[150], [9]])).astype(np.int64)}
    serve = tf.saved_model.load(str(pair.encoder)).signatures["serving_default"]
    names = dict(zip(given, ("input_word_ids", "input_mask"), strict=True))
    expected = serve(**{names[key]: tf.constant(value, tf.int32) for key, value in given.items()})[
        "sequence_output"
    ].numpy()
    with torch.inference_mode():
        model = T5EncoderModel.from_pretrained(out).eval()
        states = model(**{key: torch.from_numpy(value) for key, value in given.items()}).last_hidden_state.numpy()
    session = onnxruntime.InferenceSession(out / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    for found in (states, session.run(["last_hidden_state"], given)[0]):
        assert np.abs(found - expected)[given["attention_mask"] == 1].max() < 2e-5


def test_queries_are_scaled_where_the_graph_scales_scores(build_t5: Callable[..., Pair]) -> None:
    pair = build_t5(scaled=True, size=16)
    found = hub2hf.inspect(pair.encoder, preprocessor=pair.preprocessor).encoder.mapped
    queries = [item.factor for item in found if item.key.endswith(".q.weight")]
    assert queries == pytest.approx([16**-0.5] * len(queries))
    assert {item.factor for item in found if not item.key.endswith(".q.weight")} == {1.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"distance": 64}, "the stage 'layer 0'.*computes something else"),
        ({"shared": False}, "T5 adds one table of relative positions"),
        ({"gate": "gelu_erf"}, "T5Config has no name for"),
    ],
)
def test_what_the_class_cannot_hold_is_refused(
    changes: dict[str, Any], said: str, build_t5: Callable[..., Pair], tmp_path: Path
) -> None:
    pair = build_t5(**changes)
    with pytest.raises(Hub2HFError, match=said):
        hub2hf.convert(pair.encoder, tmp_path / "out", preprocessor=pair.preprocessor)
    assert not (tmp_path / "out").exists()


def test_texts_that_a_sentencepiece_model_cuts_go_in(tmp_path: Path) -> None:
    """As sentence-T5's modules take them: one SavedModel from texts to embeddings."""
    import tensorflow as tf
    from builders import pieces, t5

    options = pieces.Options(kind="t5", lower=False, strip=False, length=48)

    class Sentences(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.side = pieces.TextSide(pieces.trained(options), options)
            rows = int(self.side.tokenizer.vocab_size()) + 28  # T5 has more rows than pieces, too
            self.encoder = t5.Encoder(rows, t5.Options())

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def __call__(self, inputs: Any) -> Any:
            found = self.side(inputs)
            ids, mask = found["input_ids"], found["input_mask"]
            return {"output_0": self.encoder({"input_word_ids": ids, "input_mask": mask})["default"]}

    module, source, out = Sentences(), tmp_path / "source", tmp_path / "out"
    module(tf.constant(["x"]))
    tf.saved_model.save(module, str(source), signatures={"serving_default": module.__call__})
    assert hub2hf.convert(source, out, onnx=True).blueprint.encoder.architecture == "t5"
    report = hub2hf.verify(source, out, languages=["de", "ja", "th", "ar", "traps"])
    assert {row.surface for row in report.rows} == set(WAYS)
    assert max(row.difference for row in report.rows) < 2e-6
    assert not any(row.other_ids for row in report.rows)
