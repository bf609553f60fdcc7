"""The model card: what it says, that it says what was found, and that what it shows can be run."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from references import EMBEDDED, GOLDEN, Reference

import hub2hf
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.errors import ExportError
from hub2hf.folder import card
from hub2hf.folder.about import read_proof
from hub2hf.folder.card import render_card
from hub2hf.folder.manifest import read_manifest
from hub2hf.known_models import find_model
from hub2hf.proof import Cause
from hub2hf.proof.text import number


def text_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def snippets(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def folder(verified: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(verified, tmp_path / "folder"))


class TestMetadata:
    def test_is_read_by_the_hubs_own_class(self, verified: Path) -> None:
        data = ModelCard.load(verified / "README.md").data
        assert (data.library_name, data.pipeline_tag, data.license) == (
            "sentence-transformers",
            "sentence-similarity",
            "apache-2.0",
        )
        assert data.language == list(dict.fromkeys(sentence.language for sentence in language_sentences()))
        assert {"bert", "sentence_embedding", "multilingual", "sentence-similarity"} <= set(data.tags)

    def test_carries_the_proof(self, verified: Path) -> None:
        results = ModelCard.load(verified / "README.md").data.eval_results
        proof = json.loads((verified / "equivalence.json").read_text())
        worst = {row["surface"]: 0.0 for row in proof["rows"]}
        for row in proof["rows"]:
            worst[row["surface"]] = max(worst[row["surface"]], row["difference"])
        assert [result.metric_value for result in results] == [float(number(value)) for value in worst.values()]
        assert all(result.metric_value >= value for result, value in zip(results, worst.values(), strict=True))

    def test_holds_only_what_is_a_number(self, verified: Path) -> None:
        manifest = read_manifest(verified)
        proof = read_proof(verified, manifest)
        assert proof is not None
        rows = [replace(row, difference=math.nan) if row.surface == "bertmodel" else row for row in proof.rows]
        results = ModelCard(render_card(manifest, replace(proof, rows=rows))).data.eval_results
        assert [result.metric_name.rpartition(" ")[2] for result in results] == [
            "AutoModel",
            "sentence-transformers",
            "BertTokenizerFast",
        ]

    @pytest.mark.parametrize("name", ["lealla-small", "lealla-base", "lealla-large"])
    def test_of_each_lealla_has_what_the_published_card_has(self, verified: Path, name: str) -> None:
        manifest = replace(read_manifest(verified), model=find_model(name), evidence="a test")
        text = render_card(manifest, read_proof(verified, manifest))
        data = ModelCard(text).data
        assert len(data.language) == 109
        assert data.datasets == ["CommonCrawl", "Wikipedia"]
        assert data.base_model == "sentence-transformers/LaBSE"
        assert {
            "bert",
            "sentence_embedding",
            "multilingual",
            "google",
            "sentence-similarity",
            "lealla",
            "labse",
        } <= set(data.tags)
        title = name.replace("lealla", "LEALLA")
        assert f"https://tfhub.dev/google/LEALLA/{title}/1" in text
        paper = "https://arxiv.org/abs/2302.08387"
        assert f"| Paper (abstract) | [arxiv.org/abs/2302.08387]({paper}) |\n" in text
        assert f"performance are described in the [paper]({paper}).\n" in text
        assert text.count(paper) == 2
        assert "@inproceedings{mao-nakagawa-2023-lealla," in text
        for sentence in ("Puppies are nice.", "I cuccioli sono carini.", "子犬はいいです"):
            assert sentence in text


class TestText:
    def test_says_that_nothing_is_verified(self, tmp_path: Path) -> None:
        text = text_of(hub2hf.convert("lealla-mini", tmp_path / "out").out)
        assert "**Unverified.**" in text
        assert "✅" not in text
        assert "model-index" not in text

    def test_says_what_was_found(self, verified: Path) -> None:
        text = text_of(verified)
        exact = "loaded with AutoModel (`trust_remote_code=True`) and sentence-transformers, no entry"
        assert f"✅ **Exactly the original**: {exact}" in text
        assert re.search(
            r"often get wrong\)\.\n>\n> Exact means: identical token ids, and no entry .* off by more than 2e-06\.\n",
            text,
        )
        assert "- BertModel: cosine to the true embedding as low as 0." in text
        assert text.count("547 sentences in all: 109 languages, and texts that ports often get wrong") == 3
        assert "![Largest difference" in text
        assert len(re.findall(r"e-07 \| exact \| transformers ", text)) == 2
        assert text.count("| **not the same** |") == 2

    def test_says_that_it_is_not_equivalent(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        proof = read_proof(folder, manifest)
        assert proof is not None
        rows = [replace(row, difference=0.9) for row in proof.rows]
        text = render_card(manifest, replace(proof, rows=rows, causes=[Cause("by <b>*far*</b>", "a test")]))
        assert "❌ **Not the same as the original.** AutoModel, sentence-transformers, BertModel, BertTok" in text
        assert "likely cause: by \\<b\\>\\*far\\*\\</b\\>" in text
        assert "same function" not in text
        assert text.count("| **not the same** |") == 4

    def test_names_a_language_that_is_allowed_to_differ_with_the_reason(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        proof = read_proof(folder, manifest)
        assert proof is not None
        other = {"difference": 0.11, "tolerance": 0.13, "reason": "kana are one script there"}
        rows = [replace(row, **(other if row.language == "ja" else {})) for row in proof.rows]
        text = render_card(manifest, replace(proof, rows=rows))
        said = "AutoModel differs by 0.11 in ja, where 0.13 is allowed: kana are one script there."
        assert f"- {said}" in text
        assert said in next(line for line in text.splitlines() if line.startswith("> ✅"))
        assert "| exact, but see below |" in text

    def test_of_a_recognised_folder_does_not_claim_its_weights(self, verified: Path) -> None:
        manifest = replace(read_manifest(verified), model=find_model("lealla-large"), evidence="a test")
        assert "whether its weights are the published ones was not checked" in render_card(manifest, None)
        address = "https://tfhub.dev/google/LEALLA/LEALLA-large/1"
        manifest = replace(manifest, source={**manifest.source, "address": address})
        assert "was not checked" not in render_card(manifest, None)

    def test_names_limits_and_provenance(self, verified: Path) -> None:
        text, manifest = text_of(verified), read_manifest(verified)
        assert "cut to 128 pieces" in text
        assert "more than 100 UTF-8 bytes" in text
        assert manifest.fingerprint in text

    def test_links_where_it_lives_and_what_made_it(self, verified: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        manifest = read_manifest(verified)
        assert "| This model |" not in render_card(manifest, None)
        text = render_card(replace(manifest, repository="me/model"), None)
        assert "| This model | [me/model](https://huggingface.co/me/model) |" in text
        monkeypatch.setattr(card, "home", lambda: "https://example.org/hub2hf")
        assert "| Conversion | [hub2hf](https://example.org/hub2hf) " in render_card(manifest, None)

    def test_says_that_modules_compute_a_sum_where_the_pooler_is_a_tanh_gelu(self, verified: Path) -> None:
        manifest = read_manifest(verified)
        said = "a sum of erf GELUs, at most 9e-07 from it before the L2 norm."
        assert said in render_card(manifest, None)
        (layer,) = manifest.blueprint["encoder"]["dense"]
        plain = {**manifest.blueprint["encoder"], "dense": [{**layer, "activation": "relu"}]}
        other = replace(manifest, blueprint={**manifest.blueprint, "encoder": plain})
        assert "compute what that\npooler does.\n" in render_card(other, None)

    def test_divides_by_the_norm_only_what_has_no_unit_length(self, verified: Path) -> None:
        manifest = read_manifest(verified)
        divide, unit = "Divide embeddings by their L2 norm before you compare them", "Embeddings have unit length, so"
        assert (divide in render_card(manifest, None), unit in render_card(manifest, None)) == (False, True)
        encoder = manifest.blueprint["encoder"]
        longer = {**encoder, "normalised": {**encoder["normalised"], "value": False}}
        text = render_card(replace(manifest, blueprint={**manifest.blueprint, "encoder": longer}), None)
        assert (divide in text, unit in text) == (True, False)

    def test_cuts_texts_in_every_example_that_makes_a_batch(self, verified: Path) -> None:
        batches = [line for code in snippets(text_of(verified)) for line in code.splitlines() if "padding=True" in line]
        assert len(batches) == 2
        assert all("truncation=True" in line for line in batches)

    def test_of_a_plain_class_takes_the_tokenizer_that_is_exact(self, verified: Path) -> None:
        snippet = snippets(text_of(verified))[-1]
        assert "AutoTokenizer.from_pretrained" in snippet
        assert "BertTokenizerFast" not in snippet
        assert "The token ids and `last_hidden_state` are the original's, but `pooler_output`" in text_of(verified)

    def test_moves_a_pipeline_by_two_lines(self, verified: Path) -> None:
        diff = text_of(verified).partition("```diff\n")[2].partition("```")[0].splitlines()
        assert [line[0] for line in diff] == ["-", "-", "+", "+"]
        assert diff[-1] == '+embed = SentenceTransformerEmbeddings(columns=["text"], model_name=".")'

    def test_has_no_place_of_this_machine(self, verified: Path) -> None:
        for name in ("README.md", "equivalence.json", "hub2hf.json"):
            assert str(verified.parent) not in (verified / name).read_text(encoding="utf-8")
            assert str(EMBEDDED.parent) not in (verified / name).read_text(encoding="utf-8")

    def test_of_a_plain_pooler_asks_for_no_trust(self, tmp_path: Path, reference: Callable[[str], Reference]) -> None:
        text = text_of(hub2hf.convert(reference("stock").folder, tmp_path / "out").out)
        assert "trust_remote_code" not in "".join(snippets(text))
        assert "`pooler_output` are those of this model" in text
        assert "Sentence encoder from TensorFlow Hub" in text
        assert "language:" not in text


# Runs each argument as a program, forked from a process that has imported what takes long and has done nothing else.
EACH = """
import os, sys
import sentence_transformers, transformers
for code in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        exec(compile(code, "<snippet>", "exec"), {"__name__": "__main__"})
        sys.exit()
    if os.waitpid(child, 0)[1]:
        sys.exit("This ended badly: " + code)
    os.write(1, b"\\0")
"""


def run_each(code: list[str], cwd: Path, env: Mapping[str, str] = os.environ) -> list[str]:
    """Run programs, each in a process of its own, and return what each prints."""
    command = [sys.executable, "-c", EACH, *code]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\0")[:-1]


def test_every_snippet_runs_in_a_process_of_its_own(verified: Path) -> None:
    code = snippets(text_of(verified))
    assert len(code) == 4
    assert [bool(said.strip()) for said in run_each(code, verified)] == [True] * 4


class TestWritingAgain:
    def test_gives_the_same_card_and_touches_no_weights(self, folder: Path, verified: Path) -> None:
        before = (folder / "model.safetensors").stat()
        hub2hf.card(folder)
        after = (folder / "model.safetensors").stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
        assert text_of(folder) == text_of(verified)
        assert hub2hf.integrity(folder) == {}

    def test_of_another_model_is_refused(self, folder: Path) -> None:
        with pytest.raises(ExportError, match="This is not LEALLA-large: hidden_size is 32, not 256"):
            hub2hf.card(folder, model="lealla-large")

    def test_does_not_launder_a_changed_proof(self, folder: Path) -> None:
        path = folder / "equivalence.json"
        path.write_text(path.read_text().replace('"difference": 3', '"difference": 2', 1))
        with pytest.raises(ExportError, match="changed since the verification"):
            hub2hf.card(folder, force=True)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_promises_nothing_of_files_that_were_changed(self, name: str, folder: Path) -> None:
        before, content = text_of(folder), bytearray((folder / name).read_bytes())
        content[-3] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(ExportError, match=f"{name} has other bytes"):
            hub2hf.card(folder, force=True)
        assert text_of(folder) == before

    def test_gets_out_of_a_run_that_was_killed_before_the_manifest(self, folder: Path, verified: Path) -> None:
        unverified = folder.parent / "unverified"
        hub2hf.convert("lealla-mini", unverified)
        for name in ("equivalence.json", "equivalence.png", "README.md"):
            shutil.copy(verified / name, unverified / name)
        report = hub2hf.verify(None, unverified, golden=GOLDEN)
        assert report.note.startswith("The result was added")
        assert hub2hf.integrity(unverified) == {}

    def test_keeps_a_card_that_was_edited_by_hand(self, folder: Path) -> None:
        (folder / "README.md").write_text("mine")
        with pytest.raises(ExportError, match="edited by hand"):
            hub2hf.card(folder)
        assert text_of(folder) == "mine"
        hub2hf.card(folder, force=True)
        assert hub2hf.integrity(folder) == {}

    def test_takes_the_facts_of_a_persons_own_toml(self, folder: Path, tmp_path: Path) -> None:
        own = tmp_path / "mine.toml"
        own.write_text(
            'inherits = "lealla-mini"\ntitle = "Mine"\n[card]\nsummary = "My own words."\nlanguages = "de ja"\n'
        )
        text = hub2hf.card(folder, model=own).read_text(encoding="utf-8")
        assert "# Mine" in text
        assert "My own words." in text
        assert ModelCard(text).data.language == ["de", "ja"]


class TestAddingTheResult:
    def test_a_partial_verification_does_not_replace_a_whole_one(self, folder: Path) -> None:
        report = hub2hf.verify(None, folder, golden=GOLDEN, languages=["de"], surfaces=["automodel"])
        assert "covers more" in report.note
        assert "109 languages" in text_of(folder)

    def test_nothing_is_added_to_changed_files(self, folder: Path) -> None:
        (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
        report = hub2hf.verify(None, folder, golden=GOLDEN, languages=["de"], surfaces=["automodel"])
        assert "config.json has" in report.note
        assert hub2hf.integrity(folder).keys() == {"config.json"}

    def test_what_is_known_to_differ_does_not_replace_a_proof(self, folder: Path) -> None:
        report = hub2hf.verify(None, folder, golden=GOLDEN, languages=["de"], surfaces=["bert"])
        assert not report.equivalent
        assert "covers more" in report.note

    def test_a_file_that_changes_the_loading_is_named(self, folder: Path) -> None:
        (folder / "added_tokens.json").write_text("{}")
        report = hub2hf.verify(None, folder, golden=GOLDEN, languages=["de"], surfaces=["automodel"])
        assert "added_tokens.json is there" in report.note
        assert hub2hf.integrity(folder) == {"added_tokens.json": "is not in hub2hf.json"}

    def test_a_folder_that_cannot_be_written_to_gets_its_answer(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: Path, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        (folder / "equivalence.json").unlink()
        monkeypatch.setattr(Path, "write_bytes", full)
        report = hub2hf.verify(None, folder, golden=GOLDEN, languages=["de"], surfaces=["automodel"])
        assert report.equivalent
        assert "No space left" in report.note

    def test_a_persons_own_sentences_are_never_published(self, tmp_path: Path) -> None:
        out = hub2hf.convert("lealla-mini", tmp_path / "out").out
        mine = tmp_path / "mine.txt"
        mine.write_text("My secret.\n")
        report = hub2hf.verify("lealla-mini", out, sentences=mine, surfaces=["automodel"])
        assert report.equivalent
        assert f"was not added to {out}: sentences of your own" in report.note
        assert not (out / "equivalence.json").exists()

    def test_the_same_result_gives_the_same_bytes(self, folder: Path, verified: Path) -> None:
        hub2hf.verify(None, folder, golden=GOLDEN)
        for name in ("README.md", "equivalence.json", "equivalence.png", "hub2hf.json"):
            assert (folder / name).read_bytes() == (verified / name).read_bytes(), name


NAMES = ("../x", "/etc/passwd", ".git/config", "HUB2HF.json", "a//b", "c:x")


class TestDamage:
    @pytest.mark.parametrize(
        "content",
        [
            "",
            "[]",
            "{}",
            '{"files": {"../x": {"bytes": 1, "sha256": "a"}}}',
            "[" * 100_000,
            '{"version": 1, "files": 3}',
        ],
    )
    def test_a_manifest_that_lies_is_an_error(self, folder: Path, content: str) -> None:
        (folder / "hub2hf.json").write_text(content)
        for verb in (hub2hf.card, hub2hf.integrity):
            with pytest.raises(ExportError, match=r"hub2hf\.json"):
                verb(folder)

    def test_every_kind_of_change_is_named(self, folder: Path) -> None:
        (folder / "vocab.txt").unlink()
        weights = folder / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        (folder / "config.json").write_text("{}")
        found = hub2hf.integrity(folder)
        assert found["vocab.txt"] == "is missing"
        assert found["model.safetensors"] == "has other bytes"
        assert found["config.json"].startswith("has 2 bytes, not")
        assert len(found) == 3
