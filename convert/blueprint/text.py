"""`TextBlueprint`: what the graph does to a string before the encoder sees ids, in order.

Every step carries its evidence: the name of the graph node it was read from.
Patterns are kept as the graph writes them (RE2 syntax, as used by TensorFlow's regex ops).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hub2hf.unicode.tables import OF_TENSORFLOW, OF_TEXT

# Where a text side comes from.
INSIDE = "the SavedModel itself"
PREPROCESSOR = "the preprocessor"


NO_START = -1


@dataclass(frozen=True)
class ReplacePattern:
    """Every match of an RE2 `pattern` becomes `rewrite` (op `RegexReplace`, `StaticRegexReplace`)."""

    pattern: str
    rewrite: str
    evidence: str


@dataclass(frozen=True)
class CaseFold:
    """Unicode's NFKC_Casefold, as ICU has it (op `CaseFoldUTF8`): more than lower case, ß becomes ss and ﬁ becomes fi."""

    evidence: str


@dataclass(frozen=True)
class LowerCase:
    """Python's `str.lower` of each word between white space: a capital sigma at the end of one becomes ς."""

    evidence: str


@dataclass(frozen=True)
class FoldWords:
    """`CaseFold` of each word, after the split: a word in which it makes a space stays one."""

    evidence: str


@dataclass(frozen=True)
class Normalize:
    """The Unicode normalization `form`, as ICU has it (op `NormalizeUTF8`)."""

    form: str
    evidence: str


@dataclass(frozen=True)
class SplitDelimiters:
    """Split at every match of the RE2 pattern `delimiters`; a delimiter that matches `kept` in full stays as a word
    (op `RegexSplitWithOffsets`)."""

    delimiters: str
    kept: str
    evidence: str


@dataclass(frozen=True)
class SplitScripts:
    """Split where the ICU Script property changes; white space is dropped after the split is found
    (op `UnicodeScriptTokenizeWithOffsets`, `keep_whitespace=false`)."""

    evidence: str
    table: ClassVar[str] = OF_TEXT


@dataclass(frozen=True)
class SplitScriptsByHand(SplitScripts):
    """The same by the scripts of op `UnicodeScript`, which are those of an older Unicode, and operations on them."""

    table: ClassVar[str] = OF_TENSORFLOW


@dataclass(frozen=True)
class SplitAround:
    r"""Each character that the RE2 class `characters` matches is a word of its own, also inside another
    (a rewrite such as ` \1 `, split at the spaces again)."""

    characters: str
    evidence: str


@dataclass(frozen=True)
class SplitCharacters:
    """A word that one of the RE2 `patterns` matches in full is cut into single code points
    (ops `RegexFullMatch`/`StaticRegexFullMatch`, `LogicalOr`, `UnicodeDecode…`)."""

    patterns: tuple[str, ...]
    evidence: str


@dataclass(frozen=True)
class WordPiece:
    """Greedy longest match first (op `WordpieceTokenizeWithOffsets`), attributes as the op names them.

    `max_bytes_per_word` is in UTF-8 bytes; a longer word is one `unknown_token`.
    """

    suffix_indicator: str
    unknown_token: str
    max_bytes_per_word: int
    evidence: str


@dataclass(frozen=True)
class WordPieceOfCharacters(WordPiece):
    """`WordPiece` whose limit counts characters, as BERT's FullTokenizer does."""


@dataclass(frozen=True)
class SentencePiece:
    """The cut into pieces (op `SentencepieceTokenizeOp`), the likeliest or by joining neighbours; the vocabulary is the
    model, with its own normalizer.

    `undecided` is a text that has two cuts so equally likely that the round-off of float32 sums decides, as TensorFlow adds
    scores; "" where none was found.
    """

    undecided: str
    evidence: str


@dataclass(frozen=True)
class Pack:
    """[start_id] + the pieces that fit + [end_id], padded with `pad_id` to `max_length`."""

    start_id: int  # `NO_START` where none is put
    end_id: int
    pad_id: int
    max_length: int
    evidence: str


TextOperation = (
    CaseFold
    | LowerCase
    | Normalize
    | ReplacePattern
    | SplitScripts
    | SplitScriptsByHand
    | SplitDelimiters
    | SplitAround
    | FoldWords
    | SplitCharacters
    | WordPiece
    | WordPieceOfCharacters
    | SentencePiece
    | Pack
)


@dataclass(frozen=True)
class TextBlueprint:
    """The text side of a SavedModel.

    Attributes:
        operations: the text operations in the order the graph applies them; the last two are always
            one `WordPiece` or `SentencePiece` and one `Pack`.
        vocabulary: the asset file, one piece a line, whose id is its line number from 0; or the SentencePiece model.
        vocabulary_evidence: the node that reads the asset.
        origin: where the operations were read; one of the constants above.
        rules: which rules were asked for, where no graph has any; "" for the usual ones, and where one has.
    """

    operations: tuple[TextOperation, ...]
    vocabulary: Path
    vocabulary_evidence: str
    origin: str = INSIDE
    rules: str = ""

    @property
    def wordpiece(self) -> WordPiece:
        """The one WordPiece operation."""
        return next(op for op in self.operations if isinstance(op, WordPiece))

    @property
    def by_pieces(self) -> bool:
        """Whether a SentencePiece model cuts the text, and not WordPiece."""
        return any(isinstance(op, SentencePiece) for op in self.operations)

    @property
    def pack(self) -> Pack:
        """The one packing operation."""
        return next(op for op in self.operations if isinstance(op, Pack))
