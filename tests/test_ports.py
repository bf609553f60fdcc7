"""Other people's ports, as they are: each way is measured, and all that is wrong is named, the largest first."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ports import best_known, with_weights
from references import EMBEDDED, GOLDEN

import hub2hf
from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.reports import summary
from hub2hf.equivalence.sentences import Sentence
from hub2hf.equivalence.text_rules import other_ids
from hub2hf.errors import SourceError
from hub2hf.proof import Report
from hub2hf.savedmodel.model import SavedModel
from hub2hf.surfaces.transformers import bert

WAYS = ["automodel", "bertmodel", "berttokenizerfast"]


def verified(port: Path, **given: Any) -> Report:
    return hub2hf.verify(None, port, golden=GOLDEN, **given)


def test_all_that_is_wrong_with_the_best_known_port_is_named_the_largest_first(converted: Path, tmp_path: Path) -> None:
    """No text of it is cut, so that it cannot be run on the longest: that alone fails."""
    port = best_known(converted, tmp_path / "port")
    report = verified(port)
    assert not report.equivalent
    assert [(way.surface, way.refused, way.sentences) for way in report.worth.ways] == [(w, "", 547) for w in WAYS]
    no_number = {row.language for row in report.rows if np.isnan(row.difference)}
    assert no_number == {"traps"}
    failed = [failure for failure in report.failures if np.isnan(failure.difference)]
    assert {failure.stage for failure in failed} == {"truncation"}
    assert (
        "702 pieces of 702, of which the graph keeps the first 128; port cannot be run as AutoModel: "
        in failed[0].detail
    )

    names = [cause.name for cause in report.causes]
    assert names[0] == "pooler"
    assert "truncation: the graph keeps 128 pieces" in names
    assert len([name for name in names if name.startswith("tokenizer rule: ")]) >= 3
    shares = [cause.share for cause in report.causes]
    assert None not in shares
    assert shares == sorted(shares, reverse=True)  # type: ignore[type-var]
    assert 0.8 < (shares[0] or 0) < 1
    assert (
        "the graph's pooler is gelu_tanh, the candidate's is Tanh; with this alone mended" in report.causes[0].evidence
    )
    assert "likely causes: pooler (9" in summary(report)


def test_what_is_mended_alone_is_what_the_share_says(converted: Path, tmp_path: Path) -> None:
    """Four faults at once, each in another room of the model: all are found, and nothing else."""
    checkpoint = SavedModel.open(EMBEDDED).checkpoint
    real = checkpoint.read(next(name for name in checkpoint.variables if name.endswith("_real")))
    port = best_known(converted, tmp_path / "port", max_length=128)
    with_weights(port, **{"embeddings.token_type_embeddings.weight": real})
    config = json.loads((port / "config.json").read_text())
    (port / "config.json").write_text(json.dumps({**config, "hidden_act": "gelu"}))
    report = hub2hf.verify(EMBEDDED, port, languages=["de", "ja"], surfaces=["automodel"])
    shares = {cause.name.partition(":")[0]: cause.share or 0 for cause in report.causes}
    assert {*shares} == {"pooler", "hidden activation", "token-type row", "tokenizer rule"}
    assert 0.3 < shares["token-type row"] < 0.7, shares
    assert 0.03 < shares["pooler"] < 0.3, "alone, and not with all that is wrong before it mended too"
    assert all(share < 1 for share in shares.values())
    grows = [cause for cause in report.causes if not cause.likely]
    assert grows, "one fault makes up for another: a mend that makes it worse is no likely cause"
    for cause in grows:
        assert "with this alone mended, the mean difference is larger, " in cause.evidence
        assert cause.name not in summary(report)
    told = [cause.share or 0 for cause in report.causes]
    assert told == sorted(told, reverse=True)

    only_types = tmp_path / "types"
    shutil.copytree(converted, only_types)
    with_weights(only_types, **{"embeddings.token_type_embeddings.weight": real})
    (cause,) = hub2hf.verify(EMBEDDED, only_types, languages=["de"], surfaces=["automodel"]).causes
    assert (cause.name, round(cause.share or 0, 4)) == ("token-type row", 1.0)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("LEALLA-large v1.0 (port) – порт", {"weights": "safetensors", "tokenizer": "vocab", "version": 4}),
        ("roberta.gpt2", {"weights": "bin", "tokenizer": "json", "version": 5}),
        ('a b\'s "x"', {"weights": "bin", "tokenizer": "both", "version": 4}),
        (".hidden", {"weights": "safetensors", "tokenizer": "both", "version": 5}),
    ],
    ids=["vocab", "bin and json", "bin and both", "both"],
)
def test_a_port_of_any_name_and_form_is_measured(
    name: str, form: dict[str, Any], converted: Path, tmp_path: Path
) -> None:
    port = best_known(converted, tmp_path / name, max_length=128, **form)
    report = verified(port, languages=["ja", "de"])
    assert [(way.surface, way.refused, way.sentences) for way in report.worth.ways] == [(w, "", 13) for w in WAYS]
    assert report.causes[0].name == "pooler"
    assert report.note == ""


def test_our_own_folder_of_any_name_is_exact(converted: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(converted, tmp_path / "LEALLA-large v1.0 (ours) – наш"))
    assert verified(folder, languages=["ja"]).equivalent


def test_a_way_that_cannot_be_loaded_fails_alone(converted: Path, tmp_path: Path) -> None:
    port = best_known(converted, tmp_path / "port", max_length=128)
    modules = [{"idx": 0, "name": "0", "path": "nowhere", "type": "sentence_transformers.models.Nothing"}]
    (port / "modules.json").write_text(json.dumps(modules))
    report = verified(port, languages=["ja"])
    refused = {way.surface: way.refused for way in report.worth.ways}
    assert {name for name, why in refused.items() if why} == {"sentence-transformers"}
    assert refused["sentence-transformers"].startswith("port cannot be loaded as sentence-transformers: ")
    assert f"NOT MEASURED: sentence-transformers ({refused['sentence-transformers'].rstrip('.')[:20]}" in summary(
        report
    )
    with pytest.raises(SourceError, match="cannot be loaded as sentence-transformers"):
        verified(port, languages=["ja"], surfaces=["sentence-transformers"])


@pytest.mark.parametrize(
    ("kept", "stage"),
    [("first", "truncation"), ("last", "truncation"), ("shorter", "truncation"), ("other", "ids")],
)
def test_another_truncation_is_called_so(kept: str, stage: str, converted: Path) -> None:
    """The graph keeps the first pieces of a text; a port may keep more, fewer or the last, or have other pieces anyway."""
    loaded = bert(converted, trusted=False)
    text = "dog cat " * 40
    whole = loaded.tokenizer([text], truncation=False)["input_ids"][0]
    graph = [*whole[:31], whole[-1]]
    found = {
        "first": [*whole[:63], whole[-1]],
        "last": [whole[0], *whole[-31:]],
        "shorter": [*whole[:7], whole[-1]],
        "other": [whole[0], 5, *whole[2:31], whole[-1]],
    }[kept]
    if kept == "other":
        graph = [whole[0], 5, 5, *whole[3:31], whole[-1]]
    recording = Recording("2", "0" * 64, 32, [Sentence("en", text)], [graph], {})
    one = other_ids(loaded, recording, found)
    assert one.stage == stage
    assert one.rule.startswith("truncation: the graph keeps 32 pieces" if stage == "truncation" else "tokenizer rule: ")


def test_a_word_that_is_missing_at_the_end_is_no_truncation(converted: Path) -> None:
    loaded = bert(converted, trusted=False)
    ids = loaded.ids(["dog cat"])[0]
    recording = Recording("2", "0" * 64, 128, [Sentence("en", "dog")], [ids], {})
    assert (
        other_ids(loaded, replace(recording, sentences=[Sentence("en", "dog")]), loaded.ids(["dog"])[0]).stage == "ids"
    )


def test_two_faults_of_the_layers_are_both_named(converted: Path, golden: Path, tmp_path: Path) -> None:
    """The first hides in the stage before the second; the recording has stages, and no SavedModel is at hand."""
    port = Path(shutil.copytree(converted, tmp_path / "port"))
    config = json.loads((port / "config.json").read_text())
    (port / "config.json").write_text(json.dumps({**config, "hidden_act": "gelu", "layer_norm_eps": 1e-2}))
    report = hub2hf.verify(None, port, golden=golden, surfaces=["automodel"])
    assert {cause.name for cause in report.causes} == {"hidden activation", "LayerNorm epsilon"}
    assert "with 1e-12 in place of 0.01, 'embeddings', which departs first, agrees with the graph" in " ".join(
        cause.evidence for cause in report.causes
    )


def test_only_the_sentences_of_a_rule_are_mended(converted: Path, golden: Path, tmp_path: Path) -> None:
    """With nothing wrong but the text rules, their shares make up the whole, each sentence being one rule's."""
    port = Path(shutil.copytree(converted, tmp_path / "port"))
    stock = best_known(converted, tmp_path / "stock", max_length=128, tokenizer="json")
    shutil.copy(stock / "tokenizer.json", port)
    report = hub2hf.verify(None, port, golden=golden, surfaces=["automodel"])
    assert len(report.causes) >= 3
    assert sum(cause.share or 0 for cause in report.causes) == pytest.approx(1.0, abs=1e-4)
    assert max(cause.share or 0 for cause in report.causes) < 0.9


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with stages, in a few languages."""
    path = tmp_path_factory.mktemp("golden") / "lealla-mini.safetensors"
    hub2hf.record(EMBEDDED, path, languages=["de", "ja", "traps"])
    return path
