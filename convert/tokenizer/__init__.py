"""A `TextBlueprint` as a plain `tokenizer.json`: stock `tokenizers` parts, the ids TensorFlow gives.

    tokenizer_files(text, vocab_size, folder)

writes every tokenizer file of a Hugging Face folder; `probe_tokenizer` gives the same tokenizer over any small
vocabulary.

Rooms: `tables` and `codepoints` (what a class means to TensorFlow), `re2` (the graph's patterns), `automaton`
and `patterns` (the same in Oniguruma, in linear time), `pipeline` (the operations), `vocabulary`, `files` (what
is written).
"""

from __future__ import annotations

from .files import (
    probe_tokenizer,
    special_tokens_map,
    tokenizer_config,
    tokenizer_files,
    write_tokenizer_json,
    write_vocab_txt,
)
from .vocabulary import SpecialTokens, Vocabulary, read_vocabulary, special_tokens

__all__ = [
    "SpecialTokens",
    "Vocabulary",
    "probe_tokenizer",
    "read_vocabulary",
    "special_tokens",
    "special_tokens_map",
    "tokenizer_config",
    "tokenizer_files",
    "write_tokenizer_json",
    "write_vocab_txt",
]
