"""`hub2hf mine`: translations are found as the definition of the margin finds them, and every row is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hub2hf
from hub2hf.errors import ExportError, Hub2HFError, SourceError
from hub2hf.retrieval import mine as room

PAIRS, STRANGERS, HIDDEN = 200, 120, 48
Run = Callable[..., tuple[int, str, str]]


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def sides(seed: int, noise: float = 0.7, lean: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors of two sides: PAIRS translations and, after them, as many strangers on each side.

    All lean to one direction, as those of real encoders do, some more than others: these are like everything.
    """
    rng = np.random.default_rng(seed)
    meant = rng.standard_normal((PAIRS, HIDDEN))
    both = [meant + noise * rng.standard_normal(meant.shape) for _ in range(2)]
    whole = [np.concatenate([one, rng.standard_normal((STRANGERS, HIDDEN))]) for one in both]
    return tuple(unit(one + lean * rng.random((len(one), 1))) for one in whole)  # type: ignore[return-value]


def written(path: Path, vectors: Any, texts: list[str | None] | None = None, **metadata: str) -> Path:
    """Write rows as `embed` does, the vectors as lists of float32."""
    rows = [None if vector is None else [float(number) for number in vector] for vector in vectors]
    texts = [f"{path.stem} {i}" for i in range(len(rows))] if texts is None else texts
    table = pa.table(
        {"text": pa.array(texts, pa.string()), "embedding": pa.array(rows, pa.list_(pa.float32()))},
        metadata={"hub2hf": json.dumps(metadata)} if metadata else None,
    )
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), encoding="utf-8")
    return path


def found_in(out: Path) -> list[dict[str, Any]]:
    if out.suffix == ".parquet":
        return list(pq.read_table(out).to_pylist())
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def expected(one: np.ndarray, other: np.ndarray, by: str, least: float, neighbours: int = 4) -> list[tuple[int, int]]:
    """Return what the definition gives, in plain loops of float64: each text once, the best pairs first."""
    cosine = one @ other.T
    there, back = np.argsort(-cosine, axis=1)[:, :neighbours], np.argsort(-cosine.T, axis=1)[:, :neighbours]
    mean_there = [np.mean([cosine[i, j] for j in there[i]]) for i in range(len(one))]
    mean_back = [np.mean([cosine[i, j] for i in back[j]]) for j in range(len(other))]

    def score(i: int, j: int) -> float:
        return float(cosine[i, j] if by == "cosine" else cosine[i, j] / ((mean_there[i] + mean_back[j]) / 2))

    pairs = {(i, max(there[i].tolist(), key=lambda j: score(i, j))) for i in range(len(one))}
    pairs |= {(max(back[j].tolist(), key=lambda i: score(i, j)), j) for j in range(len(other))}
    kept: list[tuple[int, int]] = []
    for pair in sorted(pairs, key=lambda pair: -score(*pair)):
        if score(*pair) >= least and all(pair[0] != i and pair[1] != j for i, j in kept):
            kept.append(pair)
    return kept


def f1(pairs: list[tuple[int, int]]) -> float:
    right = sum(i == j < PAIRS for i, j in pairs)
    return 2 * right / (len(pairs) + PAIRS)


@pytest.mark.parametrize("by", ["margin", "cosine"])
@pytest.mark.parametrize("form", [".parquet", ".jsonl"])
def test_pairs_are_those_of_the_definition(tmp_path: Path, by: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WINDOW", 64)  # several windows, and blocks of queries
    one, other = sides(1)
    a, b = (written(tmp_path / f"{name}{form}", rows) for name, rows in (("a", one), ("b", other)))
    least = {"margin": 1.05, "cosine": 0.6}[by]
    made = hub2hf.mine(str(a), str(b), str(tmp_path / f"out{form}"), by=by, threshold=least)
    rows = found_in(tmp_path / f"out{form}")
    pairs = [(row["row_a"], row["row_b"]) for row in rows]
    assert set(pairs) == set(expected(one, other, by, least)) and len(pairs) == made.pairs > 100
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert all((row["text_a"], row["text_b"]) == (f"a {row['row_a']}", f"b {row['row_b']}") for row in rows)
    cosines = [float(one[i] @ other[j]) for i, j in pairs]
    assert np.abs(np.array([row["cosine"] for row in rows]) - cosines).max() < 1e-6
    assert (made.rows, made.left_out, made.unreadable) == ((len(one), len(other)), {}, {})


def test_translations_are_found_among_strangers_better_than_by_cosine(tmp_path: Path) -> None:
    found = {}
    for by, thresholds in (("margin", np.arange(1.0, 1.3, 0.02)), ("cosine", np.arange(0.4, 0.95, 0.02))):
        best = 0.0
        one, other = sides(2, noise=0.5, lean=1.5)
        a, b = written(tmp_path / "a.parquet", one), written(tmp_path / "b.parquet", other)
        out = tmp_path / f"{by}.parquet"
        hub2hf.mine(str(a), str(b), str(out), by=by)
        for threshold in thresholds:
            pairs = [(row["row_a"], row["row_b"]) for row in found_in(out) if row["score"] >= threshold]
            best = max(best, f1(pairs))
        found[by] = best
    assert found["margin"] > 0.9 > found["cosine"]


def test_one_corpus_gives_the_texts_that_are_alike(tmp_path: Path) -> None:
    one, _ = sides(3)
    one[7] = one[100] = one[200]  # there three times
    one[5] = unit(one[[5]] + 1e-4)[0]
    one[6] = one[5]
    path = str(written(tmp_path / "a.parquet", one))
    (tmp_path / "b.parquet").symlink_to("a.parquet")
    made = hub2hf.mine(path, f"{tmp_path}/./b.parquet", str(tmp_path / "out.jsonl"), by="cosine", threshold=0.99999)
    pairs = {(row["row_a"], row["row_b"]) for row in found_in(tmp_path / "out.jsonl")}
    cosine = one @ one.T
    alike = {(i, j) for i, j in combinations(range(len(one)), 2) if cosine[i, j] >= 0.99999}
    assert pairs == alike == {(5, 6), (7, 100), (7, 200), (100, 200)}
    assert made.pairs == 4


def test_more_copies_than_neighbours_are_no_pair_of_a_row_with_itself(tmp_path: Path) -> None:
    rows = np.repeat(unit(np.random.default_rng(4).standard_normal((3, 8))), [9, 1, 1], axis=0)
    path = str(written(tmp_path / "a.parquet", rows))
    hub2hf.mine(path, path, str(tmp_path / "out.parquet"), by="cosine", threshold=0.999, neighbours=2)
    pairs = [(row["row_a"], row["row_b"]) for row in found_in(tmp_path / "out.parquet")]
    assert pairs and all(i < j < 9 for i, j in pairs) and len(set(pairs)) == len(pairs)
    assert {i for pair in pairs for i in pair} == {*range(9)}


def test_a_mean_that_is_not_positive_makes_no_margin(tmp_path: Path) -> None:
    a = str(written(tmp_path / "a.parquet", [[1.0, 0.0], [1.0, 0.01]]))
    b = str(written(tmp_path / "b.parquet", [[-1.0, 0.0], [-1.0, 0.01]]))
    assert hub2hf.mine(a, b, str(tmp_path / "out.parquet")).pairs == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_rows_that_cannot_be_in_a_pair_are_counted(tmp_path: Path) -> None:
    one, other = (list(rows[:60]) for rows in sides(5))
    texts: list[str | None] = [f"a {i}" for i in range(60)]
    one[0], one[4], one[5], one[6] = None, one[4][:5], one[5] * np.nan, one[6] * 0
    texts[8], texts[9] = None, " "
    a, b = written(tmp_path / "a.parquet", one, texts), written(tmp_path / "b.parquet", other)
    told: list[tuple[int, int]] = []
    made = hub2hf.mine(
        str(a), str(b), str(tmp_path / "o.parquet"), threshold=-9.0, progress=lambda *each: told.append(each)
    )
    assert made.left_out == {"no vector": 1, "wrong width": 1, "NaN or infinite": 1, "zero": 1, "no text": 2}
    rows = {row["row_a"]: row["text_a"] for row in found_in(tmp_path / "o.parquet")}
    assert rows and not rows.keys() & {0, 4, 5, 6, 8, 9} and all(text == f"a {row}" for row, text in rows.items())
    assert told[-1] == (240, 240) and told == sorted(told)


def test_the_width_is_that_of_most_vectors(tmp_path: Path) -> None:
    one, other = (list(rows[:20]) for rows in sides(9))
    one[0] = one[0][:7]
    a, b = written(tmp_path / "a.jsonl", one), written(tmp_path / "b.parquet", other)
    assert hub2hf.mine(str(a), str(b), str(tmp_path / "out.jsonl")).left_out == {"wrong width": 1}


def test_the_width_is_not_that_of_a_small_first_file(tmp_path: Path) -> None:
    one, other = sides(10)
    (tmp_path / "a").mkdir()
    written(tmp_path / "a" / "1.parquet", [[1.0] * 4, [2.0] * 4])
    a, b = written(tmp_path / "a" / "2.parquet", one), written(tmp_path / "b.parquet", other)
    told: list[tuple[int, int]] = []
    made = hub2hf.mine(a.parent, b, tmp_path / "out.jsonl", progress=lambda *each: told.append(each))
    whole = hub2hf.mine(a, b, tmp_path / "whole.jsonl")
    assert (made.pairs, made.left_out) == (whole.pairs, {"wrong width": 2})
    assert {row["row_a"] for row in found_in(tmp_path / "out.jsonl")} == {
        row["row_a"] + 2 for row in found_in(tmp_path / "whole.jsonl")
    }
    rows = 2 * (len(one) + len(other) + 2)
    assert told[-1] == (rows, rows) and told == sorted(told)


def test_vectors_of_embed_are_mined_and_two_models_are_not(converted: Path, tmp_path: Path) -> None:
    texts = ["Der Hund schläft.", "犬が寝ている。", "the dog", "Katze", "ein Haus am See", "Я читаю книгу"]
    for name, lines in (("a", texts), ("b", [*texts[::-1], "quite another one"])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in lines), "utf-8")
        hub2hf.embed(converted, tmp_path / f"{name}.jsonl", tmp_path / f"{name}.parquet", runtime="torch")
    out = tmp_path / "out.jsonl"
    hub2hf.mine(f"{tmp_path}/a.parquet", f"{tmp_path}/b.parquet", str(out), by="cosine", threshold=0.999)
    assert {(row["text_a"], row["text_b"]) for row in found_in(out)} == {(text, text) for text in texts}
    hidden = len(pq.read_table(tmp_path / "a.parquet")["embedding"][0])
    other = written(tmp_path / "c.parquet", np.eye(3, hidden), savedmodel="of another")
    with pytest.raises(SourceError, match=r"c\.parquet are of two models"):
        hub2hf.mine(f"{tmp_path}/a.parquet", str(other), str(tmp_path / "x.parquet"))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"out": "there.parquet"}, ExportError, "there.parquet exists already. Name another OUT"),
        (
            {"out": "out.csv"},
            ExportError,
            "out.csv is no name of a file that can be written. Name a file that ends in .parq",
        ),
        ({"out": "out.jsonl.gz"}, ExportError, "is no name of a file that can be written"),
        ({"out": "absent/out.parquet"}, ExportError, "absent/out.parquet cannot be written: "),
        ({"one": "absent.parquet"}, SourceError, "absent.parquet holds no file of a corpus"),
        ({"text": "words"}, SourceError, "has no column 'words'"),
        ({"embedding": "vector"}, SourceError, "a.parquet has no column 'vector'; it has text, embedding."),
        ({"embedding": "text"}, SourceError, "a.parquet: the column 'text' holds string, not lists of signed nu"),
        ({"by": "luck"}, SourceError, "Nothing scores pairs by 'luck'. Choose from: margin, cosine."),
        ({"neighbours": 0}, SourceError, "0 neighbours tell nothing."),
        ({"neighbours": "4"}, SourceError, "neighbours is of the type str, and no whole number."),
        ({"neighbours": 2.5}, SourceError, "neighbours is of the type float, and no whole number."),
        ({"threshold": "1"}, SourceError, "threshold is of the type str, and no number."),
        ({"other": "[ab].parquet"}, SourceError, "a.parquet is in A and in B. Name two corpora that share no file"),
        ({"threshold": float("nan")}, SourceError, "nan is no least score."),
        ({"other": "narrow.parquet"}, SourceError, "The vectors of A and B have 48 and 3 numbers. Embed both with one"),
        ({"other": "none.parquet"}, SourceError, "none.parquet: no row has a text and a vector. Check the columns."),
        ({"other": "broken.parquet"}, SourceError, "broken.parquet cannot be read: "),
        ({"one": "single.parquet", "other": "single.parquet"}, SourceError, "One text has no other to be like."),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, options: dict[str, Any], error: type[Hub2HFError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = sides(6)
    for name, rows in {
        "a": one,
        "b": other,
        "narrow": np.eye(3),
        "none": [None, None],
        "single": one[:1],
        "there": one[:1],
    }.items():
        written(tmp_path / f"{name}.parquet", rows)
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "broken.parquet").write_bytes(
        whole[:4] + bytes(999) + whole[1003:]
    )  # which is seen when its rows are read
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    given = {"one": "a.parquet", "other": "b.parquet", "out": "out.parquet", **options}
    with pytest.raises(error) as caught:
        hub2hf.mine(given.pop("one"), given.pop("other"), given.pop("out"), **given)
    assert said in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    one, other = sides(7)
    a, b = written(tmp_path / "a.parquet", one), written(tmp_path / "b.parquet", other)
    out = tmp_path / "out.parquet"
    with pytest.raises(ExportError, match="exists already"):
        hub2hf.mine(str(a), str(b), str(out), progress=lambda *_: out.write_text("somebody's"))  # type: ignore[arg-type]
    assert out.read_text() == "somebody's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet", "out.parquet"]


def test_without_faiss_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(SourceError, match=r"faiss, .* is not installed\. Install it: .*mine"):
        hub2hf.mine("a.parquet", "b.parquet", str(tmp_path / "out.parquet"))


def test_the_verb_answers_and_names_what_it_could_not_read(run_hub2hf: Run, tmp_path: Path) -> None:
    one, other = sides(8)
    (tmp_path / "a").mkdir()
    written(tmp_path / "a/1.parquet", one[:100])
    (tmp_path / "a/2.parquet").write_bytes(b"PAR1 and then nothing")
    written(tmp_path / "a/3.parquet", one[100:])
    written(tmp_path / "b.jsonl", other)
    code, out, error = run_hub2hf(
        "mine", f"{tmp_path}/a", f"{tmp_path}/b.jsonl", f"{tmp_path}/out.parquet", "--threshold", "1.05", "--json"
    )
    told = json.loads(out)
    assert (
        code == 2
        and f"{tmp_path}/a/2.parquet cannot be read" in error
        and [*told["unreadable"]] == [f"{tmp_path}/a/2.parquet"]
    )
    assert "The rest is done: repair it and run the same command again, with another OUT." in error
    assert told["pairs"] == len(expected(one, other, "margin", 1.05)) == pq.read_table(told["out"]).num_rows
    (tmp_path / "a/2.parquet").unlink()
    code, out, error = run_hub2hf("mine", f"{tmp_path}/a", f"{tmp_path}/b.jsonl", f"{tmp_path}/o.jsonl", "-q")
    assert (code, error) == (0, "") and int(out) == len(found_in(tmp_path / "o.jsonl"))
