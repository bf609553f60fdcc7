"""The tokenizer files of a Hugging Face folder. The vocabulary is streamed, so memory stays with its size."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, processors

from hub2hf.architectures.base import INPUTS
from hub2hf.blueprint.text import CaseFold, FoldWords, LowerCase, Normalize, Pack, TextBlueprint
from hub2hf.errors import GraphError, VocabularyError
from hub2hf.unicode.codepoints import LAST

from .config import common_config, write_json
from .javascript import TOKENIZER_CONFIG, JavaScript, tokenizer_parts
from .oniguruma import Oniguruma, normalizer, pre_tokenizer
from .pieces import piece_files
from .pipeline import build_pipeline
from .vocabulary import SpecialTokens, Vocabulary, read_vocabulary, special_tokens

PLACEHOLDER = "placeholder-of-the-vocabulary"
INDENT = b" " * 6  # of a piece in `tokenizer.json`
# How JSON writes the bytes of a piece that it does not write as they are; the first is what the others are written with.
ESCAPES = [(c.encode(), encode_basestring(c)[1:-1].encode()) for c in ("\\", '"', *map(chr, range(32))) if c != "\n"]


def tokenizer_files(
    text: TextBlueprint,
    vocab_size: int,
    folder: Path,
    inputs: Sequence[str] = INPUTS,
    vocabulary: Vocabulary | None = None,
) -> None:
    """Write `tokenizer.json`, `vocab.txt`, `tokenizer_config.json`, `special_tokens_map.json` into `folder`.

    Of a text side that a SentencePiece model cuts, that model stands in place of `vocab.txt`.

    Args:
        text: the text side of the SavedModel, its vocabulary included.
        vocab_size: rows of the word embeddings.
        folder: an existing folder.
        inputs: what the model takes.
        vocabulary: of the text side, where it is read already.

    Raises:
        GraphError: an operation or pattern of the graph that is not understood.
        VocabularyError: the vocabulary is damaged or does not fit the graph or the embeddings.
    """
    if text.by_pieces:
        piece_files(text, vocab_size, folder, inputs)
        return
    vocabulary = vocabulary or read_vocabulary(text.vocabulary)
    if len(vocabulary) != vocab_size:
        raise VocabularyError(
            f"{text.vocabulary} has {len(vocabulary)} pieces for {vocab_size} word embeddings.",
            "One of the two is of another model or incomplete; fetch the model again.",
        )
    tokens = special_tokens(text, vocabulary)
    write_tokenizer_json(text, vocabulary, folder / "tokenizer.json")
    write_vocab_txt(vocabulary, folder / "vocab.txt")
    write_json(tokenizer_config(text, tokens, inputs), folder / "tokenizer_config.json")
    write_json(special_tokens_map(tokens), folder / "special_tokens_map.json")


def write_tokenizer_json(text: TextBlueprint, vocabulary: Vocabulary, path: Path) -> None:
    """Write `tokenizer.json`: stock parts of `tokenizers` that give exactly the ids the graph gives.

    The library itself checks and serialises the parts, over a vocabulary of one piece, and the real one is
    streamed into its place: 501,153 pieces in a `Tokenizer` would take ten times the memory of their text.
    The same arguments give the same bytes.

    Raises:
        GraphError: an operation or pattern of the graph that is not understood.
        VocabularyError: the vocabulary does not fit the graph.
    """
    tokens = special_tokens(text, vocabulary)
    frame = _tokenizer(text, {PLACEHOLDER: 0}, (tokens.cls, tokens.sep))
    _add_rules(frame, text, _never_a_piece(vocabulary))
    _write_around(vocabulary, frame.to_str(pretty=True), path)


def write_javascript_files(
    text: TextBlueprint, vocabulary: Vocabulary, folder: Path, inputs: Sequence[str] = INPUTS
) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` into `folder`, for the JavaScript libraries.

    The ids are the same; see `javascript` for what differs, and why.

    Args:
        text: the text side; where its vocabulary stands is not looked at.
        vocabulary: the pieces.
        folder: an existing folder.
        inputs: what the model takes.

    Raises:
        GraphError: an operation or pattern of the graph that is not understood, or that JavaScript cannot follow.
        VocabularyError: the vocabulary does not fit the graph.
    """
    tokens = special_tokens(text, vocabulary)
    frame = json.loads(_tokenizer(text, {PLACEHOLDER: 0}, (tokens.cls, tokens.sep)).to_str())
    pipeline = build_pipeline(text, _never_a_piece(vocabulary), JavaScript())
    whole = {**frame, **tokenizer_parts(pipeline.steps, pipeline.cut)}
    _write_around(vocabulary, json.dumps(whole, indent=2, ensure_ascii=False), folder / "tokenizer.json")
    write_json({**tokenizer_config(text, tokens, inputs), **TOKENIZER_CONFIG}, folder / "tokenizer_config.json")


def _write_around(vocabulary: Vocabulary, frame: str, path: Path) -> None:
    before, found, after = frame.encode().partition(b'%b"%b": 0\n' % (INDENT, PLACEHOLDER.encode()))
    if not found or PLACEHOLDER.encode() in before + after:
        raise AssertionError("tokenizers writes a vocabulary in a new way")
    with path.open("wb") as file:
        file.write(before)
        start = 0
        for run in vocabulary.runs():
            file.write(b",\n" if start else b"")
            file.write(_numbered(run, start))
            start += run.count(b"\n")
        file.write(b"\n" + after)


def _numbered(lines: bytes, first: int) -> bytes:
    """Return pieces, a line each, as members of a JSON object with their numbers from `first` on, written all at once."""
    for plain, escaped in ESCAPES:
        lines = lines.replace(plain, escaped)
    members = lines[:-1].replace(b"%", b"%%").replace(b"\n", b'": %d,\n' + INDENT + b'"')
    return (INDENT + b'"' + members + b'": %d') % tuple(range(first, first + lines.count(b"\n")))


def write_vocab_txt(vocabulary: Vocabulary, path: Path) -> None:
    """Write `vocab.txt`, one piece a line, as `BertTokenizer` reads it."""
    path.write_bytes(vocabulary.lines)


def probe_tokenizer(text: TextBlueprint, vocabulary: Mapping[str, int]) -> Tokenizer:
    """The same tokenizer over a small vocabulary; ids may have gaps, and the packed ids need no piece.

    Raises:
        GraphError: an operation or pattern of the graph that is not understood.
    """
    tokenizer = _tokenizer(text, dict(vocabulary), ("[start]", "[end]"))
    _add_rules(tokenizer, text, _never_a_piece(vocabulary))
    return tokenizer


def _tokenizer(text: TextBlueprint, vocabulary: dict[str, int], ends: tuple[str, str]) -> Tokenizer:
    """What is the same for every engine, over a vocabulary that fits in memory twice.

    No token is declared as added or special: the library would find it in a text before anything else,
    and to the graph a literal `[CLS]` is a bracket, a word and a bracket.
    """
    model = text.wordpiece
    tokenizer = Tokenizer(
        models.WordPiece(
            vocabulary,
            unk_token=model.unknown_token,
            max_input_chars_per_word=model.max_bytes_per_word,
            continuing_subword_prefix=model.suffix_indicator,
        )
    )
    _pack(tokenizer, text.pack, ends)
    return tokenizer


def _add_rules(tokenizer: Tokenizer, text: TextBlueprint, never_a_piece: str) -> None:
    pipeline = build_pipeline(text, never_a_piece, Oniguruma())
    tokenizer.normalizer = normalizers.Sequence([normalizer(step) for step in pipeline.steps])
    tokenizer.pre_tokenizer = pre_tokenizer(pipeline)


def _pack(tokenizer: Tokenizer, pack: Pack, ends: tuple[str, str]) -> None:
    """[CLS] … [SEP] around the pieces that fit. Padding is left to the caller, as usual in transformers."""
    if pack.max_length < 2:
        raise GraphError(f"{pack.evidence} packs to {pack.max_length}.", "The two ends need 2.")
    start, end = ends
    tokenizer.post_processor = processors.BertProcessing((end, pack.end_id), (start, pack.start_id))
    tokenizer.enable_truncation(pack.max_length)


def _never_a_piece(vocabulary: Container[str]) -> str:
    """A character that is no piece, so that it is unknown as a word: the last such code point.

    It is looked for downwards from the noncharacter U+10FFFF, which no real vocabulary holds.
    """
    return next(chr(code) for code in range(LAST, 0, -1) if chr(code) not in vocabulary)


def tokenizer_config(text: TextBlueprint, tokens: SpecialTokens, inputs: Sequence[str] = INPUTS) -> dict[str, Any]:
    """`tokenizer_config.json`: `common_config`, and what BertTokenizer asks of it."""
    return {
        **common_config(text.pack, inputs),
        "do_lower_case": any(isinstance(operation, CaseFold | FoldWords | LowerCase) for operation in text.operations),
        "strip_accents": any(isinstance(operation, Normalize) for operation in text.operations),
        "tokenize_chinese_chars": True,
        **dict(tokens.items()),
    }


def special_tokens_map(tokens: SpecialTokens) -> dict[str, str]:
    """`special_tokens_map.json`."""
    return dict(tokens.items())
