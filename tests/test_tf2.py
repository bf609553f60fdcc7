"""Encoders of ids as TensorFlow 2 saves them, with their preprocessors: what is read, and what the folder gives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from references import EMBEDDED, VOCABULARY, Pair

import hub2hf
from hub2hf.analysis.run import Probe
from hub2hf.architectures.post_norm import recognised
from hub2hf.blueprint import beside
from hub2hf.blueprint.text import CaseFold
from hub2hf.equivalence.sentences import language_sentences, trap_sentences
from hub2hf.errors import GraphError, MappingError, SourceError, VocabularyError

EXACT = 2e-6  # configs/tolerances.toml, automodel and sentence-transformers


def test_every_option_is_read(tf2: Pair) -> None:
    o, blueprint = tf2.options, hub2hf.inspect(tf2.encoder, preprocessor=tf2.preprocessor)
    encoder, text = blueprint.encoder, blueprint.text
    sizes = (encoder.hidden_size, encoder.layers, encoder.heads, encoder.intermediate_size, encoder.positions)
    assert [size.value for size in sizes] == [o.hidden, o.layers, o.heads, o.intermediate, o.positions]
    assert encoder.type_vocab_size.value == o.types
    assert encoder.hidden_activation.value == o.activation
    assert [layer.activation for layer in encoder.dense] == [o.pooler]
    assert encoder.layer_norm_epsilon.value == o.epsilon
    assert encoder.normalised.value == (o.default == "normalised")
    assert (text.pack.max_length, text.pack.start_id, text.pack.end_id) == (o.max_length, 101, 102)
    assert any(isinstance(operation, CaseFold) for operation in text.operations) == bool(o.lower_case)
    assert text.origin == "the preprocessor"
    assert set(blueprint.inputs) == {"ids", "mask", "types"}
    assert any("cls/predictions" in name for name in encoder.unused) == o.mlm


def test_every_layer_and_the_sequence_is_proved(pair: Callable[[str], Pair]) -> None:
    found = hub2hf.inspect(pair("unsigned").encoder, preprocessor=pair("unsigned").preprocessor)
    assert found.signature == "__call__"
    layers = {f"encoder_outputs/{i}": f"layer {i}" for i in range(3)}
    assert found.outputs == layers | {
        "sequence_output": "layer 2",
        "pooled_output": "embedding",
        "default": "embedding",
    }
    normalised = hub2hf.inspect(pair("uncased").encoder, preprocessor=pair("uncased").preprocessor)
    assert (normalised.output_name, normalised.outputs["pooled_output"]) == ("default", "pooled")


def test_long_texts_are_proved_in_every_layer(pair: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that did something else after the first layer, with full rows of its last length alone, would be seen."""
    original, lengths = recognised.stages, set()

    def departing(probe: Probe, *given: Any, **sizes: Any) -> Iterator[tuple[str, np.ndarray]]:
        lengths.add(probe.ids.shape[1])
        for stage, value in original(probe, *given, **sizes):
            other = stage == "layer 1" and probe.ids.shape[1] > beside.LENGTH and probe.attended.all()
            yield stage, value + other

    monkeypatch.setattr(recognised, "stages", departing)
    encoder, preprocessor = pair("uncased").encoder, pair("uncased").preprocessor
    with pytest.raises(GraphError, match="stage 'layer 1'"):
        hub2hf.inspect(encoder, preprocessor=preprocessor)
    assert max(lengths) > beside.LENGTH


def test_exact_in_all_languages(tf2: Pair, converted_tf2: Path) -> None:
    surfaces = ["automodel", "sentence-transformers"]
    given = {"preprocessor": tf2.preprocessor, "surfaces": surfaces}
    report = hub2hf.verify(tf2.encoder, converted_tf2, **given, add_proof=False)
    assert report.equivalent
    assert len({row.language for row in report.rows}) == 110
    assert max(row.difference for row in report.rows) < EXACT
    assert not any(row.other_ids for row in report.rows)
    assert "ids from" not in report.witness


def test_the_sequence_output_is_exact(tf2: Pair, converted_tf2: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from hub2hf.equivalence.tensorflow_side import ReferenceGraph

    texts = [sentence.text for sentence in [*language_sentences(), *trap_sentences()]]
    with ReferenceGraph(hub2hf.Source.find(tf2.encoder, preprocessor=tf2.preprocessor)) as reference:
        expected = reference.outputs(texts)
    stage = f"layer {tf2.options.layers - 1}"
    tokenizer = AutoTokenizer.from_pretrained(converted_tf2)
    model = AutoModel.from_pretrained(converted_tf2, trust_remote_code=True).eval()
    length = tf2.options.max_length
    batch = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    assert np.array_equal(batch["input_ids"].numpy(), expected["ids"])
    with torch.inference_mode():
        found = model(**batch).last_hidden_state.numpy()
    real = expected["mask"].astype(bool)
    ours, theirs = (
        value[real] / np.linalg.norm(value[real], axis=-1, keepdims=True) for value in (found, expected[stage])
    )
    assert np.abs(ours - theirs).max() < EXACT


def test_weights_are_those_of_the_checkpoint(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    from hub2hf.savedmodel.model import SavedModel

    encoder = pair("cased").encoder
    tensors = load_file(hub2hf.convert(encoder, tmp_path / "out").out / "model.safetensors")
    read = SavedModel.open(encoder).checkpoint.read
    block = "transformer/layer_1/self_attention"
    kernel = read(f"{block}/query/kernel")
    assert kernel.ndim == 3
    assert np.array_equal(tensors["encoder.layer.1.attention.self.query.weight"], kernel.reshape(32, 32).T)
    assert np.array_equal(tensors["encoder.layer.1.attention.self.query.bias"], read(f"{block}/query/bias").ravel())
    output = read(f"{block}/attention_output/kernel")
    assert np.array_equal(tensors["encoder.layer.1.attention.output.dense.weight"], output.reshape(32, 32).T)
    types = tensors["embeddings.token_type_embeddings.weight"]
    assert np.array_equal(types, read("type_embeddings/embeddings"))


@pytest.mark.parametrize("name", ["cased", "unsigned"])
def test_without_a_preprocessor_the_convention_is_said(name: str, pair: Callable[[str], Pair], tmp_path: Path) -> None:
    encoder, options = pair(name).encoder, pair(name).options
    conversion = hub2hf.convert(encoder, tmp_path / "out")
    origin = f"'do_lower_case' is {str(options.lower_case).lower()}"
    assert "Model Garden" in conversion.manifest["blueprint"]["text_origin"]
    assert origin in conversion.manifest["blueprint"]["text_origin"]
    assert conversion.blueprint.text.pack.max_length == min(128, options.positions)
    report = hub2hf.verify(encoder, tmp_path / "out", languages=["de", "ja"])
    assert report.equivalent
    assert "ids from the exported tokenizer" in report.witness


def test_the_convention_gives_the_ids_of_the_preprocessor(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    for name in ("cased", "unsigned"):
        folders = [tmp_path / f"{name}{i}" for i in (0, 1)]
        hub2hf.convert(pair(name).encoder, folders[0])
        hub2hf.convert(pair(name).encoder, folders[1], preprocessor=pair(name).preprocessor)
        assert len({(folder / "tokenizer.json").read_bytes() for folder in folders}) == 1


def test_a_vocabulary_for_an_encoder_without(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    encoder = pair("listed").encoder
    with pytest.raises(SourceError, match=r"--preprocessor.*--vocab"):
        hub2hf.inspect(encoder)
    blueprint = hub2hf.inspect(encoder, vocab=VOCABULARY)
    assert "has capital letters" in blueprint.text.origin
    small = tmp_path / "small.txt"
    small.write_bytes(VOCABULARY.read_bytes().lower().replace(b"[unk]", b"[UNK]"))
    with pytest.raises(VocabularyError, match=r"lacks \[CLS\], \[SEP\], \[PAD\]"):
        hub2hf.inspect(encoder, vocab=small)


def test_a_recording_replays(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    encoder, preprocessor = pair("uncased").encoder, pair("uncased").preprocessor
    hub2hf.record(encoder, tmp_path / "golden", preprocessor=preprocessor, languages=["de", "th"])
    hub2hf.convert(encoder, tmp_path / "out", preprocessor=preprocessor)
    assert hub2hf.verify(None, tmp_path / "out", golden=tmp_path / "golden").equivalent
    hub2hf.convert(encoder, tmp_path / "out", force=True)
    with pytest.raises(SourceError, match="another model"):
        hub2hf.verify(None, tmp_path / "out", golden=tmp_path / "golden")


def test_a_wrong_port_is_told_apart(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    encoder, preprocessor = pair("listed").encoder, pair("listed").preprocessor
    out = hub2hf.convert(encoder, tmp_path / "out", preprocessor=preprocessor).out
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu_pytorch_tanh"}))
    report = hub2hf.verify(encoder, out, preprocessor=preprocessor, languages=["de"], surfaces=["automodel"])
    assert not report.equivalent


def test_the_same_bytes_twice(tf2: Pair, converted_tf2: Path, tmp_path: Path) -> None:
    folders = [converted_tf2, hub2hf.convert(tf2.encoder, tmp_path / "b", preprocessor=tf2.preprocessor).out]
    files = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders]
    assert files[0] == files[1]


# Bad input: each is one error that says what it is and what to do.


def test_text_models_take_nothing_beside(pair: Callable[[str], Pair]) -> None:
    with pytest.raises(SourceError, match="takes text"):
        hub2hf.inspect(EMBEDDED, preprocessor=pair("cased").preprocessor)
    with pytest.raises(SourceError, match="Give one"):
        hub2hf.inspect(pair("listed").encoder, preprocessor=pair("listed").preprocessor, vocab=VOCABULARY)


def test_a_preprocessor_is_no_encoder_and_an_encoder_no_preprocessor(pair: Callable[[str], Pair]) -> None:
    cased = pair("cased")
    with pytest.raises(GraphError, match=r"No entry point of .*serving_default: "):
        hub2hf.inspect(cased.preprocessor)
    with pytest.raises(SourceError, match="is not a preprocessor"):
        hub2hf.inspect(cased.encoder, preprocessor=cased.encoder)


def _with_vocabulary(preprocessor: Path, out: Path, content: bytes) -> Path:
    shutil.copytree(preprocessor, out)
    next((out / "assets").iterdir()).write_bytes(content)
    return out


def test_a_preprocessor_of_another_model_is_refused(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    cased, lines = pair("cased"), VOCABULARY.read_bytes().splitlines(keepends=True)
    fewer = _with_vocabulary(cased.preprocessor, tmp_path / "fewer", b"".join(lines[:-1]))
    with pytest.raises(VocabularyError, match=rf"has {len(lines) - 1} pieces.*{len(lines)} word embeddings"):
        hub2hf.inspect(cased.encoder, preprocessor=fewer)
    other = _with_vocabulary(cased.preprocessor, tmp_path / "other", b"".join([*lines[:-1], b"another\n"]))
    with pytest.raises(VocabularyError, match="other pieces than the encoder's own"):
        hub2hf.inspect(cased.encoder, preprocessor=other)


@pytest.mark.parametrize(("says", "does"), [(True, "keeps case"), (False, "folds case")])
def test_an_encoder_beside_a_preprocessor_of_the_other_case_is_refused(
    says: bool, does: str, pair: Callable[[str], Pair]
) -> None:
    mixed = [pair(name) for name in (("uncased", "cased") if says else ("cased", "uncased"))]
    with pytest.raises(VocabularyError, match=rf"'do_lower_case' is {str(says).lower()}.*{does}") as refusal:
        hub2hf.inspect(mixed[0].encoder, preprocessor=mixed[1].preprocessor)
    assert str(mixed[0].encoder) in str(refusal.value)
    assert str(mixed[1].preprocessor) in str(refusal.value)


def test_a_preprocessor_longer_than_the_positions_is_refused(
    pair: Callable[[str], Pair], build_pair: Callable[..., Pair]
) -> None:
    short = build_pair(positions=40, max_length=32)
    with pytest.raises(GraphError, match=r"128 ids.*40 positions"):
        hub2hf.inspect(short.encoder, preprocessor=pair("cased").preprocessor)


def test_heads_that_do_not_fill_the_hidden_size_are_refused() -> None:
    from hub2hf.architectures.bert.names import BERT_TF2
    from hub2hf.state_dict import pair

    shapes = _shapes(heads=3, size=8, hidden=32)
    with pytest.raises(MappingError, match=r"3 heads of 8, which is not the hidden size 32"):
        pair(shapes, {"": BERT_TF2})


def _shapes(heads: int, size: int, hidden: int) -> dict[str, tuple[int, ...]]:
    from hub2hf.architectures.bert.names import BERT_TF2

    sizes = {"heads": heads, "head_size": size, "hidden_size": hidden, "vocab_size": 9, "intermediate_size": 7}
    sizes |= {"type_vocab_size": 2, "max_position_embeddings": 5}
    return {rule.variable.replace("{i}", "0"): tuple(sizes[d] for d in rule.shape) for rule in BERT_TF2}
