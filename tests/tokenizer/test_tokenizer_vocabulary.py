"""Reading a vocabulary file by TensorFlow's rules, and refusing what no vocab.txt could hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
from builders.oracles import standard_operations

from hub2hf.blueprint.text import Pack, TextBlueprint
from hub2hf.errors import VocabularyError
from hub2hf.limits import MAX_LINE_BYTES, MAX_VOCABULARY_LINES
from hub2hf.savedmodel.assets import check_vocabulary
from hub2hf.tokenizer import read_vocabulary, special_tokens, tokenizer_files


def tensorflow_table(path: Path) -> tf.lookup.StaticHashTable:
    rows = tf.lookup.TextFileIndex
    source = tf.lookup.TextFileInitializer(str(path), tf.string, rows.WHOLE_LINE, tf.int64, rows.LINE_NUMBER)
    return tf.lookup.StaticHashTable(source, -1)


@pytest.mark.parametrize(
    "data",
    [
        b"a\nb\n",
        b"a\nb",
        b"a\r\nb\r\n",
        b"\xef\xbb\xbfa\nb",
        b" a\nb \n",
        b"a\x00c\nb\n",
        "\u00a0\n\u2028\n\x85".encode(),
    ],
)
def test_same_ids_as_tensorflow(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(data)
    pieces = read_vocabulary(path).pieces
    table = tensorflow_table(path)
    assert table.size().numpy() == len(pieces)
    found = table.lookup(tf.constant([piece.encode() for piece in pieces])).numpy()
    assert found.tolist() == list(range(len(pieces)))


@pytest.mark.parametrize("data", [b"", b"a\n\nb\n", b"a\nb\n\n", b"a\nb\na\n"])
def test_refused_as_by_tensorflow(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(data)
    with pytest.raises(tf.errors.OpError):
        tensorflow_table(path)
    with pytest.raises(VocabularyError, match=r"vocabulary\.txt"):
        read_vocabulary(path)


@pytest.mark.parametrize(
    ("data", "line"), [(b"a\n\nb", 2), (b"a\nb\nc\nb\n", 4), (b"a\n\xff\n", 2), (b"a\nb\rc\n", 2), (b"a\nb\r", 2)]
)
def test_errors_name_the_line(tmp_path: Path, data: bytes, line: int) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(data)
    with pytest.raises(VocabularyError, match=f"line {line} "):
        read_vocabulary(path)


LONGEST = b"x" * (MAX_LINE_BYTES - 1)  # with its newline, the longest line that is read


@pytest.mark.parametrize("end", [b"", b"\n", b"\nb"])
@pytest.mark.parametrize("before", [b"", b"a\n", LONGEST + b"\n", b"a\n" * 5000])
def test_the_longest_line_is_read_and_a_longer_one_named(tmp_path: Path, before: bytes, end: bytes) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(before + LONGEST + end)
    check_vocabulary(path)
    path.write_bytes(before + LONGEST + b"x" + end)
    with pytest.raises(VocabularyError, match=f"line {1 + before.count(10)} is longer"):
        check_vocabulary(path)


def test_more_lines_than_any_vocabulary_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(b"\n" * MAX_VOCABULARY_LINES)
    check_vocabulary(path)
    path.write_bytes(b"\n" * (MAX_VOCABULARY_LINES + 1))
    with pytest.raises(VocabularyError, match="lines"):
        check_vocabulary(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=r"none\.txt"):
        read_vocabulary(tmp_path / "none.txt")


def blueprint(path: Path) -> TextBlueprint:
    return replace(standard_operations(), vocabulary=path)


def test_special_tokens_come_from_ids(small_vocabulary: Path) -> None:
    tokens = dict(special_tokens(blueprint(small_vocabulary), read_vocabulary(small_vocabulary)).items())
    assert tokens == {
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }


def test_vocabulary_of_another_model(tmp_path: Path, small_vocabulary: Path) -> None:
    with pytest.raises(VocabularyError, match="word embeddings"):
        tokenizer_files(blueprint(small_vocabulary), 501_153, tmp_path)
    short = tmp_path / "short.txt"
    short.write_bytes(b"[PAD]\n[UNK]\na\n")
    with pytest.raises(VocabularyError, match="packs with id 101"):
        tokenizer_files(blueprint(short), 3, tmp_path)
    text = blueprint(short)
    ended = replace(text, operations=(*text.operations[:-1], Pack(0, 0, 0, 8, "pack")))
    short.write_bytes(b"[PAD]\na\n")
    with pytest.raises(VocabularyError, match=r"no '\[UNK\]'"):
        tokenizer_files(ended, 2, tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()


def test_the_file_has_each_piece_as_json_has_it_under_its_number(tmp_path: Path, small_vocabulary: Path) -> None:
    odd = [
        "%d",
        "100%",
        "%%s",
        '""',
        "\\\\",
        "\\n",
        '\\"',
        "a\tb",
        "x\x00",
        "\x1f\x7f",
        "\u2028x",
        "\u00a0x",
        "日\x08\x0c",
    ]
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(small_vocabulary.read_bytes() + "".join(f"{piece}\n" for piece in odd).encode())
    vocabulary = read_vocabulary(path)
    tokenizer_files(replace(standard_operations(), vocabulary=path), len(vocabulary), tmp_path)
    written = (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
    for number, piece in enumerate(vocabulary.pieces):
        assert f"{json.dumps(piece, ensure_ascii=False)}: {number}" in written
    assert json.loads(written)["model"]["vocab"] == vocabulary.ids
