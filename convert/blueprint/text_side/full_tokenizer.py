r"""The rules that pages of tfhub.dev name for modules that take ids: FullTokenizer of google-research/bert.

They differ from TF.Text's BertTokenizer in what is deleted and what parts words (a control or format character goes without
parting, so ZWNJ joins; U+FFFD goes; vertical tabs join, U+2028 parts), in lower case (`str.lower` with its final sigma, not
NFKC_Casefold) and in the limit of a word (200 characters, not 100 bytes).

That code asks the Unicode of the Python that runs it. Here it is that of TensorFlow's tables, Unicode 15: of what is newer
every Python thinks otherwise. Three of its steps stand in another order, which makes no difference: characters that go are
deleted before anything, marks before words are split at ideographs, and white space parts words where they are looked up.
"""

from __future__ import annotations

from typing import Final

from hub2hf.blueprint.text import (
    LowerCase,
    Normalize,
    ReplacePattern,
    SplitDelimiters,
    TextOperation,
    WordPieceOfCharacters,
)
from hub2hf.blueprint.text_side.rules import TextRules
from hub2hf.witness.full_tokenizer import full_tokenizer

WHERE: Final = "BERT's FullTokenizer"
# Cc without tab, newline and carriage return, which part words; Cf; the replacement character.
DELETED: Final = r"[\x{0}-\x{8}]|[\x{B}\x{C}]|[\x{E}-\x{1F}]|[\x{7F}-\x{9F}]|\p{Cf}|\x{FFFD}"
# What it makes a space, and what `str.split` splits at besides and has not been deleted.
SPACES: Final = r"[\t\n\r]|\p{Zs}|[\x{2028}\x{2029}]"
MARKS: Final = r"\p{Mn}"
IDEOGRAPHS: Final = (
    r"[\x{4E00}-\x{9FFF}]|[\x{3400}-\x{4DBF}]|[\x{20000}-\x{2A6DF}]|[\x{2A700}-\x{2B73F}]|[\x{2B740}-\x{2B81F}]"
    r"|[\x{2B820}-\x{2CEAF}]|[\x{F900}-\x{FAFF}]|[\x{2F800}-\x{2FA1F}]"
)
PUNCTUATION: Final = r"[!-/]|[:-@]|[\[-`]|[{-~]|\p{P}"
KEPT: Final = f"{PUNCTUATION}|{IDEOGRAPHS}"
SUFFIX, UNKNOWN, MAX_CHARACTERS = "##", "[UNK]", 200


def _operations(lower: bool, read_from: str) -> tuple[TextOperation, ...]:
    folding: tuple[TextOperation, ...] = (
        LowerCase(read_from),
        Normalize("NFD", read_from),
        ReplacePattern(MARKS, "", read_from),
    )
    return (
        ReplacePattern(DELETED, "", WHERE),
        *(folding if lower else ()),
        SplitDelimiters(f"{SPACES}|{KEPT}", KEPT, WHERE),
        WordPieceOfCharacters(SUFFIX, UNKNOWN, MAX_CHARACTERS, WHERE),
    )


FULL_TOKENIZER: Final = TextRules(
    name="fulltokenizer",
    origin=f"{WHERE} (google-research/bert, tokenization.py) over the encoder's vocabulary, as --text-rules asks",
    operations=_operations,
    packing="run_classifier.py of google-research/bert, with its default length",
    witness=full_tokenizer,
)
