"""Pairs are read or refused, searches are counted as a plain loop counts them, and models are held side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from huggingface_hub import ModelCard
from references import EMBEDDED

import hub2hf
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.errors import SourceError
from hub2hf.folder.card import render_card
from hub2hf.folder.manifest import problems, read_manifest
from hub2hf.retrieval.metrics import BLOCK, changed, interval, mining, search
from hub2hf.retrieval.pairs import read_pairs

RNG = np.random.default_rng(7)


def embeddings(count: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors, and the same with noise."""
    texts = RNG.standard_normal((count, 16))
    both = (texts, texts + noise * RNG.standard_normal(texts.shape))
    one, other = (value / np.linalg.norm(value, axis=1, keepdims=True) for value in both)
    return one.astype(np.float32), other.astype(np.float32)


@pytest.mark.parametrize("count", [1, 50, BLOCK + 300])
def test_a_search_finds_what_a_loop_finds(count: int) -> None:
    texts, translations = embeddings(count, 1.2)
    found = search(texts, translations)
    expected = [max(range(count), key=lambda i: float(translations[i] @ text)) for text in texts.astype(np.float64)]
    assert found.nearest.tolist() == expected
    assert found.accuracy == np.mean(np.array(expected) == np.arange(count))
    assert count == 1 or 0.05 < found.accuracy < 1


def test_a_translation_that_is_there_twice_is_no_mistake() -> None:
    texts, translations = embeddings(20, 0.0)
    translations[3] = translations[4] = texts[3] = texts[4]
    assert search(texts, translations).accuracy == 1.0


def test_changed_counts_searches_with_another_result_and_no_ties() -> None:
    texts, translations = embeddings(200, 0.9)
    mine = search(texts, translations)
    other = translations[:, ::-1].copy()
    theirs = search(texts, other)
    assert changed(texts, translations, mine, mine) == 0
    assert changed(texts, translations, mine, theirs) == (mine.nearest != theirs.nearest).sum() > 50
    twice = np.concatenate([translations, translations])
    moved = type(mine)(mine.nearest + 200, mine.similarity, mine.right)
    assert changed(texts, twice, mine, moved) == 0


def test_mining_is_what_the_definition_gives() -> None:
    texts, translations = embeddings(60, 0.8)
    cosine = texts.astype(np.float64) @ translations.T
    forward = np.sort(cosine, axis=1)[:, -4:].mean(axis=1)
    backward = np.sort(cosine, axis=0)[-4:].mean(axis=0)
    margin = cosine / ((forward[:, np.newaxis] + backward) / 2)
    pairs = {(i, int(margin[i].argmax())) for i in range(60)} | {(int(margin[:, j].argmax()), j) for j in range(60)}
    scores = []
    for threshold in margin[tuple(zip(*pairs, strict=True))]:
        taken = [(i, j) for i, j in pairs if margin[i, j] >= threshold]
        hits = sum(i == j for i, j in taken)
        scores.append(2 * hits / (len(taken) + 60))
    assert mining(texts, translations) == pytest.approx(max(scores), abs=1e-12)
    assert mining(*embeddings(30, 0.0)) == 1.0


def test_the_interval_is_wilsons() -> None:
    assert interval(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert interval(1.0, 104)[1] == pytest.approx(1.0)


def write(folder: Path, **sides: str) -> None:
    """Write files of pairs, as deu_eng_deu."""
    for name, text in sides.items():
        one, other, side = name.split("_")
        (folder / f"tatoeba.{one}-{other}.{side}").write_text(text, encoding="utf-8")


def test_pairs_of_every_form_are_the_same(tmp_path: Path) -> None:
    write(tmp_path, deu_eng_deu="Hund\nKatze\n", deu_eng_eng="dog\ncat\n", jpn_eng_jpn="犬", jpn_eng_eng="dog\n")
    (tmp_path / "README.md").write_text("not a pair")
    found = read_pairs([tmp_path])
    assert [(each.language, len(each.texts)) for each in found.pairs] == [("deu", 2), ("jpn", 1)]
    (tmp_path / "deu.tsv").write_text("Hund\tdog\nKatze\tcat\n", encoding="utf-8")
    (tmp_path / "all.tsv").write_text("deu\tHund\tdog\njpn\t犬\tdog\ndeu\tKatze\tcat\n", encoding="utf-8")
    assert list(read_pairs([tmp_path / "all.tsv"]).pairs) == list(found.pairs)
    assert list(read_pairs([tmp_path / "deu.tsv"]).pairs) == list(found.pairs[:1])
    sides = [tmp_path / f"tatoeba.deu-eng.{side}" for side in ("deu", "eng")]
    assert list(read_pairs(sides).pairs) == list(read_pairs([tmp_path], ["deu"]).pairs) == list(found.pairs[:1])
    assert read_pairs(sides).sha256 == read_pairs([tmp_path], ["deu"]).sha256 != found.sha256


@pytest.mark.parametrize(
    ("files", "asked", "told"),
    [
        ({"deu_eng_deu": "a\nb\n", "deu_eng_eng": "a\n"}, {}, r"deu has 2 lines, and .*eng has 1\."),
        ({"deu_eng_deu": "a\n\n", "deu_eng_eng": "a\nb\n"}, {}, r"pair 2 has an empty side"),
        ({"deu_eng_deu": "", "deu_eng_eng": ""}, {}, r"is empty"),
        ({"deu_eng_deu": "a\n"}, {}, r"eng cannot be read"),
        ({}, {}, r"holds no pairs"),
        ({"deu_eng_deu": "a\n", "deu_eng_eng": "a\n"}, {"languages": ["fra"]}, r"no pairs in fra"),
    ],
)
def test_what_are_no_pairs(tmp_path: Path, files: dict[str, str], asked: dict[str, list[str]], told: str) -> None:
    write(tmp_path, **files)
    with pytest.raises(SourceError, match=told):
        read_pairs([tmp_path], **asked)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("de\tHund\tdog\nde\tWasser\n", "line 2 has 2 columns, those before have 3"),
        ("Hund\tdog\nde\tWasser\twater\n", "line 2 has 3 columns, those before have 2"),
        ("language\ttext\ttranslation\nde\tHund\tdog\n", "line 1 is a header"),
    ],
)
def test_a_line_that_would_be_a_language_of_its_own_is_refused(table: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text(table, encoding="utf-8")
    with pytest.raises(SourceError, match=said):
        read_pairs([tmp_path / "pairs.tsv"])


def test_a_line_of_a_table_with_other_columns_is_named(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("a\tb\nc\n")
    with pytest.raises(SourceError, match=r"line 2 has 1 column\."):
        read_pairs([tmp_path / "pairs.tsv"])


def test_a_folder_searches_as_tensorflow_does(run_hub2hf: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder = hub2hf.convert(EMBEDDED, tmp_path / "folder", onnx=True).out
    texts: dict[str, list[str]] = {}
    for name, text in language_sentences():
        texts.setdefault(name, []).append(text)
    pairs = tmp_path / "own.tsv"
    rows = (
        f"{name}\t{own}\t{en}\n" for name in ("de", "ja") for own, en in zip(texts[name][:4], texts["en"], strict=True)
    )
    pairs.write_text("".join(rows), encoding="utf-8")
    code, printed, said = run_hub2hf(
        "evaluate", folder, "--pairs", pairs, "--against", EMBEDDED, "--json", "--report", tmp_path / "table.md"
    )
    assert code == 0, said + printed
    told = json.loads(printed)
    assert [(row["language"], row["pairs"], row["changed"]) for row in told["languages"]] == [
        ("de", 4, 0),
        ("ja", 4, 0),
    ]
    for row in told["languages"]:
        assert row["against"] == {name: row[name] for name in ("forward", "backward", "mining")}
    assert told["data"] == "own.tsv"
    table = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert [line.split(" | ")[0] for line in table[2:5]] == ["| de", "| ja", "| mean"]
    alone = hub2hf.evaluate(folder, pairs, languages="ja,")
    assert re.fullmatch(r"accuracy → [\d.]+, ← [\d.]+; mining F1 [\d.]+", alone.line())
    assert [row.language for row in alone.languages] == ["ja"]
    assert vars(alone.languages[0].own) == told["languages"][1]["against"]


def test_a_precision_is_held_against_float32(run_hub2hf: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder = hub2hf.convert(EMBEDDED, tmp_path / "folder").out
    pairs = tmp_path / "own.tsv"
    en = [text for name, text in language_sentences() if name == "en"]
    de = [text for name, text in language_sentences() if name == "de"]
    pairs.write_text("".join(f"de\t{a}\t{b}\n" for a, b in zip(de, en, strict=True)), encoding="utf-8")
    asked = ("evaluate", folder, "--pairs", pairs, "--precision", "bfloat16")
    code, printed, said = run_hub2hf(*asked, "--against", folder, "--json")
    assert code == 0, said
    (row,) = json.loads(printed)["languages"]
    (exact,) = hub2hf.evaluate(EMBEDDED, pairs).languages
    (rough,) = hub2hf.evaluate(folder, pairs, precision="bfloat16").languages
    assert row["against"] == vars(exact.own)
    assert {name: row[name] for name in vars(rough.own)} == vars(rough.own)
    code, _, said = run_hub2hf(*asked, "--add")
    assert (code, said) == (
        2,
        "hub2hf: --add writes down what the folder itself gives. Leave out --precision bfloat16.\n",
    )
    with pytest.raises(SourceError, match=r"TensorFlow runs it\. Leave out --device cuda and --precision bfloat16\."):
        hub2hf.evaluate(EMBEDDED, pairs, device="cuda", precision="bfloat16")


def test_what_was_measured_goes_into_the_folder(
    run_hub2hf: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = hub2hf.convert(EMBEDDED, tmp_path / "folder", onnx=True).out
    texts: dict[str, list[str]] = {}
    for name, text in language_sentences():
        texts.setdefault(name, []).append(text)
    pairs = tmp_path / "own.tsv"
    rows = (f"{name}\t{a}\t{b}\n" for name in ("de", "ja") for a, b in zip(texts[name][:4], texts["en"], strict=True))
    pairs.write_text("".join(rows), encoding="utf-8")
    asked = ("--pairs", pairs, "--sample", "3", "--add", "--plot", tmp_path / "plot.svg", "--force", "--json")
    for _ in range(2):
        code, printed, said = run_hub2hf("evaluate", folder, *asked)
        assert code == 0, said
    told = json.loads(printed)
    assert [row["pairs"] for row in told["languages"]] == [3, 3]
    manifest = read_manifest(folder)
    (one,) = manifest.evaluations
    assert problems(folder, manifest) == {}
    assert str(tmp_path) not in json.dumps(one)
    card = ModelCard.load(folder / "README.md")
    (results,) = [r for r in [card.data.eval_results] if r]
    assert {result.dataset_revision for result in results} == {told["sha256"]}
    assert [result.metric_value for result in results] == [
        round(told["mean"][m], 4) for m in ("forward", "backward", "mining")
    ]
    assert "| ja | 3 |" in card.text
    plot = ElementTree.parse(tmp_path / "plot.svg").getroot()
    bars = [
        float(bar.get("width", ""))
        for bar in plot.iter("{http://www.w3.org/2000/svg}rect")
        if bar.get("class") == "bar"
    ]
    assert bars == sorted((round(480 * row["forward"], 1) for row in told["languages"]), reverse=True)
    (folder / "onnx" / "model.onnx").unlink()
    files = {name: entry for name, entry in manifest.files.items() if not name.startswith("onnx/")}
    assert "## Retrieval" not in render_card(replace(manifest, files=files), None)


def test_a_sample_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("a\tb\n")
    with pytest.raises(SourceError, match="measures nothing"):
        read_pairs([tmp_path / "pairs.tsv"], sample=0)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"pairs": 5}, "pairs is of the type int, and no path."),
        ({"pairs": None}, "pairs is of the type NoneType, and no path."),
        ({"pairs": b"x"}, "pairs is of the type bytes, and no path."),
        ({"pairs": ["x", 6]}, "pairs is of the type int, and no path."),
        ({"against": 5}, "against is of the type int, and no path."),
        ({"languages": None}, "A name is of the type NoneType."),
        ({"sample": "3"}, "sample is of the type str, and no whole number."),
    ],
)
def test_what_python_cannot_ask_for(asked: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("a\tb\n")
    with pytest.raises(SourceError, match=said):
        hub2hf.evaluate(EMBEDDED, **{"pairs": tmp_path / "pairs.tsv", **asked})
