"""SavedModels that others could have built: the good ones convert exactly, the hopeless ones are refused by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from foreign_recipes import Built, Recipe, build

import hub2hf
from hub2hf.equivalence.sentences import demo_sentences
from hub2hf.state_dict import SWAP_ROWS
from hub2hf.surfaces import embed

TOLERANCE = 2e-6
TEXTS = [sentence.text for sentence in demo_sentences()]


def lost(twist: str, **changes: Any) -> Recipe:
    return Recipe(twists=frozenset([twist]), **{"layers": 1, "hidden": 16, **changes})


def twisted(*twists: str, **changes: Any) -> Recipe:
    return Recipe(twists=frozenset(twists), **changes)


GOOD = {
    "google": Recipe(tags=()),
    "google-erf": Recipe(
        mask="sequence", text="masked", pooler="tanh", activation="gelu_erf", epsilon=1e-6, l2="norm", scope="a/b/c"
    ),
    "google-relu": Recipe(
        mask="carried", text="decoded", activation="relu", l2="rsqrt", norm="by_hand", hidden=48, heads=3, layers=1
    ),
    "google-no-norm": Recipe(mask="ones_like", text="word_loop", l2="none", pooler="none", norm="power"),
    "modern": Recipe(
        encoder="modern",
        text="word_map",
        attention="einsum",
        norm="fused",
        epsilon=2e-5,
        resource=True,
        activation="nn_gelu_tanh",
        pooler="nn_gelu_erf",
    ),
    "tensordot": Recipe(
        encoder="modern",
        text="called",
        attention="tensordot",
        norm="squares",
        epsilon=1e-6,
        activation="nn_gelu_erf",
        pooler="tanh",
        ids_dtype=tf.int64,
        hidden=16,
        heads=2,
        layers=3,
        l2="einsum",
    ),
    "batch-dims": twisted(
        "oov", encoder="modern", attention="batch_dims", text="masked", activation="erfc_gelu", ids_dtype=tf.int64
    ),
    "lookup-after": twisted("minus_one", "lookup_after", text="called", resource=True),
    "replaced-outside": twisted("replace_outside"),
    "batched": Recipe(text="batched"),
    "wrapped": Recipe(encoder="wrapped", attention="einsum", trained=True),
    "averaged": Recipe(averaged=True, slices=3),
    "legacy-loops": Recipe(legacy_loops=True, text="word_loop", mask="carried", tags=("serve", "tpu")),
    "outer-mask": twisted(mask="outer", slices=4),
    "half-stored": Recipe(stored=tf.float16),
    "brain-stored": Recipe(stored=tf.bfloat16, encoder="modern"),
    # Other Booleans of the three patterns than the page has: asked of the graph, and exact for what it computes.
    "and-patterns": twisted("and_patterns", layers=1, hidden=16),
    "han-and-emoji": twisted("and_0_1", layers=1, hidden=16),
    "emoji-and-signs": twisted("and_1_2", layers=1, hidden=16),
    "han-and-signs": twisted("and_0_2", layers=1, hidden=16),
    "second-type-row": twisted("type_row_1", encoder="modern"),
    "real-types": twisted("real_types", layers=1),  # names say otherwise; the graph adds these
    "swapped-names": twisted("swap_names", layers=1),
    "longest": Recipe(encoder="longest", layers=1),
    "frozen": Recipe(frozen=True, layers=1),
    "mean": twisted("mean_pool", layers=1),
    "no-scale": twisted("no_scale", layers=1, hidden=16),
}

# Name → recipe and what the one error must name.
HOPELESS = {
    "max_pool": (lost("max_pool"), "Max"),
    "last_token": (lost("last_token"), "first token"),
    "pre_norm": (lost("pre_norm"), "One LayerNorm should follow after the embeddings"),
    "activation_mix": (lost("activation_mix", layers=3), "layer 1"),
    "epsilon_mix": (lost("epsilon_mix", layers=2), "batchnorm_3/add/y"),
    "no_mask": (lost("no_mask"), "layer 0"),
    "causal": (lost("causal"), "layer 0"),
    "relative": (lost("relative"), "layer 0"),
    "unknown_op": (lost("unknown_op"), "FakeQuantWithMinMaxArgs"),
    "string_lower": (lost("string_lower"), "StringLower"),
    "normalize": (lost("normalize"), "NormalizeUTF8"),
    "two_towers": (lost("two_towers"), "second/bert/embeddings/word_embeddings"),
    "sigmoid_gelu": (Recipe(activation="sigmoid_gelu"), "BiasAdd"),
    "sigmoid_pooler": (Recipe(pooler="sigmoid_gelu"), "sentence_embedding"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    """Return a function from a name of GOOD to what was built, once."""
    return cache(lambda name: build(tmp_path_factory.mktemp("foreign") / "model", GOOD[name], TEXTS))


@pytest.mark.parametrize("name", GOOD)
def test_converts_exactly(name: str, built: Callable[[str], Built], tmp_path: Path) -> None:
    source, out = built(name), tmp_path / "out"
    hub2hf.convert(source.folder, out)
    wanted = source.embeddings / np.linalg.norm(source.embeddings, axis=-1, keepdims=True)
    ids = [row[row != 0].tolist() for row in source.ids]
    for surface in ("automodel", "sentence-transformers"):
        found = embed(surface, out, TEXTS)
        assert found.ids == ids
        assert np.abs(found.embeddings - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("name", HOPELESS)
def test_is_refused_by_name(name: str, tmp_path: Path) -> None:
    recipe, culprit = HOPELESS[name]
    source, out = build(tmp_path / "model", recipe).folder, tmp_path / "out"
    with pytest.raises(hub2hf.Hub2HFError) as refusal:
        hub2hf.convert(source, out)
    assert culprit in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_command_ends_with_one_error_and_exit_code_2(tmp_path: Path) -> None:
    source = build(tmp_path / "model", HOPELESS["unknown_op"][0]).folder
    command = [sys.executable, "-m", "hub2hf", "convert", source, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'FakeQuantWithMinMaxArgs'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_what_foreign_graphs_say_is_read(built: Callable[[str], Built]) -> None:
    erf = hub2hf.inspect(built("google-erf").folder)
    assert (erf.encoder.hidden_activation.value, erf.encoder.dense[0].activation) == ("gelu_erf", "tanh")
    assert (erf.encoder.layer_norm_epsilon.value, erf.text.pack.max_length) == (1e-6, 64)
    fused = hub2hf.inspect(built("modern").folder).encoder
    assert (fused.layer_norm_epsilon.value, fused.heads.value) == (2e-5, 4)
    assert (fused.hidden_activation.value, fused.dense[0].activation) == ("gelu_tanh", "gelu_erf")
    looked_up = hub2hf.inspect(built("google-relu").folder).text.pack
    assert (looked_up.start_id, looked_up.end_id, looked_up.pad_id) == (101, 102, 0)
    swapped = hub2hf.inspect(built("second-type-row").folder).encoder
    assert swapped.token_type_row.value == 1
    assert [item.operation for item in swapped.mapped if "token_type" in item.key] == [SWAP_ROWS]
    trained = hub2hf.inspect(built("wrapped").folder).encoder
    assert "global_step" in trained.unused
    assert not any("Adam" in item.variable for item in trained.mapped)
    averaged = hub2hf.inspect(built("averaged").folder).encoder
    assert all(item.variable.endswith("/ExponentialMovingAverage") for item in averaged.mapped)
