"""A `TextBlueprint` as a plain `tokenizer.json`: stock parts of the libraries, the ids TensorFlow gives.

    tokenizer_files(text, vocab_size, folder)

writes every tokenizer file of a Hugging Face folder; `probe_tokenizer` gives the same tokenizer over any small
vocabulary.

`pipeline` and `characters` compile the operations for an `engine`: `oniguruma` is the `tokenizers` library of Rust and
Python, `javascript` are the two of JavaScript. `files` writes. What a pattern of the graph means is for `hub2hf.unicode`
to know.
"""

from __future__ import annotations

from .characters import never_in_pieces
from .files import (
    probe_tokenizer,
    special_tokens_map,
    tokenizer_config,
    tokenizer_files,
    write_javascript_files,
    write_tokenizer_json,
    write_vocab_txt,
)
from .pieces import piece_tokenizer, read_model
from .vocabulary import SpecialTokens, Vocabulary, read_vocabulary, special_tokens

__all__ = [
    "SpecialTokens",
    "Vocabulary",
    "never_in_pieces",
    "piece_tokenizer",
    "probe_tokenizer",
    "read_model",
    "read_vocabulary",
    "special_tokens",
    "special_tokens_map",
    "tokenizer_config",
    "tokenizer_files",
    "write_javascript_files",
    "write_tokenizer_json",
    "write_vocab_txt",
]
