"""The known models: recognised by what they are, and a new one of a known family is one TOML."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from build_known_models import FAMILIES, MADE, name_of
from huggingface_hub import ModelCard
from references import ROOT, Pair

import hub2hf
from hub2hf.architectures import ARCHITECTURES
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.errors import ExportError, SourceError
from hub2hf.known_models import census, find_model, known_models, recognised
from hub2hf.known_models import named as known_as
from hub2hf.sources import model_of


def test_each_is_recognised_by_sizes_and_vocabulary_only() -> None:
    for model in known_models().values():
        known = model if model.must_be.get("vocabulary_sha256") else None
        assert recognised(model.must_be) == known
        assert recognised({**model.must_be, "hidden_size": 7}) is None


def test_each_has_what_a_card_needs() -> None:
    for name, model in known_models().items():
        card = model.card
        assert card.summary
        assert set(card.languages) <= {sentence.language for sentence in language_sentences()}
        assert model.address.startswith("https://tfhub.dev/") or name == "lealla-mini"
        if name == "lealla-mini":  # what is true of LEALLA's training is not true of random weights
            assert (card.paper, card.citation, card.datasets, card.base_model) == ("", "", (), "")
            continue
        if name in documented():
            assert card.paper.startswith("https://arxiv.org/abs/")
            assert len(card.languages) == (31 if "multi" in name else 1)
            continue
        assert len(card.languages) == len(set(card.languages)) == (15 if name == "smaller-labse" else 109)
        assert card.license == "apache-2.0"
        assert card.citation.strip().startswith("@inproceedings{")


def documented() -> set[str]:
    """Return the models whose TOML scripts/build_known_models.py made."""
    files = (ROOT / "configs" / "models").glob("*.toml")
    return {file.stem for file in files if file.read_text(encoding="utf-8").startswith(MADE)}


def test_those_of_the_documentation_are_fetched_by_any_of_their_names() -> None:
    assert len(documented()) == sum(len(family.handles) for family in FAMILIES) == 17
    for family in FAMILIES:
        for handle in family.handles:
            model = find_model(name_of(handle))
            assert model.address == f"https://tfhub.dev/{handle}"
            assert known_as(handle.rpartition("/")[0].rpartition("/")[2])
    assert find_model("distilbert_multi_cased_L-6_H-768_A-12").must_be == {"layers": 6, "hidden_size": 768, "heads": 12}


def test_every_documented_module_has_a_family_and_a_fate(
    run_hub2hf: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # the processes of pytest-xdist have it
    modules = list(census())
    assert len(modules) == len({module.handle for module in modules}) == 363
    assert all(bool(module.becomes) != bool(module.missing) for module in modules)
    classes = {module.becomes for module in modules if module.becomes}
    assert classes == {
        "BertModel",
        "AlbertModel",
        "ElectraModel",
        "DistilBertModel",
        "MobileBertModel",
        "T5EncoderModel",
    }
    assert classes == {found.model_class for found in ARCHITECTURES.values()}
    status, shown, _ = run_hub2hf("list", "--all")
    assert status == 0
    assert shown.splitlines()[1].split("  ")[-1].strip() == "expected to become"
    assert shown.endswith("page on tfhub.dev; `hub2hf inspect ADDRESS` reads the module itself.\n")
    lines = {line.split()[0]: line.split()[-1] for line in shown.splitlines() if line.strip()}
    assert {module.handle: lines.get(module.handle) for module in modules} == {
        module.handle: module.becomes or "refused" for module in modules
    }
    told = json.loads(run_hub2hf("list", "--all", "--json")[1])
    assert {m["fate"] for m in told if m["becomes"]} == {f"expected to become {name}" for name in classes}
    (talking,) = {m["fate"] for m in told if "talkheads" in m["handle"]}
    assert talking.startswith("refused: its attention mixes the heads")
    fates = {m["handle"]: m["fate"] for m in told}
    for handle, why in {  # by what their pages say of their architecture and text
        "google/universal-sentence-encoder/4": "it averages",
        "google/universal-sentence-encoder-lite/2": "Tensor2Tensor",
        "google/universal-sentence-encoder-multilingual/3": "convolutions",
        "google/universal-sentence-encoder-multilingual-large/3": "Tensor2Tensor",
        "google/mobilebert/uncased_L-24_H-128_B-512_A-4_F-4_OPT/squadv1/1": "refused: it gives where an answer begins",
        "jeongukjae/klue_roberta_cased_L-6_H-768_A-12/1": "refused: its positions begin at 2",
        "jeongukjae/roberta_en_cased_L-12_H-768_A-12/1": "byte-level BPE",
        "jeongukjae/xlm_roberta_multi_cased_L-12_H-768_A-12/1": "SentencePiece model are moved",
    }.items():
        assert why in fates[handle], handle


def test_a_module_of_the_census_is_known_by_its_address() -> None:
    model = model_of("https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4")
    assert model is not None
    assert model.preprocessor == "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3"
    assert model.must_be == {"layers": 12, "hidden_size": 768, "heads": 12}
    assert model_of("https://tfhub.dev/google/LaBSE/2") == find_model("labse")
    mobile = model_of("https://tfhub.dev/tensorflow/mobilebert_en_uncased_L-24_H-128_B-512_A-4_F-4_OPT/1")
    assert mobile is not None
    assert mobile.must_be["hidden_size"] == 512  # between layers; H is the width within one
    assert model_of("https://tfhub.dev/nobody/nothing/1") is None


def test_a_source_that_is_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"not LEALLA-large: hidden_size is 32, not 256"):
        hub2hf.convert("lealla-mini", tmp_path / "out", model="lealla-large")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("title = ", "is not the TOML of a model"),
        ("titel = 'x'", "unknown keys: titel"),
        ("inherits = 'nobody'", "which is unknown"),
        ("card = 3", "is not the TOML of a model"),
        ("title = 'x'\n[card]\nlanguages = 'de klingon'", "'klingon' is no code of a language"),
        ("title = 'x'\n[card]\nlanguages = 'de pt-BR'", "'pt-BR' is no code of a language"),
    ],
)
def test_a_broken_toml_is_named(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(SourceError, match=says):
        find_model(path)


ONE_TOML = """\
title = "Two languages"
address = "https://tfhub.dev/somebody/two-languages/1"

[must_be]
hidden_size = {hidden}
layers = {layers}

[card]
summary = "An encoder that no code of hub2hf has heard of."
languages = "de ja"
license = "mit"
citation = "@misc{{two}}"
"""


def test_a_member_of_a_known_family_is_one_toml(pair: Callable[[str], Pair], tmp_path: Path) -> None:
    given = pair("uncased")
    model = tmp_path / "two.toml"
    model.write_text(ONE_TOML.format(hidden=given.options.hidden, layers=given.options.layers))
    out = hub2hf.convert(given.encoder, tmp_path / "out", preprocessor=given.preprocessor, model=model).out
    report = hub2hf.verify(given.encoder, out, preprocessor=given.preprocessor, languages=["de", "ja", "traps"])
    assert report.note == f"The result was added to {out}."
    card = ModelCard.load(out / "README.md")
    assert (card.data.language, card.data.license) == (["de", "ja"], "mit")
    for text in (
        "# Two languages",
        "no code of hub2hf has heard of",
        "https://tfhub.dev/somebody/two-languages/1",
        "{two}",
    ):
        assert text in card.text
    assert "✅ **Exactly the original**" in card.text
    model.write_text(ONE_TOML.format(hidden=7, layers=given.options.layers))
    with pytest.raises(ExportError, match="hidden_size is"):
        hub2hf.convert(given.encoder, tmp_path / "again", preprocessor=given.preprocessor, model=model)
