"""What a proof is worth, once it is read again: no row of it counts for more than it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub2hf.errors import ExportError
from hub2hf.export.files import hash_file
from hub2hf.export.manifest import MANIFEST, PROOF, VERSION, problems, proved_files, read_manifest, unknown_files
from hub2hf.export.proof import TRAPS, Proof, read_proof
from hub2hf.hub.plan import unproved
from hub2hf.known_models import find_model

LANGUAGES = find_model("lealla-large").card.languages
WAYS = ("automodel", "sentence-transformers")
TIGHT = 1e-3


def row(surface: str = "automodel", language: str = "de", **changes: Any) -> dict[str, Any]:
    found = {"surface": surface, "language": language, "difference": 3e-7, "tolerance": 2e-6, "other_ids": 0}
    return {**found, "reason": "round-off", **changes}


def proof(*rows: dict[str, Any]) -> Proof:
    return Proof({"rows": rows, "tight": TIGHT})


def whole(**changes: Any) -> list[dict[str, Any]]:
    """Every way in every language, and the traps."""
    return [row(way, language, **changes) for way in WAYS for language in (*LANGUAGES, TRAPS)]


def manifest(*names: str) -> dict[str, Any]:
    return {"model": None, "files": {name: {} for name in ("config.json", "modules.json", *names)}}


class TestEquivalent:
    def test_is_what_passed_within_a_tight_tolerance(self) -> None:
        assert proof(row(), row("card", difference=0.04, tolerance=0.05)).equivalent

    def test_is_not_what_passed_within_wide_tolerances_only(self) -> None:
        assert not proof(row(tolerance=0.5)).equivalent
        assert not proof(row(), row("card", "ja", tolerance=0.5)).equivalent

    def test_is_not_what_failed_anywhere(self) -> None:
        assert not proof(row(), row("card", difference=0.06, tolerance=0.05)).equivalent
        assert not proof(row(), row(language="ja", difference="NaN")).equivalent

    def test_is_not_what_compared_nothing(self) -> None:
        assert not proof().equivalent

    def test_the_tolerance_itself_passes(self) -> None:
        assert proof(row(difference=2e-6)).equivalent
        assert proof(row(tolerance=TIGHT)).equivalent


class TestWays:
    def test_an_exact_way_has_the_ids_of_the_graph(self) -> None:
        first, second = proof(row(), row("bert", other_ids=1)).ways()
        assert (first.exact, first.other_ids) == (True, 0)
        assert (second.exact, second.other_ids) == (False, 1)

    def test_an_exact_way_is_within_the_tightest_tolerance(self) -> None:
        first, second = proof(row(), row("card", difference=3e-6, tolerance=0.05)).ways()
        assert (first.exact, second.exact, second.passed) == (True, False, True)

    def test_no_way_is_exact_where_no_tolerance_is_tight(self) -> None:
        assert [way.exact for way in proof(row(tolerance=0.5)).ways()] == [False]

    def test_a_way_is_as_bad_as_its_worst_language(self) -> None:
        (way,) = proof(row(), row(language="ja", difference=1e-6), row(language="th")).ways()
        assert way.difference == 1e-6
        (way,) = proof(row(), row(language="ja", difference="NaN"), row(language="th")).ways()
        assert (way.difference, way.passed, way.exact) == ("NaN", False, False)


class TestPublishing:
    def test_a_whole_proof_is_accepted(self) -> None:
        assert unproved(manifest(), proof(*whole())) == ""

    @pytest.mark.parametrize("left_out", ["de", TRAPS])
    @pytest.mark.parametrize("way", WAYS)
    def test_every_way_needs_every_language_and_the_traps(self, way: str, left_out: str) -> None:
        rows = [one for one in whole() if (one["surface"], one["language"]) != (way, left_out)]
        rows.append(row("bert", left_out))  # the language itself is not missing from the proof
        said = unproved(manifest(), proof(*rows))
        assert said.endswith(f"as {way}, without {left_out}")
        assert f"covers {len(LANGUAGES) - (left_out != TRAPS)} of its {len(LANGUAGES)} languages" in said

    def test_a_folder_without_modules_needs_no_sentence_transformers(self) -> None:
        rows = [one for one in whole() if one["surface"] == "automodel"]
        assert "as sentence-transformers" in unproved(manifest(), proof(*rows))
        assert unproved({"model": None, "files": {"config.json": {}}}, proof(*rows)) == ""

    def test_a_wide_tolerance_does_not_count(self) -> None:
        rows = [*whole(), *(row("bert", language) for language in (*LANGUAGES, TRAPS))]
        wide = [{**one, "tolerance": 0.5} if one["surface"] == "automodel" else one for one in rows]
        assert proof(*wide).equivalent
        assert "covers 0 of its" in unproved(manifest(), proof(*wide))

    def test_no_proof_and_a_failed_one_are_none(self) -> None:
        assert "no verification" in unproved(manifest(), None)
        assert "not equivalent" in unproved(manifest(), proof(*whole(difference=0.9)))


class TestReading:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "config.json").write_text("{}")
        return tmp_path

    def written(self, folder: Path, **changes: Any) -> dict[str, Any]:
        """Write a proof of the folder; return the manifest."""
        found: dict[str, Any] = {
            "files": {"config.json": hash_file(folder / "config.json")},
            "source": {"fingerprint": "0" * 64},
        }
        about = {"files": proved_files(found), "fingerprint": "0" * 64, "summary": "", "witness": "TensorFlow"}
        content = {**about, "rows": [row()], "tight": TIGHT, "sentences": 4, **changes}
        (folder / PROOF).write_text(json.dumps(content))
        found["files"][PROOF] = hash_file(folder / PROOF)
        return found

    def test_is_of_these_files(self, folder: Path) -> None:
        found = read_proof(folder, self.written(folder))
        assert found is not None
        assert found.equivalent

    def test_is_none_of_other_files_or_another_source(self, folder: Path) -> None:
        assert read_proof(folder, self.written(folder, files={"config.json": "1" * 64})) is None
        assert read_proof(folder, self.written(folder, fingerprint="1" * 64)) is None

    def test_what_was_changed_is_refused(self, folder: Path) -> None:
        found = self.written(folder)
        (folder / PROOF).write_text((folder / PROOF).read_text().replace("3e-07", "2e-07"))
        with pytest.raises(ExportError, match="changed since the verification"):
            read_proof(folder, found)

    @pytest.mark.parametrize("rows", [[row(difference=None)], [row(tolerance="1")], [row(other_ids="0")]])
    def test_what_is_of_another_type_is_refused(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        with pytest.raises(ExportError, match="another type"):
            read_proof(folder, self.written(folder, rows=rows))

    def test_files_that_are_not_as_the_manifest_says_are_named(self, folder: Path) -> None:
        found = self.written(folder)
        (folder / "added_tokens.json").write_text("{}")
        (folder / ".cache").mkdir()
        (folder / ".cache" / "x").write_text("")
        assert unknown_files(folder, found) == ["added_tokens.json"]
        assert problems(folder, found) == {}
        (folder / "config.json").write_text("[]")
        assert problems(folder, found) == {"config.json": "has other bytes"}
        (folder / "config.json").unlink()
        assert problems(folder, found) == {"config.json": "is missing"}


def read(folder: Path, **changes: Any) -> dict[str, Any]:
    """Write a manifest and read it."""
    parts: dict[str, Any] = {"source": {"fingerprint": "0" * 64}, "converter": {}, "identity": {}, "model": None}
    parts["blueprint"] = {"encoder": {}, "text": [], "mapping": [], "vocabulary": {}}
    (folder / MANIFEST).write_text(json.dumps({"version": VERSION, "files": {}, **parts, **changes}))
    return read_manifest(folder)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", ".git/config", "HUB2HF.json", "a//b", "c:x"])
def test_a_manifest_names_files_of_its_folder_only(name: str, tmp_path: Path) -> None:
    entry = {"bytes": 1, "sha256": "0" * 64}
    assert read(tmp_path, files={"1_Pooling/config.json": entry})["files"]
    with pytest.raises(ExportError, match="no file of a folder"):
        read(tmp_path, files={name: entry})


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1, None, str(VERSION)])
def test_a_manifest_of_another_version_is_refused(version: object, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="its version is another"):
        read(tmp_path, version=version)


@pytest.mark.parametrize("entry", [{"bytes": -1, "sha256": "0" * 64}, {"bytes": 1, "sha256": "0"}])
def test_sizes_and_hashes_that_are_none_are_refused(entry: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="size or hash of 'a' is none"):
        read(tmp_path, files={"a": entry})
