"""`verify --sentences corpus.parquet`: the report of a corpus is that of its sentences; a sample says how far it reaches."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hub2hf
from hub2hf.corpora.sentences import Corpus, Sample, bound
from hub2hf.equivalence.sentences import Sentence, language_sentences, read_sentences
from hub2hf.errors import SourceError
from hub2hf.proof import UNKNOWN

SENTENCES = [s for s in language_sentences() if s.language in ("de", "ja", "sw")]


def write(path: Path, sentences: list[Sentence]) -> Path:
    columns = {"lang": [s.language for s in sentences], "sentence": [s.text for s in sentences]}
    pq.write_table(pa.table(columns), path, row_group_size=5)
    return path


def test_the_report_is_that_of_the_same_sentences_in_a_file_of_lines(converted: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.tsv"
    lines.write_text("".join(f"{language}\t{text}\n" for language, text in SENTENCES), encoding="utf-8")
    corpus = write(tmp_path / "corpus.parquet", SENTENCES)
    said: list[tuple[int, int | None]] = []
    ways = ["sentence-transformers"]
    one = hub2hf.verify("lealla-mini", converted, sentences=lines, surfaces=ways)
    other = hub2hf.verify(
        "lealla-mini",
        converted,
        sentences=corpus,
        text="sentence",
        sample=len(SENTENCES),  # all of them
        surfaces=ways,
        progress=lambda *seen: said.append(seen),
    )
    assert replace(one, seconds=0, note="") == replace(other, seconds=0, note="")
    assert other.note.startswith(f"{len(SENTENCES)} of {len(SENTENCES)} sentences were drawn, by seed 0.")
    assert {row.language for row in other.rows} == {"de", "ja", "sw"}
    assert said[-1] == (len(SENTENCES), len(SENTENCES))


def test_rows_without_a_text_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(
        '{"text": "a", "language": "de"}\n{"text": null}\n{"text": 3}\n{"text": "b"}\n'
    )
    assert list(Corpus(str(tmp_path / "corpus.jsonl"))) == [Sentence("de", "a"), Sentence(UNKNOWN, "b")]


def test_a_file_of_lines_is_the_same_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    path = tmp_path / "lines" / "a.txt"
    path.write_bytes("\ufeffde\tHund\r\n\nno tab\nja\t犬\n".encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    said = list(read_sentences(path))
    assert said == [Sentence("de", "Hund"), Sentence(UNKNOWN, "no tab"), Sentence("ja", "犬")]
    for place in (path.parent, path.parent / "*.txt", tmp_path / "a.txt.gz"):
        corpus = Corpus.of(place)
        assert corpus is not None and list(corpus) == said
    assert Corpus.of(path) is None
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(SourceError, match=r"a\.txt holds lines that are not UTF-8"):
        list(Corpus(str(path.parent)))


def test_a_folder_says_the_language_of_lines_that_say_none(tmp_path: Path) -> None:
    place = tmp_path / "in" / "lang=fr"
    place.mkdir(parents=True)
    (place / "a.txt").write_text("bonjour\n\nde\tHund\n")
    (place / "b.jsonl").write_text('{"text": "salut"}\n')
    corpus = Corpus.of(tmp_path / "in")
    assert corpus is not None
    assert list(corpus) == [Sentence("fr", "bonjour"), Sentence("de", "Hund"), Sentence("fr", "salut")]


@pytest.mark.parametrize(
    ("languages", "said"),
    [
        (pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers()), "holds what is not UTF-8"),
        (pa.array([["de"]]), "holds list<element: string>"),
        (pa.array([b"de"]), Sentence("de", "a")),
        (pa.array([7]), Sentence("7", "a")),
        (pa.array([""]), Sentence(UNKNOWN, "a")),
        (pa.array(["de"]).dictionary_encode(), Sentence("de", "a")),
    ],
    ids=["not UTF-8", "lists", "bytes", "numbers", "blank", "dictionary"],
)
def test_languages_of_any_type_are_names_or_named(tmp_path: Path, languages: pa.Array, said: Any) -> None:
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"text": ["a"], "language": languages}), path)
    if isinstance(said, Sentence):
        assert list(Corpus(str(path))) == [said]
    else:
        with pytest.raises(
            SourceError, match=rf"corpus\.parquet: the column 'language' {said}, not names of languages"
        ):
            list(Corpus(str(path)))


def test_a_shard_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", SENTENCES)
    (tmp_path / "b.parquet").write_bytes(b"no")
    with pytest.raises(SourceError, match=r"b\.parquet cannot be read"):
        list(Corpus(str(tmp_path), "sentence"))


@pytest.mark.parametrize("sample", [(), ("--sample", 5)])
def test_an_unreadable_file_is_named_and_the_rest_compared(
    converted: Path, run_hub2hf: Callable[..., tuple[int, str, str]], sample: tuple[Any, ...], tmp_path: Path
) -> None:
    """A sample is of all, or of nothing."""
    place = tmp_path / "corpus"
    place.mkdir()
    write(place / "a.parquet", SENTENCES[:4])
    (place / "b.parquet").write_bytes(b"no")
    write(place / "c.parquet", SENTENCES[4:])
    code, printed, said = run_hub2hf(
        *(
            "verify",
            "lealla-mini",
            converted,
            "--surfaces",
            "sentence-transformers",
            "--sentences",
            place,
            "--text",
            "sentence",
            "--json",
        ),
        *sample,
        *(() if sample else ("--report", tmp_path / "report")),
    )
    found = json.loads(printed)
    assert code == 2
    assert (said.count("\n"), said.count("cannot be read")) == (
        1 if sample else 3,
        1,
    )  # where the report is, too, and that it was not added
    assert f"{place / 'b.parquet'} cannot be read" in said
    if sample:
        assert "Repair it, or leave it out." in said
    else:
        assert "The rest was compared: repair it and run the same command again, with --force." in said
        assert list(found["unreadable"]) == [str(place / "b.parquet")]
        assert sum(row["sentences"] for row in found["rows"]) == len(SENTENCES)
        for report in ("report.md", "report.html"):
            told = (tmp_path / "report" / report).read_text(encoding="utf-8")
            assert "Files that could not be read, and are not compared" in told
            assert "b.parquet" in told
        assert "NOT MEASURED: files of the corpus. EXACT: sentence-transformers" in found["summary"]


def test_ray_is_for_whole_corpora(converted: Path, tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus.parquet", SENTENCES)
    for asked in ({}, {"sentences": corpus, "sample": 3}):
        with pytest.raises(SourceError, match="Ray is for whole corpora"):
            hub2hf.verify("lealla-mini", converted, engine="ray", **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sentences": 5}, "sentences is of the type int, and no path."),
        ({"golden": 5}, "golden is of the type int, and no path."),
        ({"tolerances": 5}, "tolerances is of the type int, and no path."),
        ({"surfaces": [None]}, "A name is of the type NoneType."),
    ],
)
def test_what_python_cannot_ask_for(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        hub2hf.verify("lealla-mini", "folder", **asked)


def many(**sizes: int) -> list[Sentence]:
    return [Sentence(language, f"{language} {n}") for language, size in sizes.items() for n in range(size)]


def test_a_sample_is_drawn_evenly_and_by_its_seed() -> None:
    sentences = many(de=1000, ja=300, sw=4)
    sample = Sample(lambda: sentences, 104, 7)
    drawn = list(sample)
    assert Counter(s.language for s in drawn) == {"de": 50, "ja": 50, "sw": 4}
    assert drawn == list(sample) == list(Sample(lambda: sentences, 104, 7)) != list(Sample(lambda: sentences, 104, 8))
    assert drawn == [s for s in sentences if s in set(drawn)]  # in order, none twice
    spread = Counter(s.text for seed in range(200) for s in Sample(lambda: sentences, 104, seed) if s.language == "ja")
    assert len(spread) == 300  # each has its chance: it is missed with (5/6)^200
    with pytest.raises(SourceError, match="proves nothing"):
        Sample(lambda: sentences, 0, 0)
    for size, seed, said in (("3", 0, "sample is of the type str"), (3, None, "seed is of the type NoneType")):
        with pytest.raises(SourceError, match=f"{said}, and no whole number"):
            Sample(lambda: sentences, size, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("drawn", [1, 10, 300])
def test_the_bound_of_one_language_is_the_rule_of_three(drawn: int) -> None:
    assert bound({"de": 10**6}, {"de": drawn}) == pytest.approx(1 - 0.05 ** (1 / drawn), rel=1e-9)
    assert bound({"de": drawn}, {"de": drawn}) == 0


@pytest.mark.parametrize(
    ("counts", "drawn"), [({"a": 900, "b": 100}, {"a": 20, "b": 20}), ({"a": 50, "b": 500}, {"a": 10, "b": 40})]
)
def test_the_bound_is_the_largest_mean_that_such_a_sample_allows(counts: dict[str, int], drawn: dict[str, int]) -> None:
    """By brute force over both shares."""
    shares = np.linspace(0, 1, 2001)
    one, other = np.meshgrid(shares, shares)
    allowed = (1 - one) ** drawn["a"] * (1 - other) ** drawn["b"] >= 0.05
    means = (counts["a"] * one + counts["b"] * other) / sum(counts.values())
    assert bound(counts, drawn) == pytest.approx(means[allowed].max(), abs=1e-3)


def test_the_bound_holds_where_sentences_differ() -> None:
    """Of corpora in which more differ than the bound of the sample says, at most one in twenty gives a clean sample."""
    rng = np.random.default_rng(3)
    drawn, counts = {"a": 30, "b": 30}, {"a": 3000, "b": 1000}
    most = bound(counts, drawn)
    for share_a, share_b in product((0.0, 0.03, 0.08, most * 4 / 3), (0.0, 0.1, 0.3)):
        if (share_a * 3 + share_b) / 4 > most:
            clean = (rng.binomial(30, share_a, 20_000) == 0) & (rng.binomial(30, share_b, 20_000) == 0)
            assert clean.mean() <= 0.055


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.jsonl"
        with path.open("w") as file:
            for n in range(rows):
                file.write(json.dumps({"text": f"sentence {n}", "language": "de"}) + "\n")
        tracemalloc.start()
        assert sum(1 for _ in Corpus(str(path))) == rows
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)  # what is imported for the first corpus counts for none
    assert peak(40_000) < 1.2 * peak(10_000)
