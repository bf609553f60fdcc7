"""Every way to load the folder gives the ids of the raw tokenizer.json, literal special tokens included."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from builders.oracles import TensorFlowSide, standard_operations
from fuzz_tokenizer import LITERALS, generated
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizer, BertTokenizerFast, PreTrainedTokenizerFast

from hub2hf.blueprint.text import TextBlueprint

TEXTS = [
    *LITERALS,
    "[CLS] hello [SEP] [MASK] [PAD] [UNK] world[CLS]x",
    " [MASK]##a",
    "n. 286 del 1986.[13]",
    "می\u200cروم که",
    "",
    "a " * 300,
    *islice(generated(), 300),
]


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[list[int]]:
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [encoding.ids for encoding in raw.encode_batch(TEXTS)]


def test_raw_is_tensorflow(folder: Path, expected: list[list[int]]) -> None:
    text = TextBlueprint(standard_operations().operations, folder / "vocab.txt", "v")
    rows = TensorFlowSide(text)(TEXTS)
    assert [row[: len(ids)].tolist() for row, ids in zip(rows, expected, strict=True)] == expected
    assert all((row[len(ids) :] == 0).all() for row, ids in zip(rows, expected, strict=True))


@pytest.mark.parametrize("loader", [AutoTokenizer, PreTrainedTokenizerFast])
def test_transformers(loader: Any, folder: Path, expected: list[list[int]], tmp_path: Path) -> None:
    tokenizer = loader.from_pretrained(folder)
    assert tokenizer(TEXTS, truncation=True)["input_ids"] == expected
    assert [tokenizer(text, truncation=True)["input_ids"] for text in TEXTS] == expected
    padded = tokenizer(TEXTS, truncation=True, padding="max_length")
    assert {len(ids) for ids in padded["input_ids"]} == {128}
    assert [sum(mask) for mask in padded["attention_mask"]] == [len(ids) for ids in expected]
    assert not any(map(any, padded["token_type_ids"]))
    assert tokenizer.model_max_length == 128
    assert tokenizer.all_special_ids == [100, 102, 0, 101, 103] or set(tokenizer.all_special_ids) == {
        0,
        *range(100, 104),
    }
    tokenizer.save_pretrained(tmp_path)
    assert loader.from_pretrained(tmp_path)(TEXTS, truncation=True)["input_ids"] == expected


def test_sentence_transformers(folder: Path, expected: list[list[int]], tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=len(vocabulary), **shape)).save_pretrained(tmp_path)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    model = SentenceTransformer(str(tmp_path), device="cpu")
    features = model.tokenize(TEXTS)
    rows = zip(features["input_ids"].tolist(), features["attention_mask"].tolist(), strict=True)
    assert [ids[: sum(mask)] for ids, mask in rows] == expected


@pytest.mark.parametrize("loader", [BertTokenizerFast, BertTokenizer])
def test_bert_classes_load_with_the_same_vocabulary(loader: Any, folder: Path) -> None:
    tokenizer = loader.from_pretrained(folder)
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    vocabulary = tokenizer.get_vocab()
    assert [vocabulary[piece] for piece in pieces] == list(range(len(pieces)))
    assert tokenizer("hello")["input_ids"][0] == 101
