"""Verification: planted faults of published ports must be named; tolerances must be neither lax nor tight."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from references import EMBEDDED

import hub2hf
from hub2hf.blueprint.entry import text_entry
from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.reports import summary
from hub2hf.equivalence.sentences import Distinct, Sentence, read_sentences
from hub2hf.equivalence.tolerances import load_tolerances
from hub2hf.errors import CheckpointError, ExportError, SourceError
from hub2hf.folder.weights import write_arrays
from hub2hf.proof import Report
from hub2hf.savedmodel.model import SavedModel
from hub2hf.sources import recording_of

LANGUAGES = ("de", "ja", "th", "fa", "traps")
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hub2hf.convert(EMBEDDED, tmp_path_factory.mktemp("verify") / "out").out


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with stages, in a few languages."""
    path = tmp_path_factory.mktemp("golden") / "lealla-mini.safetensors"
    assert hub2hf.record(EMBEDDED, path, languages=",".join(LANGUAGES)) > 100
    return path


@pytest.fixture
def port(folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(folder, tmp_path / "port"))


def edit(folder: Path, name: str, **changes: object) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changes}))


def reweigh(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    from safetensors.numpy import load_file

    arrays = load_file(folder / "model.safetensors")
    change(arrays)
    write_arrays(folder / "model.safetensors", arrays)


def real_types(folder: Path) -> None:
    """Write token_type_embeddings_real over the real rows, as the best-known port does."""
    checkpoint = SavedModel.open(EMBEDDED).checkpoint
    name = next(n for n in checkpoint.variables if n.endswith("_real"))
    reweigh(folder, lambda arrays: arrays.update({"embeddings.token_type_embeddings.weight": checkpoint.read(name)}))


def plain_pooler(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["auto_map"], config["pooler_act"], config["pooler_normalize"]
    (folder / "config.json").write_text(json.dumps(config))


def stock_tokenizer(folder: Path) -> None:
    """Put the rules of BertTokenizer in place of the graph's."""
    from tokenizers import BertWordPieceTokenizer

    rules = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False, strip_accents=False)
    own = json.loads((folder / "tokenizer.json").read_text())
    stock = json.loads(rules.to_str())
    for part in ("normalizer", "pre_tokenizer"):
        own[part] = stock[part]
    (folder / "tokenizer.json").write_text(json.dumps(own))


def scaled(arrays: dict[str, np.ndarray]) -> None:
    arrays["encoder.layer.1.output.dense.weight"] = arrays["encoder.layer.1.output.dense.weight"] * np.float32(1.01)


FAULTS: dict[str, tuple[Change, str, str]] = {
    "erf GELU": (lambda f: edit(f, "config.json", hidden_act="gelu"), "hidden activation", "layer 0"),
    "tanh pooler": (plain_pooler, "pooler", "embedding"),
    "token types written over": (real_types, "token-type row", "embeddings"),
    "epsilon": (lambda f: edit(f, "config.json", layer_norm_eps=1e-2), "LayerNorm epsilon", "embeddings"),
    "one tensor": (lambda f: reweigh(f, scaled), "weights", "layer 1"),
    "stock tokenizer": (stock_tokenizer, "tokenizer rule", "ids"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(name: str, port: Path) -> None:
    spoil, cause, stage = FAULTS[name]
    spoil(port)
    report = hub2hf.verify(EMBEDDED, port, languages=",".join(LANGUAGES), surfaces="AutoModel")
    assert not report.equivalent
    assert any(found.name.startswith(cause) for found in report.causes), report.causes
    assert stage in {failure.stage for failure in report.failures}
    if name not in ("stock tokenizer",):
        assert {found.name for found in report.causes} == {cause}


def test_the_cause_is_named_without_tensorflow_too(port: Path, golden: Path) -> None:
    edit(port, "config.json", hidden_act="gelu")
    report = hub2hf.verify(None, port, golden=golden, surfaces=["automodel"])
    assert [cause.name for cause in report.causes] == ["hidden activation"]


def test_a_tokenizer_fault_names_rule_piece_and_characters(port: Path) -> None:
    stock_tokenizer(port)
    report = hub2hf.verify(EMBEDDED, port, languages=LANGUAGES, surfaces=["automodel"])
    details = [failure.detail for failure in report.failures if failure.stage == "ids"]
    told = [detail for detail in details if " pieces in place of " not in detail]
    assert told
    assert all(" is " in detail and " in place of " in detail and ", from " in detail for detail in told)
    assert len({cause.name for cause in report.causes}) >= 2
    assert all(cause.sentences for cause in report.causes)


def verified(folder: Path, golden: Path | None = None) -> Report:
    return hub2hf.verify(None, folder, golden=golden or recording_of("lealla-mini"))


def test_every_exact_way_is_exact_in_every_language_and_no_tolerance_is_lax(folder: Path) -> None:
    """Exact ways at 2e-6 in all languages without exceptions; tolerances under ten times what is measured."""
    report, tolerances = verified(folder), load_tolerances()
    assert report.equivalent
    ways = {
        way.surface: way for way in report.worth.ways
    }  # of others `make runtimes` and the tests of ONNX ask the same
    assert {name: way.exact for name, way in ways.items()} == {
        "automodel": True,
        "sentence-transformers": True,
        "bertmodel": False,
        "berttokenizerfast": False,
    }
    assert not [surface for surface, _ in tolerances.exceptions if surface in ways]
    assert len({row.language for row in report.rows}) == 110
    assert report.failures == report.causes == []
    for name in ("automodel", "sentence-transformers"):
        allowed, measured = tolerances.surfaces[name], ways[name].difference
        assert measured <= allowed.tolerance <= min(2e-6, 10 * measured)
        assert allowed.measured is not None
        assert allowed.measured / 3 <= measured <= allowed.measured * 3, "the stated figure is out of date"
        assert len(allowed.reason) > 20
        assert (ways[name].other_ids, ways[name].neighbours) == (0, 0)
        assert max(row.similarity for row in ways[name].rows) < 4e-6
    for name in ("bertmodel", "berttokenizerfast"):
        assert ways[name].difference > 0.3
        assert (ways[name].cosine or 1) < 0.9
        assert (ways[name].neighbours or 0) > 50


def test_live_and_recorded_agree(folder: Path, golden: Path) -> None:
    live = hub2hf.verify(EMBEDDED, folder, languages=["ja"], surfaces=["automodel"])
    recorded = hub2hf.verify(None, folder, golden=golden, languages=["ja"], surfaces=["automodel"])
    assert live.fingerprint == recorded.fingerprint
    assert [row.sentences for row in live.rows] == [row.sentences for row in recorded.rows]
    assert abs(live.rows[0].difference - recorded.rows[0].difference) < 1e-6


def test_a_persons_own_sentences(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("de\tDer Hund schläft.\nKein Tabulator\n", encoding="utf-8")
    report = hub2hf.verify(EMBEDDED, folder, sentences=tmp_path / "mine.txt", surfaces=["automodel"])
    assert {(row.language, row.sentences) for row in report.rows} == {("de", 1), ("und", 1)}
    assert report.note == (
        f"The result was not added to {folder}: sentences of your own may be private; run it without them to add it."
    )


def test_a_mark_of_the_byte_order_is_no_part_of_a_language(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("de\tDer Hund schläft.\n", encoding="utf-8-sig")
    assert list(read_sentences(tmp_path / "mine.txt")) == [Sentence("de", "Der Hund schläft.")]


@pytest.mark.parametrize(
    "text", [" \n\t\n", "de\t \nja\t\u3000\n", "de\tHund\nnl\tHund\n"], ids=["blank", "blank each", "one for two"]
)
def test_sentences_that_say_nothing_prove_nothing(folder: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.txt").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match="prove nothing"):
        hub2hf.verify(EMBEDDED, folder, sentences=tmp_path / "mine.txt", surfaces=["automodel"])


def test_distinct_texts_are_counted_over_all_languages() -> None:
    counted = Distinct()
    counted.add([Sentence("de", "Hand"), Sentence("de", "Hund"), Sentence("nl", "Hand")])
    counted.check()


def nan_weights(folder: Path) -> None:
    reweigh(folder, lambda arrays: arrays["embeddings.word_embeddings.weight"].fill(np.nan))


def other_size(folder: Path) -> None:
    shutil.rmtree(folder)
    from builders import lealla as reference
    from references import VOCABULARY

    options = reference.Options(hidden=16, layers=1, heads=2, intermediate=16)
    reference.build(folder.parent / "model", VOCABULARY, options)
    hub2hf.convert(folder.parent / "model", folder)
    (folder / "hub2hf.json").unlink()  # a foreign folder does not say what it was made from


def remove(*names: str) -> Change:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def more_pieces_than_embeddings(folder: Path) -> None:
    own = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = own["model"]["vocab"]
    own["model"]["vocab"] = {piece: i + 5000 * (i > 4000) for piece, i in vocabulary.items()}
    (folder / "tokenizer.json").write_text(json.dumps(own))


BAD: dict[str, tuple[Change, str]] = {
    "no weights": (remove("model.safetensors"), "weights"),
    "no tokenizer": (remove("tokenizer.json", "vocab.txt"), "tokenizer"),
    "no configuration": (remove("config.json"), "config.json"),
    "NaN weights": (nan_weights, "contain NaN"),
    "other hidden size": (other_size, "16 numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_candidate_is_one_clear_error(name: str, port: Path) -> None:
    spoil, said = BAD[name]
    spoil(port)
    with pytest.raises(SourceError, match=said):
        verified(port)


def test_texts_with_pieces_that_have_no_embedding_fail_alone(port: Path) -> None:
    more_pieces_than_embeddings(port)
    report = hub2hf.verify(None, port, golden=recording_of("lealla-mini"), languages=["traps"], surfaces=["automodel"])
    assert not report.equivalent
    assert "cannot be run as AutoModel: IndexError" in report.failures[0].detail
    assert report.causes[0].name.startswith("tokenizer rule")


def test_a_damaged_or_foreign_recording_is_refused(folder: Path, golden: Path, tmp_path: Path) -> None:
    data = bytearray(golden.read_bytes())
    data[-5] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    (tmp_path / "cut").write_bytes(data[:-100])
    (tmp_path / "text").write_text("hello")
    for name in ("damaged", "cut", "text", "absent"):
        with pytest.raises(SourceError, match=name):
            verified(folder, tmp_path / name)
    with pytest.raises(SourceError, match="not a recording"):
        verified(folder, folder / "model.safetensors")


def test_a_recording_of_another_model_is_refused(port: Path, golden: Path) -> None:
    manifest = json.loads((port / "hub2hf.json").read_text())
    manifest["source"]["fingerprint"] = "0" * 64
    (port / "hub2hf.json").write_text(json.dumps(manifest))
    with pytest.raises(SourceError, match="records another model"):
        verified(port, golden)


def test_wrong_questions_are_refused(folder: Path, golden: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="tlh"):
        hub2hf.verify(EMBEDDED, folder, languages=["tlh"])
    with pytest.raises(SourceError, match="Unknown way of loading: flax"):
        hub2hf.verify(EMBEDDED, folder, surfaces=["flax"])
    with pytest.raises(SourceError, match="neither a folder nor a repository"):
        hub2hf.verify(EMBEDDED, "nobody/nothing")
    (tmp_path / "latin1.txt").write_bytes("schön\n".encode("latin-1"))
    with pytest.raises(SourceError, match="line 1 is not UTF-8"):
        hub2hf.verify(EMBEDDED, folder, sentences=tmp_path / "latin1.txt")
    (tmp_path / "german.tsv").write_text("de\tHund\n")
    with pytest.raises(SourceError, match="no sentences in zu"):
        hub2hf.verify(EMBEDDED, folder, sentences=tmp_path / "german.tsv", languages=["de", "zu"])
    with pytest.raises(SourceError, match="its own sentences"):
        hub2hf.verify(None, folder, golden=golden, sentences=tmp_path / "latin1.txt")
    (tmp_path / "bad.toml").write_text("[surface.automodel]\ntolerance = -1\n")
    with pytest.raises(SourceError, match="tolerances"):
        hub2hf.verify(EMBEDDED, folder, tolerances=tmp_path / "bad.toml")


def test_a_recording_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "absent" / "file"):
        with pytest.raises(ExportError, match="cannot be written"):
            hub2hf.record(EMBEDDED, file)


def test_code_that_is_not_ours_is_not_run(port: Path, golden: Path) -> None:
    path = port / "modeling_hub2hf.py"
    path.write_text("raise SystemExit('foreign code was run')\n" + path.read_text())
    report = hub2hf.verify(None, port, golden=golden, surfaces=["automodel"])
    assert not report.equivalent, "without the class the pooler is BertModel's tanh"
    assert [cause.name for cause in report.causes] == ["pooler"]


def test_the_class_of_an_earlier_version_is_ours(port: Path, golden: Path) -> None:
    shutil.copy(Path(__file__).parent / "shipped" / "modeling_hub2hf-0.1.0.txt", port / "modeling_hub2hf.py")
    assert hub2hf.verify(None, port, golden=golden, surfaces=["automodel"]).equivalent


def test_recordings_are_read_in_parts(golden: Path) -> None:
    whole = Recording.load(golden)
    parts = list(whole.chunks(7))
    assert [sentence for part in parts for sentence in part.sentences] == whole.sentences
    assert max(len(part.sentences) for part in parts) == 7


def test_a_way_that_is_asked_for_by_name_must_be_exact(folder: Path, golden: Path) -> None:
    report = hub2hf.verify(None, folder, golden=golden, surfaces=["automodel", "bertmodel"], languages=["de"])
    assert not report.equivalent
    assert summary(report).startswith("NOT THE SAME: BertModel (off by up to 0.")
    assert [cause.name for cause in report.causes] == ["pooler"]
    assert "EXACT: AutoModel (worst " in summary(report)


def test_of_a_foreign_port_one_exact_way_is_enough(port: Path, golden: Path) -> None:
    (port / "hub2hf.json").unlink()
    report = hub2hf.verify(None, port, golden=golden, languages=["de"])
    assert report.equivalent
    assert summary(report).startswith("EXACT: AutoModel, sentence-transformers (worst ")
    assert "pooler" in [cause.name for cause in report.causes], "of the two ways that are not"
    plain_pooler(port)
    (port / "modules.json").unlink()
    assert not hub2hf.verify(None, port, golden=golden, languages=["de"]).equivalent


def test_recording_needs_no_pytorch_and_loads_triton_before_tensorflow(tmp_path: Path) -> None:
    """triton 3.8, which PyTorch for CUDA brings, ends the process by a signal where TensorFlow 2.21 was loaded before it."""
    told = (
        "import pathlib, sys; pathlib.Path(__file__).with_suffix('.told').write_text(str('tensorflow' in sys.modules))"
    )
    (tmp_path / "triton.py").write_text(told, encoding="utf-8")
    code = (
        "import sys, hub2hf; hub2hf.record('lealla-mini', sys.argv[1], languages=['de']);"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, tmp_path / "recording"]
    own = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert (tmp_path / "triton.told").read_text(encoding="utf-8") == "False"


def test_what_tensorflow_says_of_a_damaged_file_is_what_a_conversion_says(tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(EMBEDDED, tmp_path / "model"))
    path = next((damaged / "variables").glob("variables.data-*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    told = rf"Variable \S+ in {re.escape(str(path))} .* is damaged: its bytes do not match their CRC32C"
    with pytest.raises(CheckpointError, match=told):
        hub2hf.convert(damaged, tmp_path / "out")
    with pytest.raises(CheckpointError, match=told):
        hub2hf.record(damaged, tmp_path / "recording", languages="de")


def test_what_tensorflow_cannot_do_is_told_in_a_line(tmp_path: Path) -> None:
    """Of a model whose files are whole."""
    from hub2hf.equivalence.session import GraphSession

    model = SavedModel.open(EMBEDDED)
    chosen = text_entry(model)
    assert chosen is not None
    session = GraphSession(model, chosen.entry)
    with pytest.raises(SourceError) as told:
        session.run({"x": "no_such_node:0"}, {})
    assert str(told.value).startswith(f"TensorFlow cannot run {EMBEDDED}: ")
    assert "\n" not in str(told.value)
