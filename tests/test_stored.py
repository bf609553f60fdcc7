"""`verify --golden` of stored vectors: each thing that could have been done to them is planted, and named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shared
from references import GOLDEN
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

import hub2hf
from hub2hf.corpora.golden import AGAIN, KEEP, NEAR, OTHER, StoredReport
from hub2hf.corpora.stored import Tally
from hub2hf.equivalence.recording import Recording
from hub2hf.errors import ExportError, Hub2HFError, SourceError

RECORDED = Recording.load(GOLDEN)  # by TensorFlow
TEXTS = [sentence.text for sentence in RECORDED.sentences]
LANGUAGES = [sentence.language for sentence in RECORDED.sentences]
VECTORS = RECORDED.embeddings
HIDDEN = VECTORS.shape[1]
UNEXPLAINED = "another module, or another text"

Hold = Callable[..., StoredReport]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embedded model, converted with its ONNX file; not to be changed."""
    return (
        shared.made_once(
            tmp_path_factory, "exported", lambda to: hub2hf.convert("lealla-mini", to / "lealla-mini", onnx=True)
        )
        / "lealla-mini"
    )


def store(path: Path, vectors: Any, texts: Sequence[str | None] = TEXTS) -> Path:
    """Write an index; an array as a fixed-size list of its type."""
    if isinstance(vectors, np.ndarray):
        flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    languages = [*LANGUAGES[: len(texts)], *["de"] * (len(texts) - len(LANGUAGES))]
    columns = {"sentence": texts, "lang": languages, "vector": vectors}
    pq.write_table(pa.table(columns), path, row_group_size=90)
    return path


@pytest.fixture
def hold(folder: Path, tmp_path: Path) -> Hold:
    """Return a function from vectors, and texts, to what comes of them."""

    def held(vectors: Any, texts: Sequence[str | None] = TEXTS, **options: Any) -> StoredReport:
        path = store(tmp_path / "index.parquet", vectors, texts)
        return hub2hf.verify_vectors(path, folder, text="sentence", embedding="vector", **options)

    return held


def planted(folder: Path, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Return what the model makes of ids, one text at a time."""
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    made = []
    for row in rows:
        ids = np.array([row], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        made.append(session.run(["sentence_embedding"], given)[0][0])
    return np.array(made, np.float32)


def int8(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(vectors / np.abs(vectors).max(axis=1, keepdims=True) * 127).astype(np.int8))


@pytest.mark.parametrize(
    ("change", "form"),
    [
        (lambda v: v, "float32"),
        (lambda v: v.astype(np.float64), "float32"),
        (lambda v: v * np.linspace(0.1, 30, len(v), dtype=np.float32)[:, None], "float32"),
        (lambda v: v * np.logspace(-300, 300, len(v))[:, None], "float32"),
        (lambda v: v.astype(np.float16), "float16"),
        (lambda v: v.astype(np.float16).astype(np.float32), "float16"),
        (lambda v: (v * 0.003).astype(np.float16), "float16"),
        (lambda v: np.array([[float(f"{x:.9g}") for x in row] for row in v.astype(np.float16)]), "float16"),
        (lambda v: v.astype(ml_dtypes.bfloat16).astype(np.float32), "bfloat16"),
        (int8, "int8"),
    ],
    ids=["float32", "float64", "scaled", "far", "float16", "widened", "short", "as JSON", "bfloat16", "int8"],
)
@pytest.mark.filterwarnings("error")
def test_what_tensorflow_made_is_kept_in_whatever_precision(
    hold: Hold, change: Callable[[np.ndarray], np.ndarray], form: str
) -> None:
    found = hold(change(VECTORS))
    assert (found.verdict, found.total.matching, found.again, found.rounding) == (
        KEEP,
        len(TEXTS),
        0,
        {form: len(TEXTS)},
    )
    assert found.total.difference < 5e-7
    assert {name: tally.rows for name, tally in found.languages.items()} == {
        n: LANGUAGES.count(n) for n in set(LANGUAGES)
    }


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda v: v, 1e-5),
        (lambda v: v.astype(np.float16).astype(np.float32), 2.0**-9),
        (lambda v: v.astype(ml_dtypes.bfloat16).astype(np.float32), 2.0**-6),
    ],
    ids=["float32", "float16", "bfloat16"],
)
def test_what_rounding_does_not_explain_is_no_match(
    hold: Hold, change: Callable[[np.ndarray], np.ndarray], step: float
) -> None:
    """The largest number of each vector is moved by two steps of its form."""
    moved = change(VECTORS).copy()
    largest = np.abs(moved).argmax(axis=1)
    moved[np.arange(len(moved)), largest] *= 1 + 2 * step
    found = hold(change(moved))
    assert found.total.matching == 0
    assert found.verdict in (NEAR, OTHER)


def test_close_vectors_are_close(hold: Hold) -> None:
    found = hold(VECTORS + np.random.default_rng(1).normal(size=VECTORS.shape).astype(np.float32) * 1e-3)
    assert (found.verdict, found.total.others, found.again) == (NEAR, {"close": len(TEXTS)}, 0)


def test_another_module_is_another_model(hold: Hold) -> None:
    found = hold(np.random.default_rng(1).normal(size=VECTORS.shape).astype(np.float32))
    assert (found.verdict, found.total.matching, found.total.others[UNEXPLAINED]) == (OTHER, 0, 64)
    assert hold(VECTORS[:, :16]).total.others == {"wrong width": len(TEXTS)}
    assert hold(VECTORS[:, :16]).verdict == OTHER


def test_holes_are_counted_named_and_listed(hold: Hold, folder: Path, tmp_path: Path) -> None:
    texts: list[str | None] = list(TEXTS)
    rows: list[list[float] | None] = [list(map(float, vector)) for vector in VECTORS]
    rows[3], rows[4], rows[5], rows[6], texts[7] = (
        None,
        (rows[4] or [])[:5],
        [float("nan")] * HIDDEN,
        [0.0] * HIDDEN,
        None,
    )
    (rows[8] or [])[2:3] = [None]  # type: ignore[list-item]
    found = hold(rows, texts, again=tmp_path / "again.jsonl", window=5)
    holes = {"no vector": 1, "wrong width": 1, "NaN or infinite": 2, "zero": 1, "no text": 1}
    assert (found.total.others, found.total.matching) == (holes, len(TEXTS) - 6)
    assert (found.verdict, found.again) == (AGAIN, 5)
    listed = [json.loads(line) for line in (tmp_path / "again.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(each["row"], each["sentence"]) for each in listed] == [(i, TEXTS[i]) for i in (3, 4, 5, 6, 8)]
    hub2hf.embed(folder, tmp_path / "again.jsonl", tmp_path / "new.parquet", text="sentence")
    again = np.array(pq.read_table(tmp_path / "new.parquet").column("embedding").to_pylist(), np.float32)
    assert np.abs(again - VECTORS[[3, 4, 5, 6, 8]]).max() < 2e-6
    assert (
        f"5 rows to embed again, listed in {found.listed}: hub2hf embed {folder} {found.listed} --text sentence OUT"
        in [*found.lines()]
    )
    with pytest.raises(ExportError, match="exists already"):
        hold(rows, texts, again=tmp_path / "again.jsonl")
    with pytest.raises(ExportError, match=r"again.txt would be JSON lines, which its name does not say"):
        hold(rows, texts, again=tmp_path / "again.txt")
    with pytest.raises(SourceError, match="No row has a text and a vector"):
        hold([[0.0] * HIDDEN for _ in texts], texts, again=tmp_path / "nothing.jsonl")
    assert not (tmp_path / "nothing.jsonl").exists()
    close = hold([*map(list, VECTORS.astype(float))], TEXTS, again=tmp_path / "empty.jsonl")
    assert f"no row needs to be embedded again: {close.listed} is empty" in [*close.lines()]


def test_a_null_among_the_numbers_of_a_vector_is_of_that_vector_alone(hold: Hold) -> None:
    rows: list[list[int | None]] = int8(VECTORS).tolist()
    rows[7][0] = None
    found = hold(pa.array(rows, pa.list_(pa.int8())))
    assert found.total.others == {"NaN or infinite": 1}
    assert (found.total.matching, found.rounding) == (len(TEXTS) - 1, {"int8": len(TEXTS) - 1})


@pytest.mark.parametrize("form", [".jsonl", ".parquet"])
def test_what_embed_wrote_is_clean_where_texts_are_null(folder: Path, tmp_path: Path, form: str) -> None:
    """There is nothing to embed again of a row that has no text, of a file or of the whole corpus."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": null}\n{"text": null}\n')
    (tmp_path / "in" / "b.jsonl").write_text('{"text": "a"}\n{"text": null}\n')
    (tmp_path / "out").mkdir()
    for name in ("a", "b"):
        hub2hf.embed(folder, tmp_path / "in" / f"{name}.jsonl", tmp_path / "out" / f"{name}{form}")
    found = hub2hf.verify_vectors(tmp_path / "out", folder)
    assert (found.verdict, found.total.others, found.again) == (KEEP, {"no text": 3}, 0)
    with pytest.raises(SourceError, match="No row has a text and a vector"):
        hub2hf.verify_vectors(tmp_path / "out" / f"a{form}", folder)


def test_texts_that_were_cut_earlier(hold: Hold, folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    whole = [encoding.ids for encoding in tokenizer.encode_batch(TEXTS)]
    long = [i for i, row in enumerate(whole) if 33 <= len(row) < 64][:40]
    assert len(long) == 40
    cut = VECTORS.copy()
    cut[long] = planted(folder, [[*whole[i][:31], whole[i][-1]] for i in long])
    found = hold(cut)
    assert (found.verdict, found.total.others, found.again) == (AGAIN, {"cut at 32 pieces": 40}, 40)


def test_texts_that_were_not_cut(hold: Hold, folder: Path) -> None:
    text = " ".join(TEXTS[:60])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    ids = tokenizer.encode(text).ids
    assert len(ids) > 512
    vector = planted(folder, [[*ids[:511], ids[-1]]])
    found = hold(np.concatenate([VECTORS, vector]), [*TEXTS, text])
    assert found.total.others == {"not cut before 512 pieces": 1}


def test_ids_of_another_tokenizer(hold: Hold, folder: Path) -> None:
    other = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    text = "Ärger über STRASSE"
    found = hold(np.concatenate([VECTORS, planted(folder, [other.encode(text).ids])]), [*TEXTS, text])
    assert found.total.others == {"other ids: those of BertTokenizer, uncased": 1}


@pytest.mark.parametrize(
    ("stored", "embedded", "why"),
    [
        ("The  dog   barks", "The dog barks", ""),  # blanks make no difference to this model
        ("The DOG barks", "the dog barks", "another text: in lower case"),
        ("cats &amp; dogs", "cats & dogs", "another text: without HTML escapes"),
        ("The dog barks", TEXTS[3], "another text: that of another row"),
        ("The dog barks", "Nothing of the kind", UNEXPLAINED),
    ],
)
def test_another_text_than_was_stored(hold: Hold, folder: Path, stored: str, embedded: str, why: str) -> None:
    vector = hub2hf.surfaces.embed("onnx", folder, [embedded]).embeddings
    found = hold(np.concatenate([VECTORS, vector]), [*TEXTS, stored])
    assert found.total.others == ({why: 1} if why else {})
    assert found.verdict == (AGAIN if why else KEEP)


def test_a_shift_by_one_row_is_seen(hold: Hold) -> None:
    found = hold(np.roll(VECTORS, 1, axis=0), window=50)
    assert found.total.matching < 20  # equal neighbours
    assert found.total.others["another text: that of another row"] > 400
    assert found.verdict == AGAIN


def test_duplicates_are_counted_and_held_against_each_other(hold: Hold) -> None:
    before = hold(VECTORS)
    found = hold(np.concatenate([VECTORS, VECTORS[:2], VECTORS[3:4]]), [*TEXTS, TEXTS[0], TEXTS[1], TEXTS[2]])
    assert found.duplicates - before.duplicates == 3
    assert found.disagreeing == 1
    said = [*replace(found, duplicates=1, disagreeing=0, languages={"d\x1be": Tally(1)}).lines()]
    assert {"  1 text came before, 0 of them with another vector", r"  d\x1be: 0 of 1"} < {*said}


def test_windows_change_nothing(hold: Hold) -> None:
    shifted = VECTORS.copy()
    shifted[100:110] = 0
    one, other = (hold(shifted, window=window) for window in (64, 1000))
    assert one.total.others == other.total.others == {"zero": 10}
    assert one.languages == other.languages


def test_the_command(folder: Path, run_hub2hf: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    whole = store(tmp_path / "index.parquet", VECTORS.astype(np.float16))
    columns = ["--text", "sentence", "--embedding", "vector"]
    code, printed, _ = run_hub2hf("verify", "--golden", whole, folder, *columns)
    assert code == 0
    assert re.match(rf"{len(TEXTS)} of {len(TEXTS)} vectors .*float16", printed)
    assert "Keep the index" in printed
    vectors = VECTORS.copy()
    vectors[5] = np.nan
    store(tmp_path / "index.parquet", vectors)
    code, printed, _ = run_hub2hf("verify", "--golden", whole, folder, *columns, "--json")
    assert (code, json.loads(printed)["total"]["others"]) == (1, {"NaN or infinite": 1})
    code, _, said = run_hub2hf("verify", "--golden", whole, folder)
    assert (code, said.count("\n")) == (2, 1)
    assert "has no column 'text'; it has sentence, lang, vector." in said


def test_a_folder_of_vectors_one_file_of_which_cannot_be_read(
    folder: Path, run_hub2hf: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """It is named, the rest is compared, each file in the precision that it was stored in."""
    place = tmp_path / "index"
    place.mkdir()
    store(place / "a.parquet", VECTORS)
    (place / "b.parquet").write_bytes(b"no")
    store(place / "c.parquet", VECTORS.astype(np.float16))
    store(place / "d.parquet", int8(VECTORS))
    code, printed, said = run_hub2hf(
        "verify", "--golden", place, folder, "--text", "sentence", "--embedding", "vector", "--json"
    )
    found = json.loads(printed)
    assert (code, said.count("\n")) == (2, 1)
    assert f"{place / 'b.parquet'} cannot be read" in said
    assert "The rest was compared: repair it and run the same command again." in said
    assert (found["total"]["matching"], found["rounding"]) == (
        3 * len(TEXTS),
        {"float32": len(TEXTS), "float16": len(TEXTS), "int8": len(TEXTS)},
    )
    whole = (place / "a.parquet").read_bytes()
    for name in "bcd":
        (place / f"{name}.parquet").unlink()
    (place / "a.parquet").write_bytes(whole[:4] + bytes(2000) + whole[2004:])  # which is seen when its rows are read
    with pytest.raises(SourceError, match=r"a\.parquet cannot be read: .*\. Repair it, or name another\."):
        hub2hf.verify_vectors(place, folder, text="sentence", embedding="vector")
    for name in "ab":
        (place / f"{name}.parquet").write_bytes(b"no")
    with pytest.raises(SourceError, match=r"a\.parquet cannot be read: .*; neither can the others"):
        hub2hf.verify_vectors(place, folder)


@pytest.mark.parametrize(
    "option",
    [
        "--languages=de",
        "--sentences=x",
        "--surfaces=onnx",
        "--sample=3",
        "--report=x",
        "--vocab=x",
        "--text-rules=x",
        "--engine=ray",
        "--engine=local",
        "--address=x",
        "--workers=3",
        "--sample=0",
        "--seed=0",
        "--force",
    ],
)
def test_what_is_not_meant_for_stored_vectors_is_refused(
    option: str, run_hub2hf: Callable[..., tuple[int, str, str]]
) -> None:
    said = f"hub2hf: Stored vectors are compared whole: {option.partition('=')[0]} does not apply. Leave it out.\n"
    assert run_hub2hf("verify", "--golden", "index.parquet", "folder", option) == (2, "", said)
    code, _, error = run_hub2hf("verify", "source", "folder", "--again", "list.jsonl")
    assert (code, "--again does not apply" in error) == (2, True)
    code, _, error = run_hub2hf("verify", "--golden", "a.safetensors", "folder", "--embedding", "vector")
    assert (code, "--embedding does not apply" in error) == (2, True)
    code, _, error = run_hub2hf("verify", "--integrity", "folder", "--seed", "0")
    assert (code, "--integrity takes one folder and nothing beside it." in error) == (2, True)


def test_a_device_that_there_is_none_of_is_said(
    folder: Path, run_hub2hf: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    store(tmp_path / "index.parquet", VECTORS)
    code, _, said = run_hub2hf("verify", "--golden", tmp_path / "index.parquet", folder, "--device", "tpu")
    assert (code, said.count("\n"), "tpu" in said) == (2, 1, True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"golden": None}, "golden is of the type NoneType, and no path."),
        ({"again": 5}, "again is of the type int, and no path."),
        ({"tolerances": 5}, "tolerances is of the type int, and no path."),
        ({"window": 0}, "window is 0."),
        ({"window": 1.5}, "window is of the type float, and no whole number."),
        ({"language": "tongue"}, "has no column 'tongue'; it has sentence, lang, vector. Name another, or none."),
        ({"again": "list.jsonl", "text": "why"}, "The list of rows has a column 'why' of its own, beside their texts."),
    ],
)
def test_what_cannot_be_asked_for(folder: Path, tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    given = {"golden": store(tmp_path / "index.parquet", VECTORS), "text": "sentence", "embedding": "vector"} | asked
    with pytest.raises(SourceError, match=re.escape(said)):
        hub2hf.verify_vectors(candidate=folder, **given)


def test_columns_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    for vectors, says in (
        (["x"] * len(TEXTS), "not lists of signed numbers"),
        ([[True]] * len(TEXTS), "not lists of signed numbers"),
    ):
        store(tmp_path / "index.parquet", vectors)
        with pytest.raises(Hub2HFError, match=says):
            hub2hf.verify_vectors(tmp_path / "index.parquet", folder, text="sentence", embedding="vector")
    store(tmp_path / "index.parquet", VECTORS, ["a"] * len(TEXTS))
    table = pq.read_table(tmp_path / "index.parquet").drop_columns(["lang"])
    bytes_of = pa.array([b"\xff"] * len(TEXTS)).buffers()
    for column, holds in (
        (pa.Array.from_buffers(pa.string(), len(TEXTS), bytes_of), "what is not UTF-8"),
        (pa.array([["de"]] * len(TEXTS)), "list<element: string>"),
    ):
        pq.write_table(table.append_column("lang", column), tmp_path / "index.parquet")
        with pytest.raises(
            SourceError, match=rf"index\.parquet: the column 'lang' holds {holds}, not names of languages"
        ):
            hub2hf.verify_vectors(tmp_path / "index.parquet", folder, text="sentence", embedding="vector")
    store(tmp_path / "index.parquet", VECTORS, [None] * len(TEXTS))
    with pytest.raises(Hub2HFError, match=r"column 'sentence' holds null|No row has a text"):
        hub2hf.verify_vectors(tmp_path / "index.parquet", folder, text="sentence", embedding="vector")
