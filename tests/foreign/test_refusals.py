"""A refusal calls a model what it is, by what it computes; it does not blame names or damage that are not at fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from other_kinds import Bytes, Encoder, WithoutAttention, Words, save
from references import VOCABULARY

import hub2hf
from hub2hf.blueprint.refused.kinds import KNOWN
from hub2hf.blueprint.refused.observed import Observed
from hub2hf.errors import GraphError, Hub2HFError
from hub2hf.savedmodel.graph import Graph

KINDS = {
    "plain_mean": "mean over all tokens (mean pooling) where a pooler that is known takes the first token",
    "max": "the largest over all tokens (max pooling)",
    "pre_norm": "(pre-LayerNorm)",
    "talking": "talking-heads attention: its heads are mixed by variable",
    "t5": "relative positions, learned in variable",
    "mpnet": "relative positions, learned in variable",
    "deberta": "attention between tokens and relative positions (disentangled attention), as DeBERTa has",
    "alibi": "depend on the distance of tokens, in proportion to it, as ALiBi has",
    "rope": "turned by their positions (rotary position embeddings, RoPE)",
    "glu": "a gated feed-forward part (GLU): two products of the same tokens are multiplied",
    "cross": "attention between tokens and 7 others than those of the text (cross-attention)",
    "window": "sees only some of the other tokens (as local attention does)",
    "blind": "attention that sees padding (no mask)",
    "causal": "sees only the tokens before (causal)",
    "projection": "an embedding projection, from 8 to 16 numbers, as ALBERT and small ELECTRAs have",
    "albert": "one layer, whose weights are used 2 times, as ALBERT has",
    "mobilebert": "joined with its two neighbours and projected to 16, as MobileBERT has",
}
BLAMED = (
    "damage",
    "Download",
    "names its variables",
    "unknown family",
    "ELECTRA",
    "ALBERT",
    "T5",
    "MobileBERT",
    "DistilBERT",
)


@pytest.mark.parametrize("kind", KINDS)
def test_is_called_what_it_is(kind: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", Encoder(kind))
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.convert(folder, tmp_path / "out", vocab=VOCABULARY)
    assert KINDS[kind] in str(refusal.value)
    told = str(refusal.value).replace(KNOWN, "")
    assert ("(pre-LayerNorm)" in told) == (kind == "pre_norm")
    assert not [word for word in BLAMED if word in told and word not in KINDS[kind] + _also(kind)]


def _also(kind: str) -> str:
    return "ALBERT, ELECTRA" if kind == "albert" else "MPNet T5" if kind in ("t5", "mpnet") else ""


def test_a_scaled_residual_is_not_called_something_else(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", Encoder("scaled"))
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.inspect(folder, vocab=VOCABULARY)
    assert str(refusal.value).startswith("What was read of the encoder does not hold: the stage 'layer 0'")


def test_two_twists_are_both_told(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", Encoder("pre_norm", "plain_mean"))
    with pytest.raises(Hub2HFError, match=r"pre-LayerNorm.*mean pooling"):
        hub2hf.inspect(folder, vocab=VOCABULARY)


def test_bert_itself_is_called_nothing(tmp_path: Path) -> None:
    from hub2hf.blueprint.entry import ids_entry
    from hub2hf.blueprint.refused.kinds import findings
    from hub2hf.savedmodel.model import SavedModel

    model = SavedModel.open(save(tmp_path / "model", Encoder()))
    assert findings(model, ids_entry(model)) == []


def test_several_pooled_outputs_are_listed(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", Encoder("heads"))
    with pytest.raises(GraphError, match=r"'passage' \[\?, 16\], 'query' \[\?, 16\].*--output NAME"):
        hub2hf.inspect(folder, vocab=VOCABULARY)


@pytest.mark.parametrize(("deep", "said"), [(False, "nnlm"), (True, "Universal Sentence Encoder's DAN")])
def test_words_without_attention(deep: bool, said: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", Words(deep=deep))
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.inspect(folder)
    assert "no attention" in str(refusal.value)
    assert said in str(refusal.value)
    assert "no WordPiece" in str(refusal.value)


def test_bytes_that_are_joined_are_no_words_between_spaces(tmp_path: Path) -> None:
    with pytest.raises(Hub2HFError, match=r"byte-level BPE\), as RoBERTa and GPT-2 have") as refusal:
        hub2hf.inspect(save(tmp_path / "model", Bytes()))
    assert "words between spaces" not in str(refusal.value)
    assert refusal.value.problem.endswith("RoBERTa and GPT-2 have (node 'hash_table').")


def test_padding_is_the_id_that_texts_end_with() -> None:
    ids = np.array([[0, 9, 8, 2], [0, 9, 2, 1], [0, 2, 1, 1]])
    assert Observed(Graph({}, {}), {}, ids).attended.tolist() == (ids != 1).tolist()
    assert Observed(Graph({}, {}), {}, ids[:1]).attended.tolist() == [[False, True, True, True]]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("cnn", "convolutions (a CNN)"),
        ("fourier", "a Fourier transform"),
        ("lstm", "recurrent network (as LSTM or GRU)"),
    ],
)
def test_tokens_that_are_mixed_otherwise(kind: str, said: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", WithoutAttention(kind))
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.inspect(folder, vocab=VOCABULARY)
    assert "no attention: " in str(refusal.value)
    assert said in str(refusal.value)
    assert "nnlm" not in str(refusal.value)


@pytest.mark.parametrize("as_file", [False, True])
def test_weights_frozen_into_constants_are_weights(
    as_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    monkeypatch.setenv("HUB2HF_CACHE", str(tmp_path / "cache"))
    encoder = Encoder("talking", "max")
    frozen = convert_variables_to_constants_v2(encoder.__call__.get_concrete_function())
    module = tf.Module()
    spec = [tf.TensorSpec([None, None], tf.int32, name) for name in ("word_ids", "input_mask", "type_ids")]
    module.call = tf.function(lambda *given: {"default": frozen(*given)[0]}, input_signature=spec)
    folder = tmp_path / "model"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    if as_file:
        hub2hf.graph_only(folder, tmp_path / "graph.zip", vocab=VOCABULARY)
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.inspect(tmp_path / "graph.zip" if as_file else folder, vocab=None if as_file else VOCABULARY)
    assert "talking-heads attention" in str(refusal.value)
    assert "max pooling" in str(refusal.value)
