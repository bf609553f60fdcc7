"""What a proof of the tokenizer rests on twice, and what it cannot see for that: said by `inspect` and in the manifest.

What it does not rest on twice: regular expressions, classes, scripts and white space are RE2's own (google-re2) for the
graph, hub2hf's parser and tables for the tokenizer; normalization is unicodedata2's, and the tokenizers library's; case
folding idna's, and hub2hf's tables'; SentencePiece, WordPiece and packing the interpreter's, and the tokenizers library's.
"""

from __future__ import annotations

from typing import Final

NOT_INDEPENDENT: Final = (
    "The graph, its patterns and its vocabulary are read by one reader, for the tokenizer and for what it is held against.",
    "Where TensorFlow's Unicode differs from google-re2, unicodedata2 and idna, both sides have it from TensorFlow 2.21 "
    "and TensorFlow Text 2.21, asked about every code point; another release of TensorFlow may know other characters.",
    "The interpreter's own arithmetic of text (ragged rows, lookups, loops) has no second implementation here; the test "
    "suite holds it against TensorFlow.",
)
