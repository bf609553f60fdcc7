"""Texts that a SentencePiece model cuts: the kernel, the compiled tokenizer and the folder against TensorFlow Text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import shared
import tensorflow as tf
import tensorflow_text as tf_text
from builders import pieces as built
from fuzz_tokenizer import drawn
from references import EMBEDDED
from tokenizers import Tokenizer

import hub2hf
from hub2hf.blueprint.asked.oracle import Inquiry
from hub2hf.blueprint.text import NO_START, Pack, SentencePiece, TextBlueprint
from hub2hf.blueprint.text_side.preprocessor import read_preprocessor
from hub2hf.equivalence.sentences import trap_sentences
from hub2hf.errors import ExportError, GraphError, VocabularyError
from hub2hf.interpreter.pieces import Cutter
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.sentencepiece import read_pieces
from hub2hf.tokenizer import piece_tokenizer
from hub2hf.tokenizer.charsmaps import mapping_of


@cache
def model(name: str) -> bytes:
    return built.trained(built.MODELS[name])


def theirs(data: bytes, texts: Sequence[str | bytes]) -> list[list[int]]:
    """The ids of TensorFlow Text."""
    values = tf.constant([text if isinstance(text, bytes) else text.encode() for text in texts])
    ragged = tf_text.SentencepieceTokenizer(data, out_type=tf.int32).tokenize(values)
    return [part.tolist() for part in np.split(ragged.flat_values.numpy(), ragged.row_splits.numpy()[1:-1])]


def compiled(data: bytes, tmp_path: Path) -> Tokenizer:
    """The tokenizer over a model, alone."""
    path = tmp_path / "spiece.model"
    path.write_bytes(data)
    text = TextBlueprint((SentencePiece("", "cut"), Pack(NO_START, 1, 0, 512, "pack")), path, "model")
    tokenizer = piece_tokenizer(text, read_pieces(data, "model"))
    tokenizer.no_truncation()
    return tokenizer


@pytest.mark.parametrize("name", built.MODELS)
def test_the_kernel_gives_what_tensorflow_text_gives(name: str) -> None:
    data = model(name)
    cutter, source = Cutter(read_pieces(data, "test"), "test"), Random(4)
    malformed = [bytes(source.choices(b"ab \xe2\x82\xac\xff\x80\xc3\xa9\xf0\x9f\x98\xed\xa0", k=8)) for _ in range(200)]
    texts = [text.encode() for text in drawn(2000, 1, read_pieces(data, "test"))] + malformed
    assert [cutter.ids(text) for text in texts] == theirs(data, texts)


@pytest.mark.parametrize("name", built.MODELS)
def test_the_compiled_tokenizer_gives_those_ids_but_where_float32_is_rounded(name: str, tmp_path: Path) -> None:
    data = model(name)
    differing = others(data, [*drawn(3000, 2, read_pieces(data, "test"))], compiled(data, tmp_path))
    assert len(differing) < (30 if name == "identity" else 1 if name.startswith("joined") else 6)


def others(data: bytes, texts: list[str], tokenizer: Tokenizer) -> list[str]:
    """The texts whose ids differ; each must be one that float32's round-off decides."""
    cutter = Cutter(read_pieces(data, "test"), "test")
    found = [each.ids for each in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    differing = []
    for text, here, there in zip(texts, found, theirs(data, texts), strict=True):
        if here != there:
            exact = cutter.cut(cutter.normalized(text.encode()).decode(), exact=True)
            assert here == exact, ascii(text)
            differing.append(text)
    return differing


def test_no_scores_make_up_for_what_float32_rounds(tmp_path: Path) -> None:
    """Where cuts are as likely, TF.Text cuts one word in several ways, by what precedes it; scores know the word alone."""
    texts = [f"{before} эээээ" for before in ("", "hond", "hund")]
    assert len({tuple(row[-4:]) for row in theirs(model("nmt_nfkc"), texts)}) == 3
    found = compiled(model("nmt_nfkc"), tmp_path).encode_batch(texts)
    assert len({tuple(each.ids[-4:]) for each in found}) == 1


def _save(folder: Path, **options: Any) -> Path:
    built.build_text_side(folder, replace(built.Options(), **options))
    return folder


@pytest.fixture(scope="module")
def albert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ALBERT encoder, its preprocessor, and what they become."""
    from builders import bert_tf2 as tf2

    def make(to: Path) -> None:
        vocabulary = to / "lines"
        vocabulary.write_text("".join(f"p{i}\n" for i in range(built.Options().pieces)))
        shape = {"embedded": 16, "shared": True, "lower_case": True, "own_vocabulary": False, "layers": 2}
        tf2.build_encoder(to / "encoder", vocabulary, replace(tf2.SIZES["mini"], **shape))
        _save(to / "preprocessor")
        hub2hf.convert(to / "encoder", to / "out", preprocessor=to / "preprocessor")

    return shared.made_once(tmp_path_factory, "albert-pieces", make)


def test_albert_converts_from_end_to_end(albert: Path) -> None:
    result = hub2hf.verify(
        albert / "encoder",
        albert / "out",
        preprocessor=albert / "preprocessor",
        surfaces=["sentence-transformers"],
        languages=["en", "ja", "ar", "ko"],
        add_proof=False,
    )
    assert result.equivalent
    card = (albert / "out" / "README.md").read_text(encoding="utf-8")
    assert "BertTokenizer" not in card
    assert "plain AlbertModel" in card
    manifest = json.loads((albert / "out" / "hub2hf.json").read_text(encoding="utf-8"))
    steps = [step["operation"] for step in manifest["blueprint"]["text"]]
    assert steps == ["Normalize", "ReplacePattern", "CaseFold", "SentencePiece", "Pack"]


def test_a_bpe_model_converts_from_end_to_end(albert: Path, tmp_path: Path) -> None:
    preprocessor = _save(tmp_path / "preprocessor", model_type="bpe", kind="t5")
    source = hub2hf.Source.find(albert / "encoder", preprocessor=preprocessor)
    hub2hf.convert(source, tmp_path / "out")
    assert not any(isinstance(op, SentencePiece) and op.undecided for op in source.blueprint.text.operations)
    result = hub2hf.verify(
        source, tmp_path / "out", surfaces=["sentence-transformers"], languages=["ja", "ko", "traps"]
    )
    assert result.equivalent
    assert json.loads((tmp_path / "out" / "tokenizer.json").read_bytes())["model"]["type"] == "BPE"


def test_its_ids_are_the_graphs_on_generated_texts(albert: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(albert / "out")
    data = (albert / "out" / "spiece.model").read_bytes()
    texts = [*drawn(1500, 5, read_pieces(data, "test"))] + [each.text for each in trap_sentences()]
    graph = tf.saved_model.load(albert / "preprocessor")
    packed = graph(tf.constant([text.encode() for text in texts]))
    rows = zip(packed["input_word_ids"].numpy(), packed["input_mask"].numpy(), strict=True)
    expected = [ids[mask == 1].tolist() for ids, mask in rows]
    found = tokenizer(texts, truncation=True)["input_ids"]
    differing = [text for text, here, there in zip(texts, found, expected, strict=True) if here != there]
    assert len(differing) < 4, list(map(ascii, differing))


def test_such_a_folder_is_neither_slim_nor_for_the_browser(albert: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="SentencePiece"):
        hub2hf.slim(albert / "out", tmp_path / "slim", languages=["de"])
    with pytest.raises(ExportError, match="SentencePiece"):
        hub2hf.export(albert / "out", "web", tmp_path / "web")
    assert not list(tmp_path.iterdir())


def _read(folder: Path, rows: int = 2400) -> TextBlueprint:
    return read_preprocessor(SavedModel.open(folder), SavedModel.open(EMBEDDED), rows, 512)[0]


def test_t5s_texts_have_an_end_and_no_start(tmp_path: Path) -> None:
    options = replace(built.Options(), rule="identity", pieces=4000, kind="t5", lower=False, strip=False)
    built.build_text_side(tmp_path / "t5", options, model("identity"))
    text = _read(tmp_path / "t5", rows=4096)
    assert (text.pack.start_id, text.pack.end_id, text.pack.pad_id, text.pack.max_length) == (NO_START, 1, 0, 64)
    (cut,) = (step for step in text.operations if isinstance(step, SentencePiece))
    assert cut.undecided
    assert others(model("identity"), [cut.undecided], compiled(model("identity"), tmp_path)) == [cut.undecided]


def test_a_loop_over_texts_is_read_and_proved(tmp_path: Path) -> None:
    """As T5's exporter writes it (t5x, `create_preprocessor`): each text by itself, those too that end in a zero."""
    from hub2hf.blueprint.text_side.preprocessor import _Preprocessor

    class Looping(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokenizer = tf_text.SentencepieceTokenizer(model("nfkc"), out_type=tf.int32)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="given")])
        def __call__(self, given: tf.Tensor) -> dict[str, tf.Tensor]:
            def one(text: tf.Tensor) -> tf.Tensor:
                ids = tf.concat([self.tokenizer.tokenize(text)[:31], [1]], 0)
                return tf.pad(ids, [[0, 32 - tf.shape(ids)[0]]])

            ids = tf.map_fn(one, given, fn_output_signature=tf.TensorSpec([32], tf.int32))
            return {"ids": ids, "mask": tf.cast(ids > 0, tf.int32)}

    looping, texts = Looping(), ["the dog", "dog\0", "", "the dog " * 40]
    tf.saved_model.save(looping, str(tmp_path / "loop"))
    reading = _Preprocessor(SavedModel.open(tmp_path / "loop"))
    text, _ = reading.read(2400, 512, thorough=False)
    assert (text.pack.start_id, text.pack.end_id, text.pack.max_length) == (NO_START, 1, 32)
    assert reading._ids(Inquiry({}, texts)).tolist() == looping(tf.constant(texts))["ids"].numpy().tolist()


def test_another_signature_over_the_same_texts_is_none_of_this_one(tmp_path: Path) -> None:
    """As Keras exports an endpoint: once by its name, and once as the default."""
    side = built.TextSide(model("nmt_nfkc"), built.Options())
    named = dict.fromkeys(("serve", "serving_default"), side.__call__)
    tf.saved_model.save(side, str(tmp_path / "two"), signatures=named)
    assert _read(tmp_path / "two").by_pieces


def test_ids_that_the_graph_moves_are_refused_by_that_name(tmp_path: Path) -> None:
    """As XLM-R's are, of fairseq: one more than the model's."""
    side = built.TextSide(model("nmt_nfkc"), built.Options())
    tokenize = side.tokenizer.tokenize
    side.tokenizer.tokenize = lambda texts: tokenize(texts) + 1
    tf.saved_model.save(side, str(tmp_path / "moved"))
    with pytest.raises(GraphError, match=r"other ids than the model has, as XLM-R's \(of fairseq\) are: (\d+) becomes"):
        _read(tmp_path / "moved")


def test_what_is_not_understood_is_refused(tmp_path: Path) -> None:
    for name, options, error, told in (
        ("words", {"model_type": "word"}, GraphError, "is a word model"),
        ("end", {"kind": "t5", "eos_kept": False}, GraphError, r"adds 1 to each text by itself \(add_bos, add_eos\)"),
        ("many", {"pieces": 2500}, VocabularyError, "word embeddings"),
    ):
        with pytest.raises(error, match=told):
            _read(_save(tmp_path / name, **options))


def test_a_damaged_model_is_refused() -> None:
    data = model("nmt_nfkc")
    for bad, told in ((data[:-9], "no ModelProto"), (b"", "0 pieces"), (data + data[:20], "again")):
        with pytest.raises(VocabularyError, match=told):
            read_pieces(bad, "node")
    pieces = read_pieces(data, "node")
    for cut in (3, 100, len(pieces.charsmap) // 8):
        with pytest.raises((VocabularyError, GraphError), match=r"damaged|cut off"):
            mapping_of(pieces.charsmap[:cut], "node")


def test_the_other_operations_of_a_model_are_computed(tmp_path: Path) -> None:
    from hub2hf.blueprint.entry import entries
    from hub2hf.interpreter import Interpreter, Substitutes

    class Asking(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ids = tf_text.SentencepieceTokenizer(model("nmt_nfkc"), add_eos=False, reverse=True)
            self.texts = tf_text.SentencepieceTokenizer(model("nfkc"), out_type=tf.string, add_eos=True)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="given")], autograph=False)
        def __call__(self, given: tf.Tensor) -> dict[str, tf.Tensor]:
            ids, texts = self.ids.tokenize(given), self.texts.tokenize(given)
            return {
                "ids": ids.flat_values,
                "splits": ids.row_splits,
                "texts": texts.flat_values,
                "size": self.ids.vocab_size(),
                "id": self.ids.string_to_id(given),
                "back": self.ids.id_to_string(ids.flat_values),
            }

    asking, given = Asking(), ["the dog", "犬 [CLS]", "", "[CLS]"]
    tf.saved_model.save(asking, str(tmp_path / "asking"))
    entry = next(iter(entries(SavedModel.open(tmp_path / "asking"))))
    value = np.array([text.encode() for text in given], object)
    refs = [tensor.ref for tensor in entry.outputs.values()]
    ((source, _),) = ((tensor.ref, name) for name, tensor in entry.inputs.items())
    ours = Interpreter(entry.graph, Substitutes(lambda name: np.zeros(0), {})).run(refs, {source: value})
    for name, found in zip(entry.outputs, ours, strict=True):
        assert np.asarray(found).tolist() == asking(tf.constant(given))[name].numpy().tolist(), name
