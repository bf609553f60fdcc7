"""What a proof of the tokenizer rests on twice, and what it cannot see for that: said by `inspect` and in the manifest."""

from __future__ import annotations

from typing import Final

INDEPENDENT: Final = (
    "Regular expressions, classes, scripts and white space: RE2 itself (google-re2) for the graph, hub2hf's parser and "
    "tables for the tokenizer.",
    "Normalization: unicodedata2 for the graph, hub2hf's tables and the tokenizers library for the tokenizer.",
    "Case folding: idna for the graph, hub2hf's tables for the tokenizer.",
    "SentencePiece: hub2hf's interpreter for the graph, after sentencepiece's own code; Precompiled, NFC and Unigram of the "
    "tokenizers library for the tokenizer.",
    "WordPiece and packing: hub2hf's interpreter for the graph, the tokenizers library for the tokenizer.",
)

NOT_INDEPENDENT: Final = (
    "The graph, its patterns and its vocabulary are read by one reader, for the tokenizer and for what it is held against.",
    "Where TensorFlow's Unicode differs from google-re2, unicodedata2 and idna, both sides have it from TensorFlow 2.21 "
    "and TensorFlow Text 2.21, asked about every code point; another release of TensorFlow may know other characters.",
    "The interpreter's own arithmetic of text (ragged rows, lookups, loops) has no second implementation here; the test "
    "suite holds it against TensorFlow.",
)
