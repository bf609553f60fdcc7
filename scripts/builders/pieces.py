"""Build reference SavedModels whose text a SentencePiece model cuts: the preprocessor of Model Garden's ALBERT, or T5's way.

The model is trained over the project's own sentences, with the pieces that ALBERT's has: `<pad>`, `<unk>`, [CLS], [SEP] and
[MASK] as control pieces, some punctuation as pieces of their own (google-research/albert, README); or with T5's `<pad>`,
`</s>`, `<unk>`. The preprocessor strips marks and folds case as Model Garden's layer does (official/nlp/modeling/layers/
text_layers.py, SentencepieceTokenizer) and packs as its BertPackInputs.

Run: python scripts/build.py pieces OUT --kind albert --pieces 2000 --rule nmt_nfkc
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text

from builders.options import add_options

SENTENCES = Path(__file__).resolve().parents[2] / "configs" / "sentences.tsv"
SPECIAL: dict[str, dict[str, Any]] = {
    "albert": {
        "pad_id": 0,
        "unk_id": 1,
        "bos_id": -1,
        "eos_id": -1,
        "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        "user_defined_symbols": ["(", ")", '"', "-", ".", "–", "£", "€"],
    },
    "xlm": {"unk_id": 0, "bos_id": 1, "eos_id": 2},
    "deberta": {
        **{"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "user_defined_symbols": ["[MASK]"]},
        **{"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"},
    },
    "t5": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
}


@dataclass(frozen=True)
class Options:
    """What a text side is made of.

    Attributes:
        kind: "albert": [CLS], pieces, [SEP], three outputs; "t5": pieces, `</s>`, ids and mask.
        pieces: how many, at most.
        rule: the normalizer: nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity.
        model_type: unigram or bpe.
        lower, strip: whether case is folded, and marks are stripped, before.
        byte_fallback: whether an unknown character is its bytes.
        eos_kept: whether `</s>` stays where a text is cut.
        length: ids of a text.
    """

    kind: str = "albert"
    pieces: int = 2000
    rule: str = "nmt_nfkc"
    model_type: str = "unigram"
    lower: bool = True
    strip: bool = True
    byte_fallback: bool = False
    eos_kept: bool = True
    length: int = 64


# Of every kind that is read: normalizers, the likeliest cut and the joining of neighbours, with bytes for what is unknown.
MODELS = {
    "nmt_nfkc": Options(),
    "nfkc": Options(rule="nfkc", kind="t5"),
    "identity": Options(rule="identity", pieces=4000, kind="t5"),  # so many that pieces of one letter are among them
    "folding": Options(rule="nmt_nfkc_cf"),
    "bytes": Options(byte_fallback=True, kind="t5"),
    "joined": Options(model_type="bpe", kind="t5"),
    "joined bytes": Options(model_type="bpe", byte_fallback=True, rule="identity", kind="t5", pieces=4000),
}


def trained(o: Options) -> bytes:
    """Return a SentencePiece model, serialized."""
    lines = (line.split("\t") for line in SENTENCES.read_text(encoding="utf-8").splitlines())
    sentences = [parts[1] for parts in lines if len(parts) == 2]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=out,
        vocab_size=o.pieces,
        model_type=o.model_type,
        normalization_rule_name=o.rule,
        byte_fallback=o.byte_fallback,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **SPECIAL[o.kind],
    )
    return out.getvalue()


class TextSide(tf.Module):
    """From texts, string [batch], to ids, mask and token types, int32 [batch, length] each."""

    def __init__(self, model: bytes, o: Options) -> None:
        super().__init__()
        self.o = o
        self.tokenizer = tf_text.SentencepieceTokenizer(model, out_type=tf.int32, add_eos=not o.eos_kept)
        names = ("[CLS]", "[SEP]") if o.kind == "albert" else ("</s>", "</s>")
        self.start, self.end = (int(self.tokenizer.string_to_id(name)) for name in names)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")], autograph=False)
    def __call__(self, sentences: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the inputs of the encoder."""
        o, texts = self.o, sentences
        if o.strip:
            texts = tf.strings.regex_replace(tf_text.normalize_utf8(texts, "NFD"), r"\p{Mn}", "")
        if o.lower:
            texts = tf_text.case_fold_utf8(texts)
        rows = self.tokenizer.tokenize(texts)
        if o.kind == "albert":
            packed, types = tf_text.combine_segments([rows[:, : o.length - 2]], self.start, self.end)
            ids, mask = tf_text.pad_model_inputs(packed, o.length)
            kinds, _ = tf_text.pad_model_inputs(types, o.length)
            return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": kinds}
        if o.eos_kept:
            rows = tf.concat([rows[:, : o.length - 1], tf.fill([tf.shape(texts)[0], 1], self.end)], 1)
        ids, mask = tf_text.pad_model_inputs(rows, o.length)
        return {"input_ids": ids, "input_mask": mask}


def build_text_side(folder: Path, options: Options, model: bytes | None = None) -> None:
    """Write the text side of `options` into the absent `folder`."""
    tf.saved_model.save(TextSide(model or trained(options), options), str(folder))


def main(words: Sequence[str]) -> None:
    """Run the command on its arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--force", action="store_true", help="replace what is there")
    add_options(parser, Options())
    arguments = vars(parser.parse_args(words))
    out, force = arguments.pop("out"), arguments.pop("force")
    if force:
        shutil.rmtree(out, ignore_errors=True)
    build_text_side(out, Options(**arguments))
    print(f"wrote {out}")
