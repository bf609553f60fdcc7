"""How a candidate is held against a recording, sentence by sentence, with a candidate that is no model."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub2hf.equivalence.recording import EMBEDDING, Recording, join
from hub2hf.equivalence.sentences import Sentence, chosen_sentences, chunked, read_sentences
from hub2hf.equivalence.tolerances import Tolerance, Tolerances, load_tolerances
from hub2hf.equivalence.verify import EXAMINED, Verification, Witness, other_neighbours, verify
from hub2hf.errors import SourceError
from hub2hf.proof import EXACT, Row
from hub2hf.surfaces import SURFACES

TEXTS = ("one", "two", "three", "four")
IDS = [[101, 7, 102], [101, 8, 102], [101, 9, 102], [101, 9, 9, 102]]


@dataclass(frozen=True)
class Embedded:
    ids: list[list[int]]
    embeddings: np.ndarray


@dataclass
class Candidate:
    """Gives what it is told to give, for the empty text what it gives for the first."""

    vectors: np.ndarray
    ids: list[list[int]]
    surfaces: Sequence[str] = ("automodel",)
    folder: Path = Path("folder")
    held: Sequence[str] = ("automodel",)
    ours: bool = True
    fails: Sequence[str] = ()
    limits: None = None  # of a folder that is not exact
    languages: Sequence[str] = ()  # of a slim one

    def answered(self, recording: Recording) -> Recording:
        return recording

    def embed(self, surface: str, texts: Sequence[str]) -> Embedded:
        if surface in self.fails:
            raise SourceError(f"It cannot be run as {surface}.", "Leave it out.")
        at = [TEXTS.index(text or TEXTS[0]) for text in texts]
        return Embedded([self.ids[i] for i in at], self.vectors[at])

    @property
    def versions(self) -> dict[str, dict[str, str]]:
        return {name: {} for name in self.surfaces}


def turned(*angles: float) -> np.ndarray:
    """Unit vectors in the plane."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


ANGLES = (0.0, 0.5, 1.0, 1.5)


def recording(languages: Sequence[str] = ("de",) * 4) -> Recording:
    sentences = [Sentence(*pair) for pair in zip(languages, TEXTS, strict=True)]
    return Recording("2.19.0", "0" * 64, 128, sentences, IDS, {EMBEDDING: 3.0 * turned(*ANGLES)})


def rows(vectors: np.ndarray, ids: list[list[int]] = IDS, **given: Any) -> list[Row]:
    found = Verification(Candidate(vectors, ids), tolerances())  # type: ignore[arg-type]
    found.add(recording(**given))
    return found.rows()


def tolerances(most: float = 1e-6) -> Tolerances:
    return Tolerances({"automodel": Tolerance(most, most, "a test")}, {})


def test_the_same_is_the_same() -> None:
    (row,) = rows(turned(*ANGLES))
    assert (row.sentences, row.other_ids, row.passed) == (4, 0, True)
    assert row.difference < 1e-12
    assert row.similarity < 1e-12


def test_similarity_is_that_of_pairs_of_sentences() -> None:
    """All turned alike differ from what is expected, and no two of them are less alike than they were."""
    (row,) = rows(turned(*(angle + 0.3 for angle in ANGLES)))
    assert row.difference > 0.2
    assert row.similarity < 1e-12
    (row,) = rows(turned(0.0, 0.5, 1.0, 1.7))
    assert row.similarity == pytest.approx(max(abs(np.cos(1.7 - a) - np.cos(1.5 - a)) for a in ANGLES[:3]))


def test_ids_of_the_same_number_may_be_other_ids() -> None:
    (row,) = rows(turned(*ANGLES), [IDS[0], [101, 9, 102], IDS[2], IDS[2]])
    assert row.other_ids == 2


def test_the_worst_sentence_is_the_one_that_differs_most() -> None:
    (row,) = rows(turned(0.01, 0.5, 1.1, 1.52))
    assert row.worst == "three"
    assert row.difference == pytest.approx(np.abs(turned(1.1) - turned(1.0)).max())
    (row,) = rows(turned(0.01, 0.5, 1.02, 1.7))
    assert row.worst == "four"


def test_what_is_no_number_is_worst_of_all_and_passes_nowhere() -> None:
    (row,) = rows(turned(0.01, np.nan, 1.5, 1.5))
    assert np.isnan(row.difference)
    assert row.worst == "two"
    assert not row.passed


def test_the_empty_text_may_be_the_worst() -> None:
    """It is among the traps, and no reason to name another."""
    found = Verification(Candidate(turned(0.3, 0.5, 1.01, 1.5), IDS), tolerances())  # type: ignore[arg-type]
    found.add(replace(recording(), sentences=[Sentence("de", text) for text in ("", *TEXTS[1:])]))
    (row,) = found.rows()
    assert (row.worst, row.difference > 0.2) == ("", True)


def test_languages_are_told_apart() -> None:
    german, japanese = rows(turned(0.0, 0.5, 1.0, 1.6), languages=("de", "de", "ja", "ja"))
    assert [(row.language, row.sentences, row.passed) for row in (german, japanese)] == [
        ("de", 2, True),
        ("ja", 2, False),
    ]


def test_the_worst_failures_are_examined() -> None:
    found = Verification(Candidate(turned(0.1, 0.5, 1.3, 1.7), IDS), tolerances())  # type: ignore[arg-type]
    for _ in range(EXAMINED):
        found.add(recording())
    examined = [part.sentences[0].text for _, part in found.total.examined["automodel"].worst]
    assert (len(examined), set(examined)) == (EXAMINED, {"three"})


def test_chunks_that_others_compared_add_up_to_the_same() -> None:
    """Each by a verification of its own, and sent from process to process; a way that cannot be run drops out of all."""
    rng = np.random.default_rng(2)
    candidate = Candidate(turned(0.1, 0.5, 1.3, 1.7), IDS, ("automodel", "onnx-runtime"), fails=["onnx-runtime"])
    whole, merged = (Verification(candidate, tolerances()) for _ in range(2))  # type: ignore[arg-type]
    alone_by: dict[str, list[tuple[float, float, str]]] = {}
    for n in range(40):
        languages = [str(name) for name in rng.choice(["de", "ja", "sw"], 4)]
        angles = rng.normal(size=4) if n != 7 else np.array([0.0, np.nan, 1.0, 1.5])
        part = replace(recording(languages), stages={EMBEDDING: turned(*angles)})
        whole.add(part)
        there, here = turned(0.1, 0.5, 1.3, 1.7), turned(*angles)
        for at, (language, text) in enumerate(part.sentences):
            entry = (np.abs(there[at] - here[at]).max(), (there[at] * here[at]).sum(), text)
            alone_by.setdefault(language, []).append(entry)
        alone = Verification(candidate, tolerances())  # type: ignore[arg-type]
        merged.merge(pickle.loads(pickle.dumps(alone.hold(part, draw=n == 0))))
    assert repr(merged.rows()) == repr(whole.rows())  # NaN is not itself
    for row in merged.rows():  # and to what NumPy makes of all sentences at once
        differences, cosines, texts = (np.array(each) for each in zip(*alone_by[row.language], strict=True))
        assert (row.sentences, row.other_ids) == (len(texts), 0)
        assert row.worst == texts[differences.argmax()]  # NaN, where there is one, is the largest to NumPy
        assert row.difference == pytest.approx(differences.max(), rel=1e-5, nan_ok=True)
        assert row.cosine == pytest.approx(cosines.min(), rel=1e-5, nan_ok=True)
    assert {row.language for row in whole.rows()} == {"de", "ja", "sw"}
    for one, other in zip(
        merged.total.examined["automodel"].worst, whole.total.examined["automodel"].worst, strict=True
    ):
        assert repr(one[0]) == repr(other[0])
        assert one[1].sentences == other[1].sentences
    assert [part.sentences for part in merged.total.drawn] == [part.sentences for part in whole.total.drawn]
    assert str(merged.total.refused["onnx-runtime"]) == str(whole.total.refused["onnx-runtime"])
    assert vars(merged.total.compared) == vars(whole.total.compared)


def test_another_size_is_no_port() -> None:
    with pytest.raises(SourceError, match="3 numbers, the SavedModel of 2"):
        rows(np.eye(4, 3))


def test_progress_counts_every_sentence_and_nothing_is_no_proof() -> None:
    told: list[int] = []
    candidate = Candidate(turned(*ANGLES), IDS)
    witness = Witness(recording().chunks(3))
    report = verify(witness, candidate, tolerances(), named="x", progress=told.append)  # type: ignore[arg-type]
    assert (told, report.equivalent, report.witness) == ([3, 1], True, "TensorFlow 2.19.0, recorded")
    with pytest.raises(SourceError, match="no sentences to compare"):
        verify(Witness([]), candidate, tolerances(), named="x")  # type: ignore[arg-type]


def test_a_recording_is_read_in_some_languages() -> None:
    parts = list(Witness.recorded(recording(("de", "ja", "de", "th")), ["de", "th"]).recordings)
    assert [sentence.text for part in parts for sentence in part.sentences] == ["one", "three", "four"]
    assert [row for part in parts for row in part.ids] == [IDS[0], IDS[2], IDS[3]]


def test_parts_of_a_recording_are_joined_in_their_order() -> None:
    whole = recording()
    again = join(list(whole.chunks(3)))
    assert (again.sentences, again.ids) == (whole.sentences, whole.ids)
    assert np.array_equal(again.embeddings, whole.embeddings)


def test_a_recording_comes_back_and_a_changed_one_does_not(tmp_path: Path) -> None:
    made = replace(recording(), ids_from="its preprocessor")
    made.save(tmp_path / "a")
    found = Recording.load(tmp_path / "a")
    assert (found.ids, found.sentences, found.ids_from) == (made.ids, made.sentences, made.ids_from)
    data = bytearray((tmp_path / "a").read_bytes())
    data[-1] ^= 1
    (tmp_path / "b").write_bytes(data)
    with pytest.raises(SourceError, match="damaged"):
        Recording.load(tmp_path / "b")


def test_tolerances_have_exceptions_by_language(tmp_path: Path) -> None:
    text = '[surface.automodel]\ntolerance = 1e-6\nmeasured = 1e-7\nreason = "r"\n'
    path = tmp_path / "t.toml"
    path.write_text(f'{text}[surface.automodel.ja]\ntolerance = 0.1\nmeasured = 0.05\nreason = "s"\n')
    found = load_tolerances(path)
    assert [found.of("automodel", language).tolerance for language in ("de", "ja")] == [1e-6, 0.1]
    assert found.of("bertmodel", "de") == Tolerance(EXACT, None, SURFACES["bertmodel"].differs)
    path.write_text(text.replace("tolerance = 1e-6", "tolerance = 0.7"))
    with pytest.raises(
        SourceError, match=r"automodel a difference of 0\.7 in every language, .* too much to call equal"
    ):
        load_tolerances(path)
    for wrong in ("0", "-1e-6", "nan"):
        path.write_text(text.replace("tolerance = 1e-6", f"tolerance = {wrong}"))
        with pytest.raises(SourceError, match="not positive"):
            load_tolerances(path)


def test_a_tolerance_of_no_way_of_loading_is_refused(tmp_path: Path) -> None:
    text = '[surface.automodel]\ntolerance = 1e-6\nmeasured = 1e-7\nreason = "r"\n'
    (tmp_path / "t.toml").write_text(text + text.replace("automodel", "flax"))
    with pytest.raises(SourceError, match=r"t\.toml has a tolerance for flax, .* Choose from: automodel, "):
        load_tolerances(tmp_path / "t.toml")


def test_a_way_without_a_tolerance_is_measured(tmp_path: Path) -> None:
    """It is exact or not as any; in a folder of ours the report says why it may not be."""
    for ours, reason in ((True, SURFACES["bertmodel"].differs), (False, "")):
        candidate = Candidate(turned(0.0, 0.5, 1.0, 1.6), IDS, ("automodel", "bertmodel"), ours=ours)
        found = Verification(candidate, tolerances())  # type: ignore[arg-type]
        found.add(recording())
        (row,) = [one for one in found.rows() if one.surface == "bertmodel"]
        assert (row.tolerance, row.reason, row.exact) == (EXACT, reason, False)
        assert set(found.total.examined) == ({"automodel"} if ours else {"automodel", "bertmodel"})


def test_a_way_that_cannot_be_run_drops_out_alone() -> None:
    candidate = Candidate(turned(*ANGLES), IDS, ("automodel", "bertmodel"), fails=["bertmodel"])
    report = verify(Witness(recording().chunks(3)), candidate, tolerances(), named="x")  # type: ignore[arg-type]
    assert [row.surface for row in report.rows] == ["automodel"]
    assert [way.refused for way in report.worth.ways] == ["", "It cannot be run as bertmodel."]
    assert report.equivalent
    candidate = replace(candidate, held=["bertmodel"])
    assert not verify(Witness(recording().chunks(3)), candidate, tolerances(), named="x").equivalent  # type: ignore[arg-type]
    candidate = replace(candidate, fails=["automodel", "bertmodel"])
    with pytest.raises(SourceError, match="cannot be run as automodel"):
        verify(Witness(recording().chunks(3)), candidate, tolerances(), named="x")  # type: ignore[arg-type]


def test_the_smallest_cosine_and_other_neighbours_are_felt() -> None:
    (row,) = rows(turned(*ANGLES))
    assert (row.neighbours, row.cosine) == (0, pytest.approx(1.0))
    (row,) = rows(turned(0.0, 0.5, 1.0, 0.6))
    assert row.cosine == pytest.approx(np.cos(0.9))
    assert row.neighbours == 2  # of "two", which "three" was as near to as "one", and of "four" itself
    (row,) = rows(turned(0.0, 0.5, np.nan, 1.5))
    assert np.isnan(row.cosine or 0)


def test_what_is_as_near_is_no_other_neighbour() -> None:
    """Equal texts have equal embeddings: which of them is nearer is round-off."""
    expected = turned(0.0, 0.0, 0.0, 1.0)
    found = turned(0.0, 1e-7, 2e-7, 1.0)
    assert other_neighbours(expected, found).tolist() == [False] * 4
    assert other_neighbours(expected, turned(0.0, 0.0, 0.9, 1.0)).tolist() == [False, False, True, False]
    assert other_neighbours(expected[:2], found[2:]).tolist() == [False] * 2


def test_sentences_of_a_file_are_told_from_languages(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(b"de\tHund\tKatze\r\n\nno tab\nja\t\n")
    assert list(read_sentences(path)) == [("de", "Hund\tKatze"), ("und", "no tab"), ("ja", "")]
    assert [text for _, text in chosen_sentences(["de"], path)] == ["Hund\tKatze"]
    with pytest.raises(SourceError, match="no sentences in zu"):
        list(chosen_sentences(["de", "zu"], path))
    path.write_bytes(b"a\n\nb\n\xff\n")
    with pytest.raises(SourceError, match="line 4 is not UTF-8"):
        list(read_sentences(path))


def test_chunks_are_full_and_nothing_is_lost() -> None:
    sentences = [Sentence("de", str(number)) for number in range(7)]
    assert [len(chunk) for chunk in chunked(sentences, 3)] == [3, 3, 1]
    assert [one for chunk in chunked(sentences, 3) for one in chunk] == sentences
