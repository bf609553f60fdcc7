"""What a proof is worth, and that it comes back as it was: no row of it counts for more than it says."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub2hf.equivalence.adding import joined
from hub2hf.equivalence.tolerances import load_tolerances
from hub2hf.errors import ExportError
from hub2hf.folder.about import about_files, read_proof
from hub2hf.folder.files import hash_file
from hub2hf.folder.manifest import CARD, MANIFEST, PROOF, VERSION, Manifest, problems, read_manifest, unknown_files
from hub2hf.folder.ways import files_read
from hub2hf.hub.plan import unproved
from hub2hf.known_models import find_model
from hub2hf.proof import EXACT, TIGHT, TRAPS, Cause, Conditions, Failure, Proof, Row
from hub2hf.proof.codec import FORMAT, from_json, to_json
from hub2hf.surfaces import SURFACES, title
from hub2hf.surfaces.base import Surface

LANGUAGES = find_model("lealla-large").card.languages
WAYS = ("automodel", "sentence-transformers")
CONVERTER = {"name": "hub2hf", "version": "1"}


def row(surface: str = "automodel", language: str = "de", **changes: Any) -> Row:
    return replace(Row(surface, language, 4, 0, 3e-7, 6e-7, 2e-6, "round-off", "hund"), **changes)


def proof(*rows: Row, **changes: Any) -> Proof:
    held = {name for name, way in SURFACES.items() if way.exact}
    conditions = {one.surface: Conditions("2.19.0", versions={"torch": "2"}, held=one.surface in held) for one in rows}
    return replace(Proof(fingerprint="0" * 64, rows=rows, conditions=conditions), **changes)


def whole(ways: Sequence[str] = WAYS, **changes: Any) -> list[Row]:
    """Every way in every language, and the traps."""
    return [row(way, language, **changes) for way in ways for language in (*LANGUAGES, TRAPS)]


def manifest(*names: str) -> Manifest:
    files = {
        name: {"bytes": 0, "sha256": "0" * 64} for name in names or ("config.json", "model.safetensors", "modules.json")
    }
    blueprint = {"encoder": {}, "text": [], "mapping": [], "vocabulary": {}}
    return Manifest({"fingerprint": "0" * 64}, blueprint, {}, files, CONVERTER, {})


class TestEquivalent:
    def test_is_what_must_be_exact_and_is(self) -> None:
        assert proof(row(), row("bertmodel", difference=0.5)).equivalent

    def test_is_not_where_a_way_that_must_be_exact_is_not(self) -> None:
        assert not proof(row(), row(language="ja", difference=math.nan)).equivalent
        assert not proof(row(difference=0.5), row("bertmodel")).equivalent
        asked = {"automodel": Conditions("2", held=True), "bertmodel": Conditions("2", held=True)}
        assert not proof(row(), row("bertmodel", difference=0.5), conditions=asked).equivalent

    def test_of_a_port_of_which_nothing_is_declared_one_exact_way_is_enough(self) -> None:
        nothing = {"automodel": Conditions("2"), "bertmodel": Conditions("2")}
        assert proof(row(difference=0.5), row("bertmodel"), conditions=nothing).equivalent
        assert not proof(row(difference=0.5), row("bertmodel", difference=0.5), conditions=nothing).equivalent

    def test_is_not_what_could_not_be_measured(self) -> None:
        """A way that is refused has no rows; the others stand, and it is enough that it must be exact to refute all."""
        for held in (True, False):
            refused = {"automodel": Conditions("2", held=held, refused="no"), "bertmodel": Conditions("2")}
            found = proof(row("bertmodel"), conditions=refused)
            assert found.equivalent is not held
            assert [(way.surface, way.refused) for way in found.worth.ways] == [("bertmodel", ""), ("automodel", "no")]

    def test_is_not_what_compared_nothing(self) -> None:
        assert not proof().equivalent

    def test_the_tolerance_itself_passes(self) -> None:
        assert proof(row(difference=2e-6)).equivalent
        assert not proof(row(difference=2.0001e-6)).equivalent

    def test_is_not_what_may_differ_everywhere(self) -> None:
        """A tolerance of their own for all languages proves nothing."""
        assert not proof(row(difference=0.1, tolerance=0.2)).equivalent
        assert proof(row(), row(language="ja", difference=0.1, tolerance=0.2)).equivalent


class TestWays:
    def test_an_exact_way_has_the_ids_of_the_graph(self) -> None:
        first, second = proof(row(), row("bertmodel", other_ids=1)).worth.ways
        assert (first.exact, first.other_ids) == (True, 0)
        assert (second.exact, second.same, second.other_ids) == (False, False, 1)

    def test_an_exact_way_is_within_round_off(self) -> None:
        first, second = proof(row(), row("bertmodel", difference=3e-6)).worth.ways
        assert (first.exact, second.exact, second.same) == (True, False, False)

    def test_no_way_is_exact_because_its_tolerance_is_wide(self) -> None:
        """What is measured counts: beyond round-off nothing is exact, however tight its tolerance is called."""
        wide = row(language="ja", difference=0.4, tolerance=0.5, reason="kana")
        (way,) = proof(row(), wide).worth.ways
        assert (way.exact, way.same, way.allowed, way.reason) == (
            False,
            True,
            [wide],
            "",
        )  # it must be exact: no reason excuses it
        assert [way.exact for way in proof(row(difference=1e-5, tolerance=TIGHT)).worth.ways] == [False]

    def test_no_way_is_exact_that_failed(self) -> None:
        assert [way.exact for way in proof(row(tolerance=1e-7)).worth.ways] == [False]

    def test_exact_is_what_the_exact_ways_are_held_to(self) -> None:
        tolerances = load_tolerances().surfaces
        assert {tolerances[name].tolerance for name, way in SURFACES.items() if way.exact} == {EXACT}

    def test_a_way_is_as_bad_as_its_worst_language(self) -> None:
        (way,) = proof(row(), row(language="ja", difference=1e-6), row(language="th")).worth.ways
        assert way.difference == 1e-6
        (way,) = proof(row(), row(language="ja", difference=math.nan), row(language="th", difference=1.0)).worth.ways
        assert math.isnan(way.difference)
        assert (way.same, way.exact) == (False, False)

    def test_a_reader_can_feel_the_worst_cosine_and_all_other_neighbours(self) -> None:
        rows = [row(cosine=0.9, neighbours=1), row(language="ja", cosine=0.5, neighbours=2), row(language="th")]
        (way,) = proof(*rows).worth.ways
        assert (way.cosine, way.neighbours) == (0.5, 3)
        (way,) = proof(row(cosine=0.9), row(language="ja", cosine=math.nan)).worth.ways
        assert math.isnan(way.cosine or 0)


class TestPublishing:
    def test_a_whole_proof_is_accepted(self) -> None:
        assert unproved(manifest(), proof(*whole())) == ""

    @pytest.mark.parametrize("left_out", ["de", TRAPS])
    @pytest.mark.parametrize("way", WAYS)
    def test_every_way_needs_every_language_and_the_traps(self, way: str, left_out: str) -> None:
        rows = [one for one in whole() if (one.surface, one.language) != (way, left_out)]
        rows.append(row("bertmodel", left_out))  # the language itself is not missing from the proof
        said = unproved(manifest(), proof(*rows))
        assert said.endswith(f"as {title(way)}, without {left_out}")
        assert f"covers {len(LANGUAGES) - (left_out != TRAPS)} of its {len(LANGUAGES)} languages" in said

    def test_a_folder_without_modules_needs_no_sentence_transformers(self) -> None:
        rows = whole(["automodel"])
        assert "as sentence-transformers" in unproved(manifest(), proof(*rows))
        assert unproved(manifest("config.json", "model.safetensors"), proof(*rows)) == ""

    def test_what_is_allowed_to_differ_does_not_count(self) -> None:
        rows = [
            replace(one, difference=0.1, tolerance=0.2) if (one.surface, one.language) == ("automodel", "ja") else one
            for one in whole()
        ]
        assert proof(*rows).equivalent
        assert "without ja" in unproved(manifest(), proof(*rows))

    def test_no_proof_and_a_failed_one_are_none(self) -> None:
        assert "no verification" in unproved(manifest(), None)
        assert "not the same" in unproved(manifest(), proof(*whole(difference=0.9)))


class TestReading:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "modules.json").write_text("[]")
        return tmp_path

    def listing(self, folder: Path) -> Manifest:
        """Return a manifest of what is there."""
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        return replace(manifest(), files={name: hash_file(folder / name) for name in names})

    def written(self, folder: Path, *rows: Row, **changes: Any) -> Manifest:
        """Write a proof of the folder, some of its data changed; return the manifest."""
        (folder / PROOF).unlink(missing_ok=True)
        listing, made = self.listing(folder), proof(*rows or (row(), row("bertmodel")))
        conditions = {name: replace(one, files=files_read(listing, name)) for name, one in made.conditions.items()}
        content = {**to_json(replace(made, conditions=conditions), CONVERTER), **changes}
        (folder / PROOF).write_text(json.dumps(content))
        return self.listing(folder)

    def test_is_of_these_files(self, folder: Path) -> None:
        found = read_proof(folder, self.written(folder))
        assert found is not None
        assert found.equivalent

    def test_is_none_of_other_files_or_another_source(self, folder: Path) -> None:
        found = self.written(folder)
        (folder / "config.json").write_text("[]")
        assert read_proof(folder, self.listing(folder)) is None
        (folder / "config.json").write_text("{}")
        assert read_proof(folder, found) is not None
        assert read_proof(folder, replace(found, source={"fingerprint": "1" * 64})) is None

    def test_is_none_where_a_file_came_that_its_ways_read(self, folder: Path) -> None:
        self.written(folder)
        (folder / "added_tokens.json").write_text("{}")
        assert read_proof(folder, self.listing(folder)) is None

    def test_stands_where_a_file_came_that_only_another_way_reads(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fast = Surface("fast", "`fast`", "fast()", lambda folder, trusted: None, True, (), "", own=("fast/",))  # type: ignore[arg-type, return-value]
        monkeypatch.setitem(SURFACES, "fast", fast)
        self.written(folder)
        (folder / "fast").mkdir()
        (folder / "fast" / "model.onnx").write_text("1")
        found = read_proof(folder, self.listing(folder))
        assert found is not None
        assert [way.surface for way in found.worth.ways] == ["automodel", "bertmodel"]

        self.written(folder, row(), row("fast"))
        (folder / "fast" / "model.onnx").write_text("2")
        found = read_proof(folder, self.listing(folder))
        assert found is not None
        assert list(found.conditions) == [one.surface for one in found.rows] == ["automodel"]

    def test_what_is_written_again_holds_for_the_files_that_are_there_then(self, converted: Path) -> None:
        listing = read_manifest(converted)
        conditions = {name: Conditions("2.19.0", files=files_read(listing, name)) for name in WAYS}
        made = proof(*whole(), fingerprint=listing.fingerprint, conditions=conditions)
        assert "✅" in about_files(listing, made)[0][CARD].decode()
        replaced = replace(listing, files={**listing.files, "config.json": {"bytes": 1, "sha256": "1" * 64}})
        new, after = about_files(replaced, made)
        assert "**Unverified.**" in new[CARD].decode()
        assert PROOF not in new
        assert PROOF not in after.files

    def test_what_was_changed_is_refused(self, folder: Path) -> None:
        found = self.written(folder)
        (folder / PROOF).write_text((folder / PROOF).read_text().replace("3e-07", "2e-07"))
        with pytest.raises(ExportError, match="changed since the verification"):
            read_proof(folder, found)

    @pytest.mark.parametrize(
        "change",
        [{"difference": None}, {"tolerance": "1"}, {"other_ids": "0"}, {"sentences": True}, {"surface": 3}],
    )
    def test_what_is_of_another_type_is_refused(self, folder: Path, change: dict[str, Any]) -> None:
        rows = [{**to_json(proof(row()), CONVERTER)["rows"][0], **change}]
        with pytest.raises(ExportError, match=r"is damaged: .* is not (a number|a whole number|text)\. Verify"):
            read_proof(folder, self.written(folder, rows=rows))

    @pytest.mark.parametrize("number", [0, FORMAT + 1, "2", None])
    def test_another_format_is_refused(self, folder: Path, number: object) -> None:
        with pytest.raises(ExportError, match="another version of hub2hf wrote it"):
            read_proof(folder, self.written(folder, format=number))

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


class TestWriting:
    def test_it_comes_back_as_it_was(self) -> None:
        failures = [
            Failure("berttokenizerfast", "ja", "\ud83d", 0.1, "ids", "piece 3"),
            Failure("berttokenizerfast", "ug", "", math.inf, "", ""),
        ]
        rows = [
            row(cosine=0.9, neighbours=3),
            row("berttokenizerfast", "ja", difference=0.1, other_ids=2, cosine=math.nan),
        ]
        rows.append(row("berttokenizerfast", "ug", difference=math.inf))
        conditions = {
            "automodel": Conditions(
                "2.21.0", True, "its preprocessor", {"torch": "2"}, {"config.json": "1" * 64}, True
            ),
            "berttokenizerfast": Conditions("2.19.0"),
            "bertmodel": Conditions("2.19.0", refused="it has no such pooler"),
        }
        made = proof(*rows, failures=failures, causes=[Cause("a", "b", ["c"])], conditions=conditions)
        data = to_json(made, CONVERTER)
        text = json.dumps(data, allow_nan=False)
        found = from_json(json.loads(text))
        assert math.isnan(found.rows[1].cosine or 0)
        expected = [rows[0], replace(rows[1], cosine=found.rows[1].cosine), rows[2]]  # NaN is not equal to itself
        assert found == replace(made, rows=expected, picture=None)
        assert json.dumps(to_json(found, CONVERTER), allow_nan=False) == text

    def test_a_program_need_not_count(self) -> None:
        data = to_json(proof(row("bertmodel"), row(difference=math.nan, cosine=0.5)), CONVERTER)
        assert (data["equivalent"], data["languages"], data["sentences"], data["format"]) == (False, 1, 4, FORMAT)
        assert data["summary"].startswith(
            "NOT THE SAME: AutoModel (off by up to NaN, de). EXACT: BertModel (worst 3.0e-07, de)"
        )
        assert [(one["exact"], one["allowed"]) for one in data["rows"]] == [(True, False), (False, False)]
        told = [(way["title"], way["held"], way["same"], way["difference"], way["cosine"]) for way in data["ways"]]
        assert told == [("BertModel", False, True, 3e-7, None), ("AutoModel", True, False, "NaN", 0.5)]

    def test_what_it_says_of_itself_is_not_believed(self) -> None:
        data = to_json(proof(row(difference=0.9)), CONVERTER)
        data["equivalent"] = data["ways"][0]["same"] = data["rows"][0]["exact"] = True
        assert not from_json(data).equivalent


class TestJoining:
    def test_the_first_is_all_there_is(self) -> None:
        new = proof(row())
        assert joined(None, new) is new

    def test_another_way_is_added(self) -> None:
        found = joined(proof(*whole(["automodel"])), proof(*whole(["sentence-transformers"])))
        assert found is not None
        assert unproved(manifest(), found) == ""
        assert list(found.conditions) == list(WAYS)

    def test_ways_stand_in_the_order_of_the_list(self) -> None:
        found = joined(proof(row("bertmodel")), proof(row("sentence-transformers"), row("of a later version"), row()))
        assert found is not None
        assert [one.surface for one in found.rows] == [*WAYS, "bertmodel", "of a later version"]

    def test_what_covers_less_replaces_nothing(self) -> None:
        before = proof(row(), row(language="ja"), row("bertmodel"))
        assert joined(before, proof(row())) is None
        found = joined(before, proof(row(), row("bertmodel", difference=4e-7)))
        assert found is not None
        assert [(one.surface, one.language) for one in found.rows] == [
            ("automodel", "de"),
            ("automodel", "ja"),
            ("bertmodel", "de"),
        ]
        assert found.rows[2].difference == 4e-7

    def test_what_is_known_to_differ_is_replaced_by_what_covers_as_much_only(self) -> None:
        before = proof(row(), row("bertmodel", difference=0.5), row("bertmodel", "ja", difference=0.5))
        assert joined(before, proof(row("bertmodel", difference=0.6))) is None
        assert joined(before, proof(row("bertmodel", difference=0.6), row("bertmodel", "ja"))) is not None

    def test_what_failed_replaces_what_passed_and_the_other_way_round(self) -> None:
        passed, failed = proof(row(), row(language="ja")), proof(row(difference=0.9))
        failed = replace(failed, failures=[Failure("automodel", "de", "x", 0.9, "", "")], causes=[Cause("a", "b")])
        found = joined(passed, failed)
        assert found is not None
        assert (found.equivalent, len(found.rows), len(found.failures), len(found.causes)) == (False, 1, 1, 1)
        again = joined(failed, proof(row()))
        assert again is not None
        assert (again.equivalent, again.failures, again.causes) == (True, [], [])

    def test_each_way_keeps_the_conditions_that_it_was_compared_under(self) -> None:
        later = proof(row("bertmodel"), conditions={"bertmodel": Conditions("2.21.0", recorded=True)})
        found = joined(proof(row()), later)
        assert found is not None
        assert found.witness == "TensorFlow 2.19.0; TensorFlow 2.21.0, recorded"


def read(folder: Path, **changes: Any) -> Manifest:
    """Write a manifest and read it."""
    parts: dict[str, Any] = {"source": {"fingerprint": "0" * 64}, "converter": {}, "identity": {}, "model": None}
    parts["blueprint"] = {"encoder": {}, "text": [], "mapping": [], "vocabulary": {}}
    (folder / MANIFEST).write_text(json.dumps({"version": VERSION, "files": {}, **parts, **changes}))
    return read_manifest(folder)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", ".git/config", "HUB2HF.json", "a//b", "c:x"])
def test_a_manifest_names_files_of_its_folder_only(name: str, tmp_path: Path) -> None:
    entry = {"bytes": 1, "sha256": "0" * 64}
    assert read(tmp_path, files={"1_Pooling/config.json": entry}).files
    with pytest.raises(ExportError, match="not a file inside the folder"):
        read(tmp_path, files={name: entry})


@pytest.mark.parametrize("version", [0, -1, None, str(VERSION), True, 1.0])
def test_a_manifest_of_another_version_is_refused(version: object, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is damaged: it says no format version that there is"):
        read(tmp_path, version=version)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[1,\n2", "it is no JSON, at line 2, column 2"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
        (b"null", "it says no format version that there is"),
        (b'{"version": 2}', "it has no 'blueprint'"),
        (b"[" * 100_000, "maximum recursion depth exceeded"),
    ],
)
def test_a_damaged_manifest_is_told_what_is_wrong_with_it(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(ExportError, match=rf"{MANIFEST} is damaged: {said}.*\. Convert the model again"):
        read_manifest(tmp_path)


def test_a_manifest_of_a_later_version_asks_for_an_upgrade(tmp_path: Path) -> None:
    with pytest.raises(
        ExportError,
        match=rf"the format version {VERSION + 1}, .* up to {VERSION}\. Update hub2hf: git -C .* pull; then ",
    ):
        read(tmp_path, version=VERSION + 1, files="whatever that version has there")


def test_a_manifest_of_an_earlier_version_is_read_and_written_as_of_this_one(tmp_path: Path) -> None:
    found = read(tmp_path, version=1, changed=["b", "a"], repository="me/model")
    assert (found.changed, found.repository) == (("b", "a"), "me/model")
    content = found.to_json()
    assert (content["version"], VERSION) == (2, 2)
    assert Manifest.from_json(content) == found


@pytest.mark.parametrize("entry", [{"bytes": -1, "sha256": "0" * 64}, {"bytes": 1, "sha256": "0"}])
def test_sizes_and_hashes_that_are_none_are_refused(entry: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="the size or hash of 'a' is malformed"):
        read(tmp_path, files={"a": entry})
