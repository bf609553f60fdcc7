"""`hub2hf embed`: the same rows as went in, with the vectors that TensorFlow gives, however a corpus is written down."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from huggingface_hub.errors import HfHubHTTPError
from references import GOLDEN, ROOT

import hub2hf
from hub2hf.corpora import job, places, work
from hub2hf.corpora.encoders import Encoder, batches
from hub2hf.corpora.job import Windows
from hub2hf.corpora.places import form_of, inputs
from hub2hf.corpora.work import Chunk
from hub2hf.corpora.writing import as_json, check_columns, write_rows
from hub2hf.equivalence.recording import Recording
from hub2hf.errors import ExportError, Hub2HFError, SourceError
from hub2hf.onnx.export import write_onnx

RECORDED = Recording.load(GOLDEN)  # by TensorFlow
TEXTS = [sentence.text for sentence in RECORDED.sentences]
TOLERANCE = 2e-6

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(exported: Path) -> Path:
    """Return the embedded model, converted with its ONNX file; not to be changed."""
    return exported


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return the sentences that TensorFlow has embedded, as Parquet with other columns and small row groups."""
    path = tmp_path / "corpus.parquet"
    languages = pa.array([sentence.language for sentence in RECORDED.sentences]).dictionary_encode()
    columns = {"number": range(len(TEXTS)), "text": TEXTS, "language": languages}
    pq.write_table(pa.table(columns), path, row_group_size=70)
    return path


def vectors(table: pa.Table, name: str = "embedding") -> np.ndarray:
    return np.array(table.column(name).to_pylist(), np.float32)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_the_vectors_are_tensorflow_s_in_the_order_of_the_rows(
    folder: Path, corpus: Path, runtime: str, tmp_path: Path
) -> None:
    found = hub2hf.embed(folder, corpus, tmp_path / "out.parquet", runtime=runtime, window=170)
    table = pq.read_table(tmp_path / "out.parquet")
    assert (found.rows, found.failed, found.unreadable) == (len(TEXTS), {}, {})
    assert table.drop_columns(["embedding"]).equals(pq.read_table(corpus))
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), RECORDED.embeddings.shape[1])
    assert np.abs(vectors(table) - RECORDED.embeddings).max() < TOLERANCE
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus.parquet", "out.parquet", "out.parquet.hub2hf.json"]


def test_float16_is_the_nearest(folder: Path, corpus: Path, tmp_path: Path) -> None:
    for dtype in ("float32", "float16"):
        hub2hf.embed(folder, corpus, tmp_path / f"{dtype}.parquet", dtype=dtype)
    whole, half = (pq.read_table(tmp_path / f"{dtype}.parquet") for dtype in ("float32", "float16"))
    assert half.schema.field("embedding").type.value_type == pa.float16()
    assert np.array_equal(vectors(half), vectors(whole).astype(np.float16).astype(np.float32))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_another_precision_says_what_it_costs(
    folder: Path, corpus: Path, run_hub2hf: Run, precision: str, tmp_path: Path
) -> None:
    asked = ("embed", folder, corpus, tmp_path / "out.parquet", "--precision", precision)
    code, printed, said = run_hub2hf(*asked)
    assert code == 0, said
    rough = vectors(pq.read_table(tmp_path / "out.parquet"))
    apart = np.abs(unit(rough) - unit(RECORDED.embeddings))
    assert (1e-4 if precision == "float16" else 1e-3) < apart.max() < 0.05
    told = re.search(r"in (\d+) texts, .* up to (\S+) from float32's, cosine at least (\S+)", printed)
    assert told is not None, printed
    count, largest, cosine = int(told[1]), float(told[2]), float(told[3])
    assert count == min(len(TEXTS), 256)
    assert largest == pytest.approx(apart[:count].max(), rel=0.3)  # round-off depends on the other texts of a batch
    assert cosine == pytest.approx((unit(rough) * unit(RECORDED.embeddings))[:count].sum(axis=1).min(), abs=1e-4)
    code, printed, _ = run_hub2hf(*asked, "--json")
    assert (code, json.loads(printed)["departure"]) == (0, None)  # nothing was left to compute
    code, _, said = run_hub2hf(*asked[:-2], "--runtime", "torch")
    assert code == 2
    assert f"belongs to another run: its precision is {precision}, not float32." in said


def test_vectors_are_as_the_graph_gives_them_not_of_unit_length(folder: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(folder, tmp_path / "own", ignore=shutil.ignore_patterns("onnx")))
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps({**config, "pooler_normalize": False}))
    write_onnx(own)
    (tmp_path / "in.txt").write_text("a dog\nein Hund\n")
    hub2hf.embed(own, tmp_path / "in.txt", tmp_path / "out.parquet")
    lengths = np.linalg.norm(vectors(pq.read_table(tmp_path / "out.parquet")), axis=1)
    assert np.abs(lengths - 1).min() > 1e-3


def mixed(place: Path) -> Path:
    """Write a folder of every form, each with texts that are none, and files that are no part of it."""
    place.mkdir()
    pq.write_table(pa.table({"text": ["eins", None, "zwei"], "tag": ["x", "y", None]}), place / "a.parquet")
    lines = ['{"text": "drei", "n": 1}', "", '{"text": 5, "n": 2.5}', '{"n": 3}', '{"text": "\\ud800"}']
    (place / "b.jsonl").write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    (place / "c.jsonl.gz").write_bytes(gzip.compress(b'{"text": "vier"}\n' * 5))
    (place / "d.txt").write_bytes("fünf\r\n\n\xff\nsechs".encode("latin-1").replace(b"\xfc", "ü".encode()))
    (place / ".hidden.txt").write_text("no")
    (place / "notes.md").write_text("no")
    return place


EXPECTED = ["eins", None, "zwei", "drei", None, None, None, *["vier"] * 5, "fünf", "", None, "sechs"]


@pytest.mark.parametrize("window", [1, 2, 100])
@pytest.mark.parametrize("out", ["out.parquet", "out.jsonl", "out.txt", "folder", "two"])
def test_every_form_in_and_out(folder: Path, out: str, window: int, tmp_path: Path) -> None:
    """What a text gives does not depend on where it stood; what is no text is a row with null, and counted."""
    shards = 2 if out == "two" else None
    found = hub2hf.embed(folder, mixed(tmp_path / "in"), tmp_path / out, window=window, shards=shards)
    assert found.failed == {"null": 2, "not a string": 1, "not valid Unicode": 2}
    assert found.rows == len(EXPECTED)
    alone = hub2hf.surfaces.embed("onnx", folder, [text or "" for text in EXPECTED]).embeddings
    rows = read(tmp_path / out)
    assert [row is None for row in rows] == [text is None for text in EXPECTED]
    apart = [np.abs(np.array(row) - one).max() for row, one in zip(rows, alone, strict=True) if row is not None]
    assert max(apart) < TOLERANCE
    assert len(found.files) == {"folder": 4, "two": 2}.get(out, 1)


def read(path: Path) -> list[Any]:
    """Return the vectors of a corpus, with readers that have nothing to do with ours."""
    if path.suffix == ".jsonl":
        return [json.loads(line)["embedding"] for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".txt":
        return [[*map(float, line.split())] or None for line in path.read_text().splitlines()]
    tables = [pq.read_table(path)] if path.is_file() else [pq.read_table(p) for p in sorted(path.glob("*.parquet"))]
    return [row for table in tables for row in table.column("embedding").to_pylist()]


def test_columns_are_kept_whoever_has_them(folder: Path, tmp_path: Path) -> None:
    hub2hf.embed(folder, mixed(tmp_path / "in"), tmp_path / "out.jsonl", window=2)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["tag"] for row in rows] == ["x", "y"] + [None] * 14
    assert [row["n"] for row in rows] == [None] * 3 + [1, 2.5, 3, None] + [None] * 9
    assert rows[4]["text"] == "5"  # what is no text stays as the JSON that it is


@pytest.mark.parametrize("place", ["in/*.jsonl*", "*/[bc].*", "file"])
def test_globs_and_urls(folder: Path, place: str, tmp_path: Path) -> None:
    mixed(tmp_path / "in")
    source = (tmp_path / "in" / "b.jsonl").as_uri() if place == "file" else f"{tmp_path}/{place}"
    out = (tmp_path / "out.jsonl").as_uri()
    assert hub2hf.embed(folder, source, out).rows == (4 if place == "file" else 9)
    assert len(read(tmp_path / "out.jsonl")) == (4 if place == "file" else 9)


def test_keys_in_a_url_are_not_shown(folder: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("x\n")
    url = "s3://key:secret@bucket/{}?scheme=http&endpoint_override=127.0.0.1%3A1&region=x&connect_timeout=1"
    for asked in ((url.format("in.txt"), tmp_path / "out.txt"), (tmp_path / "in.txt", url.format("out.txt"))):
        code, _, said = run_hub2hf("embed", folder, *asked)
        assert (code, said.count("\n"), "secret" in said) == (2, 1, False), said
        assert "bucket/" in said


def test_an_empty_corpus_is_an_empty_table(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").touch()
    hub2hf.embed(folder, tmp_path / "in.txt", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert (len(table), table.column_names) == (0, ["text", "embedding"])


def test_killed_at_any_moment_the_next_run_ends_with_the_same_bytes() -> None:
    """A handful; `make kill` does 200."""
    command = [sys.executable, ROOT / "scripts" / "kill_embed.py", "--kills", "5", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert re.match(r"5 kills in \d+ runs: the bytes of an undisturbed run", done.stdout), done.stdout + done.stderr


class Stop(Exception):
    pass


def stop_after(rows: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done >= rows:
            raise Stop

    return progress


def test_what_is_done_is_not_done_again(folder: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        hub2hf.embed(folder, corpus, tmp_path / "out.parquet", window=50, progress=stop_after(200))
    said: list[int] = []
    hub2hf.embed(folder, corpus, tmp_path / "out.parquet", window=50, progress=lambda done, total: said.append(done))
    assert said[0] == 200
    assert said[-1] == len(TEXTS)
    assert pq.read_table(tmp_path / "out.parquet").drop_columns(["embedding"]).equals(pq.read_table(corpus))
    said.clear()
    found = hub2hf.embed(
        folder, corpus, tmp_path / "out.parquet", window=50, progress=lambda done, total: said.append(1)
    )
    assert (said, found.rows) == ([], len(TEXTS))


def changed_folder(folder: Path, corpus: Path) -> dict[str, Any]:
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + " ", encoding="utf-8")
    return {}


def changed_input(folder: Path, corpus: Path) -> dict[str, Any]:
    pq.write_table(pq.read_table(corpus), corpus)
    return {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (changed_folder, "the folder has other files"),
        (changed_input, "corpus.parquet was changed since"),
        (lambda folder, corpus: {"dtype": "float16"}, "its dtype is float32, not float16"),
        (lambda folder, corpus: {"runtime": "torch"}, "its runtime is onnx, not torch"),
        (lambda folder, corpus: {"embedding": "vector"}, "its embedding is embedding, not vector"),
    ],
)
def test_another_run_is_not_gone_on_with(
    folder: Path, corpus: Path, change: Callable[[Path, Path], dict[str, Any]], says: str, tmp_path: Path
) -> None:
    own, out = Path(shutil.copytree(folder, tmp_path / "own")), tmp_path / "out.parquet"
    with pytest.raises(Stop):
        hub2hf.embed(own, corpus, out, window=50, progress=stop_after(200))
    options = change(own, corpus)
    with pytest.raises(ExportError, match=re.escape(says)):
        hub2hf.embed(own, corpus, out, **{"window": 50, **options})
    assert not out.exists()


@pytest.mark.parametrize("file", ["onnx/model.onnx", "tokenizer.json"])
def test_nothing_is_kept_of_a_folder_that_changes_meanwhile(
    folder: Path, corpus: Path, file: str, tmp_path: Path
) -> None:
    own, out = Path(shutil.copytree(folder, tmp_path / "own")), tmp_path / "out.parquet"
    before = (own / file).read_bytes()

    def change(done: int, total: int) -> None:
        if done >= 200 and (own / file).stat().st_size == len(before):
            with (own / file).open("ab") as more:  # in its place: what maps it sees it
                more.write(b" ")

    with pytest.raises(SourceError, match=f"{file} was changed while it was read"):
        hub2hf.embed(own, corpus, out, window=50, progress=change)
    assert not out.exists()
    (own / file).write_bytes(before)
    hub2hf.embed(own, corpus, out, window=50)
    hub2hf.embed(folder, corpus, tmp_path / "undisturbed.parquet", window=50)
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "undisturbed.parquet"))


def test_a_proof_added_to_the_folder_is_no_other_folder(folder: Path, corpus: Path, tmp_path: Path) -> None:
    own, out = Path(shutil.copytree(folder, tmp_path / "own")), tmp_path / "out.parquet"
    with pytest.raises(Stop):
        hub2hf.embed(own, corpus, out, window=50, progress=stop_after(200))
    (own / "README.md").write_text("another card")
    assert hub2hf.embed(own, corpus, out, window=50).rows == len(TEXTS)


@pytest.mark.parametrize("out", ["out.parquet", "there", "new"])
def test_a_run_that_came_to_nothing_holds_no_place(out: str, folder: Path, corpus: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    (broken / "tokenizer.json").write_text("{", encoding="utf-8")
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SourceError, match="cannot be loaded"):
        hub2hf.embed(broken, corpus, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before
    assert hub2hf.embed(folder, corpus, tmp_path / out).rows == len(TEXTS)


def test_what_nobody_of_ours_made_is_left_alone(folder: Path, corpus: Path, tmp_path: Path) -> None:
    for name in ("out.parquet", "folder/other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        with pytest.raises(ExportError, match="hub2hf embed did not begin it"):
            hub2hf.embed(folder, corpus, tmp_path / name.split("/", maxsplit=1)[0])
        assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("out", ["vectors.jsonl", "vectors"])
def test_what_was_changed_since_is_not_called_done(out: str, folder: Path, corpus: Path, tmp_path: Path) -> None:
    place = tmp_path / out
    hub2hf.embed(folder, corpus, str(place))
    file = place if place.is_file() else next(place.glob("part-*"))
    with file.open("ab") as more:
        more.write(b"mine")
    with pytest.raises(ExportError, match="was changed since embed wrote it"):
        hub2hf.embed(folder, corpus, str(place))
    assert file.read_bytes().endswith(b"mine")


def test_two_at_once_do_not_mix(folder: Path, corpus: Path, tmp_path: Path) -> None:
    out, entered, leave = tmp_path / "out.parquet", threading.Event(), threading.Event()

    def progress(done: int, total: int) -> None:
        entered.set()
        leave.wait(60)

    first = threading.Thread(target=hub2hf.embed, args=(folder, corpus, out), kwargs={"progress": progress})
    first.start()
    try:
        assert entered.wait(60)
        with pytest.raises(ExportError, match="Another hub2hf embed is writing"):
            hub2hf.embed(folder, corpus, out)
    finally:
        leave.set()
        first.join()
    assert len(pq.read_table(out)) == len(TEXTS)


def test_an_unreadable_file_among_many(folder: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    """It is named, the rest is done, and once it is repaired the same command does the whole."""
    place, out = tmp_path / "in", tmp_path / "out"
    place.mkdir()
    for name in "abc":
        pq.write_table(pa.table({"text": [name] * 300}), place / f"{name}.parquet", compression="none")
    whole = (place / "b.parquet").read_bytes()
    (place / "b.parquet").write_bytes(whole[:20])
    code, printed, said = run_hub2hf("embed", folder, place, out)
    assert code == 2
    assert printed == f"{out}: 600 rows in 2 files\n"
    assert said.count("\n") == 1
    assert str(place / "b.parquet") in said
    assert sorted(p.name for p in out.glob("*.parquet")) == [f"part-0000{i}-of-00003.parquet" for i in (0, 2)]
    (place / "b.parquet").write_bytes(whole)
    code, printed, _ = run_hub2hf("embed", folder, place, out, "--json")
    assert code == 0
    assert (json.loads(printed)["rows"], len(list(out.glob("*.parquet")))) == (900, 3)


def test_one_file_of_many_inputs_waits_for_all_of_them(folder: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    place, out = tmp_path / "in", tmp_path / "out.parquet"
    place.mkdir()
    for name in "ab":
        pq.write_table(pa.table({"text": [name] * 3}), place / f"{name}.parquet")
    whole = (place / "b.parquet").read_bytes()
    (place / "b.parquet").write_bytes(whole[:20])
    code, printed, said = run_hub2hf("embed", folder, place, out)
    assert (code, out.exists(), said.count("\n")) == (2, False, 1)
    assert printed == f"{out}: not there yet, it needs the rows of every file\n"
    assert "The rest is done and kept: repair it and run the same command again." in said
    (place / "b.parquet").write_bytes(whole)
    code, printed, _ = run_hub2hf("embed", folder, place, out)
    assert (code, printed) == (0, f"{out}: 6 rows\n")


def test_a_file_whose_texts_are_all_null_is_one_of_the_corpus(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    for name, texts in (("a", ["x"]), ("b", [None, None]), ("c", ["y"])):
        pq.write_table(pa.table({"text": texts}), place / f"{name}.parquet")
    found = hub2hf.embed(folder, place, tmp_path / "out.parquet")
    assert (found.rows, found.failed) == (4, {"null": 2})
    assert [row is None for row in read(tmp_path / "out.parquet")] == [False, True, True, False]


def test_where_nothing_can_be_read_nothing_is_begun(folder: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.parquet").write_bytes(b"no")
    code, printed, said = run_hub2hf("embed", folder, tmp_path / "in", tmp_path / "out.parquet")
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert f"{tmp_path / 'in' / 'a.parquet'} cannot be read" in said
    assert "; neither can the others. Repair it" in said
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("out", ["out.parquet", "folder"])
def test_a_file_that_cannot_be_read_to_its_end(folder: Path, out: str, tmp_path: Path) -> None:
    """Its beginning tells nothing of it: pages in the middle are damaged."""
    place = tmp_path / "in"
    place.mkdir()
    for name in "ab":
        texts = [f"{name}{i}" for i in range(200)]
        pq.write_table(pa.table({"text": texts}), place / f"{name}.parquet", row_group_size=50, use_dictionary=False)
    path = place / "a.parquet"
    at = pq.read_metadata(path).row_group(2).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[at : at + 40] = b"\xff" * 40
    path.write_bytes(data)
    found = hub2hf.embed(folder, place, tmp_path / out, window=20)
    assert list(found.unreadable) == [str(path)]
    assert len(found.files) == (0 if out == "out.parquet" else 1)
    assert found.rows == (0 if out == "out.parquet" else 200)


@pytest.mark.parametrize(
    ("lines", "options", "says"),
    [
        ('{"a": "x"}', {}, "has no column 'text'; it has a. Name it: --text COLUMN."),
        ('{"text": "x", "a": 1}\n{"text": "x", "a": "b"}', {}, "has a column of mixed types: 'a'"),
        ('{"text": "x", "a": [1]}\n{"text": "x", "a": 3}', {"window": 1}, "has a column of mixed types"),
        ('{"text": "x", "embedding": 1}', {}, "IN already has a column 'embedding'. Give the new one another name"),
        ('{"text": "x"}', {"dtype": "int8"}, "Vectors cannot be stored as 'int8'"),
        ('{"text": "x"}', {"runtime": "tpu"}, "There is no runtime 'tpu'"),
        (
            '{"text": "x"}',
            {"precision": "int8"},
            "There is no precision 'int8'. Choose from: float32, float16, bfloat16.",
        ),
        (
            '{"text": "x"}',
            {"precision": "float16", "runtime": "onnx"},
            "onnx computes on the CPU and in float32 only. Leave out --precision float16, or pass --runtime torch.",
        ),
        ('{"text": "x"}', {"shards": 2}, "cannot be written as 2 files"),
        ('{"text": "x"}', {"engine": "dask"}, "There is no engine 'dask'. Choose from: local, ray."),
        ('{"text": "x"}', {"workers": 2}, "Only Ray has an address and workers"),
        ('{"text": "x"}', {"engine": "ray", "workers": 0}, "0 workers do nothing"),
        pytest.param(
            '{"text": "x"}',
            {"engine": "ray"},
            "Ray is not installed",
            marks=pytest.mark.skipif(find_spec("ray") is not None, reason="make ray runs it there"),
        ),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_written(
    folder: Path, lines: str, options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text(lines)
    with pytest.raises(Hub2HFError, match=re.escape(says)):
        hub2hf.embed(folder, tmp_path / "in.jsonl", tmp_path / "out.jsonl", **options)
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize("name", ["out.csv", "OUT.JSON", "out.jsonl.gz"])
def test_a_form_that_is_not_written_is_no_folder(folder: Path, name: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("x\n")
    with pytest.raises(ExportError, match=r"in a format that embed does not write|asks for compression"):
        hub2hf.embed(folder, tmp_path / "in.txt", tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["in.txt"]


def test_a_line_that_is_no_json_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "x"}\n{"text": \n')
    with pytest.raises(SourceError, match=r"in\.jsonl cannot be read: row 2 is no JSON"):
        hub2hf.embed(folder, tmp_path / "in.jsonl", tmp_path / "out.jsonl")


def test_places_that_are_not_there(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").touch()
    for source, says in (
        ("no.txt", "holds no file"),
        ("in.csv", "in no format that hub2hf reads"),
        ("no*.txt", "holds no file"),
    ):
        with pytest.raises(SourceError, match=says):
            hub2hf.embed(folder, tmp_path / source, tmp_path / "out.jsonl")
    with pytest.raises(SourceError, match="gopher"):
        hub2hf.embed(folder, "gopher://x/y.txt", tmp_path / "out.jsonl")


def test_more_files_than_rows_are_refused_at_once(folder: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"has {len(TEXTS)} rows, fewer than {10**21} files"):
        hub2hf.embed(folder, corpus, tmp_path / "many", shards=10**21)
    assert not (tmp_path / "many").exists()


def test_one_row_is_said_as_one(folder: Path, tmp_path: Path, run_hub2hf: Callable[..., tuple[int, str, str]]) -> None:
    (tmp_path / "in.txt").write_text("one\n")
    out = tmp_path / "out.jsonl"
    assert run_hub2hf("embed", folder, tmp_path / "in.txt", out)[:2] == (0, f"{out}: 1 row\n")


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(folder: Path, corpus: Path, tmp_path: Path) -> None:
    """A limit on the size of files: the windows fit, OUT does not."""
    code = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000)); from hub2hf.cli import main; main()"
    out = tmp_path / "out.parquet"
    command = [
        sys.executable,
        "-B",
        "-c",
        code,
        "embed",
        str(folder),
        str(corpus),
        str(out),
        "--quiet",  # no word of how far it is, where it takes long
    ]  # -B: no cut byte code stays
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "HUB2HF": ""})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "Run the same command again" in done.stderr
    assert not out.exists()
    assert hub2hf.embed(folder, corpus, out).rows == len(TEXTS)


def test_batches_are_of_like_length_and_no_larger_than_told() -> None:
    lengths = [int(n) for n in np.random.default_rng(1).integers(1, 200, 500)]
    found = batches(lengths, 400)
    assert sorted(i for batch in found for i in batch) == list(range(500))
    widest = [max(lengths[i] for i in batch) for batch in found]
    assert widest == sorted(widest)
    assert all(len(batch) * wide <= 400 for batch, wide in zip(found, widest, strict=True))
    padding = sum(len(batch) * wide for batch, wide in zip(found, widest, strict=True)) - sum(lengths)
    assert padding < 0.05 * sum(lengths)


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def numbered(path: Path, count: int = 9) -> Path:
    return lines(path, *[{"text": str(i)} for i in range(count)])


@pytest.mark.parametrize("out", ["o.jsonl", "o"])
def test_what_a_person_puts_at_out_meanwhile_is_not_written_over(folder: Path, out: str, tmp_path: Path) -> None:
    """Between two runs, or while one works; once it is moved away the same command goes on."""
    source, place = numbered(tmp_path / "in.jsonl"), tmp_path / out
    theirs = place if place.suffix else place / "part-00000-of-00001.parquet"

    def put(done: int, total: int) -> None:
        if done == 4:
            theirs.write_text("mine")

    with pytest.raises(ExportError, match=r"exists already, and hub2hf embed did not write it\. Move it away and"):
        hub2hf.embed(folder, source, place, window=2, progress=put)
    with pytest.raises(ExportError, match="exists already"):
        hub2hf.embed(folder, source, place, window=2)
    assert theirs.read_text() == "mine"
    theirs.unlink()
    said: list[int] = []
    assert hub2hf.embed(folder, source, place, window=2, progress=lambda done, total: said.append(done)).rows == 9
    assert said == [9]  # all was kept


def test_nor_what_comes_while_out_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"

    def write(*given: Any) -> None:
        write_rows(*given)
        out.write_text("mine")

    monkeypatch.setattr(work, "write_rows", write)
    with pytest.raises(ExportError, match="exists already"):
        hub2hf.embed(folder, numbered(tmp_path / "in.jsonl"), out)
    assert out.read_text() == "mine"
    out.unlink()
    monkeypatch.undo()
    assert hub2hf.embed(folder, tmp_path / "in.jsonl", out).rows == 9


def test_a_link_to_nothing_is_something(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.symlink_to("elsewhere.jsonl")
    with pytest.raises(ExportError, match="exists already"):
        hub2hf.embed(folder, numbered(tmp_path / "in.jsonl"), out)
    assert out.is_symlink()
    assert not (tmp_path / "elsewhere.jsonl").exists()


@pytest.mark.parametrize(("out", "shards"), [("o.parquet", None), ("o", 3)])
def test_what_was_taken_away_is_made_again(folder: Path, out: str, shards: int | None, tmp_path: Path) -> None:
    source, place = numbered(tmp_path / "in.jsonl"), tmp_path / out
    files = [Path(file) for file in hub2hf.embed(folder, source, place, shards=shards).files]
    before = {file: file.read_bytes() for file in files}
    files[-1].unlink()
    said: list[int] = []
    found = hub2hf.embed(folder, source, place, shards=shards, progress=lambda done, total: said.append(done))
    assert (found.rows, found.files) == (9, tuple(map(str, files)))
    assert {file: file.read_bytes() for file in files} == before
    assert said[0] == (6 if shards else 0)  # the others are as they were
    assert hub2hf.embed(folder, source, place, shards=shards).rows == 9


def test_a_hidden_folder_of_the_same_name_keeps_what_is_in_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "o" / ".hub2hf").mkdir(parents=True)
    (tmp_path / "o" / ".hub2hf" / "x").touch()
    (tmp_path / "o" / ".hub2hf" / "00000-000000000.arrow").write_bytes(b"of nobody knows what")
    assert hub2hf.embed(folder, numbered(tmp_path / "in.jsonl"), tmp_path / "o").rows == 9
    assert [p.name for p in (tmp_path / "o" / ".hub2hf").iterdir()] == ["x"]


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_damaged_window_is_embedded_again(folder: Path, content: bytes, tmp_path: Path) -> None:
    source, out = numbered(tmp_path / "in.jsonl"), tmp_path / "o.parquet"
    with pytest.raises(Stop):
        hub2hf.embed(folder, source, out, window=2, progress=stop_after(4))
    (tmp_path / ".o.parquet.hub2hf" / "00000-000000001.arrow").write_bytes(content)
    if content:
        with pytest.raises(ExportError, match=r"is damaged, and was removed\. Run the same command again"):
            hub2hf.embed(folder, source, out, window=2)
    assert hub2hf.embed(folder, source, out, window=2).rows == 9
    assert pq.read_table(out)["text"].to_pylist() == [str(i) for i in range(9)]


def test_a_window_that_cannot_be_read_now_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, out = numbered(tmp_path / "in.jsonl"), tmp_path / "o.parquet"

    def lost(stream: object) -> None:
        raise OSError(104, "Connection reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr(pa.ipc, "open_file", lost)
        with pytest.raises(ExportError, match=r"Connection reset by peer\. Run the same command again"):
            hub2hf.embed(folder, source, out, window=2)
    kept = sorted(p.name for p in (tmp_path / ".o.parquet.hub2hf").glob("*.arrow"))
    assert kept == [f"00000-{i:09}.arrow" for i in range(5)]
    assert hub2hf.embed(folder, source, out, window=2).rows == 9


def test_a_run_that_ends_while_another_begins_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, out = numbered(tmp_path / "in.jsonl"), tmp_path / "o.parquet"
    with pytest.raises(Stop):
        hub2hf.embed(folder, source, out, window=2, progress=stop_after(4))
    is_new = work.Work._is_new

    def meanwhile(self: work.Work) -> bool:
        monkeypatch.setattr(work.Work, "_is_new", is_new)
        hub2hf.embed(folder, source, out, window=2)
        return is_new(self)

    monkeypatch.setattr(work.Work, "_is_new", meanwhile)
    for _ in range(2):
        assert hub2hf.embed(folder, source, out, window=2).rows == 9
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "o.parquet", "o.parquet.hub2hf.json"]


def test_one_file_of_many_is_open_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for i in range(5):
        numbered(tmp_path / "in" / f"{i}.jsonl", 3)
    open_now: list[int] = []
    most = 0

    class Counted(job.Reader):
        def __init__(self, *arguments: Any) -> None:
            nonlocal most
            super().__init__(*arguments)
            open_now.append(1)
            most = max(most, len(open_now))

        def close(self) -> None:
            super().close()
            open_now.pop()

    monkeypatch.setattr(job, "Reader", Counted)
    assert hub2hf.embed(folder, tmp_path / "in", tmp_path / "o", window=2).rows == 15
    assert (most, open_now) == (1, [])


def test_a_part_does_not_list_all_of_in(folder: Path, tmp_path: Path) -> None:
    for i in range(2):
        numbered(tmp_path / "in" / f"{i}.jsonl", 3)
    hub2hf.embed(folder, tmp_path / "in", tmp_path / "o")
    for part in (tmp_path / "o").glob("*.parquet"):
        told = json.loads(pq.read_schema(part).metadata[places.MADE_OF])
        assert (told["runtime"], "inputs" in told) == ("onnx", False)


def test_a_file_that_was_damaged_in_the_middle_is_repaired(folder: Path, tmp_path: Path) -> None:
    place, out = tmp_path / "in", tmp_path / "o.parquet"
    place.mkdir()
    for name in "ab":
        texts = [f"{name}{i}" for i in range(200)]
        pq.write_table(pa.table({"text": texts}), place / f"{name}.parquet", row_group_size=50, use_dictionary=False)
    path = place / "a.parquet"
    whole, at = path.read_bytes(), pq.read_metadata(path).row_group(2).column(0).data_page_offset
    path.write_bytes(whole[:at] + b"\xff" * 40 + whole[at + 40 :])
    assert hub2hf.embed(folder, place, out, window=20).files == ()
    assert hub2hf.embed(folder, place, out, window=20).files == ()  # as often as one likes
    pq.write_table(pa.table({"text": [f"c{i}" for i in range(200)]}), path)  # nothing of what was read before is left
    assert hub2hf.embed(folder, place, out, window=20).rows == 400
    assert pq.read_table(out)["text"].to_pylist() == [f"{name}{i}" for name in "cb" for i in range(200)]
    alone = hub2hf.surfaces.embed("onnx", folder, ["c0"]).embeddings
    assert np.abs(vectors(pq.read_table(out))[0] - alone).max() < TOLERANCE


def test_a_repaired_file_with_other_columns_is_another_run(folder: Path, tmp_path: Path) -> None:
    place, out = tmp_path / "in", tmp_path / "o.jsonl"
    lines(place / "a.jsonl", {"text": "a"})
    (place / "b.jsonl").write_text("no\n")
    assert hub2hf.embed(folder, place, out).files == ()
    lines(place / "b.jsonl", {"text": "b", "id": 1})
    with pytest.raises(ExportError, match="its schema is text: string, not text: string, id: int64"):
        hub2hf.embed(folder, place, out)
    lines(place / "b.jsonl", {"text": "b"})
    assert hub2hf.embed(folder, place, out).rows == 2


def test_with_a_number_of_files_a_repaired_file_has_as_many_rows(folder: Path, tmp_path: Path) -> None:
    place, out = tmp_path / "in", tmp_path / "o"
    numbered(place / "a.jsonl", 4)
    grown = numbered(place / "b.jsonl", 4)

    def grow(done: int, total: int) -> None:
        if done == 2:
            numbered(grown, 6)

    assert len(hub2hf.embed(folder, place, out, shards=2, window=2, progress=grow).files) == 1
    with pytest.raises(ExportError, match=re.escape("b.jsonl has 6 rows, not 4, and so each file of OUT has others")):
        hub2hf.embed(folder, place, out, shards=2, window=2)
    numbered(grown, 4)
    assert hub2hf.embed(folder, place, out, shards=2, window=2).rows == 8


def test_every_name_of_compression(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.TXT.GZ").write_bytes(gzip.compress(b"eins\nzwei\n"))
    with pa.CompressedOutputStream(str(tmp_path / "in" / "b.jsonl.ZST"), "zstd") as stream:
        stream.write(b'{"text": "drei"}\n')
    hub2hf.embed(folder, tmp_path / "in", tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["text"].to_pylist() == ["eins", "zwei", "drei"]
    for name in ("o.parquet.zst", "o.jsonl.gz", "o.gz"):
        with pytest.raises(ExportError, match="asks for compression"):
            hub2hf.embed(folder, tmp_path / "in", tmp_path / name)


def found(place: Path) -> list[str]:
    return [Path(given.path).name for given in inputs(str(place))]


def test_the_last_file_is_made_when_the_folder_has_left_the_memory(
    folder: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded: list[weakref.ref[Encoder]] = []
    there = []
    load, finish = job.load, work.Work.finish

    def noted(*given: Any) -> Encoder:
        encoder = load(*given)
        loaded.append(weakref.ref(encoder))
        return encoder

    def looked(*given: Any) -> None:
        there.append([each() is not None for each in loaded])
        finish(*given)

    monkeypatch.setattr(job, "load", noted)
    monkeypatch.setattr(work.Work, "finish", looked)
    hub2hf.embed(folder, corpus, tmp_path / "out", shards=3, window=50)
    assert there == [[True], [True], [False]]


GLIBC = """
import ctypes
from hub2hf.commands.embed import _give_memory_back
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks rest1 rest2 rest3 rest4 rest5 rest6".split()]
library = ctypes.CDLL(None)
library.mallinfo2.restype = Info
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
_give_memory_back()
library.free(library.malloc(8 << 20))  # from here on glibc would keep blocks of up to this size
before = library.mallinfo2().hblks
library.malloc(1 << 20)
print(library.mallinfo2().hblks - before)
"""


def test_large_blocks_are_given_back_by_the_c_library() -> None:
    told = subprocess.run([sys.executable, "-c", GLIBC], check=True, capture_output=True, text=True).stdout
    assert told == "1\n"  # mapped by itself, and so unmapped once it is free


def test_which_files_are_of_a_corpus(folder: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    place = tmp_path / "in"
    for name in ("top", "x/a", "x/y/b", ".hidden", ".hid/c", "x/.hid/d"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        numbered(place / f"{name}.jsonl", 1)
    assert found(place / "*.jsonl") == ["top.jsonl"]
    assert found(place / ".*.jsonl") == [".hidden.jsonl"]
    assert found(place / "*" / "*.jsonl") == ["a.jsonl"]
    assert found(place / "**" / "*.jsonl") == found(place) == ["top.jsonl", "a.jsonl", "b.jsonl"]
    assert found(place / "**") == found(place)
    (place / "x" / "loop").symlink_to(place)
    (place / "x" / "y" / "again").symlink_to("../y")
    assert found(place) == found(place / "**" / "*") == ["top.jsonl", "a.jsonl", "b.jsonl"]
    (place / "gone.jsonl").symlink_to("nowhere.jsonl")
    for source in (place, f"{place}/*.jsonl"):
        code, _, said = run_hub2hf("embed", folder, source, tmp_path / "o")
        assert (code, said.count("\n")) == (2, 1), said
        assert f"{place / 'gone.jsonl'} cannot be read" in said
        shutil.rmtree(tmp_path / "o")


def test_out_is_no_part_of_in(folder: Path, tmp_path: Path) -> None:
    for name in "ab":
        numbered(tmp_path / "in" / f"{name}.jsonl", 4)
    with pytest.raises(Stop):
        hub2hf.embed(folder, tmp_path / "in", tmp_path / "in" / "o", window=2, progress=stop_after(6))
    for _ in range(2):
        assert hub2hf.embed(folder, tmp_path / "in", tmp_path / "in" / "o", window=2).rows == 8
    for _ in range(2):
        assert hub2hf.embed(folder, f"{tmp_path}/in/*.jsonl", tmp_path / "in" / "all.jsonl").rows == 8
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "in" / "all.jsonl").unlink()
    for source in ("in/[ab]*", "link/*.jsonl"):
        for _ in range(2):
            out = tmp_path / "in" / f"b{len(source)}.jsonl"
            assert hub2hf.embed(folder, f"{tmp_path}/{source}", out).rows == 8
        out.unlink()
    for out in ("in", "in/a.jsonl"):
        with pytest.raises(ExportError, match="is where IN itself is"):
            hub2hf.embed(folder, tmp_path / "in" / "a.jsonl", tmp_path / out)


def test_columns_that_folders_are_named_after(folder: Path, tmp_path: Path) -> None:
    """As Spark and Hive write them."""
    for name, text in (("lang=de", "eins"), ("lang=a%20b", "zwei"), ("lang=__HIVE_DEFAULT_PARTITION__", "drei")):
        (tmp_path / "in" / name).mkdir(parents=True)
        pq.write_table(pa.table({"text": [text]}), tmp_path / "in" / name / "part.parquet")
    numbered(tmp_path / "in" / "x.jsonl", 1)
    for out in ("o.parquet", "o.jsonl"):
        assert hub2hf.embed(folder, tmp_path / "in", tmp_path / out).rows == 4
    table = pq.read_table(tmp_path / "o.parquet")
    told = dict(zip(table["text"].to_pylist(), table["lang"].to_pylist(), strict=True))
    assert told == {"eins": "de", "zwei": "a b", "drei": None, "0": None}
    rows = map(json.loads, (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines())
    assert {row["text"]: row["lang"] for row in rows} == told


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_folder_tells_values_of_the_type_of_the_column(form: str, tmp_path: Path) -> None:
    """A file of no rows decides nothing; what cannot be of that type is one line that names the folder."""
    for name, row in (("2020", {"text": "a", "year": 2020}), ("2021", {"text": "b"}), ("none", None)):
        place = tmp_path / "in" / f"year={name}" / f"a.{form}"
        place.parent.mkdir(parents=True)
        if form == "jsonl":
            lines(place, *([row] if row else []))
        else:
            pq.write_table(
                pa.Table.from_pylist([row] if row else [], None if row else pa.schema({"text": "str"})), place
            )
    windows, bad = Windows.found(str(tmp_path / "in"), "text", 8)
    assert (windows.schema, bad) == (pa.schema({"text": pa.string(), "year": pa.int64()}), {})
    taken = [made for _, made in windows.taken([Chunk(n, 0) for n in range(3)], lambda texts: ())]
    assert [made if isinstance(made, str) else made.window.table["year"].to_pylist() for made in taken] == [
        *([2020], [2021], [])
    ]
    (tmp_path / "in" / "year=2021").rename(tmp_path / "in" / "year=new")
    with pytest.raises(
        SourceError, match=r"is in a folder 'year=new', but the column 'year' of other files holds int64\."
    ):
        Windows.found(str(tmp_path / "in"), "text", 8)


def test_a_folder_tells_no_texts(exported: Path, run_hub2hf: Run, tmp_path: Path) -> None:
    place = tmp_path / "in"
    (place / "text=hello").mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}), place / "text=hello" / "a.parquet")
    for asked in (
        ("embed", exported, place, tmp_path / "o.parquet"),
        ("verify", exported, "--golden", place),
        ("mine", place, place, tmp_path / "pairs.jsonl"),
    ):
        code, _, said = run_hub2hf(*asked)
        assert (code, said.count("\n")) == (2, 1), said
        assert "a.parquet has no column 'text'; it has x. Name it: --" in said


def test_a_file_of_no_rows_is_one(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    for name, texts in (("a", ["x"]), ("b", []), ("c", ["y"])):
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), place / f"{name}.parquet")
    found = hub2hf.embed(folder, place, tmp_path / "o")
    assert (found.rows, dict(found.unreadable), len(found.files)) == (2, {}, 3)
    hub2hf.embed(folder, place / "b.parquet", tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet").column_names == ["text", "embedding"]
    assert hub2hf.verify_vectors(tmp_path / "o", folder).total.rows == 2
    assert hub2hf.mine(tmp_path / "o", tmp_path / "o", tmp_path / "pairs.jsonl", threshold=0).rows == (2, 2)


def test_dictionaries_of_row_groups(folder: Path, tmp_path: Path) -> None:
    columns = [pa.array(names).dictionary_encode() for names in (["x", "y"], ["z", "w"])]
    with pq.ParquetWriter(tmp_path / "in.parquet", pa.schema({"text": pa.string(), "c": columns[0].type})) as writer:
        for column in columns:
            writer.write_table(pa.table({"text": ["a", "b"], "c": column}))
    hub2hf.embed(folder, tmp_path / "in.parquet", tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["c"].to_pylist() == ["x", "y", "z", "w"]


def test_dictionaries_that_are_too_small_for_a_window(folder: Path, tmp_path: Path) -> None:
    kind = pa.dictionary(pa.int8(), pa.string())
    with pq.ParquetWriter(tmp_path / "in.parquet", pa.schema({"text": pa.string(), "c": kind})) as writer:
        for start in (0, 100):
            names = [str(i) for i in range(start, start + 100)]
            writer.write_table(pa.table({"text": names, "c": pa.array(names).cast(kind)}))
    with pytest.raises(
        ExportError, match=r"dictionaries cannot be combined.* Store plain values in the columns of IN\."
    ):
        hub2hf.embed(folder, tmp_path / "in.parquet", tmp_path / "o.parquet")


def broken(*values: bytes) -> pa.Array:
    """Return strings of bytes that may be none."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


def test_what_json_has_no_word_for(folder: Path, tmp_path: Path) -> None:
    at = 1234567891
    columns: dict[str, Any] = {
        "text": broken(b"ok", b"\xff"),
        "time": pa.array([at, None], pa.timestamp("ns")),
        "within": pa.array([{"t": [at]}] * 2, pa.struct({"t": pa.list_(pa.time64("ns"))})),
        "far": pa.array([3_000_000, 0], pa.date32()),
        "took": pa.array([at, 1], pa.duration("ns")),
        "price": pa.array([Decimal("1.5"), None], pa.decimal128(5, 2)),
        "views": pa.array([[1], None], pa.list_view(pa.int64())),
        "number": [float("nan"), 1.5],
        "numbers": [[float("-inf"), 2.5], []],
        "kind": pa.array(["x", "y"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    found = hub2hf.embed(folder, tmp_path / "in.parquet", tmp_path / "o.jsonl")
    assert found.failed == {"not valid Unicode": 1}
    told = (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in told]
    assert rows[1].pop("embedding") is None
    assert len(rows[0].pop("embedding")) == RECORDED.embeddings.shape[1]
    within = {"t": ["00:00:01.234567891"]}
    assert rows == [
        {
            "text": "ok",
            "time": "1970-01-01 00:00:01.234567891",
            "within": within,
            "far": "10183-09-21",
            "took": at,
            "price": "1.50",
            "views": [1],
            "number": None,
            "numbers": [None, 2.5],
            "kind": "x",
        },
        {
            "text": "\\xff",
            "time": None,
            "within": within,
            "far": "1970-01-01",
            "took": 1,
            "price": None,
            "views": None,
            "number": 1.5,
            "numbers": [],
            "kind": "y",
        },
    ]


def test_a_column_that_is_not_unicode_is_named(folder: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "o": broken(b"ok", b"\xff")}), tmp_path / "in.parquet")
    found = hub2hf.embed(folder, tmp_path / "in.parquet", tmp_path / "o.jsonl")
    assert list(found.unreadable.values()) == ["the column 'o' holds text that is not valid Unicode"]


SECONDS, DAYS = pa.array([2**40], pa.timestamp("s")), pa.array([-(2**30)], pa.date32())


@pytest.mark.parametrize(
    "column",
    [
        SECONDS,
        DAYS,
        SECONDS.cast(pa.timestamp("ms", "Asia/Tokyo")),
        pa.array([86_400], pa.time32("s")),
        DAYS.dictionary_encode(),
        pa.StructArray.from_arrays([pa.FixedSizeListArray.from_arrays(DAYS, 1)], ["d"]),
        pa.MapArray.from_arrays([0, 1], ["k"], SECONDS),
    ],
    ids=lambda column: str(column.type),
)
def test_a_date_that_has_no_name_is_named(column: pa.Array) -> None:
    with pytest.raises(ValueError, match="the column 'd' holds a date or time outside of the years"):
        as_json(pa.table({"text": ["a"], "d": column}), "text")
    nothing = pa.table({"text": ["a"], "d": column}).slice(1)  # what is not of the window
    assert len(as_json(nothing, "text")) == 0


@pytest.mark.parametrize(
    ("kind", "out", "says"),
    [
        (pa.struct({"a": pa.struct({"b": pa.binary()})}), "jsonl", "JSON has no bytes. Write Parquet, or leave"),
        (pa.list_(pa.large_binary()), "jsonl", "JSON has no bytes"),
        (pa.dictionary(pa.int32(), pa.binary()), "jsonl", "JSON has no bytes"),
        (pa.map_(pa.string(), pa.binary(2)), "jsonl", "JSON has no bytes"),
        (pa.timestamp("us", tz="Mars/Olympus"), "jsonl", "timezone 'Mars/Olympus'"),
        (pa.list_view(pa.timestamp("ns")), "jsonl", "JSON has no list_view<item: timestamp[ns]>. Write Parquet, or"),
        (pa.large_list_view(pa.decimal128(5)), "jsonl", "JSON has no large_list_view<item: decimal128(5, 0)>"),
        (pa.run_end_encoded(pa.int32(), pa.date32()), "jsonl", "JSON has no run_end_encoded<"),
        (pa.opaque(pa.binary(), "kind", "vendor"), "jsonl", "JSON has no bytes"),
        (pa.list_(pa.struct([])), "parquet", "Write JSON lines, or leave the column out of IN."),
    ],
)
def test_a_column_that_cannot_be_written(kind: Any, out: str, says: str) -> None:
    form = form_of(f"o.{out}")
    assert form is not None
    with pytest.raises(SourceError, match=re.escape(says)):
        check_columns(pa.schema({"text": pa.string(), "x": kind}), "embedding", form)


@pytest.mark.parametrize("out", ["o.parquet", "o.jsonl"])
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('"x": ' + "[" * 200 + "]" * 200, "The column 'x' is nested 201 deep, and 50 is the most. Leave it out of IN."),
        ('"x": ' + "[" * 200_000 + "]" * 200_000, "row 1 is no JSON: maximum recursion depth exceeded"),
        ('"x": "\\ud800"', "the column 'x' holds text that is not valid Unicode. Mend the text"),
        (f'"x": {2**63}', "the column 'x' holds a whole number outside of -2**63"),
    ],
)
def test_lines_that_no_column_can_hold(folder: Path, line: str, says: str, out: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(f'{{"text": "a", {line}}}\n', encoding="utf-8")
    with pytest.raises(SourceError, match=re.escape(says)):
        hub2hf.embed(folder, tmp_path / "in.jsonl", tmp_path / out)


@pytest.mark.parametrize("name", ["text", "d"])
def test_two_columns_of_one_name(folder: Path, name: str, tmp_path: Path) -> None:
    columns = [pa.array(["a"])] * 3
    pq.write_table(pa.Table.from_arrays(columns, names=["text", name, "d"]), tmp_path / "in.parquet")
    with pytest.raises(SourceError, match=f"has two columns '{name}'. Give each"):
        hub2hf.embed(folder, tmp_path / "in.parquet", tmp_path / "o.parquet")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window": 0}, "window is 0. Pass 1 or more."),
        ({"window": "2"}, "window is of the type str, and no whole number."),
        ({"shards": 1.5}, "shards is of the type float"),
        ({"shards": -1}, "shards is -1."),
        ({"embedding": None}, "embedding is of the type NoneType, and no text."),
        ({"text": 5}, "text is of the type int"),
        ({"device": None}, "device is of the type NoneType"),
        ({"engine": "ray", "workers": "2"}, "workers is of the type str, and no whole number."),
        ({"engine": "ray", "address": 6379}, "address is of the type int, and no text."),
        ({"engine": None}, "engine is of the type NoneType, and no text."),
    ],
)
def test_arguments_of_another_type(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SourceError, match=re.escape(says)):
        hub2hf.embed("nowhere", "nowhere", "nowhere", **options)


def test_a_file_system_that_tells_no_times(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/embed/a.jsonl", b'{"text": "a"}\n')
    files = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(memory))
    assert files.get_file_info("/embed/a.jsonl").mtime_ns is None
    known = places.located
    monkeypatch.setattr(places, "located", lambda place: (files, place[9:]) if "memory" in place else known(place))
    found = hub2hf.embed(folder, "memory:///embed/a.jsonl", tmp_path / "o.parquet")
    assert (found.rows, found.unreadable) == (1, {})


def test_a_hub_that_cannot_be_reached(
    folder: Path, run_hub2hf: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its client raises what is no OSError."""
    base = HfHubHTTPError.__mro__[1]

    def lost(place: str) -> Any:
        raise base("no route")

    monkeypatch.setattr(places, "_infos", lambda files, path: lost(path))
    code, _, said = run_hub2hf("embed", folder, numbered(tmp_path / "in.jsonl").as_uri(), tmp_path / "o.parquet")
    assert (code, said.count("\n")) == (2, 1)
    assert "cannot be read: no route. Check the URL and the network." in said


def test_only_what_stands_before_the_host_is_a_secret() -> None:
    for url, shown in (
        ("file:///a/sub@x/o.jsonl", "file:///a/sub@x/o.jsonl"),
        ("s3://key:sec/ret@bucket/o?region=x", "s3://bucket/o"),
        ("s3://bucket/sub@x/o", "s3://bucket/sub@x/o"),
        ("hdfs://host:8020/sub@x", "hdfs://host:8020/sub@x"),
        ("no@url", "no@url"),
    ):
        assert places.shown(url) == shown
