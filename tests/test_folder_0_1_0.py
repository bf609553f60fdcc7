"""Folders that version 0.1.0 made, from its first landing on: they still verify, are published and get a new card.

`tests/folder_0_1_0/` holds the manifest and the proof that it wrote for the embedded model, the proof in one language and on
the traps. Everything else of such a folder is as it is today.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from references import GOLDEN, ROOT

import hub2hf
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.errors import ExportError
from hub2hf.folder.about import read_proof
from hub2hf.folder.files import hash_file
from hub2hf.folder.manifest import ABOUT, CARD, MANIFEST, PROOF, VERSION, read_manifest
from hub2hf.hub.plan import check_folder
from hub2hf.proof.codec import FORMAT, from_json
from hub2hf.surfaces import named

NAME = "tester/model"
FROZEN = ROOT / "tests" / "folder_0_1_0"


def frozen(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FROZEN / name).read_text(encoding="utf-8"))
    return content


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    """A folder of version 0.1.0, proved in all languages."""
    out = Path(shutil.copytree(converted, tmp_path / "out"))
    manifest, proof = frozen(MANIFEST), frozen(PROOF)
    source = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["source"]
    names = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() and path.name != MANIFEST]
    files = {name: hash_file(out / name) for name in names}
    languages = dict.fromkeys(sentence.language for sentence in language_sentences())
    proof["rows"] = [
        {**row, "language": language}
        for row in proof["rows"]
        for language in (languages if row["language"] == "de" else [row["language"]])
    ]
    proof |= {
        "files": {name: entry["sha256"] for name, entry in files.items() if name not in ABOUT},
        "fingerprint": source["fingerprint"],
    }
    (out / PROOF).write_text(json.dumps(proof), encoding="utf-8")
    manifest |= {"files": {**files, PROOF: hash_file(out / PROOF)}, "source": source}
    (out / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return out


def test_what_is_frozen_is_of_the_old_form() -> None:
    assert frozen(MANIFEST)["version"] == 1 < VERSION
    assert frozen(PROOF)["format"] == 1 < FORMAT
    assert {"tight", "files", "witness", "versions"} <= frozen(PROOF).keys()


def test_gets_a_new_card_and_is_of_this_version_then(folder: Path) -> None:
    assert hub2hf.integrity(folder) == {}
    text = hub2hf.card(folder).read_text(encoding="utf-8")
    assert "✅ **Exactly the original**" in text
    assert "NOT THE SAME: BertModel, BertTokenizerFast (off by up to 0." in text
    assert "run by TensorFlow 2.21.0 when it was recorded, and this folder" in text
    assert text.count("e-07 | exact | ") == 2
    manifest, proof = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (MANIFEST, PROOF))
    assert (manifest["version"], proof["format"]) == (VERSION, FORMAT)
    assert hub2hf.integrity(folder) == {}
    assert proof["conditions"]["automodel"]["recorded"] is True
    assert proof["conditions"]["automodel"]["files"].keys() == manifest["files"].keys() - ABOUT


def test_of_the_first_landing_does_too(folder: Path) -> None:
    """Its manifest did not say yet what the proof of the text side rests on."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    del manifest["blueprint"]["proof"]
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    assert "✅ **Exactly the original**" in hub2hf.card(folder).read_text(encoding="utf-8")


def test_is_published(folder: Path) -> None:
    assert check_folder(folder, NAME, allow_unverified=False).verified


def test_its_proof_is_still_one_of_its_files(folder: Path) -> None:
    manifest = read_manifest(folder)
    found = read_proof(folder, manifest)
    assert found is not None
    assert found.equivalent
    assert len(found.rows) == 4 * 110
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes() + b"\n")
    with pytest.raises(ExportError, match=r"config\.json is not as hub2hf\.json says: it has"):
        check_folder(folder, NAME, allow_unverified=False)
    assert not check_folder(folder, NAME, allow_unverified=True).verified


def test_is_verified_and_keeps_what_covers_more(folder: Path) -> None:
    report = hub2hf.verify(None, folder, golden=GOLDEN, languages=["de"], surfaces=["automodel"])
    assert report.equivalent
    assert "covers more" in report.note
    (folder / PROOF).unlink()
    report = hub2hf.verify(None, folder, golden=GOLDEN, languages=["de"], surfaces=["automodel"])
    assert report.note.startswith("The result was added")
    assert json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["version"] == VERSION


def test_a_card_edited_by_hand_is_kept(folder: Path) -> None:
    (folder / CARD).write_text("mine")
    with pytest.raises(ExportError, match="edited by hand"):
        hub2hf.card(folder)


@pytest.mark.parametrize(
    ("witness", "told"),
    [
        ("TensorFlow 2.19.0", ("2.19.0", False, "")),
        ("TensorFlow 2.19.0, recorded", ("2.19.0", True, "")),
        ("TensorFlow 2.19.0, ids from a, b", ("2.19.0", False, "a, b")),
        ("TensorFlow 2.19.0, recorded, ids from a", ("2.19.0", True, "a")),
    ],
)
def test_what_it_said_of_the_witness_is_understood(witness: str, told: tuple[str, bool, str]) -> None:
    found = from_json({**frozen(PROOF), "witness": witness}).conditions["automodel"]
    assert (found.tensorflow, found.recorded, found.ids_from) == told


def test_ways_of_loading_have_the_names_of_today() -> None:
    failure = {"surface": "card", "language": "de", "text": "Hund", "difference": 0.9, "stage": "", "detail": ""}
    found = from_json({**frozen(PROOF), "failures": [failure]})
    assert list(found.conditions) == ["automodel", "sentence-transformers", "bertmodel", "berttokenizerfast"]
    assert [way.surface for way in found.worth.ways] == list(found.conditions)
    assert [one.surface for one in found.failures] == ["berttokenizerfast"]


@pytest.mark.parametrize("number", [1, 2])
def test_what_had_a_wide_tolerance_is_what_need_not_be_exact(number: int) -> None:
    """Format 2 is as format 1, but for the conditions; both called a way equivalent that was 0.5 off."""
    content = frozen(PROOF)
    if number == 2:
        one = {"tensorflow": "2.21.0", "recorded": True, "ids_from": "", "versions": {}, "files": {}}
        rows = [{**row, "surface": named(row["surface"])} for row in content["rows"]]
        content |= {"format": 2, "rows": rows, "conditions": {row["surface"]: one for row in rows}}
    found = from_json(content)
    told = {way.surface: (way.held, way.same, way.difference > 0.4, way.cosine) for way in found.worth.ways}
    good, other = (True, True, False, None), (False, False, True, None)
    assert told == {"automodel": good, "sentence-transformers": good, "bertmodel": other, "berttokenizerfast": other}
    assert found.equivalent
    wrong = {**content, "rows": [{**row, "difference": 0.5} for row in content["rows"]]}
    assert not from_json(wrong).equivalent


def test_what_it_cannot_have_said_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a witness"):
        from_json({**frozen(PROOF), "witness": "JAX 1"})
