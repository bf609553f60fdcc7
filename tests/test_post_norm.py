"""BERT's kin, ELECTRA and ALBERT: exact in all languages as classes of transformers, and nothing else taken for them."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from references import Pair

import hub2hf
from hub2hf.architectures import ARCHITECTURES
from hub2hf.errors import MappingError

KIN: dict[str, dict[str, Any]] = {
    "electra": {"embedded": 16, "default": "normalised", "max_length": 48, "lower_case": True},
    "distilbert": {"types": 0, "default": "mean", "max_length": 32, "lower_case": True, "layer_norm": "plain"},
    "albert": {"embedded": 48, "shared": True, "activation": "gelu_erf", "max_length": 48, "layers": 4},
}
WAYS = ("automodel", "sentence-transformers", "onnx-runtime")


@pytest.fixture(scope="module", params=KIN)
def kin(request: pytest.FixtureRequest, build_pair: Callable[..., Pair]) -> tuple[str, Pair]:
    """The name of an architecture, and an encoder of it with its preprocessor."""
    return request.param, build_pair(**KIN[request.param])


def test_it_is_exact_in_every_language_however_it_is_loaded(kin: tuple[str, Pair], tmp_path: Path) -> None:
    name, pair = kin
    out = tmp_path / "out"
    source = hub2hf.Source.find(pair.encoder, preprocessor=pair.preprocessor)
    encoder = hub2hf.convert(source, out, onnx=True).blueprint.encoder
    assert encoder.architecture == name
    assert all(item.named for item in encoder.mapped if not item.key.startswith(("head.", "pooler.")))
    config = json.loads((out / "config.json").read_bytes())
    assert (config["model_type"], config.get("embedding_size", 0)) == (name, KIN[name].get("embedded", 0))
    assert ARCHITECTURES[name].named_as_ours(config)["num_hidden_layers"] == pair.options.layers
    assert config["architectures"] == [ARCHITECTURES[name].model_class]
    report = hub2hf.verify(source, out)
    assert {row.surface for row in report.rows} == set(WAYS)
    assert max(row.difference for row in report.rows) < 2e-6
    assert not any(row.other_ids for row in report.rows)
    assert len({row.language for row in report.rows}) > 109  # the traps have a name of their own
    assert hub2hf.integrity(out) == {}
    _check_the_card(out, name)
    hub2hf.slim(out, tmp_path / "slim", languages=["de"])
    config = json.loads((tmp_path / "slim" / "tokenizer_config.json").read_bytes())
    assert config["model_input_names"] == list(ARCHITECTURES[name].inputs)


def _check_the_card(out: Path, name: str) -> None:
    """It names the class, and what it shows of ONNX runs as it stands."""
    card = (out / "README.md").read_text(encoding="utf-8")
    assert f"### As a plain {ARCHITECTURES[name].model_class}" in card
    assert f"\n- {name}\n" in card
    (shown,) = [code for code in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "onnxruntime" in code]
    with contextlib.chdir(out), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(shown, {})
    assert printed.getvalue().count("[") == 4


def test_the_pooler_of_albert_is_that_of_its_class_where_it_can_be(
    build_pair: Callable[..., Pair], tmp_path: Path
) -> None:
    from safetensors import safe_open

    pair = build_pair(**KIN["albert"])
    hub2hf.convert(pair.encoder, tmp_path / "out", preprocessor=pair.preprocessor)
    assert "auto_map" not in json.loads((tmp_path / "out" / "config.json").read_bytes())
    with safe_open(tmp_path / "out" / "model.safetensors", "np") as weights:
        keys = set(weights.keys())
    assert {"pooler.weight", "encoder.embedding_hidden_mapping_in.bias"} <= keys
    assert sum(key.endswith("ffn.weight") for key in keys) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shared": True}, "ELECTRA: The embeddings are not projected"),
        (
            {"types": 0, "embedded": 16},
            r"DistilBertModel cannot\..* ELECTRA: Token types are not added, which ElectraModel does",
        ),
        ({"types": 0, "epsilon": 1e-6}, r"is 1e-06 \(node '.*'\); DistilBertModel has 1e-12 in its code"),
        ({"embedded": 32}, r"from 32 numbers to as many, which ElectraModel does not"),
    ],
)
def test_what_no_class_can_hold_is_refused(changes: dict[str, Any], said: str, build_pair: Callable[..., Pair]) -> None:
    pair = build_pair(**changes)
    with pytest.raises(MappingError, match=said):
        hub2hf.inspect(pair.encoder, preprocessor=pair.preprocessor)


def test_the_stock_class_gives_the_states_of_the_graph(kin: tuple[str, Pair], tmp_path: Path) -> None:
    """The encoder without our class: what people load who do not run code of a folder."""
    import numpy as np
    import tensorflow as tf
    import torch
    from transformers import AutoModel

    name, pair = kin
    hub2hf.convert(pair.encoder, tmp_path / "out", preprocessor=pair.preprocessor)
    ids = np.random.default_rng(5).integers(1000, 5000, (3, 20))
    mask = np.arange(20) < np.asarray([[20], [7], [1]])
    serve = tf.saved_model.load(str(pair.encoder)).signatures["serving_default"]
    given = {"input_word_ids": ids * mask, "input_mask": mask, "input_type_ids": ids % 2 * mask}
    theirs = dict(zip(given, ("input_ids", "attention_mask", "token_type_ids"), strict=True))
    given = {key: value for key, value in given.items() if theirs[key] in ARCHITECTURES[name].inputs}
    expected = serve(**{key: tf.constant(value, tf.int32) for key, value in given.items()})["sequence_output"].numpy()
    shutil.rmtree(tmp_path / "out" / "onnx", ignore_errors=True)
    model = AutoModel.from_pretrained(tmp_path / "out", trust_remote_code=False).eval()
    assert not type(model).__module__.startswith("transformers_modules")
    with torch.inference_mode():
        tensors = {theirs[key]: torch.from_numpy(np.asarray(value, np.int64)) for key, value in given.items()}
        states = model(**tensors).last_hidden_state
    assert np.abs(states.numpy() - expected)[mask].max() < 1e-5
