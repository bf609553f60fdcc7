"""The text side of an encoder that has no preprocessor: what TensorFlow Model Garden exports beside such an encoder.

Encoders of that family bring their vocabulary and whether it is of lower-cased text, "an escape hatch for advanced users"
(official/nlp/tools/export_tfhub_lib.py): the rest is the same for all of them. No graph says so, hence `origin` does. The
pages of such modules may name other rules: `RULES` has those that a person can ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hub2hf.blueprint.text import (
    CaseFold,
    Normalize,
    Pack,
    ReplacePattern,
    SplitDelimiters,
    TextBlueprint,
    TextOperation,
    WordPiece,
)
from hub2hf.blueprint.text_side.full_tokenizer import FULL_TOKENIZER
from hub2hf.blueprint.text_side.preprocessor import (
    VOCABULARY,
    check_vocabulary,
    lower_case_said,
    own_pieces,
    own_vocabulary,
)
from hub2hf.blueprint.text_side.rules import TextRules, Witness
from hub2hf.blueprint.vocabulary.lines import lines_in, lines_of
from hub2hf.errors import SourceError, VocabularyError
from hub2hf.savedmodel.model import SavedModel

# tensorflow_text/python/ops/bert_tokenizer.py: BasicTokenizer and the defaults of BertTokenizer.
CONTROLS: Final = r"\p{Cc}|\p{Cf}"
MARKS: Final = r"\p{Mn}"
KEPT: Final = (
    r"[!-/]|[:-@]|[\[-`]|[{-~]|[\p{P}]|[\x{4E00}-\x{9FFF}]|[\x{3400}-\x{4DBF}]|[\x{20000}-\x{2A6DF}]"
    r"|[\x{2A700}-\x{2B73F}]|[\x{2B740}-\x{2B81F}]|[\x{2B820}-\x{2CEAF}]|[\x{F900}-\x{FAFF}]|[\x{2F800}-\x{2FA1F}]"
)
DELIMITERS: Final = rf"\s+|{KEPT}"
SUFFIX, UNKNOWN, MAX_BYTES = "##", "[UNK]", 100
TOKENIZER: Final = "TF.Text's BertTokenizer"

# official/nlp/modeling/layers/text_layers.py: BertTokenizer.get_special_tokens_dict and BertPackInputs.
START, END, PAD = "[CLS]", "[SEP]", "[PAD]"
# official/nlp/tools/export_tfhub.py: the default of --default_seq_length.
MAX_LENGTH: Final = 128
PACKING: Final = "Model Garden's BertPackInputs, with its default length"


def _operations(lower: bool, read_from: str) -> tuple[TextOperation, ...]:
    folding: tuple[TextOperation, ...] = (
        CaseFold(read_from),
        Normalize("NFD", read_from),
        ReplacePattern(MARKS, "", read_from),
    )
    return (
        *(folding if lower else ()),
        ReplacePattern(CONTROLS, " ", TOKENIZER),
        SplitDelimiters(DELIMITERS, KEPT, TOKENIZER),
        WordPiece(SUFFIX, UNKNOWN, MAX_BYTES, TOKENIZER),
    )


TF_TEXT: Final = TextRules(
    name="tftext",
    origin="the convention of TensorFlow Model Garden's BertTokenizer over the encoder's vocabulary, as no graph tells",
    operations=_operations,
    packing=PACKING,
)
RULES: Final[Mapping[str, TextRules]] = MappingProxyType({rules.name: rules for rules in (TF_TEXT, FULL_TOKENIZER)})


def check_rules(name: str) -> None:
    """Refuse the name of no rules (SourceError)."""
    if name and name not in RULES:
        raise SourceError(f"There are no text rules '{name}'.", f"Known are: {', '.join(RULES)}.")


def witness_of(text: TextBlueprint) -> Witness | None:
    """Return what makes ids by the rules of `text` beside TensorFlow; None where nothing of its own does."""
    return RULES[text.rules].witness if text.rules else None


def conventional_text(
    encoder: SavedModel, given: Path | None, pieces: int, positions: int, asked: str = ""
) -> tuple[TextBlueprint, tuple[str, ...]]:
    """Return the text blueprint, and the variables that it was read from.

    Args:
        encoder: the SavedModel of the encoder.
        given: a vocabulary file that the person names, for an encoder that brings none.
        pieces: rows of its word embeddings.
        positions: the longest text that it takes, in ids.
        asked: which of `RULES`; "" for TF.Text's.

    Raises:
        SourceError: there is no vocabulary, or there are two, or no such rules.
        VocabularyError: it is not of this encoder, or lacks a special token.
    """
    check_rules(asked)
    rules = RULES[asked or TF_TEXT.name]
    path, evidence = _vocabulary(encoder, given)
    whose = "the encoder" if given is None else f"--vocab, {given}"
    check_vocabulary(path, whose, encoder, pieces)
    lower, read_from, variables = _lower_case(encoder, path)
    special = lines_of(path, {START, END, PAD, UNKNOWN})
    lacking = [token for token in (START, END, PAD, UNKNOWN) if token not in special]
    if lacking:
        raise VocabularyError(
            f"{path} lacks {', '.join(lacking)}, which every BERT vocabulary has.",
            "Give the preprocessor of the model.",
        )
    pack = Pack(special[START], special[END], special[PAD], min(MAX_LENGTH, positions), rules.packing)
    operations = (*rules.operations(lower, read_from), pack)
    return TextBlueprint(operations, path, evidence, f"{rules.origin} ({read_from})", asked), variables


def _vocabulary(encoder: SavedModel, given: Path | None) -> tuple[Path, str]:
    own, pieces = own_vocabulary(encoder), own_pieces(encoder)
    if pieces is not None:
        raise SourceError(
            f"{encoder.folder} takes ids of a SentencePiece model, {pieces.name}, and brings no text operations.",
            "Name its preprocessor with --preprocessor.",
        )
    if own is None and given is None:
        raise SourceError(
            f"{encoder.folder} takes ids, and brings neither text operations nor a vocabulary.",
            "Name its preprocessor with --preprocessor, or its vocabulary file with --vocab.",
        )
    if given is not None and own is not None and list(lines_in(given)) != list(lines_in(own)):
        raise SourceError(
            f"{encoder.folder} brings another vocabulary, {own.name}, than {given}.", "Leave out --vocab."
        )
    return (given, "--vocab") if own is None and given is not None else (own or Path(), f"asset '{VOCABULARY}'")


def _lower_case(encoder: SavedModel, path: Path) -> tuple[bool, str, tuple[str, ...]]:
    """Return whether text is lower-cased, where that was read, and the variable that says so.

    Without the variable the vocabulary tells: a piece with a capital letter can never be found in folded text.
    """
    said = lower_case_said(encoder)
    if said is not None:
        return said.lower, f"{said.said_by} is {str(said.lower).lower()}", said.variables
    for number, line in enumerate(lines_in(path), 1):
        if any(byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" for byte in line) and not line.startswith(b"["):
            return False, f"line {number} of {path.name}, '{line.decode(errors='replace')}', has capital letters", ()
    return True, f"no piece of {path.name} has capital letters", ()
